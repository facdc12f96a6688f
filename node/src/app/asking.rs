//! Questions to relays: how each is numbered so that its answer needs no memory, and what is known of who is asked.
//! Must not know what a question is for.

use super::work::{Halt, Work};
use crate::{
    app::App,
    net::{AskOutcome, NetCommand, PeerName},
};
use kith_protocol::{
    RelayId, Timestamp,
    mailbox::{Answer, Nonce, Reason, Refusal},
};
use kith_store::table::{KnownRelay, OwnRelay};

/// First pause after a question without an answer; doubles up to the longest.
const QUIET_FIRST_MS: u64 = 2_000;
/// Longest pause.
const QUIET_LONGEST_MS: u64 = 5 * 60_000;
/// How long a question may take before it counts as lost although nobody told its end, in milliseconds.
pub(super) const ASK_LEASE_MS: u64 = 45_000;

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// A step with a relay of ours, by its number; `tag` tells it from older ones.
    Own { relay: u64, tag: u16 },
    /// Acknowledgements to a relay of ours.
    Acknowledge { relay: u64 },
    /// A deposit of an outbox row, by the place in its list.
    Deposit { row: u64, place: u16 },
    /// An audit of such a deposit.
    Audit { row: u64, place: u16 },
    /// Who answers there, after an audit that found nothing.
    Prove { row: u64, place: u16 },
    /// A one-time key for an outbox row; the relay by its place among the device's passes.
    Prekey { row: u64, place: u16 },
    /// Kept descriptors of a contact, by its number; the relay by its place among those asked.
    Kept { contact: u64, place: u16 },
    /// A member for operations of a channel, by its number; the member by its place among cards.
    ChannelOps { channel: u64, at: u16 },
    /// The same with this device's card, because the member does not know it.
    ChannelCarded { channel: u64, at: u16 },
    /// A step with the mailbox of a channel; `tag` tells it from older ones.
    ChannelMailbox { mailbox: u64, tag: u16 },
    /// An item that is left in such a mailbox, by its number; the mailbox by its own.
    ChannelDeposit { deposit: u64, mailbox: u16 },
    /// A member for what was said before one came.
    ChannelPast { channel: u64, at: u16 },
    /// A member for a comparison of items.
    ChannelCompare { channel: u64, at: u16 },
    /// A member for items.
    ChannelItems { channel: u64, at: u16 },
    /// A member for an item of a rekey blob; the operation by its place.
    ChannelBlob { channel: u64, op: u16 },
    /// A member for keys of an epoch: of the one in force, or of an old one.
    ChannelKeys { channel: u64, old: bool },
    /// Items for a member.
    ChannelPush { channel: u64, at: u16 },
    /// A member whether one is let in; the join by its number.
    Join { join: u64, place: u16 },
    /// A member for the first operations.
    JoinOps { join: u64, place: u16 },
}

/// Bits of a row's or relay's number.
const ID_BITS: u32 = 40;
/// Bits of what stands beside it.
const SMALL_BITS: u32 = 16;

impl Question {
    /// The number that goes to the net task and comes back.
    pub(super) fn number(self) -> u64 {
        let (kind, small, id) = match self {
            Self::Own { relay, tag } => (1, tag, relay),
            Self::Acknowledge { relay } => (2, 0, relay),
            Self::Deposit { row, place } => (3, place, row),
            Self::Audit { row, place } => (4, place, row),
            Self::Prekey { row, place } => (5, place, row),
            Self::Kept { contact, place } => (6, place, contact),
            Self::Prove { row, place } => (7, place, row),
            Self::ChannelOps { channel, at } => (8, at, channel),
            Self::ChannelCompare { channel, at } => (9, at, channel),
            Self::ChannelItems { channel, at } => (10, at, channel),
            Self::ChannelBlob { channel, op } => (11, op, channel),
            Self::ChannelKeys { channel, old } => (12, u16::from(old), channel),
            Self::ChannelPush { channel, at } => (13, at, channel),
            Self::Join { join, place } => (14, place, join),
            Self::JoinOps { join, place } => (15, place, join),
            Self::ChannelCarded { channel, at } => (16, at, channel),
            Self::ChannelPast { channel, at } => (19, at, channel),
            Self::ChannelMailbox { mailbox, tag } => (17, tag, mailbox),
            Self::ChannelDeposit { deposit, mailbox } => (18, mailbox, deposit),
        };
        (kind << (ID_BITS + SMALL_BITS)) | (u64::from(small) << ID_BITS) | (id & ((1 << ID_BITS) - 1))
    }

