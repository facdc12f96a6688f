//! What comes out of sealing a message, and why one may not be sealed.

use super::{SessionId, Sessions};
use crate::{Fault, mailbox::EnvelopeBody};
use std::fmt;

/// A message was not sealed; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no session to send in: begin one with the device's bundle.
    #[error("no session to send in")]
    NoSession,
    /// The session has waited `limits::UNANSWERED_SESSION_MS` for its first answer: begin a new one.
    #[error("the session was never answered")]
    Unanswered,
    /// The payload is larger than `limits::PAYLOAD_MAX`.
    #[error("payload too large")]
    TooLarge,
    /// The bundle's suite is unknown, or below what this peer was seen to use.
    #[error("refused suite {0}")]
    RefusedSuite(u32),
    /// The peer's key leaves the result without our contribution.
    #[error("weak public key")]
    WeakKey,
    /// The chain has no number left.
    #[error("chain exhausted")]
    Exhausted,
}

impl Error {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NoSession | Self::Unanswered => Fault::Transient,
            Self::TooLarge => Fault::Local,
            Self::RefusedSuite(_) | Self::WeakKey => Fault::Peer,
            Self::Exhausted => Fault::Bug,
        }
    }

    /// Says whether a new session must be begun with the device's bundle.
    pub const fn needs_keys(&self) -> bool {
        matches!(self, Self::NoSession | Self::Unanswered | Self::Exhausted | Self::WeakKey)
    }
}

/// What sealing leads to: new state to commit before the message leaves, and the message for the envelope.
#[must_use = "the state must be committed before the message leaves"]
pub struct SealStep {
    /// The sessions with the recipient's device after this message.
    pub sessions: Sessions,
    /// What goes into the envelope.
    pub message: EnvelopeBody,
    /// The session it was sealed in.
    pub session: SessionId,
}

impl fmt::Debug for SealStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions: _, message, session } = self;
        write!(f, "SealStep({message:?} in {session:?})")
    }
}
