//! The frames of the two request-response protocols: a length, then a fixed layout; sizes are checked before bytes are kept.
//! Must not know who sends them or why.
//!
//! `/kith/deliver/1`: request `version 1 ‖ tag[16] ‖ expires ms u64 ‖ envelope`, answer `0` accepted,
//! `1 ‖ retry_after ms u64` busy, `2` refused. `/kith/descriptor/1`: request `version 1 ‖ n × key[32]` (n ≤ 16, none is a
//! plain echo), answer `version 1 ‖ n × (index u8 ‖ length u16 ‖ record)`. All numbers are big-endian; each message stands
//! behind its length as u32. Nothing here is signed or hashed, and the protocol name carries the version, so a fixed layout
//! with exactly one encoding is simpler and stricter than protobuf.

use super::{
    peers::limits::KEYS_PER_REQUEST,
    types::{Frame, Verdict},
};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use kith_protocol::{RecordKey, Timestamp, limits};
use libp2p::{StreamProtocol, request_response};
use std::{io, time::Duration};

/// The protocol that carries envelopes.
pub(crate) const DELIVER: StreamProtocol = StreamProtocol::new("/kith/deliver/1");
/// The protocol that asks a peer for records.
pub(crate) const DESCRIPTOR: StreamProtocol = StreamProtocol::new("/kith/descriptor/1");

/// Version byte of the layouts above.
const VERSION: u8 = 1;
/// Version, tag and expiry.
const FRAME_HEAD: usize = 1 + 16 + 8;
/// The largest delivery request.
const FRAME_MAX: usize = FRAME_HEAD + limits::ENVELOPE_MAX;
/// The largest delivery answer.
const VERDICT_MAX: usize = 9;
/// The largest request for records.
const KEYS_MAX: usize = 1 + KEYS_PER_REQUEST * RecordKey::LEN;
/// The largest answer with records.
const RECORDS_MAX: usize = 1 + KEYS_PER_REQUEST * (3 + limits::DESCRIPTOR_MAX);

/// Reads one message of at most `max` bytes. Memory grows with what arrives, not with what is announced.
async fn read<T: AsyncRead + Unpin + Send>(io: &mut T, max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > max {
        return Err(invalid());
    }
    let mut bytes = Vec::new();
    io.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Writes one message.
async fn write<T: AsyncWrite + Unpin + Send>(io: &mut T, bytes: &[u8], max: usize) -> io::Result<()> {
    if bytes.len() > max {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await?;
    io.flush().await
}

/// What no honest peer sends: scored as a violation.
fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// What is wrong with a request. It is handed up like a request, since libp2p reports no failure of one before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// No honest peer sends this.
    Invalid,
    /// The stream ended too early, or nothing came in time: may be nobody's fault.
    Broken,
}

/// Reads and decodes one request within a time.
async fn read_within<T: AsyncRead + Unpin + Send, R>(
    io: &mut T,
    max: usize,
    within: Duration,
    decode: impl FnOnce(Vec<u8>) -> Option<R>,
) -> Result<R, Flaw> {
    match tokio::time::timeout(within, read(io, max)).await {
        Ok(Ok(bytes)) => decode(bytes).ok_or(Flaw::Invalid),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err(Flaw::Invalid),
        Ok(Err(_)) | Err(_) => Err(Flaw::Broken),
    }
}

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
pub(crate) struct DeliverCodec {
    /// How long a request may take to arrive.
    pub(crate) within: Duration,
}

impl request_response::Codec for DeliverCodec {
    type Protocol = StreamProtocol;
    type Request = Result<Frame, Flaw>;
    type Response = Verdict;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Result<Frame, Flaw>> {
        Ok(read_within(io, FRAME_MAX, self.within, decode_frame).await)
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Verdict> {
        decode_verdict(&read(io, VERDICT_MAX).await?).ok_or_else(invalid)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        frame: Result<Frame, Flaw>,
    ) -> io::Result<()> {
        let frame = frame.map_err(|_| io::ErrorKind::InvalidInput)?;
        write(io, &encode_frame(&frame), FRAME_MAX).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        verdict: Verdict,
    ) -> io::Result<()> {
        write(io, &encode_verdict(verdict), VERDICT_MAX).await
    }
}

/// Carries record keys and records.
#[derive(Clone, Debug)]
pub(crate) struct DescriptorCodec {
    /// How long a request may take to arrive.
    pub(crate) within: Duration,
}

impl request_response::Codec for DescriptorCodec {
    type Protocol = StreamProtocol;
    type Request = Result<Vec<RecordKey>, Flaw>;
    type Response = Records;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Result<Vec<RecordKey>, Flaw>> {
        Ok(read_within(io, KEYS_MAX, self.within, |bytes| decode_keys(&bytes)).await)
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Records> {
        decode_records(&read(io, RECORDS_MAX).await?).ok_or_else(invalid)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        keys: Result<Vec<RecordKey>, Flaw>,
    ) -> io::Result<()> {
        let keys = keys.map_err(|_| io::ErrorKind::InvalidInput)?;
        write(io, &encode_keys(&keys), KEYS_MAX).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        records: Records,
    ) -> io::Result<()> {
        write(io, &encode_records(&records), RECORDS_MAX).await
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

    #[tokio::test]
    async fn r_net_1_an_announced_length_beyond_the_limit_is_refused_before_any_byte_of_it() {
        let mut io = futures::io::Cursor::new(u32::MAX.to_be_bytes().to_vec());
        assert_eq!(read(&mut io, FRAME_MAX).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn half_a_message_is_a_broken_stream_not_a_violation() {
        let mut io = futures::io::Cursor::new([&9u32.to_be_bytes()[..], &[1, 2, 3]].concat());
        assert_eq!(read(&mut io, FRAME_MAX).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
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
