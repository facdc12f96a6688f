//! Somebody who speaks the mailbox protocol over a real connection and nothing else: for relays under load.
//! Must not know what a scenario is about.

use crate::process::DEADLINE;
use kith_node::{
    clock::Clock,
    net::{self, AskOutcome, NetCommand, NetConfig, NetEvent, NetHandle, NetSetup, PeerName},
};
use kith_protocol::{
    KeptId, Timestamp,
    crypto::{Secret, sign::SigningKey},
    identity::ContactLink,
    mailbox::{
        Answer, Class, Custody, Hello, KeptSlot, MailboxKey, Nonce, OwnerAsk, Pass, RelayCard, Terms, Welcome, passes,
    },
    prekey::reading::{FIRST_SLOTS, read_kept},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::mpsc, time::timeout};

/// Before somebody who was not let in comes again.
const PAUSE: Duration = Duration::from_millis(50);
/// Questions that a depositor has in flight at once: as many as a relay lets one peer have.
const AT_ONCE: usize = 16;

/// One connection to a relay.
pub struct Depositor {
    /// What the relay wants in every proof of this connection.
    pub nonce: Nonce,
    net: NetHandle,
    events: mpsc::Receiver<NetEvent>,
    card: RelayCard,
    peer: PeerName,
    asks: u64,
}

impl Depositor {
    /// Connects to the relay of a card whose hints say where it listens, and checks that it is that one. The seed says who
    /// connects.
    pub async fn connect(card: &str, seed: u64) -> Self {
        let chosen: Vec<u8> = seed.to_be_bytes().repeat(4);
        let card = RelayCard::parse(card).unwrap();
        let peer = card.hints[0].rsplit('/').next().unwrap().to_owned();
        let config = NetConfig { listen: vec!["/ip4/127.0.0.1/tcp/0".into()], mdns: false, ..NetConfig::default() };
        let setup =
            NetSetup::forgetful(config, Secret::from_slice(&chosen).unwrap(), net::record_check(), Clock::system());
        let (net, events) = net::spawn(setup).await.unwrap();
        // Who is not known to be a relay is held against it if it wakes.
        net.send(NetCommand::Protect { peers: vec![PeerName(peer.clone())] }).unwrap();
        let mut depositor = Self { nonce: Nonce([0; 16]), net, events, card, peer: PeerName(peer), asks: 0 };
        let hello = Hello { challenge: *chosen.first_chunk().unwrap() };
        let welcome = timeout(DEADLINE, depositor.let_in(&hello)).await.expect("nobody is let in");
        let Answer::Welcome(signed) = Answer::decode(&welcome).unwrap() else { panic!("no welcome") };
        depositor.nonce = Welcome::verify(&signed, &depositor.card.relay, &hello, &depositor.peer.0).unwrap().nonce;
        depositor
    }

    /// Says hello until it is answered, as everybody does who finds no place at once where there is a crowd.
    async fn let_in(&mut self, hello: &Hello) -> Vec<u8> {
        loop {
            let ask = self.begin(hello.encode());
            match self.outcome().await {
                (of, AskOutcome::Answered(answer)) if of == ask => return answer,
                (_, AskOutcome::Unreachable { .. } | AskOutcome::Busy { .. }) => tokio::time::sleep(PAUSE).await,
                other => panic!("hello ends in {other:?}"),
            }
        }
    }

    fn begin(&mut self, request: Vec<u8>) -> u64 {
        self.asks += 1;
        let (ask, peer, addresses) = (self.asks, self.peer.clone(), self.card.hints.clone());
        self.net.send(NetCommand::Ask { ask, peer, addresses, request }).unwrap();
        ask
    }

    async fn outcome(&mut self) -> (u64, AskOutcome) {
        let asked = async {
            loop {
                if let NetEvent::Asked { ask, outcome } = self.events.recv().await.unwrap() {
                    return (ask, outcome);
                }
            }
        };
        timeout(DEADLINE, asked).await.unwrap()
    }

    /// Asks, and waits for the bytes of the answer.
    pub async fn ask(&mut self, request: Vec<u8>) -> Vec<u8> {
        let ask = self.begin(request);
        match self.outcome().await {
            (of, AskOutcome::Answered(answer)) if of == ask => answer,
            other => panic!("no answer to question {ask}: {other:?}"),
        }
    }

