//! The stream of events: each has a cursor, so that a client that comes back misses nothing.

use super::channel::{Channel, Join, MemberEvent, Missing};
use super::contact::Contact;
use super::message::{DeliveryState, Message};
use super::text;
use super::text::Time;
use kith_protocol::{AccountId, DeviceId, MessageId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// What happened; its fields stand beside `event`.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Grows with every event; ask for events after it to go on from here.
    pub cursor: u64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A message was stored: incoming, or written on this account.
    Message(Message),
    /// A message got further, or failed.
    Receipt(Receipt),
    /// A contact was added or changed.
    Contact(Contact),
    /// A stranger wrote for the first time.
    Request(Contact),
    /// A contact's devices changed.
    Device(DeviceChange),
    /// Somebody came into a channel, or went.
    Member(MemberEvent),
    /// A channel came about or changed.
    Channel(Channel),
    /// Messages in a channel are missing, or came at last.
    Missing(Missing),
    /// A join got further.
    Join(Join),
    /// Something the user should know.
    Alert(Alert),
    /// Events up to here are no longer kept: who asked from before it reads the conversations instead.
    Gap(Gap),
    /// The daemon's own progress; made when it happens, not kept.
    State(Progress),
    /// A kind of event that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How far a message got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The message.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub id: MessageId,
    /// Whose conversation it lies in.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub to: AccountId,
    /// How far the message got as a whole.
    pub state: DeliveryState,
    /// How many recipients have it.
    pub delivered: u32,
    /// How many recipients there are.
    pub members: u32,
    /// When.
    pub at: Time,
    /// Why it failed.
    pub error: Option<String>,
}

/// A change of a contact's devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceChange {
    /// Whose.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountId,
    /// Which.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// `added` or `revoked`.
    pub change: String,
    /// When.
    pub at: Time,
}

/// Something the user should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Names the kind of alert, such as `storage_failed`, `identity_changed`, `clock_off`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// When.
    pub at: Time,
}

/// Where the events that are kept begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// When the newest dropped event happened.
    pub at: Time,
}

/// The daemon's own progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Such as `ready`, `stopping`, `peer_up`, `peer_down`.
    pub state: String,
}

/// Events after a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Ask for events after this next; not smaller than the cursor asked with.
    pub next: u64,
}
