//! Gossipsub that keeps a connection open for the sake of a mesh, and not for the sake of its streams: it opens one to every
//! peer and never closes it, so that no idle stranger would ever be let go.
//! Must not know topics or packets.

use super::setup::Gossipsub;
use futures::future::Either;
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    gossipsub::Event,
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, handler::ConnectionEvent,
    },
};
use std::{
    ops::{Deref, DerefMut},
    task::{Context, Poll},
};

/// The behaviour, behind which gossipsub's own lies.
pub(crate) struct Quiet(pub(super) Gossipsub);

impl Deref for Quiet {
    type Target = Gossipsub;

    fn deref(&self) -> &Gossipsub {
        &self.0
    }
}

impl DerefMut for Quiet {
    fn deref_mut(&mut self) -> &mut Gossipsub {
        &mut self.0
    }
}

impl NetworkBehaviour for Quiet {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.0.handle_established_inbound_connection(connection, peer, local, remote).map(Handler::new)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.0.handle_established_outbound_connection(connection, peer, address, role, port).map(Handler::new)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        self.0.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.0.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        self.0.poll(cx)
    }
}

type Inner = THandler<Gossipsub>;

/// The connection handler: gossipsub's, whose streams do not count as use. It is large, and each connection has one.
pub(crate) struct Handler(Box<Inner>);

impl Handler {
    fn new(inner: Inner) -> Self {
        Self(Box::new(inner))
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = <Inner as ConnectionHandler>::FromBehaviour;
    type ToBehaviour = <Inner as ConnectionHandler>::ToBehaviour;
    type InboundProtocol = <Inner as ConnectionHandler>::InboundProtocol;
    type OutboundProtocol = <Inner as ConnectionHandler>::OutboundProtocol;
    type InboundOpenInfo = <Inner as ConnectionHandler>::InboundOpenInfo;
    type OutboundOpenInfo = <Inner as ConnectionHandler>::OutboundOpenInfo;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        self.0.listen_protocol()
    }

    fn connection_keep_alive(&self) -> bool {
        self.0.connection_keep_alive()
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        self.0.poll(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::ToBehaviour>> {
        self.0.poll_close(cx)
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        self.0.on_behaviour_event(event);
    }

    fn on_connection_event(
        &mut self,
        mut event: ConnectionEvent<
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        match &mut event {
            ConnectionEvent::FullyNegotiatedInbound(stream) => {
                if let Either::Left((stream, _)) = &mut stream.protocol {
                    stream.ignore_for_keep_alive();
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(stream) => stream.protocol.0.ignore_for_keep_alive(),
            _ => {}
        }
        self.0.on_connection_event(event);
    }
}
