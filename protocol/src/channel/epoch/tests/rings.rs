//! Real keys: what each device was sealed or handed, and nothing else.

use super::*;
use crate::channel::blob::EpochSecrets;
use crate::crypto::{Secret, kdf::sha256};

/// The key rings of all devices, and one that has everything.
pub(super) struct Rings {
    pub(super) of: BTreeMap<DeviceId, KeyRing>,
    pub(super) all: KeyRing,
}

/// The secrets that an operation makes, as its author drew them.
pub(super) fn drawn(op: &crate::channel::Op) -> EpochSecrets {
    let part = |what: &[u8]| Secret::new(sha256(&[what, op.id().as_bytes()]));
    EpochSecrets { epoch: part(b"epoch"), lineage: part(b"lineage") }
}

impl Rings {
    /// Seals and hands over everything that the operations of a graph say was sealed and handed over.
    pub(super) fn of(graph: &Graph, epochs: &Epochs) -> Self {
        let mut rings = Self { of: BTreeMap::new(), all: KeyRing::default() };
        for (at, op) in graph.ops().iter().enumerate() {
            let made = epochs.behind(at).and_then(|id| Some((id, epochs.get(&id)?)));
            match (op.act(), made) {
                (act, Some((id, epoch))) if act.fresh().is_some() && graph.given(at).is_some() => {
                    assert_eq!(epoch.origin, Origin::Fresh(at));
                    rings.all.insert_fresh(id, epoch, &drawn(op));
                    for device in graph.given(at).unwrap().to.iter() {
                        rings.of.entry(*device).or_default().insert_fresh(id, epoch, &drawn(op));
                    }
                }
                (Act::Admit(_), Some((id, _))) => {
                    for device in graph.given(at).unwrap().to.iter() {
                        rings.hand(epochs, &id, device);
                    }
                }
                (Act::EpochGrant { device, epochs: granted }, _) => {
                    for id in granted {
                        rings.hand(epochs, &EpochId(*id), device);
                    }
                }
                _ => {}
            }
        }
        rings
    }

    /// Hands one epoch and its lineage to a device, if there is such an epoch.
    fn hand(&mut self, epochs: &Epochs, id: &EpochId, device: &DeviceId) {
        let Some(epoch) = epochs.get(id) else { return };
        assert!(self.all.derive(epochs, id), "who has everything has {id:?}");
        let ring = self.of.entry(*device).or_default();
        let keys = self.all.get(id).unwrap().to_stored();
        ring.insert(*id, EpochKeys::from_stored(&keys));
        ring.insert_lineage(epoch.lineage, self.all.lineage(&epoch.lineage).unwrap().clone());
    }

    /// Says whether a device has an epoch's keys, the right ones, and its lineage's.
    pub(super) fn has(&mut self, epochs: &Epochs, device: &DeviceId, id: &EpochId) -> bool {
        let ring = self.of.entry(*device).or_default();
        let has = ring.derive(epochs, id);
        if has {
            assert!(self.all.derive(epochs, id));
            assert_eq!(ring.get(id), self.all.get(id));
            let lineage = epochs.get(id).unwrap().lineage;
            assert!(ring.lineage(&lineage).is_some());
            assert_eq!(ring.lineage(&lineage), self.all.lineage(&lineage));
        }
        has
    }

    /// Says whether some devices have an epoch's keys when they put together what they have.
    pub(super) fn together(&self, epochs: &Epochs, devices: &BTreeSet<DeviceId>, id: &EpochId) -> bool {
        let mut union = KeyRing::default();
        for ring in devices.iter().filter_map(|d| self.of.get(d)) {
            for (id, keys) in ring.epochs() {
                union.insert(*id, keys.clone());
            }
        }
        union.derive(epochs, id)
    }
}
