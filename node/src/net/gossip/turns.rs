//! Frames that wait for the app: taken from each peer in turn, so that one who sends much delays the others by one frame.
//! Must not know what a frame says.

use crate::net::types::{NetEvent, PeerName};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

/// Frames of one peer that wait.
const PER_PEER: usize = 64;
/// Bytes of all frames that wait.
const BYTES: usize = 8 << 20;

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    peers: BTreeMap<PeerName, Queue>,
    /// Whose turn it was.
    last: Option<PeerName>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<(usize, NetEvent)>,
    bytes: usize,
}

impl Turns {
    /// Lets a frame of so many bytes wait; returns whether nothing had to go for it. Where there is no room, the peer for
    /// which most waits gives up its newest.
    #[must_use]
    pub(crate) fn push(&mut self, from: PeerName, bytes: usize, frame: NetEvent) -> bool {
        let queue = self.peers.entry(from).or_default();
        if queue.frames.len() >= PER_PEER {
            return false;
        }
        queue.frames.push_back((bytes, frame));
        queue.bytes += bytes;
        self.bytes += bytes;
        let fits = self.bytes <= BYTES;
        while self.bytes > BYTES
            && let Some((peer, most)) = self.peers.iter_mut().max_by_key(|(_, queue)| queue.bytes)
        {
            let newest = most.frames.pop_back().map_or(0, |(bytes, _)| bytes);
            most.bytes -= newest;
            self.bytes -= newest;
            if most.frames.is_empty() {
                let peer = peer.clone();
                self.peers.remove(&peer);
            }
        }
        fits
    }

    /// Takes out the next frame.
    pub(crate) fn next(&mut self) -> Option<NetEvent> {
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.peers.range_mut((after, Bound::Unbounded)).next().map(|(peer, _)| peer.clone());
        let peer = next.or_else(|| self.peers.keys().next().cloned())?;
        let queue = self.peers.get_mut(&peer)?;
        let (bytes, frame) = queue.frames.pop_front()?;
        queue.bytes -= bytes;
        self.bytes -= bytes;
        if queue.frames.is_empty() {
            self.peers.remove(&peer);
        }
        self.last = Some(peer);
        Some(frame)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(from: &str, number: u8) -> (PeerName, NetEvent) {
        let from = PeerName(from.into());
        (from.clone(), NetEvent::Gossip { topic: [0; 32], from, frame: vec![number] })
    }

    fn push(turns: &mut Turns, from: &str, number: u8, bytes: usize) -> bool {
        let (from, frame) = frame(from, number);
        turns.push(from, bytes, frame)
    }

    #[test]
    fn r_net_13_frames_of_each_peer_are_taken_in_turn() {
        let mut turns = Turns::default();
        let kept = (0..100).filter(|number| push(&mut turns, "loud", *number, 10)).count();
        assert_eq!(kept, PER_PEER);
        assert!(push(&mut turns, "a", 200, 10) && push(&mut turns, "z", 201, 10) && push(&mut turns, "z", 202, 10));
        let order: Vec<_> = (0..5).map(|_| turns.next().unwrap()).collect();
        let expected = [("a", 200), ("loud", 0), ("z", 201), ("loud", 1), ("z", 202)];
        assert_eq!(order, expected.map(|(from, number)| frame(from, number).1));
        assert_eq!(std::iter::from_fn(|| turns.next()).count(), PER_PEER - 2);
        assert!(turns.is_empty() && turns.bytes == 0);
    }

    #[test]
    fn r_net_13_of_too_many_bytes_the_newest_of_whoever_has_most_go() {
        let mut turns = Turns::default();
        assert!((0..63).all(|number| push(&mut turns, "loud", number, BYTES / 63)));
        assert!(!push(&mut turns, "quiet", 200, 1_000), "something had to go");
        assert_eq!(turns.peers.values().map(|queue| queue.frames.len()).collect::<Vec<_>>(), vec![62, 1]);
        assert!(!push(&mut turns, "loud", 201, BYTES));
        let left: Vec<_> = std::iter::from_fn(|| turns.next()).collect();
        assert!(left.contains(&frame("quiet", 200).1) && !left.contains(&frame("loud", 201).1));
        assert_eq!(turns.bytes, 0);
    }
}
