//! From bytes to work: who asks too much, what is not signed, what has ended is refused before the store is asked.

use super::{Look, SOON_AGAIN_MS, Service, Waiter, Work};
use crate::{
    net::{PeerName, RelayToken},
    relay::{counters::add, operator::token_hash, rates::Rate},
};
use kith_protocol::{
    Day, MailboxId, Tag, Timestamp,
    limits::{CLOCK_SKEW_MS, GRANT_DAYS_MAX, KEPT_DAYS},
    mailbox::{
        Answer, Ask, AskError, Class, DepositAsk, Grant, GrantError, Hello, OwnerAsk, Reason, Refusal, SignedAsk,
        Welcome,
    },
};
use kith_store::mailbox::{Change, Deposit, Quota};

/// The shortest time that anything is kept, in milliseconds: clocks differ, and what was accepted must not be gone at once.
const TTL_MIN_MS: u64 = 86_400_000;

/// What is to be done for a request.
enum Task {
    Answer(Answer),
    Look(Look),
    /// For an owner.
    First(Change),
    /// For anybody else.
    Then(Change),
}

impl Service {
    /// Judges a request and puts it to the work of the turn, or answers it.
    pub(super) fn take_in(&mut self, token: RelayToken, from: PeerName, request: &[u8], work: &mut Work) {
        add(&mut self.counters.requests, 1);
        let task = match self.judge(&from, request, work) {
            Ok(ask) => self.task(&from, ask),
            Err(refusal) => Err(refusal),
        };
        let client = |from| Waiter::Client { token, from };
        match task {
            Ok(Task::Answer(answer)) => self.give(token, answer, &mut work.turn),
            Ok(Task::Look(look)) => work.looks.push((token, from, look)),
            Ok(Task::First(change)) => work.first.push((client(from), change)),
            Ok(Task::Then(change)) => work.then.push((client(from), change)),
            Err(refusal) => self.give(token, Answer::Refused(refusal), &mut work.turn),
        }
    }

    /// Reads a request and checks its proofs; says no to who asks too much.
    fn judge(&mut self, from: &PeerName, request: &[u8], work: &mut Work) -> Result<Ask, Refusal> {
        if self.stopping {
            return Err(Refusal::later(Reason::Stopping, SOON_AGAIN_MS));
        }
        if *from != self.peer && !self.owners.knows(from) {
            let rate = self.settings.peer;
            self.peers.check(from, rate, self.moment).map_err(|wait| Refusal::later(Reason::RateLimited, wait))?;
            self.peers.charge(from.clone(), rate, self.moment);
        }
        let nonce = self.nonce(from);
        SignedAsk::decode(request).and_then(|ask| ask.verify(&self.id, &nonce)).map_err(|error| {
            if matches!(error, AskError::Proof | AskError::Grant(GrantError::BadSignature)) && *from != self.peer {
                work.turn.faults.insert(from.clone());
            }
            let nonce = (error == AskError::Nonce).then_some(nonce);
            Refusal { nonce, ..Refusal::never(error.reason()) }
        })
    }

    fn task(&self, from: &PeerName, ask: Ask) -> Result<Task, Refusal> {
        match ask {
            Ask::Hello(hello) => Ok(Task::Answer(self.welcome(from, &hello))),
            Ask::Owner { mailbox, ask } => Ok(self.owners_task(mailbox, ask)),
            Ask::Deposit(deposit) => self.deposit(deposit).map(Task::Then),
            Ask::TakePrekey { tag, grant } => self.take_prekey(tag, &grant).map(Task::Then),
            Ask::Kept { ids } => Ok(Task::Look(Look::Kept(ids))),
            Ask::Audit(custody) => Ok(Task::Look(Look::Audit(custody))),
        }
    }

    fn welcome(&self, from: &PeerName, hello: &Hello) -> Answer {
        let welcome = Welcome {
            relay: self.id,
            nonce: self.nonce(from),
            peer: self.peer.0.clone(),
            now: self.time.now(),
            open: self.settings.open,
            name: self.settings.name.clone(),
            ttl_ms: self.settings.ttl_ms,
            envelopes: self.settings.caps.mailbox.envelopes,
            bytes: self.settings.caps.mailbox.bytes,
        };
        welcome.sign(&self.key, hello)
    }

