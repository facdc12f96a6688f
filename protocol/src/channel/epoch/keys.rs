//! The secrets of epochs that a device has, and what follows from them. Must not know rights or how secrets arrive.

use super::{Epoch, EpochId, Epochs, LineageId, Origin};
use crate::{
    RelayId,
    channel::{blob::EpochSecrets, gate::GateKey},
    crypto::{Secret, kdf::hkdf, label},
    mailbox::MailboxKey,
    wire::Transcript,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What an epoch's secret became; the secret itself is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochKeys {
    /// Gives the next epoch when somebody is let in.
    next: Secret<32>,
    /// Gives a merged epoch together with that of others.
    merge: Secret<32>,
    /// Root of the tree of senders' chains; handed to whoever receives messages, then kept there alone.
    senders: Secret<32>,
}

impl EpochKeys {
    fn expand(secret: &Secret<32>) -> Self {
        let part = |label: &str| hkdf(&[], secret.as_bytes(), label.as_bytes());
        Self { next: part(label::EPOCH_NEXT), merge: part(label::EPOCH_MERGE), senders: part(label::EPOCH_SENDERS) }
    }

    /// Returns the root of the senders' chains.
    pub const fn senders(&self) -> &Secret<32> {
        &self.senders
    }

    /// Returns the key that parcels of operations are sealed under.
    pub fn parcels(&self) -> Secret<32> {
        hkdf(&[], self.next.as_bytes(), label::EPOCH_PARCELS.as_bytes())
    }

    /// Returns the form for a sealed row or for handing out.
    pub fn to_stored(&self) -> StoredEpoch {
        let Self { next, merge, senders } = self;
        StoredEpoch { next: *next.as_bytes(), merge: *merge.as_bytes(), senders: *senders.as_bytes() }
    }

    /// Takes back what a row or a grant held.
    pub fn from_stored(stored: &StoredEpoch) -> Self {
        let StoredEpoch { next, merge, senders } = stored;
        Self { next: Secret::new(*next), merge: Secret::new(*merge), senders: Secret::new(*senders) }
    }
}

/// An epoch's keys as a row that the store seals, or inside what is sealed to a newcomer.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredEpoch {
    next: [u8; 32],
    merge: [u8; 32],
    senders: [u8; 32],
}

impl StoredEpoch {
    /// The 96 bytes that are handed out.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { next, merge, senders } = self;
        Zeroizing::new([*next, *merge, *senders].concat())
    }

    /// Takes 96 bytes that were handed out.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (next, rest) = bytes.split_first_chunk::<32>()?;
        let (merge, rest) = rest.split_first_chunk::<32>()?;
        Some(Self { next: *next, merge: *merge, senders: rest.try_into().ok()? })
    }
}

impl fmt::Debug for StoredEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { next: _, merge: _, senders: _ } = self;
        f.write_str("StoredEpoch(..)")
    }
}

/// What a lineage's secret gives: where its frames travel, who may put them there, and their headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageKeys {
    secret: Secret<32>,
    /// Derived once: every frame that comes is tried with it.
    header: Secret<32>,
}

/// A lineage's secret as a row that the store seals.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredLineage {
    secret: [u8; 32],
}

impl fmt::Debug for StoredLineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret: _ } = self;
        f.write_str("StoredLineage(..)")
    }
}

impl LineageKeys {
    /// Takes a lineage's secret.
    pub fn new(secret: Secret<32>) -> Self {
        let header = hkdf(&[], secret.as_bytes(), label::LINEAGE_HEADER.as_bytes());
        Self { secret, header }
    }

    /// Returns the secret, to hand it out.
    pub const fn secret(&self) -> &Secret<32> {
        &self.secret
    }

    /// Returns the form for a sealed row.
    pub fn to_stored(&self) -> StoredLineage {
        StoredLineage { secret: *self.secret.as_bytes() }
    }

    /// Takes back what a row held.
    pub fn from_stored(stored: &StoredLineage) -> Self {
        Self::new(Secret::new(stored.secret))
    }

    /// Names the topic that the lineage's frames travel under: nobody else can tell which channel it is.
    pub fn topic(&self) -> [u8; 32] {
        *self.part(label::LINEAGE_TOPIC).as_bytes()
    }

    /// Returns the key that lets frames through the gate.
    pub fn gate(&self) -> GateKey {
        GateKey::new(self.part(label::LINEAGE_GATE))
    }

    /// Returns the key that headers are sealed under.
    pub const fn header(&self) -> &Secret<32> {
        &self.header
    }

    /// Returns what the keys of the mailboxes follow from that relays keep for the lineage.
    pub fn mailbox(&self) -> Secret<32> {
        self.part(label::LINEAGE_MAILBOX)
    }

    /// Returns the key of the lineage's mailbox at a relay (R-CHAN-24): two relays that compare theirs find nothing alike.
    pub fn mailbox_at(&self, relay: &RelayId) -> MailboxKey {
        MailboxKey::from_seed(&hkdf(relay.as_bytes(), self.mailbox().as_bytes(), label::LINEAGE_MAILBOX.as_bytes()))
    }

    fn part(&self, label: &str) -> Secret<32> {
        hkdf(&[], self.secret.as_bytes(), label.as_bytes())
    }
}

