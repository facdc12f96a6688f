//! Padding to few lengths, so that a ciphertext's size says little about its content: a length (4 bytes, big-endian), the
//! content, zeros. Has one form. Must not know which lengths those are.

use zeroize::Zeroizing;

/// Bytes of the length in front.
pub(crate) const PREFIX: usize = 4;

/// Pads to the length that `bucket` gives for a content with its prefix; nothing if it gives none or a shorter one.
pub(crate) fn pad(content: &[u8], bucket: impl Fn(usize) -> Option<usize>) -> Option<Zeroizing<Vec<u8>>> {
    pad_with(content.len(), bucket, |padded| padded.extend_from_slice(content))
}

/// Pads what is written in place, so that there is one copy of it to be wiped.
pub(crate) fn pad_with(
    length: usize,
    bucket: impl Fn(usize) -> Option<usize>,
    write: impl FnOnce(&mut Vec<u8>),
) -> Option<Zeroizing<Vec<u8>>> {
    let needed = length.checked_add(PREFIX)?;
    let bucket = bucket(needed).filter(|bucket| *bucket >= needed)?;
    let mut padded = Zeroizing::new(Vec::with_capacity(bucket));
    padded.extend_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
    write(&mut padded);
    debug_assert_eq!(padded.len(), needed, "so much was announced");
    padded.resize(bucket, 0);
    Some(padded)
}

/// Undoes [`pad`]; nothing if these bytes are not exactly what it makes.
pub(crate) fn unpad(padded: &[u8], bucket: impl Fn(usize) -> Option<usize>) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<PREFIX>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (content, zeros) = rest.split_at_checked(length)?;
    let bucket = bucket(length.checked_add(PREFIX)?)?;
    (padded.len() == bucket && zeros.iter().all(|b| *b == 0)).then_some(content)
}
