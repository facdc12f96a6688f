//! What a daemon refuses to do, by name: each refusal has a code, a sentence and a hint, and nothing is lost by it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use kith_node::{Client, Code, UserError, profile};
use kith_tests::process::{Person, eventually, helpful, introduce, shows, tcp};
use redb::ReadableTable as _;
use rustix::process::Signal;
use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::PathBuf,
    process::Command,
};

/// Runs a daemon that does not come up, and returns what it told and how it ended.
fn refused(command: &mut Command) -> (UserError, i32) {
    let out = command.output().unwrap();
    let told = String::from_utf8(out.stderr).unwrap();
    let line = told.lines().last().unwrap_or_else(|| panic!("it told nothing and ended with {}", out.status));
    let error: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {told}"));
    let error: UserError = serde_json::from_value(error["error"].clone()).unwrap();
    assert_eq!(out.status.code(), Some(error.code.exit_code().into()));
    (error, out.status.code().unwrap())
}

/// Two people who exchanged one text; Bob's daemon is stopped again.
async fn conversation() -> (Person, Person) {
    let (mut alice, mut bob) = (Person::create("alice"), Person::create("bob"));
    alice.start().await;
    bob.start().await;
    introduce(&alice, &bob).await;
    alice.send(&bob, "before").await;
    shows(&bob, &alice, &["before"]).await;
    bob.stop().await;
    (alice, bob)
}

/// Starts Bob again: what he had is there, and new texts reach him.
async fn nothing_was_lost(alice: &Person, bob: &mut Person) {
    bob.start().await;
    alice.send(bob, "after").await;
    shows(bob, alice, &["before", "after"]).await;
}

