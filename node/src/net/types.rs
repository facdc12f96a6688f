//! The plain data that passes between the app and the net task.
//! Must not know libp2p: the simulated world speaks these types too.

use kith_protocol::{RecordKey, Timestamp, channel::gate::GateKey};
use std::mem::discriminant;

/// Names a transport peer: the base58 text of its libp2p PeerId.
///
/// It says nothing about who a person is: transport keys rotate, and only end-to-end receipts count as delivered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName(pub String);

/// Names one inbound frame until its verdict is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboundToken(pub u64);

/// Names one request to this node's relay until its answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayToken(pub u64);

/// Names one question of another member until its answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberToken(pub u64);

/// Holds one envelope with the routing header that travels outside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Routing tag of the recipient's mailbox, 16 bytes; all zero on a direct delivery.
    pub tag: [u8; 16],
    /// When a holder may drop the envelope.
    pub expires: Timestamp,
    /// The sealed envelope, at most `limits::ENVELOPE_MAX` bytes.
    pub envelope: Vec<u8>,
}

/// Tells a delivering peer what became of its frame; sent only after the commit that stored it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stored on disk (or stored before).
    Accepted,
    /// Not now: the inbound allowance or a queue is full.
    Busy {
        /// How long the sender should wait, in milliseconds.
        retry_after_ms: u64,
    },
    /// Never in this form: nothing here opens it. The same answer for every reason, so that it is no oracle.
    Refused,
}

/// Says how one attempt to deliver a frame ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliverOutcome {
    /// The peer holds it durably.
    Accepted,
    /// The peer asks to wait.
    Busy {
        /// In milliseconds, as the peer said it; the app bounds it.
        retry_after_ms: u64,
    },
    /// The peer answered that it cannot use this envelope.
    Refused,
    /// No answer: not connected, dial failed, timed out, stream broke. Whether it arrived is unknown.
    Unreachable {
        /// A short reason for `why`, without addresses.
        why: &'static str,
    },
}

/// Says how one question to a relay, or to another member of a channel, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskOutcome {
    /// The answer, at most `limits::RELAY_ANSWER_MAX` or `limits::CHANNEL_ANSWER_MAX` bytes; what it says is the app's to read.
    Answered(Vec<u8>),
    /// The other end asks to wait: its queue or this node's allowance there is full.
    Busy {
        /// In milliseconds, as it was said; the app bounds it.
        retry_after_ms: u64,
    },
    /// The peer does not speak the protocol: it is no relay, or older than channels.
    Unsupported,
    /// No answer: not connected, dial failed, timed out, stream broke. Whether it was carried out is unknown.
    Unreachable {
        /// A short reason for `why`, without addresses.
        why: &'static str,
    },
}

/// What the net task tells the relay that this node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayInput {
    /// A request came in; its peer waits for `NetCommand::AnswerRelay`.
    Request {
        /// Names the request.
        token: RelayToken,
        /// Whose connection it came over: this node itself for its own app's.
        from: PeerName,
        /// What came: 1 to `limits::RELAY_REQUEST_MAX` bytes, not looked at.
        request: Vec<u8>,
    },
    /// The last connection of a peer that asked before is gone: nothing that holds for a connection holds for it any more.
    Gone {
        /// Who.
        peer: PeerName,
    },
}

