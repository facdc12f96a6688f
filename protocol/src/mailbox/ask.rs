//! What is asked of a relay: made by owners and senders, decoded and verified by the relay before anything else looks at it.
//! Must not know what a relay answers.

use super::{Custody, CustodyError, Grant, GrantError, MailboxKey, Pass, Reason};
use crate::{
    Day, EnvelopeId, Fault, KeptId, MailboxId, RelayId, Tag, Timestamp,
    crypto::{
        kdf, label,
        sign::{Signature, SigningKey, VerifyingKey},
    },
    limits::{
        ACKNOWLEDGED_MAX, ENVELOPE_MAX, KEPT_MAX, POOL_KEY_MAX, POOL_KEYS_MAX, RELAY_REQUEST_MAX, REVOKED_MAX, TAGS_MAX,
    },
    prekey::pool_key_id,
    proto::mailbox as proto,
    wire::{self, Transcript, at_most, fixed},
};

/// The version of requests this program writes and reads.
const VERSION: u32 = 1;
/// Names asked for in one look at kept descriptors.
pub(super) const KEPT_IDS_MAX: usize = 10;
/// Bytes of the tags of one day.
const DAY_OF_TAGS: usize = 3 * Tag::LEN;

/// What a relay gives each asker and each asker's proofs are bound to: a request that was recorded is worth nothing from
/// another peer, at another relay, or after the relay started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

impl Nonce {
    /// Derives the nonce of a peer from a secret that the relay draws at every start: nothing is kept for it.
    pub fn of_peer(run: &[u8; 32], peer: &str) -> Self {
        let mac = kdf::hmac(run, &[label::MAILBOX_NONCE.as_bytes(), &[0], peer.as_bytes()]);
        Self(mac.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// The first request to a relay: asks who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Random; comes back in the signed welcome.
    pub challenge: [u8; 16],
}

/// A grant that is revoked, and when it would have ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its number.
    pub serial: u64,
    /// When the relay may forget that.
    pub until: Timestamp,
}

/// What the owner of a mailbox asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerAsk {
    /// Makes the mailbox, or renews its tags.
    Register {
        /// What admits to a relay for members only.
        token: Option<[u8; 16]>,
        /// The first day that tags are given for: older ones go.
        first: Day,
        /// For each day from the first on, the tags by class.
        tags: Vec<[Tag; 3]>,
    },
    /// Reads what lies there behind a place.
    Fetch {
        /// The place; 0 begins.
        after: u64,
    },
    /// Deletes what the owner has on its own disk.
    Acknowledge {
        /// Which envelopes.
        ids: Vec<EnvelopeId>,
    },
    /// Adds one-time keys, each signed by the device.
    PutPrekeys {
        /// Number and signed key.
        keys: Vec<(u32, Vec<u8>)>,
    },
    /// Keeps the owner's descriptor.
    Keep {
        /// Under which name.
        id: KeptId,
        /// Sealed; empty takes it away.
        sealed: Vec<u8>,
        /// Until when.
        until: Timestamp,
    },
    /// Ends grants.
    Revoke {
        /// Which.
        grants: Vec<Revoked>,
    },
    /// Removes the mailbox with everything in it.
    Leave,
}

/// A verified deposit: the grant is the mailbox's word, and who asks holds the depositor's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepositAsk {
    /// Where.
    pub tag: Tag,
    /// Until when it should be kept.
    pub until: Timestamp,
    /// May use the room reserved for control messages.
    pub control: bool,
    /// The permission.
    pub grant: Grant,
    /// The envelope's name.
    pub id: EnvelopeId,
    /// The envelope: 1 byte to `limits::ENVELOPE_MAX`, not looked at.
    pub envelope: Vec<u8>,
}

