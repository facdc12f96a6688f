//! The one place that answers "may": at sending, at receiving and towards the user alike. Must not know how it is found out
//! which operations hold.

use super::{
    Refused,
    facts::revokes,
    view::{Deed, Devices, Point, View},
};
use crate::{
    AccountId, DeviceId, Timestamp,
    channel::{Act, Admission, Cutoff, InviteTerms, Permission, Permissions, Removal, Role, RoleName, Setting, Use},
    identity::{DeviceLog, device_log::Relation},
    limits::{INVITE_MS_MAX, INVITE_USES_MAX, MEMBERS_MAX, ROLES_MAX},
};
use std::collections::BTreeMap;

/// Somebody who wants to do something at a point of the graph, with the rights that are left to them there.
struct Actor<'v, 'g> {
    view: &'v View<'g>,
    account: AccountId,
    device: DeviceId,
    at: Timestamp,
    /// What they may do.
    rights: Permissions,
    /// How high they stand.
    rank: Permissions,
}

impl View<'_> {
    /// Says whether somebody may do something here, or why not.
    pub(super) fn may(&self, deed: &Deed<'_>) -> Result<(), Refused> {
        let Deed { account, device, at, act } = *deed;
        if let Act::Create { .. } = act {
            return if matches!(self.point, Point::Op(0)) { Ok(()) } else { Err(Refused::SecondCreation) };
        }
        self.not_struck(&account, &device)?;
        if !self.is_member(&account) {
            return Err(Refused::NotMember);
        }
        if !self.devices(&account).contains_key(&device) {
            return Err(Refused::NotTheirDevice);
        }
        let rights = self.rights_left(&account, at);
        let (rights, rank) = (rights.unconditional(), rights.held());
        Actor { view: self, account, device, at, rights, rank }.may(act)
    }

    /// R-MEM-3: removal beats concurrent acts of the removed, revocation those of the device.
    fn not_struck(&self, account: &AccountId, device: &DeviceId) -> Result<(), Refused> {
        let Point::Op(o) = self.point else { return Ok(()) };
        if self.truth.overused.contains(&o) {
            return Err(Refused::InviteUsedUp);
        }
        let Some(person) = self.person(account) else { return Ok(()) };
        let settled = |r: &usize| self.truth.settled.contains(&(o, *r));
        // Who left struck nothing of their own.
        if person.removals.iter().any(|r| self.is_struck_by(*r) && self.by_other(*r) && !settled(r)) {
            return Err(Refused::Removed);
        }
        let of_device = |r: &usize| self.graph.ops.get(*r).is_some_and(|op| revokes(op, device));
        if person.revocations.iter().any(|r| self.is_struck_by(*r) && of_device(r)) {
            return Err(Refused::DeviceRevoked);
        }
        Ok(())
    }

    /// Says whether somebody could have let in the same newcomer here, whose invite need not be open any more.
    pub(super) fn could_let_in(&self, account: &AccountId, admission: &Admission, at: Timestamp) -> bool {
        let rights = self.rights(account, at);
        let by_invite = admission.invite.as_ref().and_then(|used| self.invite(&used.invite).ok());
        let needed = match by_invite {
            Some((terms, _)) if !terms.approval => Permission::Invite,
            _ => Permission::Approve,
        };
        rights.unconditional().has(needed) && self.may_bring(rights.held(), &admission.role).is_ok()
    }

    /// R-MEM-7: who may give a role to a newcomer holds its rights, and may assign roles if it is more than a member's.
    fn may_bring(&self, rank: Permissions, role: &RoleName) -> Result<(), Refused> {
        self.role(role).ok_or(Refused::UnknownRole)?;
        let gives = self.reach_of(role);
        if !rank.covers(gives) {
            return Err(Refused::MoreThanHeld);
        }
        if !self.reach_of(&RoleName::member()).covers(gives) && !rank.has(Permission::AssignRole) {
            return Err(Refused::Lacks(Permission::AssignRole));
        }
        Ok(())
    }

    /// Says whether a device log tells nothing that the logs seen here do not.
    fn is_known(&self, account: &AccountId, log: &DeviceLog) -> bool {
        self.logs(account).any(|known| matches!(known.relation(&log.head()), Relation::Same | Relation::Behind))
    }
}

