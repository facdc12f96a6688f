//! Topics as gossipsub names them, and what of it is let in at all: names of the one shape, packets of followed topics.
//! Must not know keys or peers.

use libp2p::gossipsub::{
    DataTransform, IdentTopic, MaxCountSubscriptionFilter, Message, RawMessage, TopicHash, TopicSubscriptionFilter,
};
use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// What a topic is called on the wire: its 32 bytes in base64 for URLs, 43 characters. A thousand of them fit one message.
pub(crate) fn name(topic: &[u8; 32]) -> IdentTopic {
    IdentTopic::new(data_encoding::BASE64URL_NOPAD.encode(topic))
}

/// Reads a name that has the right shape; there is one for each topic.
pub(crate) fn parse(name: &TopicHash) -> Option<[u8; 32]> {
    // Somebody else's text: its length is looked at first.
    let name = Some(name.as_str()).filter(|name| name.len() == 43)?;
    data_encoding::BASE64URL_NOPAD.decode(name.as_bytes()).ok()?.try_into().ok()
}

/// What others may say to follow: names of the right shape, so that a name costs no more than it must, and so many.
pub(crate) type Filter = MaxCountSubscriptionFilter<Shape>;

/// Makes the filter.
pub(crate) fn filter(most: usize) -> Filter {
    Filter { filter: Shape, max_subscribed_topics: most, max_subscriptions_per_request: most }
}

/// Lets names of the right shape in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape;

impl TopicSubscriptionFilter for Shape {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        parse(topic).is_some()
    }
}

/// The topics that are followed, as the place knows them where packets come in.
///
/// Gossipsub itself keeps packets of every topic for a while. What is refused here is kept nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followed(Arc<Mutex<HashSet<TopicHash>>>);

impl Followed {
    fn set<T>(&self, with: impl FnOnce(&mut HashSet<TopicHash>) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a topic's packets in.
    pub(crate) fn insert(&self, topic: &[u8; 32]) {
        self.set(|set| set.insert(name(topic).hash()));
    }

    /// Lets them in no more.
    pub(crate) fn remove(&self, topic: &[u8; 32]) {
        self.set(|set| set.remove(&name(topic).hash()));
    }
}

impl DataTransform for Followed {
    fn inbound_transform(&self, raw: RawMessage) -> io::Result<Message> {
        if self.set(|set| set.contains(&raw.topic)) {
            let RawMessage { source, data, sequence_number, topic, .. } = raw;
            Ok(Message { source, data, sequence_number, topic })
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_net_13_a_topic_has_one_name_and_other_names_are_not_let_in() {
        for topic in [[0; 32], [0xff; 32], std::array::from_fn(|i| u8::try_from(i).unwrap())] {
            assert_eq!(parse(&name(&topic).hash()), Some(topic));
            assert!(Shape.can_subscribe(&name(&topic).hash()));
        }
        let right = name(&[7; 32]).hash().into_string();
        // The last character holds four bits: the other two must be zero.
        let twin = format!("{}d", &right[..42]);
        for wrong in [String::new(), "general".into(), right[1..].into(), format!("{right}A"), "x".repeat(60_000), twin]
        {
            assert!(!Shape.can_subscribe(&TopicHash::from_raw(&wrong)), "{}", &wrong[..wrong.len().min(50)]);
        }
    }

    #[test]
    fn r_net_13_packets_of_topics_that_are_not_followed_are_refused_where_they_come_in() {
        let followed = Followed::default();
        let packet = |topic| RawMessage {
            source: None,
            data: vec![1, 2, 3],
            sequence_number: None,
            topic: name(topic).hash(),
            signature: None,
            key: None,
            validated: false,
        };
        followed.insert(&[1; 32]);
        assert_eq!(followed.inbound_transform(packet(&[1; 32])).unwrap().data, vec![1, 2, 3]);
        assert!(followed.inbound_transform(packet(&[2; 32])).is_err());
        followed.remove(&[1; 32]);
        assert!(followed.inbound_transform(packet(&[1; 32])).is_err());
    }
}
