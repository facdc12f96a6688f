//! People, links and disks in one process: everything a run does follows from its seed.

mod between;
mod channels;
mod insider;
mod ledger;
mod links;
mod pair;
mod person;
mod relay;

use between::Between;
pub use between::Paths;
pub use insider::Insider;
pub use ledger::Ledger;
pub use links::Weather;
use person::Ended;
pub use person::Person;
pub use relay::{Character, Heard, Kind, Relay, Trap};

use kith_node::{
    app::{Command, Input, RequestId},
    net::{AskOutcome, DeliverOutcome, Frame, InboundToken, NetCommand, NetEvent, PeerName, Verdict},
};
use kith_protocol::{
    RecordKey, Timestamp,
    mailbox::{Answer, Audited},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

/// When every world begins: 2027-01-01, so that days and months are real ones.
const BEGIN: u64 = 1_798_761_600_000;
/// How long a sender waits for an answer before it calls the peer unreachable, in milliseconds.
const ANSWER_TIMEOUT_MS: u64 = 20_000;

/// Something that happens at a moment.
#[derive(Clone, Debug)]
enum Happening {
    /// A frame arrives at a person's node.
    Arrive { to: usize, from: usize, attempt: u64, frame: Frame, life: u64 },
    /// The answer to an attempt arrives back.
    Answered { to: usize, attempt: u64, outcome: DeliverOutcome, life: u64 },
    /// A question arrives at a relay.
    Ask { relay: usize, from: usize, ask: u64, request: Vec<u8>, life: u64 },
    /// A question to a relay ends.
    Asked { to: usize, ask: u64, outcome: AskOutcome, life: u64 },
    /// A relay says that something waits.
    Woken { who: usize, relay: usize, life: u64 },
    /// A crashed relay comes back.
    RelayBack { relay: usize },
    /// A connection to a relay comes up.
    RelayUp { who: usize, relay: usize, life: u64 },
    /// A lookup's answer arrives.
    Found { to: usize, query: u64, records: Vec<(RecordKey, Vec<u8>)>, asked: u32, life: u64 },
    /// Something for channels.
    Between(between::Event),
    /// A node looks at its timetable.
    Wake { who: usize, life: u64 },
    /// A connection comes up.
    PeerUp { who: usize, peer: usize, life: u64 },
    /// A crashed node comes back.
    Restart { who: usize },
    /// A person does something.
    Act { who: usize, command: Command },
}

/// A world.
pub struct World {
    /// The seed of everything.
    pub seed: u64,
    /// The people.
    pub people: Vec<Person>,
    /// Relays, which anybody may use.
    pub relays: Vec<Relay>,
    /// People reach each other through relays alone, and find each other there alone.
    pub relays_only: bool,
    /// What was promised and what came of it.
    pub ledger: Ledger,
    /// Loss, delay, duplication, partitions.
    pub weather: Weather,
    /// The virtual clock.
    pub now: Timestamp,
    /// Power cuts that came after some, and before all, of a commit's writes and syncs.
    pub cuts_inside_commits: u64,
    /// What came by which way.
    pub paths: Paths,
    between: Between,
    rng: ChaCha20Rng,
    queue: BinaryHeap<Reverse<(Timestamp, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next: u64,
    dht: BTreeMap<RecordKey, Vec<u8>>,
}

impl World {
    /// Makes a world with so many people, who do not know each other yet.
    pub fn new(seed: u64, people: usize, weather: Weather) -> Self {
        let mut world = Self {
            seed,
            people: Vec::new(),
            relays: Vec::new(),
            relays_only: false,
            ledger: Ledger::default(),
            weather,
            now: Timestamp::from_millis(BEGIN),
            cuts_inside_commits: 0,
            paths: Paths::default(),
            between: Between::default(),
            rng: ChaCha20Rng::seed_from_u64(seed),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next: 0,
            dht: BTreeMap::new(),
        };
        for index in 0..people {
            let person = Person::create(index, seed, world.now);
            world.people.push(person);
        }
        for index in 0..people {
            world.start(index);
        }
        world
    }

    /// Adds relays that run.
    pub fn add_relays(&mut self, count: usize) {
        for index in self.relays.len()..self.relays.len() + count {
            self.relays.push(Relay::create(index, self.seed));
            self.start_relay(index);
        }
    }

    /// Lets a person use a relay.
    pub fn use_relay(&mut self, who: usize, relay: usize) {
        let card = self.relays[relay].card();
        self.act(who, Command::RelayAdd { card });
    }

    fn moment(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.now.as_millis() - BEGIN)
    }

    /// Starts a relay, and lets everybody see it.
    pub fn start_relay(&mut self, relay: usize) {
        let moment = self.moment();
        self.relays[relay].start(self.seed, self.now, moment);
        for who in 0..self.people.len() {
            self.see_relay(who, relay);
        }
    }

    fn see_relay(&mut self, who: usize, relay: usize) {
        let (when, life) = (self.now.plus_millis(self.latency()), self.people[who].life());
        self.at(when, Happening::RelayUp { who, relay, life });
    }

    /// Takes a relay's power. It comes back after a while, or never.
    pub fn crash_relay(&mut self, relay: usize, back_after_ms: Option<u64>) {
        if self.relays[relay].crash()
            && let Some(ms) = back_after_ms
        {
            self.at(self.now.plus_millis(ms), Happening::RelayBack { relay });
        }
    }

    /// Puts back an old copy of a relay's disk.
    pub fn put_relay_back(&mut self, relay: usize, image: Vec<u8>) {
        self.relays[relay].put_back(image);
        self.start_relay(relay);
    }

    /// Stops a person's node in order of nothing: it is off until it is woken.
    pub fn sleep(&mut self, who: usize) {
        if self.people[who].crash(&mut self.rng) {
            self.ledger.crashed(who);
        }
    }

    /// Starts a node that is off.
    pub fn wake(&mut self, who: usize) {
        if !self.people[who].is_up() {
            self.start(who);
        }
    }

    /// A number from the world's chance, below `end`.
    pub fn chance(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end.max(1)
    }

    fn at(&mut self, when: Timestamp, happening: Happening) {
        self.next += 1;
        self.happenings.insert(self.next, happening);
        self.queue.push(Reverse((when, self.next)));
    }

    fn latency(&mut self) -> u64 {
        let Weather { latency_ms, jitter_ms, .. } = self.weather;
        latency_ms + self.chance(jitter_ms + 1)
    }

    /// Lets a person do something after a while.
    pub fn plan(&mut self, after_ms: u64, who: usize, command: Command) {
        self.at(self.now.plus_millis(after_ms), Happening::Act { who, command });
    }

    /// Everybody adds everybody's code.
    pub fn introduce_all(&mut self) {
        let links: Vec<String> = self.people.iter().map(Person::link).collect();
        for who in 0..self.people.len() {
            for (other, link) in links.iter().enumerate().filter(|(other, _)| *other != who) {
                let name = Some(format!("p{other}"));
                self.act(who, Command::ContactAdd { code_or_link: link.clone(), name });
            }
        }
    }

    /// Lets a person send a text; the ledger remembers it once the daemon took it.
    pub fn send(&mut self, from: usize, to: usize, body: &str) {
        let command = self.people[from].text_to(self.people[to].account(), body);
        self.act(from, command);
    }

    /// Lets a person do something now.
    pub fn act(&mut self, who: usize, command: Command) {
        let request = RequestId(self.next_number());
        self.ledger.asked(who, request, &command);
        self.handle(who, vec![Input::Command { request, command, idempotency_key: None }]);
    }

    fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Kills a node: what its disk had not synced is gone, wholly or in part. It comes back after a while.
    pub fn crash(&mut self, who: usize, back_after_ms: u64) {
        if self.people[who].crash(&mut self.rng) {
            self.ledger.crashed(who);
            self.at(self.now.plus_millis(back_after_ms), Happening::Restart { who });
        }
    }

    /// Kills a node at a certain write or sync of its disk, wherever that falls. It comes back a while after.
    pub fn crash_at_write(&mut self, who: usize, changes: u64, back_after_ms: u64) {
        self.people[who].cut_power_after(changes, back_after_ms);
    }

    /// Puts back an old copy of a person's disk.
    pub fn put_back(&mut self, who: usize, image: Vec<u8>) {
        self.people[who].put_back(image);
        self.ledger.crashed(who);
        self.start(who);
    }

    fn start(&mut self, who: usize) {
        self.people[who].start(self.now, self.seed);
        self.handle(who, vec![Input::Start]);
        let (peer, address) = (self.people[who].peer(), self.people[who].address());
        self.handle(who, vec![Input::Net(NetEvent::Addresses { peer, addresses: vec![address] })]);
        for other in 0..self.people.len() {
            if other != who && self.people[other].is_up() {
                self.connect(who, other);
            }
        }
        for relay in 0..self.relays.len() {
            if self.relays[relay].is_up() {
                self.see_relay(who, relay);
            }
        }
    }

    /// Two nodes see each other, unless something is between them.
    fn connect(&mut self, a: usize, b: usize) {
        if self.relays_only || self.weather.parted(a, b) {
            return;
        }
        let when = self.now.plus_millis(self.latency());
        for (who, peer) in [(a, b), (b, a)] {
            let life = self.people[who].life();
            self.at(when, Happening::PeerUp { who, peer, life });
        }
    }

    /// Ends all partitions, and lets everybody who can see each other again.
    pub fn heal(&mut self) {
        self.weather.calm();
        self.people.iter_mut().for_each(Person::spare);
        for who in 0..self.people.len() {
            if !self.people[who].is_up() {
                self.start(who);
            }
        }
        for a in 0..self.people.len() {
            for b in a + 1..self.people.len() {
                self.connect(a, b);
            }
        }
    }

    /// Gives inputs to a node, and carries out what it lets out.
    pub fn handle(&mut self, who: usize, inputs: Vec<Input>) {
        let now = self.now.plus_millis(self.people[who].clock_ahead_ms);
        let out = match self.people[who].turn(inputs, now) {
            Some(Ended::Well(out)) => out,
            Some(Ended::PowerCut { inside, back_after_ms }) => {
                self.cuts_inside_commits += u64::from(inside);
                return self.crash(who, back_after_ms);
            }
            None => return,
        };
        for (request, reply) in out.replies {
            self.ledger.replied(who, request, reply, &self.people);
        }
        for command in out.net {
            self.carry(who, command);
        }
        let life = self.people[who].life();
        if let Some(due) = out.next_due {
            let ahead = self.people[who].clock_ahead_ms;
            let when = due.minus_millis(ahead).max(self.now.plus_millis(1));
            if self.people[who].wake_planned.is_none_or(|planned| when < planned || planned <= self.now) {
                self.people[who].wake_planned = Some(when);
                self.at(when, Happening::Wake { who, life });
            }
        }
    }

    fn carry(&mut self, who: usize, command: NetCommand) {
        let life = self.people[who].life();
        match command {
            NetCommand::Deliver { attempt, peer, frame, .. } => self.deliver(who, attempt, &peer, frame),
            NetCommand::Answer { token, verdict } => self.answer(who, token, verdict),
            NetCommand::Fetch { query, keys, .. } => {
                let lost = self.relays_only || self.roll(self.weather.loss_percent);
                let records: Vec<_> =
                    keys.iter().filter_map(|k| self.dht.get(k).map(|r| (*k, r.clone()))).filter(|_| !lost).collect();
                let asked = if lost { 0 } else { u32::try_from(self.people.len()).unwrap() };
                let when = self.now.plus_millis(2 * self.latency());
                self.at(when, Happening::Found { to: who, query, records, asked, life });
            }
            NetCommand::Publish { records } => {
                for (key, bytes) in records {
                    let newer =
                        self.dht.get(&key).is_none_or(|old| kith_protocol::stored_supersedes(old, &bytes, self.now));
                    if newer && kith_protocol::check_stored(&key, &bytes, self.now).is_ok() {
                        self.dht.insert(key, bytes);
                    }
                }
            }
            NetCommand::Ask { ask, peer, request, .. } => self.ask(who, ask, &peer, request),
            NetCommand::AskMember { ask, peer, request, .. } => self.ask_member(who, ask, &peer, request),
            NetCommand::AnswerMember { token, answer } => self.answer_member(who, token, answer),
            NetCommand::ChannelFollow { topic, keys } => self.follow_topic(who, topic, keys),
            NetCommand::ChannelLeave { topic } => self.leave_topic(who, &topic),
            NetCommand::ChannelPublish { topic, frame } => self.publish_on(who, topic, &frame),
            NetCommand::AnswerRelay { .. }
            | NetCommand::Keep { .. }
            | NetCommand::Wake { .. }
            | NetCommand::Dial { .. }
            | NetCommand::Protect { .. }
            | NetCommand::Block { .. }
            | NetCommand::Fault { .. } => {}
        }
    }

    fn ask(&mut self, who: usize, ask: u64, peer: &PeerName, request: Vec<u8>) {
        let life = self.people[who].life();
        let relay = self.relays.iter().position(|relay| relay.peer() == *peer);
        if relay.is_none() && self.people.iter().any(|p| p.peer() == *peer && p.is_up()) && !self.relays_only {
            let when = self.now.plus_millis(self.latency());
            return self.at(when, Happening::Asked { to: who, ask, outcome: AskOutcome::Unsupported, life });
        }
        let up = relay.filter(|relay| self.relays[*relay].is_up());
        let Some(relay) = up.filter(|_| !self.roll(self.weather.loss_percent)) else {
            let outcome = AskOutcome::Unreachable { why: "not reachable" };
            let pause = if up.is_some() { ANSWER_TIMEOUT_MS } else { self.latency() };
            return self.at(self.now.plus_millis(pause), Happening::Asked { to: who, ask, outcome, life });
        };
        let when = self.now.plus_millis(self.latency());
        self.at(when, Happening::Ask { relay, from: who, ask, request, life });
    }

    /// A relay answers, unless the answer is lost; what it woke hears of it.
    fn answer_ask(&mut self, relay: usize, from: usize, ask: u64, request: Vec<u8>, life: u64) {
        let (mut peer, moment) = (self.people[from].peer(), self.moment());
        let mut asked = relay;
        if let Some(other) = self.relays[relay].poses_as {
            if relay::is_of(&request, Kind::Audit) {
                let outcome = AskOutcome::Answered(Answer::Audited(Audited::Absent).encode());
                return self.at(self.now.plus_millis(1), Happening::Asked { to: from, ask, outcome, life });
            }
            (asked, peer) = (other, self.relays[relay].peer());
        }
        let Some((answer, woken)) = self.relays[asked].ask(&peer, request, self.now, moment) else {
            let outcome = AskOutcome::Unreachable { why: "the connection ended" };
            return self.at(self.now.plus_millis(1), Happening::Asked { to: from, ask, outcome, life });
        };
        let lost = self.roll(self.weather.loss_percent);
        let (pause, outcome) = if lost {
            (ANSWER_TIMEOUT_MS, AskOutcome::Unreachable { why: "timed out" })
        } else {
            (self.latency(), AskOutcome::Answered(answer))
        };
        self.at(self.now.plus_millis(pause), Happening::Asked { to: from, ask, outcome, life });
        self.wake_owners(relay, woken);
    }

    /// Lets somebody who is nobody of the world ask a relay.
    pub fn ask_relay(&mut self, relay: usize, from: &PeerName, request: Vec<u8>) -> Option<Vec<u8>> {
        let moment = self.moment();
        let (answer, woken) = self.relays[relay].ask(from, request, self.now, moment)?;
        self.wake_owners(relay, woken);
        Some(answer)
    }

    fn wake_owners(&mut self, relay: usize, woken: Vec<PeerName>) {
        for name in woken {
            let Some(who) = self.people.iter().position(|p| p.peer() == name) else { continue };
            let (when, life) = (self.now.plus_millis(self.latency()), self.people[who].life());
            self.at(when, Happening::Woken { who, relay, life });
        }
    }

    fn deliver(&mut self, who: usize, attempt: u64, peer: &PeerName, frame: Frame) {
        let life = self.people[who].life();
        let to = self.people.iter().position(|p| p.peer() == *peer);
        let reachable = to.filter(|to| !self.relays_only && self.people[*to].is_up() && !self.weather.parted(who, *to));
        let Some(to) = reachable.filter(|_| !self.roll(self.weather.loss_percent)) else {
            let when = self.now.plus_millis(ANSWER_TIMEOUT_MS);
            let outcome = DeliverOutcome::Unreachable { why: "not reachable" };
            return self.at(when, Happening::Answered { to: who, attempt, outcome, life });
        };
        let copies = if self.roll(self.weather.duplicate_percent) { 2 } else { 1 };
        for _ in 0..copies {
            let when = self.now.plus_millis(self.latency());
            self.at(when, Happening::Arrive { to, from: who, attempt, frame: frame.clone(), life });
        }
    }

    fn answer(&mut self, who: usize, token: InboundToken, verdict: Verdict) {
        let Some((to, attempt, life)) = self.people[who].answered(token) else { return };
        let lost = self.weather.parted(who, to) || self.roll(self.weather.loss_percent);
        let outcome = match verdict {
            _ if lost => DeliverOutcome::Unreachable { why: "timed out" },
            Verdict::Accepted => DeliverOutcome::Accepted,
            Verdict::Busy { retry_after_ms } => DeliverOutcome::Busy { retry_after_ms },
            Verdict::Refused => DeliverOutcome::Refused,
        };
        let delay = if lost { ANSWER_TIMEOUT_MS } else { self.latency() };
        self.at(self.now.plus_millis(delay), Happening::Answered { to, attempt, outcome, life });
    }

    fn roll(&mut self, percent: u64) -> bool {
        self.chance(100) < percent
    }

    /// Lets happen what happens until a moment (or until nothing is left), and stops the clock there.
    pub fn run_for(&mut self, ms: u64) {
        let until = self.now.plus_millis(ms);
        while let Some(Reverse((when, number))) = self.queue.peek().copied() {
            if when > until {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(when);
            if let Some(happening) = self.happenings.remove(&number) {
                self.happen(happening);
            }
        }
        self.now = until;
    }

    /// Runs until every promise is kept and nobody waits for anything more, at most so long; tells whether it is so.
    pub fn run_until_settled(&mut self, at_most_ms: u64) -> bool {
        let until = self.now.plus_millis(at_most_ms);
        while self.now < until {
            self.run_for(60_000);
            if self.people.iter().all(|p| p.waiting().is_empty()) && self.ledger.open(&self.people).is_empty() {
                return true;
            }
        }
        false
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { to, from, attempt, frame, life } if self.people[to].is_up() => {
                self.paths.direct += 1;
                let token = self.people[to].expects_answer(from, attempt, life);
                let from = self.people[from].peer();
                self.handle(to, vec![Input::Net(NetEvent::Inbound { token, from, frame })]);
            }
            Happening::Answered { to, attempt, outcome, life } if self.people[to].alive(life) => {
                self.handle(to, vec![Input::Net(NetEvent::DeliverDone { attempt, outcome })]);
            }
            Happening::Found { to, query, records, asked, life } if self.people[to].alive(life) => {
                self.handle(to, vec![Input::Net(NetEvent::Found { query, records, asked })]);
            }
            Happening::Ask { relay, from, ask, request, life } if self.relays[relay].is_up() => {
                self.paths.relay += 1;
                self.answer_ask(relay, from, ask, request, life);
            }
            Happening::Ask { from, ask, life, .. } => {
                let outcome = AskOutcome::Unreachable { why: "not reachable" };
                self.at(self.now.plus_millis(1), Happening::Asked { to: from, ask, outcome, life });
            }
            Happening::Woken { who, relay, life } if self.people[who].alive(life) => {
                let from = self.relays[relay].peer();
                self.handle(who, vec![Input::Net(NetEvent::Woken { from })]);
            }
            Happening::RelayUp { who, relay, life } if self.people[who].alive(life) => {
                let peer = self.relays[relay].peer();
                self.handle(who, vec![Input::Net(NetEvent::PeerUp { peer })]);
            }
            Happening::RelayBack { relay } if !self.relays[relay].is_up() => self.start_relay(relay),
            Happening::Asked { to, ask, outcome, life } if self.people[to].alive(life) => {
                self.handle(to, vec![Input::Net(NetEvent::Asked { ask, outcome })]);
            }
            Happening::Between(event) => self.happen_between(event),
            // One that an earlier one replaced is none, or each would plan another for ever.
            Happening::Wake { who, life }
                if self.people[who].alive(life) && self.people[who].wake_planned.is_some_and(|at| at <= self.now) =>
            {
                self.people[who].wake_planned = None;
                self.handle(who, vec![Input::Tick]);
            }
            Happening::PeerUp { who, peer, life } if self.people[who].alive(life) => {
                let peer = self.people[peer].peer();
                self.handle(who, vec![Input::Net(NetEvent::PeerUp { peer })]);
            }
            Happening::Restart { who } if !self.people[who].is_up() => self.start(who),
            Happening::Act { who, command } if self.people[who].is_up() => self.act(who, command),
            _ => {}
        }
    }
}
