//! Names of channels and roles: one line that looks like what it is. Must not know what they name.

use crate::limits::NAME_MAX;
use std::fmt;

/// The text cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// There is nothing to see.
    #[error("a name needs at least one visible character")]
    Empty,
    /// Longer than a line.
    #[error("a name has at most {NAME_MAX} bytes")]
    TooLong,
    /// Spaces at an end, or two in a row.
    #[error("a name has no spaces at its ends, and single ones inside")]
    Spaces,
    /// Control, invisible or direction-changing characters.
    #[error("a name has no control or invisible characters")]
    Invisible,
}

/// A name of a channel: 1 to 64 bytes of UTF-8 without control, invisible or direction-changing characters, with single
/// spaces inside alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Accepts a text that can be a name.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if text.len() > NAME_MAX {
            return Err(BadName::TooLong);
        }
        if text.chars().any(is_unseen) {
            return Err(BadName::Invisible);
        }
        if text.trim().is_empty() {
            return Err(BadName::Empty);
        }
        if text.trim() != text || text.contains("  ") {
            return Err(BadName::Spaces);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Name(..)")
    }
}

/// Tells characters that a line does not show as themselves: controls, line ends, spaces other than U+0020, joiners,
/// direction marks and overrides, fillers, tags and private use (Unicode 16, general categories Cc, Cf, Zl, Zp, Zs, Co and
/// the fillers that render as nothing).
pub(super) const fn is_unseen(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}'
        | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{1680}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
        | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_do_not_look_like_what_they_are_are_refused_each_for_its_reason() {
        for good in ["a", "reading circle", "Straße", "日本", "🎉 party", "مرحبا", &"x".repeat(64)] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", BadName::Empty),
            (" ", BadName::Empty),
            (" a", BadName::Spaces),
            ("a ", BadName::Spaces),
            ("a  b", BadName::Spaces),
            ("a\nb", BadName::Invisible),
            ("a\u{202e}b", BadName::Invisible),
            ("a\u{200b}", BadName::Invisible),
            ("\u{feff}a", BadName::Invisible),
            ("\u{1b}[31m", BadName::Invisible),
            (&"x".repeat(65), BadName::TooLong),
        ] {
            assert_eq!(Name::parse(bad), Err(why), "{bad:?}");
        }
    }
}
