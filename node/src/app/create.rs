//! Makes a profile: a new account, its first device, and everything the daemon expects to find.

use super::publish::first_keys;
use kith_protocol::{
    AccountId, DeviceId, Timestamp,
    identity::{Account, DeviceLog, DeviceSecrets, ReachSecret},
};
use kith_store::{
    Error, Store, Writes,
    table::{Due, DueWhat, OwnIdentity, OwnProfile},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// What a new profile tells the person, once.
pub struct Created {
    /// The account.
    pub account: AccountId,
    /// This device.
    pub device: DeviceId,
    /// The 24 words from which the account can be made again; kept nowhere else.
    pub phrase: Zeroizing<String>,
}

/// Makes a new account and device in an empty store.
///
/// # Errors
/// Whatever the store reports; nothing is half made.
pub fn create_profile(store: &Store, name: &str, now: Timestamp, rng: &mut impl CryptoRng) -> Result<Created, Error> {
    let account = Account::generate(rng);
    let device = DeviceSecrets::generate(rng);
    let log = DeviceLog::genesis(&account, &device, now).map_err(|_| Error::Bug("a device log must begin"))?;
    let mut transport = [0; 32];
    rng.fill_bytes(&mut transport);
    let reach = ReachSecret::random(rng);
    let identity = OwnIdentity {
        account: account.to_stored(),
        device: device.to_stored(),
        log: log.encode(),
        transport,
        since: now,
    };
    let profile = OwnProfile {
        account: account.id(),
        device: device.id(),
        name: name.to_owned(),
        reach: *reach.as_bytes(),
        peer: String::new(),
        addresses: Vec::new(),
        bundle: Vec::new(),
        bundle_seq: 0,
        descriptor_seq: 0,
        published_at: None,
        latest: now,
        banned: Vec::new(),
    };
    let mut writes = Writes::default();
    writes.put(&identity)?;
    writes.put(&profile)?;
    writes.put(&Due { at: now, what: DueWhat::Housekeeping })?;
    writes.put(&Due { at: now.plus_days(1), what: DueWhat::Sweep })?;
    first_keys(&mut writes, now, rng)?;
    let created = Created { account: account.id(), device: device.id(), phrase: account.phrase() };
    let committed = store.write(|tx| tx.apply(&writes).map(|()| created))?;
    Ok(committed.into_inner())
}
