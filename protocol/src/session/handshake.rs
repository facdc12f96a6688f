//! The handshake: X25519 three or four times and ML-KEM-768 once, everything public bound into the derivation
//! (after Signal's PQXDH, revision 3, sections 3.3 and 4.10). Must not know the ratchet that follows.

use super::{
    LocalDevice, OwnKeys, PeerDevice, PeerKeys, SessionId,
    header::{RatchetMessage, handshake_key},
    open,
    root::RootKey,
    seal,
};
use crate::{
    AccountId, DeviceId,
    crypto::{
        Secret,
        dh::{DhPublic, DhSecret},
        kdf::hkdf,
        kem::{KemCiphertext, KemPublic},
        label,
    },
    limits,
    prekey::SUITE,
    proto,
    wire::{self, Transcript},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The version of the initial message's format.
const VERSION: u32 = 1;

/// The public half of a handshake as the initiator sends it, again with every message until the first answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    pub(super) suite: u32,
    pub(super) sender: PeerDevice,
    pub(super) recipient_account: AccountId,
    pub(super) recipient_device: DeviceId,
    pub(super) bundle_id: [u8; 32],
    pub(super) signed_prekey_id: u32,
    pub(super) one_time_id: Option<u32>,
    pub(super) rank: u64,
    pub(super) ephemeral: DhPublic,
    pub(super) kem_ciphertext: KemCiphertext,
}

/// What a handshake gives to both sides.
pub(super) struct Agreed {
    pub(super) transcript: [u8; 32],
    pub(super) root: RootKey,
}

/// The recipient's public keys that a handshake uses.
struct RecipientKeys<'a> {
    dh: &'a DhPublic,
    signed_prekey: &'a DhPublic,
    kem_prekey: &'a KemPublic,
    one_time: Option<&'a DhPublic>,
}

impl Handshake {
    /// Makes the initiator's half.
    pub(super) fn initiate(
        us: &LocalDevice<'_>,
        peer: &PeerDevice,
        keys: &PeerKeys,
        rank: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Agreed), seal::Error> {
        let ephemeral = DhSecret::random(rng);
        let (kem_ciphertext, kem_shared) = keys.kem_prekey.encapsulate(rng);
        let handshake = Self {
            suite: keys.suite,
            sender: us.public(),
            recipient_account: peer.account,
            recipient_device: peer.device,
            bundle_id: keys.bundle_id,
            signed_prekey_id: keys.signed_prekey_id,
            one_time_id: keys.one_time.map(|(id, _)| id),
            rank,
            ephemeral: ephemeral.public(),
            kem_ciphertext,
        };
        let weak = |_| seal::Error::WeakKey;
        let secrets = Secrets {
            identity_prekey: us.dh.agree(&keys.signed_prekey).map_err(weak)?,
            ephemeral_identity: ephemeral.agree(&peer.dh).map_err(weak)?,
            ephemeral_prekey: ephemeral.agree(&keys.signed_prekey).map_err(weak)?,
            one_time: keys.one_time.map(|(_, key)| ephemeral.agree(&key)).transpose().map_err(weak)?,
            kem: kem_shared,
        };
        let transcript = handshake.transcript(&RecipientKeys {
            dh: &peer.dh,
            signed_prekey: &keys.signed_prekey,
            kem_prekey: &keys.kem_prekey,
            one_time: keys.one_time.as_ref().map(|(_, key)| key),
        });
        Ok((handshake, secrets.derive(transcript)))
    }

    /// Makes the responder's half from our own keys; gives the signed prekey too, our first ratchet key.
    pub(super) fn respond(&self, us: &LocalDevice<'_>, keys: &impl OwnKeys) -> Result<(Agreed, DhSecret), open::Error> {
        let prekey = keys.signed_prekey(self.signed_prekey_id).ok_or(open::Error::StalePrekey)?;
        let one_time = match self.one_time_id {
            Some(id) => Some(keys.one_time(id).ok_or(open::Error::StalePrekey)?),
            None => None,
        };
        let weak = |_| open::Error::NotAuthentic;
        let secrets = Secrets {
            identity_prekey: prekey.dh.agree(&self.sender.dh).map_err(weak)?,
            ephemeral_identity: us.dh.agree(&self.ephemeral).map_err(weak)?,
            ephemeral_prekey: prekey.dh.agree(&self.ephemeral).map_err(weak)?,
            one_time: one_time.as_ref().map(|key| key.agree(&self.ephemeral)).transpose().map_err(weak)?,
            kem: prekey.kem.decapsulate(&self.kem_ciphertext),
        };
        let transcript = self.transcript(&RecipientKeys {
            dh: &us.dh.public(),
            signed_prekey: &prekey.dh.public(),
            kem_prekey: &prekey.kem.public(),
            one_time: one_time.as_ref().map(DhSecret::public).as_ref(),
        });
        Ok((secrets.derive(transcript), prekey.dh))
    }

