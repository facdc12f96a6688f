//! Wires the daemon: profile, app thread, net task, API; and takes it down in order.
//! Must not decide anything: that is the app's.

mod app_thread;
mod backend;
mod keep;
mod relay_thread;
#[cfg(test)]
mod tests;

pub use backend::Daemon;
pub use relay_thread::RelayHandle;

use crate::{
    api::{
        self, Backend as _,
        error::{Code, UserError},
        types::NewInvite,
    },
    app::{App, BATCH_MAX, Runner},
    clock::{Clock, system_rng},
    net::{self, DhtMode, Limits, NetConfig, NetError, NetSetup},
    paths::Paths,
    profile::{self, Folder, Key},
    relay::{self, RelayOptions, Service, Settings},
};
use kith_protocol::crypto::{Secret, kdf};
use kith_store::{ProfileLock, Store};
use relay_thread::RelayThread;
use std::sync::Arc;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

/// What a daemon is started with.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// Where its files lie.
    pub paths: Paths,
    /// What opens the profile.
    pub key: Key,
    /// Multiaddresses to listen on; the standard ones if none.
    pub listen: Vec<String>,
    /// Multiaddresses under which others are known to reach this node.
    pub announce: Vec<String>,
    /// Multiaddresses of peers to start from.
    pub bootstrap: Vec<String>,
    /// Whether peers on the same network are found by multicast.
    pub mdns: bool,
    /// Whether to keep records for others: `auto`, `server` or `client`.
    pub dht: DhtMode,
    /// Takes the clock for right although it is far from what this profile has seen.
    pub accept_clock: bool,
    /// Tells contacts which of their messages were read.
    pub read_receipts: bool,
    /// Runs a relay beside, if any.
    pub relay: Option<RelayOptions>,
}

/// What is told when the daemon is ready.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Transport name.
    pub peer: String,
    /// Addresses listened on.
    pub listen: Vec<String>,
    /// The socket for local clients.
    pub socket: String,
    /// The link to hand out, where a relay is run.
    pub card: Option<String>,
    /// A link that admits to it, where one was asked for.
    pub invite: Option<String>,
}

/// Runs a daemon until it is asked to stop (by a client, SIGTERM or SIGINT).
///
/// # Errors
/// Why it could not start; nothing is left behind then.
pub async fn run(options: DaemonOptions, ready: impl FnOnce(Ready)) -> Result<(), UserError> {
    // Before anybody can know that it is ready: a signal in between would end it without order.
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| UserError::internal(e.to_string()))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| UserError::internal(e.to_string()))?;
    let running = start(options).await?;
    ready(running.ready.clone());
    let mut asked = running.stop.subscribe();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = asked.wait_for(|stop| *stop) => {}
        () = running.app.gone() => {
            running.stop().await?;
            return Err(UserError::internal("the app thread died: what was accepted is on disk"));
        }
        () = relay_gone(running.relay.as_ref()) => {
            running.stop().await?;
            return Err(UserError::internal("the relay's thread died: what was accepted is on disk"));
        }
    }
    running.stop().await
}

/// Returns when the relay's thread is gone; never where none runs.
async fn relay_gone(relay: Option<&RelayThread>) {
    match relay {
        Some(relay) => relay.gone().await,
        None => std::future::pending().await,
    }
}

/// A daemon that runs inside this process.
pub struct Running {
    /// What it told when it was ready.
    pub ready: Ready,
    /// Answers clients without the socket.
    pub daemon: Daemon,
    stop: watch::Sender<bool>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    app: app_thread::AppThread,
    keeper: keep::Keeper,
    relay: Option<RelayThread>,
    _lock: ProfileLock,
}

