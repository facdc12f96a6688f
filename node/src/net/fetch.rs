//! Lookups of records: hinted peers and connected ones are asked directly, the DHT beside them; every valid candidate
//! is handed to the app, the newest first.
//! Must not know what a record says, nor believe that "not found" means anything.

use super::{
    connections::{HINTS, Way, by_peer},
    descriptor::Want,
    dht::dht_key,
    peers::limits::KEYS_PER_REQUEST,
    run::Net,
    translate,
    types::NetEvent,
};
use crate::clock::Moment;
use kith_protocol::{Fault, RecordKey};
use libp2p::{Multiaddr, PeerId, kad};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

/// Keys of one lookup: ten device slots on three days, rounded up.
const KEYS: usize = 32;
/// Connected peers asked directly: in a small network they are all there is.
const CONNECTED: usize = 8;
/// Valid answers for one key after which the DHT is not asked further: if a fifth of the nodes answer with an old
/// record, eight answers are all old in 3 of a million lookups.
const ENOUGH: usize = 8;
/// Different candidates kept for one key.
const CANDIDATES: usize = 8;

/// The lookups under way.
#[derive(Default)]
pub(crate) struct Fetches {
    running: BTreeMap<u64, Fetch>,
    queries: HashMap<kad::QueryId, (u64, RecordKey)>,
}

/// One lookup.
struct Fetch {
    keys: Vec<RecordKey>,
    /// Candidates by key and sequence number.
    found: BTreeMap<RecordKey, BTreeMap<(u64, Vec<u8>), ()>>,
    /// Who answered with a valid record for a key.
    holders: BTreeMap<RecordKey, BTreeSet<PeerId>>,
    /// Who answered directly, and how many did in the DHT.
    answered: BTreeSet<PeerId>,
    dht_answers: u32,
    /// Who was asked directly already.
    asked: BTreeSet<PeerId>,
    /// Dials, questions and queries whose end is awaited.
    open: usize,
    until: Moment,
}

impl Net {
    /// Begins a lookup; it ends in exactly one `Found`.
    pub(crate) fn fetch(&mut self, query: u64, mut keys: Vec<RecordKey>, hints: &[String]) {
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(KEYS);
        let full = self.fetches.running.len() >= self.config.limits.fetches.max(1);
        if full || keys.is_empty() || self.fetches.running.contains_key(&query) {
            return self.events.answer(NetEvent::Found { query, records: Vec::new(), asked: 0 });
        }
        let until = self.clock.deadline(self.config.limits.fetch_timeout);
        let fetch = Fetch {
            keys: keys.clone(),
            found: BTreeMap::new(),
            holders: BTreeMap::new(),
            answered: BTreeSet::new(),
            dht_answers: 0,
            asked: BTreeSet::new(),
            // Holds the lookup open until everything is begun.
            open: 1,
            until,
        };
        self.fetches.running.insert(query, fetch);
        self.use_own(query, &keys);
        let hints: Vec<_> = hints.iter().take(HINTS).filter_map(|text| translate::address(text)).collect();
        self.ask_hints(query, hints);
        for peer in self.connections.live.keys().take(CONNECTED).copied().collect::<Vec<_>>() {
            self.ask_records(query, peer, Vec::new());
        }
        for key in keys {
            let id = self.swarm.behaviour_mut().dht.kad().get_record(dht_key(&key));
            self.fetches.queries.insert(id, (query, key));
            self.open(query);
        }
        self.close(query);
    }

    /// What this node has itself counts as a candidate.
    fn use_own(&mut self, query: u64, keys: &[RecordKey]) {
        for key in keys {
            let own = self.swarm.behaviour_mut().dht.records().find(key).map(<[u8]>::to_vec);
            if let Some(record) = own {
                self.candidate(query, None, key, record);
            }
        }
    }

    fn ask_hints(&mut self, query: u64, hints: Vec<Multiaddr>) {
        let (named, nameless) = by_peer(hints);
        for (peer, addresses) in named {
            self.ask_records(query, peer, addresses);
        }
        for address in nameless {
            if self.dial_unknown(address, Some(query)) == Ok(Way::Dialing) {
                self.open(query);
            }
        }
    }

    /// A hint without a name answered: now it can be asked.
    pub(crate) fn ask_hinted(&mut self, query: u64, peer: PeerId) {
        self.ask_records(query, peer, Vec::new());
        self.close(query);
    }

    pub(crate) fn hint_failed(&mut self, query: u64) {
        self.close(query);
    }

