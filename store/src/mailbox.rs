//! What a relay keeps: mailboxes, envelopes, prekeys, descriptors, invites. Defines the contract that every storage engine
//! of a relay keeps, and the engine over a [`Store`](crate::Store).
//! Must not know who asks, signatures, or the wire: whoever calls has checked the grant and the proof.
//!
//! A relay learns from these rows: which tags belong to one mailbox, how many bytes lie there under which grant and until
//! when. It holds no account, no device, no sender.

mod batch;
pub mod conformance;
mod engine;

pub use engine::MailboxStore;

use crate::Error;
use kith_protocol::{EnvelopeId, KeptId, MailboxId, Tag, Timestamp, limits};
use serde::{Deserialize, Serialize};

/// Who a grant lets in. The number stands on the wire, in tags and in rows.
pub use kith_protocol::mailbox::Class;

/// A place in a mailbox: rises with every envelope, from 1. It says nothing once the relay's store was replaced by an
/// older copy, so that owners begin at 0 with every connection.
pub type Cursor = u64;

/// Tags kept for one mailbox: two registrations that have none in common. One that would make more is refused whole.
pub const TAGS_KEPT_MAX: usize = 2 * limits::TAGS_MAX;
/// Invites kept; one more is refused.
pub const INVITES_MAX: usize = 4_096;
/// Taken one-time keys remembered for one mailbox, so that an owner who puts its keys once more, since the answer was lost,
/// does not offer one a second time. The oldest is forgotten.
pub const TAKEN_MAX: usize = 2 * limits::POOL_KEYS_MAX;
/// Collected envelopes remembered for one mailbox; those beyond it are forgotten at once.
pub const COLLECTED_MAX: u64 = 65_536;
/// Mailboxes of one tag that a receipt is looked for in, those made first: honest owners have no tag in common.
pub const TAG_SHARED_MAX: usize = 16;
/// Days after its last registration that an empty mailbox goes: its tags are over, and all that came under them has lapsed.
pub const IDLE_DAYS: u64 = limits::TAG_DAYS_AHEAD as u64 + limits::MAILBOX_TTL_MAX_MS / 86_400_000;

/// How much one mailbox may hold, or holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Envelopes.
    pub envelopes: u64,
    /// Bytes of envelopes.
    pub bytes: u64,
}

impl Quota {
    /// Tells whether an envelope more still fits.
    pub(crate) const fn takes(&self, used: &Self, bytes: u64) -> bool {
        used.envelopes < self.envelopes && used.bytes.saturating_add(bytes) <= self.bytes
    }

    /// What is left for messages that are no control messages: nine tenths.
    pub(crate) const fn ordinary(&self) -> Self {
        Self {
            envelopes: self.envelopes.saturating_sub(self.envelopes / 10),
            bytes: self.bytes.saturating_sub(self.bytes / 10),
        }
    }

    /// Counts an envelope.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.envelopes = self.envelopes.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Takes an envelope away.
    pub(crate) fn remove(&mut self, bytes: u64) {
        self.envelopes = self.envelopes.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// How much may lie where; what is beyond one of these is refused, nothing is ever dropped for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Of a mailbox that the operator gave no quota of its own. A tenth of any mailbox's quota is left to control messages.
    pub mailbox: Quota,
    /// Of what strangers leave in one mailbox, all together.
    pub strangers: Quota,
    /// Of the whole relay.
    pub total: Quota,
    /// Mailboxes at all.
    pub mailboxes: u64,
    /// Bytes of kept descriptors at all.
    pub kept_bytes: u64,
}

/// One envelope to keep. Its grant was verified: it is the mailbox's own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Where.
    pub tag: Tag,
    /// The grant's mailbox: another one than the tag's is `UnknownTag`.
    pub mailbox: MailboxId,
    /// The grant's class: another one than the tag's is `UnknownTag`.
    pub class: Class,
    /// The grant's number.
    pub serial: u64,
    /// How much may lie there under this grant (the smaller of the grant's word and the relay's).
    pub grant: Quota,
    /// The envelope's name.
    pub envelope: EnvelopeId,
    /// The envelope.
    pub bytes: Vec<u8>,
    /// Until when it is kept.
    pub until: Timestamp,
    /// A control message: may use the room reserved for those, unless a stranger leaves it.
    pub control: bool,
}

