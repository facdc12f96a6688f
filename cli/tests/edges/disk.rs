//! Disks that take nothing: read-only ones, and one that fills up while the daemon runs.

use crate::person::{Person, until};
use crate::space::{Space, skipped};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

const NEEDS: &str = "root and mount namespaces";

/// A small disk of its own, seen by those who enter its space alone.
struct Disk {
    space: Space,
    at: PathBuf,
    _dir: TempDir,
}

impl Disk {
    fn make(size: &str) -> Option<Self> {
        let dir = tempdir().unwrap();
        let at = dir.path().to_owned();
        let mount = format!("mount -t tmpfs -o size={size},mode=755 none {}", at.display());
        let space = Space::make(&["--mount", "--propagation", "private"], &mount)?;
        Some(Self { space, at, _dir: dir })
    }

    fn person(&self, name: &str) -> Person {
        let mut person = Person::at(&self.at.join(name));
        person.inside = self.space.enter(&["--mount"]);
        person
    }

    fn remount(&self, how: &str) {
        self.space.script(&["--mount"], &format!("mount -o remount,{how} {}", self.at.display()));
    }

    /// Everything in a folder, with its bytes.
    fn files(&self, folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(self.space.path(folder)).unwrap().map(|e| e.unwrap().path());
        let mut files: Vec<_> =
            entries.filter(|p| p.is_file()).map(|p| (p.clone(), std::fs::read(p).unwrap())).collect();
        files.sort();
        files
    }

    /// Writes until nothing more fits.
    fn fill(&self) -> PathBuf {
        let path = self.space.path(&self.at.join("filler"));
        let mut file = File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        path
    }
}

