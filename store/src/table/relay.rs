//! Relays as this profile uses them: those that hold its own mail, and those that hold mail for its contacts.

use super::{Key, Row, Table};
use kith_protocol::{AccountId, Day, DeviceId, RelayId, Timestamp, prekey::StoredRelayPool};
use serde::{Deserialize, Serialize};

/// What is known of a relay that is asked, one's own or a contact's, at one transport name: whoever answers at another name
/// that somebody gave for it says nothing about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KnownRelay {
    /// Which.
    pub relay: RelayId,
    /// The transport name it was asked at.
    pub peer: String,
    /// Whether it has shown that it is that relay at that name.
    pub proven: bool,
    /// The challenge of the question for that, while one is under way.
    pub challenge: [u8; 16],
    /// What it asks proofs to be bound to; known after its first answer.
    pub nonce: Option<[u8; 16]>,
    /// Questions without an answer, in a row.
    pub failures: u32,
    /// It is not asked before.
    pub quiet_until: Timestamp,
    /// How often it did not hold what it had signed for.
    pub broken: u32,
    /// When everything that it signed for was last called into question.
    pub doubted_at: Timestamp,
}

impl KnownRelay {
    /// Key of a relay's row.
    pub fn key_of(relay: &RelayId, peer: &str) -> Key {
        Key::new(relay.as_bytes(), peer.as_bytes())
    }
}

impl Row for KnownRelay {
    const TABLE: Table = Table::KnownRelay;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.relay, &self.peer)
    }
}

/// How far things are with a relay that holds our mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelayStanding {
    /// Added, not answered yet.
    New,
    /// The mailbox is there.
    Ready,
    /// It does not answer.
    Unreachable,
    /// It refuses.
    Refused,
    /// Another key answers there.
    WrongKey,
    /// It was let go: read for a while longer, then told to forget the mailbox.
    Leaving,
}

/// A question to a relay of ours that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayQuestion {
    /// Which step it carries out.
    pub step: u8,
    /// Tells its answer from that of an older one.
    pub number: u16,
    /// When it counts as lost.
    pub lease_until: Timestamp,
}

/// A grant of ours that ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedGrant {
    /// Its number.
    pub serial: u64,
    /// When it would have ended by itself.
    pub until: Timestamp,
    /// Whether the relay knows.
    pub told: Told,
}

/// How far the word of an ended grant got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// It is still to be said.
    No,
    /// It is part of the question under way.
    Asked,
    /// The relay acts on it.
    Yes,
}

/// A relay that holds this device's mail.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnRelay {
    /// Which.
    pub relay: RelayId,
    /// A number of our own; names it on the timetable and in questions.
    pub number: u64,
    /// Its transport name.
    pub peer: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// What it calls itself.
    pub name: String,
    /// What admits to it.
    pub token: Option<[u8; 16]>,
    /// Seed of the mailbox's key, made for this relay alone.
    pub seed: [u8; 32],
    /// How far.
    pub standing: RelayStanding,
    /// What is wrong, for people.
    pub detail: Option<String>,
    /// When it was added.
    pub since: Timestamp,
    /// When it was let go, if it was, and somebody may still leave mail there.
    pub left_at: Option<Timestamp>,
    /// When it last answered.
    pub answered_at: Option<Timestamp>,
    /// Its challenge, while it is asked who it is.
    pub challenge: [u8; 16],
    /// Whether it said who it is since the daemon started.
    pub welcomed: bool,
    /// Whether its last welcome was open to anybody.
    pub open: bool,
    /// The day of the last registration.
    pub registered: Option<Day>,
    /// The grant that strangers have: its number.
    pub stranger: u64,
    /// Grants that ended before their time; kept until then, since a relay put back to an old copy has to be told again.
    pub ended: Vec<EndedGrant>,
    /// The place behind which the mailbox is read next.
    pub after: u64,
    /// Something may wait there.
    pub unread: bool,
    /// When the mailbox was last read to its end.
    pub read_at: Option<Timestamp>,
    /// The sequence of the descriptor it keeps.
    pub kept: u64,
    /// Envelopes and bytes it holds and takes.
    pub used: (u64, u64),
    /// Envelopes and bytes it takes at most.
    pub quota: (u64, u64),
    /// One-time keys in its pool.
    pub prekeys: u64,
    /// The question under way.
    pub question: Option<RelayQuestion>,
    /// The number of the last question.
    pub tag: u16,
    /// Questions without a useful answer, in a row.
    pub failures: u32,
    /// Whether contacts are told to leave mail there.
    pub offered: bool,
    /// When it is looked at next.
    pub due_at: Timestamp,
}

