//! The custody receipt: a relay's signed word that it holds an envelope until a moment. The sender keeps it, and can ask
//! for the envelope by it. Must not know how relays keep envelopes.

use crate::{
    EnvelopeId, Fault, RelayId, Tag, Timestamp,
    crypto::{
        label,
        sign::{SigningKey, VerifyingKey},
    },
    proto,
    wire::{self, Signed, fixed},
};

/// The version of receipts this program writes and reads.
const VERSION: u32 = 1;
/// Largest encoded receipt in bytes: three names, two times, a signature.
pub(super) const MAX: usize = 224;

/// The bytes are no custody receipt of this relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustodyError {
    /// Not a receipt in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// Another relay's.
    #[error("the receipt is another relay's")]
    Foreign,
    /// The relay did not sign it.
    #[error("the receipt is not the relay's")]
    BadSignature,
}

impl CustodyError {
    /// Says who is to blame: who showed it.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// What a relay promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custody {
    /// Which relay.
    pub relay: RelayId,
    /// In which mailbox.
    pub tag: Tag,
    /// Which envelope.
    pub envelope: EnvelopeId,
    /// Until when, unless its owner takes it.
    pub until: Timestamp,
    /// When it said so.
    pub at: Timestamp,
    signed: Signed,
}

impl Custody {
    /// Signs a promise: only after the envelope is on disk.
    pub fn issue(relay: &SigningKey, tag: Tag, envelope: EnvelopeId, until: Timestamp, at: Timestamp) -> Self {
        let id = RelayId::from_bytes(*relay.public().as_bytes());
        let payload = wire::encode(&proto::mailbox::Custody {
            version: VERSION,
            relay: id.as_bytes().to_vec(),
            tag: tag.as_bytes().to_vec(),
            envelope: envelope.as_bytes().to_vec(),
            until_ms: until.as_millis(),
            at_ms: at.as_millis(),
        });
        Self { relay: id, tag, envelope, until, at, signed: Signed::sign(label::CUSTODY, payload, relay) }
    }

    /// Decodes strictly and checks that this relay signed it (R-MBX-5).
    pub fn verify(bytes: &[u8], relay: &RelayId) -> Result<Self, CustodyError> {
        let signed = Signed::decode(bytes, MAX)?;
        let wire: proto::mailbox::Custody = wire::decode(&signed.payload, MAX)?;
        if wire.version != VERSION {
            return Err(wire::Error::Unknown(wire.version).into());
        }
        if wire.relay != relay.as_bytes() {
            return Err(CustodyError::Foreign);
        }
        let key = VerifyingKey::parse(relay.as_bytes()).map_err(|_| CustodyError::BadSignature)?;
        signed.verify(label::CUSTODY, &key).map_err(|_| CustodyError::BadSignature)?;
        Ok(Self {
            relay: *relay,
            tag: Tag::from_bytes(fixed(&wire.tag)?),
            envelope: EnvelopeId::from_bytes(fixed(&wire.envelope)?),
            until: Timestamp::from_millis(wire.until_ms),
            at: Timestamp::from_millis(wire.at_ms),
            signed,
        })
    }

    /// Encodes it as it was signed.
    pub fn encode(&self) -> Vec<u8> {
        self.signed.encode()
    }
}
