//! Every bound of the net task, with its reason, and the token bucket that enforces rates.
//! Must not know protocols.

use crate::clock::Moment;
use std::time::Duration;

/// The bounds of the net task. The defaults suit a person's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Established connections that others opened; more are refused at the handshake.
    pub inbound_connections: u32,
    /// Established connections that this node opened.
    pub outbound_connections: u32,
    /// Handshakes in progress, each way. A silent peer holds one for `handshake_timeout`, or until others need its place.
    pub pending_connections: u32,
    /// Connections per peer: three, because two peers that dial each other at once make two.
    pub connections_per_peer: u32,
    /// Connections that come in from one network of the internet (an IPv4 /24, an IPv6 /56), if bounded.
    pub connections_per_network: Option<usize>,
    /// Resident memory of the process above which no new connection is taken, in bytes.
    pub memory_bytes: Option<usize>,
    /// How long an unused connection of a peer that is no contact stays open; below the interval of pings, which count
    /// as use.
    pub idle: Duration,
    /// How often a connection is looked after, in use or not.
    pub ping_every: Duration,
    /// How long a peer may take to answer that before its connection counts as dead.
    pub ping_patience: Duration,
    /// Connections to peers of the DHT that are kept and looked for, so that a small network holds together.
    pub anchors: usize,
    /// How long a dial with its handshake may take.
    pub handshake_timeout: Duration,
    /// How long a request may take from its first byte to the last byte of its answer. An inbound one must be read in
    /// what is left of it beyond `verdict_timeout`.
    pub request_timeout: Duration,
    /// How long an inbound frame waits for the app before the net task answers busy.
    pub verdict_timeout: Duration,
    /// How long a lookup of records may take.
    pub fetch_timeout: Duration,
    /// How long a lookup goes on looking for newer records once it has one.
    pub fetch_grace: Duration,
    /// Inbound frames of one peer that may wait for the app.
    pub inbound_per_peer: usize,
    /// Inbound frames of all peers that may wait for the app (times 64 KiB of memory); at most half are strangers'.
    pub inbound_total: usize,
    /// Inbound frames a second of one peer, on average.
    pub inbound_rate: u32,
    /// Inbound frames of one peer at once.
    pub inbound_burst: u32,
    /// Frames in flight to one peer; the others wait in order.
    pub outbound_per_peer: usize,
    /// Frames that wait or are in flight; beyond it an attempt ends at once as unreachable.
    pub outbound_total: usize,
    /// Questions in flight to one relay; the others wait in order.
    pub ask_per_relay: usize,
    /// Questions to relays that wait or are in flight (times 200 KiB of answers); beyond it one ends at once as
    /// unreachable.
    pub ask_total: usize,
    /// Questions in flight to one member of a channel; the others wait in order.
    pub ask_per_member: usize,
    /// Questions to members that wait or are in flight (times 256 KiB of answers); beyond it one ends at once as
    /// unreachable.
    pub ask_members_total: usize,
    /// Requests to this node's relay from one peer that may wait for it.
    pub relay_per_peer: usize,
    /// Requests to this node's relay from all peers that may wait for it (times 66 KiB of memory); at most half are those of
    /// peers that have no mailbox here.
    pub relay_total: usize,
    /// Requests to this node's relay a second from one peer, on average.
    pub relay_rate: u32,
    /// Requests to this node's relay from one peer at once.
    pub relay_burst: u32,
    /// Bytes of the relay's answers that are on their way; beyond it those who have one on its way are told to wait.
    pub relay_answer_bytes: usize,
    /// Peers of which this node's relay is told that they are gone; more are told to wait.
    pub relay_peers: usize,
    /// Questions of one peer about channels that may wait for the app.
    pub channel_per_peer: usize,
    /// Questions of all peers about channels that may wait for the app (times 128 KiB of memory); at most half are strangers'.
    pub channel_total: usize,
    /// Questions about channels a second from one peer, on average.
    pub channel_rate: u32,
    /// Questions about channels from one peer at once.
    pub channel_burst: u32,
    /// Bytes of answers to them that are on their way; beyond it those who have one on its way are told to wait.
    pub channel_answer_bytes: usize,
    /// Bytes of inbound requests that are half read, all peers and protocols together; beyond it requests are answered busy.
    pub half_read_bytes: usize,
    /// Commands that wait for the net task; beyond it `NetHandle::send` gives the command back.
    pub commands: usize,
    /// Events that wait for the app; inbound frames beyond it are answered busy.
    pub events: usize,
    /// Topics that this node follows, and that a peer may say it follows.
    pub topics: usize,
    /// Parts of 2 KiB of gossip a second from one peer, on average; a packet is at least one.
    pub gossip_rate: u32,
    /// Parts of gossip from one peer at once.
    pub gossip_burst: u32,
    /// Parts of gossip a second from all peers, on average. They are kept for ten seconds: with the burst, 56 MiB.
    pub gossip_total_rate: u32,
    /// Parts of gossip from all peers at once.
    pub gossip_total_burst: u32,
    /// Lookups at once; beyond it a lookup ends at once with nothing found.
    pub fetches: usize,
    /// Records held for others.
    pub records: usize,
    /// Bytes of records held for others.
    pub record_bytes: usize,
    /// Records held that one peer brought.
    pub records_per_peer: usize,
    /// Peers in the address book.
    pub known_peers: usize,
}

