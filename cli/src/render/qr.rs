//! A QR code for the terminal: black on white in explicit colours, so that it reads on any background.

use kith_node::{Code, UserError};
use qrcode::{Color, EcLevel, QrCode};

/// White modules around the code; the standard asks for four (ISO/IEC 18004 §9.1).
const QUIET: usize = 4;

/// Draws a code with two modules a character.
///
/// # Errors
/// `failed` if the text is too long for a code.
pub(crate) fn qr(text: &str) -> Result<String, UserError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| {
        UserError::new(Code::Failed, "the link is too long for a QR code").hint("kith me shows it as text")
    })?;
    let width = code.width();
    let dark = |x: usize, y: usize| {
        let inside = (QUIET..QUIET + width).contains(&x) && (QUIET..QUIET + width).contains(&y);
        inside && code[(x - QUIET, y - QUIET)] == Color::Dark
    };
    let side = width + 2 * QUIET;
    let mut out = String::new();
    for y in (0..side).step_by(2) {
        // Black ink on a white ground: the upper half block paints the upper module, the ground the lower one.
        out.push_str("\u{1b}[30;107m");
        for x in 0..side {
            out.push(match (dark(x, y), dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str("\u{1b}[0m\n");
    }
    Ok(out.trim_end_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_sets_its_colours_and_has_the_quiet_zone() {
        let picture = qr("kith:kith1abc?a=x").unwrap();
        let lines: Vec<&str> = picture.lines().collect();
        for line in &lines {
            assert!(line.starts_with("\u{1b}[30;107m    ") && line.ends_with("    \u{1b}[0m"), "{line:?}");
        }
        assert!(lines[0].trim_start_matches("\u{1b}[30;107m").trim_end_matches("\u{1b}[0m").trim().is_empty());
        let cells = |line: &str| line.replace("\u{1b}[30;107m", "").replace("\u{1b}[0m", "").chars().count();
        assert!(lines.iter().all(|l| cells(l) == cells(lines[0])));
    }

    #[test]
    fn the_drawn_modules_are_those_of_the_code() {
        let text = "kith:kith1abc";
        let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
        let rows: Vec<Vec<char>> = qr(text)
            .unwrap()
            .lines()
            .map(|l| l.replace("\u{1b}[30;107m", "").replace("\u{1b}[0m", "").chars().collect())
            .collect();
        for y in 0..code.width() {
            for x in 0..code.width() {
                let cell = rows[(y + QUIET) / 2][x + QUIET];
                let drawn = if (y + QUIET).is_multiple_of(2) { "█▀" } else { "█▄" }.contains(cell);
                assert_eq!(drawn, code[(x, y)] == Color::Dark, "{x},{y}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert_eq!(qr(&"x".repeat(4000)).unwrap_err().code, Code::Failed);
    }
}
