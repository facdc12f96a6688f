//! A few nodes on one workbench: every frame, answer and disk is in the test's hand, and time moves when it is told to.

mod forge;
mod letters;
mod node;

pub use forge::{Forger, Target};
pub use letters::{Found, Letters};
pub use node::Node;

use kith_node::{
    UserError,
    api::types::{self, SendReply},
    app::{Command, Input, Outcome, Reply, RequestId},
    net::{DeliverOutcome, Frame, InboundToken, NetCommand, NetEvent, Verdict},
};
use kith_protocol::{MessageId, RecordKey, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// When every bench begins: 2027-01-01.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_798_761_600_000);
/// A minute in milliseconds.
pub const MINUTE: u64 = 60_000;
/// An hour in milliseconds.
pub const HOUR: u64 = 60 * MINUTE;
/// A day in milliseconds.
pub const DAY: u64 = 24 * HOUR;

/// What becomes of a frame on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and so does the answer.
    Arrives,
    /// It is lost.
    Lost,
    /// It arrives, the answer does not.
    AnswerLost,
    /// The daemon says that it took it, but it never came further.
    Swallowed,
}

/// A frame that was carried.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Who sent it.
    pub from: usize,
    /// Who got it.
    pub to: usize,
    /// It.
    pub frame: Frame,
    /// What the other side said; none if it never arrived.
    pub verdict: Option<Verdict>,
}

type Weigh = Box<dyn FnMut(usize, usize, &Frame) -> Fate>;

/// The workbench.
pub struct Bench {
    /// The seed of everything.
    pub seed: u64,
    /// The clock on the wall; a node's own may be off.
    pub now: Timestamp,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Every frame that left a node, in order.
    pub carried: Vec<Carried>,
    /// Lookups made: who, and the keys.
    pub lookups: Vec<(usize, Vec<RecordKey>)>,
    /// Peers reported for faults: by whom.
    pub faults: Vec<usize>,
    /// What is published.
    pub dht: BTreeMap<RecordKey, Vec<u8>>,
    /// Nodes nobody reaches and who reach nobody.
    pub cut_off: BTreeSet<usize>,
    weigh: Weigh,
    todo: VecDeque<(usize, NetCommand)>,
    replies: BTreeMap<RequestId, Reply>,
    number: u64,
}

impl Bench {
    /// Makes nodes that do not know each other; all run.
    pub fn new(seed: u64, nodes: usize) -> Self {
        let mut bench = Self {
            seed,
            now: BEGIN,
            nodes: (0..nodes).map(|index| Node::create(seed, index, BEGIN)).collect(),
            carried: Vec::new(),
            lookups: Vec::new(),
            faults: Vec::new(),
            dht: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            weigh: Box::new(|_, _, _| Fate::Arrives),
            todo: VecDeque::new(),
            replies: BTreeMap::new(),
            number: 0,
        };
        for who in 0..nodes {
            bench.start(who);
        }
        bench
    }

    /// Makes nodes that added each other's codes.
    pub fn friends(seed: u64, nodes: usize) -> Self {
        let mut bench = Self::new(seed, nodes);
        for a in 0..nodes {
            for b in (0..nodes).filter(|b| *b != a) {
                bench.add(a, b).unwrap();
            }
        }
        bench.wait(MINUTE);
        bench
    }

    /// Brings one more node that knows nobody; returns its place.
    pub fn join(&mut self) -> usize {
        let who = self.nodes.len();
        self.nodes.push(Node::create(self.seed, who, self.now));
        self.start(who);
        who
    }

    /// Starts (or restarts) a node.
    pub fn start(&mut self, who: usize) {
        self.nodes[who].start();
        self.feed(who, vec![Input::Start]);
        let (peer, addresses) = (Node::peer(who), vec![format!("/memory/{who}")]);
        self.feed(who, vec![Input::Net(NetEvent::Addresses { peer, addresses })]);
        self.pump();
    }

