//! One-time keys under a drain: each is given once, nobody gets more than a share, and the owner fills up again.

use super::kit::*;
use kith_protocol::{
    identity::DeviceSecrets,
    limits::{POOL_DAILY, POOL_KEYS_LOW, POOL_KEYS_MAX},
    mailbox::{Answer, Class, OwnerAsk},
    prekey::{RelayPool, pool_key_id},
};
use std::collections::BTreeSet;

#[test]
fn r_rly_9_ten_thousand_takes_by_a_hundred_drain_the_pool_once_and_it_is_filled_again() {
    let (mut relay, bob, mut random) = (Relay::open(), Owner::new("bob"), rng(8));
    relay.register(&bob);
    let (device, mut pool) = (DeviceSecrets::generate(&mut random), RelayPool::default());
    let keys = pool.make(POOL_KEYS_MAX, &device, relay.wall, &mut random);
    assert_eq!(relay.own(&bob, &OwnerAsk::PutPrekeys { keys: keys.clone() }), Answer::Prekeys(POOL_KEYS_MAX as u64));
    assert_eq!(relay.page(&bob, 0).prekeys, POOL_KEYS_MAX as u64);
    let (mut taken, mut woken) = (BTreeSet::new(), 0);
    let day = relay.wall.day();
    for round in 0..100 {
        let takes = (1..=100u64).map(|serial| {
            let from = format!("drain {serial}");
            let pass = bob.pass(&relay, Class::Contact, serial);
            (peer(&from), pass.take_prekey(&relay.nonce(&from), day))
        });
        let takes = takes.collect();
        let mut turn = relay.turn(takes);
        turn.answers.sort_by_key(|(token, _)| *token);
        woken += turn.wake.len();
        for (n, (_, answer)) in turn.answers.iter().enumerate() {
            match Answer::decode(answer).unwrap() {
                Answer::Prekey(Some(key)) => assert!(taken.insert(pool_key_id(&key).unwrap()), "given twice"),
                Answer::Prekey(None) => {}
                other => panic!("round {round}, {n}: {other:?}"),
            }
        }
        relay.pass(60_000);
    }
    assert_eq!(taken.len(), POOL_KEYS_MAX);
    assert!(woken >= 1, "the owner is called");
    // Somebody honest gets a clean none, and begins without.
    let pass = bob.pass(&relay, Class::Stranger, 500);
    let take = pass.take_prekey(&relay.nonce("alice"), day);
    assert_eq!(relay.ask("alice", take.clone()), Answer::Prekey(None));
    // The owner sees it, and fills up; old keys are not given again.
    let left = relay.page(&bob, 0).prekeys;
    assert!(left < POOL_KEYS_LOW as u64);
    assert_eq!(relay.own(&bob, &OwnerAsk::PutPrekeys { keys }), Answer::Prekeys(0));
    let fresh = pool.make(POOL_KEYS_MAX, &device, relay.wall, &mut random);
    assert_eq!(relay.own(&bob, &OwnerAsk::PutPrekeys { keys: fresh }), Answer::Prekeys(POOL_KEYS_MAX as u64));
    let Answer::Prekey(Some(key)) = relay.ask("alice", take) else { panic!("an honest first contact has no key") };
    assert!(taken.insert(pool_key_id(&key).unwrap()));
}

#[test]
fn r_rly_9_one_grant_takes_its_share_of_a_day_and_no_more() {
    let (mut relay, bob, mut random) = (Relay::open(), Owner::new("bob"), rng(8));
    relay.register(&bob);
    let device = DeviceSecrets::generate(&mut random);
    let keys = RelayPool::default().make(POOL_KEYS_MAX, &device, relay.wall, &mut random);
    relay.own(&bob, &OwnerAsk::PutPrekeys { keys });
    let pass = bob.pass(&relay, Class::Stranger, 7);
    let takes = |relay: &mut Relay| {
        let (nonce, day) = (relay.nonce("mallory"), relay.wall.day());
        let all = relay.answers(vec![(peer("mallory"), pass.take_prekey(&nonce, day)); 100]);
        all.iter().filter(|answer| matches!(answer, Answer::Prekey(Some(_)))).count()
    };
    assert_eq!(takes(&mut relay), POOL_DAILY as usize);
    relay.pass(DAY);
    assert_eq!(takes(&mut relay), POOL_DAILY as usize);
    let mut relay = relay.restart();
    assert_eq!(takes(&mut relay), 0, "a restart gives nobody a second share");
}
