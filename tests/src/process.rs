//! Daemons as processes, in folders of their own, on this machine's loopback or in a network of their own; stopped by their
//! process ids.
//! Must not know what a scenario is about.

use kith_node::{
    Client, UserError,
    api::{
        ReadRequest,
        types::{DeliveryState, Message, Why},
    },
    paths::Paths,
    profile::{self, Key},
};
use kith_protocol::{AccountId, MessageId};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsString,
    fs::File,
    future::Future,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How long anything may take before a test gives up: generous, since it is only ever waited out by a failure.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Most messages the API gives at once.
const PAGE: usize = 1000;

/// Waits until a condition holds.
///
/// # Panics
/// If it does not within [`DEADLINE`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "not within {} s: {what}", DEADLINE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
}

/// Returns a port of this machine that nobody uses, outside the range the system hands out by itself, so that a daemon
/// that was killed finds it free again.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + u16::try_from(std::process::id() % 11_000).unwrap();
    for _ in 0..1000 {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// The multiaddress of a TCP port on loopback.
pub fn tcp(port: u16) -> String {
    format!("/ip4/127.0.0.1/tcp/{port}")
}

/// A person's daemon: its folder, and the process while one runs.
pub struct Person {
    /// The name.
    pub name: String,
    /// The account.
    pub account: AccountId,
    /// The machine's address that it listens on.
    pub host: Ipv4Addr,
    /// The port it listens on, over TCP.
    pub port: u16,
    /// Where it starts from.
    pub bootstrap: Vec<String>,
    /// What opens the profile, and the file that holds it for the process.
    pub passphrase: Option<String>,
    /// The log filter and the file it is appended to.
    pub log: Option<(String, PathBuf)>,
    /// Runs a relay that is open to anybody.
    pub relay: bool,
    /// What the daemon is started under, if anything: a program and its arguments.
    pub under: Vec<String>,
    /// The card of its relay, once it was ready.
    pub card: Option<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl Person {
    /// Makes a profile without passphrase; nothing runs yet.
    pub fn create(name: &str) -> Self {
        Self::create_with(name, None)
    }

    /// Makes a profile, opened by a passphrase if there is one.
    pub fn create_with(name: &str, passphrase: Option<&str>) -> Self {
        let folder = tempfile::Builder::new().prefix("kith-").tempdir().unwrap();
        let key = key_of(passphrase);
        let created = profile::create(&folder.path().join("home"), name, &key).unwrap();
        if let Some(passphrase) = passphrase {
            std::fs::write(folder.path().join("passphrase"), passphrase).unwrap();
        }
        Self {
            name: name.to_owned(),
            account: created.account.parse().unwrap(),
            host: Ipv4Addr::LOCALHOST,
            port: free_port(),
            bootstrap: Vec::new(),
            passphrase: passphrase.map(Into::into),
            log: None,
            relay: false,
            under: Vec::new(),
            card: None,
            folder,
            child: None,
        }
    }

    /// The profile's folder.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// What opens the profile.
    pub fn key(&self) -> Key {
        key_of(self.passphrase.as_deref())
    }

    /// The profile's files.
    pub fn paths(&self) -> Paths {
        Paths::in_home(&self.home(), None)
    }

    /// The multiaddress it listens on.
    pub fn address(&self) -> String {
        format!("/ip4/{}/tcp/{}", self.host, self.port)
    }

    /// A client of the daemon, whether it runs or not.
    pub fn client(&self) -> Client {
        Client::new(self.paths().socket).with_patience(DEADLINE)
    }

    /// The command that starts the daemon.
    pub fn command(&self) -> Command {
        let mut words = self.under.iter().map(OsString::from).chain([binary().into_os_string()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg(self.home()).arg(self.address()).env_remove("KITH_LOG").stdin(Stdio::null());
        for address in &self.bootstrap {
            command.arg("--bootstrap").arg(address);
        }
        if self.relay {
            command.arg("--relay");
        }
        if self.passphrase.is_some() {
            command.arg("--passphrase").arg(self.folder.path().join("passphrase"));
        }
        if let Some((filter, file)) = &self.log {
            let file = File::options().create(true).append(true).open(file).unwrap();
            command.env("KITH_LOG", filter).stderr(file);
        }
        command
    }

    /// Starts the daemon and returns when it takes requests.
    pub async fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let mut child = self.command().stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        self.child = Some(child);
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).map(|_| line)
        });
        let line = tokio::time::timeout(DEADLINE, line).await.unwrap().unwrap().unwrap();
        assert!(line.contains("\"ready\""), "{} did not start: {line:?}", self.name);
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        self.card = ready.get("card").and_then(|card| card.as_str()).map(Into::into);
    }

    /// Whether a process runs.
    pub fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Kills the process as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends a signal and returns how the process ended.
    pub async fn signal(&mut self, signal: Signal) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ended = tokio::task::spawn_blocking(move || child.wait());
        tokio::time::timeout(DEADLINE, ended).await.expect("it did not stop").unwrap().unwrap()
    }

    /// Stops the daemon in order.
    pub async fn stop(&mut self) {
        let ended = self.signal(Signal::TERM).await;
        assert!(ended.success(), "{} ended with {ended}", self.name);
    }

    /// The contact link.
    pub async fn link(&self) -> String {
        let client = self.client();
        // The address stands in the link once the node has told it.
        eventually("the link has an address", || async {
            client.me().await.ok().map(|me| me.url).filter(|url| url.contains("a="))
        })
        .await
    }

    /// Sends a text and returns its id: from here on it is a promise.
    pub async fn send(&self, to: &Person, body: &str) -> MessageId {
        self.client().send_text(&to.account.to_string(), body).await.unwrap().id
    }

    /// The whole conversation with somebody, oldest first.
    pub async fn read(&self, with: &Person) -> Vec<Message> {
        self.read_all(&with.account.to_string()).await.unwrap()
    }

    /// The whole conversation with somebody or in a channel, oldest first.
    ///
    /// # Errors
    /// What the daemon answers.
    pub async fn read_all(&self, with: &str) -> Result<Vec<Message>, UserError> {
        let mut all = Vec::new();
        let mut before = None;
        loop {
            let request = ReadRequest { with: with.to_owned(), before, since: None, limit: Some(PAGE) };
            let mut page = self.client().read(&request).await?;
            let Some(first) = page.first() else { return Ok(all) };
            before = Some(first.id);
            page.append(&mut all);
            all = page;
        }
    }

    /// What somebody wrote, as shown here, oldest first.
    pub async fn shown_from(&self, from: &Person) -> Vec<String> {
        let all = self.read(from).await;
        all.into_iter().filter(|m| !m.outgoing).map(|m| m.body).collect()
    }

    /// Waits until a message of this person has come so far.
    pub async fn comes_to(&self, id: &MessageId, state: DeliveryState) {
        eventually(&format!("a message of {} is {state:?}", self.name), || async {
            (self.client().message(&id.to_string()).await.ok()?.state == state).then_some(())
        })
        .await;
    }

    /// The most memory that the process ever held, in bytes; nothing where the system does not tell.
    pub fn memory_peak(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    }

    /// The story of a message.
    pub async fn why(&self, id: &MessageId) -> Why {
        self.client().why(&id.to_string()).await.unwrap()
    }

    /// Copies the folder of a daemon that does not run.
    pub fn copy_home(&self, to: &Path) {
        assert!(self.child.is_none());
        copy(&self.home(), to);
    }

    /// Puts an old copy of the folder back.
    pub fn put_back(&self, from: &Path) {
        assert!(self.child.is_none());
        std::fs::remove_dir_all(self.home()).unwrap();
        copy(from, &self.home());
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Already gone is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn key_of(passphrase: Option<&str>) -> Key {
    passphrase.map_or(Key::File, |p| Key::Passphrase(Zeroizing::new(p.to_owned())))
}

/// The daemon's program, built with this package and lying beside its tests.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().find(|p| p.join("kith-test-daemon").is_file());
    folder.expect("kith-test-daemon is built with the tests").join("kith-test-daemon")
}

/// Copies a profile's files; sockets are left out.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Makes two people contacts of each other, by their links.
pub async fn introduce(a: &Person, b: &Person) {
    let (link_a, link_b) = (a.link().await, b.link().await);
    a.client().add_contact(&link_b, Some(&b.name)).await.unwrap();
    b.client().add_contact(&link_a, Some(&a.name)).await.unwrap();
}

/// Waits until somebody shows exactly these texts of somebody else, in this order.
pub async fn shows(at: &Person, from: &Person, texts: &[&str]) {
    eventually(&format!("{} shows {texts:?}", at.name), || async {
        (at.shown_from(from).await == texts).then_some(())
    })
    .await;
}

/// Checks that an error says what is wrong and what to do.
pub fn helpful(error: &UserError, code: kith_node::Code) {
    assert_eq!(error.code, code, "{error:?}");
    assert!(!error.message.is_empty(), "{error:?}");
    assert!(!error.hint.is_empty(), "{error:?}");
}
