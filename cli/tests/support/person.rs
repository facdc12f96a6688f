//! People with profiles and daemons of their own, and what they type.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use tempfile::{TempDir, tempdir};

/// A person with a profile of their own, and a daemon while it runs.
pub(crate) struct Person {
    pub(crate) dir: TempDir,
    pub(crate) daemon: Option<Child>,
    pub(crate) ready: Value,
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
    /// Nobody yet, with a folder.
    pub(crate) fn nobody() -> Self {
        Self { dir: tempdir().unwrap(), daemon: None, ready: Value::Null }
    }

    pub(crate) fn new(name: &str) -> Self {
        let person = Self::nobody();
        let made = person.ok(&["init", "--name", name, "--no-passphrase"]);
        assert_eq!(made["recovery_phrase"].as_str().unwrap().split(' ').count(), 24);
        person
    }

    pub(crate) fn online(name: &str) -> Self {
        let mut person = Self::new(name);
        person.start(&[]);
        person
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kith"));
        command.env_clear().env("HOME", self.dir.path()).arg("--home").arg(self.home()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Kills the daemon without warning.
    pub(crate) fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// Stops the daemon in order.
    pub(crate) fn stop(&mut self) {
        self.ok(&["stop"]);
        self.daemon.take().unwrap().wait().unwrap();
    }

    /// Somebody with a relay for members beside the daemon.
    pub(crate) fn relay(name: &str) -> Self {
        let mut person = Self::new(name);
        person.run(&["relay", "run", "--name", name]);
        person
    }

    pub(crate) fn start(&mut self, args: &[&str]) {
        self.run(&[&["run"], args].concat());
    }

    /// Starts the daemon with a verb that runs one.
    pub(crate) fn run(&mut self, verb: &[&str]) {
        // Who comes back listens where they did before, as on a profile's own port.
        let suffix = format!("/p2p/{}", self.ready["peer"].as_str().unwrap_or_default());
        let before = self.ready["listen"][0].as_str().map(|at| at.trim_end_matches(&suffix).to_owned());
        let listen = before.unwrap_or_else(|| "/ip4/127.0.0.1/udp/0/quic-v1".to_owned());
        let mut child = self
            .command(verb)
            .args(["--json", "--no-mdns", "--listen", &listen])
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.daemon = Some(child);
        self.ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        assert!(line.starts_with(r#"{"v":1,"event":"ready","peer":""#), "{line}");
    }

    /// An address that others can start from.
    pub(crate) fn address(&self) -> String {
        let address = self.ready["listen"][0].as_str().unwrap();
        match address.contains("/p2p/") {
            true => address.to_owned(),
            false => format!("{address}/p2p/{}", self.ready["peer"].as_str().unwrap()),
        }
    }

    pub(crate) fn with_stdin(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap()
    }

    /// Runs with --json, expects success and one object.
    pub(crate) fn ok(&self, args: &[&str]) -> Value {
        let mut lines = self.lines(args);
        assert_eq!(lines.len(), 1, "{args:?}: {lines:?}");
        lines.remove(0)
    }

    /// Runs with --json, expects success and returns an object a line.
    pub(crate) fn lines(&self, args: &[&str]) -> Vec<Value> {
        let output = self.command(args).arg("--json").output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{args:?}: {out}{err}");
        assert_eq!(err, "", "{args:?}");
        assert!(out.lines().all(|l| l.starts_with(r#"{"v":1,"#)), "{out}");
        out.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// Runs with --json, expects a failure; returns exit code, code and the error object.
    pub(crate) fn error(&self, args: &[&str], stdin: &[u8]) -> (i32, String, Value) {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let output = self.with_stdin(&args, stdin);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let value: Value = serde_json::from_str(&stderr).unwrap_or_else(|e| panic!("{args:?}: {e}: {stderr:?}"));
        let error = value["error"].clone();
        (output.status.code().unwrap(), error["code"].as_str().unwrap().to_owned(), error)
    }

    pub(crate) fn link(&self) -> String {
        self.ok(&["me"])["url"].as_str().unwrap().to_owned()
    }

    /// Adds another by link and the other way round.
    pub(crate) fn befriend(&self, my_name: &str, other: &Self, their_name: &str) {
        self.ok(&["contact", "add", &other.link(), "--name", their_name]);
        other.ok(&["contact", "add", &self.link(), "--name", my_name]);
    }
}

/// Alice and Bob, who know each other.
pub(crate) fn pair() -> (Person, Person) {
    let alice = Person::online("alice");
    let mut bob = Person::new("bob");
    bob.start(&["--bootstrap", &alice.address()]);
    alice.befriend("alice", &bob, "bob");
    (alice, bob)
}
