//! People for the tests of sessions: what an app would hold, and the state of its last commit.

mod attacks;
mod basics;
pub(crate) mod hooks;
mod hostile;
mod impostors;
mod meeting;
mod property;
mod rekey;

use super::*;
use crate::{
    Day, Timestamp,
    crypto::kem::KemSecret,
    mailbox::{EnvelopeBody, envelope},
    prekey::SUITE,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::collections::{BTreeMap, BTreeSet};

/// The time at which every test begins.
pub(super) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(super) const DAY_MS: u64 = 86_400_000;

pub(super) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// One device with its keys, and its committed sessions with each peer device.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    pub(super) dh: DhSecret,
    pub(super) dh_public: DhPublic,
    pub(super) mailbox: DhSecret,
    pub(super) prekeys: BTreeMap<u32, OwnPrekey>,
    pub(super) one_time: BTreeMap<u32, DhSecret>,
    pub(super) seen: BTreeSet<SessionId>,
    pub(super) sessions: BTreeMap<DeviceId, Sessions>,
    pub(super) now: Timestamp,
    pub(super) rng: ChaCha20Rng,
}

impl OwnKeys for Person {
    fn signed_prekey(&self, id: u32) -> Option<OwnPrekey> {
        self.prekeys.get(&id).cloned()
    }

    fn one_time(&self, id: u32) -> Option<DhSecret> {
        self.one_time.get(&id).cloned()
    }

    fn seen(&self, session: &SessionId) -> bool {
        self.seen.contains(session)
    }
}

impl Person {
    pub(super) fn new(name: u8) -> Self {
        let mut rng = rng(u64::from(name));
        let dh = DhSecret::random(&mut rng);
        let prekey = OwnPrekey { dh: DhSecret::random(&mut rng), kem: KemSecret::random(&mut rng) };
        Self {
            account: AccountId::from_bytes([name; 32]),
            device: DeviceId::from_bytes([name ^ 0x80; 32]),
            dh_public: dh.public(),
            dh,
            mailbox: DhSecret::random(&mut rng),
            prekeys: [(7, prekey)].into(),
            one_time: [(40, DhSecret::random(&mut rng))].into(),
            seen: BTreeSet::new(),
            sessions: BTreeMap::new(),
            now: START,
            rng,
        }
    }

