//! A machine whose clock is years off, by libfaketime in front of the daemon.

use crate::person::Person;
use crate::space::skipped;
use std::path::{Path, PathBuf};
use tempfile::tempdir;

/// Finds the library that lies between a program and its clock (Debian: faketime).
fn library() -> Option<String> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|e| e.path()).chain([PathBuf::from("/usr/lib")]);
    let found = folders.map(|f| f.join("faketime/libfaketimeMT.so.1")).find(|p| p.is_file())?;
    found.to_str().map(str::to_owned)
}

/// Alice, whose clock shows what stands in a file.
fn alice(library: &str, file: &Path) -> Person {
    let mut alice = Person::new("alice");
    let env = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    alice.env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    alice
}

/// The year in which the daemon says it started.
fn year(person: &Person) -> i32 {
    person.ok(&["status"])["started_at"].as_str().unwrap()[..4].parse().unwrap()
}

/// Two people talk; one starts again with a clock so many years off; then it is set right.
fn years_off(years: i32, right_by_restart: bool) {
    let Some(library) = library() else { return skipped("libfaketime (Debian package faketime)") };
    let dir = tempdir().unwrap();
    let file = dir.path().join("clock");
    std::fs::write(&file, "+0\n").unwrap();
    let (mut alice, mut bob) = (alice(&library, &file), Person::new("bob"));
    alice.start(&[]);
    bob.start(&[]);
    let now = year(&bob);
    alice.befriend("alice", &bob, "bob");
    alice.says("@bob", "before");
    bob.says("@alice", "answer");
    alice.stop();

    std::fs::write(&file, format!("{years:+}y\n")).unwrap();
    alice.start(&[]);
    assert!((year(&alice) - now - years).abs() <= 1, "the daemon does not see another clock");
    alice.ok(&["send", "@bob", "under a wrong clock"]);
    let events = alice.events_until(|e| e["body"] == "under a wrong clock");
    let alert = events.iter().find(|e| e["code"] == "clock_off").unwrap_or_else(|| panic!("no alert: {events:?}"));
    assert!(!alert["message"].as_str().unwrap().is_empty() && !alert["hint"].as_str().unwrap().is_empty());
    let check = alice.check("clock");
    assert_eq!(check["state"], "problem", "{check}");
    let word = if years > 0 { "ahead" } else { "behind" };
    assert!(check["detail"].as_str().unwrap().contains(word), "{check}");
    assert!(check["fix"].as_str().unwrap().contains("--accept-clock"), "{check}");

    // Nothing lapses: contacts, what was said, and what is written now.
    for said in ["before", "answer", "under a wrong clock"] {
        assert!(alice.texts("@bob").iter().any(|t| t == said), "{said}");
    }
    bob.ok(&["send", "@alice", "to a wrong clock"]);
    assert_eq!(alice.ok(&["status"])["contacts"], 1);

    std::fs::write(&file, "+0\n").unwrap();
    if right_by_restart {
        alice.stop();
        alice.start(&[]);
    }
    alice.says("@bob", "and right again");
    bob.hears("@alice", "under a wrong clock");
    alice.hears("@bob", "to a wrong clock");
    assert_eq!(alice.check("clock")["state"], "ok");
    for (person, with) in [(&alice, "@bob"), (&bob, "@alice")] {
        let mut texts = person.texts(with);
        texts.sort();
        assert_eq!(texts, ["and right again", "answer", "before", "to a wrong clock", "under a wrong clock"]);
    }
    alice.stop();
    bob.stop();
}

#[test]
fn a_clock_years_ahead_is_named_lets_nothing_lapse_and_messages_flow_once_it_is_set_right() {
    years_off(12, false);
}

#[test]
fn a_clock_years_behind_is_named_lets_nothing_lapse_and_messages_flow_after_a_start_with_the_right_one() {
    years_off(-12, true);
}
