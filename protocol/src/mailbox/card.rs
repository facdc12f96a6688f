//! The card that a relay's operator hands out: which relay, perhaps a token that admits, and where it listens.
//! Must not know what a relay does.

use crate::{
    RelayId,
    code::{self, CodeKind, Error, link_hints, read_link, write_link},
    crypto::sign::VerifyingKey,
};
use std::{fmt, str::FromStr};

/// A relay's code, and up to three hints where it listens: 90 characters, or a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayCard {
    /// Which relay: the key that signs its custody receipts.
    pub relay: RelayId,
    /// What admits to a relay for members only.
    pub token: Option<[u8; 16]>,
    /// Where it listens, with its transport name: untrusted, only dialled.
    pub hints: Vec<String>,
}

impl RelayCard {
    /// Joins a relay, a token and addresses; what is no address or too many is left out.
    pub fn new(relay: RelayId, token: Option<[u8; 16]>, addresses: impl IntoIterator<Item = String>) -> Self {
        Self { relay, token, hints: link_hints(addresses) }
    }

    /// Reads a card as people paste codes (R-ID-7).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let ((relay, token), hints) = read_link(text, parse_code)?;
        Ok(Self { relay, token, hints })
    }

    /// The code without hints.
    pub fn code(&self) -> String {
        Code(self).to_string()
    }
}

fn parse_code(text: &str) -> Result<(RelayId, Option<[u8; 16]>), Error> {
    let bytes = code::decode(text, CodeKind::RelayCard)?;
    let (relay, token) = bytes.split_first_chunk::<32>().ok_or(Error::NoAccount)?;
    let token = <[u8; 16]>::try_from(token).map_err(|_| Error::NoAccount)?;
    VerifyingKey::parse(relay).map_err(|_| Error::NoAccount)?;
    Ok((RelayId::from_bytes(*relay), Some(token).filter(|token| *token != [0; 16])))
}

struct Code<'a>(&'a RelayCard);

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.0.relay.as_bytes().iter().copied().chain(self.0.token.unwrap_or_default());
        code::encode(CodeKind::RelayCard, body, f)
    }
}

/// Writes `kith:CODE?a=ADDRESS`.
impl fmt::Display for RelayCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_link(&Code(self), &self.hints, f)
    }
}

impl FromStr for RelayCard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}
