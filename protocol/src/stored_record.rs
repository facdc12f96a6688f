//! Records of every kind that nodes store for others: descriptors, and where invites lead. Must not know what is in them.

use crate::{
    RecordKey, Timestamp,
    channel::invite::{check_slot, is_slot_record, slot_supersedes},
    prekey::{self, RecordMeta, record},
};

/// Checks a record of either kind for its place: size, shape, signature, day and expiry.
///
/// # Errors
/// What is wrong with it; whoever sent it is at fault.
pub fn check_stored(key: &RecordKey, bytes: &[u8], now: Timestamp) -> Result<RecordMeta, record::Error> {
    if is_slot_record(bytes) { check_slot(key, bytes, now) } else { prekey::check_record(key, bytes, now) }
}

/// Says whether a record may take the place of a stored one.
pub fn stored_supersedes(old: &[u8], new: &[u8], now: Timestamp) -> bool {
    match (is_slot_record(old), is_slot_record(new)) {
        (true, true) => slot_supersedes(old, new, now),
        (false, false) => prekey::supersedes(old, new, now),
        // Their names are hashes under different labels: both cannot have one.
        _ => false,
    }
}
