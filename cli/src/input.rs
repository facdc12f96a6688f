//! What is read from people: stdin, prompts, durations and times on the command line.

use crate::render::Output;
use kith_node::api::types::Time;
use kith_node::clock::Clock;
use kith_node::{Code, UserError};
use std::io::{self, BufRead, IsTerminal, Read};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Longest answer to a prompt in bytes.
const ANSWER_MAX: u64 = 4096;

/// Tells whether questions can be asked and answered here.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Says that an answer is needed and how to give it without a terminal.
pub(crate) fn needed(what: &str, flag: &str) -> UserError {
    UserError::new(Code::InputNeeded, format!("{what}, and there is no terminal to ask on")).hint(flag)
}

/// Asks a question and reads a line; empty if the answer is. Dropped, it leaves a thread that still reads.
pub(crate) async fn ask(out: Output, question: &str) -> Result<String, UserError> {
    out.ask(question);
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = Vec::new();
        io::stdin().lock().take(ANSWER_MAX).read_until(b'\n', &mut answer).map(|_| answer)
    });
    let answer = answer.await.map_err(|_| UserError::internal("reading the answer died"))?;
    let answer = answer.map_err(|e| cannot_read(&e))?;
    if answer.is_empty() {
        return Err(UserError::new(Code::Interrupted, "no answer"));
    }
    let answer =
        String::from_utf8(answer).map_err(|_| UserError::new(Code::InvalidUtf8, "the answer is not valid UTF-8"))?;
    Ok(answer.trim().to_owned())
}

/// Reads text from stdin up to a limit in bytes; one newline at the end is not part of it.
///
/// # Errors
/// `invalid_utf8` with the place, `message_too_long`, `io`.
pub(crate) fn stdin_text(limit: usize) -> Result<String, UserError> {
    text_of(io::stdin().lock(), limit)
}

/// Reads text from anything.
fn text_of(from: impl Read, limit: usize) -> Result<String, UserError> {
    let mut bytes = Vec::new();
    // One for the newline that is not part of it, one to see that there is more.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(2);
    from.take(most).read_to_end(&mut bytes).map_err(|e| cannot_read(&e))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.len() > limit {
        return Err(
            UserError::new(Code::MessageTooLong, format!("stdin has more than {limit} bytes")).hint("send it in parts")
        );
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        UserError::new(Code::InvalidUtf8, format!("stdin is not valid UTF-8 from byte {} on", at + 1))
            .hint("messages are text; convert it first, for example with iconv")
    })
}

/// Says that stdin could not be read.
fn cannot_read(error: &io::Error) -> UserError {
    UserError::new(Code::Io, format!("could not read stdin: {error}"))
}

/// Returns when the user, or the system, asks this command to end (SIGINT, SIGTERM, SIGHUP).
pub(crate) async fn interrupted() -> UserError {
    let error = UserError::new(Code::Interrupted, "interrupted");
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        // Without handlers the signals do what they always do.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => error,
        _ = terminate.recv() => error,
        _ = hang_up.recv() => error,
    }
}

/// Does something that asks questions, unless the user interrupts it: then it is dropped, which sets right what it changed
/// of the terminal.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Result<T, UserError> {
    tokio::select! {
        // Listens for the signal before the first question is asked.
        biased;
        error = interrupted() => Err(error),
        done = work => Ok(done),
    }
}

/// Reads a duration such as `500ms`, `20s`, `5m`, `2h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration such as 500ms, 20s, 5m, 2h or 7d".to_owned();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// Writes a duration as the API takes it.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Reads a size such as `400000`, `64KiB`, `128MiB`, `4G`; units are powers of 1,024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || "a size such as 400000, 64KiB, 128MiB or 4GiB".to_owned();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "T" | "TiB" => 1 << 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// Reads after which time a message disappears.
pub(crate) fn expiry(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    kith_node::api::check_expiry(millis(time)).map(|()| time).map_err(|e| e.message)
}

/// Reads a point in time: RFC 3339, or a duration before now.
pub(crate) fn since(text: &str) -> Result<Time, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let back = duration(text).map_err(|_| "a time like 2026-01-31T08:00:00Z, or how far back: 2h, 7d".to_owned())?;
    Ok(Time(Clock::system().now().minus_millis(millis(back))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        for bad in ["", "s", "20", "-1s", "1.5s", "20 s", "9999999999999999999d", "1w", "٣s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        assert_eq!((size("400000"), size("64KiB")), (Ok(400_000), Ok(65_536)));
        assert_eq!((size("128MiB"), size("2G")), (Ok(128 << 20), Ok(2 << 30)));
        for bad in ["", "KiB", "-1", "1.5G", "1 G", "1kb", "1MB", "99999999999999999999", "99999999T", "٣"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_is_absolute_or_back_from_now() {
        assert_eq!(since("2026-01-31T08:00:00Z").unwrap().to_string(), "2026-01-31T08:00:00.000Z");
        assert!(since("1h").unwrap() < since("1m").unwrap());
        assert!(since("yesterday").is_err());
    }

    #[test]
    fn stdin_is_text_within_the_limit() {
        let code = |bytes: &[u8]| text_of(bytes, 4).unwrap_err().code;
        assert_eq!(text_of(&b"abcd\n"[..], 4).as_deref(), Ok("abcd"));
        assert_eq!(text_of(&b"a\n\n"[..], 4).as_deref(), Ok("a\n"));
        assert_eq!(text_of(&b""[..], 4).as_deref(), Ok(""));
        assert_eq!(code(b"abcde"), Code::MessageTooLong);
        assert_eq!(code(b"abcdefghijk\n"), Code::MessageTooLong);
        assert_eq!(code(b"ab\xff"), Code::InvalidUtf8);
        assert!(text_of(&b"ab\xff"[..], 4).unwrap_err().message.contains("byte 3"));
    }
}
