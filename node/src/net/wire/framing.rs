//! One message on a stream: a length, then so many bytes, both ways of an exchange; sizes are checked before bytes are kept.
//! Must not know what a message says.

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};
use std::{
    io,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Bytes of a request that are kept before they count against the room for half-read ones.
const CHUNK: usize = 4 * 1024;

/// What is wrong with a request. It is handed up like a request, since libp2p reports no failure of one before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// No honest peer sends this.
    Invalid,
    /// The stream ended too early, or nothing came in time: may be nobody's fault.
    Broken,
    /// Too many requests are half read here.
    Crowded,
}

/// How the messages of one protocol are laid out.
pub(crate) trait Layout: Clone + Send + Sync + 'static {
    /// What is asked.
    type Request: Send;
    /// What is answered.
    type Answer: Send;
    /// The protocol.
    const NAME: StreamProtocol;
    /// The largest request.
    const REQUEST_MAX: usize;
    /// The largest answer.
    const ANSWER_MAX: usize;

    fn encode_request(request: Self::Request) -> Vec<u8>;
    fn decode_request(bytes: Vec<u8>) -> Option<Self::Request>;
    fn encode_answer(answer: Self::Answer) -> Vec<u8>;
    fn decode_answer(bytes: Vec<u8>) -> Option<Self::Answer>;
}

/// How requests are read: within a time, and with a bound on the memory of all that are half read. Clones share the bound.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    within: Duration,
    room: usize,
    held: Arc<AtomicUsize>,
}

impl Reading {
    pub(crate) fn new(within: Duration, room: usize) -> Self {
        Self { within, room, held: Arc::default() }
    }

    /// Reads one request of at most `max` bytes.
    async fn request<T: AsyncRead + Unpin + Send>(&self, io: &mut T, max: usize) -> Result<Vec<u8>, Flaw> {
        let mut hold = Hold { of: self, bytes: 0 };
        match tokio::time::timeout(self.within, read(io, max, |bytes| hold.grow(bytes))).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(match error.kind() {
                io::ErrorKind::InvalidData => Flaw::Invalid,
                io::ErrorKind::QuotaExceeded => Flaw::Crowded,
                _ => Flaw::Broken,
            }),
            Err(_) => Err(Flaw::Broken),
        }
    }
}

/// What one half-read request holds; let go when it is read or given up.
struct Hold<'a> {
    of: &'a Reading,
    bytes: usize,
}

impl Hold<'_> {
    fn grow(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes += bytes;
        let held = self.of.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if held > self.of.room { Err(io::ErrorKind::QuotaExceeded.into()) } else { Ok(()) }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.of.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads one message of at most `max` bytes. Memory grows with what arrives, not with what is announced; `arrived` is told
/// of each part and may end it.
async fn read<T: AsyncRead + Unpin + Send>(
    io: &mut T,
    max: usize,
    mut arrived: impl FnMut(usize) -> io::Result<()> + Send,
) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > max {
        return Err(invalid());
    }
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let (before, part) = (bytes.len(), CHUNK.min(length - bytes.len()));
        (&mut *io).take(part as u64).read_to_end(&mut bytes).await?;
        if bytes.len() - before < part {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        arrived(part)?;
    }
    Ok(bytes)
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

/// Carries the messages of one protocol.
#[derive(Clone, Debug)]
pub(crate) struct Codec<L> {
    reading: Reading,
    layout: PhantomData<L>,
}

impl<L> Codec<L> {
    pub(crate) fn new(reading: Reading) -> Self {
        Self { reading, layout: PhantomData }
    }
}

impl<L: Layout> request_response::Codec for Codec<L> {
    type Protocol = StreamProtocol;
    type Request = Result<L::Request, Flaw>;
    type Response = L::Answer;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Result<L::Request, Flaw>> {
        let bytes = self.reading.request(io, L::REQUEST_MAX).await;
        Ok(bytes.and_then(|bytes| L::decode_request(bytes).ok_or(Flaw::Invalid)))
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<L::Answer> {
        L::decode_answer(read(io, L::ANSWER_MAX, |_| Ok(())).await?).ok_or_else(invalid)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Result<L::Request, Flaw>,
    ) -> io::Result<()> {
        let request = request.map_err(|_| io::ErrorKind::InvalidInput)?;
        write(io, &L::encode_request(request), L::REQUEST_MAX).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        answer: L::Answer,
    ) -> io::Result<()> {
        write(io, &L::encode_answer(answer), L::ANSWER_MAX).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{TryStreamExt, io::Cursor};

    const MAX: usize = 100_000;

    fn prefixed(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    fn reading(room: usize) -> Reading {
        Reading::new(Duration::from_secs(60), room)
    }

    #[tokio::test]
    async fn r_net_1_an_announced_length_beyond_the_limit_is_refused_before_any_byte_of_it() {
        let mut io = Cursor::new(u32::MAX.to_be_bytes().to_vec());
        assert_eq!(reading(MAX).request(&mut io, MAX).await, Err(Flaw::Invalid));
    }

    #[tokio::test]
    async fn half_a_message_is_a_broken_stream_not_a_violation() {
        let mut io = Cursor::new([&9u32.to_be_bytes()[..], &[1, 2, 3]].concat());
        assert_eq!(reading(MAX).request(&mut io, MAX).await, Err(Flaw::Broken));
    }

    #[tokio::test]
    async fn r_net_1_what_is_half_read_of_all_streams_together_is_bounded_and_let_go_in_the_end() {
        let shared = reading(3 * CHUNK);
        let other = shared.clone();
        // Announces ten parts, sends two of them, and waits.
        let (mut theirs, ours) = futures::channel::mpsc::channel::<io::Result<Vec<u8>>>(1);
        let half = tokio::spawn(async move { other.request(&mut ours.into_async_read(), MAX).await });
        let sent = [&u32::try_from(10 * CHUNK).unwrap().to_be_bytes()[..], &[7; 2 * CHUNK]].concat();
        theirs.try_send(Ok(sent)).unwrap();
        while shared.held.load(Ordering::Relaxed) < 2 * CHUNK {
            tokio::task::yield_now().await;
        }
        let large = prefixed(&[1; 2 * CHUNK]);
        assert_eq!(shared.request(&mut Cursor::new(large.clone()), MAX).await, Err(Flaw::Crowded));
        assert_eq!(shared.request(&mut Cursor::new(prefixed(b"small")), MAX).await, Ok(b"small".to_vec()));
        drop(theirs);
        assert_eq!(half.await.unwrap(), Err(Flaw::Broken));
        assert_eq!(shared.held.load(Ordering::Relaxed), 0);
        assert_eq!(shared.request(&mut Cursor::new(large), MAX).await, Ok(vec![1; 2 * CHUNK]));
    }
}
