//! HPKE (RFC 9180) in base mode with HKDF-SHA256 and AES-256-GCM, anonymous on the sender's side: here over X25519, in
//! `leaf` over X-Wing.

mod leaf;

pub use leaf::{LEAF_ENC_LEN, LeafPublic, LeafSecret, open_by_leaf, seal_to_leaf};

use super::{
    aead::NotAuthentic,
    dh::{BadPublicKey, DhPublic, DhSecret},
};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256, kem::X25519HkdfSha256};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

type Kem = X25519HkdfSha256;

/// Seals for the holder of `to`; returns the encapsulated key (32 bytes) and ciphertext followed by the 16-byte tag.
pub fn seal(
    to: &DhPublic,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<([u8; 32], Vec<u8>), BadPublicKey> {
    let to = <Kem as hpke::Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| BadPublicKey)?;
    let (enc, ciphertext) =
        hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, Kem>(&OpModeS::Base, &to, info, plaintext, aad, rng)
            .map_err(|_| BadPublicKey)?;
    Ok((enc.to_bytes().into(), ciphertext))
}

/// Opens what [`seal`] made; the encapsulated key must be canonical and of prime order, whatever else it is is refused
/// with the same error as a wrong tag.
pub fn open(
    secret: &DhSecret,
    enc: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
    DhPublic::parse(enc).map_err(|_| NotAuthentic)?;
    let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(enc).map_err(|_| NotAuthentic)?;
    let secret = <Kem as hpke::Kem>::PrivateKey::from_bytes(secret.to_bytes().as_bytes()).map_err(|_| NotAuthentic)?;
    hpke::single_shot_open::<AesGcm256, HkdfSha256, Kem>(&OpModeR::Base, &secret, &enc, info, ciphertext, aad)
        .map(Zeroizing::new)
        .map_err(|_| NotAuthentic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn r_crypto_6_only_the_holder_opens_and_only_under_the_same_info_and_aad() {
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let (bob, mallory) = (DhSecret::random(&mut rng), DhSecret::random(&mut rng));
        let (enc, sealed) = seal(&bob.public(), b"info", b"aad", b"hello", &mut rng).unwrap();
        assert_eq!(open(&bob, &enc, b"info", b"aad", &sealed).unwrap().as_slice(), b"hello");
        assert_eq!(open(&mallory, &enc, b"info", b"aad", &sealed), Err(NotAuthentic));
        assert_eq!(open(&bob, &enc, b"other", b"aad", &sealed), Err(NotAuthentic));
        assert_eq!(open(&bob, &enc, b"info", b"other", &sealed), Err(NotAuthentic));
        assert_eq!(open(&bob, &[0; 32], b"info", b"aad", &sealed), Err(NotAuthentic));
    }
}
