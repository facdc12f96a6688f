//! Epochs that came about without knowing of each other.

use super::*;
use crate::channel::{OpId, Refused};

#[test]
fn c05_39_r_epoch_3_after_a_fork_everybody_reads_both_sides_and_one_epoch_is_sent_under() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member")]);
    let mut there = here.clone();
    here.does(BOB, &rekey());
    there.does(CARL, &rekey());
    let (one, two) = (current(&here), current(&there));
    here.meets(&mut there);
    let epochs = Epochs::of(&here.graph);
    let now = epochs.current().unwrap();
    let parts: BTreeSet<EpochId> = [one, two].into();
    assert_eq!(epochs.get(&now).unwrap().origin, Origin::Merged(parts.into_iter().collect()));
    assert_eq!(current(&there), now, "the same for both sides");
    let mut rings = Rings::of(&here.graph, &epochs);
    for who in [ALICE, BOB, CARL, DORA] {
        for id in [one, two, now] {
            assert!(rings.has(&epochs, &who.device(), &id));
        }
    }
    assert_eq!(epochs.gate(&here.graph), Some(Gate::Open(now)));
    // It rests on both: what is made next follows it alone.
    here.does(BOB, &admit(EVE, "member"));
    let epochs = Epochs::of(&here.graph);
    let joined = epochs.current().unwrap();
    assert!(matches!(epochs.get(&joined).unwrap().origin, Origin::Derived(parent, _) if parent == now));
    let mut rings = Rings::of(&here.graph, &epochs);
    assert!([one, two, now].iter().all(|id| !rings.has(&epochs, &EVE.device(), id)));
    assert!(rings.has(&epochs, &EVE.device(), &joined));
}

#[test]
fn r_epoch_3_what_another_epoch_rests_on_is_not_joined_to_it() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin")]);
    let mut there = here.clone();
    here.does(BOB, &call_it("renamed"));
    there.does(CARL, &rekey());
    let rekeyed = current(&there);
    assert_ne!(current(&here), rekeyed);
    here.meets(&mut there);
    assert_eq!(current(&here), rekeyed, "the older epoch adds nothing");
}

#[test]
fn r_epoch_4_lineages_are_joined_with_their_epochs_over_and_over() {
    let mut branches = vec![Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "admin")]); 4];
    for (n, who) in [ALICE, BOB, CARL, DORA].into_iter().enumerate() {
        branches[n].does(who, &rekey());
    }
    let [mut a, mut b, mut c, d] = <[Branch; 4]>::try_from(branches).unwrap();
    a.meets(&mut b);
    a.does(ALICE, &admit(EVE, "member"));
    c.hears(&d);
    c.does(CARL, &admit(FRED, "member"));
    a.meets(&mut c);
    a.does(ALICE, &call_it("all of us"));
    let epochs = Epochs::of(&a.graph);
    let now = epochs.current().unwrap();
    let lineage = epochs.get(&now).unwrap().lineage;
    assert_eq!(epochs.lineage_parts(&lineage).len(), 2);
    assert!(epochs.lineage_parts(&lineage).iter().all(|part| epochs.lineage_parts(part).len() == 2));
    let mut rings = Rings::of(&a.graph, &epochs);
    for who in [ALICE, BOB, CARL, DORA] {
        assert!(rings.has(&epochs, &who.device(), &now), "with its lineage");
    }
    assert!(!rings.has(&epochs, &EVE.device(), &now) && !rings.has(&epochs, &FRED.device(), &now));
    // An epoch that is derived from one of joined lineages stays in them.
    assert_eq!(hand_out(&mut a, ALICE), 2);
    a.does(ALICE, &admit(Who(6), "member"));
    let epochs = Epochs::of(&a.graph);
    let later = epochs.current().unwrap();
    assert_eq!(epochs.get(&later).unwrap().lineage, lineage);
    let mut rings = Rings::of(&a.graph, &epochs);
    for who in [ALICE, EVE, FRED, Who(6)] {
        assert!(rings.has(&epochs, &who.device(), &later));
    }
    let keys = rings.all.lineage(&lineage).unwrap().clone();
    let all = [keys.topic(), *keys.header().as_bytes(), *keys.mailbox().as_bytes()];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn r_chan_24_a_lineage_has_a_mailbox_of_its_own_at_each_relay() {
    let lineages =
        [LineageKeys::new(crate::crypto::Secret::new([1; 32])), LineageKeys::new(crate::crypto::Secret::new([2; 32]))];
    let relays = [crate::RelayId::from_bytes([3; 32]), crate::RelayId::from_bytes([4; 32])];
    let ids: BTreeSet<_> = lineages.iter().flat_map(|l| relays.map(|r| l.mailbox_at(&r).id())).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(lineages[0].mailbox_at(&relays[0]).id(), lineages[0].clone().mailbox_at(&relays[0]).id());
}

