//! What lapses: when, in which steps, and what is left.

use super::*;
use crate::mailbox::{Custody, IDLE_DAYS};
use kith_protocol::limits;

pub(super) fn checks<G: Ground>() -> Vec<Check<G>> {
    vec![
        ("an envelope is there until its time and not a moment longer", until),
        ("a sweep deletes what lapsed, all of it, and nothing else", sweep),
        ("a sweep does no more than it may", budget),
        ("an envelope that lapsed comes anew before it was swept", lapsed_again),
        ("a collected envelope is remembered eight days, or until it would have lapsed", collected),
        ("a clock that goes back brings nothing back and deletes nothing", clock_back),
        ("the latest moment is remembered, whatever the clock shows later", latest),
        ("an empty mailbox that nobody registers goes, one with mail does not", idle),
    ]
}

fn sweep_all<G: Ground>(relay: &mut Relay<'_, G>) -> Result<u64, Error> {
    let mut sum = 0u64;
    loop {
        let Outcome::Swept { deleted, more } = relay.one(Change::Sweep { budget: 10 })? else {
            return Err(Error::Bug("a sweep was not answered as one"));
        };
        sum = sum.saturating_add(deleted);
        if !more {
            return Ok(sum);
        }
    }
}

/// An envelope that is kept for some days.
fn short(n: u32, now: Timestamp, days: u64) -> Change {
    Change::Deposit(Deposit { until: now.plus_days(days), ..deposit(1, n) })
}

fn until<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let (start, tag) = (relay.now, tag(1, TODAY, Class::Contact));
    relay.all(&[short(1, start, 2), short(2, start, 1)])?;
    relay.now = start.plus_days(1).minus_millis(1);
    assert_eq!(relay.names(1)?, [envelope(1), envelope(2)]);
    assert_eq!(sweep_all(&mut relay)?, 0);
    assert!(matches!(relay.store.custody(&tag, &envelope(2), relay.now)?, Custody::Held { .. }));
    relay.now = start.plus_days(1);
    assert_eq!(relay.names(1)?, [envelope(1)], "not swept yet, but over");
    assert_eq!(relay.store.custody(&tag, &envelope(2), relay.now)?, Custody::Absent);
    assert!(sweep_all(&mut relay)? > 0);
    assert_eq!((relay.names(1)?, relay.mail_at(1, start)?.len()), (vec![envelope(1)], 1));
    relay.recount()
}

fn sweep<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    let start = relay.now;
    // Times that do not rise with places, two mailboxes, two grants, strangers and contacts.
    let one = |n: u32| {
        let base = if n.is_multiple_of(2) { deposit(1, n) } else { strange(2, n) };
        let serial = if n.is_multiple_of(5) { 70 } else { base.serial };
        Change::Deposit(Deposit { until: start.plus_days(u64::from(n.wrapping_mul(7) % 10) + 1), serial, ..base })
    };
    relay.all(&(0..100).map(one).collect::<Vec<_>>())?;
    for day in 1..=10 {
        relay.now = start.plus_days(day);
        sweep_all(&mut relay)?;
        relay.recount()?;
        let left = relay.store.totals()?.envelopes;
        assert_eq!(left, 100u64.saturating_sub(day.wrapping_mul(10)), "day {day}");
        for (n, even) in [(1, true), (2, false)] {
            let expected: Vec<EnvelopeId> = (0..100u32)
                .filter(|n| n.is_multiple_of(2) == even && u64::from(n.wrapping_mul(7) % 10) + 1 > day)
                .map(envelope)
                .collect();
            assert_eq!(relay.names(n)?, expected, "day {day}, mailbox {n}");
        }
    }
    // What lapsed counts for no grant any more.
    let tight = Quota { envelopes: 1, bytes: 100 };
    (relay.caps.strangers, relay.caps.total) = (tight, tight);
    let until = relay.now.plus_days(9);
    let last = Change::Deposit(Deposit { grant: tight, until, ..strange(2, 500) });
    assert!(is_stored(&relay.one(last)?, true));
    Ok(())
}

fn budget<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    let start = relay.now;
    relay.all(&(0..50).map(|n| short(n, start, 1)).collect::<Vec<_>>())?;
    relay.all(&(0..50).map(|n| Change::Deposit(deposit(2, n))).collect::<Vec<_>>())?;
    relay.one(Change::Leave { mailbox: mailbox(2) })?;
    relay.now = start.plus_days(1);
    let (mut sum, mut steps) = (0u64, 0u64);
    while let Outcome::Swept { deleted, more } = relay.one(Change::Sweep { budget: 8 })? {
        assert!(deleted <= 8, "{deleted} of 8");
        (sum, steps) = (sum.saturating_add(deleted), steps.saturating_add(1));
        relay.recount()?;
        if !more {
            break;
        }
        assert!(steps < 100, "a sweep that never ends");
        // A crash between two steps.
        relay = relay.crash();
    }
    assert!(sum >= 50 && steps > 6, "{sum} in {steps}");
    assert_eq!(relay.one(Change::Sweep { budget: 0 })?, Outcome::Swept { deleted: 0, more: true });
    assert_eq!(relay.one(Change::Sweep { budget: 8 })?, Outcome::Swept { deleted: 0, more: false });
    assert_eq!(relay.store.totals()?.envelopes, 0);
    Ok(())
}

