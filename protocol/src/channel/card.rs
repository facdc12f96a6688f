//! A member device's card: how it is reached, and what is sealed to it. Must not know who is a member.

use crate::crypto::hpke::LeafPublic;
use crate::{
    AccountId, ChannelId, DeviceId, Fault,
    crypto::label,
    identity::{DeviceInfo, DeviceSecrets},
    limits::{ADDRESS_MAX, CARD_ADDRESSES_MAX, CARD_MAX, NAME_MAX, PEER_ID_MAX},
    proto::channel_sync as proto,
    wire::{self, Signed, at_most, fixed},
};

/// The version of cards.
const VERSION: u32 = 1;

/// A card is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCard {
    /// Not in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// The leaf key is not acceptable.
    #[error("the card carries an unacceptable key")]
    BadKey,
    /// It is not signed by the device it names.
    #[error("the card is not signed by its device")]
    BadSignature,
}

impl BadCard {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// How a member's device is reached and sealed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// In which channel.
    pub channel: ChannelId,
    /// Whose.
    pub account: AccountId,
    /// Which device.
    pub device: DeviceId,
    /// Rises with every card of the device.
    pub sequence: u64,
    /// What fresh secrets are sealed to.
    pub leaf: LeafPublic,
    /// Its transport name.
    pub peer_id: Vec<u8>,
    /// Multiaddresses, best first; dialled, never believed.
    pub addresses: Vec<String>,
    /// What the member calls themselves here; not to be shown uncleaned.
    pub name: String,
}

/// A card as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCard {
    card: Card,
    signed: Signed,
}

impl Card {
    /// Signs a card of one's own device.
    pub fn sign(self, device: &DeviceSecrets) -> Vec<u8> {
        let payload = wire::encode(&proto::Card {
            version: VERSION,
            channel: self.channel.as_bytes().to_vec(),
            account: self.account.as_bytes().to_vec(),
            device: self.device.as_bytes().to_vec(),
            sequence: self.sequence,
            leaf_key: self.leaf.as_bytes().to_vec(),
            peer_id: self.peer_id,
            addresses: self.addresses,
            name: self.name,
        });
        Signed::sign(label::CARD, payload, device.sign()).encode()
    }
}

impl SignedCard {
    /// Decodes strictly; says nothing about the signature.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadCard> {
        let signed = Signed::decode(bytes, CARD_MAX)?;
        let card: proto::Card = wire::decode(&signed.payload, CARD_MAX)?;
        if card.version != VERSION {
            return Err(wire::Error::Unknown(card.version).into());
        }
        at_most(&card.addresses, CARD_ADDRESSES_MAX)?;
        let long = card.addresses.iter().any(|a| a.len() > ADDRESS_MAX);
        if long || card.name.len() > NAME_MAX || card.peer_id.is_empty() || card.peer_id.len() > PEER_ID_MAX {
            return Err(wire::Error::OutOfBounds.into());
        }
        let card = Card {
            channel: ChannelId::from_bytes(fixed(&card.channel)?),
            account: AccountId::from_bytes(fixed(&card.account)?),
            device: DeviceId::from_bytes(fixed(&card.device)?),
            sequence: card.sequence,
            leaf: LeafPublic::parse(&card.leaf_key).map_err(|_| BadCard::BadKey)?,
            peer_id: card.peer_id,
            addresses: card.addresses,
            name: card.name,
        };
        Ok(Self { card, signed })
    }

    /// Names the device that must have signed it.
    pub const fn device(&self) -> &DeviceId {
        &self.card.device
    }

    /// Checks who signed it.
    pub fn verify(self, device: &DeviceInfo) -> Result<Card, BadCard> {
        if device.id != self.card.device {
            return Err(BadCard::BadSignature);
        }
        self.signed.verify(label::CARD, &device.sign_pk).map_err(|_| BadCard::BadSignature)?;
        Ok(self.card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::hpke::LeafSecret, wire::mutate_test::every_field_altered};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    fn card(device: &DeviceSecrets, rng: &mut ChaCha20Rng) -> Card {
        Card {
            channel: ChannelId::from_bytes([1; 32]),
            account: AccountId::from_bytes([2; 32]),
            device: device.id(),
            sequence: 7,
            leaf: LeafSecret::random(rng).public(),
            peer_id: vec![3; 38],
            addresses: vec!["/ip4/192.0.2.1/tcp/1".into()],
            name: "alice".into(),
        }
    }

    #[test]
    fn r_chan_21_a_card_is_worth_its_devices_signature() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (alice, mallory) = (DeviceSecrets::generate(&mut rng), DeviceSecrets::generate(&mut rng));
        let honest = card(&alice, &mut rng);
        let bytes = honest.clone().sign(&alice);
        assert_eq!(SignedCard::decode(&bytes).unwrap().verify(alice.info()), Ok(honest.clone()));
        assert!(bytes.len() <= CARD_MAX);
        let forged = honest.clone().sign(&mallory);
        assert_eq!(SignedCard::decode(&forged).unwrap().verify(alice.info()), Err(BadCard::BadSignature));
        assert_eq!(SignedCard::decode(&forged).unwrap().verify(mallory.info()), Err(BadCard::BadSignature));
        let signed = Signed::decode(&bytes, CARD_MAX).unwrap();
        for altered in every_field_altered(&signed.payload) {
            // Kept under the old signature it is refused; signed anew it says what it says, or is refused.
            let kept = Signed { payload: altered.bytes.clone(), signature: signed.signature }.encode();
            assert!(SignedCard::decode(&kept).and_then(|c| c.verify(alice.info())).is_err(), "{}", altered.what);
            let anew = Signed::sign(label::CARD, altered.bytes.clone(), alice.sign()).encode();
            if let Ok(card) = SignedCard::decode(&anew).and_then(|c| c.verify(alice.info())) {
                assert!(card != honest, "{}", altered.what);
            }
        }
    }
}
