//! Which secrets a channel's messages are sealed under, and who can have them: computed from the graph of operations alone,
//! by everybody alike. Must not know the secrets themselves.
//!
//! A *fresh* epoch is drawn by chance and sealed to everybody who belongs; a *derived* one follows from another when
//! somebody is let in, one way; a *merged* one needs all of its parts, which came about without knowing of each other.
//! Who can have a secret is therefore a set that can be computed, and the send gate computes it.

mod keys;
mod reach;

pub use keys::{EpochKeys, KeyRing, LineageKeys, StoredEpoch, StoredLineage};

use super::{Act, Graph, OpId, log::Ix};
use crate::{DeviceId, crypto::label, wire::Transcript};
use reach::Reach;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Names an epoch: a hash of what made it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct EpochId([u8; 32]);

/// Names a lineage: what the topic, the gate and the headers are keyed by. A fresh epoch begins one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct LineageId([u8; 32]);

macro_rules! bytes_of {
    ($($name:ident),*) => {$(
        impl $name {
            /// Wraps raw bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Returns the raw bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:02x?}..)"), self.0.first_chunk::<4>().unwrap_or(&[0; 4]))
            }
        }
    )*};
}
bytes_of!(EpochId, LineageId);

/// What makes an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An operation that made secrets anew.
    Fresh(Ix),
    /// An operation that let somebody in, on top of an epoch.
    Derived(EpochId, Ix),
    /// Epochs that did not know of each other, in order.
    Merged(Vec<EpochId>),
}

/// An epoch as everybody can compute it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// What made it.
    pub origin: Origin,
    /// Its lineage.
    pub lineage: LineageId,
    /// Digest of the devices it was made for.
    pub recipients: [u8; 32],
    /// The last operations that it rests on.
    tips: BTreeSet<Ix>,
    /// The operations whose chance is in it.
    roots: Arc<BTreeSet<Ix>>,
}

/// Whether something may be sent now, and what has to be done first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Everybody who belongs can open it and nobody else.
    Open(EpochId),
    /// Those who do not belong could, alone or together, or an emergency forbids it: make the keys anew first.
    Tainted(EpochId),
    /// Some who belong lack parts: hand these out first.
    Lacking(EpochId, Vec<(DeviceId, Vec<EpochId>)>),
}

/// The epochs of a channel.
#[derive(Clone, Debug, Default)]
pub struct Epochs {
    known: BTreeMap<EpochId, Epoch>,
    /// What each merged lineage consists of, in order.
    lineages: BTreeMap<LineageId, Vec<LineageId>>,
    /// The epoch in force behind each operation, seen from its past and itself.
    behind: Vec<EpochId>,
    /// Epochs that everybody computes who knows the same operations, whatever else they know.
    anchored: BTreeSet<EpochId>,
    reach: Reach,
    current: Option<EpochId>,
}

impl Epochs {
    /// Computes the epochs of everything in the graph.
    pub fn of(graph: &Graph) -> Self {
        let mut epochs = Self::default();
        epochs.extend(graph);
        epochs
    }

    /// Takes in what the graph has got since the last time.
    pub fn extend(&mut self, graph: &Graph) {
        for at in self.behind.len()..graph.ops().len() {
            let epoch = self.made_by(graph, at);
            self.anchored.insert(epoch);
            self.behind.push(epoch);
        }
        self.current = Some(self.merged_of(graph, &graph.standing_heads()));
    }

    /// Computes the epoch in force behind an operation, which may make it.
    fn made_by(&mut self, graph: &Graph, at: Ix) -> EpochId {
        let Some(op) = graph.ops().get(at) else { return EpochId([0; 32]) };
        match op.act() {
            // What was made for others than those who belonged never holds, and is no epoch.
            act if act.fresh().is_some() => match self.fresh(graph, at) {
                Some(epoch) => epoch,
                None => self.before(graph, at),
            },
            Act::Admit(_) => {
                let parent = self.before(graph, at);
                self.derived(graph, parent, at).unwrap_or(parent)
            }
            Act::EpochGrant { device, epochs } => {
                self.reach.grant(*device, epochs.iter().map(|e| EpochId(*e)));
                self.before(graph, at)
            }
            _ => self.before(graph, at),
        }
    }

