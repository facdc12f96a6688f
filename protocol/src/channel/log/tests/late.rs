//! Messages of who was removed: which of them still count, the same for everybody.

use super::kit::*;
use crate::channel::{Act, Cutoff, Epochs, OpId, Permission as P, Refused, Removal};

fn with_cutoffs(act: Act, cutoffs: Vec<Cutoff>) -> Act {
    match act {
        Act::Remove(removal) => Act::Remove(Removal { cutoffs, ..removal }),
        Act::Devices { account, devices, fresh, .. } => Act::Devices { account, devices, cutoffs, fresh },
        act => act,
    }
}

/// Says whether Bob's message at a generation of the epoch that cutoffs here name, said after some operations, is cut.
fn is_cut(branch: &Branch, device: usize, generation: u32, heads: &[OpId]) -> bool {
    let device = BOB.person().devices[device].id();
    branch.graph.is_cut_off(&BOB.id(), &device, heads, |cut| cut.epoch == [1; 32] && generation <= cut.generation)
}

#[test]
fn c05_31_r_mem_13_what_the_removed_says_behind_the_cut_is_cut_wherever_and_whenever_it_comes() {
    let before = Branch::with(&[(BOB, "member"), (CARL, "admin"), (DORA, "member")]);
    let heads = before.graph.heads();
    assert!(!is_cut(&before, 0, 1_000, &heads), "nobody was removed yet");
    let mut now = before.clone();
    let removal = now.does_afresh(ALICE, &with_cutoffs(kick(BOB), vec![cutoff(BOB.device(), 4)]));
    // (a) Under the old epoch after the removal, (b) behind the cut with heads from before it: both are cut.
    for (generation, cut) in [(0, false), (4, false), (5, true), (6, true), (u32::MAX, true)] {
        assert_eq!(is_cut(&now, 0, generation, &heads), cut, "{generation}");
        // Older heads still change nothing.
        assert_eq!(is_cut(&now, 0, generation, &before.graph.heads()[..1]), cut);
        assert_eq!(is_cut(&now, 0, generation, &[before.graph.ops()[0].id()]), cut);
    }
    // With heads that know of the removal it is refused for another reason: Bob is not in.
    assert!(!is_cut(&now, 0, 5, &[removal]));
    let says = |branch: &Branch, heads: &[OpId]| branch.graph.may_say(&BOB.id(), &BOB.device(), P::Send, heads, tick());
    assert_eq!(says(&now, &[removal]), Err(Refused::NotMember));
    assert_eq!(says(&now, &now.graph.heads()), Err(Refused::NotMember));
    // A device that nobody saw a word of is cut at once.
    assert!(is_cut(&now, 1, 0, &heads));
    // Who was away finds the same, in whatever order it hears.
    let mut away = before.clone();
    away.does(CARL, &call_it("meanwhile"));
    away.meets(&mut now);
    assert!((0..8).all(|generation| is_cut(&away, 0, generation, &heads) == (generation > 4)));
    // Of an epoch that no cutoff names nothing counts: the remover had not seen a word.
    assert!(away.graph.is_cut_off(&BOB.id(), &BOB.device(), &heads, |cut| cut.epoch == [2; 32]));
}

#[test]
fn c05_31_of_several_removals_the_one_that_saw_most_cuts() {
    let base = Branch::with(&[(BOB, "member"), (CARL, "admin"), (DORA, "admin")]);
    let heads = base.graph.heads();
    let (mut one, mut two) = (base.clone(), base.clone());
    one.does_afresh(CARL, &with_cutoffs(kick(BOB), vec![cutoff(BOB.device(), 4)]));
    two.does_afresh(DORA, &with_cutoffs(kick(BOB), vec![cutoff(BOB.device(), 7)]));
    assert!(is_cut(&one, 0, 5, &heads) && !is_cut(&two, 0, 7, &heads));
    one.meets(&mut two);
    for branch in [&one, &two] {
        assert!(!is_cut(branch, 0, 7, &heads), "what somebody had seen does not vanish");
        assert!(is_cut(branch, 0, 8, &heads));
    }
}

#[test]
fn c05_31_a_removal_that_does_not_hold_cuts_nothing() {
    let mut here = Branch::with(&[(BOB, "member"), (CARL, "member"), (DORA, "admin")]);
    let heads = here.graph.heads();
    // By who may not.
    let act = with_cutoffs(kick(BOB), vec![]);
    assert_eq!(here.tries(CARL, &act).1, Some(Refused::Lacks(P::Kick)));
    assert!(!is_cut(&here, 0, 0, &heads));
    // By who was removed before, as if it had been earlier.
    let mut there = here.clone();
    here.does_afresh(ALICE, &kick(DORA));
    there.does_afresh(DORA, &with_cutoffs(kick(BOB), vec![]));
    assert!(is_cut(&there, 0, 0, &heads));
    here.meets(&mut there);
    for branch in [&here, &there] {
        assert!(!is_cut(branch, 0, 0, &heads) && branch.is_in(BOB));
    }
}