/// One change of what a relay keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Makes a mailbox, or gives the one that is there its tags for the days ahead. Tags of `keep_from` and later that are
    /// not named stay, as far as `TAGS_KEPT_MAX` reaches; older ones go unless they are named. Answered by `Registered`,
    /// `NotAdmitted`, `Blocked`, `TagTaken` or `Full`.
    Register {
        /// Whose key.
        mailbox: MailboxId,
        /// Days (since the epoch), classes and their tags, at most `limits::TAGS_MAX`.
        tags: Vec<(u32, Class, Tag)>,
        /// The first day whose tags are still accepted.
        keep_from: u32,
        /// SHA-256 of the invite token that was shown.
        token: Option<[u8; 32]>,
        /// Anybody may register; else only whom the operator allowed or who shows a token with uses left. A mailbox that is
        /// there already stays whatever the mode.
        open: bool,
    },
    /// Keeps an envelope. Answered by `Stored` (also for one that is kept already, with the time first promised),
    /// `UnknownTag`, `Revoked`, `Blocked` or `Full`. One that was collected is kept again: its owner may have lost it.
    Deposit(Deposit),
    /// Deletes envelopes that the owner has on its own disk; ids that are not in this mailbox count as gone. Remembers each
    /// deleted id for the audits of its sender until it would have lapsed, at most two days. Answered by `Deleted` or
    /// `NoMailbox`.
    Acknowledge {
        /// Whose mail.
        mailbox: MailboxId,
        /// Which.
        ids: Vec<EnvelopeId>,
    },
    /// Adds one-time keys to a mailbox's pool, in order, until there are `limits::POOL_KEYS_MAX`; those that are there, or
    /// were taken lately, are not added. Answered by `Prekeys`, `Blocked` or `NoMailbox`.
    PutPrekeys {
        /// Whose.
        mailbox: MailboxId,
        /// Number and signed key.
        keys: Vec<(u32, Vec<u8>)>,
    },
    /// Takes one key out of the pool behind a tag, the lowest number first. Answered by `Prekey` (with none if the pool is
    /// empty, or the serial has taken its share of the UTC day), `UnknownTag`, `Revoked` or `Blocked`.
    TakePrekey {
        /// Whose pool.
        tag: Tag,
        /// The grant's mailbox.
        mailbox: MailboxId,
        /// The grant's class.
        class: Class,
        /// The grant's number.
        serial: u64,
        /// Keys a day that one serial may take.
        daily: u32,
    },
    /// Keeps a descriptor in place of the mailbox's last one. Answered by `Done`, `TagTaken`, `Full`, `Blocked` or
    /// `NoMailbox`.
    Keep {
        /// Whose.
        mailbox: MailboxId,
        /// Under which name; a name that another mailbox holds is `TagTaken`.
        id: KeptId,
        /// The sealed descriptor; empty takes the old one away.
        bytes: Vec<u8>,
        /// Until when.
        until: Timestamp,
    },
    /// Ends grants by number. Answered by `Done`, `NoMailbox`, or `Full` beyond `limits::REVOKED_MAX`, when none of them was
    /// ended.
    Revoke {
        /// Whose grants.
        mailbox: MailboxId,
        /// Number and when the grant would end by itself.
        serials: Vec<(u64, Timestamp)>,
    },
    /// Removes a mailbox with everything in it; its rows may take some sweeps to go. The operator's word on it stays.
    /// Answered by `Done`, also if there is none.
    Leave {
        /// Which.
        mailbox: MailboxId,
    },
    /// The operator's word on a mailbox, whether it is there or not. Answered by `Done`.
    Judge {
        /// Which.
        mailbox: MailboxId,
        /// May register without an invite.
        allowed: Option<bool>,
        /// Nothing is taken for it any more; what is there can still be fetched.
        blocked: Option<bool>,
        /// A quota of its own, or none again.
        quota: Option<Option<Quota>>,
    },
    /// Makes an invite. Answered by `Done`, or `Full` beyond [`INVITES_MAX`].
    Invite {
        /// SHA-256 of the token.
        token: [u8; 32],
        /// How often it admits; 0 withdraws it.
        uses: u32,
        /// Until when.
        until: Timestamp,
    },
    /// Deletes what has lapsed, and mailboxes that are empty and were not registered for [`IDLE_DAYS`]. Answered by
    /// `Swept`.
    Sweep {
        /// How much is deleted, at most: envelopes and other things, whatever rows each has.
        budget: usize,
    },
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The mailbox is there.
    Registered {
        /// Whether it is new.
        new: bool,
        /// Its quota.
        quota: Quota,
    },
    /// The envelope is kept until then, and has this place. `new` is false for one that was kept already.
    Stored {
        /// Until when.
        until: Timestamp,
        /// Where in its mailbox.
        cursor: Cursor,
        /// Whether it was not there before.
        new: bool,
    },
    /// Envelopes deleted now, and ids that are not (or no longer) in the mailbox.
    Deleted {
        /// Deleted now.
        deleted: u64,
        /// Not in this mailbox.
        absent: u64,
    },
    /// Keys in the pool now.
    Prekeys(u64),
    /// A key, and how many are left.
    Prekey {
        /// Number and signed key.
        key: Option<(u32, Vec<u8>)>,
        /// Left in the pool.
        left: u64,
    },
    /// How much was deleted, and whether there may be more.
    Swept {
        /// Things deleted.
        deleted: u64,
        /// The budget ran out.
        more: bool,
    },
    /// Carried out.
    Done,
    /// No mailbox under this tag and grant.
    UnknownTag,
    /// The descriptor's name is another mailbox's.
    NameTaken,
    /// The grant was revoked.
    Revoked,
    /// The operator blocked the mailbox.
    Blocked,
    /// The mode, or the token, admits nobody.
    NotAdmitted,
    /// There is no room.
    Full(Room),
    /// No such mailbox.
    NoMailbox,
}

