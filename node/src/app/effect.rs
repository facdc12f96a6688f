//! What is to happen once a batch is on disk. Each can be made again from rows, or is harmless to lose.

use super::command::Reply;
use crate::net::NetCommand;
use kith_protocol::{AccountId, DeviceId, MessageId};

/// Names one request of a local client until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What is to happen once a batch is on disk.
#[derive(Debug, Default)]
pub struct Effects {
    /// For the net task, in order.
    pub net: Vec<NetCommand>,
    /// Answers to local clients.
    pub replies: Vec<(RequestId, Reply)>,
    /// The newest event cursor, if events were added.
    pub newest_event: Option<u64>,
}

impl Effects {
    pub(super) fn absorb(&mut self, later: Self) {
        self.net.extend(later.net);
        self.replies.extend(later.replies);
        self.newest_event = later.newest_event.or(self.newest_event);
    }
}

/// A receipt that is owed to a device for a message of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Whose message it was.
    pub account: AccountId,
    /// From which device.
    pub device: DeviceId,
    /// Which message.
    pub message: MessageId,
    /// Read, or only delivered.
    pub read: bool,
}
