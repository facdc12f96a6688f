//! What a local client can ask to be changed, already resolved and parsed.
//! Must not know HTTP or how things are shown.

use crate::api::error::UserError;
use crate::api::types::{Added, Contact, Done, Me, RelayAdded, SendReply, Verification};
use kith_protocol::{AccountId, MessageId, RelayId, crypto::kdf};
use serde::{Deserialize, Serialize};

/// Changes something.
///
/// It serialises so that a repeated request can be told from another one under the same idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Sends a text. Answered by `Outcome::Sent`.
    Send {
        /// To whom.
        to: AccountId,
        /// The text: not empty, within the limit (checked again by the app).
        body: String,
        /// After how many milliseconds it disappears.
        expires_after_ms: Option<u64>,
    },
    /// Marks messages read up to one, or all. Answered by `Outcome::Done`.
    MarkRead {
        /// Whose conversation.
        conversation: AccountId,
        /// That one included; everything if none.
        up_to: Option<MessageId>,
    },
    /// Adds a contact. Known already: not an error, the name is set if given. Answered by `Outcome::Added`.
    ContactAdd {
        /// As pasted.
        code_or_link: String,
        /// The name to use here.
        name: Option<String>,
    },
    /// Accepts a stranger's request. Answered by `Outcome::Contact`.
    ContactAccept {
        /// Who.
        account: AccountId,
    },
    /// Shows the safety number; with digits compares, and on a match marks as verified (`unverified` otherwise).
    /// Answered by `Outcome::Verification`.
    ContactVerify {
        /// Who.
        account: AccountId,
        /// As read on the other side; other characters than digits are ignored.
        digits: Option<String>,
    },
    /// Gives a contact another name here. Answered by `Outcome::Contact`.
    ContactRename {
        /// Who.
        account: AccountId,
        /// Not empty.
        name: String,
    },
    /// Blocks. Answered by `Outcome::Contact`.
    ContactBlock {
        /// Who.
        account: AccountId,
    },
    /// Unblocks. Answered by `Outcome::Contact`.
    ContactUnblock {
        /// Who.
        account: AccountId,
    },
    /// Removes a contact, its sessions and outbox; messages stay. Removed already: not an error. Answered by
    /// `Outcome::Done`.
    ContactRemove {
        /// Who.
        account: AccountId,
    },
    /// Changes the name that contacts see. Answered by `Outcome::Me`.
    SetName {
        /// May be empty.
        name: String,
    },
    /// Makes a new reach secret: the old code stops working for strangers. Answered by `Outcome::Me`.
    RotateReach,
    /// Tries waiting messages now: one, or all. Answered by `Outcome::Done`.
    OutboxRetry {
        /// Which; all if none.
        message: Option<MessageId>,
    },
    /// Gives a waiting message up. Answered by `Outcome::Done`.
    OutboxCancel {
        /// Which.
        message: MessageId,
    },
    /// Lets a relay hold this account's mail. In use already: not an error. Answered by `Outcome::Relay`.
    RelayAdd {
        /// Its card or link, as pasted.
        card: String,
    },
    /// Lets a relay hold no mail any more: what lies there is read first, then it forgets the mailbox. Answered by
    /// `Outcome::Done`.
    RelayRemove {
        /// Which.
        relay: RelayId,
    },
    /// Bans a transport peer. Answered by `Outcome::Done`.
    PeerBan {
        /// Its whole peer id.
        peer: String,
    },
    /// Lifts a ban. Answered by `Outcome::Done`.
    PeerUnban {
        /// Its whole peer id.
        peer: String,
    },
    /// Drops the sessions with a contact's devices; the next message starts new ones. Answered by `Outcome::Done`.
    SessionReset {
        /// Who.
        account: AccountId,
    },
}

impl Command {
    /// Tells a repeated request from another one under the same idempotency key.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        // Writing these types to memory cannot fail: string keys only, no fallible Serialize.
        kdf::sha256(&[&serde_json::to_vec(self).unwrap_or_default()])
    }
}

/// What a command answers. Kept as JSON under its idempotency key (not as bincode: the types are JSON types).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A message was queued.
    Sent(SendReply),
    /// A contact as it is now.
    Contact(Contact),
    /// A contact as it is now, and whether adding it changed anything.
    Added(Added),
    /// A safety number.
    Verification(Verification),
    /// My account as it is now.
    Me(Me),
    /// A relay of mine as it is now, and whether adding it changed anything.
    Relay(RelayAdded),
    /// Nothing else to tell.
    Done(Done),
}

/// The answer to a command.
pub type Reply = Result<Outcome, UserError>;
