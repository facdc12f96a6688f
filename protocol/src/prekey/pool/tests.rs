//! Rotation and retention of a device's prekeys, by clocks that go right and wrong.

use super::*;
use crate::identity::device_log::tests::{NOW, Person};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::collections::BTreeSet;

const TEN_YEARS: u64 = 3_652;

fn pool() -> (PrekeyPool, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    (PrekeyPool::generate(NOW, &mut rng), rng)
}

fn day(n: u64) -> Timestamp {
    NOW.plus_days(n)
}

#[test]
fn r_pre_1_keys_are_replaced_daily_and_the_old_ones_still_open() {
    let (mut pool, mut rng) = pool();
    let (first, first_day) = (pool.current().id(), NOW.day());
    let (prekey, mailbox) = (pool.current().signed_prekey().public(), pool.mailbox_key(first_day).unwrap().public());
    assert!(!pool.rotate(NOW, &mut rng));
    assert!(pool.rotate(day(1), &mut rng));
    assert_ne!(pool.current().id(), first);
    assert_ne!(pool.current().signed_prekey().public(), prekey);
    assert_eq!(pool.by_id(first).unwrap().signed_prekey().public(), prekey);
    assert_eq!(pool.mailbox_key(first_day).unwrap().public(), mailbox);
    assert_ne!(pool.mailbox_key(day(1).day()).unwrap().public(), mailbox);
    assert!(pool.by_id(first.wrapping_sub(1)).is_none() && pool.mailbox_key(day(2).day()).is_none());
}

#[test]
fn r_pre_1_keys_are_replaced_when_the_utc_day_turns_even_if_they_are_young() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let late = NOW.day().plus(1).start().minus_millis(1_000);
    let mut pool = PrekeyPool::generate(late, &mut rng);
    assert!(pool.rotate(late.plus_millis(1_000), &mut rng));
}

#[test]
fn r_pre_1_retired_keys_live_sixty_one_days_and_then_only_until_every_mailbox_was_read() {
    let (mut pool, mut rng) = pool();
    let first = pool.current().id();
    pool.rotate(day(1), &mut rng);
    let end = day(1 + u64::from(PREKEY_RETENTION_DAYS));
    assert_eq!(pool.delete_expired(true, end.minus_millis(1)), [0u32; 0]);
    assert_eq!(pool.delete_expired(false, end.plus_days(TEN_YEARS)), [0u32; 0]);
    assert!(pool.by_id(first).is_some(), "mail sealed to it may still lie in a mailbox");
    assert_eq!(pool.delete_expired(true, end), [first]);
    assert!(pool.by_id(first).is_none() && pool.mailbox_key(NOW.day()).is_none());
    let stored = bincode::serde::encode_to_vec(pool.to_stored(), bincode::config::standard()).unwrap();
    let again = PrekeyPool::from_stored(&pool.to_stored()).unwrap();
    assert!(again.by_id(first).is_none() && !stored.is_empty());
}

#[test]
fn deleted_keys_are_in_no_stored_byte() {
    let (mut pool, mut rng) = pool();
    let secret = *pool.current().signed_prekey().to_bytes().as_bytes();
    let seed = *pool.current().kem_prekey().to_seed().as_bytes();
    let mailbox = *pool.mailbox_key(NOW.day()).unwrap().to_bytes().as_bytes();
    let holds = |pool: &PrekeyPool, needle: &[u8]| {
        let bytes = bincode::serde::encode_to_vec(pool.to_stored(), bincode::config::standard()).unwrap();
        bytes.windows(needle.len()).any(|w| w == needle)
    };
    assert!(holds(&pool, &secret) && holds(&pool, &seed) && holds(&pool, &mailbox));
    pool.rotate(day(1), &mut rng);
    assert!(holds(&pool, &secret));
    pool.delete_expired(true, day(62));
    assert!(!holds(&pool, &secret) && !holds(&pool, &seed) && !holds(&pool, &mailbox));
}

