//! What a relay answers. Only a welcome and a custody receipt are signed; the rest is believed as far as the transport's
//! own authentication of the relay goes, and nothing that must not be lost rests on it.
//! Must not know how a relay decides.

use super::{
    Nonce, Reason, Refusal,
    ask::{Hello, KEPT_IDS_MAX},
};
use crate::{
    Fault, RelayId, Timestamp,
    crypto::{
        label,
        sign::{SigningKey, VerifyingKey},
    },
    limits::{ENVELOPE_MAX, KEPT_MAX, NAME_MAX, PAGE_ITEMS_MAX, PEER_ID_MAX, POOL_KEY_MAX, RELAY_ANSWER_MAX},
    proto::mailbox as proto,
    wire::{self, Signed, at_most, fixed},
};

/// The version of answers this program writes and reads.
const VERSION: u32 = 1;
/// Largest encoded welcome in bytes: names, numbers, signature.
const WELCOME_MAX: usize = 384;

/// Kinds on the wire.
mod kind {
    pub(super) const REFUSED: u32 = 1;
    pub(super) const WELCOME: u32 = 2;
    pub(super) const REGISTERED: u32 = 3;
    pub(super) const CUSTODY: u32 = 4;
    pub(super) const PAGE: u32 = 5;
    pub(super) const DELETED: u32 = 6;
    pub(super) const PREKEYS: u32 = 7;
    pub(super) const PREKEY: u32 = 8;
    pub(super) const DONE: u32 = 9;
    pub(super) const KEPT: u32 = 10;
    pub(super) const AUDITED: u32 = 11;
}

/// How a mailbox stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// Whether it was made now: whatever it held before is gone.
    pub new: bool,
    /// Its quota.
    pub envelopes: u64,
    /// Its quota in bytes.
    pub bytes: u64,
    /// What lies in it.
    pub used_envelopes: u64,
    /// What lies in it, in bytes.
    pub used_bytes: u64,
    /// One-time keys in its pool.
    pub prekeys: u64,
}

/// One envelope of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its place: ask for what lies behind it to go on.
    pub cursor: u64,
    /// Until when the relay keeps it.
    pub until: Timestamp,
    /// The envelope.
    pub envelope: Vec<u8>,
}

/// Envelopes of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of their places.
    pub items: Vec<Item>,
    /// Whether more lies behind the last one.
    pub more: bool,
    /// One-time keys in the pool: few ask for more.
    pub prekeys: u64,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audited {
    /// Here it is.
    Held(Vec<u8>),
    /// Its owner took it.
    Collected,
    /// It is not here.
    Absent,
}

/// A relay's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No.
    Refused(Refusal),
    /// A signed [`Welcome`], to be read by [`Welcome::verify`].
    Welcome(Vec<u8>),
    /// The mailbox is there.
    Registered(Registered),
    /// A signed [`super::Custody`], to be read by [`super::Custody::verify`].
    Custody(Vec<u8>),
    /// Envelopes.
    Page(Page),
    /// What was acknowledged is gone.
    Deleted {
        /// Deleted now.
        deleted: u64,
        /// Was not in this mailbox.
        absent: u64,
    },
    /// One-time keys in the pool now.
    Prekeys(u64),
    /// A signed one-time key, if one is left.
    Prekey(Option<Vec<u8>>),
    /// Carried out.
    Done,
    /// Kept descriptors, one for each name asked.
    Kept(Vec<Option<Vec<u8>>>),
    /// What an audit found.
    Audited(Audited),
}

