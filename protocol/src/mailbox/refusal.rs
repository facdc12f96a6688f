//! How a relay says no, so that who asked knows what to do: try another relay, wait, or tell the person.
//! Must not know why.

use crate::{Fault, wire};

/// Why a relay refuses. The number stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The nonce is not (or no longer) this relay's for this asker; the answer holds the right one.
    Nonce,
    /// The proof does not stand for this request.
    Proof,
    /// Not a request in its one spelling, or of a kind or version that is not known here.
    Malformed,
    /// No room under this tag. A stranger gets it for an unknown tag too.
    NoRoom,
    /// No mailbox under this tag and grant.
    UnknownTag,
    /// The grant is of another mailbox, or not the mailbox's word.
    WrongGrant,
    /// The grant has ended.
    Expired,
    /// The owner revoked the grant.
    Revoked,
    /// The operator blocked the mailbox.
    Blocked,
    /// The relay is for members only.
    NotAdmitted,
    /// Larger than what is taken.
    TooLarge,
    /// Too much at once.
    RateLimited,
    /// The whole relay is full.
    RelayFull,
    /// The disk reported an error; nothing is taken meanwhile.
    Storage,
    /// The relay is shutting down.
    Stopping,
    /// No such mailbox: register first.
    NoMailbox,
    /// Of a later version.
    Other(u32),
}

impl Reason {
    const ALL: [Self; 16] = [
        Self::Nonce,
        Self::Proof,
        Self::Malformed,
        Self::NoRoom,
        Self::UnknownTag,
        Self::WrongGrant,
        Self::Expired,
        Self::Revoked,
        Self::Blocked,
        Self::NotAdmitted,
        Self::TooLarge,
        Self::RateLimited,
        Self::RelayFull,
        Self::Storage,
        Self::Stopping,
        Self::NoMailbox,
    ];

    /// The number on the wire, from 1.
    pub fn number(self) -> u32 {
        match self {
            Self::Other(number) => number,
            known => Self::ALL.iter().zip(1..).find(|(reason, _)| **reason == known).map_or(0, |(_, number)| number),
        }
    }

    /// Reads a number.
    pub fn from_number(number: u32) -> Result<Self, wire::Error> {
        match number {
            0 => Err(wire::Error::Unknown(0)),
            n => Ok(Self::ALL.iter().zip(1..).find(|(_, at)| *at == n).map_or(Self::Other(n), |(reason, _)| *reason)),
        }
    }
}

/// A relay's refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// When it is worth trying again, in milliseconds; 0: not in this form.
    pub retry_after_ms: u64,
    /// The nonce to use, where the one shown was wrong.
    pub nonce: Option<super::Nonce>,
}

impl Refusal {
    /// Refuses for good.
    pub const fn never(reason: Reason) -> Self {
        Self { reason, retry_after_ms: 0, nonce: None }
    }

    /// Refuses for now.
    pub const fn later(reason: Reason, retry_after_ms: u64) -> Self {
        Self { reason, retry_after_ms, nonce: None }
    }

    /// Says who is to blame, as a relay sees it.
    pub const fn fault(&self) -> Fault {
        match self.reason {
            Reason::Proof | Reason::Malformed | Reason::TooLarge => Fault::Peer,
            _ => Fault::Transient,
        }
    }
}
