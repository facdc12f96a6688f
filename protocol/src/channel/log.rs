//! The graph of a channel's operations, and what it adds up to. The same set gives the same state, in whatever order it
//! came. Must not know keys of epochs, nor how operations travel.

mod ancestry;
mod ask;
mod facts;
mod grow;
mod may;
mod past;
mod refused;
mod resolve;
mod rights;
mod strikes;
mod view;

pub use ancestry::Ix;
pub use grow::Signatures;
pub use refused::{Error, Refused};

pub(super) use past::Given;

use super::blob::recipients_digest;
use super::{
    Act, InviteTerms, Op, OpAuthor, OpId, Permission, Permissions, RoleName, Setting,
    role::{Conditions, Mode, Role},
};
use crate::{
    AccountId, ChannelId, DeviceId, Timestamp,
    identity::{DeviceInfo, DeviceLog},
    limits::CHANNEL_PARENTS_MAX,
};
use ancestry::Ancestry;
use facts::Facts;
use past::Pasts;
use resolve::Resolution;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};
use view::{Deed, Devices, Point, View};

/// What an operation did to the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its place.
    pub at: Ix,
    /// Why it does not hold, if so; that may change when others come.
    pub refused: Option<Refused>,
    /// Whether it is new.
    pub new: bool,
}

/// A member as seen now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The roles it holds.
    pub roles: Vec<RoleName>,
    /// Its devices.
    pub devices: Vec<DeviceInfo>,
}

/// An act that its author may do now: made by the one function that answers "may", needed to sign it.
#[derive(Debug)]
#[must_use]
pub struct Allowed<'a> {
    graph: &'a Graph,
    account: AccountId,
    device: DeviceId,
    at: Timestamp,
    act: &'a Act,
    parents: Vec<OpId>,
}

impl Allowed<'_> {
    /// Signs the operation.
    pub fn sign(self, key: &crate::crypto::sign::SigningKey) -> Result<Op, super::BadOp> {
        let author = OpAuthor { account: self.account, device: self.device, key };
        Op::sign(&author, Some(self.graph.channel), &self.parents, self.at, self.act)
    }

    /// Returns what it will follow.
    pub fn parents(&self) -> &[OpId] {
        &self.parents
    }
}

/// An invite as it stands now.
#[derive(Clone, Copy, Debug)]
pub struct Invite<'a> {
    /// The operation that posted it.
    pub id: OpId,
    /// What it says.
    pub terms: &'a InviteTerms,
    /// Who posted it.
    pub poster: AccountId,
    /// How many came with it.
    pub uses: u32,
}

/// All operations of a channel that are known, and which of them hold.
#[derive(Clone, Debug)]
pub struct Graph {
    channel: ChannelId,
    creator: AccountId,
    ops: Vec<Arc<Op>>,
    positions: BTreeMap<OpId, Ix>,
    parents: Vec<Vec<Ix>>,
    order: Ancestry,
    facts: Facts,
    heads: BTreeSet<Ix>,
    /// Whether the proof of an admission by invite holds, once somebody asked.
    proven: BTreeMap<Ix, OnceLock<bool>>,
    /// Operations whose fresh secrets name others than those who belonged.
    misdirected: BTreeSet<Ix>,
    /// Operations that bear on others which do not know them: what strikes, and uses of invites beyond their limit.
    stirring: BTreeSet<Ix>,
    pasts: Pasts,
    /// What holds if nobody strikes anybody, where it differs.
    plain: Option<Resolution>,
    found: Resolution,
    /// Whether what was found has to be found anew.
    dirty: bool,
}

