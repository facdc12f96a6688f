//! Leaves what waits for a device at its relays: at two where it has so many, in rendezvous order, each with the relay's
//! signed word, which is put to the test now and then.
//! Must not know how an envelope was sealed.

use super::{
    App, Scan,
    asking::{ASK_LEASE_MS, Question, Said, weight},
    outbox::{HERE, NETWORK},
    work::{Halt, Work},
};
use crate::{api::types::Time, net::AskOutcome};
use kith_protocol::{
    AccountId, DeviceId, EnvelopeId, RelayId, Timestamp,
    identity::DeviceInfo,
    limits,
    mailbox::{Answer, Audited, Custody, Hello, Pass, Reason, Refusal, Welcome, order_relays},
    prekey::verify_pool_key,
    session::Status,
};
use kith_store::table::{Cargo, Contact, Deposited, Device, KnownRelay, Left, Outbox, OutboxOf, OutboxState, Progress};
use rand_core::Rng as _;

/// How long the device itself has to take a message before it is left at relays, in milliseconds.
pub(super) const GRACE_MS: u64 = 2_000;
/// First pause after a deposit that failed; doubles up to the longest.
const AGAIN_FIRST_MS: u64 = 2_000;
/// Longest pause.
const AGAIN_LONGEST_MS: u64 = 10 * 60_000;
/// When a relay without room is asked again, in milliseconds.
const FULL_AGAIN_MS: u64 = 60 * 60_000;
/// How long a relay's one-time key is waited for, in milliseconds.
pub(super) const KEY_WAIT_MS: u64 = 5_000;
/// Deposits in vain after which, an hour later, content that nobody confirms does with the copies that it has.
const VAIN_TRIES: u32 = 6;
/// Audits without an answer after which another relay gets the envelope too.
const SILENT_MAX: u32 = 2;
/// Relays tried for one envelope.
const TRIED_MAX: usize = 8;
/// How often at most all that a relay signed for is called into question, in milliseconds.
const DOUBTED_AGAIN_MS: u64 = 60 * 60_000;
const HOUR_MS: u64 = 60 * 60_000;
const DAY_MS: u64 = 24 * HOUR_MS;

impl App {
    /// Does what is due for the copies of a sealed row at relays. The caller puts the row.
    pub(super) fn deposit(&self, w: &mut Work<'_>, row: &mut Outbox, contact: &Contact) -> Result<(), Halt> {
        let Some(device) = row.device else { return Ok(()) };
        let (OutboxState::Sealed { envelope, expires } | OutboxState::Stored { envelope, expires }) = row.state.clone()
        else {
            return Ok(());
        };
        for deposited in &mut row.deposits {
            if matches!(deposited.left, Left::Asked { until } if until <= w.now) {
                deposited.left = Left::Later { at: w.now };
            }
        }
        if contact.blocked || contact.violated {
            return Ok(());
        }
        let passes = self.ordered_passes(w, &device)?;
        self.audit_due(w, row, &passes)?;
        let mut there = row.deposits.iter().filter(|d| counts(d, &passes)).count();
        for pass in &passes {
            if there >= limits::DEPOSITS {
                break;
            }
            let known = row.deposits.iter().position(|d| d.relay == pass.relay);
            let again = known.and_then(|n| row.deposits.get(n)).map(|d| d.left.clone());
            match again {
                None if row.deposits.len() >= TRIED_MAX => continue,
                None => {}
                Some(Left::Spare) => {}
                Some(Left::Later { at }) if at <= w.now => {}
                Some(_) => continue,
            }
            let place = known.unwrap_or(row.deposits.len());
            let quiet = self.known_relay(w, &pass.relay, &pass.peer)?.quiet_until;
            let left = if quiet > w.now {
                Left::Later { at: quiet }
            } else {
                there += 1;
                let control = matches!(row.cargo, Cargo::Content(_));
                let until = expires.min(w.now.plus_millis(limits::MAILBOX_TTL_MS));
                let nonce = self.nonce_of(w, &pass.relay, &pass.peer)?;
                let request = pass.deposit(&nonce, w.now.day(), until, control, &envelope);
                let question = Question::Deposit { row: row.id, place: u16::try_from(place).unwrap_or(u16::MAX) };
                self.ask(w, question, &pass.peer, &pass.addresses, request)?;
                Left::Asked { until: w.now.plus_millis(ASK_LEASE_MS) }
            };
            match row.deposits.get_mut(place) {
                Some(deposited) => {
                    deposited.left = left;
                    deposited.peer.clone_from(&pass.peer);
                }
                None => row.deposits.push(Deposited { relay: pass.relay, peer: pass.peer.clone(), left, tries: 0 }),
            }
        }
        // Nothing is due for those that are not asked now: they are when another falls away, or a new pass comes.
        for deposited in &mut row.deposits {
            if matches!(deposited.left, Left::Later { at } if at <= w.now) {
                deposited.left = Left::Spare;
            }
        }
        Ok(())
    }

