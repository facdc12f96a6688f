//! Relays by the real command: mail for who sleeps, and what is shown of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/person.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod person;

use person::{Person, pair};
use serde_json::Value;
use std::time::Duration;

/// Looks again and again until something holds; the test's own time ends it otherwise.
fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn said(person: &Person, args: &[&str]) -> String {
    let output = person.command(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn mail_for_a_sleeper_waits_at_a_relay_that_is_killed_meanwhile() {
    let mut relay = Person::relay("corner");
    let (mut alice, mut bob) = pair();
    let invite = relay.ok(&["relay", "invite", "--uses", "2"])["url"].as_str().unwrap().to_owned();
    for person in [&alice, &bob] {
        assert_eq!(person.ok(&["relay", "add", &invite])["state"], "ready");
        let shown = &person.ok(&["status"])["relays"][0];
        assert_eq!((&shown["name"], &shown["state"]), (&"corner".into(), &"ready".into()));
    }
    assert!(said(&alice, &["status"]).contains("\nrelays     corner ("));
    assert!(said(&alice, &["relay", "list"]).contains("holds your mail"));
    // Contacts tell each other of their relays inside the session.
    alice.ok(&["send", "@bob", "hi", "--wait", "delivered"]);
    bob.ok(&["send", "@alice", "hi yourself", "--wait", "delivered"]);
    bob.stop();

    let first = alice.ok(&["send", "@bob", "while you sleep", "--wait", "stored"]);
    assert_eq!(first["state"], "stored");
    let id = first["id"].as_str().unwrap();
    let steps = alice.ok(&["why", id])["recipients"][0]["steps"].clone();
    let stored =
        steps.as_array().unwrap().iter().find(|s| s["what"].as_str().unwrap().starts_with("stored: relay corner ("));
    assert!(stored.is_some_and(|s| s["what"].as_str().unwrap().contains(" holds it until 2")), "{steps}");
    assert!(said(&alice, &["why", id]).contains("  ▣ stored: relay corner ("));
    assert!(said(&alice, &["outbox", "list"]).contains("▣ stored"));

    relay.kill();
    let (exit, code, error) = alice.error(&["send", "@bob", "and now", "--wait", "stored", "--timeout", "300ms"], b"");
    assert_eq!((exit, code.as_str()), (7, "not_yet"), "{error}");
    let second = alice.ok(&["outbox", "list"])["items"].as_array().unwrap().last().unwrap()["id"].clone();
    let second = second.as_str().unwrap().to_owned();
    relay.run(&["relay", "run", "--name", "corner"]);
    alice.ok(&["outbox", "retry"]);
    until(|| alice.ok(&["why", &second])["recipients"][0]["state"] == "stored");
    assert_eq!(relay.ok(&["relay", "stats"])["envelopes"], 2);

    alice.stop();
    bob.start(&[]);
    let night = ["while you sleep", "and now"];
    let read = || -> Vec<Value> { bob.lines(&["read", "@alice"]).iter().map(|m| m["body"].clone()).collect() };
    until(|| read().len() >= 4);
    assert_eq!(read(), ["hi", "hi yourself", night[0], night[1]]);
    alice.start(&[]);
    for id in [id, &second] {
        until(|| alice.ok(&["why", id])["recipients"][0]["state"] == "delivered");
    }
    until(|| relay.ok(&["relay", "stats"])["envelopes"] == 0);
    let metrics = said(&relay, &["metrics"]);
    for series in ["kith_peers ", "kith_relay_mailboxes 2\n", "kith_relay_deposits_total ", "kith_relay_envelopes 0\n"]
    {
        assert!(metrics.contains(series), "{series}: {metrics}");
    }
    let both = [alice.ok(&["me"]), bob.ok(&["me"])];
    assert!(both.iter().all(|me| !metrics.contains(me["account"].as_str().unwrap())));
}

#[test]
fn a_relay_runs_beside_any_daemon_and_shows_its_card() {
    let mut carol = Person::new("carol");
    carol.start(&["--relay"]);
    let card = carol.ok(&["relay", "card"]);
    assert_eq!((&card["open"], &card["name"], &carol.ready["card"]), (&false.into(), &"".into(), &card["url"]));
    assert!(card["url"].as_str().unwrap().starts_with(&format!("kith:{}?a=", card["card"].as_str().unwrap())));
    let shown = said(&carol, &["relay", "card", "--qr"]);
    assert!(shown.contains('█') && shown.contains("for members only: kith --home "), "{shown}");
    assert!(said(&carol, &["relay", "invite", "--qr"]).contains('█'));
    carol.stop();
    assert_eq!(carol.error(&["relay", "run", "--name", "a\u{1b}b"], b"").1, "bad_name");
    assert_eq!(carol.error(&["relay", "run", "--open", "--members-only"], b"").1, "usage");
    carol.run(&["relay", "run", "--open", "--name", "Carol's"]);
    let open = carol.ok(&["relay", "card"]);
    assert_eq!((&open["open"], &open["name"], &open["card"]), (&true.into(), &"Carol's".into(), &card["card"]));
    assert_eq!(open["url"], card["url"], "what was handed out stays good");
    // Open: the card alone is enough.
    let dave = Person::online("dave");
    assert_eq!(dave.ok(&["relay", "add", open["url"].as_str().unwrap()])["state"], "ready");
    assert_eq!(carol.ok(&["relay", "members"])["items"].as_array().unwrap().len(), 1);
    carol.stop();
    carol.start(&[]);
    assert!(carol.ready.get("card").is_none());
    assert_eq!(carol.error(&["relay", "card"], b"").1, "no_relay");
}