#[test]
fn a_profile_on_a_read_only_disk_is_refused_by_name_and_left_as_it_is() {
    let Some(disk) = Disk::make("32m") else { return skipped(NEEDS) };
    let mut alice = disk.person("alice").init("alice");
    let files = disk.files(&alice.home);
    disk.remount("ro");
    for args in [
        &["run", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"][..],
        &["init", "--no-passphrase"],
        &["config", "set", "network.mdns", "off"],
    ] {
        let (exit, code, message) = alice.error(args);
        assert_eq!((exit, code.as_str()), (1, "read_only"), "{args:?}: {message}");
    }
    let (exit, code, _) = disk.person("bob").error(&["init", "--name", "bob", "--no-passphrase"]);
    assert_eq!((exit, code.as_str()), (1, "read_only"));
    let doctor = alice.check("disk");
    assert_eq!((&doctor["state"], &doctor["detail"]), (&"problem".into(), &"mounted read-only".into()));
    assert_eq!(disk.files(&alice.home), files, "something was changed");

    disk.remount("rw");
    assert_eq!(disk.person("bob").error(&["run"]).1, "no_profile", "half a profile was left");
    alice.start(&[]);
    assert_eq!(alice.ok(&["status", "--wait"])["name"], "alice");
}

#[test]
fn a_disk_that_fills_up_costs_nothing_that_was_accepted_and_all_goes_on_when_there_is_room() {
    let Some(disk) = Disk::make("16m") else { return skipped(NEEDS) };
    let (mut alice, mut bob) = (disk.person("alice").init("alice"), Person::new("bob"));
    alice.start(&[]);
    bob.start(&[]);
    alice.befriend("alice", &bob, "bob");
    alice.says("@bob", "before");
    bob.says("@alice", "to a roomy disk");

    let filler = disk.fill();
    // What the store has set aside is used up first: until then it takes messages, and they count.
    let mut accepted = Vec::new();
    let (exit, code, message) = loop {
        let text = format!("while full {}: {}", accepted.len(), "x".repeat(20_000));
        let output = alice.output(&["send", "@bob", &text]);
        if !output.status.success() {
            break alice.error(&["send", "@bob", &text]);
        }
        accepted.push(text);
        assert!(accepted.len() < 1_000, "this disk never fills");
    };
    assert_eq!((exit, code.as_str()), (1, "disk_full"), "{message}");
    let (exit, code, _) = disk.person("carol").error(&["init", "--name", "carol", "--no-passphrase"]);
    assert_eq!((exit, code.as_str()), (1, "disk_full"));
    let disk_check = alice.check("disk");
    assert_eq!((&disk_check["state"], &disk_check["detail"]), (&"problem".into(), &"0 MiB free".into()));
    // Reading goes on.
    let shown = alice.texts("@bob");
    assert!(["before", "to a roomy disk"].iter().all(|t| shown.iter().any(|s| s == t)), "{shown:?}");
    assert!(accepted.iter().all(|text| shown.contains(text)), "what was accepted is not shown");
    alice.ok(&["contact", "list"]);
    // What somebody sends meanwhile waits with them.
    let long = format!("to a full disk: {}", "y".repeat(30_000));
    let waits = bob.ok(&["send", "@alice", &long]);

    std::fs::remove_file(filler).unwrap();
    alice.says("@bob", "there is room again");
    alice.hears("@bob", &long);
    bob.ok(&["outbox", "retry", waits["id"].as_str().unwrap()]);
    for text in ["before", "there is room again"].into_iter().chain(accepted.iter().map(String::as_str)) {
        bob.hears("@alice", text);
        assert_eq!(bob.texts("@alice").iter().filter(|t| *t == text).count(), 1, "{:.30}", text);
    }
    // And after another start it is the same.
    let texts = alice.texts("@bob");
    alice.stop();
    alice.start(&[]);
    assert_eq!(alice.texts("@bob"), texts);
    assert_eq!(disk.person("carol").error(&["run"]).1, "no_profile", "half a profile was left");
    bob.stop();
}

#[test]
fn a_relay_whose_disk_fills_up_gives_what_it_holds_tells_senders_and_takes_mail_again_when_there_is_room() {
    let Some(disk) = Disk::make("24m") else { return skipped(NEEDS) };
    let mut corner = disk.person("corner").init("corner");
    corner.start_relay();
    let (mut alice, mut bob) = corner.two_friends();
    bob.stop();
    let mut held = vec![alice.leaves("@bob", "to a roomy disk")];

    let filler = disk.fill();
    // What the store has set aside is used up first.
    let says_why = |id: &str| alice.why(id)["error"].as_str().is_some_and(|why| why.contains("errors of its disk"));
    let refused = loop {
        let text = format!("while full {}: {}", held.len(), "x".repeat(30_000));
        let id = alice.ok(&["send", "@bob", &text])["id"].as_str().unwrap().to_owned();
        let stored = || alice.why(&id)["state"] == "stored";
        until("a letter is taken in or refused", || stored() || says_why(&id));
        if !stored() {
            break id;
        }
        held.push(id);
        assert!(held.len() < 500, "this disk never fills");
    };
    let why = alice.why(&refused);
    let told = why["error"].as_str().unwrap();
    assert!(told.starts_with("relay corner (") && told.ends_with(") reports errors of its disk"), "{told}");
    assert!(alice.said(&["why", &refused]).contains(told), "a person is not told");
    // Its operator is told too, whenever it has just tried.
    until("the operator is told", || corner.said(&["relay", "stats"]).contains("writing failed: nothing is accepted"));
    until("doctor tells", || {
        let check = corner.check("relay");
        check["state"] == "problem" && check["detail"] == "its disk fails: it accepts nothing"
    });
    let stats = corner.ok(&["relay", "stats"]);
    assert!(stats["storage_errors"].as_u64() > Some(0) && stats["refused"]["storage"].as_u64() > Some(0), "{stats}");
    assert_eq!(stats["envelopes"].as_u64(), Some(held.len() as u64), "{stats}");

    // Reading goes on: everything that was taken in, and nothing else.
    let sent = alice.texts("@bob");
    alice.stop();
    bob.start(&[]);
    bob.hears("@alice", &sent[sent.len() - 2]);
    assert_eq!(bob.texts("@alice"), sent[..sent.len() - 1]);
    bob.stop();
    // It cannot so much as delete what was fetched.
    assert_eq!(corner.ok(&["relay", "stats"])["envelopes"].as_u64(), Some(held.len() as u64));
    alice.start(&[]);
    assert_ne!(alice.why(&refused)["state"], "stored");

    std::fs::remove_file(filler).unwrap();
    until("it takes mail again", || alice.why(&refused)["state"] == "stored");
    until("the operator is told of that", || corner.check("relay")["state"] == "ok");
    alice.stop();
    bob.start(&[]);
    bob.hears("@alice", sent.last().unwrap());
    assert_eq!(bob.texts("@alice"), sent);
    alice.start(&[]);
    for id in held.iter().chain([&refused]) {
        until("its writer is told", || alice.why(id)["state"] == "delivered");
    }
    until("what was fetched is deleted", || corner.ok(&["relay", "stats"])["envelopes"] == 0);
    // The relay's file is whole.
    corner.stop();
    corner.start_relay();
    assert_eq!(corner.ok(&["relay", "stats"])["storage_ok"], true);
    for person in [&mut alice, &mut bob, &mut corner] {
        person.stop();
    }
}
