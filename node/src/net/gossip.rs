//! The live path of channels: packets of the topics that this node follows, judged at their gate before anybody sees them
//! or is passed them. Must not know what a frame says, who wrote it, or whether it arrives: what is missing is repaired.

mod allowance;
mod held;
mod quiet;
mod setup;
mod topics;
mod turns;

pub(crate) use quiet::Quiet;
pub(crate) use setup::{GOSSIP, behaviour};
pub(crate) use topics::Followed;
#[cfg(test)]
pub(crate) use topics::name;
pub(crate) use turns::Turns;

use super::{
    peers::limits::Limits,
    run::Net,
    translate,
    types::{GossipStatus, NetEvent},
};
use crate::clock::Moment;
use allowance::{Allowances, Room};
use held::{Strange, Unsent};
use kith_protocol::{
    channel::gate::{self, GateKey, Verdict},
    crypto::kdf::sha256,
};
use libp2p::{
    PeerId,
    gossipsub::{Event, MessageAcceptance, PublishError, TopicHash},
};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// Keys of one topic: one is enough, and some may overlap.
const KEYS: usize = 4;
/// How long after one that did not help no connection is closed because gossip is deaf on it.
const HANG_UP_EVERY: Duration = Duration::from_secs(60);
/// Peers of which that is remembered; beyond it none is hung up on.
const HUNG_UP: usize = 1_024;

/// What is followed, and what waits.
pub(crate) struct Gossip {
    topics: BTreeMap<[u8; 32], Vec<GateKey>>,
    followed: Followed,
    allowances: Allowances,
    strange: Strange,
    unsent: Unsent,
    hung_up: HashMap<PeerId, Moment>,
    counts: GossipStatus,
}

impl Gossip {
    pub(crate) fn new(limits: &Limits, followed: Followed, now: Moment) -> Self {
        Self {
            topics: BTreeMap::new(),
            followed,
            allowances: Allowances::new(limits, now),
            strange: Strange::default(),
            unsent: Unsent::default(),
            hung_up: HashMap::new(),
            counts: GossipStatus::default(),
        }
    }

    /// Says whether a peer may be hung up on, and notes that it is.
    fn may_hang_up(&mut self, peer: PeerId, now: Moment) -> bool {
        if self.hung_up.len() >= HUNG_UP || self.hung_up.contains_key(&peer) {
            return false;
        }
        self.hung_up.insert(peer, now.saturating_add(HANG_UP_EVERY));
        true
    }

    /// What it has done and holds.
    pub(crate) fn picture(&self) -> GossipStatus {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        GossipStatus {
            topics: count(self.topics.len()),
            held: count(self.strange.len()),
            unsent: count(self.unsent.len()),
            ..self.counts
        }
    }
}

impl Net {
    /// Follows a topic, or replaces its keys; what came before them is judged now.
    pub(crate) fn follow(&mut self, topic: [u8; 32], mut keys: Vec<GateKey>) {
        keys.truncate(KEYS);
        let new = !self.gossip.topics.contains_key(&topic);
        if new && self.gossip.topics.len() >= self.config.limits.topics {
            return tracing::warn!("no more channels are followed than {}", self.config.limits.topics);
        }
        self.gossip.topics.insert(topic, keys);
        if new {
            self.gossip.followed.insert(&topic);
            let (gossip, name) = (&mut self.swarm.behaviour_mut().gossip, topics::name(&topic));
            // Scores are on, and the filter lets our own names in.
            let _ = gossip.set_topic_params(name.clone(), setup::followed());
            let _ = gossip.subscribe(&name);
        }
        self.judge_held(topic);
    }

    /// Leaves a topic.
    pub(crate) fn leave(&mut self, topic: &[u8; 32]) {
        if self.gossip.topics.remove(topic).is_none() {
            return;
        }
        self.gossip.followed.remove(topic);
        self.gossip.strange.take(topic);
        self.gossip.unsent.drop_topic(topic);
        let (gossip, name) = (&mut self.swarm.behaviour_mut().gossip, topics::name(topic));
        gossip.unsubscribe(&name);
        let _ = gossip.set_topic_params(name, setup::left());
    }

    /// Seals a frame and puts it out; while nobody follows its topic it waits.
    pub(crate) fn put_out(&mut self, topic: [u8; 32], frame: &[u8]) {
        let key = self.gossip.topics.get(&topic).and_then(|keys| keys.first());
        let Some(key) = key else { return tracing::debug!("a frame for a topic that is not followed, or has no key") };
        let Ok(packet) = gate::seal(key, self.clock.now(), frame) else {
            return tracing::debug!("no frame of a valid size");
        };
        self.gossip.unsent.push(topic, packet, self.clock.moment());
        self.flush_unsent(&topic);
    }

