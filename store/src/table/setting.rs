//! Named settings of the profile.

use crate::{Key, Row, Table};
use serde::{Deserialize, Serialize};

/// Holds one setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value in the form its owner stores it.
    pub value: Vec<u8>,
}

impl Setting {
    /// Returns where the setting of this name lies.
    pub fn key_of(name: &str) -> Key {
        Key::new(name.as_bytes(), b"")
    }
}

impl Row for Setting {
    const TABLE: Table = Table::Setting;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.name)
    }
}
