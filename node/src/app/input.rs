//! What the app is asked to handle, one at a time, in the order in which it came.

use super::{command::Command, effect::RequestId, mail::PageEnd};
use crate::net::NetEvent;

/// One thing to handle.
#[derive(Clone, Debug)]
pub enum Input {
    /// The daemon starts: connections are gone, leases of attempts too.
    Start,
    /// A local client asks for a change.
    Command {
        /// Names the request in the answer.
        request: RequestId,
        /// What.
        command: Command,
        /// Given by the client so that a repeated request has the same outcome.
        idempotency_key: Option<String>,
    },
    /// Something came from the net.
    Net(NetEvent),
    /// An envelope from a mailbox.
    Mail {
        /// The relay of ours, by its number.
        relay: u64,
        /// The envelope.
        envelope: Vec<u8>,
    },
    /// A page of a mailbox was taken apart: its envelopes come before this.
    PageRead(PageEnd),
    /// Something may be due.
    Tick,
}
