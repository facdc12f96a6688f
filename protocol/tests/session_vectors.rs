//! A whole conversation, byte for byte: what this program seals must be what the file holds, and a second, plain
//! implementation must open it and be opened. `KITH_WRITE_VECTORS=1` writes the file anew after a deliberate change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "session_vectors/plain.rs"]
mod plain;
#[path = "plain/primitives.rs"]
mod primitives;

use data_encoding::HEXLOWER;
use kith_protocol::{
    AccountId, Day, DeviceId, MessageId, SessionId, Timestamp,
    content::{Body, Content, Conversation, Text},
    crypto::{Secret, dh::DhSecret, kem::KemSecret},
    identity::{ReachSecret, device_log::LogHead},
    mailbox::{EnvelopeBody, envelope},
    prekey::SUITE,
    session::{Inbound, Introduction, LocalDevice, OwnKeys, OwnPrekey, Payload, PeerDevice, PeerKeys, Sessions},
    wire::Extensions,
};
use plain::{Keys, Plain};
use primitives::Fields;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde_json::{Value, json};
use std::path::PathBuf;
use zeroize::Zeroizing;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: Day = Day(20_833);
const ALICE: ([u8; 32], [u8; 32], [u8; 32]) = ([0xa1; 32], [0xa2; 32], [0xa3; 32]);
const BOB_ACCOUNT: [u8; 32] = [0xb1; 32];
const BOB_DEVICE: [u8; 32] = [0xb2; 32];
const BOB_DH: [u8; 32] = [0xb3; 32];
const BOB_PREKEY: [u8; 32] = [0xb4; 32];
const BOB_KEM: [u8; 64] = [0xb5; 64];
const BOB_ONE_TIME: [u8; 32] = [0xb6; 32];
const BOB_MAILBOX: [u8; 32] = [0xb7; 32];
const BUNDLE_ID: [u8; 32] = [0xb8; 32];

fn alice_dh() -> DhSecret {
    DhSecret::from_bytes(ALICE.2)
}

fn alice(dh: &DhSecret) -> LocalDevice<'_> {
    LocalDevice { account: AccountId::from_bytes(ALICE.0), device: DeviceId::from_bytes(ALICE.1), dh }
}

fn bob() -> PeerDevice {
    PeerDevice {
        account: AccountId::from_bytes(BOB_ACCOUNT),
        device: DeviceId::from_bytes(BOB_DEVICE),
        dh: DhSecret::from_bytes(BOB_DH).public(),
    }
}

/// Bob's keys as this program keeps them.
struct BobKeys;

impl OwnKeys for BobKeys {
    fn signed_prekey(&self, id: u32) -> Option<OwnPrekey> {
        let kem = KemSecret::from_seed(Secret::new(BOB_KEM));
        (id == 300).then(|| OwnPrekey { dh: DhSecret::from_bytes(BOB_PREKEY), kem })
    }

    fn one_time(&self, id: u32) -> Option<DhSecret> {
        (id == 0).then(|| DhSecret::from_bytes(BOB_ONE_TIME))
    }

    fn seen(&self, _: &SessionId) -> bool {
        false
    }
}

/// Bob's keys for the plain implementation.
fn plain_keys() -> Keys {
    Keys {
        account: BOB_ACCOUNT,
        device: BOB_DEVICE,
        dh: BOB_DH,
        signed_prekey: BOB_PREKEY,
        kem_seed: BOB_KEM,
        one_time: BOB_ONE_TIME,
    }
}

/// Alice with the state of her last commit.
struct Alice {
    dh: DhSecret,
    sessions: Sessions,
    rng: ChaCha20Rng,
    now: Timestamp,
    said: u64,
}

impl Alice {
    fn new() -> Self {
        let rng = ChaCha20Rng::seed_from_u64(2026);
        Self { dh: alice_dh(), sessions: Sessions::new(bob()), rng, now: START, said: 0 }
    }

