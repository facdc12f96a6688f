//! A channel's keys and messages, byte for byte: what this program derives and seals must be what the file holds and what
//! a second, plain implementation makes. `KITH_WRITE_VECTORS=1` writes the file anew after a deliberate change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "channel_vectors/plain.rs"]
mod plain;
#[path = "plain/primitives.rs"]
mod primitives;

use data_encoding::HEXLOWER;
use kith_protocol::{
    AccountId, ChannelId, DeviceId, MessageId, Timestamp,
    channel::{
        Chain, Context, EpochId, Event, Frame, Header, LineageKeys, MessageHash, OpId, Saying, SenderTree,
        gate::GateKey, seal, slot_of,
    },
    content::Text,
    crypto::{Secret, sign::SigningKey},
    wire::Extensions,
};
use plain::{Drawn, Place};
use primitives::{put_bytes, put_number};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_json::{Value, json};
use std::path::PathBuf;

const START: u64 = 1_800_000_000_000;
const SENDERS: [u8; 32] = [0xe1; 32];
const LINEAGE: [u8; 32] = [0xe2; 32];
const DEVICE_SEED: [u8; 32] = [0xd3; 32];
const SIZES: [u32; 4] = [1, 2, 3, 5];
/// The sender of all messages, among five.
const PLACE: u32 = 3;

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn place(generation: u32) -> Place {
    let (channel, epoch, recipients, account, device) = ([0xc1; 32], [0xc2; 32], [0xc3; 32], [0xd1; 32], [0xd2; 32]);
    Place { channel, epoch, recipients, account, device, sender: PLACE, generation }
}

fn context(place: &Place) -> Context {
    Context {
        channel: ChannelId::from_bytes(place.channel),
        epoch: EpochId::from_bytes(place.epoch),
        recipients: place.recipients,
        account: AccountId::from_bytes(place.account),
        device: DeviceId::from_bytes(place.device),
        generation: place.generation,
    }
}

/// The events said, in order, each naming the one before.
fn event(number: u64, previous: Option<[u8; 32]>) -> Event {
    let text = |t: &str| Text::new(t.to_owned()).unwrap();
    let target = MessageId::from_bytes([0xf1; 16]);
    let saying = match number {
        1 => Saying::Text { text: text("hello"), reply_to: None, mentions: Vec::new() },
        2 => Saying::Text {
            text: text(&"long ".repeat(300)),
            reply_to: Some(target),
            mentions: vec![AccountId::from_bytes([0xd1; 32]), AccountId::from_bytes([0xd4; 32])],
        },
        _ => Saying::React { target, emoji: "👋".to_owned(), on: true },
    };
    Event {
        sequence: number,
        previous: previous.map(MessageHash::from_bytes),
        heads: vec![OpId::from_bytes([0xf2; 32]), OpId::from_bytes([0xf3; 32])],
        sent_at: Timestamp::from_millis(START + number * 400_000),
        expires_after_ms: (number == 2).then_some(86_400_000),
        saying,
        extensions: Extensions::default(),
    }
}

/// The same events, written by hand.
fn plain_event(number: u64, previous: Option<[u8; 32]>) -> Vec<u8> {
    let mut body = Vec::new();
    match number {
        1 => put_bytes(&mut body, 1, b"hello"),
        2 => {
            put_bytes(&mut body, 1, "long ".repeat(300).as_bytes());
            put_bytes(&mut body, 2, &[0xf1; 16]);
            put_bytes(&mut body, 3, &[0xd1; 32]);
            put_bytes(&mut body, 3, &[0xd4; 32]);
        }
        _ => {
            put_bytes(&mut body, 1, &[0xf1; 16]);
            put_bytes(&mut body, 2, "👋".as_bytes());
            put_number(&mut body, 3, 1);
        }
    }
    let mut event = Vec::new();
    put_number(&mut event, 1, 1);
    put_number(&mut event, 2, number);
    put_bytes(&mut event, 3, previous.as_ref().map_or(&[], |p| p.as_slice()));
    put_bytes(&mut event, 4, &[0xf2; 32]);
    put_bytes(&mut event, 4, &[0xf3; 32]);
    put_number(&mut event, 5, START + number * 400_000);
    put_number(&mut event, 6, if number == 2 { 86_400_000 } else { 0 });
    put_number(&mut event, 7, if number < 3 { 1 } else { 4 });
    put_bytes(&mut event, 8, &body);
    event
}

fn drawn(rng: &mut ChaCha20Rng) -> Drawn {
    let (mut salt, mut com_key) = (vec![0; 16], vec![0; 32]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut com_key);
    Drawn { salt, com_key }
}

