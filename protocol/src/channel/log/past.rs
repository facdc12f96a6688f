//! What lay before an operation, as its author saw it: to whom keys had to be sealed, and what was in force. It depends on
//! the operation's past alone, so it is found out once, when the operation comes. Must not know what an operation needs.

use super::{
    Graph, Refused,
    ancestry::Ix,
    recipients_digest,
    resolve::{self, Resolution},
    view::{Point, Truth, View},
};
use crate::{DeviceId, channel::Act};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Branches whose last look is kept, so that what goes on with one need not resolve its past anew.
const BRANCHES_MAX: usize = 8;

/// Who was given secrets by an operation, and who belonged and was left out.
#[derive(Clone, Debug, Default)]
pub(in crate::channel) struct Given {
    pub(in crate::channel) to: Arc<BTreeSet<DeviceId>>,
    pub(in crate::channel) silent: Arc<BTreeSet<DeviceId>>,
}

/// Which operations held for the author of one.
pub(super) enum Seen {
    /// In its past nobody strikes anybody.
    Calm,
    /// The same as for who knows all there is.
    All,
    /// Something else.
    Own(Box<Resolution>),
}

/// What the authors of operations saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Pasts {
    /// Whether nobody strikes anybody in an operation's past.
    calm: Vec<bool>,
    /// The last operations that held before each one.
    standing: Vec<Vec<Ix>>,
    /// Who was given what by those that give something.
    given: BTreeMap<Ix, Given>,
    /// Why some did not hold even for their authors.
    forbidden: BTreeMap<Ix, Refused>,
    /// Sets of devices by their digest: most keys are sealed to the same ones as those before.
    sets: BTreeMap<[u8; 32], Arc<BTreeSet<DeviceId>>>,
    /// The last looks at branches, by the operation that they stop at.
    branches: Vec<(Ix, Box<Resolution>)>,
}

impl Pasts {
    fn intern(&mut self, devices: BTreeSet<DeviceId>) -> Arc<BTreeSet<DeviceId>> {
        Arc::clone(self.sets.entry(recipients_digest(&devices)).or_insert_with(|| Arc::new(devices)))
    }

    fn take(&mut self, tip: Ix) -> Option<Box<Resolution>> {
        let at = self.branches.iter().position(|(t, _)| *t == tip)?;
        Some(self.branches.remove(at).1)
    }

    pub(super) fn keep(&mut self, tip: Ix, found: Box<Resolution>) {
        if self.branches.len() >= BRANCHES_MAX {
            self.branches.remove(0);
        }
        self.branches.push((tip, found));
    }

    /// Remembers how an operation stood for its author.
    pub(super) fn forbid(&mut self, at: Ix, why: Option<Refused>) {
        if let Some(why) = why {
            self.forbidden.insert(at, why);
        }
    }

    pub(super) fn forbidden(&self, at: Ix) -> Option<Refused> {
        self.forbidden.get(&at).copied()
    }

    pub(super) fn standing_before(&self, at: Ix) -> &[Ix] {
        self.standing.get(at).map_or(&[], Vec::as_slice)
    }

    pub(super) fn given(&self, at: Ix) -> Option<&Given> {
        self.given.get(&at)
    }
}

impl Graph {
    /// Looks back from an operation that has just come, before it is judged.
    pub(super) fn look_back(&mut self, at: Ix, parents: &[Ix], whole: bool) -> Seen {
        let was_calm = |p: &Ix| self.pasts.calm.get(*p) == Some(&true);
        let stirs_before = || self.stirring.iter().any(|s| self.order.precedes(*s, at));
        let calm = parents.iter().all(was_calm) && (parents.len() <= 1 || !stirs_before());
        let seen = if calm { Seen::Calm } else { self.look_closer(at, parents, whole) };
        self.pasts.calm.push(calm);
        self.remember(at, parents, seen)
    }

    fn look_closer(&mut self, at: Ix, parents: &[Ix], whole: bool) -> Seen {
        if whole || self.stirring.iter().all(|s| self.order.precedes(*s, at)) {
            self.settle(at);
            // A fresh epoch that is not in its past kept nothing for its author.
            if whole || self.found.settled.is_empty() {
                return Seen::All;
            }
        }
        let kept = if let [parent] = parents { self.pasts.take(*parent) } else { None };
        Seen::Own(kept.unwrap_or_else(|| Box::new(resolve::resolve(self, &self.past(parents)))))
    }

