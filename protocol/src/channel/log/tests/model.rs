//! The rules once more, read aloud: with sets of ancestors, without anything kept between questions. It is slow and has no
//! opinion of its own; where it and the graph differ, one of them is wrong.

use super::{chance::*, kit::*};
use crate::{
    AccountId, DeviceId, Timestamp,
    channel::{
        Act, Admission, Graph, InviteTerms, Mode, Op, OpId, Permission as P, Permissions, Removal, RoleName, Setting,
        Signatures, blob::recipients_digest,
    },
    identity::{DeviceLog, device_log::Relation},
};
use std::collections::{BTreeMap, BTreeSet};

type Set = BTreeSet<usize>;

struct Model {
    ops: Vec<Op>,
    past: Vec<Set>,
    right: Vec<bool>,
}

/// What is taken for granted while everything is judged.
#[derive(Clone, Default)]
struct Given {
    strikes: Set,
    mutual: Set,
    forced: Set,
    settled: BTreeSet<(usize, usize)>,
    overused: Set,
}

/// What somebody sees who looks from one operation, or from the end.
#[derive(Clone, Copy)]
struct Eye<'a> {
    model: &'a Model,
    seen: &'a Set,
    from: Option<(usize, &'a Given)>,
}

fn log_of(op: &Op) -> Option<(AccountId, &DeviceLog)> {
    match op.act() {
        Act::Create { devices, .. } => Some((op.account(), devices)),
        Act::Admit(a) => Some((a.account, &a.devices)),
        Act::Devices { account, devices, .. } => Some((*account, devices)),
        _ => None,
    }
}

fn revokes(op: &Op, device: &DeviceId) -> bool {
    log_of(op).is_some_and(|(_, log)| log.members().any(|m| m.info.id == *device && !m.is_active()))
}

impl Model {
    fn new(ops: Vec<Op>) -> Self {
        let mut places: BTreeMap<OpId, usize> = BTreeMap::new();
        let mut past: Vec<Set> = Vec::new();
        for (n, op) in ops.iter().enumerate() {
            let parents = op.parents().iter().map(|p| places[p]);
            past.push(parents.flat_map(|p| past[p].iter().copied().chain([p]).collect::<Vec<_>>()).collect());
            places.insert(op.id(), n);
        }
        let mut model = Self { ops, past, right: Vec::new() };
        for n in 0..model.ops.len() {
            let right = model.is_right(n);
            model.right.push(right);
        }
        model
    }

    fn is_right(&self, n: usize) -> bool {
        let Some(fresh) = self.ops[n].act().fresh() else { return true };
        let mut seen = self.resolve(&self.past[n]);
        seen.insert(n);
        let devices = Eye { model: self, seen: &seen, from: None }.recipients();
        devices.len() == fresh.items as usize && recipients_digest(&devices) == fresh.recipients
    }

    fn apart(&self, a: usize, b: usize) -> bool {
        a != b && !self.past[a].contains(&b) && !self.past[b].contains(&a)
    }

    fn find(&self, id: &OpId) -> Option<usize> {
        self.ops.iter().position(|op| op.id() == *id)
    }

    fn invite_of(&self, n: usize) -> Option<usize> {
        let Act::Admit(Admission { invite: Some(used), .. }) = self.ops[n].act() else { return None };
        self.find(&used.invite).filter(|i| matches!(self.ops[*i].act(), Act::PostInvite(_)))
    }

    fn is_strong(&self, n: usize) -> bool {
        let op = &self.ops[n];
        matches!(op.act(), Act::Remove(_) | Act::RevokeRole { .. } | Act::DropRole { .. } | Act::RevokeInvite { .. })
            || log_of(op).is_some_and(|(_, log)| log.members().any(|m| !m.is_active()))
    }

