//! The service over the real store, on a disk in memory that fails on command.

mod basics;
mod clocks;
mod crowds;
mod durable;
mod kit;
mod operator;
mod prekeys;
mod refusals;
mod strangers;
