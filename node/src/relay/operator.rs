//! What the operator asks of the relay, and is told. Must not know how it is shown.

use super::{ClockDoubt, Counters};
use crate::api::error::{Code, UserError};
use data_encoding::HEXLOWER;
use kith_protocol::{MailboxId, Timestamp, crypto::kdf};
use kith_store::mailbox::{InviteInfo, MailboxInfo, Quota, Totals};
use std::fmt;

/// Mailboxes in one answer, at most.
pub(super) const MEMBERS_MAX: usize = 1_000;

/// Names an invite without giving its token away: the beginning of the token's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InviteId([u8; 8]);

impl InviteId {
    /// Names the invite of a stored hash.
    pub fn of(hash: &[u8; 32]) -> Self {
        Self(hash.first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// What is stored for a token.
pub(super) fn token_hash(token: &[u8; 16]) -> [u8; 32] {
    kdf::sha256(&[token])
}

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Makes a token that admits so often until then.
    Invite {
        /// How often.
        uses: u32,
        /// Until when.
        until: Timestamp,
    },
    /// Lists the invites that still admit.
    Invites,
    /// Withdraws an invite.
    RevokeInvite {
        /// Its name, or the beginning of it.
        id: String,
    },
    /// Lists mailboxes behind one.
    Members {
        /// Which; none begins.
        after: Option<MailboxId>,
        /// How many.
        limit: usize,
    },
    /// Says a word on a mailbox.
    Judge {
        /// Which.
        mailbox: MailboxId,
        /// May register without an invite.
        allowed: Option<bool>,
        /// Nothing is taken for it any more.
        blocked: Option<bool>,
        /// A quota of its own, or the usual one again.
        quota: Option<Option<Quota>>,
    },
    /// How the relay stands.
    Stats,
    /// The same for machines.
    Metrics,
}

/// How a relay stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// What it calls itself.
    pub name: String,
    /// Anybody may register.
    pub open: bool,
    /// What it holds.
    pub held: Totals,
    /// What it counted since it started.
    pub counters: Counters,
    /// Connected peers that own a mailbox.
    pub owners: u64,
    /// Whether the store takes writes.
    pub storage_ok: bool,
    /// What is wrong with the clock, if anything is.
    pub clock_doubt: Option<ClockDoubt>,
    /// Seconds since it started.
    pub uptime_s: u64,
}

/// What an operator is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A new invite. The token is shown once and kept nowhere.
    Invited {
        /// What admits.
        token: [u8; 16],
        /// How it is named from now on.
        id: InviteId,
    },
    /// The invites, by the names that they are withdrawn under.
    Invites(Vec<InviteInfo>),
    /// Mailboxes.
    Members(Vec<MailboxInfo>),
    /// How the relay stands.
    Stats(Box<Stats>),
    /// Prometheus text.
    Metrics(String),
    /// Carried out.
    Done,
}

/// Why an operator's wish was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No such invite.
    #[error("no invite begins with that")]
    NoSuchInvite,
    /// Several.
    #[error("several invites begin with that")]
    Ambiguous,
    /// An invite that admits nobody.
    #[error("an invite that admits nobody")]
    Empty,
    /// Too many invites wait.
    #[error("too many invites wait to be used")]
    TooManyInvites,
    /// The disk reported an error.
    #[error("the relay's disk failed: nothing is changed meanwhile")]
    Storage,
    /// A row is damaged.
    #[error("the relay's store is damaged there")]
    Damaged,
    /// The relay is shutting down.
    #[error("the relay is shutting down")]
    Stopping,
    /// Too much is asked at once.
    #[error("too much is asked of the relay at once")]
    Busy,
}

impl From<Denied> for UserError {
    fn from(denied: Denied) -> Self {
        let (code, hint) = match denied {
            Denied::NoSuchInvite => (Code::NotFound, "kith relay invite list"),
            Denied::Ambiguous => (Code::Ambiguous, "give more of it: kith relay invite list"),
            Denied::Empty => (Code::Usage, "at least one use, and an end that lies ahead"),
            Denied::TooManyInvites => (Code::Conflict, "withdraw some: kith relay invite list"),
            Denied::Storage => {
                (Code::StorageFailed, "look at the disk; the relay goes on by itself once there is room")
            }
            Denied::Damaged => (Code::StorageFailed, "put a copy of the relay's file back"),
            Denied::Stopping => (Code::Stopping, "kith relay run"),
            Denied::Busy => (Code::Busy, "try again"),
        };
        Self::new(code, denied.to_string()).hint(hint)
    }
}