fn lapsed_again<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let start = relay.now;
    relay.all(&[short(1, start, 1), short(2, start, 5)])?;
    relay.now = start.plus_days(2);
    let new = Outcome::Stored { until: start.plus_days(7), cursor: 3, new: true };
    assert_eq!(relay.one(short(1, start, 7))?, new);
    relay.recount()?;
    assert_eq!(relay.names(1)?, [envelope(2), envelope(1)]);
    sweep_all(&mut relay)?;
    assert_eq!(relay.names(1)?, [envelope(2), envelope(1)]);
    // One that lapsed is deleted by its owner without being remembered.
    relay.now = start.plus_days(6);
    let acknowledge = Change::Acknowledge { mailbox: mailbox(1), ids: vec![envelope(2)] };
    assert_eq!(relay.one(acknowledge)?, Outcome::Deleted { deleted: 1, absent: 0 });
    assert_eq!(relay.store.custody(&tag(1, TODAY, Class::Contact), &envelope(2), start)?, Custody::Absent);
    relay.recount()
}

fn collected<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let start = relay.now;
    relay.all(&[short(1, start, 1), short(2, start, 30)])?;
    let ids = vec![envelope(1), envelope(2)];
    relay.one(Change::Acknowledge { mailbox: mailbox(1), ids })?;
    let custody =
        |relay: &Relay<'_, G>, n: u32| relay.store.custody(&tag(1, TODAY, Class::Contact), &envelope(n), relay.now);
    for (later, first, second) in [
        (DAY - 1, Custody::Collected, Custody::Collected),
        (DAY, Custody::Absent, Custody::Collected),
        (limits::COLLECTED_MS - 1, Custody::Absent, Custody::Collected),
        (limits::COLLECTED_MS, Custody::Absent, Custody::Absent),
    ] {
        for sweep in [false, true] {
            relay.now = start.plus_millis(later);
            if sweep {
                sweep_all(&mut relay)?;
            }
            let found = (custody(&relay, 1)?, custody(&relay, 2)?);
            assert_eq!(found, (first.clone(), second.clone()), "after {later} ms, swept: {sweep}");
        }
    }
    assert_eq!(sweep_all(&mut relay)?, 0);
    relay.recount()
}

fn clock_back<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let start = relay.now;
    relay.all(&[short(1, start, 1), short(2, start, 40)])?;
    relay.now = start.plus_days(2);
    sweep_all(&mut relay)?;
    relay.now = start.minus_millis(400 * DAY);
    assert_eq!(sweep_all(&mut relay)?, 0);
    assert_eq!(relay.names(1)?, [envelope(2)]);
    assert!(is_stored(&relay.one(short(3, start, 3))?, true));
    assert_eq!(relay.names(1)?, [envelope(2), envelope(3)]);
    relay.now = start;
    assert_eq!(relay.names(1)?, [envelope(2), envelope(3)]);
    relay.recount()
}

fn idle<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 3)?;
    let start = relay.now;
    let late = start.plus_days(IDLE_DAYS + 1);
    relay.one(Change::Deposit(Deposit { until: late, ..deposit(2, 1) }))?;
    relay.one(Change::Judge { mailbox: mailbox(1), allowed: Some(true), blocked: None, quota: None })?;
    relay.now = start.plus_days(1);
    relay.one(register(3))?;
    relay.now = start.plus_days(IDLE_DAYS).minus_millis(1);
    sweep_all(&mut relay)?;
    assert_eq!(relay.store.totals()?.mailboxes, 3);
    relay.now = start.plus_days(IDLE_DAYS);
    sweep_all(&mut relay)?;
    let there = |relay: &Relay<'_, G>, n| relay.info(n).map(|info| info.is_some_and(|info| info.registered));
    assert_eq!((there(&relay, 1)?, there(&relay, 2)?, there(&relay, 3)?), (false, true, true));
    assert_eq!(relay.info(1)?.map(|info| info.allowed), Some(true), "the operator's word stays");
    assert_eq!(relay.names(2)?, [envelope(1)]);
    relay.recount()?;
    relay.now = late.plus_days(IDLE_DAYS + 100);
    sweep_all(&mut relay)?;
    assert_eq!(relay.store.totals()?.mailboxes, 0);
    relay.recount()
}

fn latest<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::fresh(ground);
    assert_eq!(relay.store.latest()?, None);
    let start = relay.now;
    relay.one(register(1))?;
    assert_eq!(relay.store.latest()?, Some(start));
    for (later, known) in [(59_999, start), (60_000, start.plus_millis(60_000)), (5 * DAY, start.plus_millis(5 * DAY))]
    {
        relay.now = start.plus_millis(later);
        relay.one(Change::Sweep { budget: 1 })?;
        assert_eq!(relay.store.latest()?, Some(known), "after {later} ms");
    }
    relay.now = start.minus_millis(9 * DAY);
    relay.one(register(1))?;
    assert_eq!(relay.crash().store.latest()?, Some(start.plus_millis(5 * DAY)));
    Ok(())
}
