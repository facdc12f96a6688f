//! Two people in one program: two profiles, two daemons, a message each way.
//!
//! ```text
//! cargo run -p kith-examples --bin two_people
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use anyhow::{Context, bail};
use kith_node::Client;
use kith_node::api::types::{DeliveryState, EventKind};
use kith_node::daemon::{self, DaemonOptions, Running};
use kith_node::net::DhtMode;
use kith_node::paths::Paths;
use kith_node::profile::{self, Key};
use std::path::Path;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (alice_node, alice) = person(folder.path(), "alice", Vec::new()).await?;
    // Bob starts from alice's address: two machines in one house would find each other by themselves.
    let address = alice_node.ready.listen.first().context("alice listens nowhere")?.clone();
    let (bob_node, bob) = person(folder.path(), "bob", vec![address]).await?;

    alice.add_contact(&bob.me().await?.url, Some("bob")).await?;
    bob.add_contact(&alice.me().await?.url, Some("alice")).await?;
    say(&alice, "alice", "bob", "hi bob").await?;
    say(&bob, "bob", "alice", "hi alice").await?;

    alice_node.stop().await?;
    bob_node.stop().await?;
    Ok(())
}

/// Makes a profile and starts its daemon in this process.
async fn person(folder: &Path, name: &str, bootstrap: Vec<String>) -> anyhow::Result<(Running, Client)> {
    let paths = Paths::in_home(&folder.join(name), None);
    profile::create(&paths.home, name, &Key::File)?;
    let client = Client::new(&paths.socket);
    let options = DaemonOptions {
        paths,
        key: Key::File,
        listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".into()],
        announce: Vec::new(),
        bootstrap,
        mdns: false,
        dht: DhtMode::Auto,
        accept_clock: false,
    };
    Ok((daemon::start(options).await?, client))
}

/// Sends a text and waits until the other person's device has acknowledged it.
async fn say(client: &Client, from: &str, to: &str, text: &str) -> anyhow::Result<()> {
    let mut events = client.events(None).await?;
    let sent = client.send_text(&format!("@{to}"), text).await?;
    println!("{from} → {to}: {text}");
    loop {
        let EventKind::Receipt(receipt) = events.next().await?.kind else { continue };
        match receipt.state {
            _ if receipt.id != sent.id => {}
            DeliveryState::Delivered | DeliveryState::Read => break,
            DeliveryState::Failed => bail!("the message failed: {}", receipt.error.unwrap_or_default()),
            state => println!("  {state:?}"),
        }
    }
    println!("  delivered");
    Ok(())
}