    /// Writes down what follows from an operation's past alone.
    fn remember(&mut self, at: Ix, parents: &[Ix], mut seen: Seen) -> Seen {
        let standing = match (parents, &seen) {
            // Behind what never held the same stands as before it.
            ([parent], Seen::Calm) if self.truth_of(&seen).valid.get(*parent) == Some(&false) => {
                self.pasts.standing_before(*parent).to_vec()
            }
            _ => self.standing_from(parents, self.truth_of(&seen).valid),
        };
        self.pasts.standing.push(standing);
        let Some(op) = self.ops.get(at).map(Arc::clone) else { return seen };
        let given = match op.act() {
            Act::Admit(admission) => {
                let view = View { graph: self, truth: self.truth_of(&seen), point: Point::Op(at) };
                let revoked = view.device_sets(&admission.account).revoked;
                let active = admission.devices.devices().map(|info| info.id);
                (active.filter(|id| !revoked.contains(id)).collect(), BTreeSet::new())
            }
            act => {
                let Some(fresh) = act.fresh() else { return seen };
                let (to, silent) = self.belonging_behind(at, &mut seen);
                let rightly = to.len() == fresh.items as usize && recipients_digest(&to) == fresh.recipients;
                if !rightly {
                    self.misdirected.insert(at);
                    return seen;
                }
                (to, silent)
            }
        };
        let given = Given { to: self.pasts.intern(given.0), silent: self.pasts.intern(given.1) };
        self.pasts.given.insert(at, given);
        seen
    }

    /// Lists who belongs behind an operation, taken to hold, and its past (R-MEM-10).
    fn belonging_behind(&mut self, at: Ix, seen: &mut Seen) -> (BTreeSet<DeviceId>, BTreeSet<DeviceId>) {
        self.resolution_of(seen).assume(at, true);
        let view = View { graph: self, truth: self.truth_of(seen), point: Point::Heads(&[at]) };
        let found = view.recipients();
        self.resolution_of(seen).assume(at, false);
        found
    }

    fn truth_of<'a>(&'a self, seen: &'a Seen) -> Truth<'a> {
        match seen {
            Seen::Calm => self.plain.as_ref().unwrap_or(&self.found).truth(),
            Seen::All => self.found.truth(),
            Seen::Own(found) => found.truth(),
        }
    }

    fn resolution_of<'a>(&'a mut self, seen: &'a mut Seen) -> &'a mut Resolution {
        match seen {
            Seen::Calm => self.plain.as_mut().unwrap_or(&mut self.found),
            Seen::All => &mut self.found,
            Seen::Own(found) => found,
        }
    }

    /// Lists some operations and everything before them, in order.
    pub(super) fn past(&self, heads: &[Ix]) -> Vec<Ix> {
        let mut known = vec![false; self.ops.len()];
        let mut stack = heads.to_vec();
        while let Some(at) = stack.pop() {
            match known.get_mut(at) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            stack.extend(self.parents.get(at).into_iter().flatten());
        }
        known.iter().enumerate().filter(|(_, k)| **k).map(|(at, _)| at).collect()
    }

    /// Finds the last operations that hold, from some operations down.
    pub(super) fn standing_from(&self, heads: &[Ix], valid: &[bool]) -> Vec<Ix> {
        let (mut found, mut stack, mut seen) = (BTreeSet::new(), heads.to_vec(), BTreeSet::new());
        while let Some(at) = stack.pop() {
            if !seen.insert(at) {
                continue;
            }
            if valid.get(at) == Some(&true) {
                found.insert(at);
            } else {
                stack.extend(self.parents.get(at).into_iter().flatten());
            }
        }
        let mut last: Vec<Ix> = Vec::new();
        for at in found.into_iter().rev() {
            if !last.iter().any(|later| self.order.precedes(at, *later)) {
                last.push(at);
            }
        }
        last.reverse();
        last
    }
}
