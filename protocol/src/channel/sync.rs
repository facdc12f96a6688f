//! What members' devices ask each other about a channel. Everything given away is sealed to members, so that who asks need
//! show no more than the topic. Must not know how questions travel.

use super::{EpochId, OpId};
use crate::{
    limits::{
        CARD_MAX, CHANNEL_ANSWER_MAX, CHANNEL_FRAME_MAX, CHANNEL_PARENTS_MAX, CHANNEL_REQUEST_MAX, JOIN_REQUEST_MAX,
        SYNC_EPOCHS_MAX, SYNC_ITEMS_MAX, SYNC_PLACES_MAX, SYNC_TOPICS_MAX,
    },
    proto::channel_sync as proto,
    wire::{self, at_most, fixed},
};

/// The name of a topic.
pub type Topic = [u8; 32];
/// The name of an item: the hash of its bytes.
pub type ItemId = [u8; 32];

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Takes items of a topic: frames and parcels.
    Push {
        /// Which topic.
        topic: Topic,
        /// The items.
        items: Vec<Vec<u8>>,
    },
    /// Compares what both have of a topic.
    Reconcile {
        /// Which topic.
        topic: Topic,
        /// The comparison's message.
        message: Vec<u8>,
    },
    /// Wants items.
    Items {
        /// Which topic.
        topic: Topic,
        /// Which items.
        ids: Vec<ItemId>,
    },
    /// Wants the operations that it lacks.
    Ops {
        /// The topics by which the asker knows the channel: one that is known suffices, as in what follows.
        topics: Vec<Topic>,
        /// The last operations that it has, in order.
        heads: Vec<OpId>,
        /// Of a newcomer: the operation that let it in; it is given all before that.
        admission: Option<OpId>,
        /// Epochs that it has keys of, the newest first.
        epochs: Vec<EpochId>,
        /// The asker's card, for who does not know it.
        card: Option<Vec<u8>>,
    },
    /// Wants items of a rekey blob.
    Blob {
        /// The topics by which the asker knows the channel.
        topics: Vec<Topic>,
        /// The operation that made the keys anew.
        op: OpId,
        /// Which places.
        places: Vec<u32>,
    },
    /// Wants the keys of an epoch that it belongs to and cannot open.
    Keys {
        /// The topics by which the asker knows the channel.
        topics: Vec<Topic>,
        /// Which epoch.
        epoch: EpochId,
        /// The asker's card.
        card: Vec<u8>,
    },
    /// Wants what was said before it came, as far as its invite grants it.
    History {
        /// Which topic.
        topic: Topic,
        /// Where the last answer of the same member ended; the greatest number begins.
        before: u64,
    },
    /// Asks to be let in.
    Join {
        /// The sealed request.
        request: Vec<u8>,
    },
}

impl Ask {
    /// Encodes a question.
    pub fn encode(&self) -> Vec<u8> {
        let ids = |list: &[[u8; 32]]| list.iter().map(|id| id.to_vec()).collect();
        let (kind, body) = match self {
            Self::Push { topic, items } => {
                (1, wire::encode(&proto::AskPush { topic: topic.to_vec(), items: items.clone() }))
            }
            Self::Reconcile { topic, message } => {
                (2, wire::encode(&proto::AskReconcile { topic: topic.to_vec(), message: message.clone() }))
            }
            Self::Items { topic, ids: wanted } => {
                (3, wire::encode(&proto::AskItems { topic: topic.to_vec(), ids: ids(wanted) }))
            }
            Self::Ops { topics, heads, admission, epochs, card } => (
                4,
                wire::encode(&proto::AskOps {
                    topics: ids(topics),
                    heads: heads.iter().map(|h| h.as_bytes().to_vec()).collect(),
                    admission: admission.map(|a| a.as_bytes().to_vec()).unwrap_or_default(),
                    epochs: epochs.iter().map(|e| e.as_bytes().to_vec()).collect(),
                    card: card.clone().unwrap_or_default(),
                }),
            ),
            Self::Blob { topics, op, places } => (
                5,
                wire::encode(&proto::AskBlob {
                    topics: ids(topics),
                    op: op.as_bytes().to_vec(),
                    places: places.clone(),
                }),
            ),
            Self::Keys { topics, epoch, card } => (
                7,
                wire::encode(&proto::AskKeys {
                    topics: ids(topics),
                    epoch: epoch.as_bytes().to_vec(),
                    card: card.clone(),
                }),
            ),
            Self::History { topic, before } => {
                (8, wire::encode(&proto::AskHistory { topic: topic.to_vec(), before: *before }))
            }
            Self::Join { request } => (6, wire::encode(&proto::AskJoin { request: request.clone() })),
        };
        wire::encode(&crate::proto::wire::Sum { kind, body })
    }

