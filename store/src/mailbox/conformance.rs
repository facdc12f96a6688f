//! What every storage engine of a relay must pass: give [`conformance`] a way to make one, and it asks everything that the
//! contract promises. For tests, here so that an engine in another crate can run it.
//! Must not know any engine.

mod deposits;
mod operator;
mod owner;
mod tags;
mod time;

use super::{Caps, Change, Class, Deposit, Item, MailboxInfo, Outcome, Quota, RelayStore};
use crate::Error;
use kith_protocol::{Day, EnvelopeId, KeptId, MailboxId, Tag, Timestamp};

/// Makes engines to be examined.
pub trait Ground {
    /// The engine.
    type Store: RelayStore;

    /// Makes an empty one.
    fn fresh(&self) -> Self::Store;

    /// Takes the power from one without a word, and opens what it made durable.
    fn crash(&self, store: Self::Store) -> Self::Store;
}

/// One thing that is examined: what, and how.
pub type Check<G> = (&'static str, fn(&G) -> Result<(), Error>);

/// Examines an engine.
///
/// # Errors
/// What the engine reports where it should not.
///
/// # Panics
/// Where it does not do what the contract says.
pub fn conformance<G: Ground>(ground: &G) -> Result<(), Error> {
    checks::<G>().into_iter().try_for_each(|(_, check)| check(ground))
}

/// Everything that [`conformance`] examines, one by one.
pub fn checks<G: Ground>() -> Vec<Check<G>> {
    [deposits::checks(), tags::checks(), owner::checks(), operator::checks(), time::checks()].concat()
}

/// The day on which everything begins.
const TODAY: u32 = 20_000;
/// A day in milliseconds.
const DAY: u64 = 86_400_000;
/// A quota that nothing reaches.
const AMPLE: Quota = Quota { envelopes: 1_000_000, bytes: 1 << 40 };
/// A grant's number that most deposits use.
const SERIAL: u64 = 7;

/// An engine under examination, its clock and its limits.
struct Relay<'g, G: Ground> {
    ground: &'g G,
    store: G::Store,
    caps: Caps,
    now: Timestamp,
}

impl<'g, G: Ground> Relay<'g, G> {
    /// An empty one at noon, with limits that nothing reaches.
    fn fresh(ground: &'g G) -> Self {
        let caps = Caps { mailbox: AMPLE, strangers: AMPLE, total: AMPLE, mailboxes: 1_000_000, kept_bytes: u64::MAX };
        Self { ground, store: ground.fresh(), caps, now: Day(TODAY).start().plus_millis(DAY / 2) }
    }

    /// One with some mailboxes: 1, 2, … up to a number.
    fn with_mailboxes(ground: &'g G, count: u8) -> Result<Self, Error> {
        let mut relay = Self::fresh(ground);
        for n in 1..=count {
            assert_eq!(relay.one(register(n))?, registered(true, AMPLE), "mailbox {n}");
        }
        Ok(relay)
    }

    /// Carries one change out.
    fn one(&mut self, change: Change) -> Result<Outcome, Error> {
        let mut outcomes = self.all(&[change])?;
        assert_eq!(outcomes.len(), 1, "one change has one outcome");
        Ok(outcomes.remove(0))
    }

    /// Carries changes out together.
    fn all(&mut self, changes: &[Change]) -> Result<Vec<Outcome>, Error> {
        self.store.apply(changes, &self.caps, self.now)
    }

    /// Takes the power and goes on.
    fn crash(self) -> Self {
        let store = self.ground.crash(self.store);
        Self { store, ..self }
    }

    fn info(&self, n: u8) -> Result<Option<MailboxInfo>, Error> {
        self.store.mailbox(&mailbox(n))
    }

    /// Everything in a mailbox, read in pages.
    fn mail(&self, n: u8) -> Result<Vec<Item>, Error> {
        self.mail_at(n, self.now)
    }

    fn mail_at(&self, n: u8, now: Timestamp) -> Result<Vec<Item>, Error> {
        let (mut all, mut after) = (Vec::<Item>::new(), 0);
        loop {
            let page = self.store.page(&mailbox(n), after, 7, 20_000, now)?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.cursor;
            all.extend(page);
        }
    }

