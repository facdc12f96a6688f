//! Gossipsub as channels need it: anonymous, judged before it is passed on, bounded, and patient with those who say nothing.
//! Must not know keys, frames or peers.

use super::{
    quiet::Quiet,
    topics::{Filter, Followed, filter},
};
use crate::net::peers::limits::Limits;
use kith_protocol::{
    crypto::{kdf::sha256, label},
    limits::GOSSIP_PACKET_MAX,
};
use libp2p::{
    StreamProtocol,
    gossipsub::{
        Behaviour, Config, ConfigBuilder, Message, MessageAuthenticity, MessageId, PeerScoreParams,
        PeerScoreThresholds, TopicScoreParams, ValidationMode, Version, score_parameter_decay_with_base,
    },
};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// Gossipsub with our filters.
pub(crate) type Gossipsub = Behaviour<Followed, Filter>;

/// The protocol: gossipsub 1.1 under a name of our own, so that nobody's mesh is joined by accident.
pub(crate) const GOSSIP: StreamProtocol = StreamProtocol::new("/kith/gossip/1");

/// Largest message of gossipsub in bytes: one packet with its topic, or the topics of a node. Its decoder counts what it
/// has read of the next message as well, up to 8 KiB, and closes the stream beyond the limit.
const MESSAGE_MAX: usize = GOSSIP_PACKET_MAX + 16 * 1024;
/// Largest part of a message in bytes that is no packet: 1,024 topics when a connection begins.
pub(crate) const CONTROL_MAX: usize = 64 * 1024;
/// Packets in one message; a node of ours puts one.
const PACKETS_PER_MESSAGE: usize = 16;
/// Messages that wait for one peer, beyond those that say what is followed: at most 16 MiB, when each is of full length.
const QUEUE: usize = 256;
/// Packets that one peer is asked for again in a heartbeat: fewer than its queue to this node holds.
const ASKED_AGAIN: usize = 128;
/// How long a message may wait for a peer.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a packet is known for one that was here already.
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// Heartbeats, of a second each, for which a packet is kept for peers that missed it, and for which they are told.
const HISTORY: (usize, usize) = (10, 3);

/// How often scores fade.
const FADE_EVERY: Duration = Duration::from_secs(10);
/// What a forged packet costs, times the square of how many there were: three lead below `GRAYLIST` whatever good the peer
/// has done.
const FORGED: f64 = -25.0;
/// The most that a peer's deliveries are worth, all topics together.
const GOOD_MAX: f64 = 40.0;
/// Below this a peer is not heard.
pub(crate) const GRAYLIST: f64 = -160.0;
/// What is set for a peer that is not to be heard for a while, whatever else it did.
pub(crate) const MUTED: f64 = 10.0 * GRAYLIST;

/// Makes the behaviour; `None` where its own rules contradict each other.
pub(crate) fn behaviour(limits: &Limits, followed: Followed) -> Option<Quiet> {
    let mut behaviour = Behaviour::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        config()?,
        filter(limits.topics),
        followed,
    )
    .ok()?;
    behaviour.with_peer_score(scores(), thresholds()).ok()?;
    Some(Quiet(behaviour))
}

fn config() -> Option<Config> {
    let built = ConfigBuilder::default()
        .protocol_id(GOSSIP.as_ref().to_owned(), Version::V1_1)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(id)
        .duplicate_cache_time(KNOWN_FOR)
        // A node that has just started is in the mesh by the time it has something to say.
        .heartbeat_initial_delay(Duration::from_millis(100))
        .history_length(HISTORY.0)
        .history_gossip(HISTORY.1)
        .mesh_n_low(4)
        .mesh_n(6)
        .mesh_n_high(12)
        .mesh_outbound_min(2)
        // To all who follow, it would tell each of them who wrote it.
        .flood_publish(false)
        .max_transmit_size(MESSAGE_MAX)
        .max_control_message_size(CONTROL_MAX)
        .max_publish_messages(PACKETS_PER_MESSAGE)
        .max_control_messages_sent(ASKED_AGAIN)
        .iwant_followup_time(Duration::from_secs(10))
        .connection_handler_queue_len(QUEUE)
        .publish_queue_duration(QUEUE_PATIENCE)
        .forward_queue_duration(QUEUE_PATIENCE)
        .build();
    built.ok()
}

/// The name of a packet: of its bytes and its topic alone, since nobody says who made it.
fn id(message: &Message) -> MessageId {
    let hash = sha256(&[label::GOSSIP_ID.as_bytes(), message.topic.as_str().as_bytes(), &message.data]);
    MessageId::new(hash.first_chunk::<20>().map_or(&[], |id| id))
}

fn fade(over: Duration) -> f64 {
    score_parameter_decay_with_base(over, FADE_EVERY, 0.1)
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -40.0,
        publish_threshold: -80.0,
        graylist_threshold: GRAYLIST,
        accept_px_threshold: 0.0,
        // Where hardly anybody in a mesh has ever brought something, those who have are asked in.
        opportunistic_graft_threshold: 0.005,
    }
}

