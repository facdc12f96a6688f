//! Somebody who holds valid keys and does with them what no honest node does.

use super::Node;
use kith_node::net::Frame;
use kith_protocol::{
    RecordKey, Timestamp,
    content::{self, Body, Content, Conversation},
    identity::{
        Account, DeviceLog, DeviceSecrets, ReachSecret,
        device_log::{Signer, prove_admission},
    },
    limits,
    mailbox::{EnvelopeBody, envelope},
    prekey::{Bundle, Certificates, DescriptorParts},
    session::{Introduction, LocalDevice, Payload, PeerDevice, PeerKeys, Sessions},
    wire::{Extensions, Signed},
};
use kith_store::{
    RawRows, Rows,
    table::{Device, OwnIdentity, OwnProfile},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng},
};

/// An account and device in a stranger's own hands.
pub struct Forger {
    /// The account.
    pub account: Account,
    /// The device's keys.
    pub device: DeviceSecrets,
    /// The device log.
    pub log: DeviceLog,
    /// The reach secret that introductions name.
    pub reach: [u8; 16],
    /// Where chance comes from.
    pub rng: ChaCha20Rng,
}

impl Forger {
    /// Somebody new.
    pub fn fresh(mut rng: ChaCha20Rng, now: Timestamp) -> Self {
        let account = Account::generate(&mut rng);
        let device = DeviceSecrets::generate(&mut rng);
        let log = DeviceLog::genesis(&account, &device, now).unwrap();
        Self { account, device, log, reach: [3; 16], rng }
    }

    /// The same account speaking through another device; what it says of its log is this log.
    pub fn another_device(&mut self, device: DeviceSecrets) -> Self {
        let account = Account::from_stored(&self.account.to_stored());
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        Self { account, device, log: self.log.clone(), reach: self.reach, rng: ChaCha20Rng::from_seed(seed) }
    }

    /// Signs two operations with one predecessor, and says both from now on; returns them.
    pub fn fork(&mut self, now: Timestamp) -> [Signed; 2] {
        let by = Signer::Device(&self.device);
        let ops = [7, 8].map(|limit| self.log.set_limit(by, limit, now).unwrap());
        self.log = self.log.merge(&ops, now).unwrap().0;
        assert!(self.log.is_frozen());
        ops
    }

    /// Makes the operation that admits another device.
    pub fn admit(&mut self, device: &DeviceSecrets, now: Timestamp) -> Signed {
        let proof = prove_admission(&self.log.next_place(), device, false);
        self.log.admit(Signer::Device(&self.device), device.info(), false, proof, now).unwrap()
    }

    /// Makes the records of a descriptor for the device, whose bundle is as others know it.
    pub fn records(
        &mut self,
        bundle: &Bundle,
        (peer, addresses): (&str, &[String]),
        sequence: u64,
        now: Timestamp,
    ) -> Vec<(RecordKey, Vec<u8>)> {
        let reach = ReachSecret::from_bytes(self.reach);
        let slot = self.log.slot(&self.device.id()).unwrap();
        let mut certificates = Certificates::default();
        certificates.renew(&self.account, &reach, slot, now, &mut self.rng).unwrap();
        let parts = DescriptorParts {
            bundle: &Signed::decode(&bundle.encode(), limits::BUNDLE_MAX).unwrap(),
            log: &self.log,
            peer_id: peer.as_bytes(),
            addresses,
            mailboxes: &[],
            sequence,
        };
        parts.publish(&self.account.id(), &reach, &certificates, now, &mut self.rng).unwrap()
    }

    pub(super) fn of(rows: &dyn RawRows, rng: ChaCha20Rng) -> Self {
        let own = rows.row::<OwnIdentity>(&OwnIdentity::only()).unwrap().unwrap();
        let reach = rows.row::<OwnProfile>(&OwnProfile::only()).unwrap().unwrap().reach;
        let account = Account::from_stored(&own.account);
        let log = DeviceLog::decode(account.id(), &own.log, Timestamp::from_millis(u64::MAX)).unwrap();
        Self { account, device: DeviceSecrets::from_stored(&own.device), log, reach, rng }
    }

