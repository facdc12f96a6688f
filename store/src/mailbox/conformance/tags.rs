//! Tags: whose they are, for which class and until which day.

use super::*;
use crate::mailbox::{Room, TAGS_KEPT_MAX};

pub(super) fn checks<G: Ground>() -> Vec<Check<G>> {
    vec![
        ("a tag lets in its mailbox's grants of its class alone", classes),
        ("tags of days to keep stay, older ones go, named ones stay whatever their day", days),
        ("a tag of another mailbox is refused, and nothing of that registration is done", taken),
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
                assert_eq!(relay.store.owner(&tag)?, Some((mailbox(owner), of)));
            }
        }
    }
    assert_eq!(relay.store.owner(&tag(9, TODAY, Class::Contact))?, None);
    assert_eq!(relay.store.totals()?.envelopes, 3);
    relay.recount()
}

/// The days, of those around today, on which a mailbox is known.
fn known<G: Ground>(relay: &Relay<'_, G>, n: u8) -> Result<Vec<u32>, Error> {
    let mut days = Vec::new();
    for day in TODAY.saturating_sub(10)..=TODAY.saturating_add(10) {
        let owners = Class::ALL.map(|class| relay.store.owner(&tag(n, day, class)));
        let found = owners.into_iter().zip(Class::ALL).map(|(owner, class)| {
            let owner = owner?;
            assert!(owner.is_none_or(|owner| owner == (mailbox(n), class)), "{owner:?}");
            Ok::<_, Error>(owner.is_some())
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
    assert_eq!(relay.one(thief(3))?, Outcome::TagTaken);
    assert_eq!((relay.info(3)?, relay.store.owner(&tag(3, TODAY, Class::Contact))?), (None, None));
    // One that is there keeps what it had; also where owner and thief come in one batch.
    let outcomes = relay.all(&[register(4), thief(4), thief(5)])?;
    assert_eq!(outcomes, [registered(true, AMPLE), Outcome::TagTaken, Outcome::TagTaken]);
    let before = tag(4, TODAY.saturating_sub(2), Class::Contact);
    assert_eq!(relay.store.owner(&before)?, Some((mailbox(4), Class::Contact)));
    assert_eq!(relay.store.owner(&tag(1, TODAY, Class::Contact))?, Some((mailbox(1), Class::Contact)));
    // What its owner gave up is free.
    let outcomes = relay.all(&[Change::Leave { mailbox: mailbox(1) }, thief(5)])?;
    assert_eq!(outcomes, [Outcome::Done, registered(true, AMPLE)]);
    assert_eq!(relay.store.owner(&tag(1, TODAY, Class::Contact))?, Some((mailbox(5), Class::Contact)));
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
    assert_eq!(relay.store.owner(&tag(1, first, Class::Contact))?, None);
    assert_eq!(relay.one(more(room))?, registered(false, AMPLE));
    assert_eq!(relay.store.owner(&tag(1, first, Class::Stranger))?, Some((mailbox(1), Class::Stranger)));
    assert_eq!(relay.store.owner(&tag(1, TODAY, Class::Contact))?, Some((mailbox(1), Class::Contact)));
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
