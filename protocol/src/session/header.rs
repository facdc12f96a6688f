//! The header of a ratchet message and its wire form. Must not know how a key comes out of it.

use super::{SessionId, chain::SALT_LEN};
use crate::{
    AccountId, DeviceId,
    crypto::{
        dh::DhPublic,
        kem::{KemCiphertext, KemPublic},
        label,
    },
    limits, proto,
    wire::{self, Transcript},
};
use std::fmt;
use zeroize::Zeroizing;

/// What a chain says about the ML-KEM step, in every one of its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PqField {
    /// Nothing.
    None,
    /// A fresh public key for the peer to answer.
    Offer(KemPublic),
    /// The answer to the peer's offer.
    Answer(KemCiphertext),
}

/// The header of one ratchet message.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The sender's ratchet key, bound as raw bytes by the associated data.
    pub(super) ratchet_key: [u8; 32],
    /// Messages in the sender's previous sending chain.
    pub(super) previous: u32,
    /// Number of this message in its chain, from 0.
    pub(super) number: u32,
    /// Mixed into the message key.
    pub(super) salt: [u8; SALT_LEN],
    /// ML-KEM steps done, counting the one this chain offers or answers.
    pub(super) pq_step: u32,
    /// Offer or answer.
    pub(super) pq: PqField,
}

impl Header {
    /// Encodes into the one spelling, which the associated data binds.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (pq_offer, pq_answer) = match &self.pq {
            PqField::None => (Vec::new(), Vec::new()),
            PqField::Offer(key) => (key.to_bytes(), Vec::new()),
            PqField::Answer(ciphertext) => (Vec::new(), ciphertext.as_bytes().to_vec()),
        };
        wire::encode(&proto::session::Header {
            ratchet_key: self.ratchet_key.to_vec(),
            previous: self.previous,
            number: self.number,
            salt: self.salt.to_vec(),
            pq_step: self.pq_step,
            pq_offer,
            pq_answer,
        })
    }

    /// Decodes strictly; an offered key's coefficients are checked here (c05_10).
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let header: proto::session::Header = wire::decode(bytes, limits::RATCHET_HEADER_MAX)?;
        let pq = match (header.pq_offer.as_slice(), header.pq_answer.as_slice()) {
            ([], []) => PqField::None,
            (offer, []) => PqField::Offer(KemPublic::parse(offer).map_err(|_| wire::Error::OutOfBounds)?),
            ([], answer) => PqField::Answer(KemCiphertext::parse(answer).map_err(|_| wire::Error::OutOfBounds)?),
            _ => return Err(wire::Error::OutOfBounds),
        };
        Ok(Self {
            ratchet_key: wire::fixed(&header.ratchet_key)?,
            previous: header.previous,
            number: header.number,
            salt: wire::fixed(&header.salt)?,
            pq_step: header.pq_step,
            pq,
        })
    }
}

/// A ratchet message as it travels: decoded in shape, authentic only once opened.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RatchetMessage {
    /// Which session it claims.
    pub(super) session: SessionId,
    /// Which device it claims to come from.
    pub(super) sender: DeviceId,
    /// The header's bytes.
    pub(super) header: Vec<u8>,
    /// Sealed payload.
    pub(super) ciphertext: Vec<u8>,
}

impl RatchetMessage {
    /// Encodes into the one spelling.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(wire::encode(&proto::session::RatchetMessage {
            session_id: self.session.as_bytes().to_vec(),
            sender_device: self.sender.as_bytes().to_vec(),
            header: self.header.clone(),
            ciphertext: self.ciphertext.clone(),
        }))
    }

    /// Decodes strictly.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let message: proto::session::RatchetMessage = wire::decode(bytes, limits::RATCHET_MESSAGE_MAX)?;
        Ok(Self {
            session: SessionId::from_bytes(wire::fixed(&message.session_id)?),
            sender: DeviceId::from_bytes(wire::fixed(&message.sender_device)?),
            header: message.header,
            ciphertext: message.ciphertext,
        })
    }
}

impl fmt::Debug for RatchetMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, sender, header: _, ciphertext } = self;
        write!(f, "RatchetMessage({session:?} from {sender:?}, {} bytes)", ciphertext.len())
    }
}

/// One end of a session as the associated data names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Its account.
    pub(super) account: AccountId,
    /// Its device.
    pub(super) device: DeviceId,
}

/// Builds the associated data of one message from what each side knows by itself: session, suite, direction and header.
/// A message moved to another session, device, account or direction does not open (R-SES-2).
pub(super) fn associated_data(transcript: &[u8; 32], suite: u32, from: End, to: End, header: &[u8]) -> Vec<u8> {
    Transcript::new(label::RATCHET_AD)
        .field(transcript)
        .u32(suite)
        .field(from.account.as_bytes())
        .field(from.device.as_bytes())
        .field(to.account.as_bytes())
        .field(to.device.as_bytes())
        .field(header)
        .bytes()
}

/// Says whether bytes that claim to be a handshake key are one: canonical, not weak, torsion-free.
pub(super) fn handshake_key(bytes: &[u8]) -> Result<DhPublic, wire::Error> {
    DhPublic::parse(bytes).map_err(|_| wire::Error::OutOfBounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn r_ses_2_associated_data_differ_by_session_suite_both_ends_direction_and_header() {
        let end = |account: u8, device: u8| End {
            account: AccountId::from_bytes([account; 32]),
            device: DeviceId::from_bytes([device; 32]),
        };
        let (alice, bob) = (end(1, 2), end(3, 4));
        let all = [
            associated_data(&[9; 32], 1, alice, bob, b"header"),
            associated_data(&[9; 32], 1, bob, alice, b"header"),
            associated_data(&[8; 32], 1, alice, bob, b"header"),
            associated_data(&[9; 32], 2, alice, bob, b"header"),
            associated_data(&[9; 32], 1, end(5, 2), bob, b"header"),
            associated_data(&[9; 32], 1, end(1, 5), bob, b"header"),
            associated_data(&[9; 32], 1, alice, end(5, 4), b"header"),
            associated_data(&[9; 32], 1, alice, end(3, 5), b"header"),
            associated_data(&[9; 32], 1, alice, bob, b"Header"),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
