//! Tags: whose they are, for which class and until which day.

use super::*;
use crate::mailbox::{Custody, Room, TAGS_KEPT_MAX};

pub(super) fn checks<G: Ground>() -> Vec<Check<G>> {
    vec![
        ("a tag lets in its mailbox's grants of its class alone", classes),
        ("tags of days to keep stay, older ones go, named ones stay whatever their day", days),
        ("who registers tags of another mailbox takes nothing from it", taken),
        ("more tags than are kept are refused whole", bound),
        ("registering again changes nothing else", again),
    ]
}

fn classes<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    let mut number = 0;
    for of in Class::ALL {
        for class in Class::ALL {
            for (owner, signer) in [(1, 1), (1, 2), (2, 1)] {
                number += 1;
                let tag = tag(owner, TODAY, of);
                let change = Deposit { tag, class, mailbox: mailbox(signer), ..deposit(1, number) };
                let outcome = relay.one(Change::Deposit(change))?;
                let right = of == class && owner == signer;
                assert!(if right { is_stored(&outcome, true) } else { outcome == Outcome::UnknownTag }, "{outcome:?}");
                let take = Change::TakePrekey { tag, mailbox: mailbox(signer), class, serial: 1, daily: 1 };
                let outcome = relay.one(take)?;
                let empty = Outcome::Prekey { key: None, left: 0 };
                assert_eq!(outcome, if right { empty } else { Outcome::UnknownTag });
                assert_eq!(relay.store.class_of(&mailbox(owner), &tag)?, Some(of));
            }
        }
    }
    assert_eq!(relay.store.class_of(&mailbox(9), &tag(9, TODAY, Class::Contact))?, None);
    assert_eq!(relay.store.totals()?.envelopes, 3);
    relay.recount()
}

/// The days, of those around today, on which a mailbox is known.
fn known<G: Ground>(relay: &Relay<'_, G>, n: u8) -> Result<Vec<u32>, Error> {
    let mut days = Vec::new();
    for day in TODAY.saturating_sub(10)..=TODAY.saturating_add(10) {
        let classes = Class::ALL.map(|class| relay.store.class_of(&mailbox(n), &tag(n, day, class)));
        let found = classes.into_iter().zip(Class::ALL).map(|(found, class)| {
            let found = found?;
            assert!(found.is_none_or(|found| found == class), "{found:?}");
            Ok::<_, Error>(found.is_some())
        });
        let found = found.collect::<Result<Vec<bool>, _>>()?;
        assert!(found.iter().all(|one| found.first() == Some(one)), "classes go together");
        days.extend(found.first().is_some_and(|first| *first).then_some(day));
    }
    Ok(days)
}

fn days<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    let around = |from: i64, to: i64| -> Vec<u32> {
        (from..=to).map(|day| TODAY.saturating_add_signed(i32::try_from(day).unwrap_or_default())).collect()
    };
    assert_eq!(known(&relay, 1)?, around(-2, 2));
    let next = |days: std::ops::RangeInclusive<u32>, keep_from: u32| Change::Register {
        mailbox: mailbox(1),
        tags: tags(1, days),
        keep_from,
        token: None,
        open: false,
    };
    let (three, five) = (TODAY.saturating_add(3), TODAY.saturating_add(5));
    assert_eq!(relay.one(next(three..=five, TODAY.saturating_sub(1)))?, registered(false, AMPLE));
    assert_eq!(known(&relay, 1)?, around(-1, 5));
    assert_eq!(known(&relay, 2)?, around(-2, 2));
    let old = Deposit { tag: tag(1, TODAY.saturating_sub(2), Class::Contact), ..deposit(1, 1) };
    assert_eq!(relay.one(Change::Deposit(old))?, Outcome::UnknownTag);
    let ahead = Deposit { tag: tag(1, five, Class::Contact), ..deposit(1, 2) };
    assert!(is_stored(&relay.one(Change::Deposit(ahead))?, true));
    // A relay whose clock is ahead says that all days are old: what is named counts.
    relay.one(next(TODAY..=three, five.saturating_add(300)))?;
    assert_eq!(known(&relay, 1)?, around(0, 3));
    // None named: none of those to keep goes.
    relay.one(Change::Register { mailbox: mailbox(1), tags: vec![], keep_from: TODAY, token: None, open: false })?;
    assert_eq!(known(&relay.crash(), 1)?, around(0, 3));
    Ok(())
}