    /// Starts a node whose disk has no room from the moment it is open.
    pub fn start_over_a_full_disk(&mut self, who: usize) {
        self.nodes[who].start();
        self.nodes[who].disk.set_full(true);
        self.feed(who, vec![Input::Start]);
        let (peer, addresses) = (Node::peer(who), vec![format!("/memory/{who}")]);
        self.feed(who, vec![Input::Net(NetEvent::Addresses { peer, addresses })]);
        self.pump();
    }

    /// Stops a node with its disk as it is, and starts it again.
    pub fn restart(&mut self, who: usize) {
        self.nodes[who].stop();
        self.start(who);
    }

    /// Decides about every frame from now on.
    pub fn fate(&mut self, weigh: impl FnMut(usize, usize, &Frame) -> Fate + 'static) {
        self.weigh = Box::new(weigh);
    }

    /// The clock a node sees.
    pub fn clock(&self, who: usize) -> Timestamp {
        let skew = self.nodes[who].skew_ms;
        if skew < 0 { self.now.minus_millis(skew.unsigned_abs()) } else { self.now.plus_millis(skew.unsigned_abs()) }
    }

    /// Gives inputs to a node; what it lets out waits for [`Self::pump`].
    pub fn feed(&mut self, who: usize, inputs: Vec<Input>) {
        let now = self.clock(who);
        let Some(out) = self.nodes[who].turn(inputs, now) else { return };
        self.replies.extend(out.replies);
        self.todo.extend(out.net.into_iter().map(|command| (who, command)));
    }

    /// Carries what left the nodes until nothing moves.
    pub fn pump(&mut self) {
        while let Some((who, command)) = self.todo.pop_front() {
            self.carry(who, command);
        }
    }

    fn carry(&mut self, who: usize, command: NetCommand) {
        match command {
            NetCommand::Deliver { attempt, peer, frame, .. } => {
                let outcome = match self.nodes.iter().position(|n| Node::peer(n.index) == peer) {
                    Some(to) if self.reach(who, to) => self.pass(who, to, frame),
                    _ => unreachable(),
                };
                self.feed(who, vec![Input::Net(NetEvent::DeliverDone { attempt, outcome })]);
            }
            NetCommand::Fetch { query, keys, .. } => {
                let up = !self.cut_off.contains(&who);
                let found = |k: &RecordKey| self.dht.get(k).map(|record| (*k, record.clone()));
                let records = if up { keys.iter().filter_map(found).collect() } else { Vec::new() };
                let asked = if up { 3 } else { 0 };
                self.lookups.push((who, keys));
                self.feed(who, vec![Input::Net(NetEvent::Found { query, records, asked })]);
            }
            NetCommand::Publish { records } if !self.cut_off.contains(&who) => {
                // A node has one set of own records: the next one replaces it before it left.
                let replaced =
                    |(other, next): &(usize, NetCommand)| *other == who && matches!(next, NetCommand::Publish { .. });
                if !self.todo.iter().any(replaced) {
                    self.publish(records);
                }
            }
            NetCommand::Fault { .. } => self.faults.push(who),
            _ => {}
        }
    }

    /// Puts records where nodes that store them would: valid ones, over what is older.
    pub fn publish(&mut self, records: Vec<(RecordKey, Vec<u8>)>) {
        for (key, bytes) in records {
            let newer = self.dht.get(&key).is_none_or(|old| kith_protocol::stored_supersedes(old, &bytes, self.now));
            if newer && kith_protocol::check_stored(&key, &bytes, self.now).is_ok() {
                self.dht.insert(key, bytes);
            }
        }
    }

    fn reach(&self, a: usize, b: usize) -> bool {
        !self.cut_off.contains(&a) && !self.cut_off.contains(&b) && self.nodes[b].is_up()
    }

    fn pass(&mut self, from: usize, to: usize, frame: Frame) -> DeliverOutcome {
        let fate = (self.weigh)(from, to, &frame);
        let verdict = match fate {
            Fate::Lost | Fate::Swallowed => None,
            Fate::Arrives | Fate::AnswerLost => self.hand(from, to, frame.clone()),
        };
        self.carried.push(Carried { from, to, frame, verdict });
        match (fate, verdict) {
            (Fate::Swallowed, _) | (Fate::Arrives, Some(Verdict::Accepted)) => DeliverOutcome::Accepted,
            (Fate::Arrives, Some(Verdict::Refused)) => DeliverOutcome::Refused,
            (Fate::Arrives, Some(Verdict::Busy { retry_after_ms })) => DeliverOutcome::Busy { retry_after_ms },
            _ => unreachable(),
        }
    }

