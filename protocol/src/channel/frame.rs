//! Messages as they travel: a header under the lineage's key, a body under a key of its own, committed to and signed.
//! Must not know who may send, or where frames go.

use super::{EpochId, LineageKeys, event::Event};
use crate::{
    AccountId, ChannelId, DeviceId, Fault, MessageId, Timestamp,
    crypto::{
        Secret, aead,
        kdf::{hkdf, hmac, sha256},
        label,
        sign::{Signature, SigningKey, VerifyingKey},
    },
    limits::{self, CHANNEL_FRAME_MAX, GATE_SLOT_MS},
    padding,
    proto::channel as proto,
    wire::{self, Transcript, fixed},
};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// The version and suite of frames.
pub(super) const VERSION: u32 = 1;
/// Bytes behind the padded event in a body: commitment key and signature.
pub(super) const TRAILER: usize = 32 + Signature::LEN;
/// Bytes of a sealed header: epoch, sender, generation, tag. A fixed number: the length of a header says nothing.
const HEADER: usize = 32 + 4 + 4 + aead::TAG_LEN;

/// Names a message: the hash of what its device signed. Its first 16 bytes are the id that people see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct MessageHash([u8; 32]);

impl MessageHash {
    /// Wraps raw bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Shortens it to the id that people see.
    pub fn id(&self) -> MessageId {
        MessageId::from_bytes(*self.0.first_chunk::<16>().unwrap_or(&[0; 16]))
    }
}

impl fmt::Debug for MessageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageHash({:02x?}..)", self.0.first_chunk::<4>().unwrap_or(&[0; 4]))
    }
}

/// A frame is refused; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Not in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// Altered, moved from elsewhere, or of somebody who does not have the keys.
    #[error("the frame is not authentic")]
    NotAuthentic,
    /// Sealed rightly, signed by another than it says: a member lies.
    #[error("the message is not signed by its sender")]
    BadSignature,
    /// What was to be sealed is no event that anybody would accept.
    #[error("the message cannot be sent")]
    BadEvent(#[source] wire::Error),
}

impl BadFrame {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::BadEvent(_) => Fault::Local,
            Self::Wire(_) | Self::NotAuthentic | Self::BadSignature => Fault::Peer,
        }
    }
}

/// Where a message stands: everything that its key and signature are bound to. The receiver takes it from its own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The channel.
    pub channel: ChannelId,
    /// The epoch.
    pub epoch: EpochId,
    /// Digest of those the epoch was made for.
    pub recipients: [u8; 32],
    /// The sender's account.
    pub account: AccountId,
    /// The sender's device.
    pub device: DeviceId,
    /// The message's place in the sender's chain.
    pub generation: u32,
}

/// Where a message stands, as bytes, and their hash: key and signature are over the hash.
struct Associated {
    bytes: Vec<u8>,
    hash: [u8; 32],
}

impl Context {
    fn associated(&self, slot: u32, salt: &[u8; 16]) -> Associated {
        let bytes = Transcript::new(label::CHANNEL_MESSAGE)
            .u32(VERSION)
            .field(self.channel.as_bytes())
            .field(self.epoch.as_bytes())
            .field(&self.recipients)
            .field(self.account.as_bytes())
            .field(self.device.as_bytes())
            .u32(self.generation)
            .u32(slot)
            .field(salt)
            .bytes();
        Associated { hash: sha256(&[&bytes]), bytes }
    }
}

/// Returns the ten minutes that a time lies in.
pub fn slot_of(now: Timestamp) -> u32 {
    u32::try_from(now.as_millis() / GATE_SLOT_MS).unwrap_or(u32::MAX)
}

/// What a frame's header says, under a lineage's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The epoch.
    pub epoch: EpochId,
    /// The sender's place among the epoch's senders.
    pub sender: u32,
    /// The message's place in the sender's chain.
    pub generation: u32,
}

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    slot: u32,
    salt: [u8; 16],
    header: Vec<u8>,
    body: Vec<u8>,
}

/// A message with what proves it to somebody who never had its epoch.
#[derive(Clone, PartialEq, Eq)]
pub struct Attested {
    context: Context,
    slot: u32,
    salt: [u8; 16],
    padded: Zeroizing<Vec<u8>>,
    com_key: [u8; 32],
    signature: Signature,
}

/// Seals what a device says. The seed must be the sender's own, just taken from its chain; the salt makes up for a state
/// put back from an old copy (R-CHAN-4).
pub fn seal(
    lineage: &LineageKeys,
    sender: u32,
    context: &Context,
    seed: &Secret<32>,
    event: &Event,
    key: &SigningKey,
    rng: &mut impl CryptoRng,
) -> Result<(Vec<u8>, MessageHash, Attested), BadFrame> {
    let padded = event.padded().map_err(BadFrame::BadEvent)?;
    let (attested, associated, hash) = Attested::sign(context, slot_of(event.sent_at), padded, key, rng);
    Ok((attested.seal(lineage, sender, seed, &associated).encode(), hash, attested))
}

