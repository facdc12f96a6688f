//! What survives a power cut: sealed rows, transactions and migrations over redb.
//! Must not know libp2p, tokio, or what the rows mean.
//!
//! A [`Store`] is one file. [`Snapshot`]s read it, an [`Overlay`] lays steps that are not committed yet over a snapshot,
//! and [`Store::write`] makes a batch of them durable at once; only what comes out of that, [`Committed`], may leave the
//! node. The file shows its id, its schema version and how its key is wrapped; the rest is sealed (SPEC.md, "At rest").
//!
//! # How commits are made durable, and why
//!
//! Every commit is durable before [`Store::write`] returns. Of the database's three ways to commit, measured by `cargo
//! bench -p kith-store` (rows of 600 bytes; 2 shared cores, ext4, 4 ms a sync; counts are per commit of one row):
//!
//! | rows, file | way | syncs | KiB written | first opening after a kill | with a check of every page |
//! |---|---|---|---|---|---|
//! | 20,000, 32 MiB | one phase | 1 | 28 | 60 ms (22 MiB read) | 60 ms |
//! | | two phases | 2 | 28 | 57 ms | 56 ms |
//! | | quick repair | 2 | 40 | 8 ms (nothing read) | 60 ms |
//! | 200,000, 257 MiB | one phase | 1 | 33 | 590 ms (362 MiB read) | 620 ms |
//! | | two phases | 2 | 34 | 510 ms | 520 ms |
//! | | quick repair | 2 | 74 | 3 ms | 290 ms |
//!
//! Commits are **one-phase, without quick repair**: one sync is what a batch waits for, twice as many would halve what a
//! slow disk takes. Two phases defend against somebody who chooses the bytes that are stored *and* the moment of a crash,
//! so that pages with right checksums take each other's place; here all stored bytes are sealed under random nonces, so
//! nobody chooses them. Quick repair buys a start after a kill that does not read the file, and every start reads it
//! anyway: pages are checked at **every opening**, since the database trusts a file that was closed cleanly and may panic
//! over damage. A profile of 20,000 messages starts in well under a tenth of a second, one of 200,000 in about half of
//! one on a busy machine.
//!
//! What a sync promises is the disk's word: a disk that confirms and forgets loses commits, and the next opening shows an
//! earlier one, whole. Peers notice that, as with an old copy put back, and no key is ever used twice for it.
//!
//! Deleted and replaced rows stay, sealed, in free pages until these are used again: whoever has the file *and* what opens
//! it may find them.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod disk;
mod error;
mod guard;
mod header;
mod key;
mod lock;
pub mod mailbox;
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
