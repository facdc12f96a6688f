//! Mailbox addresses and grants as opaque bytes, so that the lists of them in descriptors and first messages have their
//! place. Must not know what a relay makes of them.

use crate::{limits, wire};

macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(Vec<u8>);

        impl $name {
            /// Takes encoded bytes, at most `limits::GRANT_MAX`.
            pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, wire::Error> {
                match bytes.len() {
                    0 => Err(wire::Error::OutOfBounds),
                    n if n > limits::GRANT_MAX => Err(wire::Error::TooLarge { max: limits::GRANT_MAX }),
                    _ => Ok(Self(bytes)),
                }
            }

            /// Returns the encoded bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }
    };
}

opaque!(
    /// Where a device's mail may be left: which relay, which mailbox.
    MailboxAddress
);
opaque!(
    /// A mailbox owner's signed permission to leave mail.
    Grant
);

/// Who a grant lets in. The number stands on the wire, in tags and in a relay's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Class {
    /// Somebody the owner wrote with: proves a key.
    Contact,
    /// A member of a channel of the owner's: proves a key.
    Member,
    /// Whoever holds the contact code: the grant itself is the proof, and opens a small box.
    Stranger,
}

impl Class {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Contact, Self::Member, Self::Stranger];

    /// The number that stands for it.
    pub const fn number(self) -> u32 {
        match self {
            Self::Contact => 1,
            Self::Member => 2,
            Self::Stranger => 3,
        }
    }

    /// Reads a number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.number() == number)
    }
}