/// What a device signs: where the message stands, and the commitment to what it says (HMAC-SHA-256 under a key inside the
/// body, so that it says nothing without the body and opens to one content alone).
fn signed(associated: &Associated, com_key: &[u8; 32], padded: &[u8]) -> Vec<u8> {
    [associated.hash.as_slice(), hmac(com_key, &[padded]).as_bytes()].concat()
}

/// Names what was signed.
fn hash_of(signed: &[u8]) -> MessageHash {
    MessageHash(Transcript::new(label::CHANNEL_MESSAGE_ID).field(signed).sha256())
}

/// Derives a message's key and nonce, bound to where it stands.
fn message_key(seed: &Secret<32>, salt: &[u8; 16], associated: &Associated) -> (Secret<32>, [u8; 12]) {
    let info = [label::CHANNEL_MESSAGE_KEY.as_bytes(), &associated.hash].concat();
    split(&hkdf(salt, seed.as_bytes(), &info))
}

pub(super) fn split(okm: &Secret<44>) -> (Secret<32>, [u8; 12]) {
    let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; 12]);
    for (to, from) in key.iter_mut().chain(nonce.iter_mut()).zip(okm.as_bytes()) {
        *to = *from;
    }
    (Secret::new(*key), nonce)
}

impl Header {
    /// Stands where a sender would, in a header of a parcel.
    pub(super) const PARCEL: u32 = u32::MAX;

    /// Says whether the frame is a parcel of operations, not a message.
    pub const fn is_parcel(&self) -> bool {
        self.sender == Self::PARCEL
    }

    fn key(lineage: &LineageKeys, slot: u32, salt: &[u8; 16]) -> (Secret<32>, [u8; 12], Vec<u8>) {
        let associated = Transcript::new(label::CHANNEL_HEADER).u32(VERSION).u32(slot).field(salt).bytes();
        let (key, nonce) = split(&hkdf(salt, lineage.header().as_bytes(), &associated));
        (key, nonce, associated)
    }

    fn seal(&self, lineage: &LineageKeys, slot: u32, salt: &[u8; 16]) -> Vec<u8> {
        let (key, nonce, associated) = Self::key(lineage, slot, salt);
        let plain =
            [self.epoch.as_bytes().as_slice(), &self.sender.to_be_bytes(), &self.generation.to_be_bytes()].concat();
        aead::seal(&key, &nonce, &associated, &plain)
    }
}

impl Frame {
    /// Decodes strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadFrame> {
        let frame: proto::Frame = wire::decode(bytes, CHANNEL_FRAME_MAX)?;
        if frame.version != VERSION {
            return Err(wire::Error::Unknown(frame.version).into());
        }
        if frame.header.len() != HEADER {
            return Err(wire::Error::FieldLength { expected: HEADER }.into());
        }
        let padded = frame.body.len().checked_sub(TRAILER + aead::TAG_LEN);
        if !padded.is_some_and(padding::is_bucket) {
            return Err(wire::Error::OutOfBounds.into());
        }
        Ok(Self { slot: frame.slot, salt: fixed(&frame.salt)?, header: frame.header, body: frame.body })
    }

    /// Puts a sealed body behind its header.
    pub(super) fn seal(lineage: &LineageKeys, slot: u32, salt: [u8; 16], header: &Header, body: Vec<u8>) -> Vec<u8> {
        Self { slot, salt, header: header.seal(lineage, slot, &salt), body }.encode()
    }

    pub(super) const fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    fn encode(self) -> Vec<u8> {
        let Self { slot, salt, header, body } = self;
        wire::encode(&proto::Frame { version: VERSION, slot, salt: salt.to_vec(), header, body })
    }

    /// Returns the ten minutes in which it was sent, as its sender says.
    pub const fn slot(&self) -> u32 {
        self.slot
    }

    /// Opens the header with a lineage's key; one failed opening says that it is of another lineage.
    pub fn header(&self, lineage: &LineageKeys) -> Result<Header, BadFrame> {
        let (key, nonce, associated) = Header::key(lineage, self.slot, &self.salt);
        let plain = aead::open(&key, &nonce, &associated, &self.header).map_err(|_| BadFrame::NotAuthentic)?;
        let (epoch, rest) = plain.split_first_chunk::<32>().ok_or(BadFrame::NotAuthentic)?;
        let (sender, generation) = rest.split_first_chunk::<4>().ok_or(BadFrame::NotAuthentic)?;
        Ok(Header {
            epoch: EpochId::from_bytes(*epoch),
            sender: u32::from_be_bytes(*sender),
            generation: u32::from_be_bytes(generation.try_into().map_err(|_| BadFrame::NotAuthentic)?),
        })
    }

    /// Opens the body with its message's seed, where the receiver knows it to stand, and checks who signed it.
    pub fn open(
        &self,
        context: &Context,
        seed: &Secret<32>,
        sender: &VerifyingKey,
    ) -> Result<(Event, MessageHash, Attested), BadFrame> {
        let associated = context.associated(self.slot, &self.salt);
        let (key, nonce) = message_key(seed, &self.salt, &associated);
        let mut plain = aead::open(&key, &nonce, &associated.bytes, &self.body).map_err(|_| BadFrame::NotAuthentic)?;
        let at = plain.len().checked_sub(TRAILER).ok_or(BadFrame::NotAuthentic)?;
        let trailer = plain.get(at..).and_then(|trailer| trailer.split_first_chunk::<32>());
        let (com_key, signature) = trailer.ok_or(BadFrame::NotAuthentic)?;
        let (com_key, signature) = (*com_key, Signature::from_slice(signature).ok_or(BadFrame::NotAuthentic)?);
        plain.truncate(at);
        let (slot, salt) = (self.slot, self.salt);
        let attested = Attested { context: *context, slot, salt, padded: plain, com_key, signature };
        let (event, hash) = attested.judge(&associated, sender)?;
        Ok((event, hash, attested))
    }
}

