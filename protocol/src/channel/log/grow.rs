//! How a graph takes in operations: what is checked of each, and what has to be found out anew. Must not know what an
//! operation needs.

use super::{
    Added, Error, Graph,
    ancestry::{Ancestry, Ix},
    facts::{Facts, device_log},
    past::{Pasts, Seen},
    resolve::{self, Resolution},
};
use crate::{
    channel::{Act, Op, OpId},
    limits::CHANNEL_OPS_MAX,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

/// What is known of operations that are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signatures {
    /// Nothing: they come from outside.
    Verify,
    /// They were verified before: they come from our own store.
    Verified,
}

impl Graph {
    /// Begins a channel with the operation that creates it.
    pub fn create(first: Op) -> Result<Self, Error> {
        Self::begin(first, Signatures::Verify)
    }

    /// Takes in many operations, parents first, at the cost of finding out once which of them hold: the same as adding one
    /// after the other. Refuses all where one cannot be added.
    pub fn load(ops: impl IntoIterator<Item = Op>, signatures: Signatures) -> Result<Self, Error> {
        let mut ops = ops.into_iter();
        let mut graph = Self::begin(ops.next().ok_or(Error::NotFirst)?, signatures)?;
        for op in ops {
            graph.enter(op, signatures)?;
        }
        graph.settle(graph.ops.len());
        Ok(graph)
    }

    /// Takes in an operation whose past is known. One that does not hold is kept: what comes later may change that.
    pub fn add(&mut self, op: Op) -> Result<Added, Error> {
        let entered = self.enter(op, Signatures::Verify);
        self.settle(self.ops.len());
        entered.map(|(at, new)| self.added(at, new))
    }

    /// Takes in many operations, parents first; says of each what became of it when all of them were in.
    pub fn add_all(&mut self, ops: impl IntoIterator<Item = Op>) -> Vec<Result<Added, Error>> {
        let entered: Vec<_> = ops.into_iter().map(|op| self.enter(op, Signatures::Verify)).collect();
        self.settle(self.ops.len());
        entered.into_iter().map(|entered| entered.map(|(at, new)| self.added(at, new))).collect()
    }

    fn added(&self, at: Ix, new: bool) -> Added {
        Added { at, refused: self.refused(at), new }
    }

    fn begin(first: Op, signatures: Signatures) -> Result<Self, Error> {
        let Act::Create { devices, .. } = first.act() else { return Err(Error::NotFirst) };
        let info = devices.device(&first.device()).ok_or(Error::UnknownDevice)?;
        if signatures == Signatures::Verify && !first.is_signed_by(info) {
            return Err(Error::BadSignature);
        }
        let (channel, creator) = (first.channel(), first.account());
        let mut graph = Self {
            channel,
            creator,
            ops: Vec::new(),
            positions: BTreeMap::new(),
            parents: Vec::new(),
            order: Ancestry::default(),
            facts: Facts::default(),
            heads: BTreeSet::new(),
            proven: BTreeMap::new(),
            misdirected: BTreeSet::new(),
            stirring: BTreeSet::new(),
            pasts: Pasts::default(),
            plain: None,
            found: Resolution::default(),
            dirty: false,
        };
        graph.push(first, &[]);
        match graph.refused(0) {
            Some(why) => Err(Error::First(why)),
            None => Ok(graph),
        }
    }

    fn enter(&mut self, op: Op, signatures: Signatures) -> Result<(Ix, bool), Error> {
        if op.channel() != self.channel {
            return Err(Error::OtherChannel);
        }
        if let Some(at) = self.position(&op.id()) {
            return Ok((at, false));
        }
        if op.parents().is_empty() {
            return Err(Error::NotFirst);
        }
        let missing: Vec<OpId> = op.parents().iter().filter(|p| !self.positions.contains_key(p)).copied().collect();
        if !missing.is_empty() {
            return Err(Error::Missing(missing));
        }
        let parents: Vec<Ix> = op.parents().iter().filter_map(|p| self.position(p)).collect();
        if !self.is_introduced(&op, &parents) {
            return Err(Error::UnknownDevice);
        }
        if signatures == Signatures::Verify {
            self.has_room_for(&op)?;
            let (_, info) = self.facts.devices.get(&op.device()).ok_or(Error::UnknownDevice)?;
            if !op.is_signed_by(info) {
                return Err(Error::BadSignature);
            }
        }
        Ok((self.push(op, &parents), true))
    }

