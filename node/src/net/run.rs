//! The net task: owns the swarm and polls it without pause; everything else is plain data in and out.
//! Must not wait for anything but the swarm, its queues and the clock.

use super::{
    behaviour::{Behaviour, BehaviourEvent, Own},
    channel::{Members, ToMembers},
    config::{DhtMode, NetConfig, NetError},
    connections::Connections,
    deliver::Deliveries,
    descriptor::{Direct, Want},
    dht::{Publishing, Records},
    events::Events,
    fetch::Fetches,
    gossip::{Followed, Gossip},
    handle::{Ask, Ends, NetSetup, PingError},
    mailbox::{Questions, Service},
    outbound::Outbound,
    peers::{book::Book, dialer::Dialer, score::Scores},
    swarm, translate,
    types::{NetCommand, NetEvent},
    wake::Wakes,
};
use crate::clock::{Clock, Moment, system_rng};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use kith_protocol::crypto::secret::Secret;
use libp2p::{Multiaddr, PeerId, Swarm, identity, swarm::SwarmEvent};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use std::{collections::HashSet, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Interval, MissedTickBehavior, interval},
};
use zeroize::Zeroize;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Commands and swarm events taken in one turn, so that neither side starves the other.
const BATCH: usize = 64;
/// How long the start waits for its listeners to report their addresses.
const LISTEN_WAIT: Duration = Duration::from_secs(5);
/// How long a stop waits for connections to close.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// The net task with all its state.
pub(crate) struct Net {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) config: NetConfig,
    pub(crate) clock: Clock,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) events: Events,
    pub(crate) connections: Connections,
    pub(crate) deliveries: Deliveries,
    pub(crate) questions: Outbound<Questions>,
    pub(crate) members: Members,
    /// The relay this node runs, if it does.
    pub(crate) relay: Option<Service>,
    pub(crate) wakes: Wakes,
    pub(crate) direct: Direct,
    pub(crate) fetches: Fetches,
    pub(crate) publishing: Publishing,
    pub(crate) gossip: Gossip,
    pub(crate) book: Book,
    pub(crate) scores: Scores,
    pub(crate) dialer: Dialer,
    pub(crate) blocked: HashSet<PeerId>,
    /// Peers of contacts.
    pub(crate) contacts: HashSet<PeerId>,
    pub(crate) bootstrap: Vec<Multiaddr>,
    pub(crate) next_bootstrap: Moment,
    /// Whether the listeners are up: before that, addresses are not told.
    pub(crate) started: bool,
    next_housekeeping: Moment,
    ends: Ends,
    tick: Interval,
}

/// What the task does next.
enum Turn {
    Stop,
    /// Commands lie in the batches.
    Commands,
    Ask(Ask),
    /// The app's queue has room for what waits.
    Room,
    Swarm(Box<SwarmEvent<BehaviourEvent>>),
    Tick,
}

/// Commands that were taken out of their queues.
#[derive(Default)]
struct Batches {
    app: Vec<NetCommand>,
    relay: Vec<NetCommand>,
}

impl Batches {
    fn drain(&mut self) -> impl Iterator<Item = NetCommand> {
        self.relay.drain(..).chain(self.app.drain(..))
    }
}

/// Makes the transport key out of its seed.
pub(crate) fn keypair(seed: &Secret<32>) -> Result<identity::Keypair, NetError> {
    let mut bytes = *seed.as_bytes();
    let key = identity::Keypair::ed25519_from_bytes(&mut bytes).map_err(|_| NetError::Setup);
    bytes.zeroize();
    key
}

