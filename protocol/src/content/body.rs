//! The kinds of content. Must not know who says them.

use super::receipt::Receipt;
use crate::{
    SessionId,
    identity::ReachSecret,
    limits,
    prekey::HandedKey,
    proto,
    wire::{self, at_most},
};
use std::fmt;

/// Kinds on the wire.
const TEXT: u32 = 1;
const RECEIPT: u32 = 2;
const SESSION_CONTROL: u32 = 3;
const CANNOT_OPEN: u32 = 4;

/// What a content says.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// A person's words.
    Text(Text),
    /// What arrived and what was read; never acknowledged itself.
    Receipt(Receipt),
    /// What two devices tell each other to stay reachable.
    SessionControl(SessionControl),
    /// The sender could not open something.
    CannotOpen(CannotOpen),
    /// Of a kind this version does not know: kept, and shown as such.
    Unknown {
        /// Its kind.
        kind: u32,
        /// Its bytes.
        body: Vec<u8>,
    },
}

/// 1 byte to 32 KiB of UTF-8; not to be shown to a terminal uncleaned.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Accepts a text of 1 to `limits::TEXT_MAX` bytes (R-MSG-4).
    pub fn new(text: String) -> Result<Self, wire::Error> {
        match text.len() {
            0 => Err(wire::Error::OutOfBounds),
            n if n > limits::TEXT_MAX => Err(wire::Error::TooLarge { max: limits::TEXT_MAX }),
            _ => Ok(Self(text)),
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What two devices tell each other to stay reachable: every part may be absent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SessionControl {
    /// Fresh one-time keys for the peer alone, at most `limits::ONE_TIME_KEYS_HANDED`.
    pub one_time_keys: Vec<HandedKey>,
    /// The sender's new reach secret.
    pub reach_secret: Option<ReachSecret>,
    /// The name the sender goes by now; not to be shown uncleaned.
    pub name: Option<String>,
    /// The sender's newest descriptor as an encoded record.
    pub descriptor: Option<Vec<u8>>,
    /// Where the sender's mail may be left from now on: encoded passes, read by `mailbox::passes`. None left out: nowhere.
    pub mailboxes: Option<Vec<Vec<u8>>>,
}

/// The sender could not open something of ours; what it never confirmed must be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CannotOpen {
    /// The session that it could not use, if it knew one.
    pub session: Option<SessionId>,
}

impl Body {
    /// Returns the kind's number on the wire.
    pub const fn kind(&self) -> u32 {
        match self {
            Self::Text(_) => TEXT,
            Self::Receipt(_) => RECEIPT,
            Self::SessionControl(_) => SESSION_CONTROL,
            Self::CannotOpen(_) => CANNOT_OPEN,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    pub(super) fn to_wire(&self) -> (u32, Vec<u8>) {
        let body = match self {
            Self::Text(text) => wire::encode(&proto::content::Text { text: text.0.clone() }),
            Self::Receipt(receipt) => wire::encode(&receipt.to_wire()),
            Self::SessionControl(control) => wire::encode(&control.to_wire()),
            Self::CannotOpen(CannotOpen { session }) => wire::encode(&proto::content::CannotOpen {
                session_id: session.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
            }),
            Self::Unknown { body, .. } => body.clone(),
        };
        (self.kind(), body)
    }

    pub(super) fn from_wire(kind: u32, body: Vec<u8>) -> Result<Self, wire::Error> {
        match kind {
            0 => Err(wire::Error::Unknown(0)),
            TEXT => {
                let text: proto::content::Text = wire::decode(&body, limits::CONTENT_MAX)?;
                Text::new(text.text).map(Self::Text)
            }
            RECEIPT => Receipt::from_wire(&wire::decode(&body, limits::CONTENT_MAX)?).map(Self::Receipt),
            SESSION_CONTROL => {
                SessionControl::from_wire(wire::decode(&body, limits::CONTENT_MAX)?).map(Self::SessionControl)
            }
            CANNOT_OPEN => {
                let cannot: proto::content::CannotOpen = wire::decode(&body, limits::CONTENT_MAX)?;
                let session = match cannot.session_id.as_slice() {
                    [] => None,
                    id => Some(SessionId::from_bytes(wire::fixed(id)?)),
                };
                Ok(Self::CannotOpen(CannotOpen { session }))
            }
            kind => Ok(Self::Unknown { kind, body }),
        }
    }
}

impl SessionControl {
    fn to_wire(&self) -> proto::content::SessionControl {
        proto::content::SessionControl {
            one_time_keys: self.one_time_keys.iter().map(HandedKey::encode).collect(),
            reach_secret: self.reach_secret.as_ref().map(|s| s.as_bytes().to_vec()).unwrap_or_default(),
            name: self.name.clone(),
            descriptor: self.descriptor.clone().unwrap_or_default(),
            mailboxes: self.mailboxes.clone().map(|passes| proto::content::Mailboxes { passes }),
        }
    }

    fn from_wire(wire: proto::content::SessionControl) -> Result<Self, wire::Error> {
        at_most(&wire.one_time_keys, limits::ONE_TIME_KEYS_HANDED)?;
        if wire.name.as_ref().is_some_and(|n| n.len() > limits::NAME_MAX) {
            return Err(wire::Error::TooLarge { max: limits::NAME_MAX });
        }
        if wire.descriptor.len() > limits::DESCRIPTOR_MAX {
            return Err(wire::Error::TooLarge { max: limits::DESCRIPTOR_MAX });
        }
        let key = |bytes: &Vec<u8>| HandedKey::decode(bytes).map_err(|_| wire::Error::OutOfBounds);
        let one_time_keys = wire.one_time_keys.iter().map(key).collect::<Result<_, _>>()?;
        let reach_secret = match wire.reach_secret.as_slice() {
            [] => None,
            secret => Some(ReachSecret::from_bytes(wire::fixed(secret)?)),
        };
        let descriptor = Some(wire.descriptor).filter(|d| !d.is_empty());
        let mailboxes = wire.mailboxes.map(|mailboxes| mailboxes.passes);
        if let Some(passes) = &mailboxes {
            at_most(passes, limits::MAILBOXES_MAX)?;
            if passes.iter().any(|pass| pass.len() > limits::PASS_MAX) {
                return Err(wire::Error::TooLarge { max: limits::PASS_MAX });
            }
        }
        Ok(Self { one_time_keys, reach_secret, name: wire.name, descriptor, mailboxes })
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body(kind {})", self.kind())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(f, "Text({} bytes)", text.len())
    }
}

impl fmt::Debug for SessionControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { one_time_keys, reach_secret: _, name: _, descriptor: _, mailboxes: _ } = self;
        write!(f, "SessionControl({} one-time keys)", one_time_keys.len())
    }
}
