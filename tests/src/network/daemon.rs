//! A person with a daemon of this process, on a profile in a temporary folder.

use super::{soon, until};
use kith_node::{
    Client,
    api::{
        ReadRequest,
        types::{DeliveryState, EventKind},
    },
    daemon::{self, DaemonOptions, Running},
    net::DhtMode,
    paths::Paths,
    profile::{self, Key},
};
use std::path::Path;

/// A person whose daemon runs, or did.
pub struct Person {
    /// Their name.
    pub name: String,
    /// Talks to the daemon.
    pub client: Client,
    options: DaemonOptions,
    running: Option<Running>,
}

impl Person {
    /// Makes a profile and starts its daemon on free loopback ports.
    pub async fn start(folder: &Path, name: &str, bootstrap: Vec<String>) -> Self {
        let paths = Paths::in_home(&folder.join(name), None);
        let home = paths.home.clone();
        let owned = name.to_owned();
        tokio::task::spawn_blocking(move || profile::create(&home, &owned, &Key::File).unwrap()).await.unwrap();
        let client = Client::new(&paths.socket);
        let options = DaemonOptions {
            paths,
            key: Key::File,
            listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
            announce: Vec::new(),
            bootstrap,
            mdns: false,
            dht: DhtMode::Auto,
            accept_clock: false,
            read_receipts: false,
            relay: None,
        };
        let mut person = Self { name: name.to_owned(), client, options, running: None };
        person.resume().await;
        person
    }

    /// Starts the daemon again, on other ports.
    pub async fn resume(&mut self) {
        let started = daemon::start(self.options.clone()).await;
        self.running = Some(started.unwrap_or_else(|e| panic!("{} does not start: {e}", self.name)));
    }

    /// Stops the daemon; the profile stays.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            soon("a daemon stops", running.stop()).await.unwrap();
        }
    }

    /// Where the daemon listens, with its transport name.
    pub fn listen(&self) -> Vec<String> {
        self.running.as_ref().unwrap().ready.listen.clone()
    }

    /// The transport name of the daemon.
    pub fn peer(&self) -> String {
        self.running.as_ref().unwrap().ready.peer.clone()
    }

    /// The contact code alone: no address goes with it.
    pub async fn code(&self) -> String {
        self.client.me().await.unwrap().code
    }

    /// Waits until so many peers are in the routing table.
    pub async fn has_neighbours(&self, at_least: u32) {
        let what = format!("{} has {at_least} neighbours", self.name);
        until(&what, || async { self.client.status().await.unwrap().dht.routing >= at_least }).await;
    }

    /// Waits until so many peers acknowledged this person's records.
    pub async fn is_published(&self, at_least: u32) {
        let what = format!("{} is published at {at_least} peers", self.name);
        until(&what, || async { self.client.status().await.unwrap().dht.published_to >= at_least }).await;
    }

    /// Sends a text and waits for the end-to-end receipt of the other person's device.
    pub async fn says(&self, to: &str, text: &str) {
        let mut events = self.client.events(None).await.unwrap();
        let sent = self.client.send_text(to, text).await.unwrap();
        let delivered = async {
            loop {
                let EventKind::Receipt(receipt) = events.next().await.unwrap().kind else { continue };
                if receipt.id == sent.id {
                    match receipt.state {
                        DeliveryState::Delivered | DeliveryState::Read => break,
                        DeliveryState::Failed => panic!("{text}: {:?}", receipt.error),
                        _ => {}
                    }
                }
            }
        };
        if tokio::time::timeout(super::DEADLINE, delivered).await.is_err() {
            panic!("not delivered in time: {text}: {:?}", self.client.why(&sent.id.to_string()).await);
        }
    }

    /// How often a text of somebody else lies in a conversation.
    pub async fn heard(&self, from: &str, text: &str) -> usize {
        let request = ReadRequest { with: from.into(), ..ReadRequest::default() };
        let messages = self.client.read(&request).await.unwrap();
        messages.iter().filter(|m| !m.outgoing && m.body == text).count()
    }
}
