//! Kademlia with what it lacks: it learns who brings a record, and lets no answer point this node at foreign networks.
//! Must not know queries; it passes everything else through.

use super::records::Records;
use crate::net::{record::RecordError, translate};
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    kad,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, ListenAddresses, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
    },
};
use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

/// The DHT's behaviour.
pub(crate) struct Dht {
    inner: kad::Behaviour<Records>,
    listens: ListenAddresses,
    offers: VecDeque<Event>,
}

/// What the DHT tells.
#[derive(Debug)]
pub(crate) enum Event {
    /// Kademlia's own event.
    Kad(Box<kad::Event>),
    /// A peer offered a record, and this became of it.
    Offered {
        /// Who.
        peer: PeerId,
        /// Kept, or why not.
        verdict: Result<(), RecordError>,
    },
}

impl Dht {
    pub(crate) fn new(inner: kad::Behaviour<Records>) -> Self {
        Self { inner, listens: ListenAddresses::default(), offers: VecDeque::new() }
    }

    pub(crate) fn kad(&mut self) -> &mut kad::Behaviour<Records> {
        &mut self.inner
    }

    pub(crate) fn records(&mut self) -> &mut Records {
        self.inner.store_mut()
    }

    fn dialable(&self, addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
        let own: Vec<_> = self.listens.iter().cloned().collect();
        addresses
            .into_iter()
            .filter(|address| translate::may_dial(&own, &translate::without_peer(address.clone())))
            .collect()
    }
}

impl NetworkBehaviour for Dht {
    type ConnectionHandler = THandler<kad::Behaviour<Records>>;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let told = self.inner.handle_pending_outbound_connection(connection, peer, addresses, role)?;
        Ok(self.dialable(told))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        self.listens.on_swarm_event(&event);
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.store_mut().begin(peer);
        self.inner.on_connection_handler_event(peer, connection, event);
        if let Some(verdict) = self.inner.store_mut().end() {
            self.offers.push_back(Event::Offered { peer, verdict });
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        if let Some(offer) = self.offers.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(offer));
        }
        self.inner.poll(cx).map(|event| event.map_out(|event| Event::Kad(Box::new(event))))
    }
}
