//! Answers everybody with their own words.
//!
//! ```text
//! kith --home /tmp/bot init --name echo --no-passphrase && kith --home /tmp/bot run &
//! cargo run -p kith-examples --bin echo_bot -- /tmp/bot/run/kith.sock
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use anyhow::Context;
use kith_node::Client;
use kith_node::api::types::{EventKind, MessageKind, SendRequest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let client = Client::new(std::env::args().nth(1).context("usage: echo_bot SOCKET")?);
    let mut events = client.events(None).await?;
    println!("write to me: {}", client.me().await?.url);
    loop {
        // Goes on behind the last event when the daemon was restarted: nothing is missed.
        match events.next().await?.kind {
            EventKind::Request(stranger) => {
                client.accept_contact(&stranger.account.to_string()).await?;
            }
            EventKind::Message(message) if !message.outgoing && message.kind == MessageKind::Text => {
                let echo = SendRequest { to: message.from.to_string(), body: message.body, expires_after_ms: None };
                // The message's own id as idempotency key: however often this runs, it is answered once.
                client.send_with_key(&echo, &message.id.to_string()).await?;
            }
            _ => {}
        }
    }
}
