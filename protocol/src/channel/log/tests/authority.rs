//! People who want more than they have.

use super::kit::*;
use crate::{
    Timestamp,
    channel::{Act, BadOp, Conditions, Graph, Mode, Op, Permission as P, Permissions, Refused, Role},
    crypto::label,
    limits::{INVITE_MS_MAX, INVITE_USES_MAX, ROLE_DEPTH_MAX, ROLES_MAX},
    proto::channel as proto,
    wire::{self, Signed},
};

/// Signs an operation whose body nobody here would write.
fn crafted(branch: &Branch, who: Who, kind: u32, body: Vec<u8>) -> Result<Op, BadOp> {
    let author = who.author();
    let payload = wire::encode(&proto::Op {
        version: 1,
        channel: branch.channel().as_bytes().to_vec(),
        parents: branch.graph.heads().iter().map(|p| p.as_bytes().to_vec()).collect(),
        account: author.account.as_bytes().to_vec(),
        device: author.device.as_bytes().to_vec(),
        at_ms: tick().as_millis(),
        kind,
        body,
    });
    Op::decode(&Signed::sign(label::CHANNEL_OP, payload, author.key).encode(), tick())
}

#[test]
fn sec_demoted_admin_lets_nobody_in() {
    let mut here = Branch::with(&[(BOB, "admin")]);
    let mut there = here.clone();
    here.does(ALICE, &revoke(BOB, "admin"));
    let (_, why) = here.tries(BOB, &admit(CARL, "member"));
    assert_eq!(why, Some(Refused::Lacks(P::Approve)));
    let meanwhile = there.does(BOB, &admit(DORA, "member"));
    here.meets(&mut there);
    assert_eq!(here.why(&meanwhile), Some(Refused::Lacks(P::Approve)));
    assert!(!here.is_in(CARL) && !here.is_in(DORA) && here.is_in(BOB));
}

#[test]
fn sec_admin_demotes_no_creator() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "owner")]);
    for who in [BOB, CARL] {
        for act in [revoke(ALICE, "owner"), kick(ALICE), ban(ALICE)] {
            let (_, why) = here.tries(who, &act);
            assert_eq!(why, Some(Refused::NotAbove));
        }
    }
    assert_eq!(here.roles(ALICE), ["owner"]);
}

#[test]
fn sec_self_promotion() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "moderator"), (DORA, "member")]);
    let all = Permissions::ALL;
    for (who, act, why) in [
        (DORA, grant(DORA, "admin"), Refused::Lacks(P::AssignRole)),
        (CARL, grant(CARL, "admin"), Refused::Lacks(P::AssignRole)),
        (BOB, grant(BOB, "owner"), Refused::MoreThanHeld),
        (CARL, define("boss", all), Refused::Lacks(P::AssignRole)),
        (BOB, define_role("boss", &["owner"], Permissions::NONE, Permissions::NONE), Refused::MoreThanHeld),
        (BOB, define("admin", all), Refused::BuiltinRole),
        (CARL, admit(EVE, "moderator"), Refused::Lacks(P::AssignRole)),
        (CARL, admit(EVE, "admin"), Refused::MoreThanHeld),
        (DORA, Act::PostInvite(Code::new(&here.channel(), 1).terms("moderator", 1)), Refused::MoreThanHeld),
    ] {
        assert_eq!(here.tries(who, &act).1, Some(why), "{act:?}");
    }
    assert_eq!(here.roles(BOB), ["admin", "member"]);
    assert_eq!(
        (here.roles(CARL), here.roles(DORA)),
        (vec!["member".into(), "moderator".into()], vec!["member".into()])
    );
}

#[test]
fn sec_unknown_permission_bits_are_no_operation() {
    let here = Branch::new();
    for bits in [1 << 16, 1 << 31, u32::MAX] {
        for (allow, deny) in [(bits, 0), (0, bits)] {
            let role = proto::DefineRole { name: "x".into(), inherits: vec![], allow, deny, conditions: None };
            let op = crafted(&here, ALICE, 6, wire::encode(&role));
            assert_eq!(op.err(), Some(BadOp::Wire(wire::Error::Unknown(bits))));
        }
    }
    let role = proto::DefineRole { name: "x".into(), inherits: vec![], allow: 1, deny: 2, conditions: None };
    assert!(crafted(&here, ALICE, 6, wire::encode(&role)).is_ok());
    for kind in [0, 17, u32::MAX] {
        assert_eq!(crafted(&here, ALICE, kind, vec![]).err(), Some(BadOp::Wire(wire::Error::Unknown(kind))));
    }
}

