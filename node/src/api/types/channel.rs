//! Channels: who is in, with what rights, how somebody comes in, what is said.

use super::text;
use super::text::Time;
use kith_protocol::{AccountId, ChannelId, DeviceId, MessageId, RelayId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How one stands in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    /// In.
    Joined,
    /// Left by oneself; what was said is still there.
    Left,
    /// Removed by somebody; what was said is still there.
    Removed,
}

/// Who may come and speak, whatever their roles say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelMode {
    /// As the roles say.
    Open,
    /// Who lets others in must be allowed to approve.
    Private,
    /// Who speaks must be allowed to silence others.
    Announce,
    /// Nobody speaks and nobody comes.
    Archive,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Channel {
    /// Names it everywhere.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub id: ChannelId,
    /// What it is called. Written by others: clean it before a terminal sees it.
    pub name: String,
    /// What it is about; may be empty. Written by others.
    pub topic: String,
    /// Whether one is in.
    pub state: ChannelState,
    /// Who may come and speak.
    pub mode: ChannelMode,
    /// How many members it has.
    pub members: u32,
    /// My roles.
    pub roles: Vec<String>,
    /// What I may do.
    pub permissions: Vec<String>,
    /// Messages not read yet.
    pub unread: u32,
    /// Whether its messages are no news here.
    #[serde(default)]
    pub muted: bool,
    /// How one was put out, while one is.
    #[serde(default)]
    pub removal: Option<RemovalInfo>,
    /// Who made it.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub creator: AccountId,
    /// Days that messages are kept; 0 for ever.
    pub retention_days: u32,
    /// Milliseconds after which messages disappear; 0 never.
    pub expires_after_ms: u64,
    /// Hash of which operations hold: equal at every member who knows the same ones.
    pub state_hash: String,
    /// How many operations are known.
    pub ops: u64,
    /// Whether something may be sent now; else why not yet.
    pub gate: ChannelGate,
    /// People who wait for approval.
    pub requests: u32,
    /// Messages known to be missing.
    pub missing: u64,
    /// The relays that keep what is said for who is away.
    pub relays: Vec<ChannelRelay>,
}

/// A relay that keeps what is said in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelRelay {
    /// Which.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub relay: RelayId,
    /// Whether it holds a mailbox of the channel's as this device knows it.
    pub ready: bool,
    /// What is wrong, if anything is.
    pub detail: Option<String>,
    /// Items of this device that are on their way there.
    pub waiting: u32,
}

/// How one was put out of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovalInfo {
    /// By whom.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub by: AccountId,
    /// Their name here; may be empty. Written by strangers.
    pub by_name: String,
    /// Why, as they say; may be empty.
    pub reason: String,
    /// Whether for good.
    pub banned: bool,
}

/// Whether something may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelGate {
    /// Yes.
    Open,
    /// The keys are made anew first, by the next message.
    RekeyFirst,
    /// The keys that somebody made anew are still on their way.
    WaitingForKeys,
    /// One is not in.
    Closed,
}

/// A change of a channel's properties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelChange {
    /// Another name.
    Name(String),
    /// Another topic.
    Topic(String),
    /// Another mode.
    Mode(ChannelMode),
    /// How many days messages are kept; 0 for ever.
    RetentionDays(u32),
    /// After how many milliseconds messages disappear; 0 never.
    ExpireAfterMs(u64),
    /// Shows messages of this channel as news, or not.
    Muted(bool),
    /// A relay keeps what is said for who is away: its card with where it listens.
    RelayAdd(String),
    /// A relay keeps it no more: the beginning of its id.
    RelayRemove(String),
}

/// A member of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Their account.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountId,
    /// Their name here; may be empty. Written by strangers.
    pub name: String,
    /// Their roles.
    pub roles: Vec<String>,
    /// Whether they made the channel.
    pub creator: bool,
    /// Whether it is me.
    pub me: bool,
    /// How many devices they have in it.
    pub devices: u32,
    /// Whether they are silenced.
    pub muted: bool,
    /// What they were caught at: things that no honest device makes.
    #[serde(default)]
    pub caught: Vec<CaughtAt>,
}

/// A kind of thing that a member was caught at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CaughtAt {
    /// Names the kind, as the alert about it does: `operation_forbidden`, `message_forbidden`, `after_removal`,
    /// `equivocation`, `rekey_poisoned`, `rekey_withheld`.
    pub code: String,
    /// How often.
    pub times: u64,
    /// When last.
    pub at: Time,
}

/// A role of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleInfo {
    /// Its name.
    pub name: String,
    /// Whether every channel has it.
    pub builtin: bool,
    /// Roles it inherits from.
    pub inherits: Vec<String>,
    /// What it allows.
    pub allow: Vec<String>,
    /// What it takes away.
    pub deny: Vec<String>,
}

/// A role to define.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Its name.
    pub name: String,
    /// Roles it inherits from.
    #[serde(default)]
    pub inherits: Vec<String>,
    /// What it allows.
    #[serde(default)]
    pub allow: Vec<String>,
    /// What it takes away.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Minutes of the UTC day between which it counts for messages.
    #[serde(default)]
    pub minutes: Option<(u16, u16)>,
    /// Whether it counts for messages of devices that manage others only.
    #[serde(default)]
    pub managing_device: bool,
    /// Messages that a device may send in a minute.
    #[serde(default)]
    pub per_minute: Option<u32>,
}

