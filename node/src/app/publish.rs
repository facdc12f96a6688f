//! Makes this device reachable: keys renewed daily, descriptors for today and the days ahead, and what only lapses.

use super::{
    App, Scan,
    command::Outcome,
    contact::check_name,
    deposit::next_deposit,
    query,
    work::{Halt, Work},
};
use crate::{
    api::{
        error::{Code, UserError},
        types,
    },
    net::{NetCommand, PeerName},
};
use kith_protocol::{
    RecordKey, Timestamp,
    content::SessionControl,
    identity::ReachSecret,
    limits,
    prekey::{Certificates, DescriptorParts, PrekeyPool, check_record, sequence},
};
use kith_store::{
    Error, Range, Rows as _, Writes,
    table::{
        Cargo, ChannelCard, ChannelMailbox, Contact, ContactState, Device, Due, DueWhat, Idempotency, Left, Outbox,
        OutboxState, OwnCertificates, OwnEmptied, OwnPool, OwnProfile, Seen,
    },
};
use rand_core::{CryptoRng, Rng as _};

/// How often own keys and descriptors are looked at, in milliseconds.
const HOUSEKEEPING_MS: u64 = 60 * 60_000;
/// How often lapsed rows are swept, in milliseconds.
const SWEEP_MS: u64 = 6 * 60 * 60_000;
/// How long a repeated request gets its first answer, in milliseconds.
const IDEMPOTENCY_MS: u64 = 24 * 60 * 60_000;
/// The earliest moment a right clock can show: this version did not exist before (2026-11-01).
const EARLIEST: Timestamp = Timestamp::from_millis(1_793_491_200_000);
/// A clock this far ahead of what the profile has seen is taken for wrong, in days.
const AHEAD_DAYS: u64 = 400;
/// A clock that goes forward by more between two looks has leapt, in milliseconds.
const LEAP_MS: u64 = 24 * 60 * 60_000;
/// For how long nothing lapses after a leap: mail gets a try first, and a wrong clock is mostly set right by then.
const LEAP_GRACE_MS: u64 = 60 * 60_000;
/// A leap of more days is not believed until it has lasted.
const LEAP_PINNED_DAYS: u64 = 30;
/// Contacts whose peers are kept connected at most.
const PROTECTED_MAX: usize = 64;
/// Records kept that empty days under older reach secrets: eight rotations within a week.
const EMPTIED_MAX: usize = 64;
/// Transport peers a user can ban.
const BANNED_MAX: usize = 1_000;

/// Why the clock is not believed: then nothing lapses and nothing is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockDoubt {
    /// It shows a moment before this version existed.
    Impossible,
    /// It is behind what this profile has seen. Perhaps what was seen was wrong: so the profile is published, as others
    /// look it up under their own day and take no number of a wrong one.
    Behind,
    /// It is far ahead of what this profile has seen.
    Ahead,
    /// It leapt forward a short while ago: the machine slept, or the clock is about to be set right.
    Leapt,
}

impl ClockDoubt {
    /// Why a clock is not believed, by what a profile has seen.
    pub(super) fn of(profile: &OwnProfile, now: Timestamp) -> Option<Self> {
        if now < EARLIEST {
            Some(Self::Impossible)
        } else if profile.latest.millis_since(now) > limits::CLOCK_SKEW_MS {
            Some(Self::Behind)
        } else if now > profile.latest.plus_days(AHEAD_DAYS) {
            Some(Self::Ahead)
        } else {
            None
        }
    }

    fn forbids_publishing(self) -> bool {
        matches!(self, Self::Impossible | Self::Ahead)
    }

    /// Whether a person should know.
    pub(super) fn is_told(self) -> bool {
        self != Self::Leapt
    }
}

impl std::fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Impossible | Self::Behind => {
                "the clock is behind what this profile has seen: nothing lapses until it is right"
            }
            Self::Ahead => "the clock is far ahead of what this profile has seen: nothing lapses until it is right",
            Self::Leapt => "the clock leapt forward: nothing lapses for an hour",
        })
    }
}

/// Makes the first prekeys of a profile.
pub(super) fn first_keys(writes: &mut Writes, now: Timestamp, rng: &mut impl CryptoRng) -> Result<(), Error> {
    writes.put(&OwnPool { pool: PrekeyPool::generate(now, rng).to_stored() })
}

