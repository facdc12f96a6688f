//! The descriptor protocol: asks one peer for records, answers from this node's own and held ones; an empty question
//! is an echo, which measures a round trip.
//! Must not know what a record says.

use super::{
    connections::Way,
    handle::PingError,
    peers::limits::{Bucket, DESCRIPTOR_BURST, DESCRIPTOR_RATE},
    run::Net,
    translate,
    wire::{Flaw, Records},
};
use crate::clock::Moment;
use kith_protocol::{RecordKey, limits::ADDRESSES_MAX};
use libp2p::{
    PeerId,
    request_response::{Event, Message, OutboundRequestId},
};
use std::{collections::HashMap, time::Duration};
use tokio::sync::oneshot;

/// Questions that wait for connections; more fail at once.
const WAITING: usize = 512;

/// Questions to peers.
#[derive(Default)]
pub(crate) struct Direct {
    waiting: HashMap<PeerId, Vec<(Want, Moment)>>,
    flying: HashMap<OutboundRequestId, (Want, Moment)>,
    buckets: HashMap<PeerId, Bucket>,
}

/// What is asked of a peer.
pub(crate) enum Want {
    /// Records, for a lookup.
    Records { fetch: u64, keys: Vec<RecordKey> },
    /// A sign of life.
    Echo(oneshot::Sender<Result<Duration, PingError>>),
}

impl Direct {
    /// Says whether questions wait for a connection to the peer.
    pub(crate) fn awaits(&self, peer: &PeerId) -> bool {
        self.waiting.contains_key(peer)
    }
}

impl Net {
    pub(crate) fn ping(
        &mut self,
        peer: PeerId,
        addresses: &[String],
        reply: oneshot::Sender<Result<Duration, PingError>>,
    ) {
        let addresses = translate::addresses_of(&peer, addresses, ADDRESSES_MAX * 2);
        self.ask(peer, addresses, Want::Echo(reply));
    }

    /// Asks a peer over an open connection, or dials it first.
    pub(crate) fn ask(&mut self, peer: PeerId, addresses: Vec<libp2p::Multiaddr>, want: Want) {
        match self.reach_out(peer, addresses) {
            Ok(Way::Open) => self.send_want(peer, want),
            Ok(Way::Dialing) if self.direct.waiting.values().map(Vec::len).sum::<usize>() < WAITING => {
                let until = self.clock.deadline(self.config.limits.handshake_timeout);
                self.direct.waiting.entry(peer).or_default().push((want, until));
            }
            Ok(Way::Dialing) => self.give_up(want, "too many questions wait here"),
            Err(why) => self.give_up(want, why),
        }
    }

    fn send_want(&mut self, peer: PeerId, want: Want) {
        let keys = match &want {
            Want::Records { keys, .. } => keys.clone(),
            Want::Echo(_) => Vec::new(),
        };
        let id = self.swarm.behaviour_mut().descriptor.send_request(&peer, Ok(keys));
        self.direct.flying.insert(id, (want, self.clock.moment()));
    }

    /// Sends the questions that waited for this connection.
    pub(crate) fn ask_waiting(&mut self, peer: PeerId) {
        for (want, _) in self.direct.waiting.remove(&peer).unwrap_or_default() {
            self.send_want(peer, want);
        }
    }

    /// Ends the questions that waited for a connection that does not come.
    pub(crate) fn fail_direct(&mut self, peer: PeerId, why: &'static str) {
        for (want, _) in self.direct.waiting.remove(&peer).unwrap_or_default() {
            self.give_up(want, why);
        }
    }

    pub(crate) fn expire_direct(&mut self, now: Moment) {
        let late = |waiting: &Vec<(Want, Moment)>| waiting.iter().any(|(_, until)| *until <= now);
        let peers: Vec<_> =
            self.direct.waiting.iter().filter(|(_, waiting)| late(waiting)).map(|(peer, _)| *peer).collect();
        peers.into_iter().for_each(|peer| self.fail_direct(peer, "no connection in time"));
        let live = &self.connections.live;
        self.direct.buckets.retain(|peer, _| live.contains_key(peer));
    }

    fn give_up(&mut self, want: Want, why: &'static str) {
        match want {
            Want::Records { fetch, .. } => self.direct_failed(fetch),
            Want::Echo(reply) => drop(reply.send(Err(PingError::Unreachable(why)))),
        }
    }

    pub(crate) fn on_descriptor(&mut self, event: Event<Result<Vec<RecordKey>, Flaw>, Records>) {
        match event {
            Event::Message { peer, message: Message::Request { request: Err(flaw), .. }, .. } => {
                self.judge_flaw(peer, flaw);
            }
            Event::Message { peer, message: Message::Request { request: Ok(keys), channel, .. }, .. } => {
                let now = self.clock.moment();
                let fresh = || Bucket::new(DESCRIPTOR_RATE, DESCRIPTOR_BURST, now);
                if self.direct.buckets.entry(peer).or_insert_with(fresh).take(now).is_ok() {
                    let found = self.find(&keys);
                    // An error gives the answer back: the peer is gone.
                    let _ = self.swarm.behaviour_mut().descriptor.send_response(channel, found);
                }
                // Beyond the rate the stream closes without an answer.
            }
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                self.on_reply(peer, request_id, response);
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                let why = self.judge_failure(peer, &error);
                if let Some((want, _)) = self.direct.flying.remove(&request_id) {
                    self.give_up(want, why);
                }
            }
            Event::InboundFailure { peer, error, .. } => self.judge_inbound(peer, &error),
            Event::ResponseSent { .. } => {}
        }
    }

    fn on_reply(&mut self, peer: PeerId, id: OutboundRequestId, records: Records) {
        match self.direct.flying.remove(&id) {
            Some((Want::Echo(reply), since)) => {
                let rtt = self.clock.moment().saturating_sub(since);
                if let Some(live) = self.connections.live.get_mut(&peer) {
                    live.rtt = Some(rtt);
                }
                let _ = reply.send(Ok(rtt));
            }
            Some((Want::Records { fetch, keys }, _)) => {
                let named = records.into_iter().map(|(index, record)| (keys.get(usize::from(index)).copied(), record));
                self.direct_answered(fetch, peer, named.collect());
            }
            None => {}
        }
    }

    /// Looks records up among those this node has.
    fn find(&mut self, keys: &[RecordKey]) -> Records {
        let store = self.swarm.behaviour_mut().dht.records();
        let found = keys.iter().zip(0u8..).filter_map(|(key, index)| Some((index, store.find(key)?.to_vec())));
        found.collect()
    }
}
