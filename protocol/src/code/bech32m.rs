//! Bytes of a code as bech32m text, and what is wrong with a text that is none. Must not know what the bytes behind the
//! first one mean, nor hints.

use super::{
    Error,
    tidy::{self, is_dash},
};
use bech32::{Bech32m, ByteIterExt, Fe32, Fe32IterExt, Hrp, primitives::decode::CheckedHrpstring};
use std::fmt;

/// What every code begins with, in front of the separator `1`.
const PREFIX: &str = "kith";
/// The version this program writes, in the high half of the first byte.
const VERSION: u8 = 1;
/// Characters around the data: prefix, separator, checksum.
const FRAME: usize = PREFIX.len() + 1 + 6;
/// Bytes of a contact code: version and kind, account, reach secret.
const CONTACT_BYTES: usize = 1 + 32 + 16;
/// Bytes of an invite code: version and kind, secret, commitment.
const INVITE_BYTES: usize = 1 + 16 + 16;

/// How many characters stand for so many bytes.
pub(crate) const fn characters(bytes: usize) -> usize {
    FRAME + (bytes * 8).div_ceil(5)
}

/// What a code is for, in the low half of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// Names a person to write to.
    Contact,
    /// Lets somebody into a channel.
    Invite,
    /// Describes a relay.
    RelayCard,
    /// Links a new device to an account.
    DeviceLink,
}

impl CodeKind {
    const fn number(self) -> u8 {
        match self {
            Self::Contact => 1,
            Self::Invite => 2,
            Self::RelayCard => 3,
            Self::DeviceLink => 4,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Contact),
            2 => Some(Self::Invite),
            3 => Some(Self::RelayCard),
            4 => Some(Self::DeviceLink),
            _ => None,
        }
    }

    /// How many characters a code of this kind has, where that is settled.
    const fn characters(self) -> Option<usize> {
        match self {
            // A relay card is as long: relay, token.
            Self::Contact | Self::RelayCard => Some(characters(CONTACT_BYTES)),
            Self::Invite => Some(characters(INVITE_BYTES)),
            Self::DeviceLink => None,
        }
    }

    /// Says whether a code of this kind has so many characters.
    fn has(self, characters: usize) -> bool {
        self.characters() == Some(characters)
    }
}

/// Writes the kind with its article, as it stands in a sentence.
impl fmt::Display for CodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contact => "a contact code",
            Self::Invite => "a channel invite",
            Self::RelayCard => "a relay card",
            Self::DeviceLink => "a device link",
        })
    }
}

/// Writes a code of any kind.
pub(crate) fn encode(kind: CodeKind, body: impl Iterator<Item = u8>, f: &mut impl fmt::Write) -> fmt::Result {
    let hrp = Hrp::parse(PREFIX).map_err(|_| fmt::Error)?;
    let bytes = std::iter::once(VERSION << 4 | kind.number()).chain(body);
    bytes.bytes_to_fes().with_checksum::<Bech32m>(&hrp).chars().try_for_each(|c| f.write_char(c))
}

/// Says what kind a pasted code or link is of, its checksum checked: where people may paste any, this comes first, and the
/// parser of that kind reads the same text again.
pub fn kind_of(text: &str) -> Result<CodeKind, Error> {
    let bare = tidy::strip(text);
    let code = bare.split_once('?').map_or(bare.as_str(), |(code, _)| code);
    read(code, None).map(|(kind, _)| kind)
}

/// Reads a code of one kind: what follows its first byte.
pub(crate) fn decode(text: &str, want: CodeKind) -> Result<Vec<u8>, Error> {
    match read(text, Some(want))? {
        (have, body) if have == want => Ok(body),
        (have, _) => Err(Error::WrongKind { have, want }),
    }
}

