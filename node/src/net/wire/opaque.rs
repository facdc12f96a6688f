//! What travels to a relay, or to another member of a channel, and back: bytes as they are.
//! Must not know what is asked: that is between the two ends.

use super::Layout;
use kith_protocol::limits;
use libp2p::StreamProtocol;

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// What the other end says.
    Answer(Vec<u8>),
    /// Not now.
    Busy {
        /// How long to wait, in milliseconds.
        retry_after_ms: u64,
    },
}

impl Reply {
    /// Bytes of what the other end says.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Answer(bytes) => bytes.len(),
            Self::Busy { .. } => 0,
        }
    }
}

/// A protocol whose messages are not looked at.
pub(crate) trait Unread: Clone + Send + Sync + 'static {
    /// Its name.
    const PROTOCOL: StreamProtocol;
    /// The largest question.
    const QUESTION: usize;
    /// The most that is answered.
    const ANSWER: usize;
}

/// Carries questions to a relay and its answers.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox;

impl Unread for Mailbox {
    const PROTOCOL: StreamProtocol = StreamProtocol::new("/kith/mailbox/1");
    const QUESTION: usize = limits::RELAY_REQUEST_MAX;
    const ANSWER: usize = limits::RELAY_ANSWER_MAX;
}

/// Carries questions between members of channels, and the answers.
#[derive(Clone, Debug)]
pub(crate) struct Channel;

impl Unread for Channel {
    const PROTOCOL: StreamProtocol = StreamProtocol::new("/kith/channel/1");
    const QUESTION: usize = limits::CHANNEL_REQUEST_MAX;
    const ANSWER: usize = limits::CHANNEL_ANSWER_MAX;
}

impl<U: Unread> Layout for U {
    type Request = Vec<u8>;
    type Answer = Reply;
    const NAME: StreamProtocol = U::PROTOCOL;
    const REQUEST_MAX: usize = U::QUESTION;
    const ANSWER_MAX: usize = 1 + U::ANSWER;

    fn encode_request(request: Vec<u8>) -> Vec<u8> {
        request
    }

    fn decode_request(bytes: Vec<u8>) -> Option<Vec<u8>> {
        Some(bytes).filter(|bytes| !bytes.is_empty())
    }

    fn encode_answer(reply: Reply) -> Vec<u8> {
        match reply {
            Reply::Answer(mut bytes) => {
                bytes.insert(0, 0);
                bytes
            }
            Reply::Busy { retry_after_ms } => [&[1][..], &retry_after_ms.to_be_bytes()].concat(),
        }
    }

    fn decode_answer(mut bytes: Vec<u8>) -> Option<Reply> {
        match bytes.split_first()? {
            (0, _) => {
                bytes.remove(0);
                Some(Reply::Answer(bytes))
            }
            (1, rest) => rest.try_into().ok().map(|ms| Reply::Busy { retry_after_ms: u64::from_be_bytes(ms) }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r_net_1_empty_requests_unknown_replies_and_half_waits_are_refused() {
        assert_eq!(Mailbox::decode_request(vec![]), None);
        assert_eq!(Mailbox::decode_answer(vec![]), None);
        assert_eq!(Mailbox::decode_answer(vec![1, 0]), None);
        assert_eq!(Mailbox::decode_answer(vec![2]), None);
        assert_eq!(Mailbox::decode_answer(vec![0]), Some(Reply::Answer(vec![])));
        assert_eq!(Channel::decode_request(vec![]), None);
        assert_eq!(Channel::decode_answer(vec![0, 7]), Some(Reply::Answer(vec![7])));
    }

    proptest! {
        #[test]
        fn r_net_1_what_comes_from_the_other_end_has_exactly_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Some(reply) = Mailbox::decode_answer(bytes.clone()) {
                prop_assert_eq!(Mailbox::encode_answer(reply), bytes);
            }
        }

        #[test]
        fn r_net_1_busy_survives(retry_after_ms in any::<u64>()) {
            let busy = Reply::Busy { retry_after_ms };
            prop_assert_eq!(Mailbox::decode_answer(Mailbox::encode_answer(busy.clone())), Some(busy));
        }
    }
}