    /// Says whether `r` takes something from `q` if it holds.
    fn aims(&self, r: usize, q: usize) -> bool {
        let (a, b) = (&self.ops[r], &self.ops[q]);
        let other = a.account() != b.account();
        self.apart(r, q)
            && (match a.act() {
                Act::Remove(x) => other && x.account == b.account(),
                Act::RevokeRole { account, .. } => {
                    let poster = self.invite_of(q).map(|i| self.ops[i].account());
                    other && (*account == b.account() || poster == Some(*account))
                }
                Act::DropRole { .. } => true,
                Act::RevokeInvite { invite } => {
                    matches!(b.act(), Act::Admit(Admission { invite: Some(used), .. }) if used.invite == *invite)
                }
                _ => false,
            } || log_of(a).is_some_and(|(account, _)| account == b.account()) && revokes(a, &b.device()))
    }

    fn strong_in(&self, set: &Set) -> Set {
        set.iter().copied().filter(|n| self.is_strong(*n)).collect()
    }

    fn judge_all(&self, within: &Set, given: &Given) -> Set {
        let mut valid = Set::new();
        for n in within {
            let seen: Set = valid.intersection(&self.past[*n]).copied().collect();
            let eye = Eye { model: self, seen: &seen, from: Some((*n, given)) };
            if given.forced.contains(n) || eye.may(*n) && self.right.get(*n) != Some(&false) {
                valid.insert(*n);
            }
        }
        valid
    }

    fn resolve(&self, within: &Set) -> Set {
        let (strict, given) = self.with_limits(within, BTreeSet::new());
        let mut settled = BTreeSet::new();
        for r in &given.strikes {
            for a in within.iter().filter(|a| self.aims(*r, **a)) {
                let (Act::Remove(_), Act::Admit(admission)) = (self.ops[*r].act(), self.ops[*a].act()) else {
                    continue;
                };
                if self.ops[*a].account() != self.removed_by(*r) {
                    continue;
                }
                let settles = |f: &usize| {
                    let op = &self.ops[*f];
                    let seen: Set = strict.intersection(&self.past[*f]).copied().collect();
                    let eye = Eye { model: self, seen: &seen, from: None };
                    op.act().fresh().is_some()
                        && self.past[*f].contains(a)
                        && !self.past[*f].contains(r)
                        && op.account() != self.ops[*a].account()
                        && op.account() != admission.account
                        && eye.could_let_in(&op.account(), admission, op.at())
                };
                if strict.iter().any(settles) {
                    settled.insert((*a, *r));
                }
            }
        }
        if settled.is_empty() { strict } else { self.with_limits(within, settled).0 }
    }

    fn removed_by(&self, r: usize) -> AccountId {
        match self.ops[r].act() {
            Act::Remove(x) => x.account,
            _ => self.ops[r].account(),
        }
    }

    fn with_limits(&self, within: &Set, settled: BTreeSet<(usize, usize)>) -> (Set, Given) {
        let mut given = Given { settled, ..Given::default() };
        loop {
            let (valid, found) = self.stable(within, given.clone());
            let mut over = Set::new();
            for (i, op) in self.ops.iter().enumerate() {
                let Act::PostInvite(terms) = op.act() else { continue };
                let mut held: Vec<usize> = valid.iter().copied().filter(|n| self.invite_of(*n) == Some(i)).collect();
                held.sort_by_key(|n| self.ops[*n].id());
                over.extend(held.into_iter().skip(terms.uses as usize));
            }
            if over.is_subset(&given.overused) {
                return (valid, found);
            }
            given.overused.extend(over);
        }
    }

