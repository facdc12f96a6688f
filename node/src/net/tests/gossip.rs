//! The live path of channels: members in a line, members who come late, and peers who forge, flood and follow too much.

use super::{
    hostile::{End, Mallory, Script},
    kit::{Node, begin, check, config, node, seed, soon},
};
use crate::{
    clock::Clock,
    net::{
        DhtMode, NetCommand, NetEvent, NetSetup, NetStatus, PeerName,
        gossip::{GOSSIP, name},
    },
};
use kith_protocol::{
    Timestamp,
    channel::gate::{self, GateKey},
    crypto::secret::Secret,
    limits::{CHANNEL_FRAME_MAX, GATE_SLOT_MS},
};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

type Topic = [u8; 32];

const GENERAL: Topic = [1; 32];
const OTHER: Topic = [2; 32];

fn key(number: u8) -> GateKey {
    GateKey::new(Secret::new([number; 32]))
}

fn topic(number: u16) -> Topic {
    let [high, low] = number.to_be_bytes();
    std::array::from_fn(|i| if i == 0 { high } else { low })
}

fn now() -> Timestamp {
    Clock::system().now()
}

impl Node {
    fn follow(&self, topic: Topic, keys: &[GateKey]) {
        self.send(NetCommand::ChannelFollow { topic, keys: keys.to_vec() });
    }

    fn leave(&self, topic: Topic) {
        self.send(NetCommand::ChannelLeave { topic });
    }

    fn put_out(&self, topic: Topic, frame: impl AsRef<[u8]>) {
        self.send(NetCommand::ChannelPublish { topic, frame: frame.as_ref().to_vec() });
    }

    async fn meet(&self, other: &Node) {
        self.send(NetCommand::Dial { addresses: other.net.status().listen });
        for (one, two) in [(self, other), (other, self)] {
            one.status("they meet", |status| status.peers.iter().any(|peer| peer.peer == two.name)).await;
        }
    }

    async fn gossip(&mut self) -> (Topic, PeerName, Vec<u8>) {
        let pick = |event| match event {
            NetEvent::Gossip { topic, from, frame } => Some((topic, from, frame)),
            _ => None,
        };
        self.event("a frame of a channel", pick).await
    }

