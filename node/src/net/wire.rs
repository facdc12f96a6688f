//! The messages of the request-response protocols: a length, then a fixed layout.
//! Must not know who sends them or why.
//!
//! `/kith/deliver/1`: request `version 1 ‖ tag[16] ‖ expires ms u64 ‖ envelope`, answer `0` accepted,
//! `1 ‖ retry_after ms u64` busy, `2` refused. `/kith/descriptor/1`: request `version 1 ‖ n × key[32]` (n ≤ 16, none is a
//! plain echo), answer `version 1 ‖ n × (index u8 ‖ length u16 ‖ record)`. `/kith/mailbox/1`: request what the relay reads,
//! answer `0 ‖` what it answers, or `1 ‖ retry_after ms u64` busy; `/kith/channel/1` likewise between members of channels.
//! `/kith/wake/1`: request `version 1`, answer `0`. All numbers are big-endian; each message stands behind its length as
//! u32. Nothing here is signed or hashed, and the protocol name carries the version, so a fixed layout with exactly one
//! encoding is simpler and stricter than protobuf.

mod framing;
mod opaque;
mod wake;

pub(crate) use framing::{Codec, Flaw, Layout, Reading};
pub(crate) use opaque::{Channel, Mailbox, Reply};
pub(crate) use wake::Wake;

use super::{
    peers::limits::KEYS_PER_REQUEST,
    types::{Frame, Verdict},
};
use kith_protocol::{RecordKey, Timestamp, limits};
use libp2p::StreamProtocol;

/// Version byte of the layouts.
const VERSION: u8 = 1;
/// Version, tag and expiry.
const FRAME_HEAD: usize = 1 + 16 + 8;
/// The largest delivery request.
const FRAME_MAX: usize = FRAME_HEAD + limits::ENVELOPE_MAX;

fn encode_frame(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRAME_HEAD + frame.envelope.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&frame.tag);
    bytes.extend_from_slice(&frame.expires.as_millis().to_be_bytes());
    bytes.extend_from_slice(&frame.envelope);
    bytes
}

fn decode_frame(mut bytes: Vec<u8>) -> Option<Frame> {
    if bytes.len() <= FRAME_HEAD || bytes.len() > FRAME_MAX {
        return None;
    }
    let (version, rest) = bytes.split_first()?;
    let (tag, rest) = rest.split_first_chunk::<16>()?;
    let (expires, _) = rest.split_first_chunk::<8>()?;
    if *version != VERSION {
        return None;
    }
    let (tag, expires) = (*tag, Timestamp::from_millis(u64::from_be_bytes(*expires)));
    bytes.drain(..FRAME_HEAD);
    Some(Frame { tag, expires, envelope: bytes })
}

fn encode_verdict(verdict: Verdict) -> Vec<u8> {
    match verdict {
        Verdict::Accepted => vec![0],
        Verdict::Busy { retry_after_ms } => [&[1][..], &retry_after_ms.to_be_bytes()].concat(),
        Verdict::Refused => vec![2],
    }
}

fn decode_verdict(bytes: &[u8]) -> Option<Verdict> {
    match bytes.split_first()? {
        (0, []) => Some(Verdict::Accepted),
        (1, rest) => rest.try_into().ok().map(|ms| Verdict::Busy { retry_after_ms: u64::from_be_bytes(ms) }),
        (2, []) => Some(Verdict::Refused),
        _ => None,
    }
}

fn encode_keys(keys: &[RecordKey]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    keys.iter().for_each(|key| bytes.extend_from_slice(key.as_bytes()));
    bytes
}

fn decode_keys(bytes: &[u8]) -> Option<Vec<RecordKey>> {
    let (version, rest) = bytes.split_first()?;
    let (keys, trailing) = rest.as_chunks::<{ RecordKey::LEN }>();
    if *version != VERSION || !trailing.is_empty() || keys.len() > KEYS_PER_REQUEST {
        return None;
    }
    Some(keys.iter().map(|key| RecordKey::from_bytes(*key)).collect())
}

/// The answer to a request for records: the place of the key in the request, and the record.
pub(crate) type Records = Vec<(u8, Vec<u8>)>;

fn encode_records(records: &Records) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for (index, record) in records {
        if let Ok(length) = u16::try_from(record.len()) {
            bytes.push(*index);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(record);
        }
    }
    bytes
}

fn decode_records(bytes: &[u8]) -> Option<Records> {
    let (version, mut rest) = bytes.split_first()?;
    let mut records = Records::new();
    while let Some((index, after)) = rest.split_first() {
        let (length, after) = after.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length > limits::DESCRIPTOR_MAX || usize::from(*index) >= KEYS_PER_REQUEST {
            return None;
        }
        // One record for each key, in the order asked: one encoding only.
        if records.last().is_some_and(|(last, _)| last >= index) {
            return None;
        }
        let (record, after) = after.split_at_checked(length)?;
        records.push((*index, record.to_vec()));
        rest = after;
    }
    (*version == VERSION).then_some(records)
}