    /// Finds the set in which exactly those strike that hold.
    fn stable(&self, within: &Set, mut given: Given) -> (Set, Given) {
        loop {
            let mut tried: Vec<Set> = vec![Set::new()];
            let undecided = loop {
                let strikes = tried.last().unwrap().clone();
                let valid = self.judge_all(within, &Given { strikes: strikes.clone(), ..given.clone() });
                let next = self.strong_in(&valid);
                if next == strikes {
                    return (valid, Given { strikes, ..given });
                }
                if let Some(begin) = tried.iter().position(|before| *before == next) {
                    let ever: Set = tried[begin..].iter().flatten().copied().collect();
                    let always = |r: &usize| tried[begin..].iter().all(|state| state.contains(r));
                    break ever.into_iter().filter(|r| !always(r)).collect::<Set>();
                }
                tried.push(next);
                assert!(tried.len() < 60);
            };
            let circle = self.first_circles(&undecided);
            assert!(!circle.is_empty());
            if circle.is_subset(&given.mutual) {
                given.forced.extend(circle);
            } else {
                given.mutual.extend(circle);
            }
        }
    }

    fn first_circles(&self, undecided: &Set) -> Set {
        let decides = |r: usize, q: usize| self.aims(r, q) || self.past[q].iter().any(|x| self.aims(r, *x));
        let reach = |from: usize| {
            let mut found = Set::new();
            let mut stack = vec![from];
            while let Some(q) = stack.pop() {
                for r in undecided.iter().filter(|r| **r != q && decides(**r, q)) {
                    if found.insert(*r) {
                        stack.push(*r);
                    }
                }
            }
            found
        };
        let above: BTreeMap<usize, Set> = undecided.iter().map(|q| (*q, reach(*q))).collect();
        undecided.iter().copied().filter(|q| above[q].iter().all(|r| above[r].contains(q))).collect()
    }
}

impl<'a> Eye<'a> {
    fn ops(self) -> impl Iterator<Item = (usize, &'a Op)> {
        self.seen.iter().map(move |n| (*n, &self.model.ops[*n]))
    }

    fn knows(self, q: usize, before: usize) -> bool {
        self.model.past[q].contains(&before)
    }

    fn struck_by(self, aims: impl Fn(&Op) -> bool) -> Vec<usize> {
        let Some((o, given)) = self.from else { return Vec::new() };
        if given.mutual.contains(&o) {
            return Vec::new();
        }
        let strikes = given.strikes.iter().copied().filter(|r| self.model.apart(*r, o));
        strikes.filter(|r| aims(&self.model.ops[*r])).collect()
    }

    fn admissions(self, who: &AccountId) -> Vec<usize> {
        let lets_in = |op: &Op| match op.act() {
            Act::Create { .. } => op.account() == *who,
            Act::Admit(a) => a.account == *who,
            _ => false,
        };
        let puts_out = |op: &Op| matches!(op.act(), Act::Remove(r) if r.account == *who);
        let all = self.ops().filter(|(_, op)| lets_in(op)).map(|(n, _)| n);
        all.filter(|a| !self.ops().any(|(r, op)| puts_out(op) && !self.knows(*a, r))).collect()
    }

    fn is_in(self, who: &AccountId) -> bool {
        !self.admissions(who).is_empty()
    }

    fn is_banned(self, who: &AccountId) -> bool {
        let bans = |op: &Op| matches!(op.act(), Act::Remove(Removal { ban: true, account, .. }) if account == who);
        let lifts = |op: &Op| matches!(op.act(), Act::Unban { account } if account == who);
        self.ops().any(|(b, op)| bans(op) && !self.ops().any(|(u, op)| lifts(op) && self.knows(u, b)))
    }

