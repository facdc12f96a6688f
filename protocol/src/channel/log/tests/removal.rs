//! Removals and demotions of people who do not know of each other's.

use super::kit::*;
use crate::channel::{Permission as P, Permissions, Refused};

#[test]
fn r_mem_2_who_may_not_remove_removes_nobody_and_strikes_nothing() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member")]);
    let mut there = here.clone();
    // Carl may not remove anybody; Bob does not know that he tried.
    let (removal, why) = there.tries(CARL, &kick(BOB));
    assert_eq!(why, Some(Refused::Lacks(P::Kick)));
    let admission = here.does(BOB, &admit(DORA, "member"));
    here.meets(&mut there);
    assert!(!here.holds(&removal) && here.holds(&admission));
    assert!(here.is_in(BOB) && here.is_in(DORA));
}

#[test]
fn r_mem_3_removal_beats_what_the_removed_did_meanwhile() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member")]);
    let mut there = here.clone();
    let before = there.last();
    here.does(ALICE, &kick(BOB));
    let struck = [
        there.does(BOB, &admit(EVE, "member")),
        there.does(BOB, &kick(DORA)),
        there.does(BOB, &define("helper", Permissions::of(&[P::Pin]))),
        there.does(BOB, &call_it("bobs")),
    ];
    let kept = there.does(CARL, &call_it("carls"));
    here.meets(&mut there);
    for op in struck {
        assert_eq!(here.why(&op), Some(Refused::Removed));
    }
    assert!(here.holds(&kept) && here.holds(&before));
    assert!(!here.is_in(BOB) && !here.is_in(EVE) && here.is_in(DORA));
}

#[test]
fn c05_36_mutual_removal_by_equals_puts_both_out() {
    let mut here = Branch::with(&[(BOB, "owner"), (CARL, "owner"), (DORA, "member")]);
    let mut there = here.clone();
    let one = here.does(BOB, &kick(CARL));
    let meanwhile = here.does(BOB, &mute(DORA, true));
    let other = there.does(CARL, &kick(BOB));
    here.meets(&mut there);
    assert!(here.holds(&one) && here.holds(&other));
    assert_eq!(here.why(&meanwhile), Some(Refused::Removed));
    assert!(!here.is_in(BOB) && !here.is_in(CARL) && here.is_in(DORA));
}

#[test]
fn c05_36_a_removal_beside_a_circle_falls_with_its_author() {
    let mut here = Branch::with(&[(BOB, "owner"), (CARL, "owner"), (DORA, "member")]);
    let mut there = here.clone();
    let one = here.does(BOB, &kick(CARL));
    let beside = here.does(BOB, &kick(DORA));
    let other = there.does(CARL, &kick(BOB));
    here.meets(&mut there);
    assert!(here.holds(&one) && here.holds(&other));
    assert_eq!(here.why(&beside), Some(Refused::Removed));
    assert!(here.is_in(DORA) && !here.is_in(BOB) && !here.is_in(CARL));
}

#[test]
fn c05_36_three_owners_in_a_circle_are_all_out() {
    let base = Branch::with(&[(BOB, "owner"), (CARL, "owner"), (DORA, "owner")]);
    let mut branches = [base.clone(), base.clone(), base];
    let ops: Vec<_> = [(BOB, CARL), (CARL, DORA), (DORA, BOB)]
        .iter()
        .zip(&mut branches)
        .map(|((who, whom), branch)| branch.does(*who, &kick(*whom)))
        .collect();
    let [mut one, two, three] = branches;
    one.hears(&two);
    one.hears(&three);
    assert!(ops.iter().all(|op| one.holds(op)));
    assert!(one.is_in(ALICE) && [BOB, CARL, DORA].iter().all(|who| !one.is_in(*who)));
}

#[test]
fn c05_36_equals_who_demote_each_other_are_both_demoted() {
    let mut here = Branch::with(&[(BOB, "owner"), (CARL, "owner")]);
    let mut there = here.clone();
    let one = here.does(BOB, &revoke(CARL, "owner"));
    let other = there.does(CARL, &revoke(BOB, "owner"));
    here.meets(&mut there);
    assert!(here.holds(&one) && here.holds(&other));
    assert_eq!((here.roles(BOB), here.roles(CARL)), (vec!["member".to_owned()], vec!["member".to_owned()]));
}

