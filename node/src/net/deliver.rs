//! The deliver protocol: frames out with one outcome each, frames in with one verdict each, both within bounds.
//! Must not open an envelope.

use super::{
    connections::Way,
    peers::limits::Bucket,
    run::Net,
    translate,
    types::{DeliverOutcome, Frame, InboundToken, NetEvent, PeerName, Verdict},
    wire::Flaw,
};
use crate::clock::Moment;
use kith_protocol::limits::{ADDRESSES_MAX, ENVELOPE_MAX};
use libp2p::{
    PeerId,
    request_response::{
        Event, InboundFailure, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
    },
};
use std::{
    collections::{HashMap, VecDeque},
    io,
};

/// Why a frame is not even tried.
const CROWDED: &str = "too many frames wait here";
/// What a sender is told when the app is busy, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

type DeliverEvent = Event<Result<Frame, Flaw>, Verdict>;

/// Frames under way.
#[derive(Default)]
pub(crate) struct Deliveries {
    /// Frames that wait for a connection or for room in the window, in order.
    waiting: HashMap<PeerId, VecDeque<Waiting>>,
    flying: HashMap<OutboundRequestId, u64>,
    windows: HashMap<PeerId, usize>,
    total: usize,
    inbound: HashMap<u64, Inbound>,
    requests: HashMap<InboundRequestId, u64>,
    /// Tokens in the order of their deadlines.
    deadlines: VecDeque<(Moment, u64)>,
    next_token: u64,
    allowances: HashMap<PeerId, Allowance>,
    /// Frames of peers that are no contacts, which wait for the app.
    strangers: usize,
}

struct Waiting {
    attempt: u64,
    frame: Frame,
    until: Moment,
}

struct Inbound {
    peer: PeerId,
    request: InboundRequestId,
    channel: ResponseChannel<Verdict>,
    /// Came from a peer that was no contact.
    stranger: bool,
}

/// What one peer may still send.
struct Allowance {
    bucket: Bucket,
    pending: usize,
}

impl Deliveries {
    /// Says whether frames wait for a connection to the peer.
    pub(crate) fn awaits(&self, peer: &PeerId) -> bool {
        self.waiting.contains_key(peer)
    }

    fn take_inbound(&mut self, token: u64) -> Option<Inbound> {
        let inbound = self.inbound.remove(&token)?;
        self.requests.remove(&inbound.request);
        self.strangers = self.strangers.saturating_sub(usize::from(inbound.stranger));
        if let Some(allowance) = self.allowances.get_mut(&inbound.peer) {
            allowance.pending = allowance.pending.saturating_sub(1);
        }
        Some(inbound)
    }
}

impl Net {
    /// Begins an attempt to deliver; it ends in exactly one `DeliverDone`.
    pub(crate) fn deliver(&mut self, attempt: u64, name: &PeerName, addresses: &[String], frame: Frame) {
        let begun = match translate::peer_id(name) {
            _ if frame.envelope.is_empty() || frame.envelope.len() > ENVELOPE_MAX => Err("no envelope of a valid size"),
            None => Err("not the name of a peer"),
            Some(peer) if !self.make_room(&peer) => Err(CROWDED),
            Some(peer) => {
                let addresses = translate::addresses_of(&peer, addresses, ADDRESSES_MAX * 2);
                self.reach_out(peer, addresses).map(|way| (peer, way))
            }
        };
        let (peer, way) = match begun {
            Ok(begun) => begun,
            Err(why) => return self.delivered(attempt, DeliverOutcome::Unreachable { why }),
        };
        let limits = &self.config.limits;
        let until = self.clock.deadline(limits.handshake_timeout.saturating_add(limits.request_timeout));
        self.deliveries.total += 1;
        self.deliveries.waiting.entry(peer).or_default().push_back(Waiting { attempt, frame, until });
        if way == Way::Open {
            self.pump_deliveries(peer);
        }
    }

    /// Says whether one more frame may wait for a peer. When all room is taken, the peer for whom most frames wait gives up
    /// its newest, so that somebody who answers slowly or not at all costs others nothing.
    fn make_room(&mut self, peer: &PeerId) -> bool {
        if self.deliveries.total < self.config.limits.outbound_total {
            return true;
        }
        let mine = self.deliveries.waiting.get(peer).map_or(0, VecDeque::len);
        let first = mine == 0 && !self.deliveries.windows.contains_key(peer);
        if first && self.deliveries.total < 2 * self.config.limits.outbound_total {
            return true;
        }
        let most = self.deliveries.waiting.values_mut().max_by_key(|waiting| waiting.len());
        let Some(newest) = most.filter(|most| most.len() > mine + 1).and_then(VecDeque::pop_back) else { return false };
        self.deliveries.total -= 1;
        self.delivered(newest.attempt, DeliverOutcome::Unreachable { why: CROWDED });
        true
    }

