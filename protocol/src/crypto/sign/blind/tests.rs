use super::*;
use crate::crypto::Secret;
use sha2::Digest;

const LABEL: &str = "kith/v1/test";
const REACH: [u8; 16] = [9; 16];

fn root() -> SigningKey {
    SigningKey::from_seed(&Secret::new([7; 32]))
}

/// Blinds correctly but keeps the root's own prefix, as a careless implementation would.
fn careless(root: &SigningKey, day: Day) -> BlindedSigner {
    let mut signer = BlindedSigner::new(root, &REACH, day);
    signer.expanded.hash_prefix = ExpandedSecretKey::from(&root.0.to_bytes()).hash_prefix;
    signer
}

/// Solves s1 = r + k1·h1·a and s2 = r + k2·h2·a for a, which is what somebody with the contact code and one text signed
/// on two days would try. All inputs are public or follow from the code.
fn recover_root(root: &VerifyingKey, payload: &[u8], signers: [(Day, VerifyingKey, Signature); 2]) -> (Scalar, bool) {
    let [(c1, s1, r1), (c2, s2, r2)] = signers.map(|(day, public, signature)| {
        let (r, s) = signature.0.split_at(32);
        let mut hash = Sha512::new();
        hash.update(r);
        hash.update(public.as_bytes());
        hash.update(message(LABEL, payload));
        let k = Scalar::from_hash(hash);
        let s: Scalar = Option::from(Scalar::from_canonical_bytes(s.try_into().unwrap())).unwrap();
        (k * factor(root, &REACH, day), s, r.to_vec())
    });
    ((s1 - s2) * (c1 - c2).invert(), r1 == r2)
}

fn two_days(make: impl Fn(&SigningKey, Day) -> BlindedSigner, payload: &[u8]) -> [(Day, VerifyingKey, Signature); 2] {
    [Day(20_000), Day(20_001)].map(|day| {
        let signer = make(&root(), day);
        let signature = signer.sign(LABEL, payload);
        assert_eq!(signer.public().verify(LABEL, payload, &signature), Ok(()));
        (day, signer.public(), signature)
    })
}

#[test]
fn r_desc_1_reader_and_root_compute_the_same_key_and_it_parses_strictly() {
    for day in (19_990..20_010).map(Day) {
        let signer = BlindedSigner::new(&root(), &REACH, day);
        assert_eq!(signer.public(), blind_public(&root().public(), &REACH, day));
        assert_eq!(VerifyingKey::parse(signer.public().as_bytes()), Ok(signer.public()));
        let signature = signer.sign(LABEL, b"certificate");
        assert_eq!(signer.public().verify(LABEL, b"certificate", &signature), Ok(()));
        assert!(signer.public().verify(LABEL, b"certificatE", &signature).is_err());
        assert!(root().public().verify(LABEL, b"certificate", &signature).is_err());
    }
}

#[test]
fn every_day_reach_secret_and_account_has_another_key() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..3 {
        let account = SigningKey::from_seed(&Secret::new([seed; 32])).public();
        for reach in [[1; 16], [2; 16]] {
            for day in [Day(0), Day(1), Day(u32::MAX)] {
                assert!(seen.insert(*blind_public(&account, &reach, day).as_bytes()));
            }
        }
    }
}

#[test]
fn r_desc_3_two_days_signatures_over_the_same_bytes_do_not_give_the_root_away() {
    let (payload, public) = (b"the same bytes".as_slice(), root().public());
    let root_scalar = root().0.to_scalar();

    // Planted: with the root's prefix the nonce repeats, and two linear equations give the root.
    let (stolen, nonce_repeats) = recover_root(&public, payload, two_days(careless, payload));
    assert!(nonce_repeats);
    assert_eq!(stolen, root_scalar);
    assert_eq!((stolen * ED25519_BASEPOINT_POINT).compress().to_bytes(), *public.as_bytes());

    // Ours: the same computation gives nothing.
    let (guess, nonce_repeats) =
        recover_root(&public, payload, two_days(|root, day| BlindedSigner::new(root, &REACH, day), payload));
    assert!(!nonce_repeats);
    assert_ne!(guess, root_scalar);
    assert_ne!((guess * ED25519_BASEPOINT_POINT).compress().to_bytes(), *public.as_bytes());
}
