//! A relay of the world: the real service over a disk that survives, and what a bad one does between it and the links.

use kith_node::{
    net::{PeerName, RelayInput, RelayToken},
    relay::{Service, Settings, Setup},
};
use kith_protocol::{
    RelayId, Timestamp,
    crypto::{Secret, sign::SigningKey},
    mailbox::{Answer, Hello, Nonce, Page, Reason, Refusal, RelayCard, Welcome},
};
use kith_store::{
    Disk, MemoryDisk, Store, Unlock,
    mailbox::{MailboxStore, RelayStore as _},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng},
};
use std::time::Duration;

/// What a relay is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Character {
    /// It does what it says.
    #[default]
    Honest,
    /// It signs for every other deposit and keeps nothing of it.
    Drops,
    /// It says of half of the pages that they are empty.
    Delays,
    /// It gives what waits in another order.
    Reorders,
    /// It gives old pages and old receipts again.
    Replays,
    /// It gives the first descriptors that it was ever given.
    OldHeads,
}

/// What is asked of a relay: the number that stands in each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Makes or renews a mailbox.
    Register = 2,
    /// Leaves an envelope.
    Deposit = 3,
    /// Reads a mailbox.
    Fetch = 4,
    /// Deletes what was read.
    Acknowledge = 5,
    /// Asks for what was signed for.
    Audit = 12,
}

/// Where a relay's power goes: in the middle of the next request of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    /// Which.
    pub kind: Kind,
    /// Whether what it asks for is carried out before.
    pub carried_out: bool,
}

/// The kind of a request: its second field, behind the version.
pub(super) fn is_of(request: &[u8], kind: Kind) -> bool {
    request.get(3) == Some(&(kind as u8))
}

/// What a relay that writes everything down keeps of one question.
pub struct Heard {
    /// When.
    pub at: Timestamp,
    /// The asker's transport name.
    pub from: PeerName,
    /// The question.
    pub request: Vec<u8>,
    /// What was answered.
    pub answer: Vec<u8>,
}

/// A relay with its disk.
pub struct Relay {
    /// What it is like.
    pub character: Character,
    /// Requests that reached it.
    pub requests: u64,
    /// All of them with their answers, if it writes them down.
    pub heard: Option<Vec<Heard>>,
    /// Deposits that it signed for and holds.
    pub signed: u64,
    /// Deposits that it signed for and kept nothing of.
    pub dropped: u64,
    /// Deposits that it answered with the receipt of another.
    pub false_receipts: u64,
    /// Answers that were not the honest ones.
    pub lies: u64,
    /// What it answers to every request of a kind, if it carries out none.
    pub refuses: Option<(Kind, Reason)>,
    /// The relay in whose name it answers: it passes everything on to that one, but for questions about what that signed for,
    /// of which it says that nothing is there.
    pub poses_as: Option<usize>,
    /// In which request its power goes next.
    pub trap: Option<Trap>,
    /// How far its clock is behind, in milliseconds.
    pub behind_ms: u64,
    index: usize,
    disk: MemoryDisk,
    service: Option<Service>,
    /// What a liar shows its depositors: the same key over another disk.
    shadow: Option<Service>,
    life: u64,
    next: u64,
    pages: Vec<Vec<u8>>,
    receipts: Vec<Vec<u8>>,
    kept: Option<Vec<u8>>,
    rng: ChaCha20Rng,
}

fn unlock() -> Unlock {
    Unlock::Key(Secret::new([8; 32]))
}

fn seeded(seed: u64, index: usize, life: u64) -> ChaCha20Rng {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&(index as u64).to_le_bytes());
    bytes[16..24].copy_from_slice(&life.to_le_bytes());
    ChaCha20Rng::from_seed(bytes)
}

