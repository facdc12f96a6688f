//! What holds at one point of the graph: who is in, with which devices, what the channel's properties are. Must not know how
//! it is found out which operations hold, nor what follows from it.

use super::{
    Graph, Refused,
    ancestry::Ix,
    facts::{Person, device_log},
};
use crate::{
    AccountId, DeviceId, Timestamp,
    channel::{Act, InviteTerms, OpId, Removal, Setting, role::Mode},
    identity::{DeviceInfo, DeviceLog},
};
use std::collections::{BTreeMap, BTreeSet};

/// From where one looks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point<'a> {
    /// From an operation into its past.
    Op(Ix),
    /// From behind these and their past.
    Heads(&'a [Ix]),
    /// From behind all that is known.
    Now,
}

/// Which operations hold, and which concurrent ones strike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truth<'a> {
    /// Whether each operation holds.
    pub(super) valid: &'a [bool],
    /// Whether each strong operation strikes what is concurrent with it.
    pub(super) strikes: &'a [bool],
    /// Strong operations that nothing strikes any more: they struck each other.
    pub(super) mutual: &'a BTreeSet<Ix>,
    /// Admissions that a removal of the admitter no longer strikes.
    pub(super) settled: &'a BTreeSet<(Ix, Ix)>,
    /// Admissions beyond what their invite allows.
    pub(super) overused: &'a BTreeSet<Ix>,
}

/// A look at the graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) graph: &'a Graph,
    pub(super) truth: Truth<'a>,
    pub(super) point: Point<'a>,
}

/// What somebody wants to do, or did.
#[derive(Clone, Copy)]
pub(super) struct Deed<'a> {
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    pub(super) at: Timestamp,
    pub(super) act: &'a Act,
}

/// What the device logs that are seen say of an account: each device that is active in one with whether it manages others,
/// and those that are revoked in one.
#[derive(Default)]
pub(super) struct Devices<'a> {
    pub(super) active: BTreeMap<DeviceId, (&'a DeviceInfo, bool)>,
    pub(super) revoked: BTreeSet<DeviceId>,
}

impl<'a> View<'a> {
    fn holds(&self, q: Ix) -> bool {
        self.truth.valid.get(q) == Some(&true)
    }

    /// Says whether an operation holds and is seen from here.
    pub(super) fn sees(&self, q: Ix) -> bool {
        self.holds(q)
            && match self.point {
                Point::Op(o) => self.graph.order.precedes(q, o),
                Point::Heads(heads) => heads.iter().any(|h| *h == q || self.graph.order.precedes(q, *h)),
                Point::Now => true,
            }
    }

    /// Says whether a strong operation strikes what stands here, being concurrent with it.
    pub(super) fn is_struck_by(&self, r: Ix) -> bool {
        let Point::Op(o) = self.point else { return false };
        let strikes = self.truth.strikes.get(r) == Some(&true) && !self.truth.mutual.contains(&o);
        strikes && self.graph.order.concurrent(r, o)
    }

    /// Says whether an operation was not done by who did what stands here.
    pub(super) fn by_other(&self, r: Ix) -> bool {
        let Point::Op(o) = self.point else { return true };
        self.graph.ops.get(r).map(|op| op.account()) != self.graph.ops.get(o).map(|op| op.account())
    }

    /// Says whether an end `e` is seen and did not come before `q`: a beginning that it does not know it cannot outlive.
    pub(super) fn ends(&self, e: Ix, q: Ix) -> bool {
        self.sees(e) && !self.graph.order.precedes(e, q)
    }

    /// Lists what is seen of a list and has nothing seen of it behind itself.
    pub(super) fn latest(&self, list: &[Ix]) -> Vec<Ix> {
        let mut last: Vec<Ix> = Vec::new();
        for at in list.iter().rev().copied().filter(|at| self.sees(*at)) {
            if !last.iter().any(|later| self.graph.order.precedes(at, *later)) {
                last.push(at);
            }
        }
        last
    }

    /// Says whether something was turned on and by nobody who knew of it turned off again.
    pub(super) fn stands(&self, turns: &[Ix], on: impl Fn(&Act) -> bool, off: impl Fn(&Act) -> bool) -> bool {
        let seen = |at: &&Ix| self.sees(**at);
        turns.iter().rev().filter(seen).filter(|at| self.act(**at).is_some_and(&on)).any(|at| {
            let ends = |u: &Ix| self.act(*u).is_some_and(&off) && self.graph.order.precedes(*at, *u);
            !turns.iter().rev().filter(seen).any(ends)
        })
    }

