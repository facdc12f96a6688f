//! Tells names that can pass for others: letters of alphabets that look alike, mixed in one word. Must not know what is
//! named; names that others chose are shown as they are.

use super::error::{Code, UserError};

/// Refuses a name whose letters can pass for those of another one.
///
/// # Errors
/// `bad_name`.
pub(super) fn check(name: &str) -> Result<(), UserError> {
    let mixed = name.split(|c: char| !c.is_alphanumeric()).any(|word| {
        let mut scripts = word.chars().filter_map(script);
        scripts.next().is_some_and(|first| scripts.any(|other| other != first))
    });
    let message = if mixed {
        "the name mixes letters of alphabets that look alike in one word"
    } else if name.chars().any(is_styled) {
        "the name has letters that only look like those of a keyboard"
    } else {
        return Ok(());
    };
    Err(UserError::new(Code::BadName, message).hint("choose letters of one alphabet"))
}

/// Alphabets whose letters look like each other's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Cherokee,
    Coptic,
}

/// The alphabet of a letter, if it is one of those (Unicode 16, by blocks).
const fn script(c: char) -> Option<Script> {
    Some(match c {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{250}'..='\u{2af}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{370}'..='\u{3e1}' | '\u{3f0}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Script::Greek,
        '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{2de0}'..='\u{2dff}' | '\u{a640}'..='\u{a69f}' => {
            Script::Cyrillic
        }
        '\u{530}'..='\u{58f}' => Script::Armenian,
        '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => Script::Cherokee,
        '\u{3e2}'..='\u{3ef}' | '\u{2c80}'..='\u{2cff}' => Script::Coptic,
        _ => return None,
    })
}

/// Tells Latin letters in another dress: full width, mathematical, enclosed.
const fn is_styled(c: char) -> bool {
    matches!(c, '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}' | '\u{24b6}'..='\u{24e9}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_alphabet_a_word_pass_and_mixtures_and_dresses_do_not() {
        for good in [
            "general",
            "Straße",
            "общий чат",
            "team общий",
            "日本 club",
            "日本club",
            "café-2",
            "🎉 party",
            "مرحبا",
            "Ελλάδα",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["gener\u{430}l", "\u{430}dmin", "\u{3bf}wner", "m\u{585}derator", "ｏｗｎｅｒ", "𝐨wner", "ⓞwner"]
        {
            let error = check(bad).unwrap_err();
            assert_eq!((error.code, error.hint.is_empty()), (Code::BadName, false), "{bad}");
        }
    }
}
