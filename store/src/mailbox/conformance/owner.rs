//! What owners do: acknowledging, prekeys, descriptors, revoking, leaving.

use super::*;
use crate::mailbox::{Custody, Room};
use kith_protocol::limits::{POOL_KEYS_MAX, REVOKED_MAX};
use std::collections::BTreeSet;

pub(super) fn checks<G: Ground>() -> Vec<Check<G>> {
    vec![
        ("nobody deletes somebody else's mail", foreign_acknowledgement),
        ("a collected envelope is kept again if it is brought again", brought_again),
        ("each key of a pool is handed out once, whoever asks in whatever batch", prekeys_once),
        ("a key that was taken is not offered again by an owner who repeats itself", prekeys_repeated),
        ("one grant takes its share of a day and no more", prekeys_share),
        ("a descriptor takes the place of the last one", descriptors),
        ("a revoked grant lets nobody in", revoked),
        ("as many grants are ended as are remembered", revoked_bound),
        ("a mailbox that left is gone whole, and its name can be used anew", leave),
    ]
}

fn foreign_acknowledgement<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    relay.all(&[Change::Deposit(deposit(1, 1)), Change::Deposit(deposit(2, 2))])?;
    let ids = vec![envelope(1), envelope(77)];
    let acknowledge = |n| Change::Acknowledge { mailbox: mailbox(n), ids: ids.clone() };
    assert_eq!(relay.one(acknowledge(2))?, Outcome::Deleted { deleted: 0, absent: 2 });
    assert_eq!(relay.one(acknowledge(3))?, Outcome::NoMailbox);
    assert_eq!(relay.names(1)?, [envelope(1)]);
    let custody =
        |relay: &Relay<'_, G>, n| relay.store.custody(&tag(n, TODAY, Class::Contact), &envelope(1), relay.now);
    // Nothing is remembered of what was never there.
    assert_eq!(custody(&relay, 2)?, Custody::Absent);
    assert!(matches!(custody(&relay, 1)?, Custody::Held { .. }));
    assert_eq!(relay.one(acknowledge(1))?, Outcome::Deleted { deleted: 1, absent: 1 });
    assert_eq!(relay.one(acknowledge(1))?, Outcome::Deleted { deleted: 0, absent: 2 });
    assert_eq!(custody(&relay, 1)?, Custody::Collected);
    relay.recount()
}

fn brought_again<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let acknowledge = Change::Acknowledge { mailbox: mailbox(1), ids: vec![envelope(1)] };
    for round in 1..=3 {
        let stored = Outcome::Stored { until: deposit(1, 1).until, cursor: round, new: true };
        assert_eq!(relay.one(Change::Deposit(deposit(1, 1)))?, stored);
        assert_eq!(relay.names(1)?, [envelope(1)]);
        let held = relay.store.custody(&tag(1, TODAY, Class::Contact), &envelope(1), relay.now)?;
        assert_eq!(held, Custody::Held { bytes: content(1, 100), until: deposit(1, 1).until });
        assert_eq!(relay.one(acknowledge.clone())?, Outcome::Deleted { deleted: 1, absent: 0 });
        relay.recount()?;
    }
    Ok(())
}

fn keys(numbers: std::ops::Range<u32>) -> Vec<(u32, Vec<u8>)> {
    numbers.map(|n| (n, content(n, 120))).collect()
}

fn put(n: u8, numbers: std::ops::Range<u32>) -> Change {
    Change::PutPrekeys { mailbox: mailbox(n), keys: keys(numbers) }
}

