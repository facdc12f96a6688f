//! The codes people hand each other, of every kind: bech32m text that survives being pasted, and the link around it with up
//! to three address hints. Must not know what a code of one kind holds, nor libp2p; a hint is text that is only dialled.

mod bech32m;
mod hint;
mod tidy;

pub use bech32m::{CodeKind, kind_of};
pub(crate) use bech32m::{characters, decode, encode};
pub(crate) use hint::is_plausible as is_address;
pub use tidy::{is_dash, is_invisible};

#[cfg(test)]
pub(crate) use bech32m::{of_kind, with_spare_bits};

use crate::{
    Fault,
    limits::{LINK_HINTS_MAX, LINK_MAX},
};
use std::fmt;

/// The text is no code or link of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing in it looks like a code of this program.
    #[error("this is not a Kith code: one begins with kith1")]
    NotACode,
    /// The checksum is wrong at full length: a character is mistaken or two changed places.
    #[error("the code has a typo")]
    Typo,
    /// Characters are missing.
    #[error("the code is cut short: {have} of {want} characters")]
    Truncated {
        /// How many characters are there.
        have: usize,
        /// How many a code of this kind has.
        want: usize,
    },
    /// The code is whole and of another kind.
    #[error("this is {have}, not {want}")]
    WrongKind {
        /// What it is.
        have: CodeKind,
        /// What was asked for.
        want: CodeKind,
    },
    /// The code is whole and of a later version, or of a kind this version does not know.
    #[error("the code is of version {0}, which this program does not know yet")]
    UnknownVersion(u8),
    /// The checksum is right and what it protects names nobody.
    #[error("the code is well written and names nobody")]
    NoAccount,
    /// The link has more hints than are taken.
    #[error("a link carries at most {} address hints", LINK_HINTS_MAX)]
    TooManyHints,
    /// A hint is no address.
    #[error("address hint {0} of the link is damaged")]
    BadHint(usize),
}

impl Error {
    /// Says who is to blame: whoever pasted the text.
    pub const fn fault(&self) -> Fault {
        Fault::Local
    }
}

/// Reads a link of any kind: its code, and the hints behind it.
pub(crate) fn read_link<C>(text: &str, code: impl FnOnce(&str) -> Result<C, Error>) -> Result<(C, Vec<String>), Error> {
    if text.len() > LINK_MAX {
        return Err(Error::NotACode);
    }
    let bare = tidy::strip(text);
    let (first, query) = bare.split_once('?').unwrap_or((&bare, ""));
    let code = code(first)?;
    let mut hints = Vec::new();
    for (name, value) in query.split(['&', '#']).filter_map(|part| part.split_once('=')) {
        // Other names are of later versions, and hints are only hints: passed over.
        if !name.eq_ignore_ascii_case("a") {
            continue;
        }
        let place = hints.len().saturating_add(1);
        let hint = hint::decode(value).filter(|h| hint::is_plausible(h)).ok_or(Error::BadHint(place))?;
        if hints.len() >= LINK_HINTS_MAX {
            return Err(Error::TooManyHints);
        }
        hints.push(hint);
    }
    Ok((code, hints))
}

/// Takes the hints that a link can carry.
pub(crate) fn link_hints(addresses: impl IntoIterator<Item = String>) -> Vec<String> {
    addresses.into_iter().filter(|a| hint::is_plausible(a)).take(LINK_HINTS_MAX).collect()
}

/// Writes `kith:CODE?a=ADDRESS&a=ADDRESS`.
pub(crate) fn write_link(code: &impl fmt::Display, hints: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "kith:{code}")?;
    for (i, hint) in hints.iter().enumerate() {
        write!(f, "{}a={}", if i == 0 { '?' } else { '&' }, hint::encode(hint))?;
    }
    Ok(())
}
