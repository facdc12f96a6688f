//! `kith send`

use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use clap::{Args, ValueEnum};
use kith_node::api::types::{DeliveryState, EventKind, SendReply, SendRequest};
use kith_node::api::{self, Events, check_text};
use kith_node::{Client, Code, UserError};
use std::time::Duration;

/// What to send to whom.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// @name, '#name' (quoted: a shell takes # for a comment), an id, or the beginning of one
    #[arg(value_name = "#C|@P")]
    to: String,
    /// The text; - reads it from stdin
    #[arg(value_name = "TEXT|-")]
    text: Vec<String>,
    /// Let it disappear after this time: 1s to 365d
    #[arg(long, value_name = "TIME", value_parser = input::expiry)]
    expire: Option<Duration>,
    /// What it answers, in a channel: a message's id, or the beginning of one
    #[arg(long, value_name = "ID")]
    reply: Option<String>,
    /// Return only when it has come this far (exit 7 if not in time; it stays on its way)
    #[arg(long, value_name = "STAGE", value_enum, default_value = "queued")]
    wait: Stage,
    /// How long to wait
    #[arg(long, value_name = "TIME", value_parser = input::duration, default_value = "20s")]
    timeout: Duration,
}

/// How far a message should come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// On this disk
    Queued,
    /// A machine of theirs has taken it
    Sent,
    /// A relay holds it
    Stored,
    /// Their device has it
    Delivered,
}

impl Stage {
    /// Returns the state that reaches it.
    fn state(self) -> DeliveryState {
        match self {
            Self::Queued => DeliveryState::Queued,
            Self::Sent => DeliveryState::Sent,
            Self::Stored => DeliveryState::Stored,
            Self::Delivered => DeliveryState::Delivered,
        }
    }
}

/// Sends a message.
pub(crate) async fn run(args: SendArgs, context: &Context) -> Outcome {
    let body = match args.text.as_slice() {
        [] => return Err(input::needed("there is no text", "kith send @NAME 'some text', or - to read stdin").into()),
        [dash] if dash == "-" => input::stdin_text(api::TEXT_MAX)?,
        words => words.join(" "),
    };
    check_text(&body)?;
    let client = context.client.clone().with_patience(args.timeout);
    let expires_after_ms = args.expire.map(input::millis);
    let request = SendRequest { to: args.to, body, expires_after_ms, reply_to: args.reply };
    if args.wait == Stage::Queued {
        return context.out.one(&client.send(&request).await?);
    }
    // Listens before it sends, so that no receipt passes unseen.
    let mut events = client.events(None).await?;
    let sent = client.send(&request).await?;
    context.out.progress("on its way; Ctrl-C leaves it to the daemon");
    let reached = wait(&client, &mut events, sent, args.wait.state(), args.timeout).await?;
    context.out.one(&reached)?;
    check(&client, &reached, args.wait.state(), args.timeout).await.map_err(Into::into)
}

/// Waits until a message has come as far as asked, failed, or the time is over; returns how far it is.
pub(crate) async fn wait(
    client: &Client,
    events: &mut Events,
    sent: SendReply,
    asked: DeliveryState,
    time: Duration,
) -> Result<SendReply, UserError> {
    let mut now = sent;
    let reached = async {
        while now.state < asked {
            let receipt = match events.next().await?.kind {
                EventKind::Receipt(receipt) if receipt.id == now.id => receipt,
                _ => continue,
            };
            now.state = now.state.max(receipt.state);
            (now.delivered, now.members) = (receipt.delivered, receipt.members);
        }
        Ok::<_, UserError>(())
    };
    match tokio::time::timeout(time, reached).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.code != Code::DaemonUnreachable => return Err(error),
        // Out of time, or the daemon went away: the message is on its disk, so it is not an error of the message.
        _ => {
            if let Ok(message) = client.message(&now.id.to_string()).await {
                now = SendReply::from(&message);
            }
        }
    }
    Ok(now)
}

/// Tells whether a message waits because there is no network: no peer, and nothing yet of the device it is for.
async fn nobody_to_ask(client: &Client, sent: &SendReply) -> bool {
    let alone = client.status().await.is_ok_and(|status| status.peers == 0);
    let why = client.why(&sent.id.to_string()).await;
    alone && why.is_ok_and(|why| why.recipients.iter().all(|r| r.device.is_none()))
}

/// Says what is missing if a message is not as far as asked.
async fn check(client: &Client, reached: &SendReply, asked: DeliveryState, time: Duration) -> Result<(), UserError> {
    let id = reached.id;
    if reached.state == DeliveryState::Queued && nobody_to_ask(client, reached).await {
        let message = "no way to reach the network yet: use the link, or --bootstrap, or add a relay; the message is \
                       safe and stays on its way";
        return Err(UserError::new(Code::NobodyReachable, message).hint(format!("kith why {id}")));
    }
    if reached.state == DeliveryState::Failed {
        return Err(UserError::new(Code::Failed, "the message failed").hint(format!("kith why {id}")));
    }
    if reached.state < asked {
        let message = format!("not that far within {} s; the message is safe and stays on its way", time.as_secs());
        return Err(UserError::new(Code::NotYet, message).hint(format!("kith why {id}")));
    }
    Ok(())
}
