//! Invite records as joiners read them, and as members, former members and fellow invitees would have them read.

use super::*;
use crate::{
    crypto::{
        dh::DhSecret,
        label,
        sign::{SigningKey, VerifyingKey},
    },
    limits::{DESCRIPTOR_MAX, INVITE_PAD, INVITE_RECORD_MAX},
    proto::{invite as proto, wire::Sum},
    wire::{decode, encode, mutate_test::every_field_altered},
};
use record::Error;

/// Opens the seal of a posted record as the holder of the code, and gives what the author signed.
fn inner(bytes: &[u8]) -> Signed {
    let sum: Sum = decode(bytes, DESCRIPTOR_MAX).unwrap();
    let payload = Signed::decode(&sum.body, DESCRIPTOR_MAX).unwrap().payload;
    let payload: proto::SlotPayload = decode(&payload, DESCRIPTOR_MAX).unwrap();
    let aad = slot(1).associated_data(payload.sequence, slot(1).expires());
    let plain = context(&aad).open(&code(1).keys().open, &payload.sealed).unwrap();
    Signed::decode(&plain, INVITE_RECORD_MAX).unwrap()
}

fn context(aad: &[u8]) -> seal::Context<'_> {
    seal::Context { label: label::INVITE_RECORD_SEAL, aad, max: INVITE_RECORD_MAX }
}

/// Seals anything into slot 1, as whoever knows the invite's public half can.
fn reposted(inner: &[u8]) -> Vec<u8> {
    let aad = slot(1).associated_data(SEQUENCE, slot(1).expires());
    let sealed = context(&aad).seal(&slot(1).invite.seal, inner, &mut rng(7)).unwrap();
    slot(1).sign(SEQUENCE, sealed)
}

/// Alters what Alice signed, signs with a key and posts it.
fn forged(key: &SigningKey, bend: impl FnOnce(&mut proto::InviteRecord)) -> Vec<u8> {
    let mut wire: proto::InviteRecord = decode(&inner(&posted(&record())).payload, INVITE_RECORD_MAX).unwrap();
    bend(&mut wire);
    reposted(&Signed::sign(label::INVITE_RECORD, encode(&wire), key).encode())
}

#[test]
fn r_inv_9_who_holds_the_code_reads_what_a_member_posted_and_who_did() {
    let alice = alice();
    let read = open(&posted(&record())).unwrap();
    assert_eq!(read.record, record());
    assert_eq!((read.author, &read.device), (alice.account.id(), alice.devices[0].info()));
    // Carol, a member who never saw the code, keeps it fresh while Alice sleeps.
    let carol = Person::new(3);
    let newer = InviteRecord { sequence: SEQUENCE + 1, members: 8, ..record() };
    let bytes = newer.post(&slot(1), &carol.account.id(), &carol.devices[0], &mut rng(1)).unwrap();
    let read = open(&bytes).unwrap();
    assert_eq!((read.record.members, read.author), (8, carol.account.id()));
}

#[test]
fn r_inv_9_a_removed_member_and_a_relay_cannot_read_what_is_posted() {
    let bytes = posted(&record());
    let (public, aad) = (code(1).keys().public(), slot(1).associated_data(SEQUENCE, slot(1).expires()));
    let sum: Sum = decode(&bytes, DESCRIPTOR_MAX).unwrap();
    let payload = Signed::decode(&sum.body, DESCRIPTOR_MAX).unwrap().payload;
    let sealed = decode::<proto::SlotPayload>(&payload, DESCRIPTOR_MAX).unwrap().sealed;
    assert!(context(&aad).open(&code(1).keys().open, &sealed).is_some());
    // All private keys that follow from what Dora knows: public half, channel, day, slot.
    let known = [
        public.join_key(&channel(1)),
        DhSecret::from_bytes(*public.sign.as_bytes()),
        DhSecret::from_bytes(*public.seal.as_bytes()),
        DhSecret::from_bytes(*channel(1).as_bytes()),
    ];
    for key in known {
        assert!(context(&aad).open(&key, &sealed).is_none());
    }
    assert_eq!(PostedRecord::open(&code(2), NOW.day(), 1, &bytes, NOW), Err(prekey_error()));
}

fn prekey_error() -> Error {
    Error::Slot(crate::prekey::record::Error::WrongKey)
}

#[test]
fn r_inv_9_an_edited_role_is_refused_or_signed_by_somebody_else_by_name() {
    let (alice, mallory) = (alice(), mallory());
    let raise = |r: &mut proto::InviteRecord| r.role = "owner".to_owned();
    // A fellow invitee edits, under Alice's signature, under its own with her name, and under the invite's key.
    let mut signed = inner(&posted(&record()));
    let mut wire: proto::InviteRecord = decode(&signed.payload, INVITE_RECORD_MAX).unwrap();
    raise(&mut wire);
    signed.payload = encode(&wire);
    assert_eq!(open(&reposted(&signed.encode())), Err(Error::BadSignature));
    assert_eq!(open(&forged(mallory.devices[0].sign(), raise)), Err(Error::BadSignature));
    assert_eq!(open(&forged(&code(1).keys().sign, raise)), Err(Error::BadSignature));
    // Under its own name it can say what it likes: the operations will not know the device, and nothing was granted.
    let own = forged(mallory.devices[0].sign(), |r| {
        raise(r);
        r.author_sign_pk = mallory.devices[0].info().sign_pk.as_bytes().to_vec();
        r.author_dh_pk = mallory.devices[0].info().dh_pk.as_bytes().to_vec();
    });
    let read = open(&own).unwrap();
    assert_eq!((read.record.role.as_str(), read.device.id), ("owner", mallory.devices[0].id()));
    assert_ne!(read.device.id, alice.devices[0].id());
}

