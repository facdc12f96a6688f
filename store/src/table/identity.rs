//! Who this profile is.

use crate::{Key, Row, Table};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Holds one of the profile's secrets (root, device keys, prekeys, …) in the form its owner stores it; wiped when
/// dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Identity {
    /// Which secret.
    pub name: String,
    /// Its stored form.
    pub secret: Vec<u8>,
}

impl Identity {
    /// Returns where the secret of this name lies.
    pub fn key_of(name: &str) -> Key {
        Key::new(name.as_bytes(), b"")
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, secret: _ } = self;
        write!(f, "Identity({name})")
    }
}

impl Row for Identity {
    const TABLE: Table = Table::Identity;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Self::key_of(&self.name)
    }
}
