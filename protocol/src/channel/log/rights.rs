//! What roles give to whom at one point of the graph. Must not know what a right is needed for.

use super::{
    ancestry::Ix,
    view::{Point, View},
};
use crate::{
    AccountId, Timestamp,
    channel::{
        Act, Admission, OpId, Permission, Permissions, Role, RoleName,
        role::{Conditions, Mode},
    },
    limits::{ROLE_DEPTH_MAX, ROLES_MAX},
};
use std::collections::{BTreeMap, BTreeSet};

/// Roles that are counted for one account, each under each condition it is reached under: past it a bundle of roles gives
/// nothing more.
const COUNTED_MAX: usize = 16 * ROLES_MAX;

/// A role somebody holds, and what gave it.
struct Held {
    role: RoleName,
    origin: Ix,
    until: Option<Timestamp>,
}

/// A role under the conditions by which it was reached.
type Reached = (RoleName, Option<(Option<(u16, u16)>, bool, Option<u32>)>);

/// What roles add up to, for the parts that conditions limit each for itself.
#[derive(Default)]
pub(super) struct Rights {
    always: Permissions,
    sometimes: Vec<(Conditions, Permissions)>,
    deny: Permissions,
    muted: Permissions,
    mode: Mode,
}

impl Rights {
    /// Says what they are for operations: what holds without any condition.
    pub(super) fn unconditional(&self) -> Permissions {
        self.mode.restrict(self.held().without(self.muted))
    }

    /// Says how high somebody stands: neither being silenced nor the channel's mode brings anybody down.
    pub(super) fn held(&self) -> Permissions {
        self.always.without(self.deny)
    }

    /// Says what they are for messages: what holds where `meets` says that a condition is met.
    pub(super) fn where_met(&self, meets: impl Fn(&Conditions) -> bool) -> Permissions {
        let met = self.sometimes.iter().filter(|(conditions, _)| meets(conditions));
        let all = met.fold(self.always, |all, (_, more)| all.with(*more));
        self.mode.restrict(all.without(self.deny).without(self.muted))
    }
}

/// Joins conditions that must all be met; nothing if no single one says so.
fn both(a: &Conditions, b: &Conditions) -> Option<Conditions> {
    let minutes = match (a.minutes, b.minutes) {
        (Some(a), Some(b)) if a != b => return None,
        (a, b) => a.or(b),
    };
    let per_minute = match (a.per_minute, b.per_minute) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Some(Conditions { minutes, managing_device: a.managing_device || b.managing_device, per_minute })
}

/// Reduces definitions of one role that do not know each other to what all of them allow.
fn common(mut a: Role, b: &Role) -> Role {
    a.deny = a.deny.with(b.deny);
    match both(&a.conditions, &b.conditions) {
        Some(conditions) => {
            a.allow = a.allow.without(Permissions::ALL.without(b.allow));
            a.inherits.retain(|r| b.inherits.contains(r));
            a.conditions = conditions;
        }
        None => {
            a.allow = Permissions::NONE;
            a.inherits.clear();
        }
    }
    a
}

