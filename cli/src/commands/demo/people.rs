//! The people of the demo: a profile and a daemon process each.

use super::PATIENCE;
use super::stage::Stage;
use crate::failure::{Failure, Outcome};
use crate::render::message_state;
use crate::spawn::{Daemon, Launch, path_text, this_program};
use kith_node::api::types::{DeliveryState, ErrorBody, EventKind, Message, RelayState, SendReply};
use kith_node::api::{Events, ReadRequest};
use kith_node::{Client, Code, UserError};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// How often something is looked at that no event tells of.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// One person.
#[derive(Debug)]
pub(super) struct Person {
    /// What they are called.
    pub(super) name: &'static str,
    home: PathBuf,
    daemon: Option<Daemon>,
    /// Where it listened last: it comes back there.
    listened: Vec<String>,
}

/// What `kith init --json` says.
#[derive(Deserialize)]
struct Created {
    account: String,
    device: String,
}

impl Person {
    /// Makes a profile with `kith init`.
    pub(super) async fn create(stage: &Stage, name: &'static str) -> Result<Self, Failure> {
        let home = stage.home(name);
        let mut command = this_program()?;
        command.args(["--home", &path_text(&home)?, "init", "--name", name, "--no-passphrase", "--json"]);
        let output =
            command.output().await.map_err(|e| UserError::new(Code::Io, format!("could not start kith: {e}")))?;
        let Ok(created) = serde_json::from_slice::<Created>(&output.stdout) else {
            let error = serde_json::from_slice::<ErrorBody>(&output.stderr).map(|body| body.error);
            return Err(error.unwrap_or_else(|_| UserError::new(Code::Failed, "kith init failed")).into());
        };
        let fields = serde_json::json!({"who": name, "account": created.account, "device": created.device});
        let short: String = created.account.chars().take(12).collect();
        stage.step("init", fields, &format!("{name} has an identity now: {short}…, made on this machine"))?;
        Ok(Self { name, home, daemon: None, listened: Vec::new() })
    }

    /// Starts the daemon with `kith run`.
    pub(super) async fn start(&mut self, stage: &Stage, bootstrap: &[String]) -> Outcome {
        let mut args = self.listen_args();
        for address in bootstrap {
            args.extend(["--bootstrap".to_owned(), address.clone()]);
        }
        let launch = Launch {
            select: vec!["--home".to_owned(), path_text(&self.home)?],
            args,
            log: stage.folder().join(format!("{}.log", self.name)),
            ..Launch::default()
        };
        let daemon = Daemon::start(launch).await?;
        let fields = serde_json::json!({"who": self.name, "pid": daemon.pid, "peer": daemon.ready.peer, "listen": daemon.ready.listen});
        let text = format!("{}'s daemon runs (process {}, on 127.0.0.1)", self.name, daemon.pid);
        self.daemon = Some(daemon);
        stage.step("run", fields, &text)
    }

    /// Starts the daemon with a relay beside it, with `kith relay run`.
    pub(super) async fn start_relay(&mut self, stage: &Stage) -> Outcome {
        let mut args = self.listen_args();
        args.extend(["--open", "--name", self.name].map(str::to_owned));
        let launch = Launch {
            select: vec!["--home".to_owned(), path_text(&self.home)?],
            relay: true,
            args,
            log: stage.folder().join(format!("{}.log", self.name)),
            ..Launch::default()
        };
        let daemon = Daemon::start(launch).await?;
        let suffix = format!("/p2p/{}", daemon.ready.peer);
        let listened = daemon.ready.listen.iter().map(|a| a.strip_suffix(&suffix).unwrap_or(a).to_owned());
        self.listened = listened.collect();
        let fields = serde_json::json!({"who": self.name, "pid": daemon.pid, "peer": daemon.ready.peer, "listen": daemon.ready.listen});
        let text = format!("kith relay run --open   (process {})", daemon.pid);
        self.daemon = Some(daemon);
        stage.step("relay", fields, &text)
    }

    /// Where a daemon listens: where it did before, else on any free port of this machine.
    fn listen_args(&self) -> Vec<String> {
        let any = ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"].map(str::to_owned).to_vec();
        let at = if self.listened.is_empty() { any } else { self.listened.clone() };
        let listen = at.into_iter().flat_map(|address| ["--listen".to_owned(), address]);
        listen.chain(["--no-mdns".to_owned()]).collect()
    }