    /// Passes for a device, best relay first.
    fn ordered_passes(&self, w: &Work<'_>, device: &DeviceId) -> Result<Vec<Pass>, Halt> {
        let mut passes = self.held_passes(w, device)?;
        let mut order = Vec::new();
        for pass in &passes {
            order.push((pass.relay, pass.grant.mailbox, weight(&self.known_relay(w, &pass.relay, &pass.peer)?)));
        }
        order_relays(&self.me.device, &mut order);
        passes.sort_by_key(|pass| order.iter().position(|(relay, ..)| *relay == pass.relay));
        Ok(passes)
    }

    /// Asks relays for envelopes that they signed for.
    fn audit_due(&self, w: &mut Work<'_>, row: &mut Outbox, passes: &[Pass]) -> Result<(), Halt> {
        for (place, deposited) in row.deposits.iter_mut().enumerate() {
            let Left::Held { custody, audit_at, until, .. } = &mut deposited.left else { continue };
            if *until <= w.now {
                deposited.left = Left::Later { at: w.now };
                continue;
            }
            if *audit_at > w.now {
                continue;
            }
            *audit_at = w.now.plus_millis(HOUR_MS);
            let there = |pass: &&Pass| pass.relay == deposited.relay && pass.peer == deposited.peer;
            let Some(pass) = passes.iter().find(there) else { continue };
            let Ok(custody) = Custody::verify(custody, &deposited.relay) else { continue };
            let question = Question::Audit { row: row.id, place: u16::try_from(place).unwrap_or(u16::MAX) };
            self.ask(w, question, &pass.peer, &pass.addresses, custody.audit())?;
        }
        Ok(())
    }

    /// A deposit ended.
    pub(super) fn deposited(&self, w: &mut Work<'_>, id: u64, place: u16, outcome: AskOutcome) -> Result<(), Halt> {
        let Some(mut row) = w.get::<Outbox>(&Outbox::key_of(id))? else { return Ok(()) };
        let before = row.due_at;
        let place = usize::from(place);
        let Some(deposited) = row.deposits.get(place).cloned() else { return Ok(()) };
        if !matches!(deposited.left, Left::Asked { .. }) {
            return Ok(());
        }
        let Some(contact) = w.get::<Contact>(&Contact::key_of(&row.account))? else { return Ok(()) };
        let said = self.hear(w, &deposited.relay, &deposited.peer, outcome)?;
        let left = self.left_after(w, &mut row, &deposited, said)?;
        let held = matches!(left, Left::Held { .. });
        if let Some(entry) = row.deposits.get_mut(place) {
            entry.tries = if held { 0 } else { entry.tries.saturating_add(1) };
            entry.left = left;
        }
        if held {
            self.stored(w, &mut row, &deposited.relay)?;
        }
        if self.is_done(w, &row)? {
            return self.forget_outbox_due(w, before, &row);
        }
        self.deposit(w, &mut row, &contact)?;
        self.plan_outbox(w, before, row)
    }

