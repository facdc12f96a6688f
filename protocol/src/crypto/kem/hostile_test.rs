//! ML-KEM keys and ciphertexts that a hostile peer can craft. R-CRYPTO-3, R-CRYPTO-5.

use super::*;
use crate::crypto::{
    aead::{self, NotAuthentic},
    kdf,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

#[test]
fn c05_10_key_with_a_coefficient_at_or_above_the_modulus_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    let honest = KemSecret::random(&mut rng).public().to_bytes();
    assert!(KemPublic::parse(&honest).is_ok());
    for at in (0..1152).step_by(3) {
        for value in [3329u16, 3330, 4095] {
            for second in [false, true] {
                let mut bent = honest.clone(); // two 12-bit coefficients in three bytes
                if second {
                    bent[at + 1] = (bent[at + 1] & 0x0f) | ((value << 4) as u8);
                    bent[at + 2] = (value >> 4) as u8;
                } else {
                    bent[at] = value as u8;
                    bent[at + 1] = (bent[at + 1] & 0xf0) | (value >> 8) as u8;
                }
                assert_eq!(KemPublic::parse(&bent), Err(BadPublicKey), "{value} at byte {at}");
            }
        }
    }
    for len in [0, 1183, 1185] {
        assert_eq!(KemPublic::parse(&vec![0; len]), Err(BadPublicKey));
    }
}

#[test]
fn c05_10_bent_ciphertext_shows_itself_only_as_a_wrong_tag() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let secret = KemSecret::random(&mut rng);
    let (ciphertext, shared) = secret.public().encapsulate(&mut rng);
    let key = |s: &Secret<32>| kdf::hkdf::<32>(b"", s.as_bytes(), b"kith/v1/test");
    let sealed = aead::seal(&key(&shared), &[0; 12], b"", b"hello");
    for bit in (0..KemCiphertext::LEN * 8).step_by(61) {
        let mut bent = *ciphertext.as_bytes();
        bent[bit / 8] ^= 1 << (bit % 8);
        let bent = KemCiphertext::parse(&bent).unwrap();
        let wrong = secret.decapsulate(&bent);
        assert_ne!(wrong, shared);
        assert_eq!(secret.decapsulate(&bent), wrong, "the same ciphertext always gives the same answer");
        assert_eq!(aead::open(&key(&wrong), &[0; 12], b"", &sealed), Err(NotAuthentic));
    }
    for len in [0, 1087, 1089] {
        assert_eq!(KemCiphertext::parse(&vec![0; len]), Err(BadPublicKey));
    }
    assert_eq!(
        aead::open(&key(&secret.decapsulate(&ciphertext)), &[0; 12], b"", &sealed).unwrap().as_slice(),
        b"hello"
    );
}

#[test]
fn r_crypto_5_private_key_is_its_seed_and_a_seed_has_no_second_form() {
    let secret = KemSecret::from_seed(Secret::new([1; 64]));
    assert_eq!(secret.to_seed(), Secret::new([1; 64]));
    assert_ne!(secret.public(), KemSecret::from_seed(Secret::new([2; 64])).public());
    let (d_only, z_only) = ([[3; 32], [1; 32]].concat(), [[1; 32], [3; 32]].concat());
    assert_ne!(KemSecret::from_seed(Secret::from_slice(&d_only).unwrap()).public(), secret.public());
    // z is what a wrong ciphertext is answered from: the public key does not show it, the answer does.
    let other = KemSecret::from_seed(Secret::from_slice(&z_only).unwrap());
    let garbage = KemCiphertext::parse(&[9; 1088]).unwrap();
    assert_eq!(other.public(), secret.public());
    assert_ne!(other.decapsulate(&garbage), secret.decapsulate(&garbage));
}
