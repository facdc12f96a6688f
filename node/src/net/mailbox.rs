//! The mailbox protocol: questions to relays with one outcome each, and, where this node runs a relay, requests to it with
//! one answer each; both within bounds.
//! Must not read what is asked or answered.

use super::{
    inbound::{Bounds, Standing},
    opaque::{BUSY, Back, Desk, Opaque},
    outbound::{Asking, Outbound},
    peers::limits::Limits,
    run::Net,
    translate,
    types::{AskOutcome, PeerName, RelayInput, RelayToken},
    wire::{Codec, Mailbox},
};
use crate::clock::Moment;
use libp2p::{PeerId, request_response::Behaviour};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use tokio::sync::mpsc;

/// Questions to relays.
pub(crate) struct Questions;

impl Opaque for Questions {
    type Wire = Mailbox;
    const CROWDED: &'static str = "too many questions wait here";

    fn behaviour(net: &mut Net) -> &mut Behaviour<Codec<Mailbox>> {
        &mut net.swarm.behaviour_mut().mailbox
    }

    fn questions(net: &mut Net) -> &mut Outbound<Self> {
        &mut net.questions
    }

    fn desk(net: &mut Net) -> Option<&mut Desk> {
        net.relay.as_mut().map(|relay| &mut relay.desk)
    }

    fn standing(net: &Net, peer: &PeerId) -> Standing {
        let kept = net.relay.as_ref().is_some_and(|relay| relay.kept.contains(peer));
        if kept || net.contacts.contains(peer) { Standing::Known } else { Standing::Stranger }
    }

    fn hand_on(net: &mut Net, token: u64, peer: PeerId, request: Vec<u8>) -> bool {
        let me = *net.swarm.local_peer_id();
        let Some(relay) = &mut net.relay else { return false };
        let offered = relay.offer(RelayToken(token), &peer, request);
        if offered && peer != me {
            relay.clients.insert(peer);
        }
        offered
    }
}

/// Requests to the relay that this node runs.
pub(crate) struct Service {
    relay: mpsc::Sender<RelayInput>,
    desk: Desk,
    /// Connected peers that asked.
    clients: HashSet<PeerId>,
    /// Those among them whose connections are kept.
    kept: HashSet<PeerId>,
    /// Peers that had a mailbox here when they were last connected: they are let in again.
    known: Known,
    /// Peers that asked and are gone, of which the relay is not told yet.
    gone: BTreeSet<PeerId>,
    clients_max: usize,
}

/// The peers that were kept last.
struct Known {
    places: HashMap<PeerId, u64>,
    order: BTreeMap<u64, PeerId>,
    next: u64,
    max: usize,
}

impl Known {
    fn new(max: usize) -> Self {
        Self { places: HashMap::new(), order: BTreeMap::new(), next: 0, max: max.max(1) }
    }

    /// Notes a peer as the newest; returns the oldest if there are too many now.
    fn note(&mut self, peer: PeerId) -> Option<PeerId> {
        if let Some(place) = self.places.insert(peer, self.next) {
            self.order.remove(&place);
        }
        self.order.insert(self.next, peer);
        self.next += 1;
        if self.order.len() <= self.max {
            return None;
        }
        let oldest = self.order.pop_first().map(|(_, peer)| peer)?;
        self.places.remove(&oldest);
        Some(oldest)
    }
}

impl Service {
    pub(crate) fn new(limits: &Limits, relay: mpsc::Sender<RelayInput>) -> Self {
        let bounds = Bounds {
            rate: limits.relay_rate,
            burst: limits.relay_burst,
            per_peer: limits.relay_per_peer,
            total: limits.relay_total,
        };
        Self {
            relay,
            desk: Desk::new(bounds, limits.relay_answer_bytes),
            clients: HashSet::new(),
            kept: HashSet::new(),
            known: Known::new(limits.relay_peers),
            gone: BTreeSet::new(),
            clients_max: limits.relay_peers,
        }
    }