/// Reads a code of any kind: its kind and what follows the first byte. What kind is hoped for only helps to say what is
/// wrong.
fn read(text: &str, want: Option<CodeKind>) -> Result<(CodeKind, Vec<u8>), Error> {
    let text = canonical(text);
    let checked = match CheckedHrpstring::new::<Bech32m>(&text) {
        Ok(checked) if checked.hrp().as_str() == PREFIX => checked,
        Ok(_) => return Err(Error::NotACode),
        Err(_) => return Err(diagnose(&text, want)),
    };
    // The last character may hold bits that belong to no byte; set, they would be a second spelling of the same code.
    let data: Vec<u8> = checked.byte_iter().collect();
    let whole: String = data.iter().copied().bytes_to_fes().map(Fe32::to_char).collect();
    let (first, body) = data.split_first().ok_or(Error::NotACode)?;
    if first >> 4 != VERSION {
        return Err(Error::UnknownVersion(first >> 4));
    }
    let kind = CodeKind::from_number(first & 0x0f).ok_or(Error::UnknownVersion(VERSION))?;
    if kind.characters().is_some_and(|want| want != text.len()) || !whole.bytes().eq(checked.fe32_iter().map(fe_byte)) {
        return Err(Error::NoAccount);
    }
    Ok((kind, body.to_vec()))
}

fn fe_byte(fe: Fe32) -> u8 {
    fe.to_char() as u8
}

/// Returns the code alone: lower case, without grouping and without a scheme in front.
fn canonical(text: &str) -> String {
    let visible = tidy::strip(text).to_ascii_lowercase();
    let code: String = visible.chars().filter(|c| !is_dash(*c) && !is_grouping(*c)).collect();
    // `kith:kith1…`: the colon went with the grouping.
    match code.strip_prefix(PREFIX) {
        Some(rest) if rest.starts_with(PREFIX) => rest.to_owned(),
        _ => code,
    }
}

/// Says whether the character is one that people and programs group or quote with; any other foreign one stays, and makes
/// the code a wrong one.
fn is_grouping(c: char) -> bool {
    c.is_ascii_punctuation()
        || matches!(c, '\u{b7}' | '\u{2018}'..='\u{201f}' | '\u{2022}' | '\u{2026}' | '\u{ab}' | '\u{bb}')
}

/// Finds out why a text is no code: the checksum is wrong, so everything here is a guess for a helpful sentence. A text as
/// long as the code that was asked for has a typo, whatever kind its mistaken characters claim.
fn diagnose(text: &str, want: Option<CodeKind>) -> Error {
    let wrong = text.chars().zip("kith1".chars()).filter(|(a, b)| a != b).count();
    let whole = match want {
        Some(want) => want.has(text.len()),
        None => [CodeKind::Contact, CodeKind::Invite].iter().any(|kind| kind.has(text.len())),
    };
    if text.len() < 5 || wrong > 2 || (wrong > 0 && !whole) {
        return Error::NotACode;
    }
    if want.is_some() && whole {
        return Error::Typo;
    }
    let claimed = claimed_kind(text).or(want).and_then(CodeKind::characters);
    let want = claimed.unwrap_or(characters(CONTACT_BYTES));
    if text.len() >= want { Error::Typo } else { Error::Truncated { have: text.len(), want } }
}

/// Reads the kind out of the first two characters, whose checksum is known to be wrong.
fn claimed_kind(text: &str) -> Option<CodeKind> {
    let mut characters = text.chars().skip(5).map(|c| Fe32::from_char(c).map(Fe32::to_u8));
    let (high, low) = (characters.next()?.ok()?, characters.next()?.ok()?);
    let byte = (u16::from(high) << 3 | u16::from(low) >> 2) as u8;
    if byte >> 4 == VERSION { CodeKind::from_number(byte & 0x0f) } else { None }
}

/// Writes a code whose parser is elsewhere, or one that no honest program writes, for tests.
#[cfg(test)]
pub(crate) fn of_kind(first_byte: u8, body: &[u8]) -> String {
    with_spare_bits(first_byte, body, 0)
}

/// Writes a code with the bits behind the last byte set as given, under a right checksum.
#[cfg(test)]
pub(crate) fn with_spare_bits(first_byte: u8, body: &[u8], spare: u8) -> String {
    let hrp = Hrp::parse(PREFIX).unwrap();
    let mut fes: Vec<Fe32> = std::iter::once(first_byte).chain(body.iter().copied()).bytes_to_fes().collect();
    let last = fes.pop().unwrap();
    fes.push(Fe32::try_from(last.to_u8() | spare).unwrap());
    fes.into_iter().with_checksum::<Bech32m>(&hrp).chars().collect()
}