impl Answer {
    /// Encodes into the one spelling.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Refused(refusal) => (
                kind::REFUSED,
                wire::encode(&proto::Refused {
                    reason: refusal.reason.number(),
                    retry_after_ms: refusal.retry_after_ms,
                    nonce: refusal.nonce.map(|nonce| nonce.0.to_vec()).unwrap_or_default(),
                }),
            ),
            Self::Welcome(signed) => (kind::WELCOME, signed.clone()),
            Self::Registered(r) => (
                kind::REGISTERED,
                wire::encode(&proto::Registered {
                    new: r.new,
                    envelopes: r.envelopes,
                    bytes: r.bytes,
                    used_envelopes: r.used_envelopes,
                    used_bytes: r.used_bytes,
                    prekeys: r.prekeys,
                }),
            ),
            Self::Custody(signed) => (kind::CUSTODY, signed.clone()),
            Self::Page(page) => {
                let item = |i: &Item| proto::Item {
                    cursor: i.cursor,
                    until_ms: i.until.as_millis(),
                    envelope: i.envelope.clone(),
                };
                let items = page.items.iter().map(item).collect();
                (kind::PAGE, wire::encode(&proto::Page { items, more: page.more, prekeys: page.prekeys }))
            }
            Self::Deleted { deleted, absent } => {
                (kind::DELETED, wire::encode(&proto::Deleted { deleted: *deleted, absent: *absent }))
            }
            Self::Prekeys(count) => (kind::PREKEYS, wire::encode(&proto::Prekeys { count: *count })),
            Self::Prekey(key) => (kind::PREKEY, wire::encode(&proto::Prekey { key: key.clone().unwrap_or_default() })),
            Self::Done => (kind::DONE, Vec::new()),
            Self::Kept(found) => {
                let sealed = found.iter().map(|sealed| sealed.clone().unwrap_or_default()).collect();
                (kind::KEPT, wire::encode(&proto::KeptAnswer { sealed }))
            }
            Self::Audited(audited) => {
                let (state, envelope) = match audited {
                    Audited::Held(envelope) => (1, envelope.clone()),
                    Audited::Collected => (2, Vec::new()),
                    Audited::Absent => (3, Vec::new()),
                };
                (kind::AUDITED, wire::encode(&proto::Audited { state, envelope }))
            }
        };
        wire::encode(&proto::Answer { version: VERSION, kind, body })
    }

    /// Decodes strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let proto::Answer { version, kind, body } = wire::decode(bytes, RELAY_ANSWER_MAX)?;
        if version != VERSION {
            return Err(wire::Error::Unknown(version));
        }
        let max = RELAY_ANSWER_MAX;
        match kind {
            kind::REFUSED => {
                let wire: proto::Refused = wire::decode(&body, max)?;
                let nonce = match wire.nonce.as_slice() {
                    [] => None,
                    nonce => Some(Nonce(fixed(nonce)?)),
                };
                let reason = Reason::from_number(wire.reason)?;
                Ok(Self::Refused(Refusal { reason, retry_after_ms: wire.retry_after_ms, nonce }))
            }
            kind::WELCOME => Ok(Self::Welcome(body)),
            kind::REGISTERED => {
                let r: proto::Registered = wire::decode(&body, max)?;
                Ok(Self::Registered(Registered {
                    new: r.new,
                    envelopes: r.envelopes,
                    bytes: r.bytes,
                    used_envelopes: r.used_envelopes,
                    used_bytes: r.used_bytes,
                    prekeys: r.prekeys,
                }))
            }
            kind::CUSTODY => Ok(Self::Custody(body)),
            kind::PAGE => {
                let wire: proto::Page = wire::decode(&body, max)?;
                at_most(&wire.items, PAGE_ITEMS_MAX)?;
                if wire.items.iter().any(|i| i.envelope.is_empty() || i.envelope.len() > ENVELOPE_MAX) {
                    return Err(wire::Error::OutOfBounds);
                }
                let item = |i: proto::Item| Item {
                    cursor: i.cursor,
                    until: Timestamp::from_millis(i.until_ms),
                    envelope: i.envelope,
                };
                let items = wire.items.into_iter().map(item).collect();
                Ok(Self::Page(Page { items, more: wire.more, prekeys: wire.prekeys }))
            }
            kind::DELETED => {
                let proto::Deleted { deleted, absent } = wire::decode(&body, max)?;
                Ok(Self::Deleted { deleted, absent })
            }
            kind::PREKEYS => Ok(Self::Prekeys(wire::decode::<proto::Prekeys>(&body, max)?.count)),
            kind::PREKEY => {
                let key = wire::decode::<proto::Prekey>(&body, max)?.key;
                if key.len() > POOL_KEY_MAX {
                    return Err(wire::Error::TooLarge { max: POOL_KEY_MAX });
                }
                Ok(Self::Prekey(Some(key).filter(|key| !key.is_empty())))
            }
            kind::DONE if body.is_empty() => Ok(Self::Done),
            kind::KEPT => {
                let sealed = wire::decode::<proto::KeptAnswer>(&body, max)?.sealed;
                at_most(&sealed, KEPT_IDS_MAX)?;
                if sealed.iter().any(|s| s.len() > KEPT_MAX) {
                    return Err(wire::Error::TooLarge { max: KEPT_MAX });
                }
                Ok(Self::Kept(sealed.into_iter().map(|s| Some(s).filter(|s| !s.is_empty())).collect()))
            }
            kind::AUDITED => {
                let wire: proto::Audited = wire::decode(&body, max)?;
                match (wire.state, wire.envelope.len()) {
                    (1, 1..=ENVELOPE_MAX) => Ok(Self::Audited(Audited::Held(wire.envelope))),
                    (2, 0) => Ok(Self::Audited(Audited::Collected)),
                    (3, 0) => Ok(Self::Audited(Audited::Absent)),
                    _ => Err(wire::Error::OutOfBounds),
                }
            }
            other => Err(wire::Error::Unknown(other)),
        }
    }
}

