//! What a network node holds for others and knows of them; nobody's only copy of anything.

use super::{Key, Row, Table};
use kith_protocol::{RecordKey, Timestamp};
use serde::{Deserialize, Serialize};

/// A record held for somebody else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldRecord {
    /// Its key.
    pub key: RecordKey,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it lapses.
    pub expires: Timestamp,
}

impl HeldRecord {
    /// Key of a record's row.
    pub fn key_of(key: &RecordKey) -> Key {
        Key::new(key.as_bytes(), &[])
    }
}

impl Row for HeldRecord {
    const TABLE: Table = Table::HeldRecord;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.key)
    }
}

/// A transport peer that was reached before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LearnedPeer {
    /// Its transport name.
    pub peer: String,
    /// Its addresses, best first.
    pub addresses: Vec<String>,
}

impl LearnedPeer {
    /// Key of a peer's row.
    pub fn key_of(peer: &str) -> Key {
        Key::new(peer.as_bytes(), &[])
    }
}

impl Row for LearnedPeer {
    const TABLE: Table = Table::LearnedPeer;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.peer)
    }
}
