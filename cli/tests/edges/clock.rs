//! A machine whose clock is days or years off, by libfaketime in front of the daemon.

use crate::person::{Person, until};
use crate::space::skipped;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

const NEEDS: &str = "libfaketime (Debian package faketime)";
/// What an owner is told of the relay's clock.
const OFF: &str = "its clock is 9 days off";

/// Finds the library that lies between a program and its clock (Debian: faketime).
fn library() -> Option<String> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|e| e.path()).chain([PathBuf::from("/usr/lib")]);
    let found = folders.map(|f| f.join("faketime/libfaketimeMT.so.1")).find(|p| p.is_file())?;
    found.to_str().map(str::to_owned)
}

/// Somebody whose clock shows what stands in a file.
fn under(library: &str, file: &Path, name: &str) -> Person {
    let mut person = Person::new(name);
    let env = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    person.env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    person
}

/// The year in which the daemon says it started.
fn year(person: &Person) -> i32 {
    person.ok(&["status"])["started_at"].as_str().unwrap()[..4].parse().unwrap()
}

/// Two people talk; one starts again with a clock so many years off; then it is set right.
fn years_off(years: i32, right_by_restart: bool) {
    let Some(library) = library() else { return skipped(NEEDS) };
    let dir = tempdir().unwrap();
    let file = dir.path().join("clock");
    std::fs::write(&file, "+0\n").unwrap();
    let (mut alice, mut bob) = (under(&library, &file, "alice"), Person::new("bob"));
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

/// Two who leave mail for each other at a relay whose clock is off.
struct Corner {
    corner: Person,
    alice: Person,
    bob: Person,
    clock: PathBuf,
    _dir: TempDir,
}

impl Corner {
    /// Everybody is on and knows each other; the relay's clock was so many days off from its first start.
    fn open(days: i32) -> Option<Self> {
        let library = library()?;
        let dir = tempdir().unwrap();
        let clock = dir.path().join("clock");
        std::fs::write(&clock, format!("{days:+}d\n")).unwrap();
        let mut corner = under(&library, &clock, "corner");
        corner.start_relay();
        let (alice, bob) = corner.two_friends();
        Some(Self { corner, alice, bob, clock, _dir: dir })
    }

    fn set_clock(&self, days: i32) {
        std::fs::write(&self.clock, format!("{days:+}d\n")).unwrap();
    }

    fn restart(&mut self) {
        self.corner.stop();
        self.corner.start_relay();
    }

    /// The days for which the relay signed that it holds a message of Alice's: one more or less where midnight lies between.
    fn days_held(&self, id: &str) -> i64 {
        let steps = self.alice.why(id)["steps"].clone();
        let until = steps.as_array().unwrap().iter().find_map(|step| {
            let (_, time) = step["what"].as_str().unwrap().split_once(" holds it until ")?;
            Some(days_of(time))
        });
        let sent = self.alice.lines(&["read", "@bob"]).iter().find(|m| m["id"] == id).unwrap()["at"].clone();
        until.unwrap_or_else(|| panic!("{steps}")) - days_of(sent.as_str().unwrap())
    }

    /// What the operator is told of the clock, by each thing that tells it.
    fn is_told(&self, doubt: &str) {
        let stats = self.corner.ok(&["relay", "stats"])["clock"].clone();
        let told = stats.as_str().unwrap_or_else(|| panic!("no word of the clock"));
        assert!(told.contains(doubt), "{told}");
        // To the hour: nine days, whatever passed meanwhile.
        assert!(["215 hours ", "216 hours "].iter().any(|hours| told.starts_with(hours)), "{told}");
        let shown = self.corner.said(&["relay", "stats"]);
        assert!(shown.lines().any(|line| line.starts_with("clock ") && line.contains(doubt)), "{shown}");
        let check = self.corner.check("relay");
        assert_eq!(check["state"], "problem", "{check}");
        assert!(check["detail"].as_str().unwrap().contains(doubt), "{check}");
        assert!(check["fix"].as_str().unwrap().contains("set the clock"), "{check}");
    }

    fn is_fine(&self) {
        assert_eq!(self.corner.ok(&["relay", "stats"])["clock"], Value::Null);
        assert_eq!(self.corner.check("relay")["state"], "ok");
    }

    /// Waits until Alice, whose daemon runs on, is told that of the relay, or nothing.
    fn tells_its_owners(&self, detail: Value) {
        let shown = || self.alice.ok(&["relay", "list"])["items"][0].clone();
        until("its owner is told", || shown()["state"] == "ready" && shown()["detail"] == detail);
    }

    /// Bob wakes while Alice is off and finds everything, once and in order; then she learns of it.
    fn collect(mut self, texts: &[&str], ids: &[String]) {
        assert_eq!(self.corner.ok(&["relay", "stats"])["swept"], 0);
        self.alice.stop();
        self.bob.start(&[]);
        let all: Vec<&str> = ["hello", "hello yourself"].into_iter().chain(texts.iter().copied()).collect();
        self.bob.hears("@alice", all.last().unwrap());
        assert_eq!(self.bob.texts("@alice"), all);
        self.alice.start(&[]);
        for id in ids {
            until("its writer is told", || self.alice.why(id)["state"] == "delivered");
        }
        until("nothing is left", || self.corner.ok(&["relay", "stats"])["envelopes"] == 0);
        for person in [&mut self.alice, &mut self.bob, &mut self.corner] {
            person.stop();
        }
    }
}

/// The day of a time, counted from any day.
fn days_of(time: &str) -> i64 {
    let part = |range: std::ops::Range<usize>| time[range].parse::<i64>().unwrap();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    // Years that begin in March: the day that is sometimes missing is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day
}

/// The relay's clock leaps while mail waits, and later stands right again.
fn leaps(days: i32, doubt: &str, promised: i64) {
    let Some(mut scene) = Corner::open(0) else { return skipped(NEEDS) };
    scene.is_fine();
    scene.bob.stop();
    let mut ids = vec![scene.alice.leaves("@bob", "under a right clock")];
    assert!((29..=30).contains(&scene.days_held(&ids[0])));
    scene.set_clock(days);
    ids.push(scene.alice.leaves("@bob", "after the leap"));
    scene.is_told(doubt);
    // Nor is it believed after a restart.
    scene.restart();
    ids.push(scene.alice.leaves("@bob", "after the restart"));
    scene.is_told(doubt);
    for id in &ids[1..] {
        let held = scene.days_held(id);
        assert!((promised - 1..=promised + 1).contains(&held), "held for {held} days");
    }
    assert_eq!(scene.corner.ok(&["relay", "stats"])["envelopes"], 3);
    // Who asks the relay for the time is told of one that is behind; one that is ahead it does not go by.
    scene.tells_its_owners(if days < 0 { OFF.into() } else { Value::Null });
    scene.set_clock(0);
    scene.restart();
    scene.is_fine();
    scene.tells_its_owners(Value::Null);
    scene.collect(&["under a right clock", "after the leap", "after the restart"], &ids);
}

#[test]
fn a_relay_whose_clock_leaps_days_ahead_says_so_and_holds_its_mail_as_long_as_it_signed() {
    leaps(9, "ahead of what the relay has seen", 30);
}

#[test]
fn a_relay_whose_clock_falls_days_behind_says_so_and_its_owners_too_and_holds_its_mail() {
    leaps(-9, "behind what the relay has seen", 21);
}

#[test]
fn a_relay_whose_clock_was_always_days_ahead_is_named_by_its_owners_and_loses_nothing_when_it_is_set_right() {
    let Some(mut scene) = Corner::open(9) else { return skipped(NEEDS) };
    scene.is_fine();
    scene.tells_its_owners(OFF.into());
    let line = scene.alice.said(&["relay", "list"]);
    assert!(line.contains("holds your mail: its clock is "), "{line}");
    scene.bob.stop();
    let mut ids = vec![scene.alice.leaves("@bob", "under a clock ahead")];
    scene.set_clock(0);
    scene.restart();
    ids.push(scene.alice.leaves("@bob", "under a right clock"));
    scene.is_told("behind what the relay has seen");
    scene.tells_its_owners(Value::Null);
    assert!(ids.iter().all(|id| (29..=30).contains(&scene.days_held(id))));
    scene.collect(&["under a clock ahead", "under a right clock"], &ids);
}
