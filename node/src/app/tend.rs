//! The conversation with each relay of ours: one question at a time is under way, and which one is next follows from the
//! relay's row.
//! Must not know how relays come to be ours, nor what an envelope holds.

use super::{
    App,
    asking::{ASK_LEASE_MS, Question, Said, next_tag},
    mail::PageEnd,
    relays::{DAY_MS, GONE_MS, is_place, mailbox_key, new_serial},
    work::{Halt, Work},
};
use crate::net::AskOutcome;
use kith_protocol::{
    RelayId, Timestamp,
    identity::ReachSecret,
    limits,
    mailbox::{
        Answer, Hello, KeptSlot, OwnerAsk, Reason, Refusal, Registered, Revoked, Welcome, WelcomeError, seal_kept,
    },
};
use kith_store::table::{KnownRelay, OwnRecord, OwnRelay, OwnRelayPool, RelayQuestion, RelayStanding, Told};
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
    /// The daemon starts: questions are lost, every mailbox is read from its beginning.
    pub(super) fn relays_start(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        for mut own in self.own_relays(w)? {
            self.begin_anew(w, &mut own)?;
            self.drive(w, own)?;
        }
        Ok(())
    }

    /// Forgets what holds for a connection: who the relay is, how far its mailbox was read.
    pub(super) fn begin_anew(&self, w: &mut Work<'_>, own: &mut OwnRelay) -> Result<(), Halt> {
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

    /// A peer is gone: if it is a relay of ours, it is asked soon, so that mail comes over a connection again or people see
    /// that it does not answer.
    pub(super) fn relay_down(&self, w: &mut Work<'_>, peer: &str) -> Result<(), Halt> {
        for mut own in self.own_relays(w)?.into_iter().filter(|own| own.peer == peer) {
            own.unread = true;
            if own.question.is_none_or(|q| w.now >= q.lease_until) {
                let pause = FORGETFUL_AGAIN_MS + w.rng.next_u64() % (4 * FORGETFUL_AGAIN_MS);
                own.due_at = own.due_at.min(w.now.plus_millis(pause));
            }
            self.put_relay(w, &own)?;
        }
        // A start reads every mailbox, whatever the rows say.
        w.forgettable();
        Ok(())
    }

    /// A relay has another nonce than it had: it started anew, perhaps from an old copy and with another time.
    pub(super) fn started_anew(&self, w: &mut Work<'_>, relay: &RelayId, peer: &str) -> Result<(), Halt> {
        for mut own in self.own_relays(w)?.into_iter().filter(|own| own.relay == *relay && own.peer == peer) {
            (own.welcomed, own.after, own.unread) = (false, 0, true);
            tell_again(&mut own);
            own.due_at = own.due_at.min(w.now.plus_millis(FORGETFUL_AGAIN_MS));
            self.put_relay(w, &own)?;
        }
        Ok(())
    }

    /// A relay says that something waits.
    pub(super) fn woken(&self, w: &mut Work<'_>, peer: &str) -> Result<(), Halt> {
        let mut only_reads = true;
        for mut own in self.own_relays(w)?.into_iter().filter(|own| own.peer == peer) {
            own.unread = true;
            let asking = own.question.is_some_and(|q| w.now < q.lease_until);
            only_reads &= asking || self.next_step(w, &own)? == Some(Step::Fetch);
            self.drive(w, own)?;
        }
        if only_reads {
            // A start reads every mailbox, whatever the rows say.
            w.forgettable();
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
            let message = match own.standing {
                RelayStanding::Ready | RelayStanding::Unreachable => format!("{name} did not answer for three days"),
                _ => format!("{name}: {}", own.detail.as_deref().unwrap_or("it refuses")),
            };
            let message = format!("{message}: contacts leave mail elsewhere");
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
            let over = own.left_at.is_none_or(|at| w.now.millis_since(at) >= limits::COLLECTED_MS);
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
        let Some(own) = w.get::<OwnRelay>(&OwnRelay::key_of(number))? else { return Ok(()) };
        let Some(question) = own.question.filter(|q| q.number == tag) else { return Ok(()) };
        let said = self.hear(w, &own.relay, &own.peer, outcome)?;
        let Some(mut own) = w.get::<OwnRelay>(&OwnRelay::key_of(number))? else { return Ok(()) };
        own.question = None;
        match said {
            Said::Answer(answer) => self.own_said(w, own, question.step, answer),
            Said::NewNonce => {
                own.welcomed = false;
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
        if known.nonce.replace(welcome.nonce.0) != Some(welcome.nonce.0) {
            (own.after, own.unread) = (0, true);
            tell_again(&mut own);
        }
        known.proven = true;
        w.put(&known)?;
        own.welcomed = true;
        own.name = welcome.name;
        own.open = welcome.open;
        own.quota = (welcome.envelopes, welcome.bytes);
        let off = welcome.now.millis_since(w.now).max(w.now.millis_since(welcome.now));
        own.detail =
            (off > limits::CLOCK_SKEW_MS).then(|| format!("its clock is {} days off", (off + DAY_MS / 2) / DAY_MS));
        self.drive(w, own)
    }

    fn registered(&self, w: &mut Work<'_>, mut own: OwnRelay, registered: Registered) -> Result<(), Halt> {
        if registered.new {
            // Whatever it held before is gone, and some were told there that nobody has a mailbox: they get new passes.
            own.kept = 0;
            tell_again(&mut own);
            self.offer_again(w, own.number)?;
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
            if own.stranger == 0 {
                // One that was given before stays: a new contact code ends it (R-OUT-14).
                own.stranger = new_serial(w);
            }
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
    pub(super) fn page_read(&self, w: &mut Work<'_>, page: &PageEnd) -> Result<(), Halt> {
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
        let rested = own.read_at.is_some_and(|at| w.now.millis_since(at) < POLL_MS);
        if !own.unread {
            own.read_at = Some(w.now);
        }
        if own.left_at.is_some() && page.last.is_some() {
            // Who left it may put the relay to the test for as long again.
            own.left_at = Some(w.now);
        }
        let returned = !own.offered && own.standing == RelayStanding::Ready;
        if returned {
            own.offered = true;
            self.put_relay(w, &own)?;
            self.places_changed(w)?;
            own = w.get::<OwnRelay>(&OwnRelay::key_of(page.relay))?.unwrap_or(own);
        }
        let read = !own.unread;
        self.drive(w, own)?;
        if read && !rested { self.delete_old_keys(w) } else { Ok(()) }
    }

    /// Whether everything was read lately that waits at relays of ours, but for those that gave nothing for days.
    pub(super) fn mailboxes_read(&self, w: &Work<'_>) -> Result<bool, Halt> {
        let since = |own: &OwnRelay| own.read_at.map_or(u64::MAX, |at| w.now.millis_since(at));
        let read = |own: &OwnRelay| !own.unread && since(own) < 2 * POLL_MS;
        Ok(self.own_relays(w)?.iter().all(|own| own.registered.is_none() || since(own) >= GONE_MS || read(own)))
    }

    /// Reads all mailboxes from their beginning: there is room for what was left there before.
    pub(super) fn read_anew(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        for mut own in self.own_relays(w)? {
            (own.after, own.unread) = (0, true);
            self.drive(w, own)?;
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
    let since = own.left_at.map_or(limits::COLLECTED_MS, |at| now.millis_since(at));
    let silent = own.answered_at.is_none_or(|at| now.millis_since(at) >= GONE_MS);
    let over = since >= limits::COLLECTED_MS;
    own.failures >= LEAVE_TRIES && (over || silent) || since >= limits::COLLECTED_MS + GONE_MS
}
