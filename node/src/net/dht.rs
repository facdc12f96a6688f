//! Our DHT: who is let into the routing table, and how this node's own records get to the nodes nearest to them.
//! Must not believe what it finds: that is judged by the record check.

mod filter;
mod records;

pub(crate) use filter::{Dht, Event};
pub(crate) use records::{Records, dht_key};

use super::{
    run::Net,
    translate::{self, Reach},
    types::NetEvent,
};
use crate::clock::Moment;
use kith_protocol::{Fault, RecordKey};
use libp2p::{
    PeerId,
    kad::{self, KBucketKey, Mode, QueryId, QueryResult, Quorum},
};
use rand_core::Rng;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    num::NonZeroUsize,
    time::Duration,
};

/// How many nodes hold a record.
const REPLICAS: usize = 20;
/// Own records on their way at once.
const AT_ONCE: usize = 8;
/// When own records are put out again although nothing changed.
const REPUBLISH: Duration = Duration::from_secs(8 * 3_600);
/// When a round that reached nobody is tried again, if no server turns up before.
const RETRY: Duration = Duration::from_secs(60);
/// A node this many doublings farther from a key than its own twentieth neighbour is not among the key's nearest.
const REACH_SLACK: u32 = 2;

/// Putting this node's own records where others look for them.
#[derive(Default)]
pub(crate) struct Publishing {
    keys: Vec<RecordKey>,
    /// What waits: a key, and the nodes if they are known already.
    queue: VecDeque<(RecordKey, Option<Vec<PeerId>>)>,
    running: HashMap<QueryId, Step>,
    /// Who acknowledged each record.
    holders: BTreeMap<RecordKey, HashSet<PeerId>>,
    /// Servers that came into the routing table since they were last considered.
    fresh: BTreeSet<PeerId>,
    /// A round is under way.
    active: bool,
    next_round: Option<Moment>,
}

enum Step {
    /// Looking for the nodes nearest to the key.
    Nearest(RecordKey),
    /// Putting the record to these nodes.
    Put(RecordKey, Vec<PeerId>),
}

impl Publishing {
    /// Returns how many peers hold at least one own record.
    pub(crate) fn stored_at(&self) -> u32 {
        let peers: HashSet<_> = self.holders.values().flatten().collect();
        u32::try_from(peers.len()).unwrap_or(u32::MAX)
    }
}

impl Net {
    /// Replaces this node's own records and begins a round.
    pub(crate) fn publish(&mut self, records: Vec<(RecordKey, Vec<u8>)>) {
        let before: BTreeMap<_, _> = self.own_bytes();
        self.publishing.keys = self.swarm.behaviour_mut().dht.records().publish(records);
        let after = self.own_bytes();
        // Who holds the same bytes still holds them; all others are asked anew.
        self.publishing.holders.retain(|key, _| after.get(key).is_some_and(|bytes| before.get(key) == Some(bytes)));
        self.begin_round();
    }

    fn own_bytes(&mut self) -> BTreeMap<RecordKey, Vec<u8>> {
        let keys = self.publishing.keys.clone();
        let store = self.swarm.behaviour_mut().dht.records();
        keys.into_iter().filter_map(|key| Some((key, store.own(&key)?.0.to_vec()))).collect()
    }

    fn begin_round(&mut self) {
        self.publishing.queue = self.publishing.keys.iter().map(|key| (*key, None)).collect();
        self.publishing.fresh.clear();
        self.publishing.active = true;
        self.pump_publishing();
    }

    fn pump_publishing(&mut self) {
        while self.publishing.running.len() < AT_ONCE
            && let Some((key, nodes)) = self.publishing.queue.pop_front()
        {
            match nodes {
                Some(nodes) => self.put(key, nodes),
                None => {
                    let id = self.swarm.behaviour_mut().dht.kad().get_closest_peers(key.as_bytes().to_vec());
                    self.publishing.running.insert(id, Step::Nearest(key));
                }
            }
        }
        if self.publishing.active && self.publishing.running.is_empty() && self.publishing.queue.is_empty() {
            self.end_round();
        }
    }

    fn end_round(&mut self) {
        self.publishing.active = false;
        let stored = self.publishing.stored_at();
        let wait = if stored == 0 { RETRY } else { REPUBLISH };
        // ±10 %, so that a network started together does not publish together.
        let wait = wait.saturating_mul(90 + self.rng.next_u32() % 21) / 100;
        self.publishing.next_round = (!self.publishing.keys.is_empty()).then(|| self.clock.deadline(wait));
        self.events.tell(NetEvent::Published { stored });
    }

    /// Puts a record to nodes; the publisher is not named. Counts every acknowledgement, so the quorum is all of them.
    fn put(&mut self, key: RecordKey, nodes: Vec<PeerId>) {
        let now = self.clock.now();
        let Some((record, expires)) = self.swarm.behaviour_mut().dht.records().own(&key) else { return };
        let (value, left) = (record.to_vec(), Duration::from_millis(expires.millis_since(now)));
        if nodes.is_empty() || left.is_zero() {
            return;
        }
        let expires = Some(self.clock.instant_after(left));
        let record = kad::Record { key: dht_key(&key), value, publisher: None, expires };
        let kad = self.swarm.behaviour_mut().dht.kad();
        let id = kad.put_record_to(record, nodes.clone().into_iter(), Quorum::All);
        self.publishing.running.insert(id, Step::Put(key, nodes));
    }

