//! The types generated from `proto/*.proto`, one module for each file. Private: what leaves this crate is verified types.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/modules.rs"));
