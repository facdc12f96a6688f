//! What the store promises, held against crashes, failing disks, hostile files and old versions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "it/atomicity.rs"]
mod atomicity;
#[path = "it/common.rs"]
mod common;
#[path = "it/corrupt.rs"]
mod corrupt;
#[path = "it/crash.rs"]
mod crash;
#[path = "it/lock.rs"]
mod lock;
#[path = "it/mailbox.rs"]
mod mailbox;
#[path = "it/migration.rs"]
mod migration;
#[path = "it/overlay.rs"]
mod overlay;
#[path = "it/unlock.rs"]
mod unlock;
