//! Keys that are made anew: for whom, by whom, and what is no epoch.

use super::*;
use crate::{
    channel::{
        Fresh, Permission as P, Refused,
        blob::{EpochSecrets, recipients_digest},
    },
    crypto::Secret,
};

#[test]
fn r_epoch_1_keys_made_anew_are_had_by_who_belongs_and_nobody_else() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member"), (DORA, "member")]);
    let before = current(&here);
    here.does_afresh(BOB, &kick(DORA));
    let epochs = Epochs::of(&here.graph);
    let now = epochs.current().unwrap();
    assert_ne!(now, before);
    let mut rings = Rings::of(&here.graph, &epochs);
    for (who, has) in [(ALICE, true), (BOB, true), (CARL, true), (DORA, false)] {
        assert_eq!(rings.has(&epochs, &who.device(), &now), has, "{who:?}");
        assert!(rings.has(&epochs, &who.device(), &before));
    }
    assert_eq!(epochs.gate(&here.graph), Some(Gate::Open(now)));
    assert_eq!(epochs.get(&now).unwrap().origin, Origin::Fresh(here.graph.ops().len() - 1));
    let senders = epochs.senders(&now);
    assert!(senders.is_sorted() && senders.len() == 3);
}

#[test]
fn c05_37_r_mem_10_keys_for_others_than_the_members_are_refused_and_are_no_epoch() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member"), (DORA, "reader")]);
    here.does(ALICE, &revoke(DORA, "member"));
    let right: BTreeSet<DeviceId> = [ALICE, BOB, CARL, DORA].iter().map(|w| w.device()).collect();
    assert_eq!(here.graph.recipients(), right);
    let with = |extra: Who| right.iter().copied().chain([extra.device()]).collect::<BTreeSet<_>>();
    let without = |left: Who| right.iter().copied().filter(|d| *d != left.device()).collect::<BTreeSet<_>>();
    let good = fresh_for(&right);
    let wrong = [
        fresh_for(&with(EVE)),
        fresh_for(&without(ALICE)),
        fresh_for(&BTreeSet::new()),
        Fresh { items: 5, ..good.clone() },
        Fresh { items: 3, ..good.clone() },
        Fresh { items: u32::MAX, ..good.clone() },
        Fresh { items: 5, recipients: recipients_digest(&right), ..fresh_for(&with(EVE)) },
        Fresh { recipients: [0; 32], ..good.clone() },
    ];
    let before = current(&here);
    for fresh in wrong {
        for act in [
            Act::Rekey { emergency: false, fresh: fresh.clone() },
            Act::Rekey { emergency: true, fresh: fresh.clone() },
        ] {
            let (mut there, heads) = (here.clone(), here.graph.heads());
            let (op, why) = there.forces(CARL, &heads, &act);
            assert_eq!(why, Some(Refused::WrongRecipients));
            let epochs = Epochs::of(&there.graph);
            assert_eq!(
                (epochs.current(), epochs.behind(there.graph.position(&op).unwrap())),
                (Some(before), Some(before))
            );
        }
        let removal = with_fresh(&kick(CARL), fresh);
        let (mut there, heads) = (here.clone(), here.graph.heads());
        assert_eq!(there.forces(BOB, &heads, &removal).1, Some(Refused::WrongRecipients));
        assert!(there.is_in(CARL), "a removal whose keys go elsewhere removes nobody");
    }
    // The keys of a removal go to who remains, not to who is there before.
    let (mut there, heads) = (here.clone(), here.graph.heads());
    assert_eq!(there.forces(BOB, &heads, &with_fresh(&kick(CARL), good)).1, Some(Refused::WrongRecipients));
    let act = here.completed(&rekey());
    assert_eq!(here.tries(DORA, &act).1, Some(Refused::Lacks(P::Rekey)));
    here.does(CARL, &rekey());
}

#[test]
fn c05_43_two_members_cannot_be_given_different_secrets_of_one_epoch() {
    let secrets =
        |epoch, lineage| EpochSecrets { epoch: Secret::new([epoch; 32]), lineage: Secret::new([lineage; 32]) };
    let commit = secrets(1, 2).commit();
    assert_eq!(commit, secrets(1, 2).commit());
    for other in [secrets(3, 2), secrets(1, 3), secrets(2, 1)] {
        assert_ne!(commit, other.commit());
    }
}

