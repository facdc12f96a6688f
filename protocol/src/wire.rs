//! Strict decoding, signed bytes, extensions and transcripts: what every message format is made of. Must not know any of
//! them.

mod extension;
pub(crate) mod padding;
mod signed;
mod transcript;

#[cfg(test)]
pub(crate) mod codec_test;
#[cfg(test)]
pub(crate) mod mutate_test;

pub use extension::{Extension, Extensions};
pub use signed::Signed;
pub use transcript::Transcript;

use crate::Fault;
use prost::Message;

/// The bytes are not a message of the expected kind, in its one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Longer than the maximum of its kind, in bytes; nothing was parsed.
    #[error("message too large: at most {max} bytes")]
    TooLarge {
        /// The maximum in bytes.
        max: usize,
    },
    /// Not protobuf of this message.
    #[error("malformed message")]
    Malformed,
    /// Valid protobuf, but not the one spelling of this message (R-WIRE-2).
    #[error("message not in its canonical form")]
    NotCanonical,
    /// A field has another length than its kind demands.
    #[error("field of wrong length: expected {expected} bytes")]
    FieldLength {
        /// The demanded length in bytes.
        expected: usize,
    },
    /// A repeated field has more entries than its maximum.
    #[error("too many entries: at most {max}")]
    TooMany {
        /// The maximum.
        max: usize,
    },
    /// A critical extension of a type this version does not know.
    #[error("unknown critical extension {0}")]
    UnknownCritical(u32),
    /// A version or kind this program does not know where it must.
    #[error("unknown version or kind {0}")]
    Unknown(u32),
    /// A value outside what the field allows.
    #[error("value out of bounds")]
    OutOfBounds,
}

impl Error {
    /// Names who is at fault: always whoever sent the bytes.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// Decodes strictly: the size is checked before parsing, and what does not encode back to the same bytes is refused
/// (unknown and duplicate fields, non-minimal numbers, explicit defaults, another field order, trailing bytes).
pub fn decode<M: Message + Default>(bytes: &[u8], max: usize) -> Result<M, Error> {
    if bytes.len() > max {
        return Err(Error::TooLarge { max });
    }
    let message = M::decode(bytes).map_err(|_| Error::Malformed)?;
    if encode(&message) == bytes { Ok(message) } else { Err(Error::NotCanonical) }
}

/// Encodes a message into its one spelling.
pub fn encode(message: &impl Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// Takes a field that must be exactly `N` bytes long.
pub fn fixed<const N: usize>(field: &[u8]) -> Result<[u8; N], Error> {
    field.try_into().map_err(|_| Error::FieldLength { expected: N })
}

/// Refuses a repeated field with more than `max` entries.
pub fn at_most<T>(entries: &[T], max: usize) -> Result<(), Error> {
    if entries.len() <= max { Ok(()) } else { Err(Error::TooMany { max }) }
}
