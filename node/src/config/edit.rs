//! Changes one key of the settings file and leaves comments and order alone.

use super::{Config, KEYS, pick, read, unknown_key};
use crate::api::error::{Code, UserError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use toml_edit::{Array, DocumentMut, Item, Table, Value};

/// Sets a key. Lists are given as TOML (`["a", "b"]`) or separated by commas.
///
/// # Errors
/// `config_invalid` for an unknown key, a value that does not fit, or a file that was wrong before; nothing is written
/// then.
pub fn set(path: &Path, key: &str, value: &str) -> Result<(), UserError> {
    let (section, name) = split(key)?;
    let mut document = document(path)?;
    let value = typed(key, value)?;
    let table = document.entry(section).or_insert(Item::Table(Table::new()));
    let Some(table) = table.as_table_like_mut() else {
        return Err(UserError::new(Code::ConfigInvalid, format!("{section} is not a table in {}", path.display())));
    };
    table.insert(name, Item::Value(value));
    store(path, &document)
}

/// Takes a key out of the file, so that its default holds.
///
/// # Errors
/// As for [`set`].
pub fn unset(path: &Path, key: &str) -> Result<(), UserError> {
    let (section, name) = split(key)?;
    let mut document = document(path)?;
    let table = document.get_mut(section).and_then(Item::as_table_like_mut);
    if table.and_then(|t| t.remove(name)).is_some() { store(path, &document) } else { Ok(()) }
}

/// Tells whether a text sets a key.
pub(super) fn is_set(text: &str, key: &str) -> bool {
    let (Ok(document), Some((section, name))) = (text.parse::<DocumentMut>(), key.split_once('.')) else {
        return false;
    };
    document.get(section).and_then(Item::as_table_like).is_some_and(|t| t.contains_key(name))
}

/// Splits a known key into table and name.
fn split(key: &str) -> Result<(&str, &str), UserError> {
    let known = KEYS.iter().any(|(k, _)| *k == key);
    key.split_once('.').filter(|_| known).ok_or_else(|| unknown_key(key))
}

/// Reads the file as it stands; it must be right before it is changed.
fn document(path: &Path) -> Result<DocumentMut, UserError> {
    Config::load(path)?;
    read(path)?.parse().map_err(|e: toml_edit::TomlError| UserError::new(Code::ConfigInvalid, e.message().to_owned()))
}

/// Makes a value of the type that the key has.
fn typed(key: &str, text: &str) -> Result<Value, UserError> {
    let defaults = serde_json::to_value(Config::default()).map_err(|e| UserError::internal(e.to_string()))?;
    let wrong = |expected: &str| {
        UserError::new(Code::ConfigInvalid, format!("{key} takes {expected}")).hint("kith config show")
    };
    match pick(&defaults, key) {
        serde_json::Value::Bool(_) => match text.trim() {
            "true" | "on" | "yes" => Ok(true.into()),
            "false" | "off" | "no" => Ok(false.into()),
            _ => Err(wrong("true or false")),
        },
        serde_json::Value::Array(_) if text.trim_start().starts_with('[') => match text.trim().parse::<Value>() {
            Ok(Value::Array(list)) if list.iter().all(Value::is_str) => Ok(Value::Array(list)),
            _ => Err(wrong("a list of texts like [\"a\", \"b\"]")),
        },
        serde_json::Value::Array(_) => {
            let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
            Ok(Value::Array(parts.collect::<Array>()))
        }
        _ => Ok(text.into()),
    }
}

/// Checks the new text and puts it in the place of the old, whole or not at all.
fn store(path: &Path, document: &DocumentMut) -> Result<(), UserError> {
    let text = document.to_string();
    Config::parse(&text)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let fresh = path.with_extension("toml.new");
    let write = || {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(|e| {
        let code = Code::of_io(e.kind());
        UserError::new(code, format!("could not write {}: {e}", path.display())).hint("kith doctor")
    })
}
