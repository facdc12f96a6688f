//! What the app is asked to handle, one at a time, in the order in which it came.

use super::{command::Command, effect::RequestId};
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
    /// Something may be due.
    Tick,
}