    pub(super) fn person(&self, account: &AccountId) -> Option<&'a Person> {
        self.graph.facts.people.get(account)
    }

    pub(super) fn act(&self, at: Ix) -> Option<&'a Act> {
        self.graph.ops.get(at).map(|op| op.act())
    }

    /// Finds the admissions by which an account is in.
    pub(super) fn admissions(&self, account: &AccountId) -> impl Iterator<Item = Ix> {
        let person = self.person(account);
        let admissions = person.map_or(&[][..], |p| p.admissions.as_slice());
        let removals = person.map_or(&[][..], |p| p.removals.as_slice());
        let ended = move |a: &Ix| removals.iter().rev().any(|r| self.ends(*r, *a));
        admissions.iter().rev().copied().filter(move |a| self.sees(*a) && !ended(a))
    }

    /// Finds the first admission by which an account is in.
    pub(super) fn admission(&self, account: &AccountId) -> Option<Ix> {
        self.admissions(account).next()
    }

    /// Says whether an account is in.
    pub(super) fn is_member(&self, account: &AccountId) -> bool {
        self.admissions(account).next().is_some()
    }

    pub(super) fn is_banned(&self, account: &AccountId) -> bool {
        let Some(person) = self.person(account) else { return false };
        let mut turns: Vec<Ix> = person.removals.iter().chain(&person.unbans).copied().collect();
        turns.sort_unstable();
        let bans = |act: &Act| matches!(act, Act::Remove(Removal { ban: true, .. }));
        self.stands(&turns, bans, |act| matches!(act, Act::Unban { .. }))
    }

    /// Finds the device logs of an account that are seen.
    pub(super) fn logs(&self, account: &AccountId) -> impl Iterator<Item = &'a DeviceLog> {
        let logs = self.person(account).map_or(&[][..], |p| p.logs.as_slice());
        let seen = logs.iter().filter(|at| self.sees(**at)).filter_map(|at| self.graph.ops.get(*at));
        seen.filter_map(|op| device_log(op)).map(|(_, log)| log)
    }

    /// Collects what is known of an account's devices.
    pub(super) fn device_sets(&self, account: &AccountId) -> Devices<'a> {
        let mut found = Devices::default();
        for member in self.logs(account).flat_map(DeviceLog::members) {
            if member.is_active() {
                found.active.insert(member.info.id, (&member.info, member.can_manage));
            } else {
                found.revoked.insert(member.info.id);
            }
        }
        found
    }

    /// Lists the devices that speak for a member: in a device log seen here, and revoked in none.
    pub(super) fn devices(&self, account: &AccountId) -> BTreeMap<DeviceId, (&'a DeviceInfo, bool)> {
        let Devices { mut active, revoked } = self.device_sets(account);
        active.retain(|id, _| !revoked.contains(id));
        active
    }

    /// Says whether nothing is sealed to a device because it was silent for long.
    pub(super) fn is_suspended(&self, device: &DeviceId) -> bool {
        let turns = self.graph.facts.suspensions.get(device).map_or(&[][..], Vec::as_slice);
        let is = |act: &Act, wanted: bool| matches!(act, Act::Suspend { on, .. } if *on == wanted);
        self.stands(turns, |act| is(act, true), |act| is(act, false))
    }

    /// Lists the devices of all members.
    pub(super) fn all_devices(&self) -> BTreeSet<DeviceId> {
        let members = self.graph.facts.people.keys().filter(|account| self.is_member(account));
        members.flat_map(|account| self.devices(account).into_keys()).collect()
    }

    /// Lists the devices that secrets are sealed to, and those that are left out because they were silent for long.
    pub(super) fn recipients(&self) -> (BTreeSet<DeviceId>, BTreeSet<DeviceId>) {
        self.all_devices().into_iter().partition(|device| !self.is_suspended(device))
    }

    /// Finds the values of a property that no later one replaced, by the id of what set them.
    fn settings(&self, key: u32) -> BTreeMap<OpId, &'a Setting> {
        let list = self.graph.facts.settings.get(&key).map_or(&[][..], Vec::as_slice);
        let setting = |at: Ix| {
            let op = self.graph.ops.get(at)?;
            if let Act::Set(setting) = op.act() { Some((op.id(), setting)) } else { None }
        };
        self.latest(list).into_iter().filter_map(setting).collect()
    }

    /// Returns the value of a property; of several that do not know each other, that with the lowest id.
    pub(super) fn setting(&self, key: u32) -> Option<&'a Setting> {
        self.settings(key).into_values().next()
    }

    /// Returns the mode; of several that do not know each other, the strictest.
    pub(super) fn mode(&self) -> Mode {
        let modes =
            self.settings(3).into_values().filter_map(|s| if let Setting::Mode(m) = s { Some(*m) } else { None });
        modes.max().unwrap_or_default()
    }

    /// Finds an invite that was posted and not ended.
    pub(super) fn invite(&self, id: &OpId) -> Result<(&'a InviteTerms, AccountId), Refused> {
        let at = self.graph.position(id).filter(|at| self.sees(*at)).ok_or(Refused::UnknownInvite)?;
        let op = self.graph.ops.get(at).ok_or(Refused::UnknownInvite)?;
        let Act::PostInvite(terms) = op.act() else { return Err(Refused::UnknownInvite) };
        if self.invite_ends(id).iter().any(|e| self.sees(*e)) {
            return Err(Refused::InviteRevoked);
        }
        Ok((terms, op.account()))
    }

    /// Lists what ends an invite.
    pub(super) fn invite_ends(&self, id: &OpId) -> &'a [Ix] {
        self.graph.facts.invite_ends.get(id).map_or(&[], Vec::as_slice)
    }

    /// Lists the admissions by an invite that hold.
    pub(super) fn uses(&self, id: &OpId) -> impl Iterator<Item = Ix> {
        let uses = self.graph.facts.uses.get(id).map_or(&[][..], Vec::as_slice);
        uses.iter().copied().filter(|at| self.sees(*at))
    }
}