impl Relay {
    pub(super) fn create(index: usize, seed: u64) -> Self {
        let disk = MemoryDisk::new();
        drop(Store::create(Disk::Memory(disk.clone()), &unlock(), &mut seeded(seed, index, 0)).unwrap());
        Self {
            character: Character::Honest,
            requests: 0,
            heard: None,
            signed: 0,
            dropped: 0,
            false_receipts: 0,
            lies: 0,
            refuses: None,
            poses_as: None,
            trap: None,
            behind_ms: 0,
            index,
            disk,
            service: None,
            shadow: None,
            life: 0,
            next: 0,
            pages: Vec::new(),
            receipts: Vec::new(),
            kept: None,
            rng: seeded(seed, index, u64::MAX),
        }
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_seed(&Secret::new([100 + self.index as u8; 32]))
    }

    /// Names it.
    pub fn id(&self) -> RelayId {
        RelayId::from_bytes(*self.key().public().as_bytes())
    }

    /// The transport name of a relay's node.
    pub fn peer(&self) -> PeerName {
        PeerName(format!("relay-{}", self.index))
    }

    /// Its card, as a link.
    pub fn card(&self) -> String {
        let address = format!("/memory/{}/p2p/{}", 1_000 + self.index, self.peer().0);
        RelayCard::new(self.id(), None, [address]).to_string()
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.service.is_some()
    }

    fn serve(&self, disk: MemoryDisk, seed: u64, now: Timestamp, moment: Duration) -> Service {
        let store = Store::open(Disk::Memory(disk), &unlock(), &mut seeded(seed, self.index, self.life)).unwrap();
        let settings = Settings { open: true, name: format!("r{}", self.index), ..Settings::default() };
        Service::new(Setup {
            store: Box::new(MailboxStore::new(store)),
            key: self.key(),
            peer: self.peer(),
            settings,
            rng: seeded(seed, self.index, 1_000 + self.life),
            wall: now,
            moment,
        })
        .unwrap()
    }

    /// How often its disk was synced.
    pub fn syncs(&self) -> u64 {
        self.disk.counts().syncs
    }

    /// Envelopes that it holds.
    pub fn holds(&self) -> u64 {
        let disk = Disk::Memory(MemoryDisk::from_image(self.disk.image()));
        let store = Store::open(disk, &unlock(), &mut seeded(0, self.index, 0)).unwrap();
        MailboxStore::new(store).totals().unwrap().envelopes
    }

    pub(super) fn start(&mut self, seed: u64, now: Timestamp, moment: Duration) {
        let now = now.minus_millis(self.behind_ms);
        self.life += 1;
        self.service = Some(self.serve(self.disk.clone(), seed, now, moment));
        self.shadow = None;
        if self.character == Character::Drops {
            let copy = MemoryDisk::from_image(self.disk.image());
            self.shadow = Some(self.serve(copy, seed, now, moment));
        }
    }

    /// Takes its power; half of the times what was not synced is torn.
    pub(super) fn crash(&mut self) -> bool {
        let Some(service) = self.service.take() else { return false };
        if self.rng.next_u64().is_multiple_of(2) {
            self.disk.crash();
        } else {
            self.disk.crash_torn(&mut self.rng);
        }
        drop(service);
        self.shadow = None;
        true
    }

    /// A copy of what is on its disk now.
    pub fn image(&self) -> Vec<u8> {
        self.disk.image()
    }

    pub(super) fn put_back(&mut self, image: Vec<u8>) {
        self.service = None;
        self.shadow = None;
        self.disk = MemoryDisk::from_image(image);
    }