    /// What follows from a relay's answer to a deposit.
    fn left_after(&self, w: &mut Work<'_>, row: &mut Outbox, deposited: &Deposited, said: Said) -> Result<Left, Halt> {
        let relay = deposited.relay;
        let pause = AGAIN_FIRST_MS.saturating_mul(1 << deposited.tries.min(16)).min(AGAIN_LONGEST_MS);
        let later = |w: &Work<'_>, ms: u64| Left::Later { at: w.now.plus_millis(ms) };
        match said {
            Said::Answer(Answer::Custody(bytes)) => {
                let id = match &row.state {
                    OutboxState::Sealed { envelope, .. } | OutboxState::Stored { envelope, .. } => {
                        EnvelopeId::of(envelope)
                    }
                    _ => return Ok(Left::Spare),
                };
                match Custody::verify(&bytes, &relay) {
                    Ok(custody) if custody.envelope == id && custody.until > w.now.plus_millis(HOUR_MS) => {
                        Ok(Left::Held {
                            until: custody.until,
                            custody: bytes,
                            shown_at: w.now,
                            audit_at: first_audit(w),
                            silent: 0,
                        })
                    }
                    _ => {
                        let name = self.relay_name(w, &relay)?;
                        self.note(w, row, &format!("{name} gave no receipt that holds"), NETWORK)?;
                        Ok(later(w, FULL_AGAIN_MS << deposited.tries.min(2)))
                    }
                }
            }
            Said::NewNonce if deposited.tries < 3 => Ok(later(w, 0)),
            Said::NewNonce => Ok(later(w, pause)),
            Said::Wait(ms) => Ok(later(w, ms.clamp(500, AGAIN_LONGEST_MS))),
            Said::Refused(refusal) => self.refused_deposit(w, row, deposited, refusal),
            Said::NoRelay => Ok(later(w, FULL_AGAIN_MS)),
            Said::Silent(why) => {
                if deposited.tries == 0 {
                    let name = self.relay_name(w, &relay)?;
                    self.note(w, row, &format!("{name}: {why}"), NETWORK)?;
                }
                Ok(later(w, pause))
            }
            Said::Answer(_) => Ok(later(w, FULL_AGAIN_MS)),
        }
    }

    fn refused_deposit(
        &self,
        w: &mut Work<'_>,
        row: &mut Outbox,
        deposited: &Deposited,
        refusal: Refusal,
    ) -> Result<Left, Halt> {
        let name = self.relay_name(w, &deposited.relay)?;
        let again = refusal.retry_after_ms.clamp(1_000, FULL_AGAIN_MS);
        // Room comes when the recipient wakes, or with the days.
        let no_room = (again.max(60_000) << deposited.tries.min(6)).min(6 * HOUR_MS);
        let (left, why) = match refusal.reason {
            Reason::UnknownTag | Reason::NoMailbox | Reason::WrongGrant | Reason::Expired | Reason::Revoked => {
                let device = row.device.unwrap_or(self.me.device);
                let passes = self.held_passes(w, &device)?;
                if let Some(pass) = passes.iter().find(|pass| pass.relay == deposited.relay) {
                    self.forget_pass(w, &device, pass)?;
                }
                if let Some(contact) = w.get::<Contact>(&Contact::key_of(&row.account))? {
                    self.want_resolve(w, contact)?;
                }
                // Perhaps another pass to it is held.
                (Left::Later { at: w.now.plus_millis(1_000) }, "holds no mailbox of theirs under what we were given")
            }
            Reason::NoRoom => (Left::Later { at: w.now.plus_millis(no_room) }, "has no room for them now"),
            Reason::RelayFull => (Left::Later { at: w.now.plus_millis(no_room) }, "is full"),
            Reason::RateLimited => (Left::Later { at: w.now.plus_millis(again) }, "asks to wait"),
            Reason::Stopping => (Left::Later { at: w.now.plus_millis(again) }, "is shutting down"),
            Reason::Storage => (Left::Later { at: w.now.plus_millis(again) }, "reports errors of its disk"),
            Reason::Blocked => (Left::Later { at: w.now.plus_millis(FULL_AGAIN_MS) }, "takes nothing for them"),
            // No relay that works says this of what we make: it may be mended by tomorrow.
            Reason::TooLarge => (Left::Later { at: w.now.plus_millis(DAY_MS) }, "does not take so large a message"),
            Reason::Proof | Reason::Malformed => (Left::Later { at: w.now.plus_millis(DAY_MS) }, "refuses"),
            Reason::Nonce | Reason::NotAdmitted | Reason::Other(_) => {
                (Left::Later { at: w.now.plus_millis(FULL_AGAIN_MS) }, "refuses")
            }
        };
        self.note(w, row, &format!("{name} {why}"), NETWORK)?;
        if !row.deposits.iter().any(|d| matches!(d.left, Left::Held { .. })) {
            self.change_delivery(w, row, |delivery| delivery.error = Some(format!("{name} {why}")))?;
        }
        Ok(left)
    }

