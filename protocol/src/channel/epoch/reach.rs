//! Who can have which epoch's secrets, by what was sealed and handed to whom: the symbolic side of the keys. Must not know
//! secrets, rights or the graph.

use super::EpochId;
use crate::{DeviceId, channel::log::Given};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

#[derive(Clone, Debug)]
enum Source {
    /// Sealed to these; the others belonged too, but were silent for long.
    Fresh(Given),
    /// Follows from the one before, and was given to these.
    Derived(usize, Arc<BTreeSet<DeviceId>>),
    /// Needs all of these.
    Merged(Vec<usize>),
}

/// Sources of epochs, each after those it rests on, and what was handed out beyond them.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    sources: Vec<(EpochId, Source)>,
    places: BTreeMap<EpochId, usize>,
    granted: BTreeMap<EpochId, BTreeSet<DeviceId>>,
}

impl Reach {
    pub(super) fn fresh(&mut self, id: EpochId, given: &Given) {
        self.push(id, Source::Fresh(given.clone()));
    }

    pub(super) fn derived(&mut self, id: EpochId, parent: &EpochId, newcomers: &Given) {
        if let Some(parent) = self.places.get(parent) {
            self.push(id, Source::Derived(*parent, Arc::clone(&newcomers.to)));
        }
    }

    pub(super) fn merged(&mut self, id: EpochId, parts: &[EpochId]) {
        let parts = parts.iter().filter_map(|p| self.places.get(p).copied()).collect();
        self.push(id, Source::Merged(parts));
    }

    pub(super) fn grant(&mut self, device: DeviceId, epochs: impl Iterator<Item = EpochId>) {
        for epoch in epochs {
            self.granted.entry(epoch).or_default().insert(device);
        }
    }

    fn push(&mut self, id: EpochId, source: Source) {
        self.places.insert(id, self.sources.len());
        self.sources.push((id, source));
    }

    fn grants(&self, at: usize) -> Option<&BTreeSet<DeviceId>> {
        self.sources.get(at).and_then(|(id, _)| self.granted.get(id))
    }

    /// Lists the merges that an epoch rests on, itself too if it is one, each after those below it.
    fn merges(&self, at: usize) -> Vec<usize> {
        let (mut found, mut stack, mut seen) = (Vec::new(), vec![at], BTreeSet::new());
        while let Some(at) = stack.pop() {
            if !seen.insert(at) {
                continue;
            }
            match self.sources.get(at).map(|(_, source)| source) {
                Some(Source::Derived(parent, _)) => stack.push(*parent),
                Some(Source::Merged(parts)) => {
                    found.push(at);
                    stack.extend(parts);
                }
                _ => {}
            }
        }
        found.sort_unstable();
        found
    }

    /// Walks along admissions down to what is no admission, and shows each step.
    fn walk(&self, from: usize, mut step: impl FnMut(usize, &BTreeSet<DeviceId>)) -> Option<(usize, &Source)> {
        let mut at = from;
        loop {
            match self.sources.get(at) {
                Some((_, Source::Derived(parent, newcomers))) => {
                    step(at, newcomers);
                    at = *parent;
                }
                Some((_, source)) => return Some((at, source)),
                None => return None,
            }
        }
    }

    /// Says whether what the devices were given, put together, gives the epoch's secrets: that each part of a merge comes
    /// from another of them is enough.
    pub(super) fn together(&self, id: &EpochId, devices: &BTreeSet<DeviceId>) -> bool {
        let Some(at) = self.places.get(id).copied() else { return true };
        if devices.is_empty() {
            return false;
        }
        let granted = |at: usize| self.grants(at).is_some_and(|g| !g.is_disjoint(devices));
        let mut known: BTreeMap<usize, bool> = BTreeMap::new();
        let reaches = |from: usize, known: &BTreeMap<usize, bool>| {
            let mut given = false;
            let base = self.walk(from, |at, newcomers| given |= granted(at) || !newcomers.is_disjoint(devices));
            given
                || base.is_some_and(|(at, source)| {
                    granted(at)
                        || match source {
                            Source::Fresh(given) => !given.to.is_disjoint(devices),
                            _ => known.get(&at) == Some(&true),
                        }
                })
        };
        for merge in self.merges(at) {
            if let Some((_, Source::Merged(parts))) = self.sources.get(merge) {
                let all = parts.iter().all(|part| reaches(*part, &known));
                known.insert(merge, all);
            }
        }
        reaches(at, &known)
    }

