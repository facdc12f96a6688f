//! What peers ask of this node over one protocol and what waits for an answer: within each peer's allowance, a bound for
//! all together, and a deadline.
//! Must not know what is asked, nor the swarm.

use super::peers::limits::Bucket;
use crate::clock::Moment;
use libp2p::{PeerId, request_response::InboundRequestId};
use std::collections::{HashMap, VecDeque};

/// What a peer that may ask again soon is told to wait, in milliseconds.
pub(crate) const RETRY_AFTER_MS: u64 = 1_000;

/// How much may be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Requests a second of one peer, on average.
    pub(crate) rate: u32,
    /// Requests of one peer at once.
    pub(crate) burst: u32,
    /// Requests of one peer that may wait.
    pub(crate) per_peer: usize,
    /// Requests of all peers that may wait; at most half are strangers'.
    pub(crate) total: usize,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// One for whom room is left.
    Known,
    /// Anybody else.
    Stranger,
}

/// Requests that wait for an answer; `C` is the way back.
pub(crate) struct Inbound<C> {
    bounds: Bounds,
    waiting: HashMap<u64, Waiting<C>>,
    requests: HashMap<InboundRequestId, u64>,
    /// Tokens in the order of their deadlines.
    deadlines: VecDeque<(Moment, u64)>,
    next_token: u64,
    allowances: HashMap<PeerId, Allowance>,
    strangers: usize,
}

struct Waiting<C> {
    peer: PeerId,
    request: Option<InboundRequestId>,
    channel: C,
    standing: Standing,
}

/// What one peer may still ask.
struct Allowance {
    bucket: Bucket,
    pending: usize,
}

impl<C> Inbound<C> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            waiting: HashMap::new(),
            requests: HashMap::new(),
            deadlines: VecDeque::new(),
            next_token: 0,
            allowances: HashMap::new(),
            strangers: 0,
        }
    }

    /// Says whether there is room for one more request of the peer, or for how many milliseconds to wait; `weight` is for
    /// how many requests it counts. Strangers together get half of the room, so that they cannot keep others out.
    pub(crate) fn admit(&mut self, peer: PeerId, standing: Standing, weight: u32, now: Moment) -> Result<(), u64> {
        let bounds = self.bounds;
        let fresh = || Allowance { bucket: Bucket::new(bounds.rate, bounds.burst, now), pending: 0 };
        let allowance = self.allowances.entry(peer).or_insert_with(fresh);
        allowance.bucket.take_several(weight, now)?;
        let full = allowance.pending >= bounds.per_peer
            || self.waiting.len() >= bounds.total
            || (standing == Standing::Stranger && self.strangers >= bounds.total / 2);
        if full { Err(RETRY_AFTER_MS) } else { Ok(()) }
    }

    /// Returns how many requests of a peer wait.
    pub(crate) fn pending(&self, peer: &PeerId) -> usize {
        self.allowances.get(peer).map_or(0, |allowance| allowance.pending)
    }

    /// Returns the name that the next request gets.
    pub(crate) fn next_token(&self) -> u64 {
        self.next_token
    }

    /// Lets an admitted request wait for its answer; `request` is none where it came from this node itself.
    pub(crate) fn take_in(
        &mut self,
        (peer, standing): (PeerId, Standing),
        request: Option<InboundRequestId>,
        channel: C,
        until: Moment,
    ) {
        let token = self.next_token;
        self.next_token = token.wrapping_add(1);
        self.strangers += usize::from(standing == Standing::Stranger);
        self.waiting.insert(token, Waiting { peer, request, channel, standing });
        self.requests.extend(request.map(|request| (request, token)));
        self.deadlines.push_back((until, token));
        if let Some(allowance) = self.allowances.get_mut(&peer) {
            allowance.pending += 1;
        }
    }

    /// Takes out a request that is answered now; none if it was answered before or its peer is gone.
    pub(crate) fn take(&mut self, token: u64) -> Option<(PeerId, Option<InboundRequestId>, C)> {
        let Waiting { peer, request, channel, standing } = self.waiting.remove(&token)?;
        if let Some(request) = request {
            self.requests.remove(&request);
        }
        self.strangers = self.strangers.saturating_sub(usize::from(standing == Standing::Stranger));
        if let Some(allowance) = self.allowances.get_mut(&peer) {
            allowance.pending = allowance.pending.saturating_sub(1);
        }
        Some((peer, request, channel))
    }

    /// Returns the names of all that wait.
    pub(crate) fn tokens(&self) -> Vec<u64> {
        self.waiting.keys().copied().collect()
    }

    /// Forgets a request that cannot be answered any more.
    pub(crate) fn lost(&mut self, request: InboundRequestId) {
        if let Some(token) = self.requests.get(&request).copied() {
            self.take(token);
        }
    }

    /// Returns a request that has waited too long, if there is one; what was answered meanwhile is passed over.
    pub(crate) fn next_late(&mut self, now: Moment) -> Option<u64> {
        while let Some((until, token)) = self.deadlines.front().copied() {
            let waits = self.waiting.contains_key(&token);
            if waits && until > now {
                return None;
            }
            self.deadlines.pop_front();
            if waits {
                return Some(token);
            }
        }
        None
    }

    /// Forgets allowances of peers that are gone. Nothing is lost by forgetting a bucket that is full again; one that is
    /// not outlives its connection.
    pub(crate) fn forget(&mut self, now: Moment, connected: impl Fn(&PeerId) -> bool) {
        self.allowances
            .retain(|peer, allowance| allowance.pending > 0 || connected(peer) || !allowance.bucket.is_full(now));
    }
}