impl App {
    /// The daemon starts: connections and leases of attempts are gone, the timetable may be old.
    pub(super) fn start(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        let mut profile = self.profile(w)?;
        if self.accept_clock {
            // The person's word counts from now on, not only while this daemon runs.
            profile.latest = w.now;
            w.put(&profile)?;
        }
        let doubt = self.clock_doubt(&profile, w.now);
        if !self.doubts_clock(w, &profile)? && self.may_pin(&profile, doubt, w.now) {
            profile.latest = profile.latest.max(w.now);
        }
        if !doubt.is_some_and(ClockDoubt::forbids_publishing) {
            // The net task has only records that were published since it started: without them nobody could ask us.
            profile.published_at = None;
        }
        w.put(&profile)?;
        self.renew_timetable(w)?;
        let banned = profile.banned.iter().cloned().map(PeerName).collect();
        w.effects().net.push(NetCommand::Block { peers: banned });
        let peers = self.protected(w)?;
        w.effects().net.push(NetCommand::Protect { peers });
        let addresses = self.known_addresses(w)?;
        if !addresses.is_empty() {
            w.effects().net.push(NetCommand::Dial { addresses });
        }
        self.relays_start(w)?;
        self.channels_start(w)?;
        self.housekeeping(w)
    }

    /// The clock went back while the node ran: what the wrong one put off is looked at now.
    pub(super) fn clock_went_back(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        let profile = self.profile(w)?;
        self.doubts_clock(w, &profile)?;
        self.renew_timetable(w)?;
        self.housekeeping(w)
    }

    /// Tells the person of a clock that is not believed; says whether it is one.
    fn doubts_clock(&self, w: &mut Work<'_>, profile: &OwnProfile) -> Result<bool, Halt> {
        let Some(doubt) = self.clock_doubt(profile, w.now).filter(|doubt| doubt.is_told()) else { return Ok(false) };
        let hint = "set the clock and start again; if it is right: kith run --accept-clock";
        tracing::warn!("{doubt}; if it is right: kith run --accept-clock");
        self.alert(w, "clock_off", doubt.to_string(), hint)?;
        Ok(true)
    }

    /// Makes what waits due again, and nothing later than this moment can have meant.
    fn renew_timetable(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        let doubt = self.clock_doubt(&self.profile(w)?, w.now).is_some();
        for mut row in w.rows().group::<Outbox>(Outbox::GROUP)? {
            let before = row.clone();
            row.in_flight = false;
            row.tries = 0;
            row.direct_at = w.now;
            for deposited in &mut row.deposits {
                match &mut deposited.left {
                    Left::Asked { .. } => deposited.left = Left::Later { at: w.now },
                    Left::Later { at } => *at = (*at).min(w.now.plus_millis(HOUSEKEEPING_MS)),
                    Left::Held { .. } | Left::Collected { .. } | Left::Spare => {}
                }
            }
            if !doubt {
                row.expires_at = row.expires_at.min(w.now.plus_millis(limits::OUTBOX_EXPIRY_MS));
            }
            let at_relays = next_deposit(&row);
            row.due_at = match &mut row.state {
                OutboxState::Taken { again_at } => {
                    *again_at = (*again_at).min(w.now.plus_millis(limits::RESEAL_MS));
                    *again_at
                }
                // What a relay holds goes to the device itself when it appears.
                OutboxState::Stored { expires, .. } if !doubt => {
                    row.direct_at = *expires;
                    at_relays.unwrap_or(*expires).min(*expires)
                }
                _ => w.now,
            };
            self.reschedule(w, &before, &row)?;
        }
        for mut contact in w.rows().every::<Contact>()? {
            if let Some(at) = contact.resolve_at.filter(|at| *at > w.now.plus_millis(HOUSEKEEPING_MS)) {
                w.unschedule(at, DueWhat::Resolve(contact.number))?;
                contact.resolve_at = None;
                w.put(&contact)?;
            }
        }
        for due in w.rows().group::<Due>(Due::GROUP)? {
            let late = match due.what {
                DueWhat::Sweep => due.at > w.now.plus_millis(2 * SWEEP_MS),
                DueWhat::Vanish(_) => due.at > w.now,
                DueWhat::Relay(_)
                | DueWhat::Channel(_)
                | DueWhat::Join(_)
                | DueWhat::ChannelMailbox(_)
                | DueWhat::ChannelTend(_) => due.at > w.now.plus_millis(HOUSEKEEPING_MS),
                DueWhat::Outbox(_) | DueWhat::Resolve(_) | DueWhat::Housekeeping | DueWhat::Forget(_) => false,
            };
            if late {
                w.unschedule(due.at, due.what)?;
                w.schedule(w.now, due.what)?;
            }
        }
        Ok(())
    }

