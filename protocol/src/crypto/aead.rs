//! Authenticated encryption: AES-256-GCM for messages (one key each), XChaCha20-Poly1305 for rows (random nonces).

use super::Secret;
use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, AeadInOut, Payload},
};
use chacha20poly1305::XChaCha20Poly1305;
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// Length of the tag that every ciphertext ends with, in bytes.
pub const TAG_LEN: usize = 16;
/// Length of the random nonce in front of what [`seal_random`] returns, in bytes.
pub const RANDOM_NONCE_LEN: usize = 24;

/// The bytes are not what the key's holder sealed under this associated data; says no more, so that nobody learns more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not authentic")]
pub struct NotAuthentic;

/// Seals with AES-256-GCM; a key and nonce must never be used twice. Returns ciphertext followed by the 16-byte tag.
/// (NIST SP 800-38D. Beyond 64 GiB, which no caller comes near, it returns no bytes at all, which never open.)
pub fn seal(key: &Secret<32>, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new(key.as_bytes().into());
    cipher.encrypt(nonce.into(), Payload { msg: plaintext, aad }).unwrap_or_default()
}

/// Seals what lies in a buffer where it lies, and puts the tag behind it; otherwise as [`seal`].
pub fn seal_in_place(key: &Secret<32>, nonce: &[u8; 12], aad: &[u8], buffer: &mut Vec<u8>) {
    let cipher = Aes256Gcm::new(key.as_bytes().into());
    if cipher.encrypt_in_place(nonce.into(), aad, buffer).is_err() {
        buffer.zeroize();
    }
}

/// Opens what [`seal`] made under the same key, nonce and associated data.
pub fn open(
    key: &Secret<32>,
    nonce: &[u8; 12],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
    let cipher = Aes256Gcm::new(key.as_bytes().into());
    let plain = cipher.decrypt(nonce.into(), Payload { msg: ciphertext, aad }).map_err(|_| NotAuthentic)?;
    Ok(Zeroizing::new(plain))
}

/// Seals with XChaCha20-Poly1305 under a fresh random nonce, which stands in front of the ciphertext (24 bytes).
/// A key may seal any number of rows: the nonce is long enough to be drawn by chance (draft-irtf-cfrg-xchacha).
pub fn seal_random(key: &Secret<32>, aad: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut nonce = [0; RANDOM_NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let mut out = nonce.to_vec();
    let cipher = XChaCha20Poly1305::new(key.as_bytes().into());
    out.extend(cipher.encrypt((&nonce).into(), Payload { msg: plaintext, aad }).unwrap_or_default());
    out
}

/// Opens what [`seal_random`] made under the same key and associated data.
pub fn open_random(key: &Secret<32>, aad: &[u8], bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
    let (nonce, ciphertext) = bytes.split_first_chunk::<RANDOM_NONCE_LEN>().ok_or(NotAuthentic)?;
    let cipher = XChaCha20Poly1305::new(key.as_bytes().into());
    let plain = cipher.decrypt(nonce.into(), Payload { msg: ciphertext, aad }).map_err(|_| NotAuthentic)?;
    Ok(Zeroizing::new(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn r_crypto_1_changing_any_bit_of_key_nonce_aad_or_ciphertext_is_noticed() {
        let key = Secret::new([1; 32]);
        let sealed = seal(&key, &[2; 12], b"aad", b"plain");
        assert_eq!(open(&key, &[2; 12], b"aad", &sealed).unwrap().as_slice(), b"plain");
        let mut in_place = b"plain".to_vec();
        seal_in_place(&key, &[2; 12], b"aad", &mut in_place);
        assert_eq!(in_place, sealed);
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, &[2; 12], b"aad", &bad), Err(NotAuthentic));
        }
        for cut in 0..sealed.len() {
            assert_eq!(open(&key, &[2; 12], b"aad", &sealed[..cut]), Err(NotAuthentic));
        }
        assert!(open(&key, &[3; 12], b"aad", &sealed).is_err());
        assert!(open(&key, &[2; 12], b"aaD", &sealed).is_err());
        assert!(open(&Secret::new([4; 32]), &[2; 12], b"aad", &sealed).is_err());
    }

    #[test]
    fn random_seals_of_one_row_differ_and_both_open() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = Secret::new([1; 32]);
        let (a, b) = (seal_random(&key, b"t", b"row", &mut rng), seal_random(&key, b"t", b"row", &mut rng));
        assert_ne!(a, b);
        for sealed in [a, b] {
            assert_eq!(open_random(&key, b"t", &sealed).unwrap().as_slice(), b"row");
            assert!(open_random(&key, b"u", &sealed).is_err());
            for cut in 0..sealed.len() {
                assert!(open_random(&key, b"t", &sealed[..cut]).is_err());
            }
        }
    }
}
