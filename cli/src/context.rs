//! What every command has at hand: where the profile lies, the client, the output.

use crate::args::Global;
use crate::render::Output;
use etcetera::BaseStrategy;
use kith_node::paths::{Paths, Places};
use kith_node::{Client, Code, UserError};
use std::path::{Path, PathBuf};

/// Longest profile name in bytes; it becomes a file name and part of the socket's path.
const PROFILE_MAX: usize = 32;

/// What every command has at hand.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Where the profile lies.
    pub(crate) paths: Paths,
    /// Talks to its daemon.
    pub(crate) client: Client,
    /// Prints.
    pub(crate) out: Output,
    /// What a user types to mean this profile: `kith`, or with `--home` or `--profile`.
    pub(crate) kith: &'static str,
    /// The profile's name; none with `--home`.
    pub(crate) profile: Option<String>,
}

impl Context {
    /// Finds the profile meant.
    ///
    /// # Errors
    /// `usage` for a name that cannot be one, or where there is no home folder.
    pub(crate) fn new(global: &Global, out: Output) -> Result<Self, UserError> {
        let runtime = absolute("XDG_RUNTIME_DIR");
        let (paths, kith, profile) = match &global.home {
            Some(home) => {
                let home = std::path::absolute(home)
                    .map_err(|e| UserError::new(Code::Usage, format!("--home does not name a folder: {e}")))?;
                // Whoever set KITH_HOME need not type it again.
                let set = std::env::var_os("KITH_HOME").is_some_and(|value| Path::new(&value) == home);
                let kith = if set { "kith".to_owned() } else { format!("kith --home {}", quoted(&home)) };
                (Paths::in_home(&home, runtime.as_deref()), kith, None)
            }
            None => {
                let name = profile_name(&global.profile)?;
                let set = std::env::var_os("KITH_PROFILE").is_some_and(|value| value == name);
                let kith = if set || name == "default" { "kith".to_owned() } else { format!("kith --profile {name}") };
                (Paths::of_profile(name, &places(runtime)?), kith, Some(name.to_owned()))
            }
        };
        // One for the whole run of the command, and small.
        let kith = kith.leak();
        Ok(Self { client: Client::new(&paths.socket), paths, out: out.of_profile(kith), kith, profile })
    }

    /// Says what comes first where no daemon answers because there is no profile yet.
    pub(crate) fn without_profile(&self, mut error: UserError) -> UserError {
        let home = &self.paths.home;
        if error.code == Code::DaemonUnreachable && !kith_node::profile::Folder::new(home).store().exists() {
            error.message = format!("there is no profile in {} yet, and no daemon", home.display());
            error.hint = "kith init, then kith run".to_owned();
        }
        error
    }

    /// Makes the commands in a text mean this profile.
    pub(crate) fn here(&self, text: &str) -> String {
        self.out.style().here(text)
    }
}

/// Reads the environment that decides where profiles lie.
fn places(runtime: Option<PathBuf>) -> Result<Places, UserError> {
    let base = etcetera::base_strategy::Xdg::new()
        .map_err(|_| UserError::new(Code::Usage, "this user has no home folder").hint("name a folder: --home DIR"))?;
    Ok(Places { data: base.data_dir(), config: base.config_dir(), runtime })
}

/// Reads a folder from the environment; the XDG specification ignores relative ones.
fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute())
}

/// Checks a profile's name.
fn profile_name(name: &str) -> Result<&str, UserError> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain && (1..=PROFILE_MAX).contains(&name.len()) {
        return Ok(name);
    }
    Err(UserError::new(Code::Usage, "a profile's name has 1 to 32 letters, digits, - and _")
        .hint("--profile work, or a folder anywhere: --home DIR"))
}

/// Writes a path so that a shell takes it as one word.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@".contains(&b);
    if text.bytes().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(home: Option<&str>, profile: &str) -> Result<Context, UserError> {
        let global = Global { home: home.map(PathBuf::from), profile: profile.into(), json: false };
        Context::new(&global, Output::new(false))
    }

    #[test]
    fn a_profile_cannot_name_a_path() {
        for bad in ["", "..", "a/b", "a b", "ключ", &"x".repeat(33)] {
            assert_eq!(context(None, bad).unwrap_err().code, Code::Usage, "{bad}");
        }
        assert_eq!(context(Some("/x/y z"), "default").unwrap().kith, "kith --home '/x/y z'");
    }

    #[test]
    fn a_home_decides_everything() {
        let context = context(Some("/x"), "ignored").unwrap();
        assert!(context.paths.config.starts_with("/x") && context.paths.socket.starts_with("/x"));
        assert_eq!(context.profile, None);
    }

    #[test]
    fn hints_name_the_profile_they_are_about() {
        let context = context(Some("/x"), "default").unwrap();
        assert_eq!(context.here("kith run"), "kith --home /x run");
        assert_eq!(context.here("kith --home /x run"), "kith --home /x run");
        assert_eq!(context.here("chmod 700 /x"), "chmod 700 /x");
    }

    #[test]
    fn quoted_paths_are_one_word() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/it's $HOME")), r"'/it'\''s $HOME'");
    }
}
