//! What every decoder must refuse, tried on a sample of every message type. A new type is one line in `every_type!`.

use super::*;
use crate::proto;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

/// Tries everything on one valid encoding: `accept` says whether bytes decode, and to what they encode back.
pub(crate) fn refuses_every_second_spelling(name: &str, valid: &[u8], accept: &dyn Fn(&[u8]) -> Option<Vec<u8>>) {
    let check = |what: &str, bytes: &[u8]| {
        if let Some(again) = accept(bytes) {
            assert_eq!(again, bytes, "{name}: {what} was accepted as something else");
        }
    };
    let refused = |what: &str, bytes: &[u8]| assert_eq!(accept(bytes), None, "{name}: {what} was accepted");
    assert_eq!(accept(valid).as_deref(), Some(valid), "{name}: the sample itself");
    assert!(!valid.is_empty(), "{name}: an empty sample shows nothing");

    for cut in 0..valid.len() {
        check("a truncation", &valid[..cut]);
    }
    for bit in 0..valid.len() * 8 {
        let mut bent = valid.to_vec();
        bent[bit / 8] ^= 1 << (bit % 8);
        check("a flipped bit", &bent);
    }
    let with = |tail: &[u8]| [valid, tail].concat();
    refused("a trailing zero", &with(&[0]));
    refused("a trailing byte", &with(&[0xff]));
    check("the message twice", &with(valid)); // a list may be longer; anything else changes in decoding
    refused("an unknown number field", &with(&[0xf8, 0x3f, 1])); // field 1023, varint
    refused("an unknown bytes field", &with(&[0xfa, 0x3f, 1, 0])); // field 1023, length-delimited
    refused("a group", &with(&[0xfb, 0x3f, 0xfc, 0x3f]));
    refused("a length of 4 GiB", &with(&[0xfa, 0x3f, 0xff, 0xff, 0xff, 0xff, 0x0f]));
    refused("a length of 2^64 - 1", &with(&[&[0xfa, 0x3f][..], &[0xff; 9], &[1]].concat()));
    if valid[0] & 7 == 2 {
        refused("a first field of 4 GiB", &[&valid[..1], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat());
    }

    // The same fields in another spelling: a tag with a needless continuation byte, the first field written twice.
    let (tag, rest) = valid.split_first().unwrap();
    assert!(*tag < 0x80, "{name}: field numbers above 15 need another sample here");
    refused("a non-minimal tag", &[&[*tag | 0x80, 0], rest].concat());
    let first = first_field(valid);
    check("a field given twice", &[first, valid].concat());
    if let Some(longer) = lengthened_number(valid, first) {
        refused("a non-minimal number", &longer);
    }
    check("the first field last", &[&valid[first.len()..], first].concat());
}

/// Cuts, doubles, moves and overwrites pieces of a valid message at random.
fn damage(name: &str, valid: &[u8], accept: &dyn Fn(&[u8]) -> Option<Vec<u8>>, rng: &mut ChaCha20Rng) {
    let below = |rng: &mut ChaCha20Rng, n: usize| (rng.next_u64() % n.max(1) as u64) as usize;
    for _ in 0..10_000 {
        let mut bytes = valid.to_vec();
        for _ in 0..=below(rng, 4) {
            let from = below(rng, bytes.len());
            let to = from + below(rng, (bytes.len() - from).min(16) + 1);
            match below(rng, 4) {
                0 => drop(bytes.drain(from..to)),
                1 => {
                    let piece = bytes[from..to].to_vec();
                    let at = below(rng, bytes.len() + 1);
                    bytes.splice(at..at, piece);
                }
                2 => bytes[from..to].iter_mut().for_each(|b| *b = rng.next_u32() as u8),
                _ => bytes.insert(from, rng.next_u32() as u8),
            }
        }
        if let Some(again) = accept(&bytes) {
            assert_eq!(again, bytes, "{name}: accepted as something else");
        }
    }
}

/// Finds the bytes of the first field (a number or length-delimited).
fn first_field(valid: &[u8]) -> &[u8] {
    let number_end = 1 + valid[1..].iter().position(|b| *b < 0x80).unwrap() + 1;
    match valid[0] & 7 {
        0 => &valid[..number_end],
        2 => {
            let len = valid[1..number_end].iter().rev().fold(0usize, |n, b| n << 7 | usize::from(b & 0x7f));
            &valid[..number_end + len]
        }
        other => panic!("wire type {other} is not used"),
    }
}

/// Writes the first field's number or length with one more byte than needed.
fn lengthened_number(valid: &[u8], first: &[u8]) -> Option<Vec<u8>> {
    let end = 1 + first[1..].iter().position(|b| *b < 0x80)?;
    let mut bytes = valid.to_vec();
    bytes[end] |= 0x80;
    bytes.insert(end + 1, 0);
    Some(bytes)
}

fn generated<M: Message + Default>(sample: M) -> (Vec<u8>, impl Fn(&[u8]) -> Option<Vec<u8>>) {
    (encode(&sample), |bytes: &[u8]| decode::<M>(bytes, 1 << 20).ok().map(|m| encode(&m)))
}

/// Runs the checks over a sample of each generated message type, and fails if a `.proto` file defines one that is missing.
macro_rules! every_type {
    ($($file:ident :: $name:ident $sample:tt)*) => {
        #[test]
        fn c05_57_every_truncation_bit_flip_and_second_spelling_is_refused_or_is_another_message() {
            $({
                let (valid, accept) = generated(proto::$file::$name $sample);
                refuses_every_second_spelling(stringify!($name), &valid, &accept);
            })*
        }

        #[test]
        fn c05_57_ten_thousand_damaged_messages_decode_to_themselves_or_not_at_all() {
            let mut rng = ChaCha20Rng::seed_from_u64(57);
            $({
                let (valid, accept) = generated(proto::$file::$name $sample);
                damage(stringify!($name), &valid, &accept, &mut rng);
            })*
        }

        #[test]
        fn r_crypto_8_debug_of_a_wire_message_prints_its_name_alone() {
            $({
                let sample = proto::$file::$name $sample;
                assert_eq!(format!("{sample:?}"), concat!(stringify!($name), "(..)"));
            })*
        }

        #[test]
        fn c05_57_no_message_type_is_left_out() {
            let mut sampled: Vec<_> = vec![$((stringify!($file).to_owned(), stringify!($name).to_owned())),*];
            sampled.sort();
            sampled.dedup();
            assert_eq!(sampled, defined_types());
        }
    };
}

/// Lists (file, message) of everything under `proto/`.
fn defined_types() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("proto").unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if let Some(rest) = line.trim_start().strip_prefix("message ") {
                found.push((file.clone(), rest.split([' ', '{']).next().unwrap().to_owned()));
            }
        }
    }
    found.sort();
    found
}

