//! What survives a power cut: sealed rows, transactions and migrations over redb.
//! Must not know libp2p, tokio, or what the rows mean.
//!
//! # One commit, one fsync
//! Every commit is durable before [`Store::write`] returns; there are no others.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod disk;
mod error;
mod header;
mod key;
mod lock;
mod migrate;
mod row;
mod rows;
mod seal;
mod snapshot;
mod store;
pub mod table;
mod tx;
mod unlock;
mod writes;

pub use disk::{Counts, Disk, MemoryDisk};
pub use error::{Damage, Error};
pub use header::StoreId;
pub use key::{Key, Range};
pub use lock::{ProfileLock, private_folder};
pub use row::{ROW_MAX, RawRow, Row, decode_body};
pub use rows::{RawRows, Rows};
pub use snapshot::{Draft, Overlay, Snapshot};
pub use store::{Store, StoreInfo};
pub use table::Table;
pub use tx::{Committed, Tx};
pub use unlock::{Stretching, Unlock, UnlockKind};
pub use writes::Writes;
