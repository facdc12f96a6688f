//! Answers everybody with their own words.
//!
//! ```text
//! kith --home /tmp/bot init --name echo --no-passphrase && kith --home /tmp/bot run &
//! cargo run -p kith-examples --example echo_bot -- /tmp/bot/run/kith.sock
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use anyhow::Context as _;
use kith_node::{
    Client,
    api::types::{EventKind, MessageKind, SendRequest},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let client = Client::new(std::env::args().nth(1).context("usage: echo_bot SOCKET")?);
    println!("write to me: {}", client.me().await?.url);
    echo(&client).await
}

/// Accepts whoever asks and answers every message, until the daemon is gone for good.
pub async fn echo(client: &Client) -> anyhow::Result<()> {
    // From the oldest event that is kept: what came while the bot was off is answered too.
    let mut events = client.events(Some(0)).await?;
    loop {
        match events.next().await?.kind {
            EventKind::Request(stranger) => {
                client.accept_contact(&stranger.account.to_string()).await?;
            }
            EventKind::Message(said) if !said.outgoing && said.kind == MessageKind::Text => {
                let echo = SendRequest { to: said.from.to_string(), body: said.body, ..SendRequest::default() };
                // The message's own id is the idempotency key: seen twice within a day, it is answered once.
                client.send_with_key(&echo, &said.id.to_string()).await?;
            }
            _ => {}
        }
    }
}