every_type! {
    // wire
    wire::Signed { payload: vec![1, 2, 3], signature: vec![7; 64] }
    wire::Sum { kind: 2, body: vec![1, 2, 3] }
    wire::Extension { r#type: 300, critical: true, bytes: vec![1, 2, 3] }

    // identity, prekeys, descriptor
    identity::DeviceOp { version: 1, number: 3, previous: vec![1; 32], issuer: vec![2; 32], at_ms: 5, kind: 2, body: vec![1] }
    identity::AddDevice { sign_pk: vec![1; 32], dh_pk: vec![2; 32], can_manage: true, proof: vec![3; 64] }
    identity::RevokeDevice { device: vec![1; 32] }
    identity::SetDeviceLimit { devices: 3 }
    identity::SetDeviceTrust { device: vec![1; 32], can_manage: true }
    identity::RotateRoot { root_pk: vec![1; 32], proof: vec![2; 64] }
    identity::LiftFreeze { ops: vec![vec![1; 32], vec![2; 32]] }
    identity::DeviceLog { ops: vec![vec![1; 8], vec![2; 8]] }
    prekey::Bundle {
        version: 1, suite: 1, min_suite: 1, account: vec![1; 32], device: vec![2; 32], sequence: 300, not_before_ms: 300,
        not_after_ms: 400, signed_prekey_id: 7, signed_prekey: vec![3; 32], kem_prekey: vec![4; 64], mailbox_day: 9,
        mailbox_key: vec![5; 32], extensions: vec![proto::wire::Extension { r#type: 300, critical: true, bytes: vec![1] }],
    }
    prekey::OneTimeKey { id: 300, key: vec![1; 32], expires_ms: 300 }
    prekey::DescriptorValue {
        version: 1, bundle: vec![1; 8], log: vec![vec![2; 8]], peer_id: vec![3; 8], addresses: vec!["/a/b".to_owned()],
        mailboxes: vec![vec![4; 8]], sequence: 300, padding: vec![0; 8],
        extensions: vec![proto::wire::Extension { r#type: 300, critical: true, bytes: vec![1] }],
    }
    prekey::RecordPayload {
        version: 1, day: 300, slot: 1, blinded_key: vec![1; 32], record_key: vec![2; 32], certificate: vec![3; 64],
        sequence: 300, expires_ms: 300, ciphertext: vec![4; 8],
    }

    // invites
    invite::Peer { peer_id: vec![1; 8], addresses: vec!["/a/b".to_owned(), "/a/c".to_owned()] }
    invite::InviteRecord {
        version: 1, invite: vec![1; 32], channel: vec![2; 32], name: "c".into(), inviter: vec![3; 32],
        inviter_name: "i".into(), members: 300, role: "member".into(), expires_ms: 300, approval: true, history: 2,
        history_days: 300, relays: vec![vec![4; 8]], peers: vec![proto::invite::Peer { peer_id: vec![5; 8], ..Default::default() }],
        sequence: 300, author: vec![6; 32], author_sign_pk: vec![7; 32], author_dh_pk: vec![8; 32],
    }
    invite::SlotPayload {
        version: 1, day: 300, slot: 1, slot_key: vec![1; 32], sequence: 300, expires_ms: 300, sealed: vec![2; 8],
    }
    invite::JoinRequest {
        version: 1, invite: vec![1; 32], channel: vec![2; 32], account: vec![3; 32], log: vec![vec![4; 8]],
        device: vec![5; 32], leaf_key: vec![6; 8], peer_id: vec![7; 8], addresses: vec!["/a/b".to_owned()],
        mailboxes: vec![vec![8; 8]], name: "c".into(), at_ms: 300, nonce: vec![9; 16], proof: vec![10; 64],
    }
    invite::SealedJoin { version: 1, mark: vec![1; 16], sealed: vec![2; 40] }
    invite::JoinAnswer {
        version: 1, channel: vec![1; 32], device: vec![2; 32], nonce: vec![3; 16], author: vec![4; 32],
        author_sign_pk: vec![5; 32], author_dh_pk: vec![6; 32], at_ms: 300, kind: 3, welcome: vec![7; 8], reason: 2,
    }
    invite::SealedAnswer { version: 1, sealed: vec![1; 40] }

    // operations of channels
    channel::Op {
        version: 1, channel: vec![1; 32], parents: vec![vec![2; 32], vec![3; 32]], account: vec![4; 32], device: vec![5; 32],
        at_ms: 300, kind: 3, body: vec![6; 8],
    }
    channel::Fresh { nonce: vec![1; 16], commit: vec![2; 32], recipients: vec![3; 32], items: 300, root: vec![4; 32] }
    channel::Create {
        nonce: vec![1; 32], device_log: vec![2; 8], name: "c".into(),
        fresh: Some(proto::channel::Fresh { items: 300, ..Default::default() }),
    }
    channel::Admit {
        account: vec![1; 32], device_log: vec![2; 8], role: "member".into(),
        r#use: Some(proto::channel::Use { invite: vec![3; 32], ..Default::default() }),
    }
    channel::Use { invite: vec![1; 32], device: vec![2; 32], leaf: vec![3; 32], nonce: vec![4; 16], proof: vec![5; 64] }
    channel::Remove {
        account: vec![1; 32], ban: true, reason: "r".into(),
        cutoffs: vec![proto::channel::Cutoff { generation: 300, ..Default::default() }],
        fresh: Some(proto::channel::Fresh { items: 300, ..Default::default() }),
    }
    channel::Cutoff { device: vec![1; 32], epoch: vec![2; 32], generation: 300 }
    channel::Unban { account: vec![1; 32] }
    channel::Devices {
        account: vec![1; 32], device_log: vec![2; 8],
        cutoffs: vec![proto::channel::Cutoff { generation: 300, ..Default::default() }],
        fresh: Some(proto::channel::Fresh { items: 300, ..Default::default() }),
    }
    channel::DefineRole {
        name: "a".into(), inherits: vec!["b".into(), "c".into()], allow: 300, deny: 2,
        conditions: Some(proto::channel::Conditions { per_minute: 300, ..Default::default() }),
    }
    channel::Conditions { from_minute: 300, to_minute: 600, managing_device: true, per_minute: 300 }
    channel::DropRole { name: "a".into() }
    channel::GrantRole { account: vec![1; 32], role: "a".into(), until_ms: 300 }
    channel::RevokeRole { account: vec![1; 32], role: "a".into() }
    channel::PostInvite {
        sign: vec![1; 32], seal: vec![2; 32], role: "member".into(), uses: 300, expires_ms: 300, approval: true, history: 2,
        history_days: 300,
    }
    channel::RevokeInvite { invite: vec![1; 32] }
    channel::Rekey { emergency: true, fresh: Some(proto::channel::Fresh { items: 300, ..Default::default() }) }
    channel::EpochGrant { device: vec![1; 32], epochs: vec![vec![2; 32], vec![3; 32]] }
    channel::Setting { key: 2, value: vec![1; 8] }
    channel::Mute { account: vec![1; 32], on: true, until_ms: 300 }
    channel::Suspend { devices: vec![vec![1; 32], vec![2; 32]], on: true }

    // session, mailbox, content
    envelope::Envelope { version: 1, suite: 1, key_day: 20_000, enc: vec![9; 32], ciphertext: vec![8; 40] }
    envelope::RoutingHeader { tag: vec![4; 16], expires_ms: 1_800_000_000_000 }
    session::InitialMessage {
        version: 1,
        suite: 1,
        sender_account: vec![1; 32],
        sender_device: vec![2; 32],
        sender_dh: vec![3; 32],
        recipient_account: vec![4; 32],
        recipient_device: vec![5; 32],
        bundle_id: vec![6; 32],
        signed_prekey_id: 300,
        one_time_id: Some(0),
        rank: 1_800_000_000_000,
        ephemeral: vec![7; 32],
        kem_ciphertext: vec![8; 64],
        message: vec![9; 20],
    }
    session::RatchetMessage {
        session_id: vec![1; 16],
        sender_device: vec![2; 32],
        header: vec![3; 20],
        ciphertext: vec![4; 20],
    }
    session::Header {
        ratchet_key: vec![1; 32],
        previous: 300,
        number: 2,
        salt: vec![2; 16],
        pq_step: 1,
        pq_offer: vec![3; 64],
        pq_answer: vec![4; 64],
    }
    session::Payload {
        content: vec![1, 2],
        sender_log: Some(proto::session::LogHead { length: 1, hash: vec![1; 32] }),
        recipient_log: Some(proto::session::LogHead { length: 2, hash: vec![2; 32] }),
        introduction: Some(proto::session::Introduction { name: "a".into(), ..Default::default() }),
        extensions: vec![proto::wire::Extension { r#type: 1, critical: false, bytes: vec![1] }],
    }
    session::LogHead { length: 300, hash: vec![1; 32] }
    session::Introduction {
        device_log: vec![vec![1; 8], vec![2; 8]],
        reach_secret: vec![3; 16],
        hints: vec!["/ip4/192.0.2.1/tcp/1".into()],
        mailboxes: vec![vec![4; 8]],
        name: "alice".into(),
    }
    content::Content {
        version: 1,
        id: vec![1; 16],
        conversation: Some(proto::content::Conversation { kind: 1, id: vec![2; 32] }),
        sender_account: vec![3; 32],
        sender_device: vec![4; 32],
        sequence: 300,
        previous: vec![5; 16],
        sent_at_ms: 1_800_000_000_000,
        expires_after_ms: 1,
        kind: 1,
        body: vec![6; 8],
        extensions: vec![proto::wire::Extension { r#type: 1, critical: false, bytes: vec![1] }],
    }
    content::Conversation { kind: 2, id: vec![1; 32] }
    content::Text { text: "hi".into() }
    content::Receipt {
        delivered: vec![vec![1; 16]],
        delivered_ranges: vec![proto::content::Range { device: vec![2; 32], from: 1, to: 300 }],
        read: vec![vec![3; 16]],
        read_ranges: vec![],
    }
    content::Range { device: vec![1; 32], from: 1, to: 300 }
    content::SessionControl {
        one_time_keys: vec![vec![1; 40]],
        reach_secret: vec![2; 16],
        name: Some(String::new()),
        descriptor: vec![3; 8],
        mailboxes: Some(proto::content::Mailboxes { passes: vec![vec![4; 9]] }),
    }
    content::Mailboxes { passes: vec![vec![1; 8], vec![2; 8]] }
    mailbox::Grant {
        version: 1, mailbox: vec![1; 32], class: 1, serial: 300, until_ms: 300, envelopes: 300, bytes: 300,
        depositor: vec![2; 32],
    }
    mailbox::Pass {
        version: 1, relay: vec![1; 32], peer: vec![2; 8], addresses: vec!["/a/b".to_owned()], grant: vec![3; 9],
        tag_secret: vec![4; 16], depositor_secret: vec![5; 32],
    }
    mailbox::Request { version: 1, kind: 3, nonce: vec![1; 16], body: vec![2; 9], proof: vec![3; 64] }
    mailbox::Hello { challenge: vec![1; 16] }
    mailbox::Register { mailbox: vec![1; 32], token: vec![2; 16], first_day: 300, tags: vec![3; 48] }
    mailbox::Deposit { tag: vec![1; 16], until_ms: 300, control: true, grant: vec![2; 9], envelope: vec![3; 9] }
    mailbox::Fetch { mailbox: vec![1; 32], after: 300 }
    mailbox::Acknowledge { mailbox: vec![1; 32], ids: vec![vec![2; 32], vec![3; 32]] }
    mailbox::PutPrekeys { mailbox: vec![1; 32], keys: vec![vec![2; 9]] }
    mailbox::TakePrekey { tag: vec![1; 16], grant: vec![2; 9] }
    mailbox::Keep { mailbox: vec![1; 32], id: vec![2; 32], sealed: vec![3; 9], until_ms: 300 }
    mailbox::Kept { ids: vec![vec![1; 32]] }
    mailbox::Revoke { mailbox: vec![1; 32], grants: vec![proto::mailbox::Revoked { serial: 300, until_ms: 300 }] }
    mailbox::Revoked { serial: 300, until_ms: 300 }
    mailbox::Leave { mailbox: vec![1; 32] }
    mailbox::Audit { custody: vec![1; 9] }
    mailbox::Answer { version: 1, kind: 4, body: vec![1; 9] }
    mailbox::Refused { reason: 1, retry_after_ms: 300, nonce: vec![1; 16] }
    mailbox::Welcome {
        version: 1, relay: vec![1; 32], challenge: vec![2; 16], nonce: vec![3; 16], peer: vec![4; 8], now_ms: 300,
        open: true, name: "r".to_owned(), ttl_ms: 300, envelopes: 300, bytes: 300,
    }
    mailbox::Registered {
        new: true, envelopes: 300, bytes: 300, used_envelopes: 300, used_bytes: 300, prekeys: 300,
    }
    mailbox::Custody {
        version: 1, relay: vec![1; 32], tag: vec![2; 16], envelope: vec![3; 32], until_ms: 300, at_ms: 300,
    }
    mailbox::Page {
        items: vec![proto::mailbox::Item { cursor: 1, until_ms: 300, envelope: vec![1; 9] }], more: true, prekeys: 300,
    }
    mailbox::Item { cursor: 1, until_ms: 300, envelope: vec![1; 9] }
    mailbox::Deleted { deleted: 300, absent: 300 }
    mailbox::Prekeys { count: 300 }
    mailbox::Prekey { key: vec![1; 9] }
    mailbox::KeptAnswer { sealed: vec![vec![1; 9], Vec::new()] }
    mailbox::Audited { state: 1, envelope: vec![1; 9] }
    content::CannotOpen { session_id: vec![1; 16] }

    // channels
    channel_blob::Item {
        version: 1, leaf_key: vec![1; 16], enc: vec![2; 64], ciphertext: vec![3; 80], proof: vec![vec![4; 32], vec![5; 32]],
    }
    // channel operations
    channel::Op {
        version: 1, channel: vec![1; 32], parents: vec![vec![2; 32], vec![3; 32]], account: vec![4; 32],
        device: vec![5; 32], at_ms: 300, kind: 2, body: vec![6; 9],
    }
    channel::Fresh { nonce: vec![1; 16], commit: vec![2; 32], recipients: vec![3; 32], items: 300, root: vec![4; 32] }
    channel::Create {
        nonce: vec![1; 32], device_log: vec![2; 9], name: "c".into(),
        fresh: Some(proto::channel::Fresh { nonce: vec![1; 16], ..Default::default() }),
    }
    channel::Admit {
        account: vec![1; 32], device_log: vec![2; 9], role: "member".into(),
        r#use: Some(proto::channel::Use { invite: vec![1; 32], ..Default::default() }),
    }
    channel::Use { invite: vec![1; 32], device: vec![2; 32], leaf: vec![3; 32], nonce: vec![4; 16], proof: vec![5; 64] }
    channel::Remove {
        account: vec![1; 32], ban: true, reason: "r".into(),
        cutoffs: vec![proto::channel::Cutoff { device: vec![1; 32], epoch: vec![2; 32], generation: 300 }],
        fresh: Some(proto::channel::Fresh { nonce: vec![1; 16], ..Default::default() }),
    }
    channel::Cutoff { device: vec![1; 32], epoch: vec![2; 32], generation: 300 }
    channel::Unban { account: vec![1; 32] }
    channel::Devices {
        account: vec![1; 32], device_log: vec![2; 9],
        cutoffs: vec![proto::channel::Cutoff { device: vec![1; 32], epoch: vec![2; 32], generation: 300 }],
        fresh: Some(proto::channel::Fresh { nonce: vec![1; 16], ..Default::default() }),
    }
    channel::DefineRole {
        name: "helper".into(), inherits: vec!["member".into()], allow: 300, deny: 1,
        conditions: Some(proto::channel::Conditions { from_minute: 1, ..Default::default() }),
    }
    channel::Conditions { from_minute: 300, to_minute: 600, managing_device: true, per_minute: 3 }
    channel::DropRole { name: "helper".into() }
    channel::GrantRole { account: vec![1; 32], role: "helper".into(), until_ms: 300 }
    channel::RevokeRole { account: vec![1; 32], role: "helper".into() }
    channel::PostInvite {
        sign: vec![1; 32], seal: vec![2; 32], role: "member".into(), uses: 25, expires_ms: 300, approval: true,
        history: 2, history_days: 30,
    }
    channel::RevokeInvite { invite: vec![1; 32] }
    channel::Rekey {
        emergency: true, fresh: Some(proto::channel::Fresh { nonce: vec![1; 16], ..Default::default() }),
    }
    channel::EpochGrant { device: vec![1; 32], epochs: vec![vec![2; 32], vec![3; 32]] }
    channel::Setting { key: 1, value: vec![1; 9] }
    channel::Mute { account: vec![1; 32], on: true, until_ms: 300 }
    channel::Suspend { devices: vec![vec![1; 32], vec![2; 32]], on: true }

    // between members
    channel_sync::Parcel {
        ops: vec![vec![1; 9], vec![2; 9]],
        cards: vec![vec![3; 9]],
        blob: vec![proto::channel_sync::BlobItem { op: vec![4; 32], place: 5, item: vec![6; 9] }],
        said: vec![vec![7; 9]],
    }
    channel_sync::BlobItem { op: vec![1; 32], place: 300, item: vec![2; 9] }
    channel_sync::Card {
        version: 1, channel: vec![1; 32], account: vec![2; 32], device: vec![3; 32], sequence: 300, leaf_key: vec![4; 64],
        peer_id: vec![5; 8], addresses: vec!["/a/b".to_owned()], name: "a".into(),
    }
    channel_sync::Welcome {
        version: 1, op: vec![1; 32], epoch: vec![2; 32], lineage: vec![3; 32], enc: vec![4; 64], ciphertext: vec![5; 9],
        cards: vec![vec![6; 9]],
    }
    channel_sync::AskPush { topic: vec![1; 32], items: vec![vec![2; 9]] }
    channel_sync::AskReconcile { topic: vec![1; 32], message: vec![2; 9] }
    channel_sync::AskItems { topic: vec![1; 32], ids: vec![vec![2; 32]] }
    channel_sync::AskOps {
        topics: vec![vec![1; 32]],
        heads: vec![vec![2; 32]],
        admission: vec![3; 32],
        epochs: vec![vec![4; 32]],
        card: vec![5; 9]
    }
    channel_sync::AskBlob { topics: vec![vec![1; 32]], op: vec![2; 32], places: vec![1, 300] }
    channel_sync::AskKeys { topics: vec![vec![1; 32]], epoch: vec![2; 32], card: vec![3; 9] }
    channel_sync::AskHistory { topic: vec![1; 32], before: 300 }
    channel_sync::AskJoin { request: vec![1; 9] }
    channel_sync::Answer { message: vec![1; 9], items: vec![vec![2; 9]], more: true, unknown: true }

    // channel messages
    channel::Frame { version: 1, slot: 300, salt: vec![1; 16], header: vec![2; 56], body: vec![3; 9] }
    channel::Event {
        version: 1, sequence: 300, previous: vec![1; 32], heads: vec![vec![2; 32], vec![3; 32]], sent_at_ms: 300,
        expires_after_ms: 300, kind: 1, body: vec![4; 8],
        extensions: vec![proto::wire::Extension { r#type: 1, critical: false, bytes: vec![1] }],
    }
    channel::Said { text: "hi".into(), reply_to: vec![1; 16], mentions: vec![vec![2; 32], vec![3; 32]] }
    channel::Edited { target: vec![1; 16], text: "hi".into() }
    channel::Deleted { target: vec![1; 16] }
    channel::Reacted { target: vec![1; 16], emoji: "x".into(), on: true }
    channel::Pinned { target: vec![1; 16], on: true }
    channel::Seen { reached: vec![proto::channel::Reached { device: vec![1; 32], from: 1, sequence: 300, read: 299 }] }
    channel::Reached { device: vec![1; 32], from: 1, sequence: 300, read: 299 }
    channel::Attested {
        epoch: vec![1; 32], recipients: vec![2; 32], account: vec![3; 32], device: vec![4; 32], generation: 300, slot: 300,
        salt: vec![5; 16], event: vec![6; 9], com_key: vec![7; 32], signature: vec![8; 64],
    }
    channel::Equivocation { first: vec![1; 9], second: vec![2; 9] }
}

#[test]
fn r_wire_1_size_is_checked_before_parsing() {
    let bytes = encode(&proto::wire::Sum { kind: 1, body: vec![0; 100] });
    assert_eq!(decode::<proto::wire::Sum>(&bytes, bytes.len() - 1), Err(Error::TooLarge { max: bytes.len() - 1 }));
    assert!(decode::<proto::wire::Sum>(&bytes, bytes.len()).is_ok());
}

#[test]
fn r_wire_2_explicit_default_and_other_field_order_are_refused() {
    let refused =
        |bytes: &[u8]| assert_eq!(decode::<proto::wire::Sum>(bytes, 100), Err(Error::NotCanonical), "{bytes:?}");
    assert_eq!(decode(&[0x08, 1, 0x12, 1, 9], 100), Ok(proto::wire::Sum { kind: 1, body: vec![9] }));
    refused(&[0x12, 1, 9, 0x08, 1]); // the other order
    refused(&[0x08, 0, 0x12, 1, 9]); // kind 0, written out
    refused(&[0x08, 1, 0x12, 0]); // an empty body, written out
    refused(&[0x08, 0x81, 0x00, 0x12, 1, 9]); // 1 in two bytes
    refused(&[0x08, 0x81, 0x80, 0x80, 0x80, 0x10, 0x12, 1, 9]); // 2^32 + 1, cut to 1
    refused(&[0x08, 1, 0x12, 1, 9, 0x18, 1]); // an unknown field
}
