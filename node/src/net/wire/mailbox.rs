//! What travels to a relay and back, and the nudge that something waits there.
//! Must not know what a relay is asked: that is between the person's app and the relay.

use super::{Layout, VERSION};
use kith_protocol::limits;
use libp2p::StreamProtocol;

/// What comes back from a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// What the relay says.
    Answer(Vec<u8>),
    /// Not now.
    Busy {
        /// How long to wait, in milliseconds.
        retry_after_ms: u64,
    },
}

impl Reply {
    /// Bytes of what the relay says.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Answer(bytes) => bytes.len(),
            Self::Busy { .. } => 0,
        }
    }
}

/// Carries questions to a relay and its answers.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox;

impl Layout for Mailbox {
    type Request = Vec<u8>;
    type Answer = Reply;
    const NAME: StreamProtocol = StreamProtocol::new("/kith/mailbox/1");
    const REQUEST_MAX: usize = limits::RELAY_REQUEST_MAX;
    const ANSWER_MAX: usize = 1 + limits::RELAY_ANSWER_MAX;

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

/// Carries the word that something waits.
#[derive(Clone, Debug)]
pub(crate) struct Wake;

impl Layout for Wake {
    type Request = ();
    type Answer = ();
    const NAME: StreamProtocol = StreamProtocol::new("/kith/wake/1");
    const REQUEST_MAX: usize = 1;
    const ANSWER_MAX: usize = 1;

    fn encode_request((): ()) -> Vec<u8> {
        vec![VERSION]
    }

    fn decode_request(bytes: Vec<u8>) -> Option<()> {
        (bytes == [VERSION]).then_some(())
    }

    fn encode_answer((): ()) -> Vec<u8> {
        vec![0]
    }

    fn decode_answer(bytes: Vec<u8>) -> Option<()> {
        (bytes == [0]).then_some(())
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
        assert_eq!(Wake::decode_request(vec![2]), None);
        assert_eq!(Wake::decode_request(vec![1, 1]), None);
        assert_eq!(Wake::decode_request(Wake::encode_request(())), Some(()));
        assert_eq!(Wake::decode_answer(vec![]), None);
        assert_eq!(Wake::decode_answer(Wake::encode_answer(())), Some(()));
    }

    proptest! {
        #[test]
        fn r_net_1_what_comes_from_a_relay_has_exactly_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
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
