//! Envelopes: once each, in order, within every quota, and there after a crash.

use super::*;
use crate::mailbox::{Custody, Room};

pub(super) fn checks<G: Ground>() -> Vec<Check<G>> {
    vec![
        ("an envelope is kept once, whoever brings it again", idempotent),
        ("one name in two mailboxes is two envelopes", one_name_in_two_mailboxes),
        ("envelopes come in the order in which they were kept, page by page", order),
        ("each quota takes exactly what it says, in one batch and in many", quotas),
        ("bytes count as exactly as envelopes", quotas_of_bytes),
        ("a tenth is left to control messages, and none of it to strangers", reserve),
        ("a full place takes again what was taken out of it, once", room_again),
        ("each change of a batch stands for itself", refusals_in_a_batch),
        ("the largest envelope comes back whole", large),
        ("what was confirmed is there after a crash, with its place", crash),
    ]
}

fn idempotent<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let first = relay.one(Change::Deposit(deposit(1, 1)))?;
    assert_eq!(first, Outcome::Stored { until: deposit(1, 1).until, cursor: 1, new: true });
    // Later, for longer, under another grant, with another tag of another class: the first word holds.
    let again = Deposit { until: deposit(1, 1).until.plus_days(9), serial: 8, ..strange(1, 1) };
    let repeated = Outcome::Stored { until: deposit(1, 1).until, cursor: 1, new: false };
    assert_eq!(relay.one(Change::Deposit(again.clone()))?, repeated);
    // Twice in one batch, new and known.
    let twice = |n| Change::Deposit(deposit(1, n));
    let outcomes = relay.all(&[twice(2), twice(2), twice(1)])?;
    let expected = [true, false, false];
    assert!(outcomes.iter().zip(expected).all(|(outcome, new)| is_stored(outcome, new)), "{outcomes:?}");
    assert_eq!(relay.names(1)?, [envelope(1), envelope(2)]);
    assert_eq!(relay.info(1)?.map(|info| info.used), Some(Quota { envelopes: 2, bytes: 200 }));
    // What is known is answered even where nothing new would fit.
    relay.caps.mailbox = Quota::default();
    assert_eq!(relay.one(Change::Deposit(again))?, repeated);
    relay.recount()
}

fn one_name_in_two_mailboxes<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    let outcomes = relay.all(&[Change::Deposit(deposit(1, 5)), Change::Deposit(deposit(2, 5))])?;
    assert!(outcomes.iter().all(|outcome| is_stored(outcome, true)), "{outcomes:?}");
    relay.one(Change::Acknowledge { mailbox: mailbox(1), ids: vec![envelope(5)] })?;
    assert_eq!((relay.names(1)?, relay.names(2)?), (vec![], vec![envelope(5)]));
    let held = relay.store.custody(&tag(2, TODAY, Class::Contact), &envelope(5), relay.now)?;
    assert_eq!(held, Custody::Held { bytes: content(5, 100), until: deposit(2, 5).until });
    assert_eq!(relay.store.custody(&tag(1, TODAY, Class::Contact), &envelope(5), relay.now)?, Custody::Collected);
    relay.recount()
}