impl Limits {
    /// The bounds of a machine that serves many: a relay's. It needs some 5,000 files that may be open at once.
    pub fn relay() -> Self {
        Self {
            inbound_connections: 2_000,
            outbound_connections: 256,
            pending_connections: 1_024,
            // A school or a company behind one address still fits; 32 such networks fill the room.
            connections_per_network: Some(64),
            known_peers: 4_096,
            half_read_bytes: 128 << 20,
            ..Self::default()
        }
    }

    /// Files that may be open at once: a connection each, and what the program has beside.
    pub(crate) fn files(&self) -> u64 {
        let connections = [self.inbound_connections, self.outbound_connections, self.pending_connections];
        let pending_outbound = self.pending_connections;
        connections.into_iter().chain([pending_outbound, 256]).map(u64::from).sum()
    }

    /// How long an inbound request may take to arrive.
    pub(crate) fn read_timeout(&self) -> Duration {
        self.request_timeout.saturating_sub(self.verdict_timeout).max(Duration::from_millis(1))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            inbound_connections: 128,
            outbound_connections: 128,
            pending_connections: 128,
            connections_per_peer: 3,
            connections_per_network: None,
            memory_bytes: Some(1 << 30),
            idle: Duration::from_secs(30),
            ping_every: Duration::from_secs(40),
            ping_patience: Duration::from_secs(20),
            anchors: 4,
            handshake_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            verdict_timeout: Duration::from_secs(10),
            fetch_timeout: Duration::from_secs(15),
            fetch_grace: Duration::from_secs(3),
            inbound_per_peer: 16,
            inbound_total: 256,
            inbound_rate: 500,
            inbound_burst: 1_000,
            outbound_per_peer: 16,
            outbound_total: 1_024,
            ask_per_relay: 16,
            ask_total: 256,
            ask_per_member: 16,
            ask_members_total: 256,
            relay_per_peer: 16,
            relay_total: 512,
            relay_rate: 200,
            relay_burst: 1_000,
            relay_answer_bytes: 64 << 20,
            relay_peers: 4_096,
            channel_per_peer: 16,
            channel_total: 256,
            channel_rate: 50,
            channel_burst: 200,
            channel_answer_bytes: 32 << 20,
            half_read_bytes: 64 << 20,
            commands: 1_024,
            events: 1_024,
            topics: 1_024,
            gossip_rate: 500,
            gossip_burst: 2_000,
            gossip_total_rate: 2_000,
            gossip_total_burst: 8_000,
            fetches: 64,
            records: 4_096,
            record_bytes: 32 << 20,
            records_per_peer: 512,
            known_peers: 1_024,
        }
    }
}

/// Addresses kept for one peer: enough for both transports on a few interfaces.
pub(crate) const ADDRESSES_PER_PEER: usize = 8;
/// Record keys in one direct request.
pub(crate) const KEYS_PER_REQUEST: usize = 16;
/// Direct requests for records a second of one peer; a lookup needs one.
pub(crate) const DESCRIPTOR_RATE: u32 = 10;
/// Direct requests for records of one peer at once.
pub(crate) const DESCRIPTOR_BURST: u32 = 50;

