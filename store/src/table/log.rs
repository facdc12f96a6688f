//! What local clients follow and repeat: events with a cursor, and replies kept for repeated requests.

use super::{Key, Row, Table};
use crate::decode_body;
use kith_protocol::Timestamp;
use serde::{Deserialize, Serialize};

/// One event for local clients.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the stream, rising; never below the clock, so that a profile put back does not use a place twice.
    pub cursor: u64,
    /// When.
    pub at: Timestamp,
    /// The event as JSON.
    pub json: Vec<u8>,
}

impl Event {
    /// Group of all rows.
    pub const GROUP: &'static [u8] = b"events";

    /// Key of an event's row.
    pub fn key_of(cursor: u64) -> Key {
        Key::new(Self::GROUP, &cursor.to_be_bytes())
    }
}

impl Row for Event {
    const TABLE: Table = Table::Event;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.cursor)
    }
}

/// The reply that a repeated request gets again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// Hash of the request.
    pub request: [u8; 32],
    /// The reply as JSON.
    pub reply: Vec<u8>,
    /// When it was given.
    pub at: Timestamp,
}

impl Idempotency {
    /// Key of a row.
    pub fn key_of(key: &str) -> Key {
        Key::new(key.as_bytes(), &[])
    }
}

impl Row for Idempotency {
    const TABLE: Table = Table::Idempotency;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.key)
    }
}

/// Numbers that only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Last number given to an outbox row.
    pub outbox: u64,
    /// Last number given to a contact.
    pub contact: u64,
    /// Last event cursor.
    pub event: u64,
    /// How many events are kept.
    pub events: u64,
    /// Last number given to a relay that holds our mail.
    pub relay: u64,
}

/// The second form of [`Counters`]: without relays.
#[derive(Deserialize)]
struct Counters2 {
    outbox: u64,
    contact: u64,
    event: u64,
    events: u64,
}

/// The first form of [`Counters`]: it also counted the first messages remembered, which each contact's row does now.
#[derive(Deserialize)]
struct Counters1 {
    outbox: u64,
    contact: u64,
    event: u64,
    events: u64,
    _first_seen: u64,
}

impl Counters {
    /// Key of the only row.
    pub fn only() -> Key {
        Key::new(b"counters", &[])
    }
}

impl Row for Counters {
    const TABLE: Table = Table::Counters;
    const VERSION: u8 = 3;

    fn key(&self) -> Key {
        Self::only()
    }

    fn from_older(version: u8, body: &[u8]) -> Option<Self> {
        let Counters2 { outbox, contact, event, events } = match version {
            1 => {
                let Counters1 { outbox, contact, event, events, .. } = decode_body(body)?;
                Counters2 { outbox, contact, event, events }
            }
            2 => decode_body(body)?,
            _ => return None,
        };
        Some(Self { outbox, contact, event, events, relay: 0 })
    }
}
