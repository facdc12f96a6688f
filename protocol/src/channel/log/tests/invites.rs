//! Admissions by invite, and those who want in without being meant.

use super::kit::*;
use crate::{
    channel::{Act, Admission, InviteTerms, OpId, Refused, Use},
    limits::MEMBERS_MAX,
};

/// A channel with an invite by Bob, a member.
fn invited(terms: impl FnOnce(InviteTerms) -> InviteTerms) -> (Branch, Code, OpId) {
    let mut channel = Branch::with(&[(BOB, "member"), (CARL, "member")]);
    let code = Code::new(&channel.channel(), 1);
    let act = Act::PostInvite(terms(code.terms("member", 2)));
    let invite = channel.does(BOB, &act);
    (channel, code, invite)
}

fn used(act: &Act, change: impl FnOnce(&mut Admission, &mut Use)) -> Act {
    let Act::Admit(admission) = act else { panic!() };
    let (mut admission, mut used) = (admission.clone(), admission.invite.clone().unwrap());
    change(&mut admission, &mut used);
    Act::Admit(Admission { invite: Some(used), ..admission })
}

#[test]
fn r_mem_5_an_invite_admits_whom_it_was_proved_for_and_as_often_as_it_says() {
    let (mut here, code, invite) = invited(|terms| terms);
    let channel = here.channel();
    here.does(CARL, &code.admits(&channel, invite, DORA, "member", 1));
    let again = code.admits(&channel, invite, DORA, "member", 2);
    assert_eq!(here.may(CARL, &again), Err(Refused::AlreadyMember));
    here.does(BOB, &code.admits(&channel, invite, EVE, "member", 3));
    assert_eq!(here.graph.invite(&invite).unwrap().uses, 2);
    let (third, why) = here.tries(CARL, &code.admits(&channel, invite, FRED, "member", 4));
    assert_eq!(why, Some(Refused::InviteUsedUp));
    assert!(!here.holds(&third) && here.is_in(DORA) && here.is_in(EVE) && !here.is_in(FRED));
}

#[test]
fn sec_forged_admission() {
    let (mut here, code, invite) = invited(|terms| terms);
    let (channel, other) = (here.channel(), Code::new(&here.channel(), 2));
    for (act, why) in [
        // By somebody who does not know the secret.
        (other.admits(&channel, invite, DORA, "member", 1), Refused::BadProof),
        // With the proof of another person, device, leaf or request.
        (
            used(&code.admits(&channel, invite, DORA, "member", 1), |a, _| {
                a.account = EVE.id();
                a.devices = EVE.person().one.clone();
            }),
            Refused::NotTheirDevice,
        ),
        (
            used(&code.admits(&channel, invite, DORA, "member", 1), |a, u| {
                a.account = EVE.id();
                a.devices = EVE.person().one.clone();
                u.device = EVE.device();
            }),
            Refused::BadProof,
        ),
        (
            used(&code.admits(&channel, invite, DORA, "member", 1), |a, u| {
                a.devices = DORA.person().two.clone();
                u.device = DORA.second();
            }),
            Refused::BadProof,
        ),
        (used(&code.admits(&channel, invite, DORA, "member", 1), |_, u| u.leaf[0] ^= 1), Refused::BadProof),
        (used(&code.admits(&channel, invite, DORA, "member", 1), |_, u| u.nonce[0] ^= 1), Refused::BadProof),
        (used(&code.admits(&channel, invite, DORA, "member", 1), |_, u| u.proof.0[9] ^= 1), Refused::BadProof),
        (
            used(&code.admits(&channel, invite, DORA, "member", 1), |_, u| u.invite = OpId::from_bytes([1; 32])),
            Refused::UnknownInvite,
        ),
    ] {
        assert_eq!(here.tries(CARL, &act).1, Some(why));
        assert_eq!(here.may(CARL, &act), Err(why));
    }
    // By somebody who is not in, with the right proof.
    let outsider = code.admits(&channel, invite, DORA, "member", 1);
    assert_eq!(here.graph.allow(FRED.id(), FRED.device(), &outsider, tick()).err(), Some(Refused::NotMember));
    let heads = here.graph.heads();
    let op = here.forged(FRED, &heads, &outsider);
    assert_eq!(here.graph.add(op), Err(crate::channel::Error::UnknownDevice));
    assert!(!here.is_in(DORA) && !here.is_in(EVE));
}

#[test]
fn sec_replayed_invite() {
    let (mut here, code, invite) = invited(|terms| terms);
    let act = code.admits(&here.channel(), invite, DORA, "member", 1);
    here.does(CARL, &act);
    let mut there = here.clone();
    here.does(ALICE, &kick(DORA));
    assert_eq!(here.tries(CARL, &act).1, Some(Refused::Repeated));
    // Nor by somebody who writes it as if it had been before the removal.
    let before = there.graph.ops()[2].id();
    assert_eq!(there.forces(CARL, &[before], &act).1, Some(Refused::UnknownInvite));
    let posted = there.graph.position(&invite).map(|at| there.graph.ops()[at].id()).unwrap();
    let (copy, why) = there.forces(BOB, &[posted], &act);
    assert_eq!(why, None);
    here.hears(&there);
    assert!(here.holds(&copy) && !here.is_in(DORA), "a removal ends what did not know of it");
}

