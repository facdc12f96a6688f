//! Channels by the real command: made, joined by code, spoken in, left; and what goes wrong there, by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "channels/codes.rs"]
mod codes;
#[path = "channels/names.rs"]
mod names;
#[path = "support/person.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod person;
#[path = "channels/rights.rs"]
mod rights;

use person::Person;
use serde_json::{Value, json};
use std::time::Duration;

/// How often a condition is looked at, and how often before a test gives up: only a failing one looks that long.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 1_200;

/// What is typed, and what comes of it: exit, code, message, hint.
type Case<'a> = (&'a [&'a str], i32, &'a str, &'a str, &'a str);

/// Checks every case; hints are compared without the profile's `--home`.
#[track_caller]
fn check(person: &Person, cases: &[Case<'_>]) {
    let home = format!(" --home {}", person.home().display());
    for (args, exit, code, message, hint) in cases {
        let (got_exit, got, error) = person.error(args, b"");
        let text = |key: &str| error[key].as_str().unwrap().replace(&home, "");
        let shown = (got_exit, got, text("message"), text("hint"));
        assert_eq!(shown, (*exit, (*code).into(), (*message).into(), (*hint).into()), "{args:?}");
    }
}

/// Looks again and again until something holds, or fails the test with what it saw last.
#[track_caller]
fn until<T: std::fmt::Debug>(mut look: impl FnMut() -> T, holds: impl Fn(&T) -> bool) -> T {
    for _ in 0..LOOKS {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        std::thread::sleep(LOOK);
    }
    panic!("it never came to pass: {:?}", look());
}

/// A daemon that knows where another one is.
fn near(name: &str, other: &Person) -> Person {
    let mut person = Person::new(name);
    person.start(&["--bootstrap", &other.address()]);
    person
}

/// What a person reads in a channel, as it stands there.
fn read(person: &Person, channel: &str) -> Vec<Value> {
    person.lines(&["read", channel, "--peek"])
}

fn texts(person: &Person, channel: &str) -> Vec<String> {
    read(person, channel).iter().map(|m| m["body"].as_str().unwrap().to_owned()).collect()
}

/// One message as a person reads it.
fn message(person: &Person, channel: &str, id: &str) -> Value {
    read(person, channel).into_iter().find(|m| m["id"] == id).unwrap_or_default()
}

fn say(person: &Person, channel: &str, text: &str) -> String {
    person.ok(&["send", channel, text])["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn reads(person: &Person, channel: &str, expected: &[&str]) {
    until(|| texts(person, channel), |seen| seen.iter().map(String::as_str).eq(expected.iter().copied()));
}

fn info(person: &Person, channel: &str) -> Value {
    person.ok(&["channel", "info", channel])
}

/// Makes an invite; returns code, link and id.
fn invite(person: &Person, args: &[&str]) -> (String, String, String) {
    let invite = person.ok(&[&["invite"], args].concat());
    let text = |key: &str| invite[key].as_str().unwrap().to_owned();
    (text("code"), text("url"), text("id"))
}

/// Waits until several people have the same record of a channel.
#[track_caller]
fn agree(people: &[&Person], channel: &str, members: usize) {
    until(
        || people.iter().map(|p| info(p, channel)).collect::<Vec<_>>(),
        |seen| {
            let same = |c: &Value| c["state_hash"] == seen[0]["state_hash"] && c["gate"] == "open";
            seen.iter().all(|c| same(c) && c["members"] == members)
        },
    );
}

/// Alice made a channel, and bob and carol came in.
fn circle() -> (Person, Person, Person, String) {
    let alice = Person::online("alice");
    let made = alice.ok(&["channel", "create", "circle"]);
    assert_eq!((&made["name"], &made["state"], &made["members"]), (&json!("circle"), &json!("joined"), &json!(1)));
    let (bob, carol) = (near("bob", &alice), near("carol", &alice));
    let (code, link, _) = invite(&alice, &["#circle"]);
    let joined = bob.ok(&["join", &link, "--yes"]);
    assert_eq!((&joined["name"], &joined["state"]), (&json!("circle"), &json!("joined")));
    assert_eq!(joined["channel"], made["id"]);
    assert_eq!(carol.ok(&["join", &code, "--yes"])["state"], "joined");
    agree(&[&alice, &bob, &carol], "#circle", 3);
    (alice, bob, carol, code)
}

#[test]
fn a_search_says_where_what_it_finds_stands() {
    let (alice, bob, ..) = circle();
    let first = say(&alice, "#circle", "The tide is high");
    say(&alice, "#circle", "no water");
    reads(&bob, "#circle", &["The tide is high", "no water"]);
    for person in [&alice, &bob] {
        let found = person.lines(&["search", "HIGH", "tide"]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((&found[0]["id"], &found[0]["place"]), (&json!(first), &json!("#circle")));
    }
    assert_eq!(bob.lines(&["search", "water", "--with", "#circle", "-n", "1"]).len(), 1);
    assert!(bob.lines(&["search", "tide", "water"]).is_empty(), "all words, and in one message");
    check(
        &bob,
        &[
            (
                &["search", " "],
                2,
                "usage",
                "a search is for words, of at most 1024 bytes together",
                "kith search 'some words'",
            ),
            (
                &["search", "tide", "--with", "#nowhere"],
                4,
                "channel_unknown",
                "no channel is called #nowhere",
                "kith channel list, or kith join CODE",
            ),
        ],
    );
}

#[test]
fn a_channel_from_its_making_to_the_last_who_leaves() {
    let (alice, mut bob, carol, code) = circle();
    assert_eq!(code.len(), 64);
    let all = [&alice, &bob, &carol];
    for (person, name) in all.into_iter().zip(["alice", "bob", "carol"]) {
        say(person, "#circle", &format!("hello from {name}"));
        let said = |p: &Person| texts(p, "#circle").last().cloned();
        for reader in all {
            until(|| said(reader), |last| *last == Some(format!("hello from {name}")));
        }
    }
    let hello = ["hello from alice", "hello from bob", "hello from carol"];
    for person in all {
        assert_eq!(texts(person, "#circle"), hello);
    }
    let seen = read(&carol, "#circle");
    assert_eq!((&seen[0]["from_name"], &seen[1]["from_name"]), (&json!("alice"), &json!("bob")));
    assert_eq!(
        (&seen[0]["channel"], &seen[0]["outgoing"], &seen[2]["outgoing"]),
        (&json!(true), &json!(false), &json!(true))
    );
    assert_eq!(info(&carol, "#circle")["unread"], 2);
    carol.lines(&["read", "#circle"]);
    assert_eq!(info(&carol, "#circle")["unread"], 0);

    // What is said about a message: an answer, reactions, other words, a pin, and that it is not to be shown.
    let first = seen[0]["id"].as_str().unwrap();
    let answer = bob.ok(&["send", "#circle", "an answer", "--reply", &first[..8]])["id"].as_str().unwrap().to_owned();
    until(|| message(&carol, "#circle", &answer), |m| m["reply_to"] == first);
    assert_eq!(message(&bob, "#circle", &answer)["reply_to"], first);
    carol.ok(&["react", first, "👍"]);
    bob.ok(&["react", first, "👍"]);
    bob.ok(&["react", first, "🎉"]);
    let marks = |p: &Person| message(p, "#circle", first)["reactions"].clone();
    let thumbs = |n: u32, mine: bool| json!({"emoji": "👍", "count": n, "mine": mine});
    let party = json!({"emoji": "🎉", "count": 1, "mine": false});
    until(|| marks(&alice), |m| m.as_array().unwrap().len() == 2 && m.as_array().unwrap().contains(&party));
    until(|| marks(&carol), |m| m.as_array().unwrap().contains(&thumbs(2, true)));
    bob.ok(&["react", first, "👍", "--off"]);
    until(|| marks(&alice), |m| m.as_array().unwrap().contains(&thumbs(1, false)));
    alice.ok(&["edit", first, "hello,", "edited"]);
    alice.ok(&["pin", &answer]);
    until(|| message(&carol, "#circle", first), |m| m["body"] == "hello, edited" && m["edited"] == true);
    until(|| message(&carol, "#circle", &answer), |m| m["pinned"] == true);
    alice.ok(&["pin", &answer, "--off"]);
    until(|| message(&carol, "#circle", &answer), |m| m["pinned"] == false);
    bob.ok(&["delete", &answer, "--everyone"]);
    let heard = ["hello, edited", "hello from bob", "hello from carol"];
    for person in all {
        reads(person, "#circle", &heard);
    }

    // One machine dies while the others talk, edit and take back; it comes back and has what there is, once.
    bob.kill();
    let slip = say(&alice, "#circle", "a slip");
    let typo = say(&carol, "#circle", "a tpyo");
    alice.ok(&["delete", &slip, "--everyone"]);
    carol.ok(&["edit", &typo, "a", "typo"]);
    carol.ok(&["edit", &typo, "no", "typo"]);
    for n in 1..=6 {
        say(if n % 2 == 0 { &alice } else { &carol }, "#circle", &format!("{n}"));
    }
    bob.start(&["--bootstrap", &alice.address()]);
    let heard = [&heard[..], &["no typo", "1", "2", "3", "4", "5", "6"]].concat();
    for person in [&bob, &carol, &alice] {
        reads(person, "#circle", &heard);
    }

    // Roles: one is given and taken, and counts in between.
    assert_eq!(bob.error(&["pin", first], b"").1, "not_permitted");
    alice.ok(&["member", "role", "#circle", "@bob", "moderator"]);
    until(|| info(&bob, "#circle")["roles"].clone(), |roles| roles.as_array().unwrap().contains(&json!("moderator")));
    bob.ok(&["pin", first]);
    until(|| message(&alice, "#circle", first), |m| m["pinned"] == true);
    alice.ok(&["member", "role", "#circle", "@bob", "moderator", "--take"]);
    until(|| info(&bob, "#circle")["roles"].clone(), |roles| *roles == json!(["member"]));
    assert_eq!(bob.error(&["pin", first, "--off"], b"").1, "not_permitted");
    alice.ok(&["member", "mute", "#circle", "@carol"]);
    until(|| carol.error(&["send", "#circle", "psst"], b"").1, |code| code == "not_permitted");
    alice.ok(&["member", "mute", "#circle", "@carol", "--off"]);
    until(|| info(&carol, "#circle")["permissions"].clone(), |may| may.as_array().unwrap().contains(&json!("send")));

    // New keys; the name and what it is about.
    carol.ok(&["channel", "rekey", "#circle"]);
    agree(&[&alice, &bob, &carol], "#circle", 3);
    alice.ok(&["channel", "topic", "#circle", "what", "we", "say"]);
    alice.ok(&["channel", "rename", "#circle", "round table"]);
    for person in [&bob, &carol] {
        until(|| person.ok(&["channel", "list"])["items"][0]["name"].clone(), |name| name == "round table");
    }
    until(|| info(&bob, "#round table")["topic"].clone(), |topic| topic == "what we say");
    agree(&[&alice, &bob, &carol], "#round table", 3);
    say(&bob, "#round table", "under new keys");
    let heard = [&heard[..], &["under new keys"]].concat();
    for person in [&alice, &bob, &carol] {
        reads(person, "#round table", &heard);
    }

    // Removed: told so, reads nothing of what is said then, comes back by the same invite, and reads what is said then.
    alice.ok(&["member", "remove", "#round table", "@carol", "--reason", "too loud"]);
    let gone = until(|| info(&carol, "#round table"), |channel| channel["state"] == "removed")["removal"].clone();
    let said = [&gone["by_name"], &gone["reason"], &gone["banned"]];
    assert_eq!(said, [&json!("alice"), &json!("too loud"), &json!(false)]);
    assert_eq!(carol.error(&["send", "#round table", "hey"], b"").1, "not_member");
    agree(&[&alice, &bob], "#round table", 2);
    say(&alice, "#round table", "not for carol");
    let alone = [&heard[..], &["not for carol"]].concat();
    reads(&bob, "#round table", &alone);
    reads(&alice, "#round table", &alone);
    assert_eq!(texts(&carol, "#round table"), heard);
    assert_eq!(carol.ok(&["join", &code, "--yes"])["state"], "joined");
    agree(&[&alice, &bob, &carol], "#round table", 3);
    say(&bob, "#round table", "welcome back");
    reads(&carol, "#round table", &[&heard[..], &["welcome back"]].concat());
    reads(&alice, "#round table", &[&alone[..], &["welcome back"]].concat());

    // Who leaves is out, keeps what was said, and may say so twice.
    let left = [&alone[..], &["welcome back"]].concat();
    reads(&bob, "#round table", &left);
    assert_eq!(bob.ok(&["channel", "leave", "#round table"])["changed"], true);
    assert_eq!(bob.ok(&["channel", "leave", "#round table"])["changed"], false);
    assert_eq!(
        (&info(&bob, "#round table")["state"], texts(&bob, "#round table")),
        (&json!("left"), left.iter().map(|s| (*s).to_owned()).collect())
    );
    agree(&[&alice, &carol], "#round table", 2);
    say(&carol, "#round table", "bob is gone");
    reads(&alice, "#round table", &[&left[..], &["bob is gone"]].concat());
    assert_eq!(texts(&bob, "#round table"), left);
    assert_eq!(carol.ok(&["channel", "leave", "#round table"])["changed"], true);
    until(|| info(&alice, "#round table")["members"].clone(), |members| *members == 1);
    assert_eq!(alice.ok(&["channel", "leave", "#round table"])["changed"], true);
    assert_eq!(info(&alice, "#round table")["state"], "left");
}

#[test]
fn who_waits_for_a_yes_is_let_in_or_not_and_the_join_goes_on_in_the_daemon() {
    let alice = Person::online("alice");
    alice.ok(&["channel", "create", "quiet"]);
    let (code, _, _) = invite(&alice, &["#quiet", "--approve"]);
    let mut bob = near("bob", &alice);
    let carol = near("carol", &alice);
    let (exit, error, told) = bob.error(&["join", &code, "--yes", "--name", "Bobby"], b"");
    assert_eq!((exit, error.as_str()), (7, "not_yet"));
    assert_eq!(told["message"], "a member has to say yes; you can go, it goes on in the daemon");
    assert_eq!(carol.error(&["join", &code, "--yes"], b"").1, "not_yet");
    let names = until(
        || alice.ok(&["channel", "requests", "#quiet"])["items"].clone(),
        |items| items.as_array().unwrap().len() == 2,
    );
    assert!(names.as_array().unwrap().iter().any(|r| r["name"] == "Bobby" && r["role"] == "member"), "{names}");
    bob.kill();
    alice.ok(&["member", "approve", "#quiet", "@bobby"]);
    alice.ok(&["member", "deny", "#quiet", "@carol"]);
    bob.start(&["--bootstrap", &alice.address()]);
    until(|| bob.ok(&["channel", "list"])["items"].clone(), |items| items[0]["state"] == "joined");
    assert_eq!(bob.ok(&["join", &code, "--yes"])["state"], "joined", "in already");
    assert_eq!(alice.ok(&["channel", "requests", "#quiet"])["items"], json!([]));
    assert_eq!(carol.ok(&["channel", "list"])["items"], json!([]));
    agree(&[&alice, &bob], "#quiet", 2);
    say(&alice, "#quiet", "come in");
    reads(&bob, "#quiet", &["come in"]);
    say(&bob, "#quiet", "thanks");
    reads(&alice, "#quiet", &["come in", "thanks"]);
    assert_eq!(read(&alice, "#quiet")[1]["from_name"], "Bobby", "the name chosen for the channel");
    let members = alice.ok(&["member", "list", "#quiet"])["items"].clone();
    assert!(
        members.as_array().unwrap().iter().any(|m| m["name"] == "Bobby" && m["roles"] == json!(["member"])),
        "{members}"
    );
}

#[test]
fn what_is_muted_here_is_no_news_here() {
    let (alice, bob, _carol, _) = circle();
    assert_eq!(bob.ok(&["channel", "mute", "#circle"])["muted"], true);
    say(&alice, "#circle", "one");
    reads(&bob, "#circle", &["one"]);
    assert_eq!((info(&bob, "#circle")["unread"].clone(), bob.ok(&["status"])["unread"].clone()), (json!(0), json!(0)));
    assert_eq!(bob.ok(&["channel", "mute", "#circle", "--off"])["muted"], false);
    say(&alice, "#circle", "two");
    until(|| info(&bob, "#circle")["unread"].clone(), |unread| *unread == 1);
}
