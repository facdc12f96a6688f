//! `kith react`, `kith edit`, `kith delete` and `kith pin`: what is said about a message of a channel.

use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use clap::Args;
use kith_node::api::{self, check_reaction, check_text};
use kith_node::{Code, UserError};

/// A reaction.
#[derive(Debug, Args)]
pub(crate) struct ReactArgs {
    /// A message's id, or the beginning of one
    #[arg(value_name = "ID")]
    message: String,
    /// An emoji
    #[arg(value_name = "EMOJI", value_parser = reaction)]
    emoji: String,
    /// Take it back
    #[arg(long)]
    off: bool,
}

/// Other words for a message.
#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// A message's id, or the beginning of one
    #[arg(value_name = "ID")]
    message: String,
    /// The new text; - reads it from stdin
    #[arg(value_name = "TEXT|-", required = true, num_args = 1..)]
    text: Vec<String>,
}

/// What to delete.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// A message's id, or the beginning of one
    #[arg(value_name = "ID")]
    message: String,
    /// Ask all members to hide it; who has read it has read it
    #[arg(long)]
    everyone: bool,
}

/// What to pin.
#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    /// A message's id, or the beginning of one
    #[arg(value_name = "ID")]
    message: String,
    /// Pin it no more
    #[arg(long)]
    off: bool,
}

/// Reacts to a message, or takes that back.
pub(crate) async fn react(args: ReactArgs, context: &Context) -> Outcome {
    context.out.one(&context.client.react(&args.message, &args.emoji, !args.off).await?)
}

/// Gives a message of mine other words.
pub(crate) async fn edit(args: EditArgs, context: &Context) -> Outcome {
    let body = match args.text.as_slice() {
        [dash] if dash == "-" => input::stdin_text(api::TEXT_MAX)?,
        words => words.join(" "),
    };
    check_text(&body)?;
    context.out.one(&context.client.edit_message(&args.message, &body).await?)
}

/// Asks all members to hide a message.
pub(crate) async fn delete(args: DeleteArgs, context: &Context) -> Outcome {
    if !args.everyone {
        let message = "a message cannot be deleted on this machine alone yet";
        return Err(UserError::new(Code::Usage, message).hint("--everyone asks all members to hide it").into());
    }
    context.out.one(&context.client.delete_message(&args.message, true).await?)
}

/// Pins a message, or takes that back.
pub(crate) async fn pin(args: PinArgs, context: &Context) -> Outcome {
    context.out.one(&context.client.pin(&args.message, !args.off).await?)
}

/// Reads a reaction.
fn reaction(text: &str) -> Result<String, String> {
    check_reaction(text).map_err(|e| e.message)
}
