//! All known operations of one account as a tree, and the rule that picks one branch or freezes. Must not know where the
//! operations came from: the outcome depends on the set alone.

use super::{
    Act, Error, FORK_KEPT, Issuer, Op, OpId,
    state::{Signature, State},
};
use crate::{AccountId, Timestamp, wire::Signed};
use std::collections::{BTreeMap, BTreeSet};

/// Operations by their id, each valid where it stands, and the states after them.
pub(super) struct Tree {
    start: State,
    nodes: BTreeMap<OpId, (Op, State)>,
    children: BTreeMap<[u8; 32], BTreeSet<OpId>>,
}

/// The branch in force and, if the account is frozen, the operations that contradict each other at its end.
pub(super) struct Resolved {
    pub(super) state: State,
    pub(super) chain: Vec<Op>,
    pub(super) fork: Vec<Op>,
}

impl Tree {
    /// Builds from what is known and what came, which may be in any order.
    pub(super) fn build(account: AccountId, known: &[&Op], came: &[Signed], now: Timestamp) -> Result<Self, Error> {
        let start = State::start(account)?;
        let mut tree = Self { start, nodes: BTreeMap::new(), children: BTreeMap::new() };
        let mut waiting: Vec<(Op, Signature)> = known.iter().map(|op| ((*op).clone(), Signature::Known)).collect();
        for signed in came {
            waiting.push((Op::decode(signed)?, Signature::Unchecked));
        }
        // A predecessor has the lower number; a wrong number is refused where it is applied.
        waiting.sort_by_key(|(op, _)| op.number());
        for (op, signature) in waiting {
            tree.insert(op, signature, now)?;
        }
        Ok(tree)
    }

    fn insert(&mut self, op: Op, signature: Signature, now: Timestamp) -> Result<(), Error> {
        if self.nodes.contains_key(op.id()) {
            return Ok(());
        }
        let before = if op.previous() == self.start.head() {
            &self.start
        } else {
            &self.nodes.get(&OpId::from_bytes(*op.previous())).ok_or(Error::Gap)?.1
        };
        let after = before.apply(&op, signature, now)?;
        self.children.entry(*op.previous()).or_default().insert(*op.id());
        self.nodes.insert(*op.id(), (op, after));
        Ok(())
    }

    /// Follows the tree from the start as far as it is one branch, or as a rule decides between branches (R-ID-4).
    pub(super) fn resolve(mut self) -> Resolved {
        let mut state = self.start.clone();
        let mut fork = Vec::new();
        while let Some(next) = self.children.get(state.head()) {
            let mut only = next.iter();
            let winner = match (only.next(), only.next()) {
                (Some(one), None) => Some(one),
                _ => next.iter().find(|c| next.iter().all(|d| c == &d || (self.beats(c, d) && !self.beats(d, c)))),
            };
            match winner.and_then(|id| self.nodes.get(id)) {
                Some((_, after)) => state = after.clone(),
                None => {
                    fork = next.iter().copied().collect();
                    break;
                }
            }
        }
        let chain = state.path().iter().filter_map(|id| self.nodes.remove(id)).map(|(op, _)| op).collect();
        // What the root signed is kept first: it may settle the rest.
        let mut fork: Vec<Op> = fork.iter().filter_map(|id| self.nodes.remove(id)).map(|(op, _)| op).collect();
        fork.sort_by_key(|op| (!op.is_by_root(), *op.id()));
        fork.truncate(FORK_KEPT);
        Resolved { state, chain, fork }
    }

    /// Says whether `c` overrules its sibling `d`, for one of three reasons, all of them the root's word.
    fn beats(&self, c: &OpId, d: &OpId) -> bool {
        let (below_c, below_d) = (self.branch(c), self.branch(d));
        let settled = |branch: &[&Op]| branch.iter().any(|op| names(op, c) && names(op, d));
        match (settled(&below_c), settled(&below_d)) {
            (true, _) => return true,
            (false, true) => return false,
            (false, false) => {}
        }
        let (Some(op_c), Some(op_d)) = (below_c.first(), below_d.first()) else { return false };
        // No signature of a root that has been replaced undoes its replacement.
        let replaced = below_d.iter().any(|op| matches!(op.act(), Act::RotateRoot { .. }));
        if is_last_word(op_c) && !is_last_word(op_d) && !replaced {
            return true;
        }
        if is_last_word(op_d) {
            return false;
        }
        below_c.iter().any(|op| match (op.act(), op_d.issuer()) {
            (Act::Revoke { device }, Issuer::Device(issuer)) => op.is_by_root() && device == issuer,
            _ => false,
        })
    }

    /// Lists an operation and everything that follows it on any branch.
    fn branch(&self, from: &OpId) -> Vec<&Op> {
        let mut found: Vec<&Op> = self.nodes.get(from).map(|(op, _)| op).into_iter().collect();
        let mut seen = 0;
        while let Some(op) = found.get(seen) {
            let next = self.children.get(op.id().as_bytes()).into_iter().flatten();
            let next: Vec<&Op> = next.filter_map(|id| self.nodes.get(id)).map(|(op, _)| op).collect();
            found.extend(next);
            seen = seen.saturating_add(1);
        }
        found
    }
}

/// Says whether the operation is one that the root always wins with.
fn is_last_word(op: &Op) -> bool {
    op.is_by_root() && matches!(op.act(), Act::Revoke { .. } | Act::Lift { .. })
}

fn names(op: &Op, id: &OpId) -> bool {
    matches!(op.act(), Act::Lift { ops } if ops.contains(id))
}
