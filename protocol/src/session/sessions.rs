//! All sessions with one peer device: which one is sent in, how a new one comes in, how many are kept.
//! Must not know the inside of a session.
//!
//! Every session carries a rank, fixed by its initiator as max(highest known + 1, Unix milliseconds). Both sides send in
//! the session of the highest rank (the lower id where two are equal), so that two who begin at the same moment end up
//! in one, whatever was lost or reordered, and a device that went back to an older state brings the next one.
//! Messages in the other sessions still open.

use super::{
    Begun, Inbound, LocalDevice, OpenStep, OwnKeys, PeerDevice, PeerKeys, SealStep, SessionId, StrangerStep,
    handshake::{Handshake, InitialMessage},
    header::{End, Header},
    open,
    pq_step::OurPq,
    ratchet::{Beginning, Session},
    seal,
};
use crate::{Timestamp, limits, mailbox::EnvelopeBody, prekey::SUITE};
use rand_core::CryptoRng;
use std::{cmp::Reverse, fmt};
use zeroize::Zeroizing;

/// All sessions with one peer device.
#[derive(Clone)]
pub struct Sessions {
    pub(super) peer: PeerDevice,
    /// The lowest suite still accepted from this device; only rises.
    pub(super) floor: u32,
    pub(super) list: Vec<Session>,
}

/// Where sending to a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// No session to send in: a bundle is needed.
    None,
    /// We began one and the peer has not answered in it yet.
    Unanswered {
        /// The session.
        session: SessionId,
        /// When it was begun.
        since: Timestamp,
    },
    /// Both sides have it.
    Established {
        /// The session.
        session: SessionId,
    },
}

impl Sessions {
    /// Makes the empty set for a device that its account's log has proven.
    pub const fn new(peer: PeerDevice) -> Self {
        Self { peer, floor: SUITE, list: Vec::new() }
    }

    /// Returns the device these sessions are with.
    pub const fn peer(&self) -> &PeerDevice {
        &self.peer
    }

    /// Returns the lowest suite still accepted from this device: what its bundle is judged by.
    pub const fn floor(&self) -> u32 {
        self.floor
    }

    /// Raises the floor to what a bundle of the device demanded; never lowers it (R-SES-9).
    #[must_use]
    pub fn raise_floor(&self, floor: u32) -> Self {
        Self { floor: self.floor.max(floor), ..self.clone() }
    }

    /// Says where sending stands.
    pub fn status(&self, now: Timestamp) -> Status {
        match self.current(now) {
            None => Status::None,
            Some(s) if is_stale(s, now) => Status::None,
            Some(s) if s.is_unanswered() => Status::Unanswered { session: s.id, since: s.created },
            Some(s) => Status::Established { session: s.id },
        }
    }

