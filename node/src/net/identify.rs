//! What peers say about themselves: whether they serve our DHT, and under which addresses.
//! Must not trust it: addresses of narrower networks are left out, and what this node looks like from outside is ignored.

mod scoped;

pub(crate) use scoped::Identify;

use super::{
    behaviour::KAD,
    gossip::GOSSIP,
    peers::limits::ADDRESSES_PER_PEER,
    run::Net,
    translate::{self, Reach},
};
use libp2p::{Multiaddr, identify::Event};

/// Addresses looked at in one message.
const LOOKED_AT: usize = 32;

impl Net {
    pub(crate) fn on_identify(&mut self, event: Event) {
        let Event::Received { connection_id, peer_id, info } = event else { return };
        let Some(from) = self.connections.reach(&peer_id, connection_id) else { return };
        self.on_identified(peer_id, connection_id, &info.agent_version);
        let (serves, gossips) = (info.protocols.contains(&KAD), info.protocols.contains(&GOSSIP));
        let addresses = usable(from, peer_id, info.listen_addrs);
        let now = self.clock.moment();
        for address in addresses.iter().rev() {
            self.book.told(peer_id, address.clone(), now);
        }
        if let Some(live) = self.connections.live.get_mut(&peer_id) {
            (live.serves, live.gossips) = (serves, gossips);
        }
        self.admit_to_dht(peer_id, serves, &addresses);
    }
}

/// The addresses a peer may tell over a connection of this reach.
fn usable(from: Reach, peer: libp2p::PeerId, told: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let mut usable = Vec::new();
    for (address, of) in told.into_iter().take(LOOKED_AT).map(translate::split_peer) {
        if of.is_none_or(|of| of == peer) && translate::may_tell(from, &address) && !usable.contains(&address) {
            usable.push(address);
        }
    }
    usable.truncate(ADDRESSES_PER_PEER);
    usable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_fill_the_book_nor_name_others_addresses() {
        let (bob, eve) = (libp2p::PeerId::random(), libp2p::PeerId::random());
        let mut told: Vec<Multiaddr> =
            (1..100).map(|port| format!("/ip4/8.8.8.8/tcp/{port}").parse().unwrap()).collect();
        told.insert(0, format!("/ip4/8.8.8.8/tcp/1/p2p/{eve}").parse().unwrap());
        told.insert(1, "/ip4/127.0.0.1/tcp/1".parse().unwrap());
        let usable = usable(Reach::Public, bob, told);
        assert_eq!(usable.len(), ADDRESSES_PER_PEER);
        assert!(usable.iter().all(|address| translate::reach(address) == Reach::Public));
        assert!(usable.iter().all(|address| translate::split_peer(address.clone()).1.is_none()));
    }
}
