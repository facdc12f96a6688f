//! Serves local clients over the Unix socket and is the typed client for it.
//! Must not know how things are decided (that is the app) or shown (that is the CLI).

mod backend;
pub(crate) mod error;
pub mod types;

pub use backend::{Backend, MessageQuery};
