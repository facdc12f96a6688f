//! A daemon that runs a relay, and clients that are nothing but a network node: real sockets, real files.

use super::*;
use crate::{
    net::{AskOutcome, NetCommand, NetEvent, NetHandle, PeerName},
    relay::{Denied, Operator, Stats, Told},
};
use kith_protocol::{
    Day, RelayId, Timestamp,
    crypto::sign::SigningKey,
    mailbox::{
        Answer, Class, Custody, Hello, MailboxKey, Nonce, OwnerAsk, Page, Pass, Reason, RelayCard, Terms, Welcome,
    },
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

const DEADLINE: Duration = Duration::from_secs(60);

async fn soon<T>(what: &str, doing: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, doing).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

fn make_profile(folder: &Path) -> Paths {
    let paths = Paths::in_home(&folder.join("carol"), None);
    profile::create(&paths.home, "carol", &Key::File).unwrap();
    paths
}

fn options(paths: &Paths, relay: RelayOptions) -> DaemonOptions {
    DaemonOptions {
        paths: paths.clone(),
        key: Key::File,
        listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
        announce: Vec::new(),
        bootstrap: Vec::new(),
        mdns: false,
        dht: DhtMode::Client,
        accept_clock: false,
        read_receipts: false,
        relay: Some(relay),
    }
}

/// Somebody who speaks the mailbox protocol and nothing else.
struct Client {
    net: NetHandle,
    events: mpsc::Receiver<NetEvent>,
    relay: (PeerName, Vec<String>),
    id: RelayId,
    nonce: Nonce,
}

impl Client {
    /// Connects, and checks that the relay of the card answers.
    async fn of(running: &Running, card: &RelayCard, seed: u8) -> Self {
        let config = NetConfig { listen: vec!["/ip4/127.0.0.1/tcp/0".into()], mdns: false, ..NetConfig::default() };
        let setup = NetSetup::forgetful(config, Secret::new([seed; 32]), net::record_check(), Clock::system());
        let (net, events) = net::spawn(setup).await.unwrap();
        let relay = (PeerName(running.ready.peer.clone()), running.ready.listen.clone());
        net.send(NetCommand::Protect { peers: vec![relay.0.clone()] }).unwrap();
        let mut client = Self { net, events, relay, id: card.relay, nonce: Nonce([0; 16]) };
        let hello = Hello { challenge: [seed; 16] };
        let Answer::Welcome(signed) = client.ask(hello.encode()).await else { panic!("no welcome") };
        let welcome = Welcome::verify(&signed, &card.relay, &hello, &running.ready.peer).unwrap();
        client.nonce = welcome.nonce;
        client
    }

    async fn asked(&mut self, request: Vec<u8>) -> AskOutcome {
        let (peer, addresses) = self.relay.clone();
        self.net.send(NetCommand::Ask { ask: 7, peer, addresses, request }).unwrap();
        self.outcome().await
    }

    async fn outcome(&mut self) -> AskOutcome {
        let answered = async {
            loop {
                if let Some(NetEvent::Asked { outcome, .. }) = self.events.recv().await {
                    return outcome;
                }
            }
        };
        soon("an answer", answered).await
    }

    async fn ask(&mut self, request: Vec<u8>) -> Answer {
        match self.asked(request).await {
            AskOutcome::Answered(answer) => Answer::decode(&answer).unwrap(),
            other => panic!("no answer: {other:?}"),
        }
    }

    async fn own(&mut self, key: &MailboxKey, ask: OwnerAsk) -> Answer {
        let request = ask.sign(key, &self.id, &self.nonce);
        self.ask(request).await
    }

    async fn page(&mut self, key: &MailboxKey) -> Page {
        match self.own(key, OwnerAsk::Fetch { after: 0 }).await {
            Answer::Page(page) => page,
            other => panic!("no page: {other:?}"),
        }
    }

    async fn woken(&mut self) {
        let woken = async {
            while let Some(event) = self.events.recv().await {
                if matches!(event, NetEvent::Woken { .. }) {
                    return;
                }
            }
        };
        soon("a wake-up", woken).await;
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}

fn registration(key: &MailboxKey, token: Option<[u8; 16]>) -> OwnerAsk {
    let (first, tags) = key.tags(now());
    OwnerAsk::Register { token, first, tags }
}

fn pass(key: &MailboxKey, id: RelayId) -> Pass {
    let depositor = SigningKey::from_seed(&Secret::new([4; 32]));
    let terms = Terms {
        class: Class::Contact,
        serial: 1,
        until: now().plus_days(30),
        envelopes: 10_000,
        bytes: 1 << 30,
        depositor: Some(depositor.public()),
    };
    Pass {
        relay: id,
        peer: "the relay".into(),
        addresses: Vec::new(),
        grant: key.grant(terms, now()),
        tag_secret: key.tag_secret(Class::Contact),
        depositor: Some(depositor),
    }
}

fn deposit(pass: &Pass, nonce: &Nonce, envelope: &[u8]) -> Vec<u8> {
    let today: Day = now().day();
    pass.deposit(nonce, today, now().plus_days(30), false, envelope)
}

async fn stats(running: &Running) -> Stats {
    match running.daemon.relay().unwrap().ask(Operator::Stats).await {
        Ok(Told::Stats(stats)) => *stats,
        other => panic!("no stats: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemons_relay_admits_by_token_wakes_and_keeps_mail_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        options(&make_profile(folder.path()), RelayOptions { name: "Carol's".into(), ..RelayOptions::default() });
    let running = start(options.clone()).await.unwrap();
    let relay = running.daemon.relay().unwrap().clone();
    let invite = Operator::Invite { uses: 1, until: now().plus_days(1) };
    let Ok(Told::Invited { token, .. }) = relay.ask(invite).await else { panic!("no invite") };
    let card = running.daemon.card(Some(token)).await.unwrap();
    let card = RelayCard::parse(&card.to_string()).unwrap();
    assert_eq!((card.relay, card.token), (relay.id(), Some(token)));
    assert!(card.hints.iter().any(|hint| hint.ends_with(&format!("/p2p/{}", running.ready.peer))), "{:?}", card.hints);

    let bob = MailboxKey::from_seed(&Secret::new([3; 32]));
    let mut owner = Client::of(&running, &card, 11).await;
    let stranger = MailboxKey::from_seed(&Secret::new([8; 32]));
    let refused = owner.own(&stranger, registration(&stranger, Some([1; 16]))).await;
    assert!(matches!(refused, Answer::Refused(refusal) if refusal.reason == Reason::NotAdmitted));
    let made = owner.own(&bob, registration(&bob, card.token)).await;
    assert!(matches!(made, Answer::Registered(registered) if registered.new));
    let second = owner.own(&stranger, registration(&stranger, card.token)).await;
    assert!(matches!(second, Answer::Refused(refusal) if refusal.reason == Reason::NotAdmitted), "its one use is gone");

    let mut sender = Client::of(&running, &card, 12).await;
    let pass = pass(&bob, card.relay);
    let Answer::Custody(signed) = sender.ask(deposit(&pass, &sender.nonce, b"good night")).await else { panic!() };
    let custody = Custody::verify(&signed, &card.relay).unwrap();
    owner.woken().await;
    assert_eq!(owner.page(&bob).await.items[0].envelope, b"good night");
    assert_eq!(stats(&running).await.held.envelopes, 1);
    let recorded = deposit(&pass, &sender.nonce, b"once more");
    soon("a stop", running.stop()).await.unwrap();

    let running = start(options).await.unwrap();
    assert_eq!(running.daemon.relay().unwrap().id(), card.relay, "a relay keeps its name");
    let mut owner = Client::of(&running, &card, 11).await;
    let replayed = owner.ask(recorded).await;
    assert!(matches!(replayed, Answer::Refused(refusal) if refusal.reason == Reason::Nonce));
    assert_eq!(owner.page(&bob).await.items[0].envelope, b"good night");
    assert_eq!(
        owner.own(&bob, OwnerAsk::Acknowledge { ids: vec![custody.envelope] }).await,
        Answer::Deleted { deleted: 1, absent: 0 }
    );
    assert_eq!(stats(&running).await.held.envelopes, 0);
    soon("a stop", running.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn r_rly_7_a_stop_answers_everybody_and_what_was_accepted_is_there_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&make_profile(folder.path()), RelayOptions { open: true, ..RelayOptions::default() });
    let running = start(options.clone()).await.unwrap();
    let card = running.daemon.card(None).await.unwrap();
    let relay = running.daemon.relay().unwrap().clone();
    let bob = MailboxKey::from_seed(&Secret::new([3; 32]));
    let mut sender = Client::of(&running, &card, 12).await;
    assert!(matches!(sender.own(&bob, registration(&bob, None)).await, Answer::Registered(_)));
    let (pass, mut sent) = (pass(&bob, card.relay), 0u32);
    let (peer, addresses) = sender.relay.clone();
    for n in 0..200u32 {
        let request = deposit(&pass, &sender.nonce, &n.to_be_bytes());
        let ask = NetCommand::Ask { ask: n.into(), peer: peer.clone(), addresses: addresses.clone(), request };
        sent += u32::from(sender.net.send(ask).is_ok());
    }
    assert_eq!(sent, 200);
    let first = sender.outcome().await;
    let stopped = tokio::spawn(running.stop());
    let mut accepted = 0;
    for outcome in std::iter::once(first).chain({
        let mut rest = Vec::new();
        for _ in 1..sent {
            rest.push(sender.outcome().await);
        }
        rest
    }) {
        if let AskOutcome::Answered(answer) = outcome {
            match Answer::decode(&answer).unwrap() {
                Answer::Custody(signed) => {
                    Custody::verify(&signed, &card.relay).unwrap();
                    accepted += 1;
                }
                Answer::Refused(refusal) => assert_eq!(refusal.reason, Reason::Stopping),
                other => panic!("{other:?}"),
            }
        }
    }
    soon("a stop", stopped).await.unwrap().unwrap();
    assert_eq!(relay.ask(Operator::Stats).await, Err(Denied::Stopping));
    assert!(accepted > 0);
    let running = start(options).await.unwrap();
    let held = stats(&running).await.held.envelopes;
    assert!(held >= accepted, "{accepted} were accepted, {held} are there");
    soon("a stop", running.stop()).await.unwrap();
}

async fn refused(options: DaemonOptions) -> UserError {
    match start(options).await {
        Ok(_) => panic!("it starts"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_files_others_can_read_or_that_is_damaged_or_anothers_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let paths = make_profile(folder.path());
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let at = |place: String| options(&paths, RelayOptions { store: Some(place), ..RelayOptions::default() });
    let here = || at(format!("redb:{}", shared.join("mail.redb").display()));

    let error = refused(at("postgres://somewhere".into())).await;
    assert_eq!(error.code, Code::Usage);
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    let error = refused(here()).await;
    assert_eq!((error.code, error.hint), (Code::NotPermitted, format!("chmod go-rwx {}", shared.display())));
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o700)).unwrap();
    start(here()).await.unwrap().stop().await.unwrap();

    let file = shared.join("mail.redb");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let error = refused(here()).await;
    assert_eq!((error.code, error.hint), (Code::NotPermitted, format!("chmod go-rwx {}", file.display())));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();

    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let others = DaemonOptions { paths: make_profile(&other), ..here() };
    assert_eq!(refused(others).await.code, Code::Integrity, "another profile's relay");

    let good = fs::read(&file).unwrap();
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    let error = refused(here()).await;
    assert_eq!(error.code, Code::StoreCorrupt, "{error}");
    assert!(error.message.contains("mail.redb"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), good[..good.len() / 2], "a damaged file is left as it is");
    fs::write(&file, &good).unwrap();
    start(here()).await.unwrap().stop().await.unwrap();
}
