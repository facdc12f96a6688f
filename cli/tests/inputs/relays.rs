//! What goes wrong with relays, by name.

use super::person::Person;
use super::{INVITE, check};
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

#[test]
fn cards_of_relays_that_do_not_fit_are_named() {
    let relay = Person::relay("corner");
    let card = relay.ok(&["relay", "card"]);
    let (code, url) = (card["card"].as_str().unwrap().to_owned(), card["url"].as_str().unwrap().to_owned());
    let alice = Person::online("alice");
    let contact = alice.ok(&["me"])["code"].as_str().unwrap().to_owned();
    let swap = |c: &str| if c == "q" { "p" } else { "q" };
    let typo = format!("{}{}{}", &code[..40], swap(&code[40..41]), &code[41..]);
    let again = "copy it again, or ask for the link";
    let whole = "copy the whole card: 90 characters that begin with kith1";
    let add = |card: &str| vec!["relay".to_owned(), "add".to_owned(), card.to_owned()];
    for (text, error, message, hint) in [
        (typo.as_str(), "code_typo", "the code has a typo", again),
        (&code[..20], "code_truncated", "the code is cut short: 20 of 90 characters", whole),
        (
            &contact,
            "code_wrong_kind",
            "this is a contact code, not a relay card",
            "kith contact add CODE adds that person; a relay's card comes from its operator",
        ),
        (
            INVITE,
            "code_wrong_kind",
            "this is a channel invite, not a relay card",
            "ask the relay's operator for its card: kith relay card",
        ),
        (
            &format!("{url}&a=%zz"),
            "code_bad_hint",
            &format!("address hint {} of the link is damaged", url.matches("a=").count() + 1),
            "copy the link again, or ask for it",
        ),
        (
            &code,
            "code_bad_hint",
            "the card says which relay it is, not where it listens",
            "ask for the link: kith relay card shows both",
        ),
    ] {
        let args = add(text);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        check(&alice, &[(&args, b"", 2, error, message, hint)]);
        check(&alice, &[(&["relay", "add", "-"], text.as_bytes(), 2, error, message, hint)]);
    }
    check(
        &alice,
        &[
            (
                &["contact", "add", &code],
                b"",
                2,
                "code_wrong_kind",
                "this is a relay card, not a contact code",
                "kith relay add CARD lets that relay hold your mail; people have a contact code: kith me",
            ),
            (&["relay", "card"], b"", 4, "no_relay", "this node runs no relay", "kith relay run"),
            (&["relay", "stats"], b"", 4, "no_relay", "this node runs no relay", "kith relay run"),
            (&["relay", "invite"], b"", 4, "no_relay", "this node runs no relay", "kith relay run"),
            (
                &["relay", "remove", "zzzzzz"],
                b"",
                4,
                "relay_unknown",
                "no relay of yours begins with zzzzzz",
                "kith relay list",
            ),
            (
                &["relay", "remove", "zz"],
                b"",
                2,
                "bad_target",
                "not an id, nor at least six characters of one",
                "kith relay list",
            ),
        ],
    );
    assert_eq!(alice.ok(&["relay", "list"])["items"], Value::Array(Vec::new()), "none was added");
    check(
        &relay,
        &[
            (
                &["relay", "add", &url],
                b"",
                2,
                "relay_own",
                "that is the relay that this node runs",
                "give the card to others: kith relay card; this node's own mail needs another relay",
            ),
            (&["relay", "block", "zzzzzz"], b"", 4, "not_found", "no mailbox begins with zzzzzz", "kith relay members"),
            (
                &["relay", "invite", "revoke", "ffffff"],
                b"",
                4,
                "not_found",
                "no invite that still admits begins with ffffff",
                "kith relay invite list",
            ),
            (
                &["relay", "quota", "zzzzzz"],
                b"",
                2,
                "usage",
                "the following required arguments were not provided: --envelopes <N>",
                "kith relay quota --help",
            ),
            (
                &["relay", "quota", "zzzzzz", "--envelopes", "5", "--bytes", "4MB"],
                b"",
                2,
                "usage",
                "invalid value '4MB' for '--bytes <SIZE>': a size such as 400000, 64KiB, 128MiB or 4GiB",
                "kith relay quota --help",
            ),
            (
                &["relay", "invite", "--expires", "0s"],
                b"",
                2,
                "usage",
                "an invite that admits nobody",
                "at least one use, and an end that lies ahead",
            ),
        ],
    );
    // A relay for members refuses who was not invited, and says so as often as it is asked; an invite changes its mind.
    let id = card["relay"].as_str().unwrap().to_owned();
    let refused = "the relay refuses: it is for members only: ask its operator for an invite";
    let hint = format!("kith relay add LINK with an invite of its operator, or kith relay remove {}", &id[..12]);
    for _ in 0..2 {
        check(&alice, &[(&["relay", "add", &url], b"", 5, "relay_refused", refused, &hint)]);
    }
    assert_eq!(alice.ok(&["relay", "list"])["items"][0]["state"], "refused");
    let invite = relay.ok(&["relay", "invite"])["url"].as_str().unwrap().to_owned();
    let added = alice.ok(&["relay", "add", &format!(" «{invite}» ")]);
    assert_eq!((&added["state"], &added["changed"]), (&"ready".into(), &true.into()));
    // An address that names no peer changes nothing, though the code in front of it is right.
    let hint = "copy the link again, or ask for it";
    let damaged = format!("{}xx", url.split_once("&a=").map_or(&*url, |(first, _)| first));
    let what = "the address in the link names no peer";
    check(&alice, &[(&["relay", "add", &damaged], b"", 2, "code_bad_hint", what, hint)]);
    assert_eq!(alice.ok(&["relay", "list"])["items"][0]["state"], "ready");
    // In use already is no error.
    assert_eq!(alice.ok(&["relay", "add", &invite])["changed"], false);
    assert_eq!(alice.ok(&["relay", "add", &code])["changed"], false, "where it listens is known");
}