impl std::fmt::Debug for OwnRelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { relay, number, standing, .. } = self;
        write!(f, "OwnRelay({relay:?}, number {number}, {standing:?})")
    }
}

impl OwnRelay {
    /// Group of all rows.
    pub const GROUP: &'static [u8] = b"relays";

    /// Key of a relay's row.
    pub fn key_of(number: u64) -> Key {
        Key::new(Self::GROUP, &number.to_be_bytes())
    }
}

impl Row for OwnRelay {
    const TABLE: Table = Table::OwnRelay;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number)
    }
}

/// Private halves of the one-time keys at one relay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnRelayPool {
    /// The relay's number.
    pub number: u64,
    /// The keys in their stored form.
    pub pool: StoredRelayPool,
}

impl OwnRelayPool {
    /// Key of a relay's row.
    pub fn key_of(number: u64) -> Key {
        Key::new(&number.to_be_bytes(), &[])
    }
}

impl Row for OwnRelayPool {
    const TABLE: Table = Table::OwnRelayPool;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number)
    }
}

/// A grant given to a device of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenGrant {
    /// At which relay, by our number.
    pub relay: u64,
    /// The grant's number.
    pub serial: u64,
    /// When it ends by itself.
    pub until: Timestamp,
    /// Whether it is part of what the device was told last.
    pub offered: bool,
}

/// What a device of a contact was given to leave mail for us.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// The device.
    pub device: DeviceId,
    /// Whose.
    pub account: AccountId,
    /// Those that it is told of, one for each relay, and earlier ones that have not ended.
    pub grants: Vec<GivenGrant>,
}

impl Granted {
    /// Key of a device's row.
    pub fn key_of(device: &DeviceId) -> Key {
        Key::new(device.as_bytes(), &[])
    }
}

impl Row for Granted {
    const TABLE: Table = Table::Granted;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.device)
    }
}

/// Where mail for a device of a contact may be left: encoded passes, secrets between the two.
#[derive(Clone, Serialize, Deserialize)]
pub struct PassesOf {
    /// The device.
    pub device: DeviceId,
    /// What the device itself gave us.
    pub given: Vec<Vec<u8>>,
    /// When it said so, by its clock.
    pub given_at: Timestamp,
    /// What it gives to whoever holds its contact code.
    pub strangers: Vec<Vec<u8>>,
}

impl std::fmt::Debug for PassesOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { given, strangers, device, given_at: _ } = self;
        write!(f, "PassesOf({device:?}, {} given, {} for strangers)", given.len(), strangers.len())
    }
}

impl PassesOf {
    /// Key of a device's row.
    pub fn key_of(device: &DeviceId) -> Key {
        Key::new(device.as_bytes(), &[])
    }
}

impl Row for PassesOf {
    const TABLE: Table = Table::PassesOf;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.device)
    }
}

/// The newest descriptor as it was published for its first day: what relays keep.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnRecord {
    /// Its sequence.
    pub sequence: u64,
    /// This device's slot.
    pub slot: u32,
    /// Its bytes.
    pub record: Vec<u8>,
}

impl OwnRecord {
    /// Key of the only row.
    pub fn only() -> Key {
        Key::new(b"own", &[])
    }
}

impl Row for OwnRecord {
    const TABLE: Table = Table::OwnRecord;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::only()
    }
}
