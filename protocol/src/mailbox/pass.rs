//! The pass: all that somebody needs to leave mail for a device. It is a secret between the two.
//! Must not know how passes travel.

use super::{Class, Grant, TagSecret};
use crate::{
    Day, RelayId, Tag,
    code::is_address,
    crypto::{
        Secret,
        sign::{SigningKey, VerifyingKey},
    },
    limits::{ADDRESS_MAX, PASS_ADDRESSES_MAX, PASS_MAX, PEER_ID_MAX},
    proto,
    wire::{self, fixed},
};
use std::fmt;

/// The version of passes this program writes and reads.
const VERSION: u32 = 1;

/// Where mail may be left, with whose permission, under which tags.
#[derive(Clone)]
pub struct Pass {
    /// Which relay.
    pub relay: RelayId,
    /// The relay's transport name.
    pub peer: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// The permission.
    pub grant: Grant,
    /// What the tags follow from.
    pub tag_secret: TagSecret,
    /// What proves the permission; none for strangers.
    pub depositor: Option<SigningKey>,
}

impl Pass {
    /// Encodes it; addresses that do not fit are left out.
    pub fn encode(&self) -> Vec<u8> {
        let mut wire = proto::mailbox::Pass {
            version: VERSION,
            relay: self.relay.as_bytes().to_vec(),
            peer: self.peer.as_bytes().to_vec(),
            addresses: self.addresses.iter().take(PASS_ADDRESSES_MAX).cloned().collect(),
            grant: self.grant.encode(),
            tag_secret: self.tag_secret.as_bytes().to_vec(),
            depositor_secret: self.depositor.as_ref().map(|key| key.seed().as_bytes().to_vec()).unwrap_or_default(),
        };
        loop {
            let bytes = wire::encode(&wire);
            if bytes.len() <= PASS_MAX || wire.addresses.pop().is_none() {
                return bytes;
            }
        }
    }

    /// Decodes strictly; the mailbox signed the grant, and the secret is the grant's depositor's.
    pub fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let wire: proto::mailbox::Pass = wire::decode(bytes, PASS_MAX)?;
        if wire.version != VERSION {
            return Err(wire::Error::Unknown(wire.version));
        }
        wire::at_most(&wire.addresses, PASS_ADDRESSES_MAX)?;
        let peer = String::from_utf8(wire.peer).map_err(|_| wire::Error::Malformed)?;
        let addresses_fit = wire.addresses.iter().all(|a| a.len() <= ADDRESS_MAX && is_address(a));
        if !addresses_fit || peer.is_empty() || peer.len() > PEER_ID_MAX {
            return Err(wire::Error::OutOfBounds);
        }
        VerifyingKey::parse(&wire.relay).map_err(|_| wire::Error::OutOfBounds)?;
        let grant = Grant::verify(&wire.grant).map_err(|_| wire::Error::OutOfBounds)?;
        let depositor = match wire.depositor_secret.as_slice() {
            [] => None,
            seed => Some(SigningKey::from_seed(&Secret::new(fixed(seed)?))),
        };
        if depositor.as_ref().map(SigningKey::public) != grant.terms.depositor {
            return Err(wire::Error::OutOfBounds);
        }
        Ok(Self {
            relay: RelayId::from_bytes(fixed(&wire.relay)?),
            peer,
            addresses: wire.addresses,
            grant,
            tag_secret: TagSecret::from_bytes(fixed(&wire.tag_secret)?),
            depositor,
        })
    }

    /// Who it lets in.
    pub fn class(&self) -> Class {
        self.grant.terms.class
    }

    /// The mailbox's tag of a day.
    pub fn tag(&self, day: Day) -> Tag {
        self.tag_secret.tag(self.class(), day)
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { relay, peer: _, addresses, grant, tag_secret: _, depositor: _ } = self;
        write!(f, "Pass({relay:?}, {} addresses, {:?})", addresses.len(), grant.terms.class)
    }
}

/// Reads passes that came together; what is none, or of a later version, is passed over. At most one for each relay, the
/// first.
pub fn passes(encoded: &[Vec<u8>]) -> Vec<Pass> {
    let mut read: Vec<Pass> = Vec::new();
    for pass in encoded.iter().filter_map(|bytes| Pass::decode(bytes).ok()) {
        if read.iter().all(|known| known.relay != pass.relay) {
            read.push(pass);
        }
    }
    read
}