fn order<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    // Names that do not sort like places, of several lengths, in batches of several sizes, two mailboxes mixed.
    let number = |n: u32| n.wrapping_mul(2_654_435_761);
    let length = |n: u32| (n as usize).wrapping_mul(37) % 900;
    let one = |n: u32| {
        let mut deposit = deposit(if n.is_multiple_of(3) { 2 } else { 1 }, number(n));
        deposit.bytes = content(n, length(n));
        Change::Deposit(deposit)
    };
    let all: Vec<u32> = (0..200).collect();
    for part in all.chunks(33) {
        relay.all(&part.iter().map(|n| one(*n)).collect::<Vec<_>>())?;
    }
    for (mailbox, mine) in [(1, false), (2, true)] {
        let expected: Vec<u32> = all.iter().copied().filter(|n| n.is_multiple_of(3) == mine).collect();
        let found = relay.mail(mailbox)?;
        assert_eq!(found.len(), expected.len());
        for (place, (item, n)) in found.iter().zip(expected).enumerate() {
            let wanted = (place as u64 + 1, envelope(number(n)), content(n, length(n)));
            assert_eq!((item.cursor, item.id, item.bytes.clone()), wanted, "mailbox {mailbox}");
        }
    }
    // A page holds what it may, and one envelope at least.
    let sizes = |items: usize, bytes: usize| relay.store.page(&mailbox(1), 0, items, bytes, relay.now);
    assert_eq!(sizes(5, 1 << 20)?.len(), 5);
    assert_eq!(sizes(100, 0)?.len(), 1);
    let some = sizes(100, 2_000)?;
    assert!(some.iter().map(|item| item.bytes.len()).sum::<usize>() <= 2_000 && some.len() > 3);
    assert!(relay.store.page(&mailbox(1), 100_000, 5, 1 << 20, relay.now)?.is_empty());
    assert!(relay.store.page(&mailbox(9), 0, 5, 1 << 20, relay.now)?.is_empty());
    relay.recount()
}

/// Deposits envelopes one by one and all at once: tells how many were taken, and what the others were told.
fn taken<G: Ground>(
    ground: &G,
    caps: impl Fn(&mut Caps),
    count: u32,
    one: impl Fn(u32) -> Deposit,
) -> Result<(u64, Option<Room>), Error> {
    let mut results = Vec::new();
    for together in [true, false] {
        let mut relay = Relay::with_mailboxes(ground, 2)?;
        caps(&mut relay.caps);
        let changes: Vec<Change> = (0..count).map(|n| Change::Deposit(one(n))).collect();
        let outcomes: Vec<Outcome> = if together {
            relay.all(&changes)?
        } else {
            changes.into_iter().map(|change| relay.one(change)).collect::<Result<_, _>>()?
        };
        let stored = outcomes.iter().filter(|outcome| is_stored(outcome, true)).count();
        let refused = outcomes.iter().rev().find_map(|outcome| match outcome {
            Outcome::Full(room) => Some(*room),
            _ => None,
        });
        assert_eq!(relay.store.totals()?.envelopes, stored as u64);
        relay.recount()?;
        results.push((stored as u64, refused));
    }
    assert_eq!(results.first(), results.last(), "together or one by one");
    Ok(results.pop().unwrap_or_default())
}

fn quotas<G: Ground>(ground: &G) -> Result<(), Error> {
    let five = Quota { envelopes: 5, bytes: 1 << 40 };
    let plain = |n: u32| deposit(1, n);
    assert_eq!(taken(ground, |_| {}, 8, plain)?, (8, None));
    let granted = |n: u32| Deposit { grant: five, ..deposit(1, n) };
    assert_eq!(taken(ground, |_| {}, 8, granted)?, (5, Some(Room::Grant)));
    // Two grants have room each.
    let two = |n: u32| Deposit { serial: u64::from(n % 2), ..granted(n) };
    assert_eq!(taken(ground, |_| {}, 12, two)?, (10, Some(Room::Grant)));
    // One number in two mailboxes is two grants.
    let both = |n: u32| Deposit { grant: five, ..deposit(if n.is_multiple_of(2) { 1 } else { 2 }, n) };
    assert_eq!(taken(ground, |_| {}, 12, both)?, (10, Some(Room::Grant)));
    // Strangers share one room, whatever their grants; contacts do not use it.
    let strangers = |n: u32| Deposit { serial: n.into(), ..strange(1, n) };
    assert_eq!(taken(ground, |caps| caps.strangers = five, 8, strangers)?, (5, Some(Room::Strangers)));
    assert_eq!(taken(ground, |caps| caps.strangers = five, 8, plain)?, (8, None));
    let strange_in_two = |n: u32| Deposit { serial: n.into(), ..strange(if n.is_multiple_of(2) { 1 } else { 2 }, n) };
    assert_eq!(taken(ground, |caps| caps.strangers = five, 12, strange_in_two)?, (10, Some(Room::Strangers)));
    assert_eq!(taken(ground, |caps| caps.mailbox = five, 8, plain)?, (5, Some(Room::Mailbox)));
    assert_eq!(taken(ground, |caps| caps.total = five, 12, both)?, (5, Some(Room::Relay)));
    assert_eq!(taken(ground, |caps| caps.mailbox = Quota::default(), 2, plain)?, (0, Some(Room::Mailbox)));
    Ok(())
}

