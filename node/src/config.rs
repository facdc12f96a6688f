//! The settings file: every key has a default and bounds, the file may be empty or missing.
//! Must not know what the settings are used for.

mod edit;

pub use edit::{set, unset};

use crate::api::error::{Code, UserError};
use crate::api::types::{ConfigEntry, ConfigView};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::Path;

/// Most addresses in one list.
const ADDRESSES_MAX: usize = 32;

/// Longest address in bytes.
const ADDRESS_MAX: usize = 256;

/// Longest log filter in bytes.
const FILTER_MAX: usize = 512;

/// Largest settings file in bytes.
const FILE_MAX: u64 = 1024 * 1024;

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How this node reaches others.
    pub network: Network,
    /// What contacts are told.
    pub messages: Messages,
    /// What the daemon writes to its log.
    pub log: Log,
}

/// How this node reaches others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Multiaddresses to listen on; the standard ones if empty.
    pub listen: Vec<String>,
    /// Multiaddresses under which others are known to reach this node.
    pub announce: Vec<String>,
    /// Multiaddresses of peers to start from.
    pub bootstrap: Vec<String>,
    /// Whether peers on the same network are found by multicast.
    pub mdns: bool,
    /// Whether to keep records for others.
    pub dht: Dht,
}

impl Default for Network {
    fn default() -> Self {
        Self { listen: Vec::new(), announce: Vec::new(), bootstrap: Vec::new(), mdns: true, dht: Dht::Auto }
    }
}

/// Whether to keep records for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dht {
    /// When others can reach this node.
    #[default]
    Auto,
    /// Always.
    Server,
    /// Never.
    Client,
}

/// What contacts are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Messages {
    /// Whether contacts are told which of their messages were read.
    pub read_receipts: bool,
}

/// What the daemon writes to its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A tracing filter; `KITH_LOG` goes before it.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "warn".into() }
    }
}

/// Every key with what it does.
const KEYS: &[(&str, &str)] = &[
    ("log.filter", "tracing filter of the daemon's log; KITH_LOG goes before it (at most 512 bytes)"),
    (
        "messages.read_receipts",
        "whether to tell contacts and members of channels that their messages were read: true or false",
    ),
    ("network.announce", "multiaddresses under which others reach this node (at most 32)"),
    ("network.bootstrap", "multiaddresses of peers to start from (at most 32)"),
    ("network.dht", "whether to keep records for others: auto, server or client"),
    ("network.listen", "multiaddresses to listen on, empty for the standard ones (at most 32)"),
    ("network.mdns", "whether to find peers on the same network by multicast: true or false"),
];

impl Config {
    /// Reads settings from text.
    ///
    /// # Errors
    /// `config_invalid` with line and column.
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let config: Self = toml::from_str(text).map_err(|e| {
            let place = e.span().map(|span| place(text, span.start)).unwrap_or_default();
            UserError::new(Code::ConfigInvalid, format!("{place}{}", e.message()))
                .hint("kith config show lists the keys")
        })?;
        config.check()?;
        Ok(config)
    }

    /// Reads the settings file; a missing one is the same as an empty one.
    ///
    /// # Errors
    /// `config_invalid` with file, line and column; `io`.
    pub fn load(path: &Path) -> Result<Self, UserError> {
        let text = read(path)?;
        Self::parse(&text).map_err(|mut e| {
            e.message = format!("{}: {}", path.display(), e.message);
            e
        })
    }

    /// Checks the bounds that types do not hold.
    fn check(&self) -> Result<(), UserError> {
        let wrong = |message: String| Err(UserError::new(Code::ConfigInvalid, message).hint("kith config show"));
        let Network { listen, announce, bootstrap, mdns: _, dht: _ } = &self.network;
        for (key, addresses) in [("listen", listen), ("announce", announce), ("bootstrap", bootstrap)] {
            if addresses.len() > ADDRESSES_MAX {
                return wrong(format!("network.{key}: {} addresses, at most {ADDRESSES_MAX}", addresses.len()));
            }
            if let Some(bad) = addresses.iter().find(|a| !a.starts_with('/') || a.len() > ADDRESS_MAX) {
                let bad: String = bad.chars().take(60).filter(|c| !c.is_control()).collect();
                return wrong(format!("network.{key}: not a multiaddress like /ip4/192.0.2.1/tcp/4001: {bad}"));
            }
        }
        if self.log.filter.len() > FILTER_MAX {
            return wrong(format!("log.filter: longer than {FILTER_MAX} bytes"));
        }
        Ok(())
    }

    /// Lists every key with its value, default and whether the file sets it.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn view(path: &Path) -> Result<ConfigView, UserError> {
        let (config, text) = (Self::load(path)?, read(path)?);
        let bug = |e: serde_json::Error| UserError::internal(e.to_string());
        let (values, defaults) =
            (serde_json::to_value(&config).map_err(bug)?, serde_json::to_value(Self::default()).map_err(bug)?);
        let items = KEYS.iter().map(|(key, about)| ConfigEntry {
            key: (*key).to_owned(),
            value: pick(&values, key),
            default: pick(&defaults, key),
            set: edit::is_set(&text, key),
            about: (*about).to_owned(),
        });
        Ok(ConfigView { path: path.display().to_string(), items: items.collect() })
    }
}

/// Reads the file, or nothing where there is none.
fn read(path: &Path) -> Result<String, UserError> {
    let io = |e: io::Error| UserError::new(Code::Io, format!("could not read {}: {e}", path.display()));
    match std::fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(io(e)),
        Ok(meta) if meta.len() > FILE_MAX => {
            let message = format!("{}: larger than {} KiB", path.display(), FILE_MAX >> 10);
            return Err(UserError::new(Code::ConfigInvalid, message).hint("is this the right file?"));
        }
        Ok(_) => {}
    }
    let bytes = std::fs::read(path).map_err(io)?;
    String::from_utf8(bytes)
        .map_err(|_| UserError::new(Code::ConfigInvalid, format!("{}: not valid UTF-8", path.display())))
}

/// Returns the value under a dotted key.
fn pick(values: &Value, key: &str) -> Value {
    let pointer = format!("/{}", key.replace('.', "/"));
    values.pointer(&pointer).cloned().unwrap_or_default()
}

/// Names a place in a text: `line 3, column 5: `.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: ")
}

/// Says that there is no such key, and which comes near.
pub fn unknown_key(key: &str) -> UserError {
    let last = key.rsplit('.').next().unwrap_or(key);
    let near: Vec<String> =
        KEYS.iter().map(|(k, _)| (*k).to_owned()).filter(|k| !last.is_empty() && k.contains(last)).collect();
    let key: String = key.chars().filter(|c| !c.is_control()).take(60).collect();
    UserError::new(Code::ConfigInvalid, format!("no such key: {key}"))
        .hint("kith config show lists the keys")
        .candidates(near)
}

#[cfg(test)]
mod tests;
