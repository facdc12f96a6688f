//! What an operator decides when a relay is started, and what follows from it.

use super::rates::Rate;
use kith_protocol::limits::{MAILBOX_TTL_MAX_MS, MAILBOX_TTL_MS, NAME_MAX, POOL_DAILY};
use kith_store::mailbox::{Caps, Quota};

/// A day in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// How a relay is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayOptions {
    /// Anybody may register a mailbox; else members alone.
    pub open: bool,
    /// What it calls itself.
    pub name: String,
    /// Where it keeps everything: `redb:PATH`; a file in the profile's folder if none.
    pub store: Option<String>,
    /// Quota of a mailbox that was given none of its own.
    pub mailbox: Option<Quota>,
    /// Quota of the whole relay.
    pub total: Option<Quota>,
    /// Days that an envelope is kept at most, 1 to 90.
    pub days: Option<u64>,
    /// For how many mailboxes an invite is made at the start.
    pub invite: Option<u32>,
}

/// What a service goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Anybody may register.
    pub open: bool,
    /// What the relay calls itself, at most `limits::NAME_MAX` bytes.
    pub name: String,
    /// Longest time that an envelope is kept, in milliseconds.
    pub ttl_ms: u64,
    /// How much may lie where.
    pub caps: Caps,
    /// Requests of a peer that has proven no mailbox.
    pub peer: Rate,
    /// Deposits under one grant that names a key.
    pub contact: Rate,
    /// Deposits under one grant of strangers.
    pub stranger: Rate,
    /// One-time keys that one grant may take in a day.
    pub prekeys_daily: u32,
    /// Takes the wall clock for right although it is far from what the store has seen.
    pub accept_clock: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let caps = Caps {
            mailbox: Quota { envelopes: 16_384, bytes: 128 << 20 },
            strangers: Quota { envelopes: 256, bytes: 4 << 20 },
            total: Quota { envelopes: 8_000_000, bytes: 64 << 30 },
            mailboxes: 100_000,
            kept_bytes: 1 << 30,
        };
        Self {
            open: false,
            name: String::new(),
            ttl_ms: MAILBOX_TTL_MS,
            caps,
            peer: Rate { per_second: 100, burst: 1_000 },
            contact: Rate { per_second: 100, burst: 2_000 },
            stranger: Rate { per_second: 10, burst: 256 },
            prekeys_daily: POOL_DAILY,
            accept_clock: false,
        }
    }
}

impl Settings {
    /// Takes an operator's options; what is out of bounds is brought into them.
    pub fn of(options: &RelayOptions, accept_clock: bool) -> Self {
        let standard = Self::default();
        let mut name = options.name.trim().to_owned();
        while name.len() > NAME_MAX {
            name.pop();
        }
        let caps = Caps {
            mailbox: options.mailbox.unwrap_or(standard.caps.mailbox),
            total: options.total.unwrap_or(standard.caps.total),
            ..standard.caps
        };
        let ttl_ms = options.days.map_or(standard.ttl_ms, |days| days.saturating_mul(DAY_MS));
        let ttl_ms = ttl_ms.clamp(DAY_MS, MAILBOX_TTL_MAX_MS);
        Self { open: options.open, name, ttl_ms, caps, accept_clock, ..standard }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_brought_into_bounds() {
        let options =
            RelayOptions { name: format!(" {} ", "ü".repeat(40)), days: Some(400), ..RelayOptions::default() };
        let settings = Settings::of(&options, false);
        assert_eq!((settings.name, settings.ttl_ms), ("ü".repeat(32), MAILBOX_TTL_MAX_MS));
        let short = RelayOptions { days: Some(0), ..RelayOptions::default() };
        assert_eq!(Settings::of(&short, false).ttl_ms, DAY_MS);
        assert_eq!(Settings::of(&RelayOptions::default(), false), Settings::default());
    }
}