    fn payload(&mut self, text: &str) -> Zeroizing<Vec<u8>> {
        self.said += 1;
        let content = Content {
            id: MessageId::from_bytes([self.said as u8; 16]),
            conversation: Conversation::Person(bob().account),
            sender_account: AccountId::from_bytes(ALICE.0),
            sender_device: DeviceId::from_bytes(ALICE.1),
            sequence: self.said,
            previous: (self.said > 1).then(|| MessageId::from_bytes([self.said as u8 - 1; 16])),
            sent_at: self.now,
            expires_after_ms: None,
            body: Body::Text(Text::new(text.to_owned()).unwrap()),
            extensions: Extensions::default(),
        };
        let introduction = Introduction {
            device_log: vec![vec![1; 100]],
            reach_secret: ReachSecret::from_bytes([0xa4; 16]),
            hints: vec!["/ip4/192.0.2.1/tcp/4001".into()],
            mailboxes: Vec::new(),
            name: "Alice".into(),
        };
        Payload {
            content: content.encode().unwrap().to_vec(),
            sender_log: LogHead { len: 1, hash: [0xa5; 32] },
            recipient_log: LogHead { len: 2, hash: [0xb9; 32] },
            introduction: (self.said == 1).then_some(introduction),
            extensions: Extensions::default(),
        }
        .encode()
    }

    /// Seals and puts it in an envelope.
    fn send(&mut self, text: &str) -> Vec<u8> {
        let payload = self.payload(text);
        let step = if self.said == 1 {
            let keys = PeerKeys {
                suite: SUITE,
                bundle_id: BUNDLE_ID,
                signed_prekey_id: 300,
                signed_prekey: DhSecret::from_bytes(BOB_PREKEY).public(),
                kem_prekey: KemSecret::from_seed(Secret::new(BOB_KEM)).public(),
                one_time: Some((0, DhSecret::from_bytes(BOB_ONE_TIME).public())),
            };
            self.sessions.initiate(&alice(&self.dh), &keys, &payload, self.now, &mut self.rng).unwrap()
        } else {
            self.sessions.seal(&alice(&self.dh), &payload, self.now, &mut self.rng).unwrap()
        };
        self.sessions = step.sessions;
        let mailbox = DhSecret::from_bytes(BOB_MAILBOX).public();
        envelope::seal(&mailbox, DAY, &step.message, &mut self.rng).unwrap()
    }

    fn open(&mut self, message: &[u8]) -> Vec<u8> {
        let inbound = Inbound::decode(&EnvelopeBody::Ratchet(message.to_vec().into())).unwrap();
        let step = self.sessions.open(&alice(&self.dh), &BobKeys, &inbound, self.now).unwrap();
        self.sessions = step.sessions;
        step.payload.to_vec()
    }
}

/// Finds the text in a payload: payload.content, content.body, text.text.
fn text(payload: &[u8]) -> String {
    let content = Fields::read(Fields::read(payload).bytes(1)).bytes(11).to_vec();
    String::from_utf8(Fields::read(&content).bytes(1).to_vec()).unwrap()
}

/// What was said, as bytes.
#[derive(Default)]
struct Conversed {
    to_bob: Vec<Vec<u8>>,
    to_alice: Vec<Vec<u8>>,
}

/// Runs the conversation between this program's Alice and the plain Bob.
fn converse() -> Conversed {
    let (mut alice, mut said) = (Alice::new(), Conversed::default());
    let mut chance = ChaCha20Rng::seed_from_u64(7);
    let body = |envelope: &[u8], kind: u64| {
        let (found, body) = plain::open_envelope(&BOB_MAILBOX, envelope);
        assert_eq!(found, kind);
        body
    };

    // Three messages before the answer; the last arrives first.
    said.to_bob.extend(["one", "two", "three"].map(|t| alice.send(t)));
    let (mut bob, first) = Plain::respond(plain_keys(), &body(&said.to_bob[2], 1));
    assert_eq!(text(&first), "three");
    for (at, expected) in [(0, "one"), (1, "two")] {
        assert_eq!(text(&bob.open(&Plain::inner(&body(&said.to_bob[at], 1)))), expected);
    }
    // Two answers, in the wrong order.
    said.to_alice.extend([b"four", b"five"].map(|t| bob.seal(t, [0xc1; 32], [0xd1; 16], &mut chance)));
    assert_eq!(alice.open(&said.to_alice[1]), b"five");
    assert_eq!(alice.open(&said.to_alice[0]), b"four");
    said.to_bob.push(alice.send("six"));
    assert_eq!(text(&bob.open(&body(&said.to_bob[3], 2))), "six");
    said.to_alice.push(bob.seal(b"seven", [0xc2; 32], [0xd2; 16], &mut chance));
    assert_eq!(alice.open(&said.to_alice[2]), b"seven");

    // A week later an ML-KEM step is due: offered twice, answered twice.
    alice.now = START.plus_days(7);
    said.to_bob.extend(["eight", "nine"].map(|t| alice.send(t)));
    assert_eq!(text(&bob.open(&body(&said.to_bob[5], 2))), "nine");
    assert_eq!(text(&bob.open(&body(&said.to_bob[4], 2))), "eight");
    said.to_alice.extend([b"ten".as_slice(), b"eleven"].map(|t| bob.seal(t, [0xc3; 32], [0xd3; 16], &mut chance)));
    assert_eq!(alice.open(&said.to_alice[4]), b"eleven");
    assert_eq!(alice.open(&said.to_alice[3]), b"ten");
    said.to_bob.push(alice.send("twelve"));
    assert_eq!(text(&bob.open(&body(&said.to_bob[6], 2))), "twelve");
    said
}

