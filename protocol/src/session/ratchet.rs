//! One session: the Double Ratchet between two devices after their handshake.
//! Must not know other sessions, storage or what it carries.
//!
//! A new sending chain is made only when something is sent, so that the private half of a ratchet key that has done its
//! work is gone as soon as the peer's next key is in.

use super::{
    SessionId,
    chain::{ChainKey, MessageSeed, SALT_LEN},
    handshake::Handshake,
    header::{End, Header, RatchetMessage, associated_data},
    open,
    opened::Opened,
    pq_step::{OurPq, PqState},
    root::RootKey,
    seal,
    skipped::{Batch, SkippedKeys},
};
use crate::{
    Timestamp,
    crypto::{
        dh::{DhPublic, DhSecret},
        kem::KemPublic,
    },
    limits,
};
use rand_core::CryptoRng;
use std::{collections::VecDeque, fmt};
use zeroize::Zeroizing;

/// Whose turn it is to bring a new ratchet key.
#[derive(Clone, Debug)]
pub(super) enum Turn {
    /// Ours: the peer's newest key is in; the next message sent begins a chain.
    Ours {
        /// The peer's offer that this chain must answer.
        offered: Option<KemPublic>,
    },
    /// The peer's: our newest key is out.
    Theirs(SendingChain),
}

/// Our newest ratchet key and the chain that goes with it.
#[derive(Clone, Debug)]
pub(super) struct SendingChain {
    /// Private half of the ratchet key.
    pub(super) secret: DhSecret,
    /// Where the chain stands.
    pub(super) key: ChainKey,
    /// Number of the next message.
    pub(super) next: u32,
    /// What every header of the chain says about the ML-KEM step.
    pub(super) pq: OurPq,
}

/// The peer's newest chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReceivingChain {
    /// The peer's ratchet key.
    pub(super) ratchet_key: [u8; 32],
    /// Where the chain stands.
    pub(super) key: ChainKey,
    /// Number of the next message that was not passed yet.
    pub(super) next: u32,
}

/// The state of one session.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) id: SessionId,
    /// Hash of everything public in the handshake.
    pub(super) transcript: [u8; 32],
    pub(super) suite: u32,
    /// Orders sessions with one device: the highest is used for sending.
    pub(super) rank: u64,
    /// Never used for sending again.
    pub(super) retired: bool,
    pub(super) created: Timestamp,
    /// When it was made or last opened something.
    pub(super) used: Timestamp,
    /// What we opened it with, until the peer's first answer.
    pub(super) opening: Option<Handshake>,
    pub(super) root: RootKey,
    pub(super) turn: Turn,
    /// The peer's newest ratchet key (its signed prekey at first).
    pub(super) their_key: [u8; 32],
    /// Messages in our previous sending chain.
    pub(super) previous: u32,
    pub(super) receiving: Option<ReceivingChain>,
    /// Ratchet keys of the peer's earlier chains, oldest first; what was missing of them is among the skipped.
    pub(super) closed: VecDeque<[u8; 32]>,
    pub(super) skipped: SkippedKeys,
    pub(super) pq: PqState,
    pub(super) opened: Opened,
}

/// The secrets and names a session begins with.
pub(super) struct Beginning {
    pub(super) transcript: [u8; 32],
    pub(super) suite: u32,
    pub(super) rank: u64,
    pub(super) root: RootKey,
    /// The peer's first ratchet key; on the responder's side none yet, all zero.
    pub(super) their_key: [u8; 32],
    pub(super) opening: Option<Handshake>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            transcript: _,
            suite,
            rank,
            retired,
            created: _,
            used: _,
            opening,
            root: _,
            turn: _,
            their_key: _,
            previous: _,
            receiving: _,
            closed: _,
            skipped,
            pq,
            opened: _,
        } = self;
        let mut s = f.debug_struct("Session");
        s.field("id", id).field("suite", suite).field("rank", rank).field("retired", retired);
        s.field("unanswered", &opening.is_some()).field("skipped", &skipped.len()).field("pq_steps", &pq.steps);
        s.finish_non_exhaustive()
    }
}