/// A relay's word on who it is and what it offers, bound to the challenge and to the transport name it answers under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Which relay.
    pub relay: RelayId,
    /// The nonce of this asker.
    pub nonce: Nonce,
    /// The relay's transport name: one that only passes questions on has another.
    pub peer: String,
    /// What its clock shows.
    pub now: Timestamp,
    /// Anybody may register.
    pub open: bool,
    /// What it calls itself; not to be shown uncleaned.
    pub name: String,
    /// Longest time an envelope is kept, in milliseconds.
    pub ttl_ms: u64,
    /// Quota of a mailbox.
    pub envelopes: u64,
    /// Quota of a mailbox in bytes.
    pub bytes: u64,
}

/// A welcome is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WelcomeError {
    /// Not a welcome in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// It answers another challenge, or under another transport name.
    #[error("the welcome answers another question")]
    Replayed,
    /// Another relay's.
    #[error("another relay answers there")]
    OtherRelay,
    /// The relay did not sign it.
    #[error("the relay did not sign its welcome")]
    BadSignature,
}

impl WelcomeError {
    /// Says who is to blame: who answered.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

impl Welcome {
    /// Signs the answer to a hello.
    pub fn sign(&self, key: &SigningKey, hello: &Hello) -> Answer {
        let payload = wire::encode(&proto::Welcome {
            version: VERSION,
            relay: self.relay.as_bytes().to_vec(),
            challenge: hello.challenge.to_vec(),
            nonce: self.nonce.0.to_vec(),
            peer: self.peer.as_bytes().to_vec(),
            now_ms: self.now.as_millis(),
            open: self.open,
            name: self.name.clone(),
            ttl_ms: self.ttl_ms,
            envelopes: self.envelopes,
            bytes: self.bytes,
        });
        Answer::Welcome(Signed::sign(label::WELCOME, payload, key).encode())
    }

    /// Checks that the wanted relay signed it, for this challenge, under this transport name (R-MBX-4).
    pub fn verify(bytes: &[u8], relay: &RelayId, hello: &Hello, peer: &str) -> Result<Self, WelcomeError> {
        let signed = Signed::decode(bytes, WELCOME_MAX)?;
        let wire: proto::Welcome = wire::decode(&signed.payload, WELCOME_MAX)?;
        if wire.version != VERSION {
            return Err(wire::Error::Unknown(wire.version).into());
        }
        if wire.relay != relay.as_bytes() {
            return Err(WelcomeError::OtherRelay);
        }
        let key = VerifyingKey::parse(relay.as_bytes()).map_err(|_| WelcomeError::BadSignature)?;
        signed.verify(label::WELCOME, &key).map_err(|_| WelcomeError::BadSignature)?;
        if wire.challenge != hello.challenge || wire.peer != peer.as_bytes() {
            return Err(WelcomeError::Replayed);
        }
        if wire.name.len() > NAME_MAX || peer.len() > PEER_ID_MAX {
            return Err(wire::Error::OutOfBounds.into());
        }
        Ok(Self {
            relay: *relay,
            nonce: Nonce(fixed(&wire.nonce)?),
            peer: peer.to_owned(),
            now: Timestamp::from_millis(wire.now_ms),
            open: wire.open,
            name: wire.name,
            ttl_ms: wire.ttl_ms,
            envelopes: wire.envelopes,
            bytes: wire.bytes,
        })
    }
}