    /// Whether a row has done its work: content that nobody confirms is done when it lies where it can.
    fn is_done(&self, w: &Work<'_>, row: &Outbox) -> Result<bool, Halt> {
        let (Some(device), Cargo::Content(_)) = (row.device, &row.cargo) else { return Ok(false) };
        let held = row.deposits.iter().filter(|d| matches!(d.left, Left::Held { .. })).count();
        let passes = self.held_passes(w, &device)?;
        let vain = |d: &&Deposited| {
            let given_up = d.tries >= VAIN_TRIES && matches!(d.left, Left::Later { .. } | Left::Spare);
            given_up && passes.iter().any(|pass| pass.relay == d.relay)
        };
        let in_vain =
            if w.now.millis_since(row.since) < HOUR_MS { 0 } else { row.deposits.iter().filter(vain).count() };
        Ok(held > 0 && held.saturating_add(in_vain) >= limits::DEPOSITS.min(passes.len()))
    }

    /// A relay gave its word.
    fn stored(&self, w: &mut Work<'_>, row: &mut Outbox, relay: &RelayId) -> Result<(), Halt> {
        if let OutboxState::Sealed { envelope, expires } = &row.state {
            row.state = OutboxState::Stored { envelope: envelope.clone(), expires: *expires };
        }
        let until = row.deposits.iter().find(|d| d.relay == *relay).and_then(|d| match &d.left {
            Left::Held { until, .. } => Some(*until),
            _ => None,
        });
        let until = until.map_or_else(String::new, |until| format!(" until {}", Time(until)));
        let name = self.relay_name(w, relay)?;
        self.progress(w, row, Progress::Stored, &format!("stored: {name} holds it{until}"), &name)?;
        if matches!(row.cargo, Cargo::Message(_)) {
            let accepted = w.get::<Contact>(&Contact::key_of(&row.account))?.is_some_and(|c| c.accepted_at.is_some());
            if !accepted {
                self.change_delivery(w, row, |delivery| delivery.error = Some(super::outbox::NOT_ACCEPTED.to_owned()))?;
            }
        }
        Ok(())
    }

