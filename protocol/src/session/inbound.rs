//! A message out of an envelope: decoded in shape, so that its session can be looked up without trying keys.
//! Nothing it says is proven before it is opened.

use super::{
    PeerDevice, SessionId,
    handshake::{Handshake, InitialMessage},
    header::RatchetMessage,
};
use crate::{DeviceId, mailbox::EnvelopeBody, wire};

/// A decoded message that was not opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    pub(super) handshake: Option<Handshake>,
    pub(super) message: RatchetMessage,
}

impl Inbound {
    /// Decodes the body of an envelope strictly.
    pub fn decode(body: &EnvelopeBody) -> Result<Self, wire::Error> {
        match body {
            EnvelopeBody::Initial(bytes) => {
                let InitialMessage { handshake, message } = InitialMessage::decode(bytes)?;
                Ok(Self { handshake: Some(handshake), message })
            }
            EnvelopeBody::Ratchet(bytes) => Ok(Self { handshake: None, message: RatchetMessage::decode(bytes)? }),
        }
    }

    /// Returns the device it claims to come from: where to look its sessions up.
    pub const fn sender_device(&self) -> DeviceId {
        self.message.sender
    }

    /// Returns the session it claims to belong to.
    pub const fn session(&self) -> SessionId {
        self.message.session
    }

    /// Returns whom a message that can begin a session claims to come from; nothing for an ordinary one.
    pub fn claim(&self) -> Option<&PeerDevice> {
        self.handshake.as_ref().map(|h| &h.sender)
    }
}