    fn logs(self, who: &AccountId) -> Vec<&'a DeviceLog> {
        self.ops().filter_map(|(_, op)| log_of(op)).filter(|(account, _)| account == who).map(|(_, log)| log).collect()
    }

    fn devices(self, who: &AccountId) -> BTreeSet<DeviceId> {
        let members = || self.logs(who).into_iter().flat_map(DeviceLog::members);
        let active = members().filter(|m| m.is_active()).map(|m| m.info.id);
        active.filter(|id| !members().any(|m| m.info.id == *id && !m.is_active())).collect()
    }

    fn people(self) -> BTreeSet<AccountId> {
        let named = self.ops().filter_map(|(_, op)| log_of(op)).map(|(account, _)| account);
        named.filter(|who| self.is_in(who)).collect()
    }

    fn is_suspended(self, device: &DeviceId) -> bool {
        let turns = |op: &Op, wanted: bool| matches!(op.act(), Act::Suspend { devices, on } if *on == wanted && devices.contains(device));
        self.ops().any(|(s, op)| turns(op, true) && !self.ops().any(|(u, op)| turns(op, false) && self.knows(u, s)))
    }

    fn recipients(self) -> BTreeSet<DeviceId> {
        self.people().iter().flat_map(|who| self.devices(who)).filter(|d| !self.is_suspended(d)).collect()
    }

    fn mode(self) -> Mode {
        let sets = || self.ops().filter(|(_, op)| matches!(op.act(), Act::Set(Setting::Mode(_))));
        let last = sets().filter(|(n, _)| !sets().any(|(later, _)| self.knows(later, *n)));
        let modes = last.filter_map(|(_, op)| if let Act::Set(Setting::Mode(m)) = op.act() { Some(*m) } else { None });
        modes.max().unwrap_or_default()
    }

    /// Finds (inherits, allow, deny) of a role.
    fn role(self, name: &RoleName) -> Option<(BTreeSet<RoleName>, Permissions, Permissions)> {
        if let Some(role) = name.builtin() {
            return Some((BTreeSet::new(), role.allow, role.deny));
        }
        let of = |op: &Op| match op.act() {
            Act::DefineRole { name: n, .. } | Act::DropRole { name: n } => n == name,
            _ => false,
        };
        let drops = |op: &Op| matches!(op.act(), Act::DropRole { name: n } if n == name);
        let mut found: Option<(BTreeSet<RoleName>, Permissions, Permissions)> = None;
        for (q, op) in self.ops() {
            let Act::DefineRole { name: n, role } = op.act() else { continue };
            let replaced = self.ops().any(|(later, op)| of(op) && self.knows(later, q));
            let dropped = self.ops().any(|(d, op)| drops(op) && !self.knows(q, d));
            if n != name || replaced || dropped {
                continue;
            }
            let this = (role.inherits.iter().cloned().collect::<BTreeSet<_>>(), role.allow, role.deny);
            found = Some(match found {
                None => this,
                Some((inherits, allow, deny)) => (
                    inherits.intersection(&this.0).cloned().collect(),
                    Permissions::from_bits(allow.bits() & this.1.bits()).unwrap(),
                    deny.with(this.2),
                ),
            });
        }
        found
    }

    fn roles(self, who: &AccountId, at: Timestamp, struck: bool) -> BTreeSet<RoleName> {
        let mut held: Vec<(usize, RoleName)> = Vec::new();
        let admissions = self.admissions(who);
        for a in &admissions {
            match self.model.ops[*a].act() {
                Act::Admit(admission) => held.push((*a, admission.role.clone())),
                _ => held.push((*a, RoleName::owner())),
            }
        }
        for (g, op) in self.ops() {
            if let Act::GrantRole { account, role, until } = op.act()
                && account == who
                && until.is_none_or(|until| at <= until)
                && admissions.iter().any(|a| self.knows(g, *a))
            {
                held.push((g, role.clone()));
            }
        }
        let author = self.from.map(|(o, _)| self.model.ops[o].account());
        held.retain(|(origin, role)| {
            let ends = |op: &Op| match op.act() {
                Act::RevokeRole { account, role: r } => account == who && r == role,
                Act::DropRole { name } => name == role,
                _ => false,
            };
            let strikes =
                |op: &Op| ends(op) && (matches!(op.act(), Act::DropRole { .. }) || Some(op.account()) != author);
            let ended = self.ops().any(|(e, op)| ends(op) && !self.knows(*origin, e));
            let struck = struck && self.struck_by(strikes).iter().any(|r| !self.knows(*origin, *r));
            *origin == 0 || !(ended || struck)
        });
        held.into_iter().map(|(_, role)| role).collect()
    }

    /// Adds up roles: what they allow, and what they deny.
    fn add_up(self, roles: &BTreeSet<RoleName>) -> (Permissions, Permissions) {
        let (mut waiting, mut done) = (roles.clone(), BTreeSet::new());
        let (mut allow, mut deny) = (Permissions::NONE, Permissions::NONE);
        while let Some(name) = waiting.pop_first() {
            if let Some((inherits, a, d)) = self.role(&name).filter(|_| done.insert(name.clone())) {
                (allow, deny) = (allow.with(a), deny.with(d));
                waiting.extend(inherits.into_iter().filter(|n| !done.contains(n)));
            }
        }
        (allow, deny)
    }

    fn one(self, role: &RoleName) -> (Permissions, Permissions) {
        self.add_up(&BTreeSet::from([role.clone()]))
    }

    /// Computes (rights, rank).
    fn rights(self, who: &AccountId, at: Timestamp, struck: bool) -> (Permissions, Permissions) {
        let (allow, deny) = self.add_up(&self.roles(who, at, struck));
        let creator = *who == self.model.ops[0].account();
        let rank = if creator { allow } else { allow.without(deny) };
        let mutes = |op: &Op, wanted: bool| matches!(op.act(), Act::Mute { account, on, .. } if account == who && *on == wanted);
        let muted = self
            .ops()
            .any(|(m, op)| mutes(op, true) && !self.ops().any(|(u, op)| mutes(op, false) && self.knows(u, m)));
        let silenced = Permissions::of(&[P::Send, P::SendFiles, P::React, P::Pin]);
        let left = if muted && !creator { rank.without(silenced) } else { rank };
        (self.mode().restrict(left), rank)
    }

    fn may_bring(self, rank: Permissions, role: &RoleName) -> bool {
        let gives = self.one(role).0;
        let member = self.one(&RoleName::member()).0;
        self.role(role).is_some() && rank.covers(gives) && (member.covers(gives) || rank.has(P::AssignRole))
    }

    fn open_invite(self, id: &OpId) -> Option<(&'a InviteTerms, AccountId)> {
        let (_, posted) = self.ops().find(|(_, op)| op.id() == *id)?;
        let ends = |op: &Op| matches!(op.act(), Act::RevokeInvite { invite } if invite == id);
        match posted.act() {
            Act::PostInvite(terms) if !self.ops().any(|(_, op)| ends(op)) => Some((terms, posted.account())),
            _ => None,
        }
    }

    fn could_let_in(self, who: &AccountId, admission: &Admission, at: Timestamp) -> bool {
        let (rights, rank) = self.rights(who, at, false);
        let invite = admission.invite.as_ref().and_then(|used| self.open_invite(&used.invite));
        let needed = if invite.is_some_and(|(terms, _)| !terms.approval) { P::Invite } else { P::Approve };
        rights.has(needed) && self.may_bring(rank, &admission.role)
    }

    fn may(self, n: usize) -> bool {
        let op = &self.model.ops[n];
        let (me, device, at) = (op.account(), op.device(), op.at());
        if let Act::Create { .. } = op.act() {
            return n == 0;
        }
        let given = self.from.map(|(_, given)| given.clone()).unwrap_or_default();
        let removes = |op: &Op| matches!(op.act(), Act::Remove(r) if r.account == me) && op.account() != me;
        if given.overused.contains(&n)
            || self.struck_by(removes).iter().any(|r| !given.settled.contains(&(n, *r)))
            || !self.struck_by(|r| log_of(r).is_some_and(|(who, _)| who == me) && revokes(r, &device)).is_empty()
            || !self.is_in(&me)
            || !self.devices(&me).contains(&device)
        {
            return false;
        }
        let creator = self.model.ops[0].account();
        let (rights, rank) = self.rights(&me, at, true);
        let over = |who: &AccountId| *who != creator && rank.above(self.rights(who, at, false).1);
        let over_holders = |name: &RoleName| {
            let with_it: BTreeSet<RoleName> = self.roles_through(name);
            let holds = |who: &&AccountId| !self.roles(who, at, false).is_disjoint(&with_it);
            self.people().iter().filter(|w| **w != me && **w != creator).filter(holds).all(over)
        };
        let gives = |role: &RoleName| self.role(role).is_some() && rank.covers(self.one(role).0);
        match op.act() {
            Act::Create { .. } => false,
            Act::Admit(admission) => self.may_admit(admission, at, rights, rank, n),
            Act::Remove(r) if r.account == me => !r.ban && r.fresh.is_none(),
            Act::Remove(r) => {
                rights.has(if r.ban { P::Ban } else { P::Kick })
                    && (r.ban || self.is_in(&r.account))
                    && over(&r.account)
            }
            Act::Unban { account } => rights.has(P::Ban) && self.is_banned(account),
            Act::Devices { account, devices, fresh, .. } => {
                let gone = |id: &DeviceId| devices.member(id).is_some_and(|m| !m.is_active());
                let known =
                    |log: &&DeviceLog| matches!(log.relation(&devices.head()), Relation::Same | Relation::Behind);
                self.is_in(account)
                    && !self.logs(account).iter().any(known)
                    && !(fresh.is_some() && *account == me && gone(&device))
                    && (fresh.is_none() || self.devices(account).iter().any(gone) || rights.has(P::Rekey))
            }
            Act::DefineRole { name, role } => {
                let old = self.role(name);
                let inherited = role.inherits.iter().map(|r| self.one(r).0).fold(role.allow, Permissions::with);
                let below: BTreeSet<RoleName> = role.inherits.iter().flat_map(|r| self.roles_below(r)).collect();
                let takes = old.is_some_and(|(inherits, allow, deny)| {
                    let new_denies =
                        role.inherits.iter().any(|r| !inherits.contains(r) && self.one(r).1 != Permissions::NONE);
                    inherits.iter().any(|r| !role.inherits.contains(r))
                        || new_denies
                        || !role.allow.covers(allow)
                        || !deny.covers(role.deny)
                });
                rights.has(P::AssignRole)
                    && name.builtin().is_none()
                    && role.inherits.iter().all(|r| self.role(r).is_some())
                    && !below.contains(name)
                    && rank.covers(inherited)
                    && rank.covers(self.one(name).0)
                    && (!takes || over_holders(name))
            }
            Act::DropRole { name } => {
                rights.has(P::AssignRole) && name.builtin().is_none() && gives(name) && over_holders(name)
            }
            Act::GrantRole { account, role, .. } => {
                let harmless = *account == me || *account == creator || self.one(role).1 == Permissions::NONE;
                rights.has(P::AssignRole) && self.is_in(account) && gives(role) && (harmless || over(account))
            }
            Act::RevokeRole { account, role } => {
                self.roles(account, at, false).contains(role)
                    && !(*account == creator && *role == RoleName::owner())
                    && (*account == me || rights.has(P::AssignRole) && over(account))
            }
            Act::PostInvite(terms) => rights.has(P::Invite) && self.may_bring(rank, &terms.role),
            Act::RevokeInvite { invite } => {
                self.open_invite(invite).is_some_and(|(_, poster)| poster == me || rights.has(P::Approve))
            }
            Act::Rekey { .. } => rights.has(P::Rekey),
            Act::EpochGrant { device, .. } => self.people().iter().any(|who| self.devices(who).contains(device)),
            Act::Set(Setting::Name(_) | Setting::Topic(_) | Setting::Mode(_)) => rights.has(P::EditMeta),
            Act::Set(Setting::RetentionDays(_) | Setting::ExpireAfterMs(_)) => rights.has(P::SetRetention),
            Act::Set(Setting::Relays(_)) => rights.has(P::SetRelay),
            Act::Mute { account, .. } => rights.has(P::Mute) && self.is_in(account) && over(account),
            Act::Suspend { devices, on } => devices.iter().all(|device| {
                let owner = self.people().into_iter().find(|who| self.devices(who).contains(device));
                owner.is_some_and(|who| who == me || rights.has(P::Kick) && (!on || over(&who)))
            }),
        }
    }

    fn may_admit(self, a: &Admission, at: Timestamp, rights: Permissions, rank: Permissions, n: usize) -> bool {
        if self.is_banned(&a.account) || self.is_in(&a.account) {
            return false;
        }
        let Some(used) = &a.invite else { return rights.has(P::Approve) && self.may_bring(rank, &a.role) };
        let Some((terms, poster)) = self.open_invite(&used.invite) else { return false };
        let ends = |op: &Op| matches!(op.act(), Act::RevokeInvite { invite } if *invite == used.invite);
        let uses: Vec<_> = self
            .ops()
            .filter_map(|(_, op)| match op.act() {
                Act::Admit(Admission { invite: Some(u), .. }) if u.invite == used.invite => Some(u.nonce),
                _ => None,
            })
            .collect();
        let (theirs, their_rank) = self.rights(&poster, at, true);
        let members = self.logs(&a.account).into_iter().flat_map(DeviceLog::members);
        let revoked = members.filter(|m| !m.is_active()).any(|m| m.info.id == used.device);
        let claim = used.claim(self.model.ops[n].channel(), a.account);
        self.struck_by(ends).is_empty()
            && rights.has(if terms.approval { P::Approve } else { P::Invite })
            && a.role == terms.role
            && at <= terms.expires
            && uses.len() < terms.uses as usize
            && !uses.contains(&used.nonce)
            && theirs.has(P::Invite)
            && self.may_bring(their_rank, &terms.role)
            && a.devices.device(&used.device).is_some()
            && !revoked
            && claim.verify(&terms.public.sign, &used.proof).is_ok()
    }

    fn roles_below(self, name: &RoleName) -> BTreeSet<RoleName> {
        let (mut found, mut waiting) = (BTreeSet::new(), vec![name.clone()]);
        while let Some(name) = waiting.pop() {
            if found.insert(name.clone()) {
                waiting.extend(self.role(&name).into_iter().flat_map(|(inherits, _, _)| inherits));
            }
        }
        found
    }

    /// Finds the roles by which somebody holds one.
    fn roles_through(self, name: &RoleName) -> BTreeSet<RoleName> {
        let defined = self.ops().filter_map(|(_, op)| match op.act() {
            Act::DefineRole { name, .. } => Some(name.clone()),
            _ => None,
        });
        defined.filter(|r| self.roles_below(r).contains(name)).collect()
    }
}

