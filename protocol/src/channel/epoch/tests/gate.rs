//! What may be sent under, and what has to be done first.

use super::*;
use crate::channel::Refused;

#[test]
fn c05_33_r_epoch_6_what_two_who_were_removed_could_put_together_is_not_sent_under() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member"), (EVE, "member")]);
    let mut there = here.clone();
    here.does_afresh(BOB, &kick(DORA));
    there.does_afresh(CARL, &kick(EVE));
    here.meets(&mut there);
    let epochs = Epochs::of(&here.graph);
    let merged = epochs.current().unwrap();
    let (dora, eve) = (BTreeSet::from([DORA.device()]), BTreeSet::from([EVE.device()]));
    let rings = Rings::of(&here.graph, &epochs);
    for (devices, can) in [(&dora, false), (&eve, false), (&(&dora | &eve), true)] {
        assert_eq!(epochs.any_can_derive(&merged, devices), can);
        assert_eq!(rings.together(&epochs, devices, &merged), can);
    }
    assert_eq!(epochs.gate(&here.graph), Some(Gate::Tainted(merged)));
    here.does(BOB, &rekey());
    let epochs = Epochs::of(&here.graph);
    let now = epochs.current().unwrap();
    assert_eq!(epochs.gate(&here.graph), Some(Gate::Open(now)));
    let rings = Rings::of(&here.graph, &epochs);
    assert!(!epochs.any_can_derive(&now, &here.graph.outsiders()));
    assert!(!rings.together(&epochs, &here.graph.outsiders(), &now));
}

#[test]
fn c05_34_an_admission_that_falls_after_keys_were_made_for_it_closes_the_gate() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member")]);
    let mut there = here.clone();
    // Alice makes no keys with the removal: what is in force then is what Carl made, joined with what there was before.
    here.does(ALICE, &kick(BOB));
    there.does(BOB, &admit(EVE, "member"));
    there.does(BOB, &rekey());
    // Carl goes on from there, so that his word rests on keys that Eve has.
    there.does(CARL, &rekey());
    here.meets(&mut there);
    assert!(!here.is_in(EVE) && !here.is_in(BOB) && here.is_in(CARL));
    let epochs = Epochs::of(&here.graph);
    let now = epochs.current().unwrap();
    assert_eq!(epochs.gate(&here.graph), Some(Gate::Tainted(now)), "Bob and Eve together have all of it");
    here.does(CARL, &rekey());
    assert!(matches!(gate_of(&here), Gate::Open(_)));
}

#[test]
fn c05_34_a_removal_that_comes_to_hold_after_keys_were_made_closes_the_gate() {
    let base = Branch::with(&[(BOB, "owner"), (DORA, "moderator"), (EVE, "member")]);
    let (mut one, mut two, mut three) = (base.clone(), base.clone(), base);
    // Dora removes Eve; Bob, who does not know, demotes Dora: so Eve stays, and Alice makes keys for her too.
    let removal = one.does(DORA, &kick(EVE));
    two.does(BOB, &revoke(DORA, "moderator"));
    one.meets(&mut two);
    assert_eq!(one.why(&removal), Some(Refused::Lacks(crate::channel::Permission::Kick)));
    one.does(ALICE, &rekey());
    let now = current(&one);
    assert_eq!(gate_of(&one), Gate::Open(now));
    // Then Alice's other word comes in: Bob had been removed. Now Eve is out, and the keys were made for her.
    three.does_afresh(ALICE, &kick(BOB));
    one.meets(&mut three);
    assert!(one.holds(&removal) && !one.is_in(EVE) && !one.is_in(BOB));
    let epochs = Epochs::of(&one.graph);
    let eve = BTreeSet::from([EVE.device()]);
    assert!(epochs.any_can_derive(&now, &eve));
    assert!(matches!(epochs.gate(&one.graph), Some(Gate::Tainted(_))));
    one.does(ALICE, &rekey());
    assert!(matches!(gate_of(&one), Gate::Open(_)));
}