    /// An audit ended.
    pub(super) fn audited(&self, w: &mut Work<'_>, id: u64, place: u16, outcome: AskOutcome) -> Result<(), Halt> {
        let Some(mut row) = w.get::<Outbox>(&Outbox::key_of(id))? else { return Ok(()) };
        let before = row.due_at;
        let place = usize::from(place);
        let Some(Deposited { relay, peer, .. }) = row.deposits.get(place).cloned() else { return Ok(()) };
        let envelope = match &row.state {
            OutboxState::Sealed { envelope, .. } | OutboxState::Stored { envelope, .. } => EnvelopeId::of(envelope),
            _ => return Ok(()),
        };
        let said = self.hear(w, &relay, &peer, outcome)?;
        let later = next_audit(w);
        let Some(entry) = row.deposits.get_mut(place) else { return Ok(()) };
        let Left::Held { audit_at, silent, shown_at, .. } = &mut entry.left else { return Ok(()) };
        match said {
            Said::Answer(Answer::Audited(Audited::Held(bytes))) if EnvelopeId::of(&bytes) == envelope => {
                *silent = 0;
                *shown_at = w.now;
                *audit_at = later;
            }
            Said::Answer(Answer::Audited(Audited::Collected)) => {
                entry.left = Left::Collected { at: w.now };
                let name = self.relay_name(w, &relay)?;
                self.note(w, &row, &format!("collected from {name}"), &name)?;
            }
            Said::Answer(Answer::Audited(_)) => {
                let remembers = w.now.millis_since(*shown_at) < limits::COLLECTED_MS - DAY_MS;
                // Elsewhere first; here again if nobody else takes it.
                entry.left = Left::Later { at: w.now.plus_millis(AGAIN_LONGEST_MS) };
                if remembers && self.known_relay(w, &relay, &peer)?.proven {
                    self.broke_word(w, &row, &relay, &peer)?;
                } else if remembers {
                    self.prove(w, &row, place, &relay, &peer)?;
                } else {
                    let name = self.relay_name(w, &relay)?;
                    self.note(w, &row, &format!("{name} no longer holds it: collected, or lost"), &name)?;
                }
            }
            Said::Wait(_) | Said::NewNonce => *audit_at = w.now.plus_millis(HOUR_MS),
            Said::Answer(_) | Said::Refused(_) | Said::NoRelay | Said::Silent(_) => {
                *silent = silent.saturating_add(1);
                *audit_at = w.now.plus_millis(HOUR_MS << (*silent).min(4));
            }
        }
        let Some(contact) = w.get::<Contact>(&Contact::key_of(&row.account))? else { return Ok(()) };
        self.deposit(w, &mut row, &contact)?;
        self.plan_outbox(w, before, row)
    }

    /// Asks who answers there before a relay is accused: a pass can name any machine for it.
    fn prove(&self, w: &mut Work<'_>, row: &Outbox, place: usize, relay: &RelayId, peer: &str) -> Result<(), Halt> {
        let Some(device) = row.device else { return Ok(()) };
        let passes = self.held_passes(w, &device)?;
        let Some(pass) = passes.iter().find(|pass| pass.relay == *relay && pass.peer == peer) else { return Ok(()) };
        let mut known = self.known_relay(w, relay, peer)?;
        w.rng.fill_bytes(&mut known.challenge);
        w.put(&known)?;
        let question = Question::Prove { row: row.id, place: u16::try_from(place).unwrap_or(u16::MAX) };
        self.ask(w, question, peer, &pass.addresses, Hello { challenge: known.challenge }.encode())
    }

    /// Whoever said that it does not hold what a relay signed for said who it is.
    pub(super) fn proved(&self, w: &mut Work<'_>, id: u64, place: u16, outcome: AskOutcome) -> Result<(), Halt> {
        let Some(row) = w.get::<Outbox>(&Outbox::key_of(id))? else { return Ok(()) };
        let Some(Deposited { relay, peer, .. }) = row.deposits.get(usize::from(place)).cloned() else { return Ok(()) };
        let Said::Answer(answer) = self.hear(w, &relay, &peer, outcome)? else { return Ok(()) };
        let mut known = self.known_relay(w, &relay, &peer)?;
        let hello = Hello { challenge: known.challenge };
        if let Answer::Welcome(bytes) = answer
            && Welcome::verify(&bytes, &relay, &hello, &peer).is_ok()
        {
            known.proven = true;
            w.put(&known)?;
            return self.broke_word(w, &row, &relay, &peer);
        }
        let name = self.relay_name(w, &relay)?;
        self.note(w, &row, &format!("somebody else answers in the name of {name}"), NETWORK)?;
        let Some(device) = row.device else { return Ok(()) };
        let passes = self.held_passes(w, &device)?;
        match passes.iter().find(|pass| pass.relay == relay && pass.peer == peer) {
            Some(pass) => self.forget_pass(w, &device, pass),
            None => Ok(()),
        }
    }

