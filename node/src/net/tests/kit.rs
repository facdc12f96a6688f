//! Nodes on loopback sockets, and waiting for conditions with a deadline.

use crate::{
    clock::{Clock, system_rng},
    net::{
        AskOutcome, DeliverOutcome, Frame, InboundToken, MemberToken, NetCommand, NetConfig, NetEvent, NetHandle,
        NetSetup, NetStatus, PeerName, RecordCheck, RecordError, RecordMeta, RelayInput, Transport, Verdict, spawn,
    },
};
use kith_protocol::{RecordKey, Timestamp, crypto::secret::Secret};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Far beyond what anything here takes; only a hanging test meets it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) struct Node {
    pub(crate) net: NetHandle,
    pub(crate) events: mpsc::Receiver<NetEvent>,
    pub(crate) name: PeerName,
}

/// Waits for a future, or fails the test.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// A record of the tests: `key ‖ seq ‖ expires ‖ text`, genuine if it names its key.
pub(crate) fn record(key: &RecordKey, seq: u64, expires: Timestamp, text: &str) -> Vec<u8> {
    [&key.as_bytes()[..], &seq.to_be_bytes(), &expires.as_millis().to_be_bytes(), text.as_bytes()].concat()
}

pub(crate) fn key(number: u8) -> RecordKey {
    RecordKey::from_bytes([number; 32])
}

pub(crate) fn check() -> RecordCheck {
    Arc::new(|key, bytes, now| {
        let (named, rest) = bytes.split_first_chunk::<32>().ok_or(RecordError::Invalid)?;
        let (seq, rest) = rest.split_first_chunk::<8>().ok_or(RecordError::Invalid)?;
        let (expires, _) = rest.split_first_chunk::<8>().ok_or(RecordError::Invalid)?;
        if named != key.as_bytes() {
            return Err(RecordError::Invalid);
        }
        let expires = Timestamp::from_millis(u64::from_be_bytes(*expires));
        if expires <= now {
            return Err(RecordError::Expired);
        }
        Ok(RecordMeta { seq: u64::from_be_bytes(*seq), expires })
    })
}

pub(crate) fn frame(text: &str) -> Frame {
    Frame { tag: [0; 16], expires: Timestamp::from_millis(u64::MAX), envelope: text.as_bytes().to_vec() }
}

pub(crate) fn seed() -> Secret<32> {
    Secret::random(&mut system_rng().unwrap())
}

/// Loopback with deadlines that suit a busy machine.
pub(crate) fn config() -> NetConfig {
    let mut config = NetConfig::loopback();
    config.limits.handshake_timeout = Duration::from_secs(30);
    config.limits.request_timeout = Duration::from_secs(100);
    config.limits.verdict_timeout = Duration::from_secs(50);
    config.limits.fetch_timeout = Duration::from_secs(60);
    config.limits.idle = DEADLINE;
    config.limits.memory_bytes = None;
    config
}

pub(crate) async fn node(config: NetConfig) -> Node {
    begin(NetSetup::forgetful(config, seed(), check(), Clock::system())).await
}

pub(crate) async fn begin(setup: NetSetup) -> Node {
    let (net, events) = spawn(setup).await.unwrap();
    let name = PeerName(net.status().peer);
    Node { net, events, name }
}

/// A node that runs a relay, whose queue has room for so many.
pub(crate) async fn relay(config: NetConfig, clock: Clock, queue: usize) -> (Node, mpsc::Receiver<RelayInput>) {
    let (inputs, relay) = mpsc::channel(queue);
    let mut setup = NetSetup::forgetful(config, seed(), check(), clock);
    setup.relay = Some(inputs);
    (begin(setup).await, relay)
}

impl Node {
    /// Its addresses for one transport, with its name.
    pub(crate) fn listens(&self, transport: Transport) -> Vec<String> {
        let quic = |address: &String| address.contains("quic-v1") == (transport == Transport::Quic);
        self.net.status().listen.into_iter().filter(quic).collect()
    }

