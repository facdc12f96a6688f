//! Invite codes that do not let in, by name.

use super::person::Person;
use super::{agree, check, info, invite, near, until};
use serde_json::json;

#[test]
fn codes_that_are_no_invites_are_named_and_change_nothing() {
    let (alice, relay) = (Person::online("alice"), Person::relay("corner"));
    alice.ok(&["channel", "create", "circle"]);
    let (code, link, _) = invite(&alice, &["#circle"]);
    let bob = near("bob", &alice);
    let contact = alice.ok(&["me"])["code"].as_str().unwrap().to_owned();
    let card = relay.ok(&["relay", "card"])["card"].as_str().unwrap().to_owned();
    let swap = |c: &str| if c == "q" { "p" } else { "q" };
    let typo = format!("{}{}{}", &code[..40], swap(&code[40..41]), &code[41..]);
    let again = "copy it again, or ask for the link";
    let whole = "copy the whole code: 64 characters that begin with kith1";
    let bare = "use the code without the part after the question mark";
    let peer = link.find("/p2p/").unwrap() + 5;
    let nobody = format!("{}{}", &link[..peer], "nobody");
    for (text, error, message, hint) in [
        (typo.as_str(), "code_typo", "the code has a typo", again),
        ("hello", "code_typo", "this is not a Kith code: one begins with kith1", again),
        (&code[..20], "code_truncated", "the code is cut short: 20 of 64 characters", whole),
        (&code[..63], "code_truncated", "the code is cut short: 63 of 64 characters", whole),
        (
            &contact,
            "code_wrong_kind",
            "this is a contact code, not a channel invite",
            "kith contact add CODE adds that person",
        ),
        (
            &card,
            "code_wrong_kind",
            "this is a relay card, not a channel invite",
            "kith relay add CARD lets that relay hold your mail",
        ),
        (&format!("kith:{code}?a=nonsense"), "code_bad_hint", "address hint 1 of the link is damaged", bare),
        (&nobody, "code_bad_hint", "the address in the link names no peer", "copy the link again, or ask for it"),
    ] {
        check(&bob, &[(&["join", text, "--yes"], 2, error, message, hint)]);
        let (exit, got, _) = bob.error(&["join", "-", "--yes"], text.as_bytes());
        assert_eq!((exit, got.as_str()), (2, error), "on stdin it is the same");
    }
    check(
        &bob,
        &[
            (
                &["join", &code],
                2,
                "input_needed",
                "joining takes a yes, and there is no terminal to ask on",
                "kith join CODE --yes",
            ),
            (
                &["contact", "add", &code],
                2,
                "code_wrong_kind",
                "this is a channel invite, not a contact code",
                "kith join CODE comes into that channel; people have a contact code: kith me",
            ),
        ],
    );
    assert_eq!(
        (bob.ok(&["channel", "list"])["items"].clone(), bob.ok(&["contact", "list"])["items"].clone()),
        (json!([]), json!([]))
    );
    // However it was pasted it is the same code.
    let upper = code.to_uppercase();
    let grouped = upper.as_bytes().chunks(4).map(|c| std::str::from_utf8(c).unwrap()).collect::<Vec<_>>();
    let words: Vec<&str> = ["join", "--yes"].into_iter().chain(grouped.iter().copied()).collect();
    assert_eq!(bob.ok(&words)["state"], "joined");
    let inspected = bob.ok(&["invite", "inspect", &format!("«{link}»")]);
    assert_eq!((&inspected["kind"], &inspected["checksum"]), (&json!("invite"), &json!("ok")));
    agree(&[&alice, &bob], "#circle", 2);
}