    /// Takes one request; gives the answer and whom it wakes.
    pub(super) fn ask(
        &mut self,
        from: &PeerName,
        request: Vec<u8>,
        now: Timestamp,
        moment: Duration,
    ) -> Option<(Vec<u8>, Vec<PeerName>)> {
        let now = now.minus_millis(self.behind_ms);
        self.requests += 1;
        self.next += 1;
        let input =
            |request: Vec<u8>| RelayInput::Request { token: RelayToken(self.next), from: from.clone(), request };
        if let Some((_, reason)) = self.refuses.filter(|(kind, _)| is_of(&request, *kind)) {
            let refusal = Refusal { reason, retry_after_ms: 1_000, nonce: None };
            return Some((Answer::Refused(refusal).encode(), Vec::new()));
        }
        if let Some(trap) = self.trap.take_if(|trap| is_of(&request, trap.kind)) {
            if trap.carried_out {
                self.service.as_mut()?.turn(vec![input(request)], Vec::new(), now, moment);
            }
            self.crash();
            return None;
        }
        if let Some(shadow) = &mut self.shadow {
            let mut shown = shadow.turn(vec![input(request.clone())], Vec::new(), now, moment);
            let answer = shown.answers.pop()?.1;
            if is_custody(&answer) && self.rng.next_u64().is_multiple_of(2) {
                self.dropped += 1;
                self.lies += 1;
                return Some((answer, Vec::new()));
            }
        }
        let mut turn = self.service.as_mut()?.turn(vec![input(request.clone())], Vec::new(), now, moment);
        let answer = turn.answers.pop()?.1;
        if let Some(heard) = &mut self.heard {
            heard.push(Heard { at: now, from: from.clone(), request, answer: answer.clone() });
        }
        self.signed += u64::from(is_custody(&answer));
        let told = self.twist(answer.clone());
        self.lies += u64::from(told != answer);
        Some((told, turn.wake.into_iter().collect()))
    }

    /// What a bad relay makes of an honest answer.
    fn twist(&mut self, answer: Vec<u8>) -> Vec<u8> {
        let roll = self.rng.next_u64();
        match (self.character, Answer::decode(&answer)) {
            (Character::Delays, Ok(Answer::Page(page))) if roll.is_multiple_of(2) => {
                Answer::Page(Page { items: Vec::new(), more: false, ..page }).encode()
            }
            (Character::Reorders, Ok(Answer::Page(mut page))) => {
                let places: Vec<_> = page.items.iter().map(|item| item.cursor).collect();
                for n in (1..page.items.len()).rev() {
                    page.items.swap(n, (self.rng.next_u64() % (n as u64 + 1)) as usize);
                }
                for (item, cursor) in page.items.iter_mut().zip(places) {
                    item.cursor = cursor;
                }
                Answer::Page(page).encode()
            }
            (Character::Replays, Ok(Answer::Page(page))) if !page.items.is_empty() => {
                self.pages.push(answer.clone());
                let old = (roll % self.pages.len() as u64) as usize;
                if roll.is_multiple_of(3) { self.pages[old].clone() } else { answer }
            }
            (Character::Replays, Ok(Answer::Custody(_))) => {
                self.receipts.push(answer.clone());
                let old = (roll % self.receipts.len() as u64) as usize;
                if !roll.is_multiple_of(3) {
                    return answer;
                }
                self.false_receipts += u64::from(self.receipts[old] != answer);
                self.receipts[old].clone()
            }
            (Character::OldHeads, Ok(Answer::Kept(found))) if found.iter().any(Option::is_some) => {
                self.kept.get_or_insert(answer).clone()
            }
            _ => answer,
        }
    }
}

impl super::World {
    /// A disk of a relay that never held anything.
    pub fn empty_relay(&self) -> Vec<u8> {
        Relay::create(0, self.seed).image()
    }

    /// The nonce that a relay has for somebody.
    pub fn nonce_at(&mut self, relay: usize, from: &PeerName) -> Nonce {
        let hello = Hello { challenge: [7; 16] };
        let Ok(Answer::Welcome(bytes)) = Answer::decode(&self.ask_relay(relay, from, hello.encode()).unwrap()) else {
            panic!("no welcome")
        };
        Welcome::verify(&bytes, &self.relays[relay].id(), &hello, &self.relays[relay].peer().0).unwrap().nonce
    }
}

fn is_custody(answer: &[u8]) -> bool {
    matches!(Answer::decode(answer), Ok(Answer::Custody(_)))
}
