//! What storing nodes take from a hostile peer with valid transport keys, and what readers believe.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::clock::{Clock, system_rng};
use kith_protocol::{
    Timestamp,
    identity::{Account, ContactLink, ReachSecret},
    limits::DESCRIPTOR_MAX,
    prekey::{Certificates, RecordSigner, check_record, record_key_of},
};
use kith_tests::network::{
    daemon::Person,
    liar::{Liar, Lie},
    until,
};

/// Somebody with a certified record key of a day.
fn signer(at: Timestamp) -> RecordSigner {
    let mut rng = system_rng().unwrap();
    let (account, reach) = (Account::generate(&mut rng), ReachSecret::random(&mut rng));
    let mut certificates = Certificates::default();
    certificates.renew(&account, &reach, 0, at, &mut rng).unwrap();
    certificates.signer(at.day()).unwrap()
}

async fn attacker(victim: &Person) -> Liar {
    Liar::join(Lie::Nothing, &victim.listen()).await
}

/// Shows that the victim refuses bytes under a key and afterwards answers with nothing for it.
async fn refused(victim: &Person, what: &str, key: &[u8], value: Vec<u8>) {
    // Each attack comes from a peer of its own: a score must not do the work of the check.
    assert!(!attacker(victim).await.put(&victim.peer(), key, value).await, "{what} was acknowledged");
    assert_eq!(attacker(victim).await.get(key).await, Vec::<Vec<u8>>::new(), "{what} is told to others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_desc_4_garbage_oversized_expired_foreign_and_forged_records_are_refused_over_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let mut victim = Person::start(folder.path(), "victim", Vec::new()).await;
    let now = Clock::system().now();
    let (good, other) = (signer(now), signer(now));
    let (key, seq) = (good.record_key(), now.as_millis());
    let key = key.as_bytes();
    let genuine = good.empty(seq);

    let mut oversized = genuine.clone();
    oversized.resize(DESCRIPTOR_MAX + 1, 0);
    let mut bent = genuine.clone();
    *bent.last_mut().unwrap() ^= 1;
    let past = Timestamp::from_millis(now.as_millis() - 3 * 86_400_000);
    let old = signer(past);
    let attacks = [
        ("garbage", key.to_vec(), b"garbage".to_vec()),
        ("nothing at all", key.to_vec(), Vec::new()),
        ("an oversized record", key.to_vec(), oversized),
        ("a foreign record", key.to_vec(), other.empty(seq)),
        ("a record under a key that is none", b"short".to_vec(), genuine.clone()),
        ("a record with a bent signature", key.to_vec(), bent),
        ("an expired record", old.record_key().as_bytes().to_vec(), old.empty(past.as_millis())),
        ("a sequence that no clock reaches", key.to_vec(), good.empty(now.plus_days(2).as_millis())),
    ];
    let victim_ref = &victim;
    let attacks = attacks.map(|(what, key, value)| async move { refused(victim_ref, what, &key, value).await });
    futures::future::join_all(attacks).await;

    // The same key with a genuine record: it was the records that were refused, and nobody is locked out.
    let honest = attacker(&victim).await;
    assert!(honest.put(&victim.peer(), key, genuine.clone()).await);
    assert_eq!(attacker(&victim).await.get(key).await, vec![genuine]);
    victim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_desc_5_older_and_equal_but_different_records_are_refused_over_the_wire_and_replays_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut victim = Person::start(folder.path(), "victim", Vec::new()).await;
    let now = Clock::system().now();
    let (mut rng, seq) = (system_rng().unwrap(), now.as_millis());
    // One account with two record keys for the same place: both are certified, so only the sequence decides.
    let (account, reach) = (Account::generate(&mut rng), ReachSecret::random(&mut rng));
    let mut sign = || {
        let mut certificates = Certificates::default();
        certificates.renew(&account, &reach, 0, now, &mut rng).unwrap();
        certificates.signer(now.day()).unwrap()
    };
    let (one, two) = (sign(), sign());
    let key = one.record_key();
    assert_eq!(key, two.record_key());
    let (key, newest) = (key.as_bytes(), one.empty(seq));

    assert!(attacker(&victim).await.put(&victim.peer(), key, newest.clone()).await);
    let replays = [("the same bytes", newest.clone(), true), ("an older record", one.empty(seq - 1), false)];
    let different = [("an equal sequence with other bytes", two.empty(seq), false)];
    for (what, value, acknowledged) in replays.into_iter().chain(different) {
        assert_eq!(attacker(&victim).await.put(&victim.peer(), key, value).await, acknowledged, "{what}");
        assert_eq!(attacker(&victim).await.get(key).await, vec![newest.clone()], "{what}");
    }
    assert!(attacker(&victim).await.put(&victim.peer(), key, two.empty(seq + 1)).await);
    assert_eq!(attacker(&victim).await.get(key).await, vec![two.empty(seq + 1)]);
    victim.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_among_liars_believes_none_of_them_and_finds_the_one_honest_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = Person::start(folder.path(), "holder", Vec::new()).await;
    let now = Clock::system().now();
    let foreign = signer(now).empty(now.as_millis());
    let past = Timestamp::from_millis(now.as_millis() - 3 * 86_400_000);
    let expired = signer(past).empty(past.as_millis());
    let lies =
        [Lie::Garbage, Lie::Foreign, Lie::Always(foreign), Lie::Always(expired), Lie::Always(Vec::new()), Lie::Oldest];
    let mut liars = Vec::new();
    for lie in lies {
        liars.push(Liar::join(lie, &holder.listen()).await);
    }
    holder.has_neighbours(6).await;
    let mut ana = Person::start(folder.path(), "ana", holder.listen()).await;
    let mut ben = Person::start(folder.path(), "ben", holder.listen()).await;
    for person in [&ana, &ben] {
        person.is_published(1).await;
    }
    // Started again Ben listens elsewhere: what the liars hold of him is outdated.
    ben.stop().await;
    ben.resume().await;
    ben.is_published(1).await;
    ana.client.add_contact(&ben.code().await, Some("ben")).await.unwrap();
    ben.client.add_contact(&ana.code().await, Some("ana")).await.unwrap();
    ana.says("@ben", "found").await;
    assert_eq!(ben.heard("@ana", "found").await, 1);
    for person in [&mut ana, &mut ben, &mut holder] {
        person.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_desc_11_a_new_contact_code_empties_what_storing_nodes_hold_under_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = Person::start(folder.path(), "holder", Vec::new()).await;
    let mut ana = Person::start(folder.path(), "ana", holder.listen()).await;
    ana.is_published(1).await;
    let old = ContactLink::parse(&ana.code().await).unwrap().code;
    // Tomorrow's record lies there whatever day it is when the test ends.
    let tomorrow = Clock::system().now().day().plus(1);
    let key = record_key_of(&old.account, &old.reach, tomorrow, 0).unwrap();
    let reader = attacker(&holder).await;
    let empty = |record: &Vec<u8>| check_record(&key, record, Clock::system().now()).unwrap().empty;
    until("the descriptor lies there", async || {
        reader.get(key.as_bytes()).await.first().is_some_and(|record| !empty(record))
    })
    .await;
    ana.client.rotate().await.unwrap();
    until("the old place is empty", async || reader.get(key.as_bytes()).await.first().is_some_and(empty)).await;
    let new = ContactLink::parse(&ana.code().await).unwrap().code;
    let key = record_key_of(&new.account, &new.reach, tomorrow, 0).unwrap();
    let filled = |record: &Vec<u8>| !check_record(&key, record, Clock::system().now()).unwrap().empty;
    until("the new place is filled", async || reader.get(key.as_bytes()).await.first().is_some_and(filled)).await;
    for person in [&mut ana, &mut holder] {
        person.stop().await;
    }
}
