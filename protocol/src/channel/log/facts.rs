//! What operations say, by whom and what they are about. Must not know which of them hold.

use super::ancestry::Ix;
use crate::{
    AccountId, DeviceId,
    channel::{Act, Op, OpId, RoleName},
    identity::{DeviceInfo, DeviceLog},
};
use std::collections::BTreeMap;

/// Lists of operations, each in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) by_author: BTreeMap<AccountId, Vec<Ix>>,
    pub(super) people: BTreeMap<AccountId, Person>,
    /// Every device in a device log, and whose.
    pub(super) devices: BTreeMap<DeviceId, (AccountId, DeviceInfo)>,
    /// What defines or drops a role.
    pub(super) roles: BTreeMap<RoleName, Vec<Ix>>,
    /// What gives a role to somebody.
    pub(super) given: BTreeMap<RoleName, Vec<Ix>>,
    pub(super) settings: BTreeMap<u32, Vec<Ix>>,
    pub(super) invites: Vec<Ix>,
    pub(super) uses: BTreeMap<OpId, Vec<Ix>>,
    pub(super) invite_ends: BTreeMap<OpId, Vec<Ix>>,
    pub(super) suspensions: BTreeMap<DeviceId, Vec<Ix>>,
    pub(super) fresh: Vec<Ix>,
    /// What takes from others what they could do meanwhile.
    pub(super) strong: Vec<Ix>,
    /// What ends a role for everybody.
    pub(super) drops: Vec<Ix>,
}

/// What is said of one account.
#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    /// What let it in; for the creator, what made the channel.
    pub(super) admissions: Vec<Ix>,
    pub(super) removals: Vec<Ix>,
    pub(super) unbans: Vec<Ix>,
    pub(super) grants: Vec<Ix>,
    pub(super) revokes: Vec<Ix>,
    pub(super) mutes: Vec<Ix>,
    /// What carries a device log of it.
    pub(super) logs: Vec<Ix>,
    /// What carries a device log with a revoked device in it.
    pub(super) revocations: Vec<Ix>,
}

impl Facts {
    pub(super) fn push(&mut self, at: Ix, op: &Op) {
        self.by_author.entry(op.account()).or_default().push(at);
        if op.act().fresh().is_some() {
            self.fresh.push(at);
        }
        match op.act() {
            Act::Create { devices, .. } => {
                self.log(at, op.account(), devices);
                self.person(op.account()).admissions.push(at);
            }
            Act::Admit(admission) => {
                self.log(at, admission.account, &admission.devices);
                self.person(admission.account).admissions.push(at);
                self.given.entry(admission.role.clone()).or_default().push(at);
                if let Some(used) = &admission.invite {
                    self.uses.entry(used.invite).or_default().push(at);
                }
            }
            Act::Remove(removal) => {
                self.person(removal.account).removals.push(at);
                self.strong.push(at);
            }
            Act::Unban { account } => self.person(*account).unbans.push(at),
            Act::Devices { account, devices, .. } => self.log(at, *account, devices),
            Act::DefineRole { name, .. } => self.roles.entry(name.clone()).or_default().push(at),
            Act::DropRole { name } => {
                self.roles.entry(name.clone()).or_default().push(at);
                self.strong.push(at);
                self.drops.push(at);
            }
            Act::GrantRole { account, role, .. } => {
                self.person(*account).grants.push(at);
                self.given.entry(role.clone()).or_default().push(at);
            }
            Act::RevokeRole { account, .. } => {
                self.person(*account).revokes.push(at);
                self.strong.push(at);
            }
            Act::PostInvite(_) => self.invites.push(at),
            Act::RevokeInvite { invite } => {
                self.invite_ends.entry(*invite).or_default().push(at);
                self.strong.push(at);
            }
            Act::Set(setting) => self.settings.entry(setting.key()).or_default().push(at),
            Act::Mute { account, .. } => self.person(*account).mutes.push(at),
            Act::Suspend { devices, .. } => {
                for device in devices {
                    self.suspensions.entry(*device).or_default().push(at);
                }
            }
            Act::EpochGrant { .. } | Act::Rekey { .. } => {}
        }
    }

    fn log(&mut self, at: Ix, account: AccountId, log: &DeviceLog) {
        for member in log.members() {
            self.devices.entry(member.info.id).or_insert_with(|| (account, member.info.clone()));
        }
        let revokes = log.members().any(|m| !m.is_active());
        let person = self.person(account);
        person.logs.push(at);
        if revokes {
            person.revocations.push(at);
            self.strong.push(at);
        }
    }

    fn person(&mut self, account: AccountId) -> &mut Person {
        self.people.entry(account).or_default()
    }
}

/// Returns the device log that an operation carries, and whose.
pub(super) fn device_log(op: &Op) -> Option<(AccountId, &DeviceLog)> {
    match op.act() {
        Act::Create { devices, .. } => Some((op.account(), devices)),
        Act::Admit(admission) => Some((admission.account, &admission.devices)),
        Act::Devices { account, devices, .. } => Some((*account, devices)),
        _ => None,
    }
}

/// Says whether an operation's device log shows a device as revoked.
pub(super) fn revokes(op: &Op, device: &DeviceId) -> bool {
    device_log(op).is_some_and(|(_, log)| log.member(device).is_some_and(|m| !m.is_active()))
}
