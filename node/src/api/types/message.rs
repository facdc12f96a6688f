//! Messages, how far they got, and why.

use super::text;
use super::text::Time;
use kith_protocol::{AccountId, ChannelId, DeviceId, MessageId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What messages stand in: everything said with one person, or in one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Conversation {
    /// With a person.
    Person(AccountId),
    /// In a channel.
    Channel(ChannelId),
}

impl From<AccountId> for Conversation {
    fn from(account: AccountId) -> Self {
        Self::Person(account)
    }
}

impl From<ChannelId> for Conversation {
    fn from(channel: ChannelId) -> Self {
        Self::Channel(channel)
    }
}

/// How far a message got; one vocabulary everywhere. The order is the order of progress, `failed` last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// On this disk.
    Queued,
    /// Left this machine: a peer of the recipient took it.
    Sent,
    /// A relay holds it.
    Stored,
    /// The recipient's device has it, by its end-to-end receipt. For an incoming message: here, not read yet.
    Delivered,
    /// Read.
    Read,
    /// Given up, with a reason.
    Failed,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Text.
    Text,
    /// No message: in its place some of `from` are missing that others are asked for.
    Gap,
    /// A text of a channel that was taken back: no words.
    Deleted,
    /// A kind that this version does not know; kept, shown as such.
    #[serde(other)]
    Unknown,
}

/// A file of a message (none in this version).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileRef {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Names it everywhere.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub id: MessageId,
    /// Whose conversation it lies in: the other person's account.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub conversation: AccountId,
    /// Who wrote it.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub from: AccountId,
    /// Their name here; may be empty. Written by strangers: clean it before a terminal sees it.
    pub from_name: String,
    /// To whom.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub to: AccountId,
    /// Whether it was written by this account.
    pub outgoing: bool,
    /// When it was written, by the sender's clock.
    pub at: Time,
    /// When it was stored here.
    pub stored_at: Time,
    /// What it is.
    pub kind: MessageKind,
    /// The text; empty for an unknown kind. Written by strangers: clean it before a terminal sees it.
    pub body: String,
    /// How far it got.
    pub state: DeliveryState,
    /// How many recipients have it.
    pub delivered: u32,
    /// How many recipients there are.
    pub members: u32,
    /// Why it failed.
    pub error: Option<String>,
    /// The message it answers.
    #[serde(with = "text::option")]
    #[schema(value_type = Option<String>)]
    pub reply_to: Option<MessageId>,
    /// When it disappears.
    pub expires: Option<Time>,
    /// Files.
    pub files: Vec<FileRef>,
    /// Whether it stands in a channel: then `conversation` and `to` are the channel's id.
    #[serde(default)]
    pub channel: bool,
    /// Whether its author gave it other words since.
    #[serde(default)]
    pub edited: bool,
    /// Whether it is pinned.
    #[serde(default)]
    pub pinned: bool,
    /// Reactions and how many gave each.
    #[serde(default)]
    pub reactions: Vec<Reaction>,
    /// How many messages are missing here, where it is a gap.
    #[serde(default)]
    pub missing: u64,
}

/// A reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reaction {
    /// A few characters. Written by others.
    pub emoji: String,
    /// How many gave it.
    pub count: u32,
    /// Whether I did.
    pub mine: bool,
}

/// `POST /v1/messages`, with an `Idempotency-Key`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// `@name`, `#name`, an id, or a unique prefix of one.
    pub to: String,
    /// The text.
    pub body: String,
    /// After how many milliseconds it disappears.
    #[serde(default)]
    pub expires_after_ms: Option<u64>,
    /// What it answers, in a channel: a message's id or a unique prefix of one.
    #[serde(default)]
    pub reply_to: Option<String>,
}

/// `PATCH /v1/messages/{id}`: other words for a message of mine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditMessage {
    /// The words.
    pub body: String,
}

/// `POST /v1/messages/{id}/reactions`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct React {
    /// A few characters.
    pub emoji: String,
    /// Whether from now on.
    pub on: bool,
}

/// `POST /v1/messages/{id}/pin`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Whether from now on.
    pub on: bool,
}

/// What became of a message at the moment of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendReply {
    /// Names the message.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub id: MessageId,
    /// To whom.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub to: AccountId,
    /// How far it got.
    pub state: DeliveryState,
    /// How many recipients have it.
    pub delivered: u32,
    /// How many recipients there are.
    pub members: u32,
}

impl From<&Message> for SendReply {
    fn from(m: &Message) -> Self {
        Self { id: m.id, to: m.to, state: m.state, delivered: m.delivered, members: m.members }
    }
}

/// `POST /v1/messages/read`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    /// Which conversation: `@name`, `#name`, an id, or a prefix.
    pub conversation: String,
    /// Up to which message, that one included; everything if missing.
    #[serde(default, with = "text::option")]
    #[schema(value_type = Option<String>)]
    pub up_to: Option<MessageId>,
}

/// The history of a message, per device of its recipients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// Names the message.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub id: MessageId,
    /// One entry a device; one without a device while the recipient's keys are not known.
    pub recipients: Vec<WhyRecipient>,
}

/// What happened towards one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyRecipient {
    /// Whose device.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountId,
    /// The name used here; may be empty.
    pub name: String,
    /// Which device; none while their keys are not known.
    #[serde(with = "text::option")]
    #[schema(value_type = Option<String>)]
    pub device: Option<DeviceId>,
    /// How far it got.
    pub state: DeliveryState,
    /// What happened, oldest first.
    pub steps: Vec<WhyStep>,
    /// When the next attempt is due.
    pub next_retry: Option<Time>,
    /// What stands in the way now.
    pub error: Option<String>,
}

/// One recorded step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyStep {
    /// When.
    pub at: Time,
    /// What, in words, such as `queued`, `sealed`, `sent`, `delivered`.
    pub what: String,
    /// Where: `here`, `network`, `their daemon` or `their device`.
    #[serde(rename = "where")]
    pub place: String,
}

/// An entry of the outbox: a message still on its way to one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxItem {
    /// The message.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub id: MessageId,
    /// To whom.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub to: AccountId,
    /// The name used here; may be empty.
    pub name: String,
    /// Which device; none while their keys are not known.
    #[serde(with = "text::option")]
    #[schema(value_type = Option<String>)]
    pub device: Option<DeviceId>,
    /// How far it got.
    pub state: DeliveryState,
    /// Since when it waits.
    pub queued_at: Time,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the next attempt is due.
    pub next_retry: Option<Time>,
    /// When it is given up.
    pub expires: Time,
    /// What stands in the way now.
    pub error: Option<String>,
}

/// `POST /v1/outbox/retry`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutboxSelection {
    /// A message id or a unique prefix of one; all if missing.
    #[serde(default)]
    pub message: Option<String>,
}
