//! A second, plain implementation of the responder: written from SPEC.md with raw primitives alone, so that a change of
//! any format or derivation is noticed. Keeps every message in its chain's order apart from what it is told to skip.

use super::primitives::*;
use ml_kem::{
    DecapsulationKey768, EncapsulationKey768,
    kem::{Decapsulate, Encapsulate},
};
use std::collections::BTreeMap;

fn x25519(secret: &[u8; 32], public: &[u8]) -> [u8; 32] {
    let public: [u8; 32] = public.try_into().unwrap();
    x25519_dalek::x25519(*secret, public)
}

fn public(secret: &[u8; 32]) -> [u8; 32] {
    x25519_dalek::x25519(*secret, x25519_dalek::X25519_BASEPOINT_BYTES)
}

/// HPKE base mode (RFC 9180 sections 4 and 5) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
fn hpke_open(secret: &[u8; 32], enc: &[u8], info: &[u8], aad: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let extract = |suite: &[u8], salt: &[u8], label: &str, input: &[u8]| {
        hmac(salt, &[b"HPKE-v1", suite, label.as_bytes(), input].concat())
    };
    let derive = |suite: &[u8], prk: &[u8; 32], label: &str, info: &[u8], length: u16| {
        let info = [length.to_be_bytes().as_slice(), b"HPKE-v1", suite, label.as_bytes(), info].concat();
        expand(prk, &info, usize::from(length))
    };
    let kem = [b"KEM".as_slice(), &[0x00, 0x20]].concat();
    let suite = [b"HPKE".as_slice(), &[0x00, 0x20, 0x00, 0x01, 0x00, 0x02]].concat();
    let prk = extract(&kem, &[], "eae_prk", &x25519(secret, enc));
    let shared = derive(&kem, &prk, "shared_secret", &[enc, &public(secret)].concat(), 32);
    let psk = extract(&suite, &[], "psk_id_hash", &[]);
    let context = [[0].as_slice(), &psk, &extract(&suite, &[], "info_hash", info)].concat();
    let secret = extract(&suite, &shared, "secret", &[]);
    let key = derive(&suite, &secret, "key", &context, 32);
    gcm_open(&key, &derive(&suite, &secret, "base_nonce", &context, 12), aad, ciphertext)
}

/// Opens an envelope; gives body kind and body.
pub(crate) fn open_envelope(mailbox: &[u8; 32], envelope: &[u8]) -> (u64, Vec<u8>) {
    let envelope = Fields::read(envelope);
    assert_eq!((envelope.number(1), envelope.number(2)), (1, 1), "version, suite");
    let day = (envelope.number(3) as u32).to_be_bytes();
    let aad = transcript("kith/v1/envelope", &[&1u32.to_be_bytes(), &1u32.to_be_bytes(), &day]);
    let padded = hpke_open(mailbox, envelope.bytes(4), b"kith/v1/envelope", &aad, envelope.bytes(5));
    assert!(padded.len().is_power_of_two() && padded.len() >= 256);
    let length = u32::from_be_bytes(padded[..4].try_into().unwrap()) as usize;
    assert!(padded[4 + length..].iter().all(|b| *b == 0));
    let sum = Fields::read(&padded[4..4 + length]);
    (sum.number(1), sum.bytes(2).to_vec())
}

/// The responder's keys.
pub(crate) struct Keys {
    pub(crate) account: [u8; 32],
    pub(crate) device: [u8; 32],
    pub(crate) dh: [u8; 32],
    pub(crate) signed_prekey: [u8; 32],
    pub(crate) kem_seed: [u8; 64],
    pub(crate) one_time: [u8; 32],
}

/// The responder in its session.
pub(crate) struct Plain {
    keys: Keys,
    peer_account: Vec<u8>,
    peer_device: Vec<u8>,
    transcript: [u8; 32],
    root: Vec<u8>,
    /// Our newest ratchet secret and what its chain sent: chain key, number of the next.
    ours: [u8; 32],
    sending: Option<(Vec<u8>, u32)>,
    previous: u32,
    their_key: Vec<u8>,
    receiving: Vec<u8>,
    received: u32,
    skipped: BTreeMap<(Vec<u8>, u32), [u8; 32]>,
    /// An offer to be answered, and the answer while its chain goes on.
    offered: Vec<u8>,
    answer: Vec<u8>,
    steps: u32,
}