    /// Sends what waits for a peer, as far as its window goes.
    pub(crate) fn pump_deliveries(&mut self, peer: PeerId) {
        let Some(waiting) = self.deliveries.waiting.get_mut(&peer) else { return };
        let window = self.deliveries.windows.entry(peer).or_default();
        while *window < self.config.limits.outbound_per_peer.max(1)
            && let Some(Waiting { attempt, frame, .. }) = waiting.pop_front()
        {
            let id = self.swarm.behaviour_mut().deliver.send_request(&peer, Ok(frame));
            self.deliveries.flying.insert(id, attempt);
            *window += 1;
        }
        if waiting.is_empty() {
            self.deliveries.waiting.remove(&peer);
        }
    }

    /// Ends everything that waits for a connection to a peer.
    pub(crate) fn fail_deliveries(&mut self, peer: PeerId, why: &'static str) {
        for waiting in self.deliveries.waiting.remove(&peer).unwrap_or_default() {
            self.deliveries.total -= 1;
            self.delivered(waiting.attempt, DeliverOutcome::Unreachable { why });
        }
    }

    pub(crate) fn expire_deliveries(&mut self, now: Moment) {
        let mut late = Vec::new();
        self.deliveries.waiting.retain(|_, waiting| {
            while waiting.front().is_some_and(|first| first.until <= now) {
                late.extend(waiting.pop_front().map(|first| first.attempt));
            }
            !waiting.is_empty()
        });
        for attempt in late {
            self.deliveries.total -= 1;
            self.delivered(attempt, DeliverOutcome::Unreachable { why: "no connection in time" });
        }
        // Nothing is lost by forgetting a bucket that is full again; one that is not outlives its connection.
        let live = &self.connections.live;
        self.deliveries.allowances.retain(|peer, allowance| {
            allowance.pending > 0 || live.contains_key(peer) || !allowance.bucket.is_full(now)
        });
    }

    fn delivered(&mut self, attempt: u64, outcome: DeliverOutcome) {
        self.events.answer(NetEvent::DeliverDone { attempt, outcome });
    }

    fn landed(&mut self, peer: PeerId, id: OutboundRequestId, outcome: DeliverOutcome) {
        let Some(attempt) = self.deliveries.flying.remove(&id) else { return };
        self.deliveries.total -= 1;
        if let Some(window) = self.deliveries.windows.get_mut(&peer) {
            *window = window.saturating_sub(1);
            if *window == 0 {
                self.deliveries.windows.remove(&peer);
            }
        }
        self.delivered(attempt, outcome);
        if self.swarm.is_connected(&peer) {
            self.pump_deliveries(peer);
        } else if self.deliveries.awaits(&peer)
            && let Err(why) = self.reach_out(peer, Vec::new())
        {
            self.fail_deliveries(peer, why);
        }
    }

