//! Keeps connections of contacts open, and lets no peer in whose key is unsound or who is banned.
//! Must not know protocols: its connection handler speaks none.

use super::translate;
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse, upgrade::DeniedUpgrade},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::ConnectionEvent,
    },
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    task::{Context, Poll, Waker},
};

/// The behaviour: which peers are kept, and who is connected.
#[derive(Debug, Default)]
pub(crate) struct Protect {
    kept: HashSet<PeerId>,
    connections: HashMap<ConnectionId, PeerId>,
    changes: VecDeque<(PeerId, ConnectionId, bool)>,
    waker: Option<Waker>,
}

/// The peer's key has small order or is not Ed25519: anybody could sign as it (crypto attack 61).
#[derive(Debug, thiserror::Error)]
#[error("the peer's transport key is unsound")]
struct UnsoundKey;

impl Protect {
    /// Replaces the set of peers whose connections stay open although nothing travels on them.
    pub(crate) fn keep(&mut self, peers: HashSet<PeerId>) {
        if self.kept == peers {
            return;
        }
        for (connection, peer) in &self.connections {
            let (was, is) = (self.kept.contains(peer), peers.contains(peer));
            if was != is {
                self.changes.push_back((*peer, *connection, is));
            }
        }
        self.kept = peers;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn admit(&mut self, connection: ConnectionId, peer: PeerId) -> Result<Handler, ConnectionDenied> {
        if !translate::is_sound(&peer) {
            return Err(ConnectionDenied::new(UnsoundKey));
        }
        // A later behaviour may still refuse: then `ListenFailure` or `DialFailure` takes the entry out again.
        self.connections.insert(connection, peer);
        Ok(Handler { keep: self.kept.contains(&peer) })
    }
}

impl NetworkBehaviour for Protect {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(connection, peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(connection, peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        let gone = match event {
            FromSwarm::ConnectionClosed(closed) => closed.connection_id,
            FromSwarm::DialFailure(failed) => failed.connection_id,
            FromSwarm::ListenFailure(failed) => failed.connection_id,
            _ => return,
        };
        self.connections.remove(&gone);
        self.changes.retain(|(_, connection, _)| *connection != gone);
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        if let Some((peer_id, connection, keep)) = self.changes.pop_front() {
            let handler = NotifyHandler::One(connection);
            return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event: keep });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// The connection handler: says whether the connection is kept, and nothing else.
#[derive(Debug)]
pub(crate) struct Handler {
    keep: bool,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = bool;
    type ToBehaviour = Infallible;
    type InboundProtocol = DeniedUpgrade;
    type OutboundProtocol = DeniedUpgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<DeniedUpgrade> {
        SubstreamProtocol::new(DeniedUpgrade, ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.keep
    }

    fn on_behaviour_event(&mut self, keep: bool) {
        self.keep = keep;
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<DeniedUpgrade, (), Infallible>> {
        Poll::Pending
    }

    fn on_connection_event(&mut self, _: ConnectionEvent<DeniedUpgrade, DeniedUpgrade>) {}
}