fn scores() -> PeerScoreParams {
    PeerScoreParams {
        topics: [].into(),
        topic_score_cap: GOOD_MAX,
        // Nothing but `MUTED`.
        app_specific_weight: 1.0,
        // A school behind one address is no attack, and connections from one network are bounded elsewhere.
        ip_colocation_factor_weight: 0.0,
        ip_colocation_factor_threshold: 32.0,
        ip_colocation_factor_whitelist: [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into(),
        // Promises that a busy peer does not keep are forgiven, a flood of them is not.
        behaviour_penalty_weight: -1.0,
        behaviour_penalty_threshold: 100.0,
        behaviour_penalty_decay: fade(Duration::from_secs(60)),
        decay_interval: FADE_EVERY,
        decay_to_zero: 0.01,
        retain_score: Duration::from_secs(3_600),
        // Who reads slowly misses packets, and that is all.
        slow_peer_weight: 0.0,
        slow_peer_threshold: 0.0,
        slow_peer_decay: 0.2,
    }
}

/// How peers are scored on a topic that is followed: forgeries count, silence does not.
pub(crate) fn followed() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 1.0,
        // So little that a thousand topics do not make up for three forgeries.
        first_message_deliveries_weight: 0.01,
        first_message_deliveries_decay: fade(Duration::from_secs(3_600)),
        first_message_deliveries_cap: 4.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_message_deliveries_decay: 0.5,
        mesh_message_deliveries_cap: 1.0,
        mesh_message_deliveries_threshold: 0.0,
        mesh_message_deliveries_window: Duration::from_millis(10),
        mesh_message_deliveries_activation: Duration::from_secs(3_600),
        mesh_failure_penalty_weight: 0.0,
        mesh_failure_penalty_decay: 0.5,
        invalid_message_deliveries_weight: FORGED,
        invalid_message_deliveries_decay: fade(Duration::from_secs(600)),
    }
}

/// How they are scored on one that was left: what is still on its way is nobody's fault.
pub(crate) fn left() -> TopicScoreParams {
    TopicScoreParams {
        invalid_message_deliveries_weight: 0.0,
        invalid_message_deliveries_decay: 0.001,
        first_message_deliveries_weight: 0.0,
        ..followed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::gossip::topics::name;

    /// The score of a peer that forged so many packets some seconds ago, with the most it can have on its good side.
    fn score(forged: f64, ago: Duration) -> f64 {
        let topic = followed();
        let times = i32::try_from(ago.as_secs() / FADE_EVERY.as_secs()).unwrap();
        let left = forged * topic.invalid_message_deliveries_decay.powi(times);
        GOOD_MAX + topic.topic_weight * topic.invalid_message_deliveries_weight * left * left
    }

    #[test]
    fn r_net_11_three_forgeries_silence_a_peer_whatever_good_it_did_and_one_is_forgotten() {
        let per_topic = followed().first_message_deliveries_weight * followed().first_message_deliveries_cap;
        let best = per_topic * 1_024.0;
        assert!(best >= GOOD_MAX && scores().topic_score_cap <= GOOD_MAX, "the cap is what a peer can have at most");
        assert!(score(2.0, Duration::ZERO) > GRAYLIST);
        assert!(score(3.0, Duration::ZERO) < GRAYLIST && score(3.0, Duration::from_secs(10)) < GRAYLIST);
        assert!(score(1.0, Duration::ZERO) - GOOD_MAX > thresholds().gossip_threshold);
        assert!(score(3.0, Duration::from_secs(1_200)) > 0.0, "it is heard again when it does no more of it");
        const { assert!(MUTED + GOOD_MAX < GRAYLIST) };
    }

    #[test]
    fn r_net_11_silence_costs_nothing() {
        for topic in [followed(), left()] {
            assert!(topic.validate().is_ok());
            assert_eq!((topic.mesh_message_deliveries_weight, topic.mesh_failure_penalty_weight), (0.0, 0.0));
            assert!(topic.mesh_message_deliveries_threshold <= 0.0);
        }
        assert_eq!((scores().ip_colocation_factor_weight, scores().slow_peer_weight), (0.0, 0.0));
        assert!(scores().validate().is_ok() && thresholds().validate().is_ok());
    }

    #[test]
    fn r_net_13_one_message_holds_the_largest_packet_and_as_many_topics_as_a_node_follows() {
        let config = config().unwrap();
        // Field header and length, twice, in front of a name of 43 characters; two flags.
        let topic = 43 + 2 * 3 + 2 * 2;
        assert!(Limits::default().topics * topic <= CONTROL_MAX && CONTROL_MAX < config.max_transmit_size());
        assert!(GOSSIP_PACKET_MAX + topic + 16 + 8 * 1024 <= config.max_transmit_size());
        assert!(ASKED_AGAIN * 24 + topic < CONTROL_MAX && ASKED_AGAIN < config.connection_handler_queue_len());
        let (low, n, high, out) =
            (config.mesh_n_low(), config.mesh_n(), config.mesh_n_high(), config.mesh_outbound_min());
        assert!(out <= low && low <= n && n <= high && 2 * out <= n);
        assert!(!config.flood_publish() && config.validate_messages());
        assert!(behaviour(&Limits::default(), Followed::default()).is_some());
    }

    #[test]
    fn r_net_11_a_packet_is_named_by_its_topic_and_bytes() {
        let message = |topic: u8, data: &[u8]| Message {
            source: None,
            data: data.to_vec(),
            sequence_number: None,
            topic: name(&[topic; 32]).hash(),
        };
        let named = id(&message(1, b"packet"));
        assert_eq!(named, id(&message(1, b"packet")));
        assert!(named != id(&message(2, b"packet")) && named != id(&message(1, b"packe")));
        assert_eq!(named.0.len(), 20);
    }
}