impl Actor<'_, '_> {
    fn may(&self, act: &Act) -> Result<(), Refused> {
        match act {
            Act::Create { .. } => Err(Refused::SecondCreation),
            Act::Admit(admission) => self.may_admit(admission),
            Act::Remove(removal) => self.may_remove(removal),
            Act::Unban { account } => {
                self.needs(Permission::Ban)?;
                if self.view.is_banned(account) { Ok(()) } else { Err(Refused::UnknownMember) }
            }
            Act::Devices { account, devices, cutoffs, fresh } => {
                self.may_tell(account, devices, cutoffs, fresh.is_some())
            }
            Act::DefineRole { name, role } => self.may_define(name, role),
            Act::DropRole { name } => {
                self.needs(Permission::AssignRole)?;
                if name.builtin().is_some() {
                    return Err(Refused::BuiltinRole);
                }
                self.gives(name)?;
                self.over_holders(name)
            }
            Act::GrantRole { account, role, .. } => self.may_grant(account, role),
            Act::RevokeRole { account, role } => self.may_revoke(account, role),
            Act::PostInvite(terms) => self.may_invite(terms),
            Act::RevokeInvite { invite } => {
                let (_, poster) = self.view.invite(invite)?;
                if poster == self.account { Ok(()) } else { self.needs(Permission::Approve) }
            }
            Act::Rekey { .. } => self.needs(Permission::Rekey),
            Act::EpochGrant { device, .. } => self.owner_of(device).map(|_| ()),
            Act::Set(setting) => self.needs(match setting {
                Setting::Name(_) | Setting::Topic(_) | Setting::Mode(_) => Permission::EditMeta,
                Setting::RetentionDays(_) | Setting::ExpireAfterMs(_) => Permission::SetRetention,
                Setting::Relays(_) => Permission::SetRelay,
            }),
            Act::Mute { account, .. } => {
                self.needs(Permission::Mute)?;
                self.is_in(account)?;
                self.over(account)
            }
            Act::Suspend { devices, on } => devices.iter().try_for_each(|device| self.may_suspend(device, *on)),
        }
    }

    fn needs(&self, right: Permission) -> Result<(), Refused> {
        if self.rights.has(right) { Ok(()) } else { Err(Refused::Lacks(right)) }
    }

    fn is_in(&self, account: &AccountId) -> Result<(), Refused> {
        if self.view.is_member(account) { Ok(()) } else { Err(Refused::UnknownMember) }
    }

    /// R-MEM-6: one acts on who stands strictly below, owners on their equals too, nobody on the creator.
    fn over(&self, subject: &AccountId) -> Result<(), Refused> {
        let theirs = self.view.rights(subject, self.at).held();
        if *subject == self.view.graph.creator || !self.rank.above(theirs) { Err(Refused::NotAbove) } else { Ok(()) }
    }

    /// Says whether taking something from a role is no act on anybody who does not stand below; from the creator nothing
    /// can be taken.
    fn over_holders(&self, role: &RoleName) -> Result<(), Refused> {
        let holders = self.view.holders_of(role, self.at);
        let others = holders.iter().filter(|h| **h != self.account && **h != self.view.graph.creator);
        others.into_iter().try_for_each(|holder| self.over(holder))
    }

    /// R-MEM-7: one gives only what one has.
    fn gives(&self, role: &RoleName) -> Result<(), Refused> {
        self.view.role(role).ok_or(Refused::UnknownRole)?;
        if self.rank.covers(self.view.reach_of(role)) { Ok(()) } else { Err(Refused::MoreThanHeld) }
    }

    /// Finds the member whom a device speaks for.
    fn owner_of(&self, device: &DeviceId) -> Result<AccountId, Refused> {
        // Whose it is may be known from elsewhere: that changes no answer.
        let owner = self.view.graph.owner_of(device).filter(|owner| self.view.is_member(owner));
        owner.filter(|owner| self.view.devices(owner).contains_key(device)).ok_or(Refused::UnknownMember)
    }

