//! Keys and signatures that a hostile peer can craft. R-CRYPTO-2, R-ID-10.

use super::*;
use crate::crypto::kdf::sha512;
use curve25519_dalek::{
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
    edwards::EdwardsPoint,
    scalar::Scalar,
};

const LABEL: &str = "kith/v1/test";

/// Every spelling of a small-order point: the eight encodings and the non-canonical ones beside them.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut all: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|p| p.compress().to_bytes()).collect();
    for y in [0xedu8, 0xee] {
        for last in [0x7f, 0xff] {
            let mut bytes = [0xff; 32]; // y = p or p + 1, which stand for 0 and 1
            bytes[0] = y;
            bytes[31] = last;
            all.push(bytes);
        }
    }
    let mut minus_zero = [0; 32]; // y = 1 with the sign of an x that is zero
    minus_zero[0] = 1;
    minus_zero[31] = 0x80;
    all.push(minus_zero);
    let mut minus_one = [0xff; 32]; // y = -1, likewise
    minus_one[0] = 0xec;
    all.push(minus_one);
    all
}

/// Computes k = H(R ‖ A ‖ M) as a verifier does.
fn challenge(r: &[u8; 32], a: &[u8; 32], payload: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&sha512(&[r, a, &message(LABEL, payload)]))
}

fn with(r: &[u8; 32], s: &[u8; 32]) -> Signature {
    Signature([r.as_slice(), s].concat().try_into().unwrap())
}

#[test]
fn c05_09_small_order_key_under_which_anybody_signs_anything_is_refused() {
    // Under the identity as key, R = sB verifies every message for the textbook equation; the library's plain check
    // accepts it, which is why neither that check nor such a key may ever be used.
    let identity = EIGHT_TORSION[0].compress().to_bytes();
    let s = Scalar::from(5u64);
    let forged = with(&(s * ED25519_BASEPOINT_POINT).compress().to_bytes(), s.as_bytes());
    let lax = ed25519_dalek::VerifyingKey::from_bytes(&identity).unwrap();
    #[expect(clippy::disallowed_methods)] // shows what the strict check is for
    let accepted = ed25519_dalek::Verifier::verify(
        &lax,
        &message(LABEL, b"any message"),
        &ed25519_dalek::Signature::from_bytes(&forged.0),
    );
    assert!(accepted.is_ok(), "the attack no longer works: then this test shows nothing");

    assert_eq!(VerifyingKey::parse(&identity), Err(BadPublicKey));
    assert_eq!(VerifyingKey(lax).verify(LABEL, b"any message", &forged), Err(BadSignature));
}

#[test]
fn c05_09_malleated_s_and_small_order_r_are_refused() {
    let key = SigningKey::from_seed(&Secret::new([3; 32]));
    let good = key.sign(LABEL, b"op");
    let (r, s): ([u8; 32], [u8; 32]) = (good.0[..32].try_into().unwrap(), good.0[32..].try_into().unwrap());

    // S + l stands for the same scalar.
    let order = {
        let mut l = [0u8; 32];
        l[..16].copy_from_slice(&[
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
        ]);
        l[31] = 0x10;
        l
    };
    let mut malleated = [0u8; 32];
    let mut carry = 0u16;
    for i in 0..32 {
        let sum = u16::from(s[i]) + u16::from(order[i]) + carry;
        malleated[i] = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(Scalar::from_bytes_mod_order(malleated).as_bytes(), &s);
    assert_eq!(key.public().verify(LABEL, b"op", &with(&r, &malleated)), Err(BadSignature));

    // R of small order, with the S that makes the equation hold for the torsion-free part: S = k·a.
    for r in small_order_encodings() {
        let s = challenge(&r, key.public().as_bytes(), b"op") * key.0.to_scalar();
        assert_eq!(key.public().verify(LABEL, b"op", &with(&r, s.as_bytes())), Err(BadSignature));
    }
    assert_eq!(key.public().verify(LABEL, b"op", &good), Ok(()));
}

#[test]
fn c05_09_second_valid_signature_over_one_payload_makes_no_second_id() {
    use crate::wire::Signed;
    let key = SigningKey::from_seed(&Secret::new([3; 32]));
    let first = Signed::sign(LABEL, b"op".to_vec(), &key);
    // The signer draws another nonce: just as valid.
    let nonce = Scalar::from(12_345u64);
    let r = (nonce * ED25519_BASEPOINT_POINT).compress().to_bytes();
    let s = nonce + challenge(&r, key.public().as_bytes(), b"op") * key.0.to_scalar();
    let second = Signed { payload: b"op".to_vec(), signature: with(&r, s.as_bytes()) };
    for signed in [&first, &second] {
        assert_eq!(signed.verify(LABEL, &key.public()), Ok(b"op".as_slice()));
    }
    assert_ne!(first.signature, second.signature);
    assert_eq!(first.id("kith/v1/test"), second.id("kith/v1/test"));
}

#[test]
fn c05_09_key_with_torsion_or_in_a_second_spelling_is_refused() {
    let honest = SigningKey::from_seed(&Secret::new([3; 32])).public();
    for torsion in &EIGHT_TORSION[1..] {
        let mixed: EdwardsPoint = honest.0.to_edwards() + torsion;
        assert_eq!(VerifyingKey::parse(&mixed.compress().to_bytes()), Err(BadPublicKey));
    }
    // A y of p + n stands for n; only small n fit into 255 bits. Every one of them that is a point has a second spelling.
    for n in 0u8..19 {
        for sign in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            bytes[0] = 0xed + n;
            bytes[31] = sign;
            assert_eq!(VerifyingKey::parse(&bytes), Err(BadPublicKey), "p + {n}");
        }
    }
    for len in [0, 31, 33, 64] {
        assert_eq!(VerifyingKey::parse(&vec![9; len]), Err(BadPublicKey));
    }
}

#[test]
fn c05_61_small_order_key_that_a_transport_accepts_is_no_identity() {
    for bytes in small_order_encodings() {
        assert_eq!(VerifyingKey::parse(&bytes), Err(BadPublicKey), "{bytes:02x?}");
    }
}
