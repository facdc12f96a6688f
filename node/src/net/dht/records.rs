//! The records this node keeps: its own, and those it holds for others within its bounds, each checked before it is kept.
//! Must not know what a record says; the check is a function it was given.

use crate::{
    clock::Clock,
    net::{
        peers::limits::Limits,
        record::{RecordCheck, RecordError, RecordMeta, RecordSink},
    },
};
use kith_protocol::{RecordKey, Timestamp, limits::DESCRIPTOR_MAX};
use libp2p::{
    PeerId,
    kad::{self, KBucketKey, ProviderRecord, Record, store},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// The record store of the DHT.
pub(crate) struct Records {
    me: KBucketKey<PeerId>,
    own: BTreeMap<RecordKey, (Vec<u8>, RecordMeta)>,
    held: HashMap<RecordKey, Held>,
    bytes: usize,
    per_peer: HashMap<PeerId, usize>,
    /// Records whose key is farther away than 2 to this are other nodes' to hold; `None` in a small network.
    reach: Option<u32>,
    /// Who sent the request that is being handled.
    source: Option<PeerId>,
    verdict: Option<Result<(), RecordError>>,
    max_records: usize,
    max_bytes: usize,
    max_per_peer: usize,
    check: RecordCheck,
    clock: Clock,
    sink: Box<dyn RecordSink>,
}

struct Held {
    record: Vec<u8>,
    meta: RecordMeta,
    from: Option<PeerId>,
    distance: kad::KBucketDistance,
}

/// The DHT's form of a record key.
pub(crate) fn dht_key(key: &RecordKey) -> kad::RecordKey {
    kad::RecordKey::new(key.as_bytes())
}

/// Where a record key lies in the DHT.
pub(crate) fn place(key: &RecordKey) -> KBucketKey<kad::RecordKey> {
    KBucketKey::new(dht_key(key))
}

impl Records {
    pub(crate) fn new(
        me: PeerId,
        limits: &Limits,
        check: RecordCheck,
        clock: Clock,
        sink: Box<dyn RecordSink>,
    ) -> Self {
        Self {
            me: KBucketKey::from(me),
            own: BTreeMap::new(),
            held: HashMap::new(),
            bytes: 0,
            per_peer: HashMap::new(),
            reach: None,
            source: None,
            verdict: None,
            max_records: limits.records,
            max_bytes: limits.record_bytes,
            max_per_peer: limits.records_per_peer,
            check,
            clock,
            sink,
        }
    }

    /// Takes in what an earlier run kept; what no longer holds is dropped, also from the sink.
    pub(crate) fn restore(&mut self, kept: Vec<(RecordKey, Vec<u8>)>) {
        for (key, record) in kept {
            if self.offer(&key, record, false).is_err() {
                self.sink.removed(&key);
            }
        }
    }

    /// Replaces this node's own records; returns the keys of those that its own check accepts.
    pub(crate) fn publish(&mut self, records: Vec<(RecordKey, Vec<u8>)>) -> Vec<RecordKey> {
        let now = self.clock.now();
        self.own.clear();
        for (key, record) in records {
            match self.judge(&key, &record, now) {
                Ok(meta) => {
                    self.drop_held(&key);
                    self.own.insert(key, (record, meta));
                }
                Err(error) => tracing::error!(%error, "an own record does not pass its own check"),
            }
        }
        self.own.keys().copied().collect()
    }

    /// Returns an own record with its expiry.
    pub(crate) fn own(&self, key: &RecordKey) -> Option<(&[u8], Timestamp)> {
        self.own.get(key).map(|(record, meta)| (record.as_slice(), meta.expires))
    }

    /// Returns the record for a key, own or held, unless it has lapsed.
    pub(crate) fn find(&self, key: &RecordKey) -> Option<&[u8]> {
        self.find_with_meta(key).map(|(record, _)| record)
    }

    fn find_with_meta(&self, key: &RecordKey) -> Option<(&[u8], RecordMeta)> {
        let own = self.own.get(key).map(|(record, meta)| (record.as_slice(), *meta));
        let found = own.or_else(|| self.held.get(key).map(|held| (held.record.as_slice(), held.meta)));
        found.filter(|(_, meta)| meta.expires > self.clock.now())
    }

    /// Judges bytes for a key without keeping them.
    pub(crate) fn judge(&self, key: &RecordKey, record: &[u8], now: Timestamp) -> Result<RecordMeta, RecordError> {
        if record.len() > DESCRIPTOR_MAX {
            return Err(RecordError::TooLarge);
        }
        let meta = (self.check)(key, record, now)?;
        if meta.expires <= now { Err(RecordError::Expired) } else { Ok(meta) }
    }

    /// Names the peer whose request is being handled, so that what it stores counts as brought by it.
    pub(crate) fn begin(&mut self, source: PeerId) {
        self.source = Some(source);
        self.verdict = None;
    }

    /// Ends the request; returns what became of the record in it, if it brought one.
    pub(crate) fn end(&mut self) -> Option<Result<(), RecordError>> {
        self.source = None;
        self.verdict.take()
    }

    /// Sets how far away a key may lie (as a power of two) for this node to hold its record.
    pub(crate) fn set_reach(&mut self, reach: Option<u32>) {
        self.reach = reach;
    }

    /// Drops what has lapsed.
    pub(crate) fn expire(&mut self) {
        let now = self.clock.now();
        let over: Vec<_> = self.held.iter().filter(|(_, held)| held.meta.expires <= now).map(|(key, _)| *key).collect();
        over.iter().for_each(|key| self.drop_held(key));
    }

    /// Offers a record for a key; equal bytes are accepted again, anything not newer is refused.
    fn offer(&mut self, key: &RecordKey, record: Vec<u8>, tell: bool) -> Result<(), RecordError> {
        if let Some((own, _)) = self.own.get(key) {
            // This node is the publisher: it knows best what is newest.
            return if *own == record { Ok(()) } else { Err(RecordError::Older) };
        }
        let now = self.clock.now();
        if self.held.get(key).is_some_and(|held| held.record == record && held.meta.expires > now) {
            return Ok(());
        }
        let meta = self.judge(key, &record, now)?;
        let (freed, from_same) = match self.held.get(key) {
            // R-DESC-6: what was stored while this node's clock was wrong, and is not believed now, blocks nothing.
            Some(held) if held.meta.seq >= meta.seq && self.judge(key, &held.record, now).is_ok() => {
                return Err(RecordError::Older);
            }
            Some(held) => (Some(held.record.len()), held.from == self.source),
            None => (None, false),
        };
        let distance = self.me.distance(&place(key));
        if self.reach.is_some_and(|reach| distance.ilog2().is_some_and(|far| far > reach)) {
            return Err(RecordError::NoRoom);
        }
        if let Some(source) = self.source
            && !from_same
            && self.per_peer.get(&source).copied().unwrap_or(0) >= self.max_per_peer
        {
            return Err(RecordError::NoRoom);
        }
        self.make_room(key, record.len(), freed, distance)?;
        self.drop_counted(key);
        self.bytes += record.len();
        if let Some(source) = self.source {
            *self.per_peer.entry(source).or_default() += 1;
        }
        if tell {
            self.sink.stored(key, &record, meta.expires);
        }
        self.held.insert(*key, Held { record, meta, from: self.source, distance });
        Ok(())
    }

    /// Makes room by dropping what lapsed, then what lies farther away than the newcomer.
    fn make_room(
        &mut self,
        key: &RecordKey,
        size: usize,
        freed: Option<usize>,
        distance: kad::KBucketDistance,
    ) -> Result<(), RecordError> {
        let fits = |this: &Self| {
            this.held.len() + usize::from(freed.is_none()) <= this.max_records
                && this.bytes + size - freed.unwrap_or(0).min(this.bytes) <= this.max_bytes
        };
        if !fits(self) {
            self.expire();
        }
        while !fits(self) {
            let others = self.held.iter().filter(|(other, _)| *other != key);
            match others.max_by_key(|(_, held)| held.distance).map(|(other, held)| (*other, held.distance)) {
                Some((farthest, far)) if far > distance => self.drop_held(&farthest),
                _ => return Err(RecordError::NoRoom),
            }
        }
        Ok(())
    }

    fn drop_held(&mut self, key: &RecordKey) {
        if self.drop_counted(key) {
            self.sink.removed(key);
        }
    }

    fn drop_counted(&mut self, key: &RecordKey) -> bool {
        let Some(held) = self.held.remove(key) else { return false };
        self.bytes = self.bytes.saturating_sub(held.record.len());
        if let Some(from) = held.from
            && let Some(count) = self.per_peer.get_mut(&from)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_peer.remove(&from);
            }
        }
        true
    }

    fn dht_record(&self, key: &RecordKey, record: &[u8], meta: RecordMeta) -> Record {
        let left = Duration::from_millis(meta.expires.millis_since(self.clock.now()));
        Record {
            key: dht_key(key),
            value: record.to_vec(),
            // Never a publisher: it would tie a transport name to a record.
            publisher: None,
            expires: Some(self.clock.instant_after(left)),
        }
    }
}

