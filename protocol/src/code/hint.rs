//! Address hints as text: the percent-encoding of a link's query and what an address must look like to be tried. Must not
//! know libp2p: whether an address can be dialled is found out by dialling.

use crate::limits::ADDRESS_MAX;
use std::fmt::Write;

/// Says whether the text has the shape of a multiaddr: `/protocol/value…`, printable ASCII, no empty part.
pub(crate) fn is_plausible(text: &str) -> bool {
    let Some(parts) = text.strip_prefix('/') else { return false };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | ':' | '-' | '_' | '~' | '%');
    text.len() <= ADDRESS_MAX
        && text.chars().all(allowed)
        && parts.split('/').all(|part| !part.is_empty())
        && parts.split('/').count() >= 2
        && parts.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Escapes what would end a query's value.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b':' | b'-' | b'_' | b'~' => out.push(byte as char),
            other => {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

/// Undoes [`encode`]; `None` for a broken escape or bytes that are no text.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = (bytes.next()? as char).to_digit(16)?;
            let low = (bytes.next()? as char).to_digit(16)?;
            out.push((high * 16 + low) as u8);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}
