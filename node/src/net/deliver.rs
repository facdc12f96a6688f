//! The deliver protocol: frames out with one outcome each, frames in with one verdict each, both within bounds.
//! Must not open an envelope.

use super::{
    inbound::{Bounds, Inbound, RETRY_AFTER_MS, Standing},
    outbound::{Asking, Outbound},
    peers::limits::Limits,
    run::Net,
    translate,
    types::{DeliverOutcome, Frame, InboundToken, NetEvent, PeerName, Verdict},
    wire::Flaw,
};
use crate::clock::Moment;
use kith_protocol::limits::ENVELOPE_MAX;
use libp2p::{
    PeerId,
    request_response::{
        Event, InboundFailure, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
    },
};
use std::io;

type DeliverEvent = Event<Result<Frame, Flaw>, Verdict>;

/// Frames under way, out and in.
pub(crate) struct Deliveries {
    pub(crate) out: Outbound<Frames>,
    inbound: Inbound<ResponseChannel<Verdict>>,
}

impl Deliveries {
    pub(crate) fn new(limits: &Limits) -> Self {
        let bounds = Bounds {
            rate: limits.inbound_rate,
            burst: limits.inbound_burst,
            per_peer: limits.inbound_per_peer,
            total: limits.inbound_total,
        };
        Self { out: Outbound::new(limits.outbound_per_peer, limits.outbound_total), inbound: Inbound::new(bounds) }
    }
}

/// Frames to deliver.
pub(crate) struct Frames;

impl Asking for Frames {
    type Request = Frame;
    type Outcome = DeliverOutcome;
    const CROWDED: &'static str = "too many frames wait here";

    fn outbound(net: &mut Net) -> &mut Outbound<Self> {
        &mut net.deliveries.out
    }

    fn send(net: &mut Net, peer: &PeerId, frame: Frame) -> OutboundRequestId {
        net.swarm.behaviour_mut().deliver.send_request(peer, Ok(frame))
    }

    fn unreachable(why: &'static str) -> DeliverOutcome {
        DeliverOutcome::Unreachable { why }
    }

    fn tell(net: &mut Net, attempt: u64, outcome: DeliverOutcome) {
        net.events.answer(NetEvent::DeliverDone { attempt, outcome });
    }
}

impl Net {
    /// Begins an attempt to deliver; it ends in exactly one `DeliverDone`.
    pub(crate) fn deliver(&mut self, attempt: u64, name: &PeerName, addresses: &[String], frame: Frame) {
        if frame.envelope.is_empty() || frame.envelope.len() > ENVELOPE_MAX {
            return self.end::<Frames>(attempt, "no envelope of a valid size");
        }
        self.begin::<Frames>(attempt, name, addresses, frame);
    }

    pub(crate) fn expire_deliveries(&mut self, now: Moment) {
        self.expire_outbound::<Frames>(now);
        // An app that did not answer in time is answered for.
        while let Some(token) = self.deliveries.inbound.next_late(now) {
            self.answer(InboundToken(token), Verdict::Busy { retry_after_ms: RETRY_AFTER_MS });
        }
        let live = &self.connections.live;
        self.deliveries.inbound.forget(now, |peer| live.contains_key(peer));
    }

    pub(crate) fn on_deliver(&mut self, event: DeliverEvent) {
        match event {
            Event::Message { peer, message: Message::Request { request_id, request, channel }, .. } => match request {
                Ok(frame) => self.on_frame(peer, request_id, frame, channel),
                Err(Flaw::Crowded) => self.respond(channel, Verdict::Busy { retry_after_ms: RETRY_AFTER_MS }),
                Err(flaw) => self.judge_flaw(peer, flaw),
            },
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                let outcome = match response {
                    Verdict::Accepted => DeliverOutcome::Accepted,
                    Verdict::Busy { retry_after_ms } => DeliverOutcome::Busy { retry_after_ms },
                    Verdict::Refused => DeliverOutcome::Refused,
                };
                self.landed::<Frames>(peer, request_id, outcome);
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                let why = self.judge_failure(peer, &error);
                self.landed::<Frames>(peer, request_id, DeliverOutcome::Unreachable { why });
            }
            Event::InboundFailure { peer, request_id, error, .. } => {
                self.deliveries.inbound.lost(request_id);
                self.judge_inbound(peer, &error);
            }
            Event::ResponseSent { .. } => {}
        }
    }

    /// Takes a frame in if the peer's allowance, the total and the app's queue have room; else answers busy. Contacts find
    /// room that strangers cannot take. Who did wrong is heard less (R-NET-7).
    fn on_frame(&mut self, peer: PeerId, request: InboundRequestId, frame: Frame, channel: ResponseChannel<Verdict>) {
        let now = self.clock.moment();
        let weight = self.scores.weight(&peer, now);
        let standing = if self.contacts.contains(&peer) { Standing::Known } else { Standing::Stranger };
        if let Err(retry_after_ms) = self.deliveries.inbound.admit(peer, standing, weight, now) {
            return self.respond(channel, Verdict::Busy { retry_after_ms });
        }
        let token = InboundToken(self.deliveries.inbound.next_token());
        if !self.events.offer(NetEvent::Inbound { token, from: translate::peer_name(&peer), frame }) {
            return self.respond(channel, Verdict::Busy { retry_after_ms: RETRY_AFTER_MS });
        }
        let until = now.saturating_add(self.config.limits.verdict_timeout);
        self.deliveries.inbound.take_in((peer, standing), Some(request), channel, until);
    }

    /// Gives the app's verdict; a frame whose peer is gone or was answered meanwhile is passed over.
    pub(crate) fn answer(&mut self, token: InboundToken, verdict: Verdict) {
        if let Some((_, _, channel)) = self.deliveries.inbound.take(token.0) {
            self.respond(channel, verdict);
        }
    }

    fn respond(&mut self, channel: ResponseChannel<Verdict>, verdict: Verdict) {
        // An error gives the verdict back: the peer is gone, and will send the frame again.
        let _ = self.swarm.behaviour_mut().deliver.send_response(channel, verdict);
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
            // Others hold what is missing here.
            Flaw::Crowded => {}
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
