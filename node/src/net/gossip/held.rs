//! Packets that wait: those that came before the key of their topic, and those that nobody follows the topic of yet.
//! Must not judge them, nor know the swarm.

use crate::clock::Moment;
use libp2p::PeerId;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Packets that wait for a key, all topics together.
const STRANGE: usize = 64;
/// Their bytes.
const STRANGE_BYTES: usize = 1 << 20;
/// Packets of one topic that wait for somebody who follows it.
const UNSENT: usize = 64;
/// Their bytes.
const UNSENT_BYTES: usize = 1 << 20;
/// The bytes of all of them.
const UNSENT_TOTAL: usize = 8 << 20;
/// How long they wait: a member that comes later gets them by repair.
const UNSENT_FOR: Duration = Duration::from_secs(120);

/// Packets of topics without a key; of too many, the oldest go.
#[derive(Debug, Default)]
pub(crate) struct Strange {
    packets: VecDeque<([u8; 32], PeerId, Vec<u8>)>,
    bytes: usize,
}

impl Strange {
    /// Holds a packet.
    pub(crate) fn hold(&mut self, topic: [u8; 32], from: PeerId, packet: Vec<u8>) {
        self.bytes += packet.len();
        self.packets.push_back((topic, from, packet));
        while self.packets.len() > STRANGE || self.bytes > STRANGE_BYTES {
            self.bytes -= self.packets.pop_front().map_or(self.bytes, |(.., oldest)| oldest.len());
        }
    }

    /// Takes out what is held of a topic, in the order in which it came.
    pub(crate) fn take(&mut self, topic: &[u8; 32]) -> Vec<(PeerId, Vec<u8>)> {
        let mut taken = Vec::new();
        for (of, from, packet) in std::mem::take(&mut self.packets) {
            if of == *topic {
                self.bytes -= packet.len();
                taken.push((from, packet));
            } else {
                self.packets.push_back((of, from, packet));
            }
        }
        taken
    }

    /// Returns how many are held.
    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }
}

/// Own packets for which there is nobody yet; of too many of one topic the oldest of it go, of too many in all the oldest.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    topics: BTreeMap<[u8; 32], VecDeque<Waiting>>,
    /// How many have come since the start: their order.
    count: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    until: Moment,
    packet: Vec<u8>,
}

impl Unsent {
    /// Lets a packet wait.
    pub(crate) fn push(&mut self, topic: [u8; 32], packet: Vec<u8>, now: Moment) {
        self.count += 1;
        self.bytes += packet.len();
        let until = now.saturating_add(UNSENT_FOR);
        let waiting = self.topics.entry(topic).or_default();
        waiting.push_back(Waiting { number: self.count, until, packet });
        let (mut packets, mut bytes) =
            (waiting.len(), waiting.iter().map(|waiting| waiting.packet.len()).sum::<usize>());
        while packets > UNSENT || bytes > UNSENT_BYTES {
            bytes -= self.pop(&topic).map_or(bytes, |oldest| oldest.len());
            packets -= 1;
        }
        while self.bytes > UNSENT_TOTAL {
            let first = |(topic, waiting): (&[u8; 32], &VecDeque<Waiting>)| Some((waiting.front()?.number, *topic));
            let Some((_, topic)) = self.topics.iter().filter_map(first).min() else { return };
            self.pop(&topic);
        }
    }

    /// Returns the oldest packet of a topic.
    pub(crate) fn first(&self, topic: &[u8; 32]) -> Option<&[u8]> {
        self.topics.get(topic)?.front().map(|waiting| &*waiting.packet)
    }