impl Attested {
    /// Commits to a padded event and signs where it stands and the commitment; gives its associated data and hash too.
    fn sign(
        context: &Context,
        slot: u32,
        padded: Zeroizing<Vec<u8>>,
        key: &SigningKey,
        rng: &mut impl CryptoRng,
    ) -> (Self, Associated, MessageHash) {
        let (mut salt, mut com_key) = ([0; 16], [0; 32]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut com_key);
        let associated = context.associated(slot, &salt);
        let signed = signed(&associated, &com_key, &padded);
        let signature = key.sign(label::CHANNEL_MESSAGE, &signed);
        (Self { context: *context, slot, salt, padded, com_key, signature }, associated, hash_of(&signed))
    }

    fn seal(&self, lineage: &LineageKeys, sender: u32, seed: &Secret<32>, associated: &Associated) -> Frame {
        let Self { context, slot, salt, padded, com_key, signature } = self;
        let header = Header { epoch: context.epoch, sender, generation: context.generation };
        // Never longer than this, so that no copy of it is left behind in the open.
        let mut body = Vec::with_capacity(padded.len() + TRAILER + aead::TAG_LEN);
        body.extend_from_slice(padded);
        body.extend_from_slice(com_key);
        body.extend_from_slice(signature.as_bytes());
        let (key, nonce) = message_key(seed, salt, associated);
        aead::seal_in_place(&key, &nonce, &associated.bytes, &mut body);
        Frame { slot: *slot, salt: *salt, header: header.seal(lineage, *slot, salt), body }
    }

    /// Checks who signed it, and returns what was said and its hash.
    pub fn verify(&self, sender: &VerifyingKey) -> Result<(Event, MessageHash), BadFrame> {
        self.judge(&self.context.associated(self.slot, &self.salt), sender)
    }

    fn judge(&self, associated: &Associated, sender: &VerifyingKey) -> Result<(Event, MessageHash), BadFrame> {
        let signed = signed(associated, &self.com_key, &self.padded);
        sender.verify(label::CHANNEL_MESSAGE, &signed, &self.signature).map_err(|_| BadFrame::BadSignature)?;
        let event = self.event()?;
        if slot_of(event.sent_at) != self.slot {
            return Err(wire::Error::OutOfBounds.into());
        }
        Ok((event, hash_of(&signed)))
    }

    /// Returns what was said; says nothing about who signed it.
    pub fn event(&self) -> Result<Event, wire::Error> {
        Event::decode(padding::unpad(&self.padded).ok_or(wire::Error::NotCanonical)?)
    }

    /// Returns where it stands.
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Encodes for a row or for a newcomer; the channel is known from where it is kept.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let c = &self.context;
        Zeroizing::new(wire::encode(&proto::Attested {
            epoch: c.epoch.as_bytes().to_vec(),
            recipients: c.recipients.to_vec(),
            account: c.account.as_bytes().to_vec(),
            device: c.device.as_bytes().to_vec(),
            generation: c.generation,
            slot: self.slot,
            salt: self.salt.to_vec(),
            event: self.padded.to_vec(),
            com_key: self.com_key.to_vec(),
            signature: self.signature.as_bytes().to_vec(),
        }))
    }

    /// Decodes strictly; says nothing about the signature.
    pub fn decode(channel: ChannelId, bytes: &[u8]) -> Result<Self, wire::Error> {
        let a: proto::Attested = wire::decode(bytes, limits::ATTESTED_MAX)?;
        Ok(Self {
            context: Context {
                channel,
                epoch: EpochId::from_bytes(fixed(&a.epoch)?),
                recipients: fixed(&a.recipients)?,
                account: AccountId::from_bytes(fixed(&a.account)?),
                device: DeviceId::from_bytes(fixed(&a.device)?),
                generation: a.generation,
            },
            slot: a.slot,
            salt: fixed(&a.salt)?,
            padded: Zeroizing::new(a.event),
            com_key: fixed(&a.com_key)?,
            signature: Signature(fixed(&a.signature)?),
        })
    }
}

impl fmt::Debug for Attested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { context, slot: _, salt: _, padded: _, com_key: _, signature: _ } = self;
        write!(f, "Attested({context:?}, ..)")
    }
}

#[cfg(test)]
pub(super) mod tests;
