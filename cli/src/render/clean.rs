//! Takes out of text what strangers could use against a terminal or its reader: escapes, controls, bidi, invisible
//! characters, towers of combining marks.

/// Most combining marks on one character; real writing systems stay below.
const MARKS_MAX: usize = 4;

/// Longest text on one line in characters.
const LINE_MAX: usize = 200;

/// Cleans text that may have several lines; tabs become spaces.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.replace("\r\n", "\n").chars() {
        if is_mark(c) {
            marks += 1;
            if marks > MARKS_MAX {
                continue;
            }
        } else {
            marks = 0;
        }
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\u{2028}' | '\u{2029}' => out.push('\n'),
            // Control characters show as their pictures, so that nothing vanishes unseen.
            '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}' => out.push('\u{fffd}'),
            c if is_invisible(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Cleans text for one line: newlines become spaces, too long is cut.
pub(crate) fn clean_line(text: &str) -> String {
    let line: String = clean(text).chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
    if line.chars().count() <= LINE_MAX {
        return line;
    }
    line.chars().take(LINE_MAX - 1).chain(['…']).collect()
}

/// Tells whether a character changes how others are shown without showing itself. The joiners U+200C and U+200D stay:
/// Persian and emoji need them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Tells whether a character sits on the one before it.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Escapes in JSON what JSON itself lets through and a terminal would obey. The text stays the same JSON: outside
/// strings there is nothing but ASCII.
pub(crate) fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        let hidden = matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}') || is_invisible(c);
        if hidden {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What strangers send, and what may be shown.
    const CORPUS: &[(&str, &str)] = &[
        ("plain", "plain"),
        ("\u{1b}[2J\u{1b}]0;title\u{7}", "␛[2J␛]0;title␇"),
        ("\u{9b}31mred\u{9d}52;c;aGk=\u{9c}", "\u{fffd}31mred\u{fffd}52;c;aGk=\u{fffd}"),
        ("a\rb", "a␍b"),
        ("a\r\nb", "a\nb"),
        ("back\u{8}\u{8}\u{7f}", "back␈␈␡"),
        ("user\u{202e}txt.exe", "usertxt.exe"),
        ("\u{2066}iso\u{2069}\u{200e}\u{200f}\u{61c}", "iso"),
        ("zero\u{200b}width\u{feff}\u{2060}", "zerowidth"),
        ("tags\u{e0041}\u{e007f}", "tags"),
        ("nul\0", "nul␀"),
        ("line\u{2028}sep\u{2029}par", "line\nsep\npar"),
        ("tab\tbed", "tab    bed"),
        ("filler\u{3164}\u{115f}", "filler"),
        ("z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}a\u{300}", "z\u{300}\u{301}\u{302}\u{303}a\u{300}"),
        ("مرحبا שלום 你好", "مرحبا שלום 你好"),
        ("👩\u{200d}👩\u{200d}👧 نامه\u{200c}ای", "👩\u{200d}👩\u{200d}👧 نامه\u{200c}ای"),
        ("", ""),
    ];

    #[test]
    fn what_strangers_send_cannot_command_a_terminal() {
        for (sent, shown) in CORPUS {
            assert_eq!(clean(sent), *shown, "{sent:?}");
            assert!(!clean(sent).chars().any(|c| c.is_control() && c != '\n'));
        }
    }

    #[test]
    fn cleaning_twice_changes_nothing_more() {
        for (sent, _) in CORPUS {
            assert_eq!(clean(&clean(sent)), clean(sent), "{sent:?}");
        }
    }

    #[test]
    fn a_line_stays_a_line_and_ends() {
        assert_eq!(clean_line("a\nb\u{2028}c"), "a b c");
        assert_eq!(clean_line(&"x".repeat(5000)).chars().count(), LINE_MAX);
    }

    #[test]
    fn json_carries_everything_escaped() {
        for (sent, _) in CORPUS {
            let json = escape_json(&serde_json::to_string(sent).unwrap());
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), **sent);
            assert!(!json.chars().any(|c| c.is_control() || is_invisible(c)), "{json:?}");
        }
    }
}