    fn owners_task(&self, mailbox: MailboxId, ask: OwnerAsk) -> Task {
        let now = self.time.now();
        Task::First(match ask {
            OwnerAsk::Fetch { after } => return Task::Look(Look::Fetch { mailbox, after }),
            OwnerAsk::Register { token, first, tags } => Change::Register {
                mailbox,
                tags: dated(first, &tags),
                // By the owner's own days: what this relay's clock shows does not matter.
                keep_from: first.0,
                token: token.as_ref().map(token_hash),
                open: self.settings.open,
            },
            OwnerAsk::Acknowledge { ids } => Change::Acknowledge { mailbox, ids },
            OwnerAsk::PutPrekeys { keys } => Change::PutPrekeys { mailbox, keys },
            OwnerAsk::Keep { id, sealed, until } => {
                let until = until.max(now.plus_millis(TTL_MIN_MS)).min(now.plus_days(KEPT_DAYS));
                Change::Keep { mailbox, id, bytes: sealed, until }
            }
            OwnerAsk::Revoke { grants } => {
                let latest = now.plus_days(GRANT_DAYS_MAX).plus_millis(CLOCK_SKEW_MS);
                let serials = grants.iter().map(|grant| (grant.serial, grant.until.min(latest))).collect();
                Change::Revoke { mailbox, serials }
            }
            OwnerAsk::Leave => Change::Leave { mailbox },
        })
    }

    fn deposit(&self, ask: DepositAsk) -> Result<Change, Refusal> {
        let DepositAsk { tag, until, control, grant, id, envelope } = ask;
        let terms = grant.terms;
        self.expect_current(&grant)?;
        let rate = self.deposit_rate(terms.class);
        if let Err(wait) = self.grants.check(&(grant.mailbox, terms.serial), rate, self.moment) {
            return Err(match terms.class {
                // A busy box looks like a full one, and that like none.
                Class::Stranger => super::answer::NO_ROOM,
                Class::Contact | Class::Member => Refusal::later(Reason::RateLimited, wait),
            });
        }
        Ok(Change::Deposit(Deposit {
            tag,
            mailbox: grant.mailbox,
            class: terms.class,
            serial: terms.serial,
            grant: Quota { envelopes: terms.envelopes, bytes: terms.bytes },
            envelope: id,
            bytes: envelope,
            until: self.kept_until(until),
            control,
        }))
    }

    fn take_prekey(&self, tag: Tag, grant: &Grant) -> Result<Change, Refusal> {
        self.expect_current(grant)?;
        let (mailbox, class, serial) = (grant.mailbox, grant.terms.class, grant.terms.serial);
        Ok(Change::TakePrekey { tag, mailbox, class, serial, daily: self.settings.prekeys_daily })
    }

    /// A grant has ended when it has for whoever's clock is right, and ours may be a day off.
    fn expect_current(&self, grant: &Grant) -> Result<(), Refusal> {
        let over = grant.terms.until.plus_millis(CLOCK_SKEW_MS) <= self.time.now();
        if over { Err(Refusal::never(Reason::Expired)) } else { Ok(()) }
    }

    pub(super) const fn deposit_rate(&self, class: Class) -> Rate {
        match class {
            Class::Contact | Class::Member => self.settings.contact,
            Class::Stranger => self.settings.stranger,
        }
    }

    /// What is promised to a sender who asks for a time.
    fn kept_until(&self, asked: Timestamp) -> Timestamp {
        let now = self.time.now();
        asked.max(now.plus_millis(TTL_MIN_MS)).min(now.plus_millis(self.settings.ttl_ms))
    }
}

/// Tags with their days.
fn dated(first: Day, tags: &[[Tag; 3]]) -> Vec<(u32, Class, Tag)> {
    let days = (0..).zip(tags).map(|(n, tags)| (first.plus(n).0, tags));
    days.flat_map(|(day, tags)| Class::ALL.into_iter().zip(tags).map(move |(class, tag)| (day, class, *tag))).collect()
}