    /// Lists the devices that can have an epoch's secrets, each by what it was given itself.
    pub(super) fn holders(&self, id: &EpochId) -> BTreeSet<DeviceId> {
        let Some(at) = self.places.get(id).copied() else { return BTreeSet::new() };
        let mut known: BTreeMap<usize, BTreeSet<DeviceId>> = BTreeMap::new();
        for merge in self.merges(at) {
            if let Some((_, Source::Merged(parts))) = self.sources.get(merge) {
                let all = parts.iter().map(|part| self.held(*part, &known)).reduce(|a, b| &a & &b);
                known.insert(merge, all.unwrap_or_default());
            }
        }
        self.held(at, &known)
    }

    fn held(&self, from: usize, known: &BTreeMap<usize, BTreeSet<DeviceId>>) -> BTreeSet<DeviceId> {
        let mut all = BTreeSet::new();
        let base = self.walk(from, |at, newcomers| {
            all.extend(newcomers.iter().copied());
            all.extend(self.grants(at).into_iter().flatten().copied());
        });
        let Some((at, source)) = base else { return all };
        all.extend(self.grants(at).into_iter().flatten().copied());
        match source {
            Source::Fresh(given) => all.extend(given.to.iter().copied()),
            _ => all.extend(known.get(&at).into_iter().flatten().copied()),
        }
        all
    }

    /// Lists what devices lack of an epoch, as little as will do: parts of a merge where they were meant for the device; else
    /// the epoch itself, which opens nothing that was said before (R-EPOCH-9).
    pub(super) fn missing(&self, id: &EpochId, devices: Vec<DeviceId>) -> Vec<(DeviceId, Vec<EpochId>)> {
        let parts = match self.places.get(id).and_then(|at| self.sources.get(*at)) {
            Some((_, Source::Merged(parts))) if !devices.is_empty() => parts.as_slice(),
            _ => &[],
        };
        let parts: Vec<(EpochId, BTreeSet<DeviceId>, Arc<[DeviceId]>)> = parts
            .iter()
            .filter_map(|at| self.sources.get(*at))
            .map(|(part, _)| (*part, self.holders(part), self.senders(part)))
            .collect();
        let lacks = |device: DeviceId| {
            let lacking = || parts.iter().filter(|(_, holders, _)| !holders.contains(&device));
            let meant = lacking().all(|(_, _, senders)| senders.binary_search(&device).is_ok());
            let some = meant && lacking().count() < parts.len();
            (device, if some { lacking().map(|(part, _, _)| *part).collect() } else { vec![*id] })
        };
        devices.into_iter().map(lacks).collect()
    }

    /// Lists everybody an epoch was ever meant for, in order.
    pub(super) fn senders(&self, id: &EpochId) -> Arc<[DeviceId]> {
        let mut all = BTreeSet::new();
        let mut stack: Vec<usize> = self.places.get(id).copied().into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(at) = stack.pop() {
            if !seen.insert(at) {
                continue;
            }
            match self.sources.get(at).map(|(_, source)| source) {
                Some(Source::Fresh(Given { to, silent })) => all.extend(to.union(silent).copied()),
                Some(Source::Derived(parent, newcomers)) => {
                    all.extend(newcomers.iter().copied());
                    stack.push(*parent);
                }
                Some(Source::Merged(parts)) => stack.extend(parts),
                None => {}
            }
        }
        all.into_iter().collect()
    }
}
