//! Fingerprints of messages that were opened: tells the same bytes come again from a chain that went back.
//! Holds no secret and decides nothing but which of two errors is reported.

use super::header::RatchetMessage;
use crate::{crypto::kdf::sha256, limits};
use std::collections::VecDeque;

/// The last `limits::OPENED_MAX` messages of a session, 4 bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Opened(VecDeque<[u8; 4]>);

impl Opened {
    /// Takes stored bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let skip = (bytes.len() / 4).saturating_sub(limits::OPENED_MAX);
        Self(bytes.chunks_exact(4).skip(skip).filter_map(|c| c.try_into().ok()).collect())
    }

    /// Returns the bytes to store.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flatten().copied().collect()
    }

    /// Remembers a message; beyond the bound the oldest is forgotten.
    pub(super) fn note(&mut self, message: &RatchetMessage) {
        if self.0.len() >= limits::OPENED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(fingerprint(message));
    }

    /// Says whether this very message was opened lately.
    pub(super) fn knows(&self, message: &RatchetMessage) -> bool {
        self.0.contains(&fingerprint(message))
    }
}

fn fingerprint(message: &RatchetMessage) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[&message.header, &message.ciphertext]);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceId, SessionId};

    #[test]
    fn the_oldest_is_forgotten_beyond_the_bound_also_after_storing() {
        let message = |n: usize| RatchetMessage {
            session: SessionId::from_bytes([1; 16]),
            sender: DeviceId::from_bytes([2; 32]),
            header: n.to_be_bytes().to_vec(),
            ciphertext: vec![3],
        };
        let mut opened = Opened::default();
        for n in 0..=limits::OPENED_MAX {
            opened.note(&message(n));
        }
        assert_eq!(opened.to_bytes().len(), 4 * limits::OPENED_MAX);
        assert!(!opened.knows(&message(0)) && opened.knows(&message(1)) && opened.knows(&message(limits::OPENED_MAX)));
        assert_eq!(Opened::from_bytes(&opened.to_bytes()), opened);
        let longer = [[9; 4].as_slice(), &opened.to_bytes()].concat();
        assert_eq!(Opened::from_bytes(&longer), opened);
    }
}
