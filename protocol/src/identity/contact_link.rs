//! The link somebody hands out to be reached: a contact code and up to three address hints. Must not know libp2p; a hint
//! is text that is only dialled and proves nothing.

mod code;

pub use crate::code::{CodeKind, Error, is_dash, is_invisible, kind_of};
pub use code::{ContactCode, ReachSecret};

use crate::code::{link_hints, read_link, write_link};
use std::{fmt, str::FromStr};

/// A contact code with hints where its holder may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactLink {
    /// Whom it names, and the secret that lets one find it.
    pub code: ContactCode,
    /// Up to three addresses, relays first: untrusted, only dialled.
    pub hints: Vec<String>,
}

impl ContactLink {
    /// Joins a code and addresses; what is no address or too many is left out, so that what is shown can be read again.
    pub fn new(code: ContactCode, addresses: impl IntoIterator<Item = String>) -> Self {
        Self { code, hints: link_hints(addresses) }
    }

    /// Reads a code or a link as people paste them: in any case, grouped by spaces or hyphens, inside quotes or brackets,
    /// with invisible characters or line breaks in it, with punctuation behind it (R-ID-7).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (code, hints) = read_link(text, ContactCode::parse)?;
        Ok(Self { code, hints })
    }
}

impl FromStr for ContactLink {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for ContactLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_link(&self.code, &self.hints, f)
    }
}

#[cfg(test)]
mod tests;
