//! The rekey blob: a fresh epoch's secrets, sealed once to each device that shall have them. Each fetches its own item from
//! whoever holds it and checks it against the signed operation alone. Must not know who is a member, or how items travel.

mod tree;

#[cfg(test)]
mod tests;

use crate::crypto::hpke::{LEAF_ENC_LEN, LeafPublic, LeafSecret, open_by_leaf, seal_to_leaf};
use crate::{
    DeviceId, Fault, LeafKeyId,
    crypto::{Secret, kdf::sha256, label},
    limits::{REKEY_ITEM_MAX, REKEY_PROOF_MAX, REKEY_RECIPIENTS_MAX},
    proto,
    wire::{self, Transcript, at_most, fixed},
};
use rand_core::CryptoRng;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use tree::{Hash, Tree};
use zeroize::Zeroizing;

/// The version of items this program writes and reads.
const VERSION: u32 = 1;
/// What is sealed, in bytes: both secrets.
const PLAINTEXT: usize = 64;
/// Length of an item's ciphertext in bytes: both secrets and the tag.
const CIPHERTEXT: usize = PLAINTEXT + 16;

impl LeafKeyId {
    /// Names a leaf key.
    pub fn of(key: &LeafPublic) -> Self {
        let hash = Transcript::new(label::LEAF_KEY_ID).field(key.as_bytes()).sha256();
        Self::from_bytes(hash.first_chunk().copied().unwrap_or_default())
    }
}

/// What a fresh epoch begins with: two secrets that follow from nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochSecrets {
    /// Keys of the epoch's messages follow from it.
    pub epoch: Secret<32>,
    /// Topic and gate key follow from it; joins do not change it.
    pub lineage: Secret<32>,
}

impl EpochSecrets {
    /// Draws both.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self { epoch: Secret::random(rng), lineage: Secret::random(rng) }
    }

    /// Commits to both; the signed operation pins it, so that no two devices are given different ones unnoticed (R-BLOB-4).
    pub fn commit(&self) -> [u8; 32] {
        // A transcript, hashed in parts, so that no copy of a secret is left behind.
        let (start, length) = (Transcript::new(label::EPOCH_COMMIT).bytes(), 32u64.to_be_bytes());
        sha256(&[&start, &length, self.epoch.as_bytes(), &length, self.lineage.as_bytes()])
    }

    fn join(&self) -> Zeroizing<[u8; PLAINTEXT]> {
        let mut joined = Zeroizing::new([0; PLAINTEXT]);
        for (to, from) in joined.iter_mut().zip(self.epoch.as_bytes().iter().chain(self.lineage.as_bytes())) {
            *to = *from;
        }
        joined
    }

    fn split(joined: &[u8]) -> Option<Self> {
        let (epoch, lineage) = joined.split_at_checked(PLAINTEXT / 2)?;
        Some(Self { epoch: Secret::from_slice(epoch)?, lineage: Secret::from_slice(lineage)? })
    }
}

impl fmt::Debug for EpochSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch: _, lineage: _ } = self;
        f.write_str("EpochSecrets(..)")
    }
}

/// Hashes a set of devices: its size and every id, ascending (R-BLOB-3).
pub fn recipients_digest(devices: &BTreeSet<DeviceId>) -> [u8; 32] {
    digest(devices.len(), devices.iter())
}

fn digest<'a>(count: usize, ascending: impl Iterator<Item = &'a DeviceId>) -> [u8; 32] {
    let start = Transcript::new(label::RECIPIENTS).u64(count as u64);
    ascending.fold(start, |t, device| t.field(device.as_bytes())).sha256()
}

/// What the signed operation pins of a blob: enough to check any item of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pins {
    /// Names the rekey: a hash of the operation's other fields, so that no item fits another one.
    pub context: [u8; 32],
    /// Digest of the devices it is sealed to.
    pub recipients: [u8; 32],
    /// How many they are.
    pub count: u32,
    /// Root of the tree of items.
    pub root: [u8; 32],
    /// Commitment to the secrets.
    pub commit: [u8; 32],
}

/// The devices that the operation names are not those that it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fresh epoch is sealed to other devices than the members'")]
pub struct WrongRecipients;

