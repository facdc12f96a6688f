//! The relays that hold this device's mail: added by card, registered at, read, left again. One question at a time is
//! under way with each; which one is next follows from its row.
//! Must not know who may leave mail, nor what an envelope holds.

use super::{
    App, Scan,
    asking::{ASK_LEASE_MS, Question, Said, next_tag},
    command::Outcome,
    query,
    work::{Halt, Work},
};
use crate::{
    api::{
        error::{Code, UserError},
        types,
    },
    net::{AskOutcome, NetCommand},
};
use kith_protocol::{
    RelayId, Timestamp,
    crypto::Secret,
    identity::{ReachSecret, contact_link},
    limits,
    mailbox::{
        Answer, Hello, KeptSlot, MailboxKey, OwnerAsk, Reason, Refusal, Registered, RelayCard, Revoked, Welcome,
        WelcomeError, seal_kept,
    },
};
use kith_store::table::{
    DueWhat, EndedGrant, KnownRelay, OwnRecord, OwnRelay, OwnRelayPool, RelayQuestion, RelayStanding, Told,
};
use rand_core::Rng as _;

/// How often a mailbox is read although nothing woke us, in milliseconds.
const POLL_MS: u64 = 10 * 60_000;
/// First pause after a question without an answer; doubles up to the longest.
const AGAIN_FIRST_MS: u64 = 2_000;
/// Longest pause.
const AGAIN_LONGEST_MS: u64 = 5 * 60_000;
/// When a relay that refuses is asked again, in milliseconds.
const REFUSED_AGAIN_MS: u64 = 60 * 60_000;
/// Questions without an answer to a relay that was let go, before it may be forgotten here all the same.
const LEAVE_TRIES: u32 = 8;
/// Relays that hold mail for one device.
const OWN_MAX: usize = limits::MAILBOXES_MAX;
/// A relay without an answer for so long is no place for mail any more: contacts are told.
const GONE_MS: u64 = 3 * 86_400_000;
/// When a relay is asked again that was started anew or has forgotten us, in milliseconds: one that says so for ever keeps
/// nothing busy.
const FORGETFUL_AGAIN_MS: u64 = 1_000;