    /// Content that is in order: alter it before it is sealed.
    pub fn content(&mut self, to: &Node, body: Body, now: Timestamp) -> Content {
        Content {
            id: content::new_id(&mut self.rng),
            conversation: Conversation::Person(to.account),
            sender_account: self.account.id(),
            sender_device: self.device.id(),
            sequence: now.as_millis(),
            previous: None,
            sent_at: now,
            expires_after_ms: None,
            body,
            extensions: Extensions::default(),
        }
    }

    /// Seals content as the first message of a new session.
    pub fn seal(&mut self, to: &Target, content: &Content, now: Timestamp) -> Frame {
        let bytes = content.encode().unwrap().to_vec();
        self.seal_bytes(to, bytes, now)
    }

    /// Seals whatever bytes in the place of content.
    pub fn seal_bytes(&mut self, to: &Target, content: Vec<u8>, now: Timestamp) -> Frame {
        let payload = self.payload(content);
        self.seal_payload(to, &payload, now)
    }

    /// Makes a payload around content, which introduces the device.
    pub fn payload(&self, content: Vec<u8>) -> Vec<u8> {
        let introduction = Some(Introduction {
            device_log: self.log.signed_ops().iter().map(|op| op.encode()).collect(),
            reach_secret: ReachSecret::from_bytes(self.reach),
            hints: Vec::new(),
            mailboxes: Vec::new(),
            name: "forger".into(),
        });
        let head = self.log.head();
        let payload =
            Payload { content, sender_log: head, recipient_log: head, introduction, extensions: Extensions::default() };
        payload.encode().to_vec()
    }

    /// Seals whatever bytes in the place of a payload.
    pub fn seal_payload(&mut self, to: &Target, payload: &[u8], now: Timestamp) -> Frame {
        let message = self.first_message(to, payload, now);
        self.wrap(to, &message, now)
    }

    /// Makes the first message of a new session.
    pub fn first_message(&mut self, to: &Target, payload: &[u8], now: Timestamp) -> EnvelopeBody {
        let us = LocalDevice::new(self.account.id(), &self.device);
        let keys = PeerKeys::new(&to.bundle, None);
        Sessions::new(to.device).initiate(&us, &keys, payload, now, &mut self.rng).unwrap().message
    }

    /// Puts a message into an envelope of its own.
    pub fn wrap(&mut self, to: &Target, message: &EnvelopeBody, now: Timestamp) -> Frame {
        let outer = to.mailbox.as_ref().unwrap_or(&to.bundle);
        let (key, day) = (outer.mailbox_key(), outer.mailbox_day());
        let envelope = envelope::seal(key, day, message, &mut self.rng).unwrap();
        Frame { tag: [0; 16], expires: now.plus_days(30), envelope }
    }
}

/// A device as those who wrote to it know it.
pub struct Target {
    /// The device.
    pub device: PeerDevice,
    /// Its bundle.
    pub bundle: Bundle,
    /// Another bundle whose mailbox key the envelope is sealed to, if not the same.
    pub mailbox: Option<Bundle>,
}

impl Target {
    /// What a node knows of another's device.
    pub fn known_to(node: &Node, other: &Node, now: Timestamp) -> Self {
        let row = node.read(|rows| rows.row::<Device>(&Device::key_of(&other.device)).unwrap()).unwrap();
        let info = kith_protocol::identity::DeviceInfo::parse(&row.sign, &row.dh).unwrap();
        let bundle = Bundle::verify(row.bundle.as_deref().unwrap(), &other.account, &info, now).unwrap();
        Self { device: PeerDevice::new(other.account, &info), bundle, mailbox: None }
    }
}