    /// Refuses what there is no room for: who is not in cannot take the room of those who are.
    fn has_room_for(&self, op: &Op) -> Result<(), Error> {
        let most = CHANNEL_OPS_MAX;
        let in_half = self.ops.len() < most / 2 || self.ops.len() < most && self.is_member(&op.account());
        if in_half && !self.order.is_full() { Ok(()) } else { Err(Error::Full) }
    }

    /// Says whether a device log in an operation's past names its device, so that outsiders add nothing at all.
    fn is_introduced(&self, op: &Op, parents: &[Ix]) -> bool {
        let logs = self.facts.people.get(&op.account()).map_or(&[][..], |p| p.logs.as_slice());
        logs.iter().any(|at| {
            let log = self.ops.get(*at).and_then(|op| device_log(op));
            log.is_some_and(|(_, log)| log.member(&op.device()).is_some())
                && parents.iter().any(|p| p == at || self.order.precedes(*at, *p))
        })
    }

    fn push(&mut self, op: Op, parents: &[Ix]) -> Ix {
        let whole = parents.len() == self.heads.len() && parents.iter().all(|p| self.heads.contains(p));
        let at = self.order.push(parents);
        self.facts.push(at, &op);
        self.positions.insert(op.id(), at);
        for parent in parents {
            self.heads.remove(parent);
        }
        self.heads.insert(at);
        self.parents.push(parents.to_vec());
        if matches!(op.act(), Act::Admit(admission) if admission.invite.is_some()) {
            self.proven.insert(at, OnceLock::new());
        }
        self.ops.push(Arc::new(op));
        let seen = self.look_back(at, parents, whole);
        let stirred = if whole { BTreeSet::new() } else { self.stirred_by(at) };
        if !stirred.is_empty() && self.plain.is_none() {
            self.plain = Some(self.found.calm());
        }
        let strikes = stirred.contains(&at) && self.is_strong(at);
        self.stirring.extend(stirred);
        self.judge_last(at, seen, strikes);
        at
    }

    /// Judges an operation that has just come: for who knows nothing else, for its author, and for us, unless it may change
    /// what was found out about others.
    fn judge_last(&mut self, at: Ix, seen: Seen, strikes: bool) {
        let mut theirs = None;
        if let Some(mut plain) = self.plain.take() {
            plain.append(self, at, false);
            if matches!(seen, Seen::Calm) {
                theirs = Some(plain.why_not(at));
            }
            self.plain = Some(plain);
        }
        if let Seen::Own(mut own) = seen {
            own.append(self, at, true);
            theirs = Some(own.why_not(at));
            self.pasts.keep(at, own);
        }
        self.dirty |= strikes || !self.dirty && resolve::may_settle(self, at, &self.found);
        if self.dirty {
            // What it changes about others is not found out yet: as its author saw it, it changed nothing.
            let theirs = theirs.unwrap_or_else(|| resolve::judge(self, &self.found, at).err());
            return self.pasts.forbid(at, theirs);
        }
        let mut found = std::mem::take(&mut self.found);
        found.append(self, at, true);
        self.pasts.forbid(at, theirs.unwrap_or_else(|| found.why_not(at)));
        self.dirty = resolve::exceeds(self, at, &found);
        self.found = found;
    }

    /// Finds out which of the first operations hold, if that may have changed.
    pub(super) fn settle(&mut self, count: usize) {
        if self.dirty {
            self.found = resolve::resolve(self, &(0..count).collect::<Vec<_>>());
            self.dirty = false;
        }
    }
}