    /// The next frames, up to one that says "last", which is left out.
    async fn gossip_until_last(&mut self) -> Vec<String> {
        let mut frames = Vec::new();
        loop {
            let frame = String::from_utf8(self.gossip().await.2).unwrap();
            if frame == "last" {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// How things stand now: a picture that was drawn after this was asked.
    async fn fresh(&self) -> NetStatus {
        static NEXT: AtomicU16 = AtomicU16::new(50_000);
        let mut pictures = self.net.watch();
        pictures.mark_unchanged();
        // Something changes.
        self.follow(topic(NEXT.fetch_add(1, Ordering::Relaxed)), &[]);
        soon("the next picture", pictures.changed()).await.unwrap();
        pictures.borrow().clone()
    }
}

/// The score of a connected peer.
fn score_of(status: &NetStatus, name: &PeerName) -> i32 {
    status.peers.iter().find(|peer| peer.peer == *name).unwrap_or_else(|| panic!("{name:?} is not connected")).score
}

/// Waits until each of the nodes hears each of those it is connected to.
async fn hear(speaker: &Node, listeners: &mut [&mut Node]) {
    speaker.put_out(GENERAL, "do you hear me?");
    for listener in listeners {
        assert_eq!(listener.gossip().await, (GENERAL, speaker.name.clone(), b"do you hear me?".to_vec()));
    }
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// A field of protobuf that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(bytes.len()), bytes].concat()
}

/// A message of gossipsub that says which topics are followed.
fn follows(topics: impl IntoIterator<Item = Topic>) -> Vec<u8> {
    let one = |topic: Topic| field(1, &[&[0x08, 1][..], &field(2, name(&topic).to_string().as_bytes())].concat());
    let body = topics.into_iter().map(one).collect::<Vec<_>>().concat();
    [varint(body.len()), body].concat()
}

/// One that carries a packet, with more fields if need be.
fn carries(topic: Topic, packet: &[u8], more: &[u8]) -> Vec<u8> {
    let message = [&field(2, packet)[..], &field(4, name(&topic).to_string().as_bytes()), more].concat();
    let body = field(2, &message);
    [varint(body.len()), body].concat()
}

/// Somebody who writes gossip by hand and reads none.
async fn scribe(victim: &Node) -> Mallory {
    Mallory::connect(GOSSIP, victim, Script::new(vec![], End::Hold), vec![]).await
}

impl Mallory {
    /// Writes messages; returns how things stand with the victim when it has worked them off.
    async fn write(&mut self, victim: &Node, messages: Vec<u8>) -> NetStatus {
        self.play_to_the_end(victim, messages).await;
        // What lies between the stream and the swarm is few, and this goes to and fro.
        let _ = victim.net.ping(self.name.clone(), vec![]).await;
        victim.fresh().await
    }
}

#[tokio::test]
async fn r_net_11_frames_travel_along_a_line_and_each_arrives_once() {
    let (mut alice, mut bob, mut carol) = (node(config()).await, node(config()).await, node(config()).await);
    for member in [&alice, &bob, &carol] {
        member.follow(GENERAL, &[key(1)]);
    }
    // The DHT would introduce them.
    alice.send(NetCommand::Block { peers: vec![carol.name.clone()] });
    carol.send(NetCommand::Block { peers: vec![alice.name.clone()] });
    alice.meet(&bob).await;
    bob.meet(&carol).await;
    hear(&bob, &mut [&mut alice, &mut carol]).await;

    alice.put_out(GENERAL, "from one end to the other");
    for member in [&mut bob, &mut carol] {
        assert_eq!(member.gossip().await.2, b"from one end to the other");
    }

    // In a ring everything comes twice, and is told once.
    alice.send(NetCommand::Block { peers: vec![] });
    carol.send(NetCommand::Block { peers: vec![] });
    alice.fresh().await;
    alice.meet(&carol).await;
    let sent: Vec<_> = (0..20).map(|number| format!("frame {number}")).collect();
    sent.iter().for_each(|frame| alice.put_out(GENERAL, frame));
    for member in [&mut bob, &mut carol] {
        let mut came = Vec::new();
        while came.len() < sent.len() {
            came.push(String::from_utf8(member.gossip().await.2).unwrap());
        }
        let came: BTreeSet<_> = came.into_iter().collect();
        assert_eq!(came, sent.iter().cloned().collect());
    }
    bob.put_out(GENERAL, "last");
    assert_eq!(carol.gossip_until_last().await, Vec::<String>::new());
    assert_eq!(carol.net.status().gossip.rejected, 0);
}

#[tokio::test]
async fn r_net_11_forged_packets_reach_neither_the_app_nor_others_and_their_sender_is_soon_not_heard() {
    let (mut bob, mut carol) = (node(config()).await, node(config()).await);
    bob.follow(GENERAL, &[key(1)]);
    carol.follow(GENERAL, &[key(1)]);
    bob.meet(&carol).await;
    hear(&bob, &mut [&mut carol]).await;
    let mut mallory = scribe(&bob).await;
    // A contact: it would be banned at five.
    bob.send(NetCommand::Protect { peers: vec![mallory.name.clone()] });
    let forged = (0..50).map(|n| gate::seal(&key(2), now(), format!("forged {n}").as_bytes()).unwrap());
    let mut messages: Vec<u8> = forged.flat_map(|packet| carries(GENERAL, &packet, &[])).collect();
    // What she says truly after that is not heard either.
    messages.extend(carries(GENERAL, &gate::seal(&key(1), now(), b"true").unwrap(), &[]));
    let status = mallory.write(&bob, messages).await;
    assert_eq!((status.gossip.rejected, status.gossip.accepted), (3, 0));
    assert!((-60..=-50).contains(&score_of(&status, &mallory.name)));
    assert!(status.peers.iter().all(|peer| !peer.banned));

    bob.put_out(GENERAL, "last");
    assert_eq!(carol.gossip_until_last().await, Vec::<String>::new());
    let seen = carol.fresh().await.gossip;
    assert_eq!((seen.rejected, seen.ignored, seen.accepted), (0, 0, 2), "Carol was passed a forgery");
    carol.put_out(GENERAL, "and to Bob");
    assert_eq!(bob.gossip().await, (GENERAL, carol.name.clone(), b"and to Bob".to_vec()));
}

#[tokio::test]
async fn r_net_11_whoever_forges_now_and_then_is_banned_unless_a_contact() {
    let mut bob = node(config()).await;
    bob.follow(GENERAL, &[key(1)]);
    // Each under another topic: so they count for less where gossip counts them.
    let topics: Vec<Topic> = (10..16).map(topic).collect();
    topics.iter().for_each(|topic| bob.follow(*topic, &[key(1)]));
    let mallory = scribe(&bob).await;
    let forged = gate::seal(&key(2), now(), b"forged").unwrap();
    let messages = topics.iter().flat_map(|topic| carries(*topic, &forged, &[])).collect();
    mallory.play(&bob, messages, End::Hold).await;
    bob.hangs_up_on(&mallory.name).await;
    bob.scored(&mallory.name, |peer| peer.banned).await;
    // The last one may be read before the connection is closed.
    assert!((5..=6).contains(&bob.fresh().await.gossip.rejected));
}

#[tokio::test]
async fn r_net_11_packets_with_a_name_on_them_are_not_let_in() {
    let bob = node(config()).await;
    bob.follow(GENERAL, &[key(1)]);
    let mut mallory = scribe(&bob).await;
    let packet = |text: &str| gate::seal(&key(1), now(), text.as_bytes()).unwrap();
    let from = field(1, &mallory.name.0.parse::<libp2p::PeerId>().unwrap().to_bytes());
    let number = field(3, &[0; 8]);
    let messages = [
        carries(GENERAL, &packet("with a name"), &from),
        carries(GENERAL, &packet("with a number"), &number),
        carries(GENERAL, &packet("as it should be"), &[]),
    ];
    assert_eq!(mallory.write(&bob, messages.concat()).await.gossip.accepted, 1);
}

#[tokio::test]
async fn r_net_11_a_packet_of_another_time_is_ignored_and_costs_nobody_anything() {
    let clock = Clock::manual(now().minus_millis(3 * GATE_SLOT_MS));
    let late = begin(NetSetup::forgetful(config(), seed(), check(), clock.clone())).await;
    let goes = clock.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            goes.advance(Duration::from_millis(100));
        }
    });
    let mut bob = node(config()).await;
    for member in [&late, &bob] {
        member.follow(GENERAL, &[key(1)]);
    }
    late.meet(&bob).await;
    for number in 0..20 {
        late.put_out(GENERAL, format!("late {number}"));
    }
    let status = bob.status("they are ignored", |status| status.gossip.ignored == 20).await;
    assert_eq!((status.gossip.accepted, status.gossip.rejected, status.gossip.held), (0, 0, 0));
    clock.set_wall(now());
    late.put_out(GENERAL, "in time");
    assert_eq!(bob.gossip().await.2, b"in time");
    assert_eq!(score_of(&bob.fresh().await, &late.name), 0);
}

