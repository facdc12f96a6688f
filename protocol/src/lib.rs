//! What is true of Kith whoever carries it: keys, handshake, ratchet, envelopes, wire formats and their limits.
//! Must not know sockets, files, clocks or global randomness: `now` and `rng` are arguments.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)
)]

pub mod channel;
mod code;
pub mod content;
pub mod crypto;
mod fault;
mod id;
pub mod identity;
pub mod limits;
pub mod mailbox;
mod padding;
pub mod prekey;
mod proto;
pub mod session;
mod stored_record;
mod time;
pub mod wire;

pub use fault::Fault;
pub use id::{
    AccountId, ChannelId, DeviceId, EnvelopeId, KeptId, LeafKeyId, MailboxId, MessageId, ParseIdError, RecordKey,
    RelayId, SessionId, Tag,
};
pub use stored_record::{check_stored, stored_supersedes};
pub use time::{Day, Timestamp};