fn prekeys_once<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    assert_eq!(relay.one(put(1, 0..30))?, Outcome::Prekeys(30));
    assert_eq!(relay.one(put(2, 0..5))?, Outcome::Prekeys(5));
    let mut taken = BTreeSet::new();
    for round in 0..5u64 {
        // Ten at once, then a crash: what was answered is gone for good.
        let changes: Vec<Change> = (0..8).map(|n| take(1, round.wrapping_mul(10).wrapping_add(n), 1)).collect();
        for outcome in relay.all(&changes)? {
            let Outcome::Prekey { key, left } = outcome else {
                assert_eq!(outcome, Outcome::Done, "a key or none");
                continue;
            };
            if let Some((number, bytes)) = key {
                assert_eq!(bytes, content(number, 120));
                assert!(taken.insert(number), "key {number} was handed out twice");
            }
            assert_eq!(left, 30u64.saturating_sub(taken.len() as u64));
        }
        relay = relay.crash();
        assert_eq!(relay.info(1)?.map(|info| info.prekeys), Some(30u64.saturating_sub(taken.len() as u64)));
    }
    assert_eq!(taken, (0..30).collect());
    assert_eq!(relay.one(take(1, 1_000, 1))?, Outcome::Prekey { key: None, left: 0 });
    // More are put and taken in one batch.
    let outcomes = relay.all(&[put(1, 100..101), take(1, 1_001, 1), take(1, 1_002, 1)])?;
    let key = Some((100, content(100, 120)));
    let none = Outcome::Prekey { key: None, left: 0 };
    assert_eq!(outcomes, [Outcome::Prekeys(1), Outcome::Prekey { key, left: 0 }, none]);
    assert_eq!(relay.info(2)?.map(|info| info.prekeys), Some(5));
    Ok(())
}

fn prekeys_repeated<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    assert_eq!(relay.one(put(1, 0..10))?, Outcome::Prekeys(10));
    assert_eq!(relay.one(put(1, 0..10))?, Outcome::Prekeys(10));
    for serial in 0..4 {
        relay.one(take(1, serial, 1))?;
    }
    assert_eq!(relay.one(put(1, 0..10))?, Outcome::Prekeys(6));
    // As many as there is room for.
    let all = POOL_KEYS_MAX as u32;
    assert_eq!(relay.one(put(1, 10..all.saturating_add(50)))?, Outcome::Prekeys(all.into()));
    assert_eq!(relay.one(put(1, 500..501))?, Outcome::Prekeys(all.into()));
    assert_eq!(relay.one(put(8, 0..1))?, Outcome::NoMailbox);
    let Outcome::Prekey { key, left } = relay.one(take(1, 9, 1))? else { return Err(Error::Bug("no prekey")) };
    assert_eq!((key, left), (Some((4, content(4, 120))), u64::from(all).saturating_sub(1)));
    Ok(())
}

fn prekeys_share<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    relay.one(put(1, 0..50))?;
    let got = |outcomes: &[Outcome]| {
        outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Prekey { key: Some(_), .. })).count()
    };
    let ask = |serial: u64| vec![take(1, serial, 3); 5];
    assert_eq!(got(&relay.all(&ask(1))?), 3);
    assert_eq!(got(&relay.all(&ask(1))?), 0);
    assert_eq!(got(&relay.all(&ask(2))?), 3);
    // A sweep, a crash and a clock that goes back make no new share; the next day does.
    relay.one(Change::Sweep { budget: 100 })?;
    let mut relay = relay.crash();
    assert_eq!(got(&relay.all(&ask(1))?), 0);
    let noon = relay.now;
    relay.now = noon.minus_millis(3 * DAY);
    assert_eq!(got(&relay.all(&ask(1))?), 0);
    relay.now = noon.plus_days(1);
    assert_eq!(got(&relay.all(&ask(1))?), 3);
    assert_eq!(got(&relay.all(&ask(1))?), 0);
    relay.one(Change::Sweep { budget: 100 })?;
    assert_eq!(got(&relay.all(&ask(1))?), 0);
    assert_eq!(got(&relay.all(&ask(2))?), 3);
    Ok(())
}

