//! What members say in a channel. Must not know keys, frames or rights.

use super::{MessageHash, OpId};
use crate::{
    AccountId, DeviceId, MessageId, Timestamp,
    content::Text,
    limits::{self, CHANNEL_PARENTS_MAX, EMOJI_MAX, MENTIONS_MAX, REACHED_MAX},
    padding,
    proto::channel as proto,
    wire::{self, Extensions, at_most, fixed},
};
use prost::Message;
use std::{collections::BTreeMap, fmt};
use zeroize::Zeroizing;

/// The version of events.
const VERSION: u32 = 1;
/// Kinds on the wire.
const TEXT: u32 = 1;
const EDIT: u32 = 2;
const DELETE: u32 = 3;
const REACT: u32 = 4;
const PIN: u32 = 5;
const SEEN: u32 = 6;

/// One thing said by one device.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number among what this device said in this channel: from 1, consecutive.
    pub sequence: u64,
    /// What this device said before it here.
    pub previous: Option<MessageHash>,
    /// The operations the sender had seen last, in order.
    pub heads: Vec<OpId>,
    /// When, as the sender says.
    pub sent_at: Timestamp,
    /// Milliseconds after which readers forget it; nothing if never.
    pub expires_after_ms: Option<u64>,
    /// What is said.
    pub saying: Saying,
    /// What later versions add.
    pub extensions: Extensions,
}

/// What an event says.
#[derive(Clone, PartialEq, Eq)]
pub enum Saying {
    /// Words.
    Text {
        /// The words.
        text: Text,
        /// What they answer.
        reply_to: Option<MessageId>,
        /// Who is to notice, in order.
        mentions: Vec<AccountId>,
    },
    /// Other words for something said before.
    Edit {
        /// What.
        target: MessageId,
        /// The words.
        text: Text,
    },
    /// Something said before is not to be shown.
    Delete {
        /// What.
        target: MessageId,
    },
    /// A reaction, or the end of one.
    React {
        /// To what.
        target: MessageId,
        /// A few characters.
        emoji: String,
        /// Whether from now on.
        on: bool,
    },
    /// A pin, or the end of one.
    Pin {
        /// What.
        target: MessageId,
        /// Whether from now on.
        on: bool,
    },
    /// How far this device has what others said.
    Seen(BTreeMap<DeviceId, Reached>),
    /// Of a kind this version does not know: kept, and shown as such.
    Unknown {
        /// Its kind.
        kind: u32,
        /// Its bytes.
        body: Vec<u8>,
    },
}

/// Everything that a device said, from one number up to another: who came in later never had what was said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The first number.
    pub from: u64,
    /// The last number.
    pub sequence: u64,
    /// Up to which number a person read it; 0 if nothing, or if that is not told.
    pub read: u64,
}

impl Event {
    /// Encodes into the one spelling; refuses what would not come back from [`Event::decode`] as it is.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, wire::Error> {
        Ok(Zeroizing::new(wire::encode(&self.checked_wire()?)))
    }

    /// Encodes, padded to a bucket's length.
    pub(super) fn padded(&self) -> Result<Zeroizing<Vec<u8>>, wire::Error> {
        padding::pad_message(&self.checked_wire()?).ok_or(wire::Error::TooLarge { max: limits::CONTENT_MAX })
    }

    /// Decodes strictly; an unknown kind is kept as it came.
    pub fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let event: proto::Event = wire::decode(bytes, limits::CONTENT_MAX)?;
        if event.version != VERSION {
            return Err(wire::Error::Unknown(event.version));
        }
        let event = Self {
            sequence: event.sequence,
            previous: match event.previous.as_slice() {
                [] => None,
                hash => Some(MessageHash::from_bytes(fixed(hash)?)),
            },
            heads: event.heads.iter().map(|h| fixed(h).map(OpId::from_bytes)).collect::<Result<_, _>>()?,
            sent_at: Timestamp::from_millis(event.sent_at_ms),
            expires_after_ms: Some(event.expires_after_ms).filter(|ms| *ms > 0),
            saying: Saying::from_wire(event.kind, event.body)?,
            extensions: Extensions::from_wire(event.extensions, &[])?,
        };
        event.check()?;
        Ok(event)
    }

    /// Checks what holds for every event, whether it comes or goes.
    fn check(&self) -> Result<(), wire::Error> {
        let Self { sequence, previous, heads, sent_at: _, expires_after_ms, saying, extensions: _ } = self;
        if *sequence == 0 || heads.is_empty() || (*sequence == 1) != previous.is_none() {
            return Err(wire::Error::OutOfBounds);
        }
        at_most(heads, CHANNEL_PARENTS_MAX)?;
        if !heads.is_sorted_by(|a, b| a < b) || *expires_after_ms == Some(0) {
            return Err(wire::Error::NotCanonical);
        }
        saying.check()
    }

    fn checked_wire(&self) -> Result<proto::Event, wire::Error> {
        self.check()?;
        let (kind, body) = self.saying.to_wire();
        let event = proto::Event {
            version: VERSION,
            sequence: self.sequence,
            previous: self.previous.map(|h| h.as_bytes().to_vec()).unwrap_or_default(),
            heads: self.heads.iter().map(|h| h.as_bytes().to_vec()).collect(),
            sent_at_ms: self.sent_at.as_millis(),
            expires_after_ms: self.expires_after_ms.unwrap_or(0),
            kind,
            body,
            extensions: self.extensions.to_wire(),
        };
        if event.encoded_len() > limits::CONTENT_MAX {
            return Err(wire::Error::TooLarge { max: limits::CONTENT_MAX });
        }
        Ok(event)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, previous: _, heads: _, sent_at: _, expires_after_ms: _, saying: _, extensions: _ } = self;
        write!(f, "Event({sequence}, ..)")
    }
}