fn quotas_of_bytes<G: Ground>(ground: &G) -> Result<(), Error> {
    let exact = Quota { envelopes: 1_000, bytes: 500 };
    let less = Quota { envelopes: 1_000, bytes: 499 };
    let one = |grant: Quota| move |n: u32| Deposit { grant, ..deposit(1, n) };
    assert_eq!(taken(ground, |_| {}, 8, one(exact))?, (5, Some(Room::Grant)));
    assert_eq!(taken(ground, |_| {}, 8, one(less))?, (4, Some(Room::Grant)));
    assert_eq!(taken(ground, |caps| caps.strangers = exact, 8, |n| strange(1, n))?, (5, Some(Room::Strangers)));
    assert_eq!(taken(ground, |caps| caps.strangers = less, 8, |n| strange(1, n))?, (4, Some(Room::Strangers)));
    assert_eq!(taken(ground, |caps| caps.total = exact, 8, |n| deposit(1, n))?, (5, Some(Room::Relay)));
    assert_eq!(taken(ground, |caps| caps.total = less, 8, |n| deposit(1, n))?, (4, Some(Room::Relay)));
    let control = |n: u32| Deposit { control: true, ..deposit(1, n) };
    assert_eq!(taken(ground, |caps| caps.mailbox = exact, 8, control)?, (5, Some(Room::Mailbox)));
    assert_eq!(taken(ground, |caps| caps.mailbox = less, 8, control)?, (4, Some(Room::Mailbox)));
    // A small one fits where a large one does not.
    let sizes = |n: u32| Deposit { bytes: content(n, if n == 4 { 200 } else { 100 }), ..deposit(1, n) };
    assert_eq!(taken(ground, |caps| caps.total = exact, 6, sizes)?, (5, Some(Room::Relay)));
    Ok(())
}

fn reserve<G: Ground>(ground: &G) -> Result<(), Error> {
    let quota = Quota { envelopes: 20, bytes: 1 << 40 };
    let kind = |n: u32| match n {
        0..20 => deposit(1, n),
        20..25 => Deposit { control: true, ..strange(1, n) },
        _ => Deposit { control: true, ..deposit(1, n) },
    };
    // Eighteen ordinary ones, no stranger that calls itself control, two control messages.
    assert_eq!(taken(ground, |caps| caps.mailbox = quota, 30, kind)?, (20, Some(Room::Mailbox)));
    assert_eq!(taken(ground, |caps| caps.mailbox = quota, 25, kind)?, (18, Some(Room::Mailbox)));
    let bytes = Quota { envelopes: 1_000, bytes: 2_000 };
    assert_eq!(taken(ground, |caps| caps.mailbox = bytes, 30, kind)?, (20, Some(Room::Mailbox)));
    assert_eq!(taken(ground, |caps| caps.mailbox = bytes, 25, kind)?, (18, Some(Room::Mailbox)));
    Ok(())
}