#[test]
fn invites_that_let_nobody_in_any_more_say_why() {
    let alice = Person::online("alice");
    alice.ok(&["channel", "create", "circle"]);
    // Good for as short as an invite can be: its time runs out while the others are tried.
    let (short, _, brief) = invite(&alice, &["#circle", "--expires", "1m"]);
    let (revoked, _, id) = invite(&alice, &["#circle"]);
    let (once, _, _) = invite(&alice, &["#circle", "--uses", "1"]);
    let (many, _, _) = invite(&alice, &["#circle"]);
    let (bob, carol) = (near("bob", &alice), near("carol", &alice));
    let new = "ask for a new invite";

    // Who finds the later invite could find the earlier ones: what leads to them is published together.
    assert_eq!(bob.ok(&["join", &once, "--yes"])["state"], "joined");
    assert_eq!(alice.ok(&["invite", "revoke", "#circle", &id[..8]])["changed"], true);
    assert_eq!(alice.ok(&["invite", "revoke", "#circle", &id])["changed"], false, "ended already");
    check(&carol, &[(&["join", &revoked, "--yes"], 6, "invite_revoked", "the invite was revoked", new)]);
    check(&carol, &[(&["join", &once, "--yes"], 6, "invite_used_up", "the invite is used up", new)]);
    // In already: nothing happens, and nothing is used up.
    assert_eq!(bob.ok(&["join", &once, "--yes"])["state"], "joined");
    assert_eq!(bob.ok(&["join", &many, "--yes"])["state"], "joined");
    let list = alice.ok(&["invite", "list", "#circle"])["items"].clone();
    assert!(list.as_array().unwrap().iter().all(|invite| invite["used"] == 0), "{list}");

    // Banned: told so, by every code, until it is lifted.
    assert_eq!(carol.ok(&["join", &many, "--yes"])["state"], "joined");
    agree(&[&alice, &bob, &carol], "#circle", 3);
    let account = carol.ok(&["me"])["account"].as_str().unwrap().to_owned();
    alice.ok(&["member", "ban", "#circle", "@carol"]);
    until(|| info(&carol, "#circle")["state"].clone(), |state| state == "removed");
    let lift = "who banned you, or another who may, lifts it: kith member unban";
    let banned = "you are banned from this channel";
    check(&carol, &[(&["join", &many, "--yes"], 5, "banned", banned, lift)]);
    alice.ok(&["member", "unban", "#circle", &account]);
    assert_eq!(carol.ok(&["join", &many, "--yes"])["state"], "joined");

    until(
        || alice.ok(&["invite", "list", "#circle"])["items"].clone(),
        |list| list.as_array().unwrap().iter().all(|invite| invite["id"] != brief.as_str()),
    );
    let dave = near("dave", &alice);
    check(&dave, &[(&["join", &short, "--yes"], 6, "invite_expired", "the invite has expired", new)]);
    assert_eq!(dave.ok(&["channel", "list"])["items"], json!([]));
    assert_eq!(dave.ok(&["join", &many, "--yes"])["state"], "joined", "another one is good");
    let wrong = "invalid value";
    for args in [["--uses", "0"], ["--history", "some"]] {
        let (exit, code, error) = alice.error(&["invite", "#circle", args[0], args[1]], b"");
        assert!(
            (exit, code.as_str()) == (2, "usage") && error["message"].as_str().unwrap().starts_with(wrong),
            "{error}"
        );
    }
    check(
        &alice,
        &[
            (
                &["invite", "#circle", "--expires", "59s"],
                2,
                "usage",
                "an invite is good for 1 minute to 365 days",
                "--expires 7d",
            ),
            (
                &["invite", "#circle", "--role", "no such"],
                4,
                "role_unknown",
                "no such role",
                "kith role list '#circle'",
            ),
            (
                &["invite", "revoke", "#circle", "zzzzzz"],
                4,
                "invite_unknown",
                "no such invite",
                "kith invite list '#circle'",
            ),
            (
                &["invite", "revoke", "#circle", "zz"],
                2,
                "bad_target",
                "not an invite's id, nor at least six characters of one",
                "kith invite list '#circle'",
            ),
        ],
    );
}
