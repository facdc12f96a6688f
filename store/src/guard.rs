//! The last resort against damaged pages.
//!
//! Every page is checked when a store is opened, and the database reports most damage as an error. But it trusts pages it
//! reads later, and panics over some that a failing disk garbled in the meantime (the tests do that to it). A daemon must
//! not die of that without a word, so a panic inside the database becomes the error it should have been. Panics of the
//! store's callers are none of its business and pass through.

use crate::{Damage, Error};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls into the database; a panic there means damaged pages.
///
/// Nothing half-changed is seen afterwards: a transaction that panicked is never committed, and the database refuses to
/// go on with what it was changing.
pub(crate) fn guarded<T>(f: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(Err(Error::Corrupt(Damage::Pages)))
}
