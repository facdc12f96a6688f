//! Relays: those that hold my mail, and the one this node runs for its community.

use super::text::Time;
use serde::{Deserialize, Serialize};
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
    /// It was told to forget me.
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