#[tokio::test]
async fn r_net_12_packets_of_an_unknown_lineage_are_held_and_given_to_the_app_once_its_key_is_known() {
    let (alice, mut bob, mallory) = (node(config()).await, node(config()).await, node(config()).await);
    alice.follow(GENERAL, &[key(1)]);
    mallory.follow(GENERAL, &[key(2)]);
    bob.follow(GENERAL, &[]);
    alice.meet(&bob).await;
    mallory.meet(&bob).await;
    alice.put_out(GENERAL, "early 1");
    alice.put_out(GENERAL, "early 2");
    mallory.put_out(GENERAL, "forged");
    let status = bob.status("they are held", |status| status.gossip.held == 3).await;
    assert_eq!((status.gossip.ignored, status.gossip.accepted, status.gossip.rejected), (3, 0, 0));
    bob.follow(GENERAL, &[key(1)]);
    for text in ["early 1", "early 2"] {
        assert_eq!(bob.gossip().await, (GENERAL, alice.name.clone(), text.into()));
    }
    alice.put_out(GENERAL, "last");
    assert_eq!(bob.gossip_until_last().await, Vec::<String>::new());
    let status = bob.fresh().await;
    assert_eq!((status.gossip.held, status.gossip.rejected), (0, 0));
    assert_eq!((score_of(&status, &alice.name), score_of(&status, &mallory.name)), (0, 0));
}

