//! What this node asks of peers over one protocol: in order for each peer, in windows, within a bound for all together,
//! and with exactly one end each.
//! Must not know what is asked.

use super::{connections::Way, run::Net, translate, types::PeerName};
use crate::clock::Moment;
use kith_protocol::limits::ADDRESSES_MAX;
use libp2p::{PeerId, request_response::OutboundRequestId};
use std::collections::{HashMap, VecDeque};

/// A protocol over which this node asks peers.
pub(crate) trait Asking: Sized {
    /// What is asked.
    type Request;
    /// How that ends.
    type Outcome;
    /// Why something is not even tried.
    const CROWDED: &'static str;

    /// Where what is asked is kept.
    fn outbound(net: &mut Net) -> &mut Outbound<Self>;
    /// Sends a request over an open connection.
    fn send(net: &mut Net, peer: &PeerId, request: Self::Request) -> OutboundRequestId;
    /// The outcome without an answer.
    fn unreachable(why: &'static str) -> Self::Outcome;
    /// Tells the app how it ended.
    fn tell(net: &mut Net, id: u64, outcome: Self::Outcome);
}

/// What is under way over one protocol.
pub(crate) struct Outbound<P: Asking> {
    /// What may fly to one peer at once.
    window: usize,
    /// What may wait or fly in all.
    room: usize,
    /// What waits for a connection or for room in the window, in order.
    waiting: HashMap<PeerId, VecDeque<Waiting<P::Request>>>,
    flying: HashMap<OutboundRequestId, u64>,
    windows: HashMap<PeerId, usize>,
    total: usize,
}

struct Waiting<R> {
    id: u64,
    request: R,
    until: Moment,
}

/// Why no more may wait.
struct Full;

impl<P: Asking> Outbound<P> {
    pub(crate) fn new(window: usize, room: usize) -> Self {
        let (waiting, flying, windows) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { window: window.max(1), room, waiting, flying, windows, total: 0 }
    }

    /// What may wait or fly in all.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Says whether something waits for a connection to the peer.
    pub(crate) fn awaits(&self, peer: &PeerId) -> bool {
        self.waiting.contains_key(peer)
    }

    /// Makes room for one more that waits for a peer; returns what had to go for it. When all room is taken, the peer for
    /// whom most waits gives up its newest, so that somebody who answers slowly or not at all costs others nothing.
    fn make_room(&mut self, peer: &PeerId) -> Result<Option<u64>, Full> {
        if self.total < self.room {
            return Ok(None);
        }
        let mine = self.waiting.get(peer).map_or(0, VecDeque::len);
        let first = mine == 0 && !self.windows.contains_key(peer);
        if first && self.total < 2 * self.room {
            return Ok(None);
        }
        let most = self.waiting.values_mut().max_by_key(|waiting| waiting.len());
        let newest = most.filter(|most| most.len() > mine + 1).and_then(VecDeque::pop_back).ok_or(Full)?;
        self.total -= 1;
        Ok(Some(newest.id))
    }

    fn push(&mut self, peer: PeerId, waiting: Waiting<P::Request>) {
        self.total += 1;
        self.waiting.entry(peer).or_default().push_back(waiting);
    }

    /// Takes the next that may fly to a peer.
    fn next(&mut self, peer: &PeerId) -> Option<Waiting<P::Request>> {
        let waiting = self.waiting.get_mut(peer)?;
        let window = self.windows.entry(*peer).or_default();
        if *window >= self.window {
            return None;
        }
        let next = waiting.pop_front()?;
        *window += 1;
        if waiting.is_empty() {
            self.waiting.remove(peer);
        }
        Some(next)
    }

    fn landed(&mut self, peer: &PeerId, request: OutboundRequestId) -> Option<u64> {
        let id = self.flying.remove(&request)?;
        self.total -= 1;
        if let Some(window) = self.windows.get_mut(peer) {
            *window = window.saturating_sub(1);
            if *window == 0 {
                self.windows.remove(peer);
            }
        }
        Some(id)
    }

    /// Takes out what waits for a peer.
    fn take_waiting(&mut self, peer: &PeerId) -> Vec<u64> {
        let taken: Vec<_> =
            self.waiting.remove(peer).unwrap_or_default().into_iter().map(|waiting| waiting.id).collect();
        self.total -= taken.len();
        taken
    }

    /// Takes out what has waited too long.
    fn take_late(&mut self, now: Moment) -> Vec<u64> {
        let mut late = Vec::new();
        self.waiting.retain(|_, waiting| {
            while waiting.front().is_some_and(|first| first.until <= now) {
                late.extend(waiting.pop_front().map(|first| first.id));
            }
            !waiting.is_empty()
        });
        self.total -= late.len();
        late
    }
}

impl Net {
    /// Begins to ask a peer: over an open connection, or after a dial; it ends in exactly one `Asking::tell`.
    pub(crate) fn begin<P: Asking>(&mut self, id: u64, name: &PeerName, addresses: &[String], request: P::Request) {
        let Some(peer) = translate::peer_id(name) else { return self.end::<P>(id, "not the name of a peer") };
        match P::outbound(self).make_room(&peer) {
            Ok(None) => {}
            Ok(Some(gone)) => self.end::<P>(gone, P::CROWDED),
            Err(Full) => return self.end::<P>(id, P::CROWDED),
        }
        let addresses = translate::addresses_of(&peer, addresses, ADDRESSES_MAX * 2);
        let way = match self.reach_out(peer, addresses) {
            Ok(way) => way,
            Err(why) => return self.end::<P>(id, why),
        };
        let limits = &self.config.limits;
        let until = self.clock.deadline(limits.handshake_timeout.saturating_add(limits.request_timeout));
        P::outbound(self).push(peer, Waiting { id, request, until });
        if way == Way::Open {
            self.pump::<P>(peer);
        }
    }

    /// Sends what waits for a peer, as far as its window goes.
    pub(crate) fn pump<P: Asking>(&mut self, peer: PeerId) {
        while let Some(Waiting { id, request, .. }) = P::outbound(self).next(&peer) {
            let sent = P::send(self, &peer, request);
            P::outbound(self).flying.insert(sent, id);
        }
    }

    /// Ends what flew; what waits for the same peer goes on.
    pub(crate) fn landed<P: Asking>(&mut self, peer: PeerId, request: OutboundRequestId, outcome: P::Outcome) {
        let Some(id) = P::outbound(self).landed(&peer, request) else { return };
        P::tell(self, id, outcome);
        if self.swarm.is_connected(&peer) {
            self.pump::<P>(peer);
        } else if P::outbound(self).awaits(&peer)
            && let Err(why) = self.reach_out(peer, Vec::new())
        {
            self.fail_waiting_for::<P>(peer, why);
        }
    }

    /// Ends everything that waits for a connection to a peer.
    pub(crate) fn fail_waiting_for<P: Asking>(&mut self, peer: PeerId, why: &'static str) {
        P::outbound(self).take_waiting(&peer).into_iter().for_each(|id| self.end::<P>(id, why));
    }

    /// Ends what has waited too long for a connection.
    pub(crate) fn expire_outbound<P: Asking>(&mut self, now: Moment) {
        P::outbound(self).take_late(now).into_iter().for_each(|id| self.end::<P>(id, "no connection in time"));
    }

    /// Ends without an answer.
    pub(crate) fn end<P: Asking>(&mut self, id: u64, why: &'static str) {
        P::tell(self, id, P::unreachable(why));
    }
}