fn target(bytes: &[u8]) -> Result<MessageId, wire::Error> {
    Ok(MessageId::from_bytes(fixed(bytes)?))
}

impl Saying {
    fn from_wire(kind: u32, body: Vec<u8>) -> Result<Self, wire::Error> {
        const MAX: usize = limits::CONTENT_MAX;
        Ok(match kind {
            TEXT => {
                let said: proto::Said = wire::decode(&body, MAX)?;
                let mentions =
                    said.mentions.iter().map(|m| fixed(m).map(AccountId::from_bytes)).collect::<Result<_, _>>()?;
                let reply_to = Some(&said.reply_to).filter(|id| !id.is_empty()).map(|id| target(id)).transpose()?;
                Self::Text { text: Text::new(said.text)?, reply_to, mentions }
            }
            EDIT => {
                let edited: proto::Edited = wire::decode(&body, MAX)?;
                Self::Edit { target: target(&edited.target)?, text: Text::new(edited.text)? }
            }
            DELETE => Self::Delete { target: target(&wire::decode::<proto::Deleted>(&body, MAX)?.target)? },
            REACT => {
                let reacted: proto::Reacted = wire::decode(&body, MAX)?;
                Self::React { target: target(&reacted.target)?, emoji: reacted.emoji, on: reacted.on }
            }
            PIN => {
                let pinned: proto::Pinned = wire::decode(&body, MAX)?;
                Self::Pin { target: target(&pinned.target)?, on: pinned.on }
            }
            SEEN => {
                let seen: proto::Seen = wire::decode(&body, MAX)?;
                at_most(&seen.reached, REACHED_MAX)?;
                let mut reached = BTreeMap::new();
                for r in &seen.reached {
                    let device = DeviceId::from_bytes(fixed(&r.device)?);
                    if reached.last_key_value().is_some_and(|(last, _)| *last >= device) {
                        return Err(wire::Error::NotCanonical);
                    }
                    reached.insert(device, Reached { from: r.from, sequence: r.sequence, read: r.read });
                }
                Self::Seen(reached)
            }
            kind => Self::Unknown { kind, body },
        })
    }

    fn check(&self) -> Result<(), wire::Error> {
        let fine = match self {
            Self::Text { mentions, .. } => {
                at_most(mentions, MENTIONS_MAX)?;
                if !mentions.is_sorted_by(|a, b| a < b) {
                    return Err(wire::Error::NotCanonical);
                }
                true
            }
            Self::React { emoji, .. } => (1..=EMOJI_MAX).contains(&emoji.len()),
            // Numbers begin at 1: nothing seen is nothing said.
            Self::Seen(reached) if reached.len() > REACHED_MAX => {
                return Err(wire::Error::TooMany { max: REACHED_MAX });
            }
            Self::Seen(reached) => {
                let possible = |r: &Reached| 0 < r.from && r.from <= r.sequence && r.read <= r.sequence;
                !reached.is_empty() && reached.values().all(possible)
            }
            Self::Unknown { kind: 0, .. } => return Err(wire::Error::Unknown(0)),
            // What this version knows would come back as that.
            Self::Unknown { kind, .. } if *kind <= SEEN => return Err(wire::Error::NotCanonical),
            Self::Edit { .. } | Self::Delete { .. } | Self::Pin { .. } | Self::Unknown { .. } => true,
        };
        if fine { Ok(()) } else { Err(wire::Error::OutOfBounds) }
    }

    fn to_wire(&self) -> (u32, Vec<u8>) {
        match self {
            Self::Text { text, reply_to, mentions } => (
                TEXT,
                wire::encode(&proto::Said {
                    text: text.as_str().to_owned(),
                    reply_to: reply_to.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
                    mentions: mentions.iter().map(|m| m.as_bytes().to_vec()).collect(),
                }),
            ),
            Self::Edit { target, text } => (
                EDIT,
                wire::encode(&proto::Edited { target: target.as_bytes().to_vec(), text: text.as_str().to_owned() }),
            ),
            Self::Delete { target } => (DELETE, wire::encode(&proto::Deleted { target: target.as_bytes().to_vec() })),
            Self::React { target, emoji, on } => (
                REACT,
                wire::encode(&proto::Reacted { target: target.as_bytes().to_vec(), emoji: emoji.clone(), on: *on }),
            ),
            Self::Pin { target, on } => {
                (PIN, wire::encode(&proto::Pinned { target: target.as_bytes().to_vec(), on: *on }))
            }
            Self::Seen(reached) => {
                let wire = |(device, r): (&DeviceId, &Reached)| proto::Reached {
                    device: device.as_bytes().to_vec(),
                    from: r.from,
                    sequence: r.sequence,
                    read: r.read,
                };
                (SEEN, wire::encode(&proto::Seen { reached: reached.iter().map(wire).collect() }))
            }
            Self::Unknown { kind, body } => (*kind, body.clone()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
