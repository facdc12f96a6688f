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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;

    const LABEL: &str = "kith/v1/test";

    #[test]
    fn r_wire_3_payload_is_given_and_forwarded_as_it_came_and_only_under_its_label_and_key() {
        let key = SigningKey::from_seed(&Secret::new([1; 32]));
        // No message of ours encodes like this; it is the signer's bytes all the same.
        let payload = vec![0xff, 0x00, 0x80, 0x80, 0x00];
        let bytes = Signed::sign(LABEL, payload.clone(), &key).encode();
        let came = Signed::decode(&bytes, bytes.len()).unwrap();
        assert_eq!(came.verify(LABEL, &key.public()), Ok(payload.as_slice()));
        assert_eq!(came.encode(), bytes);
        assert_eq!(came.verify("kith/v1/other", &key.public()), Err(BadSignature));
        assert_eq!(came.verify(LABEL, &SigningKey::from_seed(&Secret::new([2; 32])).public()), Err(BadSignature));
        assert!(bytes.len() <= payload.len() + Signed::OVERHEAD);
    }

    #[test]
    fn r_wire_4_id_depends_on_payload_and_label_and_not_on_the_signature() {
        let signed = |seed, payload: &[u8]| {
            Signed::sign(LABEL, payload.to_vec(), &SigningKey::from_seed(&Secret::new([seed; 32])))
        };
        let (a, b) = (signed(1, b"op"), signed(2, b"op"));
        assert_ne!(a.signature, b.signature);
        assert_eq!(a.id(LABEL), b.id(LABEL));
        assert_ne!(a.id(LABEL), a.id("kith/v1/other"));
        assert_ne!(a.id(LABEL), signed(1, b"oq").id(LABEL));
    }

    #[test]
    fn r_wire_3_signature_of_another_length_is_refused() {
        for len in [0, 63, 65] {
            let wire = proto::wire::Signed { payload: vec![1], signature: vec![1; len] };
            assert_eq!(Signed::decode(&encode(&wire), 1000), Err(Error::FieldLength { expected: 64 }));
        }
    }
}
