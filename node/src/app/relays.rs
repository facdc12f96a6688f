//! The relays that hold this device's mail: which they are, added by card and let go again, and which grants at them ended.
//! Must not know what a relay is asked when, nor what an envelope holds.

use super::{
    App, Scan,
    command::Outcome,
    query,
    work::{Halt, Work},
};
use crate::{
    api::{
        error::{Code, UserError},
        types,
    },
    net::NetCommand,
};
use kith_protocol::{
    RelayId, Timestamp,
    crypto::Secret,
    identity::contact_link,
    limits,
    mailbox::{MailboxKey, RelayCard},
};
use kith_store::table::{Contact, DueWhat, EndedGrant, KnownRelay, OwnRecord, OwnRelay, RelayStanding, Told};
use rand_core::Rng as _;

/// Relays that hold mail for one device.
const OWN_MAX: usize = limits::MAILBOXES_MAX;
/// A relay without an answer for so long is no place for mail any more: contacts are told.
pub(super) const GONE_MS: u64 = 3 * DAY_MS;
/// A day, in milliseconds.
pub(in crate::app) const DAY_MS: u64 = 86_400_000;

impl App {
    /// All relays of ours, in the order in which they were added.
    pub(super) fn own_relays(&self, w: &Work<'_>) -> Result<Vec<OwnRelay>, Halt> {
        Ok(w.rows().group::<OwnRelay>(OwnRelay::GROUP)?)
    }

    /// Relays of ours where mail may be left now.
    pub(super) fn places(&self, w: &Work<'_>) -> Result<Vec<OwnRelay>, Halt> {
        let now = w.now;
        Ok(self.own_relays(w)?.into_iter().filter(|own| is_place(own, now)).collect())
    }

    /// Adds a relay by its card.
    pub(super) fn relay_add(&self, w: &mut Work<'_>, text: &str) -> Result<Outcome, Halt> {
        let card = RelayCard::parse(text).map_err(card_error)?;
        if self.own_relay == Some(card.relay) {
            let hint = "give the card to others: kith relay card; this node's own mail needs another relay";
            return Err(UserError::new(Code::RelayOwn, "that is the relay that this node runs").hint(hint).into());
        }
        let all = self.own_relays(w)?;
        let known = all.iter().find(|own| own.relay == card.relay).cloned();
        let kept = |own: &&OwnRelay| own.standing != RelayStanding::Leaving && own.relay != card.relay;
        if all.iter().filter(kept).count() >= OWN_MAX {
            let message = format!("{OWN_MAX} relays hold this account's mail: that is as many as contacts are told");
            return Err(UserError::new(Code::Conflict, message).hint("kith relay remove RELAY").into());
        }
        let Some((peer, addresses)) = place_of(&card) else {
            if let Some(own) = known.filter(|own| own.standing != RelayStanding::Leaving) {
                return Ok(relay_outcome(w, &own, false));
            }
            let hint = "ask for the link: kith relay card shows both";
            let message = "the card says which relay it is, not where it listens";
            return Err(UserError::new(Code::CodeBadHint, message).hint(hint).into());
        };
        if let Some(mut own) = known {
            let token = card.token.or(own.token);
            let moved = own.peer != peer || own.addresses != addresses;
            let changed = own.standing == RelayStanding::Leaving || moved || own.token != token;
            if matches!(own.standing, RelayStanding::Leaving | RelayStanding::Refused | RelayStanding::WrongKey) {
                // What it said before is no answer to this.
                own.standing = RelayStanding::New;
                (own.registered, own.detail, own.left_at) = (None, None, None);
            }
            let stuck = own.standing != RelayStanding::Ready;
            (own.peer, own.addresses) = (peer, addresses);
            own.token = token;
            if changed || stuck {
                self.begin_anew(w, &mut own)?;
                self.drive(w, own.clone())?;
                self.protect(w)?;
            }
            let own = w.get::<OwnRelay>(&OwnRelay::key_of(own.number))?.unwrap_or(own);
            return Ok(relay_outcome(w, &own, changed));
        }
        let mut counters = w.counters()?;
        counters.relay += 1;
        w.put(&counters)?;
        let mut seed = [0; 32];
        w.rng.fill_bytes(&mut seed);
        let zero = Timestamp::from_millis(0);
        let own = OwnRelay {
            relay: card.relay,
            number: counters.relay,
            peer,
            addresses,
            name: String::new(),
            token: card.token,
            seed,
            standing: RelayStanding::New,
            detail: None,
            since: w.now,
            left_at: None,
            answered_at: None,
            challenge: [0; 16],
            welcomed: false,
            open: false,
            registered: None,
            stranger: 0,
            ended: Vec::new(),
            after: 0,
            unread: true,
            read_at: None,
            kept: 0,
            used: (0, 0),
            quota: (0, 0),
            prekeys: 0,
            question: None,
            tag: 0,
            failures: 0,
            offered: false,
            due_at: zero,
        };
        self.drive(w, own.clone())?;
        self.protect(w)?;
        Ok(relay_outcome(w, &own, true))
    }