    pub(super) fn local(&self) -> LocalDevice<'_> {
        LocalDevice { account: self.account, device: self.device, dh: &self.dh }
    }

    pub(super) fn peer(&self) -> PeerDevice {
        PeerDevice { account: self.account, device: self.device, dh: self.dh_public }
    }

    /// What its bundle says, with a one-time key if it has one left.
    pub(super) fn keys(&self) -> PeerKeys {
        let (id, prekey) = self.prekeys.last_key_value().unwrap();
        PeerKeys {
            suite: SUITE,
            bundle_id: [0xb0; 32],
            signed_prekey_id: *id,
            signed_prekey: prekey.dh.public(),
            kem_prekey: prekey.kem.public(),
            one_time: self.one_time.first_key_value().map(|(id, key)| (*id, key.public())),
        }
    }

    pub(super) fn with(&self, peer: &PeerDevice) -> Sessions {
        self.sessions.get(&peer.device).cloned().unwrap_or_else(|| Sessions::new(*peer))
    }

    /// Begins a session and commits.
    pub(super) fn initiate(&mut self, to: &Person, text: &str) -> EnvelopeBody {
        self.initiate_with(to, &to.keys(), text)
    }

    pub(super) fn initiate_with(&mut self, to: &Person, keys: &PeerKeys, text: &str) -> EnvelopeBody {
        let (sessions, now, mut rng) = (self.with(&to.peer()), self.now, self.rng.clone());
        let step = sessions.initiate(&self.local(), keys, text.as_bytes(), now, &mut rng).unwrap();
        self.rng = rng;
        self.sessions.insert(to.device, step.sessions);
        step.message
    }

    /// Seals in the session that is sent in, and commits.
    pub(super) fn seal(&mut self, to: &Person, text: &str) -> EnvelopeBody {
        let (sessions, now, mut rng) = (self.with(&to.peer()), self.now, self.rng.clone());
        let step = sessions.seal(&self.local(), text.as_bytes(), now, &mut rng).unwrap();
        self.rng = rng;
        self.sessions.insert(to.device, step.sessions);
        step.message
    }

    /// Seals, beginning a session where there is none.
    pub(super) fn send(&mut self, to: &Person, text: &str) -> EnvelopeBody {
        match self.with(&to.peer()).status(self.now) {
            Status::None => self.initiate(to, text),
            _ => self.seal(to, text),
        }
    }

    /// Opens without committing.
    pub(super) fn try_open(&self, from: &Person, body: &EnvelopeBody) -> Result<OpenStep, open::Error> {
        let inbound = Inbound::decode(body)?;
        self.with(&from.peer()).open(&self.local(), self, &inbound, self.now)
    }

    /// Opens and commits; on an error checks that nothing moved.
    pub(super) fn open(&mut self, from: &Person, body: &EnvelopeBody) -> Result<String, open::Error> {
        let before = self.clone();
        match self.try_open(from, body) {
            Ok(step) => {
                self.commit(&step);
                Ok(String::from_utf8(step.payload.to_vec()).unwrap())
            }
            Err(error) => {
                assert_eq!(before.state(), self.state(), "{error}: nothing may move");
                Err(error)
            }
        }
    }

    pub(super) fn commit(&mut self, step: &OpenStep) {
        self.sessions.insert(step.sender.device, step.sessions.clone());
        if let Some(begun) = &step.begun {
            self.seen.insert(begun.session);
            if let Some(id) = begun.one_time_id {
                assert!(self.one_time.remove(&id).is_some());
            }
        }
    }

    /// Everything that is stored, as bytes.
    pub(super) fn state(&self) -> Vec<u8> {
        let rows: Vec<_> = self.sessions.values().map(StoredSessions::from).collect();
        let keys: Vec<_> = self.one_time.keys().copied().collect();
        let seen: Vec<_> = self.seen.iter().copied().collect();
        bincode::serde::encode_to_vec((rows, keys, seen), bincode::config::standard()).unwrap()
    }

    /// Goes through the stored form, as a restart does.
    pub(super) fn restart(&mut self) {
        for sessions in self.sessions.values_mut() {
            *sessions = restored(sessions);
        }
    }

    pub(super) fn session_in_use(&self, peer: &Person) -> SessionId {
        match self.with(&peer.peer()).status(self.now) {
            Status::Unanswered { session, .. } | Status::Established { session } => session,
            Status::None => panic!("no session in use"),
        }
    }
}

pub(super) fn restored(sessions: &Sessions) -> Sessions {
    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(StoredSessions::from(sessions), config).unwrap();
    let (stored, read): (StoredSessions, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
    assert_eq!(read, bytes.len());
    Sessions::try_from(&stored).unwrap()
}

/// Alice and Bob, who know each other's bundle and have not spoken.
pub(super) fn strangers() -> (Person, Person) {
    (Person::new(1), Person::new(2))
}

/// Alice and Bob after one message each way.
pub(super) fn friends() -> (Person, Person) {
    let (mut alice, mut bob) = strangers();
    let hello = alice.initiate(&bob, "hello");
    assert_eq!(bob.open(&alice, &hello).unwrap(), "hello");
    let answer = bob.seal(&alice, "hello yourself");
    assert_eq!(alice.open(&bob, &answer).unwrap(), "hello yourself");
    (alice, bob)
}

/// Carries a body through an envelope to the recipient's mailbox key.
pub(super) fn through_envelope(to: &Person, body: &EnvelopeBody) -> EnvelopeBody {
    let bytes = envelope::seal(&to.mailbox.public(), Day(1), body, &mut rng(99)).unwrap();
    envelope::open(&bytes, |_| Some(to.mailbox.clone())).unwrap()
}

/// X25519 public keys that no handshake may take: low order, not canonical, high bit set, with torsion.
pub(crate) fn bad_points() -> Vec<[u8; 32]> {
    let hex = |text: &str| -> [u8; 32] { data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap() };
    let mut points = vec![
        [0; 32],
        hex("0100000000000000000000000000000000000000000000000000000000000000"),
        hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ];
    let honest = *DhSecret::from_bytes([5; 32]).public().as_bytes();
    let mut high = honest;
    high[31] |= 0x80;
    points.push(high);
    // The same key plus a point of order 8, computed apart from this crate.
    assert_eq!(honest, hex("50a61409b1ddd0325e9b16b700e719e9772c07000b1bd7786e907c653d20495d"));
    points.push(hex("7eba72f2a1f0c44f925704f34d02b55ee9997bd1b7e2e56dd321a55e1d27fa61"));
    points
}