#[test]
fn sec_smallest_and_largest_values_do_no_harm() {
    let mut here = Branch::with(&[(BOB, "admin")]);
    let code = Code::new(&here.channel(), 1);
    let terms = |uses, expires| Act::PostInvite(crate::channel::InviteTerms { expires, ..code.terms("member", uses) });
    let (zero, end) = (Timestamp::from_millis(0), Timestamp::from_millis(u64::MAX));
    let week = tick().plus_days(7);
    for act in [terms(0, week), terms(INVITE_USES_MAX + 1, week), terms(u32::MAX, week), terms(1, end)] {
        assert_eq!(here.tries(BOB, &act).1, Some(Refused::OutOfBounds));
    }
    assert_eq!(here.may(BOB, &terms(INVITE_USES_MAX, week)), Ok(()));
    assert_eq!(here.may(BOB, &terms(1, zero)), Ok(()), "an invite that was over before it began lets nobody in");
    // An operation at the end or the beginning of time counts like any other.
    for at in [zero, end] {
        let act = terms(1, at.plus_millis(INVITE_MS_MAX));
        let op = here.graph.allow(BOB.id(), BOB.device(), &act, at).unwrap().sign(BOB.author().key).unwrap();
        assert_eq!(here.graph.add(op).unwrap().refused, None);
        let until = Act::GrantRole { account: BOB.id(), role: role("moderator"), until: Some(at) };
        let op = here.graph.allow(ALICE.id(), ALICE.device(), &until, at).unwrap().sign(ALICE.author().key).unwrap();
        assert_eq!(here.graph.add(op).unwrap().refused, None);
    }
    here.does(ALICE, &call_it("still here"));
}

#[test]
fn c05_40_roles_give_no_more_than_their_makers_have() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member"), (DORA, "member"), (FRED, "owner")]);
    here.does(ALICE, &define("keeper", Permissions::of(&[P::AssignRole, P::Pin])));
    here.does(ALICE, &grant(CARL, "keeper"));
    let pin = Permissions::of(&[P::Pin]);
    here.does(CARL, &define("pinner", pin));
    assert_eq!(here.may(CARL, &define("kicker", Permissions::of(&[P::Kick]))), Err(Refused::MoreThanHeld));
    assert_eq!(
        here.may(CARL, &define_role("kicker", &["moderator"], Permissions::NONE, Permissions::NONE)),
        Err(Refused::MoreThanHeld)
    );
    // Not even where what it takes away would leave nothing too much.
    let bound = define_role("kicker", &["moderator"], Permissions::NONE, Permissions::ALL);
    assert_eq!(here.may(CARL, &bound), Err(Refused::MoreThanHeld));
    // A role is made wider after it was granted: by who has what it gives.
    here.does(CARL, &grant(DORA, "pinner"));
    assert_eq!(here.may(CARL, &define("pinner", pin.with(Permissions::of(&[P::Ban])))), Err(Refused::MoreThanHeld));
    here.does(BOB, &define("pinner", pin.with(Permissions::of(&[P::Ban]))));
    assert!(here.graph.permissions(&DORA.id(), tick()).has(P::Ban));
    assert_eq!(here.may(CARL, &grant(EVE, "pinner")), Err(Refused::UnknownMember));
    assert_eq!(here.may(CARL, &grant(DORA, "pinner")), Err(Refused::MoreThanHeld));
    assert_eq!(here.may(CARL, &drop_role("pinner")), Err(Refused::MoreThanHeld));
    // Dropped, it gives nothing, and comes back to nobody.
    here.does(BOB, &drop_role("pinner"));
    assert!(!here.graph.permissions(&DORA.id(), tick()).has(P::Ban));
    here.does(BOB, &define("pinner", pin.with(Permissions::of(&[P::Ban]))));
    assert_eq!(here.roles(DORA), ["member"]);
}