/// The epochs and lineages whose secrets a device has.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    epochs: BTreeMap<EpochId, EpochKeys>,
    lineages: BTreeMap<LineageId, LineageKeys>,
}

impl KeyRing {
    /// Takes the secrets of a fresh epoch, which the signed operation's commitment was compared with.
    pub fn insert_fresh(&mut self, id: EpochId, epoch: &Epoch, secrets: &EpochSecrets) {
        let info = Transcript::new(label::EPOCH_SECRET).field(&epoch.recipients).bytes();
        let secret = hkdf(id.as_bytes(), secrets.epoch.as_bytes(), &info);
        self.epochs.insert(id, EpochKeys::expand(&secret));
        self.lineages.insert(epoch.lineage, LineageKeys::new(secrets.lineage.clone()));
    }

    /// Takes keys that were handed over.
    pub fn insert(&mut self, id: EpochId, keys: EpochKeys) {
        self.epochs.insert(id, keys);
    }

    /// Takes a lineage that was handed over.
    pub fn insert_lineage(&mut self, id: LineageId, keys: LineageKeys) {
        self.lineages.insert(id, keys);
    }

    /// Returns the keys of an epoch.
    pub fn get(&self, id: &EpochId) -> Option<&EpochKeys> {
        self.epochs.get(id)
    }

    /// Returns the keys of a lineage.
    pub fn lineage(&self, id: &LineageId) -> Option<&LineageKeys> {
        self.lineages.get(id)
    }

    /// Lists all epochs.
    pub fn epochs(&self) -> impl Iterator<Item = (&EpochId, &EpochKeys)> {
        self.epochs.iter()
    }

    /// Lists all lineages.
    pub fn lineages(&self) -> impl Iterator<Item = (&LineageId, &LineageKeys)> {
        self.lineages.iter()
    }

    /// Forgets epochs; what was sent under them cannot be opened any more.
    pub fn forget(&mut self, ids: &[EpochId]) {
        for id in ids {
            self.epochs.remove(id);
        }
    }

    /// Derives an epoch from what is there; says whether it is there now. What it derives on the way stays.
    pub fn derive(&mut self, epochs: &Epochs, target: &EpochId) -> bool {
        let mut stack = vec![*target];
        let mut tried = BTreeSet::new();
        while let Some(id) = stack.last().copied() {
            if self.epochs.contains_key(&id) {
                stack.pop();
                continue;
            }
            let needs: Vec<EpochId> = match epochs.get(&id).map(|e| &e.origin) {
                Some(Origin::Derived(parent, _)) => vec![*parent],
                Some(Origin::Merged(parts)) => parts.clone(),
                _ => Vec::new(),
            };
            let lacking: Vec<EpochId> = needs.iter().filter(|n| !self.epochs.contains_key(n)).copied().collect();
            if lacking.is_empty() && !needs.is_empty() {
                self.combine(id, &needs, epochs);
                stack.pop();
            } else if lacking.is_empty() || !tried.insert(id) {
                // Nothing gives it, or what it needs could not be had.
                stack.pop();
            } else {
                stack.extend(lacking);
            }
        }
        self.derive_lineage(epochs, target);
        self.epochs.contains_key(target)
    }

    fn combine(&mut self, id: EpochId, needs: &[EpochId], epochs: &Epochs) {
        let Some(epoch) = epochs.get(&id) else { return };
        let secret: Option<Secret<32>> = match &epoch.origin {
            Origin::Derived(parent, _) => {
                let info = Transcript::new(label::EPOCH_SECRET).field(&epoch.recipients).bytes();
                self.epochs.get(parent).map(|keys| hkdf(id.as_bytes(), keys.next.as_bytes(), &info))
            }
            Origin::Merged(_) => {
                let info = Transcript::new(label::EPOCH_SECRET).field(&epoch.recipients).bytes();
                let parts = needs.iter().filter_map(|n| self.epochs.get(n));
                let all = Zeroizing::new(parts.flat_map(|keys| *keys.merge.as_bytes()).collect::<Vec<u8>>());
                (all.len() == needs.len() * 32).then(|| hkdf(id.as_bytes(), &all, &info))
            }
            Origin::Fresh(_) => None,
        };
        if let Some(secret) = secret {
            self.epochs.insert(id, EpochKeys::expand(&secret));
        }
    }

    /// Joins the lineages of a merge's parts, in order, and those of the parts before.
    fn derive_lineage(&mut self, epochs: &Epochs, target: &EpochId) {
        let mut stack: Vec<LineageId> = epochs.get(target).map(|e| e.lineage).into_iter().collect();
        let mut tried = BTreeSet::new();
        while let Some(id) = stack.pop() {
            let parts = epochs.lineage_parts(&id);
            if self.lineages.contains_key(&id) || parts.is_empty() {
                continue;
            }
            let known = parts.iter().filter_map(|l| self.lineages.get(l));
            let all = Zeroizing::new(known.flat_map(|keys| *keys.secret.as_bytes()).collect::<Vec<u8>>());
            if all.len() == parts.len() * 32 {
                let secret = hkdf(id.as_bytes(), &all, label::LINEAGE_MERGED.as_bytes());
                self.lineages.insert(id, LineageKeys::new(secret));
            } else if tried.insert(id) {
                stack.push(id);
                stack.extend(parts);
            }
        }
    }
}
