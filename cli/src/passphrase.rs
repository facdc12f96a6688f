//! Where the passphrase comes from: a file, stdin, or a prompt; never the command line.

use crate::context::quoted;
use crate::input;
use crate::render::Output;
use clap::Args;
use kith_node::{Code, UserError};
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
    #[arg(long, value_name = "F", env = "KITH_PASSPHRASE_FILE", hide_env = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// Reads the passphrase, or asks for it; twice where a typing error would lock the owner out.
    ///
    /// # Errors
    /// `input_needed` without file and terminal; `usage` for an empty or too long one, `io`.
    pub(crate) fn read(&self, out: Output, twice: bool) -> Result<Zeroizing<String>, UserError> {
        if let Some(path) = &self.passphrase_file {
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
        let first = prompt(out, "Passphrase: ")?;
        if twice && *prompt(out, "Again: ")? != *first {
            return Err(UserError::new(Code::Usage, "the two passphrases differ"));
        }
        check(first)
    }
}

/// Asks without showing what is typed.
pub(crate) fn prompt(out: Output, question: &str) -> Result<Zeroizing<String>, UserError> {
    out.ask(question);
    let typed = rpassword::read_password();
    typed.map(Zeroizing::new).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted => UserError::new(Code::Interrupted, "no answer"),
        _ => UserError::new(Code::Io, format!("could not read the passphrase: {e}")),
    })
}

/// Reads the first line of a source.
fn line_of(from: impl Read, cannot: impl Fn(io::Error) -> UserError) -> Result<Zeroizing<String>, UserError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_MAX + 2));
    from.take(PASSPHRASE_MAX as u64 + 2).read_to_end(&mut bytes).map_err(cannot)?;
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line)
        .map_err(|_| UserError::new(Code::InvalidUtf8, "the passphrase is not valid UTF-8"))?;
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

    #[test]
    fn a_missing_file_is_named() {
        let args = PassphraseArgs { passphrase_file: Some("/nowhere/pass".into()) };
        let error = args.read(Output::new(false), false).unwrap_err();
        assert_eq!(error.code, Code::Io);
        assert!(error.message.contains("/nowhere/pass"));
    }
}