#[test]
fn sec_expired_invite() {
    let (here, code, invite) = invited(|terms| InviteTerms { expires: tick().plus_millis(1_000), ..terms });
    let act = code.admits(&here.channel(), invite, DORA, "member", 1);
    let expires = here.graph.invite(&invite).unwrap().terms.expires;
    let allow = |at| here.graph.allow(CARL.id(), CARL.device(), &act, at).map(|_| ());
    assert_eq!(allow(expires), Ok(()));
    assert_eq!(allow(expires.plus_millis(1)), Err(Refused::InviteExpired));
}

#[test]
fn sec_second_use_of_a_single_use_invite() {
    let (mut here, code, invite) = invited(|terms| InviteTerms { uses: 1, ..terms });
    let channel = here.channel();
    here.does(CARL, &code.admits(&channel, invite, DORA, "member", 1));
    assert_eq!(here.tries(CARL, &code.admits(&channel, invite, EVE, "member", 2)).1, Some(Refused::InviteUsedUp));
    // Not even after the first one was removed.
    here.does(ALICE, &kick(DORA));
    assert_eq!(here.tries(CARL, &code.admits(&channel, invite, EVE, "member", 3)).1, Some(Refused::InviteUsedUp));
}

#[test]
fn sec_invite_after_it_was_revoked() {
    let (mut here, code, invite) = invited(|terms| terms);
    let channel = here.channel();
    let mut there = here.clone();
    here.does(BOB, &Act::RevokeInvite { invite });
    assert_eq!(here.tries(CARL, &code.admits(&channel, invite, DORA, "member", 1)).1, Some(Refused::InviteRevoked));
    assert_eq!(here.graph.invites().count(), 0);
    // c05_49: and used by who did not know of it.
    let meanwhile = there.does(CARL, &code.admits(&channel, invite, EVE, "member", 2));
    let also = there.does(ALICE, &Act::RevokeInvite { invite });
    here.meets(&mut there);
    assert_eq!(here.why(&meanwhile), Some(Refused::InviteRevoked));
    assert!(here.holds(&also), "two may end it without knowing of each other");
    assert!(!here.is_in(DORA) && !here.is_in(EVE));
}

#[test]
fn c05_49_an_invite_of_another_channel_opens_nothing_here() {
    let (mut here, code, invite) = invited(|terms| terms);
    let elsewhere = Branch::of(BOB, &BOB.person().one);
    assert_eq!(
        here.tries(CARL, &code.admits(&elsewhere.channel(), invite, DORA, "member", 1)).1,
        Some(Refused::BadProof)
    );
    // Nor does the operation itself.
    let mut other = elsewhere;
    let op = here.forged(CARL, &here.graph.heads(), &code.admits(&here.channel(), invite, DORA, "member", 1));
    assert_eq!(other.graph.add(op), Err(crate::channel::Error::OtherChannel));
}

#[test]
fn sec_edited_role_in_an_invite() {
    let (mut here, code, invite) = invited(|terms| terms);
    for role in ["admin", "moderator", "reader"] {
        let act = code.admits(&here.channel(), invite, DORA, role, 1);
        assert_eq!(here.tries(ALICE, &act).1, Some(Refused::OtherRole));
    }
}

#[test]
fn c05_50_an_invite_gives_no_more_than_its_maker_has_then_and_at_its_use() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member"), (DORA, "moderator")]);
    let channel = here.channel();
    let code = Code::new(&channel, 1);
    let post = |role| Act::PostInvite(code.terms(role, 5));
    assert_eq!(here.may(CARL, &post("moderator")), Err(Refused::MoreThanHeld));
    assert_eq!(here.may(BOB, &post("owner")), Err(Refused::MoreThanHeld));
    assert_eq!(here.may(DORA, &post("moderator")), Err(Refused::Lacks(crate::channel::Permission::AssignRole)));
    assert_eq!(here.may(BOB, &post("nobody")), Err(Refused::UnknownRole));
    let invite = here.does(BOB, &post("admin"));
    // Whoever lets them in need not have the role: the invite's maker answers for it.
    here.does(CARL, &code.admits(&channel, invite, EVE, "admin", 1));
    assert_eq!(here.roles(EVE), ["admin"]);
    let mut there = here.clone();
    here.does(ALICE, &revoke(BOB, "admin"));
    assert_eq!(here.tries(CARL, &code.admits(&channel, invite, FRED, "admin", 2)).1, Some(Refused::InviteRevoked));
    let meanwhile = there.does(CARL, &code.admits(&channel, invite, Who(9), "admin", 3));
    here.meets(&mut there);
    assert_eq!(here.why(&meanwhile), Some(Refused::InviteRevoked));
}