#[test]
fn c05_46_r_epoch_9_who_joined_on_one_side_is_handed_nothing_of_what_was_said_on_the_other() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin")]);
    let mut there = here.clone();
    here.does(BOB, &admit(EVE, "member"));
    there.does(CARL, &rekey());
    let (joined, other) = (current(&here), current(&there));
    here.meets(&mut there);
    let now = current(&here);
    assert_eq!(gate_of(&here), Gate::Lacking(now, vec![(EVE.device(), vec![now])]));
    hand_out(&mut here, BOB);
    let epochs = Epochs::of(&here.graph);
    assert_eq!(epochs.gate(&here.graph), Some(Gate::Open(now)));
    let mut rings = Rings::of(&here.graph, &epochs);
    let has = [joined, now, other].map(|id| rings.has(&epochs, &EVE.device(), &id));
    assert_eq!(has, [true, true, false]);
}

#[test]
fn r_epoch_9_a_part_that_was_meant_for_a_device_is_handed_by_itself() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member")]);
    here.does(BOB, &suspend(&[DORA.device()], true));
    let mut there = here.clone();
    here.does(BOB, &rekey());
    there.does(DORA, &suspend(&[DORA.device()], false));
    there.does(CARL, &rekey());
    let without = current(&here);
    here.meets(&mut there);
    let now = current(&here);
    assert_eq!(gate_of(&here), Gate::Lacking(now, vec![(DORA.device(), vec![without])]));
    assert_eq!(hand_out(&mut here, CARL), 1);
    let epochs = Epochs::of(&here.graph);
    assert!(Rings::of(&here.graph, &epochs).has(&epochs, &DORA.device(), &now));
}

#[test]
fn r_epoch_10_an_epoch_of_joined_heads_is_known_to_all_once_an_operation_follows_them() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member")]);
    let (mut there, mut third) = (here.clone(), here.clone());
    here.does(BOB, &rekey());
    there.does(CARL, &rekey());
    third.does(DORA, &rekey());
    here.meets(&mut there);
    let epochs = Epochs::of(&here.graph);
    let (merged, heads) = (epochs.current().unwrap(), here.graph.heads());
    assert!(!epochs.is_anchored(&merged));
    // Who knows more never had these heads, and computes it from their names.
    third.hears(&here);
    let mut elsewhere = Epochs::of(&third.graph);
    assert_eq!(elsewhere.get(&merged), None);
    assert_eq!(elsewhere.behind_heads(&third.graph, &heads), Some(merged));
    assert!(elsewhere.get(&merged).is_some());
    assert_eq!(elsewhere.behind_heads(&third.graph, &[OpId::from_bytes([1; 32])]), None);
    assert_eq!(elsewhere.behind_heads(&third.graph, &[]), None);
    // Or from any operation that follows them: one that does nothing is enough.
    here.does(BOB, &hand_over(BOB.device(), &[]));
    let epochs = Epochs::of(&here.graph);
    assert!(epochs.current() == Some(merged) && epochs.is_anchored(&merged));
    third.hears(&here);
    assert!(Epochs::of(&third.graph).get(&merged).is_some());
    // Two who do so without knowing of each other agree.
    there.does(CARL, &hand_over(CARL.device(), &[]));
    here.meets(&mut there);
    assert_eq!(current(&here), merged);
}

#[test]
fn epochs_that_rest_on_each_other_leave_one() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "admin")]);
    let mut there = here.clone();
    here.does(BOB, &rekey());
    there.does(CARL, &rekey());
    here.meets(&mut there);
    let epochs = Epochs::of(&here.graph);
    let merged = epochs.current().unwrap();
    let parts = match &epochs.get(&merged).unwrap().origin {
        Origin::Merged(parts) => parts.clone(),
        other => panic!("{other:?}"),
    };
    for a in [merged, parts[0], parts[1]] {
        for b in [merged, parts[0], parts[1]] {
            assert!(!(epochs.rests_on(&here.graph, &a, &b) && epochs.rests_on(&here.graph, &b, &a)));
        }
    }
    assert!(epochs.rests_on(&here.graph, &merged, &parts[0]) && epochs.rests_on(&here.graph, &merged, &parts[1]));
    assert!(!epochs.rests_on(&here.graph, &parts[0], &parts[1]));
}

#[test]
fn what_never_holds_leads_to_no_other_epoch() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "reader")]);
    here.does(ALICE, &revoke(CARL, "member"));
    let before = current(&here);
    assert_eq!(here.tries(CARL, &rekey()).1, Some(Refused::Lacks(crate::channel::Permission::Rekey)));
    assert_eq!(here.tries(CARL, &admit(DORA, "member")).1, Some(Refused::Lacks(crate::channel::Permission::Approve)));
    assert_eq!(current(&here), before);
    here.does(BOB, &call_it("after that"));
    assert_eq!(current(&here), before);
}
