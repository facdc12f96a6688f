//! Which operations could strike which others, whatever holds: the reason why what holds depends on the whole set. Must not
//! know which of them hold.

use super::{
    Graph,
    ancestry::Ix,
    facts::{device_log, revokes},
};
use crate::{
    AccountId,
    channel::{Act, Op, OpId},
};
use std::collections::{BTreeMap, BTreeSet};

/// Returns the invite that an operation uses.
pub(super) fn used_invite(op: &Op) -> Option<OpId> {
    match op.act() {
        Act::Admit(admission) => admission.invite.as_ref().map(|used| used.invite),
        _ => None,
    }
}

impl Graph {
    /// Returns who posted the invite that an operation uses.
    fn poster(&self, op: &Op) -> Option<AccountId> {
        let posted = used_invite(op).and_then(|id| self.position(&id)).and_then(|at| self.ops.get(at))?;
        matches!(posted.act(), Act::PostInvite(_)).then(|| posted.account())
    }

    /// Says whether `r`, if it holds, takes from `q` what it needs where they do not know each other. Who leaves, or steps
    /// down, takes nothing from what they did themselves.
    fn aims_at(&self, r: &Op, q: &Op) -> bool {
        let own = r.account() == q.account();
        let by_act = match r.act() {
            Act::Remove(removal) => !own && removal.account == q.account(),
            Act::RevokeRole { account, .. } => !own && (*account == q.account() || self.poster(q) == Some(*account)),
            Act::DropRole { .. } => true,
            Act::RevokeInvite { invite } => used_invite(q) == Some(*invite),
            _ => false,
        };
        by_act || device_log(r).is_some_and(|(account, _)| account == q.account() && revokes(r, &q.device()))
    }

    /// Says whether `r` strikes `q` if it holds.
    pub(super) fn could_strike(&self, r: Ix, q: Ix) -> bool {
        let (Some(a), Some(b)) = (self.ops.get(r), self.ops.get(q)) else { return false };
        self.aims_at(a, b) && self.order.concurrent(r, q)
    }

    /// Calls `found` with operations that a strong one may aim at, until it says that it has found one.
    fn any_target(&self, r: Ix, found: &mut dyn FnMut(Ix) -> bool) -> bool {
        let Some(op) = self.ops.get(r) else { return false };
        let by = |account: &AccountId| self.facts.by_author.get(account).map_or(&[][..], Vec::as_slice);
        let used = |invite: &OpId| self.facts.uses.get(invite).map_or(&[][..], Vec::as_slice);
        let of_log = device_log(op).map(|(account, _)| account);
        let own: &[Ix] = match op.act() {
            Act::Remove(removal) => by(&removal.account),
            Act::RevokeRole { account, .. } => {
                let posts = |at: &&Ix| self.ops.get(**at).is_some_and(|op| matches!(op.act(), Act::PostInvite(_)));
                let invites = by(account).iter().filter(posts).filter_map(|at| self.ops.get(*at));
                for invite in invites {
                    if used(&invite.id()).iter().rev().any(|q| found(*q)) {
                        return true;
                    }
                }
                by(account)
            }
            Act::RevokeInvite { invite } => used(invite),
            _ => &[],
        };
        own.iter().chain(of_log.iter().flat_map(by)).rev().any(|q| found(*q))
    }

    /// Lists those that begin to bear on others because an operation has come that does not know all the others: those that
    /// aim at it, itself if it aims at one of them, and all uses of its invite if they are too many.
    pub(super) fn stirred_by(&self, at: Ix) -> BTreeSet<Ix> {
        let Some(op) = self.ops.get(at) else { return BTreeSet::new() };
        let mut aiming: Vec<Ix> = self.facts.drops.clone();
        if let Some(person) = self.facts.people.get(&op.account()) {
            aiming.extend(person.removals.iter().chain(&person.revokes).chain(&person.revocations));
        }
        if let Some(person) = self.poster(op).and_then(|poster| self.facts.people.get(&poster)) {
            aiming.extend(&person.revokes);
        }
        if let Some(ends) = used_invite(op).and_then(|invite| self.facts.invite_ends.get(&invite)) {
            aiming.extend(ends);
        }
        let mut stirred: BTreeSet<Ix> =
            aiming.into_iter().filter(|r| !self.stirring.contains(r) && self.could_strike(*r, at)).collect();
        let drops = matches!(op.act(), Act::DropRole { .. });
        if self.is_strong(at) && (drops || self.any_target(at, &mut |q| self.could_strike(at, q))) {
            stirred.insert(at);
        }
        if let Some((invite, uses)) = used_invite(op).and_then(|id| Some((id, self.facts.uses.get(&id)?))) {
            let posted = self.position(&invite).and_then(|at| self.ops.get(at)).map(|op| op.act());
            // R-MEM-5: of too many that do not know each other some do not stay.
            if matches!(posted, Some(Act::PostInvite(terms)) if uses.len() > terms.uses as usize) {
                stirred.extend(uses);
            }
        }
        stirred
    }