/// What is asked next of a relay. The numbers stand in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hello = 1,
    Register = 2,
    Revoke = 3,
    Fetch = 4,
    Keep = 5,
    Prekeys = 6,
    Leave = 7,
}

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
    /// only when nobody puts its receipts to the test any more, or would have it accused for what it forgot at our word.
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
            own.left_at = Some(w.now);
            own.failures = 0;
            own.unread = true;
            own.due_at = w.now;
            self.put_relay(w, &own)?;
            self.places_changed(w)?;
            let own = w.get::<OwnRelay>(&OwnRelay::key_of(own.number))?.unwrap_or(own);
            self.drive(w, own)?;
        }
        Ok(Outcome::Done(types::Done { changed: true }))
    }

    fn forget_relay(&self, w: &mut Work<'_>, own: &OwnRelay) -> Result<(), Halt> {
        if let Some(row) = w.get::<OwnRelay>(&OwnRelay::key_of(own.number))? {
            w.unschedule(row.due_at, DueWhat::Relay(own.number))?;
        }
        w.delete::<OwnRelay>(&OwnRelay::key_of(own.number))?;
        self.protect(w)
    }

    /// Where mail may be left changed: descriptor and contacts are told.
    fn places_changed(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        self.publish(w)?;
        self.offer_to_all(w)
    }

    fn protect(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        let peers = self.protected(w)?;
        w.effects().net.push(NetCommand::Protect { peers });
        Ok(())
    }

    /// Writes a relay's row and puts it on the timetable.
    fn put_relay(&self, w: &mut Work<'_>, own: &OwnRelay) -> Result<(), Halt> {
        if let Some(before) = w.get::<OwnRelay>(&OwnRelay::key_of(own.number))?
            && before.due_at != own.due_at
        {
            w.unschedule(before.due_at, DueWhat::Relay(own.number))?;
        }
        w.put(own)?;
        w.schedule(own.due_at, DueWhat::Relay(own.number))
    }

    /// The daemon starts: questions are lost, every mailbox is read from its beginning.
    pub(super) fn relays_start(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        for mut own in self.own_relays(w)? {
            self.begin_anew(w, &mut own)?;
            self.drive(w, own)?;
        }
        Ok(())
    }

    /// Forgets what holds for a connection: who the relay is, how far its mailbox was read.
    fn begin_anew(&self, w: &mut Work<'_>, own: &mut OwnRelay) -> Result<(), Halt> {
        own.question = None;
        own.welcomed = false;
        own.failures = 0;
        own.after = 0;
        own.unread = true;
        tell_again(own);
        if let Some(mut known) = w.get::<KnownRelay>(&KnownRelay::key_of(&own.relay, &own.peer))? {
            known.quiet_until = Timestamp::from_millis(0);
            known.failures = 0;
            w.put(&known)?;
        }
        Ok(())
    }

    /// A peer appeared: if it is a relay of ours, its mailbox is read from the beginning, since a relay put back to an old
    /// copy counts its places again.
    pub(super) fn relay_up(&self, w: &mut Work<'_>, peer: &str) -> Result<(), Halt> {
        for mut own in self.own_relays(w)?.into_iter().filter(|own| own.peer == peer) {
            // A question under way brought the connection about, and goes on over it.
            let asking = own.question.is_some_and(|q| w.now < q.lease_until);
            let step = own.question.map(|q| q.step);
            (own.after, own.unread, own.failures) = (0, true, 0);
            if asking && step != Some(Step::Fetch as u8) {
                self.put_relay(w, &own)?;
                continue;
            }
            own.question = None;
            self.drive(w, own)?;
        }
        Ok(())
    }

    /// A relay says that something waits.
    pub(super) fn woken(&self, w: &mut Work<'_>, peer: &str) -> Result<(), Halt> {
        for mut own in self.own_relays(w)?.into_iter().filter(|own| own.peer == peer) {
            own.unread = true;
            self.drive(w, own)?;
        }
        Ok(())
    }

    /// Looks at a relay because it is due.
    pub(super) fn relay_due(&self, w: &mut Work<'_>, number: u64) -> Result<(), Halt> {
        let Some(mut own) = w.get::<OwnRelay>(&OwnRelay::key_of(number))? else { return Ok(()) };
        if own.question.is_some_and(|q| w.now >= q.lease_until) {
            own.question = None;
            return self.no_answer(w, own, "no answer");
        }
        if own.read_at.is_none_or(|at| at > w.now || w.now.millis_since(at) >= POLL_MS) {
            own.unread = true;
        }
        if own.offered && !is_place(&own, w.now) {
            // Nothing was heard of it for days: contacts are told, and told again when it is back.
            own.offered = false;
            self.put_relay(w, &own)?;
            let name = self.relay_name(w, &own.relay)?;
            let message = format!("{name} did not answer for three days: contacts leave mail elsewhere");
            self.alert(w, "relay_gone", message, "kith relay list; kith relay add CARD adds another")?;
            self.places_changed(w)?;
            let Some(row) = w.get::<OwnRelay>(&OwnRelay::key_of(number))? else { return Ok(()) };
            own = row;
        }
        self.drive(w, own)
    }

    /// Asks what is next, if nothing is under way.
    pub(super) fn drive(&self, w: &mut Work<'_>, mut own: OwnRelay) -> Result<(), Halt> {
        if let Some(question) = own.question.filter(|q| w.now < q.lease_until) {
            own.due_at = question.lease_until;
            return self.put_relay(w, &own);
        }
        own.question = None;
        let Some(step) = self.next_step(w, &own)? else {
            own.due_at = w.now.plus_millis(POLL_MS);
            return self.put_relay(w, &own);
        };
        let Some(request) = self.request(w, &mut own, step)? else {
            own.due_at = w.now.plus_millis(POLL_MS);
            return self.put_relay(w, &own);
        };
        own.tag = next_tag(own.tag);
        let lease_until = w.now.plus_millis(ASK_LEASE_MS);
        own.question = Some(RelayQuestion { step: step as u8, number: own.tag, lease_until });
        own.due_at = lease_until;
        self.put_relay(w, &own)?;
        self.ask(w, Question::Own { relay: own.number, tag: own.tag }, &own.peer, &own.addresses, request)
    }

    fn next_step(&self, w: &Work<'_>, own: &OwnRelay) -> Result<Option<Step>, Halt> {
        if !own.welcomed {
            return Ok(Some(Step::Hello));
        }
        if own.standing == RelayStanding::Leaving {
            let over = own.left_at.is_none_or(|at| at > w.now || w.now.millis_since(at) >= limits::COLLECTED_MS);
            return Ok(if own.unread {
                Some(Step::Fetch)
            } else if over {
                Some(Step::Leave)
            } else {
                has_news(own).then_some(Step::Revoke)
            });
        }
        // What lies there is read first: a relay that takes nothing more still gives it.
        if own.unread && own.registered.is_some() {
            return Ok(Some(Step::Fetch));
        }
        if own.registered != Some(w.now.day()) {
            return Ok(Some(Step::Register));
        }
        if has_news(own) {
            return Ok(Some(Step::Revoke));
        }
        let record = w.get::<OwnRecord>(&OwnRecord::only())?;
        if record.is_some_and(|record| record.sequence != own.kept) {
            return Ok(Some(Step::Keep));
        }
        Ok(if own.prekeys < limits::POOL_KEYS_LOW as u64 { Some(Step::Prekeys) } else { None })
    }

    fn request(&self, w: &mut Work<'_>, own: &mut OwnRelay, step: Step) -> Result<Option<Vec<u8>>, Halt> {
        let key = mailbox_key(own);
        let ask = match step {
            Step::Hello => {
                w.rng.fill_bytes(&mut own.challenge);
                return Ok(Some(Hello { challenge: own.challenge }.encode()));
            }
            Step::Register => {
                let (first, tags) = key.tags(w.now);
                OwnerAsk::Register { token: own.token, first, tags }
            }
            Step::Revoke => {
                own.ended.retain(|ended| ended.until > w.now);
                let news = own.ended.iter_mut().filter(|ended| ended.told != Told::Yes).take(limits::REVOKED_MAX);
                let grants = news.map(|ended| {
                    ended.told = Told::Asked;
                    Revoked { serial: ended.serial, until: ended.until }
                });
                OwnerAsk::Revoke { grants: grants.collect() }
            }
            Step::Fetch => OwnerAsk::Fetch { after: own.after },
            Step::Keep => {
                let Some(record) = w.get::<OwnRecord>(&OwnRecord::only())? else { return Ok(None) };
                let reach = ReachSecret::from_bytes(self.profile(w)?.reach);
                let slot = KeptSlot { account: &self.me.account, reach: &reach, peer: &own.peer, slot: record.slot };
                let sealed = seal_kept(&slot, &record.record, w.rng);
                OwnerAsk::Keep { id: slot.id(), sealed, until: w.now.plus_days(limits::KEPT_DAYS) }
            }
            Step::Prekeys => {
                let (own_pool, others): (Vec<_>, Vec<_>) =
                    self.keys_at_relays(w)?.into_iter().partition(|(number, _)| *number == own.number);
                let mut pool = own_pool.into_iter().next().map(|(_, pool)| pool).unwrap_or_default();
                others.iter().for_each(|(_, other)| pool.follow(other));
                let missing = limits::POOL_KEYS_MAX.saturating_sub(usize::try_from(own.prekeys).unwrap_or(0));
                let keys = pool.make(missing, &self.me.secrets, w.now, w.rng);
                w.put(&OwnRelayPool { number: own.number, pool: pool.to_stored() })?;
                OwnerAsk::PutPrekeys { keys }
            }
            Step::Leave => OwnerAsk::Leave,
        };
        let nonce = self.nonce_of(w, &own.relay, &own.peer)?;
        Ok(Some(ask.sign(&key, &own.relay, &nonce)))
    }

    /// A question to a relay of ours ended.
    pub(super) fn own_answered(
        &self,
        w: &mut Work<'_>,
        number: u64,
        tag: u16,
        outcome: AskOutcome,
    ) -> Result<(), Halt> {
        let Some(mut own) = w.get::<OwnRelay>(&OwnRelay::key_of(number))? else { return Ok(()) };
        let Some(question) = own.question.filter(|q| q.number == tag) else { return Ok(()) };
        own.question = None;
        match self.hear(w, &own.relay, &own.peer, outcome)? {
            Said::Answer(answer) => self.own_said(w, own, question.step, answer),
            Said::NewNonce => {
                // The relay started anew: perhaps from an old copy.
                (own.welcomed, own.after, own.unread) = (false, 0, true);
                tell_again(&mut own);
                own.failures = own.failures.saturating_add(1);
                if own.failures > 3 {
                    return self.no_answer(w, own, "it does not take its own nonce");
                }
                own.due_at = w.now.plus_millis(FORGETFUL_AGAIN_MS);
                self.put_relay(w, &own)
            }
            Said::Refused(refusal) => self.own_refused(w, own, question.step, refusal),
            Said::Wait(ms) => {
                own.due_at = w.now.plus_millis(ms.clamp(500, AGAIN_LONGEST_MS));
                self.put_relay(w, &own)
            }
            Said::NoRelay => {
                let detail = "the node there runs no relay";
                self.stand(w, own, RelayStanding::Refused, detail, REFUSED_AGAIN_MS)
            }
            Said::Silent(why) => self.no_answer(w, own, why),
        }
    }

    fn own_said(&self, w: &mut Work<'_>, mut own: OwnRelay, step: u8, answer: Answer) -> Result<(), Halt> {
        own.answered_at = Some(w.now);
        match answer {
            Answer::Welcome(bytes) => self.welcomed(w, own, &bytes),
            Answer::Registered(registered) => self.registered(w, own, registered),
            Answer::Done if step == Step::Revoke as u8 => {
                told(&mut own);
                self.drive(w, own)
            }
            Answer::Done if step == Step::Keep as u8 => {
                own.kept = w.get::<OwnRecord>(&OwnRecord::only())?.map_or(0, |record| record.sequence);
                self.drive(w, own)
            }
            Answer::Done if step == Step::Leave as u8 => self.forget_relay(w, &own),
            Answer::Prekeys(count) => {
                own.prekeys = count.max(limits::POOL_KEYS_LOW as u64);
                self.drive(w, own)
            }
            _ => self.no_answer(w, own, "it answers something else than it was asked"),
        }
    }

    fn welcomed(&self, w: &mut Work<'_>, mut own: OwnRelay, bytes: &[u8]) -> Result<(), Halt> {
        let hello = Hello { challenge: own.challenge };
        let welcome = match Welcome::verify(bytes, &own.relay, &hello, &own.peer) {
            Ok(welcome) => welcome,
            Err(WelcomeError::OtherRelay | WelcomeError::BadSignature) => {
                if own.standing != RelayStanding::WrongKey {
                    let name = self.relay_name(w, &own.relay)?;
                    let message = format!("{name}: another key than the card's answers at its address");
                    self.alert(w, "relay_wrong_key", message, "ask its operator for the card of today")?;
                }
                let detail = "another key than the card's answers there: ask for its card again";
                return self.stand(w, own, RelayStanding::WrongKey, detail, REFUSED_AGAIN_MS);
            }
            Err(_) => return self.no_answer(w, own, "its welcome cannot be read"),
        };
        let mut known = self.known_relay(w, &own.relay, &own.peer)?;
        known.nonce = Some(welcome.nonce.0);
        known.proven = true;
        w.put(&known)?;
        own.welcomed = true;
        own.name = welcome.name;
        own.open = welcome.open;
        own.quota = (welcome.envelopes, welcome.bytes);
        let off = welcome.now.millis_since(w.now).max(w.now.millis_since(welcome.now));
        own.detail =
            (off > limits::CLOCK_SKEW_MS).then(|| format!("its clock is {} days off", off.div_ceil(86_400_000)));
        self.drive(w, own)
    }

    fn registered(&self, w: &mut Work<'_>, mut own: OwnRelay, registered: Registered) -> Result<(), Halt> {
        if registered.new {
            // Whatever it held before is gone, and some were told there that nobody has a mailbox: they get new passes.
            own.kept = 0;
            tell_again(&mut own);
            self.forget_grants(w, own.number)?;
            own.offered = false;
        }
        own.registered = Some(w.now.day());
        own.quota = (registered.envelopes, registered.bytes);
        own.used = (registered.used_envelopes, registered.used_bytes);
        own.prekeys = registered.prekeys;
        // From the beginning, once a day: what was left there since there was no room here comes again.
        (own.after, own.unread) = (0, true);
        if own.standing != RelayStanding::Leaving {
            own.standing = RelayStanding::Ready;
        }
        if !own.offered && own.standing == RelayStanding::Ready {
            own.offered = true;
            own.stranger = new_serial(w);
            self.put_relay(w, &own)?;
            self.places_changed(w)?;
            own = w.get::<OwnRelay>(&OwnRelay::key_of(own.number))?.unwrap_or(own);
        }
        self.drive(w, own)
    }

    fn own_refused(&self, w: &mut Work<'_>, mut own: OwnRelay, step: u8, refusal: Refusal) -> Result<(), Halt> {
        own.answered_at = Some(w.now);
        let again = refusal.retry_after_ms.clamp(1_000, REFUSED_AGAIN_MS);
        let refused = RelayStanding::Refused;
        match refusal.reason {
            Reason::NoMailbox => {
                if own.standing == RelayStanding::Leaving {
                    return self.forget_relay(w, &own);
                }
                // It was put back to a copy from before, or removed us for having been away.
                (own.registered, own.kept, own.prekeys) = (None, 0, 0);
                own.failures = own.failures.saturating_add(1);
                if own.failures > 3 {
                    return self.no_answer(w, own, "it forgets the mailbox again and again");
                }
                own.due_at = w.now.plus_millis(FORGETFUL_AGAIN_MS);
                self.put_relay(w, &own)
            }
            Reason::NotAdmitted => {
                let detail = match own.token {
                    None => "it is for members only: ask its operator for an invite",
                    Some(_) => "the invite is unknown there, lapsed or used up: ask its operator for another",
                };
                self.stand(w, own, refused, detail, REFUSED_AGAIN_MS)
            }
            Reason::Blocked => self.stand(w, own, refused, "its operator blocked this mailbox", REFUSED_AGAIN_MS),
            Reason::NoRoom | Reason::RelayFull if step == Step::Register as u8 => {
                self.stand(w, own, refused, "it has no room for another mailbox", REFUSED_AGAIN_MS)
            }
            Reason::NoRoom | Reason::RelayFull if step == Step::Keep as u8 => {
                // Without it strangers find us by the DHT alone.
                own.kept = w.get::<OwnRecord>(&OwnRecord::only())?.map_or(0, |record| record.sequence);
                self.drive(w, own)
            }
            Reason::Storage => self.stand(w, own, refused, "its disk reports errors", again),
            Reason::RateLimited | Reason::Stopping => {
                own.due_at = w.now.plus_millis(again);
                self.put_relay(w, &own)
            }
            Reason::NoRoom | Reason::RelayFull if step == Step::Revoke as u8 => {
                let name = self.relay_name(w, &own.relay)?;
                let message = format!("{name} remembers no more ended passes: who was removed may leave mail there");
                self.alert(w, "relay_passes_full", message, "kith relay remove RELAY, and add it again next month")?;
                told(&mut own);
                self.drive(w, own)
            }
            _ if step == Step::Prekeys as u8 => {
                own.prekeys = limits::POOL_KEYS_LOW as u64;
                self.drive(w, own)
            }
            reason => {
                let detail = format!("it refuses: {reason:?}").to_lowercase();
                self.stand(w, own, refused, &detail, REFUSED_AGAIN_MS)
            }
        }
    }

    fn stand(
        &self,
        w: &mut Work<'_>,
        mut own: OwnRelay,
        standing: RelayStanding,
        detail: &str,
        again_ms: u64,
    ) -> Result<(), Halt> {
        if own.standing == RelayStanding::Leaving {
            own.failures = own.failures.saturating_add(1);
            if is_lost(&own, w.now) {
                return self.forget_relay(w, &own);
            }
        } else {
            own.standing = standing;
        }
        own.detail = Some(detail.to_owned());
        own.welcomed = false;
        own.due_at = w.now.plus_millis(again_ms);
        self.put_relay(w, &own)
    }

    fn no_answer(&self, w: &mut Work<'_>, mut own: OwnRelay, why: &str) -> Result<(), Halt> {
        own.failures = own.failures.saturating_add(1);
        (own.after, own.unread) = (0, true);
        let pause = AGAIN_FIRST_MS.saturating_mul(1 << own.failures.min(16)).min(AGAIN_LONGEST_MS);
        // Many owners of one relay do not come back at one moment.
        let pause = pause - pause / 4 + w.rng.next_u64() % (pause / 2).max(1);
        let standing = if own.registered.is_none() { own.standing } else { RelayStanding::Unreachable };
        if own.standing == RelayStanding::Leaving && is_lost(&own, w.now) {
            return self.forget_relay(w, &own);
        }
        if own.standing != RelayStanding::Leaving {
            own.standing = standing;
        }
        own.detail = Some(why.to_owned());
        own.due_at = w.now.plus_millis(pause);
        self.put_relay(w, &own)
    }

    /// How far a mailbox was read: goes on behind the last envelope, or rests.
    pub(super) fn page_read(&self, w: &mut Work<'_>, page: &super::mail::PageEnd) -> Result<(), Halt> {
        let Some(mut own) = w.get::<OwnRelay>(&OwnRelay::key_of(page.relay))? else { return Ok(()) };
        if own.question.is_none_or(|q| q.number != page.tag || q.step != Step::Fetch as u8) {
            return Ok(());
        }
        own.question = None;
        own.answered_at = Some(w.now);
        own.failures = 0;
        own.prekeys = page.prekeys;
        // One that refuses to register us anew goes on doing so although it gives what it has.
        let registered = own.registered == Some(w.now.day()) || own.standing == RelayStanding::Unreachable;
        if registered && !matches!(own.standing, RelayStanding::Ready | RelayStanding::Leaving) {
            (own.standing, own.detail) = (RelayStanding::Ready, None);
        }
        // A relay that gives the same place again and again is not read for ever.
        let further = page.last.filter(|last| *last > own.after);
        own.unread = page.more && further.is_some();
        own.after = further.unwrap_or(own.after);
        if !own.unread {
            own.read_at = Some(w.now);
        }
        let returned = !own.offered && own.standing == RelayStanding::Ready;
        if returned {
            own.offered = true;
            self.put_relay(w, &own)?;
            self.places_changed(w)?;
            own = w.get::<OwnRelay>(&OwnRelay::key_of(page.relay))?.unwrap_or(own);
        }
        self.drive(w, own)
    }

    /// Whether everything was read lately that waits at relays of ours, but for those that are silent for days.
    pub(super) fn mailboxes_read(&self, w: &Work<'_>) -> Result<bool, Halt> {
        let read = |own: &OwnRelay| {
            let lately = own.read_at.is_some_and(|at| at <= w.now && w.now.millis_since(at) < 2 * POLL_MS);
            own.welcomed && !own.unread && lately
        };
        let silent = |own: &OwnRelay| own.answered_at.is_none_or(|at| w.now.millis_since(at) >= GONE_MS);
        Ok(self.own_relays(w)?.iter().all(|own| own.registered.is_none() || silent(own) || read(own)))
    }

    /// Reads all mailboxes from their beginning: there is room for what was left there before.
    pub(super) fn read_anew(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        for mut own in self.own_relays(w)? {
            (own.after, own.unread) = (0, true);
            self.drive(w, own)?;
        }
        Ok(())
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

/// Whether a relay has yet to hear of grants that ended.
fn has_news(own: &OwnRelay) -> bool {
    own.ended.iter().any(|ended| ended.told != Told::Yes)
}

/// What the question under way said of ended grants was carried out.
fn told(own: &mut OwnRelay) {
    own.ended.iter_mut().filter(|ended| ended.told == Told::Asked).for_each(|ended| ended.told = Told::Yes);
}

/// A relay that may have been put back to an old copy hears of all ended grants once more.
fn tell_again(own: &mut OwnRelay) {
    own.ended.iter_mut().for_each(|ended| ended.told = Told::No);
}

/// Whether a relay that was let go is given up: it does not answer, and its time is over or it was silent for days.
fn is_lost(own: &OwnRelay, now: Timestamp) -> bool {
    let over = own.left_at.is_none_or(|at| at > now || now.millis_since(at) >= limits::COLLECTED_MS);
    let silent = own.answered_at.is_none_or(|at| at > now || now.millis_since(at) >= GONE_MS);
    own.failures >= LEAVE_TRIES && (over || silent)
}

/// Whether mail may be left at a relay of ours: it was registered at, and heard of within three days.
fn is_place(own: &OwnRelay, now: Timestamp) -> bool {
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
fn place_of(card: &RelayCard) -> Option<(String, Vec<String>)> {
    let peer_of = |hint: &String| hint.rsplit_once("/p2p/").map(|(_, peer)| peer.to_owned());
    let peer = card.hints.iter().find_map(peer_of)?;
    let addresses = card.hints.iter().filter(|hint| peer_of(hint).as_ref() == Some(&peer)).cloned().collect();
    Some((peer, addresses))
}

fn relay_outcome(w: &Work<'_>, own: &OwnRelay, changed: bool) -> Outcome {
    let known = w.get::<KnownRelay>(&KnownRelay::key_of(&own.relay, &own.peer)).ok().flatten();
    Outcome::Relay(types::RelayAdded { relay: query::relay(own, known.as_ref()), changed })
}

fn card_error(error: contact_link::Error) -> UserError {
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
