//! `kith config`: works on the file; a running daemon takes changes when it starts again.

use crate::context::Context;
use crate::failure::Outcome;
use crate::render::{Show, Style, clean_line};
use clap::Subcommand;
use kith_node::api::types::ConfigEntry;
use kith_node::config::{self, Config};
use kith_node::{Code, UserError};
use serde::Serialize;
use std::path::PathBuf;

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// List every key with its value and what it does
    Show,
    /// Show one key
    Get {
        /// The key, such as network.mdns
        key: String,
    },
    /// Set one key; lists are separated by commas
    Set {
        /// The key, such as network.mdns
        key: String,
        /// The value
        #[arg(required_unless_present = "default", conflicts_with = "default")]
        value: Option<String>,
        /// Take the key out of the file, so that its default holds
        #[arg(long)]
        default: bool,
    },
    /// Check the file, or another one
    Validate {
        /// Another file
        file: Option<PathBuf>,
    },
}

/// A file that is right.
#[derive(Serialize)]
struct Valid {
    path: String,
    valid: bool,
}

impl Show for Valid {
    fn human(&self, style: Style) -> String {
        format!("{} {}", style.good("✓"), clean_line(&self.path))
    }
}

/// Carries out what to do with settings.
pub(crate) fn run(verb: ConfigVerb, context: &Context) -> Outcome {
    let path = &context.paths.config;
    match verb {
        ConfigVerb::Show => context.out.one(&Config::view(path)?),
        ConfigVerb::Get { key } => context.out.one(&entry(context, &key)?),
        ConfigVerb::Set { key, value, default: _ } => {
            match value {
                Some(value) => config::set(path, &key, &value)?,
                None => config::unset(path, &key)?,
            }
            context.out.one(&entry(context, &key)?)?;
            context.out.note("a running daemon takes it when it starts again");
            Ok(())
        }
        ConfigVerb::Validate { file } => {
            let path = file.as_ref().unwrap_or(path);
            if file.is_some() && !path.exists() {
                return Err(UserError::new(Code::NotFound, format!("there is no {}", path.display())).into());
            }
            Config::load(path)?;
            context.out.one(&Valid { path: path.display().to_string(), valid: true })
        }
    }
}

/// Reads one key.
fn entry(context: &Context, key: &str) -> Result<ConfigEntry, UserError> {
    let view = Config::view(&context.paths.config)?;
    view.items.into_iter().find(|item| item.key == key).ok_or_else(|| config::unknown_key(key))
}
