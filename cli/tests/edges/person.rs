//! A person whose command and daemon may run somewhere special: in namespaces, under another clock.

use crate::space::PROGRAMS;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::{TempDir, tempdir};

/// How long anything may take before a test gives up: only a hanging test meets it.
pub(crate) const DEADLINE: std::time::Duration = std::time::Duration::from_secs(120);

/// A person with a profile, and a daemon while it runs.
pub(crate) struct Person {
    /// The profile's folder.
    pub(crate) home: PathBuf,
    /// What stands before every command.
    pub(crate) inside: Vec<String>,
    /// What stands before the daemon alone.
    pub(crate) daemon_inside: Vec<String>,
    /// The daemon's environment.
    pub(crate) env: Vec<(String, String)>,
    /// Where the user's settings lie.
    pub(crate) settings: PathBuf,
    /// The daemon's first line.
    pub(crate) ready: Value,
    daemon: Option<Child>,
    /// Goes away with the person.
    dir: Option<TempDir>,
}

impl Drop for Person {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Person {
    /// Nobody yet, with a folder on the machine's own disk.
    pub(crate) fn nobody() -> Self {
        let dir = tempdir().unwrap();
        let home = dir.path().join("home");
        let mut person = Self::at(&home);
        person.dir = Some(dir);
        person
    }

    /// Nobody yet, at a place that somebody else takes away.
    pub(crate) fn at(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            inside: Vec::new(),
            daemon_inside: Vec::new(),
            env: Vec::new(),
            settings: home.with_extension("settings"),
            ready: Value::Null,
            daemon: None,
            dir: None,
        }
    }

    /// Nobody yet, whose settings keep a daemon started with no word about it on this machine alone.
    pub(crate) fn nobody_at_home() -> Self {
        let nobody = Self::nobody();
        std::fs::create_dir(&nobody.home).unwrap();
        let settings = "[network]\nmdns = false\nlisten = [\"/ip4/127.0.0.1/tcp/0\"]\n";
        std::fs::write(nobody.home.join("config.toml"), settings).unwrap();
        nobody
    }

    /// Whether nothing but settings lies in the profile's folder.
    pub(crate) fn has_nothing(&self) -> bool {
        let names = std::fs::read_dir(&self.home).unwrap().map(|e| e.unwrap().file_name());
        names.collect::<Vec<_>>() == ["config.toml"]
    }

    /// Somebody with a profile.
    pub(crate) fn new(name: &str) -> Self {
        Self::nobody().init(name)
    }

    /// Makes the profile.
    pub(crate) fn init(self, name: &str) -> Self {
        self.ok(&["init", "--name", name, "--no-passphrase"]);
        self
    }

    fn build(&self, inside: &[String], env: &[(String, String)], args: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_kith").to_owned();
        let home = self.home.to_str().unwrap().to_owned();
        let line: Vec<String> = self.inside.iter().chain(inside).cloned().chain([program]).collect();
        let mut command = Command::new(&line[0]);
        command.env_clear().env("PATH", PROGRAMS).env("HOME", &home).env("XDG_CONFIG_HOME", &self.settings);
        command.envs(env.iter().cloned());
        command.args(&line[1..]).args(["--home", &home]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A command, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.build(&[], &[], args)
    }

    /// Starts the daemon on a free port of this machine alone.
    pub(crate) fn start(&mut self, args: &[&str]) {
        self.start_on(&["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"], args);
    }

    /// Starts the daemon and returns when it takes requests.
    pub(crate) fn start_on(&mut self, listen: &[&str], args: &[&str]) {
        self.launch(&[&["run"], listen, args].concat());
    }

    /// Starts the daemon with a relay that is open to anybody, where it listened before if it did.
    pub(crate) fn start_relay(&mut self) {
        let before = self.ready["listen"][0].as_str().map(|at| at.split("/p2p/").next().unwrap().to_owned());
        let listen = before.unwrap_or_else(|| "/ip4/127.0.0.1/tcp/0".to_owned());
        self.launch(&["relay", "run", "--open", "--name", "corner", "--no-mdns", "--listen", &listen]);
    }

    fn launch(&mut self, verb: &[&str]) {
        let mut command = self.build(&self.daemon_inside, &self.env, verb);
        let mut child = command.arg("--json").stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.daemon = Some(child);
        self.ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
    }

    /// Stops the daemon in order.
    pub(crate) fn stop(&mut self) {
        self.ok(&["stop"]);
        assert!(self.daemon.take().unwrap().wait().unwrap().success());
    }

    /// Runs with --json.
    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.command(args).arg("--json").output().unwrap()
    }