impl Plain {
    /// Makes the session out of an initial message; gives its first plaintext too.
    pub(crate) fn respond(keys: Keys, body: &[u8]) -> (Self, Vec<u8>) {
        let m = Fields::read(body);
        assert_eq!((m.number(1), m.number(2)), (1, 1), "version, suite");
        assert_eq!((m.bytes(6), m.bytes(7)), (keys.account.as_slice(), keys.device.as_slice()));
        let kem = DecapsulationKey768::from_seed(keys.kem_seed.into());
        let ciphertext: [u8; 1088] = m.bytes(13).try_into().unwrap();
        let shared: [u8; 32] = kem.decapsulate(&ciphertext.into()).into();
        let one_time_id = m.optional(10).map(|id| (id as u32).to_be_bytes());
        let one_time_public = public(&keys.one_time);
        let mut fields: Vec<Vec<u8>> = vec![
            1u32.to_be_bytes().to_vec(),
            1u32.to_be_bytes().to_vec(),
            m.bytes(3).to_vec(),
            m.bytes(4).to_vec(),
            m.bytes(5).to_vec(),
            keys.account.to_vec(),
            keys.device.to_vec(),
            public(&keys.dh).to_vec(),
            m.bytes(8).to_vec(),
            (m.number(9) as u32).to_be_bytes().to_vec(),
            public(&keys.signed_prekey).to_vec(),
            ml_kem::kem::KeyExport::to_bytes(kem.encapsulation_key()).to_vec(),
        ];
        match &one_time_id {
            Some(id) => fields.extend([vec![1], id.to_vec(), vec![1], one_time_public.to_vec()]),
            None => fields.extend([vec![0], vec![0]]),
        }
        fields.extend([m.number(11).to_be_bytes().to_vec(), m.bytes(12).to_vec(), ciphertext.to_vec()]);
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let hash = sha256(&transcript("kith/v1/handshake", &fields));
        let mut input = vec![0xff; 32];
        input.extend(x25519(&keys.signed_prekey, m.bytes(5)));
        input.extend(x25519(&keys.dh, m.bytes(12)));
        input.extend(x25519(&keys.signed_prekey, m.bytes(12)));
        if one_time_id.is_some() {
            input.extend(x25519(&keys.one_time, m.bytes(12)));
        }
        input.extend(shared);
        let root = hkdf(&[], &input, &[b"kith/v1/handshake".as_slice(), &hash].concat(), 32);
        let mut plain = Self {
            peer_account: m.bytes(3).to_vec(),
            peer_device: m.bytes(4).to_vec(),
            transcript: hash,
            root,
            ours: keys.signed_prekey,
            keys,
            sending: None,
            previous: 0,
            their_key: Vec::new(),
            receiving: Vec::new(),
            received: 0,
            skipped: BTreeMap::new(),
            offered: Vec::new(),
            answer: Vec::new(),
            steps: 0,
        };
        let first = plain.open(m.bytes(14));
        (plain, first)
    }

    /// Returns the ratchet message inside an initial message.
    pub(crate) fn inner(body: &[u8]) -> Vec<u8> {
        Fields::read(body).bytes(14).to_vec()
    }

    fn ad(&self, from_us: bool, header: &[u8]) -> Vec<u8> {
        let (us, them) = ([&self.keys.account[..], &self.keys.device], [&self.peer_account[..], &self.peer_device]);
        let [[a, b], [c, d]] = if from_us { [us, them] } else { [them, us] };
        transcript("kith/v1/ratchet/ad", &[&self.transcript, &1u32.to_be_bytes(), a, b, c, d, header])
    }

    fn message_key(seed: &[u8], salt: &[u8], ad: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let info = [b"kith/v1/ratchet/message".as_slice(), &sha256(ad)].concat();
        let okm = hkdf(salt, seed, &info, 44);
        (okm[..32].to_vec(), okm[32..].to_vec())
    }

    /// Makes a root step; `pq` is the ML-KEM secret with public key and ciphertext.
    fn root_step(&mut self, dh: [u8; 32], pq: Option<([u8; 32], &[u8], &[u8])>) -> Vec<u8> {
        let okm = match pq {
            None => hkdf(&self.root, &dh, b"kith/v1/ratchet/root", 64),
            Some((secret, key, ciphertext)) => {
                let bound = sha256(&[key, ciphertext].concat());
                let info = [b"kith/v1/ratchet/root-pq".as_slice(), &bound].concat();
                hkdf(&self.root, &[dh, secret].concat(), &info, 64)
            }
        };
        self.root = okm[..32].to_vec();
        okm[32..].to_vec()
    }

