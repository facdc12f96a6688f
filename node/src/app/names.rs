//! Which name a person has here: one we gave, or the first one they called themselves. What they call themselves later is
//! shown beside it and means nobody. Must not know how names are looked up.

use super::{
    App, Scan,
    work::{Halt, Work},
};
use kith_protocol::limits;
use kith_store::table::{Contact, ContactState};

impl App {
    /// Gives a contact that has no name here the one they call themselves now.
    pub(super) fn settle_name(&self, w: &Work<'_>, contact: &mut Contact) -> Result<(), Halt> {
        if contact.state != ContactState::Added || !contact.name.is_empty() || contact.their_name.is_empty() {
            return Ok(());
        }
        let others = w.rows().every::<Contact>()?;
        let others = others.iter().filter(|c| c.account != contact.account && c.state != ContactState::Removed);
        let taken: Vec<String> = others.map(|c| c.name.to_lowercase()).collect();
        contact.name = free_name(&contact.their_name, |name| !taken.contains(&name.to_lowercase()));
        Ok(())
    }
}

/// Makes a name of ours out of one that somebody chose: nothing in it that does not show, and a number if it is taken in
/// any case. Empty if nothing is left of it.
fn free_name(theirs: &str, is_free: impl Fn(&str) -> bool) -> String {
    let visible: String = theirs.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
    let wanted = visible.trim().trim_start_matches(['@', '#']).trim();
    if wanted.is_empty() {
        return String::new();
    }
    let numbered = (2..).map(|n: u32| format!("-{n}"));
    let names = std::iter::once(String::new()).chain(numbered).map(|number| {
        let room = limits::NAME_MAX.saturating_sub(number.len());
        let end = (0..=room.min(wanted.len())).rev().find(|end| wanted.is_char_boundary(*end)).unwrap_or(0);
        format!("{}{number}", wanted.get(..end).unwrap_or_default())
    });
    names.into_iter().find(|name| is_free(name)).unwrap_or_default()
}

/// Tells whether a character takes no room on the screen, so that two names with and without it look the same.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let free = |taken: &'static [&str]| move |name: &str| !taken.contains(&name.to_lowercase().as_str());
        assert_eq!(free_name("Bob", free(&[])), "Bob");
        assert_eq!(free_name("BOB", free(&["bob", "bob-2"])), "BOB-3");
        let long = "é".repeat(limits::NAME_MAX);
        assert_eq!(free_name(&long, free(&[])).len(), limits::NAME_MAX);
        let taken = free_name(&long, free(&[])).to_lowercase();
        let second = free_name(&long, |name| name.to_lowercase() != taken);
        assert!(second.ends_with("-2") && second.len() <= limits::NAME_MAX, "{second}");
    }

    #[test]
    fn what_does_not_show_makes_no_other_name() {
        for theirs in ["b\u{200b}ob", " @bob\n", "\u{202e}bob\u{202c}", "@@bob", "bo\u{fe0f}b"] {
            assert_eq!(free_name(theirs, |name| name != "bob"), "bob-2", "{theirs:?}");
        }
        for nothing in ["", " ", "@", "\u{200b}\u{feff}", "\n"] {
            assert_eq!(free_name(nothing, |_| true), "", "{nothing:?}");
        }
    }
}
