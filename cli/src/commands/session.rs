//! `kith session`

use crate::context::Context;
use crate::failure::Outcome;
use clap::Subcommand;

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionVerb {
    /// Drop the sessions with a contact's devices; the next message starts new ones
    Reset {
        /// @name, an id, or the beginning of one
        #[arg(value_name = "P")]
        who: String,
    },
}

/// Carries out what to do with sessions.
pub(crate) async fn run(verb: SessionVerb, context: &Context) -> Outcome {
    match verb {
        SessionVerb::Reset { who } => context.out.one(&context.client.reset_session(&who).await?),
    }
}
