//! The JSON that clients see: `v` first, ids as text, times in RFC 3339 UTC; fields are only ever added.
//! Must not know rows or steps.

mod channel;
mod config;
mod contact;
mod event;
mod message;
mod node;
mod relay;
pub(crate) mod text;

pub use channel::{
    BanMember, CaughtAt, Channel, ChannelChange, ChannelGate, ChannelInvite, ChannelMode, ChannelRelay, ChannelSaying,
    ChannelState, CreateChannel, GiveRole, HistoryGrant, Join, JoinRequestInfo, JoinState, JudgeRequest, Member,
    MemberEvent, Missing, MuteMember, NewChannelInvite, NewJoin, NewRole, Rekey, RemovalInfo, RoleInfo,
};
pub use config::{ConfigEntry, ConfigView};
pub use contact::{AddContact, Added, Contact, ContactState, Me, RenameContact, SetName, Verification, VerifyContact};
pub use event::{Alert, DeviceChange, Event, EventKind, EventPage, Gap, Progress, Receipt};
pub use message::{
    Conversation, DeliveryState, EditMessage, FileRef, MarkRead, Message, MessageKind, OutboxItem, OutboxSelection,
    Pin, React, Reaction, SendReply, SendRequest, Why, WhyRecipient, WhyStep,
};
pub use node::{
    Check, CheckState, DhtStatus, Done, Peer, PeerSelection, Ping, RelayStatus, Status, StorageState, TransportCounts,
};
pub use relay::{
    AddRelay, MailboxQuota, MemberWord, NewInvite, Relay, RelayAdded, RelayCard, RelayInvite, RelayMember, RelayState,
    RelayStats,
};
pub use text::Time;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::UserError;

/// The version of the JSON, always 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Version(u8);

impl Default for Version {
    fn default() -> Self {
        Self(1)
    }
}

/// Puts `"v":1` in front of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Versioned<T> {
    /// Always 1.
    pub v: Version,
    /// The object.
    #[serde(flatten)]
    pub body: T,
}

impl<T> Versioned<T> {
    /// Wraps an object.
    pub fn new(body: T) -> Self {
        Self { v: Version::default(), body }
    }
}

/// A list: `{"v":1,"items":[…]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Items<T> {
    /// Always 1.
    pub v: Version,
    /// The items.
    pub items: Vec<T>,
}

impl<T> Items<T> {
    /// Wraps a list.
    pub fn new(items: Vec<T>) -> Self {
        Self { v: Version::default(), items }
    }
}

/// An error as JSON: `{"v":1,"error":{"code":…,"message":…,"hint":…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// Always 1.
    pub v: Version,
    /// What went wrong.
    pub error: UserError,
}

impl ErrorBody {
    /// Wraps an error.
    pub fn new(error: UserError) -> Self {
        Self { v: Version::default(), error }
    }
}
