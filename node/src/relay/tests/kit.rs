//! A relay on a disk in memory, owners and senders with real keys, and a clock that is moved by hand.

use crate::{
    clock::Moment,
    net::{PeerName, RelayInput, RelayToken},
    relay::{Denied, Operator, Service, Settings, Setup, Stats, Told, Turn},
};
use kith_protocol::{
    Day, EnvelopeId, MailboxId, RelayId, Timestamp,
    crypto::{Secret, sign::SigningKey},
    mailbox::{
        Answer, Class, Custody, Hello, MailboxKey, Nonce, OwnerAsk, Page, Pass, Reason, Refusal, Terms, Welcome,
    },
};
use kith_store::{
    Disk, MemoryDisk, Store, Unlock,
    mailbox::{MailboxStore, RelayStore},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::{collections::BTreeMap, time::Duration};

pub(super) const DAY: u64 = 86_400_000;

pub(super) fn start() -> Timestamp {
    Day(20_000).start().plus_millis(DAY / 2)
}

pub(super) fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn unlock() -> Unlock {
    Unlock::Key(Secret::new([9; 32]))
}

/// A relay under test.
pub(super) struct Relay {
    pub(super) service: Service,
    pub(super) disk: MemoryDisk,
    pub(super) wall: Timestamp,
    pub(super) moment: Moment,
    pub(super) id: RelayId,
    nonces: BTreeMap<PeerName, Nonce>,
    settings: Settings,
    next: u64,
}

impl Relay {
    /// One that anybody may register at.
    pub(super) fn open() -> Self {
        Self::with(Settings { open: true, ..Settings::default() })
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self::on(Self::empty(), settings, start())
    }

    /// A disk with an empty store.
    pub(super) fn empty() -> MemoryDisk {
        let disk = MemoryDisk::new();
        Store::create(Disk::Memory(disk.clone()), &unlock(), &mut rng(1)).unwrap().close().unwrap();
        disk
    }

    /// One over what a disk holds.
    pub(super) fn on(disk: MemoryDisk, settings: Settings, wall: Timestamp) -> Self {
        Self::over(disk, settings, wall, |store| Box::new(store))
    }

    /// The same with something between the service and the store.
    pub(super) fn over(
        disk: MemoryDisk,
        settings: Settings,
        wall: Timestamp,
        wrap: impl FnOnce(MailboxStore) -> Box<dyn RelayStore>,
    ) -> Self {
        let store = Store::open(Disk::Memory(disk.clone()), &unlock(), &mut rng(2)).unwrap();
        let key = SigningKey::from_seed(&Secret::new([5; 32]));
        let id = RelayId::from_bytes(*key.public().as_bytes());
        let moment = Duration::from_secs(1_000);
        let service = Service::new(Setup {
            store: wrap(MailboxStore::new(store)),
            key,
            peer: peer("relay"),
            settings: settings.clone(),
            rng: rng(3),
            wall,
            moment,
        });
        let (service, nonces) = (service.unwrap(), BTreeMap::new());
        Self { service, disk, wall, moment, id, nonces, settings, next: 0 }
    }

    /// Takes the power away, and starts again.
    pub(super) fn restart(self) -> Self {
        let wall = self.wall;
        self.restart_at(wall)
    }

    /// The same with another clock.
    pub(super) fn restart_at(self, wall: Timestamp) -> Self {
        let Self { service, disk, settings, .. } = self;
        disk.crash();
        drop(service);
        Self::on(disk, settings, wall)
    }

    /// Lets time pass, on both clocks.
    pub(super) fn pass(&mut self, ms: u64) {
        self.wall = self.wall.plus_millis(ms);
        self.moment += Duration::from_millis(ms);
    }

    /// One turn.
    pub(super) fn turn(&mut self, requests: Vec<(PeerName, Vec<u8>)>) -> Turn {
        let inputs = requests.into_iter().map(|(from, request)| {
            self.next += 1;
            RelayInput::Request { token: RelayToken(self.next), from, request }
        });
        let inputs = inputs.collect();
        self.service.turn(inputs, Vec::new(), self.wall, self.moment)
    }

    /// One turn, and the answers in the order of the requests.
    pub(super) fn answers(&mut self, requests: Vec<(PeerName, Vec<u8>)>) -> Vec<Answer> {
        let count = requests.len();
        let mut turn = self.turn(requests);
        assert_eq!(turn.answers.len(), count, "one answer to each request");
        turn.answers.sort_by_key(|(token, _)| *token);
        turn.answers.iter().map(|(_, answer)| Answer::decode(answer).unwrap()).collect()
    }

    pub(super) fn ask(&mut self, from: &str, request: Vec<u8>) -> Answer {
        self.answers(vec![(peer(from), request)]).remove(0)
    }

    /// The nonce that a peer learns from a signed welcome; asked for once.
    pub(super) fn nonce(&mut self, from: &str) -> Nonce {
        if let Some(nonce) = self.nonces.get(&peer(from)) {
            return *nonce;
        }
        let hello = Hello { challenge: [4; 16] };
        let Answer::Welcome(signed) = self.ask(from, hello.encode()) else { panic!("no welcome") };
        let welcome = Welcome::verify(&signed, &self.id, &hello, &peer("relay").0).unwrap();
        self.nonces.insert(peer(from), welcome.nonce);
        welcome.nonce
    }

    /// An owner asks.
    pub(super) fn own(&mut self, owner: &Owner, ask: &OwnerAsk) -> Answer {
        let request = self.owners_request(owner, ask);
        self.ask(owner.name, request)
    }

    pub(super) fn owners_request(&mut self, owner: &Owner, ask: &OwnerAsk) -> Vec<u8> {
        let nonce = self.nonce(owner.name);
        ask.sign(&owner.key, &self.id, &nonce)
    }

    pub(super) fn register(&mut self, owner: &Owner) -> Answer {
        let ask = owner.registration(self.wall, None);
        self.own(owner, &ask)
    }

    /// Somebody leaves an envelope for a month.
    pub(super) fn deposit(&mut self, from: &str, pass: &Pass, envelope: &[u8]) -> Answer {
        let request = self.deposit_request(from, pass, envelope);
        self.ask(from, request)
    }

    pub(super) fn deposit_request(&mut self, from: &str, pass: &Pass, envelope: &[u8]) -> Vec<u8> {
        let (nonce, until) = (self.nonce(from), self.wall.plus_days(30));
        pass.deposit(&nonce, self.wall.day(), until, false, envelope)
    }

    /// The same, and it must be taken in.
    pub(super) fn leave(&mut self, from: &str, pass: &Pass, envelope: &[u8]) -> Custody {
        let answer = self.deposit(from, pass, envelope);
        self.custody(&answer)
    }

    pub(super) fn custody(&self, answer: &Answer) -> Custody {
        let Answer::Custody(signed) = answer else { panic!("not taken in: {answer:?}") };
        Custody::verify(signed, &self.id).unwrap()
    }

    pub(super) fn page(&mut self, owner: &Owner, after: u64) -> Page {
        match self.own(owner, &OwnerAsk::Fetch { after }) {
            Answer::Page(page) => page,
            other => panic!("no page: {other:?}"),
        }
    }

    /// All that lies in a mailbox.
    pub(super) fn mail(&mut self, owner: &Owner) -> Vec<Vec<u8>> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.page(owner, after);
            after = page.items.last().map_or(after, |item| item.cursor);
            all.extend(page.items.into_iter().map(|item| item.envelope));
            if !page.more {
                return all;
            }
        }
    }

    pub(super) fn acknowledge(&mut self, owner: &Owner, envelopes: &[Vec<u8>]) -> Answer {
        let ids = envelopes.iter().map(|envelope| EnvelopeId::of(envelope)).collect();
        self.own(owner, &OwnerAsk::Acknowledge { ids })
    }

    pub(super) fn operate(&mut self, ask: Operator) -> Result<Told, Denied> {
        self.service.turn(Vec::new(), vec![ask], self.wall, self.moment).told.remove(0)
    }

    pub(super) fn stats(&mut self) -> Stats {
        match self.operate(Operator::Stats) {
            Ok(Told::Stats(stats)) => *stats,
            other => panic!("no stats: {other:?}"),
        }
    }
}

