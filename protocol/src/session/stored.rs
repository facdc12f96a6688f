//! The form in which sessions lie in a sealed row: separate from the live types, wiped when dropped.
//! Must not know how rows are sealed or encoded.

use super::{
    PeerDevice, SessionId, Sessions,
    chain::{ChainKey, MessageSeed},
    handshake::Handshake,
    opened::Opened,
    pq_step::{OurPq, PqState},
    ratchet::{ReceivingChain, SendingChain, Session, Turn},
    root::RootKey,
    skipped::{Batch, SkippedKeys},
};
use crate::{
    AccountId, DeviceId, Fault, Timestamp,
    crypto::{
        Secret,
        dh::{DhPublic, DhSecret},
        kem::{KemCiphertext, KemPublic, KemSecret},
    },
};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A stored row does not hold sessions: the store was damaged below its seal, or written by another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored sessions are malformed")]
pub struct BadStored;

impl BadStored {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        Fault::Local
    }
}

/// Sessions with one device, ready to be sealed into a row; wiped on drop, silent in `Debug`.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredSessions {
    peer: StoredDevice,
    floor: u32,
    list: Vec<StoredSession>,
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredDevice {
    account: [u8; 32],
    device: [u8; 32],
    dh: [u8; 32],
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredSession {
    transcript: [u8; 32],
    suite: u32,
    rank: u64,
    retired: bool,
    created_ms: u64,
    used_ms: u64,
    opening: Option<StoredHandshake>,
    root: [u8; 32],
    turn: StoredTurn,
    their_key: [u8; 32],
    previous: u32,
    receiving: Option<StoredReceiving>,
    closed: Vec<[u8; 32]>,
    skipped: Vec<StoredBatch>,
    pq_steps: u32,
    pq_messages: u32,
    pq_since_ms: u64,
    opened: Vec<u8>,
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredHandshake {
    suite: u32,
    sender: StoredDevice,
    recipient_account: [u8; 32],
    recipient_device: [u8; 32],
    bundle_id: [u8; 32],
    signed_prekey_id: u32,
    one_time_id: Option<u32>,
    rank: u64,
    ephemeral: [u8; 32],
    kem_ciphertext: Vec<u8>,
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
enum StoredTurn {
    Ours { offered: Option<Vec<u8>> },
    Theirs { secret: [u8; 32], key: [u8; 32], next: u32, pq: StoredPq },
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
enum StoredPq {
    None,
    Offer(Vec<u8>),
    Answer(Vec<u8>),
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredReceiving {
    ratchet_key: [u8; 32],
    key: [u8; 32],
    next: u32,
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredBatch {
    ratchet_key: [u8; 32],
    since_ms: u64,
    seeds: Vec<(u32, [u8; 32])>,
}

impl fmt::Debug for StoredSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer: _, floor: _, list } = self;
        write!(f, "StoredSessions({})", list.len())
    }
}

impl From<&Sessions> for StoredSessions {
    fn from(sessions: &Sessions) -> Self {
        let Sessions { peer, floor, list } = sessions;
        Self { peer: peer.into(), floor: *floor, list: list.iter().map(Into::into).collect() }
    }
}

impl TryFrom<&StoredSessions> for Sessions {
    type Error = BadStored;

    fn try_from(stored: &StoredSessions) -> Result<Self, BadStored> {
        Ok(Self {
            peer: (&stored.peer).try_into()?,
            floor: stored.floor,
            list: stored.list.iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&PeerDevice> for StoredDevice {
    fn from(device: &PeerDevice) -> Self {
        let PeerDevice { account, device, dh } = device;
        Self { account: *account.as_bytes(), device: *device.as_bytes(), dh: *dh.as_bytes() }
    }
}

impl TryFrom<&StoredDevice> for PeerDevice {
    type Error = BadStored;

    fn try_from(stored: &StoredDevice) -> Result<Self, BadStored> {
        Ok(Self {
            account: AccountId::from_bytes(stored.account),
            device: DeviceId::from_bytes(stored.device),
            dh: DhPublic::parse(&stored.dh).map_err(|_| BadStored)?,
        })
    }
}

impl From<&Session> for StoredSession {
    fn from(session: &Session) -> Self {
        let Session {
            id: _, // follows from the transcript
            transcript,
            suite,
            rank,
            retired,
            created,
            used,
            opening,
            root,
            turn,
            their_key,
            previous,
            receiving,
            closed,
            skipped,
            pq,
            opened,
        } = session;
        Self {
            transcript: *transcript,
            suite: *suite,
            rank: *rank,
            retired: *retired,
            created_ms: created.as_millis(),
            used_ms: used.as_millis(),
            opening: opening.as_ref().map(Into::into),
            root: *root.as_bytes(),
            turn: turn.into(),
            their_key: *their_key,
            previous: *previous,
            receiving: receiving.as_ref().map(Into::into),
            closed: closed.iter().copied().collect(),
            skipped: skipped.batches().map(Into::into).collect(),
            pq_steps: pq.steps,
            pq_messages: pq.messages,
            pq_since_ms: pq.since.as_millis(),
            opened: opened.to_bytes(),
        }
    }
}

impl TryFrom<&StoredSession> for Session {
    type Error = BadStored;

    fn try_from(stored: &StoredSession) -> Result<Self, BadStored> {
        Ok(Self {
            id: SessionId::of(&stored.transcript),
            transcript: stored.transcript,
            suite: stored.suite,
            rank: stored.rank,
            retired: stored.retired,
            created: Timestamp::from_millis(stored.created_ms),
            used: Timestamp::from_millis(stored.used_ms),
            opening: stored.opening.as_ref().map(TryInto::try_into).transpose()?,
            root: RootKey::new(Secret::new(stored.root)),
            turn: (&stored.turn).try_into()?,
            their_key: stored.their_key,
            previous: stored.previous,
            receiving: stored.receiving.as_ref().map(Into::into),
            closed: stored.closed.iter().copied().collect(),
            skipped: SkippedKeys::from_batches(stored.skipped.iter().map(Into::into).collect()),
            pq: PqState {
                steps: stored.pq_steps,
                messages: stored.pq_messages,
                since: Timestamp::from_millis(stored.pq_since_ms),
            },
            opened: Opened::from_bytes(&stored.opened),
        })
    }
}

impl From<&Handshake> for StoredHandshake {
    fn from(handshake: &Handshake) -> Self {
        Self {
            suite: handshake.suite,
            sender: (&handshake.sender).into(),
            recipient_account: *handshake.recipient_account.as_bytes(),
            recipient_device: *handshake.recipient_device.as_bytes(),
            bundle_id: handshake.bundle_id,
            signed_prekey_id: handshake.signed_prekey_id,
            one_time_id: handshake.one_time_id,
            rank: handshake.rank,
            ephemeral: *handshake.ephemeral.as_bytes(),
            kem_ciphertext: handshake.kem_ciphertext.as_bytes().to_vec(),
        }
    }
}

impl TryFrom<&StoredHandshake> for Handshake {
    type Error = BadStored;

    fn try_from(stored: &StoredHandshake) -> Result<Self, BadStored> {
        Ok(Self {
            suite: stored.suite,
            sender: (&stored.sender).try_into()?,
            recipient_account: AccountId::from_bytes(stored.recipient_account),
            recipient_device: DeviceId::from_bytes(stored.recipient_device),
            bundle_id: stored.bundle_id,
            signed_prekey_id: stored.signed_prekey_id,
            one_time_id: stored.one_time_id,
            rank: stored.rank,
            ephemeral: DhPublic::parse(&stored.ephemeral).map_err(|_| BadStored)?,
            kem_ciphertext: KemCiphertext::parse(&stored.kem_ciphertext).map_err(|_| BadStored)?,
        })
    }
}

impl From<&Turn> for StoredTurn {
    fn from(turn: &Turn) -> Self {
        match turn {
            Turn::Ours { offered } => Self::Ours { offered: offered.as_ref().map(KemPublic::to_bytes) },
            Turn::Theirs(SendingChain { secret, key, next, pq }) => Self::Theirs {
                secret: *secret.to_bytes().as_bytes(),
                key: *key.as_bytes(),
                next: *next,
                pq: match pq {
                    OurPq::None => StoredPq::None,
                    OurPq::Offer(secret) => StoredPq::Offer(secret.to_seed().as_bytes().to_vec()),
                    OurPq::Answer(ciphertext) => StoredPq::Answer(ciphertext.as_bytes().to_vec()),
                },
            },
        }
    }
}

impl TryFrom<&StoredTurn> for Turn {
    type Error = BadStored;

    fn try_from(stored: &StoredTurn) -> Result<Self, BadStored> {
        match stored {
            StoredTurn::Ours { offered } => {
                let offered = offered.as_ref().map(|key| KemPublic::parse(key)).transpose();
                Ok(Self::Ours { offered: offered.map_err(|_| BadStored)? })
            }
            StoredTurn::Theirs { secret, key, next, pq } => Ok(Self::Theirs(SendingChain {
                secret: DhSecret::from_bytes(*secret),
                key: ChainKey::new(Secret::new(*key)),
                next: *next,
                pq: match pq {
                    StoredPq::None => OurPq::None,
                    StoredPq::Offer(seed) => {
                        OurPq::Offer(KemSecret::from_seed(Secret::from_slice(seed).ok_or(BadStored)?))
                    }
                    StoredPq::Answer(bytes) => OurPq::Answer(KemCiphertext::parse(bytes).map_err(|_| BadStored)?),
                },
            })),
        }
    }
}

impl From<&ReceivingChain> for StoredReceiving {
    fn from(chain: &ReceivingChain) -> Self {
        let ReceivingChain { ratchet_key, key, next } = chain;
        Self { ratchet_key: *ratchet_key, key: *key.as_bytes(), next: *next }
    }
}

impl From<&StoredReceiving> for ReceivingChain {
    fn from(stored: &StoredReceiving) -> Self {
        Self { ratchet_key: stored.ratchet_key, key: ChainKey::new(Secret::new(stored.key)), next: stored.next }
    }
}

impl From<&Batch> for StoredBatch {
    fn from(batch: &Batch) -> Self {
        Self {
            ratchet_key: batch.ratchet_key,
            since_ms: batch.since.as_millis(),
            seeds: batch.seeds.iter().map(|(number, seed)| (*number, *seed.as_bytes())).collect(),
        }
    }
}

impl From<&StoredBatch> for Batch {
    fn from(stored: &StoredBatch) -> Self {
        Self {
            ratchet_key: stored.ratchet_key,
            since: Timestamp::from_millis(stored.since_ms),
            seeds: stored.seeds.iter().map(|(n, seed)| (*n, MessageSeed::new(Secret::new(*seed)))).collect(),
        }
    }
}
