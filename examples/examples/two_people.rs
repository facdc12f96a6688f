//! Two people in one program: two profiles, two daemons on loopback, a message each way, and how far each got.
//!
//! ```text
//! cargo run -p kith-examples --example two_people
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use anyhow::bail;
use kith_node::{
    Client,
    api::types::{DeliveryState, EventKind},
    daemon::{self, DaemonOptions, Running},
    net::DhtMode,
    paths::Paths,
    profile::{self, Key},
};
use std::path::Path;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    two_people().await
}

/// Lets alice and ben find each other by their links alone and write to each other.
pub async fn two_people() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (alice_daemon, alice) = person(folder.path(), "alice").await?;
    let (ben_daemon, ben) = person(folder.path(), "ben").await?;

    // A link holds the contact code and addresses to try: all that anybody needs.
    alice.add_contact(&ben.me().await?.url, Some("ben")).await?;
    ben.add_contact(&alice.me().await?.url, Some("alice")).await?;
    say(&alice, "@ben", "hello ben").await?;
    say(&ben, "@alice", "hello alice").await?;

    alice_daemon.stop().await?;
    ben_daemon.stop().await?;
    Ok(())
}

/// Makes a profile and starts its daemon in this process.
pub async fn person(folder: &Path, name: &str) -> anyhow::Result<(Running, Client)> {
    let paths = Paths::in_home(&folder.join(name), None);
    profile::create(&paths.home, name, &Key::File)?;
    let client = Client::new(&paths.socket);
    let options = DaemonOptions {
        paths,
        key: Key::File,
        listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
        announce: Vec::new(),
        bootstrap: Vec::new(),
        mdns: false,
        dht: DhtMode::Auto,
        accept_clock: false,
        read_receipts: false,
        relay: None,
    };
    Ok((daemon::start(options).await?, client))
}

/// Sends a text and tells how far it got, until the other person's device has confirmed it.
pub async fn say(client: &Client, to: &str, text: &str) -> anyhow::Result<()> {
    let mut events = client.events(None).await?;
    let sent = client.send_text(to, text).await?;
    println!("to {to}: {text}\n  {:?}", sent.state);
    loop {
        let EventKind::Receipt(receipt) = events.next().await?.kind else { continue };
        if receipt.id != sent.id {
            continue;
        }
        println!("  {:?}", receipt.state);
        match receipt.state {
            DeliveryState::Delivered | DeliveryState::Read => return Ok(()),
            DeliveryState::Failed => bail!("the message failed: {}", receipt.error.unwrap_or_default()),
            _ => {}
        }
    }
}
