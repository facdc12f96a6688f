//! The wake protocol: a relay tells a client over an open connection that something waits for it.
//! Must not dial for it, nor say what waits.

use super::{
    peers::limits::{Bucket, WAKE_BURST, WAKE_RATE},
    run::Net,
    translate,
    types::{NetEvent, PeerName},
    wire::Flaw,
};
use crate::clock::Moment;
use libp2p::{
    PeerId,
    request_response::{Event, Message},
};
use std::collections::HashMap;

/// Wake-ups, out and in.
#[derive(Default)]
pub(crate) struct Wakes {
    /// Peers to whom one flies, and whether another one is wanted after it.
    flying: HashMap<PeerId, bool>,
    /// What connected peers may still say.
    buckets: HashMap<PeerId, Bucket>,
}

impl Net {
    /// Wakes a connected peer; one that flies already is followed by one more at most.
    pub(crate) fn wake(&mut self, name: &PeerName) {
        let Some(peer) = translate::peer_id(name) else { return };
        if peer == *self.swarm.local_peer_id() {
            return self.events.tell(NetEvent::Woken { from: name.clone() });
        }
        if let Some(again) = self.wakes.flying.get_mut(&peer) {
            *again = true;
        } else if self.swarm.is_connected(&peer) {
            self.wakes.flying.insert(peer, false);
            self.swarm.behaviour_mut().wake.send_request(&peer, Ok(()));
        }
    }

    /// A wake-up reached its peer, or did not.
    fn wake_landed(&mut self, peer: PeerId) {
        if self.wakes.flying.remove(&peer) == Some(true) {
            self.wake(&translate::peer_name(&peer));
        }
    }

    pub(crate) fn on_wake(&mut self, event: Event<Result<(), Flaw>, ()>) {
        match event {
            Event::Message { peer, message: Message::Request { request: Ok(()), channel, .. }, .. } => {
                // An error means that the peer is gone.
                let _ = self.swarm.behaviour_mut().wake.send_response(channel, ());
                self.on_woken(peer);
            }
            Event::Message { peer, message: Message::Request { request: Err(flaw), .. }, .. } => {
                self.judge_flaw(peer, flaw);
            }
            Event::Message { peer, message: Message::Response { .. }, .. } => self.wake_landed(peer),
            Event::OutboundFailure { peer, error, .. } => {
                self.judge_failure(peer, &error);
                self.wake_landed(peer);
            }
            Event::InboundFailure { peer, error, .. } => self.judge_inbound(peer, &error),
            Event::ResponseSent { .. } => {}
        }
    }

    /// Passes a wake-up on if its peer is one this node keeps connections to, and does not say it too often.
    fn on_woken(&mut self, peer: PeerId) {
        let now = self.clock.moment();
        let fresh = || Bucket::new(WAKE_RATE, WAKE_BURST, now);
        if self.contacts.contains(&peer) && self.wakes.buckets.entry(peer).or_insert_with(fresh).take(now).is_ok() {
            self.events.tell(NetEvent::Woken { from: translate::peer_name(&peer) });
        } else {
            self.transient(peer);
        }
    }

    pub(crate) fn expire_wakes(&mut self, now: Moment) {
        let live = &self.connections.live;
        self.wakes.buckets.retain(|peer, bucket| live.contains_key(peer) || !bucket.is_full(now));
    }
}
