//! The command at the edges: disks that take nothing, clocks that are wrong, a terminal, the service manager, a real network.
//! What a test needs beyond a Rust toolchain it asks for, and says `SKIPPED: needs X` where X is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod clock;
mod disk;
mod network;
mod person;
mod service;
mod space;
mod terminal;
mod wizard;