impl Session {
    /// Begins a session right after its handshake.
    pub(super) fn new(beginning: Beginning, now: Timestamp) -> Self {
        let Beginning { transcript, suite, rank, root, their_key, opening } = beginning;
        Self {
            id: SessionId::of(&transcript),
            transcript,
            suite,
            rank,
            retired: false,
            created: now,
            used: now,
            opening,
            root,
            turn: Turn::Ours { offered: None },
            their_key,
            previous: 0,
            receiving: None,
            closed: VecDeque::new(),
            skipped: SkippedKeys::default(),
            pq: PqState::new(now),
            opened: Opened::default(),
        }
    }

    /// Says whether the peer's first answer is still awaited.
    pub(super) const fn is_unanswered(&self) -> bool {
        self.opening.is_some()
    }

    /// Seals one plaintext; returns the state after it, to be committed before the message leaves.
    pub(super) fn seal(
        &self,
        us: End,
        them: End,
        plaintext: &[u8],
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, RatchetMessage), seal::Error> {
        let mut next = self.clone();
        next.skipped.expire(now);
        let mut chain = match &self.turn {
            Turn::Theirs(chain) => chain.clone(),
            Turn::Ours { offered } => next.begin_chain(offered.as_ref(), now, rng)?,
        };
        let number = chain.next;
        chain.next = number.checked_add(1).ok_or(seal::Error::Exhausted)?;
        let seed = chain.key.advance();
        let mut salt = [0; SALT_LEN];
        rng.fill_bytes(&mut salt);
        let header = Header {
            ratchet_key: *chain.secret.public().as_bytes(),
            previous: next.previous,
            number,
            salt,
            pq_step: next.pq.step_of(&chain.pq),
            pq: chain.pq.field(),
        }
        .encode();
        let ad = associated_data(&self.transcript, self.suite, us, them, &header);
        let ciphertext = seed.seal(&salt, &ad, plaintext);
        next.turn = Turn::Theirs(chain);
        next.pq.count();
        Ok((next, RatchetMessage { session: self.id, sender: us.device, header, ciphertext }))
    }

