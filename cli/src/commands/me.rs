//! `kith me`

use crate::context::Context;
use crate::failure::Outcome;
use crate::render::qr;
use clap::Args;

/// What to show or change.
#[derive(Debug, Args)]
pub(crate) struct MeArgs {
    /// Show the link as a QR code too
    #[arg(long)]
    qr: bool,
    /// Change the name that contacts see
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// Make a new reach secret: who has only the old code cannot find me any more, contacts can
    #[arg(long)]
    rotate: bool,
}

/// Shows my contact code and link.
pub(crate) async fn run(args: MeArgs, context: &Context) -> Outcome {
    if let Some(name) = &args.name {
        context.client.set_name(name).await?;
    }
    let me = if args.rotate { context.client.rotate().await? } else { context.client.me().await? };
    if args.qr && !context.out.is_json() {
        context.out.say(&qr(&me.url)?)?;
    }
    context.out.one(&me)
}
