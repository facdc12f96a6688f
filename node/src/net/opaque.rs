//! What the protocols have in common whose questions and answers are not read here: each question ends once, each request
//! is answered once, both within bounds.
//! Must not know what is asked or answered, nor who answers.

use super::{
    inbound::{Bounds, Inbound, RETRY_AFTER_MS, Standing},
    outbound::{Asking, Outbound},
    run::Net,
    types::{AskOutcome, NetEvent, PeerName},
    wire::{Codec, Flaw, Layout, Reply},
};
use crate::clock::Moment;
use libp2p::{
    PeerId,
    request_response::{
        Behaviour, Event, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
    },
};
use std::{collections::HashMap, hash::Hash};

/// What happens on such a protocol.
pub(crate) type OpaqueEvent = Event<Result<Vec<u8>, Flaw>, Reply>;

/// Not now.
pub(crate) const BUSY: Reply = Reply::Busy { retry_after_ms: RETRY_AFTER_MS };

/// A protocol over which this node asks and is asked what it does not read.
pub(crate) trait Opaque: Sized {
    /// How its messages travel.
    type Wire: Layout<Request = Vec<u8>, Answer = Reply>;
    /// Why something is not even tried.
    const CROWDED: &'static str;

    /// Where its streams are.
    fn behaviour(net: &mut Net) -> &mut Behaviour<Codec<Self::Wire>>;
    /// Where what is asked is kept.
    fn questions(net: &mut Net) -> &mut Outbound<Self>;
    /// Where requests wait; none where nobody answers.
    fn desk(net: &mut Net) -> Option<&mut Desk>;
    /// Says for whom room is left.
    fn standing(net: &Net, peer: &PeerId) -> Standing;
    /// Hands a request to whoever answers it; says whether there was room.
    fn hand_on(net: &mut Net, token: u64, peer: PeerId, request: Vec<u8>) -> bool;
}

impl<P: Opaque> Asking for P {
    type Request = Vec<u8>;
    type Outcome = AskOutcome;
    const CROWDED: &'static str = <P as Opaque>::CROWDED;

    fn outbound(net: &mut Net) -> &mut Outbound<Self> {
        P::questions(net)
    }

    fn send(net: &mut Net, peer: &PeerId, request: Vec<u8>) -> OutboundRequestId {
        P::behaviour(net).send_request(peer, Ok(request))
    }

    fn unreachable(why: &'static str) -> AskOutcome {
        AskOutcome::Unreachable { why }
    }

    fn tell(net: &mut Net, ask: u64, outcome: AskOutcome) {
        net.events.answer(NetEvent::Asked { ask, outcome });
    }
}

/// Requests that wait, and answers on their way.
pub(crate) struct Desk {
    pub(crate) inbound: Inbound<Back>,
    answers: Answers<InboundRequestId>,
}

/// The way back to whoever asked.
pub(crate) enum Back {
    /// A peer.
    Peer(ResponseChannel<Reply>),
    /// This node's own app, under its number.
    Own(u64),
}

impl Desk {
    pub(crate) fn new(bounds: Bounds, answer_bytes: usize) -> Self {
        Self { inbound: Inbound::new(bounds), answers: Answers::new(answer_bytes) }
    }

    /// Says whether answers are on their way.
    pub(crate) fn is_answering(&self) -> bool {
        !self.answers.flying.is_empty()
    }

    /// Takes a request off and counts its answer as on its way, which says to wait where there is no room for it.
    fn close(&mut self, token: u64, mut reply: Reply) -> Option<(Option<InboundRequestId>, Back, Reply)> {
        let (peer, id, back) = self.inbound.take(token)?;
        if let Some(id) = id {
            if !self.answers.has_room(&peer, reply.len()) {
                reply = BUSY;
            }
            self.answers.leaves(peer, id, reply.len());
        }
        Some((id, back, reply))
    }
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

impl Net {
    /// Says why a question is not even tried.
    pub(crate) fn objection<P: Opaque>(&mut self, request: &[u8]) -> Option<&'static str> {
        if request.is_empty() || request.len() > P::Wire::REQUEST_MAX {
            return Some("no question of a valid size");
        }
        // Answers are large: what the app has not read counts as under way.
        (self.events.unread_asks() >= P::questions(self).room()).then_some(<P as Opaque>::CROWDED)
    }