    /// Begins a sending chain under a fresh ratchet key; answers the peer's ML-KEM offer, or offers if it is time.
    pub(super) fn begin_chain(
        &mut self,
        offered: Option<&KemPublic>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<SendingChain, seal::Error> {
        let secret = DhSecret::random(rng);
        let dh = secret.agree(&DhPublic::raw(self.their_key)).map_err(|_| seal::Error::WeakKey)?;
        let (pq, share) = self.pq.begin_chain(offered, now, rng);
        let (root, key) = self.root.step(&dh, share.as_ref());
        self.root = root;
        Ok(SendingChain { secret, key, next: 0, pq })
    }

    /// Opens one message; returns the state after it. On any error this state stands as it was.
    pub(super) fn open(
        &self,
        us: End,
        them: End,
        message: &RatchetMessage,
        now: Timestamp,
    ) -> Result<(Self, Zeroizing<Vec<u8>>), open::Error> {
        match &self.turn {
            Turn::Theirs(chain) => self.open_with(us, them, message, Some((&chain.secret, &chain.pq)), now),
            // Without a key of ours outstanding no new key of theirs can follow from it.
            Turn::Ours { .. } => self.open_with(us, them, message, None, now),
        }
    }

    /// Opens one message; a new ratchet key of the peer must answer `ours`, our newest key and what its chain said. The
    /// first message on the responder's side answers the signed prekey.
    pub(super) fn open_with(
        &self,
        us: End,
        them: End,
        message: &RatchetMessage,
        ours: Option<(&DhSecret, &OurPq)>,
        now: Timestamp,
    ) -> Result<(Self, Zeroizing<Vec<u8>>), open::Error> {
        let header = Header::decode(&message.header)?;
        self.check_jump(&header)?;
        let mut next = self.clone();
        next.skipped.expire(now);
        if next.is_new_key(&header.ratchet_key) {
            let (secret, pq) = ours.ok_or(open::Error::NotAuthentic)?;
            next.accept_chain(secret, pq, &header, now)?;
        }
        let seed = match next.seed(&header, now)? {
            Some(seed) => seed,
            None if self.opened.knows(message) => return Err(open::Error::Duplicate),
            None => return Err(open::Error::Regression),
        };
        let ad = associated_data(&self.transcript, self.suite, them, us, &message.header);
        let plaintext = seed.open(&header.salt, &ad, &message.ciphertext).map_err(|_| open::Error::NotAuthentic)?;
        next.opening = None;
        next.used = now;
        next.pq.count();
        next.opened.note(message);
        Ok((next, plaintext))
    }

    fn is_new_key(&self, ratchet_key: &[u8; 32]) -> bool {
        self.receiving.as_ref().is_none_or(|c| c.ratchet_key != *ratchet_key)
            && !self.closed.contains(ratchet_key)
            && !self.skipped.knows(ratchet_key)
    }

    /// Refuses a header that jumps too far before anything is computed: what it leaves out of the chain before and what it
    /// leaves out of its own count together (R-SES-6).
    fn check_jump(&self, header: &Header) -> Result<(), open::Error> {
        let current = self.receiving.as_ref().map(|chain| (chain.ratchet_key, chain.next));
        let jump = match current {
            Some((key, next)) if key == header.ratchet_key => header.number.saturating_sub(next),
            _ if !self.is_new_key(&header.ratchet_key) => 0,
            Some((_, next)) => header.previous.saturating_sub(next).saturating_add(header.number),
            None => header.number,
        };
        if jump > limits::JUMP_MAX { Err(open::Error::TooFarAhead) } else { Ok(()) }
    }

    /// Takes in a new ratchet key of the peer: closes the chain before it and makes the root step.
    fn accept_chain(
        &mut self,
        secret: &DhSecret,
        pq: &OurPq,
        header: &Header,
        now: Timestamp,
    ) -> Result<(), open::Error> {
        self.close_chain(header.previous, now)?;
        let accepted =
            self.pq.accept_chain(pq, &header.pq, header.pq_step, now).map_err(|_| open::Error::NotAuthentic)?;
        // The associated data binds the raw bytes; a second spelling of a key is refused even from the peer (c05_08).
        let theirs = DhPublic::parse(&header.ratchet_key).map_err(|_| open::Error::NotAuthentic)?;
        let dh = secret.agree(&theirs).map_err(|_| open::Error::NotAuthentic)?;
        let (root, key) = self.root.step(&dh, accepted.share.as_ref());
        self.root = root;
        if let Turn::Theirs(chain) = &self.turn {
            self.previous = chain.next;
        }
        self.turn = Turn::Ours { offered: accepted.offered };
        self.their_key = header.ratchet_key;
        self.receiving = Some(ReceivingChain { ratchet_key: header.ratchet_key, key, next: 0 });
        Ok(())
    }

    /// Keeps the seeds of what the peer's last chain still owes, and forgets its chain key.
    fn close_chain(&mut self, length: u32, now: Timestamp) -> Result<(), open::Error> {
        let Some(mut chain) = self.receiving.take() else {
            return if length == 0 { Ok(()) } else { Err(open::Error::NotAuthentic) };
        };
        if length < chain.next {
            return Err(open::Error::NotAuthentic);
        }
        self.skipped.keep(pass_over(&mut chain, length, now));
        if self.closed.len() + 1 >= limits::RECEIVING_CHAINS_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back(chain.ratchet_key);
        Ok(())
    }

    /// Finds the seed of a message: next in the chain, further on (the ones between are kept), or kept before. Nothing
    /// if it was used or given up.
    fn seed(&mut self, header: &Header, now: Timestamp) -> Result<Option<MessageSeed>, open::Error> {
        match &mut self.receiving {
            Some(chain) if chain.ratchet_key == header.ratchet_key && header.number >= chain.next => {
                let batch = pass_over(chain, header.number, now);
                let seed = chain.key.advance();
                chain.next = header.number.checked_add(1).ok_or(open::Error::NotAuthentic)?;
                self.skipped.keep(batch);
                Ok(Some(seed))
            }
            _ => Ok(self.skipped.take(&header.ratchet_key, header.number)),
        }
    }
}

/// Moves a chain on to a number within the checked jump and returns the seeds passed over, of which only the last
/// `limits::SKIPPED_KEYS_MAX` are held.
fn pass_over(chain: &mut ReceivingChain, to: u32, now: Timestamp) -> Batch {
    let mut seeds = VecDeque::new();
    while chain.next < to {
        if seeds.len() >= limits::SKIPPED_KEYS_MAX {
            seeds.pop_front();
        }
        seeds.push_back((chain.next, chain.key.advance()));
        chain.next = chain.next.saturating_add(1);
    }
    Batch { ratchet_key: chain.ratchet_key, since: now, seeds }
}
