//! Relays: those that hold my mail, and the one this node runs for its community.

use super::text::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How things stand with a relay that holds my mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelayState {
    /// Added here; it has not answered yet.
    New,
    /// My mailbox is there and it is read.
    Ready,
    /// It does not answer now; tried again by itself.
    Unreachable,
    /// It refuses: `detail` says why.
    Refused,
    /// Another key than the card's answers there.
    WrongKey,
    /// It was let go: read until nothing came for 8 days, then told to forget me.
    Leaving,
}

/// A relay that holds my mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Relay {
    /// Its id: the key on its card.
    pub relay: String,
    /// Its transport name; empty until it is known.
    pub peer: String,
    /// What it calls itself; may be empty.
    pub name: String,
    /// How things stand.
    pub state: RelayState,
    /// What is wrong, if something is.
    pub detail: Option<String>,
    /// When it was added.
    pub added_at: Time,
    /// When it last answered.
    pub last_answer: Option<Time>,
    /// Envelopes of mine that it held when it last said so.
    pub envelopes: u64,
    /// How many it takes for me.
    pub envelopes_max: u64,
    /// Bytes of mine that it held when it last said so.
    pub bytes: u64,
    /// How many it takes for me.
    pub bytes_max: u64,
    /// One-time keys of mine that it holds.
    pub prekeys: u64,
    /// How often it did not hold what it had signed for.
    pub broken: u32,
}

/// The answer to adding a relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayAdded {
    /// The relay as it is now.
    #[serde(flatten)]
    pub relay: Relay,
    /// False if it was in use already.
    pub changed: bool,
}

/// `POST /v1/relays`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddRelay {
    /// A relay's card or link, as pasted.
    pub card: String,
}

/// The card of the relay that this node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayCard {
    /// Its card: `kith1…`.
    pub card: String,
    /// The same card as a link, with where it listens: what others add.
    pub url: String,
    /// Its id.
    pub relay: String,
    /// What it calls itself; may be empty.
    pub name: String,
    /// Whether anybody may register; else members alone.
    pub open: bool,
}

/// `POST /v1/relay/invites`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// How often it admits.
    pub uses: u32,
    /// For how long, in milliseconds.
    pub expires_after_ms: u64,
}

/// An invite to the relay that this node runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayInvite {
    /// Its name, to withdraw it.
    pub id: String,
    /// The card that admits; told once, when the invite is made.
    pub card: Option<String>,
    /// The same as a link.
    pub url: Option<String>,
    /// How often it still admits.
    pub uses: u32,
    /// Until when.
    pub expires: Time,
}

/// A mailbox at the relay that this node runs: a key made for this relay alone, not an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayMember {
    /// Its name.
    pub mailbox: String,
    /// Whether it is there; one that was only allowed or blocked is not.
    pub registered: bool,
    /// When it was made.
    pub since: Time,
    /// Envelopes that wait in it.
    pub envelopes: u64,
    /// Bytes that wait in it.
    pub bytes: u64,
    /// The operator's own quota for it, in envelopes.
    pub envelopes_max: Option<u64>,
    /// The operator's own quota for it, in bytes.
    pub bytes_max: Option<u64>,
    /// May register without an invite.
    pub allowed: bool,
    /// Nothing is taken for it.
    pub blocked: bool,
    /// One-time keys in its pool.
    pub prekeys: u64,
}

/// `POST /v1/relay/members`: the operator's word on a mailbox; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberWord {
    /// Which mailbox: its name, or at least six characters it begins with.
    pub mailbox: String,
    /// May register without an invite.
    #[serde(default)]
    pub allowed: Option<bool>,
    /// Nothing is taken for it.
    #[serde(default)]
    pub blocked: Option<bool>,
    /// A quota of its own.
    #[serde(default)]
    pub quota: Option<MailboxQuota>,
    /// No quota of its own any more.
    #[serde(default)]
    pub usual_quota: bool,
}

impl MemberWord {
    /// Whether it says anything that does not hold already; of a mailbox nobody has spoken of yet if none.
    pub(in crate::api) fn changes(&self, member: Option<&RelayMember>) -> bool {
        let (allowed, blocked) = member.map_or((false, false), |m| (m.allowed, m.blocked));
        let own = member.and_then(|m| m.envelopes_max.zip(m.bytes_max));
        let own = own.map(|(envelopes, bytes)| MailboxQuota { envelopes, bytes });
        self.allowed.is_some_and(|word| word != allowed)
            || self.blocked.is_some_and(|word| word != blocked)
            || self.quota.is_some_and(|quota| Some(quota) != own)
            || (self.quota.is_none() && self.usual_quota && own.is_some())
    }
}

/// How much a mailbox may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MailboxQuota {
    /// Envelopes.
    pub envelopes: u64,
    /// Bytes.
    pub bytes: u64,
}

/// How the relay that this node runs stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayStats {
    /// What it calls itself.
    pub name: String,
    /// Whether anybody may register.
    pub open: bool,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Envelopes that wait.
    pub envelopes: u64,
    /// Bytes that wait.
    pub bytes: u64,
    /// Bytes of kept descriptors.
    pub kept_bytes: u64,
    /// Connected owners of mailboxes.
    pub owners: u64,
    /// Deposits taken in since it started.
    pub deposits: u64,
    /// Requests refused since it started, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Envelopes that their owners took since it started.
    pub collected: u64,
    /// Things deleted because they had lapsed, since it started.
    pub swept: u64,
    /// Errors that the disk reported since it started.
    pub storage_errors: u64,
    /// Whether its store takes writes.
    pub storage_ok: bool,
    /// What is wrong with its clock, if anything is.
    pub clock: Option<String>,
    /// Seconds since it started.
    pub uptime_s: u64,
}