    /// Says whether an operation is one of those that can strike others.
    pub(super) fn is_strong(&self, at: Ix) -> bool {
        self.facts.strong.binary_search(&at).is_ok()
    }

    /// Lists what a strong operation may strike, without what lies behind other such: who decides about an operation
    /// decides about all that follows it.
    fn first_targets(&self, r: Ix) -> Vec<Ix> {
        let mut all = Vec::new();
        self.any_target(r, &mut |x| {
            all.extend(self.could_strike(r, x).then_some(x));
            false
        });
        all.sort_unstable();
        let mut first: Vec<Ix> = Vec::new();
        for x in all {
            if !first.iter().any(|f| *f == x || self.order.precedes(*f, x)) {
                first.push(x);
            }
        }
        first
    }

    /// Finds, among strong operations that could not be decided, the circles that depend on no other circle.
    pub(super) fn circles(&self, undecided: &[Ix]) -> BTreeSet<Ix> {
        let mut web = Web::new(undecided.len());
        let mut targets: BTreeMap<Ix, usize> = BTreeMap::new();
        for (n, r) in undecided.iter().enumerate() {
            if matches!(self.ops.get(*r).map(|op| op.act()), Some(Act::DropRole { .. })) {
                let others = undecided.iter().enumerate().filter(|(_, q)| self.order.concurrent(*r, **q));
                others.for_each(|(q, _)| web.join(n, q));
            }
            for x in self.first_targets(*r) {
                let node = *targets.entry(x).or_insert_with(|| web.node());
                web.join(n, node);
            }
        }
        for (x, node) in targets {
            let behind = undecided.iter().enumerate().filter(|(_, q)| **q == x || self.order.precedes(x, **q));
            behind.for_each(|(q, _)| web.join(node, q));
        }
        let first = web.first_circles();
        undecided.iter().enumerate().filter(|(n, _)| first.get(*n) == Some(&true)).map(|(_, r)| *r).collect()
    }
}

/// Who decides about whom, directly or over others.
struct Web {
    to: Vec<Vec<usize>>,
    from: Vec<Vec<usize>>,
}

impl Web {
    fn new(nodes: usize) -> Self {
        Self { to: vec![Vec::new(); nodes], from: vec![Vec::new(); nodes] }
    }

    fn node(&mut self) -> usize {
        self.to.push(Vec::new());
        self.from.push(Vec::new());
        self.to.len() - 1
    }

    fn join(&mut self, a: usize, b: usize) {
        if a != b
            && let (Some(to), Some(from)) = (self.to.get_mut(a), self.from.get_mut(b))
        {
            to.push(b);
            from.push(a);
        }
    }

    /// Walks from a node over all that was not visited, and lists it, what was left last in the end.
    fn walk(edges: &[Vec<usize>], start: usize, visited: &mut [bool]) -> Vec<usize> {
        let mut left = Vec::new();
        let mut stack = vec![(start, 0)];
        while let Some((node, next)) = stack.pop() {
            if next == 0 && visited.get_mut(node).is_none_or(|seen| std::mem::replace(seen, true)) {
                continue;
            }
            match edges.get(node).and_then(|to| to.get(next)) {
                Some(to) => {
                    stack.push((node, next + 1));
                    stack.push((*to, 0));
                }
                None => left.push(node),
            }
        }
        left
    }

    /// Says of each node whether nothing decides about it that it does not decide about as well (Kosaraju's way to strongly
    /// connected components).
    fn first_circles(&self) -> Vec<bool> {
        let count = self.to.len();
        let mut visited = vec![false; count];
        let order: Vec<usize> = (0..count).flat_map(|n| Self::walk(&self.to, n, &mut visited)).collect();
        let (mut visited, mut circle) = (vec![false; count], vec![0; count]);
        let mut first = vec![false; count];
        for start in order.into_iter().rev() {
            let members = Self::walk(&self.from, start, &mut visited);
            for member in &members {
                if let Some(circle) = circle.get_mut(*member) {
                    *circle = start;
                }
            }
            let within = |from: &usize| circle.get(*from) == Some(&start) && visited.get(*from) == Some(&true);
            let is_first = members.iter().filter_map(|m| self.from.get(*m)).flatten().all(within);
            for member in members {
                if let Some(to) = first.get_mut(member) {
                    *to = is_first;
                }
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_that_nothing_else_decides_about_come_first() {
        // 0 and 1 decide about each other, 1 about 2, 2 and 3 about each other; 4 about nobody, 5 about 4.
        let mut web = Web::new(6);
        for (a, b) in [(0, 1), (1, 0), (1, 2), (2, 3), (3, 2), (5, 4), (4, 4)] {
            web.join(a, b);
        }
        assert_eq!(web.first_circles(), [true, true, false, false, false, true]);
        let mut ring = Web::new(1_000);
        (0..1_000).for_each(|n| ring.join(n, (n + 1) % 1_000));
        assert!(ring.first_circles().iter().all(|first| *first));
        ring.join(3, 900);
        let outside = ring.node();
        ring.join(outside, 7);
        let first = ring.first_circles();
        assert!(first[outside] && first[..1_000].iter().all(|first| !first));
    }
}
