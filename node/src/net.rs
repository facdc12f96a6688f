//! Carries frames and records between this node and other peers: the libp2p swarm and nothing else.
//! Must not know accounts, sessions, contents or the store's rows.

mod behaviour;
mod channel;
mod config;
mod connections;
mod deliver;
mod descriptor;
mod dht;
mod events;
mod fetch;
mod files;
mod gossip;
mod handle;
mod handshakes;
mod identify;
mod inbound;
mod mailbox;
mod mdns;
mod networks;
mod opaque;
mod outbound;
mod peers;
mod protect;
mod record;
mod run;
mod standing;
mod status;
mod swarm;
#[cfg(test)]
mod tests;
mod translate;
mod types;
mod wake;
mod wire;

pub use config::{DhtMode, NetConfig, NetError};
pub use files::allow_many_files;
pub use handle::{NetHandle, NetSetup, PingError, peer_name, spawn};
pub use peers::limits::Limits;
pub use record::{Kept, Nowhere, PeerSink, RecordCheck, RecordError, RecordMeta, RecordSink, record_check};
pub use translate::is_peer;
pub use types::{
    AskOutcome, DeliverOutcome, Frame, GossipStatus, InboundToken, MemberToken, NetCommand, NetEvent, NetStatus,
    PeerName, PeerStatus, RelayInput, RelayToken, Transport, Verdict,
};
