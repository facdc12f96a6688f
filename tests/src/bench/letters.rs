//! Reads frames as their recipient's device could: what each message was sealed with.

use super::Bench;
use kith_protocol::{
    Day, EnvelopeId,
    crypto::dh::DhSecret,
    mailbox::{EnvelopeBody, envelope},
    prekey::PrekeyPool,
};
use kith_store::{Rows, table::OwnPool};
use std::collections::{BTreeMap, BTreeSet};

/// One sealed message.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Letter {
    envelope: [u8; 32],
    /// Ratchet key, number in its chain and salt: with the session's secrets, all that key and nonce follow from.
    made_with: (Vec<u8>, Vec<u8>, Vec<u8>),
    /// Header and ciphertext: the same under one key and nonce only if the plaintext is the same.
    sealed: (Vec<u8>, Vec<u8>),
}

/// What the frames of a run were sealed with.
#[derive(Default)]
pub struct Letters {
    keys: BTreeMap<(usize, Day), Vec<DhSecret>>,
}

/// What was found in the frames of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Different messages that left.
    pub letters: usize,
    /// Places in a chain (ratchet key and number) that more than one message was sealed at: a state was used again.
    pub places_used_again: usize,
}

impl Letters {
    /// Learns the mailbox keys that the nodes have now; to be called before a disk is put back.
    pub fn learn(&mut self, bench: &Bench) {
        for node in &bench.nodes {
            let row = node.read(|rows| rows.row::<OwnPool>(&OwnPool::only()).unwrap()).unwrap();
            let pool = PrekeyPool::from_stored(&row.pool).unwrap();
            let today = bench.now.day();
            for day in (0..4).map(|back| today.minus(back)) {
                let known = self.keys.entry((node.index, day)).or_default();
                if let Some(key) = pool.mailbox_key(day)
                    && !known.iter().any(|k| k.public() == key.public())
                {
                    known.push(key.clone());
                }
            }
        }
    }

    /// Reads everything that left the nodes, and checks that nothing left under a key and nonce that something else had
    /// left under.
    ///
    /// # Panics
    /// If two different messages were sealed alike, one message lies in two envelopes, or a frame cannot be read.
    pub fn check(&mut self, bench: &Bench, what: &str) -> Found {
        self.learn(bench);
        let mut letters = BTreeSet::new();
        for carried in &bench.carried {
            letters.insert(self.read(carried.to, &carried.frame.envelope));
        }
        let mut by_key = BTreeMap::new();
        let mut places = BTreeMap::<_, usize>::new();
        for letter in &letters {
            let (ratchet_key, number, _) = &letter.made_with;
            *places.entry((ratchet_key, number)).or_default() += 1;
            if let Some(other) = by_key.insert(&letter.made_with, letter) {
                assert!(other.sealed == letter.sealed, "{what}: two messages were sealed with one key and nonce");
                panic!("{what}: one message left in two envelopes");
            }
        }
        Found { letters: letters.len(), places_used_again: places.values().filter(|n| **n > 1).count() }
    }

    fn read(&self, to: usize, bytes: &[u8]) -> Letter {
        let tries = self.keys.values().map(Vec::len).max().unwrap_or_default();
        let key = |day: Day, n: usize| self.keys.get(&(to, day)).and_then(|keys| keys.get(n)).cloned();
        let body = (0..tries).find_map(|n| envelope::open(bytes, |day| key(day, n)).ok());
        let message = match body.expect("the recipient's mailbox key opens what was sealed to it") {
            EnvelopeBody::Initial(bytes) => field(&bytes, 14),
            EnvelopeBody::Ratchet(bytes) => bytes.to_vec(),
        };
        let (header, ciphertext) = (field(&message, 3), field(&message, 4));
        let made_with = (field(&header, 1), field(&header, 3), field(&header, 4));
        assert_eq!((made_with.0.len(), made_with.2.len()), (32, 16), "a ratchet key and a salt");
        Letter { envelope: *EnvelopeId::of(bytes).as_bytes(), made_with, sealed: (header, ciphertext) }
    }
}

/// Finds a field of a protobuf message: its bytes, or the bytes of its number; nothing if it is not there.
fn field(mut message: &[u8], wanted: u64) -> Vec<u8> {
    while !message.is_empty() {
        let tag = varint(&mut message);
        let number = varint(&mut message);
        let value = match tag % 8 {
            0 => number.to_be_bytes().to_vec(),
            2 => {
                let (value, rest) = message.split_at(usize::try_from(number).unwrap());
                message = rest;
                value.to_vec()
            }
            other => panic!("no wire type {other} is used"),
        };
        if tag / 8 == wanted {
            return value;
        }
    }
    Vec::new()
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for n in 0.. {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7F) << (7 * n);
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}