    /// Decodes strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        const MAX: usize = CHANNEL_REQUEST_MAX;
        let sum: crate::proto::wire::Sum = wire::decode(bytes, MAX)?;
        let body = sum.body.as_slice();
        Ok(match sum.kind {
            1 => {
                let ask: proto::AskPush = wire::decode(body, MAX)?;
                Self::Push { topic: fixed(&ask.topic)?, items: items(ask.items)? }
            }
            2 => {
                let ask: proto::AskReconcile = wire::decode(body, MAX)?;
                Self::Reconcile { topic: fixed(&ask.topic)?, message: ask.message }
            }
            3 => {
                let ask: proto::AskItems = wire::decode(body, MAX)?;
                at_most(&ask.ids, SYNC_ITEMS_MAX)?;
                let ids = ask.ids.iter().map(|id| fixed(id)).collect::<Result<_, _>>()?;
                Self::Items { topic: fixed(&ask.topic)?, ids }
            }
            4 => {
                let ask: proto::AskOps = wire::decode(body, MAX)?;
                at_most(&ask.heads, CHANNEL_PARENTS_MAX)?;
                let heads = ask.heads.iter().map(|h| fixed(h).map(OpId::from_bytes)).collect::<Result<Vec<_>, _>>()?;
                if !heads.is_sorted_by(|a, b| a < b) {
                    return Err(wire::Error::NotCanonical);
                }
                let admission = match ask.admission.as_slice() {
                    [] => None,
                    id => Some(OpId::from_bytes(fixed(id)?)),
                };
                at_most(&ask.epochs, SYNC_EPOCHS_MAX)?;
                let epochs = ask.epochs.iter().map(|e| fixed(e).map(EpochId::from_bytes)).collect::<Result<_, _>>()?;
                let card = Some(card(ask.card)?).filter(|card| !card.is_empty());
                Self::Ops { topics: topics(&ask.topics)?, heads, admission, epochs, card }
            }
            5 => {
                let ask: proto::AskBlob = wire::decode(body, MAX)?;
                at_most(&ask.places, SYNC_PLACES_MAX)?;
                let op = OpId::from_bytes(fixed(&ask.op)?);
                Self::Blob { topics: topics(&ask.topics)?, op, places: ask.places }
            }
            6 => {
                let ask: proto::AskJoin = wire::decode(body, MAX)?;
                if ask.request.len() > JOIN_REQUEST_MAX + 1024 {
                    return Err(wire::Error::TooLarge { max: JOIN_REQUEST_MAX + 1024 });
                }
                Self::Join { request: ask.request }
            }
            7 => {
                let ask: proto::AskKeys = wire::decode(body, MAX)?;
                let epoch = EpochId::from_bytes(fixed(&ask.epoch)?);
                Self::Keys { topics: topics(&ask.topics)?, epoch, card: card(ask.card)? }
            }
            8 => {
                let ask: proto::AskHistory = wire::decode(body, MAX)?;
                Self::History { topic: fixed(&ask.topic)?, before: ask.before }
            }
            other => return Err(wire::Error::Unknown(other)),
        })
    }
}

fn topics(list: &[Vec<u8>]) -> Result<Vec<Topic>, wire::Error> {
    at_most(list, SYNC_TOPICS_MAX)?;
    list.iter().map(|topic| fixed(topic)).collect()
}

fn card(bytes: Vec<u8>) -> Result<Vec<u8>, wire::Error> {
    if bytes.len() > CARD_MAX { Err(wire::Error::TooLarge { max: CARD_MAX }) } else { Ok(bytes) }
}

