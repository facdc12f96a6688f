//! What the net task is given to judge and keep DHT records and learned peers with.
//! Must not know what is inside a record, nor how anything is stored.

use super::types::PeerName;
use kith_protocol::{Fault, RecordKey, Timestamp, check_stored};
use std::sync::Arc;

/// What the check of a record found out about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMeta {
    /// The publisher's counter; a higher one replaces a lower one.
    pub seq: u64,
    /// When the record lapses.
    pub expires: Timestamp,
}

/// Why a record is not kept or not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not a record, or a signature, key or certificate in it does not hold.
    #[error("the record is not valid for its key")]
    Invalid,
    /// Larger than a record may be.
    #[error("the record is too large")]
    TooLarge,
    /// Lapsed, or it claims to last longer than a record may.
    #[error("the record has expired")]
    Expired,
    /// A record with the same or a higher counter and other bytes is held already.
    #[error("a newer record is held")]
    Older,
    /// No room: the global, the peer's or the distance limit is reached.
    #[error("no room for the record")]
    NoRoom,
}

impl RecordError {
    /// Says who is to blame: only what an honest, current peer never sends is the peer's fault.
    pub fn fault(self) -> Fault {
        match self {
            Self::Invalid | Self::TooLarge => Fault::Peer,
            Self::Expired | Self::Older | Self::NoRoom => Fault::Transient,
        }
    }
}

/// Judges a record: size, shape, expiry, certificate and signature for its key. Called in the net task, so it must not block.
pub type RecordCheck = Arc<dyn Fn(&RecordKey, &[u8], Timestamp) -> Result<RecordMeta, RecordError> + Send + Sync>;

/// Returns the check of the protocol: what a storing node verifies without learning whose record it is (R-DESC-4).
pub fn record_check() -> RecordCheck {
    Arc::new(|key, bytes, now| match check_stored(key, bytes, now) {
        Ok(meta) => Ok(RecordMeta { seq: meta.seq, expires: meta.expires }),
        Err(error) if error.fault() == Fault::Peer => Err(RecordError::Invalid),
        // A day or sequence that only a wrong clock explains, theirs or ours.
        Err(_) => Err(RecordError::Expired),
    })
}

/// Keeps the records this node holds for others. Must not block: hand the work to a thread over a bounded queue;
/// what is lost comes again from its publisher.
pub trait RecordSink: Send {
    /// A record was taken in, or replaced an older one.
    fn stored(&mut self, key: &RecordKey, record: &[u8], expires: Timestamp);
    /// A record was dropped (expired or pushed out).
    fn removed(&mut self, key: &RecordKey);
}

/// Keeps the peers that were connected once, so that a restart finds the network again. Must not block.
pub trait PeerSink: Send {
    /// A peer was reached under these addresses, best first.
    fn learned(&mut self, peer: &PeerName, addresses: &[String]);
    /// A peer was forgotten.
    fn forgotten(&mut self, peer: &PeerName);
}

/// Keeps nothing: for tests and for nodes without a disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

impl RecordSink for Nowhere {
    fn stored(&mut self, _: &RecordKey, _: &[u8], _: Timestamp) {}
    fn removed(&mut self, _: &RecordKey) {}
}

impl PeerSink for Nowhere {
    fn learned(&mut self, _: &PeerName, _: &[String]) {}
    fn forgotten(&mut self, _: &PeerName) {}
}

/// What was kept from an earlier run; checked again before use.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Records held for others.
    pub records: Vec<(RecordKey, Vec<u8>)>,
    /// Peers reached before, with their addresses.
    pub peers: Vec<(PeerName, Vec<String>)>,
}
