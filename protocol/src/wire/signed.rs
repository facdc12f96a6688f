//! Bytes with one signature: what is verified, hashed, stored and forwarded are the bytes that came.

use super::{Error, Transcript, decode, encode, fixed};
use crate::{
    crypto::sign::{BadSignature, Signature, SigningKey, VerifyingKey},
    proto,
};

/// A payload and a signature that may or may not fit it: only [`Signed::verify`] gives the payload to logic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The signed bytes, as they came.
    pub payload: Vec<u8>,
    /// The signature over label ‖ 0x00 ‖ payload.
    pub signature: Signature,
}

impl Signed {
    /// Bytes that [`Signed::encode`] adds to a payload, at most.
    pub const OVERHEAD: usize = 2 * (1 + 5) + Signature::LEN;

    /// Signs a payload.
    pub fn sign(label: &str, payload: Vec<u8>, key: &SigningKey) -> Self {
        let signature = key.sign(label, &payload);
        Self { payload, signature }
    }

    /// Decodes strictly; says nothing about the signature.
    pub fn decode(bytes: &[u8], max: usize) -> Result<Self, Error> {
        let signed: proto::wire::Signed = decode(bytes, max)?;
        Ok(Self { signature: Signature(fixed(&signed.signature)?), payload: signed.payload })
    }

    /// Encodes into the one spelling.
    pub fn encode(&self) -> Vec<u8> {
        encode(&proto::wire::Signed { payload: self.payload.clone(), signature: self.signature.0.to_vec() })
    }

    /// Hashes the payload alone: a second signature over it makes no second id (R-WIRE-4).
    pub fn id(&self, label: &'static str) -> [u8; 32] {
        Transcript::new(label).field(&self.payload).sha256()
    }

    /// Returns the payload if the key signed it under this label.
    pub fn verify(&self, label: &str, key: &VerifyingKey) -> Result<&[u8], BadSignature> {
        key.verify(label, &self.payload, &self.signature)?;
        Ok(&self.payload)
    }
}
