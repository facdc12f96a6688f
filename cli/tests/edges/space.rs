//! Namespaces of a test's own: mounts and networks that nobody else sees and that end with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Where the programs lie that tests ask for.
pub(crate) const PROGRAMS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Says that a test was not run, and why.
pub(crate) fn skipped(needs: &str) {
    println!("\nSKIPPED: needs {needs}");
}

/// Finds a program.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    PROGRAMS.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// A process that holds namespaces; they end with it.
pub(crate) struct Space {
    holder: Child,
    _open: ChildStdin,
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Space {
    /// Makes namespaces (`--mount`, `--net`) and runs a script in them; nothing where this user may not.
    pub(crate) fn make(kinds: &[&str], script: &str) -> Option<Self> {
        // It ends when this process closes its stdin, however that comes to pass.
        let script = format!("set -e\n{script}\necho made\nexec cat");
        let mut holder = Command::new("unshare")
            .env("PATH", PROGRAMS)
            .args(kinds)
            .args(["--", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let open = holder.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let space = Self { holder, _open: open };
        (line == "made\n").then_some(space)
    }

    /// The process that holds them.
    pub(crate) fn pid(&self) -> String {
        self.holder.id().to_string()
    }

    /// What stands before a command that is to run inside (`--mount`, `--net`).
    pub(crate) fn enter(&self, kinds: &[&str]) -> Vec<String> {
        let target = self.pid();
        ["nsenter", "--target", target.as_str()].iter().chain(kinds).chain(&["--"]).map(|s| (*s).to_owned()).collect()
    }

    /// Runs a script inside.
    pub(crate) fn script(&self, kinds: &[&str], script: &str) {
        let enter = self.enter(kinds);
        let mut command = Command::new(&enter[0]);
        let output = command.env("PATH", PROGRAMS).args(&enter[1..]).args(["sh", "-ec", script]).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A path inside, as it is reached from outside.
    pub(crate) fn path(&self, inside: &Path) -> PathBuf {
        Path::new("/proc").join(self.pid()).join("root").join(inside.strip_prefix("/").unwrap())
    }
}
