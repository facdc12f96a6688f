//! What a member may not do, by name, and that it changes nothing.

use super::{agree, check, circle, info, near, read, reads, say, until};
use serde_json::json;

#[test]
fn nobody_gives_more_than_they_have_or_acts_on_who_does_not_stand_below() {
    let (alice, bob, carol, code) = circle();
    let account = |p: &super::Person| p.ok(&["me"])["account"].as_str().unwrap().to_owned();
    let (creator, other) = (account(&alice), account(&carol));
    alice.ok(&["member", "role", "#circle", "@bob", "admin"]);
    until(|| info(&bob, "#circle")["roles"].clone(), |roles| roles.as_array().unwrap().contains(&json!("admin")));
    let may = "kith member list '#circle' shows who may; roles: kith role list '#circle'";
    let above = "one acts on members below oneself; owners on each other, nobody on the creator";
    let list = "kith member list '#circle'";
    let before = info(&alice, "#circle")["ops"].clone();
    check(
        &carol,
        &[
            (&["member", "remove", "#circle", "@bob"], 5, "not_permitted", "lacks the right to kick", may),
            (&["member", "ban", "#circle", "@bob"], 5, "not_permitted", "lacks the right to ban", may),
            (
                &["member", "role", "#circle", "@bob", "member"],
                5,
                "not_permitted",
                "lacks the right to assign_role",
                may,
            ),
            (&["member", "mute", "#circle", "@bob"], 5, "not_permitted", "lacks the right to mute", may),
            (&["role", "define", "#circle", "x"], 5, "not_permitted", "lacks the right to assign_role", may),
            (&["channel", "rename", "#circle", "mine"], 5, "not_permitted", "lacks the right to edit_meta", may),
            (&["channel", "topic", "#circle", "mine"], 5, "not_permitted", "lacks the right to edit_meta", may),
            (
                &["channel", "set", "#circle", "retention=1d"],
                5,
                "not_permitted",
                "lacks the right to set_retention",
                may,
            ),
            (
                &["invite", "#circle", "--role", "admin"],
                5,
                "more_than_held",
                "gives more rights than the giver has",
                "one gives only what one has: kith channel info '#circle'",
            ),
            (&["member", "remove", "#circle", &other], 2, "bad_target", "that is you", "kith channel leave '#circle'"),
        ],
    );
    check(
        &bob,
        &[
            (
                &["member", "role", "#circle", "@carol", "owner"],
                5,
                "more_than_held",
                "gives more rights than the giver has",
                "one gives only what one has: kith channel info '#circle'",
            ),
            (
                &["invite", "#circle", "--role", "owner"],
                5,
                "more_than_held",
                "gives more rights than the giver has",
                "one gives only what one has: kith channel info '#circle'",
            ),
            (&["member", "remove", "#circle", "@alice"], 5, "not_above", "the other does not stand below", above),
            (&["member", "ban", "#circle", &creator[..10]], 5, "not_above", "the other does not stand below", above),
            (&["member", "mute", "#circle", "@alice"], 5, "not_above", "the other does not stand below", above),
            (
                &["member", "role", "#circle", "@alice", "owner", "--take"],
                5,
                "not_above",
                "the other does not stand below",
                above,
            ),
            (
                &["member", "role", "#circle", "@carol", "no such"],
                4,
                "role_unknown",
                "no such role",
                "kith role list '#circle'",
            ),
            (
                &["member", "role", "#circle", "@nobody", "member"],
                4,
                "member_unknown",
                "nobody called @nobody is a member of this channel",
                list,
            ),
            (
                &["member", "remove", "#circle", "zzzzzz"],
                4,
                "member_unknown",
                "nobody whose id begins with zzzzzz is a member of this channel",
                list,
            ),
            (
                &["member", "approve", "#circle", "@carol"],
                4,
                "member_unknown",
                "nobody called @carol is waiting for approval",
                "kith channel requests '#circle'",
            ),
        ],
    );
    let last = (
        6,
        "last_owner",
        "you are the channel's last owner",
        "make somebody else owner first: kith member role '#circle' @PERSON owner",
    );
    check(&alice, &[(&["channel", "leave", "#circle"], last.0, last.1, last.2, last.3)]);
    for person in [&alice, &bob, &carol] {
        assert_eq!(info(person, "#circle")["ops"], before, "something was done all the same");
    }

    // What the hint says puts it right: an owner may act on another, not on whoever made it; and then leave.
    alice.ok(&["member", "role", "#circle", "@bob", "owner"]);
    until(|| info(&bob, "#circle")["roles"].clone(), |roles| roles.as_array().unwrap().contains(&json!("owner")));
    check(
        &bob,
        &[(&["member", "remove", "#circle", "@alice"], 5, "not_above", "the other does not stand below", above)],
    );
    assert_eq!(alice.ok(&["channel", "leave", "#circle"])["changed"], true);
    until(|| info(&bob, "#circle")["members"].clone(), |members| *members == 2);
    let gone = ("you are not in this channel any more", "ask for an invite: kith join CODE");
    check(
        &alice,
        &[
            (&["send", "#circle", "hi"], 5, "not_member", gone.0, gone.1),
            (&["channel", "rename", "#circle", "mine"], 5, "not_member", gone.0, gone.1),
            (&["invite", "#circle"], 5, "not_member", gone.0, gone.1),
            (&["member", "remove", "#circle", "@bob"], 5, "not_member", gone.0, gone.1),
        ],
    );
    agree(&[&bob, &carol], "#circle", 2);
    say(&carol, "#circle", "we go on");
    reads(&bob, "#circle", &["we go on"]);
    // The invite of one who left is over with them.
    let dave = near("dave", &bob);
    assert_eq!(dave.error(&["join", &code, "--yes", "--wait", "20s"], b"").1, "invite_revoked");
    assert_eq!(info(&bob, "#circle")["members"], 2);
}