/// A verified request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Asks who the relay is.
    Hello(Hello),
    /// The owner of a mailbox asks.
    Owner {
        /// Whose key signed it.
        mailbox: MailboxId,
        /// What.
        ask: OwnerAsk,
    },
    /// Leaves an envelope.
    Deposit(DepositAsk),
    /// Takes a one-time key.
    TakePrekey {
        /// Whose.
        tag: Tag,
        /// The permission.
        grant: Grant,
    },
    /// Reads kept descriptors.
    Kept {
        /// Which.
        ids: Vec<KeptId>,
    },
    /// Asks for an envelope by the relay's own receipt.
    Audit(Custody),
}

/// A request is refused before anything looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Not a request in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// The nonce is not the one this asker has here.
    #[error("a nonce of another connection or start")]
    Nonce,
    /// The proof does not stand for this request.
    #[error("the proof does not fit the request")]
    Proof,
    /// Its grant is none.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// Its receipt is none of this relay.
    #[error(transparent)]
    Custody(#[from] CustodyError),
}

impl AskError {
    /// What the asker is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Wire(wire::Error::TooLarge { .. }) => Reason::TooLarge,
            Self::Wire(_) | Self::Custody(_) => Reason::Malformed,
            Self::Nonce => Reason::Nonce,
            Self::Proof => Reason::Proof,
            Self::Grant(_) => Reason::WrongGrant,
        }
    }

    /// Says who is to blame.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Nonce => Fault::Transient,
            _ => Fault::Peer,
        }
    }
}

/// Kinds on the wire.
mod kind {
    pub(super) const HELLO: u32 = 1;
    pub(super) const REGISTER: u32 = 2;
    pub(super) const DEPOSIT: u32 = 3;
    pub(super) const FETCH: u32 = 4;
    pub(super) const ACKNOWLEDGE: u32 = 5;
    pub(super) const PUT_PREKEYS: u32 = 6;
    pub(super) const TAKE_PREKEY: u32 = 7;
    pub(super) const KEEP: u32 = 8;
    pub(super) const KEPT: u32 = 9;
    pub(super) const REVOKE: u32 = 10;
    pub(super) const LEAVE: u32 = 11;
    pub(super) const AUDIT: u32 = 12;
}

/// A request as it came: only [`SignedAsk::verify`] gives it to logic.
#[derive(Clone, Debug)]
pub struct SignedAsk {
    kind: u32,
    nonce: Vec<u8>,
    body: Vec<u8>,
    proof: Vec<u8>,
}

/// What a proof is over: relay, nonce, kind and body (R-MBX-3).
fn proven(relay: &RelayId, nonce: &[u8], kind: u32, body: &[u8]) -> Vec<u8> {
    Transcript::new(label::MAILBOX_REQUEST).field(relay.as_bytes()).field(nonce).u32(kind).field(body).bytes()
}

fn request(kind: u32, body: Vec<u8>, signed: Option<(&RelayId, &Nonce, Option<&SigningKey>)>) -> Vec<u8> {
    let nonce = signed.map(|(_, nonce, _)| nonce.0.to_vec()).unwrap_or_default();
    let proof = match signed {
        Some((relay, nonce, Some(key))) => {
            key.sign(label::MAILBOX_REQUEST, &proven(relay, &nonce.0, kind, &body)).0.to_vec()
        }
        _ => Vec::new(),
    };
    wire::encode(&proto::Request { version: VERSION, kind, nonce, body, proof })
}

impl Hello {
    /// Encodes the request.
    pub fn encode(&self) -> Vec<u8> {
        request(kind::HELLO, wire::encode(&proto::Hello { challenge: self.challenge.to_vec() }), None)
    }
}

impl OwnerAsk {
    /// Encodes and signs the request with the mailbox's key, for one relay and the nonce it gave.
    pub fn sign(&self, key: &MailboxKey, relay: &RelayId, nonce: &Nonce) -> Vec<u8> {
        let (kind, body) = self.to_wire(&key.id());
        request(kind, body, Some((relay, nonce, Some(key.signing()))))
    }