/// Makes the net task; its listeners are up when this returns.
pub(crate) async fn start(setup: NetSetup, events: mpsc::Sender<NetEvent>, ends: Ends) -> Result<Net, NetError> {
    let NetSetup { config, key_seed, check, kept, records, peers, relay, clock } = setup;
    let key = keypair(&key_seed)?;
    let me = key.public().to_peer_id();
    let mut store = Records::new(me, &config.limits, check, clock.clone(), records);
    store.restore(kept.records);
    let bootstrap = parse_all(&config.bootstrap)?;
    let announce = parse_all(&config.announce)?;
    let mut rng = system_rng()?;
    // Peers tell by it that this node was started anew, and that what was open before is gone.
    let run = format!("kith {:016x}", rng.next_u64());
    let followed = Followed::default();
    let own = Own { run: &run, relay: relay.is_some(), records: store, followed: followed.clone() };
    let mut swarm = swarm::build(key, &config, own)?;
    let listeners = swarm::listen(&mut swarm, &config.listen)?;

    let now = clock.moment();
    let mut book = Book::new(config.limits.known_peers, peers);
    for (name, addresses) in &kept.peers {
        if let Some(peer) = translate::peer_id(name).filter(|peer| *peer != me) {
            book.restore(peer, translate::addresses_of(&peer, addresses, usize::MAX), now);
        }
    }
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut net = Net {
        connections: Connections::new(announce),
        deliveries: Deliveries::new(&config.limits),
        questions: Outbound::new(config.limits.ask_per_relay, config.limits.ask_total),
        members: Members::new(&config.limits),
        relay: relay.map(|relay| Service::new(&config.limits, relay)),
        wakes: Wakes::default(),
        direct: Direct::default(),
        fetches: Fetches::default(),
        publishing: Publishing::default(),
        gossip: Gossip::new(&config.limits, followed, now),
        scores: Scores::default(),
        dialer: Dialer::default(),
        blocked: HashSet::new(),
        contacts: HashSet::new(),
        events: Events::new(events),
        rng,
        next_bootstrap: now,
        started: false,
        next_housekeeping: now,
        swarm,
        config,
        clock,
        book,
        bootstrap,
        ends,
        tick,
    };
    net.await_listeners(listeners).await;
    net.started = true;
    net.on_listens_changed();
    net.show_status();
    Ok(net)
}

fn parse_all(texts: &[String]) -> Result<Vec<Multiaddr>, NetError> {
    let parse = |text: &String| {
        let usable = translate::address(text).filter(|address| {
            translate::reach(&translate::without_peer(address.clone())) != translate::Reach::Unusable
        });
        usable.ok_or_else(|| NetError::BadAddress { address: text.clone() })
    };
    texts.iter().map(parse).collect()
}

impl Net {
    /// Waits until each listener has told its first address.
    async fn await_listeners(&mut self, listeners: usize) {
        let mut seen = HashSet::new();
        let wait = async {
            while seen.len() < listeners {
                let event = self.swarm.select_next_some().await;
                if let SwarmEvent::NewListenAddr { listener_id, .. } = &event {
                    seen.insert(*listener_id);
                }
                self.on_swarm(event);
            }
        };
        if tokio::time::timeout(LISTEN_WAIT, wait).await.is_err() {
            tracing::warn!("a listener has no address yet; this machine may be offline");
        }
    }

    /// Runs until told to stop, or until every handle is gone.
    pub(crate) async fn run(mut self) {
        let mut batches = Batches::default();
        loop {
            match self.turn(&mut batches).await {
                Turn::Stop => break,
                Turn::Commands => batches.drain().for_each(|command| self.on_command(command)),
                Turn::Ask(ask) => self.on_ask(ask),
                Turn::Room => self.events.flush(),
                Turn::Swarm(event) => {
                    self.on_swarm(*event);
                    self.drain_swarm();
                }
                Turn::Tick => self.on_tick(),
            }
        }
        self.stop().await;
    }

