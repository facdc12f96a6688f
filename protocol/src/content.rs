//! What people and devices say to each other: the same whatever carries it and however often it is sealed.
//! Must not know sessions, envelopes or delivery.

mod body;
mod receipt;

pub use body::{Body, CannotOpen, SessionControl, Text};
pub use receipt::{Marks, Range, Receipt};

use crate::{
    AccountId, ChannelId, DeviceId, Fault, MessageId, Timestamp, limits, proto,
    wire::{self, Extensions},
};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// The version of the content format.
const VERSION: u32 = 1;
/// Conversation kinds on the wire.
const PERSON: u32 = 1;
const CHANNEL: u32 = 2;

/// Where a content belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conversation {
    /// Between two people: on the wire, the recipient's account.
    Person(AccountId),
    /// In a channel.
    Channel(ChannelId),
}

/// One thing said, by one device, in one conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// Stays the same over re-encryption and devices.
    pub id: MessageId,
    /// Where it belongs.
    pub conversation: Conversation,
    /// Who says it.
    pub sender_account: AccountId,
    /// From which device.
    pub sender_device: DeviceId,
    /// Number among what this device said in this conversation, at least 1, rising.
    pub sequence: u64,
    /// What this device said before it here.
    pub previous: Option<MessageId>,
    /// When, as the sender says.
    pub sent_at: Timestamp,
    /// Milliseconds after which readers forget it; nothing if never.
    pub expires_after_ms: Option<u64>,
    /// What is said.
    pub body: Body,
    /// What later versions add.
    pub extensions: Extensions,
}

/// The device whose session carried a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderBinding {
    /// Its account.
    pub account: AccountId,
    /// Its id.
    pub device: DeviceId,
}

impl From<&crate::session::PeerDevice> for SenderBinding {
    fn from(peer: &crate::session::PeerDevice) -> Self {
        Self { account: peer.account, device: peer.device }
    }
}

/// A content does not belong to the session that carried it; whoever sent it is authentic, and lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// It names another account or device as its sender than the session's.
    #[error("content names another sender")]
    Sender,
    /// It belongs to a conversation that is not with us.
    #[error("content of a conversation that is not ours")]
    Conversation,
}

impl Misplaced {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// Draws the id of a new content.
pub fn new_id(rng: &mut impl CryptoRng) -> MessageId {
    let mut bytes = [0; MessageId::LEN];
    rng.fill_bytes(&mut bytes);
    MessageId::from_bytes(bytes)
}

impl Content {
    /// Encodes into the one spelling, at most `limits::CONTENT_MAX` bytes; refuses what [`Content::decode`] would.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, wire::Error> {
        let (kind, body) = self.body.to_wire();
        let (conversation, id) = match &self.conversation {
            Conversation::Person(account) => (PERSON, account.as_bytes().to_vec()),
            Conversation::Channel(channel) => (CHANNEL, channel.as_bytes().to_vec()),
        };
        let bytes = Zeroizing::new(wire::encode(&proto::content::Content {
            version: VERSION,
            id: self.id.as_bytes().to_vec(),
            conversation: Some(proto::content::Conversation { kind: conversation, id }),
            sender_account: self.sender_account.as_bytes().to_vec(),
            sender_device: self.sender_device.as_bytes().to_vec(),
            sequence: self.sequence,
            previous: self.previous.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
            sent_at_ms: self.sent_at.as_millis(),
            expires_after_ms: self.expires_after_ms.unwrap_or(0),
            kind,
            body,
            extensions: self.extensions.to_wire(),
        }));
        Self::decode(&bytes).map(|_| bytes)
    }

    /// Decodes strictly; an unknown kind is kept as it came (R-MSG-2).
    pub fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let content: proto::content::Content = wire::decode(bytes, limits::CONTENT_MAX)?;
        if content.version != VERSION {
            return Err(wire::Error::Unknown(content.version));
        }
        if content.sequence == 0 {
            return Err(wire::Error::OutOfBounds);
        }
        let conversation = content.conversation.ok_or(wire::Error::Malformed)?;
        let conversation = match conversation.kind {
            PERSON => Conversation::Person(AccountId::from_bytes(wire::fixed(&conversation.id)?)),
            CHANNEL => Conversation::Channel(ChannelId::from_bytes(wire::fixed(&conversation.id)?)),
            other => return Err(wire::Error::Unknown(other)),
        };
        let previous = match content.previous.as_slice() {
            [] => None,
            id => Some(MessageId::from_bytes(wire::fixed(id)?)),
        };
        let id = MessageId::from_bytes(wire::fixed(&content.id)?);
        if previous == Some(id) {
            return Err(wire::Error::OutOfBounds);
        }
        Ok(Self {
            id,
            conversation,
            sender_account: AccountId::from_bytes(wire::fixed(&content.sender_account)?),
            sender_device: DeviceId::from_bytes(wire::fixed(&content.sender_device)?),
            sequence: content.sequence,
            previous,
            sent_at: Timestamp::from_millis(content.sent_at_ms),
            expires_after_ms: Some(content.expires_after_ms).filter(|ms| *ms != 0),
            body: Body::from_wire(content.kind, content.body)?,
            extensions: Extensions::from_wire(content.extensions, &[])?,
        })
    }

    /// Checks that a content out of a pairwise session is its peer's own, and part of the conversation with us (R-MSG-3):
    /// a peer can neither speak for somebody else nor write into a conversation that is not this one.
    pub fn check(&self, sender: &SenderBinding, me: &AccountId) -> Result<(), Misplaced> {
        if self.sender_account != sender.account || self.sender_device != sender.device {
            return Err(Misplaced::Sender);
        }
        match self.conversation {
            Conversation::Person(recipient) if recipient == *me => Ok(()),
            // Channels are spoken in under their own keys, never inside a pairwise session.
            Conversation::Person(_) | Conversation::Channel(_) => Err(Misplaced::Conversation),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            conversation,
            sender_account: _,
            sender_device,
            sequence,
            previous: _,
            sent_at: _,
            expires_after_ms: _,
            body,
            extensions: _,
        } = self;
        let kind = body.kind();
        write!(f, "Content({id:?} kind {kind} in {conversation:?}, {sequence} of {sender_device:?})")
    }
}

#[cfg(test)]
mod tests;
