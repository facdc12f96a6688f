//! The `kith` command: arguments and output; everything else is asked of the daemon.

fn main() {}
