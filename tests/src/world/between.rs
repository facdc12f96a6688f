//! What nodes of the world send each other for channels: gossip that passes its gate, and questions between members.
//! Must not know what a frame, a question or an answer says.

use super::{ANSWER_TIMEOUT_MS, Happening, World};
use kith_node::{
    app::Input,
    net::{AskOutcome, MemberToken, NetCommand, NetEvent, PeerName},
};
use kith_protocol::{
    Timestamp,
    channel::gate::{self, GateKey, Verdict},
    crypto::kdf,
    limits::{CHANNEL_ANSWER_MAX, CHANNEL_REQUEST_MAX},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

type Topic = [u8; 32];

/// How long an app may take before it is answered for, in milliseconds.
const VERDICT_MS: u64 = 10_000;
/// What whoever is to ask again waits, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;
/// How often a node looks for somebody who follows the topic of what it could not put out.
const LOOK_MS: u64 = 500;
/// How long it does.
const UNSENT_MS: u64 = 120_000;
/// Packets of a topic that wait for somebody who follows it, and packets of all topics that wait for a key.
const WAITING: usize = 64;
/// Their bytes.
const WAITING_BYTES: usize = 1 << 20;
/// Numbers of questions that no app asks begin here.
const OWN_ASK: u64 = 1 << 50;
/// How long a packet is known again.
const KNOWN_MS: u64 = 600_000;

/// What came to nodes by which way, and what became of the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Frames of people that arrived at a node.
    pub direct: u64,
    /// Questions that arrived at a relay.
    pub relay: u64,
    /// Frames of channels that were put out.
    pub published: u64,
    /// Frames of channels that came through a gate, one for each node.
    pub gossip: u64,
    /// Packets that came again, or to who does not follow their topic.
    pub again: u64,
    /// Packets without a code of a known key.
    pub rejected: u64,
    /// Questions to members.
    pub asks: u64,
    /// Questions that arrived at a member.
    pub asked: u64,
    /// Answers of members that arrived back.
    pub answered: u64,
}

/// What a node's net holds for channels; it goes with the node.
#[derive(Default)]
struct Ears {
    life: u64,
    topics: BTreeMap<Topic, Vec<GateKey>>,
    /// What came without a key: topic, whose, packet.
    strange: VecDeque<(Topic, PeerName, Vec<u8>)>,
    /// What nobody follows the topic of: until when it waits.
    unsent: BTreeMap<Topic, VecDeque<(Timestamp, Vec<u8>)>>,
    /// What came, until when it is known again.
    known: BTreeMap<[u8; 32], Timestamp>,
    looks: bool,
    /// Questions that wait for this node's app.
    asked: BTreeSet<MemberToken>,
}

impl Ears {
    /// Whether a packet of a topic passed here before; from now on it did.
    fn knows(&mut self, topic: &Topic, packet: &[u8], now: Timestamp) -> bool {
        self.known.retain(|_, until| *until > now);
        self.known.insert(kdf::sha256(&[topic, packet]), now.plus_millis(KNOWN_MS)).is_some()
    }
}

/// A question that has not ended.
struct Open {
    who: usize,
    life: u64,
    ask: u64,
    to: usize,
}

/// What is under way between nodes.
#[derive(Default)]
pub(super) struct Between {
    ears: BTreeMap<usize, Ears>,
    open: BTreeMap<u64, Open>,
    next: u64,
    gossip_off: bool,
    repair_off: bool,
    /// Answers that arrived, with who had asked; kept while somebody wants them.
    answers: Option<Vec<(usize, u64, AskOutcome)>>,
    tape: Option<Vec<(usize, NetEvent)>>,
}

/// Something that happens there.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A packet arrives.
    Packet { to: usize, from: usize, topic: Topic, packet: Vec<u8> },
    /// A packet is judged that waited for the key of its topic.
    Held { who: usize, life: u64, topic: Topic, from: PeerName, packet: Vec<u8> },
    /// A node's app is told that a frame went out.
    Left { who: usize, life: u64, topic: Topic, item: [u8; 32] },
    /// A node looks for somebody to whom it can put out what waits.
    Look { who: usize, life: u64 },
    /// A question arrives at a member.
    Question { open: u64, request: Vec<u8> },
    /// Nobody answered it there.
    Overdue { to: usize, life: u64, token: MemberToken },
    /// A question ends.
    Ended { open: u64, outcome: AskOutcome },
}