    fn may_suspend(&self, device: &DeviceId, on: bool) -> Result<(), Refused> {
        let owner = self.owner_of(device)?;
        if owner == self.account {
            return Ok(());
        }
        self.needs(Permission::Kick)?;
        if on { self.over(&owner) } else { Ok(()) }
    }

    fn may_admit(&self, admission: &Admission) -> Result<(), Refused> {
        if self.view.is_banned(&admission.account) {
            return Err(Refused::Banned);
        }
        if self.view.is_member(&admission.account) {
            return Err(Refused::AlreadyMember);
        }
        if self.view.has_as_many_as_may_be() {
            return Err(Refused::TooMany);
        }
        let Some(used) = &admission.invite else {
            self.needs(Permission::Approve)?;
            return self.view.may_bring(self.rank, &admission.role);
        };
        let (terms, poster) = self.view.invite(&used.invite)?;
        if self.view.invite_ends(&used.invite).iter().any(|e| self.view.is_struck_by(*e)) {
            return Err(Refused::InviteRevoked);
        }
        self.needs(if terms.approval { Permission::Approve } else { Permission::Invite })?;
        if admission.role != terms.role {
            return Err(Refused::OtherRole);
        }
        if self.at > terms.expires {
            return Err(Refused::InviteExpired);
        }
        self.is_unused(used, terms)?;
        // The invite is worth what its poster could still give.
        let theirs = self.view.rights_left(&poster, self.at);
        let worthless = !theirs.unconditional().has(Permission::Invite);
        if worthless || self.view.may_bring(theirs.held(), &terms.role).is_err() {
            return Err(Refused::InviteRevoked);
        }
        self.proof_holds(admission, used, terms)
    }

    fn is_unused(&self, used: &Use, terms: &InviteTerms) -> Result<(), Refused> {
        let mut count = 0;
        for at in self.view.uses(&used.invite) {
            count += 1;
            // R-INV-6: a request admits once, so that an old one lets nobody in again who was removed.
            if let Some(Act::Admit(Admission { invite: Some(other), .. })) = self.view.act(at)
                && other.nonce == used.nonce
            {
                return Err(Refused::Repeated);
            }
        }
        if count >= terms.uses { Err(Refused::InviteUsedUp) } else { Ok(()) }
    }

    fn proof_holds(&self, admission: &Admission, used: &Use, terms: &InviteTerms) -> Result<(), Refused> {
        let revoked = self.view.device_sets(&admission.account).revoked;
        if admission.devices.device(&used.device).is_none() || revoked.contains(&used.device) {
            return Err(Refused::NotTheirDevice);
        }
        let graph = self.view.graph;
        let verify = || used.claim(graph.channel, admission.account).verify(&terms.public.sign, &used.proof).is_ok();
        // Verified once where the operation is known: a signature does not change.
        let known = if let Point::Op(o) = self.view.point { graph.proven.get(&o) } else { None };
        let proven = known.map_or_else(verify, |known| *known.get_or_init(verify));
        if proven { Ok(()) } else { Err(Refused::BadProof) }
    }

    fn may_remove(&self, removal: &Removal) -> Result<(), Refused> {
        if removal.account == self.account {
            let leaves = !removal.ban && removal.fresh.is_none();
            return if leaves { Ok(()) } else { Err(Refused::OwnRemoval) };
        }
        self.needs(if removal.ban { Permission::Ban } else { Permission::Kick })?;
        if !removal.ban {
            self.is_in(&removal.account)?;
        }
        self.over(&removal.account)?;
        let Devices { active, revoked } = self.view.device_sets(&removal.account);
        let theirs = |c: &Cutoff| active.contains_key(&c.device) || revoked.contains(&c.device);
        if removal.cutoffs.iter().all(theirs) { Ok(()) } else { Err(Refused::NotTheirDevice) }
    }