    /// Puts out what waits for somebody who follows a topic, in order, if somebody does.
    fn flush_unsent(&mut self, topic: &[u8; 32]) {
        let name = topics::name(topic).hash();
        while let Some(packet) = self.gossip.unsent.first(topic) {
            match self.swarm.behaviour_mut().gossip.publish(name.clone(), packet.to_vec()) {
                Err(PublishError::NoPeersSubscribedToTopic) => return,
                Ok(_) => {
                    self.gossip.counts.published += 1;
                    if let Some(frame) = gate::frame_of(packet) {
                        let item = sha256(&[frame]);
                        self.events.tell(NetEvent::FrameLeft { topic: *topic, item });
                    }
                }
                Err(PublishError::AllQueuesFull(_)) => self.gossip.counts.crowded += 1,
                Err(why) => tracing::debug!(%why, "a frame was not put out"),
            }
            self.gossip.unsent.pop(topic);
        }
    }

    pub(crate) fn on_gossip(&mut self, event: Event) {
        match event {
            Event::Message { propagation_source, message_id, message } => {
                let acceptance = self.on_packet(propagation_source, &message.topic, message.data);
                let gossip = &mut self.swarm.behaviour_mut().gossip;
                // It came this moment, and is not forgotten yet.
                let _ = gossip.report_message_validation_result(&message_id, &propagation_source, acceptance);
            }
            Event::Subscribed { topic, .. } => {
                if let Some(topic) = topics::parse(&topic) {
                    self.flush_unsent(&topic);
                }
            }
            Event::GossipsubNotSupported { peer_id } => self.on_deaf(peer_id),
            Event::Unsubscribed { .. } | Event::SlowPeer { .. } => {}
        }
    }

    /// Judges a packet within its peer's allowance, and tells what others are to do with it. A forged one costs the peer that
    /// carried it here (R-NET-7): an honest one would have judged it too.
    fn on_packet(&mut self, from: PeerId, name: &TopicHash, packet: Vec<u8>) -> MessageAcceptance {
        let Some(topic) = topics::parse(name) else { return MessageAcceptance::Ignore };
        let Some(keys) = self.gossip.topics.get(&topic) else { return MessageAcceptance::Ignore };
        let now = self.clock.moment();
        match self.gossip.allowances.admit(from, packet.len(), self.scores.weight(&from, now), now) {
            Room::Enough => {}
            room => {
                self.gossip.counts.dropped += 1;
                if room == Room::Mute {
                    self.swarm.behaviour_mut().gossip.set_application_score(&from, setup::MUTED);
                }
                return MessageAcceptance::Ignore;
            }
        }
        match gate::judge(keys, self.clock.now(), &packet) {
            Verdict::Accept { frame } => {
                let frame = frame.to_vec();
                self.let_in(topic, from, frame);
                MessageAcceptance::Accept
            }
            Verdict::Reject => {
                self.gossip.counts.rejected += 1;
                self.violation(from);
                MessageAcceptance::Reject
            }
            Verdict::Ignore => {
                self.gossip.counts.ignored += 1;
                if keys.is_empty() {
                    self.gossip.strange.hold(topic, from, packet);
                }
                MessageAcceptance::Ignore
            }
        }
    }

    /// Judges what came of a topic before its key was known. It is too late to pass it on, or to hold it against anybody.
    fn judge_held(&mut self, topic: [u8; 32]) {
        if self.gossip.topics.get(&topic).is_none_or(Vec::is_empty) {
            return;
        }
        for (from, packet) in self.gossip.strange.take(&topic) {
            let keys = self.gossip.topics.get(&topic).map_or(&[][..], Vec::as_slice);
            if let Verdict::Accept { frame } = gate::judge(keys, self.clock.now(), &packet) {
                let frame = frame.to_vec();
                self.let_in(topic, from, frame);
            }
        }
    }

    /// Hands a frame to the app.
    fn let_in(&mut self, topic: [u8; 32], from: PeerId, frame: Vec<u8>) {
        self.gossip.counts.accepted += 1;
        if !self.events.pass_on(topic, translate::peer_name(&from), frame) {
            self.gossip.counts.dropped += 1;
        }
    }

    /// A peer does not take gossip on a connection. One that speaks it lost its ear: after five broken streams it has none
    /// for as long as the connection lasts.
    fn on_deaf(&mut self, peer: PeerId) {
        let speaks = self.connections.live.get(&peer).is_some_and(|live| live.gossips);
        if speaks && self.gossip.may_hang_up(peer, self.clock.moment()) {
            // An error means that it is gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    pub(crate) fn expire_gossip(&mut self, now: Moment) {
        self.events.flush();
        self.gossip.unsent.expire(now);
        self.gossip.hung_up.retain(|_, until| *until > now);
        for peer in self.gossip.allowances.listen_again(now) {
            self.swarm.behaviour_mut().gossip.set_application_score(&peer, 0.0);
        }
        self.gossip.allowances.forget(now);
    }
}