#[tokio::test]
async fn r_net_12_a_key_that_is_replaced_opens_nothing_any_more() {
    let (alice, mut bob) = (node(config()).await, node(config()).await);
    alice.follow(GENERAL, &[key(1)]);
    bob.follow(GENERAL, &[key(2), key(1)]);
    alice.meet(&bob).await;
    alice.put_out(GENERAL, "under the old key");
    assert_eq!(bob.gossip().await.2, b"under the old key");
    bob.follow(GENERAL, &[key(2)]);
    alice.follow(GENERAL, &[key(2), key(1)]);
    alice.put_out(GENERAL, "under the new key");
    assert_eq!(bob.gossip().await.2, b"under the new key");
    alice.follow(GENERAL, &[key(1)]);
    alice.put_out(GENERAL, "under the old key again");
    bob.status("it is rejected", |status| status.gossip.rejected == 1).await;
}

#[tokio::test]
async fn r_net_12_what_is_put_out_before_anybody_follows_waits_for_the_first_who_does() {
    let (alice, mut bob) = (node(config()).await, node(config()).await);
    alice.put_out(GENERAL, "for a topic without a key: it goes nowhere");
    alice.follow(GENERAL, &[key(1)]);
    alice.meet(&bob).await;
    let frames: Vec<_> = (0..30).map(|number| format!("frame {number}")).collect();
    frames.iter().for_each(|frame| alice.put_out(GENERAL, frame));
    let status = alice.status("they wait", |status| status.gossip.unsent == 30).await;
    assert_eq!(status.gossip.published, 0);
    bob.follow(GENERAL, &[key(1)]);
    for frame in &frames {
        assert_eq!(bob.gossip().await.2, frame.as_bytes());
    }
    let status = alice.status("nothing waits", |status| status.gossip.unsent == 0).await;
    assert_eq!((status.gossip.published, status.gossip.crowded), (30, 0));
}

#[tokio::test]
async fn r_net_12_what_nobody_wants_within_two_minutes_is_dropped() {
    let clock = Clock::manual(now());
    let alice = begin(NetSetup::forgetful(config(), seed(), check(), clock.clone())).await;
    alice.follow(GENERAL, &[key(1)]);
    alice.put_out(GENERAL, "anybody?");
    clock.advance(Duration::from_secs(1));
    alice.status("it waits", |status| status.gossip.unsent == 1).await;
    clock.advance(Duration::from_secs(120));
    alice.status("it is dropped", |status| status.gossip.unsent == 0).await;
}