#[test]
fn c05_40_circles_and_towers_of_roles_are_refused() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin")]);
    let inherits = |name: &str, from: &[&str]| define_role(name, from, Permissions::of(&[P::Pin]), Permissions::NONE);
    assert_eq!(here.may(BOB, &inherits("r0", &["r0"])), Err(Refused::RoleCycle));
    assert_eq!(here.may(BOB, &inherits("r0", &["nobody"])), Err(Refused::UnknownRole));
    here.does(BOB, &inherits("r0", &[]));
    for n in 1..ROLE_DEPTH_MAX {
        here.does(BOB, &inherits(&format!("r{n}"), &[&format!("r{}", n - 1)]));
    }
    let top = format!("r{}", ROLE_DEPTH_MAX - 1);
    assert_eq!(here.may(BOB, &inherits("r99", &[&top])), Err(Refused::RoleCycle));
    assert_eq!(here.may(BOB, &inherits("r0", &[&top])), Err(Refused::RoleCycle));
    assert_eq!(here.may(BOB, &inherits("r0", &["r1"])), Err(Refused::RoleCycle));
    for n in ROLE_DEPTH_MAX..ROLES_MAX {
        here.does(BOB, &inherits(&format!("s{n}"), &[]));
    }
    assert_eq!(here.may(BOB, &inherits("one more", &[])), Err(Refused::TooMany));

    // Two who do not know of each other close a circle: it gives what both say, and no more, in bounded time.
    let mut there = here.clone();
    here.does(BOB, &inherits("s20", &["s21"]));
    there.does(CARL, &inherits("s21", &["s20"]));
    here.meets(&mut there);
    here.does(ALICE, &grant(BOB, "s20"));
    assert!(here.graph.permissions(&BOB.id(), tick()).has(P::Pin));
}

#[test]
fn c05_40_nested_delegation_falls_with_who_began_it() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member"), (DORA, "member")]);
    let mut there = here.clone();
    here.does(ALICE, &kick(BOB));
    let granted = there.does(BOB, &grant(CARL, "admin"));
    let passed_on = there.does(CARL, &grant(DORA, "moderator"));
    let used = there.does(DORA, &admit(EVE, "member"));
    here.meets(&mut there);
    assert!([granted, passed_on, used].iter().all(|op| !here.holds(op)));
    assert_eq!((here.roles(CARL), here.roles(DORA)), (vec!["member".to_owned()], vec!["member".to_owned()]));
    assert!(!here.is_in(EVE));
}

#[test]
fn r_mem_6_taking_rights_away_by_a_role_is_an_act_on_whoever_holds_it() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member"), (DORA, "owner"), (EVE, "member")]);
    here.does(BOB, &define_role("gag", &[], Permissions::NONE, Permissions::ALL));
    here.does(BOB, &define_role("quiet", &["gag"], Permissions::NONE, Permissions::NONE));
    for what in ["gag", "quiet"] {
        assert_eq!(here.may(BOB, &grant(DORA, what)), Err(Refused::NotAbove));
        assert_eq!(here.may(BOB, &grant(EVE, what)), Ok(()));
    }
    // Carl is an admin by a role of the channel's own, so Bob, his equal, neither ends nor narrows it.
    here.does(ALICE, &define("boss", Permissions::ALL));
    here.does(ALICE, &define_role("chief", &["boss"], Permissions::NONE, Permissions::NONE));
    here.does(ALICE, &grant(CARL, "chief"));
    for name in ["boss", "chief"] {
        for act in [
            drop_role(name),
            define(name, Permissions::of(&[P::Send])),
            define_role(name, &["gag"], Permissions::ALL, Permissions::NONE),
            define_role(name, &[], Permissions::ALL, Permissions::of(&[P::Kick])),
        ] {
            assert_eq!(here.may(BOB, &act), Err(Refused::NotAbove), "{act:?}");
            assert_eq!(here.may(DORA, &act), Ok(()), "{act:?}");
        }
    }
    assert_eq!(here.may(BOB, &define("boss", Permissions::ALL)), Ok(()));
}