#[test]
fn c05_46_r_epoch_2_who_is_let_in_reads_nothing_from_before_and_moves_no_topic() {
    let mut here = Branch::with(&[(BOB, "admin")]);
    here.does(BOB, &rekey());
    let before = current(&here);
    here.does(BOB, &admit(CARL, "member"));
    let joined = current(&here);
    here.does(BOB, &admit(DORA, "member"));
    let epochs = Epochs::of(&here.graph);
    let later = epochs.current().unwrap();
    let mut rings = Rings::of(&here.graph, &epochs);
    for (who, has) in [(BOB, [true; 3]), (CARL, [false, true, true]), (DORA, [false, false, true])] {
        let found = [before, joined, later].map(|id| rings.has(&epochs, &who.device(), &id));
        assert_eq!(found, has, "{who:?}");
    }
    let lineages: BTreeSet<LineageId> =
        [before, joined, later].iter().map(|id| epochs.get(id).unwrap().lineage).collect();
    assert_eq!(lineages.len(), 1, "joins leave the lineage as it is");
    let both = [CARL.device(), DORA.device()].into();
    assert!(!rings.together(&epochs, &both, &before) && !epochs.any_can_derive(&before, &both));
    // Who leaves knows nothing of what is made without them.
    here.does_afresh(BOB, &kick(CARL));
    let epochs = Epochs::of(&here.graph);
    let mut rings = Rings::of(&here.graph, &epochs);
    let after = epochs.current().unwrap();
    assert!(!rings.has(&epochs, &CARL.device(), &after) && rings.has(&epochs, &DORA.device(), &after));
    assert_ne!(epochs.get(&after).unwrap().lineage, *lineages.first().unwrap());
}

#[test]
fn c05_62_r_epoch_4_the_topic_moves_with_each_lineage_and_with_no_join() {
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "member")]);
    let topic = |branch: &Branch| {
        let epochs = Epochs::of(&branch.graph);
        let mut rings = Rings::of(&branch.graph, &epochs);
        let now = epochs.current().unwrap();
        assert!(rings.all.derive(&epochs, &now));
        rings.all.lineage(&epochs.get(&now).unwrap().lineage).unwrap().topic()
    };
    let mut topics = BTreeSet::from([topic(&here)]);
    here.does(BOB, &admit(DORA, "member"));
    assert!(!topics.insert(topic(&here)), "a join moves it");
    here.does(CARL, &rekey());
    assert!(topics.insert(topic(&here)));
    let mut there = here.clone();
    here.does_afresh(BOB, &kick(DORA));
    assert!(topics.insert(topic(&here)));
    there.does(CARL, &emergency());
    assert!(topics.insert(topic(&there)));
    here.meets(&mut there);
    assert!(topics.insert(topic(&here)), "two that were joined travel under a topic of their own");
    assert_eq!(topic(&here), topic(&there));
}

#[test]
fn r_epoch_8_a_suspended_device_is_left_out_and_comes_back_by_its_own_word() {
    let mut here = Branch::new();
    here.does(ALICE, &admit_with(BOB, &BOB.person().two, "member"));
    here.does(ALICE, &suspend(&[BOB.second()], true));
    here.does(ALICE, &rekey());
    let epochs = Epochs::of(&here.graph);
    let now = epochs.current().unwrap();
    let mut rings = Rings::of(&here.graph, &epochs);
    assert!(rings.has(&epochs, &BOB.device(), &now) && !rings.has(&epochs, &BOB.second(), &now));
    assert_eq!(epochs.gate(&here.graph), Some(Gate::Open(now)), "it is no outsider, and nobody waits for it");
    assert!(epochs.senders(&now).contains(&BOB.second()), "it may send as soon as it is back");
    here.does_with(BOB, 1, &suspend(&[BOB.second()], false));
    let wanted = vec![(BOB.second(), vec![now])];
    assert_eq!(gate_of(&here), Gate::Lacking(now, wanted));
    assert_eq!(hand_out(&mut here, ALICE), 1);
    let epochs = Epochs::of(&here.graph);
    assert_eq!(epochs.gate(&here.graph), Some(Gate::Open(now)));
    assert!(Rings::of(&here.graph, &epochs).has(&epochs, &BOB.second(), &now));
    // Silenced again by somebody who did not know: it stays silent.
    let mut there = here.clone();
    here.does(ALICE, &suspend(&[BOB.second()], true));
    there.does_with(BOB, 1, &suspend(&[BOB.second()], false));
    here.meets(&mut there);
    assert!(!here.graph.recipients().contains(&BOB.second()));
}