fn taken<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let thief = |n: u8| {
        let mut all = tags(n, TODAY..=TODAY);
        all.extend(tags(1, TODAY..=TODAY));
        Change::Register { mailbox: mailbox(n), tags: all, keep_from: TODAY, token: None, open: true }
    };
    let shared = tag(1, TODAY, Class::Contact);
    let to = |n: u8, number: u32| Change::Deposit(Deposit { mailbox: mailbox(n), tag: shared, ..deposit(1, number) });
    assert!(is_stored(&relay.one(to(1, 1))?, true));
    // Before and after its owner registers anew, also where both come in one batch.
    let outcomes = relay.all(&[thief(3), register(1), thief(4), register(4)])?;
    let old = registered(false, AMPLE);
    assert_eq!(outcomes, [registered(true, AMPLE), old.clone(), registered(true, AMPLE), old]);
    for (n, number) in [(1, 2), (3, 3), (4, 4)] {
        assert_eq!(relay.store.class_of(&mailbox(n), &shared)?, Some(Class::Contact));
        assert!(is_stored(&relay.one(to(n, number))?, true));
    }
    assert_eq!(relay.names(1)?, [envelope(1), envelope(2)], "each has what came under its own grants");
    assert_eq!((relay.names(3)?, relay.names(4)?), (vec![envelope(3)], vec![envelope(4)]));
    for number in 1..=4 {
        let held = relay.store.custody(&shared, &envelope(number), relay.now)?;
        assert!(matches!(held, Custody::Held { .. }), "{number}: {held:?}");
    }
    // One that goes leaves the others theirs.
    relay.one(Change::Leave { mailbox: mailbox(3) })?;
    assert_eq!(relay.store.custody(&shared, &envelope(3), relay.now)?, Custody::Absent);
    assert_eq!(relay.one(to(3, 5))?, Outcome::UnknownTag);
    assert!(is_stored(&relay.one(to(1, 6))?, true));
    relay.recount()
}

fn bound<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let room = (TAGS_KEPT_MAX as u32).saturating_sub(15) / 3;
    let first = TODAY.saturating_add(100);
    let more = |count: u32| Change::Register {
        mailbox: mailbox(1),
        tags: tags(1, first..=first.saturating_add(count.saturating_sub(1))),
        keep_from: 0,
        token: None,
        open: false,
    };
    assert_eq!(relay.one(more(room.saturating_add(1)))?, Outcome::Full(Room::Mailbox));
    assert_eq!(relay.store.class_of(&mailbox(1), &tag(1, first, Class::Contact))?, None);
    assert_eq!(relay.one(more(room))?, registered(false, AMPLE));
    assert_eq!(relay.store.class_of(&mailbox(1), &tag(1, first, Class::Stranger))?, Some(Class::Stranger));
    assert_eq!(relay.store.class_of(&mailbox(1), &tag(1, TODAY, Class::Contact))?, Some(Class::Contact));
    Ok(())
}

fn again<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    relay.all(&[
        Change::Deposit(deposit(1, 1)),
        Change::PutPrekeys { mailbox: mailbox(1), keys: vec![(1, vec![1])] },
        Change::Judge {
            mailbox: mailbox(1),
            allowed: None,
            blocked: None,
            quota: Some(Some(Quota { envelopes: 9, bytes: 900 })),
        },
    ])?;
    let before = relay.info(1)?;
    relay.now = relay.now.plus_days(1);
    assert_eq!(relay.one(register(1))?, registered(false, Quota { envelopes: 9, bytes: 900 }));
    assert_eq!(relay.info(1)?, before);
    assert_eq!(relay.names(1)?, [envelope(1)]);
    let next = relay.one(Change::Deposit(deposit(1, 2)))?;
    assert_eq!(next, Outcome::Stored { until: deposit(1, 2).until, cursor: 2, new: true });
    relay.recount()
}
