//! The nudge that something waits at a relay.
//! Must not know what.

use super::{Layout, VERSION};
use libp2p::StreamProtocol;

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

    #[test]
    fn r_net_1_a_wake_up_has_exactly_one_form() {
        assert_eq!(Wake::decode_request(vec![2]), None);
        assert_eq!(Wake::decode_request(vec![1, 1]), None);
        assert_eq!(Wake::decode_request(Wake::encode_request(())), Some(()));
        assert_eq!(Wake::decode_answer(vec![]), None);
        assert_eq!(Wake::decode_answer(Wake::encode_answer(())), Some(()));
    }
}
