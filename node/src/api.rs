//! Serves local clients over the Unix socket and is the typed client for it.
//! Must not know how things are decided (that is the app) or shown (that is the CLI).

mod alike;
mod backend;
mod client;
pub mod code;
pub(crate) mod error;
mod extract;
mod routes;
mod serve;
pub(crate) mod socket;
pub mod target;
pub mod types;

#[cfg(test)]
mod tests;

pub use backend::{Backend, MessageQuery};
pub use client::{Client, Events, ReadRequest};
pub use kith_protocol::limits::{INVITE_USES_MAX, NAME_MAX, TEXT_MAX};
pub use routes::{
    check_channel_name, check_expiry, check_name, check_permission, check_query, check_reaction, check_role_name,
    check_text, openapi, router,
};
pub use serve::serve;
pub use socket::{SOCKET_PATH_MAX, Socket};
