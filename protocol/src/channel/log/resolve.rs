//! Finds out which operations hold: strong removal, computed from the whole set, so that every order of arrival gives one
//! answer. Must not know what an operation needs.
//!
//! An operation holds if its author may do it, seen from its past, and nothing that holds strikes it. Whether a removal
//! holds can depend on operations that it strikes itself, directly or in a circle, so the answer is approached in rounds:
//! first nothing strikes, then everything that held a moment ago, and so on. What no longer changes is the answer. What
//! goes on changing is decided by a circle of people who removed each other: then every removal in the circle holds, and
//! only then is it found out about the rest.

use super::{
    Graph, Refused,
    ancestry::Ix,
    strikes::used_invite,
    view::{Deed, Point, Truth, View},
};
use crate::{
    channel::{Act, OpId},
    wire::Transcript,
};
use std::collections::{BTreeMap, BTreeSet};

/// Rounds in which what does not go in a circle comes to rest, unless more removals than that strike one another in a line.
const ROUNDS: usize = 64;

/// Which operations of a set hold, and by which strikes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolution {
    pub(super) valid: Vec<bool>,
    pub(super) why: BTreeMap<Ix, Refused>,
    pub(super) strikes: Vec<bool>,
    pub(super) mutual: BTreeSet<Ix>,
    pub(super) forced: BTreeSet<Ix>,
    pub(super) settled: BTreeSet<(Ix, Ix)>,
    pub(super) overused: BTreeSet<Ix>,
}

impl Resolution {
    pub(super) fn truth(&self) -> Truth<'_> {
        let Self { valid, why: _, strikes, mutual, forced: _, settled, overused } = self;
        Truth { valid, strikes, mutual, settled, overused }
    }

    /// Takes an operation to hold, or not.
    pub(super) fn assume(&mut self, o: Ix, holds: bool) {
        if self.valid.len() <= o {
            self.valid.resize(o + 1, false);
            self.strikes.resize(o + 1, false);
        }
        if let Some(valid) = self.valid.get_mut(o) {
            *valid = holds;
        }
    }

    fn set(&mut self, o: Ix, judged: Result<(), Refused>) {
        self.assume(o, judged.is_ok());
        match judged {
            Ok(()) => self.why.remove(&o),
            Err(why) => self.why.insert(o, why),
        };
    }

    /// Says why an operation does not hold, if it does not.
    pub(super) fn why_not(&self, o: Ix) -> Option<Refused> {
        self.why.get(&o).copied()
    }

    /// Judges an operation that changes nothing about those before it.
    pub(super) fn append(&mut self, graph: &Graph, o: Ix, strikes: bool) {
        self.assume(o, false);
        let judged = judge(graph, self, o);
        if let Some(to) = self.strikes.get_mut(o) {
            *to = strikes && judged.is_ok() && graph.is_strong(o);
        }
        self.set(o, judged);
    }

    /// Returns the same without any strike.
    pub(super) fn calm(&self) -> Self {
        Self { strikes: vec![false; self.strikes.len()], ..self.clone() }
    }

    /// Hashes which of the operations hold: equal on every device that knows the same ones.
    pub(super) fn hash(&self, ids: impl Iterator<Item = OpId>) -> [u8; 32] {
        let mut valid: Vec<OpId> = ids.zip(&self.valid).filter(|(_, v)| **v).map(|(id, _)| id).collect();
        valid.sort_unstable();
        let ids: Vec<_> = valid.iter().map(|id| *id.as_bytes()).collect();
        Transcript::new(crate::crypto::label::CHANNEL_STATE).list(&ids).sha256()
    }
}

/// What is given before the strikes are found out.
#[derive(Clone, Default)]
struct Given {
    mutual: BTreeSet<Ix>,
    forced: BTreeSet<Ix>,
    settled: BTreeSet<(Ix, Ix)>,
    overused: BTreeSet<Ix>,
}

/// Resolves the operations of a set, which contains the past of each of its members; `within` lists them in order.
pub(super) fn resolve(graph: &Graph, within: &[Ix]) -> Resolution {
    let strict = with_uses(graph, within, BTreeSet::new());
    let settled = settled(graph, within, &strict);
    if settled.is_empty() { strict } else { with_uses(graph, within, settled) }
}

