//! What peers may do here: contacts are kept and never banned, faults lower the score, blocks close connections.
//! Must not know what a fault was.

use super::{
    mailbox::Service,
    peers::score::{TRANSIENT, VIOLATION},
    run::Net,
    translate,
    types::PeerName,
};
use libp2p::PeerId;
use std::collections::HashSet;

/// Peers in one `Protect` or `Block`; more are not looked at.
const PEERS: usize = 10_000;

impl Net {
    /// Replaces the peers of contacts: their connections stay open, limits and bans by score pass them by.
    pub(crate) fn protect(&mut self, names: &[PeerName]) {
        let peers: HashSet<_> = names.iter().take(PEERS).filter_map(translate::peer_id).collect();
        for peer in std::mem::replace(&mut self.contacts, peers.clone()) {
            self.unwelcome(&peer);
        }
        peers.iter().for_each(|peer| self.welcome(*peer));
        self.keep_anchors();
        for peer in self.scores.set_contacts(peers.clone()) {
            if !self.blocked.contains(&peer) {
                self.swarm.behaviour_mut().blocked.unblock_peer(peer);
            }
        }
        self.book.protect(peers);
    }

    /// Lets a peer in whatever the limits of connections say.
    pub(crate) fn welcome(&mut self, peer: PeerId) {
        let behaviour = self.swarm.behaviour_mut();
        behaviour.limits.bypass_peer_id(&peer);
        behaviour.networks.welcome(peer);
    }

    /// Holds a peer to the limits of connections again, unless it is a contact or has a mailbox here.
    pub(crate) fn unwelcome(&mut self, peer: &PeerId) {
        if !self.contacts.contains(peer) && !self.relay.as_ref().is_some_and(|relay| relay.knows(peer)) {
            let behaviour = self.swarm.behaviour_mut();
            behaviour.limits.remove_peer_id(peer);
            behaviour.networks.unwelcome(peer);
        }
    }

    /// Keeps the connections of contacts, of clients with a mailbox here and of a few servers of the DHT open.
    pub(crate) fn keep_anchors(&mut self) {
        let servers = self.connections.live.iter().filter(|(_, live)| live.serves).map(|(peer, _)| *peer);
        let clients = self.relay.iter().flat_map(Service::kept);
        let kept =
            servers.take(self.config.limits.anchors).chain(self.contacts.iter().copied()).chain(clients).collect();
        self.swarm.behaviour_mut().protect.keep(kept);
    }

    /// Replaces the blocked peers; their connections are closed.
    pub(crate) fn block(&mut self, names: &[PeerName]) {
        let peers: HashSet<_> = names.iter().take(PEERS).filter_map(translate::peer_id).collect();
        let list = &mut self.swarm.behaviour_mut().blocked;
        for peer in self.blocked.difference(&peers).filter(|peer| !self.scores.banned(peer)) {
            list.unblock_peer(*peer);
        }
        for peer in peers.difference(&self.blocked) {
            list.block_peer(*peer);
        }
        self.blocked = peers;
    }

    /// Says whether a peer is blocked by the user or banned by its score.
    pub(crate) fn is_banned(&self, peer: &PeerId) -> bool {
        self.blocked.contains(peer) || self.scores.banned(peer)
    }

    /// Scores a fault that is the peer's own.
    pub(crate) fn violation(&mut self, peer: PeerId) {
        if self.scores.add(peer, VIOLATION, self.clock.moment()) {
            tracing::debug!("a peer is banned by its score");
            self.swarm.behaviour_mut().dht.kad().remove_peer(&peer);
            self.swarm.behaviour_mut().blocked.block_peer(peer);
        }
    }

    /// Scores a fault that is the peer's own and leaves its connections no more valid than its bytes: they are closed.
    pub(crate) fn violation_and_close(&mut self, peer: PeerId) {
        self.violation(peer);
        // An error means that it is gone already.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// Scores what may be nobody's fault.
    pub(crate) fn transient(&mut self, peer: PeerId) {
        if self.scores.add(peer, TRANSIENT, self.clock.moment()) {
            self.swarm.behaviour_mut().blocked.block_peer(peer);
        }
    }
}
