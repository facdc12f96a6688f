//! The mailbox protocol: questions to relays with one outcome each, and, where this node runs a relay, requests to it with
//! one answer each; both within bounds.
//! Must not read what is asked or answered.

use super::{
    inbound::{Bounds, Inbound, RETRY_AFTER_MS, Standing},
    outbound::{Asking, Outbound},
    peers::limits::Limits,
    run::Net,
    translate,
    types::{AskOutcome, NetEvent, PeerName, RelayInput, RelayToken},
    wire::{Flaw, Reply},
};
use crate::clock::Moment;
use kith_protocol::limits::{RELAY_ANSWER_MAX, RELAY_REQUEST_MAX};
use libp2p::{
    PeerId,
    request_response::{Event, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::Hash,
};
use tokio::sync::mpsc;

type MailboxEvent = Event<Result<Vec<u8>, Flaw>, Reply>;

/// Questions to relays.
pub(crate) struct Questions;

impl Asking for Questions {
    type Request = Vec<u8>;
    type Outcome = AskOutcome;
    const CROWDED: &'static str = "too many questions wait here";

    fn outbound(net: &mut Net) -> &mut Outbound<Self> {
        &mut net.questions
    }

    fn send(net: &mut Net, peer: &PeerId, request: Vec<u8>) -> OutboundRequestId {
        net.swarm.behaviour_mut().mailbox.send_request(peer, Ok(request))
    }

    fn unreachable(why: &'static str) -> AskOutcome {
        AskOutcome::Unreachable { why }
    }

    fn tell(net: &mut Net, ask: u64, outcome: AskOutcome) {
        net.events.answer(NetEvent::Asked { ask, outcome });
    }
}

/// Requests to the relay that this node runs.
pub(crate) struct Service {
    relay: mpsc::Sender<RelayInput>,
    inbound: Inbound<Back>,
    answers: Answers<InboundRequestId>,
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

/// The way back to whoever asked.
enum Back {
    /// A peer.
    Peer(ResponseChannel<Reply>),
    /// This node's own app, under its number.
    Own(u64),
}

/// Answers on their way: a peer that reads slowly holds memory here.
struct Answers<K> {
    flying: HashMap<K, (PeerId, usize)>,
    peers: HashMap<PeerId, usize>,
    bytes: usize,
    max: usize,
}

impl<K: Eq + Hash> Answers<K> {
    fn new(max: usize) -> Self {
        Self { flying: HashMap::new(), peers: HashMap::new(), bytes: 0, max }
    }

    /// Says whether there is room for an answer; for a peer that has none on its way there is as much again.
    fn has_room(&self, peer: &PeerId, bytes: usize) -> bool {
        let room = if self.peers.contains_key(peer) { self.max } else { self.max.saturating_mul(2) };
        self.bytes.saturating_add(bytes) <= room
    }

    fn leaves(&mut self, peer: PeerId, request: K, bytes: usize) {
        self.bytes += bytes;
        *self.peers.entry(peer).or_default() += 1;
        self.flying.insert(request, (peer, bytes));
    }

    /// An answer arrived, or never will.
    fn left(&mut self, request: K) {
        let Some((peer, bytes)) = self.flying.remove(&request) else { return };
        self.bytes -= bytes;
        if let Some(count) = self.peers.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&peer);
            }
        }
    }
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
            inbound: Inbound::new(bounds),
            answers: Answers::new(limits.relay_answer_bytes),
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
        !self.answers.flying.is_empty()
    }

    /// Says whether the relay's queue has room for one more request of a peer. The last half of it is for peers of whom
    /// nothing waits, so that a few who ask much cannot fill it.
    fn has_room(&self, peer: &PeerId) -> bool {
        self.inbound.pending(peer) == 0 || 2 * self.relay.capacity() > self.relay.max_capacity()
    }

    /// Says whether the relay will be told when the peer is gone.
    fn may_serve(&self, peer: &PeerId) -> bool {
        self.clients.contains(peer) || self.clients.len() + self.gone.len() < self.clients_max
    }

    /// Hands the relay a request, or gives back the way back and for how many milliseconds to wait.
    fn offer(
        &mut self,
        (peer, standing): (PeerId, Standing),
        request: Vec<u8>,
        (id, back): (Option<InboundRequestId>, Back),
        until: Moment,
    ) -> Result<(), (Back, u64)> {
        self.tell_gone();
        let token = RelayToken(self.inbound.next_token());
        let input = RelayInput::Request { token, from: translate::peer_name(&peer), request };
        let offered = self.gone.is_empty() && self.has_room(&peer) && self.may_serve(&peer);
        if !offered || self.relay.try_send(input).is_err() {
            return Err((back, RETRY_AFTER_MS));
        }
        if id.is_some() {
            self.clients.insert(peer);
        }
        self.inbound.take_in((peer, standing), id, back, until);
        Ok(())
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
    /// Begins to ask a relay; it ends in exactly one `Asked`.
    pub(crate) fn ask_relay(&mut self, ask: u64, name: &PeerName, addresses: &[String], request: Vec<u8>) {
        if request.is_empty() || request.len() > RELAY_REQUEST_MAX {
            return self.end::<Questions>(ask, "no question of a valid size");
        }
        if self.events.unread_asks() >= self.config.limits.ask_total {
            return self.end::<Questions>(ask, Questions::CROWDED);
        }
        if translate::peer_id(name).as_ref() == Some(self.swarm.local_peer_id()) {
            return self.ask_own(ask, request);
        }
        self.begin::<Questions>(ask, name, addresses, request);
    }

    /// Asks the relay that this node runs itself.
    fn ask_own(&mut self, ask: u64, request: Vec<u8>) {
        let me = *self.swarm.local_peer_id();
        if self.relay.is_none() {
            return Questions::tell(self, ask, AskOutcome::Unsupported);
        }
        self.serve((me, Standing::Known), request, None, Back::Own(ask));
    }

    pub(crate) fn expire_mailbox(&mut self, now: Moment) {
        self.expire_outbound::<Questions>(now);
        // A relay that did not answer in time is answered for.
        while let Some(token) = self.relay.as_mut().and_then(|relay| relay.inbound.next_late(now)) {
            self.reply_to(token, Reply::Busy { retry_after_ms: RETRY_AFTER_MS });
        }
        if let Some(relay) = &mut self.relay {
            let live = &self.connections.live;
            relay.inbound.forget(now, |peer| live.contains_key(peer));
            relay.tell_gone();
        }
    }

    pub(crate) fn on_mailbox(&mut self, event: MailboxEvent) {
        match event {
            Event::Message { peer, message: Message::Request { request_id, request, channel }, .. } => match request {
                Ok(request) => {
                    let known = self.contacts.contains(&peer)
                        || self.relay.as_ref().is_some_and(|relay| relay.kept.contains(&peer));
                    let standing = if known { Standing::Known } else { Standing::Stranger };
                    self.serve((peer, standing), request, Some(request_id), Back::Peer(channel));
                }
                Err(Flaw::Crowded) => {
                    self.send_back(channel, Reply::Busy { retry_after_ms: RETRY_AFTER_MS });
                }
                Err(flaw) => self.judge_flaw(peer, flaw),
            },
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                self.landed::<Questions>(peer, request_id, outcome(response));
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                let why = self.judge_failure(peer, &error);
                let outcome = match error {
                    OutboundFailure::UnsupportedProtocols => AskOutcome::Unsupported,
                    _ => AskOutcome::Unreachable { why },
                };
                self.landed::<Questions>(peer, request_id, outcome);
            }
            Event::InboundFailure { peer, request_id, error, .. } => {
                if let Some(relay) = &mut self.relay {
                    relay.inbound.lost(request_id);
                    relay.answers.left(request_id);
                }
                self.judge_inbound(peer, &error);
            }
            Event::ResponseSent { request_id, .. } => {
                if let Some(relay) = &mut self.relay {
                    relay.answers.left(request_id);
                }
            }
        }
    }

    /// Hands a request to this node's relay if the peer's allowance, the total and the relay's queue have room; else
    /// answers busy. Who did wrong is heard less (R-NET-7).
    fn serve(
        &mut self,
        (peer, standing): (PeerId, Standing),
        request: Vec<u8>,
        id: Option<InboundRequestId>,
        back: Back,
    ) {
        let now = self.clock.moment();
        let weight = self.scores.weight(&peer, now);
        let until = now.saturating_add(self.config.limits.verdict_timeout);
        let Some(relay) = &mut self.relay else { return };
        let refused = match relay.inbound.admit(peer, standing, weight, now) {
            Ok(()) => relay.offer((peer, standing), request, (id, back), until),
            Err(retry_after_ms) => Err((back, retry_after_ms)),
        };
        if let Err((back, retry_after_ms)) = refused {
            self.give_back(back, Reply::Busy { retry_after_ms });
        }
    }

    /// Gives the relay's answer; a request whose peer is gone or was answered meanwhile is passed over.
    pub(crate) fn answer_relay(&mut self, token: RelayToken, answer: Vec<u8>) {
        let reply = if answer.len() > RELAY_ANSWER_MAX {
            tracing::error!("the relay's answer is too large");
            Reply::Busy { retry_after_ms: RETRY_AFTER_MS }
        } else {
            Reply::Answer(answer)
        };
        self.reply_to(token.0, reply);
    }

    fn reply_to(&mut self, token: u64, mut reply: Reply) {
        let Some(relay) = &mut self.relay else { return };
        let Some((peer, id, back)) = relay.inbound.take(token) else { return };
        if let Some(id) = id {
            if !relay.answers.has_room(&peer, reply.len()) {
                reply = Reply::Busy { retry_after_ms: RETRY_AFTER_MS };
            }
            relay.answers.leaves(peer, id, reply.len());
        }
        if !self.give_back(back, reply)
            && let (Some(id), Some(relay)) = (id, &mut self.relay)
        {
            relay.answers.left(id);
        }
    }

    /// Answers busy to whoever still waits for the relay: it is stopping.
    pub(crate) fn turn_clients_away(&mut self) {
        let waiting = self.relay.as_ref().map(|relay| relay.inbound.tokens()).unwrap_or_default();
        for token in waiting {
            self.reply_to(token, Reply::Busy { retry_after_ms: RETRY_AFTER_MS });
        }
    }

    /// Says whether the answer is on its way.
    fn give_back(&mut self, back: Back, reply: Reply) -> bool {
        match back {
            Back::Peer(channel) => return self.send_back(channel, reply),
            Back::Own(ask) => Questions::tell(self, ask, outcome(reply)),
        }
        true
    }

    fn send_back(&mut self, channel: ResponseChannel<Reply>, reply: Reply) -> bool {
        // An error gives the answer back: the peer is gone, and will ask again.
        self.swarm.behaviour_mut().mailbox.send_response(channel, reply).is_ok()
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

fn outcome(reply: Reply) -> AskOutcome {
    match reply {
        Reply::Answer(answer) => AskOutcome::Answered(answer),
        Reply::Busy { retry_after_ms } => AskOutcome::Busy { retry_after_ms },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_net_3_answers_on_their_way_are_bounded_and_a_first_one_has_as_much_room_again() {
        let mut answers = Answers::new(100);
        let [slow, alice, bob, carol] = [PeerId::random(), PeerId::random(), PeerId::random(), PeerId::random()];
        answers.leaves(slow, 1, 60);
        assert!(!answers.has_room(&slow, 60));
        assert!(answers.has_room(&slow, 40) && answers.has_room(&alice, 60));
        answers.leaves(alice, 2, 60);
        answers.leaves(bob, 3, 60);
        assert!(!answers.has_room(&carol, 60) && answers.has_room(&carol, 20));
        for request in [1, 1, 2, 3] {
            answers.left(request);
        }
        assert_eq!((answers.bytes, answers.peers.len(), answers.flying.len()), (0, 0, 0));
        assert!(answers.has_room(&slow, 100));
    }

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