    /// A relay does not hold what it signed for, and would still know if it had been collected: it gets less from now on,
    /// people are told its name, and everything else that it signed for is asked after.
    fn broke_word(&self, w: &mut Work<'_>, row: &Outbox, relay: &RelayId, peer: &str) -> Result<(), Halt> {
        let name = self.relay_name(w, relay)?;
        self.note(w, row, &format!("{name} no longer holds it, although it signed for it"), &name)?;
        let mut known: KnownRelay = self.known_relay(w, relay, peer)?;
        known.broken = known.broken.saturating_add(1);
        let doubted = known.doubted_at <= w.now && w.now.millis_since(known.doubted_at) < DOUBTED_AGAIN_MS;
        if !doubted {
            known.doubted_at = w.now;
        }
        w.put(&known)?;
        if doubted {
            return Ok(());
        }
        let message = format!("{name} lost mail that it had signed for; it is left elsewhere");
        self.alert(w, "relay_broke_word", message, "tell whoever runs it, and those who use it: kith why shows more")?;
        for other in w.rows().group::<Outbox>(Outbox::GROUP)? {
            if other.id == row.id {
                continue;
            }
            let mut changed = other.clone();
            for deposited in changed.deposits.iter_mut().filter(|d| d.relay == *relay && d.peer == peer) {
                if let Left::Held { audit_at, .. } = &mut deposited.left {
                    *audit_at = w.now.plus_millis(w.rng.next_u64() % AGAIN_LONGEST_MS);
                }
            }
            if changed.deposits != other.deposits {
                self.plan_outbox(w, other.due_at, changed)?;
            }
        }
        Ok(())
    }

    /// New passes to a device are known: what waits for it is left there, also where an older pass was put off.
    pub(super) fn deposit_anew(&self, w: &mut Work<'_>, account: &AccountId, device: &DeviceId) -> Result<(), Halt> {
        for entry in w.rows().group::<OutboxOf>(account.as_bytes())? {
            let Some(mut row) = w.get::<Outbox>(&Outbox::key_of(entry.id))? else { continue };
            let sealed = matches!(row.state, OutboxState::Sealed { .. } | OutboxState::Stored { .. });
            if row.device.as_ref() != Some(device) || !sealed || row.due_at <= w.now {
                continue;
            }
            let before = row.due_at;
            row.due_at = w.now;
            for deposited in &mut row.deposits {
                // Sooner, but not at once over and over: who gives new passes all the time keeps nobody busy.
                let pause = AGAIN_FIRST_MS.saturating_mul(1 << deposited.tries.min(16)).min(AGAIN_LONGEST_MS);
                if let Left::Later { at } = &mut deposited.left {
                    *at = (*at).min(w.now.plus_millis(pause));
                }
            }
            self.store_outbox(w, Some(before), &row)?;
        }
        Ok(())
    }

    /// Whether a one-time key is asked of a relay before a row's first message is sealed; then the row waits for it.
    pub(super) fn asks_for_key(&self, w: &mut Work<'_>, row: &mut Outbox, device: &Device) -> Result<bool, Halt> {
        if row.key_asked || row.takings > 0 || row.fresh_session {
            return Ok(false);
        }
        let begins = !matches!(self.sessions_with(w, device)?.status(w.now), Status::Established { .. });
        if !begins || self.one_time_keys(w, &device.device)?.has_theirs(w.now) {
            return Ok(false);
        }
        let passes = self.ordered_passes(w, &device.device)?;
        let mut asked = false;
        for (place, pass) in (0..).zip(&passes) {
            if self.known_relay(w, &pass.relay, &pass.peer)?.quiet_until > w.now {
                continue;
            }
            let request = pass.take_prekey(&self.nonce_of(w, &pass.relay, &pass.peer)?, w.now.day());
            self.ask(w, Question::Prekey { row: row.id, place }, &pass.peer, &pass.addresses, request)?;
            asked = true;
            break;
        }
        row.key_asked = asked;
        Ok(asked)
    }