    fn next_seed(&mut self) -> [u8; 32] {
        let seed = hmac(&self.receiving, &[1]);
        self.receiving = hmac(&self.receiving, &[2]).to_vec();
        self.received += 1;
        seed
    }

    /// Opens a ratchet message.
    pub(crate) fn open(&mut self, bytes: &[u8]) -> Vec<u8> {
        let m = Fields::read(bytes);
        assert_eq!((m.bytes(1), m.bytes(2)), (&self.transcript[..16], self.peer_device.as_slice()));
        let h = Fields::read(m.bytes(3));
        let (key, number) = (h.bytes(1).to_vec(), h.number(3) as u32);
        let known = self.their_key == key || self.skipped.contains_key(&(key.clone(), number));
        if !known {
            while !self.their_key.is_empty() && self.received < h.number(2) as u32 {
                let (at, seed) = (self.received, self.next_seed());
                self.skipped.insert((self.their_key.clone(), at), seed);
            }
            assert!(h.bytes(7).is_empty(), "this side never offers");
            self.offered = h.bytes(6).to_vec();
            assert_eq!(h.number(5), u64::from(self.steps) + u64::from(!self.offered.is_empty()));
            self.receiving = self.root_step(x25519(&self.ours, &key), None);
            (self.their_key, self.received) = (key.clone(), 0);
            self.previous = self.sending.take().map_or(0, |(_, next)| next);
        }
        let seed = match self.skipped.remove(&(key.clone(), number)) {
            Some(seed) => seed,
            None => {
                while self.received < number {
                    let (at, seed) = (self.received, self.next_seed());
                    self.skipped.insert((key.clone(), at), seed);
                }
                self.next_seed()
            }
        };
        let ad = self.ad(false, m.bytes(3));
        let (key, nonce) = Self::message_key(&seed, h.bytes(4), &ad);
        gcm_open(&key, &nonce, &ad, m.bytes(4))
    }

    /// Seals a ratchet message; `fresh` is the ratchet secret if a chain begins, `salt` the message's.
    pub(crate) fn seal(
        &mut self,
        plaintext: &[u8],
        fresh: [u8; 32],
        salt: [u8; 16],
        rng: &mut impl rand_core::CryptoRng,
    ) -> Vec<u8> {
        if self.sending.is_none() {
            self.ours = fresh;
            let dh = x25519(&fresh, &self.their_key.clone());
            let offered = std::mem::take(&mut self.offered);
            self.answer.clear();
            let chain = if offered.is_empty() {
                self.root_step(dh, None)
            } else {
                let key: [u8; 1184] = offered.clone().try_into().unwrap();
                let (ciphertext, secret) = EncapsulationKey768::new(&key.into()).unwrap().encapsulate_with_rng(rng);
                self.answer = ciphertext.to_vec();
                self.steps += 1;
                let answer = self.answer.clone();
                self.root_step(dh, Some((secret.into(), &offered, &answer)))
            };
            self.sending = Some((chain, 0));
        }
        let (chain, number) = self.sending.take().unwrap();
        let mut header = Vec::new();
        put_bytes(&mut header, 1, &public(&self.ours));
        put_number(&mut header, 2, u64::from(self.previous));
        put_number(&mut header, 3, u64::from(number));
        put_bytes(&mut header, 4, &salt);
        put_number(&mut header, 5, u64::from(self.steps));
        put_bytes(&mut header, 7, &self.answer);
        let ad = self.ad(true, &header);
        let (key, nonce) = Self::message_key(&hmac(&chain, &[1]), &salt, &ad);
        let ciphertext = gcm_seal(&key, &nonce, &ad, plaintext);
        self.sending = Some((hmac(&chain, &[2]).to_vec(), number + 1));
        let mut message = Vec::new();
        put_bytes(&mut message, 1, &self.transcript[..16]);
        put_bytes(&mut message, 2, &self.keys.device);
        put_bytes(&mut message, 3, &header);
        put_bytes(&mut message, 4, &ciphertext);
        message
    }
}