#[test]
fn r_inv_9_every_field_altered_is_refused_unless_its_author_signs_again() {
    let alice = alice();
    let signed = inner(&posted(&record()));
    for altered in every_field_altered(&signed.encode()) {
        assert!(open(&reposted(&altered.bytes)).is_err(), "{}", altered.what);
    }
    let (mut tried, mut accepted) = (0, 0);
    for altered in every_field_altered(&signed.payload) {
        tried += 1;
        let kept = Signed { payload: altered.bytes.clone(), signature: signed.signature };
        assert!(open(&reposted(&kept.encode())).is_err(), "{}", altered.what);
        let again = Signed::sign(label::INVITE_RECORD, altered.bytes, alice.devices[0].sign());
        if let Ok(read) = open(&reposted(&again.encode())) {
            accepted += 1;
            // What a member says of channel, invite and moment is not theirs to choose.
            assert_eq!((read.record.channel, read.record.sequence), (channel(1), SEQUENCE), "{}", altered.what);
            assert_eq!(read.device.sign_pk, alice.devices[0].info().sign_pk, "{}", altered.what);
            assert!(
                read.record != record() || read.author != alice.account.id() || read.device != *alice.devices[0].info()
            );
        }
    }
    assert!(tried > 70 && accepted > 10 && accepted < tried / 2, "{accepted} of {tried}");
}

#[test]
fn r_inv_9_what_is_out_of_bounds_is_refused_though_its_author_signs_it() {
    type Bend = fn(&mut proto::InviteRecord);
    let alice = alice();
    let weak = || [&[1][..], &[0; 31]].concat();
    let bends: &[(&str, Bend)] = &[
        ("version 0", |r| r.version = 0),
        ("version 2", |r| r.version = 2),
        ("another invite", |r| r.invite = code(2).keys().public().sign.as_bytes().to_vec()),
        ("a long channel name", |r| r.name = "x".repeat(65)),
        ("a long inviter name", |r| r.inviter_name = "x".repeat(65)),
        ("a long role", |r| r.role = "x".repeat(65)),
        ("no history kind", |r| r.history = 0),
        ("an unknown history kind", |r| r.history = 4),
        ("days without a number", |r| r.history_days = 0),
        ("all, and a number", |r| r.history = 3),
        ("five relays", |r| r.relays = vec![vec![1]; 5]),
        ("an empty relay", |r| r.relays = vec![vec![]]),
        ("a fat relay", |r| r.relays = vec![vec![1; 513]]),
        ("nine peers", |r| r.peers = vec![r.peers[0].clone(); 9]),
        ("a peer without a name", |r| r.peers[0].peer_id.clear()),
        ("a peer with a long name", |r| r.peers[0].peer_id = vec![1; 65]),
        ("four addresses", |r| r.peers[0].addresses = vec![ADDRESS.to_owned(); 4]),
        ("an address that is none", |r| r.peers[0].addresses = vec!["http://192.0.2.7".to_owned()]),
        ("an address that would break a line", |r| r.peers[0].addresses[0].push('\n')),
        ("another sequence inside", |r| r.sequence += 1),
        ("a short channel", |r| r.channel.truncate(31)),
    ];
    for (what, bend) in bends {
        let result = open(&forged(alice.devices[0].sign(), bend));
        assert!(result.is_err(), "{what} was accepted: {result:?}");
    }
    assert_eq!(open(&forged(alice.devices[0].sign(), |r| r.inviter = weak())), Err(Error::BadKey));
    assert_eq!(open(&forged(alice.devices[0].sign(), |r| r.author = weak())), Err(Error::BadKey));
    assert_eq!(open(&forged(alice.devices[0].sign(), |r| r.author_sign_pk = weak())), Err(Error::BadKey));
    assert_eq!(open(&forged(alice.devices[0].sign(), |r| r.author_dh_pk = vec![0; 32])), Err(Error::BadKey));
}

#[test]
fn r_inv_2_a_code_for_one_channel_leads_to_no_other() {
    let alice = alice();
    let elsewhere = InviteRecord { channel: channel(2), ..record() };
    assert_eq!(open(&posted(&elsewhere)), Err(Error::WrongChannel));
    // The same secret bound to the other channel is another invite altogether.
    let other = InviteCode::new(InviteSecret::from_bytes([1; 16]), &channel(2));
    let place = other.keys().public().slot(NOW.day(), 1).unwrap();
    let bytes = elsewhere.post(&place, &alice.account.id(), &alice.devices[0], &mut rng(1)).unwrap();
    assert_eq!(open(&bytes), Err(prekey_error()));
    assert!(PostedRecord::open(&other, NOW.day(), 1, &bytes, NOW).is_ok());
}