    /// The clients whose connections are kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = PeerId> {
        self.kept.iter().copied()
    }

    /// Says whether a peer has, or had, a mailbox here.
    pub(crate) fn knows(&self, peer: &PeerId) -> bool {
        self.known.places.contains_key(peer)
    }

    /// The connected peers that asked.
    pub(crate) fn clients(&self) -> Vec<PeerId> {
        self.clients.iter().copied().collect()
    }

    /// Says whether answers are on their way.
    pub(crate) fn is_answering(&self) -> bool {
        self.desk.is_answering()
    }

    /// Says whether the relay's queue has room for one more request of a peer. The last half of it is for peers of whom
    /// nothing waits, so that a few who ask much cannot fill it.
    fn has_room(&self, peer: &PeerId) -> bool {
        self.desk.inbound.pending(peer) == 0 || 2 * self.relay.capacity() > self.relay.max_capacity()
    }

    /// Says whether the relay will be told when the peer is gone.
    fn may_serve(&self, peer: &PeerId) -> bool {
        self.clients.contains(peer) || self.clients.len() + self.gone.len() < self.clients_max
    }

    /// Hands the relay a request; says whether there was room.
    fn offer(&mut self, token: RelayToken, peer: &PeerId, request: Vec<u8>) -> bool {
        self.tell_gone();
        let input = RelayInput::Request { token, from: translate::peer_name(peer), request };
        let room = self.gone.is_empty() && self.has_room(peer) && self.may_serve(peer);
        room && self.relay.try_send(input).is_ok()
    }

    /// Tells the relay who is gone, as far as its queue goes. Whoever comes back is served only after that.
    fn tell_gone(&mut self) {
        while let Some(peer) = self.gone.first().copied() {
            match self.relay.try_send(RelayInput::Gone { peer: translate::peer_name(&peer) }) {
                Ok(()) => drop(self.gone.remove(&peer)),
                Err(mpsc::error::TrySendError::Full(_)) => return,
                // Nobody is left to tell.
                Err(mpsc::error::TrySendError::Closed(_)) => self.gone.clear(),
            }
        }
    }
}

impl Net {
    /// Begins to ask a relay, or the one that this node runs itself; it ends in exactly one `Asked`.
    pub(crate) fn ask_relay(&mut self, ask: u64, name: &PeerName, addresses: &[String], request: Vec<u8>) {
        if translate::peer_id(name).as_ref() != Some(self.swarm.local_peer_id()) {
            self.ask_peer::<Questions>(ask, name, addresses, request);
        } else if let Some(why) = self.objection::<Questions>(&request) {
            self.end::<Questions>(ask, why);
        } else if self.relay.is_none() {
            Questions::tell(self, ask, AskOutcome::Unsupported);
        } else {
            let me = *self.swarm.local_peer_id();
            self.serve::<Questions>((me, Standing::Known), request, None, Back::Own(ask));
        }
    }

    pub(crate) fn expire_mailbox(&mut self, now: Moment) {
        self.expire_questions::<Questions>(now);
        if let Some(relay) = &mut self.relay {
            let live = &self.connections.live;
            relay.desk.inbound.forget(now, |peer| live.contains_key(peer));
            relay.tell_gone();
        }
    }

    /// Answers busy to whoever still waits for the relay: it is stopping.
    pub(crate) fn turn_clients_away(&mut self) {
        let waiting = self.relay.as_ref().map(|relay| relay.desk.inbound.tokens()).unwrap_or_default();
        for token in waiting {
            self.reply::<Questions>(token, BUSY);
        }
    }

    /// Keeps the connections of a client open until it leaves.
    pub(crate) fn keep_client(&mut self, name: &PeerName) {
        let Some(peer) = translate::peer_id(name).filter(|peer| self.connections.live.contains_key(peer)) else {
            return;
        };
        let Some(relay) = self.relay.as_mut().filter(|relay| relay.clients.contains(&peer)) else { return };
        if !relay.kept.insert(peer) {
            return;
        }
        let forgotten = relay.known.note(peer);
        self.welcome(peer);
        if let Some(forgotten) = forgotten {
            self.unwelcome(&forgotten);
        }
        self.keep_anchors();
    }

    /// A peer's last connection is gone: the relay is told if it asked.
    pub(crate) fn client_gone(&mut self, peer: PeerId) {
        let Some(relay) = &mut self.relay else { return };
        if relay.clients.remove(&peer) {
            relay.kept.remove(&peer);
            relay.gone.insert(peer);
            relay.tell_gone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_who_were_kept_the_newest_are_known() {
        let mut known = Known::new(2);
        let [alice, bob, carol] = [PeerId::random(), PeerId::random(), PeerId::random()];
        assert_eq!((known.note(alice), known.note(bob), known.note(alice)), (None, None, None));
        assert_eq!(known.note(carol), Some(bob));
        assert_eq!((known.places.len(), known.order.len()), (2, 2));
        assert_eq!(known.note(bob), Some(alice));
    }
}