    /// Runs with --json, expects success and returns an object a line.
    pub(crate) fn lines(&self, args: &[&str]) -> Vec<Value> {
        let output = self.output(args);
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{args:?}: {out}{err}");
        out.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// Runs with --json, expects success and one object.
    pub(crate) fn ok(&self, args: &[&str]) -> Value {
        let mut lines = self.lines(args);
        assert_eq!(lines.len(), 1, "{args:?}: {lines:?}");
        lines.remove(0)
    }

    /// Runs with --json, expects a failure that says what is wrong and what to do; returns exit code, code and message.
    pub(crate) fn error(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.output(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
        let value: Value = serde_json::from_str(&stderr).unwrap_or_else(|e| panic!("{args:?}: {e}: {stderr:?}"));
        let text = |key: &str| value["error"][key].as_str().unwrap().to_owned();
        assert!(!text("message").is_empty() && !text("hint").is_empty(), "{args:?}: {stderr}");
        (output.status.code().unwrap(), text("code"), text("message"))
    }

    /// Every event from the first on, up to one that fits.
    pub(crate) fn events_until(&self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut listen = self.command(&["listen", "--after", "0", "--json"]).spawn().unwrap();
        let mut events = Vec::new();
        for line in BufReader::new(listen.stdout.take().unwrap()).lines() {
            events.push(serde_json::from_str(&line.unwrap()).unwrap());
            if events.last().is_some_and(&fits) {
                break;
            }
        }
        listen.kill().unwrap();
        listen.wait().unwrap();
        events
    }

    /// A check of doctor by its name.
    pub(crate) fn check(&self, name: &str) -> Value {
        let report: Value = serde_json::from_slice(&self.output(&["doctor"]).stdout).unwrap();
        report["items"].as_array().unwrap().iter().find(|i| i["name"] == name).unwrap().clone()
    }

    /// The texts of a conversation, oldest first.
    pub(crate) fn texts(&self, with: &str) -> Vec<String> {
        self.lines(&["read", with]).iter().map(|m| m["body"].as_str().unwrap().to_owned()).collect()
    }

    /// What a person is shown of something.
    pub(crate) fn said(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// How a message stands with its one recipient.
    pub(crate) fn why(&self, id: &str) -> Value {
        self.ok(&["why", id])["recipients"][0].clone()
    }

    /// Sends a text and waits until a relay holds it; gives its id.
    pub(crate) fn leaves(&self, to: &str, text: &str) -> String {
        let sent = self.ok(&["send", to, text, "--wait", "stored", "--timeout", "120s"]);
        assert_eq!(sent["state"], "stored", "{text}");
        sent["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a conversation holds a text.
    pub(crate) fn hears(&self, with: &str, text: &str) {
        until(&format!("{text:?} arrives"), || self.texts(with).iter().any(|t| t == text));
    }

    /// Sends a text and waits for the other device's receipt.
    pub(crate) fn says(&self, to: &str, text: &str) {
        let sent = self.lines(&["send", to, text, "--wait", "delivered", "--timeout", "120s"]);
        assert_eq!(sent[0]["state"], "delivered", "{text}");
    }

    /// Adds another by link and the other way round.
    pub(crate) fn befriend(&self, my_name: &str, other: &Self, their_name: &str) {
        let link = |who: &Self| who.ok(&["me"])["url"].as_str().unwrap().to_owned();
        self.ok(&["contact", "add", &link(other), "--name", their_name]);
        other.ok(&["contact", "add", &link(self), "--name", my_name]);
    }

    /// Two who have mailboxes at this person's relay, and wrote to each other.
    pub(crate) fn two_friends(&self) -> (Self, Self) {
        let (mut alice, mut bob) = (Self::new("alice"), Self::new("bob"));
        for person in [&mut alice, &mut bob] {
            person.start(&[]);
            assert_eq!(person.ok(&["relay", "add", self.ready["card"].as_str().unwrap()])["state"], "ready");
        }
        alice.befriend("alice", &bob, "bob");
        alice.says("@bob", "hello");
        bob.says("@alice", "hello yourself");
        (alice, bob)
    }
}

/// Waits until a condition holds, or fails the test.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let pause = std::time::Duration::from_millis(20);
    let mut left = DEADLINE;
    while !holds() {
        assert!(!left.is_zero(), "not in time: {what}");
        std::thread::sleep(pause);
        left = left.saturating_sub(pause);
    }
}