#[tokio::test]
async fn r_net_13_five_hundred_topics_are_followed_over_one_connection() {
    const TOPICS: u16 = 500;
    let (alice, mut bob) = (node(config()).await, node(config()).await);
    // Bob says the first half when they meet, the others afterwards.
    (0..TOPICS).for_each(|number| alice.follow(topic(number), &[key(1)]));
    (0..TOPICS / 2).for_each(|number| bob.follow(topic(number), &[key(1)]));
    bob.status("Bob follows", |status| status.gossip.topics == u32::from(TOPICS / 2)).await;
    alice.meet(&bob).await;
    (TOPICS / 2..TOPICS).for_each(|number| bob.follow(topic(number), &[key(1)]));
    let mut heard = BTreeSet::new();
    for some in (0..TOPICS).collect::<Vec<_>>().chunks(50) {
        some.iter().for_each(|number| alice.put_out(topic(*number), number.to_be_bytes()));
        for _ in some {
            let (on, from, frame) = bob.gossip().await;
            assert_eq!((on, from), (topic(u16::from_be_bytes(frame.try_into().unwrap())), alice.name.clone()));
            assert!(heard.insert(on));
        }
    }
    assert_eq!(heard.len(), usize::from(TOPICS));
}

#[tokio::test]
async fn r_net_13_as_many_topics_as_a_node_may_follow_fit_the_greeting() {
    let (alice, mut bob) = (node(config()).await, node(config()).await);
    for node in [&alice, &bob] {
        for some in (0..1_024).collect::<Vec<u16>>().chunks(256) {
            some.iter().for_each(|number| node.follow(topic(*number), &[key(1)]));
            let followed = u32::from(*some.last().unwrap()) + 1;
            node.status("they are followed", |status| status.gossip.topics == followed).await;
        }
    }
    alice.meet(&bob).await;
    for number in [0, 511, 1_023] {
        alice.put_out(topic(number), "still there");
        assert_eq!(bob.gossip().await.0, topic(number));
    }
}

#[tokio::test]
async fn r_net_13_more_topics_than_the_limit_are_followed_neither_here_nor_for_others() {
    let mut small = config();
    small.limits.topics = 8;
    let bob = node(small).await;
    (0..20).for_each(|number| bob.follow(topic(number), &[key(1)]));
    bob.status("eight are followed", |status| status.gossip.topics == 8).await;
    // A place that becomes free is taken.
    bob.leave(topic(0));
    bob.follow(topic(100), &[key(1)]);
    bob.put_out(topic(100), "waits");
    bob.put_out(topic(1), "waits");
    bob.status("two wait", |status| status.gossip.unsent == 2 && status.gossip.topics == 8).await;
    let mallory = scribe(&bob).await;
    let many = follows((200..208).map(topic).chain([topic(1)]));
    let long = {
        let body = field(1, &[&[0x08, 1][..], &field(2, "x".repeat(60_000).as_bytes())].concat());
        [varint(body.len()), body].concat()
    };
    mallory.play(&bob, [many, long, follows([topic(100)])].concat(), End::Hold).await;
    let status = bob.status("the one that fits is heard", |status| status.gossip.published == 1).await;
    assert_eq!(status.gossip.unsent, 1, "nine topics are more than eight");
    // Of the seven that are left, she has one.
    mallory.play(&bob, follows([topic(1)]), End::Hold).await;
    bob.status("it fits now", |status| status.gossip.published == 2).await;
}

#[tokio::test]
async fn r_net_13_a_flood_of_true_frames_is_cut_off_while_another_member_is_heard() {
    const FLOOD: usize = 20_000;
    const CALM: usize = 100;
    let mut narrow = config();
    (narrow.limits.gossip_burst, narrow.limits.gossip_total_burst) = (200, 800);
    let (alice, mut bob) = (node(config()).await, node(narrow).await);
    alice.follow(GENERAL, &[key(1)]);
    bob.follow(GENERAL, &[key(1)]);
    alice.meet(&bob).await;
    hear(&alice, &mut [&mut bob]).await;
    let mut mallory = scribe(&bob).await;
    let flood = (0..FLOOD).map(|n| gate::seal(&key(1), now(), format!("flood {n}").as_bytes()).unwrap());
    let flood: Vec<u8> = flood.flat_map(|packet| carries(GENERAL, &packet, &[])).collect();
    mallory.play(&bob, flood, End::HangUp).await;
    for number in 0..CALM {
        alice.put_out(GENERAL, format!("calm {number}"));
        loop {
            let (_, from, frame) = bob.gossip().await;
            if from == alice.name {
                assert_eq!(frame, format!("calm {number}").as_bytes());
                break;
            }
        }
    }
    // The flood was read to its end, and most of it not even looked at.
    mallory.has_played().await;
    let status = bob.fresh().await;
    let (accepted, dropped) = (status.gossip.accepted, status.gossip.dropped);
    assert!(dropped > 0 && accepted + dropped < 5_000, "{accepted} accepted, {dropped} dropped of {FLOOD}");
    assert_eq!(score_of(&status, &mallory.name), 0, "what is true is no forgery");
}

