//! The one place that knows how a row is encoded: `[row version][bincode 2]`, with a limit and without trailing bytes.
//!
//! Only bytes that this store sealed itself come here: bincode never sees anything from outside.

use crate::{Damage, Error, key::Key, table::Table};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

/// The largest encoded row in bytes: twice the largest content with room for what is kept beside it. A larger one is a
/// bug, since whatever comes from outside is bounded before.
pub const ROW_MAX: usize = 1 << 20;

/// A kind of row: where it lies and which form its stored bytes have.
pub trait Row: Serialize + DeserializeOwned {
    /// The table it lies in.
    const TABLE: Table;
    /// The version of its stored form; raised with every change of its fields.
    const VERSION: u8;

    /// Returns where this row lies.
    fn key(&self) -> Key;

    /// Reads an older form of this row (`decode_body` into a type kept for it). The default knows none.
    fn from_older(version: u8, body: &[u8]) -> Option<Self> {
        let _ = (version, body);
        None
    }
}

/// A row in plaintext, of whatever kind; wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRow {
    pub(crate) version: u8,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for RawRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, body } = self;
        write!(f, "RawRow(version {version}, {} bytes)", body.len())
    }
}

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<ROW_MAX>,
> = bincode::config::standard().with_limit::<ROW_MAX>();

/// Encodes a row.
pub(crate) fn encode<R: Row>(row: &R) -> Result<RawRow, Error> {
    let body = bincode::serde::encode_to_vec(row, CONFIG).map_err(|error| match error {
        bincode::error::EncodeError::UnexpectedEnd => Error::RowTooLarge { table: R::TABLE, bytes: 0 },
        _ => Error::Bug("row cannot be encoded"),
    })?;
    let body = Zeroizing::new(body);
    if body.len() > ROW_MAX {
        return Err(Error::RowTooLarge { table: R::TABLE, bytes: body.len() });
    }
    Ok(RawRow { version: R::VERSION, body })
}

/// Decodes a row of its newest or an older version.
///
/// # Errors
/// `NewerVersion` for a version not known yet, `Corrupt(Encoding)` where the bytes are not exactly one row.
pub(crate) fn decode<R: Row>(row: &RawRow) -> Result<R, Error> {
    if row.version > R::VERSION {
        return Err(Error::NewerVersion { found: row.version.into(), known: R::VERSION.into() });
    }
    let decoded =
        if row.version == R::VERSION { decode_body(&row.body) } else { R::from_older(row.version, &row.body) };
    decoded.ok_or(Error::Corrupt(Damage::Encoding))
}

/// Decodes the body of a row, which must be used up exactly.
pub fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let (row, used) = bincode::serde::decode_from_slice(body, CONFIG).ok()?;
    (used == body.len()).then_some(row)
}

/// For fields of bytes: encoded like a list of numbers, but in one piece.
pub(crate) mod bytes {
    use serde::{Deserializer, Serializer, de};
    use std::fmt;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl de::Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Setting;

    fn setting(value: Vec<u8>) -> Setting {
        Setting { name: "theme".into(), value }
    }

    #[test]
    fn row_round_trips() {
        let row = setting(b"dark".to_vec());
        assert_eq!(decode::<Setting>(&encode(&row).unwrap()).unwrap(), row);
    }

    #[test]
    fn r_row_2_trailing_and_missing_bytes_are_refused() {
        let mut raw = encode(&setting(vec![1, 2, 3])).unwrap();
        raw.body.push(0);
        assert!(matches!(decode::<Setting>(&raw), Err(Error::Corrupt(Damage::Encoding))));
        raw.body.truncate(4);
        assert!(matches!(decode::<Setting>(&raw), Err(Error::Corrupt(Damage::Encoding))));
    }

    #[test]
    fn r_row_2_newer_row_is_told_apart_from_a_broken_one() {
        let mut raw = encode(&setting(vec![])).unwrap();
        raw.version = Setting::VERSION + 1;
        assert!(matches!(decode::<Setting>(&raw), Err(Error::NewerVersion { .. })));
        raw.version = Setting::VERSION - 1;
        assert!(matches!(decode::<Setting>(&raw), Err(Error::Corrupt(Damage::Encoding))));
    }

    #[test]
    fn oversized_row_is_a_bug_not_a_write() {
        let error = encode(&setting(vec![0; ROW_MAX])).unwrap_err();
        assert!(matches!(error, Error::RowTooLarge { .. }), "{error:?}");
        assert_eq!(error.fault(), kith_protocol::Fault::Bug);
    }

    #[test]
    fn length_prefix_beyond_the_limit_allocates_nothing() {
        // a name of u64::MAX bytes
        let body = [&[253u8][..], &u64::MAX.to_le_bytes()].concat();
        assert_eq!(decode_body::<Setting>(&body), None);
    }
}