    /// Lets a relay hold this person's mail, and waits until it does.
    pub(super) async fn use_relay(&self, stage: &Stage, relay: &Self) -> Outcome {
        let card = relay.client()?.relay_card().await?.url;
        let client = self.client()?;
        client.add_relay(&card).await?;
        let ready = async {
            while !client.relays().await?.iter().any(|relay| relay.state == RelayState::Ready) {
                tokio::time::sleep(POLL).await;
            }
            Ok::<_, UserError>(())
        };
        match tokio::time::timeout(PATIENCE, ready).await {
            Ok(ready) => ready?,
            Err(_) => return Err(late("the relay did not take the mailbox").into()),
        }
        let short: String = card.chars().take(40).collect();
        let fields = serde_json::json!({"who": self.name, "relay": relay.name});
        stage.step("relay_add", fields, &format!("{}: kith relay add {short}…", self.name))
    }

    /// Sends a message to somebody who is off, and waits until a relay holds it.
    pub(super) async fn send_and_store(&self, stage: &Stage, to: &Self, body: &str) -> Outcome {
        let mut events = self.client()?.events(None).await?;
        let sent = self.send_and_say(stage, to, body).await?;
        let stored = async {
            loop {
                let EventKind::Receipt(receipt) = events.next().await?.kind else { continue };
                if receipt.id == sent.id && receipt.state >= DeliveryState::Stored {
                    return Ok::<_, UserError>(receipt);
                }
            }
        };
        let receipt = match tokio::time::timeout(PATIENCE, stored).await {
            Ok(receipt) => receipt?,
            Err(_) => return Err(late("no relay took the message").into()),
        };
        let fields =
            serde_json::json!({"who": self.name, "id": sent.id.to_string(), "state": receipt.state, "at": receipt.at});
        let state = message_state(receipt.state, receipt.delivered, receipt.members, stage.style());
        stage.step("state", fields, &format!("    {state}"))
    }

    /// Returns the daemon.
    fn daemon(&self) -> Result<&Daemon, UserError> {
        self.daemon.as_ref().ok_or_else(|| UserError::internal("a person of the demo has no daemon"))
    }

    /// Returns the client.
    pub(super) fn client(&self) -> Result<&Client, UserError> {
        self.daemon().map(|d| &d.client)
    }

    /// Returns an address that others can start from.
    pub(super) fn address(&self) -> Result<String, UserError> {
        let ready = &self.daemon()?.ready;
        let Some(address) = ready.listen.first() else {
            return Err(UserError::new(Code::Failed, "the daemon listens nowhere"));
        };
        let whole = address.contains("/p2p/");
        Ok(if whole { address.clone() } else { format!("{address}/p2p/{}", ready.peer) })
    }

    /// Adds the other person by their link.
    pub(super) async fn add(&self, stage: &Stage, other: &Self) -> Outcome {
        let link = other.client()?.me().await?.url;
        let contact = self.client()?.add_contact(&link, Some(other.name)).await?.contact;
        let fields = serde_json::json!({"who": self.name, "added": other.name, "account": contact.account.to_string()});
        let short: String = link.chars().take(40).collect();
        stage.step("contact", fields, &format!("{}: kith contact add {short}…", self.name))
    }

    /// Sends a message and shows that it was accepted; the daemon has it on disk when this returns.
    pub(super) async fn send_and_say(&self, stage: &Stage, to: &Self, body: &str) -> Result<SendReply, Failure> {
        let sent = self.client()?.send_text(&format!("@{}", to.name), body).await?;
        let fields =
            serde_json::json!({"from": self.name, "to": to.name, "id": sent.id.to_string(), "state": sent.state});
        let state = message_state(sent.state, sent.delivered, sent.members, stage.style());
        stage.step("sent", fields, &format!("{} → {}: {body}  {state}", self.name, to.name))?;
        Ok(sent)
    }

    /// Sends a message, shows its states as they come, and checks that the other side has it.
    pub(super) async fn send_and_show(&self, stage: &Stage, to: &Self, body: &str) -> Outcome {
        let mut events = self.client()?.events(None).await?;
        let sent = self.send_and_say(stage, to, body).await?;
        let shown = self.show_states(stage, &mut events, &sent);
        match tokio::time::timeout(PATIENCE, shown).await {
            Ok(shown) => shown?,
            Err(_) => return Err(late(&format!("{}'s message did not arrive", self.name)).into()),
        }
        let read = to.read_until(self, 1, PATIENCE).await?;
        if read.iter().filter(|m| m.id == sent.id && m.body == body).count() == 1 {
            return Ok(());
        }
        Err(UserError::new(Code::Failed, format!("{} does not read what {} wrote", to.name, self.name)).into())
    }

