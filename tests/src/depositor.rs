//! Somebody who speaks the mailbox protocol over a real connection and nothing else: for relays under load.
//! Must not know what a scenario is about.

use crate::process::DEADLINE;
use kith_node::{
    clock::Clock,
    net::{self, AskOutcome, NetCommand, NetConfig, NetEvent, NetHandle, NetSetup, PeerName},
};
use kith_protocol::{
    Timestamp,
    crypto::{Secret, sign::SigningKey},
    mailbox::{Answer, Class, Custody, Hello, MailboxKey, Nonce, OwnerAsk, Pass, RelayCard, Terms, Welcome},
};
use tokio::{sync::mpsc, time::timeout};

/// One connection to a relay.
pub struct Depositor {
    net: NetHandle,
    events: mpsc::Receiver<NetEvent>,
    card: RelayCard,
    peer: PeerName,
    nonce: Nonce,
    asks: u64,
}

impl Depositor {
    /// Connects to the relay of a card whose hints say where it listens, and checks that it is that one. The seed says who
    /// connects.
    pub async fn connect(card: &str, seed: u8) -> Self {
        let card = RelayCard::parse(card).unwrap();
        let peer = card.hints[0].rsplit('/').next().unwrap().to_owned();
        let config = NetConfig { listen: vec!["/ip4/127.0.0.1/tcp/0".into()], mdns: false, ..NetConfig::default() };
        let setup = NetSetup::forgetful(config, Secret::new([seed; 32]), net::record_check(), Clock::system());
        let (net, events) = net::spawn(setup).await.unwrap();
        // Who is not known to be a relay is held against it if it wakes.
        net.send(NetCommand::Protect { peers: vec![PeerName(peer.clone())] }).unwrap();
        let mut depositor = Self { net, events, card, peer: PeerName(peer), nonce: Nonce([0; 16]), asks: 0 };
        let hello = Hello { challenge: [seed; 16] };
        let Answer::Welcome(signed) = Answer::decode(&depositor.ask(hello.encode()).await).unwrap() else {
            panic!("no welcome")
        };
        depositor.nonce = Welcome::verify(&signed, &depositor.card.relay, &hello, &depositor.peer.0).unwrap().nonce;
        depositor
    }

    /// Asks, and waits for the bytes of the answer.
    pub async fn ask(&mut self, request: Vec<u8>) -> Vec<u8> {
        self.asks += 1;
        let (ask, peer, addresses) = (self.asks, self.peer.clone(), self.card.hints.clone());
        self.net.send(NetCommand::Ask { ask, peer, addresses, request }).unwrap();
        let answered = async {
            loop {
                match self.events.recv().await.unwrap() {
                    NetEvent::Asked { ask: of, outcome: AskOutcome::Answered(answer) } if of == ask => return answer,
                    NetEvent::Asked { outcome, .. } => panic!("no answer to question {ask}: {outcome:?}"),
                    _ => {}
                }
            }
        };
        timeout(DEADLINE, answered).await.unwrap()
    }

    /// Makes a mailbox at the relay.
    pub async fn register(&mut self, key: &MailboxKey) {
        let (first, tags) = key.tags(now());
        let request = OwnerAsk::Register { token: None, first, tags }.sign(key, &self.card.relay, &self.nonce);
        let answer = Answer::decode(&self.ask(request).await).unwrap();
        assert!(matches!(answer, Answer::Registered(_)), "not registered: {answer:?}");
    }

    /// A contact's pass to a mailbox at the relay.
    pub fn pass(&self, key: &MailboxKey) -> Pass {
        let depositor = SigningKey::from_seed(&Secret::new([4; 32]));
        let terms = Terms {
            class: Class::Contact,
            serial: 1,
            until: now().plus_days(30),
            envelopes: 1 << 20,
            bytes: 1 << 40,
            depositor: Some(depositor.public()),
        };
        Pass {
            relay: self.card.relay,
            peer: self.peer.0.clone(),
            addresses: Vec::new(),
            grant: key.grant(terms, now()),
            tag_secret: key.tag_secret(Class::Contact),
            depositor: Some(depositor),
        }
    }

    /// Leaves an envelope and waits for the receipt; gives it and the length of the answer.
    pub async fn leave(&mut self, pass: &Pass, envelope: &[u8]) -> (Custody, usize) {
        let request = pass.deposit(&self.nonce, now().day(), now().plus_days(30), false, envelope);
        let bytes = self.ask(request).await;
        match Answer::decode(&bytes).unwrap() {
            Answer::Custody(signed) => (Custody::verify(&signed, &self.card.relay).unwrap(), bytes.len()),
            other => panic!("not taken in: {other:?}"),
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.net.shutdown().await;
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}
