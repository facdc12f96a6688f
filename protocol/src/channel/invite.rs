//! The invite: a code that lets whoever holds it ask to be admitted to one channel, the record that shows what it leads to,
//! the slots where members publish that record, the request to join and its answer. Must not judge who may admit, nor
//! whether an invite is used up or revoked: the channel's operations say so.

pub mod answer;
mod code;
pub mod join;
mod keys;
mod proof;
pub mod record;
mod seal;
pub mod slot;

pub use answer::{JoinAnswer, Outcome, Reason};
pub use code::{InviteCode, InviteLink, InviteSecret};
pub use join::{JoinParts, JoinRequest};
pub use keys::{InviteKeys, InvitePublic};
pub use proof::{Claim, Joiner};
pub use record::{History, InviteRecord, Peer, PostedRecord};
pub use slot::{Slot, check_slot, is_slot_record, slot_supersedes};

use crate::{
    code::is_address,
    limits::{ADDRESS_MAX, INVITE_ADDRESSES_MAX, MAILBOXES_MAX, NAME_MAX, PASS_MAX, PEER_ID_MAX},
    wire::{self, at_most},
};

/// The version of every message of an invite that this program writes and reads.
const VERSION: u32 = 1;

/// Refuses another version.
const fn expect_version(version: u32) -> Result<(), wire::Error> {
    if version == VERSION { Ok(()) } else { Err(wire::Error::Unknown(version)) }
}

/// Checks how somebody says to be reached: a transport name, and addresses that are some.
fn check_reach(peer_id: &[u8], addresses: &[String]) -> Result<(), wire::Error> {
    at_most(addresses, INVITE_ADDRESSES_MAX)?;
    let fit = addresses.iter().all(|a| a.len() <= ADDRESS_MAX && is_address(a));
    if fit && !peer_id.is_empty() && peer_id.len() <= PEER_ID_MAX { Ok(()) } else { Err(wire::Error::OutOfBounds) }
}

/// Checks opaque passes: how many, and how long each is.
fn check_passes(passes: &[Vec<u8>]) -> Result<(), wire::Error> {
    at_most(passes, MAILBOXES_MAX)?;
    let fit = passes.iter().all(|pass| !pass.is_empty() && pass.len() <= PASS_MAX);
    if fit { Ok(()) } else { Err(wire::Error::OutOfBounds) }
}

/// Checks the length of a name; it is not to be shown uncleaned.
fn check_name(name: &str) -> Result<(), wire::Error> {
    if name.len() <= NAME_MAX { Ok(()) } else { Err(wire::Error::OutOfBounds) }
}

#[cfg(test)]
mod tests;