#[test]
fn r_mem_8_a_channels_mode_limits_who_comes_and_what_is_said() {
    let mut here = Branch::with(&[(BOB, "moderator"), (CARL, "member")]);
    let invite = Act::PostInvite(Code::new(&here.channel(), 1).terms("member", 1));
    let heads = |branch: &Branch| branch.graph.heads();
    let says = |branch: &Branch, who: Who, what| {
        branch.graph.may_say(&who.id(), &who.device(), what, &heads(branch), tick()).is_ok()
    };
    for (mode, member_invites, member_sends, member_reacts, moderator_sends) in [
        (Mode::Open, true, true, true, true),
        (Mode::Private, false, true, true, true),
        (Mode::Announce, true, false, true, true),
        (Mode::Archive, false, false, false, false),
    ] {
        here.does(ALICE, &set_mode(mode));
        assert_eq!(here.may(CARL, &invite).is_ok(), member_invites, "{mode:?}");
        assert_eq!(says(&here, CARL, P::Send), member_sends, "{mode:?}");
        assert_eq!(says(&here, CARL, P::React), member_reacts, "{mode:?}");
        assert_eq!(says(&here, BOB, P::Send), moderator_sends, "{mode:?}");
    }
    assert_eq!(here.may(ALICE, &admit(DORA, "member")), Err(Refused::Lacks(P::Approve)));
    here.does(ALICE, &set_mode(Mode::Open));
    here.does(ALICE, &admit(DORA, "member"));
}

#[test]
fn r_mem_8_of_modes_set_without_knowing_of_each_other_the_strictest_is_in_force() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin")]);
    let mut there = here.clone();
    here.does(BOB, &set_mode(Mode::Announce));
    there.does(CARL, &set_mode(Mode::Archive));
    there.does(CARL, &set_mode(Mode::Private));
    here.meets(&mut there);
    assert_eq!(here.graph.mode(), Mode::Announce);
    here.does(CARL, &set_mode(Mode::Open));
    assert_eq!(here.graph.mode(), Mode::Open);
}

#[test]
fn r_mem_8_the_silenced_say_nothing_and_stand_as_high_as_before() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member")]);
    here.does(ALICE, &mute(CARL, true));
    let send = |branch: &Branch, who: Who| {
        branch.graph.may_say(&who.id(), &who.device(), P::Send, &branch.graph.heads(), tick())
    };
    assert_eq!(send(&here, CARL), Err(Refused::Lacks(P::Send)));
    assert_eq!(here.may(BOB, &kick(CARL)), Err(Refused::NotAbove), "an equal, silenced or not");
    assert_eq!(here.may(CARL, &mute(CARL, false)), Err(Refused::NotAbove));
    let mut there = here.clone();
    here.does(ALICE, &mute(CARL, false));
    there.does(ALICE, &mute(CARL, true));
    here.meets(&mut there);
    assert_eq!(send(&here, CARL), Err(Refused::Lacks(P::Send)), "silenced by who did not know of the end");
    here.does(ALICE, &mute(CARL, false));
    assert_eq!(send(&here, CARL), Ok(()));
}

#[test]
fn r_mem_7_conditions_limit_messages_and_give_no_right_to_act() {
    let mut here = Branch::with(&[(BOB, "reader")]);
    let night = Conditions { minutes: Some((22 * 60, 6 * 60)), ..Conditions::default() };
    let define = |name: &str, inherits: &[&str], conditions| Act::DefineRole {
        name: role(name),
        role: Role {
            inherits: inherits.iter().map(|r| role(r)).collect(),
            allow: Permissions::of(&[P::Send, P::Kick]),
            conditions,
            ..Role::default()
        },
    };
    here.does(ALICE, &define("night", &[], night));
    let day = Conditions { minutes: Some((6 * 60, 22 * 60)), ..Conditions::default() };
    here.does(ALICE, &define("never", &["night"], day));
    here.does(ALICE, &admit(CARL, "reader"));
    here.does(ALICE, &revoke(BOB, "member"));
    here.does(ALICE, &grant(BOB, "night"));
    here.does(ALICE, &grant(CARL, "never"));
    let at = |hour: u64| Timestamp::from_millis(hour * 3_600_000);
    let says =
        |who: Who, hour| here.graph.may_say(&who.id(), &who.device(), P::Send, &here.graph.heads(), at(hour)).is_ok();
    assert!(says(BOB, 23) && says(BOB, 5) && !says(BOB, 6) && !says(BOB, 12));
    assert!(says(CARL, 12), "its own right by day");
    assert!(!says(CARL, 23), "what it inherits is given under both conditions, which are never met");
    for hour in [12, 23] {
        let act = kick(CARL);
        assert_eq!(here.graph.allow(BOB.id(), BOB.device(), &act, at(hour)).err(), Some(Refused::Lacks(P::Kick)));
    }
}

