//! Invites told with people: Alice invites to her channel, Bob joins, Dora was removed and remembers, Mallory tries the rest.

mod answers;
mod codes;
mod joins;
mod records;
mod slots;

use super::*;
use crate::{
    ChannelId, Timestamp,
    identity::{
        DeviceSecrets,
        device_log::tests::{NOW, Person},
    },
    wire::Signed,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const ADDRESS: &str = "/ip4/192.0.2.7/udp/4001/quic-v1";
const LEAF: &[u8] = &[0x1e; 1220];
const NONCE: [u8; 16] = [0x0c; 16];
const SEQUENCE: u64 = NOW.as_millis();

fn channel(n: u8) -> ChannelId {
    ChannelId::from_bytes([n; 32])
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn code(n: u8) -> InviteCode {
    InviteCode::new(InviteSecret::from_bytes([n; 16]), &channel(n))
}

/// Alice, whose invite to channel 1 it is.
fn alice() -> Person {
    Person::with_devices(1, 2)
}

fn bob() -> Person {
    Person::with_devices(2, 2)
}

fn mallory() -> Person {
    Person::new(666)
}

fn record() -> InviteRecord {
    InviteRecord {
        channel: channel(1),
        name: "book club".to_owned(),
        inviter: alice().account.id(),
        inviter_name: "alice".to_owned(),
        members: 7,
        role: "member".to_owned(),
        expires: NOW.plus_days(7),
        approval: true,
        history: History::Days(30),
        relays: vec![vec![4; 300]],
        peers: vec![Peer { peer_id: vec![5; 38], addresses: vec![ADDRESS.to_owned()] }],
        sequence: SEQUENCE,
    }
}

fn slot(n: u8) -> Slot {
    code(n).keys().public().slot(NOW.day(), 1).unwrap()
}

/// Posts as Alice's first device in slot 1 of today.
fn posted(record: &InviteRecord) -> Vec<u8> {
    let alice = alice();
    record.post(&slot(1), &alice.account.id(), &alice.devices[0], &mut rng(9)).unwrap()
}

fn open(bytes: &[u8]) -> Result<PostedRecord, record::Error> {
    PostedRecord::open(&code(1), NOW.day(), 1, bytes, NOW)
}

fn parts<'a>(who: &'a Person, channel: &'a ChannelId) -> JoinParts<'a> {
    JoinParts {
        channel,
        log: &who.log,
        leaf_key: LEAF,
        peer_id: &[6; 38],
        addresses: &[],
        mailboxes: &[],
        name: "bob",
        at: NOW,
        nonce: &NONCE,
    }
}

/// Asks as Bob's first device to join channel 1.
fn asked() -> Vec<u8> {
    let bob = bob();
    parts(&bob, &channel(1)).seal(&code(1), &bob.devices[0], &mut rng(8)).unwrap()
}

fn opened() -> JoinRequest {
    JoinRequest::open(&asked(), &code(1).keys().public(), &channel(1), NOW).unwrap()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}
