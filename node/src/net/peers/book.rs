//! The address book: under which addresses peers were told of or reached, bounded, newest first.
//! Must not dial, and keeps on disk only what was reached.

use super::limits::ADDRESSES_PER_PEER;
use crate::{
    clock::Moment,
    net::{record::PeerSink, translate},
};
use libp2p::{Multiaddr, PeerId};
use std::collections::{HashMap, HashSet};

/// The address book.
pub(crate) struct Book {
    entries: HashMap<PeerId, Entry>,
    protected: HashSet<PeerId>,
    max: usize,
    sink: Box<dyn PeerSink>,
}

#[derive(Debug)]
struct Entry {
    /// Best first.
    addresses: Vec<Multiaddr>,
    /// When something was last learned about the peer.
    at: Moment,
    /// Whether a connection to it came up in this run or an earlier one.
    reached: bool,
}

impl Book {
    pub(crate) fn new(max: usize, sink: Box<dyn PeerSink>) -> Self {
        Self { entries: HashMap::new(), protected: HashSet::new(), max: max.max(1), sink }
    }

    /// Takes in what an earlier run kept.
    pub(crate) fn restore(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Moment) {
        if self.entries.len() < self.max && !addresses.is_empty() {
            let addresses = addresses.into_iter().take(ADDRESSES_PER_PEER).collect();
            self.entries.insert(peer, Entry { addresses, at: now, reached: true });
        }
    }

    /// Replaces the peers that are not pushed out by others.
    pub(crate) fn protect(&mut self, peers: HashSet<PeerId>) {
        self.protected = peers;
    }

    /// Notes an address somebody told; returns true if it is new.
    pub(crate) fn told(&mut self, peer: PeerId, address: Multiaddr, now: Moment) -> bool {
        let address = translate::without_peer(address);
        let entry = self.entry(peer, now);
        if entry.addresses.contains(&address) {
            return false;
        }
        if entry.addresses.len() >= ADDRESSES_PER_PEER {
            entry.addresses.pop();
        }
        // Behind what is known to work, before what was told earlier.
        let place = usize::from(entry.reached).min(entry.addresses.len());
        entry.addresses.insert(place, address);
        true
    }

    /// Notes an address under which the peer was reached: it becomes the first, and is kept on disk.
    pub(crate) fn reached(&mut self, peer: PeerId, address: Multiaddr, now: Moment) {
        let address = translate::without_peer(address);
        let entry = self.entry(peer, now);
        let known = entry.reached && entry.addresses.first() == Some(&address);
        entry.addresses.retain(|other| *other != address);
        entry.addresses.insert(0, address);
        entry.addresses.truncate(ADDRESSES_PER_PEER);
        entry.reached = true;
        if !known {
            let texts: Vec<_> = entry.addresses.iter().map(ToString::to_string).collect();
            self.sink.learned(&translate::peer_name(&peer), &texts);
        }
    }

    /// Returns a peer's addresses, best first.
    pub(crate) fn addresses(&self, peer: &PeerId) -> &[Multiaddr] {
        self.entries.get(peer).map_or(&[], |entry| &entry.addresses)
    }

    /// Returns the peers that were reached before, newest first.
    pub(crate) fn known(&self) -> Vec<PeerId> {
        let mut known: Vec<_> = self.entries.iter().filter(|(_, entry)| entry.reached).collect();
        known.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.at));
        known.into_iter().map(|(peer, _)| *peer).collect()
    }

    fn entry(&mut self, peer: PeerId, now: Moment) -> &mut Entry {
        if !self.entries.contains_key(&peer) && self.entries.len() >= self.max {
            self.push_out();
        }
        let entry = self.entries.entry(peer).or_insert(Entry { addresses: Vec::new(), at: now, reached: false });
        entry.at = now;
        entry
    }

    /// Drops the peer that matters least: never reached first, then the oldest; contacts only when nothing else is left.
    fn push_out(&mut self) {
        let rank = |(peer, entry): (&PeerId, &Entry)| (self.protected.contains(peer), entry.reached, entry.at);
        let least = self.entries.iter().min_by_key(|(peer, entry)| rank((peer, entry))).map(|(peer, _)| *peer);
        if let Some(peer) = least
            && self.entries.remove(&peer).is_some_and(|entry| entry.reached)
        {
            self.sink.forgotten(&translate::peer_name(&peer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::PeerName;
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    type Log = Arc<Mutex<Vec<(PeerName, Vec<String>)>>>;
    struct Recorder(Log);
    impl PeerSink for Recorder {
        fn learned(&mut self, peer: &PeerName, addresses: &[String]) {
            self.0.lock().unwrap().push((peer.clone(), addresses.to_vec()));
        }
        fn forgotten(&mut self, peer: &PeerName) {
            self.0.lock().unwrap().push((peer.clone(), Vec::new()));
        }
    }

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()
    }

    fn book(max: usize) -> (Book, Log) {
        let log = Log::default();
        (Book::new(max, Box::new(Recorder(log.clone()))), log)
    }

    #[test]
    fn a_peer_keeps_eight_addresses_and_the_one_that_worked_stays_first() {
        let ((mut book, log), bob) = (book(4), PeerId::random());
        book.reached(bob, address(1), Duration::ZERO);
        for port in 2..50 {
            assert!(book.told(bob, address(port), Duration::ZERO));
        }
        assert_eq!(book.addresses(&bob).len(), ADDRESSES_PER_PEER);
        assert_eq!(book.addresses(&bob).first(), Some(&address(1)));
        assert_eq!(book.addresses(&bob).get(1), Some(&address(49)));
        assert!(!book.told(bob, address(1).with_p2p(bob).unwrap(), Duration::ZERO));
        assert_eq!(log.lock().unwrap().len(), 1, "what was only told is not kept on disk");
    }

    #[test]
    fn strangers_never_push_out_who_was_reached_nor_contacts() {
        let ((mut book, log), bob, carol) = (book(3), PeerId::random(), PeerId::random());
        book.protect(HashSet::from([carol]));
        book.told(carol, address(1), Duration::ZERO);
        book.reached(bob, address(2), Duration::ZERO);
        for second in 0..100 {
            book.told(PeerId::random(), address(3), Duration::from_secs(second));
        }
        assert_eq!(book.entries.len(), 3);
        assert_eq!((book.addresses(&carol).len(), book.addresses(&bob).len()), (1, 1));
        assert_eq!(book.known(), vec![bob]);
        assert_eq!(log.lock().unwrap().len(), 1);
    }
}