fn file() -> PathBuf {
    PathBuf::from("tests/vectors/session.json")
}

fn stored(name: &str) -> Vec<Vec<u8>> {
    let file: Value = serde_json::from_slice(&std::fs::read(file()).unwrap()).unwrap();
    let list = file[name].as_array().unwrap();
    list.iter().map(|v| HEXLOWER.decode(v.as_str().unwrap().as_bytes()).unwrap()).collect()
}

#[test]
fn a_plain_second_implementation_and_this_one_understand_each_other_byte_for_byte_as_before() {
    let said = converse();
    if std::env::var_os("KITH_WRITE_VECTORS").is_some() {
        let hex = |list: &[Vec<u8>]| list.iter().map(|b| HEXLOWER.encode(b)).collect::<Vec<_>>();
        let value = json!({
            "about": "Envelopes to Bob and ratchet messages to Alice of the conversation in tests/session_vectors.rs",
            "to_bob": hex(&said.to_bob),
            "to_alice": hex(&said.to_alice),
        });
        std::fs::write(file(), serde_json::to_vec_pretty(&value).unwrap()).unwrap();
    }
    let (to_bob, to_alice) = (stored("to_bob"), stored("to_alice"));
    assert_eq!((to_bob.len(), to_alice.len()), (7, 5));
    for (at, (now, before)) in said.to_bob.iter().zip(&to_bob).enumerate() {
        assert!(now == before, "message {at} to Bob is no longer sealed as it was");
    }
    for (at, (now, before)) in said.to_alice.iter().zip(&to_alice).enumerate() {
        assert!(now == before, "message {at} to Alice is no longer what the plain implementation makes");
    }
}

#[test]
fn first_messages_of_the_file_open_at_this_programs_bob() {
    let dh = DhSecret::from_bytes(BOB_DH);
    let us = LocalDevice { account: bob().account, device: bob().device, dh: &dh };
    let alice_dh = alice_dh();
    let mut sessions = Sessions::new(alice(&alice_dh).public());
    for (envelope, expected) in stored("to_bob").iter().zip(["one", "two", "three"]) {
        let key = |day| (day == DAY).then(|| DhSecret::from_bytes(BOB_MAILBOX));
        let body = envelope::open(envelope, key).unwrap();
        let step = sessions.open(&us, &BobKeys, &Inbound::decode(&body).unwrap(), START).unwrap();
        assert_eq!(text(&step.payload), expected);
        assert_eq!(Payload::decode(&step.payload).unwrap().introduction.is_some(), expected == "one");
        sessions = step.sessions;
    }
}

#[test]
fn plain_chain_key_derivation_gives_the_known_answer() {
    // RFC 4231, test case 1, so that the plain half stands on something published.
    let expected = b"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
    assert_eq!(primitives::hmac(&[0x0b; 20], b"Hi There").to_vec(), HEXLOWER.decode(expected).unwrap());
    // RFC 5869, test case 1.
    let salt = HEXLOWER.decode(b"000102030405060708090a0b0c").unwrap();
    let info = HEXLOWER.decode(b"f0f1f2f3f4f5f6f7f8f9").unwrap();
    let okm = b"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(primitives::hkdf(&salt, &[0x0b; 22], &info, 42), HEXLOWER.decode(okm).unwrap());
}
