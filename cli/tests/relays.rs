//! Relays by the real command: mail for who sleeps, and what is shown of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/person.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod person;

use person::{Person, pair};
use serde_json::{Value, json};
use std::time::Duration;

/// How often a condition is looked at, and how often before a test gives up: only a failing one looks that long.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: usize = 2_400;

/// Looks again and again until something holds, or fails the test.
#[track_caller]
fn until(holds: impl FnMut() -> bool) {
    assert!(soon(LOOKS, holds), "it never came to pass");
}

/// Looks so often at most whether something holds.
fn soon(looks: usize, mut holds: impl FnMut() -> bool) -> bool {
    (0..looks).any(|_| {
        let held = holds();
        if !held {
            std::thread::sleep(LOOK);
        }
        held
    })
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
    let told = said(&alice, &["why", id]);
    let line =
        told.lines().find(|line| line.contains("  ▣ stored: relay corner (")).unwrap_or_else(|| panic!("{told}"));
    let (_, time) = line.split_once(" holds it until 2").unwrap();
    assert!(!time.contains('T') && !time.contains("corner"), "a time for people, and each thing once: {line}");
    // That far and no farther for now: the message is safe.
    let (exit, code, _) =
        alice.error(&["send", "@bob", "sleep well", "--wait", "delivered", "--timeout", "300ms"], b"");
    assert_eq!((exit, code.as_str()), (7, "not_yet"));
    until(|| alice.lines(&["read", "@bob"]).last().unwrap()["state"] == "stored");
    assert!(said(&alice, &["outbox", "list"]).contains("▣ stored"));

    relay.kill();
    let (exit, code, error) = alice.error(&["send", "@bob", "and now", "--wait", "stored", "--timeout", "300ms"], b"");
    assert_eq!((exit, code.as_str()), (7, "not_yet"), "{error}");
    let second = alice.ok(&["outbox", "list"])["items"].as_array().unwrap().last().unwrap()["id"].clone();
    let second = second.as_str().unwrap().to_owned();
    relay.run(&["relay", "run", "--name", "corner"]);
    alice.ok(&["outbox", "retry"]);
    until(|| alice.ok(&["why", &second])["recipients"][0]["state"] == "stored");
    assert_eq!(relay.ok(&["relay", "stats"])["envelopes"], 3);

    alice.stop();
    bob.start(&[]);
    let read = || -> Vec<Value> { bob.lines(&["read", "@alice"]).iter().map(|m| m["body"].clone()).collect() };
    until(|| read().len() >= 5);
    assert_eq!(read(), ["hi", "hi yourself", "while you sleep", "sleep well", "and now"]);
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
fn a_first_message_and_its_answer_go_through_a_relay_alone_by_people_who_are_never_on_together() {
    let mut corner = Person::new("corner");
    let relay = ["relay", "run", "--open", "--name", "corner"];
    corner.run(&relay);
    let card = corner.ready["card"].as_str().unwrap().to_owned();
    let mut ana = Person::online("ana");
    assert_eq!(ana.ok(&["relay", "add", &card])["state"], "ready");
    // What waits at the relay for a first message: how Ana is reached, and keys for it.
    until(|| corner.ok(&["relay", "stats"])["kept_bytes"].as_u64() > Some(0));
    until(|| ana.ok(&["relay", "list"])["items"][0]["prekeys"].as_u64() > Some(0));
    let at = corner.address();
    until(|| ana.link().contains(at.rsplit('/').next().unwrap()));
    let link = ana.link();
    ana.stop();

    // Nobody is told where anybody is but by that link.
    let mut ben = Person::online("ben");
    assert_eq!(ben.ok(&["relay", "add", &card])["state"], "ready");
    ben.ok(&["contact", "add", &link, "--name", "ana"]);
    let first = ben.ok(&["send", "@ana", "hello Ana", "--wait", "stored", "--timeout", "120s"]);
    assert_eq!(first["state"], "stored");
    let me = ben.ok(&["me"])["account"].clone();
    ben.stop();
    corner.kill();
    corner.run(&relay);

    ana.start(&[]);
    let asks = || ana.ok(&["contact", "requests"])["items"].clone();
    until(|| asks()[0]["account"] == me);
    ana.ok(&["contact", "accept", &me.as_str().unwrap()[..10]]);
    let read = |who: &Person, with: &str| -> Vec<Value> {
        who.lines(&["read", with]).iter().map(|message| message["body"].clone()).collect()
    };
    let ben_there = me.as_str().unwrap();
    until(|| read(&ana, ben_there) == ["hello Ana"]);
    let answer = ana.ok(&["send", ben_there, "hello Ben", "--wait", "stored", "--timeout", "120s"]);
    assert_eq!(answer["state"], "stored");
    let answer = answer["id"].as_str().unwrap().to_owned();
    ana.stop();
    corner.kill();
    corner.run(&relay);

    ben.start(&[]);
    until(|| read(&ben, "@ana") == ["hello Ana", "hello Ben"]);
    let state = |who: &Person, id: &str| who.ok(&["why", id])["recipients"][0]["state"].clone();
    until(|| state(&ben, first["id"].as_str().unwrap()) == "delivered");
    // Nothing shows whether it is the receipt that lies there already: one of them is on, then the other, until it came.
    let learned = (0..10).any(|_| {
        until(|| corner.ok(&["relay", "stats"])["envelopes"].as_u64() > Some(0));
        ben.stop();
        ana.start(&[]);
        let learned = soon(LOOKS / 20, || state(&ana, &answer) == "delivered");
        if !learned {
            ana.stop();
            ben.start(&[]);
        }
        learned
    });
    assert!(learned, "its author never learned that the answer arrived");
}

#[test]
fn a_relay_that_is_gone_is_shown_as_gone_and_again_once_it_is_back() {
    let mut corner = Person::new("corner");
    let relay = ["relay", "run", "--open", "--name", "corner"];
    corner.run(&relay);
    let mut alice = Person::online("alice");
    let state = |who: &Person| who.ok(&["relay", "list"])["items"][0]["state"].clone();
    assert_eq!(alice.ok(&["relay", "add", corner.ready["card"].as_str().unwrap()])["state"], "ready");
    corner.kill();
    until(|| state(&alice) == "unreachable");
    // Who stops in order may start at once, also while somebody is still being looked for.
    alice.ok(&["stop"]);
    let mut before = alice.daemon.take().unwrap();
    alice.start(&[]);
    before.wait().unwrap();
    corner.run(&relay);
    until(|| state(&alice) == "ready");
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

#[test]
fn nobody_says_stored_where_no_relay_holds_it() {
    let (alice, mut bob) = pair();
    let sent = alice.ok(&["send", "@bob", "hi", "--wait", "stored"]);
    assert_eq!(sent["state"], "delivered", "more than was asked for");
    bob.stop();
    let (exit, code, error) = alice.error(&["send", "@bob", "hi", "--wait", "stored", "--timeout", "300ms"], b"");
    assert_eq!((exit, code.as_str()), (7, "not_yet"), "{error}");
    let checks = alice.ok(&["doctor"])["items"].clone();
    let relays = named(&checks, "relays");
    let detail = "none holds your mail: who writes while you are off keeps it until you are both on";
    assert_eq!((&relays["state"], &relays["detail"]), (&json!("note"), &json!(detail)));
    assert_eq!(relays["fix"], format!("kith --home {} relay add CARD", alice.home().display()));
    assert_eq!(named(&checks, "relay"), Value::Null, "none runs here");
}

fn named(checks: &Value, name: &str) -> Value {
    checks.as_array().unwrap().iter().find(|check| check["name"] == name).cloned().unwrap_or_default()
}

#[test]
fn a_first_invite_admits_as_many_as_it_says_within_the_limits_of_the_start() {
    let mut corner = Person::new("corner");
    corner.run(&["relay", "run", "--invite", "2", "--mailbox-envelopes", "50", "--mailbox-bytes", "2MiB"]);
    let invite = corner.ready["invite"].as_str().unwrap();
    assert_eq!(corner.ok(&["relay", "invite", "list"])["items"][0]["uses"], 2);
    for name in ["alice", "bob"] {
        let added = Person::online(name).ok(&["relay", "add", invite]);
        let limits = (&added["envelopes_max"], &added["bytes_max"]);
        assert_eq!((&added["state"], limits), (&json!("ready"), (&json!(50), &json!(2 << 20))), "{added}");
    }
    let carol = Person::online("carol");
    let (exit, code, _) = carol.error(&["relay", "add", invite], b"");
    assert_eq!((exit, code.as_str()), (5, "relay_refused"));
    let relays = named(&carol.ok(&["doctor"])["items"], "relays");
    assert_eq!((&relays["state"], &relays["detail"]), (&json!("note"), &json!("1 of 1 do not hold your mail now")));
    assert_eq!(corner.ok(&["relay", "invite", "list"])["items"], json!([]));
    assert!(corner.ok(&["relay", "stats"])["refused"].as_object().is_some_and(|refused| !refused.is_empty()));
}

#[test]
fn an_operator_sees_what_is_held_and_judges_mailboxes() {
    let (mut corner, alice) = (Person::new("corner"), Person::online("alice"));
    corner.run(&["relay", "run", "--open", "--name", "corner"]);
    let card = corner.ready["card"].as_str().unwrap();
    let added = alice.ok(&["relay", "add", card]);
    let stats = corner.ok(&["relay", "stats"]);
    let of = |key: &str| stats[key].clone();
    let held = (of("name"), of("open"), of("mailboxes"), of("owners"));
    assert_eq!(held, (json!("corner"), json!(true), json!(1), json!(1)));
    let well = (of("storage_ok"), of("storage_errors"), of("clock"), of("refused"));
    assert_eq!(well, (json!(true), json!(0), Value::Null, json!({})));
    assert!(said(&corner, &["relay", "stats"]).contains("\nmailboxes    1, 1 connected\n"));

    let mailbox = corner.ok(&["relay", "members"])["items"][0]["mailbox"].as_str().unwrap().to_owned();
    let short = &mailbox[..8];
    let judge = |args: &[&str]| corner.ok(&[&["relay"], args].concat())["changed"].clone();
    let seen = || {
        let member = corner.ok(&["relay", "members"])["items"][0].clone();
        [&member["envelopes_max"], &member["bytes_max"], &member["blocked"]].map(Clone::clone)
    };
    for changed in [true, false] {
        assert_eq!(judge(&["quota", short, "--envelopes", "7", "--bytes", "64KiB"]), changed);
        assert_eq!(judge(&["block", short]), changed);
    }
    assert_eq!(seen(), [json!(7), json!(65_536), json!(true)]);
    let line = said(&corner, &["relay", "members"]);
    assert!(line.starts_with(&mailbox) && line.contains("blocked · up to 7, 64 KiB"), "{line}");
    for changed in [true, false] {
        assert_eq!(judge(&["quota", short, "--default"]), changed);
        assert_eq!(judge(&["unblock", short]), changed);
    }
    assert_eq!(seen(), [Value::Null, Value::Null, json!(false)]);

    let metrics = said(&corner, &["metrics"]);
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split([' ', '{']).next().unwrap();
        assert!(metrics.contains(&format!("# HELP {name} ")) && metrics.contains(&format!("# TYPE {name} ")), "{line}");
        assert!(line.rsplit(' ').next().unwrap().parse::<u64>().is_ok(), "{line}");
        assert!(!line.contains(&mailbox[..6]), "no mailbox is named: {line}");
    }
    assert_eq!(named(&corner.ok(&["doctor"])["items"], "relay")["state"], "ok");
    let id = added["relay"].as_str().unwrap();
    assert_eq!(alice.ok(&["relay", "remove", &id[..6]])["changed"], true);
    until(|| alice.ok(&["relay", "list"])["items"] == json!([]));
    until(|| corner.ok(&["relay", "stats"])["mailboxes"] == 0);
}
