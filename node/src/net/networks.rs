//! Bounds how many connections one network of the internet opens here, since names are free to make and addresses are not;
//! and how many a peer opens whom no other limit holds.
//! Must not know protocols: its connection handler speaks none. Local networks are not bounded: a proxy hides behind one.

use super::translate::{self, Reach};
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};
use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    hash::Hash,
    net::IpAddr,
    task::{Context, Poll},
};

/// What one customer of a provider usually gets: an IPv4 /24 or an IPv6 /56.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Network {
    V4([u8; 3]),
    V6([u8; 7]),
}

/// The behaviour: which network each inbound connection comes from.
#[derive(Debug)]
pub(crate) struct Networks {
    max: Option<usize>,
    connections: HashMap<ConnectionId, (PeerId, Option<Network>)>,
    counts: HashMap<Network, usize>,
    peers: HashMap<PeerId, usize>,
    welcome: HashSet<PeerId>,
}

/// Connections of a peer that is let in whatever the other limits say: one of each transport and family, and as many that
/// died and are not known to be dead.
const WELCOME_CONNECTIONS: usize = 8;

/// The network, or the peer, has its share already.
#[derive(Debug, thiserror::Error)]
#[error("too many connections from one place")]
struct Crowded;

/// Takes one off a count.
fn less<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Networks {
    pub(crate) fn new(max: Option<usize>) -> Self {
        Self {
            max,
            connections: HashMap::new(),
            counts: HashMap::new(),
            peers: HashMap::new(),
            welcome: HashSet::new(),
        }
    }

    /// Lets a peer in whatever its network has.
    pub(crate) fn welcome(&mut self, peer: PeerId) {
        self.welcome.insert(peer);
    }

    /// Treats a peer like any other.
    pub(crate) fn unwelcome(&mut self, peer: &PeerId) {
        self.welcome.remove(peer);
    }

    fn has_room(&self, peer: &PeerId, network: Option<&Network>) -> bool {
        if self.welcome.contains(peer) {
            return self.peers.get(peer).is_none_or(|count| *count < WELCOME_CONNECTIONS);
        }
        let count = network.and_then(|network| self.counts.get(network)).copied().unwrap_or_default();
        self.max.is_none_or(|max| count < max)
    }

    fn left(&mut self, connection: ConnectionId) {
        let Some((peer, network)) = self.connections.remove(&connection) else { return };
        less(&mut self.peers, &peer);
        if let Some(network) = network {
            less(&mut self.counts, &network);
        }
    }
}

/// The network of the internet that somebody comes from.
pub(super) fn network(address: &Multiaddr) -> Option<Network> {
    if translate::reach(&translate::without_peer(address.clone())) != Reach::Public {
        return None;
    }
    translate::ip(address).map(|ip| match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            Network::V4([a, b, c])
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, ..] = ip.octets();
            Network::V6([a, b, c, d, e, f, g])
        }
    })
}

impl NetworkBehaviour for Networks {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let network = network(remote);
        if !self.has_room(&peer, network.as_ref()) {
            return Err(ConnectionDenied::new(Crowded));
        }
        // A later behaviour may still refuse: then `ListenFailure` takes it out again.
        self.connections.insert(connection, (peer, network));
        *self.peers.entry(peer).or_default() += 1;
        if let Some(network) = network {
            *self.counts.entry(network).or_default() += 1;
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.left(closed.connection_id),
            FromSwarm::ListenFailure(failed) => self.left(failed.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Comes in from an address; says whether it was let in.
    fn comes(networks: &mut Networks, number: usize, peer: PeerId, from: &str) -> bool {
        let (connection, local) = (ConnectionId::new_unchecked(number), "/ip4/192.0.2.9/tcp/1".parse().unwrap());
        let remote = from.parse().unwrap();
        networks.handle_established_inbound_connection(connection, peer, &local, &remote).is_ok()
    }

    #[test]
    fn a_network_gets_its_share_under_any_number_of_names_and_others_are_not_touched() {
        let mut networks = Networks::new(Some(3));
        let anybody = PeerId::random;
        for number in 0..3 {
            assert!(comes(&mut networks, number, anybody(), &format!("/ip4/203.0.113.{number}/tcp/5")));
        }
        assert!(!comes(&mut networks, 3, anybody(), "/ip4/203.0.113.77/udp/5/quic-v1"));
        assert!(!comes(&mut networks, 4, anybody(), "/ip6/::ffff:203.0.113.7/tcp/5"));
        assert!(comes(&mut networks, 5, anybody(), "/ip4/203.0.114.1/tcp/5"));
        for number in 10..13 {
            assert!(comes(&mut networks, number, anybody(), &format!("/ip6/2001:db8:1:2{number}::1/tcp/5")));
        }
        assert!(!comes(&mut networks, 13, anybody(), "/ip6/2001:db8:1:2ff:9::9/tcp/5"));
        assert!(comes(&mut networks, 14, anybody(), "/ip6/2001:db8:1:300::1/tcp/5"));
        // Behind a proxy everybody comes from one local address.
        for number in 20..40 {
            assert!(comes(&mut networks, number, anybody(), "/ip4/127.0.0.1/tcp/5"));
            assert!(comes(&mut networks, 100 + number, anybody(), "/ip4/172.17.0.1/tcp/5"));
        }
    }

    #[test]
    fn who_is_known_is_let_in_and_a_connection_that_ends_makes_room() {
        let (mut networks, carol) = (Networks::new(Some(1)), PeerId::random());
        assert!(comes(&mut networks, 1, PeerId::random(), "/ip4/203.0.113.1/tcp/5"));
        assert!(!comes(&mut networks, 2, carol, "/ip4/203.0.113.2/tcp/5"));
        networks.welcome(carol);
        assert!(comes(&mut networks, 3, carol, "/ip4/203.0.113.2/tcp/5"));
        networks.unwelcome(&carol);
        networks.left(ConnectionId::new_unchecked(1));
        assert!(!comes(&mut networks, 4, carol, "/ip4/203.0.113.2/tcp/5"));
        networks.left(ConnectionId::new_unchecked(3));
        networks.left(ConnectionId::new_unchecked(3));
        assert!(networks.counts.is_empty() && networks.connections.is_empty() && networks.peers.is_empty());
        assert!(comes(&mut networks, 5, carol, "/ip4/203.0.113.2/tcp/5"));
    }

    #[test]
    fn who_is_known_has_a_bound_of_its_own() {
        let (mut networks, carol) = (Networks::new(None), PeerId::random());
        networks.welcome(carol);
        for number in 0..WELCOME_CONNECTIONS {
            assert!(comes(&mut networks, number, carol, "/ip4/127.0.0.1/tcp/5"));
        }
        assert!(!comes(&mut networks, 99, carol, "/ip4/127.0.0.1/tcp/5"));
    }
}
