//! The net task on real loopback sockets, with honest nodes and hostile ones.

mod channel;
mod coming_back;
mod delivering;
mod dht;
mod fifty;
mod gossip;
mod hostile;
pub(super) mod kit;
mod limits;
mod mailbox;
mod real;
mod seen;
mod starting;
