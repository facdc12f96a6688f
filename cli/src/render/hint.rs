//! Makes commands in hints mean the profile they are about: hints name `kith VERB`, and a user of several profiles types
//! `kith --home DIR VERB`. Must not guess: only the word `kith` in front of a verb is a command.

use std::sync::LazyLock;

/// The verbs, read once.
static VERBS: LazyLock<Vec<String>> = LazyLock::new(crate::args::verbs);

/// Writes `kith`, where it stands before a verb, as it is typed for this profile.
pub(crate) fn localized(text: &str, kith: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("kith ") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let after = from.trim_start_matches("kith ");
        let word: &str = after.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
        let starts = out.chars().next_back().is_none_or(|c| c.is_whitespace() || "`('\"".contains(c));
        out.push_str(if starts && VERBS.iter().any(|verb| verb == word) { kith } else { "kith" });
        out.push(' ');
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_are_named_with_their_profile() {
        let here = |text: &str| localized(text, "kith --home /x");
        assert_eq!(here("kith run"), "kith --home /x run");
        assert_eq!(
            here("kith contact list, or kith contact add CODE"),
            "kith --home /x contact list, or kith --home /x contact add CODE"
        );
        assert_eq!(
            here("type `kith stop`; KITH_LOG=info kith run"),
            "type `kith --home /x stop`; KITH_LOG=info kith --home /x run"
        );
        for other in [
            "kith --home /y run",
            "kith --help",
            "run kith as the user who runs the daemon",
            "a bug in kith: report it",
            "@kith run",
            "chmod 700 /kith run",
            "kith",
            "kith ",
        ] {
            assert_eq!(here(other), other);
        }
    }
}
