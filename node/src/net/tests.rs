//! The net task on real loopback sockets, with honest nodes and hostile ones.

mod delivering;
mod dht;
mod hostile;
pub(super) mod kit;
mod starting;