#[test]
fn c05_31_a_revoked_devices_words_are_cut_and_its_siblings_are_not() {
    let mut here = Branch::of(ALICE, &ALICE.person().one);
    here.does(ALICE, &admit_with(BOB, &BOB.person().two, "member"));
    let heads = here.graph.heads();
    let told = with_cutoffs(tell(BOB, &BOB.person().second_revoked), vec![cutoff(BOB.second(), 2)]);
    here.does_afresh(ALICE, &told);
    for (generation, cut) in [(2, false), (3, true)] {
        assert_eq!(is_cut(&here, 1, generation, &heads), cut);
        assert!(!is_cut(&here, 0, generation, &heads));
    }
}

#[test]
fn c05_31_sec_removed_member_has_no_place_in_new_and_guessed_epochs() {
    let mut here = Branch::with(&[(BOB, "member"), (CARL, "admin")]);
    let old = Epochs::of(&here.graph).current().unwrap();
    here.does_afresh(ALICE, &kick(BOB));
    here.does(CARL, &rekey());
    let epochs = Epochs::of(&here.graph);
    assert!(epochs.senders(&old).contains(&BOB.device()));
    let count = here.graph.ops().len();
    for newer in [count - 2, count - 1].map(|at| epochs.behind(at).unwrap()) {
        assert!(newer != old && !epochs.senders(&newer).contains(&BOB.device()), "{newer:?}");
        assert!(epochs.senders(&newer).contains(&CARL.device()));
    }
    // One that nobody made has nobody in it.
    let guessed = crate::channel::EpochId::from_bytes([5; 32]);
    assert!(epochs.get(&guessed).is_none() && epochs.senders(&guessed).is_empty());
}

#[test]
fn sec_truncated_log_is_noticed_by_what_follows() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member")]);
    let mut cut_short = here.clone();
    let removal = here.does_afresh(ALICE, &kick(CARL));
    here.does(BOB, &call_it("later"));
    // Who leaves the removal out can show nothing of what follows it: no operation and no message.
    let later = crate::channel::Op::clone(here.graph.ops().last().unwrap());
    let missing = crate::channel::Error::Missing(vec![removal]);
    assert_eq!(cut_short.graph.add(later), Err(missing));
    assert!(here.graph.heads().iter().all(|head| cut_short.graph.position(head).is_none()));
    assert!(cut_short.is_in(CARL), "who heard nothing else cannot know better");
}

#[test]
fn r_mem_12_a_word_that_its_device_knew_to_be_forbidden_is_told_from_one_that_others_forbade() {
    let mut here = Branch::with(&[(BOB, "reader"), (CARL, "admin")]);
    here.does(ALICE, &revoke(BOB, "member"));
    let pin = |branch: &Branch, heads: &[OpId]| {
        let at = tick();
        let refused = branch.graph.may_say(&BOB.id(), &BOB.device(), P::Send, heads, at).err();
        (refused, branch.graph.never_might_say(&BOB.id(), &BOB.device(), P::Send, heads, at))
    };
    let heads = here.graph.heads();
    assert_eq!(pin(&here, &heads), (Some(Refused::Lacks(P::Send)), Some(Refused::Lacks(P::Send))));
    // Carl gives Bob the right to, while Alice takes from Carl the right to give it.
    let mut there = here.clone();
    there.does(CARL, &grant(BOB, "member"));
    let granted = there.graph.heads();
    assert_eq!(pin(&there, &granted), (None, None));
    here.does(ALICE, &revoke(CARL, "admin"));
    here.meets(&mut there);
    assert_eq!(pin(&here, &granted), (Some(Refused::Lacks(P::Send)), None), "Bob could not know");
    assert_eq!(pin(&here, &here.graph.heads()).1, Some(Refused::Lacks(P::Send)));
}

#[test]
fn r_mem_14_who_is_let_in_once_more_keeps_what_was_said_under_an_admission_that_others_struck() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin")]);
    let says =
        |branch: &Branch, heads: &[OpId]| branch.graph.may_say(&DORA.id(), &DORA.device(), P::Send, heads, tick());
    let before = here.graph.heads();
    // Bob lets Dora in, not knowing that he is removed; she speaks. Carl lets her in too.
    let (mut bobs, mut carls) = (here.clone(), here.clone());
    bobs.does(BOB, &admit(DORA, "member"));
    let spoken = bobs.graph.heads();
    assert_eq!(says(&bobs, &spoken), Ok(()));
    here.does_afresh(ALICE, &kick(BOB));
    here.meets(&mut bobs);
    assert_eq!(says(&here, &spoken), Err(Refused::NotMember), "nobody who stays let her in");
    carls.does(CARL, &admit(DORA, "member"));
    here.meets(&mut carls);
    assert!(here.is_in(DORA));
    assert_eq!(says(&here, &spoken), Ok(()));
    assert_eq!(says(&here, &before), Err(Refused::NotMember), "where nobody had let her in she might say nothing");
    here.does_afresh(ALICE, &kick(DORA));
    assert_eq!(says(&here, &spoken), Err(Refused::NotMember), "who is out is judged by what holds");
}
