//! `kith listen`

use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use clap::Args;
use kith_node::api::types::{Event, EventKind};
use kith_node::{Client, Code, UserError};
use std::time::Duration;

/// How long to wait for a daemon that went away.
const PATIENCE: Duration = Duration::from_secs(600);

/// What to follow.
#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// Only these people and channels ('#name', quoted); everything without
    #[arg(value_name = "#C|@P")]
    who: Vec<String>,
    /// Events after this cursor first: the last one seen, to miss nothing between two runs
    #[arg(long, value_name = "CURSOR")]
    after: Option<u64>,
    /// End after so many events
    #[arg(short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    n: Option<u64>,
}

/// Follows messages and events until interrupted.
pub(crate) async fn run(args: ListenArgs, context: &Context) -> Outcome {
    let client = context.client.clone().with_patience(PATIENCE);
    let mut wanted = Vec::new();
    for who in &args.who {
        wanted.push(conversation(&client, who).await?);
    }
    let mut events = client.events(args.after).await?;
    context.out.note("listening; Ctrl-C ends");
    let mut left = args.n;
    while left != Some(0) {
        let mut event = tokio::select! {
            event = events.next() => event?,
            error = input::interrupted() => return Err(error.into()),
        };
        if let EventKind::Alert(alert) = &mut event.kind {
            alert.hint = context.here(&alert.hint);
        }
        let gap = matches!(event.kind, EventKind::Gap(_));
        if gap || wanted.is_empty() || about(&event).iter().any(|id| wanted.contains(id)) {
            context.out.one(&event)?;
            left = left.map(|n| n - 1);
        }
    }
    Ok(())
}

/// Finds the id of the person or the channel meant.
async fn conversation(client: &Client, who: &str) -> Result<String, UserError> {
    if who.trim_start().starts_with('#') {
        return client.channel(who).await.map(|channel| channel.id.to_string());
    }
    match client.contact(who).await {
        // An id that no contact has may be a channel's.
        Err(error) if error.code == Code::ContactUnknown && !who.trim_start().starts_with('@') => {
            client.channel(who).await.map(|channel| channel.id.to_string()).map_err(|_| error)
        }
        contact => contact.map(|contact| contact.account.to_string()),
    }
}

/// Returns what an event is about: a person, a channel, or both.
fn about(event: &Event) -> Vec<String> {
    match &event.kind {
        EventKind::Message(message) => vec![message.conversation.to_string()],
        EventKind::Receipt(receipt) => vec![receipt.to.to_string()],
        EventKind::Contact(contact) | EventKind::Request(contact) => vec![contact.account.to_string()],
        EventKind::Device(device) => vec![device.account.to_string()],
        EventKind::Member(member) => vec![member.channel.to_string(), member.account.to_string()],
        EventKind::Channel(channel) => vec![channel.id.to_string()],
        EventKind::Missing(missing) => vec![missing.channel.to_string(), missing.account.to_string()],
        EventKind::Join(join) => join.channel.iter().map(ToString::to_string).collect(),
        EventKind::Alert(_) | EventKind::Gap(_) | EventKind::State(_) | EventKind::Unknown => Vec::new(),
    }
}
