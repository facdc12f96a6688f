//! The gate in front of a channel's live path: who does not hold the lineage's key can put nothing into its gossip. Must not
//! know what a frame says, or which topic it came from.

use crate::{
    Fault, Timestamp,
    crypto::{Secret, kdf, label},
    limits::{CHANNEL_FRAME_MAX, GATE_OVERHEAD, GATE_SLOT_MS, GOSSIP_PACKET_MAX},
    wire::Transcript,
};
use std::fmt;

/// Length of a slot in bytes.
const SLOT: usize = 4;
/// Length of a code in bytes.
const MAC: usize = 16;
/// Slots that a sender's clock may be off, either way.
const SLOTS_OFF: u32 = 1;

/// The key of a lineage's gate.
#[derive(Clone, PartialEq, Eq)]
pub struct GateKey(Secret<32>);

impl GateKey {
    /// Takes the bytes that were derived for it.
    pub const fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    fn mac(&self, fields: &[u8]) -> Secret<MAC> {
        Secret::new(kdf::hmac(self.0.as_bytes(), &[fields]).as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Debug for GateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("GateKey(..)")
    }
}

/// The frame is empty, or too long to be let in anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame is 1 to {} bytes long", CHANNEL_FRAME_MAX)]
pub struct BadFrame;

impl BadFrame {
    /// Says who is to blame: frames are made within their bound.
    pub const fn fault(&self) -> Fault {
        Fault::Bug
    }
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// A holder of a key sent it, now: deliver and forward.
    Accept {
        /// What it carries.
        frame: &'a [u8],
    },
    /// No holder of a key made it: drop it and hold it against whoever sent it.
    Reject,
    /// It comes late or early, or no key is known that could tell: drop it and hold it against nobody.
    Ignore,
}

/// Puts slot and code in front of a frame: slot (4 bytes) ‖ code (16) ‖ frame.
pub fn seal(key: &GateKey, now: Timestamp, frame: &[u8]) -> Result<Vec<u8>, BadFrame> {
    if frame.is_empty() || frame.len() > CHANNEL_FRAME_MAX {
        return Err(BadFrame);
    }
    let slot = slot(now);
    let mut packet = Vec::with_capacity(frame.len() + GATE_OVERHEAD);
    packet.extend_from_slice(&slot.to_be_bytes());
    packet.extend_from_slice(key.mac(&fields(slot, frame)).as_bytes());
    packet.extend_from_slice(frame);
    Ok(packet)
}

/// The frame inside a packet that this device sealed; nothing where it is too short to have one.
pub fn frame_of(packet: &[u8]) -> Option<&[u8]> {
    packet.get(SLOT + MAC..).filter(|frame| !frame.is_empty())
}

/// Judges a packet by the keys that its topic has, without telling by time which bytes of a code are right.
pub fn judge<'a>(keys: &[GateKey], now: Timestamp, packet: &'a [u8]) -> Verdict<'a> {
    if packet.len() > GOSSIP_PACKET_MAX {
        return Verdict::Reject;
    }
    let Some((sent, rest)) = packet.split_first_chunk::<SLOT>() else { return Verdict::Reject };
    let Some((mac, frame)) = rest.split_first_chunk::<MAC>() else { return Verdict::Reject };
    if frame.is_empty() {
        return Verdict::Reject;
    }
    if keys.is_empty() {
        return Verdict::Ignore;
    }
    let sent = u32::from_be_bytes(*sent);
    let (fields, mac) = (fields(sent, frame), Secret::new(*mac));
    if !keys.iter().any(|key| key.mac(&fields) == mac) {
        return Verdict::Reject;
    }
    if sent.abs_diff(slot(now)) <= SLOTS_OFF { Verdict::Accept { frame } } else { Verdict::Ignore }
}

/// Returns the slot a moment lies in; stays at the last one at the end of time.
fn slot(now: Timestamp) -> u32 {
    u32::try_from(now.as_millis() / GATE_SLOT_MS).unwrap_or(u32::MAX)
}

/// What the code is made over.
fn fields(slot: u32, frame: &[u8]) -> Vec<u8> {
    Transcript::new(label::GATE).u32(slot).field(frame).bytes()
}

#[cfg(test)]
mod tests;