    pub(crate) fn send(&self, command: NetCommand) {
        self.net.send(command).unwrap();
    }

    pub(crate) fn deliver(&self, attempt: u64, to: &Node, frame: Frame) {
        let addresses = to.net.status().listen;
        self.send(NetCommand::Deliver { attempt, peer: to.name.clone(), addresses, frame });
    }

    /// The next event of which `pick` makes something; others pass by.
    pub(crate) async fn event<T>(&mut self, what: &str, mut pick: impl FnMut(NetEvent) -> Option<T>) -> T {
        soon(what, async {
            loop {
                let event = self.events.recv().await.expect("the net task lives");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        })
        .await
    }

    pub(crate) async fn inbound(&mut self) -> (InboundToken, PeerName, Frame) {
        let pick = |event| match event {
            NetEvent::Inbound { token, from, frame } => Some((token, from, frame)),
            _ => None,
        };
        self.event("an inbound frame", pick).await
    }

    pub(crate) async fn done(&mut self) -> (u64, DeliverOutcome) {
        let pick = |event| match event {
            NetEvent::DeliverDone { attempt, outcome } => Some((attempt, outcome)),
            _ => None,
        };
        self.event("the end of a delivery", pick).await
    }

    pub(crate) async fn asked(&mut self) -> (u64, AskOutcome) {
        let pick = |event| match event {
            NetEvent::Asked { ask, outcome } => Some((ask, outcome)),
            _ => None,
        };
        self.event("the end of a question", pick).await
    }

    pub(crate) fn ask(&self, ask: u64, relay: &Node, request: &[u8]) {
        let (peer, addresses) = (relay.name.clone(), relay.net.status().listen);
        self.send(NetCommand::Ask { ask, peer, addresses, request: request.to_vec() });
    }

    pub(crate) fn ask_member(&self, ask: u64, member: &Node, request: &[u8]) {
        let (peer, addresses) = (member.name.clone(), member.net.status().listen);
        self.send(NetCommand::AskMember { ask, peer, addresses, request: request.to_vec() });
    }

    pub(crate) async fn member_asks(&mut self) -> (MemberToken, PeerName, Vec<u8>) {
        let pick = |event| match event {
            NetEvent::MemberAsks { token, from, request } => Some((token, from, request)),
            _ => None,
        };
        self.event("a question of a member", pick).await
    }

    pub(crate) async fn found(&mut self, query: u64) -> (Vec<(RecordKey, Vec<u8>)>, u32) {
        let pick = |event| match event {
            NetEvent::Found { query: of, records, asked } if of == query => Some((records, asked)),
            _ => None,
        };
        self.event("the end of a lookup", pick).await
    }

    /// Waits for a status.
    pub(crate) async fn status(&self, what: &str, holds: impl FnMut(&NetStatus) -> bool) -> NetStatus {
        soon(what, async { self.net.watch().wait_for(holds).await.unwrap().clone() }).await
    }

    /// Answers everything that comes in, for ever.
    pub(crate) fn answer_all(mut self, verdict: Verdict) -> NetHandle {
        let net = self.net.clone();
        tokio::spawn(async move {
            while let Some(event) = self.events.recv().await {
                if let NetEvent::Inbound { token, .. } = event {
                    self.send(NetCommand::Answer { token, verdict });
                }
            }
        });
        net
    }
}

/// Shows that a node serves others: a frame gets through to it and back comes the verdict.
pub(crate) async fn assert_serves(victim: &mut Node) {
    let mut alice = node(config()).await;
    alice.deliver(1, victim, frame("still there?"));
    let token = loop {
        let (token, from, _) = victim.inbound().await;
        if from == alice.name {
            break token;
        }
    };
    victim.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
    assert_eq!(alice.done().await, (1, DeliverOutcome::Accepted));
    alice.net.shutdown().await;
}
