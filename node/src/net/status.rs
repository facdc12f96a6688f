//! What others see of the net task: its addresses, peers and numbers.
//! Must not change anything but what is shown.

use super::{
    run::Net,
    translate::{self, Reach},
    types::{NetEvent, NetStatus, PeerStatus},
};
use kith_protocol::limits::ADDRESSES_MAX;
use libp2p::{Multiaddr, PeerId, kad};
use std::collections::BTreeSet;

impl Net {
    /// Says whether others can reach this node: everything it listens on is local, or a public address is known to work.
    pub(crate) fn is_reachable(&self) -> bool {
        let local = |address: &Multiaddr| matches!(translate::reach(address), Reach::Loopback | Reach::Private);
        let mut listens = self.swarm.listeners().peekable();
        let all_local = listens.peek().is_some() && listens.all(local);
        all_local || !self.connections.announce.is_empty() || !self.connections.confirmed.is_empty()
    }

    /// The addresses under which others may reach this node, best first: announced, public, private; loopback only if
    /// there is nothing else.
    fn own_addresses(&self) -> Vec<Multiaddr> {
        let mut listens: Vec<_> = self.swarm.listeners().cloned().collect();
        listens.sort_by_key(|address| (translate::reach(address), translate::transport(address)));
        if listens.iter().any(|address| translate::reach(address) < Reach::Loopback) {
            listens.retain(|address| translate::reach(address) != Reach::Loopback);
        }
        let mut own: Vec<Multiaddr> = Vec::new();
        let announced = self.connections.announce.iter().cloned().map(translate::without_peer);
        for address in announced.chain(listens) {
            if translate::reach(&address) != Reach::Unusable && !own.contains(&address) {
                own.push(address);
            }
        }
        own.truncate(ADDRESSES_MAX);
        own
    }

    /// Tells the app the addresses for the descriptor.
    pub(crate) fn announce_addresses(&mut self) {
        let addresses: Vec<_> = self.own_addresses().iter().map(ToString::to_string).collect();
        if self.connections.announced.as_ref() == Some(&addresses) {
            return;
        }
        self.connections.announced = Some(addresses.clone());
        let peer = translate::peer_name(self.swarm.local_peer_id());
        self.events.tell(NetEvent::Addresses { peer, addresses });
    }

    pub(crate) fn on_listens_changed(&mut self) {
        if !self.started {
            return;
        }
        let outside = self.connections.announce.iter().cloned().map(translate::without_peer);
        for address in outside.chain(self.connections.confirmed.clone()).collect::<Vec<_>>() {
            self.swarm.add_external_address(address);
        }
        self.set_dht_mode();
        self.announce_addresses();
    }

    pub(crate) fn picture(&mut self) -> NetStatus {
        let me = *self.swarm.local_peer_id();
        let listen = self.swarm.listeners().filter_map(|address| address.clone().with_p2p(me).ok());
        let listen = listen.map(|address| address.to_string()).collect();
        let banned = self.blocked.iter().chain(self.scores.all_banned());
        let shown: BTreeSet<PeerId> = self.connections.live.keys().chain(banned).copied().collect();
        let peers = shown.iter().map(|peer| self.peer_picture(peer)).collect();
        let routing = self.swarm.behaviour_mut().dht.kad().kbuckets().map(|bucket| bucket.num_entries()).sum::<usize>();
        NetStatus {
            peer: me.to_base58(),
            listen,
            peers,
            dht_server: self.connections.mode == Some(kad::Mode::Server),
            routing: u32::try_from(routing).unwrap_or(u32::MAX),
            published_to: self.publishing.stored_at(),
            gossip: self.gossip.picture(),
        }
    }

    fn peer_picture(&self, peer: &PeerId) -> PeerStatus {
        let live = self.connections.live.get(peer);
        let open = live.and_then(|live| live.connections.values().next());
        let address = open.map(|open| &open.address).or_else(|| self.book.addresses(peer).first());
        PeerStatus {
            peer: translate::peer_name(peer),
            transport: open.map(|open| open.transport),
            address: address.map(ToString::to_string),
            rtt_us: live.and_then(|live| live.rtt).map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
            score: self.scores.of(peer, self.clock.moment()),
            banned: self.is_banned(peer),
        }
    }
}