fn store(person: &Person) -> PathBuf {
    profile::Folder::new(&person.home()).store()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_is_told_who_has_the_profile_and_what_stops_it() {
    let (alice, mut bob) = conversation().await;
    bob.start().await;
    let (error, exit) = refused(&mut bob.command());
    helpful(&error, Code::ProfileInUse);
    assert_eq!(exit, 6);
    assert!(error.message.contains(&bob.pid().to_string()), "{error:?}");
    assert_eq!(error.hint, "kith stop", "whoever shows it names the profile");
    bob.client().status().await.expect("the first one goes on");
    bob.stop().await;
    nothing_was_lost(&alice, &mut bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    let (alice, mut bob) = conversation().await;
    let other_program = TcpListener::bind(("127.0.0.1", bob.port)).unwrap();
    let (error, _) = refused(&mut bob.command());
    helpful(&error, Code::PortInUse);
    assert!(error.message.contains(&tcp(bob.port)), "{error:?}");
    assert!(!bob.paths().socket.exists(), "the socket is left behind");
    drop(other_program);
    nothing_was_lost(&alice, &mut bob).await;
}

#[tokio::test]
async fn without_a_daemon_clients_say_so() {
    let bob = Person::create("bob");
    let client = Client::new(bob.paths().socket);
    let errors = [
        client.send_text("@alice", "hello").await.unwrap_err(),
        client.status().await.unwrap_err(),
        client.events(None).await.unwrap_err(),
        client.outbox().await.unwrap_err(),
    ];
    for error in errors {
        helpful(&error, Code::DaemonUnreachable);
        assert!(error.hint.contains("kith run"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_passphrase_changes_nothing() {
    let mut bob = Person::create_with("bob", Some("correct horse"));
    let mut alice = Person::create("alice");
    alice.start().await;
    bob.start().await;
    introduce(&alice, &bob).await;
    alice.send(&bob, "before").await;
    shows(&bob, &alice, &["before"]).await;
    bob.stop().await;
    let before = fs::read(store(&bob)).unwrap();
    let wrong = bob.home().join("wrong");
    fs::write(&wrong, "incorrect horse").unwrap();
    let (error, exit) = refused(bob.command().arg("--passphrase").arg(&wrong));
    helpful(&error, Code::WrongPassphrase);
    assert_eq!(exit, 5);
    let told = format!("{} {}", error.message, error.hint);
    assert!(!told.contains("horse"), "a passphrase is told: {told}");
    assert!(fs::read(store(&bob)).unwrap() == before, "the store was changed");
    nothing_was_lost(&alice, &mut bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_refused_unchanged() {
    let (alice, mut bob) = conversation().await;
    let whole = fs::read(store(&bob)).unwrap();
    let mut no_magic = whole.clone();
    no_magic[..64].fill(0xA5);
    let half = whole[..whole.len() / 2].to_vec();
    for (what, damaged) in [("no magic", no_magic), ("half", half)] {
        fs::write(store(&bob), &damaged).unwrap();
        let (error, exit) = refused(&mut bob.command());
        assert!(matches!(error.code, Code::StoreCorrupt), "{what}: {error:?}");
        helpful(&error, Code::StoreCorrupt);
        assert_eq!(exit, 9, "{what}");
        assert!(fs::read(store(&bob)).unwrap() == damaged, "{what}: the file was changed");
    }
    fs::write(store(&bob), &whole).unwrap();
    nothing_was_lost(&alice, &mut bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_a_newer_version_is_refused_unchanged() {
    let (alice, mut bob) = conversation().await;
    let whole = fs::read(store(&bob)).unwrap();
    let headers = redb::TableDefinition::<&str, &[u8]>::new("kith");
    let db = redb::Database::open(store(&bob)).unwrap();
    let change = db.begin_write().unwrap();
    {
        let mut table = change.open_table(headers).unwrap();
        let mut header = table.get("header").unwrap().unwrap().value().to_vec();
        header[..4].copy_from_slice(&9_999_u32.to_be_bytes());
        table.insert("header", header.as_slice()).unwrap();
    }
    change.commit().unwrap();
    drop(db);
    let newer = fs::read(store(&bob)).unwrap();
    let (error, exit) = refused(&mut bob.command());
    helpful(&error, Code::StoreNewer);
    assert_eq!(exit, 9);
    assert!(error.message.contains("9999"), "{error:?}");
    assert!(fs::read(store(&bob)).unwrap() == newer, "the file was changed");
    fs::write(store(&bob), &whole).unwrap();
    nothing_was_lost(&alice, &mut bob).await;
}

/// Makes a folder and its files belong to somebody, readable only.
fn read_only(home: &std::path::Path, owner: Option<u32>) {
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        let mode = if path.is_dir() { 0o500 } else { 0o400 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        chown(&path, owner, owner).unwrap();
    }
    fs::set_permissions(home, Permissions::from_mode(0o500)).unwrap();
    chown(home, owner, owner).unwrap();
}

fn writable(home: &std::path::Path) {
    let me = rustix::process::geteuid().as_raw();
    fs::set_permissions(home, Permissions::from_mode(0o700)).unwrap();
    chown(home, Some(me), Some(me)).unwrap();
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(me), Some(me)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_be_written_is_named() {
    let (alice, mut bob) = conversation().await;
    let before = fs::read(store(&bob)).unwrap();
    // The superuser may write anywhere, so that the daemon runs as somebody who may not.
    let superuser = rustix::process::geteuid().is_root();
    let nobody = superuser.then_some(65_534);
    let outside = bob.home().parent().unwrap().to_owned();
    let program = outside.join("daemon");
    fs::copy(bob.command().get_program(), &program).unwrap();
    fs::set_permissions(&outside, Permissions::from_mode(0o755)).unwrap();
    read_only(&bob.home(), nobody);
    let mut command = Command::new(&program);
    command.args(bob.command().get_args()).current_dir("/");
    if let Some(nobody) = nobody {
        command.uid(nobody).gid(nobody);
    }
    let (error, _) = refused(&mut command);
    writable(&bob.home());
    helpful(&error, Code::ReadOnly);
    assert!(fs::read(store(&bob)).unwrap() == before, "the store was changed");
    nothing_was_lost(&alice, &mut bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_socket_is_taken_over() {
    let (alice, mut bob) = conversation().await;
    bob.start().await;
    bob.kill();
    assert!(bob.paths().socket.exists(), "a killed daemon leaves its socket");
    helpful(&bob.client().status().await.unwrap_err(), Code::DaemonUnreachable);
    nothing_was_lost(&alice, &mut bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_leaves_nothing_behind() {
    let (alice, mut bob) = conversation().await;
    for signal in [Signal::TERM, Signal::INT] {
        bob.start().await;
        let ended = bob.signal(signal).await;
        assert!(ended.success(), "{signal:?}: {ended}");
        assert!(!bob.paths().socket.exists(), "{signal:?}: the socket is left behind");
        profile::open(&bob.home(), &bob.key()).expect("nobody holds the profile");
    }
    nothing_was_lost(&alice, &mut bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nobody_reachable_a_message_is_safe_and_why_says_what_helps() {
    let (mut alice, mut bob) = (Person::create("alice"), Person::create("bob"));
    bob.start().await;
    let code = bob.client().me().await.unwrap().code;
    bob.stop().await;
    alice.start().await;
    alice.client().add_contact(&code, Some("bob")).await.unwrap();
    let id = alice.send(&bob, "before").await;
    let why = eventually("a reason", || async {
        alice.why(&id).await.recipients[0].error.clone().filter(|e| e.contains("no way to reach the network"))
    })
    .await;
    assert_eq!(why, "no way to reach the network yet: use the link, or --bootstrap, or add a relay");
    assert_eq!(alice.client().outbox().await.unwrap().len(), 1);
    alice.kill();
    alice.start().await;
    bob.start().await;
    // The link helps, as it says.
    introduce(&alice, &bob).await;
    shows(&bob, &alice, &["before"]).await;
    alice.send(&bob, "after").await;
    shows(&bob, &alice, &["before", "after"]).await;
}