/// Wake-ups a second of one peer that are heard.
pub(crate) const WAKE_RATE: u32 = 20;
/// Wake-ups of one peer at once that are heard.
pub(crate) const WAKE_BURST: u32 = 40;

/// A token bucket: `rate` tokens a second, at most `burst` saved up.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    rate: u32,
    burst: u32,
    tokens: f64,
    at: Moment,
}

impl Bucket {
    pub(crate) fn new(rate: u32, burst: u32, now: Moment) -> Self {
        Self { rate: rate.max(1), burst: burst.max(1), tokens: f64::from(burst.max(1)), at: now }
    }

    /// Takes one token, or says how many milliseconds to wait for the next.
    pub(crate) fn take(&mut self, now: Moment) -> Result<(), u64> {
        self.take_several(1, now)
    }

    /// Takes tokens for something that counts for several, never more than can be saved up.
    pub(crate) fn take_several(&mut self, tokens: u32, now: Moment) -> Result<(), u64> {
        let tokens = tokens.clamp(1, self.burst);
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * f64::from(self.rate)).min(f64::from(self.burst));
        if self.tokens >= f64::from(tokens) {
            self.tokens -= f64::from(tokens);
            return Ok(());
        }
        Err((1_000 * u64::from(tokens) / u64::from(self.rate)).max(1))
    }

    /// Says whether the bucket would give its whole burst.
    pub(crate) fn is_full(&self, now: Moment) -> bool {
        self.left(now) >= f64::from(self.burst)
    }

    /// Says whether the bucket would give more than half of its burst.
    pub(crate) fn is_half_full(&self, now: Moment) -> bool {
        self.left(now) > f64::from(self.burst) / 2.0
    }

    fn left(&self, now: Moment) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens + passed * f64::from(self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_gives_its_burst_then_its_rate() {
        let start = Duration::from_secs(5);
        let mut bucket = Bucket::new(10, 3, start);
        assert!((0..3).all(|_| bucket.take(start).is_ok()));
        assert_eq!(bucket.take(start), Err(100));
        assert!(bucket.take(start + Duration::from_millis(100)).is_ok());
        assert!(bucket.take(start + Duration::from_millis(100)).is_err());
        let emptied = start + Duration::from_millis(100);
        assert!(!bucket.is_full(emptied + Duration::from_millis(200)));
        assert!(bucket.is_full(emptied + Duration::from_millis(301)));
    }

    #[test]
    fn what_counts_for_several_comes_as_much_more_rarely_and_never_not_at_all() {
        let start = Duration::from_secs(5);
        let mut bucket = Bucket::new(10, 20, start);
        assert_eq!((0..10).filter(|_| bucket.take_several(5, start).is_ok()).count(), 4);
        assert_eq!(bucket.take_several(5, start), Err(500));
        assert!(bucket.take_several(5, start + Duration::from_millis(500)).is_ok());
        assert!(bucket.take_several(1_000, start + Duration::from_secs(9)).is_ok());
    }

    #[test]
    fn bucket_saves_no_more_than_its_burst_and_ignores_time_going_back() {
        let start = Duration::from_secs(5);
        let mut bucket = Bucket::new(10, 2, start);
        let later = start + Duration::from_secs(3_600);
        assert!((0..2).all(|_| bucket.take(later).is_ok()));
        assert!(bucket.take(later).is_err());
        assert!(bucket.take(start).is_err());
    }

    #[test]
    fn the_app_is_answered_for_before_the_request_times_out() {
        let limits = Limits::default();
        assert!(limits.verdict_timeout < limits.request_timeout);
        assert!(limits.inbound_per_peer <= limits.inbound_total);
        assert!(limits.relay_per_peer <= limits.relay_total / 2);
        assert!(limits.channel_per_peer <= limits.channel_total / 2);
        // Whoever is connected can be told of.
        let relay = Limits::relay();
        let connected = relay.inbound_connections + relay.outbound_connections;
        assert!(relay.relay_peers >= usize::try_from(connected).unwrap());
    }
}
