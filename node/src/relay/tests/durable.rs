//! What is promised is on disk, whatever the disk does.

use super::kit::*;
use crate::relay::{Operator, Settings};
use kith_protocol::{
    EnvelopeId, KeptId, MailboxId, Tag, Timestamp,
    mailbox::{Answer, Audited, Class, OwnerAsk, Reason},
};
use kith_store::{
    Damage, Error, MemoryDisk,
    mailbox::{Caps, Change, Custody, InviteInfo, Item, MailboxInfo, MailboxStore, Outcome, RelayStore, Totals},
};

/// Deposits of one turn.
const BATCH: u32 = 100;

fn settings() -> Settings {
    let fast = crate::relay::Rate { per_second: 1_000_000, burst: 1_000_000 };
    Settings { open: true, peer: fast, contact: fast, stranger: fast, ..Settings::default() }
}

#[test]
fn r_rly_1_ten_thousand_deposits_are_synced_before_their_receipts_come_out() {
    let (mut relay, bob) = (Relay::with(settings()), Owner::new("bob"));
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Contact, 7);
    let (mut receipts, mut last) = (0u32, Vec::new());
    for batch in 0..100u32 {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let requests: Vec<_> =
            numbers.map(|n| (peer("alice"), relay.deposit_request("alice", &pass, &envelope(n, 64)))).collect();
        let before = relay.disk.counts().syncs;
        let answers = relay.answers(requests);
        let synced = relay.disk.counts().syncs - before;
        assert!(synced >= 1, "batch {batch}: receipts without a sync");
        assert!(synced <= 2, "batch {batch}: one commit serves all, {synced} syncs");
        last = answers.iter().map(|answer| relay.custody(answer)).collect();
        receipts += BATCH;
        if batch % 20 == 19 {
            // The power goes the moment that the receipts are out.
            let copy = MemoryDisk::from_image(relay.disk.synced_image());
            let mut after = Relay::on(copy, settings(), relay.wall);
            assert_eq!(after.stats().held.envelopes, u64::from(receipts), "batch {batch}");
            for custody in &last {
                assert!(matches!(after.ask("alice", custody.audit()), Answer::Audited(Audited::Held(_))));
            }
        }
    }
    assert_eq!((receipts, last.len()), (10_000, 100));
}

#[test]
fn r_rly_1_no_receipt_comes_out_of_a_batch_whose_commit_failed_at_any_call() {
    let mut failed = 0;
    for n in 0.. {
        let (mut relay, bob) = (Relay::with(settings()), Owner::new("bob"));
        relay.register(&bob);
        let pass = bob.pass(&relay, Class::Contact, 7);
        let requests: Vec<_> =
            (0..20).map(|n| (peer("alice"), relay.deposit_request("alice", &pass, &envelope(n, 300)))).collect();
        relay.disk.stop_after(n);
        let answers = relay.answers(requests);
        let accepted: Vec<_> = answers.iter().filter(|a| matches!(a, Answer::Custody(_))).collect();
        if accepted.len() == answers.len() {
            break;
        }
        failed += 1;
        assert!(accepted.is_empty(), "call {n}: a part of a batch is accepted");
        for answer in &answers {
            assert_eq!(reason(answer), Reason::Storage, "call {n}");
        }
        relay.disk.heal();
        let mut relay = relay.restart();
        let held = relay.stats().held.envelopes;
        assert!(held == 0 || held == 20, "call {n}: {held} of a batch");
    }
    assert!(failed >= 3, "only {failed} calls failed");
}

#[test]
fn r_rly_5_a_disk_full_at_any_write_is_told_reading_goes_on_and_room_is_used_within_five_seconds() {
    let mut failed = 0;
    for n in 0.. {
        let (mut relay, bob) = (Relay::with(settings()), Owner::new("bob"));
        relay.register(&bob);
        let pass = bob.pass(&relay, Class::Contact, 7);
        let first = relay.leave("alice", &pass, b"before");
        relay.disk.full_after(n);
        let mut accepted = vec![b"before".to_vec()];
        let mut refused = None;
        for k in 0..8 {
            let letter = envelope(k, 20_000);
            match relay.deposit("alice", &pass, &letter) {
                Answer::Custody(_) => accepted.push(letter),
                answer => {
                    refused = Some((letter, refusal(&answer)));
                    break;
                }
            }
        }
        let Some((letter, why)) = refused else { break };
        failed += 1;
        let context = format!("full after {n} writes, {} accepted", accepted.len());
        assert_eq!(why.reason, Reason::Storage, "{context}");
        assert!((1..=5_000).contains(&why.retry_after_ms), "{context}");
        // For a while there is no room: everybody is told, and nobody is kept from reading.
        for _ in 0..20 {
            relay.pass(500);
            assert_eq!(reason(&relay.deposit("alice", &pass, b"other")), Reason::Storage, "{context}");
            let mail = relay.mail(&bob);
            assert!(accepted.iter().all(|letter| mail.contains(letter)), "{context}");
            let audited = relay.ask("alice", first.audit());
            assert_eq!(audited, Answer::Audited(Audited::Held(b"before".to_vec())), "{context}");
        }
        assert!(!relay.stats().storage_ok, "{context}");
        let judge = Operator::Judge { mailbox: bob.id(), allowed: None, blocked: Some(true), quota: None };
        assert_eq!(relay.operate(judge), Err(crate::relay::Denied::Storage), "{context}");
        // Called when it wants to be, it is back.
        relay.disk.heal();
        let until = relay.moment + std::time::Duration::from_secs(5);
        let mut back = false;
        while relay.moment < until && !back {
            let turn = relay.turn(Vec::new());
            back = !turn.storage_failed;
            let wait = turn.next_due.saturating_sub(relay.moment).as_millis();
            relay.pass(u64::try_from(wait).unwrap().max(1));
        }
        assert!(back, "{context}");
        relay.leave("alice", &pass, &letter);
        accepted.push(letter);
        let mut relay = relay.restart();
        let mail = relay.mail(&bob);
        assert!(accepted.iter().all(|letter| mail.contains(letter)), "{context}");
    }
    assert!(failed >= 10, "only {failed} writes failed");
}

