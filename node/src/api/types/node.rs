//! The node itself: status, peers, checks.

use super::relay::RelayState;
use super::text;
use super::text::Time;
use kith_protocol::{AccountId, DeviceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the daemon is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Whether it answers, is unlocked, and its swarm listens.
    pub ready: bool,
    /// My account.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountId,
    /// This device.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// The name that contacts see; may be empty.
    pub name: String,
    /// The transport's peer id; empty until the swarm is up.
    pub peer: String,
    /// Addresses listened on.
    pub listen: Vec<String>,
    /// Connected peers.
    pub peers: u32,
    /// Connections by transport.
    pub transports: TransportCounts,
    /// The distributed hash table.
    pub dht: DhtStatus,
    /// Relays in use (none in this version).
    pub relays: Vec<RelayStatus>,
    /// Contacts (requests and blocked not counted).
    pub contacts: u64,
    /// Requests from strangers that wait.
    pub requests: u64,
    /// Channels (none in this version).
    pub channels: u64,
    /// Messages not yet read.
    pub unread: u64,
    /// Messages on their way.
    pub outbox: u64,
    /// Whether the profile is locked.
    pub locked: bool,
    /// Whether the store takes writes.
    pub storage: StorageState,
    /// The version of the daemon.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub started_at: Time,
}

/// Connections by transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransportCounts {
    /// TCP with Noise.
    pub noise: u32,
    /// QUIC.
    pub quic: u32,
}

/// The distributed hash table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DhtStatus {
    /// `server` or `client`.
    pub mode: String,
    /// Peers in the routing table.
    pub routing: u32,
    /// Peers that hold the newest descriptor of this account.
    pub published_to: u32,
}

/// A relay in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayStatus {
    /// Its id.
    pub relay: String,
    /// Its peer id.
    pub peer: String,
    /// What it calls itself; may be empty.
    pub name: String,
    /// How things stand with it.
    pub state: RelayState,
}

/// Whether the store takes writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StorageState {
    /// It does.
    #[default]
    Ok,
    /// A write failed; nothing is written until the daemon starts again.
    Failed,
}

/// A peer of the network: a machine, not a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Its peer id.
    pub peer: String,
    /// Whether a connection is open.
    pub connected: bool,
    /// `noise` or `quic`, when connected.
    pub transport: Option<String>,
    /// The address of that connection, or the newest known.
    pub address: Option<String>,
    /// Round trip of the last ping in milliseconds.
    pub rtt_ms: Option<f64>,
    /// 0 is neutral, lower is worse.
    pub score: i32,
    /// Banned by the user or by score.
    pub banned: bool,
}

/// The answer to a ping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ping {
    /// Who answered.
    pub peer: String,
    /// Round trip in milliseconds.
    pub rtt_ms: f64,
}

/// `POST /v1/peers/ban` and the like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerSelection {
    /// A peer id or a unique prefix of one.
    pub peer: String,
}

/// How a check of `doctor` came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// Worth knowing, nothing is broken.
    Note,
    /// Broken.
    Problem,
}

/// One check of `doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Names the check.
    pub name: String,
    /// How it came out.
    pub state: CheckState,
    /// What was found.
    pub detail: String,
    /// What to do; empty if nothing.
    pub fix: String,
}

/// The answer to a mutation that returns nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// False if the state was already as asked.
    pub changed: bool,
}
