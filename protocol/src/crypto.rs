//! The only door to cryptographic primitives: everything else in the workspace says *what* it seals, signs or derives
//! and under which label, never with which crate. Must not know any message format.

pub mod aead;
pub mod dh;
pub mod hpke;
pub mod kdf;
pub mod kem;
pub mod label;
pub mod secret;
pub mod sign;

pub use secret::Secret;

#[cfg(test)]
mod known_answer_test;
