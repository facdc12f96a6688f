//! A second, plain implementation of a channel's messages: written from SPEC.md ("Channels: Messages") with raw primitives
//! alone, so that a change of any format or derivation is noticed.

use super::primitives::*;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// Derives the chain key of a sender from the root of the tree over `n` of them.
pub(crate) fn leaf(root: &[u8], n: u32, place: u32) -> Vec<u8> {
    let (mut secret, mut start, mut end) = (root.to_vec(), 0, n);
    while end - start > 1 {
        let middle = start + (end - start) / 2;
        if place < middle {
            end = middle;
        } else {
            start = middle;
        }
        let info = transcript("kith/v1/channel/sender-tree", &[&start.to_be_bytes(), &end.to_be_bytes()]);
        secret = hkdf(&[], &secret, &info, 32);
    }
    secret
}

/// Derives the seed of a generation of a chain.
pub(crate) fn seed(chain: &[u8], generation: u32) -> [u8; 32] {
    let last = (0..generation).fold(chain.to_vec(), |key, _| hmac(&key, &[2]).to_vec());
    hmac(&last, &[1])
}

/// Derives one of a lineage's keys.
pub(crate) fn lineage(secret: &[u8], part: &str) -> Vec<u8> {
    hkdf(&[], secret, format!("kith/v1/channel/lineage-{part}").as_bytes(), 32)
}

/// Where a message stands.
pub(crate) struct Place {
    pub(crate) channel: [u8; 32],
    pub(crate) epoch: [u8; 32],
    pub(crate) recipients: [u8; 32],
    pub(crate) account: [u8; 32],
    pub(crate) device: [u8; 32],
    pub(crate) sender: u32,
    pub(crate) generation: u32,
}

/// What is drawn for a message.
#[derive(Clone)]
pub(crate) struct Drawn {
    pub(crate) salt: Vec<u8>,
    pub(crate) com_key: Vec<u8>,
}

/// Every value on the way to a frame.
pub(crate) struct Steps {
    pub(crate) associated: Vec<u8>,
    pub(crate) commitment: Vec<u8>,
    pub(crate) hash: [u8; 32],
    pub(crate) key: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) header: Vec<u8>,
    pub(crate) frame: Vec<u8>,
}

fn number(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

impl Place {
    fn associated(&self, slot: u32, salt: &[u8]) -> Vec<u8> {
        let Self { channel, epoch, recipients, account, device, sender: _, generation } = self;
        let fields: [&[u8]; 9] =
            [&number(1), channel, epoch, recipients, account, device, &number(*generation), &number(slot), salt];
        transcript("kith/v1/channel/message", &fields)
    }

    fn message_key(&self, seed: &[u8], slot: u32, salt: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let hash = sha256(&self.associated(slot, salt));
        let okm = hkdf(salt, seed, &[b"kith/v1/channel/message-key".as_slice(), &hash].concat(), 44);
        (okm[..32].to_vec(), okm[32..].to_vec())
    }

    fn signed(&self, slot: u32, drawn: &Drawn, padded: &[u8]) -> Vec<u8> {
        [sha256(&self.associated(slot, &drawn.salt)), hmac(&drawn.com_key, padded)].concat()
    }

    /// Seals an event's bytes as a frame.
    pub(crate) fn seal(&self, lineage: &[u8], seed: &[u8], event: &[u8], drawn: &Drawn, device: [u8; 32]) -> Steps {
        let slot = (Fields::read(event).number(5) / 600_000) as u32;
        let padded = pad(event);
        let signed = self.signed(slot, drawn, &padded);
        let signature = SigningKey::from_bytes(&device).sign(&under_label(&signed));
        let associated = self.associated(slot, &drawn.salt);
        let (key, nonce) = self.message_key(seed, slot, &drawn.salt);
        let plain = [padded, drawn.com_key.clone(), signature.to_bytes().to_vec()].concat();
        let header = [self.epoch.as_slice(), &number(self.sender), &number(self.generation)].concat();
        let (header_key, header_nonce, header_aad) = header_key(lineage, slot, &drawn.salt);
        let header = gcm_seal(&header_key, &header_nonce, &header_aad, &header);
        let mut frame = Vec::new();
        put_number(&mut frame, 1, 1);
        put_number(&mut frame, 2, u64::from(slot));
        put_bytes(&mut frame, 3, &drawn.salt);
        put_bytes(&mut frame, 4, &header);
        put_bytes(&mut frame, 5, &gcm_seal(&key, &nonce, &associated, &plain));
        let commitment = signed[32..].to_vec();
        let hash = sha256(&transcript("kith/v1/channel/message-id", &[&signed]));
        Steps { associated, commitment, hash, key, nonce, header, frame }
    }

    /// Opens a frame that stands here; gives the event's bytes and the message's hash.
    pub(crate) fn open(&self, lineage: &[u8], seed: &[u8], frame: &[u8], device: [u8; 32]) -> (Vec<u8>, [u8; 32]) {
        let frame = Fields::read(frame);
        assert_eq!(frame.number(1), 1, "version");
        let (slot, salt) = (frame.number(2) as u32, frame.bytes(3));
        let (key, nonce, aad) = header_key(lineage, slot, salt);
        let header = gcm_open(&key, &nonce, &aad, frame.bytes(4));
        let expected = [self.epoch.as_slice(), &number(self.sender), &number(self.generation)].concat();
        assert_eq!(header, expected);
        let (key, nonce) = self.message_key(seed, slot, salt);
        let plain = gcm_open(&key, &nonce, &self.associated(slot, salt), frame.bytes(5));
        let (padded, trailer) = plain.split_at(plain.len() - 96);
        let drawn = Drawn { salt: salt.to_vec(), com_key: trailer[..32].to_vec() };
        let signed = self.signed(slot, &drawn, padded);
        let signature = Signature::from_slice(&trailer[32..]).unwrap();
        let device: VerifyingKey = SigningKey::from_bytes(&device).verifying_key();
        device.verify_strict(&under_label(&signed), &signature).unwrap();
        let length = u32::from_be_bytes(padded[..4].try_into().unwrap()) as usize;
        assert_eq!(padded, pad(&padded[4..4 + length]));
        (padded[4..4 + length].to_vec(), sha256(&transcript("kith/v1/channel/message-id", &[&signed])))
    }
}

fn header_key(lineage_secret: &[u8], slot: u32, salt: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let aad = transcript("kith/v1/channel/header", &[&number(1), &number(slot), salt]);
    let okm = hkdf(salt, &lineage(lineage_secret, "header"), &aad, 44);
    (okm[..32].to_vec(), okm[32..].to_vec(), aad)
}

fn under_label(signed: &[u8]) -> Vec<u8> {
    [b"kith/v1/channel/message\0".as_slice(), signed].concat()
}

/// Pads to 256 bytes doubled as often as needed.
fn pad(event: &[u8]) -> Vec<u8> {
    let mut padded = [(event.len() as u32).to_be_bytes().as_slice(), event].concat();
    padded.resize(padded.len().max(256).next_power_of_two(), 0);
    padded
}