impl Running {
    /// Stops it in order: no new requests, no new frames, then what was taken is finished.
    ///
    /// # Errors
    /// If a part of it had failed.
    pub async fn stop(self) -> Result<(), UserError> {
        self.stop.send_replace(true);
        let served = self.server.await;
        if let Some(relay) = &self.relay {
            relay.settle().await;
        }
        self.daemon.net().shutdown().await;
        drop(self.daemon);
        self.app.finish().await;
        if let Some(relay) = self.relay {
            relay.finish().await;
        }
        self.keeper.finish().await;
        match served {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(UserError::new(Code::Io, format!("the socket failed: {error}"))),
            Err(_) => Err(UserError::internal("the API task died")),
        }
    }
}

/// Starts a daemon on the current tokio runtime; it takes requests when this returns.
///
/// # Errors
/// Why it could not start.
pub async fn start(options: DaemonOptions) -> Result<Running, UserError> {
    let clock = Clock::system();
    let DaemonOptions { paths, key, .. } = options.clone();
    let opened = tokio::task::spawn_blocking(move || profile::open(&paths.home, &key)).await;
    let profile = opened.map_err(|_| UserError::internal("opening the profile died"))??;
    let store = Arc::new(profile.store);
    let app = App::load(&store).map_err(|e| profile::explain(&e, &options.paths.home))?;
    let seed = app.me().transport_seed();
    let (stop, stopping) = watch::channel(false);
    let service = match options.relay.clone() {
        Some(relay) => Some(relay_service(&store, &profile.folder, relay, &options, &seed, &clock).await?),
        None => None,
    };
    let (requests, served) = mpsc::channel(relay_thread::QUEUE);
    let socket = api::Socket::bind(&options.paths.socket)?;
    let (keeper, kept) = keep::Keeper::open(&profile.folder, &seed).await?;
    let setup = |port: u16| {
        let (records, peers) = keeper.sinks();
        NetSetup {
            config: net_config(&options, port),
            key_seed: Secret::new(seed),
            check: net::record_check(),
            kept: kept.clone(),
            records: Box::new(records),
            peers: Box::new(peers),
            relay: service.as_ref().map(|_| requests.clone()),
            clock: clock.clone(),
        }
    };
    let (net, mut events) = match net::spawn(setup(own_port(&seed))).await {
        // Somebody else has the profile's own port: any free one is better than none.
        Err(error) if error.code() == "port_in_use" && options.listen.is_empty() => {
            net::spawn(setup(0)).await.map_err(net_error)?
        }
        spawned => spawned.map_err(net_error)?,
    };
    // The relay ends when the net task does: nobody else holds an end of its queue.
    drop(requests);
    let relay = match service {
        Some(service) => Some(RelayThread::start(service, served, net.clone(), clock.clone(), stop.subscribe())?),
        None => None,
    };
    let (relay, relay_handle) = relay.unzip();
    let rng = system_rng().map_err(|e| UserError::internal(e.to_string()))?;
    let app = app.accept_clock(options.accept_clock).share_read(options.read_receipts);
    let app = app.runs_relay(relay_handle.as_ref().map(RelayHandle::id));
    let runner = Runner::new(app, Arc::clone(&store), rng);
    let (inbox, inputs) = mpsc::channel(4 * BATCH_MAX);
    let app = app_thread::AppThread::start(runner, inputs, net.clone(), clock.clone())?;
    app_thread::first_addresses(&mut events, &inbox).await;
    tokio::spawn(app_thread::forward(events, inbox.clone()));
    tokio::spawn(app_thread::tick(app.next_due(), inbox.clone(), clock.clone(), stop.subscribe()));
    let daemon = Daemon::new(backend::Parts {
        inbox,
        store,
        net,
        events: app.events(),
        storage_ok: app.storage_ok(),
        options: options.clone(),
        clock,
        stop: stop.clone(),
        relay: relay_handle,
    });
    let status = daemon.net().status();
    let card = match daemon.relay() {
        Some(_) => Some(daemon.card(None).await?.to_string()),
        None => None,
    };
    let socket_path = options.paths.socket.display().to_string();
    let invite = match options.relay.as_ref().and_then(|relay| relay.invite) {
        Some(uses) => first_invite(&daemon, uses).await,
        None => None,
    };
    let ready = Ready { peer: status.peer, listen: status.listen, socket: socket_path, card, invite };
    let server = tokio::spawn(api::serve(socket, daemon.clone(), stopping));
    Ok(Running { ready, daemon, stop, server, app, keeper, relay, _lock: profile.lock })
}