/// The owner of a mailbox.
pub(super) struct Owner {
    pub(super) name: &'static str,
    pub(super) key: MailboxKey,
}

impl Owner {
    pub(super) fn new(name: &'static str) -> Self {
        let seed = kith_protocol::crypto::kdf::sha256(&[name.as_bytes()]);
        Self { name, key: MailboxKey::from_seed(&Secret::new(seed)) }
    }

    pub(super) fn id(&self) -> MailboxId {
        self.key.id()
    }

    pub(super) fn registration(&self, now: Timestamp, token: Option<[u8; 16]>) -> OwnerAsk {
        let (first, tags) = self.key.tags(now);
        OwnerAsk::Register { token, first, tags }
    }

    /// A pass with much room.
    pub(super) fn pass(&self, relay: &Relay, class: Class, serial: u64) -> Pass {
        self.pass_for(relay, class, serial, (100_000, 1 << 30), relay.wall.plus_days(90))
    }

    pub(super) fn pass_for(
        &self,
        relay: &Relay,
        class: Class,
        serial: u64,
        (envelopes, bytes): (u64, u64),
        until: Timestamp,
    ) -> Pass {
        let mut seed = [class.number() as u8; 32];
        seed[..8].copy_from_slice(&serial.to_be_bytes());
        let depositor = (class != Class::Stranger).then(|| SigningKey::from_seed(&Secret::new(seed)));
        let terms =
            Terms { class, serial, until, envelopes, bytes, depositor: depositor.as_ref().map(SigningKey::public) };
        Pass {
            relay: relay.id,
            peer: peer("relay").0,
            addresses: Vec::new(),
            grant: self.key.grant(terms, start().plus_days(90)),
            tag_secret: self.key.tag_secret(class),
            depositor,
        }
    }
}

pub(super) fn peer(name: &str) -> PeerName {
    PeerName(name.to_owned())
}

/// An envelope's bytes, told apart by a number.
pub(super) fn envelope(n: u32, length: usize) -> Vec<u8> {
    n.to_be_bytes().into_iter().cycle().take(length).collect()
}

pub(super) fn refusal(answer: &Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => *refusal,
        other => panic!("not refused: {other:?}"),
    }
}

pub(super) fn reason(answer: &Answer) -> Reason {
    refusal(answer).reason
}