    /// Begins to ask a peer; it ends in exactly one `Asked`.
    pub(crate) fn ask_peer<P: Opaque>(&mut self, ask: u64, name: &PeerName, addresses: &[String], request: Vec<u8>) {
        match self.objection::<P>(&request) {
            Some(why) => self.end::<P>(ask, why),
            None => self.begin::<P>(ask, name, addresses, request),
        }
    }

    /// Ends what has waited too long, either way: whoever did not answer in time is answered for.
    pub(crate) fn expire_questions<P: Opaque>(&mut self, now: Moment) {
        self.expire_outbound::<P>(now);
        while let Some(token) = P::desk(self).and_then(|desk| desk.inbound.next_late(now)) {
            self.reply::<P>(token, BUSY);
        }
    }

    pub(crate) fn on_opaque<P: Opaque>(&mut self, event: OpaqueEvent) {
        match event {
            Event::Message { peer, message: Message::Request { request_id, request, channel }, .. } => match request {
                Ok(request) => {
                    let asker = (peer, P::standing(self, &peer));
                    self.serve::<P>(asker, request, Some(request_id), Back::Peer(channel));
                }
                Err(Flaw::Crowded) => drop(self.give_back::<P>(Back::Peer(channel), BUSY)),
                Err(flaw) => self.judge_flaw(peer, flaw),
            },
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                self.landed::<P>(peer, request_id, outcome(response));
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                let why = self.judge_failure(peer, &error);
                let outcome = match error {
                    OutboundFailure::UnsupportedProtocols => AskOutcome::Unsupported,
                    _ => AskOutcome::Unreachable { why },
                };
                self.landed::<P>(peer, request_id, outcome);
            }
            Event::InboundFailure { peer, request_id, error, .. } => {
                if let Some(desk) = P::desk(self) {
                    desk.inbound.lost(request_id);
                    desk.answers.left(request_id);
                }
                self.judge_inbound(peer, &error);
            }
            Event::ResponseSent { request_id, .. } => {
                if let Some(desk) = P::desk(self) {
                    desk.answers.left(request_id);
                }
            }
        }
    }

    /// Hands a request on if the peer's allowance, the total and the queue of whoever answers have room; else answers busy.
    /// Who did wrong is heard less (R-NET-7).
    pub(crate) fn serve<P: Opaque>(
        &mut self,
        asker: (PeerId, Standing),
        request: Vec<u8>,
        id: Option<InboundRequestId>,
        back: Back,
    ) {
        let (now, (peer, standing)) = (self.clock.moment(), asker);
        let weight = self.scores.weight(&peer, now);
        let until = now.saturating_add(self.config.limits.verdict_timeout);
        let Some(desk) = P::desk(self) else { return };
        let token = desk.inbound.next_token();
        if let Err(retry_after_ms) = desk.inbound.admit(peer, standing, weight, now) {
            self.give_back::<P>(back, Reply::Busy { retry_after_ms });
        } else if !P::hand_on(self, token, peer, request) {
            self.give_back::<P>(back, BUSY);
        } else if let Some(desk) = P::desk(self) {
            desk.inbound.take_in(asker, id, back, until);
        }
    }

    /// Gives an answer; a request whose peer is gone or was answered meanwhile is passed over.
    pub(crate) fn answer_asker<P: Opaque>(&mut self, token: u64, answer: Vec<u8>) {
        // One byte says that it is an answer.
        let reply = if answer.len() < P::Wire::ANSWER_MAX {
            Reply::Answer(answer)
        } else {
            tracing::error!(protocol = %P::Wire::NAME, "an answer is too large");
            BUSY
        };
        self.reply::<P>(token, reply);
    }

    pub(crate) fn reply<P: Opaque>(&mut self, token: u64, reply: Reply) {
        let Some((id, back, reply)) = P::desk(self).and_then(|desk| desk.close(token, reply)) else { return };
        if !self.give_back::<P>(back, reply)
            && let (Some(id), Some(desk)) = (id, P::desk(self))
        {
            desk.answers.left(id);
        }
    }

    /// Says whether the answer is on its way.
    fn give_back<P: Opaque>(&mut self, back: Back, reply: Reply) -> bool {
        match back {
            // An error gives the answer back: the peer is gone, and will ask again.
            Back::Peer(channel) => P::behaviour(self).send_response(channel, reply).is_ok(),
            Back::Own(ask) => {
                P::tell(self, ask, outcome(reply));
                true
            }
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
}