#[test]
fn r_inv_9_what_was_sealed_for_another_slot_day_or_sequence_does_not_open_here() {
    let alice = alice();
    let ciphertext = |bytes: &[u8]| {
        let sum: Sum = decode(bytes, DESCRIPTOR_MAX).unwrap();
        let payload = Signed::decode(&sum.body, DESCRIPTOR_MAX).unwrap().payload;
        decode::<proto::SlotPayload>(&payload, DESCRIPTOR_MAX).unwrap().sealed
    };
    let public = code(1).keys().public();
    for place in [public.slot(NOW.day(), 2), public.slot(NOW.day().plus(1), 1)] {
        let bytes = record().post(&place.unwrap(), &alice.account.id(), &alice.devices[0], &mut rng(1)).unwrap();
        assert_eq!(open(&slot(1).sign(SEQUENCE, ciphertext(&bytes))), Err(Error::NotAuthentic));
    }
    // A removed member gives an old record a new sequence.
    let old = ciphertext(&posted(&record()));
    assert_eq!(open(&slot(1).sign(SEQUENCE + 1, old.clone())), Err(Error::NotAuthentic));
    // A fellow invitee can open and seal again; the author's own count gives it away.
    let aad = slot(1).associated_data(SEQUENCE + 1, slot(1).expires());
    let inner = inner(&posted(&record())).encode();
    let sealed = context(&aad).seal(&slot(1).invite.seal, &inner, &mut rng(7)).unwrap();
    assert_eq!(open(&slot(1).sign(SEQUENCE + 1, sealed)), Err(Error::Wire(wire::Error::OutOfBounds)));
    for short in [vec![7], vec![7; 32], vec![7; 48]] {
        assert_eq!(open(&slot(1).sign(SEQUENCE, short)), Err(Error::NotAuthentic));
    }
}

#[test]
fn r_inv_10_lengths_show_no_name_member_or_address() {
    let lengths = |records: Vec<InviteRecord>| -> std::collections::BTreeSet<usize> {
        records.iter().map(|r| posted(r).len()).collect()
    };
    let named = (0..=64).map(|n| InviteRecord { name: "x".repeat(n), relays: vec![], ..record() }).collect();
    assert_eq!(lengths(named).len(), 1);
    let peer = record().peers[0].clone();
    let crowded = (0..=8).map(|n| InviteRecord { peers: vec![peer.clone(); n], ..record() }).collect();
    assert!(lengths(crowded).len() <= 2);
    let bytes = posted(&record());
    let payload = Signed::decode(&decode::<Sum>(&bytes, DESCRIPTOR_MAX).unwrap().body, DESCRIPTOR_MAX).unwrap().payload;
    let sealed = decode::<proto::SlotPayload>(&payload, DESCRIPTOR_MAX).unwrap().sealed;
    assert_eq!((sealed.len() - seal::OVERHEAD) % INVITE_PAD, 0);
}

#[test]
fn r_inv_9_the_fullest_record_fits_a_record_of_the_dht_without_its_last_peers() {
    let long = |n: usize| format!("/dns4/{}/tcp/{n}", "x".repeat(240));
    let peer = |n: u8| Peer { peer_id: vec![n; 64], addresses: (0..3).map(long).collect() };
    let full = InviteRecord {
        name: "n".repeat(64),
        inviter_name: "i".repeat(64),
        role: "r".repeat(64),
        members: u32::MAX,
        expires: Timestamp::from_millis(u64::MAX),
        history: History::Days(u32::MAX),
        relays: vec![vec![9; 512]; 4],
        peers: (1..=8).map(peer).collect(),
        ..record()
    };
    let bytes = posted(&full);
    assert!(bytes.len() <= DESCRIPTOR_MAX);
    let read = open(&bytes).unwrap().record;
    assert!((4..8).contains(&read.peers.len()), "{} peers", read.peers.len());
    assert_eq!(read.peers, full.peers[..read.peers.len()]);
    assert_eq!(InviteRecord { peers: full.peers.clone(), ..read }, full);
    let (alice, place) = (alice(), slot(1));
    let post = |record: InviteRecord| record.post(&place, &alice.account.id(), &alice.devices[0], &mut rng(1));
    let nine = InviteRecord { peers: vec![peer(1); 9], ..record() };
    assert_eq!(post(nine), Err(Error::Wire(wire::Error::TooMany { max: 8 })));
    let named = InviteRecord { name: "x".repeat(65), ..record() };
    assert_eq!(post(named), Err(Error::Wire(wire::Error::OutOfBounds)));
}

#[test]
fn debug_of_a_record_shows_no_name_pass_or_address() {
    let shown = format!("{:?}", open(&posted(&record())).unwrap());
    for hidden in ["book club", "alice", "member\"", "192.0.2.7", "4, 4"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    assert!(VerifyingKey::parse(record().inviter.as_bytes()).is_ok());
}
