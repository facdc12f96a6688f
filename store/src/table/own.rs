//! This profile's own keys and what it publishes.

use super::{Key, Row, Table};
use crate::decode_body;
use kith_protocol::{
    AccountId, DeviceId, RecordKey, Timestamp,
    identity::{StoredAccount, StoredDevice},
    prekey::{StoredCertificates, StoredOneTimeKeys, StoredPool},
    session::StoredSessions,
};
use serde::{Deserialize, Serialize};

/// Long-lived keys of the account and of this device, made once.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnIdentity {
    /// The account's root, kept sealed on the first device.
    pub account: StoredAccount,
    /// This device's keys.
    pub device: StoredDevice,
    /// The device log.
    pub log: Vec<u8>,
    /// Seed of the transport key: not an identity, it may be replaced.
    pub transport: [u8; 32],
    /// When the profile was made.
    pub since: Timestamp,
}

impl std::fmt::Debug for OwnIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account: _, device: _, log, transport: _, since } = self;
        write!(f, "OwnIdentity({} bytes of log, since {since:?})", log.len())
    }
}

impl OwnIdentity {
    /// Key of the only row.
    pub fn only() -> Key {
        Key::new(b"own", &[])
    }
}

impl Row for OwnIdentity {
    const TABLE: Table = Table::OwnIdentity;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::only()
    }
}

/// What others see of this profile, and what was published last.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnProfile {
    /// The account.
    pub account: AccountId,
    /// This device.
    pub device: DeviceId,
    /// The name contacts see; may be empty.
    pub name: String,
    /// Half of the contact code that can be replaced.
    pub reach: [u8; 16],
    /// Transport name; empty until the swarm was up once.
    pub peer: String,
    /// Addresses others can dial, at most 8.
    pub addresses: Vec<String>,
    /// The newest bundle, signed by this device.
    pub bundle: Vec<u8>,
    /// Highest bundle sequence used.
    pub bundle_seq: u64,
    /// Highest descriptor sequence used.
    pub descriptor_seq: u64,
    /// When the descriptor was made last.
    pub published_at: Option<Timestamp>,
    /// The latest moment this profile has seen: a clock far behind it is wrong.
    pub latest: Timestamp,
    /// Transport peers banned by the user.
    pub banned: Vec<String>,
}

impl std::fmt::Debug for OwnProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account, .. } = self;
        write!(f, "OwnProfile({account:?})")
    }
}

impl OwnProfile {
    /// Key of the only row.
    pub fn only() -> Key {
        Key::new(b"own", &[])
    }
}

impl Row for OwnProfile {
    const TABLE: Table = Table::OwnProfile;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::only()
    }
}

/// Prekeys, mailbox keys and one-time keys, current and retired, and the first messages that used them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnPool {
    /// The pool in its stored form.
    pub pool: StoredPool,
}

impl OwnPool {
    /// Key of the only row.
    pub fn only() -> Key {
        Key::new(b"own", &[])
    }
}

impl Row for OwnPool {
    const TABLE: Table = Table::OwnPool;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::only()
    }
}

/// Certificates of the days ahead, with their record keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnCertificates {
    /// The certificates in their stored form.
    pub certificates: StoredCertificates,
}

impl OwnCertificates {
    /// Key of the only row.
    pub fn only() -> Key {
        Key::new(b"own", &[])
    }
}

impl Row for OwnCertificates {
    const TABLE: Table = Table::OwnCertificates;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::only()
    }
}

/// A record that says that a slot under an older reach secret is empty: published with the others until it lapses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnEmptied {
    /// Its key.
    pub key: RecordKey,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it lapses.
    pub expires: Timestamp,
}

impl OwnEmptied {
    /// Key of a record's row.
    pub fn key_of(key: &RecordKey) -> Key {
        Key::new(key.as_bytes(), &[])
    }
}

impl Row for OwnEmptied {
    const TABLE: Table = Table::OwnEmptied;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.key)
    }
}

/// All sessions with one device.
#[derive(Debug, Serialize, Deserialize)]
pub struct SessionsRow {
    /// Which device.
    pub device: DeviceId,
    /// The sessions in their stored form.
    pub sessions: StoredSessions,
}

impl SessionsRow {
    /// Key of a device's row.
    pub fn key_of(device: &DeviceId) -> Key {
        Key::new(device.as_bytes(), &[])
    }
}

impl Row for SessionsRow {
    const TABLE: Table = Table::Sessions;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.device)
    }
}

/// The one-time keys between this device and another: what we handed over, and what we were handed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OneTimeRow {
    /// The other device.
    pub device: DeviceId,
    /// The keys in their stored form.
    pub keys: StoredOneTimeKeys,
}

impl OneTimeRow {
    /// Key of a device's row.
    pub fn key_of(device: &DeviceId) -> Key {
        Key::new(device.as_bytes(), &[])
    }
}

impl Row for OneTimeRow {
    const TABLE: Table = Table::OneTime;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.device)
    }
}

/// A session that a first message began: the same message never begins another, as long as its prekeys live.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FirstSeen {
    /// The session's id.
    pub session: [u8; 16],
    /// The signed prekeys it was sealed to; the row goes with them.
    pub prekey: u32,
    /// Who began it; not known of rows of the first form.
    pub account: Option<AccountId>,
}

/// The first form of [`FirstSeen`].
#[derive(Deserialize)]
struct FirstSeen1 {
    session: [u8; 16],
    prekey: u32,
}

impl FirstSeen {
    /// Key of a session's row.
    pub fn key_of(session: &[u8; 16]) -> Key {
        Key::new(session, &[])
    }
}

impl Row for FirstSeen {
    const TABLE: Table = Table::FirstSeen;
    const VERSION: u8 = 2;

    fn key(&self) -> Key {
        Self::key_of(&self.session)
    }

    fn from_older(version: u8, body: &[u8]) -> Option<Self> {
        let FirstSeen1 { session, prekey } = decode_body(body).filter(|_| version == 1)?;
        Some(Self { session, prekey, account: None })
    }
}