fn descriptors<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    relay.caps.kept_bytes = 1_000;
    let until = relay.now.plus_days(30);
    let keep = |n: u8, id: u8, length: usize| Change::Keep {
        mailbox: mailbox(n),
        id: kept(id),
        bytes: content(id.into(), length),
        until,
    };
    assert_eq!(relay.one(keep(1, 1, 600))?, Outcome::Done);
    assert_eq!(relay.store.kept(&kept(1), relay.now)?, Some(content(1, 600)));
    assert_eq!(relay.one(keep(2, 1, 10))?, Outcome::NameTaken);
    assert_eq!(relay.one(keep(2, 2, 401))?, Outcome::Full(Room::Relay));
    assert_eq!(relay.one(keep(2, 2, 400))?, Outcome::Done);
    assert_eq!(relay.store.totals()?.kept_bytes, 1_000);
    // The same one again, another name, another length: the old one is gone.
    assert_eq!(relay.one(keep(1, 1, 600))?, Outcome::Done);
    assert_eq!(relay.one(keep(1, 3, 500))?, Outcome::Done);
    assert_eq!(relay.store.kept(&kept(1), relay.now)?, None);
    assert_eq!(relay.store.kept(&kept(3), relay.now)?, Some(content(3, 500)));
    // One that does not fit leaves the old one.
    assert_eq!(relay.one(keep(1, 4, 601))?, Outcome::Full(Room::Relay));
    let mut relay = relay.crash();
    assert_eq!(relay.store.kept(&kept(3), relay.now)?, Some(content(3, 500)));
    assert_eq!(relay.store.totals()?.kept_bytes, 900);
    assert_eq!(relay.one(keep(1, 3, 0))?, Outcome::Done);
    assert_eq!((relay.store.kept(&kept(3), relay.now)?, relay.store.totals()?.kept_bytes), (None, 400));
    assert_eq!(relay.one(keep(9, 9, 1))?, Outcome::NoMailbox);
    // What lapsed is not shown, keeps nobody out, and goes.
    assert_eq!(relay.one(keep(1, 5, 100))?, Outcome::Done);
    relay.now = until;
    assert_eq!(relay.store.kept(&kept(2), relay.now)?, None);
    let late = Change::Keep { mailbox: mailbox(1), id: kept(2), bytes: content(8, 300), until: until.plus_days(1) };
    assert_eq!(relay.one(late)?, Outcome::Done);
    assert_eq!(relay.store.totals()?.kept_bytes, 300);
    relay.one(Change::Sweep { budget: 100 })?;
    assert_eq!(relay.store.kept(&kept(2), relay.now)?, Some(content(8, 300)));
    relay.now = until.plus_days(1);
    relay.one(Change::Sweep { budget: 100 })?;
    assert_eq!(relay.store.totals()?.kept_bytes, 0);
    Ok(())
}

fn revoked<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    relay.one(put(1, 0..5))?;
    assert!(is_stored(&relay.one(Change::Deposit(deposit(1, 1)))?, true));
    let until = relay.now.plus_days(60);
    let revoke = Change::Revoke { mailbox: mailbox(1), serials: vec![(SERIAL, until), (50, until)] };
    let outcomes = relay.all(&[revoke, Change::Deposit(deposit(1, 2)), take(1, SERIAL, 1)])?;
    assert_eq!(outcomes, [Outcome::Done, Outcome::Revoked, Outcome::Revoked]);
    let other = |serial| Change::Deposit(Deposit { serial, ..deposit(1, 3) });
    assert_eq!(relay.one(other(50))?, Outcome::Revoked);
    assert!(is_stored(&relay.one(other(51))?, true));
    // Another mailbox's grant of that number is another grant.
    assert!(is_stored(&relay.one(Change::Deposit(deposit(2, 4)))?, true));
    // What came before stays, is fetched and counted as before.
    assert_eq!(relay.names(1)?, [envelope(1), envelope(3)]);
    relay.one(Change::Acknowledge { mailbox: mailbox(1), ids: vec![envelope(1)] })?;
    let mut relay = relay.crash();
    assert_eq!(relay.one(Change::Deposit(deposit(1, 5)))?, Outcome::Revoked);
    assert_eq!(relay.one(Change::Revoke { mailbox: mailbox(9), serials: vec![(1, until)] })?, Outcome::NoMailbox);
    relay.recount()
}

