//! Who somebody is: an account's root key, its devices and the signed log of them, the code that names it to others, and
//! how far it is trusted. Must not know how anybody is reached.

pub mod account;
pub mod contact_link;
pub mod device;
pub mod device_log;
pub mod safety_number;
pub mod trust;

pub use account::{Account, StoredAccount};
pub use contact_link::{CodeKind, ContactCode, ContactLink, ReachSecret};
pub use device::{DeviceInfo, DeviceSecrets, StoredDevice};
pub use device_log::DeviceLog;
pub use safety_number::{SafetyNumber, safety_number};
pub use trust::Trust;