/// For how long an invite made at the start admits, in milliseconds.
const FIRST_INVITE_MS: u64 = 7 * 86_400_000;

/// Makes an invite at the start; without one the relay runs all the same.
async fn first_invite(daemon: &Daemon, uses: u32) -> Option<String> {
    match daemon.relay_invite(NewInvite { uses, expires_after_ms: FIRST_INVITE_MS }).await {
        Ok(invite) => invite.url,
        Err(error) => {
            tracing::warn!("no invite was made: {error}");
            None
        }
    }
}

/// Opens the relay of a profile and begins to serve.
async fn relay_service(
    store: &Arc<Store>,
    folder: &Folder,
    relay: RelayOptions,
    options: &DaemonOptions,
    seed: &[u8; 32],
    clock: &Clock,
) -> Result<Service, UserError> {
    let (store, folder, home) = (Arc::clone(store), folder.clone(), options.paths.home.clone());
    let peer = net::peer_name(&Secret::new(*seed)).ok_or_else(|| UserError::internal("no transport name"))?;
    let (clock, accept_clock) = (clock.clone(), options.accept_clock);
    let started = tokio::task::spawn_blocking(move || {
        let mut rng = system_rng().map_err(|e| UserError::internal(e.to_string()))?;
        let opened = relay::open(&store, &folder, &relay, &mut rng)?;
        let service = Service::new(relay::Setup {
            store: Box::new(opened.store),
            key: opened.key,
            peer,
            settings: Settings::of(&relay, accept_clock),
            rng,
            wall: clock.now(),
            moment: clock.moment(),
        });
        service.map_err(|error| profile::explain(&error, &home))
    });
    let service = started.await.map_err(|_| UserError::internal("opening the relay died"))??;
    if let Some(doubt) = service.clock_doubt() {
        tracing::warn!(
            ?doubt,
            "the clock does not fit what the relay has seen: set it, or --accept-clock if it is right"
        );
    }
    Ok(service)
}

/// The first and the number of the ports that a profile's own port is drawn from: above the registered services, below
/// the ports that systems hand out by themselves.
const OWN_PORTS: (u16, u16) = (20_000, 12_000);

/// The port a profile listens on unless told otherwise: always the same, so that an address once given stays good, and
/// another one for each profile, so that two on a machine do not meet.
fn own_port(transport_seed: &[u8; 32]) -> u16 {
    let [a, b, ..] = kdf::sha256(&[b"kith/v1/own-port", transport_seed]);
    OWN_PORTS.0 + u16::from_be_bytes([a, b]) % OWN_PORTS.1
}

fn net_config(options: &DaemonOptions, port: u16) -> NetConfig {
    let standard = NetConfig::default();
    let on_port = |address: &String| {
        address.replace("/tcp/0", &format!("/tcp/{port}")).replace("/udp/0", &format!("/udp/{port}"))
    };
    NetConfig {
        listen: if options.listen.is_empty() {
            standard.listen.iter().map(on_port).collect()
        } else {
            options.listen.clone()
        },
        announce: options.announce.clone(),
        bootstrap: options.bootstrap.clone(),
        mdns: options.mdns,
        dht_mode: options.dht,
        limits: if options.relay.is_some() { Limits::relay() } else { standard.limits },
    }
}

fn net_error(error: NetError) -> UserError {
    let code = match error.code() {
        "port_in_use" => Code::PortInUse,
        "port_forbidden" => Code::NotPermitted,
        _ => Code::Usage,
    };
    UserError::new(code, error.to_string()).hint(error.hint())
}