/// Carries envelopes and verdicts.
#[derive(Clone, Debug)]
pub(crate) struct Deliver;

impl Layout for Deliver {
    type Request = Frame;
    type Answer = Verdict;
    const NAME: StreamProtocol = StreamProtocol::new("/kith/deliver/1");
    const REQUEST_MAX: usize = FRAME_MAX;
    const ANSWER_MAX: usize = 9;

    fn encode_request(frame: Frame) -> Vec<u8> {
        encode_frame(&frame)
    }

    fn decode_request(bytes: Vec<u8>) -> Option<Frame> {
        decode_frame(bytes)
    }

    fn encode_answer(verdict: Verdict) -> Vec<u8> {
        encode_verdict(verdict)
    }

    fn decode_answer(bytes: Vec<u8>) -> Option<Verdict> {
        decode_verdict(&bytes)
    }
}

/// Carries record keys and records.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor;

impl Layout for Descriptor {
    type Request = Vec<RecordKey>;
    type Answer = Records;
    const NAME: StreamProtocol = StreamProtocol::new("/kith/descriptor/1");
    const REQUEST_MAX: usize = 1 + KEYS_PER_REQUEST * RecordKey::LEN;
    const ANSWER_MAX: usize = 1 + KEYS_PER_REQUEST * (3 + limits::DESCRIPTOR_MAX);

    fn encode_request(keys: Vec<RecordKey>) -> Vec<u8> {
        encode_keys(&keys)
    }

    fn decode_request(bytes: Vec<u8>) -> Option<Vec<RecordKey>> {
        decode_keys(&bytes)
    }

    fn encode_answer(records: Records) -> Vec<u8> {
        encode_records(&records)
    }

    fn decode_answer(bytes: Vec<u8>) -> Option<Records> {
        decode_records(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(envelope: Vec<u8>) -> Frame {
        Frame { tag: [3; 16], expires: Timestamp::from_millis(77), envelope }
    }

    #[test]
    fn r_net_1_messages_have_exactly_one_encoding() {
        let sent = frame(vec![9; 300]);
        assert_eq!(decode_frame(encode_frame(&sent)), Some(sent));
        for verdict in [Verdict::Accepted, Verdict::Refused, Verdict::Busy { retry_after_ms: u64::MAX }] {
            assert_eq!(decode_verdict(&encode_verdict(verdict)), Some(verdict));
        }
        let keys = vec![RecordKey::from_bytes([1; 32]), RecordKey::from_bytes([2; 32])];
        assert_eq!(decode_keys(&encode_keys(&keys)), Some(keys));
        let records = vec![(0, vec![1]), (3, vec![]), (15, vec![7; limits::DESCRIPTOR_MAX])];
        assert_eq!(decode_records(&encode_records(&records)), Some(records));
    }

    #[test]
    fn r_net_1_what_is_oversize_empty_unordered_or_of_another_version_is_refused() {
        assert_eq!(decode_frame(encode_frame(&frame(vec![]))), None);
        assert_eq!(decode_frame(encode_frame(&frame(vec![0; limits::ENVELOPE_MAX + 1]))), None);
        let mut other = encode_frame(&frame(vec![1]));
        other[0] = 2;
        assert_eq!(decode_frame(other), None);
        assert_eq!(decode_verdict(&[]), None);
        assert_eq!(decode_verdict(&[0, 0]), None);
        assert_eq!(decode_verdict(&[1, 0]), None);
        assert_eq!(decode_verdict(&[3]), None);
        assert_eq!(decode_keys(&encode_keys(&[RecordKey::from_bytes([0; 32]); KEYS_PER_REQUEST + 1])), None);
        assert_eq!(decode_keys(&[1, 0]), None);
        assert_eq!(decode_records(&encode_records(&vec![(1, vec![]), (1, vec![])])), None);
        assert_eq!(decode_records(&encode_records(&vec![(16, vec![])])), None);
        assert_eq!(decode_records(&encode_records(&vec![(0, vec![0; limits::DESCRIPTOR_MAX + 1])])), None);
    }

    proptest! {
        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(frame) = decode_frame(bytes.clone()) {
                prop_assert_eq!(encode_frame(&frame), bytes.clone());
            }
            if let Some(verdict) = decode_verdict(&bytes) {
                prop_assert_eq!(encode_verdict(verdict), bytes.clone());
            }
            if let Some(keys) = decode_keys(&bytes) {
                prop_assert_eq!(encode_keys(&keys), bytes.clone());
            }
            if let Some(records) = decode_records(&bytes) {
                prop_assert_eq!(encode_records(&records), bytes);
            }
        }
    }
}
