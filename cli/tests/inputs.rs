//! What goes wrong, by name: for each bad input its exit code, error code, message and hint, through the real command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/person.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod person;
#[path = "inputs/relays.rs"]
mod relays;

use person::Person;
use serde_json::Value;
use std::os::unix::net::UnixListener;

/// A channel invite that is well written, and a contact code of version 2.
const INVITE: &str = "kith1zgrswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswr43a4h";
const VERSION_2: &str = "kith1yyrswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpcrr9jgx";
/// A well written code whose account is no key.
const NO_ACCOUNT: &str = "kith1z8llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllch7mfnm";

/// What is typed, on stdin, and what comes of it: exit, code, message, hint.
type Case<'a> = (&'a [&'a str], &'a [u8], i32, &'a str, &'a str, &'a str);

/// Checks every case; hints are compared without the profile's `--home`.
fn check(person: &Person, cases: &[Case<'_>]) {
    let home = format!(" --home {}", person.home().display());
    for (args, stdin, exit, code, message, hint) in cases {
        let (got_exit, got, error) = person.error(args, stdin);
        let text = |key: &str| error[key].as_str().unwrap().replace(&home, "");
        let shown = (got_exit, got, text("message"), text("hint"));
        assert_eq!(shown, (*exit, (*code).into(), (*message).into(), (*hint).into()), "{args:?}");
    }
}

#[test]
fn codes_and_links_that_do_not_fit_are_named() {
    let alice = Person::online("alice");
    let mut bob = Person::online("bob");
    let code = bob.ok(&["me"])["code"].as_str().unwrap().to_owned();
    bob.ok(&["stop"]);
    bob.daemon.take().unwrap().wait().unwrap();
    let own = alice.ok(&["me"])["code"].as_str().unwrap().to_owned();
    let swap = |c: &str| if c == "q" { "p" } else { "q" };
    let typo = format!("{}{}{}", &code[..40], swap(&code[40..41]), &code[41..]);
    let add = |code: &str| vec!["contact".to_owned(), "add".to_owned(), code.to_owned()];
    let hint = "/ip4/192.0.2.1/tcp/4001";
    let four = format!("kith:{code}?{}", vec![format!("a={hint}"); 4].join("&"));
    let again = "copy it again, or ask for the link";
    let bare = "use the code without the part after the question mark";
    for (text, error, message, hint) in [
        (typo.as_str(), "code_typo", "the code has a typo", again),
        ("hello", "code_typo", "this is not a Kith code: one begins with kith1", again),
        (NO_ACCOUNT, "code_typo", "the code is well written and names nobody", again),
        (
            &code[..20],
            "code_truncated",
            "the code is cut short: 20 of 90 characters",
            "copy the whole code: 90 characters that begin with kith1",
        ),
        (
            INVITE,
            "code_wrong_kind",
            "this is a channel invite, not a contact code",
            "kith join CODE comes into that channel; people have a contact code: kith me",
        ),
        (
            VERSION_2,
            "code_unknown_version",
            "the code is of version 2, which this program does not know yet",
            "update kith",
        ),
        (&format!("kith:{code}?a=nonsense"), "code_bad_hint", "address hint 1 of the link is damaged", bare),
        (&format!("kith:{code}?a={hint}&a=%zz"), "code_bad_hint", "address hint 2 of the link is damaged", bare),
        (&four, "code_bad_hint", "a link carries at most 3 address hints", bare),
        (&own, "code_own", "that is your own contact code", "send it to somebody else; add theirs here"),
    ] {
        let args = add(text);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        check(&alice, &[(&args, b"", 2, error, message, hint)]);
        // Pasted on stdin it is the same.
        check(&alice, &[(&["contact", "add", "-"], text.as_bytes(), 2, error, message, hint)]);
    }
    assert_eq!(alice.ok(&["contact", "list"])["items"], Value::Array(Vec::new()), "somebody was added");
    check(
        &alice,
        &[(
            &["contact", "add", &code, "--name", "a\u{202e}b"],
            b"",
            2,
            "bad_name",
            "the name has characters that do not show",
            "choose a shorter, plain name",
        )],
    );

    // However it was pasted it is the same code, and who is known already is known already.
    let added = alice.ok(&["contact", "add", &code, "--name", "ben"]);
    assert_eq!(
        (&added["name"], &added["changed"], &added["renamed_from"]),
        (&"ben".into(), &true.into(), &Value::Null)
    );
    let grouped =
        code.to_uppercase().as_bytes().chunks(4).map(|c| std::str::from_utf8(c).unwrap()).collect::<Vec<_>>().join(" ");
    for pasted in [
        code.clone(),
        grouped.clone(),
        code.to_uppercase(),
        format!(" «{code}» "),
        format!("\"{code}\""),
        format!("<kith:{code}>"),
        format!("({code})."),
        format!("\u{200b}{}\u{2060}{}\u{feff}", &code[..9], &code[9..]),
        format!("{}\n{}", &code[..45], &code[45..]),
    ] {
        let known = alice.ok(&["contact", "add", &pasted]);
        assert_eq!((&known["name"], &known["changed"]), (&"ben".into(), &false.into()), "{pasted:?}");
    }
    let words: Vec<&str> = ["contact", "add"].into_iter().chain(grouped.split(' ')).collect();
    assert_eq!(alice.ok(&words)["changed"], false, "without quotes it is several words");
    assert_eq!(alice.ok(&["contact", "add", &code, "--name", "ben"])["changed"], false);
    let said = |args: &[&str]| String::from_utf8(alice.command(args).output().unwrap().stdout).unwrap();
    assert!(said(&["contact", "add", &code]).starts_with("known already\n@ben  "));
    // Another name is given when asked for, and said.
    assert!(
        said(&["contact", "add", &code, "--name", "Benedict"])
            .starts_with("known already, called @ben until now\n@Benedict  ")
    );
    let renamed = alice.ok(&["contact", "add", &code, "--name", "ben"]);
    assert_eq!((&renamed["changed"], &renamed["renamed_from"]), (&true.into(), &"Benedict".into()));

    let ahead = u64::MAX.to_string();
    let people = "kith contact list, or kith contact add CODE";
    let at = "people are named with an @: @ben";
    let ids = "kith read @NAME --json shows ids";
    let message_id = "a message is named by its id, or at least six characters of it";
    check(
        &alice,
        &[
            (&["send", "@nobody", "hi"], b"", 4, "contact_unknown", "no contact is called @nobody", people),
            (&["send", "zzzzzz", "hi"], b"", 4, "contact_unknown", "no contact's id begins with zzzzzz", people),
            (&["send", "ben", "hi"], b"", 2, "bad_target", "too short for an id: at least 6 characters are needed", at),
            (&["read", "ben"], b"", 2, "bad_target", "too short for an id: at least 6 characters are needed", at),
            (
                &["contact", "block", "BEN"],
                b"",
                2,
                "bad_target",
                "too short for an id: at least 6 characters are needed",
                at,
            ),
            (&["listen", "ben"], b"", 2, "bad_target", "too short for an id: at least 6 characters are needed", at),
            (
                &["read", "bob?"],
                b"",
                2,
                "bad_target",
                "too short for an id: at least 6 characters are needed",
                "people are @name or an id, channels #name or an id",
            ),
            (
                &["send", "#general", "hi"],
                b"",
                4,
                "channel_unknown",
                "no channel is called #general",
                "kith channel list, or kith join CODE",
            ),
            (&["why", "a"], b"", 2, "bad_target", message_id, ids),
            (&["read", "@ben", "--before", "x"], b"", 2, "bad_target", message_id, ids),
            (&["outbox", "cancel", "@ben"], b"", 2, "bad_target", message_id, ids),
            (&["why", "zzzzzz"], b"", 4, "message_unknown", "no message's id begins with zzzzzz", ids),
            (
                &["outbox", "cancel"],
                b"",
                2,
                "usage",
                "the following required arguments were not provided: <MESSAGE>",
                "kith outbox cancel --help",
            ),
            (
                &["peer", "ping", "abc"],
                b"",
                2,
                "bad_target",
                "not a peer id, nor at least six characters of one",
                "kith peer list",
            ),
            (&["peer", "ban", "abcdefgh"], b"", 4, "peer_unknown", "no peer known by abcdefgh", "kith peer list"),
            (
                &["listen", "--after", &ahead],
                b"",
                2,
                "usage",
                &format!("there is no event {ahead} yet: the newest is {}", newest(&alice)),
                "a cursor is the one of the last event seen",
            ),
        ],
    );
    assert_eq!(alice.ok(&["outbox", "retry"])["changed"], false, "nothing waits");

    // Nobody is there to ask, and nothing is known yet of the device it is for.
    let output =
        alice.command(&["send", "@ben", "hi", "--wait", "delivered", "--timeout", "100ms", "--json"]).output().unwrap();
    let (sent, error): (Value, Value) =
        (serde_json::from_slice(&output.stdout).unwrap(), serde_json::from_slice(&output.stderr).unwrap());
    assert_eq!((output.status.code(), &error["error"]["code"]), (Some(7), &"nobody_reachable".into()), "{error}");
    let told = error["error"]["message"].as_str().unwrap();
    assert!(
        told.starts_with("no way to reach the network yet: use the link, or --bootstrap, or add a relay"),
        "{told}"
    );
    assert_eq!(alice.ok(&["outbox", "retry"])["changed"], true);
    assert_eq!(alice.ok(&["outbox", "cancel", sent["id"].as_str().unwrap()])["changed"], true);
}

/// The cursor of the newest event.
fn newest(person: &Person) -> u64 {
    let (_, _, error) = person.error(&["listen", "--after", &u64::MAX.to_string()], b"");
    error["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn texts_that_cannot_be_messages_are_named() {
    let alice = Person::online("alice");
    let long = vec![b'x'; 32 * 1024 + 1];
    let text = "kith send @NAME 'some text'";
    check(
        &alice,
        &[
            (&["send", "@bob", ""], b"", 2, "empty_message", "the message is empty", text),
            (&["send", "@bob", "-"], b" \n", 2, "empty_message", "the message is empty", text),
            (
                &["send", "@bob", "-"],
                b"caf\xe9\n",
                2,
                "invalid_utf8",
                "stdin is not valid UTF-8 from byte 4 on",
                "messages are text; convert it first, for example with iconv",
            ),
            (
                &["send", "@bob", "-"],
                &long,
                2,
                "message_too_long",
                "stdin has more than 32768 bytes",
                "send it in parts",
            ),
            (
                &["send", "@bob", std::str::from_utf8(&long).unwrap()],
                b"",
                2,
                "message_too_long",
                "the message has 32769 bytes, at most 32768 are possible",
                "send it in parts",
            ),
            (
                &["send", "@bob"],
                b"",
                2,
                "input_needed",
                "there is no text, and there is no terminal to ask on",
                "kith send @NAME 'some text', or - to read stdin",
            ),
        ],
    );
    for time in ["0s", "999ms", "366d", "1000000d"] {
        check(
            &alice,
            &[(
                &["send", "@bob", "hi", "--expire", time],
                b"",
                2,
                "usage",
                &format!(
                    "invalid value '{time}' for '--expire <TIME>': a message disappears after 1 second to 365 days"
                ),
                "kith send --help",
            )],
        );
    }
    for time in ["1s", "365d"] {
        assert_eq!(alice.error(&["send", "@bob", "hi", "--expire", time], b"").1, "contact_unknown");
    }
}

#[test]
fn what_came_in_is_not_on_its_way_out() {
    let (alice, bob) = person::pair();
    let id = alice.ok(&["send", "@bob", "hi", "--wait", "delivered"])["id"].as_str().unwrap().to_owned();
    let hint = "kith outbox list, or kith read @NAME --json for the ids of yours";
    let came_in = |verb: &str| format!("that one came in; `{verb}` is for what you sent");
    check(
        &bob,
        &[
            (&["why", &id], b"", 6, "conflict", &came_in("kith why"), hint),
            (&["outbox", "cancel", &id], b"", 6, "conflict", &came_in("kith outbox cancel"), hint),
            (&["outbox", "retry", &id], b"", 6, "conflict", &came_in("kith outbox retry"), hint),
        ],
    );
    check(
        &alice,
        &[(
            &["outbox", "cancel", &id],
            b"",
            6,
            "conflict",
            "the message is not on its way any more",
            &format!("kith why {id}"),
        )],
    );
}

#[test]
fn daemons_and_profiles_that_are_in_the_way_are_named() {
    let mut person = Person::nobody();
    let home = person.home().display().to_string();
    let none = format!("there is no profile in {home}");
    check(
        &person,
        &[
            (&["run"], b"", 4, "no_profile", &none, "kith init"),
            (
                &["status"],
                b"",
                3,
                "daemon_unreachable",
                &format!("{none} yet, and no daemon"),
                "kith init, then kith run",
            ),
            (
                &["init"],
                b"",
                2,
                "input_needed",
                "a new profile needs a passphrase, and there is no terminal to ask on",
                "--passphrase-file F, or --no-passphrase",
            ),
            (
                &["init", "--passphrase-file", "-"],
                b"\n",
                2,
                "usage",
                "the passphrase is empty",
                "--no-passphrase makes a profile that opens without one",
            ),
        ],
    );
    let made = person.with_stdin(&["init", "--name", "carol", "--passphrase-file", "-", "--json"], b"correct horse\n");
    assert!(made.status.success());
    check(
        &person,
        &[
            (
                &["run", "--passphrase-file", "-"],
                b"wrong\n",
                5,
                "wrong_passphrase",
                "wrong passphrase",
                "try again; nothing else opens this profile (no verb reads the 24 words yet)",
            ),
            (
                &["run"],
                b"",
                2,
                "input_needed",
                "the profile has a passphrase, and there is no terminal to ask on",
                "--passphrase-file F, or KITH_PASSPHRASE_FILE",
            ),
            (
                &["init", "--no-passphrase"],
                b"",
                6,
                "profile_exists",
                &format!("there is a profile in {home} already"),
                "kith run",
            ),
            (&["status"], b"", 3, "daemon_unreachable", "no daemon is running for this profile", "kith run"),
        ],
    );
    // A socket that nobody listens on any more.
    let socket = person.home().join("run/kith.sock");
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    check(&person, &[(&["me"], b"", 3, "daemon_unreachable", "no daemon is running for this profile", "kith run")]);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    let args = ["run", "--no-mdns", "--passphrase-file", "-", "--listen", &listen];
    let message = format!("another program already listens on {listen}");
    let hint = "stop the other program, or choose another port in network.listen (0 takes a free one)";
    check(&person, &[(&args, b"correct horse\n", 1, "port_in_use", &message, hint)]);

    let file = person.dir.path().join("pass");
    std::fs::write(&file, "correct horse\n").unwrap();
    let file = file.to_str().unwrap().to_owned();
    person.start(&["--passphrase-file", &file]);
    let pid = person.daemon.as_ref().unwrap().id();
    check(
        &person,
        &[(
            &["run", "--passphrase-file", &file],
            b"",
            6,
            "profile_in_use",
            &format!("{home} is in use by process {pid}"),
            "kith stop",
        )],
    );
}

#[test]
fn folders_that_cannot_hold_a_profile_are_named_with_what_the_system_says() {
    let person = Person::nobody();
    std::fs::write(person.home(), "a file").unwrap();
    let home = person.home().display().to_string();
    check(
        &person,
        &[(
            &["init", "--no-passphrase"],
            b"",
            1,
            "io",
            &format!("the profile in {home} cannot be used: not a directory"),
            "check the folder, or choose another one: --home DIR",
        )],
    );
}
