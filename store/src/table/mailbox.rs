//! What a relay keeps: mailboxes, their tags, envelopes, grants in use, prekeys, descriptors, invites.
//!
//! A mailbox has a number of the relay's own, so that what lies in it is found without its key and all of it is out of
//! reach at once when it goes.

use super::{Key, Row, Table};
use crate::{
    mailbox::{Class, Cursor, Quota, Totals},
    row::bytes,
};
use kith_protocol::{EnvelopeId, KeptId, MailboxId, Tag, Timestamp};
use serde::{Deserialize, Serialize};

/// Sums and numbers of the whole relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayTotals {
    /// What is held in all.
    pub held: Totals,
    /// Last number given to a mailbox.
    pub last_number: u64,
    /// Invites that are kept.
    pub invites: u64,
    /// The latest moment at which something was changed, to the minute.
    pub latest: Timestamp,
}

impl RelayTotals {
    /// Key of the only row.
    pub fn only() -> Key {
        Key::new(b"totals", &[])
    }
}

impl Row for RelayTotals {
    const TABLE: Table = Table::RelayTotals;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::only()
    }
}

/// One mailbox, or the operator's word on one that nobody registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxRow {
    /// Its key.
    pub id: MailboxId,
    /// Its number, another one with every registration; none while nobody registered it.
    pub number: Option<u64>,
    /// When it was registered.
    pub since: Timestamp,
    /// Last cursor given.
    pub last: Cursor,
    /// What lies in it.
    pub used: Quota,
    /// What of it strangers left.
    pub strangers: Quota,
    /// Collected envelopes that are remembered.
    pub collected: u64,
    /// Keys in its pool.
    pub pool: u64,
    /// Grants that were ended.
    pub revoked: u64,
    /// The descriptor kept for it: name, bytes, until when.
    pub kept: Option<(KeptId, u64, Timestamp)>,
    /// May register without an invite.
    pub allowed: bool,
    /// Nothing is taken for it.
    pub blocked: bool,
    /// The operator's quota for it.
    pub quota: Option<Quota>,
}

impl MailboxRow {
    /// A mailbox that nobody registered and nobody judged.
    pub const fn unknown(id: MailboxId) -> Self {
        const NOTHING: Quota = Quota { envelopes: 0, bytes: 0 };
        Self {
            id,
            number: None,
            since: Timestamp::from_millis(0),
            last: 0,
            used: NOTHING,
            strangers: NOTHING,
            collected: 0,
            pool: 0,
            revoked: 0,
            kept: None,
            allowed: false,
            blocked: false,
            quota: None,
        }
    }

    /// Key of a mailbox's row.
    pub fn key_of(id: &MailboxId) -> Key {
        Key::new(id.as_bytes(), &[])
    }
}

impl Row for MailboxRow {
    const TABLE: Table = Table::Mailbox;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.id)
    }
}

/// Finds a mailbox by its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxNumber {
    /// The number.
    pub number: u64,
    /// Which mailbox.
    pub id: MailboxId,
}

impl MailboxNumber {
    /// Key of a number's row.
    pub fn key_of(number: u64) -> Key {
        Key::new(&number.to_be_bytes(), &[])
    }
}

impl Row for MailboxNumber {
    const TABLE: Table = Table::MailboxNumber;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number)
    }
}

/// The tags of one mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxTags {
    /// Of which mailbox.
    pub number: u64,
    /// When the mailbox goes unless it is registered anew.
    pub idle_at: Timestamp,
    /// Days, classes and their tags, sorted; at most `mailbox::TAGS_KEPT_MAX`.
    pub tags: Vec<(u32, Class, Tag)>,
}

impl MailboxTags {
    /// Key of a mailbox's row.
    pub fn key_of(number: u64) -> Key {
        Key::new(&number.to_be_bytes(), &[])
    }
}

impl Row for MailboxTags {
    const TABLE: Table = Table::MailboxTags;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number)
    }
}

