//! The command against real daemons: two people, every verb, and what goes wrong by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/person.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod person;

use person::{Person, pair};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::tempdir;

#[test]
fn two_people_talk_and_every_verb_answers() {
    let (alice, mut bob) = pair();
    let sent = alice.ok(&["send", "@bob", "hi bob", "--wait", "delivered"]);
    assert_eq!((&sent["state"], &sent["delivered"], &sent["members"]), (&"delivered".into(), &1.into(), &1.into()));
    let id = sent["id"].as_str().unwrap();

    let read = bob.lines(&["read", "@alice"]);
    assert_eq!((read.len(), &read[0]["id"], &read[0]["body"]), (1, &id.into(), &"hi bob".into()));
    let back = bob
        .with_stdin(&["send", "@alice", "-", "--wait", "delivered", "--json"], "zurück\nund Zeile zwei\n".as_bytes());
    assert!(back.status.success());
    let read = alice.lines(&["read", "@bob"]);
    assert_eq!(read.last().unwrap()["body"], "zurück\nund Zeile zwei");

    let why = alice.ok(&["why", &id[..8]]);
    assert_eq!((&why["id"], &why["recipients"][0]["state"]), (&id.into(), &read[0]["state"]));
    assert!(!why["recipients"][0]["steps"].as_array().unwrap().is_empty());

    let status = alice.ok(&["status", "--wait"]);
    assert_eq!((&status["ready"], &status["outbox"], &status["contacts"]), (&true.into(), &0.into(), &1.into()));
    assert_eq!(status["peer"], alice.ready["peer"]);
    assert_eq!(alice.ok(&["contact", "list"])["items"][0]["name"], "bob");
    assert_eq!(alice.ok(&["outbox", "list"])["items"].as_array().unwrap().len(), 0);
    // The picture of the network is renewed now and then, not at every event.
    let peer = loop {
        if let Some(peer) = alice.ok(&["peer", "list"])["items"][0]["peer"].as_str() {
            break peer.to_owned();
        }
    };
    assert!(alice.ok(&["peer", "ping", &peer])["rtt_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(alice.ok(&["me", "--name", "Alice A."])["name"], "Alice A.");
    assert_eq!(alice.ok(&["contact", "rename", "@bob", "Bobby"])["name"], "Bobby");
    // A reset makes new sessions for what is sent next, and says so of what was waiting.
    bob.ok(&["stop"]);
    bob.daemon.take().unwrap().wait().unwrap();
    let waits = alice.ok(&["send", "@Bobby", "through a reset"])["id"].as_str().unwrap().to_owned();
    assert_eq!(alice.ok(&["session", "reset", "@bobby"])["changed"], true);
    let steps = alice.ok(&["why", &waits])["recipients"][0]["steps"].as_array().unwrap().clone();
    let reset = steps.iter().find(|s| s["what"] == "sealing again: the session was reset here");
    assert_eq!(reset.unwrap_or_else(|| panic!("{steps:?}"))["where"], "here");
    assert_eq!(alice.ok(&["outbox", "retry", &waits])["changed"], true);
    bob.start(&["--bootstrap", &alice.address()]);
    assert_eq!(alice.ok(&["send", "@Bobby", "after a reset", "--wait", "delivered"])["state"], "delivered");
    while bob.lines(&["read", "@alice"]).iter().filter(|m| m["body"] == "through a reset").count() != 1 {}
    while alice.ok(&["outbox", "list"])["items"] != Value::Array(Vec::new()) {}
    assert_eq!(alice.ok(&["outbox", "retry"])["changed"], false, "nothing waits");

    // A ban is listed at once, closes the connection, says so of what is sent, and can be lifted.
    assert_eq!(alice.ok(&["peer", "ban", &peer])["changed"], true);
    assert_eq!(alice.ok(&["peer", "ban", &peer])["changed"], false);
    let listed = |of: &Person| {
        let peers = of.ok(&["peer", "list"]);
        peers["items"].as_array().unwrap().iter().find(|p| p["peer"] == peer.as_str()).cloned()
    };
    assert_eq!(listed(&alice).unwrap()["banned"], true);
    let banned = alice.ok(&["send", "@Bobby", "to a banned peer"])["id"].as_str().unwrap().to_owned();
    let told = loop {
        if let Some(error) = alice.ok(&["why", &banned])["recipients"][0]["error"].as_str() {
            break error.to_owned();
        }
    };
    assert_eq!(told, format!("you banned this peer: kith peer unban {peer}"));
    assert_eq!(alice.ok(&["peer", "unban", &peer])["changed"], true);
    assert_eq!(alice.ok(&["peer", "unban", &peer])["changed"], false);
    // The wait after the refused attempts is cut short.
    while alice.ok(&["why", &banned])["recipients"][0]["state"] != "delivered" {
        alice.ok(&["outbox", "retry", &banned]);
    }
    assert!(bob.lines(&["read", "@alice"]).iter().any(|m| m["body"] == "to a banned peer"));

    // A new reach secret is another code of the same account; as a picture it is the same link.
    let before = alice.ok(&["me"]);
    let after = alice.ok(&["me", "--rotate"]);
    assert_eq!((&before["account"], before["code"] == after["code"]), (&after["account"], false));
    let picture = alice.command(&["me", "--qr"]).output().unwrap();
    let shown = String::from_utf8(picture.stdout).unwrap();
    assert!(shown.contains('█') && shown.contains(after["code"].as_str().unwrap()), "{shown}");

    // The picture of the network is renewed every second: the connection may be newer.
    while alice.ok(&["status"])["peers"] == 0 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let checks = alice.ok(&["doctor"])["items"].as_array().unwrap().clone();
    let state =
        |name: &str| checks.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{name}"))["state"].clone();
    for name in ["config", "profile", "files", "socket", "daemon", "storage", "clock", "listen", "peers", "outbox"] {
        assert_ne!(state(name), "problem", "{name}: {checks:?}");
    }
    for name in ["config", "socket", "daemon", "storage", "clock", "listen", "peers", "outbox"] {
        assert_eq!(state(name), "ok", "{name}: {checks:?}");
    }
}

#[test]
fn safety_numbers_agree_and_wrong_digits_are_refused() {
    let (alice, bob) = pair();
    let mine = alice.ok(&["contact", "verify", "@bob"]);
    let theirs = bob.ok(&["contact", "verify", "@alice"]);
    let digits = mine["safety_number"].as_str().unwrap();
    assert_eq!((digits, &mine["verified"]), (theirs["safety_number"].as_str().unwrap(), &false.into()));
    let (exit, code, _) = alice.error(&["contact", "verify", "@bob", "--code", &"1".repeat(60)], b"");
    assert_eq!((exit, code.as_str()), (10, "unverified"));
    assert_eq!(alice.ok(&["contact", "verify", "@bob", "--code", digits])["verified"], true);
    assert_eq!(alice.ok(&["contact", "list"])["items"][0]["verified"], true);
}

#[test]
fn listen_shows_what_happens_and_goes_on_behind_a_cursor() {
    let (alice, bob) = pair();
    let mut listen = bob.command(&["listen", "--json"]).spawn().unwrap();
    let mut events = BufReader::new(listen.stdout.take().unwrap()).lines();
    alice.ok(&["send", "@bob", "one", "--wait", "delivered"]);
    let message: Value = loop {
        let event: Value = serde_json::from_str(&events.next().unwrap().unwrap()).unwrap();
        if event["event"] == "message" {
            break event;
        }
    };
    assert_eq!((&message["body"], &message["outgoing"]), (&"one".into(), &false.into()));
    listen.kill().unwrap();
    listen.wait().unwrap();
    alice.ok(&["send", "@bob", "two", "--wait", "delivered"]);
    let after = message["cursor"].as_u64().unwrap().to_string();
    // What was missed comes first, each once, and what happens later follows.
    let mut listen = bob.command(&["listen", "@alice", "--after", &after, "--json"]).spawn().unwrap();
    let mut events = BufReader::new(listen.stdout.take().unwrap()).lines();
    let mut next_message = || loop {
        let event: Value = serde_json::from_str(&events.next().unwrap().unwrap()).unwrap();
        if event["event"] == "message" {
            break event;
        }
    };
    let two = next_message();
    alice.ok(&["send", "@bob", "three", "--wait", "delivered"]);
    let three = next_message();
    listen.kill().unwrap();
    listen.wait().unwrap();
    assert_eq!((&two["body"], &three["body"]), (&"two".into(), &"three".into()));
    let cursors = [&message, &two, &three].map(|event| event["cursor"].as_u64().unwrap());
    assert!(cursors.is_sorted_by(|a, b| a < b), "{cursors:?}");
    let ids: std::collections::BTreeSet<_> = [&message, &two, &three].map(|e| e["id"].as_str()).into();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_stranger_asks_and_is_accepted_or_blocked() {
    let alice = Person::online("alice");
    let mut bob = Person::new("bob");
    bob.start(&["--bootstrap", &alice.address()]);
    let mut listen = bob.command(&["listen", "--json"]).spawn().unwrap();
    let mut events = BufReader::new(listen.stdout.take().unwrap()).lines();
    alice.ok(&["contact", "add", &bob.link(), "--name", "bob"]);
    alice.ok(&["send", "@bob", "you do not know me"]);
    let request: Value = loop {
        let event: Value = serde_json::from_str(&events.next().unwrap().unwrap()).unwrap();
        if event["event"] == "request" {
            break event;
        }
    };
    listen.kill().unwrap();
    listen.wait().unwrap();
    let account = request["account"].as_str().unwrap();
    assert_eq!(bob.ok(&["contact", "requests"])["items"][0]["account"], account);
    assert_eq!(bob.ok(&["contact", "list"])["items"].as_array().unwrap().len(), 0);
    assert_eq!(bob.ok(&["contact", "accept", &account[..10]])["account"], account);
    assert_eq!(bob.ok(&["contact", "block", account])["state"], "blocked");
    assert_ne!(bob.ok(&["contact", "unblock", account])["state"], "blocked");
    assert_eq!(bob.ok(&["contact", "remove", account])["changed"], true);
    assert_eq!(bob.ok(&["contact", "remove", account])["changed"], false, "as often as one likes");
    // What was written stays, under the id.
    assert_eq!(bob.error(&["contact", "verify", account], b"").1, "contact_unknown");
    let kept = bob.lines(&["read", &account[..12]]);
    assert_eq!(
        (kept.len(), &kept[0]["body"], &kept[0]["state"]),
        (1, &"you do not know me".into(), &"delivered".into())
    );
    assert_eq!(bob.lines(&["read", account, "--peek"])[0]["state"], "read");
    assert_eq!(bob.error(&["contact", "remove", "@nobody"], b"").1, "contact_unknown");
}

#[test]
fn a_message_to_somebody_offline_is_safe_and_says_so() {
    let (alice, mut bob) = pair();
    alice.ok(&["send", "@bob", "hello", "--wait", "delivered"]);
    bob.ok(&["stop"]);
    bob.daemon.take().unwrap().wait().unwrap();
    let args = ["send", "@bob", "are you there?", "--wait", "delivered", "--timeout", "300ms", "--json"];
    let output = alice.command(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "not_yet");
    let outbox = alice.ok(&["outbox", "list"]);
    assert_eq!(outbox["items"][0]["id"], sent["id"]);
    alice.ok(&["outbox", "cancel", sent["id"].as_str().unwrap()]);
    assert_eq!(alice.ok(&["outbox", "list"])["items"].as_array().unwrap().len(), 0);
    bob.start(&["--bootstrap", &alice.address()]);
    alice.ok(&["send", "@bob", "again", "--wait", "delivered"]);
    // What was under way when it was given up may still arrive; nothing else may, and nothing twice.
    let mut bodies: Vec<_> =
        bob.lines(&["read", "@alice"]).iter().map(|m| m["body"].as_str().unwrap().to_owned()).collect();
    bodies.retain(|body| body != "are you there?");
    assert_eq!(bodies, ["hello", "again"]);
}

#[test]
fn codes_that_do_not_fit_are_told_apart() {
    let (alice, bob) = pair();
    let me = bob.ok(&["me"]);
    let code = me["code"].as_str().unwrap();
    let own = alice.ok(&["me"])["code"].as_str().unwrap().to_owned();
    let swapped = format!("{}{}", &code[..code.len() - 1], if code.ends_with('q') { 'p' } else { 'q' });
    for (bad, expected) in [
        (swapped.as_str(), "code_typo"),
        (&code[..20], "code_truncated"),
        (own.as_str(), "code_own"),
        ("hello", "code_"),
    ] {
        let (exit, got, error) = alice.error(&["contact", "add", bad], b"");
        assert!(exit == 2 && got.starts_with(expected), "{bad}: {got}");
        assert!(!error["hint"].as_str().unwrap().is_empty());
    }
    // Known already, however it was pasted, is no error.
    let grouped: Vec<String> =
        code.to_uppercase().chars().collect::<Vec<_>>().chunks(4).map(|c| c.iter().collect()).collect();
    for pasted in [
        code.to_owned(),
        format!(" «{code}» "),
        format!("\"{code}\""),
        grouped.join(" "),
        format!("\u{200b}{code}\u{feff}"),
    ] {
        assert_eq!(alice.ok(&["contact", "add", &pasted])["name"], "bob", "{pasted}");
    }
    let words: Vec<&str> = ["contact", "add"].into_iter().chain(grouped.iter().map(String::as_str)).collect();
    assert_eq!(alice.ok(&words)["name"], "bob", "without quotes it is several words");
    for (who, code, exit) in
        [("@nobody", "contact_unknown", 4), ("#general", "channel_unknown", 4), ("bob", "bad_target", 2)]
    {
        let (got_exit, got, _) = alice.error(&["send", who, "hi"], b"");
        assert_eq!((got_exit, got.as_str()), (exit, code));
    }
}

#[test]
fn a_profile_opens_once_and_only_with_its_passphrase() {
    let mut person = Person::nobody();
    assert_eq!(person.error(&["run"], b"").1, "no_profile");
    let made = person.with_stdin(&["init", "--name", "carol", "--passphrase-file", "-", "--json"], b"correct horse\n");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (exit, code, _) = person.error(&["init", "--name", "x", "--passphrase-file", "-"], b"other\n");
    assert_eq!((exit, code.as_str()), (6, "profile_exists"));
    assert_eq!(person.error(&["run"], b"").1, "input_needed");
    let (exit, code, error) = person.error(&["run", "--passphrase-file", "-"], b"wrong\n");
    assert_eq!((exit, code.as_str()), (5, "wrong_passphrase"), "{error}");

    let file = person.dir.path().join("pass");
    std::fs::write(&file, "correct horse\n").unwrap();
    person.start(&["--passphrase-file", file.to_str().unwrap()]);
    assert_eq!(person.ok(&["status"])["name"], "carol");
    let (exit, code, error) = person.error(&["run", "--passphrase-file", file.to_str().unwrap()], b"");
    assert_eq!((exit, code.as_str()), (6, "profile_in_use"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("stop"));
    assert_eq!(person.ok(&["stop"])["changed"], true);
    assert!(person.daemon.take().unwrap().wait().unwrap().success());
    assert!(!PathBuf::from(person.ready["socket"].as_str().unwrap()).exists());
}

#[test]
fn a_killed_daemon_leaves_a_socket_that_the_next_one_takes() {
    let mut alice = Person::online("alice");
    alice.daemon.as_mut().unwrap().kill().unwrap();
    alice.daemon.take().unwrap().wait().unwrap();
    assert!(PathBuf::from(alice.ready["socket"].as_str().unwrap()).exists());
    assert_eq!(alice.error(&["status"], b"").0, 3);
    alice.start(&[]);
    assert_eq!(alice.ok(&["status", "--wait"])["ready"], true);
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_left_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    let mut alice = Person::new("alice");
    let (exit, code, error) = alice.error(&["run", "--no-mdns", "--listen", &listen], b"");
    assert_eq!((exit, code.as_str()), (1, "port_in_use"), "{error}");
    assert!(!error["hint"].as_str().unwrap().is_empty());
    let (exit, code, _) = alice.error(&["run", "--no-mdns", "--listen", "localhost:1"], b"");
    assert!(exit == 1 || exit == 2, "{code}");
    alice.start(&[]);
    assert_eq!(alice.ok(&["status", "--wait"])["ready"], true);
}

#[test]
fn a_damaged_store_is_refused_and_left_as_it_is() {
    let alice = Person::new("alice");
    let store = alice.home().join("kith.redb");
    let mut bytes = std::fs::read(&store).unwrap();
    bytes[..64].fill(0xa5);
    std::fs::write(&store, &bytes).unwrap();
    let (exit, code, error) = alice.error(&["run", "--no-mdns"], b"");
    assert_eq!((exit, code.as_str()), (9, "store_corrupt"), "{error}");
    assert!(!error["hint"].as_str().unwrap().is_empty());
    assert_eq!(std::fs::read(&store).unwrap(), bytes);
    assert_eq!(alice.error(&["init", "--no-passphrase"], b"").0, 6, "nothing is overwritten");
}

#[test]
fn a_store_without_a_byte_is_damage_and_no_place_for_a_new_account() {
    let alice = Person::new("alice");
    let store = alice.home().join("kith.redb");
    std::fs::write(&store, b"").unwrap();
    for args in [&["run", "--no-mdns"][..], &["init", "--no-passphrase"], &["init", "--passphrase-file", "-"]] {
        let (exit, code, error) = alice.error(args, b"correct horse\n");
        assert_eq!((exit, code.as_str()), (9, "store_corrupt"), "{args:?}: {error}");
        assert!(!error["hint"].as_str().unwrap().is_empty());
        assert_eq!(std::fs::metadata(&store).unwrap().len(), 0, "{args:?} wrote");
    }
}

/// Starts the demo with its folders under one of the test's.
fn demo(dir: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kith"));
    command.env_clear().env("HOME", dir).env("TMPDIR", dir).args(["demo", "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until a process is gone, or dead and only not yet collected.
fn wait_gone(pid: u64) {
    let stat = format!("/proc/{pid}/stat");
    while std::fs::read_to_string(&stat).is_ok_and(|s| !s.rsplit(')').next().unwrap().trim_start().starts_with('Z')) {
        std::thread::yield_now();
    }
}

#[test]
fn the_demo_cleans_up_when_it_is_interrupted() {
    let dir = tempdir().unwrap();
    let mut child = demo(dir.path()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut pids = Vec::new();
    for line in lines.by_ref() {
        let step: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if step["step"] == "run" {
            pids.push(step["pid"].as_u64().unwrap());
        }
        if step["step"] == "contact" {
            break;
        }
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    // Until it closes its end, so that it does not meet a closed pipe.
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert_eq!(pids.len(), 2);
    pids.into_iter().for_each(wait_gone);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "files were left");
}

#[test]
fn a_demo_that_cannot_play_says_why_and_fails() {
    let output = demo(std::path::Path::new("/nowhere")).output().unwrap();
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((output.status.code(), &error["error"]["code"]), (Some(1), &"io".into()));
}

#[test]
fn the_demo_works_and_leaves_nothing_behind() {
    let dir = tempdir().unwrap();
    let output = demo(dir.path()).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");
    let steps: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(steps.iter().all(|s| s["v"] == 1 && s["ok"] == true), "{out}");
    let of = |step: &str| steps.iter().filter(|s| s["step"] == step).collect::<Vec<_>>();
    assert_eq!((of("init").len(), of("run").len(), of("kill").len(), of("stop").len()), (4, 10, 3, 9));
    assert_eq!((of("relay").len(), of("relay_add").len(), of("collected").len()), (2, 2, 1));
    assert_eq!(of("state").iter().filter(|s| s["state"] == "stored").count(), 3, "the relay signed for each");
    assert!(of("state").iter().filter(|s| s["state"] == "delivered").count() >= 2, "a delivery each way");
    let recovered = of("recovered")[0];
    assert_eq!((&recovered["read"], &recovered["unique"]), (&21.into(), &21.into()));
    // The channel: two come in by code, everybody reads everything in order and once, and who is removed nothing more.
    assert_eq!((of("invite")[0]["length"].clone(), of("join").len()), (64.into(), 2));
    let read = |who: &str| of("read").iter().filter(|s| s["who"] == who).map(|s| s["read"].clone()).collect::<Vec<_>>();
    let kept = of("kept_out")[0];
    assert_eq!((read("alice").last(), read("bob").last()), (Some(&17.into()), Some(&17.into())));
    assert_eq!(
        (read("bob"), read("carol").last()),
        (vec![3.into(), 9.into(), 11.into(), 15.into(), 16.into(), 17.into()], Some(&15.into()))
    );
    assert_eq!((&kept["read"], &kept["before"], &kept["refused"]), (&15.into(), &15.into(), &true.into()));
    assert_eq!((of("told").len(), &of("healed")[0]["members"]), (1, &3.into()));
    for run in of("run").into_iter().chain(of("relay")) {
        wait_gone(run["pid"].as_u64().unwrap());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "files were left");
}
