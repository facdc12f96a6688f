//! What still has to leave this node, and when something is due.

use super::{Key, Row, Table};
use crate::decode_body;
use kith_protocol::{AccountId, DeviceId, MessageId, RelayId, Timestamp};
use serde::{Deserialize, Serialize};

/// What an outbox row carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cargo {
    /// A message of the log; sealed again from there when keys change.
    Message(MessageId),
    /// Content that is in no log (a receipt, session control), as encoded content; gone once a daemon took it.
    Content(Vec<u8>),
}

/// How far an outbox row is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutboxState {
    /// No device, no bundle or no session to seal with yet.
    NeedsKeys,
    /// Sealed; this very envelope goes out until it is taken.
    Sealed {
        /// The envelope.
        envelope: Vec<u8>,
        /// When holders may drop it.
        expires: Timestamp,
    },
    /// The recipient's daemon took it; the receipt is awaited.
    Taken {
        /// When it is sealed and sent again if no receipt came.
        again_at: Timestamp,
    },
    /// A relay at least gave its word that it holds this very envelope; the receipt is awaited. It still goes out when the
    /// device itself appears.
    Stored {
        /// The envelope.
        envelope: Vec<u8>,
        /// When holders may drop it.
        expires: Timestamp,
    },
}

/// How far the deposit of an envelope at one relay is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Left {
    /// Asked; the answer is awaited until then.
    Asked {
        /// When the question counts as lost.
        until: Timestamp,
    },
    /// The relay gave its word.
    Held {
        /// Until when it holds the envelope.
        until: Timestamp,
        /// Its signed word.
        custody: Vec<u8>,
        /// When it gave that, or showed the envelope last.
        shown_at: Timestamp,
        /// When it is asked for the envelope.
        audit_at: Timestamp,
        /// Audits without an answer, in a row.
        silent: u32,
    },
    /// Not now: asked again then.
    Later {
        /// When.
        at: Timestamp,
    },
    /// The recipient took it from there.
    Collected {
        /// When that was learned.
        at: Timestamp,
    },
    /// Not needed as long as others hold it, or nothing lets us in there now.
    Spare,
}

/// An envelope at one relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposited {
    /// Which relay.
    pub relay: RelayId,
    /// The transport name it was asked at: nobody else is asked for what it signed for.
    pub peer: String,
    /// How far.
    pub left: Left,
    /// Attempts in a row that failed.
    pub tries: u32,
}

/// One thing to bring to one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outbox {
    /// A number of our own, rising.
    pub id: u64,
    /// Whom it is for.
    pub account: AccountId,
    /// Which device; none while none is known.
    pub device: Option<DeviceId>,
    /// What.
    pub cargo: Cargo,
    /// How far.
    pub state: OutboxState,
    /// Attempts that failed in a row.
    pub tries: u32,
    /// Attempts at all.
    pub attempts: u32,
    /// How often a daemon took it; each time its device's receipt is awaited longer.
    pub takings: u32,
    /// When it was made.
    pub since: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// When it is looked at next.
    pub due_at: Timestamp,
    /// An attempt at the device itself is under way.
    pub in_flight: bool,
    /// When that attempt counts as failed, or else when the next one is made.
    pub direct_at: Timestamp,
    /// Seal the next envelope in a new session (the peer could not use the last one).
    pub fresh_session: bool,
    /// Where the sealed envelope was left.
    pub deposits: Vec<Deposited>,
    /// A relay was asked for a one-time key for it.
    pub key_asked: bool,
}

/// The first form of [`OutboxState`].
#[derive(Deserialize)]
enum OutboxState1 {
    NeedsKeys,
    Sealed { envelope: Vec<u8>, expires: Timestamp },
    Taken { again_at: Timestamp },
}

/// The first form of [`Outbox`]: it knew no relays.
#[derive(Deserialize)]
struct Outbox1 {
    id: u64,
    account: AccountId,
    device: Option<DeviceId>,
    cargo: Cargo,
    state: OutboxState1,
    tries: u32,
    attempts: u32,
    takings: u32,
    since: Timestamp,
    expires_at: Timestamp,
    due_at: Timestamp,
    in_flight: bool,
    fresh_session: bool,
}

impl Outbox {
    /// Group of all rows.
    pub const GROUP: &'static [u8] = b"out";

    /// Key of a row.
    pub fn key_of(id: u64) -> Key {
        Key::new(Self::GROUP, &id.to_be_bytes())
    }
}

