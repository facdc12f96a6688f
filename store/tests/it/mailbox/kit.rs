//! Random changes over few names, so that they meet, and everything that can be seen of an engine.

use kith_protocol::{Day, EnvelopeId, KeptId, MailboxId, Tag, Timestamp};
use kith_store::mailbox::{
    Caps, Change, Class, Custody, Deposit, InviteInfo, Item, MailboxInfo, Outcome, Quota, RelayStore, Totals,
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Mailboxes, days and envelopes that changes are about.
const MAILBOXES: u8 = 4;
const DAYS: u32 = 3;
const ENVELOPES: u8 = 24;
const FIRST_DAY: u32 = 20_000;

pub(crate) const CAPS: Caps = Caps {
    mailbox: Quota { envelopes: 12, bytes: 3_000 },
    strangers: Quota { envelopes: 3, bytes: 700 },
    total: Quota { envelopes: 25, bytes: 6_000 },
    mailboxes: 3,
    kept_bytes: 600,
};

/// Takes everything.
pub(crate) const AMPLE: Caps = {
    const MUCH: Quota = Quota { envelopes: u64::MAX, bytes: u64::MAX };
    Caps { mailbox: MUCH, strangers: MUCH, total: MUCH, mailboxes: u64::MAX, kept_bytes: u64::MAX }
};

pub(crate) fn start() -> Timestamp {
    Day(FIRST_DAY).start().plus_millis(1)
}

pub(crate) fn mailbox(n: u8) -> MailboxId {
    MailboxId::from_bytes([n; 32])
}

pub(crate) fn envelope(n: u32) -> EnvelopeId {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    EnvelopeId::from_bytes(bytes)
}

pub(crate) fn tag(n: u8, day: u32, class: Class) -> Tag {
    let mut bytes = [n; 16];
    bytes[..4].copy_from_slice(&day.to_be_bytes());
    bytes[4] = class.number() as u8;
    Tag::from_bytes(bytes)
}

fn kept(n: u8) -> KeptId {
    KeptId::from_bytes([n; 32])
}

/// A deposit with room, of `length` bytes, into a mailbox's box for contacts.
pub(crate) fn plain(n: u8, number: u32, length: usize) -> Deposit {
    Deposit {
        tag: tag(n, FIRST_DAY, Class::Contact),
        mailbox: mailbox(n),
        class: Class::Contact,
        serial: 1,
        grant: AMPLE.mailbox,
        envelope: envelope(number),
        bytes: number.to_be_bytes().into_iter().cycle().take(length).collect(),
        until: start().plus_days(30),
        control: false,
    }
}

/// Registers a mailbox with the tags of the first days.
pub(crate) fn registration(n: u8) -> Change {
    let days = FIRST_DAY..FIRST_DAY + DAYS;
    let tags = days.flat_map(|day| Class::ALL.map(|class| (day, class, tag(n, day, class)))).collect();
    Change::Register { mailbox: mailbox(n), tags, keep_from: FIRST_DAY, token: None, open: true }
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![3 => Just(Class::Contact), 1 => Just(Class::Member), 2 => Just(Class::Stranger)]
}

fn quota() -> impl Strategy<Value = Quota> {
    (1..15u64, 100..3_000u64).prop_map(|(envelopes, bytes)| Quota { envelopes, bytes })
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (0..40u64).prop_map(|hours| start().plus_millis(hours * 3_600_000))
}

fn deposit() -> impl Strategy<Value = Change> {
    let whose = (1..=MAILBOXES, 0..DAYS, class(), 0..8u8, 0..3u64);
    let what = (0..ENVELOPES, quota(), moment(), any::<bool>());
    (whose, what).prop_map(|((n, day, class, foreign, serial), (number, grant, until, control))| {
        Change::Deposit(Deposit {
            tag: tag(n, FIRST_DAY + day, class),
            mailbox: mailbox(if foreign == 0 { n % MAILBOXES + 1 } else { n }),
            class: if foreign == 1 { Class::Member } else { class },
            serial,
            grant,
            until,
            control,
            // An envelope's name is that of its bytes.
            ..plain(n, number.into(), usize::from(number) * 13)
        })
    })
}

fn register() -> impl Strategy<Value = Change> {
    let tags = prop::collection::vec((0..DAYS, class(), 0..12u8), 0..8);
    let token = prop::option::of((1..4u8).prop_map(|n| [n; 32]));
    (1..=MAILBOXES, tags, 0..DAYS, token, any::<bool>()).prop_map(|(n, tags, keep, token, open)| {
        let own = |(day, class, other): (u32, Class, u8)| {
            let owner = if other == 0 { n % MAILBOXES + 1 } else { n };
            (FIRST_DAY + day, class, tag(owner, FIRST_DAY + day, class))
        };
        let tags = tags.into_iter().map(own).collect();
        Change::Register { mailbox: mailbox(n), tags, keep_from: FIRST_DAY + keep, token, open }
    })
}

/// Any change.
pub(crate) fn change() -> impl Strategy<Value = Change> {
    let owner = || (1..=MAILBOXES).prop_map(mailbox);
    let ids = prop::collection::vec((0..u32::from(ENVELOPES)).prop_map(envelope), 1..8);
    let keys = prop::collection::vec((0..20u32, prop::collection::vec(any::<u8>(), 40)), 1..6);
    let serials = prop::collection::vec((0..4u64, moment()), 1..4);
    let word = || prop::option::of(any::<bool>());
    prop_oneof![
        20 => deposit(),
        6 => (1..=MAILBOXES).prop_map(registration),
        4 => register(),
        5 => (owner(), ids).prop_map(|(mailbox, ids)| Change::Acknowledge { mailbox, ids }),
        2 => (owner(), keys).prop_map(|(mailbox, keys)| Change::PutPrekeys { mailbox, keys }),
        4 => (1..=MAILBOXES, 0..DAYS, class(), 0..3u64).prop_map(|(n, day, class, serial)| Change::TakePrekey {
            tag: tag(n, FIRST_DAY + day, class), mailbox: mailbox(n), class, serial, daily: 2,
        }),
        3 => (owner(), 1..5u8, 0..400usize, moment()).prop_map(|(mailbox, id, length, until)| Change::Keep {
            mailbox, id: kept(id), bytes: vec![id; length], until,
        }),
        1 => (owner(), serials).prop_map(|(mailbox, serials)| Change::Revoke { mailbox, serials }),
        1 => owner().prop_map(|mailbox| Change::Leave { mailbox }),
        2 => (owner(), word(), prop::option::weighted(0.3, prop::bool::weighted(0.2)), prop::option::of(prop::option::of(quota())))
            .prop_map(|(mailbox, allowed, blocked, quota)| Change::Judge { mailbox, allowed, blocked, quota }),
        1 => ((1..4u8).prop_map(|n| [n; 32]), 0..4u32, moment())
            .prop_map(|(token, uses, until)| Change::Invite { token, uses, until }),
        2 => Just(Change::Sweep { budget: 10_000 }),
    ]
}

/// Batches, and the minutes before each.
pub(crate) fn batches(
    count: std::ops::Range<usize>,
    size: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<(u64, Vec<Change>)>> {
    prop::collection::vec((0..120u64, prop::collection::vec(change(), size)), count)
}

/// The same batches for every run with this seed.
pub(crate) fn fixed(seed: u8, count: usize) -> Vec<(u64, Vec<Change>)> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut all = batches(count..count + 1, 15..25).new_tree(&mut runner).unwrap().current();
    // Whatever chance says, there are mailboxes.
    all[0].1.splice(0..0, (1..=3).map(registration));
    all
}

/// Hides what engines may count differently.
pub(crate) fn comparable(outcomes: Vec<Outcome>) -> Vec<Outcome> {
    let hide = |outcome| match outcome {
        Outcome::Swept { more, .. } => Outcome::Swept { deleted: 0, more },
        other => other,
    };
    outcomes.into_iter().map(hide).collect()
}

/// Everything that can be seen of an engine.
#[derive(Debug, PartialEq)]
pub(crate) struct Sight {
    totals: Totals,
    boxes: Vec<(MailboxInfo, Vec<Item>)>,
    classes: Vec<Option<Class>>,
    custody: Vec<Custody>,
    kept: Vec<Option<Vec<u8>>>,
    invites: Vec<InviteInfo>,
}

/// Looks at everything.
pub(crate) fn look(engine: &impl RelayStore, now: Timestamp) -> Result<Sight, kith_store::Error> {
    let mut boxes = Vec::new();
    for info in engine.mailboxes(None, usize::MAX)? {
        let mail = engine.page(&info.id, 0, usize::MAX, usize::MAX, now)?;
        boxes.push((info, mail));
    }
    boxes.sort_by_key(|(info, _)| info.id);
    let days = || (1..=MAILBOXES).flat_map(|n| (0..DAYS).map(move |day| (n, FIRST_DAY + day)));
    let all = days().flat_map(|(n, day)| Class::ALL.map(|class| (mailbox(n), tag(n, day, class))));
    let audits =
        days().flat_map(|(n, day)| (0..ENVELOPES).map(move |e| (tag(n, day, Class::Contact), envelope(e.into()))));
    let mut invites = engine.invites(now)?;
    invites.sort_by_key(|invite| invite.token);
    Ok(Sight {
        totals: engine.totals()?,
        boxes,
        classes: all.map(|(id, tag)| engine.class_of(&id, &tag)).collect::<Result<_, _>>()?,
        custody: audits.map(|(tag, id)| engine.custody(&tag, &id, now)).collect::<Result<_, _>>()?,
        kept: (0..6).map(|n| engine.kept(&kept(n), now)).collect::<Result<_, _>>()?,
        invites,
    })
}
