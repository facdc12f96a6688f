use super::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const DAY: Day = Day(20_000);

fn sealed(content: &[u8]) -> (DhSecret, Vec<u8>) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = DhSecret::random(&mut rng);
    let body = EnvelopeBody::Ratchet(Zeroizing::new(content.to_vec()));
    let bytes = seal(&key.public(), DAY, &body, &mut rng).unwrap();
    (key, bytes)
}

#[test]
fn r_env_1_only_the_key_of_the_named_day_opens() {
    let (key, bytes) = sealed(b"hello");
    let body = open(&bytes, |day| (day == DAY).then(|| key.clone())).unwrap();
    assert_eq!(body, EnvelopeBody::Ratchet(Zeroizing::new(b"hello".to_vec())));
    assert_eq!(open(&bytes, |_| None), Err(OpenError::UnknownDay(DAY)));
    let other = DhSecret::from_bytes([9; 32]);
    assert_eq!(open(&bytes, |_| Some(other)), Err(OpenError::NotAuthentic));
    assert_eq!(key_day(&bytes), Ok(DAY));
}

#[test]
fn r_env_1_every_flipped_bit_is_refused() {
    let (key, bytes) = sealed(b"hello");
    for bit in 0..bytes.len() * 8 {
        let mut bent = bytes.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&bent, |_| Some(key.clone())).is_err(), "bit {bit}");
    }
}

#[test]
fn r_env_3_lengths_say_nothing_within_a_bucket() {
    let lengths: Vec<usize> = [0, 1, 50, 240].iter().map(|n| sealed(&vec![1; *n]).1.len()).collect();
    assert!(lengths.iter().all(|n| *n == lengths[0]));
    assert!(sealed(&vec![1; 60_000]).1.len() <= limits::ENVELOPE_MAX);
    let body = EnvelopeBody::Initial(Zeroizing::new(vec![0; limits::ENVELOPE_BUCKET_MAX]));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = DhSecret::random(&mut rng).public();
    assert_eq!(seal(&key, DAY, &body, &mut rng), Err(SealError::TooLarge));
}

#[test]
fn r_env_2_id_is_of_the_envelope_without_its_routing_header() {
    let (_, bytes) = sealed(b"hello");
    assert_eq!(EnvelopeId::of(&bytes), EnvelopeId::of(&bytes.clone()));
    assert_ne!(EnvelopeId::of(&bytes), EnvelopeId::of(&bytes[1..]));
    let header = RoutingHeader { tag: [3; 16], expires: Timestamp::from_millis(5) };
    assert_eq!(RoutingHeader::decode(&header.encode()), Ok(header));
    assert!(RoutingHeader::decode(&[0x0a, 1, 3]).is_err());
}

#[test]
fn c05_08_weak_encapsulated_keys_are_refused() {
    let (key, bytes) = sealed(b"hello");
    for point in crate::session::tests::bad_points() {
        let mut envelope: proto::envelope::Envelope = wire::decode(&bytes, limits::ENVELOPE_MAX).unwrap();
        envelope.enc = point.to_vec();
        let bent = wire::encode(&envelope);
        assert_eq!(open(&bent, |_| Some(key.clone())), Err(OpenError::NotAuthentic), "{point:02x?}");
    }
}

#[test]
fn unknown_versions_suites_and_body_kinds_are_refused() {
    let (key, bytes) = sealed(b"hello");
    for change in [|e: &mut proto::envelope::Envelope| e.version = 2, |e: &mut proto::envelope::Envelope| e.suite = 0] {
        let mut envelope: proto::envelope::Envelope = wire::decode(&bytes, limits::ENVELOPE_MAX).unwrap();
        change(&mut envelope);
        assert_eq!(open(&wire::encode(&envelope), |_| Some(key.clone())), Err(OpenError::Unsupported));
    }
    let sum = wire::encode(&proto::wire::Sum { kind: 3, body: vec![1] });
    assert_eq!(EnvelopeBody::from_wire(&sum), Err(wire::Error::Unknown(3)));
}