/// Which room is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// What this grant may leave.
    Grant,
    /// What strangers may leave.
    Strangers,
    /// The mailbox.
    Mailbox,
    /// The relay.
    Relay,
}

/// An envelope as its owner fetches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its place.
    pub cursor: Cursor,
    /// Its name.
    pub id: EnvelopeId,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Until when it is kept.
    pub until: Timestamp,
}

/// What a sender's audit finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Custody {
    /// Here it is.
    Held {
        /// The envelope.
        bytes: Vec<u8>,
        /// Until when.
        until: Timestamp,
    },
    /// Its owner took it.
    Collected,
    /// Not here (any more).
    Absent,
}

/// One mailbox, for its owner and for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxInfo {
    /// Which.
    pub id: MailboxId,
    /// Whether anybody registered it (a judged one may not be).
    pub registered: bool,
    /// When.
    pub since: Timestamp,
    /// Envelopes and bytes in it.
    pub used: Quota,
    /// The operator's quota for it, if any.
    pub quota: Option<Quota>,
    /// The operator's word.
    pub allowed: bool,
    /// The operator's word.
    pub blocked: bool,
    /// Keys in its pool.
    pub prekeys: u64,
}

/// An invite, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteInfo {
    /// SHA-256 of the token.
    pub token: [u8; 32],
    /// Uses left.
    pub uses: u32,
    /// Until when.
    pub until: Timestamp,
}

/// What a relay holds in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Registered mailboxes.
    pub mailboxes: u64,
    /// Envelopes.
    pub envelopes: u64,
    /// Bytes of envelopes.
    pub bytes: u64,
    /// Bytes of kept descriptors.
    pub kept_bytes: u64,
}

/// What a relay's storage engine does. `mailbox/conformance.rs` holds what every engine must pass.
///
/// # Errors
/// Every method: what the disk reports. After an error of [`RelayStore::apply`] its outcome is unknown, nothing of it may
/// be answered, and every later one gives `Stopped` until [`RelayStore::reopen`]; reading goes on where the disk answers.
/// One damaged row (`Corrupt` with `Row` or `Encoding`) stops nothing: of the batch that met it nothing was carried out.
pub trait RelayStore: Send {
    /// Carries changes out in order, each whole or not at all, and makes them durable together: when it returns, they are
    /// on disk. Gives one outcome for each.
    fn apply(&mut self, changes: &[Change], caps: &Caps, now: Timestamp) -> Result<Vec<Outcome>, Error>;

    /// Envelopes of a mailbox behind a place, in the order of their places, at least one if there is one. Lapsed ones that
    /// were not swept yet are left out.
    fn page(
        &self,
        mailbox: &MailboxId,
        after: Cursor,
        max_items: usize,
        max_bytes: usize,
        now: Timestamp,
    ) -> Result<Vec<Item>, Error>;

    /// One mailbox.
    fn mailbox(&self, id: &MailboxId) -> Result<Option<MailboxInfo>, Error>;

    /// Mailboxes behind one, in a fixed order that means nothing; those too that the operator judged and nobody registered.
    fn mailboxes(&self, after: Option<&MailboxId>, limit: usize) -> Result<Vec<MailboxInfo>, Error>;

    /// Whom a tag lets into a mailbox.
    fn class_of(&self, id: &MailboxId, tag: &Tag) -> Result<Option<Class>, Error>;

    /// What became of an envelope that a receipt of this relay names; where mailboxes share the tag, of the copy that is
    /// held longest.
    fn custody(&self, tag: &Tag, envelope: &EnvelopeId, now: Timestamp) -> Result<Custody, Error>;

    /// A kept descriptor.
    fn kept(&self, id: &KeptId, now: Timestamp) -> Result<Option<Vec<u8>>, Error>;

    /// Invites that still admit.
    fn invites(&self, now: Timestamp) -> Result<Vec<InviteInfo>, Error>;

    /// What is held in all.
    fn totals(&self) -> Result<Totals, Error>;

    /// The latest `now` at which something was changed, to the minute; none if nothing ever was.
    fn latest(&self) -> Result<Option<Timestamp>, Error>;

    /// Opens the engine again after an error.
    fn reopen(&mut self) -> Result<(), Error>;
}