impl WrongRecipients {
    /// Says who is to blame: the operation's author.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

impl Pins {
    /// Checks that exactly these devices are sealed to, none added and none dropped, and returns the place of the item of
    /// one of them; nothing if that one is not among them (R-BLOB-3).
    pub fn place(&self, members: &BTreeSet<DeviceId>, device: &DeviceId) -> Result<Option<u32>, WrongRecipients> {
        if usize::try_from(self.count) != Ok(members.len()) || self.recipients != recipients_digest(members) {
            return Err(WrongRecipients);
        }
        Ok((0..).zip(members).find(|(_, member)| *member == device).map(|(index, _)| index))
    }
}

/// A blob could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is nobody to seal to.
    #[error("an epoch for nobody")]
    Empty,
    /// More devices than an epoch can have.
    #[error("too many devices for an epoch: at most {}", REKEY_RECIPIENTS_MAX)]
    TooMany,
    /// A leaf key is none.
    #[error("bad leaf key")]
    BadLeafKey,
}

impl SealError {
    /// Says who is to blame: whoever asked for it; leaf keys were checked when they were parsed.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Empty | Self::TooMany => Fault::Local,
            Self::BadLeafKey => Fault::Bug,
        }
    }
}

/// A blob as its author has it: what to sign, and the items to hand out, each with its proof, by place.
#[derive(Clone, Debug)]
pub struct Blob {
    /// What the operation pins.
    pub pins: Pins,
    /// One item for each recipient, in the order of their ids.
    pub items: Vec<Item>,
}

impl Blob {
    /// Seals the secrets to each device's leaf key; 10,000 at most.
    pub fn seal(
        context: &[u8; 32],
        recipients: &BTreeMap<DeviceId, &LeafPublic>,
        secrets: &EpochSecrets,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealError> {
        if recipients.len() > REKEY_RECIPIENTS_MAX {
            return Err(SealError::TooMany);
        }
        let recipients_digest = digest(recipients.len(), recipients.keys());
        let mut items = Vec::with_capacity(recipients.len());
        for (device, key) in recipients {
            items.push(Item::seal(context, &recipients_digest, device, key, secrets, rng)?);
        }
        Self::assemble(*context, recipients_digest, secrets.commit(), items)
    }

    fn assemble(
        context: [u8; 32],
        recipients: [u8; 32],
        commit: [u8; 32],
        items: Vec<Item>,
    ) -> Result<Self, SealError> {
        let count = u32::try_from(items.len()).map_err(|_| SealError::TooMany)?;
        let tree = Tree::build((0..).zip(&items).map(|(index, item)| item.leaf(index)).collect());
        let root = tree.root().ok_or(SealError::Empty)?;
        let items = (0..).zip(items).map(|(index, item)| Item { proof: tree.proof(index), ..item }).collect();
        Ok(Self { pins: Pins { context, recipients, count, root, commit }, items })
    }
}

/// Binds an item to its rekey, device and leaf key; the digest of all recipients is the associated data (R-BLOB-1).
fn item_info(context: &[u8; 32], device: &DeviceId, leaf_key: &LeafKeyId) -> Vec<u8> {
    Transcript::new(label::REKEY_ITEM).field(context).field(device.as_bytes()).field(leaf_key.as_bytes()).bytes()
}

/// What somebody gave is not the item that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// Not an item in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// It does not stand at that place of the blob.
    #[error("not the item at that place of the blob")]
    Misplaced,
}

impl ItemError {
    /// Says who is to blame: whoever served it.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// One device's share of a blob with its proof, as it came: it opens only once its place is checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    leaf_key: LeafKeyId,
    enc: Box<[u8; LEAF_ENC_LEN]>,
    ciphertext: [u8; CIPHERTEXT],
    proof: Vec<Hash>,
}