    fn to_wire(&self, mailbox: &MailboxId) -> (u32, Vec<u8>) {
        let mailbox = mailbox.as_bytes().to_vec();
        match self {
            Self::Register { token, first, tags } => {
                let tags = tags.iter().flatten().flat_map(|tag| tag.as_bytes()).copied().collect();
                let token = token.map(|token| token.to_vec()).unwrap_or_default();
                (kind::REGISTER, wire::encode(&proto::Register { mailbox, token, first_day: first.0, tags }))
            }
            Self::Fetch { after } => (kind::FETCH, wire::encode(&proto::Fetch { mailbox, after: *after })),
            Self::Acknowledge { ids } => {
                let ids = ids.iter().map(|id| id.as_bytes().to_vec()).collect();
                (kind::ACKNOWLEDGE, wire::encode(&proto::Acknowledge { mailbox, ids }))
            }
            Self::PutPrekeys { keys } => {
                let keys = keys.iter().map(|(_, key)| key.clone()).collect();
                (kind::PUT_PREKEYS, wire::encode(&proto::PutPrekeys { mailbox, keys }))
            }
            Self::Keep { id, sealed, until } => {
                let (id, sealed) = (id.as_bytes().to_vec(), sealed.clone());
                (kind::KEEP, wire::encode(&proto::Keep { mailbox, id, sealed, until_ms: until.as_millis() }))
            }
            Self::Revoke { grants } => {
                let revoked = |g: &Revoked| proto::Revoked { serial: g.serial, until_ms: g.until.as_millis() };
                (kind::REVOKE, wire::encode(&proto::Revoke { mailbox, grants: grants.iter().map(revoked).collect() }))
            }
            Self::Leave => (kind::LEAVE, wire::encode(&proto::Leave { mailbox })),
        }
    }

    fn from_wire(kind: u32, body: &[u8]) -> Result<(VerifyingKey, Self), wire::Error> {
        let key = |bytes: &[u8]| VerifyingKey::parse(bytes).map_err(|_| wire::Error::OutOfBounds);
        match kind {
            kind::REGISTER => {
                let wire: proto::Register = wire::decode(body, RELAY_REQUEST_MAX)?;
                let (days, rest) = wire.tags.as_chunks::<DAY_OF_TAGS>();
                if !rest.is_empty() || days.is_empty() || days.len() * 3 > TAGS_MAX {
                    return Err(wire::Error::OutOfBounds);
                }
                let tags = days.iter().map(|day| {
                    let (tags, _) = day.as_chunks::<{ Tag::LEN }>();
                    [0, 1, 2].map(|n| Tag::from_bytes(tags.get(n).copied().unwrap_or_default()))
                });
                let tags = tags.collect();
                let token = match wire.token.as_slice() {
                    [] => None,
                    token => Some(fixed(token)?),
                };
                Ok((key(&wire.mailbox)?, Self::Register { token, first: Day(wire.first_day), tags }))
            }
            kind::FETCH => {
                let wire: proto::Fetch = wire::decode(body, RELAY_REQUEST_MAX)?;
                Ok((key(&wire.mailbox)?, Self::Fetch { after: wire.after }))
            }
            kind::ACKNOWLEDGE => {
                let wire: proto::Acknowledge = wire::decode(body, RELAY_REQUEST_MAX)?;
                at_most(&wire.ids, ACKNOWLEDGED_MAX)?;
                let ids = wire
                    .ids
                    .iter()
                    .map(|id| Ok(EnvelopeId::from_bytes(fixed(id)?)))
                    .collect::<Result<_, wire::Error>>()?;
                Ok((key(&wire.mailbox)?, Self::Acknowledge { ids }))
            }
            kind::PUT_PREKEYS => {
                let wire: proto::PutPrekeys = wire::decode(body, RELAY_REQUEST_MAX)?;
                at_most(&wire.keys, POOL_KEYS_MAX)?;
                let numbered = |bytes: Vec<u8>| match bytes.len() {
                    n if n > POOL_KEY_MAX => Err(wire::Error::TooLarge { max: POOL_KEY_MAX }),
                    _ => Ok((pool_key_id(&bytes)?, bytes)),
                };
                let keys = wire.keys.into_iter().map(numbered).collect::<Result<_, _>>()?;
                Ok((key(&wire.mailbox)?, Self::PutPrekeys { keys }))
            }
            kind::KEEP => {
                let wire: proto::Keep = wire::decode(body, RELAY_REQUEST_MAX)?;
                if wire.sealed.len() > KEPT_MAX {
                    return Err(wire::Error::TooLarge { max: KEPT_MAX });
                }
                let (id, until) = (KeptId::from_bytes(fixed(&wire.id)?), Timestamp::from_millis(wire.until_ms));
                Ok((key(&wire.mailbox)?, Self::Keep { id, sealed: wire.sealed, until }))
            }
            kind::REVOKE => {
                let wire: proto::Revoke = wire::decode(body, RELAY_REQUEST_MAX)?;
                at_most(&wire.grants, REVOKED_MAX)?;
                let revoked =
                    |g: &proto::Revoked| Revoked { serial: g.serial, until: Timestamp::from_millis(g.until_ms) };
                Ok((key(&wire.mailbox)?, Self::Revoke { grants: wire.grants.iter().map(revoked).collect() }))
            }
            kind::LEAVE => {
                let wire: proto::Leave = wire::decode(body, RELAY_REQUEST_MAX)?;
                Ok((key(&wire.mailbox)?, Self::Leave))
            }
            other => Err(wire::Error::Unknown(other)),
        }
    }
}

