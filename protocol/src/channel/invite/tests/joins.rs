//! Requests to join: what a member is shown, and what those who steal, bend or replay one get.

use super::*;
use crate::{
    crypto::{
        dh::DhSecret,
        label,
        sign::{BadSignature, Signature, SigningKey},
    },
    identity::device_log::{self, DeviceLog, Signer},
    limits::{CLOCK_SKEW_MS, INVITE_PAD, JOIN_REQUEST_MAX, LEAF_KEY_MAX},
    proto::invite as proto,
    wire::{Transcript, decode, encode, mutate_test::every_field_altered},
};
use join::Error;

fn public() -> InvitePublic {
    code(1).keys().public()
}

fn read(bytes: &[u8]) -> Result<JoinRequest, Error> {
    JoinRequest::open(bytes, &public(), &channel(1), NOW)
}

fn aad(invite: &InvitePublic, channel: &ChannelId) -> Vec<u8> {
    let transcript = Transcript::new(label::INVITE_JOIN_SEAL).u32(1);
    transcript.field(invite.sign.as_bytes()).field(channel.as_bytes()).bytes()
}

fn context(aad: &[u8]) -> seal::Context<'_> {
    seal::Context { label: label::INVITE_JOIN_SEAL, aad, max: JOIN_REQUEST_MAX }
}

/// Opens the seal as every member can, and gives what the joiner's device signed.
fn inner(bytes: &[u8]) -> Signed {
    let sealed = decode::<proto::SealedJoin>(bytes, 1 << 16).unwrap().sealed;
    let plain = context(&aad(&public(), &channel(1))).open(&public().join_key(&channel(1)), &sealed).unwrap();
    Signed::decode(&plain, JOIN_REQUEST_MAX).unwrap()
}

fn payload() -> proto::JoinRequest {
    decode(&inner(&asked()).payload, JOIN_REQUEST_MAX).unwrap()
}

/// Seals anything to an invite's members.
fn sealed_to(invite: &InvitePublic, channel: &ChannelId, inner: &[u8]) -> Vec<u8> {
    let to = invite.join_key(channel).public();
    let sealed = context(&aad(invite, channel)).seal(&to, inner, &mut rng(4)).unwrap();
    encode(&proto::SealedJoin { version: 1, mark: invite.join_mark(&sealed).to_vec(), sealed })
}

fn sealed(inner: &[u8]) -> Vec<u8> {
    sealed_to(&public(), &channel(1), inner)
}

fn signed(wire: &proto::JoinRequest, key: &SigningKey) -> Vec<u8> {
    Signed::sign(label::INVITE_JOIN, encode(wire), key).encode()
}

/// Bends Bob's request, signed by Bob's device again.
fn bent(bend: impl FnOnce(&mut proto::JoinRequest)) -> Vec<u8> {
    let mut wire = payload();
    bend(&mut wire);
    sealed(&signed(&wire, bob().devices[0].sign()))
}

#[test]
fn r_inv_7_every_member_reads_who_asks_with_which_keys_and_how_to_answer() {
    let bob = bob();
    let request = opened();
    assert_eq!((request.account(), &request.device, &request.log), (bob.account.id(), bob.devices[0].info(), &bob.log));
    assert_eq!((request.channel, request.leaf_key.as_slice(), request.nonce), (channel(1), LEAF, NONCE));
    assert_eq!((request.name.as_str(), request.peer_id.as_slice(), request.at), ("bob", [6; 38].as_slice(), NOW));
    // The proof goes into the operation that admits, where everybody verifies it.
    assert_eq!(request.joiner(&request.account()).verify(&public().sign, &request.proof), Ok(()));
    // The same parts again are the same request, sealed anew.
    let again = parts(&bob, &channel(1)).seal(&code(1), &bob.devices[0], &mut rng(99)).unwrap();
    assert_ne!(again, asked());
    assert_eq!(read(&again), Ok(request));
}

#[test]
fn r_inv_7_relays_outsiders_and_members_of_other_channels_open_nothing() {
    let (bytes, bob) = (asked(), bob());
    let sealed = decode::<proto::SealedJoin>(&bytes, 1 << 16).unwrap().sealed;
    let aad = aad(&public(), &channel(1));
    for key in [
        code(2).keys().public().join_key(&channel(1)),
        public().join_key(&channel(2)),
        DhSecret::from_bytes(*channel(1).as_bytes()),
        DhSecret::random(&mut rng(5)),
    ] {
        assert!(context(&aad).open(&key, &sealed).is_none());
    }
    for canary in
        [bob.account.id().as_bytes(), bob.devices[0].id().as_bytes(), public().sign.as_bytes(), channel(1).as_bytes()]
    {
        assert!(!contains(&bytes, canary));
    }
    assert!(!contains(&bytes, LEAF));
    assert_eq!(JoinRequest::open(&bytes, &public(), &channel(2), NOW), Err(Error::NotAuthentic));
    assert_eq!(JoinRequest::open(&bytes, &code(2).keys().public(), &channel(1), NOW), Err(Error::WrongInvite));
}

