//! How somebody is reached who is not connected: the keys for first messages, and the records that publish them. Must not
//! know sessions or the network.

pub mod bundle;
pub mod certificate;
pub mod descriptor;
pub mod one_time;
pub mod pool;
pub mod record;
pub mod sequence;

pub use bundle::{Bundle, BundleParts, SUITE};
pub use one_time::{HandedKey, OneTimeKeys, StoredOneTimeKeys};
pub use pool::{PrekeyPool, StoredPool};