/// Drops the oldest of too many.
fn bound<T>(waiting: &mut VecDeque<T>, bytes: impl Fn(&T) -> usize) {
    while waiting.len() > WAITING || waiting.iter().map(&bytes).sum::<usize>() > WAITING_BYTES {
        waiting.pop_front();
    }
}

impl World {
    /// Turns the live path of channels off: nothing is put out, and nothing that was arrives.
    pub fn gossip_off(&mut self) {
        self.between.gossip_off = true;
    }

    /// Turns the live path of channels on again.
    pub fn gossip_on(&mut self) {
        self.between.gossip_off = false;
    }

    /// Turns questions between members off: they are lost.
    pub fn repair_off(&mut self) {
        self.between.repair_off = true;
    }

    /// Turns questions between members on again.
    pub fn repair_on(&mut self) {
        self.between.repair_off = false;
    }

    /// Lets a node's net carry out what its app did not ask for.
    pub fn order(&mut self, who: usize, command: NetCommand) {
        if self.people[who].is_up() {
            self.carry(who, command);
        }
    }

    /// Lets a node's net ask another node something, and returns the answer.
    pub fn ask_as(&mut self, who: usize, to: usize, request: Vec<u8>) -> AskOutcome {
        let ask = OWN_ASK + self.between.next;
        self.between.answers.get_or_insert_default();
        let peer = self.people[to].peer();
        self.order(who, NetCommand::AskMember { ask, peer, addresses: Vec::new(), request });
        self.run_for(2 * ANSWER_TIMEOUT_MS);
        let answers = self.between.answers.take().unwrap_or_default();
        let mine = answers.into_iter().find(|(asker, number, _)| (*asker, *number) == (who, ask));
        mine.expect("every question ends").2
    }

    /// From now on a test speaks for all apps about channels: they are told nothing of it.
    pub fn speak_for_apps(&mut self) {
        self.between.tape = Some(Vec::new());
    }