/// Finds the mailboxes of a tag. Honest owners have no tag in common; who registers another's takes nothing from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRow {
    /// The tag.
    pub tag: Tag,
    /// The mailbox's number.
    pub number: u64,
    /// Whom the tag is for.
    pub class: Class,
}

impl TagRow {
    /// Group of a tag's rows.
    pub fn group(tag: &Tag) -> Vec<u8> {
        tag.as_bytes().to_vec()
    }

    /// Key of the row of a tag of one mailbox.
    pub fn key_of(tag: &Tag, number: u64) -> Key {
        Key::new(tag.as_bytes(), &number.to_be_bytes())
    }
}

impl Row for TagRow {
    const TABLE: Table = Table::MailboxTag;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.tag, self.number)
    }
}

/// An envelope that waits for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldEnvelope {
    /// The mailbox's number.
    pub number: u64,
    /// Its place in the mailbox.
    pub cursor: Cursor,
    /// Its name.
    pub id: EnvelopeId,
    /// Until when it is kept.
    pub until: Timestamp,
    /// The envelope.
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
}

impl HeldEnvelope {
    /// Group of a mailbox's rows.
    pub fn group(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    /// Key of an envelope's row.
    pub fn key_of(number: u64, cursor: Cursor) -> Key {
        Key::new(&Self::group(number), &cursor.to_be_bytes())
    }
}

impl Row for HeldEnvelope {
    const TABLE: Table = Table::HeldEnvelope;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number, self.cursor)
    }
}

/// What is known of an envelope by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvelopeState {
    /// It waits for its owner.
    Held {
        /// Its place.
        cursor: Cursor,
        /// Its bytes, counted.
        bytes: u64,
        /// Under which grant it came.
        serial: u64,
        /// Whether a stranger left it.
        stranger: bool,
    },
    /// Its owner took it.
    Collected,
}

/// Finds an envelope of a mailbox by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeRef {
    /// The mailbox's number.
    pub number: u64,
    /// Its name.
    pub id: EnvelopeId,
    /// Until when it is kept, or remembered.
    pub until: Timestamp,
    /// What became of it.
    pub state: EnvelopeState,
}

impl EnvelopeRef {
    /// Group of a mailbox's rows.
    pub fn group(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    /// Key of an envelope's row.
    pub fn key_of(number: u64, id: &EnvelopeId) -> Key {
        Key::new(&Self::group(number), id.as_bytes())
    }
}

impl Row for EnvelopeRef {
    const TABLE: Table = Table::EnvelopeRef;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number, &self.id)
    }
}

/// What is remembered of one grant: there only while there is something to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRow {
    /// The mailbox's number.
    pub number: u64,
    /// The grant's number.
    pub serial: u64,
    /// What lies there under it.
    pub used: Quota,
    /// Ended by its owner; remembered until it would have ended by itself.
    pub revoked: Option<Timestamp>,
    /// The last day it took one-time keys on.
    pub day: u32,
    /// How many it took on that day.
    pub taken: u32,
}

impl GrantRow {
    /// A grant of which nothing is known.
    pub const fn unused(number: u64, serial: u64) -> Self {
        Self { number, serial, used: Quota { envelopes: 0, bytes: 0 }, revoked: None, day: 0, taken: 0 }
    }

    /// Group of a mailbox's rows.
    pub fn group(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    /// Key of a grant's row.
    pub fn key_of(number: u64, serial: u64) -> Key {
        Key::new(&Self::group(number), &serial.to_be_bytes())
    }
}

impl Row for GrantRow {
    const TABLE: Table = Table::GrantUse;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number, self.serial)
    }
}

/// A one-time key in a mailbox's pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolKey {
    /// The mailbox's number.
    pub number: u64,
    /// The key's number.
    pub key: u32,
    /// The signed key.
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
}