#[test]
fn c05_49_racing_redemptions_of_one_invite_leave_the_one_with_the_lowest_id() {
    for seed in 0..6 {
        reset_clock(1_000 * seed);
        let (base, code, invite) = invited(|terms| InviteTerms { uses: 1, ..terms });
        let channel = base.channel();
        let (mut one, mut two) = (base.clone(), base);
        let a = one.does(BOB, &code.admits(&channel, invite, DORA, "member", 1));
        let b = two.does(CARL, &code.admits(&channel, invite, EVE, "member", 2));
        // The one who loses acted meanwhile, and keys were made for both.
        one.does(DORA, &rekey());
        two.does(EVE, &rekey());
        let (late_a, late_b) = (one.does(DORA, &rekey()), two.does(EVE, &rekey()));
        one.meets(&mut two);
        let (winner, loser) = if a < b { (DORA, EVE) } else { (EVE, DORA) };
        assert_eq!((one.holds(&a), one.holds(&b)), (a < b, b < a));
        assert_eq!((one.holds(&late_a), one.holds(&late_b)), (a < b, b < a));
        assert!(one.is_in(winner) && !one.is_in(loser));
        assert_eq!(one.why(if a < b { &b } else { &a }), Some(Refused::InviteUsedUp));
    }
}

#[test]
fn r_mem_5_keys_made_by_others_do_not_keep_a_use_beyond_the_limit() {
    let (base, code, invite) = invited(|terms| InviteTerms { uses: 1, ..terms });
    let channel = base.channel();
    let (mut one, mut two) = (base.clone(), base);
    let a = one.does(BOB, &code.admits(&channel, invite, DORA, "member", 1));
    one.does(ALICE, &rekey());
    let b = two.does(CARL, &code.admits(&channel, invite, EVE, "member", 2));
    two.does(ALICE, &rekey());
    one.meets(&mut two);
    assert!(one.holds(&a) != one.holds(&b));
    assert_eq!(one.holds(&a), a < b);
}

#[test]
fn sec_join_with_a_revoked_device() {
    let (mut here, code, invite) = invited(|terms| terms);
    let channel = here.channel();
    let with = |log: &crate::identity::DeviceLog| {
        used(&code.admits(&channel, invite, DORA, "member", 1), |a, _| a.devices = log.clone())
    };
    assert_eq!(here.tries(CARL, &with(&DORA.person().first_revoked)).1, Some(Refused::NotTheirDevice));
    // Nor with a log from before, once the channel knows a later one.
    here.does(ALICE, &admit_with(DORA, &DORA.person().first_revoked, "member"));
    here.does(ALICE, &kick(DORA));
    assert_eq!(here.tries(CARL, &with(&DORA.person().one)).1, Some(Refused::NotTheirDevice));
    // Where it is let in all the same, that device does not belong.
    here.does(ALICE, &admit_with(DORA, &DORA.person().two, "member"));
    assert!(here.is_in(DORA));
    let devices = here.graph.recipients();
    assert!(devices.contains(&DORA.second()) && !devices.contains(&DORA.device()));
}

#[test]
fn sec_banned_account_joins_under_a_new_device() {
    let (mut here, code, invite) = invited(|terms| terms);
    let channel = here.channel();
    here.does(CARL, &code.admits(&channel, invite, DORA, "member", 1));
    here.does(ALICE, &ban(DORA));
    let anew = used(&code.admits(&channel, invite, DORA, "member", 2), |a, _| {
        a.devices = DORA.person().two.clone();
    });
    assert_eq!(here.tries(CARL, &anew).1, Some(Refused::Banned));
    assert_eq!(here.may(ALICE, &admit_with(DORA, &DORA.person().first_revoked, "member")), Err(Refused::Banned));
    here.does(ALICE, &unban(DORA));
    here.does(CARL, &anew);
    assert!(here.is_in(DORA));
}

#[test]
fn r_mem_5_who_has_to_be_approved_is_let_in_by_who_may_approve() {
    let (mut here, code, invite) = invited(|terms| InviteTerms { approval: true, ..terms });
    here.does(ALICE, &admit(FRED, "moderator"));
    let act = code.admits(&here.channel(), invite, DORA, "member", 1);
    assert_eq!(here.tries(CARL, &act).1, Some(Refused::Lacks(crate::channel::Permission::Approve)));
    here.does(FRED, &act);
    assert!(here.is_in(DORA));
}

#[test]
fn sec_admission_by_people_who_are_not_there() {
    let (here, code, invite) = invited(|terms| terms);
    let act = code.admits(&here.channel(), invite, DORA, "member", 1);
    for (who, why) in [(DORA, Refused::NotMember), (EVE, Refused::NotMember)] {
        assert_eq!(here.may(who, &act), Err(why));
    }
    assert_eq!(
        here.graph.allow(BOB.id(), CARL.device(), &act, tick()).err(),
        Some(Refused::NotTheirDevice),
        "a device of somebody else"
    );
    const { assert!(MEMBERS_MAX > PEOPLE) };
}