    /// Hands a frame to a node as coming over a connection; returns what it says, once that is committed.
    pub fn hand(&mut self, from: usize, to: usize, frame: Frame) -> Option<Verdict> {
        let token = InboundToken(self.next());
        self.feed(to, vec![Input::Net(NetEvent::Inbound { token, from: Node::peer(from), frame })]);
        let mut verdict = None;
        self.todo.retain(|(_, command)| match command {
            NetCommand::Answer { token: answered, verdict: said } if *answered == token => {
                verdict = Some(*said);
                false
            }
            _ => true,
        });
        verdict
    }

    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Lets time pass: nodes wake when something is due.
    pub fn wait(&mut self, ms: u64) {
        let until = self.now.plus_millis(ms);
        self.pump();
        loop {
            let dues = (0..self.nodes.len()).filter(|who| self.nodes[*who].is_up()).filter_map(|who| {
                let ahead = self.clock(who).millis_since(self.now);
                let behind = self.now.millis_since(self.clock(who));
                self.nodes[who].next_due.map(|due| (due.minus_millis(ahead).plus_millis(behind), who))
            });
            let Some((due, who)) = dues.min().filter(|(due, _)| *due <= until) else { break };
            self.now = self.now.max(due);
            self.feed(who, vec![Input::Tick]);
            self.pump();
        }
        self.now = until;
    }

    /// Lets a person do something, with what follows from it.
    pub fn act(&mut self, who: usize, command: Command) -> Reply {
        self.act_keyed(who, command, None)
    }

    /// The same under an idempotency key.
    pub fn act_keyed(&mut self, who: usize, command: Command, key: Option<&str>) -> Reply {
        let request = RequestId(self.next());
        let idempotency_key = key.map(str::to_owned);
        self.feed(who, vec![Input::Command { request, command, idempotency_key }]);
        self.pump();
        self.replies.remove(&request).expect("every command is answered")
    }

    /// Adds a contact by code alone, without hints.
    pub fn add(&mut self, who: usize, other: usize) -> Reply {
        let code_or_link = self.nodes[other].me().code;
        self.act(who, Command::ContactAdd { code_or_link, name: Some(format!("n{other}")) })
    }

    /// The command that sends a text.
    pub fn text(&self, to: usize, body: &str) -> Command {
        Command::Send { to: self.nodes[to].account, body: body.to_owned(), expires_after_ms: None }
    }

    /// Sends a text that must be taken.
    pub fn say(&mut self, from: usize, to: usize, body: &str) -> MessageId {
        self.try_say(from, to, body).unwrap().id
    }

    /// Sends a text.
    pub fn try_say(&mut self, from: usize, to: usize, body: &str) -> Result<SendReply, UserError> {
        let command = self.text(to, body);
        match self.act(from, command)? {
            Outcome::Sent(sent) => Ok(sent),
            other => panic!("a text was answered with {other:?}"),
        }
    }

    /// The texts that a node shows of another one, in order.
    pub fn texts(&self, at: usize, from: usize) -> Vec<String> {
        self.nodes[at].messages(&self.nodes[from].account).into_iter().filter(|m| !m.outgoing).map(|m| m.body).collect()
    }

    /// How a node sees another one.
    pub fn contact(&self, at: usize, other: usize) -> Option<types::Contact> {
        self.nodes[at].contacts().into_iter().find(|c| c.account == self.nodes[other].account)
    }

    /// How far a message is.
    pub fn state(&self, at: usize, id: &MessageId) -> types::DeliveryState {
        self.nodes[at].message(id).expect("the message is there").state
    }

    /// Makes somebody who speaks for a node's device with its own keys, at odds with its node.
    pub fn forger_of(&self, who: usize) -> Forger {
        self.nodes[who].forger()
    }
}

fn unreachable() -> DeliverOutcome {
    DeliverOutcome::Unreachable { why: "not reachable" }
}