#[test]
fn c05_36_removed_and_let_in_again_without_knowing_of_each_other_is_removed() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member")]);
    here.does(BOB, &kick(DORA));
    let mut there = here.clone();
    // Here Dora comes back and is removed again; there she comes back as well.
    here.does(BOB, &admit(DORA, "member"));
    here.does(BOB, &kick(DORA));
    let again = there.does(CARL, &admit(DORA, "member"));
    here.meets(&mut there);
    assert!(here.holds(&again));
    assert!(!here.is_in(DORA), "a removal ends admissions that did not know of it");
    // Whoever knows of the removal can let her in.
    here.does(CARL, &admit(DORA, "member"));
    assert!(here.is_in(DORA));
}

#[test]
fn c05_36_demotion_beats_a_grant_that_did_not_know_of_it() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member")]);
    here.does(ALICE, &grant(DORA, "moderator"));
    let mut there = here.clone();
    here.does(ALICE, &revoke(DORA, "moderator"));
    let again = there.does(BOB, &grant(DORA, "moderator"));
    here.meets(&mut there);
    assert!(here.holds(&again));
    assert_eq!(here.roles(DORA), ["member"]);
    here.does(BOB, &grant(DORA, "moderator"));
    assert_eq!(here.roles(DORA), ["member", "moderator"]);
}

#[test]
fn r_mem_6_nothing_that_others_do_takes_anything_from_the_creator() {
    let mut here = Branch::with(&[(BOB, "owner"), (CARL, "admin")]);
    let all = define_role("gag", &[], Permissions::NONE, Permissions::ALL);
    here.does(BOB, &all);
    for act in [kick(ALICE), ban(ALICE), revoke(ALICE, "owner"), mute(ALICE, true), suspend(&[ALICE.device()], true)] {
        assert_eq!(here.may(BOB, &act), Err(Refused::NotAbove), "{act:?}");
    }
    // A role that takes rights away takes none from her.
    here.does(BOB, &grant(ALICE, "gag"));
    assert_eq!(here.graph.permissions(&ALICE.id(), tick()), Permissions::ALL.with(Permissions::OWNER));
    let mut there = here.clone();
    let hers = here.does(ALICE, &kick(BOB));
    let (_, why) = there.tries(BOB, &kick(ALICE));
    assert_eq!(why, Some(Refused::NotAbove));
    here.meets(&mut there);
    assert!(here.holds(&hers) && here.is_in(ALICE) && !here.is_in(BOB));
    // She herself may go.
    here.does(ALICE, &kick(ALICE));
    assert!(!here.is_in(ALICE));
}

#[test]
fn r_mem_3_who_leaves_or_steps_down_strikes_nothing_of_their_own() {
    let mut here = Branch::of(ALICE, &ALICE.person().one);
    here.does(ALICE, &admit_with(BOB, &BOB.person().two, "admin"));
    let mut there = here.clone();
    let admission = here.does_with(BOB, 1, &admit(CARL, "member"));
    there.does(BOB, &revoke(BOB, "admin"));
    there.does(BOB, &kick(BOB));
    here.meets(&mut there);
    assert!(here.holds(&admission) && here.is_in(CARL) && !here.is_in(BOB));
}

#[test]
fn r_mem_4_an_admission_that_another_member_made_keys_for_stays() {
    for (rekeyed_by, stays) in
        [(None, false), (Some(CARL), true), (Some(BOB), false), (Some(DORA), false), (Some(EVE), false)]
    {
        let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member")]);
        let mut there = here.clone();
        let removal = here.does_afresh(ALICE, &kick(BOB));
        let admission = there.does(BOB, &admit(EVE, "member"));
        if let Some(who) = rekeyed_by {
            there.does(who, &rekey());
        }
        here.meets(&mut there);
        assert!(here.holds(&removal) && !here.is_in(BOB));
        assert_eq!((here.holds(&admission), here.is_in(EVE)), (stays, stays), "{rekeyed_by:?}");
    }
}

#[test]
fn r_mem_4_keys_made_by_who_knew_of_the_removal_settle_nothing() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin")]);
    let mut there = here.clone();
    here.does(ALICE, &kick(BOB));
    let admission = there.does(BOB, &admit(EVE, "member"));
    here.meets(&mut there);
    assert!(!here.holds(&admission));
    here.does(CARL, &rekey());
    assert!(!here.holds(&admission) && !here.is_in(EVE));
}

#[test]
fn r_mem_4_a_demotion_is_not_kept_off_by_keys() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin")]);
    let mut there = here.clone();
    here.does(ALICE, &revoke(BOB, "admin"));
    let admission = there.does(BOB, &admit(EVE, "member"));
    there.does(CARL, &rekey());
    here.meets(&mut there);
    assert_eq!(here.why(&admission), Some(Refused::Lacks(P::Approve)));
}