    /// The moment from which terms run: a clock that is behind what was seen shortens none.
    pub(super) fn term_begin(&self, w: &Work<'_>) -> Result<Timestamp, Halt> {
        Ok(self.profile(w)?.latest.max(w.now))
    }

    /// Why the clock is not believed, if it is not: then nothing lapses and nothing is deleted.
    pub(super) fn clock_doubt(&self, profile: &OwnProfile, now: Timestamp) -> Option<ClockDoubt> {
        let leapt = self.leapt_at.filter(|at| now < at.plus_millis(LEAP_GRACE_MS)).map(|_| ClockDoubt::Leapt);
        if self.accept_clock { None } else { ClockDoubt::of(profile, now).or(leapt) }
    }

    /// Whether messages may disappear now: a machine that slept for some days keeps nobody's text longer for it.
    pub(super) fn may_vanish(&self, w: &Work<'_>) -> Result<bool, Halt> {
        let profile = self.profile(w)?;
        let doubt = self.clock_doubt(&profile, w.now);
        Ok(doubt.is_none_or(|doubt| doubt == ClockDoubt::Leapt) && self.may_pin(&profile, doubt, w.now))
    }

    /// Whether the moment becomes the latest this profile has seen: after a leap of a month only once it has lasted.
    fn may_pin(&self, profile: &OwnProfile, doubt: Option<ClockDoubt>, now: Timestamp) -> bool {
        doubt != Some(ClockDoubt::Leapt) || now <= profile.latest.plus_days(LEAP_PINNED_DAYS)
    }

    /// Notices a clock that leapt since the moment seen before; one that went back behind its leap was set right.
    pub(super) fn watch_clock(&mut self, before: Timestamp, now: Timestamp) {
        if now > before.plus_millis(LEAP_MS) {
            self.leapt_at = Some(now);
        } else if self.leapt_at.is_some_and(|at| now < at) {
            self.leapt_at = None;
        }
    }

    /// The addresses under which others reach us changed.
    pub(super) fn addresses(&self, w: &mut Work<'_>, peer: &str, addresses: Vec<String>) -> Result<(), Halt> {
        let mut profile = self.profile(w)?;
        let addresses: Vec<_> = addresses.into_iter().take(limits::ADDRESSES_MAX).collect();
        if profile.peer == peer && profile.addresses == addresses && profile.published_at.is_some() {
            return Ok(());
        }
        profile.peer = peer.to_owned();
        profile.addresses = addresses;
        w.put(&profile)?;
        self.publish(w)
    }

    /// Renews keys when they are due, publishes, and looks again in an hour.
    pub(super) fn housekeeping(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        let soon = w.now.plus_millis(HOUSEKEEPING_MS + 1).as_millis().to_be_bytes();
        let others = w.rows().rows::<Due>(Due::GROUP, &Range::all().before(&soon), usize::MAX)?;
        for due in others.into_iter().filter(|d| d.what == DueWhat::Housekeeping) {
            w.unschedule(due.at, due.what)?;
        }
        let jitter = w.rng.next_u64() % (HOUSEKEEPING_MS / 6);
        w.schedule(w.now.plus_millis(HOUSEKEEPING_MS - jitter), DueWhat::Housekeeping)?;
        let mut profile = self.profile(w)?;
        let doubt = self.clock_doubt(&profile, w.now);
        if doubt.is_some_and(ClockDoubt::forbids_publishing) {
            return Ok(());
        }
        if self.may_pin(&profile, doubt, w.now) {
            profile.latest = profile.latest.max(w.now);
            w.put(&profile)?;
        }
        let mut pool = self.pool(w)?;
        let renewed = pool.rotate(w.now, w.rng);
        if renewed {
            w.put(&OwnPool { pool: pool.to_stored() })?;
        }
        self.delete_old_keys(w)?;
        let stale = profile.published_at.is_none_or(|at| at.day() != w.now.day() || at > w.now);
        self.offer_to_all(w)?;
        if renewed || stale { self.publish(w) } else { Ok(()) }
    }