#[test]
fn r_epoch_6_who_leaves_closes_the_gate_until_somebody_makes_keys() {
    let mut here = Branch::with(&[(BOB, "member"), (CARL, "member")]);
    here.does(BOB, &kick(BOB));
    assert!(matches!(gate_of(&here), Gate::Tainted(_)));
    here.does(CARL, &rekey());
    assert!(matches!(gate_of(&here), Gate::Open(_)));
}

#[test]
fn c05_47_r_epoch_7_after_an_emergency_nothing_older_is_sent_under_not_even_joined_with_it() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member")]);
    let mut there = here.clone();
    here.does(BOB, &emergency());
    there.does(CARL, &rekey());
    here.meets(&mut there);
    let epochs = Epochs::of(&here.graph);
    let merged = epochs.current().unwrap();
    assert!(!epochs.any_can_derive(&merged, &here.graph.outsiders()), "nobody outside could");
    assert_eq!(epochs.gate(&here.graph), Some(Gate::Tainted(merged)));
    here.does(DORA, &rekey());
    assert!(matches!(gate_of(&here), Gate::Open(_)));
    // What follows it by an admission is as good.
    here.does(BOB, &admit(EVE, "member"));
    assert!(matches!(gate_of(&here), Gate::Open(_)));
    // Two emergencies that do not know of each other: made anew once more.
    let mut there = here.clone();
    here.does(BOB, &emergency());
    there.does(CARL, &emergency());
    assert!(matches!(gate_of(&here), Gate::Open(_)));
    here.meets(&mut there);
    assert!(matches!(gate_of(&here), Gate::Tainted(_)));
    here.does(CARL, &rekey());
    assert!(matches!(gate_of(&here), Gate::Open(_)));
}

#[test]
fn c05_47_an_emergency_that_comes_to_hold_later_counts_for_what_was_made_without_it() {
    // Carl's emergency rekey is struck by Bob's removal of Carl, which is struck by Alice's removal of Bob.
    let base = Branch::with(&[(BOB, "owner"), (CARL, "admin"), (DORA, "member")]);
    let (mut one, mut two, mut three) = (base.clone(), base.clone(), base);
    let rekeyed = one.does(CARL, &emergency());
    two.does(BOB, &kick(CARL));
    one.meets(&mut two);
    assert!(!one.holds(&rekeyed));
    // What Alice does next follows the emergency, and rests on keys from before it.
    one.does(ALICE, &admit(EVE, "member"));
    three.does(ALICE, &kick(BOB));
    one.meets(&mut three);
    assert!(one.holds(&rekeyed) && one.is_in(CARL) && one.is_in(EVE));
    assert!(matches!(gate_of(&one), Gate::Tainted(_)));
    one.does_afresh(ALICE, &kick(CARL));
    assert!(matches!(gate_of(&one), Gate::Open(_)));
}

#[test]
fn r_epoch_5_what_was_handed_to_whom_is_written_down_and_counts_even_from_who_is_gone() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member"), (DORA, "member")]);
    let mut there = here.clone();
    here.does_afresh(ALICE, &kick(DORA));
    let now = current(&here);
    assert_eq!(gate_of(&here), Gate::Open(now));
    // Carl, who has it, hands it to Dora on a branch where she is in: the claim counts though it does not hold later.
    there.hears(&here);
    let (_, why) = there.forces(CARL, &there.graph.heads().clone(), &hand_over(DORA.device(), &[*now.as_bytes()]));
    assert_eq!(why, Some(Refused::UnknownMember));
    assert_eq!(gate_of(&there), Gate::Tainted(now));
    let epochs = Epochs::of(&there.graph);
    assert!(Rings::of(&there.graph, &epochs).has(&epochs, &DORA.device(), &now));
    there.does(BOB, &rekey());
    assert!(matches!(gate_of(&there), Gate::Open(_)));
}