/// Compares what a graph found with what the model reads.
fn agree(graph: &Graph, seed: u64) {
    let model = Model::new(graph.ops().iter().map(|op| Op::clone(op)).collect());
    let all: Set = (0..model.ops.len()).collect();
    let valid = model.resolve(&all);
    for n in 0..model.ops.len() {
        let (expected, found) = (valid.contains(&n), graph.refused(n));
        assert_eq!(expected, found.is_none(), "seed {seed}, operation {n}: {found:?} {:?}", model.ops[n].act());
    }
    let eye = Eye { model: &model, seen: &valid, from: None };
    assert_eq!(eye.people(), graph.members().collect(), "seed {seed}");
    assert_eq!(eye.recipients(), graph.recipients(), "seed {seed}");
    for who in eye.people() {
        let roles: Vec<RoleName> = eye.roles(&who, tick(), false).into_iter().collect();
        assert_eq!(graph.standing(&who, tick()).unwrap().roles, roles, "seed {seed}");
        assert_eq!(graph.permissions(&who, tick()), eye.rights(&who, tick(), false).0, "seed {seed}");
    }
}

#[test]
fn r_mem_1_ten_thousand_histories_with_partitions_are_what_the_rules_read_aloud_say() {
    let runs = cases(10_000, 100_000);
    let (mut ops, mut refused, mut mutual, mut settled, mut overused, mut forced) = (0, 0, 0, 0, 0, 0);
    for seed in 0..runs as u64 {
        let mut world = World::new(seed, 8, 6, EVERYTHING);
        for _ in 0..14 {
            world.step();
        }
        world.heal();
        let graph = &world.partitions[0].graph;
        agree(graph, seed);
        // What came step by step is what is found at once, in whatever order, by whoever reads it from a store.
        assert_eq!(graph.found, graph.resolved_anew(), "seed {seed}");
        let loaded = Graph::load(graph.ops().iter().map(|op| Op::clone(op)), Signatures::Verified).unwrap();
        assert_eq!((&loaded.found, &loaded.stirring), (&graph.found, &graph.stirring), "seed {seed}");
        let hashes: BTreeSet<[u8; 32]> = world.partitions.iter().map(|p| p.graph.state_hash()).collect();
        assert_eq!(hashes.len(), 1, "seed {seed}");
        ops += graph.ops().len();
        refused += graph.found.why.len();
        mutual += usize::from(!graph.found.mutual.is_empty());
        forced += usize::from(!graph.found.forced.is_empty());
        settled += usize::from(!graph.found.settled.is_empty());
        overused += usize::from(!graph.found.overused.is_empty());
    }
    println!(
        "{runs} histories, {ops} operations, {refused} refused; circles {mutual}, forced {forced}, settled {settled}, overused {overused}"
    );
    assert!(refused > runs && mutual > 0 && settled > 0 && overused > 0);
}