    /// Deletes keys whose time is over (R-PRE-1).
    pub(super) fn delete_old_keys(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        let read = self.clock_doubt(&self.profile(w)?, w.now).is_none() && self.mailboxes_read(w)?;
        let mut pool = self.pool(w)?;
        let gone = pool.delete_expired(read, w.now);
        if !gone.is_empty() {
            w.put(&OwnPool { pool: pool.to_stored() })?;
        }
        self.forget_first_seen(w, &gone)
    }

    /// Makes the descriptor's records anew and hands them to the net.
    pub(super) fn publish(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        let mut profile = self.profile(w)?;
        let doubt = self.clock_doubt(&profile, w.now);
        if profile.peer.is_empty() || doubt.is_some_and(ClockDoubt::forbids_publishing) {
            return Ok(());
        }
        let Some(slot) = self.me.log.slot(&self.me.device) else {
            return self.alert(
                w,
                "device_revoked",
                "this device is no longer part of its account".into(),
                "kith doctor",
            );
        };
        let reach = ReachSecret::from_bytes(profile.reach);
        let stored = w.get::<OwnCertificates>(&OwnCertificates::only())?;
        let mut certificates = stored.map(|row| Certificates::from_stored(&row.certificates)).unwrap_or_default();
        let renewed = certificates.renew(&self.me.root, &reach, slot, w.now, w.rng);
        if renewed.is_err() || certificates.is_low(w.now) {
            let hint = "kith doctor";
            self.alert(w, "certificates_low", "this device can soon no longer publish how it is reached".into(), hint)?;
        }
        w.put(&OwnCertificates { certificates: certificates.to_stored() })?;
        let mut pool = self.pool(w)?;
        let bundle = pool.bundle(self.me.account, &self.me.secrets, w.now);
        w.put(&OwnPool { pool: pool.to_stored() })?;
        profile.descriptor_seq = sequence::next(Some(profile.descriptor_seq), w.now);
        profile.published_at = Some(w.now);
        let mailboxes = self.stranger_passes(w)?;
        let parts = DescriptorParts {
            bundle: &bundle,
            log: &self.me.log,
            peer_id: profile.peer.as_bytes(),
            addresses: &profile.addresses,
            mailboxes: &mailboxes,
            sequence: profile.descriptor_seq,
        };
        match parts.publish(&self.me.account, &reach, &certificates, w.now, w.rng) {
            Ok(mut records) => {
                w.put(&profile)?;
                self.echo(w, &records)?;
                if let Some((_, today)) = records.first() {
                    self.keep_record(w, profile.descriptor_seq, slot, today)?;
                }
                records.extend(self.emptied(w)?);
                records.extend(self.invite_records(w)?);
                w.effects().net.push(NetCommand::Publish { records });
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "no descriptor could be made");
                Ok(())
            }
        }
    }

    /// Tells those whose sessions are up how we are reached now: the DHT is only a hint.
    fn echo(&self, w: &mut Work<'_>, records: &[(RecordKey, Vec<u8>)]) -> Result<(), Halt> {
        let Some((_, today)) = records.first() else { return Ok(()) };
        self.tell_all(w, &SessionControl { descriptor: Some(today.clone()), ..SessionControl::default() })
    }

    /// Peers of contacts, most recently heard of first.
    pub(super) fn protected(&self, w: &Work<'_>) -> Result<Vec<PeerName>, Halt> {
        let mut devices = w.rows().every::<Device>()?;
        devices.retain(|d| !d.revoked && d.peer.is_some());
        devices.sort_by_key(|d| std::cmp::Reverse(d.seen_at));
        let mut peers: Vec<_> = self.own_relays(w)?.into_iter().map(|own| PeerName(own.peer)).collect();
        for device in devices {
            let contact = w.get::<Contact>(&Contact::key_of(&device.account))?;
            let wanted = contact.is_some_and(|c| c.state == ContactState::Added && !c.blocked);
            if let Some(peer) = device.peer.filter(|_| wanted && peers.len() < PROTECTED_MAX) {
                peers.push(PeerName(peer));
            }
        }
        for mailbox in w.rows().group::<ChannelMailbox>(ChannelMailbox::GROUP)? {
            let peer = PeerName(mailbox.peer);
            if peers.len() < PROTECTED_MAX && !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        for card in w.rows().every::<ChannelCard>()? {
            let peer = PeerName(card.peer);
            if card.device != self.me.device && peers.len() < PROTECTED_MAX && !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        Ok(peers)
    }

    /// Addresses of contacts and of members of channels, to dial when the daemon starts.
    fn known_addresses(&self, w: &Work<'_>) -> Result<Vec<String>, Halt> {
        let mut addresses = Vec::new();
        for contact in w.rows().every::<Contact>()? {
            if contact.state != ContactState::Added || contact.blocked {
                continue;
            }
            for device in self.live_devices(w, &contact.account)? {
                if let Some(device) = w.get::<Device>(&Device::key_of(&device))?
                    && let Some(peer) = &device.peer
                {
                    addresses.extend(device.addresses.iter().take(2).map(|a| super::seal::with_peer(a, peer)));
                }
            }
            addresses.extend(contact.hints.iter().take(1).cloned());
        }
        for card in w.rows().every::<ChannelCard>()?.into_iter().filter(|card| card.device != self.me.device) {
            addresses.extend(card.addresses.iter().take(2).map(|a| super::seal::with_peer(a, &card.peer)));
        }
        addresses.truncate(PROTECTED_MAX);
        Ok(addresses)
    }

    /// Changes the name contacts see, and tells them.
    pub(super) fn set_name(&self, w: &mut Work<'_>, name: &str) -> Result<Outcome, Halt> {
        let mut profile = self.profile(w)?;
        profile.name = if name.trim().is_empty() { String::new() } else { check_name(name)? };
        w.put(&profile)?;
        self.tell_all(w, &SessionControl { name: Some(profile.name), ..SessionControl::default() })?;
        Ok(Outcome::Me(query::me(w.rows())?))
    }

    /// Gives the records that empty what was published under older reach secrets; what has lapsed is forgotten.
    fn emptied(&self, w: &mut Work<'_>) -> Result<Vec<(RecordKey, Vec<u8>)>, Halt> {
        let mut records = Vec::new();
        for row in w.rows().every::<OwnEmptied>()? {
            if row.expires <= w.now {
                w.delete::<OwnEmptied>(&OwnEmptied::key_of(&row.key))?;
            } else {
                records.push((row.key, row.bytes));
            }
        }
        Ok(records)
    }

    /// Keeps the records that empty all days whose records can still be read under these certificates.
    fn empty_all(&self, w: &mut Work<'_>, certificates: &Certificates, sequence: u64) -> Result<(), Halt> {
        // Yesterday's records are still read today.
        let first = w.now.day().minus(1);
        for signer in (0..=limits::DESCRIPTOR_DAYS_AHEAD + 1).filter_map(|n| certificates.signer(first.plus(n))) {
            let (key, bytes) = (signer.record_key(), signer.empty(sequence));
            if let Ok(meta) = check_record(&key, &bytes, w.now) {
                w.put(&OwnEmptied { key, bytes, expires: meta.expires })?;
            }
        }
        let mut kept = w.rows().every::<OwnEmptied>()?;
        kept.sort_by_key(|row| row.expires);
        for row in kept.iter().take(kept.len().saturating_sub(EMPTIED_MAX)) {
            w.delete::<OwnEmptied>(&OwnEmptied::key_of(&row.key))?;
        }
        Ok(())
    }

    /// Makes a new reach secret: the old code finds nothing any more, contacts are told the new one.
    pub(super) fn rotate_reach(&self, w: &mut Work<'_>) -> Result<Outcome, Halt> {
        let mut profile = self.profile(w)?;
        let stored = w.get::<OwnCertificates>(&OwnCertificates::only())?;
        let certificates = stored.map(|row| Certificates::from_stored(&row.certificates)).unwrap_or_default();
        profile.descriptor_seq = sequence::next(Some(profile.descriptor_seq), w.now);
        self.empty_all(w, &certificates, profile.descriptor_seq)?;
        profile.reach = *ReachSecret::random(w.rng).as_bytes();
        w.put(&profile)?;
        w.delete::<OwnCertificates>(&OwnCertificates::only())?;
        self.new_stranger_grants(w)?;
        self.publish(w)?;
        self.tell_all(
            w,
            &SessionControl { reach_secret: Some(ReachSecret::from_bytes(profile.reach)), ..SessionControl::default() },
        )?;
        Ok(Outcome::Me(query::me(w.rows())?))
    }

    /// Bans a transport peer, or lifts the ban.
    pub(super) fn ban(&self, w: &mut Work<'_>, peer: String, banned: bool) -> Result<Outcome, Halt> {
        let mut profile = self.profile(w)?;
        let before = profile.banned.len();
        profile.banned.retain(|p| *p != peer);
        if banned {
            if profile.banned.len() >= BANNED_MAX {
                return Err(UserError::new(Code::Conflict, "too many peers are banned").hint("kith peer unban").into());
            }
            profile.banned.push(peer);
        }
        let changed = before != profile.banned.len();
        w.put(&profile)?;
        let peers = profile.banned.into_iter().map(PeerName).collect();
        w.effects().net.push(NetCommand::Block { peers });
        Ok(Outcome::Done(types::Done { changed }))
    }

    /// Deletes what outlived its use: opened envelopes, kept replies, requests that lapsed.
    pub(super) fn sweep(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        w.schedule(w.now.plus_millis(SWEEP_MS), DueWhat::Sweep)?;
        if self.clock_doubt(&self.profile(w)?, w.now).is_some() {
            return Ok(());
        }
        let retention = u64::from(limits::PREKEY_RETENTION_DAYS);
        for seen in w.rows().every::<Seen>()? {
            if seen.at.plus_days(retention) <= w.now {
                w.delete::<Seen>(&Seen::key_of(&seen.envelope))?;
            }
        }
        for kept in w.rows().every::<Idempotency>()? {
            if kept.at.plus_millis(IDEMPOTENCY_MS) <= w.now {
                w.delete::<Idempotency>(&Idempotency::key_of(&kept.key))?;
            }
        }
        for contact in w.rows().every::<Contact>()? {
            if contact.state == ContactState::Request && contact.since.plus_millis(limits::REQUEST_MS) <= w.now {
                let (account, name) = (contact.account, query::Shown::shown_name(&contact));
                self.contact_remove(w, account)?;
                let message = format!("the request of {name:?} lapsed after 30 days");
                self.alert(w, "request_lapsed", message, "they can write again")?;
            }
        }
        Ok(())
    }

    /// Whether a row carries a message that disappears by its author's will.
    fn has_own_term(&self, w: &Work<'_>, row: &Outbox) -> Result<bool, Halt> {
        let Cargo::Message(id) = &row.cargo else { return Ok(false) };
        Ok(self.own_message(w, id)?.is_none_or(|message| message.expires_at.is_some()))
    }

    /// Looks at an outbox row because it is due; a clock that is not believed makes nothing lapse.
    pub(super) fn outbox_due(&self, w: &mut Work<'_>, id: u64) -> Result<(), Halt> {
        let Some(mut row) = w.get::<Outbox>(&Outbox::key_of(id))? else { return Ok(()) };
        if row.in_flight && w.now >= row.direct_at {
            // Nobody told how the attempt ended: it counts as failed.
            row.in_flight = false;
            w.put(&row)?;
        }
        if w.now < row.expires_at {
            return self.attempt(w, id);
        }
        match self.clock_doubt(&self.profile(w)?, w.now) {
            None => self.attempt(w, id),
            Some(ClockDoubt::Leapt) if !self.has_own_term(w, &row)? => {
                // What lapsed while the machine slept gets a last try.
                row.expires_at = w.now.plus_millis(LEAP_GRACE_MS);
                w.put(&row)?;
                self.attempt(w, id)
            }
            Some(ClockDoubt::Leapt) => self.attempt(w, id),
            Some(_) => {
                let before = row.clone();
                row.due_at = w.now.plus_millis(HOUSEKEEPING_MS);
                self.reschedule(w, &before, &row)
            }
        }
    }
}
