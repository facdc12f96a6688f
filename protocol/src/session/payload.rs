//! What the ratchet encrypts: content, the heads of both device logs, and in first messages an introduction.
//! Must not know what the content says, nor judge a device log.

use crate::{
    identity::{ReachSecret, device_log::LogHead},
    limits, proto,
    wire::{self, Extensions, at_most},
};
use std::fmt;
use zeroize::Zeroizing;

/// The plaintext of a ratchet message.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// An encoded content, at most `limits::CONTENT_MAX` bytes.
    pub content: Vec<u8>,
    /// Head of the sender's own device log.
    pub sender_log: LogHead,
    /// Head of the recipient's device log as the sender knows it: a recipient that is ahead sends its newer log.
    pub recipient_log: LogHead,
    /// Who the sender is and where answers go; in messages until the first answer.
    pub introduction: Option<Introduction>,
    /// What later versions add.
    pub extensions: Extensions,
}

/// How a first message says who its sender is. Unverified until the device log is.
#[derive(Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The sender's device log from the first operation on, each an encoded signed operation.
    pub device_log: Vec<Vec<u8>>,
    /// The sender's reach secret.
    pub reach_secret: ReachSecret,
    /// Multiaddresses at which to try the sender: untrusted.
    pub hints: Vec<String>,
    /// Where an answer may be left: encoded passes, read by `mailbox::passes`.
    pub mailboxes: Vec<Vec<u8>>,
    /// The name the sender goes by, possibly empty: not to be shown uncleaned.
    pub name: String,
}

impl Payload {
    /// Encodes into the one spelling.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(wire::encode(&proto::session::Payload {
            content: self.content.clone(),
            sender_log: Some(head_to_wire(&self.sender_log)),
            recipient_log: Some(head_to_wire(&self.recipient_log)),
            introduction: self.introduction.as_ref().map(Introduction::to_wire),
            extensions: self.extensions.to_wire(),
        }))
    }

    /// Decodes strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let payload: proto::session::Payload = wire::decode(bytes, limits::PAYLOAD_MAX)?;
        if payload.content.len() > limits::CONTENT_MAX {
            return Err(wire::Error::TooLarge { max: limits::CONTENT_MAX });
        }
        Ok(Self {
            content: payload.content,
            sender_log: head_from_wire(payload.sender_log)?,
            recipient_log: head_from_wire(payload.recipient_log)?,
            introduction: payload.introduction.map(Introduction::from_wire).transpose()?,
            extensions: Extensions::from_wire(payload.extensions, &[])?,
        })
    }
}

impl Introduction {
    fn to_wire(&self) -> proto::session::Introduction {
        proto::session::Introduction {
            device_log: self.device_log.clone(),
            reach_secret: self.reach_secret.as_bytes().to_vec(),
            hints: self.hints.clone(),
            mailboxes: self.mailboxes.clone(),
            name: self.name.clone(),
        }
    }

    fn from_wire(wire: proto::session::Introduction) -> Result<Self, wire::Error> {
        at_most(&wire.device_log, limits::DEVICE_LOG_OPS_MAX)?;
        at_most(&wire.hints, limits::LINK_HINTS_MAX)?;
        at_most(&wire.mailboxes, limits::MAILBOXES_MAX)?;
        let log_bytes: usize = wire.device_log.iter().map(Vec::len).sum();
        let fits = log_bytes <= limits::DEVICE_LOG_MAX
            && wire.hints.iter().all(|h| h.len() <= limits::ADDRESS_MAX)
            && wire.mailboxes.iter().all(|m| m.len() <= limits::PASS_MAX)
            && wire.name.len() <= limits::NAME_MAX;
        if !fits || wire.device_log.is_empty() {
            return Err(wire::Error::OutOfBounds);
        }
        Ok(Self {
            device_log: wire.device_log,
            reach_secret: ReachSecret::from_bytes(wire::fixed(&wire.reach_secret)?),
            hints: wire.hints,
            mailboxes: wire.mailboxes,
            name: wire.name,
        })
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { content, sender_log, recipient_log, introduction, extensions: _ } = self;
        let introduced = introduction.is_some();
        write!(f, "Payload({} bytes, {sender_log:?}, {recipient_log:?}, introduced: {introduced})", content.len())
    }
}

impl fmt::Debug for Introduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device_log, reach_secret: _, hints, mailboxes: _, name: _ } = self;
        write!(f, "Introduction({} operations, {} hints)", device_log.len(), hints.len())
    }
}

fn head_to_wire(head: &LogHead) -> proto::session::LogHead {
    proto::session::LogHead { length: head.len, hash: head.hash.to_vec() }
}

fn head_from_wire(head: Option<proto::session::LogHead>) -> Result<LogHead, wire::Error> {
    let head = head.ok_or(wire::Error::Malformed)?;
    if head.length == 0 || head.length > limits::DEVICE_LOG_OPS_MAX as u64 {
        return Err(wire::Error::OutOfBounds);
    }
    Ok(LogHead { len: head.length, hash: wire::fixed(&head.hash)? })
}

#[cfg(test)]
mod tests;
