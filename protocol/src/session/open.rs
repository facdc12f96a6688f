//! What comes out of opening a message, and why one may not open.

use super::{PeerDevice, SessionId, Sessions};
use crate::{Fault, wire};
use std::fmt;
use zeroize::Zeroizing;

/// A message did not open; nothing has changed. The distinctions are for this program alone: towards whoever delivered
/// the message all of them look the same (R-ENV-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Opened before: the same message again, or one in the form of a first message whose session was made and is gone.
    /// Says nothing about what was inside: no receipt follows from it.
    #[error("opened before")]
    Duplicate,
    /// It belongs to a session that is not known here.
    #[error("unknown session")]
    UnknownSession,
    /// Its key was used or given up, for another message: one of the two sides went back to an older state.
    #[error("the chain went back")]
    Regression,
    /// Further ahead than `limits::JUMP_MAX`, found before anything was computed. Perhaps this side lost its newer state,
    /// so that nobody is to blame.
    #[error("too far ahead in its chain")]
    TooFarAhead,
    /// Sealed to a signed prekey or one-time key that was deleted.
    #[error("sealed to a deleted prekey")]
    StalePrekey,
    /// Sealed for another account or device.
    #[error("for another recipient")]
    WrongRecipient,
    /// Not made by the device it claims, or the two sides do not share this state.
    #[error("not authentic")]
    NotAuthentic,
    /// A suite that is unknown, or below what this peer was seen to use.
    #[error("refused suite {0}")]
    RefusedSuite(u32),
    /// Not in shape.
    #[error("malformed: {0}")]
    Malformed(#[from] wire::Error),
}

impl Error {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Duplicate | Self::UnknownSession | Self::Regression | Self::TooFarAhead | Self::StalePrekey => {
                Fault::Transient
            }
            Self::WrongRecipient | Self::NotAuthentic | Self::RefusedSuite(_) | Self::Malformed(_) => Fault::Peer,
        }
    }

    /// Says whether the two sides may have lost each other, so that a known contact is told "cannot open" in a fresh
    /// handshake (at most once in `limits::CANNOT_OPEN_INTERVAL_MS` for each device).
    pub const fn calls_for_repair(&self) -> bool {
        matches!(
            self,
            Self::UnknownSession | Self::Regression | Self::TooFarAhead | Self::StalePrekey | Self::NotAuthentic
        )
    }
}

/// What opening a message leads to: new state to commit, and the payload.
#[must_use = "the state must be committed before the message counts as received"]
pub struct OpenStep {
    /// The sessions with the sender's device after this message.
    pub sessions: Sessions,
    /// The decrypted payload.
    pub payload: Zeroizing<Vec<u8>>,
    /// The device that certainly sent it.
    pub sender: PeerDevice,
    /// The session it came in.
    pub session: SessionId,
    /// What a new session used up; absent in a session that existed.
    pub begun: Option<Begun>,
}

/// What a message that began a session used up; to be kept and deleted in the same commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// To be answered with true by `OwnKeys::seen` for as long as the signed prekey lives.
    pub session: SessionId,
    /// The signed prekey it was sealed to.
    pub signed_prekey_id: u32,
    /// The one-time key that must be deleted now.
    pub one_time_id: Option<u32>,
}

impl fmt::Debug for OpenStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions: _, payload, sender, session, begun } = self;
        write!(f, "OpenStep({} bytes from {sender:?} in {session:?}, begun {begun:?})", payload.len())
    }
}

/// The first message of a device that is not known yet: its payload may be read to find out who it is, but nothing of it
/// may be kept before [`StrangerStep::confirm`].
#[must_use = "nothing is received before it is confirmed"]
pub struct StrangerStep(pub(super) OpenStep);

impl StrangerStep {
    /// Returns whom the message claims to come from; only that it holds the claimed DH key is proven.
    pub const fn claim(&self) -> &PeerDevice {
        &self.0.sender
    }

    /// Returns the decrypted payload, whose introduction carries the device log that proves the claim.
    pub fn payload(&self) -> &[u8] {
        &self.0.payload
    }

    /// Turns the step into an ordinary one if the claim is what the verified device log says (R-SES-2).
    pub fn confirm(self, verified: &PeerDevice) -> Result<OpenStep, Error> {
        if self.0.sender == *verified { Ok(self.0) } else { Err(Error::NotAuthentic) }
    }
}

impl fmt::Debug for StrangerStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StrangerStep({:?})", self.0)
    }
}