fn items(list: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, wire::Error> {
    at_most(&list, SYNC_ITEMS_MAX)?;
    match list.iter().find(|item| item.len() > CHANNEL_FRAME_MAX) {
        Some(_) => Err(wire::Error::TooLarge { max: CHANNEL_FRAME_MAX }),
        None => Ok(list),
    }
}

/// An answer to any question: what it holds depends on that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The comparison's message, or the answer to a request to join.
    pub message: Vec<u8>,
    /// Items, parcels, or items of a blob.
    pub items: Vec<Vec<u8>>,
    /// Whether there is more than fitted.
    pub more: bool,
    /// Whether no topic is known, or operations were asked for by somebody whose card is not known.
    pub unknown: bool,
}

impl Reply {
    /// Encodes an answer.
    pub fn encode(&self) -> Vec<u8> {
        let Self { message, items, more, unknown } = self.clone();
        wire::encode(&proto::Answer { message, items, more, unknown })
    }

    /// Decodes strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let answer: proto::Answer = wire::decode(bytes, CHANNEL_ANSWER_MAX)?;
        Ok(Self { message: answer.message, items: items(answer.items)?, more: answer.more, unknown: answer.unknown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops(topics: Vec<Topic>, heads: Vec<OpId>) -> Ask {
        Ask::Ops { topics, heads, admission: None, epochs: vec![], card: None }
    }

    #[test]
    fn r_chan_23_questions_and_answers_have_one_spelling_and_bounds() {
        let topic = [1; 32];
        for ask in [
            Ask::Push { topic, items: vec![vec![1; 9], vec![2; 9]] },
            Ask::Reconcile { topic, message: vec![3; 9] },
            Ask::Items { topic, ids: vec![[4; 32]] },
            ops(vec![topic, [2; 32]], vec![OpId::from_bytes([5; 32])]),
            Ask::Ops {
                topics: vec![topic],
                heads: vec![],
                admission: Some(OpId::from_bytes([6; 32])),
                epochs: vec![EpochId::from_bytes([7; 32]), EpochId::from_bytes([6; 32])],
                card: Some(vec![1; 99]),
            },
            Ask::Blob { topics: vec![topic], op: OpId::from_bytes([7; 32]), places: vec![0, 9] },
            Ask::Join { request: vec![8; 99] },
            Ask::History { topic, before: 77 },
            Ask::Keys { topics: vec![topic], epoch: EpochId::from_bytes([9; 32]), card: vec![1; 99] },
        ] {
            let bytes = ask.encode();
            assert_eq!(Ask::decode(&bytes), Ok(ask.clone()), "{ask:?}");
            for cut in 0..bytes.len() {
                assert_ne!(Ask::decode(&bytes[..cut]), Ok(ask.clone()));
            }
        }
        let many = Ask::Items { topic, ids: vec![[4; 32]; SYNC_ITEMS_MAX + 1] };
        assert_eq!(Ask::decode(&many.encode()), Err(wire::Error::TooMany { max: SYNC_ITEMS_MAX }));
        let long = Ask::Push { topic, items: vec![vec![0; CHANNEL_FRAME_MAX + 1]] };
        assert_eq!(Ask::decode(&long.encode()), Err(wire::Error::TooLarge { max: CHANNEL_FRAME_MAX }));
        let unsorted = ops(vec![topic], vec![OpId::from_bytes([5; 32]), OpId::from_bytes([4; 32])]);
        assert_eq!(Ask::decode(&unsorted.encode()), Err(wire::Error::NotCanonical));
        let topics = ops(vec![topic; SYNC_TOPICS_MAX + 1], vec![]);
        assert_eq!(Ask::decode(&topics.encode()), Err(wire::Error::TooMany { max: SYNC_TOPICS_MAX }));
        let epochs = Ask::Ops {
            topics: vec![topic],
            heads: vec![],
            admission: None,
            epochs: vec![EpochId::from_bytes([7; 32]); SYNC_EPOCHS_MAX + 1],
            card: None,
        };
        assert_eq!(Ask::decode(&epochs.encode()), Err(wire::Error::TooMany { max: SYNC_EPOCHS_MAX }));
        let reply = Reply { message: vec![1], items: vec![vec![2; 5]], more: true, unknown: false };
        assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        let unknown = Reply { unknown: true, ..Reply::default() };
        assert_eq!(Reply::decode(&unknown.encode()), Ok(unknown));
    }
}
