//! Why operations do not become part of a graph, or do not hold in it. Must not know the graph.

use crate::{
    Fault,
    channel::{OpId, Permission},
};

/// An operation does not become part of the graph; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It follows operations that are not known yet.
    #[error("operations before this one are missing")]
    Missing(Vec<OpId>),
    /// It belongs to another channel.
    #[error("the operation belongs to another channel")]
    OtherChannel,
    /// It begins a channel where one is there, or does not where none is.
    #[error("the operation does not begin the channel")]
    NotFirst,
    /// Nothing in its past names its author's device.
    #[error("the operation's device is not named by anything before it")]
    UnknownDevice,
    /// Its device did not sign it.
    #[error("the operation is not signed by its device")]
    BadSignature,
    /// The channel has as many operations as it may; for people who are not in, half as many.
    #[error("the channel has as many operations as it may")]
    Full,
    /// The creator may not do what the first operation says.
    #[error("the channel's first operation does not hold: {0}")]
    First(Refused),
}

impl Error {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Missing(_) => Fault::Transient,
            Self::Full => Fault::Local,
            _ => Fault::Peer,
        }
    }
}

/// Why somebody may not do something here, or why what they did does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is one creation.
    #[error("a channel is created once")]
    SecondCreation,
    /// They are not in.
    #[error("not a member of the channel")]
    NotMember,
    /// They were removed by somebody who did not know of this.
    #[error("removed from the channel meanwhile")]
    Removed,
    /// The device was revoked by its account, which did not know of this.
    #[error("the device was revoked meanwhile")]
    DeviceRevoked,
    /// The device does not speak for the account.
    #[error("the device does not speak for the account")]
    NotTheirDevice,
    /// The right is not theirs.
    #[error("lacks the right to {}", .0.word())]
    Lacks(Permission),
    /// Whom it is about does not stand below them, or is the creator.
    #[error("the other does not stand below")]
    NotAbove,
    /// It gives more than they have.
    #[error("gives more rights than the giver has")]
    MoreThanHeld,
    /// Whom it is about is not in.
    #[error("no such member")]
    UnknownMember,
    /// There is no such role, or they do not hold it.
    #[error("no such role")]
    UnknownRole,
    /// Every channel has that role; it is never defined or dropped.
    #[error("the role is every channel's own")]
    BuiltinRole,
    /// The role would inherit from itself, or through too many.
    #[error("the role would inherit from itself")]
    RoleCycle,
    /// There is no such invite.
    #[error("no such invite")]
    UnknownInvite,
    /// The invite was ended, or its poster could no longer give what it gives.
    #[error("the invite was revoked")]
    InviteRevoked,
    /// The invite is over.
    #[error("the invite has expired")]
    InviteExpired,
    /// As many came as may.
    #[error("the invite is used up")]
    InviteUsedUp,
    /// The invite gives another role.
    #[error("the invite gives another role")]
    OtherRole,
    /// The newcomer does not show that it knows the invite.
    #[error("the proof of knowing the invite is wrong")]
    BadProof,
    /// The request was used before.
    #[error("the request to join was used before")]
    Repeated,
    /// What it tells is known.
    #[error("tells nothing new")]
    NothingNew,
    /// The account was banned.
    #[error("banned from the channel")]
    Banned,
    /// They are in already.
    #[error("already a member")]
    AlreadyMember,
    /// Nobody bans themselves or makes the keys they are not to have.
    #[error("who leaves does not make the keys of those who stay")]
    OwnRemoval,
    /// The keys were sealed to others than those who belong.
    #[error("the new keys are sealed to others than the members")]
    WrongRecipients,
    /// A number outside what is allowed.
    #[error("a number is out of bounds")]
    OutOfBounds,
    /// There are as many as there may be.
    #[error("there are too many of them")]
    TooMany,
}