    /// R-MEM-9: a device log proves itself, so any member tells it; keys are made anew with it only by who may, or where a
    /// device was revoked, and only what revoked devices said is cut.
    fn may_tell(&self, subject: &AccountId, log: &DeviceLog, cutoffs: &[Cutoff], fresh: bool) -> Result<(), Refused> {
        self.is_in(subject)?;
        if self.view.is_known(subject, log) {
            return Err(Refused::NothingNew);
        }
        let gone = |id: &DeviceId| log.member(id).is_some_and(|m| !m.is_active());
        if !cutoffs.iter().all(|c| gone(&c.device)) {
            return Err(Refused::NotTheirDevice);
        }
        if fresh && *subject == self.account && gone(&self.device) {
            return Err(Refused::OwnRemoval);
        }
        let revokes = self.view.devices(subject).keys().any(gone);
        if fresh && !revokes { self.needs(Permission::Rekey) } else { Ok(()) }
    }

    fn may_define(&self, name: &RoleName, role: &Role) -> Result<(), Refused> {
        self.needs(Permission::AssignRole)?;
        if name.builtin().is_some() {
            return Err(Refused::BuiltinRole);
        }
        let view = self.view;
        let old = view.role(name);
        if old.is_none() && view.graph.facts.roles.keys().filter(|n| view.role(n).is_some()).count() >= ROLES_MAX {
            return Err(Refused::TooMany);
        }
        if let Some(unknown) = role.inherits.iter().find(|r| view.role(r).is_none()) {
            return Err(if unknown == name { Refused::RoleCycle } else { Refused::UnknownRole });
        }
        let mut depths = BTreeMap::new();
        if role.inherits.iter().any(|r| r == name || view.depth(r, name, &mut depths).is_none()) {
            return Err(Refused::RoleCycle);
        }
        let gives = role.inherits.iter().fold(role.allow, |all, r| all.with(view.reach_of(r)));
        if !self.rank.covers(gives) || !self.rank.covers(view.reach_of(name)) {
            return Err(Refused::MoreThanHeld);
        }
        let takes = |old: &Role| {
            let narrower = role.conditions != old.conditions && !role.conditions.is_empty();
            let dropped = old.inherits.iter().any(|r| !role.inherits.contains(r));
            let denies = role.inherits.iter().any(|r| !old.inherits.contains(r) && view.denies(r));
            narrower || dropped || denies || !role.allow.covers(old.allow) || !old.deny.covers(role.deny)
        };
        // Where the role was dropped, nobody holds it.
        if old.as_ref().is_some_and(takes) { self.over_holders(name) } else { Ok(()) }
    }

    fn may_grant(&self, subject: &AccountId, role: &RoleName) -> Result<(), Refused> {
        self.needs(Permission::AssignRole)?;
        self.is_in(subject)?;
        self.gives(role)?;
        // To give somebody a role that takes rights away is an act on them.
        let harmless = *subject == self.account || *subject == self.view.graph.creator || !self.view.denies(role);
        if harmless { Ok(()) } else { self.over(subject) }
    }

    fn may_revoke(&self, subject: &AccountId, role: &RoleName) -> Result<(), Refused> {
        if !self.view.roles(subject, self.at).contains(role) {
            return Err(Refused::UnknownRole);
        }
        if *subject == self.view.graph.creator && *role == RoleName::owner() {
            return Err(Refused::NotAbove);
        }
        if *subject == self.account {
            return Ok(());
        }
        self.needs(Permission::AssignRole)?;
        self.over(subject)
    }

    fn may_invite(&self, terms: &InviteTerms) -> Result<(), Refused> {
        self.needs(Permission::Invite)?;
        let lasts_too_long = terms.expires > self.at.plus_millis(INVITE_MS_MAX);
        if terms.uses == 0 || terms.uses > INVITE_USES_MAX || lasts_too_long {
            return Err(Refused::OutOfBounds);
        }
        self.view.may_bring(self.rank, &terms.role)
    }
}

impl View<'_> {
    /// Says whether the channel has as many members as it may; few people were ever let in, as a rule.
    fn has_as_many_as_may_be(&self) -> bool {
        let people = &self.graph.facts.people;
        people.len() >= MEMBERS_MAX && people.keys().filter(|account| self.is_member(account)).count() >= MEMBERS_MAX
    }
}