impl Graph {
    fn now(&self) -> View<'_> {
        View { graph: self, truth: self.found.truth(), point: Point::Now }
    }

    /// Looks from behind what a new operation follows: all there is, unless more of it stands side by side than one
    /// operation can name.
    fn at_front<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        if self.heads.len() <= CHANNEL_PARENTS_MAX {
            return look(&self.now());
        }
        let front = self.front_places();
        let found = resolve::resolve(self, &self.past(&front));
        look(&View { graph: self, truth: found.truth(), point: Point::Heads(&front) })
    }

    fn front_places(&self) -> Vec<Ix> {
        let mut heads: Vec<Ix> = self.heads.iter().copied().collect();
        // What holds first, of that what takes something from others.
        let rank = |at: &Ix| (self.found.valid.get(*at) != Some(&true), !self.is_strong(*at));
        heads.sort_unstable_by_key(|at| (rank(at), self.ops.get(*at).map(|op| op.id())));
        heads.truncate(CHANNEL_PARENTS_MAX);
        heads
    }

    fn ids(&self, places: impl Iterator<Item = Ix>) -> Vec<OpId> {
        let mut ids: Vec<OpId> = places.filter_map(|at| self.ops.get(at)).map(|op| op.id()).collect();
        ids.sort_unstable();
        ids
    }

    /// Returns the channel's id.
    pub const fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Returns who made the channel.
    pub const fn creator(&self) -> AccountId {
        self.creator
    }

    /// Returns the operations in the order in which they came.
    pub fn ops(&self) -> &[Arc<Op>] {
        &self.ops
    }

    /// Returns the place of an operation.
    pub fn position(&self, id: &OpId) -> Option<Ix> {
        self.positions.get(id).copied()
    }

    /// Returns the ids of the operations that nothing follows, in order.
    pub fn heads(&self) -> Vec<OpId> {
        self.ids(self.heads.iter().copied())
    }

    /// Returns what a new operation or message follows, in order: the heads, or where they are too many to be named as many
    /// as can be. What follows them joins them, so that the next one names the rest.
    pub fn front(&self) -> Vec<OpId> {
        if self.heads.len() <= CHANNEL_PARENTS_MAX { self.heads() } else { self.ids(self.front_places().into_iter()) }
    }

    /// Says why an operation does not hold, if it does not.
    pub fn refused(&self, at: Ix) -> Option<Refused> {
        self.found.why.get(&at).copied()
    }

    /// Says why an operation did not even hold by what its author knew, if so: no honest device signs such a thing. What
    /// comes later changes nothing about it.
    pub fn forbidden(&self, at: Ix) -> Option<Refused> {
        let why = self.pasts.forbidden(at)?;
        // Where people strike each other nobody is accused before it was found out anew by what the author knew.
        if self.stirring.is_empty() { Some(why) } else { resolve::resolve(self, &self.past(&[at])).why_not(at) }
    }

    /// Hashes which operations hold.
    pub fn state_hash(&self) -> [u8; 32] {
        self.found.hash(self.ops.iter().map(|op| op.id()))
    }

    /// Finds the account that a device belongs to, by what any operation said.
    pub fn owner_of(&self, device: &DeviceId) -> Option<AccountId> {
        self.facts.devices.get(device).map(|(account, _)| *account)
    }

    /// Returns a device that some operation introduced.
    pub fn device(&self, id: &DeviceId) -> Option<&DeviceInfo> {
        self.facts.devices.get(id).map(|(_, info)| info)
    }

    /// Lists who is in.
    pub fn members(&self) -> impl Iterator<Item = AccountId> {
        self.facts.people.keys().copied().filter(|account| self.is_member(account))
    }

    /// Says whether an account is in.
    pub fn is_member(&self, account: &AccountId) -> bool {
        self.now().is_member(account)
    }

    /// Tells how a member stands, at a time.
    pub fn standing(&self, account: &AccountId, at: Timestamp) -> Option<Standing> {
        let view = self.now();
        if !view.is_member(account) {
            return None;
        }
        let devices = view.devices(account).into_values().map(|(info, _)| info.clone()).collect();
        Some(Standing { roles: view.roles(account, at), devices })
    }

    /// Computes somebody's rights now, for what is no message.
    pub fn permissions(&self, account: &AccountId, at: Timestamp) -> Permissions {
        if self.is_member(account) { self.now().rights(account, at).unconditional() } else { Permissions::NONE }
    }

    /// Finds what a role says.
    pub fn role(&self, name: &RoleName) -> Option<Role> {
        self.now().role(name)
    }

    /// Returns the channel's mode.
    pub fn mode(&self) -> Mode {
        self.now().mode()
    }

    /// Returns a property of the channel by its number.
    pub fn setting(&self, key: u32) -> Option<&Setting> {
        self.now().setting(key)
    }

    /// Finds an invite that was posted and not ended; whether it has expired, its terms say.
    pub fn invite(&self, id: &OpId) -> Result<Invite<'_>, Refused> {
        let view = self.now();
        let (terms, poster) = view.invite(id)?;
        Ok(Invite { id: *id, terms, poster, uses: view.uses(id).count() as u32 })
    }

    /// Lists the invites that were posted and not ended.
    pub fn invites(&self) -> impl Iterator<Item = Invite<'_>> {
        let ids = self.facts.invites.iter().filter_map(|at| self.ops.get(*at)).map(|op| op.id());
        ids.filter_map(|id| self.invite(&id).ok())
    }

    /// Lists the devices that new secrets are sealed to.
    pub fn recipients(&self) -> BTreeSet<DeviceId> {
        self.now().recipients().0
    }

    /// Lists the devices that secrets are sealed to by an act that is done now.
    pub fn recipients_after(&self, act: &Act) -> BTreeSet<DeviceId> {
        self.at_front(|view| {
            let mut devices = view.recipients().0;
            let theirs = |account: &AccountId, log: Option<&DeviceLog>| {
                let Devices { active, mut revoked } = view.device_sets(account);
                let mut theirs: BTreeSet<DeviceId> = active.into_keys().collect();
                for member in log.into_iter().flat_map(DeviceLog::members) {
                    if member.is_active() { &mut theirs } else { &mut revoked }.insert(member.info.id);
                }
                &theirs - &revoked
            };
            match act {
                Act::Remove(removal) => devices = &devices - &theirs(&removal.account, None),
                Act::Devices { account, devices: log, .. } if view.is_member(account) => {
                    devices = &devices - &theirs(account, None);
                    let now = theirs(account, Some(log));
                    devices.extend(now.into_iter().filter(|device| !view.is_suspended(device)));
                }
                _ => {}
            }
            devices
        })
    }

    /// Lists every device that was ever named and does not belong now: nobody of them, nor all together, may have the keys.
    pub fn outsiders(&self) -> BTreeSet<DeviceId> {
        let inside = self.now().all_devices();
        self.facts.devices.keys().filter(|device| !inside.contains(*device)).copied().collect()
    }

    /// Says whether somebody may do something now.
    pub fn allow<'a>(
        &'a self,
        account: AccountId,
        device: DeviceId,
        act: &'a Act,
        at: Timestamp,
    ) -> Result<Allowed<'a>, Refused> {
        self.at_front(|view| view.may(&Deed { account, device, at, act }))?;
        Ok(Allowed { graph: self, account, device, at, act, parents: self.front() })
    }

    /// Says whether a member's message may do something, seen from behind the operations it names, at the time it claims.
    pub fn may_say(
        &self,
        account: &AccountId,
        device: &DeviceId,
        permission: Permission,
        heads: &[OpId],
        at: Timestamp,
    ) -> Result<(), Refused> {
        let places: Vec<Ix> = heads.iter().filter_map(|h| self.position(h)).collect();
        let view = View { graph: self, truth: self.found.truth(), point: Point::Heads(&places) };
        match self.says(&view, account, device, permission, at) {
            // Let in once more, by somebody who stays: what they said before they knew counts (R-MEM-14).
            Err(Refused::NotMember) if self.is_member(account) && self.was_let_in(account, &places) => {
                self.never_might_say(account, device, permission, heads, at).map_or(Ok(()), Err)
            }
            said => said,
        }
    }

    /// Says whether an admission of somebody that does not hold lies in some operations' past, or is one of them.
    fn was_let_in(&self, account: &AccountId, heads: &[Ix]) -> bool {
        let known = |a: Ix| heads.iter().any(|head| *head == a || self.order.precedes(a, *head));
        let admissions = self.facts.people.get(account).map_or(&[][..], |person| person.admissions.as_slice());
        admissions.iter().any(|a| self.found.valid.get(*a) == Some(&false) && known(*a))
    }

    fn says(
        &self,
        view: &View<'_>,
        account: &AccountId,
        device: &DeviceId,
        permission: Permission,
        at: Timestamp,
    ) -> Result<(), Refused> {
        if !view.is_member(account) {
            return Err(Refused::NotMember);
        }
        let devices = view.devices(account);
        let (_, manages) = devices.get(device).ok_or(Refused::NotTheirDevice)?;
        let minute = (at.as_millis() / 60_000 % 1_440) as u16;
        let met = |c: &Conditions| {
            let inside = c.minutes.is_none_or(|(from, to)| {
                if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
            });
            inside && (!c.managing_device || *manages)
        };
        if view.rights(account, at).where_met(met).has(permission) { Ok(()) } else { Err(Refused::Lacks(permission)) }
    }

    /// Says whether one operation lies in the past of another.
    pub(super) fn precedes(&self, a: Ix, b: Ix) -> bool {
        self.order.precedes(a, b)
    }

    /// Lists the emergency rekeys that hold.
    pub(super) fn emergencies(&self) -> impl Iterator<Item = Ix> {
        let emergency = |at: &Ix| {
            let act = self.ops.get(*at).map(|op| op.act());
            self.found.valid.get(*at) == Some(&true) && matches!(act, Some(Act::Rekey { emergency: true, .. }))
        };
        self.facts.fresh.iter().copied().filter(emergency)
    }

    /// Lists the last operations that hold.
    pub(super) fn standing_heads(&self) -> Vec<Ix> {
        self.standing_from(&self.heads.iter().copied().collect::<Vec<_>>(), &self.found.valid)
    }

    /// Lists the last operations that hold for who knows some heads and their past alone.
    pub(super) fn standing_behind(&self, heads: &[Ix]) -> Vec<Ix> {
        let found = resolve::resolve(self, &self.past(heads));
        self.standing_from(heads, &found.valid)
    }

    /// Lists the last operations that held for the author of one, before it.
    pub(super) fn standing_before(&self, at: Ix) -> &[Ix] {
        self.pasts.standing_before(at)
    }

    /// Tells who was given secrets by an operation that makes or hands over some; nothing where it makes them for others
    /// than those who belonged.
    pub(super) fn given(&self, at: Ix) -> Option<&Given> {
        self.pasts.given(at)
    }

    /// Resolves everything anew: equal to what came about step by step.
    #[cfg(test)]
    fn resolved_anew(&self) -> Resolution {
        resolve::resolve(self, &(0..self.ops.len()).collect::<Vec<_>>())
    }
}

#[cfg(test)]
pub(super) mod tests;