    /// Lets a relay go: contacts are told, and what those who are asleep leave there meanwhile is read. It forgets the mailbox
    /// only when nobody puts its receipts to the test any more, or would have it accused for what it forgot at our word; at
    /// once if there is nobody who could.
    pub(super) fn relay_remove(&self, w: &mut Work<'_>, relay: &RelayId) -> Result<Outcome, Halt> {
        let Some(mut own) = self.own_relays(w)?.into_iter().find(|own| own.relay == *relay) else {
            let message = "no such relay holds this account's mail";
            return Err(UserError::new(Code::RelayUnknown, message).hint("kith relay list").into());
        };
        if own.standing == RelayStanding::Leaving {
            return Ok(Outcome::Done(types::Done { changed: false }));
        }
        if own.registered.is_none() {
            self.forget_relay(w, &own)?;
        } else {
            own.standing = RelayStanding::Leaving;
            own.left_at = (!w.rows().every::<Contact>()?.is_empty()).then_some(w.now);
            own.failures = 0;
            own.unread = true;
            own.offered = false;
            own.due_at = w.now;
            self.put_relay(w, &own)?;
            self.places_changed(w)?;
            let own = w.get::<OwnRelay>(&OwnRelay::key_of(own.number))?.unwrap_or(own);
            self.drive(w, own)?;
        }
        Ok(Outcome::Done(types::Done { changed: true }))
    }

    pub(super) fn forget_relay(&self, w: &mut Work<'_>, own: &OwnRelay) -> Result<(), Halt> {
        if let Some(row) = w.get::<OwnRelay>(&OwnRelay::key_of(own.number))? {
            w.unschedule(row.due_at, DueWhat::Relay(own.number))?;
        }
        w.delete::<OwnRelay>(&OwnRelay::key_of(own.number))?;
        self.protect(w)
    }

    /// Where mail may be left changed: descriptor and contacts are told.
    pub(super) fn places_changed(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        self.publish(w)?;
        self.offer_to_all(w)
    }

    pub(in crate::app) fn protect(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        let peers = self.protected(w)?;
        w.effects().net.push(NetCommand::Protect { peers });
        Ok(())
    }

    /// Writes a relay's row and puts it on the timetable.
    pub(super) fn put_relay(&self, w: &mut Work<'_>, own: &OwnRelay) -> Result<(), Halt> {
        if let Some(before) = w.get::<OwnRelay>(&OwnRelay::key_of(own.number))?
            && before.due_at != own.due_at
        {
            w.unschedule(before.due_at, DueWhat::Relay(own.number))?;
        }
        w.put(own)?;
        w.schedule(own.due_at, DueWhat::Relay(own.number))
    }

    /// Gives every relay the newest descriptor to keep.
    pub(super) fn keep_record(&self, w: &mut Work<'_>, sequence: u64, slot: u32, record: &[u8]) -> Result<(), Halt> {
        w.put(&OwnRecord { sequence, slot, record: record.to_vec() })?;
        for own in self.own_relays(w)? {
            if own.welcomed && own.question.is_none() && own.standing == RelayStanding::Ready {
                self.drive(w, own)?;
            }
        }
        Ok(())
    }

