//! The simulated world: many nodes on the real store over disks that forget, one virtual clock, seeded faults, no sockets;
//! daemons of this process on loopback sockets with hostile peers beside them; and daemons as real processes, for what only
//! those can show.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

pub mod bench;
pub mod cable;
pub mod canary;
pub mod depositor;
pub mod junk;
pub mod link;
pub mod network;
pub mod process;
pub mod rude;
pub mod traffic;
pub mod world;

/// How many runs a test makes: `full` when `KITH_FULL` is set, the value of `variable` when that is set, a tenth of
/// `full` otherwise. Printed, so that a log tells what was run.
pub fn count(what: &str, variable: &str, full: u64) -> u64 {
    let asked = std::env::var(variable).ok().and_then(|v| v.parse().ok());
    let n = asked.unwrap_or(if std::env::var_os("KITH_FULL").is_some() { full } else { full.div_ceil(10) });
    println!("counts: {what}: {n} (full: {full}, {variable}=N for another number)");
    n
}