impl PoolKey {
    /// Group of a mailbox's rows.
    pub fn group(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    /// Key of a row.
    pub fn key_of(number: u64, key: u32) -> Key {
        Key::new(&Self::group(number), &key.to_be_bytes())
    }
}

impl Row for PoolKey {
    const TABLE: Table = Table::PoolKey;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number, self.key)
    }
}

/// The one-time keys that were taken last, so that an owner who puts keys twice does not offer a taken one again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolTaken {
    /// The mailbox's number.
    pub number: u64,
    /// Key numbers, oldest first; at most `mailbox::TAKEN_MAX`.
    pub keys: Vec<u32>,
}

impl PoolTaken {
    /// Key of a mailbox's row.
    pub fn key_of(number: u64) -> Key {
        Key::new(&number.to_be_bytes(), &[])
    }
}

impl Row for PoolTaken {
    const TABLE: Table = Table::PoolTaken;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number)
    }
}

/// A descriptor that is kept for a mailbox's owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRow {
    /// Its name.
    pub id: KeptId,
    /// The owner's mailbox.
    pub mailbox: MailboxId,
    /// Until when.
    pub until: Timestamp,
    /// The sealed descriptor.
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
}

impl KeptRow {
    /// Key of a descriptor's row.
    pub fn key_of(id: &KeptId) -> Key {
        Key::new(id.as_bytes(), &[])
    }
}

impl Row for KeptRow {
    const TABLE: Table = Table::KeptDescriptor;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.id)
    }
}

/// An invite to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteRow {
    /// SHA-256 of its token.
    pub token: [u8; 32],
    /// Uses left.
    pub uses: u32,
    /// Until when.
    pub until: Timestamp,
}

impl InviteRow {
    /// Key of an invite's row.
    pub fn key_of(token: &[u8; 32]) -> Key {
        Key::new(token, &[])
    }

    /// Tells whether it still admits.
    pub fn admits(&self, now: Timestamp) -> bool {
        self.uses > 0 && self.until > now
    }
}

impl Row for InviteRow {
    const TABLE: Table = Table::RelayInvite;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.token)
    }
}

/// What lapses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LapseWhat {
    /// What a mailbox that went left behind, by number.
    Ruin(u64),
    /// An envelope: mailbox number and cursor.
    Envelope(u64, Cursor),
    /// The memory of a collected envelope, by mailbox number.
    Collected(u64, EnvelopeId),
    /// What is remembered of a grant: mailbox number and serial.
    Grant(u64, u64),
    /// The descriptor kept for a mailbox, by number.
    Kept(u64),
    /// A mailbox that nobody registered anew, by number.
    Idle(u64),
}

impl LapseWhat {
    fn order(&self) -> Vec<u8> {
        let two = |a: u64, b: &[u8]| [a.to_be_bytes().as_slice(), b].concat();
        let (kind, rest): (u8, Vec<u8>) = match self {
            Self::Ruin(number) => (0, two(*number, &[])),
            Self::Envelope(number, cursor) => (1, two(*number, &cursor.to_be_bytes())),
            Self::Collected(number, id) => (2, two(*number, id.as_bytes())),
            Self::Grant(number, serial) => (3, two(*number, &serial.to_be_bytes())),
            Self::Kept(number) => (4, two(*number, &[])),
            Self::Idle(number) => (5, two(*number, &[])),
        };
        [[kind].as_slice(), &rest].concat()
    }
}

/// One entry of the list of what lapses, ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapse {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: LapseWhat,
}

impl Lapse {
    /// Group of all rows.
    pub const GROUP: &'static [u8] = b"lapse";

    /// Order bytes of the first entry after a time.
    pub fn after(now: Timestamp) -> [u8; 8] {
        now.as_millis().saturating_add(1).to_be_bytes()
    }
}

impl Row for Lapse {
    const TABLE: Table = Table::Lapse;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Key::new(Self::GROUP, &[self.at.as_millis().to_be_bytes().as_slice(), &self.what.order()].concat())
    }
}