    /// Ends the grants that strangers have, since the contact code changed.
    pub(super) fn new_stranger_grants(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        for mut own in self.own_relays(w)? {
            if own.stranger != 0 {
                own.ended.push(EndedGrant { serial: own.stranger, until: grant_end(w.now), told: Told::No });
                own.stranger = new_serial(w);
                own.due_at = w.now;
                self.put_relay(w, &own)?;
            }
        }
        Ok(())
    }

    /// Ends a grant.
    pub(super) fn end_grant(&self, w: &mut Work<'_>, relay: u64, serial: u64, until: Timestamp) -> Result<(), Halt> {
        let Some(mut own) = w.get::<OwnRelay>(&OwnRelay::key_of(relay))? else { return Ok(()) };
        if until > w.now {
            own.ended.push(EndedGrant { serial, until, told: Told::No });
            own.due_at = own.due_at.min(w.now.plus_millis(1_000));
            self.put_relay(w, &own)?;
        }
        Ok(())
    }
}

/// Whether mail may be left at a relay of ours: it was registered at, and heard of within three days.
pub(super) fn is_place(own: &OwnRelay, now: Timestamp) -> bool {
    let stands = matches!(own.standing, RelayStanding::Ready | RelayStanding::Unreachable);
    let heard = own.answered_at.is_some_and(|at| now.millis_since(at) < GONE_MS);
    stands && own.registered.is_some() && heard
}

/// The key of our mailbox at a relay.
pub(super) fn mailbox_key(own: &OwnRelay) -> MailboxKey {
    MailboxKey::from_seed(&Secret::new(own.seed))
}

/// The number of a new grant: drawn, so that none is used twice even where an old copy of the profile was put back, and so
/// that it says nothing to two relays that compare theirs.
pub(super) fn new_serial(w: &mut Work<'_>) -> u64 {
    w.rng.next_u64().max(1)
}

/// When a grant ends that is given now: at the beginning of a day, so that those of one moment at two relays are like all
/// others of that day.
pub(super) fn grant_end(now: Timestamp) -> Timestamp {
    now.plus_days(limits::GRANT_DAYS_MAX).day().start()
}

/// The transport name and the addresses of a card; all of one peer.
pub(in crate::app) fn place_of(card: &RelayCard) -> Option<(String, Vec<String>)> {
    let peer_of = |hint: &String| hint.rsplit_once("/p2p/").map(|(_, peer)| peer.to_owned());
    let peer = card.hints.iter().find_map(peer_of)?;
    let addresses = card.hints.iter().filter(|hint| peer_of(hint).as_ref() == Some(&peer)).cloned().collect();
    Some((peer, addresses))
}

fn relay_outcome(w: &Work<'_>, own: &OwnRelay, changed: bool) -> Outcome {
    let known = w.get::<KnownRelay>(&KnownRelay::key_of(&own.relay, &own.peer)).ok().flatten();
    Outcome::Relay(types::RelayAdded { relay: query::relay(own, known.as_ref()), changed })
}

pub(in crate::app) fn card_error(error: contact_link::Error) -> UserError {
    use contact_link::{CodeKind, Error as E};
    let (code, hint) = match &error {
        E::Typo | E::NotACode | E::NoAccount => (Code::CodeTypo, "copy it again, or ask for the link"),
        E::Truncated { .. } => (Code::CodeTruncated, "copy the whole card: 90 characters that begin with kith1"),
        E::WrongKind { have: CodeKind::Contact, .. } => {
            (Code::CodeWrongKind, "kith contact add CODE adds that person; a relay's card comes from its operator")
        }
        E::WrongKind { .. } => (Code::CodeWrongKind, "ask the relay's operator for its card: kith relay card"),
        E::UnknownVersion(_) => (Code::CodeUnknownVersion, "update kith"),
        E::BadHint(_) | E::TooManyHints => (Code::CodeBadHint, "copy the link again, or ask for it"),
    };
    UserError::new(code, error.to_string()).hint(hint)
}
