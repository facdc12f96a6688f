//! The service over the real store, on a disk in memory that fails on command.

mod basics;
mod kit;
