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
