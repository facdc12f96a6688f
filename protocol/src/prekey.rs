//! How somebody is reached who is not connected: the keys for first messages, and the records that publish them. Must not
//! know sessions or the network.

pub mod bundle;
pub mod certificate;
pub mod descriptor;
pub mod one_time;
pub mod pool;
pub mod reading;
pub mod record;
pub mod relay_pool;
pub mod sequence;

pub use bundle::{Bundle, BundleParts, SUITE};
pub use certificate::{Certificates, RecordSigner, StoredCertificates};
pub use descriptor::{Descriptor, DescriptorParts, open_record};
pub use one_time::{HandedKey, OneTimeKeys, StoredOneTimeKeys};
pub use pool::{PrekeyPool, StoredPool};
pub use reading::{Reading, readers_keys, readers_keys_for};
pub use record::{RecordMeta, check_record, record_key_of, supersedes};
pub use relay_pool::{RelayPool, StoredRelayPool, pool_key_id, verify_pool_key};

#[cfg(test)]
mod rules_test;