#[test]
fn r_mem_3_a_revoked_device_is_struck_and_the_other_is_not() {
    let mut here = Branch::new();
    here.does(ALICE, &admit_with(BOB, &BOB.person().two, "admin"));
    let mut there = here.clone();
    here.does(BOB, &tell(BOB, &BOB.person().second_revoked));
    let struck = there.does_with(BOB, 1, &admit(CARL, "member"));
    let kept = there.does(BOB, &admit(DORA, "member"));
    here.meets(&mut there);
    assert_eq!(here.why(&struck), Some(Refused::DeviceRevoked));
    assert!(here.holds(&kept) && here.is_in(DORA) && !here.is_in(CARL));
    let (_, why) = here.forces(BOB, &here.graph.heads().clone(), &call_it("x"));
    assert_eq!(why, None);
    let author = BOB.author_with(1);
    let op =
        crate::channel::Op::sign(&author, Some(here.channel()), &here.graph.heads(), tick(), &call_it("y")).unwrap();
    assert_eq!(here.graph.add(op).unwrap().refused, Some(Refused::NotTheirDevice));
}

#[test]
fn c05_35_an_invalid_removal_strikes_nothing_however_it_became_invalid() {
    // Bob removes Carl, who removes Dora, who admits Eve; Bob's removal holds, so Carl's does not, so Dora's admission does.
    let base = Branch::with(&[(BOB, "owner"), (CARL, "admin"), (DORA, "moderator")]);
    let (mut one, mut two, mut three) = (base.clone(), base.clone(), base);
    let first = one.does(BOB, &kick(CARL));
    let second = two.does(CARL, &kick(DORA));
    let third = three.does(DORA, &admit(EVE, "member"));
    one.hears(&two);
    one.hears(&three);
    assert!(one.holds(&first) && !one.holds(&second) && one.holds(&third));
    assert!(one.is_in(DORA) && one.is_in(EVE) && !one.is_in(CARL));
    // And when Bob is removed by who did not know, all of it turns.
    let mut four =
        Branch { graph: crate::channel::Graph::create(crate::channel::Op::clone(&one.graph.ops()[0])).unwrap() };
    for op in &one.graph.ops()[1..7] {
        four.graph.add(crate::channel::Op::clone(op)).unwrap();
    }
    four.does(ALICE, &kick(BOB));
    one.meets(&mut four);
    assert!(!one.holds(&first) && one.holds(&second) && !one.holds(&third));
    assert!(one.is_in(CARL) && !one.is_in(DORA) && !one.is_in(EVE) && !one.is_in(BOB));
}

#[test]
fn c05_35_authority_is_judged_in_the_past_under_what_holds_in_the_end() {
    // Bob lets Carl in as an admin, who removes Dora; Bob turns out to be removed before: Carl never was in.
    let mut here = Branch::with(&[(BOB, "admin"), (DORA, "member")]);
    let mut there = here.clone();
    there.does(BOB, &admit(CARL, "moderator"));
    let removal = there.does(CARL, &kick(DORA));
    here.does(ALICE, &kick(BOB));
    here.meets(&mut there);
    assert_eq!(here.why(&removal), Some(Refused::NotMember));
    assert!(here.is_in(DORA) && !here.is_in(CARL));
}

#[test]
fn r_mem_1_a_sock_puppet_that_removes_the_remover_is_struck_with_its_admission() {
    // Bob, removed by Carl, lets Mallory in before that, who removes Carl before that.
    let mut here = Branch::with(&[(BOB, "owner"), (CARL, "owner")]);
    let mut there = here.clone();
    let removal = here.does(CARL, &kick(BOB));
    there.does(BOB, &admit(EVE, "owner"));
    let attack = there.does(EVE, &kick(CARL));
    here.meets(&mut there);
    assert!(here.holds(&removal) && !here.holds(&attack));
    assert!(here.is_in(CARL) && !here.is_in(BOB) && !here.is_in(EVE));
}

#[test]
fn r_mem_1_removals_that_strike_what_the_others_stand_on_all_hold() {
    // Carl, let in by Dora, removes Bob; Eve, let in by Bob, removes Dora: none of the four knows of the other side.
    let mut here = Branch::with(&[(BOB, "owner"), (DORA, "owner")]);
    let mut there = here.clone();
    here.does(DORA, &admit(CARL, "owner"));
    let one = here.does(CARL, &kick(BOB));
    there.does(BOB, &admit(EVE, "owner"));
    let other = there.does(EVE, &kick(DORA));
    here.meets(&mut there);
    assert!(here.holds(&one) && here.holds(&other));
    assert!([BOB, CARL, DORA, EVE].iter().all(|who| !here.is_in(*who)) && here.is_in(ALICE));
}
