//! X25519 keys that a hostile peer can craft. R-CRYPTO-3, R-CRYPTO-4.

use super::*;
use crate::crypto::{aead::NotAuthentic, hpke};
use curve25519_dalek::constants::{EIGHT_TORSION, X25519_BASEPOINT};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// All spellings of u-coordinates of low order, on the curve and its twist: RFC 7748's and those above the prime.
fn low_order() -> Vec<[u8; 32]> {
    let small = |n: u8| {
        let mut u = [0; 32];
        u[0] = n;
        u
    };
    let near_prime = |n: u8| {
        let mut u = [0xff; 32];
        u[0] = n;
        u[31] = 0x7f;
        u
    };
    let mut all = vec![small(0), small(1), near_prime(0xec), near_prime(0xed), near_prime(0xee)]; // 0, 1, p-1, p, p+1
    all.extend(EIGHT_TORSION.iter().map(|p| p.to_montgomery().to_bytes()));
    let high_bit: Vec<_> = all
        .iter()
        .map(|u| {
            let mut u = *u;
            u[31] |= 0x80;
            u
        })
        .collect();
    all.extend(high_bit);
    all.sort();
    all.dedup();
    all
}

#[test]
fn c05_08_low_order_keys_are_refused_by_parse_and_by_agreement() {
    let ours = DhSecret::from_bytes([5; 32]);
    let low_order = low_order();
    assert!(low_order.len() >= 14, "{}", low_order.len());
    for bytes in low_order {
        assert_eq!(DhPublic::parse(&bytes), Err(BadPublicKey), "{bytes:02x?}");
        assert_eq!(ours.agree(&DhPublic::raw(bytes)), Err(WeakPublicKey), "{bytes:02x?}");
        assert_eq!(hpke::open(&ours, &bytes, b"", b"", &[0; 32]), Err(NotAuthentic));
    }
}

#[test]
fn c05_08_second_spellings_of_a_good_key_are_refused_by_parse() {
    let honest = DhSecret::from_bytes([6; 32]).public();
    let mut high_bit = *honest.as_bytes();
    high_bit[31] |= 0x80;
    assert_eq!(DhPublic::parse(&high_bit), Err(BadPublicKey));
    for n in 0u8..19 {
        let mut above_prime = [0xff; 32]; // p + n stands for n; 9 is the base point
        above_prime[0] = 0xed + n;
        above_prime[31] = 0x7f;
        assert_eq!(DhPublic::parse(&above_prime), Err(BadPublicKey), "p + {n}");
    }
    assert!(DhPublic::parse(X25519_BASEPOINT.as_bytes()).is_ok());
    for len in [0, 31, 33] {
        assert_eq!(DhPublic::parse(&vec![9; len]), Err(BadPublicKey));
    }
}

#[test]
fn c05_08_key_with_torsion_added_is_refused_by_parse() {
    // It agrees on the same secret as the key without, so that without this check a key has eight names.
    let honest = curve25519_dalek::scalar::Scalar::from(77u64) * curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    let ours = DhSecret::from_bytes([5; 32]);
    let good = DhPublic::parse(&honest.to_montgomery().to_bytes()).unwrap();
    let mut tried = 0;
    for torsion in &EIGHT_TORSION[1..] {
        let twin = (honest + torsion).to_montgomery().to_bytes();
        assert_eq!(ours.agree(&DhPublic::raw(twin)), ours.agree(&good), "the attack no longer works");
        assert_eq!(DhPublic::parse(&twin), Err(BadPublicKey));
        tried += 1;
    }
    assert_eq!(tried, 7);
}

#[test]
fn r_crypto_3_key_on_the_twist_is_refused_by_parse() {
    let twist = (2u8..255).map(|n| {
        let mut u = [0; 32];
        u[0] = n;
        u
    });
    let twist: Vec<_> = twist.filter(|u| MontgomeryPoint(*u).to_edwards(0).is_none()).collect();
    assert!(twist.len() > 50);
    for u in twist {
        assert_eq!(DhPublic::parse(&u), Err(BadPublicKey));
    }
}

#[test]
fn c05_08_hpke_refuses_every_other_spelling_of_the_encapsulated_key() {
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let ours = DhSecret::random(&mut rng);
    let (enc, sealed) = hpke::seal(&ours.public(), b"info", b"aad", b"hello", &mut rng).unwrap();
    let mut high_bit = enc;
    high_bit[31] |= 0x80;
    assert_eq!(hpke::open(&ours, &high_bit, b"info", b"aad", &sealed), Err(NotAuthentic));
    let point = MontgomeryPoint(enc).to_edwards(0).unwrap();
    for torsion in &EIGHT_TORSION[1..] {
        let twin = (point + torsion).to_montgomery().to_bytes();
        assert_eq!(hpke::open(&ours, &twin, b"info", b"aad", &sealed), Err(NotAuthentic));
    }
    assert_eq!(hpke::open(&ours, &enc, b"info", b"aad", &sealed).unwrap().as_slice(), b"hello");
}