    /// Finds the epoch in force before an operation, as its author saw it.
    fn before(&mut self, graph: &Graph, at: Ix) -> EpochId {
        self.merged_of(graph, graph.standing_before(at))
    }

    /// Joins the epochs behind some operations that hold; what another one rests on is not joined to it.
    fn merged_of(&mut self, graph: &Graph, heads: &[Ix]) -> EpochId {
        let mut parts: BTreeSet<EpochId> = heads.iter().filter_map(|h| self.behind.get(*h).copied()).collect();
        if parts.len() > 1 {
            let old: Vec<EpochId> =
                parts.iter().filter(|a| parts.iter().any(|b| self.rests_on(graph, b, a))).copied().collect();
            parts.retain(|part| !old.contains(part));
        }
        match parts.len() {
            1 => parts.first().copied().unwrap_or(EpochId([0; 32])),
            _ => self.merged(parts.into_iter().collect()),
        }
    }

    /// Says whether everything that `old` rests on lies in the past of what `new` rests on. Of two that rest on each other
    /// the one with the higher id is the old one, so that one of any number is left.
    fn rests_on(&self, graph: &Graph, new: &EpochId, old: &EpochId) -> bool {
        let (Some(a), Some(b)) = (self.known.get(new), self.known.get(old)) else { return false };
        let within = |tips: &BTreeSet<Ix>, others: &BTreeSet<Ix>| {
            tips.iter().all(|t| others.iter().any(|tip| t == tip || graph.precedes(*t, *tip)))
        };
        new != old && within(&b.tips, &a.tips) && (new < old || !within(&a.tips, &b.tips))
    }

    fn fresh(&mut self, graph: &Graph, at: Ix) -> Option<EpochId> {
        let op = graph.ops().get(at)?;
        let given = graph.given(at)?;
        let recipients = op.act().fresh()?.recipients;
        let id =
            Transcript::new(label::EPOCH_FRESH).field(graph.channel().as_bytes()).field(op.id().as_bytes()).sha256();
        let only = BTreeSet::from([at]);
        let (origin, lineage, roots) = (Origin::Fresh(at), LineageId(id), Arc::new(only.clone()));
        self.reach.fresh(EpochId(id), given);
        self.known.insert(EpochId(id), Epoch { origin, lineage, recipients, tips: only, roots });
        Some(EpochId(id))
    }

    fn derived(&mut self, graph: &Graph, parent: EpochId, at: Ix) -> Option<EpochId> {
        let op = graph.ops().get(at)?;
        let given = graph.given(at)?;
        let before = self.known.get(&parent)?;
        let (lineage, roots) = (before.lineage, Arc::clone(&before.roots));
        let t = |label| Transcript::new(label).field(parent.as_bytes()).field(op.id().as_bytes());
        let recipients = t(label::RECIPIENTS_DERIVED).field(&before.recipients).sha256();
        let id = EpochId(t(label::EPOCH_DERIVED).sha256());
        self.reach.derived(id, &parent, given);
        let (origin, tips) = (Origin::Derived(parent, at), BTreeSet::from([at]));
        self.known.insert(id, Epoch { origin, lineage, recipients, tips, roots });
        Some(id)
    }

    fn merged(&mut self, parts: Vec<EpochId>) -> EpochId {
        let ids: Vec<[u8; 32]> = parts.iter().map(|p| p.0).collect();
        let id = EpochId(Transcript::new(label::EPOCH_MERGED).list(&ids).sha256());
        if self.known.contains_key(&id) {
            return id;
        }
        let of: Vec<&Epoch> = parts.iter().filter_map(|p| self.known.get(p)).collect();
        let lineages: BTreeSet<LineageId> = of.iter().map(|e| e.lineage).collect();
        let lineage = match (lineages.len(), lineages.first()) {
            (1, Some(one)) => *one,
            _ => {
                let ids = lineages.iter().map(|l| l.0).collect::<Vec<_>>();
                LineageId(Transcript::new(label::LINEAGE_MERGED).list(&ids).sha256())
            }
        };
        let recipients: Vec<[u8; 32]> = of.iter().map(|e| e.recipients).collect();
        let epoch = Epoch {
            lineage,
            recipients: Transcript::new(label::RECIPIENTS_DERIVED).list(&recipients).sha256(),
            tips: of.iter().flat_map(|e| e.tips.iter().copied()).collect(),
            roots: Arc::new(of.iter().flat_map(|e| e.roots.iter().copied()).collect()),
            origin: Origin::Merged(parts.clone()),
        };
        if lineages.len() > 1 {
            self.lineages.insert(lineage, lineages.into_iter().collect());
        }
        self.reach.merged(id, &parts);
        self.known.insert(id, epoch);
        id
    }