impl Item {
    fn seal(
        context: &[u8; 32],
        recipients: &[u8; 32],
        device: &DeviceId,
        key: &LeafPublic,
        secrets: &EpochSecrets,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealError> {
        let leaf_key = LeafKeyId::of(key);
        let info = item_info(context, device, &leaf_key);
        let (enc, ciphertext) =
            seal_to_leaf(key, &info, recipients, &*secrets.join(), rng).map_err(|_| SealError::BadLeafKey)?;
        let ciphertext = fixed(&ciphertext).map_err(|_| SealError::BadLeafKey)?;
        Ok(Self { leaf_key, enc, ciphertext, proof: Vec::new() })
    }

    /// Decodes strictly; says nothing about its place.
    pub fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let wire: proto::channel_blob::Item = wire::decode(bytes, REKEY_ITEM_MAX)?;
        if wire.version != VERSION {
            return Err(wire::Error::Unknown(wire.version));
        }
        at_most(&wire.proof, REKEY_PROOF_MAX)?;
        Ok(Self {
            leaf_key: LeafKeyId::from_bytes(fixed(&wire.leaf_key)?),
            enc: Box::new(fixed(&wire.enc)?),
            ciphertext: fixed(&wire.ciphertext)?,
            proof: wire.proof.iter().map(|hash| fixed(hash)).collect::<Result<_, _>>()?,
        })
    }

    /// Encodes it with its proof.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(&proto::channel_blob::Item {
            version: VERSION,
            leaf_key: self.leaf_key.as_bytes().to_vec(),
            enc: self.enc.to_vec(),
            ciphertext: self.ciphertext.to_vec(),
            proof: self.proof.iter().map(|hash| hash.to_vec()).collect(),
        })
    }

    /// Checks that it is the item at a place of the blob (R-BLOB-2); needs no key.
    pub fn verify(self, pins: &Pins, index: u32) -> Result<PlacedItem, ItemError> {
        if tree::is_at(&self.leaf(index), &self.proof, index, pins.count, &pins.root) {
            Ok(PlacedItem { item: self, pins: *pins })
        } else {
            Err(ItemError::Misplaced)
        }
    }

    fn leaf(&self, index: u32) -> Hash {
        Transcript::new(label::REKEY_LEAF)
            .u32(index)
            .field(self.leaf_key.as_bytes())
            .field(self.enc.as_slice())
            .field(&self.ciphertext)
            .sha256()
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { leaf_key, enc: _, ciphertext: _, proof } = self;
        write!(f, "Item({leaf_key:?}, {} hashes)", proof.len())
    }
}

/// An item that stands under the author's signature gives no secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is sealed to another leaf key than the one given.
    #[error("sealed to another leaf key")]
    OtherKey,
    /// It names this key and opens by it to nothing: its author lied.
    #[error("the author signed an item that does not open")]
    Unreadable,
    /// It opens to other secrets than those its author committed to: its author lied.
    #[error("the author sealed other secrets than it committed to")]
    OtherSecrets,
}

impl OpenError {
    /// Says who is to blame: not whoever served the item, which was checked, but the operation's author, or this device for
    /// trying another key.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::OtherKey => Fault::Local,
            Self::Unreadable | Self::OtherSecrets => Fault::Peer,
        }
    }
}

/// An item at its place of the blob that an operation pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedItem {
    item: Item,
    pins: Pins,
}

impl PlacedItem {
    /// Names the leaf key that opens it.
    pub const fn leaf_key(&self) -> &LeafKeyId {
        &self.item.leaf_key
    }

    /// Opens it for the device at its place, and gives the secrets only if they are those that the operation commits to
    /// (R-BLOB-1, R-BLOB-4).
    pub fn open(&self, device: &DeviceId, secret: &LeafSecret) -> Result<EpochSecrets, OpenError> {
        let Item { leaf_key, enc, ciphertext, proof: _ } = &self.item;
        if LeafKeyId::of(&secret.public()) != *leaf_key {
            return Err(OpenError::OtherKey);
        }
        let info = item_info(&self.pins.context, device, leaf_key);
        let opened =
            open_by_leaf(secret, enc, &info, &self.pins.recipients, ciphertext).map_err(|_| OpenError::Unreadable)?;
        let secrets = EpochSecrets::split(&opened).ok_or(OpenError::Unreadable)?;
        if secrets.commit() == self.pins.commit { Ok(secrets) } else { Err(OpenError::OtherSecrets) }
    }
}