    /// Begins a new session with the device's keys and seals its first message; older ones are kept for opening.
    pub fn initiate(
        &self,
        us: &LocalDevice<'_>,
        keys: &PeerKeys,
        payload: &[u8],
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<SealStep, seal::Error> {
        // R-SES-9: the floor only rises, so an older bundle cannot bring an older suite back.
        if keys.suite != SUITE || keys.suite < self.floor {
            return Err(seal::Error::RefusedSuite(keys.suite));
        }
        let highest = self.list.iter().map(|s| rank_at(s, now)).max().unwrap_or(0);
        let rank = highest.saturating_add(1).max(now.as_millis());
        let (handshake, agreed) = Handshake::initiate(us, &self.peer, keys, rank, rng)?;
        let session = Session::new(
            Beginning {
                transcript: agreed.transcript,
                suite: keys.suite,
                rank,
                root: agreed.root,
                their_key: *keys.signed_prekey.as_bytes(),
                opening: Some(handshake),
            },
            now,
        );
        self.seal_in(&session, us, payload, now, rng)
    }

    /// Seals a payload in the session that is sent in.
    pub fn seal(
        &self,
        us: &LocalDevice<'_>,
        payload: &[u8],
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<SealStep, seal::Error> {
        let session = self.current(now).ok_or(seal::Error::NoSession)?;
        if is_stale(session, now) {
            return Err(seal::Error::Unanswered);
        }
        self.seal_in(session, us, payload, now, rng)
    }

    fn seal_in(
        &self,
        session: &Session,
        us: &LocalDevice<'_>,
        payload: &[u8],
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<SealStep, seal::Error> {
        if payload.len() > limits::PAYLOAD_MAX {
            return Err(seal::Error::TooLarge);
        }
        let (session, message) = session.seal(end(us), self.end(), payload, now, rng)?;
        // Until the first answer every message carries the whole handshake: any of them may arrive first.
        let body = match &session.opening {
            Some(handshake) => EnvelopeBody::Initial(InitialMessage { handshake: handshake.clone(), message }.encode()),
            None => EnvelopeBody::Ratchet(message.encode()),
        };
        let id = session.id;
        Ok(SealStep { sessions: self.with(session, now), message: body, session: id })
    }

    /// Opens a message that claims to come from this device.
    pub fn open(
        &self,
        us: &LocalDevice<'_>,
        keys: &impl OwnKeys,
        inbound: &Inbound,
        now: Timestamp,
    ) -> Result<OpenStep, open::Error> {
        if inbound.message.sender != self.peer.device || inbound.claim().is_some_and(|claim| *claim != self.peer) {
            return Err(open::Error::NotAuthentic);
        }
        let known = self.list.iter().find(|s| s.id == inbound.message.session);
        match (known, &inbound.handshake) {
            // R-SES-10: a session that exists is never begun again, whatever its message is wrapped in.
            (Some(session), handshake) => {
                if let Some(handshake) = handshake {
                    handshake.check(us, self.floor)?;
                }
                let (session, payload) = session.open(end(us), self.end(), &inbound.message, now)?;
                Ok(self.opened(session, payload, None, now))
            }
            (None, Some(handshake)) => self.accept(us, keys, handshake, inbound, now),
            (None, None) => Err(open::Error::UnknownSession),
        }
    }

    /// Opens the first message of a device that is not known here: the step gives its payload, and becomes an ordinary
    /// one when the device log in it confirms the claim.
    pub fn open_stranger(
        us: &LocalDevice<'_>,
        keys: &impl OwnKeys,
        inbound: &Inbound,
        now: Timestamp,
    ) -> Result<StrangerStep, open::Error> {
        let claim = inbound.claim().ok_or(open::Error::UnknownSession)?;
        Self::new(*claim).open(us, keys, inbound, now).map(StrangerStep)
    }

    /// Begins a session on the responder's side.
    fn accept(
        &self,
        us: &LocalDevice<'_>,
        keys: &impl OwnKeys,
        handshake: &Handshake,
        inbound: &Inbound,
        now: Timestamp,
    ) -> Result<OpenStep, open::Error> {
        handshake.check(us, self.floor)?;
        let claimed = inbound.message.session;
        // R-SES-10: a first message begins one session, once, even when that session is gone.
        if keys.seen(&claimed) {
            return Err(open::Error::Duplicate);
        }
        // Anybody can begin a session, so what it may cost before it is proven is bounded more tightly (R-SES-6).
        if Header::decode(&inbound.message.header)?.number > limits::FIRST_JUMP_MAX {
            return Err(open::Error::TooFarAhead);
        }
        let (agreed, prekey) = handshake.respond(us, keys)?;
        let beginning = Beginning {
            transcript: agreed.transcript,
            suite: handshake.suite,
            rank: handshake.rank,
            root: agreed.root,
            their_key: [0; 32],
            opening: None,
        };
        let session = Session::new(beginning, now);
        if session.id != claimed {
            return Err(open::Error::NotAuthentic);
        }
        let first = Some((&prekey, &OurPq::None));
        let (session, payload) = session.open_with(end(us), self.end(), &inbound.message, first, now)?;
        let begun = Begun {
            session: session.id,
            signed_prekey_id: handshake.signed_prekey_id,
            one_time_id: handshake.one_time_id,
        };
        Ok(self.opened(session, payload, Some(begun), now))
    }

    fn opened(&self, session: Session, payload: Zeroizing<Vec<u8>>, begun: Option<Begun>, now: Timestamp) -> OpenStep {
        let id = session.id;
        OpenStep { sessions: self.with(session, now), payload, sender: self.peer, session: id, begun }
    }

    /// Never sends in any session but this one and later ones again: to be called with the session that carried the
    /// peer's "cannot open", whatever the ranks are. What comes in the others still opens.
    #[must_use]
    pub fn retire_others(&self, keep: &SessionId) -> Self {
        let mut next = self.clone();
        if next.list.iter().any(|s| s.id == *keep) {
            for session in &mut next.list {
                session.retired = session.id != *keep;
            }
        }
        next
    }

    /// Returns the session that is sent in: the highest rank, then the lower id; none below the floor (R-SES-9).
    fn current(&self, now: Timestamp) -> Option<&Session> {
        let usable = self.list.iter().filter(|s| !s.retired && s.suite >= self.floor);
        usable.max_by_key(|s| (rank_at(s, now), Reverse(s.id)))
    }

    /// Puts a session's new state in its place, or adds it; beyond the bound the one unused for longest goes.
    fn with(&self, session: Session, now: Timestamp) -> Self {
        let id = session.id;
        let mut next = Self { peer: self.peer, floor: self.floor.max(session.suite), list: Vec::new() };
        next.list = self.list.iter().filter(|s| s.id != id).cloned().collect();
        next.list.push(session);
        while next.list.len() > limits::OLD_SESSIONS_MAX + 1 {
            let current = next.current(now).map(|s| s.id);
            let spare = |s: &&Session| s.id != id && Some(s.id) != current;
            let Some(oldest) = next.list.iter().filter(spare).min_by_key(|s| (s.used, rank_at(s, now))).map(|s| s.id)
            else {
                break;
            };
            next.list.retain(|s| s.id != oldest);
        }
        next.bound_skipped(&id);
        next
    }

    /// Keeps the skipped keys of all sessions together within the bound of one: those of the session unused for longest
    /// go first.
    fn bound_skipped(&mut self, keep: &SessionId) {
        let mut total: usize = self.list.iter().map(|s| s.skipped.len()).sum();
        while total > limits::SKIPPED_KEYS_MAX {
            let full = self.list.iter_mut().filter(|s| s.id != *keep && s.skipped.len() > 0);
            let Some(oldest) = full.min_by_key(|s| s.used) else { break };
            total = total.saturating_sub(oldest.skipped.len());
            oldest.skipped.clear();
        }
    }

    fn end(&self) -> End {
        End { account: self.peer.account, device: self.peer.device }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, floor, list } = self;
        write!(f, "Sessions({:?}, floor {floor}, {} kept)", peer.device, list.len())
    }
}

fn end(us: &LocalDevice<'_>) -> End {
    End { account: us.account, device: us.device }
}

/// Says whether a session has waited too long for its first answer.
fn is_stale(session: &Session, now: Timestamp) -> bool {
    session.is_unanswered() && now.millis_since(session.created) >= limits::UNANSWERED_SESSION_MS
}

/// Returns a session's rank, 0 while it lies too far in the future: no wrong clock, ours or theirs, pins for long which
/// session is sent in.
fn rank_at(session: &Session, now: Timestamp) -> u64 {
    if session.rank > now.plus_millis(limits::CLOCK_SKEW_MS).as_millis() { 0 } else { session.rank }
}
