//! Says who is to blame for an error, so that the layer above can punish, report, retry or log from that alone.

/// Who is at fault for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Whoever sent the input: score it down.
    Peer,
    /// This node or its user: report it.
    Local,
    /// Nobody, or unknown: try again later.
    Transient,
    /// This program: log it as an error.
    Bug,
}
