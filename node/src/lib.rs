//! The Kith daemon: `app` decides, `net` carries, `api` serves local clients.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod api;
pub mod app;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod log;
pub mod net;
pub mod paths;
pub mod profile;
pub mod relay;

pub use api::Client;
pub use api::error::{Code, UserError};