/// R-MEM-5: of uses of one invite that did not know of each other those with the lowest ids stay.
fn with_uses(graph: &Graph, within: &[Ix], settled: BTreeSet<(Ix, Ix)>) -> Resolution {
    let mut given = Given { settled, ..Given::default() };
    loop {
        let found = approach(graph, within, given.clone());
        let before = given.overused.len();
        for invite in graph.facts.uses.keys() {
            given.overused.extend(over_limit(graph, invite, &found.valid));
        }
        if given.overused.len() == before {
            return found;
        }
    }
}

/// Lists the uses of an invite that hold although so many with lower ids do.
pub(super) fn over_limit(graph: &Graph, invite: &OpId, valid: &[bool]) -> Vec<Ix> {
    let uses = graph.facts.uses.get(invite).map_or(&[][..], Vec::as_slice);
    let Some(Act::PostInvite(terms)) = graph.position(invite).and_then(|at| graph.ops.get(at)).map(|op| op.act())
    else {
        return Vec::new();
    };
    if uses.len() <= terms.uses as usize {
        return Vec::new();
    }
    let mut held: Vec<Ix> = uses.iter().copied().filter(|at| valid.get(*at) == Some(&true)).collect();
    held.sort_unstable_by_key(|at| graph.ops.get(*at).map(|op| op.id()));
    held.into_iter().skip(terms.uses as usize).collect()
}

/// R-MEM-4: an admission in the past of a fresh epoch stays although its author is removed by somebody who did not know of
/// it, if the fresh epoch was made by another member who could have let the newcomer in as well and did not know of the
/// removal: the keys went to the newcomer already. That member's own right must not come from the admission, so it is
/// judged without.
fn settled(graph: &Graph, within: &[Ix], strict: &Resolution) -> BTreeSet<(Ix, Ix)> {
    let known: BTreeSet<Ix> = within.iter().copied().collect();
    let mut settled = BTreeSet::new();
    for r in graph.stirring.iter().filter(|r| known.contains(r) && strict.strikes.get(**r) == Some(&true)) {
        for a in admissions_struck(graph, *r).into_iter().filter(|a| known.contains(a)) {
            let holds = |f: &Ix| strict.valid.get(*f) == Some(&true);
            if graph.facts.fresh.iter().any(|f| holds(f) && settles(graph, *f, a, *r, strict)) {
                settled.insert((a, *r));
            }
        }
    }
    settled
}

/// Lists the admissions by whom a removal strikes.
fn admissions_struck(graph: &Graph, r: Ix) -> Vec<Ix> {
    let Some(Act::Remove(removal)) = graph.ops.get(r).map(|op| op.act()) else { return Vec::new() };
    let by = graph.facts.by_author.get(&removal.account).map_or(&[][..], Vec::as_slice);
    let admits = |a: &Ix| graph.ops.get(*a).is_some_and(|op| matches!(op.act(), Act::Admit(_)));
    by.iter().copied().filter(|a| admits(a) && graph.could_strike(r, *a)).collect()
}

/// Says whether a fresh epoch keeps an admission from being struck by a removal.
fn settles(graph: &Graph, f: Ix, a: Ix, r: Ix, strict: &Resolution) -> bool {
    let (Some(fresh), Some(op)) = (graph.ops.get(f), graph.ops.get(a)) else { return false };
    let Act::Admit(admission) = op.act() else { return false };
    let author = fresh.account();
    if author == op.account() || author == admission.account {
        return false;
    }
    graph.order.precedes(a, f) && !graph.order.precedes(r, f) && {
        let view = View { graph, truth: strict.truth(), point: Point::Op(f) };
        view.could_let_in(&author, admission, fresh.at())
    }
}

/// Says whether a fresh epoch that came last may settle an admission which was not.
pub(super) fn may_settle(graph: &Graph, f: Ix, found: &Resolution) -> bool {
    if graph.facts.fresh.last() != Some(&f) {
        return false;
    }
    let strikes = |r: &&Ix| !found.settled.is_empty() || found.strikes.get(**r) == Some(&true);
    graph.stirring.iter().filter(|r| !graph.order.precedes(**r, f)).filter(strikes).any(|r| {
        let open = |a: &Ix| graph.order.precedes(*a, f) && !found.settled.contains(&(*a, *r));
        admissions_struck(graph, *r).iter().any(open)
    })
}

