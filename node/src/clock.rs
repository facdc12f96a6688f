//! Reads the clock and the system's source of chance: the only file that does.
#![allow(clippy::disallowed_methods, reason = "this is the file that the rule names")]

use kith_protocol::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the wall clock's time; the epoch if the clock stands before it.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The system gave no random bytes; nothing may go on without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random source failed")]
pub struct NoEntropy;

/// Returns bytes from the system's cryptographic random source.
pub fn random<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoEntropy)?;
    Ok(bytes)
}