#[test]
fn r_mem_7_definitions_that_do_not_know_each_other_give_what_all_of_them_do() {
    let base = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member")]);
    let limited = |minutes| Act::DefineRole {
        name: role("helper"),
        role: Role {
            allow: Permissions::of(&[P::Pin, P::Kick]),
            conditions: Conditions { minutes, ..Conditions::default() },
            ..Role::default()
        },
    };
    let mut branches = [base.clone(), base.clone(), base];
    branches[0].does(ALICE, &define("helper", Permissions::of(&[P::Pin, P::Kick])));
    branches[1].does(BOB, &limited(Some((0, 60))));
    branches[2].does(CARL, &limited(Some((0, 60))));
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut all = branches[order[0]].clone();
        all.hears(&branches[order[1]]);
        all.hears(&branches[order[2]]);
        let helper = all.graph.role(&role("helper")).unwrap();
        assert_eq!(helper.conditions.minutes, Some((0, 60)));
        assert_eq!(helper.allow, Permissions::of(&[P::Pin, P::Kick]));
    }
    branches[2].does(CARL, &limited(Some((60, 120))));
    let mut all = branches[1].clone();
    all.hears(&branches[2]);
    assert_eq!(all.graph.role(&role("helper")).unwrap().allow, Permissions::NONE, "no condition is both");
}

#[test]
fn r_mem_7_a_grant_ends_with_its_time_its_role_and_its_holders_stay() {
    let mut here = Branch::with(&[(BOB, "member")]);
    let until = tick().plus_millis(1_000);
    here.does(ALICE, &Act::GrantRole { account: BOB.id(), role: role("moderator"), until: Some(until) });
    let rights = |branch: &Branch, at| branch.graph.permissions(&BOB.id(), at).has(P::Kick);
    assert!(rights(&here, until) && !rights(&here, until.plus_millis(1)));
    here.does(ALICE, &grant(BOB, "admin"));
    here.does(ALICE, &kick(BOB));
    here.does(ALICE, &admit(BOB, "reader"));
    assert_eq!(here.roles(BOB), ["reader"], "what was granted before is gone");
}

#[test]
fn sec_fork_of_the_log_shown_to_two_halves_converges() {
    // Bob, a dishonest admin, shows each half another history; the halves meet.
    let base = Branch::with(&[(BOB, "admin"), (CARL, "member"), (DORA, "member"), (EVE, "member")]);
    let (mut one, mut two) = (base.clone(), base);
    one.does(BOB, &kick(CARL));
    one.does(BOB, &grant(DORA, "moderator"));
    two.does(BOB, &kick(DORA));
    two.does(BOB, &grant(CARL, "moderator"));
    one.does(DORA, &mute(EVE, true));
    two.does(CARL, &mute(EVE, true));
    one.meets(&mut two);
    for half in [&one, &two] {
        assert!(!half.is_in(CARL) && !half.is_in(DORA) && half.is_in(EVE) && half.is_in(BOB));
        assert_eq!(half.graph.heads(), one.graph.heads());
    }
    let ops: Vec<Op> = two.graph.ops().iter().map(|op| Op::clone(op)).collect();
    assert_eq!(Graph::load(ops, crate::channel::Signatures::Verify).unwrap().state_hash(), one.graph.state_hash());
}

#[test]
fn c05_41_of_two_names_given_side_by_side_all_take_the_one_with_the_lower_id() {
    let base = Branch::with(&[(BOB, "admin"), (CARL, "member")]);
    let (mut one, mut two) = (base.clone(), base);
    // The same device says one thing here and another there.
    let (a, b) = (one.does(BOB, &call_it("poems")), two.does(BOB, &call_it("prose")));
    one.meets(&mut two);
    let wanted = if a < b { "poems" } else { "prose" };
    for branch in [&one, &two] {
        assert!(matches!(branch.graph.setting(1), Some(crate::channel::Setting::Name(n)) if n.as_str() == wanted));
    }
    one.does(BOB, &call_it("both"));
    assert!(matches!(one.graph.setting(1), Some(crate::channel::Setting::Name(n)) if n.as_str() == "both"));
}