    /// Begins rounds that are due, and brings own records to servers that newly are among the nearest.
    pub(crate) fn drive_publishing(&mut self, now: Moment) {
        if self.publishing.active || self.publishing.keys.is_empty() {
            return;
        }
        let fresh = std::mem::take(&mut self.publishing.fresh);
        let due = self.publishing.next_round.is_some_and(|at| at <= now);
        if due || (!fresh.is_empty() && self.publishing.stored_at() == 0) {
            return self.begin_round();
        }
        if fresh.is_empty() {
            return;
        }
        for key in self.publishing.keys.clone() {
            let kad = self.swarm.behaviour_mut().dht.kad();
            let place = records::place(&key);
            let nearest = kad.get_closest_local_peers(&place).take(REPLICAS);
            let holders = self.publishing.holders.get(&key);
            let new = nearest
                .map(|node| *node.preimage())
                .filter(|node| fresh.contains(node) && !holders.is_some_and(|holders| holders.contains(node)));
            let new: Vec<_> = new.collect();
            if !new.is_empty() {
                self.publishing.queue.push_back((key, Some(new)));
            }
        }
        if !self.publishing.queue.is_empty() {
            self.publishing.active = true;
            self.pump_publishing();
        }
    }

    pub(crate) fn on_dht(&mut self, event: Event) {
        match event {
            Event::Offered { peer, verdict: Err(error) } if error.fault() == Fault::Peer => self.violation(peer),
            Event::Offered { .. } => {}
            Event::Kad(event) => match *event {
                kad::Event::OutboundQueryProgressed { id, result, stats, step } => {
                    self.on_query(id, result, stats.num_successes(), step.last);
                }
                kad::Event::RoutingUpdated { peer, is_new_peer: true, .. } => {
                    self.publishing.fresh.insert(peer);
                }
                other => tracing::trace!(?other, "dht"),
            },
        }
    }

    fn on_query(&mut self, id: QueryId, result: QueryResult, answers: u32, last: bool) {
        match result {
            QueryResult::GetRecord(result) => self.on_record(id, result, answers, last),
            QueryResult::GetClosestPeers(result) if last => {
                if let Some(Step::Nearest(key)) = self.publishing.running.remove(&id) {
                    let found = match result {
                        Ok(found) => found.peers,
                        Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
                    };
                    let me = *self.swarm.local_peer_id();
                    let nodes = found.into_iter().map(|node| node.peer_id).filter(|node| *node != me);
                    self.put(key, nodes.take(REPLICAS).collect());
                    self.pump_publishing();
                }
            }
            QueryResult::PutRecord(result) if last => {
                if let Some(Step::Put(key, nodes)) = self.publishing.running.remove(&id) {
                    let stored = match result {
                        Ok(_) => nodes,
                        Err(
                            kad::PutRecordError::QuorumFailed { success, .. }
                            | kad::PutRecordError::Timeout { success, .. },
                        ) => success,
                    };
                    self.publishing.holders.entry(key).or_default().extend(stored);
                    self.pump_publishing();
                }
            }
            _ => {}
        }
    }

    /// Lets a peer into the routing table: only one that says it serves our DHT, under addresses it may tell.
    pub(crate) fn admit_to_dht(&mut self, peer: PeerId, serves: bool, addresses: &[libp2p::Multiaddr]) {
        let kad = self.swarm.behaviour_mut().dht.kad();
        if !serves {
            kad.remove_peer(&peer);
            return;
        }
        for address in addresses {
            kad.add_address(&peer, translate::without_peer(address.clone()));
        }
        self.forget_local_routes();
    }

    /// Keeps addresses of local networks out of the routing table once strangers come in: Kademlia tells whatever it
    /// holds to whoever asks. The address book still has them.
    pub(crate) fn forget_local_routes(&mut self) {
        if !self.connections.outsiders {
            return;
        }
        let kad = self.swarm.behaviour_mut().dht.kad();
        let mut local = Vec::new();
        for bucket in kad.kbuckets() {
            for entry in bucket.iter() {
                let told = entry.node.value.iter().filter(|address| is_local(address));
                local.extend(told.map(|address| (*entry.node.key.preimage(), address.clone())));
            }
        }
        for (peer, address) in local {
            kad.remove_address(&peer, &address);
        }
    }

    pub(crate) fn on_peer_gone(&mut self, peer: PeerId) {
        self.publishing.fresh.remove(&peer);
    }

    /// Works out which keys are this node's to hold: nearer than a few times its twentieth neighbour.
    pub(crate) fn update_reach(&mut self) {
        if self.connections.mode != Some(Mode::Server) {
            return;
        }
        let me = KBucketKey::from(*self.swarm.local_peer_id());
        let dht = &mut self.swarm.behaviour_mut().dht;
        let twentieth = dht.kad().get_closest_local_peers(&me).nth(REPLICAS - 1).map(|node| me.distance(&node));
        let reach = twentieth.and_then(|far| far.ilog2()).map(|far| far.saturating_add(REACH_SLACK));
        dht.records().set_reach(reach);
        dht.records().expire();
    }
}

fn is_local(address: &libp2p::Multiaddr) -> bool {
    matches!(translate::reach(&translate::without_peer(address.clone())), Reach::Private | Reach::Loopback)
}

const _: () = assert!(NonZeroUsize::new(REPLICAS).is_some());