impl Row for Outbox {
    const TABLE: Table = Table::Outbox;
    const VERSION: u8 = 2;

    fn key(&self) -> Key {
        Self::key_of(self.id)
    }

    fn from_older(version: u8, body: &[u8]) -> Option<Self> {
        let old: Outbox1 = decode_body(body).filter(|_| version == 1)?;
        Some(Self {
            id: old.id,
            account: old.account,
            device: old.device,
            cargo: old.cargo,
            state: match old.state {
                OutboxState1::NeedsKeys => OutboxState::NeedsKeys,
                OutboxState1::Sealed { envelope, expires } => OutboxState::Sealed { envelope, expires },
                OutboxState1::Taken { again_at } => OutboxState::Taken { again_at },
            },
            tries: old.tries,
            attempts: old.attempts,
            takings: old.takings,
            since: old.since,
            expires_at: old.expires_at,
            due_at: old.due_at,
            in_flight: old.in_flight,
            direct_at: old.due_at,
            fresh_session: old.fresh_session,
            deposits: Vec::new(),
            key_asked: false,
        })
    }
}

/// Lists what waits for one account, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutboxOf {
    /// Whom it is for.
    pub account: AccountId,
    /// The row.
    pub id: u64,
}

impl OutboxOf {
    /// Key of one entry; the account is the group.
    pub fn key_of(account: &AccountId, id: u64) -> Key {
        Key::new(account.as_bytes(), &id.to_be_bytes())
    }
}

impl Row for OutboxOf {
    const TABLE: Table = Table::OutboxOf;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.account, self.id)
    }
}

/// The outbox rows that carry receipts to one device, so that what is owed later can join one that still waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReceiptsOf {
    /// The device.
    pub device: DeviceId,
    /// The rows, oldest first; some may be gone.
    pub rows: Vec<u64>,
}

impl ReceiptsOf {
    /// Key of a device's row.
    pub fn key_of(device: &DeviceId) -> Key {
        Key::new(device.as_bytes(), &[])
    }
}

impl Row for ReceiptsOf {
    const TABLE: Table = Table::ReceiptsOf;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.device)
    }
}

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DueWhat {
    /// An outbox row.
    Outbox(u64),
    /// A contact's descriptor lookup, by contact number.
    Resolve(u64),
    /// Own keys, descriptor and everything daily.
    Housekeeping,
    /// Sweep rows that outlived their use.
    Sweep,
    /// A message that vanishes.
    Vanish(MessageId),
    /// The id of a message that was dropped.
    Forget(MessageId),
    /// A relay that holds our mail, by its number.
    Relay(u64),
    /// A channel, by its number: compares with another member what both have.
    Channel(u64),
    /// A join, by its number.
    Join(u64),
    /// The mailbox of a channel at a relay, by its number.
    ChannelMailbox(u64),
    /// A channel, by its number: what is to be said of what came in, told of what is missing, or given up.
    ChannelTend(u64),
}

impl DueWhat {
    fn order(&self) -> [u8; 17] {
        let mut bytes = [0; 17];
        let (tag, rest) = bytes.split_at_mut(1);
        let (kind, id): (u8, [u8; 16]) = match self {
            Self::Outbox(id) => (0, (*id as u128).to_be_bytes()),
            Self::Resolve(id) => (1, (*id as u128).to_be_bytes()),
            Self::Housekeeping => (2, [0; 16]),
            Self::Sweep => (3, [0; 16]),
            Self::Vanish(id) => (4, *id.as_bytes()),
            Self::Forget(id) => (5, *id.as_bytes()),
            Self::Relay(number) => (6, (*number as u128).to_be_bytes()),
            Self::Channel(number) => (7, (*number as u128).to_be_bytes()),
            Self::Join(number) => (8, (*number as u128).to_be_bytes()),
            Self::ChannelMailbox(number) => (9, (*number as u128).to_be_bytes()),
            Self::ChannelTend(number) => (10, (*number as u128).to_be_bytes()),
        };
        tag.copy_from_slice(&[kind]);
        rest.copy_from_slice(&id);
        bytes
    }
}

/// One entry of the timetable, ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: DueWhat,
}

impl Due {
    /// Group of all rows.
    pub const GROUP: &'static [u8] = b"due";
}

impl Row for Due {
    const TABLE: Table = Table::Due;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Key::new(Self::GROUP, &[self.at.as_millis().to_be_bytes().as_slice(), &self.what.order()].concat())
    }
}
