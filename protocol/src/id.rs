//! The identifiers, each its own type, so that none can stand in for another.

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::LazyLock};

/// RFC 4648 base32 in lower case without padding.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    spec.translate.from.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    spec.translate.to.push_str("abcdefghijklmnopqrstuvwxyz");
    spec.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
});

/// The text is not an identifier of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {expected} characters of a-z and 2-7")]
pub struct ParseIdError {
    /// How many characters an id of this kind has.
    pub expected: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps raw bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Wraps a slice if it has the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                <[u8; $len]>::try_from(bytes).ok().map(Self)
            }

            /// Returns the raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE32.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = BASE32.encode(&self.0);
                write!(f, concat!(stringify!($name), "({})"), text.get(..8).unwrap_or(&text))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let wrong = ParseIdError { expected: ($len * 8usize).div_ceil(5) };
                BASE32.decode(text.as_bytes()).ok().and_then(|b| Self::from_slice(&b)).ok_or(wrong)
            }
        }
    };
}

id!(
    /// Names an account: the account's first root public key (Ed25519, 32 bytes).
    AccountId, 32
);
id!(
    /// Names a device: the hash of its public keys.
    DeviceId, 32
);
id!(
    /// Names a message across devices, sessions and re-encryption: 16 random bytes inside the content.
    MessageId, 16
);
id!(
    /// Names an envelope: the hash of the envelope without its routing header.
    EnvelopeId, 32
);
id!(
    /// Names a record in the DHT: the hash of a blinded daily key or an invite's slot key, day and slot.
    RecordKey, 32
);
id!(
    /// Names a channel: the hash of the operation that created it.
    ChannelId, 32
);
id!(
    /// Names a relay: the Ed25519 public key that signs its custody receipts, 32 bytes. No transport key: that may rotate.
    RelayId, 32
);
id!(
    /// Names a mailbox: the Ed25519 public key under which its owner registered it, made for one relay alone, 32 bytes.
    MailboxId, 32
);
id!(
    /// Names a mailbox for a day to those who may deposit: derived, so that nobody else can link two of them, 16 bytes.
    Tag, 16
);
id!(
    /// Names a descriptor or slot record that a relay keeps: derived from the contact code or invite and the relay, 32 bytes.
    KeptId, 32
);
id!(
    /// Names a session between two devices: the first 16 bytes of its handshake transcript's hash.
    SessionId, 16
);

id!(
    /// Names a leaf key of a device in a channel: the first 16 bytes of the hash of its public half.
    LeafKeyId, 16
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_in_any_case() {
        let id = MessageId::from_bytes([7; 16]);
        assert_eq!(id.to_string().len(), 26);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn wrong_length_and_alphabet_are_refused() {
        assert_eq!("abc".parse::<AccountId>(), Err(ParseIdError { expected: 52 }));
        assert!("1".repeat(26).parse::<MessageId>().is_err());
    }
}