fn room_again<G: Ground>(ground: &G) -> Result<(), Error> {
    let five = Quota { envelopes: 5, bytes: 1 << 40 };
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    (relay.caps.strangers, relay.caps.total) = (five, five);
    let one = |n: u32| Change::Deposit(Deposit { grant: five, ..strange(1, n) });
    let outcomes = relay.all(&(0..6).map(one).collect::<Vec<_>>())?;
    assert_eq!(outcomes.last(), Some(&Outcome::Full(Room::Grant)));
    let acknowledge =
        |ids: &[u32]| Change::Acknowledge { mailbox: mailbox(1), ids: ids.iter().map(|n| envelope(*n)).collect() };
    // In one batch: one goes, one comes, the next finds no room; saying it twice makes no second room.
    let outcomes = relay.all(&[acknowledge(&[0]), acknowledge(&[0, 0]), one(6), one(7)])?;
    let expected = [
        Outcome::Deleted { deleted: 1, absent: 0 },
        Outcome::Deleted { deleted: 0, absent: 2 },
        Outcome::Stored { until: strange(1, 6).until, cursor: 6, new: true },
        Outcome::Full(Room::Grant),
    ];
    assert_eq!(outcomes, expected);
    relay.recount()?;
    // All gone, all comes again.
    relay.one(acknowledge(&[1, 2, 3, 4, 6]))?;
    relay.recount()?;
    assert_eq!(relay.store.totals()?.envelopes, 0);
    let outcomes = relay.all(&(10..16).map(one).collect::<Vec<_>>())?;
    assert_eq!(outcomes.iter().filter(|outcome| is_stored(outcome, true)).count(), 5);
    relay.recount()
}

fn refusals_in_a_batch<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 2)?;
    relay.caps.mailbox = Quota { envelopes: 2, bytes: 1 << 40 };
    let one = |n: u32| Change::Deposit(deposit(1, n));
    let unknown = Change::Deposit(Deposit { tag: tag(9, TODAY, Class::Contact), ..deposit(1, 50) });
    let outcomes = relay.all(&[one(1), unknown, one(2), one(3), Change::Deposit(deposit(2, 4)), one(1)])?;
    let stored = |cursor, new| Outcome::Stored { until: deposit(1, 1).until, cursor, new };
    let full = Outcome::Full(Room::Mailbox);
    assert_eq!(
        outcomes,
        [stored(1, true), Outcome::UnknownTag, stored(2, true), full, stored(1, true), stored(1, false)]
    );
    assert_eq!((relay.names(1)?, relay.names(2)?), (vec![envelope(1), envelope(2)], vec![envelope(4)]));
    assert!(relay.all(&[])?.is_empty());
    relay.recount()
}

fn large<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let bytes = content(3, kith_protocol::limits::ENVELOPE_MAX);
    let empty = Deposit { bytes: Vec::new(), ..deposit(1, 4) };
    let outcomes =
        relay.all(&[Change::Deposit(Deposit { bytes: bytes.clone(), ..deposit(1, 3) }), Change::Deposit(empty)])?;
    assert!(outcomes.iter().all(|outcome| is_stored(outcome, true)), "{outcomes:?}");
    let found: Vec<Vec<u8>> = relay.mail(1)?.into_iter().map(|item| item.bytes).collect();
    assert_eq!(found, [bytes, Vec::new()]);
    relay.recount()
}

fn crash<G: Ground>(ground: &G) -> Result<(), Error> {
    let mut relay = Relay::with_mailboxes(ground, 1)?;
    let one = |n: u32| Change::Deposit(deposit(1, n));
    relay.all(&[one(1), one(2), one(3)])?;
    let mut relay = relay.crash();
    // Between the putting and the acknowledgement.
    assert_eq!(relay.names(1)?, [envelope(1), envelope(2), envelope(3)]);
    assert!(is_stored(&relay.one(one(2))?, false));
    let acknowledge = Change::Acknowledge { mailbox: mailbox(1), ids: vec![envelope(1), envelope(3)] };
    assert_eq!(relay.one(acknowledge.clone())?, Outcome::Deleted { deleted: 2, absent: 0 });
    let mut relay = relay.crash();
    // The answer was lost: it is said again.
    assert_eq!(relay.one(acknowledge)?, Outcome::Deleted { deleted: 0, absent: 2 });
    assert_eq!(relay.names(1)?, [envelope(2)]);
    assert_eq!(relay.store.custody(&tag(1, TODAY, Class::Contact), &envelope(1), relay.now)?, Custody::Collected);
    // Places go on where they were.
    let next = relay.one(one(4))?;
    assert_eq!(next, Outcome::Stored { until: deposit(1, 4).until, cursor: 4, new: true });
    relay.recount()?;
    relay.store.reopen()?;
    assert_eq!(relay.crash().names(1)?, [envelope(2), envelope(4)]);
    Ok(())
}
