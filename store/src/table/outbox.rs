//! What still has to leave this node, and when something is due.

use super::{Key, Row, Table};
use kith_protocol::{AccountId, DeviceId, MessageId, Timestamp};
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
    /// An attempt is under way; if its end is never told, the row is due again at `due_at`.
    pub in_flight: bool,
    /// Seal the next envelope in a new session (the peer could not use the last one).
    pub fresh_session: bool,
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
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.id)
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