#[test]
fn r_mem_9_a_members_devices_are_what_its_device_log_says() {
    let mut here = Branch::with(&[(BOB, "member"), (CARL, "member"), (DORA, "reader")]);
    here.does(ALICE, &revoke(DORA, "member"));
    // Anybody tells it, and a later word counts.
    here.does(DORA, &tell(BOB, &BOB.person().two));
    assert!(here.graph.recipients().contains(&BOB.second()));
    let now = current(&here);
    assert_eq!(gate_of(&here), Gate::Lacking(now, vec![(BOB.second(), vec![now])]));
    hand_out(&mut here, CARL);
    for known in [&BOB.person().one, &BOB.person().two] {
        assert_eq!(here.may(BOB, &tell(BOB, known)), Err(Refused::NothingNew));
    }
    // Keys with it are made where a device went, or by who may make them.
    let afresh = |act: &Act| with_fresh(act, fresh_for(&here.graph.recipients_after(act)));
    let carls = tell(CARL, &CARL.person().two);
    assert_eq!(here.may(DORA, &afresh(&carls)), Err(Refused::Lacks(P::Rekey)));
    assert_eq!(here.may(BOB, &afresh(&carls)), Ok(()));
    let gone = tell(BOB, &BOB.person().second_revoked);
    assert_eq!(here.may(DORA, &afresh(&gone)), Ok(()));
    assert_eq!(
        here.graph.allow(BOB.id(), BOB.second(), &afresh(&gone), tick()).err(),
        Some(Refused::OwnRemoval),
        "not by the device itself, which is not to have them"
    );
    // What is cut is what the revoked devices said.
    let cut = |device| match gone.clone() {
        Act::Devices { account, devices, fresh, .. } => {
            Act::Devices { account, devices, fresh, cutoffs: vec![cutoff(device, 3)] }
        }
        other => other,
    };
    assert_eq!(here.may(DORA, &cut(BOB.device())), Err(Refused::NotTheirDevice));
    assert_eq!(here.may(DORA, &cut(BOB.second())), Ok(()));
    let mut there = here.clone();
    here.does(DORA, &gone);
    assert!(matches!(gate_of(&here), Gate::Tainted(_)), "a revoked device has the keys");
    there.does_afresh(DORA, &gone);
    let Gate::Open(now) = gate_of(&there) else { panic!("{:?}", gate_of(&there)) };
    let epochs = Epochs::of(&there.graph);
    let mut rings = Rings::of(&there.graph, &epochs);
    assert!(!rings.has(&epochs, &BOB.second(), &now) && rings.has(&epochs, &BOB.device(), &now));
    let removal =
        |device| Act::Remove(crate::channel::Removal { cutoffs: vec![cutoff(device, 3)], ..removal(CARL, false) });
    assert_eq!(here.may(ALICE, &removal(BOB.device())), Err(Refused::NotTheirDevice));
    assert_eq!(here.may(ALICE, &removal(CARL.device())), Ok(()));
}

#[test]
fn five_thousand_members_who_came_one_by_one_share_an_epoch() {
    // The same few people again and again: what matters is how long the line of admissions is.
    let mut here = Branch::with(&[(BOB, "admin")]);
    for n in 0..cases(1_500, 5_000) {
        let who = Who(2 + n % 20);
        if here.is_in(who) {
            here.does(BOB, &kick(who));
        } else {
            here.does(BOB, &admit(who, "member"));
        }
    }
    // However many times they came and went: one goes in the end.
    if here.is_in(Who(2)) {
        here.does(BOB, &kick(Who(2)));
    }
    let epochs = Epochs::of(&here.graph);
    let now = epochs.current().unwrap();
    let mut rings = Rings::of(&here.graph, &epochs);
    assert!(rings.has(&epochs, &ALICE.device(), &now));
    assert!(epochs.holders(&now).contains(&BOB.device()));
    assert!(matches!(epochs.gate(&here.graph), Some(Gate::Tainted(_))));
}
