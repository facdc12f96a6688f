//! Carries frames and records between this node and other peers: the libp2p swarm and nothing else.
//! Must not know accounts, sessions, contents or the store's rows.

mod types;

pub use types::{
    DeliverOutcome, Frame, InboundToken, NetCommand, NetEvent, NetStatus, PeerName, PeerStatus, Transport, Verdict,
};