#[test]
fn relays_that_are_away_or_others_than_their_card_says_are_named() {
    let mut first = Person::relay("first");
    let second = Person::relay("second");
    let card = |of: &Person| of.ok(&["relay", "card"]);
    let (one, two) = (card(&first), card(&second));
    let id = one["relay"].as_str().unwrap().to_owned();
    let alice = Person::online("alice");
    // The card of one with the address of another.
    let (_, place) = two["url"].as_str().unwrap().split_once('?').unwrap();
    let wrong = format!("kith:{}?{place}", one["card"].as_str().unwrap());
    let message = "another key than the card's answers there: ask for its card again";
    let hint = format!("kith relay remove {}", &id[..12]);
    check(&alice, &[(&["relay", "add", &wrong], b"", 9, "relay_wrong_key", message, &hint)]);
    assert_eq!(alice.ok(&["status"])["relays"][0]["state"], "wrong_key");
    assert_eq!(alice.ok(&["relay", "remove", &id[..12]])["changed"], true);
    assert_eq!(alice.ok(&["relay", "list"])["items"], Value::Array(Vec::new()));
    // A node answers there that is no relay.
    let mut carol = Person::online("carol");
    let none = format!("kith:{}?a={}", one["card"].as_str().unwrap(), carol.address());
    let message = "the relay refuses: the node there runs no relay";
    let invited = format!("kith relay add LINK with an invite of its operator, or {hint}");
    check(&alice, &[(&["relay", "add", &none], b"", 5, "relay_refused", message, &invited)]);
    carol.stop();
    // Nobody there: it stays added.
    let invite = first.ok(&["relay", "invite"])["url"].as_str().unwrap().to_owned();
    first.kill();
    let message = "the relay did not answer within 200 ms; it stays added and is asked again";
    check(&alice, &[(&["relay", "add", &invite, "--wait", "200ms"], b"", 7, "not_yet", message, "kith relay list")]);
    let listed = alice.ok(&["relay", "add", &invite, "--wait", "0s"]);
    assert_eq!((&listed["state"], &listed["changed"]), (&"new".into(), &false.into()));
    // It comes back, and the same card is good.
    first.run(&["relay", "run", "--name", "first"]);
    assert_eq!(alice.ok(&["relay", "add", &invite])["state"], "ready");
}