/// What the app asks of the net task; made only from committed effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetCommand {
    /// Delivers a frame over a live connection to the peer, else dials its addresses first. Answered by
    /// `NetEvent::DeliverDone` exactly once unless the net task stops.
    Deliver {
        /// Chosen by the app; comes back in the answer.
        attempt: u64,
        /// Whom to deliver to.
        peer: PeerName,
        /// Multiaddresses known for it (may be empty: then a live connection or the address book serves).
        addresses: Vec<String>,
        /// What to deliver.
        frame: Frame,
    },
    /// Answers an inbound frame.
    Answer {
        /// Which frame.
        token: InboundToken,
        /// What became of it.
        verdict: Verdict,
    },
    /// Looks records up: asks the hinted peers directly, the DHT beside it. Answered by `NetEvent::Found`.
    Fetch {
        /// Chosen by the app; comes back in the answer.
        query: u64,
        /// Record keys to look for.
        keys: Vec<RecordKey>,
        /// Multiaddresses (with or without /p2p) to ask directly; untrusted.
        hints: Vec<String>,
    },
    /// Replaces this node's own records: answers direct requests with them, puts them into the DHT now, when the first
    /// server peer appears, when the nearest nodes change and every 8 h. Each round is told by `NetEvent::Published`.
    Publish {
        /// Record key and record bytes.
        records: Vec<(RecordKey, Vec<u8>)>,
    },
    /// Dials addresses (link hints, bootstrap) and offers them to the DHT; untrusted, failures are quiet.
    Dial {
        /// Multiaddresses.
        addresses: Vec<String>,
    },
    /// Replaces the set of peers whose connections are kept open (contacts, and relays that hold mail for this node).
    Protect {
        /// Peers of contacts and relays.
        peers: Vec<PeerName>,
    },
    /// Replaces the set of blocked peers; their connections are closed.
    Block {
        /// Blocked peers.
        peers: Vec<PeerName>,
    },
    /// Asks a relay over a live connection, else dials its addresses first; this node's own relay is asked without a
    /// connection. Answered by `NetEvent::Asked` exactly once unless the net task stops.
    Ask {
        /// Chosen by the app; comes back in the answer.
        ask: u64,
        /// The relay.
        peer: PeerName,
        /// Multiaddresses known for it (may be empty: then a live connection or the address book serves).
        addresses: Vec<String>,
        /// What to ask, 1 to `limits::RELAY_REQUEST_MAX` bytes.
        request: Vec<u8>,
    },
    /// Answers a request to this node's relay.
    AnswerRelay {
        /// Which request.
        token: RelayToken,
        /// The answer, at most `limits::RELAY_ANSWER_MAX` bytes.
        answer: Vec<u8>,
    },
    /// Keeps the connections of a client of this node's relay open although nothing travels on them, until the client
    /// closes them or dies. Idle strangers are let go.
    Keep {
        /// Who.
        peer: PeerName,
    },
    /// Tells a connected peer that something waits for it here; dropped quietly if it is not connected.
    Wake {
        /// Whom.
        peer: PeerName,
    },
    /// Lowers a peer's score for a fault that is the peer's (`Fault::Peer`).
    Fault {
        /// Who sent it.
        peer: PeerName,
    },
    /// Asks another member of a channel over a live connection, else dials its addresses first. Answered by
    /// `NetEvent::Asked` exactly once unless the net task stops; its numbers are those of `Ask`.
    AskMember {
        /// Chosen by the app; comes back in the answer.
        ask: u64,
        /// The member's node.
        peer: PeerName,
        /// Multiaddresses known for it (may be empty: then a live connection or the address book serves).
        addresses: Vec<String>,
        /// What to ask, 1 to `limits::CHANNEL_REQUEST_MAX` bytes.
        request: Vec<u8>,
    },
    /// Answers a question of another member.
    AnswerMember {
        /// Which question.
        token: MemberToken,
        /// The answer, at most `limits::CHANNEL_ANSWER_MAX` bytes.
        answer: Vec<u8>,
    },
    /// Follows a channel's topic from now on; followed before, it replaces the keys of its gate. More topics than
    /// `Limits::topics` are not followed.
    ChannelFollow {
        /// The topic of a lineage.
        topic: [u8; 32],
        /// The keys of its gate, at most 4; what is published is sealed with the first. Without any, the newest packets
        /// are held until one comes.
        keys: Vec<GateKey>,
    },
    /// Leaves a topic: what waits for it or came without a key is dropped.
    ChannelLeave {
        /// The topic of a lineage.
        topic: [u8; 32],
    },
    /// Puts a frame out on a followed topic whose key is known. While nobody else follows it the frame waits, for two
    /// minutes at most. That it went out is told by `NetEvent::FrameLeft`, whether it arrives is not.
    ChannelPublish {
        /// The topic of a lineage.
        topic: [u8; 32],
        /// 1 to `limits::CHANNEL_FRAME_MAX` bytes.
        frame: Vec<u8>,
    },
}

impl NetCommand {
    /// Whether it says how things stand from now on, so that it counts until another one `supersedes` it; nothing else
    /// repeats it.
    pub fn stands(&self) -> bool {
        matches!(self, Self::Publish { .. } | Self::Protect { .. } | Self::Block { .. }) || self.stands_for().is_some()
    }

    /// Whether an earlier command that `stands` says nothing any more beside this one.
    pub fn supersedes(&self, earlier: &Self) -> bool {
        match (self.stands_for(), earlier.stands_for()) {
            (Some(topic), Some(other)) => topic == other,
            (None, None) => discriminant(self) == discriminant(earlier),
            _ => false,
        }
    }

    /// The topic that it says to follow or to leave.
    fn stands_for(&self) -> Option<&[u8; 32]> {
        match self {
            Self::ChannelFollow { topic, .. } | Self::ChannelLeave { topic } => Some(topic),
            _ => None,
        }
    }

    /// Whether it comes from the relay that this node runs, not from the app.
    pub(crate) fn is_relays(&self) -> bool {
        matches!(self, Self::AnswerRelay { .. } | Self::Keep { .. } | Self::Wake { .. })
    }
}