    pub(crate) fn on_deliver(&mut self, event: DeliverEvent) {
        match event {
            Event::Message { peer, message: Message::Request { request_id, request, channel }, .. } => match request {
                Ok(frame) => self.on_frame(peer, request_id, frame, channel),
                Err(flaw) => self.judge_flaw(peer, flaw),
            },
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                let outcome = match response {
                    Verdict::Accepted => DeliverOutcome::Accepted,
                    Verdict::Busy { retry_after_ms } => DeliverOutcome::Busy { retry_after_ms },
                    Verdict::Refused => DeliverOutcome::Refused,
                };
                self.landed(peer, request_id, outcome);
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                let why = self.judge_failure(peer, &error);
                self.landed(peer, request_id, DeliverOutcome::Unreachable { why });
            }
            Event::InboundFailure { peer, request_id, error, .. } => {
                if let Some(token) = self.deliveries.requests.get(&request_id).copied() {
                    self.deliveries.take_inbound(token);
                }
                self.judge_inbound(peer, &error);
            }
            Event::ResponseSent { .. } => {}
        }
    }

    /// Takes a frame in if the peer's allowance, the total and the app's queue have room; else answers busy.
    fn on_frame(&mut self, peer: PeerId, request: InboundRequestId, frame: Frame, channel: ResponseChannel<Verdict>) {
        let now = self.clock.moment();
        if let Err(retry_after_ms) = self.admit(peer, now) {
            return self.respond(channel, Verdict::Busy { retry_after_ms });
        }
        let token = self.deliveries.next_token;
        let event = NetEvent::Inbound { token: InboundToken(token), from: translate::peer_name(&peer), frame };
        if !self.events.offer(event) {
            return self.respond(channel, Verdict::Busy { retry_after_ms: RETRY_AFTER_MS });
        }
        self.deliveries.next_token = token.wrapping_add(1);
        let stranger = !self.contacts.contains(&peer);
        self.deliveries.strangers += usize::from(stranger);
        self.deliveries.inbound.insert(token, Inbound { peer, request, channel, stranger });
        self.deliveries.requests.insert(request, token);
        self.deliveries.deadlines.push_back((now.saturating_add(self.config.limits.verdict_timeout), token));
        if let Some(allowance) = self.deliveries.allowances.get_mut(&peer) {
            allowance.pending += 1;
        }
    }

    /// Says whether there is room for one more frame of the peer. Strangers together get half of it, so that they cannot
    /// keep contacts out. Who did wrong is heard less (R-NET-7).
    fn admit(&mut self, peer: PeerId, now: Moment) -> Result<(), u64> {
        let weight = self.scores.weight(&peer, now);
        let limits = &self.config.limits;
        let fresh = || Allowance { bucket: Bucket::new(limits.inbound_rate, limits.inbound_burst, now), pending: 0 };
        let allowance = self.deliveries.allowances.entry(peer).or_insert_with(fresh);
        allowance.bucket.take_several(weight, now)?;
        let full = allowance.pending >= limits.inbound_per_peer
            || self.deliveries.inbound.len() >= limits.inbound_total
            || (!self.contacts.contains(&peer) && self.deliveries.strangers >= limits.inbound_total / 2);
        if full { Err(RETRY_AFTER_MS) } else { Ok(()) }
    }

    /// Gives the app's verdict; a frame whose peer is gone or was answered meanwhile is passed over.
    pub(crate) fn answer(&mut self, token: InboundToken, verdict: Verdict) {
        if let Some(inbound) = self.deliveries.take_inbound(token.0) {
            self.respond(inbound.channel, verdict);
        }
    }

    fn respond(&mut self, channel: ResponseChannel<Verdict>, verdict: Verdict) {
        // An error gives the verdict back: the peer is gone, and will send the frame again.
        let _ = self.swarm.behaviour_mut().deliver.send_response(channel, verdict);
    }

    /// Answers busy for an app that did not answer in time.
    pub(crate) fn expire_inbound(&mut self, now: Moment) {
        while self
            .deliveries
            .deadlines
            .front()
            .is_some_and(|(until, token)| *until <= now || !self.deliveries.inbound.contains_key(token))
        {
            if let Some((_, token)) = self.deliveries.deadlines.pop_front() {
                self.answer(InboundToken(token), Verdict::Busy { retry_after_ms: RETRY_AFTER_MS });
            }
        }
    }

    /// Scores a failed exchange that this node began; returns the reason for `why`.
    pub(crate) fn judge_failure(&mut self, peer: PeerId, error: &OutboundFailure) -> &'static str {
        match error {
            OutboundFailure::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.violation_and_close(peer);
                "the answer was unreadable"
            }
            OutboundFailure::Timeout => {
                self.transient(peer);
                "no answer in time"
            }
            OutboundFailure::Io(_) => {
                self.transient(peer);
                "the stream broke"
            }
            OutboundFailure::ConnectionClosed => "the connection closed",
            OutboundFailure::DialFailure => "no connection",
            OutboundFailure::UnsupportedProtocols => "it does not speak this protocol",
        }
    }

    /// Scores a request that could not be read; its stream closes without an answer.
    pub(crate) fn judge_flaw(&mut self, peer: PeerId, flaw: Flaw) {
        match flaw {
            Flaw::Invalid => self.violation_and_close(peer),
            Flaw::Broken => self.transient(peer),
        }
    }

    /// Scores a failed answer to a request that the peer began.
    pub(crate) fn judge_inbound(&mut self, peer: PeerId, error: &InboundFailure) {
        match error {
            InboundFailure::Io(_) | InboundFailure::Timeout => self.transient(peer),
            InboundFailure::ConnectionClosed
            | InboundFailure::UnsupportedProtocols
            | InboundFailure::ResponseOmission => {}
        }
    }
}