#[test]
fn invites_that_admit_nobody_are_told_apart_from_none() {
    let (relay, alice, bob) = (Person::relay("corner"), Person::online("alice"), Person::online("bob"));
    let invite = |args: &[&str]| {
        let made = relay.ok(&[&["relay", "invite"], args].concat());
        (made["url"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
    };
    let admitting = || relay.ok(&["relay", "invite", "list"])["items"].as_array().unwrap().len();
    let (revoked, id) = invite(&[]);
    assert_eq!(relay.ok(&["relay", "invite", "revoke", &id])["changed"], true);
    let (used, _) = invite(&[]);
    assert_eq!(bob.ok(&["relay", "add", &used])["state"], "ready");
    let (lapsed, _) = invite(&["--expires", "1s"]);
    while admitting() > 0 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let card = relay.ok(&["relay", "card"]);
    let short = &card["relay"].as_str().unwrap()[..12];
    let message = "the relay refuses: the invite is unknown there, lapsed or used up: ask its operator for another";
    let hint = format!("kith relay add LINK with an invite of its operator, or kith relay remove {short}");
    for link in [&revoked, &used, &lapsed] {
        check(&alice, &[(&["relay", "add", link], b"", 5, "relay_refused", message, &hint)]);
    }
    assert_eq!(relay.ok(&["relay", "stats"])["mailboxes"], 1, "who was refused left nothing");
    assert_eq!(alice.ok(&["relay", "add", &invite(&[]).0])["state"], "ready");
    assert_eq!(relay.ok(&["relay", "members"])["items"].as_array().unwrap().len(), 2);
}

#[test]
fn a_relay_does_not_run_where_others_can_read_or_where_it_cannot_keep_mail() {
    let mut relay = Person::new("corner");
    let shared = relay.dir.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let open = |path: &Path, mode: u32| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let file = shared.join("mail.redb");
    let store = format!("redb:{}", file.display());
    let run = ["relay", "run", "--no-mdns", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--store", &store];
    let refused = |person: &Person, path: &Path, mode: u32| {
        let message = format!("{} must belong to you alone (mode {mode:o})", path.display());
        check(person, &[(&run, b"", 5, "not_permitted", &message, &format!("chmod go-rwx {}", path.display()))]);
    };
    open(&shared, 0o755);
    refused(&relay, &shared, 0o755);
    assert!(!file.exists(), "nothing was written where others look");
    open(&shared, 0o700);
    relay.run(&["relay", "run", "--store", &store]);
    relay.stop();
    open(&file, 0o640);
    refused(&relay, &file, 0o640);
    open(&file, 0o600);
    // The profile's own folder is made private again by itself.
    open(&relay.home(), 0o750);
    relay.run(&["relay", "run", "--store", &store]);
    relay.stop();
    assert_eq!(std::fs::metadata(relay.home()).unwrap().permissions().mode() & 0o7777, 0o700);

    let help = "kith relay run --help";
    check(
        &relay,
        &[
            (
                &["relay", "run", "--store", "postgres://somewhere"],
                b"",
                2,
                "usage",
                "no store that a relay can use: postgres://somewhere",
                "--store redb:PATH, or leave it out",
            ),
            (
                &["relay", "run", "--name", "a\u{1b}b"],
                b"",
                2,
                "bad_name",
                "the name has characters that do not show",
                "choose a shorter, plain name",
            ),
            (
                &["relay", "run", "--days", "0"],
                b"",
                2,
                "usage",
                "invalid value '0' for '--days <N>': 0 is not in 1..=90",
                help,
            ),
            (
                &["relay", "run", "--total-bytes", "1MB"],
                b"",
                2,
                "usage",
                "invalid value '1MB' for '--total-bytes <SIZE>': a size such as 400000, 64KiB, 128MiB or 4GiB",
                help,
            ),
            (
                &["relay", "run", "--open", "--members-only"],
                b"",
                2,
                "usage",
                "the argument '--open' cannot be used with '--members-only'",
                help,
            ),
        ],
    );
}
