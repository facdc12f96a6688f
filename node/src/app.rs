//! Decides: input → step → commit → effects. Must not know libp2p, tokio, the clock or redb.

pub mod command;
