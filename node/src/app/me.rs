//! Who this node is: the long-lived keys, read once. They never change while the node runs.

use super::{
    App,
    work::{Halt, Work},
};
use kith_protocol::{
    AccountId, DeviceId, Timestamp,
    crypto::dh::DhSecret,
    identity::{Account, DeviceLog, DeviceSecrets, device_log::LogHead},
    session::LocalDevice,
};
use kith_store::{
    Damage, Error, RawRows, Rows,
    table::{OwnIdentity, OwnProfile},
};

/// The account and device that a node acts for.
pub struct Me {
    /// The account.
    pub account: AccountId,
    /// This device.
    pub device: DeviceId,
    pub(super) root: Account,
    pub(super) secrets: DeviceSecrets,
    pub(super) log: DeviceLog,
    transport: [u8; 32],
}

impl Me {
    pub(super) fn load(rows: &dyn RawRows) -> Result<Self, Error> {
        let own = rows.row::<OwnIdentity>(&OwnIdentity::only())?.ok_or(Error::Corrupt(Damage::Row))?;
        let root = Account::from_stored(&own.account);
        let secrets = DeviceSecrets::from_stored(&own.device);
        // Our own log was checked when it was made; its times cannot be judged by a clock that may be wrong now.
        let log = DeviceLog::decode(root.id(), &own.log, Timestamp::from_millis(u64::MAX))
            .map_err(|_| Error::Corrupt(Damage::Encoding))?;
        Ok(Self { account: root.id(), device: secrets.id(), root, secrets, log, transport: own.transport })
    }

    /// This device as sessions need it.
    pub(super) fn local(&self) -> LocalDevice<'_> {
        LocalDevice { account: self.account, device: self.device, dh: self.dh() }
    }

    fn dh(&self) -> &DhSecret {
        self.secrets.dh()
    }

    pub(super) fn log_head(&self) -> LogHead {
        self.log.head()
    }

    /// Seed of the transport key.
    pub fn transport_seed(&self) -> [u8; 32] {
        self.transport
    }
}

impl App {
    /// What others see of us.
    pub(super) fn profile(&self, w: &Work<'_>) -> Result<OwnProfile, Halt> {
        Ok(w.get(&OwnProfile::only())?.ok_or(Error::Corrupt(Damage::Row))?)
    }
}