    /// Reads a number.
    pub(super) fn of(number: u64) -> Option<Self> {
        let id = number & ((1 << ID_BITS) - 1);
        let small = u16::try_from((number >> ID_BITS) & ((1 << SMALL_BITS) - 1)).ok()?;
        match number >> (ID_BITS + SMALL_BITS) {
            1 => Some(Self::Own { relay: id, tag: small }),
            2 => Some(Self::Acknowledge { relay: id }),
            3 => Some(Self::Deposit { row: id, place: small }),
            4 => Some(Self::Audit { row: id, place: small }),
            5 => Some(Self::Prekey { row: id, place: small }),
            6 => Some(Self::Kept { contact: id, place: small }),
            7 => Some(Self::Prove { row: id, place: small }),
            8 => Some(Self::ChannelOps { channel: id, at: small }),
            9 => Some(Self::ChannelCompare { channel: id, at: small }),
            10 => Some(Self::ChannelItems { channel: id, at: small }),
            11 => Some(Self::ChannelBlob { channel: id, op: small }),
            12 => Some(Self::ChannelKeys { channel: id, old: small == 1 }),
            13 => Some(Self::ChannelPush { channel: id, at: small }),
            14 => Some(Self::Join { join: id, place: small }),
            15 => Some(Self::JoinOps { join: id, place: small }),
            16 => Some(Self::ChannelCarded { channel: id, at: small }),
            19 => Some(Self::ChannelPast { channel: id, at: small }),
            17 => Some(Self::ChannelMailbox { mailbox: id, tag: small }),
            18 => Some(Self::ChannelDeposit { deposit: id, mailbox: small }),
            _ => None,
        }
    }
}

/// The tag of the next step with a relay of ours.
pub(super) fn next_tag(tag: u16) -> u16 {
    tag.wrapping_add(1)
}

/// What a relay said, or why it said nothing.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// An answer that is no refusal.
    Answer(Answer),
    /// No.
    Refused(Refusal),
    /// The nonce was an old one; the new one is known now.
    NewNonce,
    /// Asked to wait so many milliseconds.
    Wait(u64),
    /// It is no relay.
    NoRelay,
    /// No answer, or none that can be read.
    Silent(&'static str),
}

impl App {
    /// Asks a relay.
    pub(super) fn ask(
        &self,
        w: &mut Work<'_>,
        question: Question,
        peer: &str,
        addresses: &[String],
        request: Vec<u8>,
    ) -> Result<(), Halt> {
        w.effects().net.push(NetCommand::Ask {
            ask: question.number(),
            peer: PeerName(peer.to_owned()),
            addresses: addresses.to_vec(),
            request,
        });
        Ok(())
    }

    /// What is known of a relay at a transport name.
    pub(super) fn known_relay(&self, w: &Work<'_>, relay: &RelayId, peer: &str) -> Result<KnownRelay, Halt> {
        Ok(w.get::<KnownRelay>(&KnownRelay::key_of(relay, peer))?.unwrap_or_else(|| KnownRelay {
            relay: *relay,
            peer: peer.to_owned(),
            proven: false,
            challenge: [0; 16],
            nonce: None,
            failures: 0,
            quiet_until: Timestamp::from_millis(0),
            broken: 0,
            doubted_at: Timestamp::from_millis(0),
        }))
    }