#[test]
fn r_inv_7_a_mark_tells_members_whose_request_it_is_and_outsiders_nothing() {
    let bytes = asked();
    assert!(JoinRequest::is_for(&bytes, &public()));
    assert!(!JoinRequest::is_for(&bytes, &code(2).keys().public()));
    assert!(!JoinRequest::is_for(&[], &public()) && !JoinRequest::is_for(&[0xff; 100], &public()));
    let marks: std::collections::BTreeSet<Vec<u8>> = (0..20)
        .map(|seed| {
            let bytes = parts(&bob(), &channel(1)).seal(&code(1), &bob().devices[0], &mut rng(seed)).unwrap();
            decode::<proto::SealedJoin>(&bytes, 1 << 16).unwrap().mark
        })
        .collect();
    assert_eq!(marks.len(), 20, "two requests for one invite can be linked");
    let mut wire: proto::SealedJoin = decode(&bytes, 1 << 16).unwrap();
    wire.mark[0] ^= 1;
    assert_eq!(read(&encode(&wire)), Err(Error::WrongInvite));
}

#[test]
fn r_inv_6_a_proof_is_worth_nothing_for_another_channel_person_device_key_or_request() {
    let request = opened();
    let (account, proof) = (request.account(), request.proof);
    let honest = request.joiner(&account);
    assert_eq!(honest.verify(&public().sign, &proof), Ok(()));
    let mallory = mallory();
    let (other_channel, other_account, other_device) = (channel(2), mallory.account.id(), mallory.devices[0].id());
    let short = &LEAF[..LEAF.len() - 1];
    for (what, joiner) in [
        ("channel", Joiner { channel: &other_channel, ..honest }),
        ("account", Joiner { account: &other_account, ..honest }),
        ("device", Joiner { device: &other_device, ..honest }),
        ("Bob's other device", Joiner { device: &bob().devices[1].id(), ..honest }),
        ("leaf key", Joiner { leaf_key: &[0x2e; 1220], ..honest }),
        ("a shorter leaf key", Joiner { leaf_key: short, ..honest }),
        ("no leaf key", Joiner { leaf_key: &[], ..honest }),
        ("request", Joiner { nonce: &[0x0d; 16], ..honest }),
    ] {
        assert_eq!(joiner.verify(&public().sign, &proof), Err(BadSignature), "{what}");
    }
    assert_eq!(honest.verify(&code(2).keys().public().sign, &proof), Err(BadSignature));
    for bit in 0..512 {
        let mut bent = *proof.as_bytes();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(honest.verify(&public().sign, &Signature(bent)), Err(BadSignature), "bit {bit}");
    }
    // Neither does the invite's signature over something else stand for a proof, nor a member's over the same.
    let elsewhere = code(1).keys().sign.sign(label::INVITE_JOIN, &[]);
    assert_eq!(honest.verify(&public().sign, &elsewhere), Err(BadSignature));
}

#[test]
fn r_inv_6_an_invite_for_channel_a_is_of_no_use_in_channel_b() {
    let bob = bob();
    // An honest program does not even ask.
    let asks = parts(&bob, &channel(2)).seal(&code(1), &bob.devices[0], &mut rng(1));
    assert_eq!(asks, Err(Error::WrongChannel));
    // A hostile one takes its request for A to B's members, as it is, and rewritten to name B and B's invite.
    let b = code(2).keys().public();
    let replayed = sealed_to(&b, &channel(2), &inner(&asked()).encode());
    assert_eq!(JoinRequest::open(&replayed, &b, &channel(2), NOW), Err(Error::WrongInvite));
    let mut wire = payload();
    wire.invite = b.sign.as_bytes().to_vec();
    let renamed = sealed_to(&b, &channel(2), &signed(&wire, bob.devices[0].sign()));
    assert_eq!(JoinRequest::open(&renamed, &b, &channel(2), NOW), Err(Error::WrongChannel));
    wire.channel = channel(2).as_bytes().to_vec();
    let rewritten = sealed_to(&b, &channel(2), &signed(&wire, bob.devices[0].sign()));
    assert_eq!(JoinRequest::open(&rewritten, &b, &channel(2), NOW), Err(Error::BadProof));
    // Even where B's operations hold A's public half, by mistake or malice, A's proof is for A.
    let a_in_b = sealed_to(
        &public(),
        &channel(2),
        &signed(
            &{
                let mut wire = payload();
                wire.channel = channel(2).as_bytes().to_vec();
                wire
            },
            bob.devices[0].sign(),
        ),
    );
    assert_eq!(JoinRequest::open(&a_in_b, &public(), &channel(2), NOW), Err(Error::BadProof));
}

