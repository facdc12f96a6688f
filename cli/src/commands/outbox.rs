//! `kith outbox`

use crate::context::Context;
use crate::failure::Outcome;
use clap::Subcommand;

/// What to do with messages on their way.
#[derive(Debug, Subcommand)]
pub(crate) enum OutboxVerb {
    /// List messages on their way, oldest first
    List,
    /// Try one, or all, now
    Retry {
        /// A message's id, or the beginning of one
        message: Option<String>,
    },
    /// Give one up
    Cancel {
        /// A message's id, or the beginning of one
        message: String,
    },
}

/// Carries out what to do with messages on their way.
pub(crate) async fn run(verb: OutboxVerb, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    match verb {
        OutboxVerb::List => out.list(&client.outbox().await?, "nothing on its way"),
        OutboxVerb::Retry { message } => out.one(&client.retry(message.as_deref()).await?),
        OutboxVerb::Cancel { message } => out.one(&client.cancel(&message).await?),
    }
}
