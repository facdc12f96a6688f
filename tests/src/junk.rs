//! What strangers throw at a relay: deposits that it must refuse, each for its own reason, and some that it may take.
//! Must not know who sends them, nor how often.

use crate::depositor::{Depositor, now};
use kith_protocol::{
    MailboxId,
    crypto::{Secret, sign::SigningKey},
    limits::ENVELOPE_MAX,
    mailbox::{Class, MailboxKey, Nonce, Pass, Reason},
};

/// What a stranger tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Junk {
    /// A valid grant of an honest mailbox and garbage under it.
    Granted,
    /// What this stranger sent before.
    Again,
    /// What another stranger sent.
    Replayed,
    /// A valid grant of a mailbox that is not there, as a stranger.
    Nowhere,
    /// The same, as a contact.
    NowhereAsContact,
    /// A grant that has ended.
    Ended,
    /// One byte too much.
    TooLong,
    /// No request.
    Garbage,
    /// A grant that names an honest mailbox and is signed by another.
    Forged,
    /// A proof by another key than the grant's.
    Unproven,
}

/// What costs nobody their connection.
pub const HARMLESS: [Junk; 8] = [
    Junk::Granted,
    Junk::Again,
    Junk::Replayed,
    Junk::Nowhere,
    Junk::NowhereAsContact,
    Junk::Ended,
    Junk::TooLong,
    Junk::Garbage,
];

/// What a relay hangs up on.
pub const FORGED: [Junk; 2] = [Junk::Forged, Junk::Unproven];

impl Junk {
    /// The words of `relay stats` for a relay that judges it right; "taken" for what is taken in.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Granted | Self::Again => &["taken", "no_room"],
            Self::Replayed => &["nonce"],
            Self::Nowhere => &["no_room"],
            Self::NowhereAsContact => &["unknown_tag"],
            Self::Ended => &["expired"],
            Self::TooLong | Self::Garbage => &["too_large", "malformed"],
            Self::Forged => &["wrong_grant"],
            Self::Unproven => &["proof"],
        }
    }
}

/// The word of `relay stats` for a reason: `NoRoom` is `no_room`.
pub fn word_of(reason: Reason) -> String {
    let mut word = String::new();
    for letter in format!("{reason:?}").chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.extend(letter.to_lowercase());
    }
    word
}

/// Makes one stranger's junk.
pub struct Maker<'a> {
    nonce: Nonce,
    number: u64,
    granted: &'a [Pass],
    replay: &'a [u8],
    nowhere: Pass,
    contact: Pass,
    ended: Pass,
    unproven: Pass,
}

impl<'a> Maker<'a> {
    /// For a stranger under a number of its own, with passes to honest mailboxes and a request of somebody else's.
    pub fn new(stranger: &Depositor, number: u64, granted: &'a [Pass], replay: &'a [u8]) -> Self {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        let nobody = MailboxKey::from_seed(&Secret::new(seed));
        let other = SigningKey::from_seed(&Secret::new(seed));
        Self {
            nonce: stranger.nonce,
            number,
            granted,
            replay,
            nowhere: stranger.pass_of(&nobody, Class::Stranger, 1, now().plus_days(9)),
            contact: stranger.pass(&nobody),
            ended: stranger.pass_of(&nobody, Class::Stranger, 1, now().minus_millis(9 * 86_400_000)),
            unproven: Pass { depositor: Some(other), ..stranger.pass(&nobody) },
        }
    }

    fn deposit(&self, pass: &Pass, envelope: &[u8]) -> Vec<u8> {
        pass.deposit(&self.nonce, now().day(), now().plus_days(30), false, envelope)
    }

    /// The request under a number; each envelope is another, of one to four kibibytes.
    pub fn make(&self, junk: Junk, n: usize) -> Vec<u8> {
        let fresh = [self.number.to_be_bytes(), (n as u64).to_be_bytes()].concat().repeat(64 + n % 4 * 64);
        let granted = &self.granted[n / HARMLESS.len() % self.granted.len()];
        match junk {
            Junk::Granted => self.deposit(granted, &fresh),
            Junk::Again => self.deposit(granted, &self.number.to_be_bytes().repeat(128)),
            Junk::Replayed => self.replay.to_vec(),
            Junk::Nowhere => self.deposit(&self.nowhere, &fresh),
            Junk::NowhereAsContact => self.deposit(&self.contact, &fresh),
            Junk::Ended => self.deposit(&self.ended, &fresh),
            Junk::TooLong => self.deposit(&self.nowhere, &vec![7; ENVELOPE_MAX + 1]),
            Junk::Garbage => fresh,
            Junk::Unproven => self.deposit(&self.unproven, &fresh),
            Junk::Forged => {
                let mut request = self.deposit(&self.nowhere, &fresh);
                let (own, honest) = (self.nowhere.grant.mailbox, granted.grant.mailbox);
                let place = request.windows(MailboxId::LEN).position(|part| part == own.as_bytes()).unwrap();
                request[place..place + MailboxId::LEN].copy_from_slice(honest.as_bytes());
                request
            }
        }
    }
}
