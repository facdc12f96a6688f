//! The settings in effect.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All settings in effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfigView {
    /// The file they come from, whether it exists or not.
    pub path: String,
    /// Every key, sorted.
    pub items: Vec<ConfigEntry>,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfigEntry {
    /// Its key, such as `network.mdns`.
    pub key: String,
    /// Its value.
    pub value: serde_json::Value,
    /// The value without a file.
    pub default: serde_json::Value,
    /// Whether the file sets it.
    pub set: bool,
    /// What it does, with unit and bounds.
    pub about: String,
}
