//! The only place that prints: for people, or as JSON.
//! Must not ask the daemon anything.

mod channel;
pub(crate) mod clean;
mod contact;
mod hint;
pub(crate) mod message;
mod node;
mod qr;
mod relay;
mod time;

pub(crate) use channel::{ChannelDetails, Inspected, JoinReply};
pub(crate) use clean::{clean, clean_line};
pub(crate) use message::state as message_state;
pub(crate) use qr::qr;
pub(crate) use relay::{relay_called, relay_state};
pub(crate) use time::{local, words};

use crate::failure::{Failure, Outcome};
use kith_node::UserError;
use kith_node::api::types::{ErrorBody, Items, Versioned};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// Something that has a form for people beside its JSON.
pub(crate) trait Show: Serialize {
    /// Returns the text for people, without a newline at the end.
    fn human(&self, style: Style) -> String;
}

/// Which decorations the terminal takes, and how commands are named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    color: bool,
    kith: &'static str,
}

impl Style {
    /// Makes the commands in a text mean the profile at hand.
    pub(crate) fn here(self, text: &str) -> String {
        hint::localized(text, self.kith)
    }

    /// Wraps text in an escape sequence, or not.
    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Makes text bold.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Makes text faint.
    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Makes text green.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Makes text yellow.
    pub(crate) fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Makes text red.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// Prints, for people or as JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    style: Style,
}

impl Output {
    /// Makes an output; colours only on a terminal that wants them.
    pub(crate) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { json, style: Style { color: wanted && !json && io::stdout().is_terminal(), kith: "kith" } }
    }

    /// Names commands as they are typed for a profile.
    pub(crate) fn of_profile(mut self, kith: &'static str) -> Self {
        self.style.kith = kith;
        self
    }

    /// Tells whether JSON was asked for.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Returns the decorations for texts made elsewhere.
    pub(crate) fn style(self) -> Style {
        self.style
    }

    /// Prints one object; also one of a stream.
    pub(crate) fn one<T: Show>(self, object: &T) -> Outcome {
        if self.json { self.json(&Versioned::new(object)) } else { write_line(&object.human(self.style)) }
    }

    /// Prints a list; for people `empty` stands for an empty one.
    pub(crate) fn list<T: Show>(self, items: &[T], empty: &str) -> Outcome {
        if self.json {
            return self.json(&Items::new(items.iter().collect()));
        }
        if items.is_empty() {
            return write_line(&self.style.here(empty));
        }
        items.iter().try_for_each(|item| write_line(&item.human(self.style)))
    }

    /// Prints an object that has only a JSON form; nothing for people.
    pub(crate) fn json<T: Serialize>(self, object: &T) -> Outcome {
        let text = serde_json::to_string(object).map_err(|e| UserError::internal(e.to_string()))?;
        write_line(&clean::escape_json(&text))
    }

    /// Prints text for people; nothing as JSON.
    pub(crate) fn say(self, text: &str) -> Outcome {
        if self.json { Ok(()) } else { write_line(text) }
    }

    /// Prints a note beside the data, on stderr; nothing as JSON.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            // Nobody listens on stderr: nothing is lost but the note.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Tells a person at a terminal what is being waited for.
    pub(crate) fn progress(self, text: &str) {
        if io::stderr().is_terminal() {
            self.note(text);
        }
    }

    /// Prints text as it is on stdout, whatever was asked for: completions, help.
    pub(crate) fn raw(self, bytes: &[u8]) -> Outcome {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| broken(&e))
    }

    /// Asks a question on stderr, without a newline.
    pub(crate) fn ask(self, question: &str) {
        let mut err = io::stderr().lock();
        let _ = write!(err, "{question}").and_then(|()| err.flush());
    }

    /// Prints an error on stderr; commands in its hint mean the profile at hand.
    pub(crate) fn error(self, error: &UserError) {
        let error = &UserError { hint: self.style.here(&error.hint), ..error.clone() };
        let text = if self.json {
            clean::escape_json(&serde_json::to_string(&ErrorBody::new(error.clone())).unwrap_or_default())
        } else {
            error_text(error)
        };
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Says an error to a person: what happened, what it could have meant, what to try.
fn error_text(error: &UserError) -> String {
    let mut text = format!("error: {}", clean(&error.message));
    for candidate in &error.candidates {
        text.push_str(&format!("\n  {}", clean_line(candidate)));
    }
    if let Some(ms) = error.retry_after_ms {
        text.push_str(&format!("\n  again in {}", words(ms)));
    }
    if !error.hint.is_empty() {
        text.push_str(&format!("\n  try: {}", clean_line(&error.hint)));
    }
    text
}

/// Writes a line to stdout at once, so that a reader of a stream sees it.
fn write_line(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| broken(&e))
}

/// Says why stdout took nothing.
fn broken(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::ReaderGone;
    }
    let code = if error.kind() == io::ErrorKind::StorageFull { kith_node::Code::DiskFull } else { kith_node::Code::Io };
    UserError::new(code, format!("could not write the output: {error}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_node::Code;

    #[test]
    fn an_error_says_what_happened_what_it_could_mean_and_what_to_try() {
        let error = UserError::new(Code::Ambiguous, "2 contacts fit")
            .candidates(vec!["aaaa @bob".into(), "bbbb @b\u{202e}ob\u{1b}[2J".into()])
            .hint("name one by its id")
            .retry_after(90_000);
        assert_eq!(
            error_text(&error),
            "error: 2 contacts fit\n  aaaa @bob\n  bbbb @bob␛[2J\n  again in 1 min 30 s\n  try: name one by its id"
        );
        assert_eq!(error_text(&UserError::new(Code::Failed, "no")), "error: no");
    }
}
