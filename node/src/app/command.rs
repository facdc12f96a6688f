//! What a local client can ask to be changed, already resolved and parsed.
//! Must not know HTTP or how things are shown.

use crate::api::error::UserError;
use crate::api::types::{
    Added, Channel, ChannelChange, ChannelInvite, ChannelSaying, Contact, Conversation, Done, Join, Me,
    NewChannelInvite, NewRole, RelayAdded, SendReply, Verification,
};
use kith_protocol::{AccountId, ChannelId, MessageId, RelayId, crypto::kdf};
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
        /// Which conversation.
        conversation: Conversation,
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
    /// Makes a channel. Answered by `Outcome::Channel`.
    ChannelCreate {
        /// Its name.
        name: String,
    },
    /// Changes a property of a channel. Answered by `Outcome::Channel`.
    ChannelSet {
        /// Which.
        channel: ChannelId,
        /// What.
        change: ChannelChange,
    },
    /// Leaves a channel. Answered by `Outcome::Done`.
    ChannelLeave {
        /// Which.
        channel: ChannelId,
    },
    /// Makes a channel's keys anew. Answered by `Outcome::Done`.
    ChannelRekey {
        /// Which.
        channel: ChannelId,
        /// Whether nothing may be sent under the old ones from now on, not even joined with the new.
        emergency: bool,
    },
    /// Makes an invite. Answered by `Outcome::Invite`.
    ChannelInvite {
        /// Into which channel.
        channel: ChannelId,
        /// On what terms.
        terms: NewChannelInvite,
    },
    /// Ends an invite. Ended already: not an error. Answered by `Outcome::Done`.
    ChannelInviteRevoke {
        /// Of which channel.
        channel: ChannelId,
        /// Its id, or a unique prefix.
        invite: String,
    },
    /// Begins to join by a code or link; goes on in the daemon, across restarts. In already, or on the way: not an error.
    /// Answered by `Outcome::Join`.
    Join {
        /// As pasted.
        code_or_link: String,
        /// The name to go by there; the profile's if none.
        name: Option<String>,
        /// Whether to ask to be let in as soon as the invite is found, without showing it first.
        yes: bool,
    },
    /// Says yes to what an invite leads to. Answered by `Outcome::Join`.
    JoinConfirm {
        /// The join.
        join: u64,
    },
    /// Gives a join up. Answered by `Outcome::Done`.
    JoinCancel {
        /// The join.
        join: u64,
    },
    /// Lets somebody in who waits for approval, or not. Answered by `Outcome::Done`.
    JoinJudge {
        /// Into which channel.
        channel: ChannelId,
        /// Whom.
        account: AccountId,
        /// Yes or no.
        admit: bool,
    },
    /// Says something in a channel. Answered by `Outcome::Sent`.
    ChannelSay {
        /// Where.
        channel: ChannelId,
        /// What.
        saying: ChannelSaying,
        /// After how many milliseconds it disappears.
        expires_after_ms: Option<u64>,
    },
    /// Gives a member a role, or takes one. Answered by `Outcome::Done`.
    MemberRole {
        /// In which channel.
        channel: ChannelId,
        /// Whose.
        account: AccountId,
        /// Which.
        role: String,
        /// Give or take.
        give: bool,
        /// For how many milliseconds.
        for_ms: Option<u64>,
    },
    /// Removes a member. Answered by `Outcome::Done`.
    MemberRemove {
        /// From which channel.
        channel: ChannelId,
        /// Whom.
        account: AccountId,
        /// For good.
        ban: bool,
        /// Why; shown to all.
        reason: String,
    },
    /// Lets somebody who was banned come again. Answered by `Outcome::Done`.
    MemberUnban {
        /// To which channel.
        channel: ChannelId,
        /// Whom.
        account: AccountId,
    },
    /// Silences a member, or ends that. Answered by `Outcome::Done`.
    MemberMute {
        /// In which channel.
        channel: ChannelId,
        /// Whom.
        account: AccountId,
        /// Whether from now on.
        on: bool,
        /// For how many milliseconds.
        for_ms: Option<u64>,
    },
    /// Defines a role, anew if it is there. Answered by `Outcome::Done`.
    RoleDefine {
        /// In which channel.
        channel: ChannelId,
        /// What.
        role: NewRole,
    },
    /// Ends a role. Answered by `Outcome::Done`.
    RoleDrop {
        /// In which channel.
        channel: ChannelId,
        /// Which.
        name: String,
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
    /// A channel as it is now.
    Channel(Channel),
    /// An invite into a channel.
    Invite(ChannelInvite),
    /// How a join stands.
    Join(Join),
    /// A relay of mine as it is now, and whether adding it changed anything.
    Relay(RelayAdded),
    /// Nothing else to tell.
    Done(Done),
}

/// The answer to a command.
pub type Reply = Result<Outcome, UserError>;