/// What of the past somebody who joins is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryGrant {
    /// Nothing.
    #[default]
    None,
    /// Everything.
    All,
    /// So many days.
    Days(u32),
}

/// Terms of a new invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChannelInvite {
    /// How many may come.
    pub uses: u32,
    /// For how many milliseconds it is good.
    pub expires_after_ms: u64,
    /// As what they come.
    pub role: String,
    /// What of the past they are given.
    #[serde(default)]
    pub history: HistoryGrant,
    /// Whether somebody has to say yes to each.
    #[serde(default)]
    pub approval: bool,
}

/// An invite into a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelInvite {
    /// Names it.
    pub id: String,
    /// The code: `kith1…`; absent where another member made it.
    pub code: Option<String>,
    /// The same as a link with address hints.
    pub url: Option<String>,
    /// When it ends.
    pub expires: Time,
    /// How many may come by it.
    pub uses: u32,
    /// How many came.
    pub used: u32,
    /// As what they come.
    pub role: String,
    /// Whether somebody has to say yes to each.
    pub approval: bool,
    /// What of the past they are given.
    pub history: HistoryGrant,
    /// Who posted it.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub by: AccountId,
}

/// How far a join has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JoinState {
    /// Looking for what the code leads to.
    Looking,
    /// Found; waits for a yes.
    Preview,
    /// Asks members to be let in.
    Asking,
    /// A member has to say yes.
    Waiting,
    /// In.
    Joined,
    /// It came to nothing, with a reason.
    Failed,
}

/// A join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Join {
    /// Its number here.
    pub id: u64,
    /// How far it has come.
    pub state: JoinState,
    /// The channel, once known.
    #[serde(with = "text::option")]
    #[schema(value_type = Option<String>)]
    pub channel: Option<ChannelId>,
    /// What it is called. Written by others.
    pub name: Option<String>,
    /// Who invites: what they call themselves. Written by others.
    pub inviter: Option<String>,
    /// How many members it has, as the invite says.
    pub members: Option<u32>,
    /// As what one would come.
    pub role: Option<String>,
    /// What of the past one would be given.
    pub history: Option<HistoryGrant>,
    /// When the invite ends.
    pub expires: Option<Time>,
    /// Why it came to nothing: the code of an error and a sentence.
    pub error: Option<(String, String)>,
}

/// Somebody who waits for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinRequestInfo {
    /// Their account.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountId,
    /// What they call themselves. Written by strangers.
    pub name: String,
    /// As what they would come.
    pub role: String,
    /// When they asked.
    pub at: Time,
}

/// What is said in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelSaying {
    /// Words.
    Text {
        /// The words.
        body: String,
        /// What they answer.
        #[serde(with = "text::option")]
        #[schema(value_type = Option<String>)]
        reply_to: Option<MessageId>,
    },
    /// Other words for a message.
    Edit {
        /// Which.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        target: MessageId,
        /// The words.
        body: String,
    },
    /// A message is not to be shown.
    Delete {
        /// Which.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        target: MessageId,
    },
    /// A reaction, or the end of one.
    React {
        /// To which.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        target: MessageId,
        /// A few characters.
        emoji: String,
        /// Whether from now on.
        on: bool,
    },
    /// A pin, or the end of one.
    Pin {
        /// Which.
        #[serde(with = "text")]
        #[schema(value_type = String)]
        target: MessageId,
        /// Whether from now on.
        on: bool,
    },
}

/// Somebody came into a channel, or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberEvent {
    /// Which channel.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub channel: ChannelId,
    /// Who.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountId,
    /// Their name here; may be empty. Written by strangers.
    pub name: String,
    /// Whether they came.
    pub joined: bool,
    /// When.
    pub at: Time,
}

/// Messages of one device in a channel are known to be missing, or came at last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Missing {
    /// In which channel.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub channel: ChannelId,
    /// Whose.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountId,
    /// Their name here; may be empty. Written by strangers.
    pub name: String,
    /// Of which device.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// How many; 0 if all that was missing is here now.
    pub missing: u64,
    /// When.
    pub at: Time,
}

/// `POST /v1/channels`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateChannel {
    /// What it is to be called.
    pub name: String,
}

/// `POST /v1/channels/{channel}/rekey`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rekey {
    /// Whether nothing may be sent under the old keys from now on, not even joined with the new.
    #[serde(default)]
    pub emergency: bool,
}

/// `POST /v1/channels/{channel}/members/{member}/role`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveRole {
    /// Which.
    pub role: String,
    /// Give or take.
    pub give: bool,
    /// For how many milliseconds.
    #[serde(default)]
    pub for_ms: Option<u64>,
}

/// `POST /v1/channels/{channel}/members/{member}/mute`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MuteMember {
    /// Whether from now on.
    pub on: bool,
    /// For how many milliseconds.
    #[serde(default)]
    pub for_ms: Option<u64>,
}

/// `POST /v1/channels/{channel}/members/{member}/ban`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BanMember {
    /// Why; shown to all.
    #[serde(default)]
    pub reason: String,
}

/// `POST /v1/channels/{channel}/requests/{member}`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgeRequest {
    /// Yes or no.
    pub admit: bool,
}

/// `POST /v1/joins`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJoin {
    /// An invite's code or link, as pasted.
    pub code: String,
    /// The name to go by there; the profile's if missing.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether to ask to be let in as soon as the invite is found, without showing it first.
    #[serde(default)]
    pub yes: bool,
}