#[tokio::test]
async fn r_net_13_what_comes_on_a_topic_that_was_left_is_dropped() {
    let (mut alice, mut bob) = (node(config()).await, node(config()).await);
    for member in [&alice, &bob] {
        member.follow(GENERAL, &[key(1)]);
        member.follow(OTHER, &[key(9)]);
    }
    alice.meet(&bob).await;
    hear(&alice, &mut [&mut bob]).await;
    bob.leave(GENERAL);
    // Alice knows as soon as what she says there waits.
    while alice.fresh().await.gossip.unsent == 0 {
        alice.put_out(GENERAL, "anybody?");
    }
    alice.leave(GENERAL);
    assert_eq!(alice.fresh().await.gossip.unsent, 0, "what waited is dropped");
    bob.put_out(GENERAL, "not followed");
    // Somebody who does not care.
    let mut mallory = scribe(&bob).await;
    let before = bob.fresh().await.gossip;
    let packets = (0..50).map(|n| gate::seal(&key(1), now(), format!("{n}").as_bytes()).unwrap());
    let status = mallory.write(&bob, packets.flat_map(|packet| carries(GENERAL, &packet, &[])).collect()).await;
    let after = status.gossip;
    assert_eq!((after.accepted, after.ignored, after.dropped), (before.accepted, before.ignored, before.dropped));
    assert_eq!(score_of(&status, &mallory.name), 0);
    bob.put_out(OTHER, "last");
    assert!(alice.gossip_until_last().await.iter().all(|frame| frame != "not followed"));
}

#[tokio::test]
async fn r_net_13_frames_of_full_length_pass_one_behind_the_other() {
    let (alice, mut bob) = (node(config()).await, node(config()).await);
    for member in [&alice, &bob] {
        member.follow(GENERAL, &[key(1)]);
    }
    alice.meet(&bob).await;
    alice.put_out(GENERAL, vec![0; CHANNEL_FRAME_MAX + 1]);
    alice.put_out(GENERAL, []);
    for number in 0..30 {
        alice.put_out(GENERAL, vec![number; CHANNEL_FRAME_MAX]);
    }
    for number in 0..30 {
        let (.., frame) = bob.gossip().await;
        assert_eq!((frame.len(), frame[0]), (CHANNEL_FRAME_MAX, number));
    }
}

#[tokio::test]
async fn r_net_13_gossip_keeps_no_connection_open_but_in_a_mesh() {
    let mut brief = config();
    brief.limits.idle = Duration::from_secs(3);
    // Without the DHT, nothing else travels.
    (brief.dht_mode, brief.limits.anchors) = (DhtMode::Client, 0);
    let (alice, mut bob, mut carol) = (node(brief.clone()).await, node(brief.clone()).await, node(brief).await);
    alice.follow(GENERAL, &[key(1)]);
    bob.follow(GENERAL, &[key(1)]);
    carol.follow(OTHER, &[key(1)]);
    carol.meet(&alice).await;
    carol.hangs_up_on(&alice.name).await;
    alice.meet(&bob).await;
    hear(&alice, &mut [&mut bob]).await;
    carol.send(NetCommand::Dial { addresses: alice.net.status().listen });
    carol.hangs_up_on(&alice.name).await;
    alice.put_out(GENERAL, "still here");
    assert_eq!(bob.gossip().await.2, b"still here");
    bob.leave(GENERAL);
    bob.hangs_up_on(&alice.name).await;
}