/// The real engine, with one mailbox whose rows are damaged.
struct Damaged {
    whole: MailboxStore,
    mailbox: MailboxId,
}

impl RelayStore for Damaged {
    fn apply(&mut self, changes: &[Change], caps: &Caps, now: Timestamp) -> Result<Vec<Outcome>, Error> {
        let hits = |change: &Change| match change {
            Change::Deposit(deposit) => deposit.mailbox == self.mailbox,
            Change::Acknowledge { mailbox, .. } => *mailbox == self.mailbox,
            _ => false,
        };
        if changes.iter().any(hits) { Err(DAMAGED) } else { self.whole.apply(changes, caps, now) }
    }

    fn page(&self, id: &MailboxId, after: u64, items: usize, bytes: usize, now: Timestamp) -> Result<Vec<Item>, Error> {
        if *id == self.mailbox { Err(DAMAGED) } else { self.whole.page(id, after, items, bytes, now) }
    }

    fn mailbox(&self, id: &MailboxId) -> Result<Option<MailboxInfo>, Error> {
        self.whole.mailbox(id)
    }

    fn mailboxes(&self, after: Option<&MailboxId>, limit: usize) -> Result<Vec<MailboxInfo>, Error> {
        self.whole.mailboxes(after, limit)
    }

    fn class_of(&self, id: &MailboxId, tag: &Tag) -> Result<Option<Class>, Error> {
        self.whole.class_of(id, tag)
    }

    fn custody(&self, tag: &Tag, envelope: &EnvelopeId, now: Timestamp) -> Result<Custody, Error> {
        self.whole.custody(tag, envelope, now)
    }

    fn kept(&self, id: &KeptId, now: Timestamp) -> Result<Option<Vec<u8>>, Error> {
        self.whole.kept(id, now)
    }

    fn invites(&self, now: Timestamp) -> Result<Vec<InviteInfo>, Error> {
        self.whole.invites(now)
    }

    fn totals(&self) -> Result<Totals, Error> {
        self.whole.totals()
    }

    fn latest(&self) -> Result<Option<Timestamp>, Error> {
        self.whole.latest()
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.whole.reopen()
    }
}

const DAMAGED: Error = Error::Corrupt(Damage::Row);

#[test]
fn r_rly_5_a_damaged_row_costs_who_needs_it_and_nobody_else() {
    let (bob, carol, disk) = (Owner::new("bob"), Owner::new("carol"), Relay::empty());
    let mailbox = bob.id();
    let wrap = |whole| Box::new(Damaged { whole, mailbox }) as Box<dyn RelayStore>;
    let mut relay = Relay::over(disk, settings(), start(), wrap);
    relay.register(&bob);
    relay.register(&carol);
    let (to_bob, to_carol) = (bob.pass(&relay, Class::Contact, 7), carol.pass(&relay, Class::Contact, 7));
    let mut requests: Vec<_> =
        (0..30).map(|n| (peer("alice"), relay.deposit_request("alice", &to_carol, &envelope(n, 100)))).collect();
    requests.insert(13, (peer("alice"), relay.deposit_request("alice", &to_bob, b"into the damage")));
    let answers = relay.answers(requests);
    for (n, answer) in answers.iter().enumerate() {
        if n == 13 {
            assert_eq!(reason(answer), Reason::Storage);
        } else {
            relay.custody(answer);
        }
    }
    assert_eq!(relay.mail(&carol).len(), 30);
    let fetch = relay.own(&bob, &OwnerAsk::Fetch { after: 0 });
    assert_eq!(reason(&fetch), Reason::Storage);
    assert!(relay.stats().storage_ok, "one row stops nothing");
}
