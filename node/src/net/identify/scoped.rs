//! Identify that tells addresses of the local network to the local network only.
//! Must not look at what peers answer.

use crate::net::translate::{self, Reach};
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    identify::{Behaviour, Config, Event},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
    },
};
use std::{
    collections::HashSet,
    task::{Context, Poll},
};

/// Two identify behaviours under one name: one for connections within this machine or network, which tells what this
/// node listens on, and one for all others, which tells only what is known to be public.
pub(crate) struct Identify {
    near: Behaviour,
    far: Behaviour,
    near_connections: HashSet<ConnectionId>,
}

impl Identify {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            near: Behaviour::new(config.clone().with_hide_listen_addrs(false)),
            far: Behaviour::new(config.with_hide_listen_addrs(true)),
            near_connections: HashSet::new(),
        }
    }

    fn begin(&mut self, id: ConnectionId, remote: &Multiaddr) -> &mut Behaviour {
        if is_near(remote) {
            self.near_connections.insert(id);
        }
        self.of(id)
    }

    fn of(&mut self, id: ConnectionId) -> &mut Behaviour {
        if self.near_connections.contains(&id) { &mut self.near } else { &mut self.far }
    }
}

fn is_near(remote: &Multiaddr) -> bool {
    matches!(translate::reach(&translate::without_peer(remote.clone())), Reach::Loopback | Reach::Private)
}

impl NetworkBehaviour for Identify {
    type ConnectionHandler = THandler<Behaviour>;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.begin(id, remote).handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.begin(id, address).handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(made) => self.of(made.connection_id).on_swarm_event(event),
            FromSwarm::AddressChange(change) => self.of(change.connection_id).on_swarm_event(event),
            FromSwarm::ConnectionClosed(closed) => {
                // Both hear it: the one that never saw this connection may have to forget the peer.
                self.near.on_swarm_event(event);
                self.far.on_swarm_event(event);
                self.near_connections.remove(&closed.connection_id);
            }
            FromSwarm::DialFailure(failed) => {
                self.near_connections.remove(&failed.connection_id);
            }
            FromSwarm::ListenFailure(failed) => {
                self.near_connections.remove(&failed.connection_id);
            }
            _ => {
                self.near.on_swarm_event(event);
                self.far.on_swarm_event(event);
            }
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.of(id).on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        match self.near.poll(cx) {
            Poll::Pending => self.far.poll(cx),
            ready => ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::{
        identity,
        swarm::behaviour::{ExternalAddrConfirmed, NewListenAddr},
    };

    #[test]
    fn connections_are_sorted_by_where_the_other_end_is() {
        let key = identity::Keypair::generate_ed25519();
        let mut identify = Identify::new(Config::new("/kith/1".into(), key.public()));
        let [near, far] = [1, 2].map(ConnectionId::new_unchecked);
        let local: Multiaddr = "/ip4/192.168.1.2/tcp/4001".parse().unwrap();
        let public: Multiaddr = "/ip4/203.0.113.9/tcp/4001".parse().unwrap();
        let listener_id = libp2p::core::transport::ListenerId::next();
        identify.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr { listener_id, addr: &local }));
        identify.on_swarm_event(FromSwarm::ExternalAddrConfirmed(ExternalAddrConfirmed { addr: &public }));
        let peer = PeerId::random();
        for (id, remote) in [(near, "/ip4/192.168.1.7/tcp/9"), (far, "/ip4/8.8.8.8/tcp/9")] {
            let remote = remote.parse().unwrap();
            assert!(identify.handle_established_inbound_connection(id, peer, &local, &remote).is_ok());
        }
        assert_eq!(identify.near_connections, HashSet::from([near]));
    }
}