    /// The nonce that a relay's proofs are bound to; before its first answer any.
    pub(super) fn nonce_of(&self, w: &Work<'_>, relay: &RelayId, peer: &str) -> Result<Nonce, Halt> {
        Ok(Nonce(self.known_relay(w, relay, peer)?.nonce.unwrap_or_default()))
    }

    /// Reads how a question ended, and remembers what that says of the relay.
    pub(super) fn hear(
        &self,
        w: &mut Work<'_>,
        relay: &RelayId,
        peer: &str,
        outcome: AskOutcome,
    ) -> Result<Said, Halt> {
        let mut known = self.known_relay(w, relay, peer)?;
        let answered = |known: &mut KnownRelay| {
            let was = std::mem::take(&mut known.failures);
            known.quiet_until = Timestamp::from_millis(0);
            was != 0
        };
        let said = match outcome {
            AskOutcome::Answered(bytes) => match Answer::decode(&bytes) {
                Ok(Answer::Refused(Refusal { reason: Reason::Nonce, nonce: Some(nonce), .. })) => {
                    answered(&mut known);
                    if known.nonce.replace(nonce.0) != Some(nonce.0) {
                        self.started_anew(w, relay, peer)?;
                    }
                    w.put(&known)?;
                    Said::NewNonce
                }
                Ok(answer) => {
                    if answered(&mut known) {
                        w.put(&known)?;
                    }
                    match answer {
                        Answer::Refused(refusal) => Said::Refused(refusal),
                        answer => Said::Answer(answer),
                    }
                }
                Err(_) => self.silence(w, known, "its answer cannot be read")?,
            },
            AskOutcome::Busy { retry_after_ms } => Said::Wait(retry_after_ms),
            AskOutcome::Unsupported => Said::NoRelay,
            AskOutcome::Unreachable { why } => self.silence(w, known, why)?,
        };
        Ok(said)
    }

    /// Counts a question without an answer; of several under way at once the first.
    fn silence(&self, w: &mut Work<'_>, mut known: KnownRelay, why: &'static str) -> Result<Said, Halt> {
        if known.quiet_until <= w.now {
            let pause = QUIET_FIRST_MS.saturating_mul(1 << known.failures.min(16)).min(QUIET_LONGEST_MS);
            known.failures = known.failures.saturating_add(1);
            known.quiet_until = w.now.plus_millis(pause);
            w.put(&known)?;
        }
        Ok(Said::Silent(why))
    }

    /// How a relay is called where its name is not known.
    pub(super) fn relay_name(&self, w: &Work<'_>, relay: &RelayId) -> Result<String, Halt> {
        let own = self.own_relays(w)?.into_iter().find(|own: &OwnRelay| own.relay == *relay);
        let short: String = relay.to_string().chars().take(8).collect();
        Ok(match own {
            Some(own) if !own.name.is_empty() => format!("relay {} ({short})", own.name),
            _ => format!("relay {short}"),
        })
    }
}

/// The share of senders that a relay gets: less with every broken word.
pub(super) fn weight(known: &KnownRelay) -> f64 {
    1.0 / (1.0 + f64::from(known.broken)).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_tells_its_question() {
        let id = (1 << ID_BITS) - 1;
        for question in [
            Question::Own { relay: 3, tag: u16::MAX },
            Question::Acknowledge { relay: id },
            Question::Deposit { row: id, place: 7 },
            Question::Audit { row: 1, place: 0 },
            Question::Prekey { row: 9, place: 3 },
            Question::Kept { contact: 2, place: 2 },
            Question::Prove { row: 3, place: 1 },
            Question::ChannelOps { channel: 1, at: 2 },
            Question::ChannelCarded { channel: id, at: u16::MAX },
        ] {
            assert_eq!(Question::of(question.number()), Some(question));
        }
        assert_eq!(Question::of(0), None);
        assert_eq!(next_tag(u16::MAX), 0);
    }
}
