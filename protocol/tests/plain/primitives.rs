//! What plain second implementations are made of: hashes, key derivation, AES-256-GCM and protobuf by hand, from the RFCs
//! with raw primitives alone.
#![allow(dead_code, reason = "each of the tests that share this needs its own part of it")]

use aes_gcm::{Aes256Gcm, KeyInit, aead::Aead, aead::Payload};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// HMAC-SHA-256, by RFC 2104.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    assert!(key.len() <= 64);
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::digest([block.map(|b| b ^ 0x36).as_slice(), message].concat());
    Sha256::digest([block.map(|b| b ^ 0x5c).as_slice(), &inner].concat()).into()
}

pub(crate) fn expand(prk: &[u8; 32], info: &[u8], length: usize) -> Vec<u8> {
    let (mut out, mut block) = (Vec::new(), Vec::new());
    for counter in 1u8.. {
        block = hmac(prk, &[block.as_slice(), info, &[counter]].concat()).to_vec();
        out.extend_from_slice(&block);
        if out.len() >= length {
            break;
        }
    }
    out.truncate(length);
    out
}

/// HKDF-SHA-256, by RFC 5869.
pub(crate) fn hkdf(salt: &[u8], input: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    expand(&hmac(salt, input), info, length)
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Label and fields, each after its length in 8 bytes.
pub(crate) fn transcript(label: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in [label.as_bytes()].iter().chain(fields) {
        out.extend_from_slice(&(field.len() as u64).to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

pub(crate) fn gcm(key: &[u8]) -> Aes256Gcm {
    Aes256Gcm::new_from_slice(key).unwrap()
}

pub(crate) fn gcm_open(key: &[u8], nonce: &[u8], aad: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let nonce: [u8; 12] = nonce.try_into().unwrap();
    gcm(key).decrypt((&nonce).into(), Payload { msg: ciphertext, aad }).unwrap()
}

pub(crate) fn gcm_seal(key: &[u8], nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let nonce: [u8; 12] = nonce.try_into().unwrap();
    gcm(key).encrypt((&nonce).into(), Payload { msg: plaintext, aad }).unwrap()
}

/// The fields of a protobuf message by number: numbers, and bytes in order of appearance.
#[derive(Default, Debug)]
pub(crate) struct Fields {
    numbers: BTreeMap<u32, u64>,
    bytes: BTreeMap<u32, Vec<Vec<u8>>>,
}

impl Fields {
    pub(crate) fn read(mut input: &[u8]) -> Self {
        let mut fields = Self::default();
        while !input.is_empty() {
            let tag = varint(&mut input);
            let field = (tag >> 3) as u32;
            match tag & 7 {
                0 => assert!(fields.numbers.insert(field, varint(&mut input)).is_none()),
                2 => {
                    let length = varint(&mut input) as usize;
                    fields.bytes.entry(field).or_default().push(input[..length].to_vec());
                    input = &input[length..];
                }
                other => panic!("wire type {other}"),
            }
        }
        fields
    }

    pub(crate) fn number(&self, field: u32) -> u64 {
        self.numbers.get(&field).copied().unwrap_or(0)
    }

    pub(crate) fn optional(&self, field: u32) -> Option<u64> {
        self.numbers.get(&field).copied()
    }

    pub(crate) fn bytes(&self, field: u32) -> &[u8] {
        self.bytes.get(&field).map_or(&[], |all| all[0].as_slice())
    }
}

pub(crate) fn varint(input: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = input[0];
        *input = &input[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_number(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        put_varint(out, u64::from(field) << 3);
        put_varint(out, value);
    }
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_varint(out, u64::from(field) << 3 | 2);
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}
