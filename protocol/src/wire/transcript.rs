//! Transcripts: labelled, length-prefixed fields that become associated data, KDF inputs and ids.

use crate::crypto::kdf;

/// Collects fields under a label so that no two lists of fields give the same bytes: every field is prefixed with its
/// length (8 bytes, big-endian), the label too.
#[derive(Clone, Debug)]
pub struct Transcript(Vec<u8>);

impl Transcript {
    /// Starts under a label.
    pub fn new(label: &'static str) -> Self {
        // As long as most of them are: growing would copy, and leave copies behind.
        Self(Vec::with_capacity(384)).field(label.as_bytes())
    }

    /// Adds a field of any length.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a number as a field of 8 big-endian bytes.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.field(&value.to_be_bytes())
    }

    /// Adds a number as a field of 4 big-endian bytes.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.field(&value.to_be_bytes())
    }

    /// Adds a field that may be absent, so that absent and empty differ.
    #[must_use]
    pub fn optional(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            None => self.field(&[0]),
            Some(bytes) => self.field(&[1]).field(bytes),
        }
    }

    /// Adds a list: its count, then every entry.
    #[must_use]
    pub fn list<T: AsRef<[u8]>>(self, entries: &[T]) -> Self {
        entries.iter().fold(self.u64(entries.len() as u64), |t, entry| t.field(entry.as_ref()))
    }

    /// Returns the bytes.
    pub fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// Hashes them.
    pub fn sha256(&self) -> [u8; 32] {
        kdf::sha256(&[&self.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r_wire_6_absent_empty_and_split_fields_give_different_transcripts() {
        let t = || Transcript::new("kith/v1/test");
        let all = [
            t().bytes(),
            t().field(b"").bytes(),
            t().field(b"ab").bytes(),
            t().field(b"a").field(b"b").bytes(),
            t().optional(None).bytes(),
            t().optional(Some(b"")).bytes(),
            t().list::<&[u8]>(&[]).bytes(),
            t().list(&[b"ab"]).bytes(),
            t().list(&[b"a", b"b"]).bytes(),
            t().u64(1).bytes(),
            t().u32(1).bytes(),
            Transcript::new("kith/v1/tesu").bytes(),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    proptest! {
        #[test]
        fn r_wire_6_different_fields_give_different_transcripts(
            a in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..5),
            b in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..5),
        ) {
            let of = |fields: &[Vec<u8>]| {
                fields.iter().fold(Transcript::new("kith/v1/test"), |t, f| t.field(f)).bytes()
            };
            prop_assert_eq!(a == b, of(&a) == of(&b));
        }
    }
}