    fn ask_records(&mut self, query: u64, peer: PeerId, addresses: Vec<Multiaddr>) {
        let Some(fetch) = self.fetches.running.get_mut(&query) else { return };
        if peer == *self.swarm.local_peer_id() || !fetch.asked.insert(peer) {
            return;
        }
        let parts: Vec<Vec<RecordKey>> = fetch.keys.chunks(KEYS_PER_REQUEST).map(<[_]>::to_vec).collect();
        for keys in parts {
            self.open(query);
            self.ask(peer, addresses.clone(), Want::Records { fetch: query, keys });
        }
    }

    pub(crate) fn direct_failed(&mut self, query: u64) {
        self.close(query);
    }

    pub(crate) fn direct_answered(&mut self, query: u64, peer: PeerId, records: Vec<(Option<RecordKey>, Vec<u8>)>) {
        if let Some(fetch) = self.fetches.running.get_mut(&query) {
            fetch.answered.insert(peer);
        }
        for (key, record) in records {
            match key {
                Some(key) => self.candidate(query, Some(peer), &key, record),
                // It answered what was not asked.
                None => self.violation(peer),
            }
        }
        self.close(query);
    }

    /// Takes a step of a DHT query; `last` ends it.
    pub(crate) fn on_record(&mut self, id: kad::QueryId, result: kad::GetRecordResult, answers: u32, last: bool) {
        let Some((query, key)) = self.fetches.queries.get(&id).copied() else { return };
        if let Ok(kad::GetRecordOk::FoundRecord(found)) = result
            && found.peer.is_some()
        {
            self.candidate(query, found.peer, &key, found.record.value);
            let enough = |fetch: &Fetch| fetch.holders.get(&key).is_some_and(|holders| holders.len() >= ENOUGH);
            if self.fetches.running.get(&query).is_none_or(enough)
                && let Some(mut step) = self.swarm.behaviour_mut().dht.kad().query_mut(&id)
            {
                step.finish();
            }
        }
        if last {
            self.fetches.queries.remove(&id);
            if let Some(fetch) = self.fetches.running.get_mut(&query) {
                fetch.dht_answers = fetch.dht_answers.max(answers);
            }
            self.close(query);
        }
    }

    /// Keeps a record if it holds; a peer that answers with a forgery is scored.
    fn candidate(&mut self, query: u64, from: Option<PeerId>, key: &RecordKey, record: Vec<u8>) {
        let (now, moment) = (self.clock.now(), self.clock.moment());
        let verdict = self.swarm.behaviour_mut().dht.records().judge(key, &record, now);
        let meta = match (verdict, from) {
            (Ok(meta), _) => meta,
            (Err(error), Some(peer)) if error.fault() == Fault::Peer => return self.violation(peer),
            (Err(_), _) => return,
        };
        let grace = moment.saturating_add(self.config.limits.fetch_grace);
        let Some(fetch) = self.fetches.running.get_mut(&query) else { return };
        fetch.until = fetch.until.min(grace.max(moment + Duration::from_millis(1)));
        if let Some(peer) = from {
            fetch.holders.entry(*key).or_default().insert(peer);
        }
        let candidates = fetch.found.entry(*key).or_default();
        candidates.insert((meta.seq, record), ());
        if candidates.len() > CANDIDATES {
            candidates.pop_first();
        }
    }

    fn open(&mut self, query: u64) {
        if let Some(fetch) = self.fetches.running.get_mut(&query) {
            fetch.open += 1;
        }
    }

    fn close(&mut self, query: u64) {
        let Some(fetch) = self.fetches.running.get_mut(&query) else { return };
        fetch.open = fetch.open.saturating_sub(1);
        if fetch.open == 0 {
            self.finish_fetch(query);
        }
    }

    pub(crate) fn expire_fetches(&mut self, now: Moment) {
        let late = self.fetches.running.iter().filter(|(_, fetch)| fetch.until <= now).map(|(query, _)| *query);
        late.collect::<Vec<_>>().into_iter().for_each(|query| self.finish_fetch(query));
    }

    fn finish_fetch(&mut self, query: u64) {
        let Some(fetch) = self.fetches.running.remove(&query) else { return };
        let left: Vec<_> = self.fetches.queries.iter().filter(|(_, (of, _))| *of == query).map(|(id, _)| *id).collect();
        for id in left {
            self.fetches.queries.remove(&id);
            if let Some(mut step) = self.swarm.behaviour_mut().dht.kad().query_mut(&id) {
                step.finish();
            }
        }
        let direct = u32::try_from(fetch.answered.len()).unwrap_or(u32::MAX);
        let mut records = Vec::new();
        for (key, candidates) in fetch.found {
            records.extend(candidates.into_keys().rev().map(|(_, record)| (key, record)));
        }
        self.events.answer(NetEvent::Found { query, records, asked: direct.max(fetch.dht_answers) });
    }
}
