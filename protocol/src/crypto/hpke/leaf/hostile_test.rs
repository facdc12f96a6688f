//! Leaf keys and encapsulated keys that a hostile peer can craft. R-CRYPTO-3, R-CRYPTO-6.

use super::*;
use curve25519_dalek::{constants::EIGHT_TORSION, montgomery::MontgomeryPoint};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn leaf(seed: u64) -> LeafSecret {
    LeafSecret::random(&mut ChaCha20Rng::seed_from_u64(seed))
}

/// Puts another X25519 key in the place of the last 32 bytes.
fn with_dh<const N: usize>(bytes: &[u8; N], dh: [u8; 32]) -> [u8; N] {
    let mut bent = *bytes;
    bent[N - 32..].copy_from_slice(&dh);
    bent
}

/// Every way to write an X25519 key that a strict reader refuses, beside an honest one.
fn bad_dh(honest: &[u8; 32]) -> Vec<[u8; 32]> {
    let number = |n: u8| {
        let mut u = [0; 32];
        u[0] = n;
        u
    };
    let mut all = vec![number(0), number(1), [0xff; 32]];
    for n in 0u8..19 {
        let mut above_prime = [0xff; 32];
        above_prime[0] = 0xed + n;
        above_prime[31] = 0x7f;
        all.push(above_prime);
    }
    let mut high_bit = *honest;
    high_bit[31] |= 0x80;
    all.push(high_bit);
    let point = MontgomeryPoint(*honest).to_edwards(0).unwrap();
    all.extend(EIGHT_TORSION.iter().map(|t| t.to_montgomery().to_bytes()));
    all.extend(EIGHT_TORSION[1..].iter().map(|t| (point + t).to_montgomery().to_bytes()));
    all.extend((2u8..40).map(number).filter(|u| MontgomeryPoint(*u).to_edwards(0).is_none()));
    all
}

#[test]
fn c05_08_r_crypto_3_leaf_key_with_any_other_x25519_part_is_refused() {
    let honest = leaf(1).public();
    let dh = honest.as_bytes().last_chunk::<32>().unwrap();
    let bad = bad_dh(dh);
    assert!(bad.len() > 40);
    for dh in bad {
        assert_eq!(LeafPublic::parse(&with_dh(honest.as_bytes(), dh)), Err(BadPublicKey), "{dh:02x?}");
    }
    let other = *leaf(2).public().as_bytes().last_chunk::<32>().unwrap();
    assert!(LeafPublic::parse(&with_dh(honest.as_bytes(), other)).is_ok());
}

#[test]
fn c05_10_r_crypto_3_leaf_key_with_a_coefficient_at_or_above_the_modulus_is_refused() {
    let honest = *leaf(1).public().as_bytes();
    for at in (0..1152).step_by(3) {
        for value in [3329u16, 4095] {
            let mut bent = honest; // two 12-bit coefficients in three bytes
            bent[at] = value as u8;
            bent[at + 1] = (bent[at + 1] & 0xf0) | (value >> 8) as u8;
            assert_eq!(LeafPublic::parse(&bent), Err(BadPublicKey), "{value} at byte {at}");
            let mut bent = honest;
            bent[at + 1] = (bent[at + 1] & 0x0f) | ((value << 4) as u8);
            bent[at + 2] = (value >> 4) as u8;
            assert_eq!(LeafPublic::parse(&bent), Err(BadPublicKey), "{value} after byte {at}");
        }
    }
}

#[test]
fn r_crypto_3_leaf_key_of_another_length_is_refused() {
    let honest = leaf(1).public();
    for cut in 0..LeafPublic::LEN {
        assert_eq!(LeafPublic::parse(&honest.as_bytes()[..cut]), Err(BadPublicKey), "{cut}");
    }
    assert_eq!(LeafPublic::parse(&[honest.as_bytes().as_slice(), &[0]].concat()), Err(BadPublicKey));
}

#[test]
fn c05_08_r_crypto_6_every_other_spelling_of_the_encapsulated_x25519_key_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let ours = leaf(1);
    let (enc, sealed) = seal_to_leaf(&ours.public(), b"info", b"aad", b"hello", &mut rng).unwrap();
    for dh in bad_dh(enc.last_chunk::<32>().unwrap()) {
        assert_eq!(open_by_leaf(&ours, &with_dh(&enc, dh), b"info", b"aad", &sealed), Err(NotAuthentic), "{dh:02x?}");
    }
    assert_eq!(open_by_leaf(&ours, &enc, b"info", b"aad", &sealed).unwrap().as_slice(), b"hello");
}

#[test]
fn c05_10_r_crypto_6_bent_and_cut_sealings_to_a_leaf_open_to_nothing() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let ours = leaf(1);
    let (enc, sealed) = seal_to_leaf(&ours.public(), b"info", b"aad", b"hello", &mut rng).unwrap();
    let open = |enc: &[u8; LEAF_ENC_LEN], sealed: &[u8]| open_by_leaf(&ours, enc, b"info", b"aad", sealed);
    for bit in (0..LEAF_ENC_LEN * 8).step_by(37) {
        let mut bent = *enc;
        bent[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&bent, &sealed), Err(NotAuthentic), "bit {bit} of enc");
    }
    for bit in 0..sealed.len() * 8 {
        let mut bent = sealed.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&enc, &bent), Err(NotAuthentic), "bit {bit} of the ciphertext");
    }
    for cut in 0..sealed.len() {
        assert_eq!(open(&enc, &sealed[..cut]), Err(NotAuthentic), "{cut}");
    }
    assert_eq!(open(&enc, &[sealed.as_slice(), &[0]].concat()), Err(NotAuthentic));
    // Either half of another sealing to the same key.
    let (other, _) = seal_to_leaf(&ours.public(), b"info", b"aad", b"hello", &mut rng).unwrap();
    assert_eq!(open(&other, &sealed), Err(NotAuthentic));
    assert_eq!(open(&with_dh(&enc, *other.last_chunk().unwrap()), &sealed), Err(NotAuthentic));
    assert_eq!(open(&with_dh(&other, *enc.last_chunk().unwrap()), &sealed), Err(NotAuthentic));
}
