//! How a command ends when it does not end well.

use kith_node::UserError;

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The user is told.
    Told(UserError),
    /// Whoever read the output has gone (`kith read @bob | head -1`): nothing to say, nobody to say it to.
    ReaderGone,
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Self {
        Self::Told(error)
    }
}

/// What every command returns.
pub(crate) type Outcome = Result<(), Failure>;
