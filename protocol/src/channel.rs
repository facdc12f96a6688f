//! Channels: a signed graph of operations says who belongs and with what rights; the same graph says when keys are made
//! anew. Everything here is a pure function of the operations known. Must not know how they travel.

pub mod blob;
mod card;
mod epoch;
mod equivocation;
mod event;
mod frame;
pub mod gate;
pub mod invite;
mod log;
mod name;
mod op;
mod parcel;
mod permission;
mod role;
mod sender;
pub mod sync;
mod welcome;

pub use card::{BadCard, Card, SignedCard};
pub use epoch::{
    Epoch, EpochId, EpochKeys, Epochs, Gate, KeyRing, LineageId, LineageKeys, Origin, StoredEpoch, StoredLineage,
};
pub use equivocation::{Equivocation, NoEquivocation};
pub use event::{Event, Reached, Saying};
pub use frame::{Attested, BadFrame, Context, Frame, Header, MessageHash, seal, slot_of};
pub use log::{Added, Allowed, Error, Graph, Invite, Ix, Refused, Signatures, Standing};
pub use name::{BadName, Name};
pub use op::{Act, Admission, BadOp, Cutoff, Fresh, InviteTerms, Op, OpAuthor, OpId, Removal, Setting, Use};
pub use parcel::{BlobItem, Parcel};
pub use permission::{Permission, Permissions};
pub use role::{Conditions, Mode, Role, RoleName};
pub use sender::{Chain, NoSeed, SenderTree, StoredChain, StoredTree};
pub use welcome::{BadWelcome, Welcome};
