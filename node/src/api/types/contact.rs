//! People: me, contacts, requests from strangers, verification.

use super::text;
use super::text::Time;
use kith_protocol::{AccountId, DeviceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who I am and how others reach me.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// My contact code: `kith1…`.
    pub code: String,
    /// The same code as a link, with address hints: `kith:…?a=…`.
    pub url: String,
    /// My account.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountId,
    /// This device.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// The name that contacts see; may be empty.
    pub name: String,
}

/// How far a contact has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContactState {
    /// Added here; their keys are still being looked for.
    NeedsKeys,
    /// Added here, keys found; nothing has come back from them yet.
    Added,
    /// Messages have passed both ways, or both added each other.
    Connected,
    /// A stranger who wrote: waits for `contact accept` or `contact block`.
    Request,
    /// Blocked: nothing of theirs is shown.
    Blocked,
}

/// A person known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Contact {
    /// Their account.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountId,
    /// The name used here: the one given here, else the one they call themselves; may be empty.
    pub name: String,
    /// Whether that name was given here: it stays until it is changed here. One they call themselves may change.
    pub name_given: bool,
    /// What they call themselves, if they said so.
    pub own_name: Option<String>,
    /// How far it has come.
    pub state: ContactState,
    /// Whether the safety number was compared.
    pub verified: bool,
    /// Whether their identity changed since, in a way that asks for a new comparison.
    pub identity_changed: bool,
    /// When they were added or first wrote.
    pub added_at: Time,
    /// When something authentic last came from them.
    pub last_seen: Option<Time>,
    /// How many of their devices are known.
    pub devices: u32,
    /// Messages not yet read here.
    pub unread: u64,
}

/// The answer to adding somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Added {
    /// The contact as it is now.
    #[serde(flatten)]
    pub contact: Contact,
    /// False if it was known already under this name.
    pub changed: bool,
    /// The name used here before, where the contact was known and got another one.
    pub renamed_from: Option<String>,
}

/// The result of comparing safety numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verification {
    /// Whose.
    #[serde(with = "text")]
    #[schema(value_type = String)]
    pub account: AccountId,
    /// The name used here.
    pub name: String,
    /// 60 digits in groups of five, the same on both sides.
    pub safety_number: String,
    /// Whether the contact counts as verified now.
    pub verified: bool,
}

/// `POST /v1/contacts`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddContact {
    /// A contact code or link, as pasted.
    pub code: String,
    /// The name to use here.
    #[serde(default)]
    pub name: Option<String>,
}

/// `POST /v1/contacts/{who}/verify`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyContact {
    /// The digits read on the other side; without them the number is only shown.
    #[serde(default)]
    pub digits: Option<String>,
}

/// `POST /v1/contacts/{who}/rename`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameContact {
    /// The name to use here.
    pub name: String,
}

/// `POST /v1/me/name`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetName {
    /// The name that contacts see.
    pub name: String,
}
