//! Starts the net task and talks to it.
//! Must not know libp2p.

use super::{
    config::{NetConfig, NetError},
    files::allow_many_files,
    record::{Kept, Nowhere, PeerSink, RecordCheck, RecordSink},
    run,
    types::{NetCommand, NetEvent, NetStatus, PeerName, RelayInput},
};
use crate::clock::Clock;
use kith_protocol::crypto::secret::Secret;
use std::{fmt, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};

/// What a net task is made of.
pub struct NetSetup {
    /// Addresses, switches, bounds.
    pub config: NetConfig,
    /// Seed of the Ed25519 transport key; not the person's identity, may be replaced at any start.
    pub key_seed: Secret<32>,
    /// Judges records.
    pub check: RecordCheck,
    /// What an earlier run kept.
    pub kept: Kept,
    /// Keeps records held for others.
    pub records: Box<dyn RecordSink>,
    /// Keeps learned peers.
    pub peers: Box<dyn PeerSink>,
    /// The relay that this node runs, if it does: takes requests in. Full, requests are answered busy.
    pub relay: Option<mpsc::Sender<RelayInput>>,
    /// Tells the time.
    pub clock: Clock,
}

impl NetSetup {
    /// Makes a setup that remembers nothing from earlier and keeps nothing for later: many of these run in one process.
    pub fn forgetful(config: NetConfig, key_seed: Secret<32>, check: RecordCheck, clock: Clock) -> Self {
        let (records, peers) = (Box::new(Nowhere), Box::new(Nowhere));
        Self { config, key_seed, check, kept: Kept::default(), records, peers, relay: None, clock }
    }
}

impl fmt::Debug for NetSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, key_seed: _, check: _, kept: _, records: _, peers: _, relay: _, clock: _ } = self;
        f.debug_struct("NetSetup").field("config", config).finish_non_exhaustive()
    }
}

/// A question to the net task whose answer somebody waits for.
pub(crate) enum Ask {
    /// Measures a round trip to a peer; dials first if need be.
    Ping { peer: PeerName, addresses: Vec<String>, reply: oneshot::Sender<Result<Duration, PingError>> },
}

/// Why a ping brought no round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    /// Not the name of a peer.
    #[error("that is not the name of a peer")]
    BadName,
    /// Not connected and not reachable, with the reason.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(&'static str),
    /// The net task has stopped, or too many questions wait.
    #[error("the network is stopped or overloaded")]
    Unavailable,
}

/// Talks to a running net task; clones talk to the same one.
#[derive(Clone, Debug)]
pub struct NetHandle {
    commands: mpsc::Sender<NetCommand>,
    /// What this node's relay sends: it goes on although the app sleeps, and the other way round.
    served: mpsc::Sender<NetCommand>,
    asks: mpsc::Sender<Ask>,
    status: watch::Receiver<NetStatus>,
    stop: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
}

/// The net task's ends of the handle's channels.
pub(crate) struct Ends {
    pub(crate) commands: mpsc::Receiver<NetCommand>,
    pub(crate) served: mpsc::Receiver<NetCommand>,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) status: watch::Sender<NetStatus>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) stopped: watch::Sender<bool>,
}

/// Questions that may wait; more are refused.
const ASKS: usize = 32;

impl NetHandle {
    /// Hands over a command without waiting.
    ///
    /// # Errors
    /// Gives the command back if the queue is full or the net task has stopped; it is driven again from rows.
    pub fn send(&self, command: NetCommand) -> Result<(), NetCommand> {
        self.queue(&command).try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(command) | mpsc::error::TrySendError::Closed(command) => command,
        })
    }

    /// Hands over a command, waiting for room: for threads that belong to no runtime.
    ///
    /// # Errors
    /// Gives the command back if the net task has stopped.
    pub fn send_waiting(&self, command: NetCommand) -> Result<(), NetCommand> {
        self.queue(&command).blocking_send(command).map_err(|error| error.0)
    }

    fn queue(&self, command: &NetCommand) -> &mpsc::Sender<NetCommand> {
        if command.is_relays() { &self.served } else { &self.commands }
    }

    /// Returns the newest picture of the net task.
    pub fn status(&self) -> NetStatus {
        self.status.borrow().clone()
    }

    /// Returns a receiver that sees every new picture.
    pub fn watch(&self) -> watch::Receiver<NetStatus> {
        self.status.clone()
    }

    /// Measures a round trip to a peer, dialling it under the given or known addresses if need be.
    ///
    /// # Errors
    /// `PingError`: a bad name, an unreachable peer, a stopped net task.
    pub async fn ping(&self, peer: PeerName, addresses: Vec<String>) -> Result<Duration, PingError> {
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(Ask::Ping { peer, addresses, reply }).map_err(|_| PingError::Unavailable)?;
        answer.await.unwrap_or(Err(PingError::Unavailable))
    }

    /// Stops the net task: connections and listeners are closed when this returns.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let mut stopped = self.stopped.clone();
        // An error means that the task is gone, which is what was asked for.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

/// Returns the transport name that belongs to a key seed.
pub fn peer_name(key_seed: &Secret<32>) -> Option<PeerName> {
    run::keypair(key_seed).ok().map(|key| super::translate::peer_name(&key.public().to_peer_id()))
}

/// Starts a net task on the current tokio runtime; returns when its listeners are up.
///
/// # Errors
/// `NetError`: an address that is taken, forbidden or malformed, no randomness.
pub async fn spawn(setup: NetSetup) -> Result<(NetHandle, mpsc::Receiver<NetEvent>), NetError> {
    let (task, handle, app) = prepare(setup).await?;
    tokio::spawn(task.run());
    Ok((handle, app))
}

/// Makes a net task that does not run yet.
pub(crate) async fn prepare(setup: NetSetup) -> Result<(run::Net, NetHandle, mpsc::Receiver<NetEvent>), NetError> {
    let limits = &setup.config.limits;
    let (granted, needed) = (allow_many_files(), limits.files());
    if granted < needed {
        tracing::warn!(granted, needed, "fewer open files are allowed than connections may need: raise the hard limit");
    }
    let (events, app) = mpsc::channel(limits.events.max(1));
    let (commands, command_end) = mpsc::channel(limits.commands.max(1));
    let (served, served_end) = mpsc::channel(limits.commands.max(1));
    let (asks, ask_end) = mpsc::channel(ASKS);
    let (status_end, status) = watch::channel(NetStatus::default());
    let (stop, stop_end) = watch::channel(false);
    let (stopped_end, stopped) = watch::channel(false);
    let ends = Ends {
        commands: command_end,
        served: served_end,
        asks: ask_end,
        status: status_end,
        stop: stop_end,
        stopped: stopped_end,
    };
    let task = run::start(setup, events, ends).await?;
    Ok((task, NetHandle { commands, served, asks, status, stop, stopped }, app))
}
