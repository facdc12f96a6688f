//! What else is asked of a graph: cuts of removals, places in blobs, what somebody lacks. Must not change anything.

use super::{
    Graph, Ix, Refused, resolve,
    view::{Point, View},
};
use crate::{
    AccountId, DeviceId, Timestamp,
    channel::{Act, Cutoff, InviteTerms, OpId, Permission, RoleName},
};

impl Graph {
    /// Says whether a message of a device lies behind the cut of a removal that its author did not know: several removals
    /// of one device cut where the last of them does. `within` says whether a cutoff covers the message.
    pub fn is_cut_off(
        &self,
        account: &AccountId,
        device: &DeviceId,
        heads: &[OpId],
        within: impl Fn(&Cutoff) -> bool,
    ) -> bool {
        let heads: Vec<Ix> = heads.iter().filter_map(|head| self.position(head)).collect();
        let known = |r: Ix| heads.iter().any(|head| *head == r || self.order.precedes(r, *head));
        let Some(person) = self.facts.people.get(account) else { return true };
        let cuts = person.removals.iter().chain(&person.revocations).filter_map(|r| {
            let op = self.ops.get(*r).filter(|_| self.found.valid.get(*r) == Some(&true) && !known(*r))?;
            match op.act() {
                Act::Remove(removal) if op.account() != *account => Some(&removal.cutoffs),
                Act::Devices { devices, cutoffs, .. } if devices.member(device).is_some_and(|m| !m.is_active()) => {
                    Some(cutoffs)
                }
                _ => None,
            }
        });
        let cuts: Vec<_> = cuts.collect();
        !cuts.is_empty() && !cuts.iter().any(|cut| cut.iter().any(|c| c.device == *device && within(c)))
    }

    /// Says why a member might not say something even by what its device knew, which are the operations that the message
    /// names and their past: no honest device says it. Finds out anew what held there, so that it is asked of messages
    /// that are refused, and not of all of them.
    pub fn never_might_say(
        &self,
        account: &AccountId,
        device: &DeviceId,
        permission: Permission,
        heads: &[OpId],
        at: Timestamp,
    ) -> Option<Refused> {
        let places: Vec<Ix> = heads.iter().filter_map(|head| self.position(head)).collect();
        let found = resolve::resolve(self, &self.past(&places));
        self.says(
            &View { graph: self, truth: found.truth(), point: Point::Heads(&places) },
            account,
            device,
            permission,
            at,
        )
        .err()
    }

    /// The place of a device's item in the blob that an operation pins.
    pub fn sealed_place(&self, at: Ix, device: &DeviceId) -> Option<u32> {
        self.given(at)?.to.iter().position(|d| d == device).and_then(|at| u32::try_from(at).ok())
    }

    /// Lists the operations that do not lie in the past of some others, in order.
    pub fn not_in_past(&self, heads: &[Ix]) -> Vec<Ix> {
        let past: std::collections::BTreeSet<Ix> = self.past(heads).into_iter().collect();
        (0..self.ops.len()).filter(|at| !past.contains(at)).collect()
    }

    /// Says whether one operation lies in the past of another.
    pub fn is_before(&self, a: Ix, b: Ix) -> bool {
        self.order.precedes(a, b)
    }

    fn here(&self) -> View<'_> {
        View { graph: self, truth: self.found.truth(), point: Point::Now }
    }

    /// The terms of an invite that was posted and not ended.
    pub fn invite_terms(&self, id: &OpId) -> Option<&InviteTerms> {
        let at = self.position(id)?;
        self.here().invite(id).ok()?;
        match self.ops.get(at)?.act() {
            Act::PostInvite(terms) => Some(terms),
            _ => None,
        }
    }

    /// The terms of an invite that was posted, ended or not.
    pub fn posted_invite(&self, id: &OpId) -> Option<&InviteTerms> {
        match self.ops.get(self.position(id)?)?.act() {
            Act::PostInvite(terms) => Some(terms),
            _ => None,
        }
    }

    /// Counts how many came by an invite.
    pub fn invite_uses(&self, id: &OpId) -> u32 {
        u32::try_from(self.here().uses(id).count()).unwrap_or(u32::MAX)
    }

    /// The operation by which a member is in.
    pub fn admission_of(&self, account: &AccountId) -> Option<Ix> {
        self.here().admission(account)
    }

    /// Says whether a member is silenced.
    pub fn is_muted(&self, account: &AccountId, at: Timestamp) -> bool {
        self.here().is_muted(account, at)
    }

    /// Lists the names of roles that were defined here.
    pub fn defined_roles(&self) -> impl Iterator<Item = RoleName> {
        self.facts.roles.keys().cloned()
    }
}
