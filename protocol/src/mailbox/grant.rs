//! Grants: the owner's signed word on who may leave how much in a mailbox until when. A relay checks them with the mailbox
//! key and nothing else. Must not know sessions or who a person is.

use crate::{
    Fault, MailboxId, Timestamp,
    crypto::{
        label,
        sign::{SigningKey, VerifyingKey},
    },
    limits, proto,
    wire::{self, Signed},
};

/// The version of grants this program writes and reads.
const VERSION: u32 = 1;

/// Who a grant lets in. The number stands on the wire, in tags and in a relay's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Class {
    /// Somebody the owner wrote with: proves a key.
    Contact,
    /// A member of a channel of the owner's: proves a key.
    Member,
    /// Whoever holds the contact code: the grant itself is the proof, and opens a small box.
    Stranger,
}

impl Class {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Contact, Self::Member, Self::Stranger];

    /// The number that stands for it.
    pub const fn number(self) -> u32 {
        match self {
            Self::Contact => 1,
            Self::Member => 2,
            Self::Stranger => 3,
        }
    }

    /// Reads a number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.number() == number)
    }
}

/// The bytes are no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Not a grant in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// A key in it is none, or it names a depositor where its class has none, or none where its class has one.
    #[error("a grant with an unusable key")]
    BadKey,
    /// The mailbox did not sign it.
    #[error("the grant is not the mailbox's")]
    BadSignature,
}

impl GrantError {
    /// Says who is to blame: who showed it.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// What a grant says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who may.
    pub class: Class,
    /// Names it in its mailbox: what is revoked is a number.
    pub serial: u64,
    /// Until when.
    pub until: Timestamp,
    /// Envelopes that may lie there under it at once.
    pub envelopes: u64,
    /// Bytes that may lie there under it at once.
    pub bytes: u64,
    /// Whose key proves it; none for strangers.
    pub depositor: Option<VerifyingKey>,
}

/// A grant that its mailbox signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which mailbox.
    pub mailbox: MailboxId,
    /// What it says.
    pub terms: Terms,
    signed: Signed,
}

impl Grant {
    /// Signs a grant with the mailbox's key.
    pub fn issue(mailbox: &SigningKey, terms: Terms) -> Self {
        let id = MailboxId::from_bytes(*mailbox.public().as_bytes());
        let payload = wire::encode(&proto::mailbox::Grant {
            version: VERSION,
            mailbox: id.as_bytes().to_vec(),
            class: terms.class.number(),
            serial: terms.serial,
            until_ms: terms.until.as_millis(),
            envelopes: terms.envelopes,
            bytes: terms.bytes,
            depositor: terms.depositor.map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
        });
        Self { mailbox: id, terms, signed: Signed::sign(label::GRANT, payload, mailbox) }
    }

    /// Decodes strictly and checks the mailbox's signature (R-MBX-2). Whether it has ended or was revoked is for the relay.
    pub fn verify(bytes: &[u8]) -> Result<Self, GrantError> {
        let signed = Signed::decode(bytes, limits::GRANT_MAX)?;
        let wire: proto::mailbox::Grant = wire::decode(&signed.payload, limits::GRANT_MAX)?;
        if wire.version != VERSION {
            return Err(wire::Error::Unknown(wire.version).into());
        }
        let class = Class::from_number(wire.class).ok_or(wire::Error::Unknown(wire.class))?;
        let mailbox = VerifyingKey::parse(&wire.mailbox).map_err(|_| GrantError::BadKey)?;
        let depositor = match (class, wire.depositor.as_slice()) {
            (Class::Stranger, []) => None,
            (Class::Contact | Class::Member, key) => Some(VerifyingKey::parse(key).map_err(|_| GrantError::BadKey)?),
            (Class::Stranger, _) => return Err(GrantError::BadKey),
        };
        signed.verify(label::GRANT, &mailbox).map_err(|_| GrantError::BadSignature)?;
        let terms = Terms {
            class,
            serial: wire.serial,
            until: Timestamp::from_millis(wire.until_ms),
            envelopes: wire.envelopes,
            bytes: wire.bytes,
            depositor,
        };
        Ok(Self { mailbox: MailboxId::from_bytes(*mailbox.as_bytes()), terms, signed })
    }

    /// Encodes it as it was signed.
    pub fn encode(&self) -> Vec<u8> {
        self.signed.encode()
    }
}
