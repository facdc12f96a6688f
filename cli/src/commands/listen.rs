//! `kith listen`

use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use clap::Args;
use kith_node::api::types::{Event, EventKind};
use std::time::Duration;

/// How long to wait for a daemon that went away.
const PATIENCE: Duration = Duration::from_secs(600);

/// What to follow.
#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// Only these people; everybody without
    #[arg(value_name = "@P")]
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
    let mut accounts = Vec::new();
    for who in &args.who {
        accounts.push(client.contact(who).await?.account.to_string());
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
        if gap || accounts.is_empty() || about(&event).is_some_and(|account| accounts.contains(&account)) {
            context.out.one(&event)?;
            left = left.map(|n| n - 1);
        }
    }
    Ok(())
}

/// Returns whom an event is about.
fn about(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::Message(message) => Some(message.conversation.to_string()),
        EventKind::Receipt(receipt) => Some(receipt.to.to_string()),
        EventKind::Contact(contact) | EventKind::Request(contact) => Some(contact.account.to_string()),
        EventKind::Device(device) => Some(device.account.to_string()),
        EventKind::Alert(_) | EventKind::Gap(_) | EventKind::State(_) | EventKind::Unknown => None,
    }
}
