//! People: contacts, requests from strangers, and the devices they use.

use super::{Key, Row, Table};
use kith_protocol::{AccountId, DeviceId, Timestamp, identity::device_log::LogHead};
use serde::{Deserialize, Serialize};

/// How far the acquaintance went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContactState {
    /// We added their code, or accepted their request.
    Added,
    /// They wrote first; nothing leaves for them until we accept.
    Request,
    /// We removed them; kept so that what they still send is not taken for a stranger's first message.
    Removed,
}

/// One person.
#[derive(Clone, Serialize, Deserialize)]
pub struct Contact {
    /// Who.
    pub account: AccountId,
    /// A number of our own, stable for the life of the row; names queries and due items.
    pub number: u64,
    /// The name we gave them; empty until we gave one.
    pub name: String,
    /// The name they call themselves, cleaned only when shown.
    pub their_name: String,
    /// How far the acquaintance went.
    pub state: ContactState,
    /// Verified by comparing safety numbers.
    pub verified: bool,
    /// The account showed two histories of its devices: nothing is sent until a person looks.
    pub violated: bool,
    /// Blocked: nothing of theirs is kept, nothing is sent.
    pub blocked: bool,
    /// Their reach secret, once known.
    pub reach: Option<[u8; 16]>,
    /// Multiaddresses from their link or first message; untrusted.
    pub hints: Vec<String>,
    /// Their device log as verified, empty while unknown.
    pub log: Vec<u8>,
    /// Length and hash of that log's head.
    pub log_head: LogHead,
    /// When the row was made.
    pub since: Timestamp,
    /// While a request: how many messages wait.
    pub waiting: u32,
    /// Sessions they began that we remember: bounds what one person can make us remember.
    pub begun: u32,
    /// When they said the reach secret we hold, by their clock: an older word does not bring an older secret back.
    pub reach_at: Timestamp,
    /// When we last saw proof that they accept us (a receipt or a message).
    pub accepted_at: Option<Timestamp>,
    /// When their descriptor is looked up next.
    pub resolve_at: Option<Timestamp>,
    /// When the last lookup began.
    pub looked_at: Option<Timestamp>,
    /// Lookups that found nothing, in a row.
    pub resolve_tries: u32,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account, number, state, .. } = self;
        write!(f, "Contact({account:?}, number {number}, {state:?})")
    }
}

impl Contact {
    /// Key of an account's row.
    pub fn key_of(account: &AccountId) -> Key {
        Key::new(account.as_bytes(), &[])
    }
}

impl Row for Contact {
    const TABLE: Table = Table::Contact;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.account)
    }
}

/// Finds a contact by its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContactNumber {
    /// The number.
    pub number: u64,
    /// Who.
    pub account: AccountId,
}

impl ContactNumber {
    /// Key of a number's row.
    pub fn key_of(number: u64) -> Key {
        Key::new(b"number", &number.to_be_bytes())
    }
}

impl Row for ContactNumber {
    const TABLE: Table = Table::ContactNumber;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(self.number)
    }
}

/// One device of a contact, and how to reach it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Device {
    /// Which device.
    pub device: DeviceId,
    /// Whose.
    pub account: AccountId,
    /// Ed25519 public key, 32 bytes.
    pub sign: [u8; 32],
    /// X25519 public key, 32 bytes.
    pub dh: [u8; 32],
    /// Its transport name, once known.
    pub peer: Option<String>,
    /// Its multiaddresses, at most 8.
    pub addresses: Vec<String>,
    /// Its newest verified bundle, as signed bytes.
    pub bundle: Option<Vec<u8>>,
    /// Highest descriptor sequence seen; lower ones are refused.
    pub descriptor_seq: u64,
    /// Highest bundle sequence seen; lower ones are refused.
    pub bundle_seq: u64,
    /// When it last told us that it cannot open our messages.
    pub heard_cannot_open_at: Option<Timestamp>,
    /// When we last told it that we cannot open its messages.
    pub cannot_open_at: Option<Timestamp>,
    /// When a message of it last opened.
    pub seen_at: Option<Timestamp>,
    /// It did not answer in time when it was last tried directly, and was not met since.
    pub silent: bool,
    /// Revoked by its account: nothing is sent to it, nothing of it is believed.
    pub revoked: bool,
}

impl Device {
    /// Key of a device's row.
    pub fn key_of(device: &DeviceId) -> Key {
        Key::new(device.as_bytes(), &[])
    }
}

impl Row for Device {
    const TABLE: Table = Table::Device;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.device)
    }
}

/// Which devices an account has, in the order they were learned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountDevices {
    /// Whose.
    pub account: AccountId,
    /// Its devices, revoked ones too; at most `limits` of the protocol.
    pub devices: Vec<DeviceId>,
}

impl AccountDevices {
    /// Key of an account's row.
    pub fn key_of(account: &AccountId) -> Key {
        Key::new(account.as_bytes(), &[])
    }
}

impl Row for AccountDevices {
    const TABLE: Table = Table::AccountDevices;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.account)
    }
}

/// Finds the devices that say they are reached under a transport name, so that a peer that appears wakes what waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerDevice {
    /// Transport name.
    pub peer: String,
    /// The devices; more than one only if somebody claims another's peer.
    pub devices: Vec<DeviceId>,
}

impl PeerDevice {
    /// Key of a peer's row.
    pub fn key_of(peer: &str) -> Key {
        Key::new(peer.as_bytes(), &[])
    }
}

impl Row for PeerDevice {
    const TABLE: Table = Table::PeerDevice;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.peer)
    }
}

/// A reach secret from a code, beside the one that the contact said itself: the code may be older or newer.
#[derive(Clone, Serialize, Deserialize)]
pub struct CodeReach {
    /// Whose.
    pub account: AccountId,
    /// The secret.
    pub reach: [u8; 16],
}

impl std::fmt::Debug for CodeReach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account, reach: _ } = self;
        write!(f, "CodeReach({account:?})")
    }
}

impl CodeReach {
    /// Key of an account's row.
    pub fn key_of(account: &AccountId) -> Key {
        Key::new(account.as_bytes(), &[])
    }
}

impl Row for CodeReach {
    const TABLE: Table = Table::CodeReach;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.account)
    }
}