impl Pass {
    /// Encodes and proves a deposit under the tag of a day, for the nonce the relay gave.
    pub fn deposit(&self, nonce: &Nonce, day: Day, until: Timestamp, control: bool, envelope: &[u8]) -> Vec<u8> {
        let body = wire::encode(&proto::Deposit {
            tag: self.tag(day).as_bytes().to_vec(),
            until_ms: until.as_millis(),
            control,
            grant: self.grant.encode(),
            envelope: envelope.to_vec(),
        });
        request(kind::DEPOSIT, body, Some((&self.relay, nonce, self.depositor.as_ref())))
    }

    /// Encodes and proves the request for a one-time key.
    pub fn take_prekey(&self, nonce: &Nonce, day: Day) -> Vec<u8> {
        let (tag, grant) = (self.tag(day).as_bytes().to_vec(), self.grant.encode());
        let body = wire::encode(&proto::TakePrekey { tag, grant });
        request(kind::TAKE_PREKEY, body, Some((&self.relay, nonce, self.depositor.as_ref())))
    }
}

impl Custody {
    /// Encodes the question for the envelope of this receipt.
    pub fn audit(&self) -> Vec<u8> {
        request(kind::AUDIT, wire::encode(&proto::Audit { custody: self.encode() }), None)
    }
}

impl KeptId {
    /// Encodes the question for kept descriptors, at most ten.
    pub fn ask(ids: &[Self]) -> Vec<u8> {
        let ids = ids.iter().take(KEPT_IDS_MAX).map(|id| id.as_bytes().to_vec()).collect();
        request(kind::KEPT, wire::encode(&proto::Kept { ids }), None)
    }
}

impl SignedAsk {
    /// Decodes the outer form strictly; says nothing about what it holds.
    pub fn decode(bytes: &[u8]) -> Result<Self, AskError> {
        let wire: proto::Request = wire::decode(bytes, RELAY_REQUEST_MAX)?;
        if wire.version != VERSION {
            return Err(wire::Error::Unknown(wire.version).into());
        }
        let proto::Request { version: _, kind, nonce, body, proof } = wire;
        Ok(Self { kind, nonce, body, proof })
    }