/// Finds what holds, circle after circle.
fn approach(graph: &Graph, within: &[Ix], mut given: Given) -> Resolution {
    loop {
        let undecided = match squeeze(graph, within, &given) {
            Ok(found) => return found,
            Err(undecided) => undecided,
        };
        let circle = graph.circles(&undecided);
        if circle.is_subset(&given.mutual) {
            // Each strikes what the other stands on: they hold without being asked again.
            given.forced.extend(circle);
        } else {
            given.mutual.extend(circle);
        }
    }
}

/// Lets those strike that held a moment ago, until nothing changes; what goes on changing where something does. That never
/// depends on strong operations that bear on nothing in the set, so that one who knows more finds the same.
fn squeeze(graph: &Graph, within: &[Ix], given: &Given) -> Result<Resolution, Vec<Ix>> {
    let strong: Vec<Ix> = within.iter().copied().filter(|at| graph.is_strong(*at)).collect();
    let run = |striking: &[bool]| {
        let mut strikes = vec![false; graph.ops.len()];
        for (r, does) in strong.iter().zip(striking) {
            if let Some(to) = strikes.get_mut(*r) {
                *to = *does;
            }
        }
        pass(graph, within, strikes, given)
    };
    let holding =
        |found: &Resolution| -> Vec<bool> { strong.iter().map(|r| found.valid.get(*r) == Some(&true)).collect() };
    let mut now = vec![false; strong.len()];
    // A state that is kept, and for how many rounds: it comes again if the rounds go in a circle.
    let (mut kept, mut age, mut most) = (now.clone(), 0, 1);
    let mut changing = Changing::new(strong.len());
    for round in 0..2 * ROUNDS {
        let found = run(&now);
        let next = holding(&found);
        if round < ROUNDS && next == now {
            return Ok(found);
        }
        now = next;
        age += 1;
        if round < ROUNDS && now == kept {
            let mut changing = Changing::new(strong.len());
            for _ in 0..age {
                now = holding(&run(&now));
                changing.see(&now);
            }
            return Err(changing.of(&strong));
        }
        if round >= ROUNDS {
            changing.see(&now);
        } else if age == most {
            (kept, age, most) = (now.clone(), 0, 2 * most);
        }
    }
    Err(changing.of(&strong))
}

/// What is now so, now otherwise.
struct Changing {
    ever: Vec<bool>,
    always: Vec<bool>,
}

impl Changing {
    fn new(count: usize) -> Self {
        Self { ever: vec![false; count], always: vec![true; count] }
    }

    fn see(&mut self, state: &[bool]) {
        for ((ever, always), is) in self.ever.iter_mut().zip(&mut self.always).zip(state) {
            *ever |= is;
            *always &= is;
        }
    }

    fn of(&self, strong: &[Ix]) -> Vec<Ix> {
        let changes = self.ever.iter().zip(&self.always).map(|(ever, always)| *ever && !always);
        strong.iter().zip(changes).filter(|(_, changes)| *changes).map(|(r, _)| *r).collect()
    }
}

/// Judges every operation of the set, each by those before it.
fn pass(graph: &Graph, within: &[Ix], strikes: Vec<bool>, given: &Given) -> Resolution {
    let Given { mutual, forced, settled, overused } = given.clone();
    let valid = vec![false; graph.ops.len()];
    let mut found = Resolution { valid, why: BTreeMap::new(), strikes, mutual, forced, settled, overused };
    for o in within {
        let judged = if found.forced.contains(o) { Ok(()) } else { judge(graph, &found, *o) };
        found.set(*o, judged);
    }
    found
}

/// Judges one operation by those before it.
pub(super) fn judge(graph: &Graph, by: &Resolution, o: Ix) -> Result<(), Refused> {
    #[cfg(test)]
    super::tests::count_judgement();
    let op = graph.ops.get(o).ok_or(Refused::NotMember)?;
    let view = View { graph, truth: by.truth(), point: Point::Op(o) };
    view.may(&Deed { account: op.account(), device: op.device(), at: op.at(), act: op.act() })?;
    if graph.misdirected.contains(&o) { Err(Refused::WrongRecipients) } else { Ok(()) }
}

/// Says whether a use that came last exceeds what its invite allows.
pub(super) fn exceeds(graph: &Graph, at: Ix, found: &Resolution) -> bool {
    let invite = graph.ops.get(at).and_then(|op| used_invite(op));
    invite.is_some_and(|invite| !over_limit(graph, &invite, &found.valid).is_empty())
}