    /// Hashes everything public: both accounts, both devices, all keys, suite, bundle and encapsulation (R-SES-1).
    fn transcript(&self, keys: &RecipientKeys<'_>) -> [u8; 32] {
        Transcript::new(label::HANDSHAKE)
            .u32(VERSION)
            .u32(self.suite)
            .field(self.sender.account.as_bytes())
            .field(self.sender.device.as_bytes())
            .field(self.sender.dh.as_bytes())
            .field(self.recipient_account.as_bytes())
            .field(self.recipient_device.as_bytes())
            .field(keys.dh.as_bytes())
            .field(&self.bundle_id)
            .u32(self.signed_prekey_id)
            .field(keys.signed_prekey.as_bytes())
            .field(&keys.kem_prekey.to_bytes())
            .optional(self.one_time_id.map(u32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice))
            .optional(keys.one_time.map(|key| key.as_bytes().as_slice()))
            .u64(self.rank)
            .field(self.ephemeral.as_bytes())
            .field(self.kem_ciphertext.as_bytes())
            .sha256()
    }

    /// Refuses what is not for us or not in a suite we speak.
    pub(super) fn check(&self, us: &LocalDevice<'_>, floor: u32) -> Result<(), open::Error> {
        if self.recipient_account != us.account || self.recipient_device != us.device {
            return Err(open::Error::WrongRecipient);
        }
        // R-SES-9: the floor only rises, so an older suite cannot come back.
        if self.suite != SUITE || self.suite < floor {
            return Err(open::Error::RefusedSuite(self.suite));
        }
        Ok(())
    }

    fn to_wire(&self, message: &RatchetMessage) -> proto::session::InitialMessage {
        proto::session::InitialMessage {
            version: VERSION,
            suite: self.suite,
            sender_account: self.sender.account.as_bytes().to_vec(),
            sender_device: self.sender.device.as_bytes().to_vec(),
            sender_dh: self.sender.dh.as_bytes().to_vec(),
            recipient_account: self.recipient_account.as_bytes().to_vec(),
            recipient_device: self.recipient_device.as_bytes().to_vec(),
            bundle_id: self.bundle_id.to_vec(),
            signed_prekey_id: self.signed_prekey_id,
            one_time_id: self.one_time_id,
            rank: self.rank,
            ephemeral: self.ephemeral.as_bytes().to_vec(),
            kem_ciphertext: self.kem_ciphertext.as_bytes().to_vec(),
            message: message.encode().to_vec(),
        }
    }
}

/// The results that go into the derivation, in the order of PQXDH section 3.3.
struct Secrets {
    identity_prekey: Secret<32>,
    ephemeral_identity: Secret<32>,
    ephemeral_prekey: Secret<32>,
    one_time: Option<Secret<32>>,
    kem: Secret<32>,
}

impl Secrets {
    /// Derives the root key: HKDF-SHA-256 over 32 bytes 0xFF and the results, the transcript's hash in the info.
    fn derive(&self, transcript: [u8; 32]) -> Agreed {
        let one_time = self.one_time.as_ref().map_or([].as_slice(), |s| s.as_bytes());
        let input = Zeroizing::new(
            [
                [0xff; 32].as_slice(),
                self.identity_prekey.as_bytes(),
                self.ephemeral_identity.as_bytes(),
                self.ephemeral_prekey.as_bytes(),
                one_time,
                self.kem.as_bytes(),
            ]
            .concat(),
        );
        let info = [label::HANDSHAKE.as_bytes(), &transcript].concat();
        Agreed { transcript, root: RootKey::new(hkdf(&[], &input, &info)) }
    }
}

/// An initial message as it travels: a handshake and the ratchet message it begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InitialMessage {
    pub(super) handshake: Handshake,
    pub(super) message: RatchetMessage,
}

impl InitialMessage {
    /// Encodes into the one spelling.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(wire::encode(&self.handshake.to_wire(&self.message)))
    }

    /// Decodes strictly; every key is canonical, not weak and torsion-free (c05_08).
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let wire: proto::session::InitialMessage = wire::decode(bytes, limits::ENVELOPE_BUCKET_MAX)?;
        if wire.version != VERSION {
            return Err(wire::Error::Unknown(wire.version));
        }
        let sender = PeerDevice {
            account: AccountId::from_bytes(wire::fixed(&wire.sender_account)?),
            device: DeviceId::from_bytes(wire::fixed(&wire.sender_device)?),
            dh: handshake_key(&wire.sender_dh)?,
        };
        let handshake = Handshake {
            suite: wire.suite,
            sender,
            recipient_account: AccountId::from_bytes(wire::fixed(&wire.recipient_account)?),
            recipient_device: DeviceId::from_bytes(wire::fixed(&wire.recipient_device)?),
            bundle_id: wire::fixed(&wire.bundle_id)?,
            signed_prekey_id: wire.signed_prekey_id,
            one_time_id: wire.one_time_id,
            rank: wire.rank,
            ephemeral: handshake_key(&wire.ephemeral)?,
            kem_ciphertext: KemCiphertext::parse(&wire.kem_ciphertext).map_err(|_| wire::Error::OutOfBounds)?,
        };
        let message = RatchetMessage::decode(&wire.message)?;
        if message.sender != sender.device {
            return Err(wire::Error::OutOfBounds);
        }
        Ok(Self { handshake, message })
    }
}

impl SessionId {
    /// Names a session by its handshake: the first 16 bytes of the transcript's hash.
    pub(super) fn of(transcript: &[u8; 32]) -> Self {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(transcript) {
            *to = *from;
        }
        Self::from_bytes(id)
    }
}
