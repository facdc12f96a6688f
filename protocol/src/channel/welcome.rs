//! What a newcomer is given to begin with: the keys of the epoch that its admission made, sealed to its leaf key, and how
//! members are reached. Must not know how it was let in.

use super::{EpochId, EpochKeys, LineageId, LineageKeys, OpId, StoredEpoch};
use crate::crypto::hpke::{LeafPublic, LeafSecret, open_by_leaf, seal_to_leaf};
use crate::{
    ChannelId, Fault,
    crypto::{Secret, aead::NotAuthentic, label},
    limits::{CARD_MAX, WELCOME_CARDS_MAX, WELCOME_MAX},
    proto::channel_sync as proto,
    wire::{self, Transcript, at_most, fixed},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The version of welcomes.
const VERSION: u32 = 1;

/// A welcome is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWelcome {
    /// Not in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// It does not open by this device's leaf key.
    #[error("the welcome is not authentic")]
    NotAuthentic(#[from] NotAuthentic),
    /// The leaf key it would be sealed to is none.
    #[error("the leaf key cannot be sealed to")]
    BadKey,
}

impl BadWelcome {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// What a newcomer is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The operation that let it in.
    pub op: OpId,
    /// The epoch that this made.
    pub epoch: EpochId,
    /// Its keys.
    pub keys: EpochKeys,
    /// The lineage.
    pub lineage: LineageId,
    /// Its keys.
    pub lineage_keys: LineageKeys,
    /// Signed cards of members.
    pub cards: Vec<Vec<u8>>,
}

impl Welcome {
    /// Seals it to the newcomer's leaf key.
    pub fn seal(
        &self,
        channel: &ChannelId,
        leaf: &LeafPublic,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BadWelcome> {
        let mut plain = self.keys.to_stored().to_bytes();
        plain.extend_from_slice(self.lineage_keys.secret().as_bytes());
        let info = info(channel, &self.op, &self.epoch, &self.lineage);
        let (enc, ciphertext) = seal_to_leaf(leaf, &info, &[], &plain, rng).map_err(|_| BadWelcome::BadKey)?;
        Ok(wire::encode(&proto::Welcome {
            version: VERSION,
            op: self.op.as_bytes().to_vec(),
            epoch: self.epoch.as_bytes().to_vec(),
            lineage: self.lineage.as_bytes().to_vec(),
            enc: enc.to_vec(),
            ciphertext,
            cards: self.cards.clone(),
        }))
    }

    /// Opens it; whether the operations agree shows once they are known.
    pub fn open(bytes: &[u8], channel: &ChannelId, leaf: &LeafSecret) -> Result<Self, BadWelcome> {
        let w: proto::Welcome = wire::decode(bytes, WELCOME_MAX)?;
        if w.version != VERSION {
            return Err(wire::Error::Unknown(w.version).into());
        }
        at_most(&w.cards, WELCOME_CARDS_MAX)?;
        if w.cards.iter().any(|card| card.len() > CARD_MAX) {
            return Err(wire::Error::OutOfBounds.into());
        }
        let (op, epoch) = (OpId::from_bytes(fixed(&w.op)?), EpochId::from_bytes(fixed(&w.epoch)?));
        let lineage = LineageId::from_bytes(fixed(&w.lineage)?);
        let info = info(channel, &op, &epoch, &lineage);
        let plain: Zeroizing<Vec<u8>> = open_by_leaf(leaf, &fixed(&w.enc)?, &info, &[], &w.ciphertext)?;
        let (keys, secret) = plain.split_at_checked(96).ok_or(wire::Error::Malformed)?;
        let keys = StoredEpoch::from_bytes(keys).ok_or(wire::Error::Malformed)?;
        let secret = Secret::from_slice(secret).ok_or(wire::Error::Malformed)?;
        let lineage_keys = LineageKeys::new(secret);
        Ok(Self { op, epoch, keys: EpochKeys::from_stored(&keys), lineage, lineage_keys, cards: w.cards })
    }
}

fn info(channel: &ChannelId, op: &OpId, epoch: &EpochId, lineage: &LineageId) -> Vec<u8> {
    Transcript::new(label::CHANNEL_WELCOME)
        .field(channel.as_bytes())
        .field(op.as_bytes())
        .field(epoch.as_bytes())
        .field(lineage.as_bytes())
        .bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn r_chan_22_a_welcome_opens_for_its_leaf_key_and_place_alone() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (bob, mallory) = (LeafSecret::random(&mut rng), LeafSecret::random(&mut rng));
        let channel = ChannelId::from_bytes([1; 32]);
        let welcome = Welcome {
            op: OpId::from_bytes([2; 32]),
            epoch: EpochId::from_bytes([3; 32]),
            keys: EpochKeys::from_stored(&StoredEpoch::from_bytes(&[4; 96]).unwrap()),
            lineage: LineageId::from_bytes([5; 32]),
            lineage_keys: LineageKeys::new(Secret::new([6; 32])),
            cards: vec![vec![7; 40]],
        };
        let bytes = welcome.seal(&channel, &bob.public(), &mut rng).unwrap();
        assert_eq!(Welcome::open(&bytes, &channel, &bob), Ok(welcome));
        assert!(Welcome::open(&bytes, &channel, &mallory).is_err());
        assert!(Welcome::open(&bytes, &ChannelId::from_bytes([9; 32]), &bob).is_err());
        let mut sent: proto::Welcome = wire::decode(&bytes, WELCOME_MAX).unwrap();
        sent.epoch = vec![9; 32];
        assert!(Welcome::open(&wire::encode(&sent), &channel, &bob).is_err());
    }
}