    /// Waits for the next thing to do. Every arm is cancel-safe; the choice among ready ones is random, so none starves.
    async fn turn(&mut self, Batches { app, relay }: &mut Batches) -> Turn {
        let may_take = self.may_take_commands();
        let (room, waiting) = (self.events.queue(), self.events.waiting());
        let Ends { commands, served, asks, stop, .. } = &mut self.ends;
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => Turn::Stop,
            taken = commands.recv_many(app, BATCH), if may_take => if taken == 0 { Turn::Stop } else { Turn::Commands },
            taken = served.recv_many(relay, BATCH) => if taken == 0 { Turn::Stop } else { Turn::Commands },
            Some(ask) = asks.recv() => Turn::Ask(ask),
            _ = room.reserve(), if waiting => Turn::Room,
            event = self.swarm.select_next_some() => Turn::Swarm(Box::new(event)),
            _ = self.tick.tick() => Turn::Tick,
        }
    }

    /// Takes what else the swarm has ready, up to a batch.
    fn drain_swarm(&mut self) {
        for _ in 1..BATCH {
            match self.swarm.next().now_or_never() {
                Some(Some(event)) => self.on_swarm(event),
                _ => return,
            }
        }
    }

    /// An app that asks but does not read its answers is not served further; its queue fills and `send` says so.
    fn may_take_commands(&self) -> bool {
        self.events.answers() < self.config.limits.outbound_total.max(1) * 2
    }

    /// Lets the relay's answers out, closes connections and frees the ports.
    async fn stop(mut self) {
        // What is in the queue was committed before the stop; what comes later is not taken any more.
        self.ends.served.close();
        while let Ok(command) = self.ends.served.try_recv() {
            self.on_command(command);
        }
        self.turn_clients_away();
        self.see_clients_off().await;
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.network_info().connection_counters().num_established() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        let _ = tokio::time::timeout(STOP_WAIT, closed).await;
        let listens: Vec<_> = self.swarm.listeners().cloned().collect();
        let stopped = self.ends.stopped.clone();
        drop(self);
        // QUIC lets its socket go a little later than it is told to.
        let freed = async {
            while !listens.iter().all(swarm::is_free) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(STOP_WAIT, freed).await;
        stopped.send_replace(true);
    }

    /// Waits until the relay's answers have arrived: a closing connection takes with it what its other end has not read yet.
    /// Whoever answers an echo has read what came before it.
    async fn see_clients_off(&mut self) {
        let clients = self.relay.as_ref().map(Service::clients).unwrap_or_default();
        let arrived = async {
            while self.relay.as_ref().is_some_and(Service::is_answering) {
                let event = self.swarm.select_next_some().await;
                self.on_swarm(event);
            }
            let mut echoes = FuturesUnordered::new();
            for client in clients {
                let (reply, echo) = oneshot::channel();
                self.ask(client, Vec::new(), Want::Echo(reply));
                echoes.push(echo);
            }
            while !echoes.is_empty() {
                tokio::select! {
                    _ = echoes.next() => {}
                    event = self.swarm.select_next_some() => self.on_swarm(event),
                }
            }
        };
        // Somebody who reads slowly, or is dead, does not hold up the stop.
        let _ = tokio::time::timeout(STOP_WAIT, arrived).await;
    }

    fn on_command(&mut self, command: NetCommand) {
        match command {
            NetCommand::Deliver { attempt, peer, addresses, frame } => self.deliver(attempt, &peer, &addresses, frame),
            NetCommand::Answer { token, verdict } => self.answer(token, verdict),
            NetCommand::Fetch { query, keys, hints } => self.fetch(query, keys, &hints),
            NetCommand::Publish { records } => self.publish(records),
            NetCommand::Dial { addresses } => self.dial_hints(&addresses),
            NetCommand::Protect { peers } => self.protect(&peers),
            NetCommand::Block { peers } => self.block(&peers),
            NetCommand::Ask { ask, peer, addresses, request } => self.ask_relay(ask, &peer, &addresses, request),
            NetCommand::AnswerRelay { token, answer } => self.answer_asker::<Questions>(token.0, answer),
            NetCommand::AskMember { ask, peer, addresses, request } => {
                self.ask_peer::<ToMembers>(ask, &peer, &addresses, request);
            }
            NetCommand::AnswerMember { token, answer } => self.answer_asker::<ToMembers>(token.0, answer),
            NetCommand::Keep { peer } => self.keep_client(&peer),
            NetCommand::Wake { peer } => self.wake(&peer),
            NetCommand::ChannelFollow { topic, keys } => self.follow(topic, keys),
            NetCommand::ChannelLeave { topic } => self.leave(&topic),
            NetCommand::ChannelPublish { topic, frame } => self.put_out(topic, &frame),
            NetCommand::Fault { peer } => {
                if let Some(peer) = translate::peer_id(&peer) {
                    self.violation(peer);
                }
            }
        }
    }

    fn on_ask(&mut self, ask: Ask) {
        match ask {
            Ask::Ping { peer, addresses, reply } => match translate::peer_id(&peer) {
                Some(peer) => self.ping(peer, &addresses, reply),
                None => drop(reply.send(Err(PingError::BadName))),
            },
        }
    }

    /// Sorts the swarm's events to their handlers; what is not named here concerns nobody.
    pub(crate) fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.on_disconnected(peer_id, connection_id, num_established);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.on_dial_failed(connection_id, peer_id, &error);
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => self.on_listens_changed(),
            SwarmEvent::ListenerClosed { reason: Err(error), .. } => {
                tracing::warn!(kind = ?error.kind(), "a listener closed");
                self.on_listens_changed();
            }
            other => tracing::trace!(?other, "swarm"),
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Deliver(event) => self.on_deliver(event),
            BehaviourEvent::Descriptor(event) => self.on_descriptor(event),
            BehaviourEvent::Mailbox(event) => self.on_opaque::<Questions>(event),
            BehaviourEvent::Channel(event) => self.on_opaque::<ToMembers>(event),
            BehaviourEvent::Wake(event) => self.on_wake(event),
            BehaviourEvent::Dht(event) => self.on_dht(event),
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Identify(event) => self.on_identify(event),
            BehaviourEvent::Mdns(event) => self.on_mdns(event),
            BehaviourEvent::Ping(event) => self.on_ping(&event),
            // These have no events.
            BehaviourEvent::Blocked(never) => match never {},
            BehaviourEvent::Limits(never) => match never {},
            BehaviourEvent::Memory(never) => match never {},
            BehaviourEvent::Networks(never) => match never {},
            BehaviourEvent::Protect(never) => match never {},
        }
    }

    fn on_tick(&mut self) {
        let now = self.clock.moment();
        self.expire_deliveries(now);
        self.expire_mailbox(now);
        self.expire_members(now);
        self.expire_wakes(now);
        self.expire_gossip(now);
        self.expire_fetches(now);
        self.expire_direct(now);
        self.drive_publishing(now);
        self.drive_bootstrap(now);
        if now >= self.next_housekeeping {
            self.next_housekeeping = now.saturating_add(Duration::from_secs(1));
            for peer in self.scores.expire(now) {
                if !self.blocked.contains(&peer) {
                    self.swarm.behaviour_mut().blocked.unblock_peer(peer);
                }
            }
            self.dialer.expire(now);
            self.keep_anchors();
            self.update_reach();
            // Kademlia itself notes under which address a peer was dialled.
            self.forget_local_routes();
            self.show_status();
        }
    }

    /// Renews the picture that others see.
    pub(crate) fn show_status(&mut self) {
        let status = self.picture();
        self.ends.status.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }

    /// Sets the DHT's mode by configuration, or by where others can reach this node.
    pub(crate) fn set_dht_mode(&mut self) {
        let server = match self.config.dht_mode {
            DhtMode::Server => true,
            DhtMode::Client => false,
            DhtMode::Auto => self.is_reachable(),
        };
        let mode = if server { libp2p::kad::Mode::Server } else { libp2p::kad::Mode::Client };
        let kad = self.swarm.behaviour_mut().dht.kad();
        if self.connections.mode != Some(mode) {
            self.connections.mode = Some(mode);
            kad.set_mode(Some(mode));
        }
    }
}