impl View<'_> {
    /// Finds the roles of somebody; without those that are struck here, if `struck` says so.
    fn roles_held(&self, account: &AccountId, struck: bool) -> Vec<Held> {
        let Some(person) = self.person(account) else { return Vec::new() };
        let admissions: Vec<Ix> = self.admissions(account).collect();
        let mut held = Vec::new();
        for a in &admissions {
            let role = match self.act(*a) {
                Some(Act::Create { .. }) => RoleName::owner(),
                Some(Act::Admit(Admission { role, .. })) => role.clone(),
                _ => continue,
            };
            held.push(Held { role, origin: *a, until: None });
        }
        for g in person.grants.iter().filter(|g| self.sees(**g)) {
            let Some(Act::GrantRole { role, until, .. }) = self.act(*g) else { continue };
            if admissions.iter().any(|a| self.graph.order.precedes(*a, *g)) {
                held.push(Held { role: role.clone(), origin: *g, until: *until });
            }
        }
        let creator = *account == self.graph.creator;
        let ends = |h: &Held, at: &Ix| {
            // Who stepped down struck nothing of their own.
            let (of_role, strikes) = match self.act(*at) {
                Some(Act::RevokeRole { role, .. }) => (*role == h.role, struck && self.by_other(*at)),
                Some(Act::DropRole { name }) => (*name == h.role, struck),
                _ => (false, false),
            };
            let later = |at: &Ix| !self.graph.order.precedes(*at, h.origin);
            of_role && (self.ends(*at, h.origin) || strikes && self.is_struck_by(*at) && later(at))
        };
        held.retain(|h| {
            let kept = creator && h.origin == 0;
            kept || !person.revokes.iter().chain(&self.graph.facts.drops).rev().any(|at| ends(h, at))
        });
        held
    }

    fn names(held: Vec<Held>, at: Timestamp) -> BTreeSet<RoleName> {
        held.into_iter().filter(|h| h.until.is_none_or(|until| at <= until)).map(|h| h.role).collect()
    }

    /// Returns the names of the roles somebody holds at a time, in order.
    pub(super) fn roles(&self, account: &AccountId, at: Timestamp) -> Vec<RoleName> {
        Self::names(self.roles_held(account, false), at).into_iter().collect()
    }

    /// Finds what a role says: of definitions that do not know each other, what all of them allow.
    pub(super) fn role(&self, name: &RoleName) -> Option<Role> {
        if let Some(role) = name.builtin() {
            return Some(role);
        }
        let list = self.graph.facts.roles.get(name)?;
        let is_drop = |d: &&Ix| matches!(self.act(**d), Some(Act::DropRole { .. }));
        let drops: Vec<Ix> = list.iter().filter(is_drop).copied().filter(|d| self.sees(*d)).collect();
        let dropped = |q: Ix| drops.iter().rev().any(|d| !self.graph.order.precedes(*d, q));
        let definition = |at: Ix| match self.act(at) {
            Some(Act::DefineRole { role, .. }) if !dropped(at) => self.graph.ops.get(at).map(|op| (op.id(), role)),
            _ => None,
        };
        let found: BTreeMap<OpId, &Role> = self.latest(list).into_iter().filter_map(definition).collect();
        let mut found = found.into_values();
        let first = found.next()?.clone();
        Some(found.fold(first, common))
    }

    /// Adds up what a role gives with what it inherits; each role counts once for each condition it is reached under, so
    /// that circles and bundles of definitions that did not know each other cost no more than what they name. Reached under
    /// conditions that no single one joins, it gives nothing and still takes away.
    fn add_role(&self, name: &RoleName, above: Option<Conditions>, seen: &mut BTreeSet<Reached>, to: &mut Rights) {
        let mut waiting = vec![(name.clone(), above, 0)];
        while let Some((name, above, depth)) = waiting.pop() {
            let Some(role) = self.role(&name) else { continue };
            let conditions = above.and_then(|above| both(&above, &role.conditions));
            let reached = (name, conditions.map(|c| (c.minutes, c.managing_device, c.per_minute)));
            if seen.len() >= COUNTED_MAX || !seen.insert(reached) {
                continue;
            }
            to.deny = to.deny.with(role.deny);
            match conditions {
                Some(conditions) if conditions.is_empty() => to.always = to.always.with(role.allow),
                Some(conditions) => to.sometimes.push((conditions, role.allow)),
                None => {}
            }
            if depth < ROLE_DEPTH_MAX {
                waiting.extend(role.inherits.into_iter().map(|inherited| (inherited, conditions, depth + 1)));
            }
        }
    }

    fn of_role(&self, name: &RoleName) -> Rights {
        let mut rights = Rights::default();
        self.add_role(name, Some(Conditions::default()), &mut BTreeSet::new(), &mut rights);
        rights
    }

    /// Adds up everything a role could give, with and without conditions.
    pub(super) fn reach_of(&self, name: &RoleName) -> Permissions {
        let rights = self.of_role(name);
        rights.sometimes.iter().fold(rights.always, |all, (_, more)| all.with(*more))
    }

    /// Says whether a role takes rights away from whoever holds it.
    pub(super) fn denies(&self, name: &RoleName) -> bool {
        self.of_role(name).deny != Permissions::NONE
    }

    /// Computes the rights of an account at a time. Every question about rights ends here.
    pub(super) fn rights(&self, account: &AccountId, at: Timestamp) -> Rights {
        self.add_up(account, &Self::names(self.roles_held(account, false), at), at)
    }

    /// Computes the rights of whoever wants to do something here: without those that are struck.
    pub(super) fn rights_left(&self, account: &AccountId, at: Timestamp) -> Rights {
        self.add_up(account, &Self::names(self.roles_held(account, matches!(self.point, Point::Op(_))), at), at)
    }

    fn add_up(&self, account: &AccountId, roles: &BTreeSet<RoleName>, at: Timestamp) -> Rights {
        let mut rights = Rights { mode: self.mode(), ..Rights::default() };
        let mut seen = BTreeSet::new();
        for role in roles {
            self.add_role(role, Some(Conditions::default()), &mut seen, &mut rights);
        }
        if *account == self.graph.creator {
            // Privileged for ever: no role that somebody gives takes a right away, and nobody is silenced by others.
            rights.deny = Permissions::NONE;
        } else if self.is_muted(account, at) {
            use Permission::{Pin, React, Send, SendFiles};
            rights.muted = Permissions::of(&[Send, SendFiles, React, Pin]);
        }
        rights
    }

    pub(super) fn is_muted(&self, account: &AccountId, at: Timestamp) -> bool {
        let turns = self.person(account).map_or(&[][..], |p| p.mutes.as_slice());
        let on = |act: &Act| match act {
            Act::Mute { on: true, until, .. } => until.is_none_or(|until| at <= until),
            _ => false,
        };
        self.stands(turns, on, |act| matches!(act, Act::Mute { on: false, .. }))
    }

    /// Lists the members who hold a role, itself or through another, at a time.
    pub(super) fn holders_of(&self, name: &RoleName, at: Timestamp) -> BTreeSet<AccountId> {
        let mut names = BTreeSet::from([name.clone()]);
        loop {
            let inherits = |n: &&RoleName| self.role(n).is_some_and(|r| r.inherits.iter().any(|i| names.contains(i)));
            let more: Vec<RoleName> =
                self.graph.facts.roles.keys().filter(|n| !names.contains(*n)).filter(inherits).cloned().collect();
            if more.is_empty() {
                break;
            }
            names.extend(more);
        }
        let given = names.iter().filter_map(|n| self.graph.facts.given.get(n)).flatten();
        let subject = |at: &Ix| match self.act(*at) {
            Some(Act::Admit(admission)) => Some(admission.account),
            Some(Act::GrantRole { account, .. }) => Some(*account),
            _ => None,
        };
        let subjects: BTreeSet<AccountId> = given.filter(|at| self.sees(**at)).filter_map(subject).collect();
        let holds = |account: &AccountId| self.roles(account, at).iter().any(|r| names.contains(r));
        subjects.into_iter().filter(holds).collect()
    }

    /// Counts how many roles lie behind one through what it inherits; nothing if `name` is among them or they are too many.
    pub(super) fn depth(
        &self,
        role: &RoleName,
        name: &RoleName,
        known: &mut BTreeMap<RoleName, Option<usize>>,
    ) -> Option<usize> {
        if role == name {
            return None;
        }
        if let Some(depth) = known.get(role) {
            return *depth;
        }
        known.insert(role.clone(), None);
        let inherits = self.role(role).map(|r| r.inherits).unwrap_or_default();
        let below = inherits.iter().map(|r| self.depth(r, name, known)).try_fold(0, |most, d| d.map(|d| most.max(d)));
        let depth = below.map(|d| d + 1).filter(|d| *d < ROLE_DEPTH_MAX);
        known.insert(role.clone(), depth);
        depth
    }
}