#[test]
fn r_mem_10_keys_have_to_be_sealed_to_whom_they_are_sealed_to_when_the_operation_is_there() {
    let mut compared = 0;
    for seed in 0..cases(1_500, 10_000) as u64 {
        let mut world = World::new(seed, 8, 6, EVERYTHING);
        for _ in 0..10 {
            let step = world.step();
            let Some((at, op)) = step.filter(|(_, op)| op.act().fresh().is_some()) else { continue };
            let graph = &world.partitions[at].graph;
            let place = graph.position(&op.id()).unwrap();
            // Seen from before it, what has to be named is what is found behind it.
            let before =
                Graph::load(graph.ops()[..place].iter().map(|op| Op::clone(op)), Signatures::Verified).unwrap();
            if before.front() == op.parents() {
                let named = before.recipients_after(op.act());
                let fresh = op.act().fresh().unwrap();
                let right = named.len() == fresh.items as usize && recipients_digest(&named) == fresh.recipients;
                assert_eq!(right, graph.given(place).is_some(), "seed {seed}");
                if let Some(given) = graph.given(place) {
                    assert_eq!(named, *given.to, "seed {seed}");
                    compared += 1;
                }
            }
        }
    }
    println!("{compared} sets of recipients");
    assert!(compared > 500);
}

#[test]
fn r_mem_12_what_an_author_knew_to_be_forbidden_is_told_from_what_others_struck() {
    let (mut forbidden, mut struck) = (0, 0);
    for seed in 0..cases(500, 5_000) as u64 {
        let mut world = World::new(seed, 8, 6, EVERYTHING);
        for _ in 0..14 {
            world.step();
        }
        world.heal();
        for partition in &world.partitions {
            let graph = &partition.graph;
            for at in 1..graph.ops().len() {
                // What its author knew, and the operation itself.
                let known = graph.past(&[at]);
                let ops = known.iter().map(|n| Op::clone(&graph.ops()[*n]));
                let theirs = Graph::load(ops, Signatures::Verified).unwrap();
                let expected = theirs.refused(known.len() - 1);
                assert_eq!(graph.forbidden(at), expected, "seed {seed}, operation {at}: {:?}", graph.ops()[at].act());
                forbidden += usize::from(expected.is_some());
                struck += usize::from(expected.is_none() && graph.refused(at).is_some());
            }
        }
    }
    println!("{forbidden} forbidden, {struck} struck");
    assert!(forbidden > 300 && struck > 200);
}