/// What the net task tells the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetEvent {
    /// A frame came in; its peer waits for `NetCommand::Answer`.
    Inbound {
        /// Names the frame.
        token: InboundToken,
        /// Who carried it (not who wrote it).
        from: PeerName,
        /// What came.
        frame: Frame,
    },
    /// Ends a `NetCommand::Deliver`.
    DeliverDone {
        /// The app's number.
        attempt: u64,
        /// How it ended.
        outcome: DeliverOutcome,
    },
    /// Ends a `NetCommand::Ask` or `NetCommand::AskMember`.
    Asked {
        /// The app's number.
        ask: u64,
        /// How it ended.
        outcome: AskOutcome,
    },
    /// Somebody asks what members of channels ask each other; its peer waits for `NetCommand::AnswerMember`, and is told to
    /// ask later when none comes in time.
    MemberAsks {
        /// Names the question.
        token: MemberToken,
        /// Whose connection it came over (not who wrote it).
        from: PeerName,
        /// What came: 1 to `limits::CHANNEL_REQUEST_MAX` bytes, not looked at.
        request: Vec<u8>,
    },
    /// A relay whose connection is kept open says that something waits there; several of one peer may be told as one.
    Woken {
        /// Who said it.
        from: PeerName,
    },
    /// Ends a `NetCommand::Fetch`: every candidate record found, checked for shape and signature, newest first per key.
    Found {
        /// The app's number.
        query: u64,
        /// Record key and record bytes.
        records: Vec<(RecordKey, Vec<u8>)>,
        /// How many peers answered at all (0: nobody reachable).
        asked: u32,
    },
    /// A frame of a channel came in through its gate. Nobody waits for an answer, and none is told again: what did not fit
    /// is found by repair.
    Gossip {
        /// The topic of its lineage.
        topic: [u8; 32],
        /// Who carried it here (not who wrote it).
        from: PeerName,
        /// What came, at most `limits::CHANNEL_FRAME_MAX` bytes.
        frame: Vec<u8>,
    },
    /// A frame of a channel went out to somebody who follows its topic; whether it arrives is not known.
    FrameLeft {
        /// The topic of its lineage.
        topic: [u8; 32],
        /// Hash of the frame (SHA-256).
        item: [u8; 32],
    },
    /// One round of publishing ended.
    Published {
        /// How many distinct peers acknowledged at least one record.
        stored: u32,
    },
    /// A connection to a peer came up: the first one, or one in place of those it had before it was restarted.
    PeerUp {
        /// Who.
        peer: PeerName,
    },
    /// The last connection to a peer is gone.
    PeerDown {
        /// Who.
        peer: PeerName,
    },
    /// The addresses under which others can reach this node changed.
    Addresses {
        /// This node's transport name.
        peer: PeerName,
        /// Multiaddresses without /p2p, best first, at most 8.
        addresses: Vec<String>,
    },
}

/// Which transport a connection uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TCP with Noise and Yamux.
    Noise,
    /// QUIC (TLS 1.3).
    Quic,
}

/// One connected or known peer, for `peer list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub peer: PeerName,
    /// Whether a connection is open, and over what.
    pub transport: Option<Transport>,
    /// The address of that connection, or the newest known one.
    pub address: Option<String>,
    /// Round trip of the last ping in microseconds.
    pub rtt_us: Option<u64>,
    /// Score: 0 is neutral, lower is worse; at or below `limits` the peer is banned.
    pub score: i32,
    /// Banned by the user or by score.
    pub banned: bool,
}

impl PeerStatus {
    /// Somebody of whom nothing is known but that the user banned them.
    pub fn banned(peer: PeerName) -> Self {
        Self { peer, transport: None, address: None, rtt_us: None, score: 0, banned: true }
    }
}

/// A picture of the net task, renewed at least every second while something changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetStatus {
    /// This node's transport name; empty until the swarm is up.
    pub peer: String,
    /// Addresses listened on, with /p2p.
    pub listen: Vec<String>,
    /// Connected peers, and banned ones.
    pub peers: Vec<PeerStatus>,
    /// Whether this node serves the DHT.
    pub dht_server: bool,
    /// Peers in the routing table.
    pub routing: u32,
    /// Peers that acknowledged the last publishing round.
    pub published_to: u32,
    /// The live path of channels.
    pub gossip: GossipStatus,
}

/// What the live path of channels has done since the start, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GossipStatus {
    /// Topics followed.
    pub topics: u32,
    /// Frames that came through their gate.
    pub accepted: u64,
    /// Packets that no holder of a key made.
    pub rejected: u64,
    /// Packets of another time, and of topics without a key.
    pub ignored: u64,
    /// Packets beyond a peer's allowance, and frames for which the app had no room.
    pub dropped: u64,
    /// Frames put out.
    pub published: u64,
    /// Frames put out while the queue to every receiver was full: they went nowhere.
    pub crowded: u64,
    /// Packets that wait for a key.
    pub held: u32,
    /// Frames that wait for somebody who follows their topic.
    pub unsent: u32,
}
