//! Padding to few lengths, so that an envelope's size says little about its content.

use crate::{
    limits::{ENVELOPE_BUCKET_MAX, ENVELOPE_BUCKET_MIN},
    wire::padding::{self, PREFIX},
};
use zeroize::Zeroizing;

/// Longest content that fits the largest bucket, in bytes.
pub(crate) const CONTENT_MAX: usize = ENVELOPE_BUCKET_MAX - PREFIX;

/// Puts a 4-byte big-endian length in front and zeros behind, up to the next bucket (256 B doubled up to 64 KiB);
/// nothing if it fits none.
pub(crate) fn pad(content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    padding::pad(content, bucket)
}

/// Encodes a message and pads it as [`pad`] does.
pub(crate) fn pad_message(message: &impl prost::Message) -> Option<Zeroizing<Vec<u8>>> {
    padding::pad_with(message.encoded_len(), bucket, |padded| message.encode_raw(padded))
}

/// Undoes [`pad`]; nothing if these bytes are not exactly what it makes.
pub(crate) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    padding::unpad(padded, bucket)
}

/// Says whether [`pad`] gives this length.
pub(crate) fn is_bucket(length: usize) -> bool {
    bucket(length) == Some(length)
}

fn bucket(length: usize) -> Option<usize> {
    length.max(ENVELOPE_BUCKET_MIN).checked_next_power_of_two().filter(|bucket| *bucket <= ENVELOPE_BUCKET_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_env_3_every_length_lands_in_a_bucket_and_comes_back() {
        for length in [0, 1, 251, 252, 253, 508, 509, 5000, 32_764, 32_765, CONTENT_MAX] {
            let content = vec![7; length];
            let padded = pad(&content).unwrap();
            assert!(padded.len().is_power_of_two() && (256..=65_536).contains(&padded.len()));
            assert!(length <= 252 || padded.len() < 2 * (length + PREFIX), "{length} wastes more than half");
            assert_eq!(unpad(&padded), Some(content.as_slice()));
        }
        assert_eq!(pad(&vec![0; CONTENT_MAX + 1]), None);
    }

    #[test]
    fn r_env_3_other_spellings_of_padding_are_refused() {
        let padded = pad(b"hi").unwrap();
        let mut dirty = padded.to_vec();
        dirty[255] = 1;
        assert_eq!(unpad(&dirty), None);
        let mut long = padded.to_vec();
        long[..4].copy_from_slice(&253u32.to_be_bytes());
        assert_eq!(unpad(&long), None);
        long[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(unpad(&long), None);
        let larger = [padded.as_slice(), &[0; 256]].concat();
        assert_eq!(unpad(&larger), None);
        for cut in 0..padded.len() {
            assert_eq!(unpad(&padded[..cut]), None);
        }
    }
}
