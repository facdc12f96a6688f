//! `kith read`

use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use clap::Args;
use kith_node::api::ReadRequest;
use kith_node::api::types::{MessageKind, Time};

/// What to read.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// @name, '#name' (quoted: a shell takes # for a comment), an id, or the beginning of one
    #[arg(value_name = "#C|@P")]
    with: String,
    /// At most so many, the newest
    #[arg(short, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    n: u16,
    /// Only messages before this one
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// Only messages stored since: a time, or how far back (2h, 7d)
    #[arg(long, value_name = "T", value_parser = input::since)]
    since: Option<Time>,
    /// With --json, also messages that are not text, and where some are missing
    #[arg(long)]
    all: bool,
    /// Do not mark what is shown as read
    #[arg(long)]
    peek: bool,
}

/// Reads a conversation, oldest first, and marks it read up to the last message shown.
pub(crate) async fn run(args: ReadArgs, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    let before = match &args.before {
        Some(id) => Some(client.message(id).await?.id),
        None => None,
    };
    let request = ReadRequest { with: args.with.clone(), before, since: args.since, limit: Some(args.n.into()) };
    let messages = client.read(&request).await?;
    if messages.is_empty() {
        out.say("no messages")?;
    }
    // What is missing is no message: a script gets a line for it with --all alone.
    for message in &messages {
        if message.kind == MessageKind::Text || args.all || !out.is_json() {
            out.one(message)?;
        }
    }
    // Only after everything was written: what nobody saw is not read.
    let last = messages.iter().rfind(|m| m.kind != MessageKind::Gap);
    if let Some(last) = last.filter(|_| !args.peek && messages.iter().any(|m| !m.outgoing)) {
        client.mark_read(&args.with, Some(last.id)).await?;
    }
    Ok(())
}
