//! Where the files of a profile lie. Must not create or read any.

use crate::api::socket::SOCKET_PATH_MAX;
use std::path::{Path, PathBuf};

/// The environment that decides where profiles lie, read once at the rim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// `XDG_DATA_HOME` or `~/.local/share`.
    pub data: PathBuf,
    /// `XDG_CONFIG_HOME` or `~/.config`.
    pub config: PathBuf,
    /// `XDG_RUNTIME_DIR`, where there is one.
    pub runtime: Option<PathBuf>,
}

/// The files of one profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The folder of the store and its keys (0700).
    pub home: PathBuf,
    /// The settings; may be missing.
    pub config: PathBuf,
    /// The daemon's socket (0600).
    pub socket: PathBuf,
}

impl Paths {
    /// Puts everything of a profile into one folder.
    ///
    /// Where the socket's path would be too long for the system it moves to the runtime folder, under a name made of
    /// the home's path.
    pub fn in_home(home: &Path, runtime: Option<&Path>) -> Self {
        let inside = home.join("run").join("kith.sock");
        let socket = match runtime {
            Some(runtime) if inside.as_os_str().len() > SOCKET_PATH_MAX => {
                runtime.join("kith").join(format!("{}.sock", short_name(home)))
            }
            _ => inside,
        };
        Self { home: home.to_owned(), config: home.join("config.toml"), socket }
    }

    /// Follows the XDG folders for a profile by name.
    pub fn of_profile(name: &str, places: &Places) -> Self {
        let home = places.data.join("kith").join(name);
        let socket = match &places.runtime {
            Some(runtime) => runtime.join("kith").join(format!("{name}.sock")),
            None => home.join("run").join("kith.sock"),
        };
        Self { config: places.config.join("kith").join(format!("{name}.toml")), socket, home }
    }
}

/// Returns a short name for a folder: 26 characters of the hash of its path.
pub fn short_name(home: &Path) -> String {
    let hash = kith_protocol::crypto::kdf::sha256(&[home.as_os_str().as_encoded_bytes()]);
    let mut name = kith_protocol::RecordKey::from_bytes(hash).to_string();
    name.truncate(26);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_holds_everything_while_the_socket_fits() {
        let paths = Paths::in_home(Path::new("/tmp/alice"), Some(Path::new("/run/user/1000")));
        assert_eq!(paths.socket, Path::new("/tmp/alice/run/kith.sock"));
        assert_eq!(paths.config, Path::new("/tmp/alice/config.toml"));
    }

    #[test]
    fn a_long_home_gets_a_short_socket_of_its_own() {
        let long = |end: &str| PathBuf::from(format!("/{}/{end}", "x".repeat(120)));
        let runtime = Path::new("/run/user/1000");
        let (a, b) = (Paths::in_home(&long("a"), Some(runtime)), Paths::in_home(&long("b"), Some(runtime)));
        assert!(a.socket.starts_with(runtime) && a.socket.as_os_str().len() <= SOCKET_PATH_MAX);
        assert_ne!(a.socket, b.socket);
        assert_eq!(a, Paths::in_home(&long("a"), Some(runtime)), "client and daemon must agree");
    }

    #[test]
    fn a_profile_follows_xdg() {
        let places = Places { data: "/d".into(), config: "/c".into(), runtime: Some("/r".into()) };
        let paths = Paths::of_profile("work", &places);
        assert_eq!(paths.home, Path::new("/d/kith/work"));
        assert_eq!(paths.config, Path::new("/c/kith/work.toml"));
        assert_eq!(paths.socket, Path::new("/r/kith/work.sock"));
    }
}
