//! The relay role: keeps mail for those who sleep. Owns its store, judges every request, and signs what it promises.
//! Must not know the person's own account, the network, or threads: inputs and time come in, answers go out.

mod counters;
mod open;
mod operator;
mod owners;
mod rates;
mod service;
mod settings;
#[cfg(test)]
mod tests;
mod time;
mod wakes;

pub use counters::Counters;
pub use open::{Opened, open};
pub use operator::{Denied, InviteId, Operator, Stats, Told};
pub use rates::Rate;
pub use service::{BATCH_MAX, Service, Setup, Turn};
pub use settings::{RelayOptions, Settings};
pub use time::ClockDoubt;

pub use kith_store::mailbox::{Caps, Quota};