    /// Asks one thing after the other, with several in flight, and hands each outcome on with the note that came with the
    /// question. Ends with the questions, or soon after the relay is out of reach.
    pub async fn ask_all<T>(
        &mut self,
        questions: impl IntoIterator<Item = (T, Vec<u8>)>,
        mut hear: impl FnMut(T, AskOutcome),
    ) {
        let (mut questions, mut flying) = (questions.into_iter().fuse(), BTreeMap::new());
        let mut reached = true;
        loop {
            while reached
                && flying.len() < AT_ONCE
                && let Some((note, request)) = questions.next()
            {
                flying.insert(self.begin(request), note);
            }
            if flying.is_empty() {
                return;
            }
            let (ask, outcome) = self.outcome().await;
            reached &= !matches!(outcome, AskOutcome::Unreachable { .. });
            hear(flying.remove(&ask).expect("one outcome for each question"), outcome);
        }
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
        self.pass_of(key, Class::Contact, 1, now().plus_days(30))
    }

    /// A pass with much room to a mailbox at the relay.
    pub fn pass_of(&self, key: &MailboxKey, class: Class, serial: u64, until: Timestamp) -> Pass {
        let depositor = (class != Class::Stranger).then(|| SigningKey::from_seed(&Secret::new([4; 32])));
        let named = depositor.as_ref().map(SigningKey::public);
        let terms = Terms { class, serial, until, envelopes: 1 << 20, bytes: 1 << 40, depositor: named };
        Pass {
            relay: self.card.relay,
            peer: self.peer.0.clone(),
            addresses: Vec::new(),
            grant: key.grant(terms, now()),
            tag_secret: key.tag_secret(class),
            depositor,
        }
    }

    /// The pass to which a contact link leads anybody: by what the relay keeps of its owner.
    pub async fn strangers_pass(&mut self, link: &str) -> Pass {
        let ContactLink { code, .. } = ContactLink::parse(link).unwrap();
        let peer = self.peer.0.clone();
        let slots: Vec<_> = FIRST_SLOTS
            .map(|slot| KeptSlot { account: &code.account, reach: &code.reach, peer: &peer, slot })
            .collect();
        let ids: Vec<_> = slots.iter().map(KeptSlot::id).collect();
        let Answer::Kept(found) = Answer::decode(&self.ask(KeptId::ask(&ids)).await).unwrap() else {
            panic!("nothing is kept")
        };
        let records: Vec<_> = slots.iter().zip(found).filter_map(|(slot, sealed)| slot.open(&sealed?)).collect();
        let reading = read_kept(&code.account, &code.reach, None, &BTreeMap::new(), &records, now());
        let descriptor = reading.descriptors.into_values().next().expect("how they are reached is kept here");
        let pass = passes(&descriptor.mailboxes).into_iter().find(|pass| pass.relay == self.card.relay);
        pass.expect("a pass to this relay")
    }

    /// The request that leaves an envelope.
    pub fn deposit(&self, pass: &Pass, envelope: &[u8]) -> Vec<u8> {
        pass.deposit(&self.nonce, now().day(), now().plus_days(30), false, envelope)
    }

    /// Leaves an envelope and waits for the receipt; gives it and the length of the answer.
    pub async fn leave(&mut self, pass: &Pass, envelope: &[u8]) -> (Custody, usize) {
        let bytes = self.ask(self.deposit(pass, envelope)).await;
        match Answer::decode(&bytes).unwrap() {
            Answer::Custody(signed) => (Custody::verify(&signed, &self.card.relay).unwrap(), bytes.len()),
            other => panic!("not taken in: {other:?}"),
        }
    }

    /// Everything that lies in a mailbox.
    pub async fn fetch(&mut self, key: &MailboxKey) -> Vec<Vec<u8>> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let request = OwnerAsk::Fetch { after }.sign(key, &self.card.relay, &self.nonce);
            let Answer::Page(page) = Answer::decode(&self.ask(request).await).unwrap() else { panic!("no page") };
            after = page.items.last().map_or(after, |item| item.cursor);
            all.extend(page.items.into_iter().map(|item| item.envelope));
            if !page.more {
                return all;
            }
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.net.shutdown().await;
    }
}

/// The time that depositors go by.
pub fn now() -> Timestamp {
    Clock::system().now()
}