#[test]
fn a_clock_that_was_years_ahead_neither_stops_rotation_nor_repeats_a_name_or_day() {
    let (mut pool, mut rng) = pool();
    let (honest, mailbox) = (pool.current().id(), pool.mailbox_key(NOW.day()).unwrap().public());
    assert!(pool.rotate(day(TEN_YEARS), &mut rng));
    let ahead = pool.current().id();
    assert!(pool.rotate(NOW.plus_millis(60_000), &mut rng), "the clock was set right");
    let back = pool.current().id();
    assert!(back != ahead && back != honest);
    assert_eq!(pool.mailbox_key(NOW.day()).unwrap().public(), mailbox, "one day has one mailbox key");
    assert!(pool.by_id(honest).is_some() && pool.by_id(ahead).is_some());
    assert!(!pool.rotate(NOW.plus_millis(120_000), &mut rng));
    assert!(pool.rotate(day(1), &mut rng));
}

#[test]
fn forced_rotation_for_ever_stays_bounded_and_every_name_is_new() {
    let (mut pool, mut rng) = pool();
    let mut names = BTreeSet::from([pool.current().id()]);
    for _ in 0..RETIRED_MAX + 20 {
        pool.force_rotate(NOW, &mut rng);
        assert!(names.insert(pool.current().id()));
    }
    assert_eq!(pool.retired.len(), RETIRED_MAX);
}

#[test]
fn an_old_copy_put_back_gives_new_names_and_a_higher_sequence() {
    let (mut pool, mut rng) = pool();
    let alice = Person::new(1);
    let old_copy = pool.to_stored();
    pool.rotate(day(1), &mut rng);
    let published = pool.bundle(alice.account.id(), &alice.devices[0], day(1));
    let mut restored = PrekeyPool::from_stored(&old_copy).unwrap();
    let later = day(1).plus_millis(5_000);
    restored.rotate(later, &mut rng);
    assert_ne!(restored.current().id(), pool.current().id());
    let again = restored.bundle(alice.account.id(), &alice.devices[0], later);
    let sequence =
        |b: &Signed| Bundle::verify(&b.encode(), &alice.account.id(), alice.devices[0].info(), later).unwrap().seq();
    assert!(sequence(&again) > sequence(&published));
}

#[test]
fn the_stored_form_restores_every_key_and_says_nothing_in_debug() {
    let (mut pool, mut rng) = pool();
    pool.rotate(day(1), &mut rng);
    pool.rotate(day(2), &mut rng);
    let back = PrekeyPool::from_stored(&pool.to_stored()).unwrap();
    for keys in pool.all() {
        let same = back.by_id(keys.id()).unwrap();
        assert_eq!(same.signed_prekey().public(), keys.signed_prekey().public());
        assert_eq!(same.kem_prekey().public(), keys.kem_prekey().public());
        let (a, b) = (back.mailbox_key(keys.mailbox_day), pool.mailbox_key(keys.mailbox_day));
        assert_eq!(a.unwrap().public(), b.unwrap().public());
        assert_eq!(same.delete_after, keys.delete_after);
    }
    assert_eq!(back.current().id(), pool.current().id());
    assert!(PrekeyPool::from_stored(&StoredPool { keys: Vec::new(), sequence: 1 }).is_none());
    let shown = format!("{pool:?} {:?} {:?}", pool.to_stored(), pool.current());
    assert!(!shown.contains("DhSecret") && !shown.contains("Secret<"), "{shown}");
}

#[test]
fn r_pre_1_a_clock_that_was_behind_for_a_while_shortens_no_retention() {
    let (mut pool, mut rng) = pool();
    let published = pool.current().id();
    assert!(pool.rotate(NOW.minus_millis(90 * 86_400_000), &mut rng));
    pool.rotate(day(1), &mut rng);
    assert!(pool.delete_expired(true, day(60)).iter().all(|id| *id != published));
    assert!(pool.by_id(published).is_some());
}