    /// Takes out what apps would have been told, in order.
    pub fn told(&mut self) -> Vec<(usize, NetEvent)> {
        self.between.tape.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn ears(&mut self, who: usize) -> &mut Ears {
        let life = self.people[who].life();
        let ears = self.between.ears.entry(who).or_default();
        if ears.life != life {
            *ears = Ears { life, ..Ears::default() };
        }
        ears
    }

    fn follows(&self, who: usize, topic: &Topic) -> bool {
        let ears = self.between.ears.get(&who).filter(|ears| self.people[who].alive(ears.life));
        ears.is_some_and(|ears| ears.topics.contains_key(topic))
    }

    /// The clock of a node.
    fn clock(&self, who: usize) -> Timestamp {
        self.now.plus_millis(self.people[who].clock_ahead_ms)
    }

    fn tell(&mut self, who: usize, event: NetEvent) {
        match &mut self.between.tape {
            Some(tape) => tape.push((who, event)),
            None => self.handle(who, vec![Input::Net(event)]),
        }
    }

    /// Whether what one node sends now can arrive at another.
    fn reaches(&self, from: usize, to: usize) -> bool {
        from != to && !self.relays_only && self.people[to].is_up() && !self.weather.parted(from, to)
    }

    pub(super) fn follow_topic(&mut self, who: usize, topic: Topic, keys: Vec<GateKey>) {
        let has_key = !keys.is_empty();
        let ears = self.ears(who);
        ears.topics.insert(topic, keys);
        if !has_key {
            return;
        }
        let (held, others): (VecDeque<_>, _) =
            std::mem::take(&mut ears.strange).into_iter().partition(|(of, ..)| *of == topic);
        ears.strange = others;
        let life = ears.life;
        for (_, from, packet) in held {
            self.between_at(0, Event::Held { who, life, topic, from, packet });
        }
    }

    pub(super) fn leave_topic(&mut self, who: usize, topic: &Topic) {
        let ears = self.ears(who);
        ears.topics.remove(topic);
        ears.unsent.remove(topic);
        ears.strange.retain(|(of, ..)| of != topic);
    }

    pub(super) fn publish_on(&mut self, who: usize, topic: Topic, frame: &[u8]) {
        let clock = self.clock(who);
        let until = self.now.plus_millis(UNSENT_MS);
        let ears = self.ears(who);
        let Some(key) = ears.topics.get(&topic).and_then(|keys| keys.first()) else { return };
        let Ok(packet) = gate::seal(key, clock, frame) else { return };
        let unsent = ears.unsent.entry(topic).or_default();
        unsent.push_back((until, packet));
        bound(unsent, |(_, packet)| packet.len());
        self.put_out(who);
    }

    /// Puts out what waits on every topic that somebody follows; looks again later for the others.
    fn put_out(&mut self, who: usize) {
        let (now, off) = (self.now, self.between.gossip_off);
        let ears = self.ears(who);
        ears.unsent.values_mut().for_each(|unsent| unsent.retain(|(until, _)| *until > now));
        ears.unsent.retain(|_, unsent| !unsent.is_empty());
        for topic in ears.unsent.keys().copied().collect::<Vec<_>>() {
            let followers: Vec<_> =
                (0..self.people.len()).filter(|to| self.reaches(who, *to) && self.follows(*to, &topic)).collect();
            if followers.is_empty() && !off {
                continue;
            }
            for (_, packet) in self.ears(who).unsent.remove(&topic).unwrap_or_default() {
                if !off {
                    self.spread(who, topic, &packet, &followers);
                    let (life, item) = (self.people[who].life(), kdf::sha256(&[gate::frame_of(&packet).unwrap()]));
                    self.between_at(0, Event::Left { who, life, topic, item });
                }
            }
        }
        let life = self.people[who].life();
        let ears = self.ears(who);
        if !ears.unsent.is_empty() && !ears.looks {
            ears.looks = true;
            self.between_at(LOOK_MS, Event::Look { who, life });
        }
    }

    /// Every follower gets its own copy, which may be late, lost or doubled.
    fn spread(&mut self, who: usize, topic: Topic, packet: &[u8], followers: &[usize]) {
        let now = self.now;
        if self.ears(who).knows(&topic, packet, now) {
            return;
        }
        self.paths.published += 1;
        for to in followers {
            let copies = if self.roll(self.weather.duplicate_percent) { 2 } else { 1 };
            for _ in 0..copies {
                if !self.roll(self.weather.loss_percent) {
                    let delay = self.latency();
                    self.between_at(delay, Event::Packet { to: *to, from: who, topic, packet: packet.to_vec() });
                }
            }
        }
    }

    fn packet(&mut self, to: usize, from: usize, topic: Topic, packet: Vec<u8>) {
        let (now, name) = (self.now, self.people[from].peer());
        let ears = self.ears(to);
        if ears.knows(&topic, &packet, now) || !ears.topics.contains_key(&topic) {
            self.paths.again += 1;
        } else if ears.topics[&topic].is_empty() {
            ears.strange.push_back((topic, name, packet));
            bound(&mut ears.strange, |(.., packet)| packet.len());
        } else {
            self.let_in(to, topic, name, packet);
        }
    }

    /// Judges a packet at the gate of its topic.
    fn let_in(&mut self, who: usize, topic: Topic, from: PeerName, packet: Vec<u8>) {
        let clock = self.clock(who);
        let keys = self.ears(who).topics.get(&topic).cloned().unwrap_or_default();
        match gate::judge(&keys, clock, &packet) {
            Verdict::Accept { frame } => {
                self.paths.gossip += 1;
                self.tell(who, NetEvent::Gossip { topic, from, frame: frame.to_vec() });
            }
            Verdict::Reject => self.paths.rejected += 1,
            Verdict::Ignore => {}
        }
    }

    pub(super) fn ask_member(&mut self, who: usize, ask: u64, peer: &PeerName, request: Vec<u8>) {
        let to = self.people.iter().position(|p| p.peer() == *peer);
        let (life, open) = (self.people[who].life(), self.between.next);
        self.between.next += 1;
        self.between.open.insert(open, Open { who, life, ask, to: to.unwrap_or(who) });
        if request.is_empty() || request.len() > CHANNEL_REQUEST_MAX || to == Some(who) {
            let outcome = AskOutcome::Unreachable { why: "nothing that can be asked" };
            return self.between_at(1, Event::Ended { open, outcome });
        }
        self.paths.asks += 1;
        // Whatever else becomes of it, then it ends.
        let outcome = AskOutcome::Unreachable { why: "no answer in time" };
        self.between_at(ANSWER_TIMEOUT_MS, Event::Ended { open, outcome });
        let lost = self.between.repair_off || self.roll(self.weather.loss_percent);
        if to.is_some_and(|to| self.reaches(who, to)) && !lost {
            let delay = self.latency();
            self.between_at(delay, Event::Question { open, request });
        }
    }

    fn question(&mut self, open: u64, request: Vec<u8>) {
        let Some(Open { who, to, .. }) = self.between.open.get(&open) else { return };
        let (from, to) = (self.people[*who].peer(), *to);
        if !self.people[to].is_up() {
            return;
        }
        let token = MemberToken(open);
        let ears = self.ears(to);
        ears.asked.insert(token);
        let life = ears.life;
        self.paths.asked += 1;
        self.between_at(VERDICT_MS, Event::Overdue { to, life, token });
        self.tell(to, NetEvent::MemberAsks { token, from, request });
    }

    pub(super) fn answer_member(&mut self, who: usize, token: MemberToken, answer: Vec<u8>) {
        let outcome = if answer.len() > CHANNEL_ANSWER_MAX {
            AskOutcome::Busy { retry_after_ms: RETRY_AFTER_MS }
        } else {
            AskOutcome::Answered(answer)
        };
        self.answer_back(who, token, outcome);
    }

    fn answer_back(&mut self, who: usize, token: MemberToken, outcome: AskOutcome) {
        // What was asked of an earlier life is not answered any more.
        if !self.ears(who).asked.remove(&token) {
            return;
        }
        let open = token.0;
        let Some(asker) = self.between.open.get(&open).map(|open| open.who) else { return };
        let lost = self.between.repair_off || self.roll(self.weather.loss_percent);
        if self.reaches(who, asker) && !lost {
            let delay = self.latency();
            self.between_at(delay, Event::Ended { open, outcome });
        }
    }

    fn between_at(&mut self, after_ms: u64, event: Event) {
        self.at(self.now.plus_millis(after_ms), Happening::Between(event));
    }

    pub(super) fn happen_between(&mut self, event: Event) {
        match event {
            Event::Packet { to, from, topic, packet } if self.people[to].is_up() && !self.between.gossip_off => {
                self.packet(to, from, topic, packet);
            }
            Event::Held { who, life, topic, from, packet } if self.people[who].alive(life) => {
                self.let_in(who, topic, from, packet);
            }
            Event::Left { who, life, topic, item } if self.people[who].alive(life) => {
                self.tell(who, NetEvent::FrameLeft { topic, item });
            }
            Event::Look { who, life } if self.people[who].alive(life) => {
                self.ears(who).looks = false;
                self.put_out(who);
            }
            Event::Question { open, request } => self.question(open, request),
            Event::Overdue { to, life, token } if self.people[to].alive(life) => {
                self.answer_back(to, token, AskOutcome::Busy { retry_after_ms: RETRY_AFTER_MS });
            }
            Event::Ended { open, outcome } => {
                let Some(Open { who, life, ask, .. }) = self.between.open.remove(&open) else { return };
                if self.people[who].alive(life) {
                    if let Some(answers) = &mut self.between.answers {
                        answers.push((who, ask, outcome.clone()));
                    }
                    self.paths.answered += u64::from(matches!(outcome, AskOutcome::Answered(_)));
                    self.tell(who, NetEvent::Asked { ask, outcome });
                }
            }
            _ => {}
        }
    }
}