    /// Shows the states of a message until it is delivered.
    async fn show_states(&self, stage: &Stage, events: &mut Events, sent: &SendReply) -> Outcome {
        loop {
            let EventKind::Receipt(receipt) = events.next().await?.kind else { continue };
            if receipt.id != sent.id {
                continue;
            }
            let fields = serde_json::json!({"who": self.name, "id": sent.id.to_string(), "state": receipt.state, "at": receipt.at});
            let state = message_state(receipt.state, receipt.delivered, receipt.members, stage.style());
            stage.step("state", fields, &format!("    {state}"))?;
            match receipt.state {
                DeliveryState::Delivered | DeliveryState::Read => return Ok(()),
                DeliveryState::Failed => {
                    let why = receipt.error.unwrap_or_default();
                    return Err(UserError::new(Code::Failed, format!("the message failed: {why}")).into());
                }
                _ => {}
            }
        }
    }

    /// Waits until so many messages of the other person can be read here; returns them.
    pub(super) async fn read_until(
        &self,
        from: &Self,
        count: usize,
        time: Duration,
    ) -> Result<Vec<Message>, UserError> {
        let client = self.client()?;
        let mut events = client.events(None).await?;
        let request = ReadRequest { with: format!("@{}", from.name), limit: Some(1000), ..ReadRequest::default() };
        let all_there = async {
            loop {
                let mut read = client.read(&request).await?;
                read.retain(|m| !m.outgoing);
                if read.len() >= count {
                    return Ok(read);
                }
                events.next().await?;
            }
        };
        match tokio::time::timeout(time, all_there).await {
            Ok(read) => read,
            Err(_) => Err(late(&format!("{} has not got all messages", self.name))),
        }
    }

    /// Shows every confirmation as it comes, until everything written to the other person is confirmed by them.
    pub(super) async fn show_until_delivered(&self, stage: &Stage, events: &mut Events, to: &Self) -> Outcome {
        let client = self.client()?;
        let request = ReadRequest { with: format!("@{}", to.name), limit: Some(1000), ..ReadRequest::default() };
        let mut bodies = BTreeMap::new();
        let mut open = BTreeSet::new();
        for message in client.read(&request).await?.into_iter().filter(|m| m.outgoing) {
            if !is_delivered(message.state) {
                open.insert(message.id);
            }
            bodies.insert(message.id, message.body);
        }
        while !open.is_empty() {
            let EventKind::Receipt(receipt) = events.next().await?.kind else { continue };
            let Some(body) = bodies.get(&receipt.id) else { continue };
            if !is_delivered(receipt.state) || !open.remove(&receipt.id) {
                continue;
            }
            let fields = serde_json::json!({"who": self.name, "id": receipt.id.to_string(), "state": receipt.state, "at": receipt.at});
            let state = message_state(receipt.state, receipt.delivered, receipt.members, stage.style());
            stage.step("state", fields, &format!("    {state}  {body}"))?;
        }
        Ok(())
    }

    /// Kills the daemon as a power cut would.
    pub(super) async fn kill(&mut self, stage: &Stage) -> Outcome {
        let Some(mut daemon) = self.daemon.take() else { return Err(UserError::internal("nothing to kill").into()) };
        daemon.kill().await?;
        let fields = serde_json::json!({"who": self.name, "pid": daemon.pid, "signal": "SIGKILL"});
        stage.step("kill", fields, &format!("kill -9 {}   ({}'s daemon is gone)", daemon.pid, self.name))
    }

    /// Stops the daemon in order.
    pub(super) async fn stop(&mut self, stage: &Stage) -> Outcome {
        let Some(mut daemon) = self.daemon.take() else { return Ok(()) };
        daemon.client.stop().await?;
        let ended = tokio::time::timeout(PATIENCE, daemon.ended()).await;
        ended.map_err(|_| late(&format!("{}'s daemon did not stop", self.name)))??;
        stage.step(
            "stop",
            serde_json::json!({"who": self.name, "pid": daemon.pid}),
            &format!("{} goes offline", self.name),
        )
    }
}

/// Whether the other person's device has confirmed a message.
fn is_delivered(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Delivered | DeliveryState::Read)
}

/// Says that something took too long.
pub(super) fn late(what: &str) -> UserError {
    UserError::new(Code::Timeout, format!("{what} within {} s", PATIENCE.as_secs()))
        .hint("kith demo --keep leaves the logs")
}
