//! HPKE over X-Wing (ML-KEM-768 with X25519, KEM id 0x647a), the form that stays sealed to who records today and computes
//! with a quantum computer later: for the leaf keys of channels.

use crate::crypto::{
    Secret,
    aead::NotAuthentic,
    dh::{BadPublicKey, DhPublic},
    kem::{KemCiphertext, KemPublic},
};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256, kem::XWing};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// Length of X-Wing's encapsulated key in bytes: ML-KEM-768's ciphertext, then an X25519 key.
pub const LEAF_ENC_LEN: usize = KemCiphertext::LEN + DhPublic::LEN;

/// The private half of a leaf key, kept as its 32-byte X-Wing seed, which has no malformed forms.
#[derive(Clone)]
pub struct LeafSecret(Secret<32>);

impl LeafSecret {
    /// Draws a new key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes a stored seed.
    pub const fn from_seed(seed: Secret<32>) -> Self {
        Self(seed)
    }

    /// Returns the seed to store.
    pub fn to_seed(&self) -> Secret<32> {
        self.0.clone()
    }

    /// Returns the public half.
    pub fn public(&self) -> LeafPublic {
        let mut bytes = Box::new([0; LeafPublic::LEN]);
        // Expanding fails for another length alone, which the type excludes; nobody would parse the zeros it would leave.
        if let Ok(secret) = self.expand() {
            XWing::sk_to_pk(&secret).write_exact(bytes.as_mut_slice());
        }
        LeafPublic(bytes)
    }

    fn expand(&self) -> Result<<XWing as Kem>::PrivateKey, NotAuthentic> {
        <XWing as Kem>::PrivateKey::from_bytes(self.0.as_bytes()).map_err(|_| NotAuthentic)
    }
}

impl fmt::Debug for LeafSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("LeafSecret(..)")
    }
}

/// The public half of a leaf key (1216 bytes), checked; kept in its short form, since a channel has thousands of them.
#[derive(Clone, PartialEq, Eq)]
pub struct LeafPublic(Box<[u8; Self::LEN]>);

impl LeafPublic {
    /// Length in bytes: an ML-KEM-768 key, then an X25519 key.
    pub const LEN: usize = KemPublic::LEN + DhPublic::LEN;

    /// Accepts 1216 bytes whose halves are both acceptable keys (R-CRYPTO-3).
    pub fn parse(bytes: &[u8]) -> Result<Self, BadPublicKey> {
        let whole = <[u8; Self::LEN]>::try_from(bytes).map_err(|_| BadPublicKey)?;
        let (kem, dh) = bytes.split_at_checked(KemPublic::LEN).ok_or(BadPublicKey)?;
        KemPublic::parse(kem)?;
        DhPublic::parse(dh)?;
        Ok(Self(Box::new(whole)))
    }

    /// Returns the 1216 bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for LeafPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeafPublic(..)")
    }
}

/// Seals for the holder of `to`; returns the encapsulated key (1120 bytes) and ciphertext followed by the 16-byte tag.
pub fn seal_to_leaf(
    to: &LeafPublic,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<(Box<[u8; LEAF_ENC_LEN]>, Vec<u8>), BadPublicKey> {
    let to = <XWing as Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| BadPublicKey)?;
    let (enc, ciphertext) =
        hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(&OpModeS::Base, &to, info, plaintext, aad, rng)
            .map_err(|_| BadPublicKey)?;
    let mut bytes = Box::new([0; LEAF_ENC_LEN]);
    enc.write_exact(bytes.as_mut_slice());
    Ok((bytes, ciphertext))
}

/// Opens what [`seal_to_leaf`] made; the X25519 part of the encapsulated key must be canonical and of prime order, whatever
/// else it is is refused with the same error as a wrong tag (R-CRYPTO-6).
pub fn open_by_leaf(
    secret: &LeafSecret,
    enc: &[u8; LEAF_ENC_LEN],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
    let dh = enc.last_chunk::<{ DhPublic::LEN }>().ok_or(NotAuthentic)?;
    DhPublic::parse(dh).map_err(|_| NotAuthentic)?;
    let enc = <XWing as Kem>::EncappedKey::from_bytes(enc).map_err(|_| NotAuthentic)?;
    hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(
        &OpModeR::Base,
        &secret.expand()?,
        &enc,
        info,
        ciphertext,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| NotAuthentic)
}

#[cfg(test)]
mod hostile_test;

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn r_crypto_6_only_the_holder_of_the_leaf_opens_and_only_under_the_same_info_and_aad() {
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let (bob, mallory) = (LeafSecret::random(&mut rng), LeafSecret::random(&mut rng));
        let (enc, sealed) = seal_to_leaf(&bob.public(), b"info", b"aad", b"hello", &mut rng).unwrap();
        assert_eq!(open_by_leaf(&bob, &enc, b"info", b"aad", &sealed).unwrap().as_slice(), b"hello");
        assert_eq!(open_by_leaf(&mallory, &enc, b"info", b"aad", &sealed), Err(NotAuthentic));
        assert_eq!(open_by_leaf(&bob, &enc, b"other", b"aad", &sealed), Err(NotAuthentic));
        assert_eq!(open_by_leaf(&bob, &enc, b"info", b"other", &sealed), Err(NotAuthentic));
        assert_eq!(open_by_leaf(&bob, &[0; LEAF_ENC_LEN], b"info", b"aad", &sealed), Err(NotAuthentic));
    }

    #[test]
    fn r_crypto_5_leaf_key_is_its_seed_and_every_made_key_parses() {
        let mut rng = ChaCha20Rng::seed_from_u64(10);
        for _ in 0..20 {
            let secret = LeafSecret::random(&mut rng);
            let public = LeafPublic::parse(secret.public().as_bytes()).unwrap();
            assert_eq!(LeafSecret::from_seed(secret.to_seed()).public(), public);
            assert_ne!(LeafSecret::random(&mut rng).public(), public);
        }
    }

    #[test]
    fn r_crypto_8_debug_of_a_leaf_prints_its_name_alone() {
        let secret = LeafSecret::from_seed(Secret::new([0xab; 32]));
        assert_eq!(format!("{secret:?} {:?}", secret.public()), "LeafSecret(..) LeafPublic(..)");
    }
}