fn revoked_bound<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let (now, max) = (relay.now, REVOKED_MAX as u64);
    let revoke = |serials: std::ops::Range<u64>, days: u64| Change::Revoke {
        mailbox: mailbox(1),
        serials: serials.map(|serial| (serial, now.plus_days(days))).collect(),
    };
    // Grants that are over need no memory; the same one twice needs one.
    assert_eq!(relay.one(revoke(0..2_000, 0))?, Outcome::Done);
    assert_eq!(relay.one(revoke(100..100 + max - 1, 30))?, Outcome::Done);
    assert_eq!(relay.one(revoke(100..100 + max - 1, 40))?, Outcome::Done);
    assert_eq!(relay.one(revoke(5_000..5_002, 30))?, Outcome::Full(Room::Mailbox));
    let by = |serial, n| Change::Deposit(Deposit { serial, ..deposit(1, n) });
    assert!(is_stored(&relay.one(by(5_000, 1))?, true), "of a refused change nothing was done");
    assert_eq!(relay.one(revoke(5_001..5_002, 30))?, Outcome::Done);
    assert_eq!(relay.one(by(5_001, 2))?, Outcome::Revoked);
    // After the longer of two words the memory goes, and there is room again.
    relay.now = now.plus_days(30);
    relay.one(Change::Sweep { budget: 100_000 })?;
    assert_eq!(relay.one(by(100, 3))?, Outcome::Revoked);
    relay.now = now.plus_days(40);
    relay.one(Change::Sweep { budget: 100_000 })?;
    assert!(is_stored(
        &relay.one(Change::Deposit(Deposit { until: now.plus_days(90), serial: 100, ..deposit(1, 4) }))?,
        true
    ));
    let later = |serials: std::ops::Range<u64>| Change::Revoke {
        mailbox: mailbox(1),
        serials: serials.map(|serial| (serial, now.plus_days(80))).collect(),
    };
    assert_eq!(relay.one(later(10_000..10_000 + max))?, Outcome::Done);
    assert_eq!(relay.one(later(1..2))?, Outcome::Full(Room::Mailbox));
    Ok(())
}

fn leave<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    let one = |n: u32| Change::Deposit(deposit(1, n));
    let mut changes: Vec<Change> = (0..40).map(one).collect();
    changes.extend([put(1, 0..10), take(1, 3, 5)]);
    changes.push(Change::Acknowledge { mailbox: mailbox(1), ids: (0..10).map(envelope).collect() });
    changes.push(Change::Revoke { mailbox: mailbox(1), serials: vec![(50, relay.now.plus_days(9))] });
    let descriptor =
        Change::Keep { mailbox: mailbox(1), id: kept(1), bytes: vec![1; 50], until: relay.now.plus_days(9) };
    changes.extend([descriptor, Change::Deposit(deposit(2, 7))]);
    relay.all(&changes)?;
    relay.recount()?;
    // Also what comes and goes in one batch.
    let outcomes =
        relay.all(&[one(50), Change::Leave { mailbox: mailbox(1) }, one(51), Change::Leave { mailbox: mailbox(1) }])?;
    assert!(outcomes.first().is_some_and(|outcome| is_stored(outcome, true)));
    assert_eq!(outcomes.get(1..), Some([Outcome::Done, Outcome::UnknownTag, Outcome::Done].as_slice()));
    for swept in [false, true] {
        assert_eq!((relay.info(1)?, relay.names(1)?), (None, vec![]));
        assert_eq!(relay.store.kept(&kept(1), relay.now)?, None);
        let absent = relay.store.custody(&tag(1, TODAY, Class::Contact), &envelope(3), relay.now)?;
        assert_eq!(absent, Custody::Absent);
        let totals = relay.store.totals()?;
        assert_eq!((totals.mailboxes, totals.envelopes, totals.bytes, totals.kept_bytes), (1, 1, 100, 0));
        relay.recount()?;
        if !swept {
            // Anew, before anything was swept: nothing of the old one is there.
            assert_eq!(relay.one(register(1))?, registered(true, AMPLE));
            assert_eq!(relay.names(1)?, []);
            let info = relay.info(1)?;
            assert_eq!(info.map(|info| (info.used, info.prekeys)), Some((Quota::default(), 0)));
            let tight = Quota { envelopes: 1, bytes: 1 << 40 };
            let revived = Change::Deposit(Deposit { serial: 50, grant: tight, ..deposit(1, 3) });
            assert_eq!(relay.one(revived)?, Outcome::Stored { until: deposit(1, 3).until, cursor: 1, new: true });
            let mut more = true;
            while more {
                let Outcome::Swept { more: left, .. } = relay.one(Change::Sweep { budget: 3 })? else { break };
                more = left;
            }
            assert_eq!(relay.names(1)?, [envelope(3)]);
            relay.one(Change::Leave { mailbox: mailbox(1) })?;
        }
    }
    assert_eq!(relay.names(2)?, [envelope(7)]);
    assert_eq!(relay.one(Change::Leave { mailbox: mailbox(9) })?, Outcome::Done);
    Ok(())
}
