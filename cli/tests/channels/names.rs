//! Names of channels and roles, and what they can mean.

use super::person::Person;
use super::{check, info};
use serde_json::json;

/// Names that are none, and why.
const BAD: [(&str, &str); 14] = [
    ("", "a name needs at least one visible character"),
    ("   ", "a name needs at least one visible character"),
    ("#", "a name needs at least one visible character"),
    ("a  b", "a name has no spaces at its ends, and single ones inside"),
    ("a\u{7}b", "a name has no control or invisible characters"),
    ("a\nb", "a name has no control or invisible characters"),
    ("\u{1b}[31mred", "a name has no control or invisible characters"),
    ("a\u{200b}b", "a name has no control or invisible characters"),
    ("abc\u{202e}def", "a name has no control or invisible characters"),
    ("a\u{a0}b", "a name has no control or invisible characters"),
    ("gener\u{430}l", "the name mixes letters of alphabets that look alike in one word"),
    ("\u{430}dmin", "the name mixes letters of alphabets that look alike in one word"),
    ("m\u{3bf}derators", "the name mixes letters of alphabets that look alike in one word"),
    ("ｏｗｎｅｒ", "the name has letters that only look like those of a keyboard"),
];

fn hint_of(message: &str, plain: &'static str) -> &'static str {
    if message.starts_with("the name ") { "choose letters of one alphabet" } else { plain }
}

#[test]
fn names_of_channels_look_like_what_they_are() {
    let alice = Person::online("alice");
    let long = "x".repeat(65);
    for (name, message) in BAD.into_iter().chain([(long.as_str(), "a name has at most 64 bytes")]) {
        let hint = hint_of(message, "choose a short, plain name");
        check(&alice, &[(&["channel", "create", name], 2, "bad_name", message, hint)]);
    }
    assert_eq!(alice.ok(&["channel", "list"])["items"], json!([]), "one was made");
    // Spaces, emoji, other alphabets, also those written from right to left, and marks of a shell are names like others.
    let good = ["reading circle", "🎉 party", "общий чат", "قناة عامة", "日本 club", "it's $HOME `ls` #1", &long[..64]];
    for name in good {
        let made = alice.ok(&["channel", "create", name]);
        assert_eq!((&made["name"], &made["state"]), (&json!(name), &json!("joined")));
        assert_eq!(info(&alice, &format!("#{name}"))["id"], made["id"], "{name}");
        alice.ok(&["send", &format!("#{name}"), "hi"]);
    }
    // The mark before it is no part of it; the space around it neither.
    let marked = alice.ok(&["channel", "create", " #General "]);
    assert_eq!(marked["name"], "General");
    for name in ["#general", "# GENERAL", "#General"] {
        assert_eq!(info(&alice, name)["id"], marked["id"], "{name}");
    }
    for (name, message) in [BAD[0], BAD[10], (long.as_str(), "a name has at most 64 bytes")] {
        let hint = hint_of(message, "choose a short, plain name");
        check(&alice, &[(&["channel", "rename", "#general", name], 2, "bad_name", message, hint)]);
    }
    let topic = "x".repeat(513);
    check(
        &alice,
        &[
            (
                &["channel", "topic", "#general", &topic],
                2,
                "usage",
                "the topic has 513 bytes, at most 512 are possible",
                "say it shorter",
            ),
            (
                &["channel", "topic", "#general", "a\nb"],
                2,
                "usage",
                "the topic is a line without control characters",
                "leave line breaks out",
            ),
            (
                &["channel", "info", "general"],
                4,
                "channel_unknown",
                "no channel's id begins with general",
                "channels are named with a #: '#General'",
            ),
            (
                &["send", "our general", "hi"],
                2,
                "bad_target",
                "neither a name nor an id",
                "people are @name or an id, channels #name or an id",
            ),
            (
                &["channel", "info", "#nothing"],
                4,
                "channel_unknown",
                "no channel is called #nothing",
                "kith channel list, or kith join CODE",
            ),
            (
                &["send", "#nothing", "hi"],
                4,
                "channel_unknown",
                "no channel is called #nothing",
                "kith channel list, or kith join CODE",
            ),
            (
                &["read", "#nothing"],
                4,
                "channel_unknown",
                "no channel is called #nothing",
                "kith channel list, or kith join CODE",
            ),
            (
                &["channel", "info", "@General"],
                2,
                "bad_target",
                "that is a person, and a channel is needed",
                "channels are '#name' or an id: kith channel list",
            ),
        ],
    );
    assert_eq!(info(&alice, "#general")["topic"], "");

    // Two of one name: neither is meant by it, each by its id, and hints say so.
    let second = alice.ok(&["channel", "create", "general"]);
    assert_eq!(info(&alice, "#general")["id"], second["id"], "exactly so before in any case");
    let third = alice.ok(&["channel", "create", "general"]);
    let (exit, code, error) = alice.error(&["send", "#general", "to which?"], b"");
    assert_eq!((exit, code.as_str()), (4, "ambiguous"));
    let candidates = error["candidates"].as_array().unwrap();
    for made in [&second, &third] {
        let id = made["id"].as_str().unwrap();
        assert!(candidates.iter().any(|c| c.as_str().unwrap().starts_with(id)), "{error}");
        alice.ok(&["send", &id[..8], "to this one"]);
    }
    let id = third["id"].as_str().unwrap();
    let list = format!("kith role list {}", &id[..12]);
    check(&alice, &[(&["role", "drop", &id[..8], "no such"], 4, "role_unknown", "no such role", &list)]);
}

#[test]
fn names_of_roles_look_like_what_they_are_and_never_inherit_from_themselves() {
    let alice = Person::online("alice");
    alice.ok(&["channel", "create", "it's ours"]);
    let channel = "#it's ours";
    let words = "roles are words such as member, moderator, admin";
    let long = "x".repeat(65);
    for (name, message) in BAD.into_iter().chain([(long.as_str(), "a name has at most 64 bytes")]) {
        if name == "#" {
            continue;
        }
        check(&alice, &[(&["role", "define", channel, name], 2, "bad_name", message, hint_of(message, words))]);
    }
    let taken = "choose another name: owner, admin, moderator, member and reader are taken";
    let list = r"kith role list '#it'\''s ours'";
    check(
        &alice,
        &[
            (&["role", "define", channel, "Admin"], 2, "bad_name", "the role is every channel's own", taken),
            (&["role", "drop", channel, "owner"], 2, "bad_name", "the role is every channel's own", taken),
            (&["role", "drop", channel, "no such"], 4, "role_unknown", "no such role", list),
            (&["role", "define", channel, "a", "--inherit", "b"], 4, "role_unknown", "no such role", list),
            (
                &["role", "define", channel, "a", "--inherit", "a"],
                2,
                "role_cycle",
                "the role would inherit from itself",
                list,
            ),
        ],
    );
    for name in ["greeter", "guest of honour", "🎉", "помощник", "مساعد"] {
        assert_eq!(
            alice.ok(&["role", "define", channel, name, "--inherit", "member", "--allow", "approve"])["changed"],
            true
        );
    }
    alice.ok(&["role", "define", channel, "second", "--inherit", "greeter"]);
    alice.ok(&["role", "define", channel, "third", "--inherit", "second"]);
    check(
        &alice,
        &[(
            &["role", "define", channel, "Greeter", "--inherit", "third"],
            2,
            "role_cycle",
            "the role would inherit from itself",
            list,
        )],
    );
    let roles = alice.ok(&["role", "list", channel])["items"].clone();
    let greeter = roles.as_array().unwrap().iter().find(|role| role["name"] == "greeter").unwrap();
    assert_eq!(
        (&greeter["inherits"], &greeter["allow"]),
        (&json!(["member"]), &json!(["approve"])),
        "nothing was changed"
    );
    let (exit, code, error) = alice.error(&["role", "define", channel, "x", "--allow", "fly"], b"");
    assert_eq!((exit, code.as_str()), (2, "usage"));
    assert!(error["message"].as_str().unwrap().contains("no right is called so; there are send, "), "{error}");
    assert_eq!(alice.ok(&["role", "drop", channel, "third"])["changed"], true);
}