    /// A relay gave a one-time key, or none: the first message is sealed now.
    pub(super) fn key_came(&self, w: &mut Work<'_>, id: u64, place: u16, outcome: AskOutcome) -> Result<(), Halt> {
        let Some(mut row) = w.get::<Outbox>(&Outbox::key_of(id))? else { return Ok(()) };
        if row.state != OutboxState::NeedsKeys || !row.key_asked {
            return Ok(());
        }
        let Some(device_id) = row.device else { return Ok(()) };
        let Some(device) = w.get::<Device>(&Device::key_of(&device_id))? else { return Ok(()) };
        let passes = self.ordered_passes(w, &device_id)?;
        let Some(Pass { relay, peer, .. }) = passes.get(usize::from(place)).cloned() else {
            return self.attempt(w, id);
        };
        match self.hear(w, &relay, &peer, outcome)? {
            Said::Answer(Answer::Prekey(Some(bytes))) => {
                if let Ok(info) = DeviceInfo::parse(&device.sign, &device.dh)
                    && let Ok(key) = verify_pool_key(&bytes, &info, w.now)
                {
                    let mut keys = self.one_time_keys(w, &device_id)?;
                    if keys.accept(&[key], w.now).is_ok() {
                        self.keep_one_time(w, &device_id, &keys)?;
                    }
                } else {
                    let name = self.relay_name(w, &relay)?;
                    self.note(w, &row, &format!("{name} gave a one-time key that the device did not sign"), HERE)?;
                }
            }
            Said::NewNonce if row.due_at > w.now => {
                // Once more: the first question to a relay only learns its nonce.
                row.key_asked = false;
                let before = row.due_at;
                let asked = self.asks_for_key(w, &mut row, &device)?;
                row.key_asked = true;
                self.store_outbox(w, Some(before), &row)?;
                if asked {
                    return Ok(());
                }
            }
            _ => {}
        }
        self.attempt(w, id)
    }
}

/// Whether a copy counts as one that will reach its recipient.
fn counts(deposited: &Deposited, passes: &[Pass]) -> bool {
    let in_use = passes.iter().any(|pass| pass.relay == deposited.relay);
    match &deposited.left {
        Left::Asked { .. } => true,
        Left::Held { silent, .. } => in_use && *silent < SILENT_MAX,
        Left::Collected { .. } => true,
        Left::Later { .. } | Left::Spare => false,
    }
}

/// When something is due for the copies of a row.
pub(super) fn next_deposit(row: &Outbox) -> Option<Timestamp> {
    let of = |deposited: &Deposited| match &deposited.left {
        Left::Asked { until } => Some(*until),
        Left::Held { until, audit_at, .. } => Some((*until).min(*audit_at)),
        Left::Later { at } => Some(*at),
        Left::Collected { .. } | Left::Spare => None,
    };
    row.deposits.iter().filter_map(of).min()
}

/// When a copy is first asked after: an eighth within a day, so that a relay that keeps nothing is soon known; the others
/// within a week.
fn first_audit(w: &mut Work<'_>) -> Timestamp {
    if w.rng.next_u64().is_multiple_of(8) {
        let pause = 12 * HOUR_MS + w.rng.next_u64() % (12 * HOUR_MS);
        w.now.plus_millis(pause)
    } else {
        next_audit(w)
    }
}

/// When a copy is asked after again: before a relay may forget that it was collected.
fn next_audit(w: &mut Work<'_>) -> Timestamp {
    let pause = 2 * DAY_MS + w.rng.next_u64() % (4 * DAY_MS);
    w.now.plus_millis(pause)
}
