//! What is remembered about transport peers: addresses, scores, dial backoff, limits.
//! Must not know the swarm; time comes in as an argument.

pub(crate) mod book;
pub(crate) mod dialer;
pub(crate) mod limits;
pub(crate) mod score;
