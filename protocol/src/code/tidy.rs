//! Takes away what pasting adds around and inside a code. Must not know what a code means.

/// Says whether the character shows nothing: zero-width, direction marks, joiners, soft hyphen, byte order mark, variation
/// selectors, control characters.
pub const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}'
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Says whether the character is a hyphen or a dash of any length.
pub const fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}')
}

/// Returns the text without white space and invisible characters, in plain forms of the letters (full-width forms become
/// ASCII), and without the quotes, brackets and punctuation around it. Hyphens inside stay: an address may hold them.
pub(super) fn strip(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !c.is_whitespace() && !is_invisible(*c)).map(narrow).collect();
    visible.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).trim_end_matches(is_trailing).to_owned()
}

/// Turns full-width forms into the ASCII they stand for.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32((c as u32).wrapping_sub(0xff01).wrapping_add(0x21)).unwrap_or(c),
        other => other,
    }
}

/// Says whether the character can end a sentence or a quotation but no code and no address.
fn is_trailing(c: char) -> bool {
    !c.is_ascii_alphanumeric() && !matches!(c, '%' | '/' | '=')
}