impl store::RecordStore for Records {
    type RecordsIter<'a> = std::vec::IntoIter<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::iter::Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &kad::RecordKey) -> Option<Cow<'_, Record>> {
        let key = RecordKey::from_slice(key.as_ref())?;
        let (record, meta) = self.find_with_meta(&key)?;
        Some(Cow::Owned(self.dht_record(&key, record, meta)))
    }

    fn put(&mut self, record: Record) -> store::Result<()> {
        let verdict = match RecordKey::from_slice(record.key.as_ref()) {
            Some(key) => self.offer(&key, record.value, true),
            None => Err(RecordError::Invalid),
        };
        self.verdict = Some(verdict);
        verdict.map_err(|error| match error {
            RecordError::TooLarge => store::Error::ValueTooLarge,
            _ => store::Error::MaxRecords,
        })
    }

    fn remove(&mut self, key: &kad::RecordKey) {
        if let Some(key) = RecordKey::from_slice(key.as_ref()) {
            self.drop_held(&key);
        }
    }

    /// What is replicated to the nodes now nearest: records held for others, never own ones.
    fn records(&self) -> Self::RecordsIter<'_> {
        let held = self.held.iter().map(|(key, held)| Cow::Owned(self.dht_record(key, &held.record, held.meta)));
        held.collect::<Vec<_>>().into_iter()
    }

    fn add_provider(&mut self, _: ProviderRecord) -> store::Result<()> {
        self.verdict = Some(Err(RecordError::Invalid));
        Err(store::Error::MaxProvidedKeys)
    }

    fn providers(&self, _: &kad::RecordKey) -> Vec<ProviderRecord> {
        Vec::new()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        std::iter::empty()
    }

    fn remove_provider(&mut self, _: &kad::RecordKey, _: &PeerId) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::kit::{check, key, record};
    use libp2p::kad::store::RecordStore as _;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<(RecordKey, bool)>>>);
    impl RecordSink for Log {
        fn stored(&mut self, key: &RecordKey, _: &[u8], _: Timestamp) {
            self.0.lock().unwrap().push((*key, true));
        }
        fn removed(&mut self, key: &RecordKey) {
            self.0.lock().unwrap().push((*key, false));
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const LATER: Timestamp = Timestamp::from_millis(2_000_000);

    fn store(limits: &Limits) -> (Records, Clock, Log) {
        let (clock, log) = (Clock::manual(NOW), Log::default());
        (Records::new(PeerId::random(), limits, check(), clock.clone(), Box::new(log.clone())), clock, log)
    }

    /// Puts as a peer does over the network.
    fn put(store: &mut Records, from: PeerId, key: &[u8], value: Vec<u8>) -> Result<(), RecordError> {
        store.begin(from);
        let outcome = store.put(Record::new(key.to_vec(), value));
        let verdict = store.end().unwrap();
        assert_eq!(outcome.is_ok(), verdict.is_ok());
        verdict
    }

    #[test]
    fn r_desc_5_equal_bytes_are_accepted_newer_ones_replace_and_anything_else_is_refused() {
        let (mut store, _, _) = store(&Limits::default());
        let (bob, k) = (PeerId::random(), key(1));
        let five = record(&k, 5, LATER, "five");
        assert_eq!(put(&mut store, bob, k.as_bytes(), five.clone()), Ok(()));
        assert_eq!(put(&mut store, bob, k.as_bytes(), five.clone()), Ok(()));
        assert_eq!(
            put(&mut store, bob, k.as_bytes(), record(&k, 5, LATER, "equal but different")),
            Err(RecordError::Older)
        );
        assert_eq!(put(&mut store, bob, k.as_bytes(), record(&k, 4, LATER, "four")), Err(RecordError::Older));
        assert_eq!(store.find(&k), Some(five.as_slice()));
        let six = record(&k, 6, LATER, "six");
        assert_eq!(put(&mut store, bob, k.as_bytes(), six.clone()), Ok(()));
        assert_eq!(put(&mut store, bob, k.as_bytes(), five), Err(RecordError::Older));
        assert_eq!(store.find(&k), Some(six.as_slice()));
        assert_eq!((store.held.len(), store.bytes), (1, six.len()));
    }

    #[test]
    fn r_net_6_garbage_foreign_oversize_and_lapsed_records_are_refused_and_providers_too() {
        let (mut store, clock, _) = store(&Limits::default());
        let (eve, k) = (PeerId::random(), key(1));
        let foreign = record(&key(2), 1, LATER, "");
        let huge = record(&k, 1, LATER, &"x".repeat(DESCRIPTOR_MAX));
        assert_eq!(put(&mut store, eve, k.as_bytes(), b"garbage".to_vec()), Err(RecordError::Invalid));
        assert_eq!(put(&mut store, eve, k.as_bytes(), foreign.clone()), Err(RecordError::Invalid));
        assert_eq!(put(&mut store, eve, b"short", foreign), Err(RecordError::Invalid));
        assert_eq!(put(&mut store, eve, k.as_bytes(), huge), Err(RecordError::TooLarge));
        assert_eq!(put(&mut store, eve, k.as_bytes(), record(&k, 1, NOW, "")), Err(RecordError::Expired));
        assert!(store.add_provider(ProviderRecord::new(k.as_bytes().to_vec(), eve, vec![])).is_err());
        assert!(store.held.is_empty());
        // What lapses while it is held is not handed out, and goes.
        assert_eq!(put(&mut store, eve, k.as_bytes(), record(&k, 1, LATER, "")), Ok(()));
        assert!(store.get(&dht_key(&k)).is_some_and(|found| found.publisher.is_none() && found.expires.is_some()));
        clock.advance(Duration::from_secs(1_000));
        assert!(store.get(&dht_key(&k)).is_none() && store.find(&k).is_none());
        store.expire();
        assert_eq!((store.held.len(), store.bytes, store.per_peer.len()), (0, 0, 0));
    }

    #[test]
    fn one_peer_fills_its_share_only_and_a_full_store_keeps_what_is_nearest() {
        let limits = Limits { records: 8, records_per_peer: 6, ..Limits::default() };
        let (mut store, _, log) = store(&limits);
        let (eve, bob) = (PeerId::random(), PeerId::random());
        let mut offer =
            |from, number| put(&mut store, from, key(number).as_bytes(), record(&key(number), 1, LATER, ""));
        let kept = (0..50).filter(|number| offer(eve, *number) == Ok(())).count();
        assert_eq!(kept, 6);
        // Bob's go in until the store is full; then only nearer ones, in the place of the farthest.
        let verdicts: Vec<_> = (100..200).map(|number| offer(bob, number)).collect();
        assert!(verdicts[..2].iter().all(Result::is_ok));
        assert_eq!(store.held.len(), 8);
        assert!(store.per_peer.values().all(|count| *count <= 6));
        let farthest = store.held.values().map(|held| held.distance).max().unwrap();
        let me = store.me;
        let farther =
            (0..=255).map(key).find(|key| me.distance(&place(key)) > farthest).expect("one of 256 keys is farther");
        assert_eq!(
            put(&mut store, PeerId::random(), farther.as_bytes(), record(&farther, 1, LATER, "")),
            Err(RecordError::NoRoom)
        );
        let log = log.0.lock().unwrap();
        let stored = log.iter().filter(|(_, stored)| *stored).count();
        assert_eq!(stored - (log.len() - stored), 8, "the sink follows what is held");
    }

    #[test]
    fn the_bytes_of_all_records_are_bounded() {
        let limits = Limits { record_bytes: 10_000, ..Limits::default() };
        let (mut store, _, _) = store(&limits);
        for number in 0..50 {
            let _ = put(
                &mut store,
                PeerId::random(),
                key(number).as_bytes(),
                record(&key(number), 1, LATER, &"x".repeat(1_500)),
            );
        }
        assert!(store.bytes <= 10_000 && store.held.len() >= 6);
        assert_eq!(store.bytes, store.held.values().map(|held| held.record.len()).sum::<usize>());
    }

    #[test]
    fn keys_out_of_reach_are_other_nodes_to_hold() {
        let (mut store, _, _) = store(&Limits::default());
        let far = store.me.distance(&place(&key(1))).ilog2().unwrap();
        store.set_reach(Some(far - 1));
        let offered = record(&key(1), 1, LATER, "");
        assert_eq!(put(&mut store, PeerId::random(), key(1).as_bytes(), offered.clone()), Err(RecordError::NoRoom));
        store.set_reach(Some(far));
        assert_eq!(put(&mut store, PeerId::random(), key(1).as_bytes(), offered), Ok(()));
    }

    #[test]
    fn own_records_are_nobody_elses_to_replace_nor_replicated() {
        let (mut store, _, _) = store(&Limits::default());
        let k = key(1);
        let own = record(&k, 1, LATER, "own");
        assert_eq!(store.publish(vec![(k, own.clone()), (key(2), b"broken".to_vec())]), vec![k]);
        assert_eq!(
            put(&mut store, PeerId::random(), k.as_bytes(), record(&k, 9, LATER, "not mine")),
            Err(RecordError::Older)
        );
        assert_eq!(put(&mut store, PeerId::random(), k.as_bytes(), own.clone()), Ok(()));
        assert_eq!(store.find(&k), Some(own.as_slice()));
        assert_eq!(store.records().count(), 0);
    }

    #[test]
    fn kept_records_are_checked_again_after_a_restart() {
        let (mut store, _, log) = store(&Limits::default());
        let good = record(&key(1), 1, LATER, "good");
        store.restore(vec![
            (key(1), good.clone()),
            (key(2), b"rotten".to_vec()),
            (key(3), record(&key(3), 1, NOW, "")),
        ]);
        assert_eq!(store.find(&key(1)), Some(good.as_slice()));
        assert_eq!(store.held.len(), 1);
        assert_eq!(*log.0.lock().unwrap(), vec![(key(2), false), (key(3), false)]);
    }
}