/// Everything, by the plain implementation.
fn plainly() -> Value {
    let trees: Vec<_> = SIZES
        .iter()
        .map(|n| json!({ "senders": n, "chains": (0..*n).map(|p| hex(&plain::leaf(&SENDERS, *n, p))).collect::<Vec<_>>() }))
        .collect();
    let chain = plain::leaf(&SENDERS, 5, PLACE);
    let seeds: Vec<_> = (0..4).map(|generation| hex(&plain::seed(&chain, generation))).collect();
    let lineage = |part| hex(&plain::lineage(&LINEAGE, part));
    let (mut rng, mut previous) = (ChaCha20Rng::seed_from_u64(2026), None);
    let mut messages = Vec::new();
    for number in 1..=3 {
        let place = place(number as u32 - 1);
        let (event, drawn) = (plain_event(number, previous), drawn(&mut rng));
        let seed = plain::seed(&chain, place.generation);
        let steps = place.seal(&LINEAGE, &seed, &event, &drawn, DEVICE_SEED);
        previous = Some(steps.hash);
        messages.push(json!({
            "event": hex(&event),
            "salt": hex(&drawn.salt),
            "com_key": hex(&drawn.com_key),
            "associated": hex(&steps.associated),
            "commitment": hex(&steps.commitment),
            "hash": hex(&steps.hash),
            "key": hex(&steps.key),
            "nonce": hex(&steps.nonce),
            "header": hex(&steps.header),
            "frame": hex(&steps.frame),
        }));
    }
    json!({
        "about": "Keys and frames of the channel in tests/channel_vectors.rs, whose constants are the inputs",
        "trees": trees,
        "seeds": seeds,
        "lineage": {
            "topic": lineage("topic"),
            "gate": lineage("gate"),
            "header": lineage("header"),
            "mailbox": lineage("mailbox"),
        },
        "messages": messages,
    })
}

fn stored() -> Value {
    let file = PathBuf::from("tests/vectors/channel.json");
    if std::env::var_os("KITH_WRITE_VECTORS").is_some() {
        std::fs::write(&file, serde_json::to_vec_pretty(&plainly()).unwrap()).unwrap();
    }
    serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap()
}

fn chain(n: u32, place: u32) -> Chain {
    SenderTree::new(&Secret::new(SENDERS), n).take(place).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

#[test]
fn the_plain_implementation_makes_what_the_file_holds() {
    let (now, before) = (plainly(), stored());
    for part in ["trees", "seeds", "lineage", "messages"] {
        assert!(now[part] == before[part], "{part} are no longer what they were");
    }
}

#[test]
fn chains_seeds_and_lineage_keys_are_those_of_the_file() {
    let file = stored();
    for (tree, n) in file["trees"].as_array().unwrap().iter().zip(SIZES) {
        assert_eq!((tree["senders"].as_u64(), tree["chains"].as_array().unwrap().len()), (Some(n.into()), n as usize));
        for (place, expected) in tree["chains"].as_array().unwrap().iter().enumerate() {
            // What a row would hold is the one place where a chain's key shows.
            let row = serde_json::to_value(chain(n, place as u32).to_stored()).unwrap();
            let key: Vec<u8> = serde_json::from_value(row["key"].clone()).unwrap();
            assert_eq!(hex(&key), *expected, "{place} of {n}");
        }
    }
    let mut chain = chain(5, PLACE);
    for expected in file["seeds"].as_array().unwrap() {
        assert_eq!(hex(chain.advance().1.as_bytes()), *expected);
    }
    let keys = LineageKeys::new(Secret::new(LINEAGE));
    assert_eq!(hex(&keys.topic()), file["lineage"]["topic"]);
    // The gate's key shows itself to nobody: one that is made of the file's bytes must be the same.
    let gate = HEXLOWER.decode(file["lineage"]["gate"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(keys.gate(), GateKey::new(Secret::new(gate.try_into().unwrap())));
    assert_eq!(hex(keys.header().as_bytes()), file["lineage"]["header"]);
    assert_eq!(hex(keys.mailbox().as_bytes()), file["lineage"]["mailbox"]);
}

#[test]
fn a_plain_second_implementation_and_this_one_understand_each_other_byte_for_byte_as_before() {
    let (file, lineage) = (stored(), LineageKeys::new(Secret::new(LINEAGE)));
    let key = SigningKey::from_seed(&Secret::new(DEVICE_SEED));
    let (mut rng, mut chain, mut previous) = (ChaCha20Rng::seed_from_u64(2026), chain(5, PLACE), None);
    let messages = file["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    for (number, expected) in (1..).zip(messages) {
        let (generation, seed) = chain.advance();
        let (place, event) = (place(generation), event(number, previous));
        let context = context(&place);
        let (frame, hash, attested) = seal(&lineage, PLACE, &context, &seed, &event, &key, &mut rng).unwrap();
        assert_eq!(event.encode().unwrap().as_slice(), bytes(&expected["event"]), "event {number}");
        assert_eq!(hex(hash.as_bytes()), expected["hash"], "hash of message {number}");
        assert_eq!(hex(&frame), expected["frame"], "message {number} is no longer sealed as it was");

        // The plain one opens what this one sealed, and this one what the file holds.
        let (opened, opened_hash) = place.open(&LINEAGE, seed.as_bytes(), &frame, DEVICE_SEED);
        assert_eq!((opened, opened_hash), (bytes(&expected["event"]), *hash.as_bytes()));
        let frame = Frame::decode(&bytes(&expected["frame"])).unwrap();
        assert_eq!(frame.slot(), slot_of(event.sent_at));
        assert_eq!(frame.header(&lineage), Ok(Header { epoch: context.epoch, sender: PLACE, generation }));
        assert_eq!(frame.open(&context, &seed, &key.public()), Ok((event, hash, attested)));
        previous = Some(*hash.as_bytes());
    }
}
