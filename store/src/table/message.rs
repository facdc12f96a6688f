//! Messages as people read them, what became of each at each device, and what came in before.

use super::{Key, Row, Table};
use kith_protocol::{AccountId, DeviceId, EnvelopeId, MessageId, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a message belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// The conversation with one person (that person's account).
    Person(AccountId),
    /// A channel.
    Channel([u8; 32]),
}

impl Place {
    /// Bytes that group the rows of this place.
    pub fn group(&self) -> Vec<u8> {
        match self {
            Self::Person(account) => [b"p".as_slice(), account.as_bytes()].concat(),
            Self::Channel(id) => [b"c".as_slice(), id].concat(),
        }
    }
}

/// How far a message got at one device, or at the least far of all devices it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Progress {
    /// On this disk.
    Queued,
    /// The recipient's daemon took it, or it left this machine.
    Sent,
    /// A relay holds it.
    Stored,
    /// The recipient's device has it on disk and said so end to end.
    Delivered,
    /// The recipient shares that it was read.
    Read,
    /// Given up; the reason is in the steps.
    Failed,
}

/// One message, ours or theirs.
#[derive(Clone, Serialize, Deserialize)]
pub struct Message {
    /// Where it belongs.
    pub place: Place,
    /// Sort key within the place: milliseconds, fitted between its neighbours of the same sender device.
    pub order: u64,
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub account: AccountId,
    /// On which device.
    pub device: DeviceId,
    /// That device's number for it in this place.
    pub seq: u64,
    /// That device's message before it in this place.
    pub previous: Option<MessageId>,
    /// When the sender says it was written.
    pub sent_at: Timestamp,
    /// When it was stored here.
    pub stored_at: Timestamp,
    /// When it is to vanish.
    pub expires_at: Option<Timestamp>,
    /// Content kind; unknown kinds are kept and shown as such.
    pub kind: u32,
    /// Content body.
    pub body: Vec<u8>,
    /// How far it got (ours), `Delivered` for theirs.
    pub progress: Progress,
    /// The event that told of it, which goes when it vanishes; 0 while none did.
    pub event: u64,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, kind, body, progress, .. } = self;
        write!(f, "Message({id:?}, kind {kind}, {} bytes, {progress:?})", body.len())
    }
}

impl Message {
    /// Order part of the key: order, then the start of the id, so that equal orders do not collide.
    pub fn order_of(order: u64, id: &MessageId) -> [u8; 24] {
        let mut bytes = [0; 24];
        let (head, tail) = bytes.split_at_mut(8);
        head.copy_from_slice(&order.to_be_bytes());
        tail.copy_from_slice(id.as_bytes());
        bytes
    }

    /// Key of a message's row.
    pub fn key_of(place: &Place, order: u64, id: &MessageId) -> Key {
        Key::new(&place.group(), &Self::order_of(order, id))
    }
}

impl Row for Message {
    const TABLE: Table = Table::Message;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.place, self.order, &self.id)
    }
}

/// Finds messages by id; ids are random, so they may stand in a key as they are and be searched by prefix.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageRef {
    /// The id.
    pub id: MessageId,
    /// Who used the id so far, vanished messages too: the same message is never shown twice. More than one only if
    /// somebody copies ids.
    pub accounts: Vec<AccountId>,
    /// The messages that are there: author, place, order.
    pub at: Vec<(AccountId, Place, u64)>,
}

impl MessageRef {
    /// Group of all rows.
    pub const GROUP: &'static [u8] = b"ids";

    /// Key of an id's row.
    pub fn key_of(id: &MessageId) -> Key {
        Key::new(Self::GROUP, id.as_bytes())
    }
}

impl Row for MessageRef {
    const TABLE: Table = Table::MessageRef;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.id)
    }
}

/// A message that went with the request it came with: as long as its author stays removed it makes no new one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Dropped {
    /// The message.
    pub id: MessageId,
    /// Its author.
    pub account: AccountId,
}

impl Dropped {
    /// Key of an author's message; the message is the group.
    pub fn key_of(id: &MessageId, account: &AccountId) -> Key {
        Key::new(id.as_bytes(), account.as_bytes())
    }
}

impl Row for Dropped {
    const TABLE: Table = Table::Dropped;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.id, &self.account)
    }
}

/// The chain of one sender device in one place: finds neighbours, and tells what is missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChainLink {
    /// Where.
    pub place: Place,
    /// Whose chain.
    pub device: DeviceId,
    /// The device's number for the message.
    pub seq: u64,
    /// The message.
    pub id: MessageId,
    /// The message it names as the one before.
    pub previous: Option<MessageId>,
    /// Its sort key.
    pub order: u64,
}

impl ChainLink {
    /// Group of a device's links in a place.
    pub fn group_of(place: &Place, device: &DeviceId) -> Vec<u8> {
        [place.group().as_slice(), device.as_bytes()].concat()
    }

    /// Key of a device's link in a place.
    pub fn key_of(place: &Place, device: &DeviceId, seq: u64) -> Key {
        Key::new(&Self::group_of(place, device), &seq.to_be_bytes())
    }
}

impl Row for ChainLink {
    const TABLE: Table = Table::ChainLink;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.place, &self.device, self.seq)
    }
}

/// What this device keeps about one place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlaceHead {
    /// Where.
    pub place: Place,
    /// This device's last number there.
    pub seq: u64,
    /// This device's last message there.
    pub last: Option<MessageId>,
    /// Highest sort key in use.
    pub order: u64,
    /// Messages of others not yet read here.
    pub unread: u64,
}

impl PlaceHead {
    /// Key of a place's row.
    pub fn key_of(place: &Place) -> Key {
        Key::new(&place.group(), &[])
    }
}

impl Row for PlaceHead {
    const TABLE: Table = Table::PlaceHead;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.place)
    }
}

/// One thing that happened to a message on its way, for `why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTaken {
    /// When.
    pub at: Timestamp,
    /// What, in words of the delivery vocabulary.
    pub what: String,
    /// Where it happened: this disk, a device, later a relay.
    pub place: String,
}

/// What became of one message at one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// The device's account.
    pub account: AccountId,
    /// The device; none while no device of the account is known.
    pub device: Option<DeviceId>,
    /// How far.
    pub progress: Progress,
    /// Its outbox row while one exists.
    pub outbox: Option<u64>,
    /// What happened, oldest first, at most 32.
    pub steps: Vec<StepTaken>,
    /// Why it does not go on, in words; none when it does.
    pub error: Option<String>,
}

/// What became of one of our messages, device by device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deliveries {
    /// Which message.
    pub id: MessageId,
    /// One entry a device.
    pub to: Vec<Delivery>,
}

impl Deliveries {
    /// Key of a message's row.
    pub fn key_of(id: &MessageId) -> Key {
        Key::new(id.as_bytes(), &[])
    }
}

impl Row for Deliveries {
    const TABLE: Table = Table::Deliveries;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.id)
    }
}

/// An envelope that was opened: it is acknowledged again before decryption, since its key is gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Which envelope.
    pub envelope: EnvelopeId,
    /// When it was opened.
    pub at: Timestamp,
    /// Whom to send the receipt again, and for which message.
    pub receipt: Option<(AccountId, DeviceId, MessageId)>,
}

impl Seen {
    /// Key of an envelope's row.
    pub fn key_of(envelope: &EnvelopeId) -> Key {
        Key::new(envelope.as_bytes(), &[])
    }
}

impl Row for Seen {
    const TABLE: Table = Table::Seen;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.envelope)
    }
}
