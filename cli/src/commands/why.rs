//! `kith why MESSAGE`

use crate::context::Context;
use crate::failure::Outcome;
use clap::Args;

/// Which message.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// A message's id, or the beginning of one
    #[arg(value_name = "MESSAGE")]
    message: String,
}

/// Shows how far a message got, step by step.
pub(crate) async fn run(args: WhyArgs, context: &Context) -> Outcome {
    context.out.one(&context.client.why(&args.message).await?)
}
