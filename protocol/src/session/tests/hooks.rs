//! What tests watch inside: how many chain steps were computed, and every key and nonce that sealed something.

use crate::crypto::Secret;
use std::{cell::RefCell, collections::BTreeSet};

#[derive(Default)]
struct Watched {
    chain_steps: u64,
    sealed: BTreeSet<([u8; 32], [u8; 12])>,
    repeated: u64,
}

thread_local! {
    static WATCHED: RefCell<Watched> = RefCell::default();
}

/// Counts one chain step.
pub(crate) fn count_chain_step() {
    WATCHED.with_borrow_mut(|w| w.chain_steps += 1);
}

/// Notes the key and nonce of a message that is sealed.
pub(crate) fn note_sealing(key: &Secret<32>, nonce: &[u8; 12]) {
    WATCHED.with_borrow_mut(|w| {
        if !w.sealed.insert((*key.as_bytes(), *nonce)) {
            w.repeated += 1;
        }
    });
}

/// Returns the chain steps since the last call on this thread.
pub(crate) fn take_chain_steps() -> u64 {
    WATCHED.with_borrow_mut(|w| std::mem::take(&mut w.chain_steps))
}

/// Returns (sealings, repeated pairs) on this thread since the last call.
pub(crate) fn take_sealings() -> (usize, u64) {
    WATCHED.with_borrow_mut(|w| (std::mem::take(&mut w.sealed).len(), std::mem::take(&mut w.repeated)))
}
