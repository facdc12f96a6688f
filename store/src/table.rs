//! All tables, each with its number and its row types.

mod identity;
mod setting;

pub use identity::Identity;
pub use setting::Setting;

/// Names a table. Numbers are part of the stored form: never change or reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Table {
    /// The account and device of this profile, with their secrets.
    Identity = 1,
    /// Named settings.
    Setting = 2,
}

impl Table {
    /// Returns the number that stands for the table on disk.
    pub(crate) const fn number(self) -> u16 {
        self as u16
    }
}