#[test]
fn r_inv_6_who_opens_a_request_cannot_make_it_their_own() {
    let mallory = mallory();
    let device = &mallory.devices[0];
    // Mallory was removed, still knows invite and channel, and reads Bob's request: his proof with her keys.
    let mut wire = payload();
    wire.leaf_key = vec![0x66; 1220];
    assert_eq!(read(&sealed(&signed(&wire, device.sign()))), Err(Error::BadSignature), "Bob's name, her signature");
    wire.account = mallory.account.id().as_bytes().to_vec();
    wire.log = mallory.log.signed_ops().iter().map(Signed::encode).collect();
    wire.device = device.id().as_bytes().to_vec();
    assert_eq!(read(&sealed(&signed(&wire, device.sign()))), Err(Error::BadProof), "her name, his proof");
    wire.leaf_key = LEAF.to_vec();
    assert_eq!(read(&sealed(&signed(&wire, device.sign()))), Err(Error::BadProof));
    wire.proof = vec![0; 64];
    assert_eq!(read(&sealed(&signed(&wire, device.sign()))), Err(Error::BadProof), "no proof at all");
    // Bob's other device did not ask.
    let phone = bent(|r| r.device = bob().devices[1].id().as_bytes().to_vec());
    assert_eq!(read(&phone), Err(Error::BadSignature));
}

#[test]
fn r_inv_6_every_field_altered_is_refused_unless_its_device_signs_again_and_never_changes_who_is_admitted() {
    let (bob, honest) = (bob(), opened());
    let whole = inner(&asked());
    for altered in every_field_altered(&asked()) {
        assert!(read(&altered.bytes).is_err(), "{}", altered.what);
    }
    for altered in every_field_altered(&whole.encode()) {
        assert!(read(&sealed(&altered.bytes)).is_err(), "{}", altered.what);
    }
    let (mut tried, mut accepted) = (0, 0);
    for altered in every_field_altered(&whole.payload) {
        tried += 1;
        let kept = Signed { payload: altered.bytes.clone(), signature: whole.signature };
        assert!(read(&sealed(&kept.encode())).is_err(), "{}", altered.what);
        let again = Signed::sign(label::INVITE_JOIN, altered.bytes, bob.devices[0].sign());
        if let Ok(request) = read(&sealed(&again.encode())) {
            accepted += 1;
            assert_eq!((request.account(), &request.device), (honest.account(), &honest.device), "{}", altered.what);
            assert_eq!((request.channel, request.nonce), (honest.channel, NONCE), "{}", altered.what);
            assert_eq!((&request.leaf_key, request.proof), (&honest.leaf_key, honest.proof), "{}", altered.what);
        }
    }
    assert!(tried > 50 && accepted > 3 && accepted < tried / 2, "{accepted} of {tried}");
}

#[test]
fn r_inv_6_a_revoked_device_a_frozen_account_and_anothers_log_ask_for_nobody() {
    let bob = bob();
    let revoke = bob.log.revoke(Signer::Root(&bob.account), &bob.devices[0].id(), NOW).unwrap();
    let (revoked, _) = bob.log.append(&revoke, NOW).unwrap();
    let ops = |log: &DeviceLog| log.signed_ops().iter().map(Signed::encode).collect::<Vec<_>>();
    assert_eq!(read(&bent(|r| r.log = ops(&revoked))), Err(Error::WrongDevice));
    let asks = JoinParts { log: &revoked, ..parts(&bob, &channel(1)) }.seal(&code(1), &bob.devices[0], &mut rng(1));
    assert_eq!(asks, Err(Error::WrongDevice));
    let fork = |devices: u32| bob.log.set_limit(Signer::Device(&bob.devices[0]), devices, NOW).unwrap();
    let (frozen, _) = bob.log.merge(&[fork(4), fork(5)], NOW).unwrap();
    assert!(frozen.is_frozen());
    assert_eq!(read(&bent(|r| r.log = ops(&frozen))), Err(Error::Log(device_log::Error::Frozen)));
    assert_eq!(read(&bent(|r| r.log = ops(&mallory().log))), Err(Error::Log(device_log::Error::Gap)));
    assert_eq!(read(&bent(|r| r.log = vec![])), Err(Error::Log(device_log::Error::Empty)));
    assert_eq!(
        read(&bent(|r| r.account = [&[1][..], &[0; 31]].concat())),
        Err(Error::Log(device_log::Error::NoAccount))
    );
}