    /// Takes it out.
    pub(crate) fn pop(&mut self, topic: &[u8; 32]) -> Option<Vec<u8>> {
        let waiting = self.topics.get_mut(topic)?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            self.topics.remove(topic);
        }
        let packet = first?.packet;
        self.bytes -= packet.len();
        Some(packet)
    }

    /// Drops what waits for a topic.
    pub(crate) fn drop_topic(&mut self, topic: &[u8; 32]) {
        while self.pop(topic).is_some() {}
    }

    /// Drops what has waited too long.
    pub(crate) fn expire(&mut self, now: Moment) {
        let late = |waiting: &VecDeque<Waiting>| waiting.front().is_some_and(|first| first.until <= now);
        while let Some(topic) = self.topics.iter().find(|(_, waiting)| late(waiting)).map(|(topic, _)| *topic) {
            while self.topics.get(&topic).is_some_and(late) {
                self.pop(&topic);
            }
        }
    }

    /// Returns how many wait.
    pub(crate) fn len(&self) -> usize {
        self.topics.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Moment = Duration::from_secs(1);

    #[test]
    fn r_net_12_of_packets_without_a_key_the_newest_are_held_and_each_topic_gets_its_own() {
        let (mut strange, peer) = (Strange::default(), PeerId::random());
        for number in 0..100u8 {
            strange.hold([number % 2; 32], peer, vec![number; 10]);
        }
        assert_eq!((strange.len(), strange.bytes), (STRANGE, STRANGE * 10));
        let taken: Vec<_> = strange.take(&[1; 32]).into_iter().map(|(_, packet)| packet[0]).collect();
        assert_eq!(taken, (37..100).step_by(2).collect::<Vec<_>>());
        assert_eq!((strange.len(), strange.bytes, strange.take(&[1; 32]).len()), (STRANGE / 2, STRANGE * 5, 0));
        for _ in 0..40 {
            strange.hold([2; 32], peer, vec![0; 65_000]);
        }
        assert_eq!((strange.len(), strange.bytes), (16, 16 * 65_000));
        strange.hold([2; 32], peer, vec![0; STRANGE_BYTES + 1]);
        assert_eq!((strange.len(), strange.bytes), (0, 0));
    }

    #[test]
    fn r_net_12_packets_for_nobody_wait_in_order_and_no_longer_than_they_may() {
        let mut unsent = Unsent::default();
        unsent.push([1; 32], vec![1], T0);
        unsent.push([1; 32], vec![2], T0 + Duration::from_secs(5));
        unsent.push([2; 32], vec![3], T0);
        assert_eq!((unsent.first(&[1; 32]), unsent.len()), (Some(&[1][..]), 3));
        unsent.expire(T0 + UNSENT_FOR);
        assert_eq!((unsent.first(&[1; 32]), unsent.first(&[2; 32]), unsent.len()), (Some(&[2][..]), None, 1));
        assert_eq!((unsent.pop(&[1; 32]), unsent.pop(&[1; 32])), (Some(vec![2]), None));
        unsent.push([1; 32], vec![4], T0);
        unsent.drop_topic(&[1; 32]);
        assert_eq!((unsent.len(), unsent.bytes, unsent.topics.len()), (0, 0, 0));
    }

    #[test]
    fn r_net_12_packets_for_nobody_are_bounded_for_each_topic_and_in_all() {
        let mut unsent = Unsent::default();
        for number in 0..100 {
            unsent.push([1; 32], vec![number], T0);
        }
        assert_eq!((unsent.len(), unsent.first(&[1; 32])), (UNSENT, Some(&[36][..])));
        for _ in 0..100 {
            unsent.push([1; 32], vec![0; 60_000], T0);
        }
        assert_eq!(unsent.bytes, UNSENT_BYTES / 60_000 * 60_000);
        // The last of twelve topics are left, and of the first of them not all.
        for topic in 0..12 {
            (0..20).for_each(|_| unsent.push([topic; 32], vec![topic; 50_000], T0));
        }
        assert!(unsent.bytes <= UNSENT_TOTAL && unsent.bytes > UNSENT_TOTAL - 50_000);
        assert_eq!(unsent.first(&[0; 32]), None);
        assert_eq!(unsent.topics[&[11; 32]].len(), 20);
        assert_eq!(unsent.bytes, unsent.topics.values().flatten().map(|waiting| waiting.packet.len()).sum::<usize>());
    }
}
