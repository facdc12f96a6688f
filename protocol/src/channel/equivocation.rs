//! Proof that one device said two things at one place: it lies, or it runs twice. Must not know keys, epochs or what is
//! done about it.

use super::{Attested, BadFrame, Context, MessageHash};
use crate::{
    ChannelId, Fault,
    crypto::sign::VerifyingKey,
    limits::EQUIVOCATION_MAX,
    proto::channel as proto,
    wire::{self, encode},
};
use zeroize::Zeroizing;

/// Two different messages that one device signed for one place in its chain, or under one number. The one with the lower
/// hash stays, whatever order they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equivocation {
    winner: (MessageHash, Attested),
    loser: (MessageHash, Attested),
}

/// Two messages prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEquivocation {
    /// The proof is not in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// One of them is not rightly signed.
    #[error(transparent)]
    Frame(#[from] BadFrame),
    /// They are of two channels or of two devices.
    #[error("the messages are not of one device in one channel")]
    Elsewhere,
    /// They stand neither at one place in one epoch nor under one number.
    #[error("the messages stand at different places")]
    Apart,
    /// They are one message, however often it was signed.
    #[error("the messages are one and the same")]
    Same,
}

impl NoEquivocation {
    /// Names who is at fault: whoever brought them as proof.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

impl Equivocation {
    /// Compares two messages of the device whose key this is; the order does not matter.
    pub fn new(one: Attested, other: Attested, sender: &VerifyingKey) -> Result<Self, NoEquivocation> {
        let ((said, hash), (other_said, other_hash)) = (one.verify(sender)?, other.verify(sender)?);
        let of = |c: &Context| (c.channel, c.account, c.device);
        if of(one.context()) != of(other.context()) {
            return Err(NoEquivocation::Elsewhere);
        }
        if hash == other_hash {
            return Err(NoEquivocation::Same);
        }
        let place = |c: &Context| (c.epoch, c.generation);
        if place(one.context()) != place(other.context()) && said.sequence != other_said.sequence {
            return Err(NoEquivocation::Apart);
        }
        let (one, other) = ((hash, one), (other_hash, other));
        let (winner, loser) = if hash < other_hash { (one, other) } else { (other, one) };
        Ok(Self { winner, loser })
    }

    /// Returns the hash of the message that stays: the lower one, so that everybody chooses alike.
    pub const fn winner(&self) -> &MessageHash {
        &self.winner.0
    }

    /// Returns the hash of the message that does not.
    pub const fn loser(&self) -> &MessageHash {
        &self.loser.0
    }

    /// Returns where the message that stays stands.
    pub const fn context(&self) -> &Context {
        self.winner.1.context()
    }

    /// Encodes for a row or for somebody to be convinced; the channel is known from where it is kept.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let Self { winner: (_, first), loser: (_, second) } = self;
        Zeroizing::new(encode(&proto::Equivocation {
            first: first.encode().to_vec(),
            second: second.encode().to_vec(),
        }))
    }

    /// Decodes strictly, and checks everything that [`Equivocation::new`] does: nobody has to be believed.
    pub fn decode(channel: ChannelId, bytes: &[u8], sender: &VerifyingKey) -> Result<Self, NoEquivocation> {
        let both: proto::Equivocation = wire::decode(bytes, EQUIVOCATION_MAX)?;
        let (first, second) = (Attested::decode(channel, &both.first)?, Attested::decode(channel, &both.second)?);
        let proof = Self::new(first.clone(), second, sender)?;
        if proof.winner.1 == first { Ok(proof) } else { Err(wire::Error::NotCanonical.into()) }
    }
}

#[cfg(test)]
mod tests;