#[test]
fn r_inv_6_what_is_out_of_bounds_is_refused_though_its_device_signs_it() {
    type Bend = fn(&mut proto::JoinRequest);
    let bends: &[(&str, Bend)] = &[
        ("version 2", |r| r.version = 2),
        ("no leaf key", |r| r.leaf_key.clear()),
        ("a long leaf key", |r| r.leaf_key = vec![1; LEAF_KEY_MAX + 1]),
        ("no peer id", |r| r.peer_id.clear()),
        ("a long peer id", |r| r.peer_id = vec![1; 65]),
        ("four addresses", |r| r.addresses = vec![ADDRESS.to_owned(); 4]),
        ("an address that is none", |r| r.addresses = vec!["nowhere".to_owned()]),
        ("five mailboxes", |r| r.mailboxes = vec![vec![1]; 5]),
        ("an empty mailbox", |r| r.mailboxes = vec![vec![]]),
        ("a fat mailbox", |r| r.mailboxes = vec![vec![1; 513]]),
        ("a long name", |r| r.name = "x".repeat(65)),
        ("a short nonce", |r| r.nonce.truncate(15)),
        ("a short proof", |r| r.proof.truncate(63)),
        ("too many operations", |r| r.log = vec![vec![]; 65]),
    ];
    for (what, bend) in bends {
        let result = read(&bent(bend));
        assert!(result.is_err(), "{what} was accepted: {result:?}");
    }
    let ahead = |by: u64| bent(|r| r.at_ms = NOW.plus_millis(by).as_millis());
    assert_eq!(read(&ahead(CLOCK_SKEW_MS)).map(|r| r.name), Ok("bob".to_owned()));
    assert_eq!(read(&ahead(CLOCK_SKEW_MS + 1)), Err(Error::Ahead));
    for garbage in [vec![], vec![0], vec![7; 500], vec![0xff; 20_000]] {
        assert!(matches!(read(&garbage), Err(Error::Wire(_))));
    }
    let bytes = asked();
    for at in (0..bytes.len()).step_by(7) {
        assert!(read(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn r_inv_10_the_fullest_request_fits_and_lengths_show_no_name_or_address() {
    let mut bob = bob();
    bob.fill_log();
    let addresses = vec![format!("/dns4/{}/tcp/4001", "x".repeat(238)); 3];
    let mailboxes = vec![vec![7; 512]; 4];
    let leaf = vec![3; LEAF_KEY_MAX];
    let name = "n".repeat(64);
    let to = channel(1);
    let short = parts(&bob, &to);
    let full = JoinParts {
        leaf_key: &leaf,
        addresses: &addresses,
        mailboxes: &mailboxes,
        peer_id: &[6; 64],
        name: &name,
        ..short
    };
    let bytes = full.seal(&code(1), &bob.devices[0], &mut rng(1)).unwrap();
    let request = read(&bytes).unwrap();
    assert_eq!((request.mailboxes, request.addresses), (mailboxes, addresses));
    let lengths: std::collections::BTreeSet<usize> = (0..=64)
        .map(|n| JoinParts { name: &name[..n], ..short }.seal(&code(1), &bob.devices[0], &mut rng(1)).unwrap().len())
        .collect();
    assert!(lengths.len() <= 2, "{lengths:?}");
    let sealed = decode::<proto::SealedJoin>(&bytes, 1 << 16).unwrap().sealed;
    assert_eq!((sealed.len() - seal::OVERHEAD) % INVITE_PAD, 0);
}

#[test]
fn debug_of_a_request_shows_no_name_key_or_pass() {
    let shown = format!("{:?}", read(&bent(|r| r.mailboxes = vec![vec![77; 9]])).unwrap());
    assert!(!shown.contains("bob") && !shown.contains("77, 77") && !shown.contains("30, 30"), "{shown}");
}