    /// Checks nonce, grant and proof for this relay and the nonce that this asker has (R-MBX-3).
    pub fn verify(self, relay: &RelayId, nonce: &Nonce) -> Result<Ask, AskError> {
        match self.kind {
            kind::HELLO => {
                self.expect_bare()?;
                let wire: proto::Hello = wire::decode(&self.body, RELAY_REQUEST_MAX)?;
                Ok(Ask::Hello(Hello { challenge: fixed(&wire.challenge)? }))
            }
            kind::KEPT => {
                self.expect_bare()?;
                let wire: proto::Kept = wire::decode(&self.body, RELAY_REQUEST_MAX)?;
                at_most(&wire.ids, KEPT_IDS_MAX)?;
                let ids = wire.ids.iter().map(|id| Ok(KeptId::from_bytes(fixed(id)?)));
                Ok(Ask::Kept { ids: ids.collect::<Result<_, wire::Error>>()? })
            }
            kind::AUDIT => {
                self.expect_bare()?;
                let wire: proto::Audit = wire::decode(&self.body, RELAY_REQUEST_MAX)?;
                Ok(Ask::Audit(Custody::verify(&wire.custody, relay)?))
            }
            kind::DEPOSIT => {
                self.expect_nonce(nonce)?;
                let wire: proto::Deposit = wire::decode(&self.body, RELAY_REQUEST_MAX)?;
                if wire.envelope.len() > ENVELOPE_MAX {
                    return Err(wire::Error::TooLarge { max: ENVELOPE_MAX }.into());
                }
                if wire.envelope.is_empty() {
                    return Err(wire::Error::OutOfBounds.into());
                }
                let (tag, grant) = (Tag::from_bytes(fixed(&wire.tag)?), Grant::verify(&wire.grant)?);
                self.expect_proof(relay, grant.terms.depositor.as_ref())?;
                Ok(Ask::Deposit(DepositAsk {
                    tag,
                    until: Timestamp::from_millis(wire.until_ms),
                    control: wire.control,
                    grant,
                    id: EnvelopeId::of(&wire.envelope),
                    envelope: wire.envelope,
                }))
            }
            kind::TAKE_PREKEY => {
                self.expect_nonce(nonce)?;
                let wire: proto::TakePrekey = wire::decode(&self.body, RELAY_REQUEST_MAX)?;
                let (tag, grant) = (Tag::from_bytes(fixed(&wire.tag)?), Grant::verify(&wire.grant)?);
                self.expect_proof(relay, grant.terms.depositor.as_ref())?;
                Ok(Ask::TakePrekey { tag, grant })
            }
            owners => {
                self.expect_nonce(nonce)?;
                let (key, ask) = OwnerAsk::from_wire(owners, &self.body)?;
                self.expect_proof(relay, Some(&key))?;
                Ok(Ask::Owner { mailbox: MailboxId::from_bytes(*key.as_bytes()), ask })
            }
        }
    }

    /// What proves nothing holds nothing that would.
    fn expect_bare(&self) -> Result<(), AskError> {
        if self.nonce.is_empty() && self.proof.is_empty() { Ok(()) } else { Err(wire::Error::OutOfBounds.into()) }
    }

    fn expect_nonce(&self, nonce: &Nonce) -> Result<(), AskError> {
        if self.nonce == nonce.0 { Ok(()) } else { Err(AskError::Nonce) }
    }

    fn expect_proof(&self, relay: &RelayId, key: Option<&VerifyingKey>) -> Result<(), AskError> {
        let Some(key) = key else {
            return if self.proof.is_empty() { Ok(()) } else { Err(AskError::Proof) };
        };
        let proof = Signature::from_slice(&self.proof).ok_or(AskError::Proof)?;
        let bytes = proven(relay, &self.nonce, self.kind, &self.body);
        key.verify(label::MAILBOX_REQUEST, &bytes, &proof).map_err(|_| AskError::Proof)
    }
}