    /// Names of the envelopes in a mailbox, in order.
    fn names(&self, n: u8) -> Result<Vec<EnvelopeId>, Error> {
        Ok(self.mail(n)?.iter().map(|item| item.id).collect())
    }

    /// Counts everything anew and compares with what the engine counted.
    fn recount(&self) -> Result<(), Error> {
        let (mut after, mut mailboxes, mut sum) = (None, 0u64, Quota::default());
        loop {
            let page = self.store.mailboxes(after.as_ref(), 3)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for info in &page {
                let (mut used, mut from) = (Quota::default(), 0);
                // At the beginning of time nothing has lapsed.
                while let Some(item) = self.store.page(&info.id, from, 1, 1, Timestamp::from_millis(0))?.first() {
                    assert!(item.cursor > from, "places rise");
                    from = item.cursor;
                    used.add(item.bytes.len() as u64);
                    sum.add(item.bytes.len() as u64);
                }
                assert_eq!(info.used, used, "what lies in {:?}", info.id);
                assert_eq!(self.store.mailbox(&info.id)?.as_ref(), Some(info), "listed and asked for alone");
                mailboxes = mailboxes.saturating_add(u64::from(info.registered));
            }
        }
        let totals = self.store.totals()?;
        let counted = (totals.mailboxes, totals.envelopes, totals.bytes);
        assert_eq!(counted, (mailboxes, sum.envelopes, sum.bytes), "sums and a recount");
        Ok(())
    }
}

fn mailbox(n: u8) -> MailboxId {
    MailboxId::from_bytes([n; 32])
}

/// A mailbox's tag of a day and class.
fn tag(n: u8, day: u32, class: Class) -> Tag {
    let mut bytes = [n; 16];
    for (to, from) in bytes.iter_mut().skip(1).zip(day.to_be_bytes()) {
        *to = from;
    }
    for (to, from) in bytes.iter_mut().skip(8).zip(class.number().to_be_bytes()) {
        *to = from;
    }
    Tag::from_bytes(bytes)
}

/// Tags of all classes for a stretch of days.
fn tags(n: u8, days: std::ops::RangeInclusive<u32>) -> Vec<(u32, Class, Tag)> {
    days.flat_map(|day| Class::ALL.map(|class| (day, class, tag(n, day, class)))).collect()
}

fn envelope(n: u32) -> EnvelopeId {
    let mut bytes = [0xe0; 32];
    for (to, from) in bytes.iter_mut().zip(n.to_be_bytes()) {
        *to = from;
    }
    EnvelopeId::from_bytes(bytes)
}

fn kept(n: u8) -> KeptId {
    KeptId::from_bytes([n; 32])
}

/// Bytes that tell which envelope they belong to.
fn content(n: u32, length: usize) -> Vec<u8> {
    n.to_be_bytes().into_iter().cycle().take(length).collect()
}

fn register(n: u8) -> Change {
    let days = TODAY.saturating_sub(2)..=TODAY.saturating_add(2);
    Change::Register { mailbox: mailbox(n), tags: tags(n, days), keep_from: 0, token: None, open: true }
}

const fn registered(new: bool, quota: Quota) -> Outcome {
    Outcome::Registered { new, quota }
}

/// An envelope of 100 bytes for a mailbox, of a contact, for 30 days.
fn deposit(n: u8, number: u32) -> Deposit {
    Deposit {
        tag: tag(n, TODAY, Class::Contact),
        mailbox: mailbox(n),
        class: Class::Contact,
        serial: SERIAL,
        grant: AMPLE,
        envelope: envelope(number),
        bytes: content(number, 100),
        until: Day(TODAY.saturating_add(30)).start(),
        control: false,
    }
}

/// The same of a stranger.
fn strange(n: u8, number: u32) -> Deposit {
    let class = Class::Stranger;
    Deposit { class, tag: tag(n, TODAY, class), serial: 99, ..deposit(n, number) }
}

fn take(n: u8, serial: u64, daily: u32) -> Change {
    let class = Class::Contact;
    Change::TakePrekey { tag: tag(n, TODAY, class), mailbox: mailbox(n), class, serial, daily }
}

fn is_stored(outcome: &Outcome, new: bool) -> bool {
    matches!(outcome, Outcome::Stored { new: found, .. } if *found == new)
}