#[test]
fn what_is_not_there_or_not_ones_own_is_not_edited_reacted_to_deleted_or_pinned() {
    let (alice, bob, carol, _) = circle();
    alice.befriend("alice", &bob, "bob");
    let personal = alice.ok(&["send", "@bob", "between us", "--wait", "delivered"])["id"].as_str().unwrap().to_owned();
    let hers = say(&alice, "#circle", "from alice");
    let taken = say(&alice, "#circle", "taken back");
    reads(&bob, "#circle", &["from alice", "taken back"]);
    alice.ok(&["delete", &taken, "--everyone"]);
    for person in [&alice, &bob, &carol] {
        reads(person, "#circle", &["from alice"]);
    }
    let may = "kith member list '#circle' shows who may; roles: kith role list '#circle'";
    let ids = "kith read '#NAME' --json shows ids";
    let here = "kith read '#circle' --json shows ids";
    let none = "a".repeat(26);
    let gone = "that message was taken back";
    for verb in [&["edit", "x"][..], &["react", "👍"], &["delete", "--everyone"], &["pin"]] {
        let of = |id: &str| [&[verb[0], id], &verb[1..]].concat().iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        for (id, exit, code, message, hint) in [
            ("zzzzzz", 4, "message_unknown", "no message's id begins with zzzzzz", "kith read @NAME --json shows ids"),
            (
                "zz",
                2,
                "bad_target",
                "a message is named by its id, or at least six characters of it",
                "kith read @NAME --json shows ids",
            ),
            (&none, 4, "message_unknown", &format!("no message {none}"), "kith read @NAME --json shows ids"),
            (&personal, 2, "usage", "this message is no channel's: there is nothing but text to people yet", ids),
            (&taken, 4, "message_unknown", gone, here),
        ] {
            let args = of(id);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            check(&bob, &[(&args, exit, code, message, hint)]);
        }
    }
    check(
        &bob,
        &[
            (&["edit", &hers, "mine now"], 5, "not_permitted", "only its author may edit a message", here),
            (&["delete", &hers, "--everyone"], 5, "not_permitted", "lacks the right to delete_others", may),
            (
                &["delete", &hers],
                2,
                "usage",
                "a message cannot be deleted on this machine alone yet",
                "--everyone asks all members to hide it",
            ),
            (&["pin", &hers], 5, "not_permitted", "lacks the right to pin", may),
            (&["edit", &hers, " "], 2, "empty_message", "the message is empty", "kith send @NAME 'some text'"),
            (
                &["send", "#circle", "hi", "--reply", "zzzzzz"],
                4,
                "message_unknown",
                "no message's id begins with zzzzzz",
                "kith read @NAME --json shows ids",
            ),
            (
                &["send", "#circle", "hi", "--reply", &personal],
                4,
                "message_unknown",
                "that message stands in another conversation",
                here,
            ),
            (
                &["send", "@alice", "hi", "--reply", &hers],
                2,
                "usage",
                "answers to a message are given in channels only, for now",
                "leave --reply out",
            ),
        ],
    );
    for emoji in ["", " ", "a\u{7}", "\u{202e}", "thumbs up", &"👍".repeat(17)] {
        let (exit, code, error) = bob.error(&["react", &hers, emoji], b"");
        assert_eq!((exit, code.as_str()), (2, "usage"), "{emoji:?}: {error}");
    }
    // Nothing came of all that.
    say(&bob, "#circle", "last");
    for person in [&alice, &bob, &carol] {
        reads(person, "#circle", &["from alice", "last"]);
        let first = read(person, "#circle")[0].clone();
        assert_eq!(
            (&first["edited"], &first["pinned"], &first["reactions"]),
            (&json!(false), &json!(false), &json!([]))
        );
    }
}
