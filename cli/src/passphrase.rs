//! Where the passphrase comes from: a file, stdin, or a prompt; never the command line.

use crate::context::quoted;
use crate::input;
use crate::render::Output;
use clap::Args;
use kith_node::{Code, UserError};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Longest passphrase in bytes.
const PASSPHRASE_MAX: usize = 1024;

/// Where the passphrase comes from.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase from a file, or from stdin with - [env: KITH_PASSPHRASE_FILE]
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// Names the file that is meant: by argument, else by the environment.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let set = || std::env::var_os("KITH_PASSPHRASE_FILE").filter(|file| !file.is_empty()).map(PathBuf::from);
        self.passphrase_file.clone().or_else(set)
    }

    /// Reads the passphrase, or asks for it; twice where a typing error would lock the owner out.
    ///
    /// # Errors
    /// `input_needed` without file and terminal; `usage` for an empty or too long one, `io`.
    pub(crate) async fn read(&self, out: Output, twice: bool) -> Result<Zeroizing<String>, UserError> {
        if let Some(path) = &self.file() {
            let cannot = |e: io::Error| {
                let place = if path.as_os_str() == "-" { "stdin".to_owned() } else { path.display().to_string() };
                UserError::new(Code::Io, format!("could not read the passphrase from {place}: {e}"))
            };
            return if path.as_os_str() == "-" {
                line_of(io::stdin().lock(), cannot)
            } else {
                let file = std::fs::File::open(path).map_err(cannot)?;
                if file.metadata().is_ok_and(|meta| meta.is_file() && meta.mode() & 0o077 != 0) {
                    out.note(&format!("warning: others can read {p}: chmod 600 {p}", p = quoted(path)));
                }
                line_of(file, cannot)
            };
        }
        if !input::can_ask() {
            return Err(input::needed("the profile has a passphrase", "--passphrase-file F, or KITH_PASSPHRASE_FILE"));
        }
        let first = prompt(out, "Passphrase: ").await?;
        if twice && *prompt(out, "Again: ").await? != *first {
            return Err(UserError::new(Code::Usage, "the two passphrases differ"));
        }
        check(first)
    }
}

/// Asks without showing what is typed.
///
/// The terminal shows again what is typed when this returns, fails, or is dropped because the user interrupted it.
pub(crate) async fn prompt(out: Output, question: &str) -> Result<Zeroizing<String>, UserError> {
    let cannot = |e: io::Error| UserError::new(Code::Io, format!("could not read the passphrase: {e}"));
    let _quiet = Quiet::begin().map_err(cannot)?;
    out.ask(question);
    let typed = tokio::task::spawn_blocking(read_line).await;
    let typed = typed.map_err(|_| UserError::internal("reading the passphrase died"))?.map_err(cannot)?;
    if typed.is_empty() {
        return Err(UserError::new(Code::Interrupted, "no answer"));
    }
    let line = typed.strip_suffix(b"\n").unwrap_or(&typed);
    let text = std::str::from_utf8(line).map_err(|_| not_text())?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Reads a line from the terminal without a buffer that would keep it; nothing at its end.
fn read_line() -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(PASSPHRASE_MAX + 2));
    let mut byte = [0];
    while line.last() != Some(&b'\n') && line.len() < PASSPHRASE_MAX + 2 {
        match rustix::io::read(io::stdin(), &mut byte) {
            Ok(0) => break,
            Ok(_) => line.extend_from_slice(&byte),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(line)
}

/// A terminal that does not show what is typed, until this goes away.
struct Quiet {
    before: Termios,
}

impl Quiet {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self { before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing any more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn not_text() -> UserError {
    UserError::new(Code::InvalidUtf8, "the passphrase is not valid UTF-8").hint("type it on a UTF-8 terminal")
}

/// Reads the first line of a source.
fn line_of(from: impl Read, cannot: impl Fn(io::Error) -> UserError) -> Result<Zeroizing<String>, UserError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_MAX + 2));
    from.take(PASSPHRASE_MAX as u64 + 2).read_to_end(&mut bytes).map_err(cannot)?;
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| not_text())?;
    check(Zeroizing::new(text.to_owned()))
}

/// Refuses what cannot be a passphrase.
fn check(passphrase: Zeroizing<String>) -> Result<Zeroizing<String>, UserError> {
    if passphrase.is_empty() {
        return Err(UserError::new(Code::Usage, "the passphrase is empty")
            .hint("--no-passphrase makes a profile that opens without one"));
    }
    if passphrase.len() > PASSPHRASE_MAX {
        return Err(UserError::new(Code::Usage, format!("the passphrase has more than {PASSPHRASE_MAX} bytes")));
    }
    Ok(passphrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, Code> {
        let cannot = |e: io::Error| UserError::new(Code::Io, e.to_string());
        line_of(bytes, cannot).map(|p| p.to_string()).map_err(|e| e.code)
    }

    #[test]
    fn a_file_gives_its_first_line() {
        assert_eq!(read(b"correct horse\n"), Ok("correct horse".into()));
        assert_eq!(read(b" spaces stay \r\nmore"), Ok(" spaces stay ".into()));
        assert_eq!(read("пароль".as_bytes()), Ok("пароль".into()));
        assert_eq!(read(b""), Err(Code::Usage));
        assert_eq!(read(b"\nsecond"), Err(Code::Usage));
        assert_eq!(read(b"\xff"), Err(Code::InvalidUtf8));
        assert_eq!(read(&[b'x'; PASSPHRASE_MAX + 1]), Err(Code::Usage));
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let args = PassphraseArgs { passphrase_file: Some("/nowhere/pass".into()) };
        let error = args.read(Output::new(false), false).await.unwrap_err();
        assert_eq!(error.code, Code::Io);
        assert!(error.message.contains("/nowhere/pass"));
    }
}