    /// Computes the epoch in force for who knows some operations and their past alone, as a message's sender did that names
    /// them; nothing where one is not known.
    pub fn behind_heads(&mut self, graph: &Graph, heads: &[OpId]) -> Option<EpochId> {
        let heads: Option<Vec<Ix>> = heads.iter().map(|h| graph.position(h)).collect();
        let heads = heads.filter(|heads| !heads.is_empty() && heads.iter().all(|at| *at < self.behind.len()))?;
        Some(self.merged_of(graph, &graph.standing_behind(&heads)))
    }

    /// Says whether an epoch is in force behind some operation, so that whoever knows the operation can compute it. What is
    /// sent under another is understood by who happens to have had the same heads: an operation that follows them helps.
    pub fn is_anchored(&self, id: &EpochId) -> bool {
        self.anchored.contains(id)
    }

    /// Lists the epochs that a merged one joins; any other is its own only part.
    pub fn parts(&self, id: &EpochId) -> Vec<EpochId> {
        match self.known.get(id).map(|epoch| &epoch.origin) {
            Some(Origin::Merged(parts)) => parts.clone(),
            _ => vec![*id],
        }
    }

    /// Returns an epoch.
    pub fn get(&self, id: &EpochId) -> Option<&Epoch> {
        self.known.get(id)
    }

    /// Returns the epoch in force now.
    pub const fn current(&self) -> Option<EpochId> {
        self.current
    }

    /// Returns the epoch in force behind an operation: for one that makes an epoch, that one.
    pub fn behind(&self, at: Ix) -> Option<EpochId> {
        self.behind.get(at).copied()
    }

    /// Returns the epoch in force before an operation, as its author saw it: what its parcel is sealed under.
    pub fn before_op(&mut self, graph: &Graph, at: Ix) -> Option<EpochId> {
        if graph.ops().get(at).is_none_or(|op| op.parents().is_empty()) {
            return self.behind(at);
        }
        Some(self.before(graph, at))
    }

    /// Finds the lineages that a lineage consists of; nothing for one that a fresh epoch began.
    pub fn lineage_parts(&self, lineage: &LineageId) -> &[LineageId] {
        self.lineages.get(lineage).map_or(&[], Vec::as_slice)
    }

    /// Lists the devices that may send under an epoch, in order: a sender is its place among them.
    pub fn senders(&self, id: &EpochId) -> Arc<[DeviceId]> {
        self.reach.senders(id)
    }

    /// Says whether any of `devices`, or all together, could have an epoch's secrets.
    pub fn any_can_derive(&self, id: &EpochId, devices: &BTreeSet<DeviceId>) -> bool {
        self.reach.together(id, devices)
    }

    /// Lists the devices that can have an epoch's secrets, each by what it was given itself.
    pub fn holders(&self, id: &EpochId) -> BTreeSet<DeviceId> {
        self.reach.holders(id)
    }

    /// Says whether something may be sent now (R-EPOCH-6).
    pub fn gate(&self, graph: &Graph) -> Option<Gate> {
        let current = self.current?;
        if self.reach.together(&current, &graph.outsiders()) || self.behind_an_emergency(graph, &current) {
            return Some(Gate::Tainted(current));
        }
        let holders = self.reach.holders(&current);
        let lacking = graph.recipients().into_iter().filter(|device| !holders.contains(device)).collect();
        let lacking = self.reach.missing(&current, lacking);
        Some(if lacking.is_empty() { Gate::Open(current) } else { Gate::Lacking(current, lacking) })
    }

    /// Says whether an epoch contains chance that was drawn by somebody who did not know of an emergency rekey that holds.
    fn behind_an_emergency(&self, graph: &Graph, id: &EpochId) -> bool {
        let Some(epoch) = self.known.get(id) else { return true };
        graph.emergencies().any(|r| !epoch.roots.iter().all(|root| *root == r || graph.precedes(r, *root)))
    }
}

#[cfg(test)]
mod tests;
