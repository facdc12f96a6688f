//! Junk by the hundred thousand: memory, disk and the owners' mail hold.

use super::kit::*;
use crate::relay::{Settings, service::BATCH_MAX};
use kith_protocol::mailbox::{Answer, Class, Reason};
use std::collections::BTreeMap;

/// Requests of strangers.
const JUNK: u32 = 100_000;

#[test]
fn r_rly_6_a_hundred_thousand_deposits_of_junk_fill_nothing_and_keep_nobodys_mail_out() {
    let (mut relay, bob) = (Relay::with(Settings { open: true, ..Settings::default() }), Owner::new("bob"));
    relay.register(&bob);
    let honest = bob.pass(&relay, Class::Contact, 7);
    let code = bob.pass(&relay, Class::Stranger, 8);
    let nobody = Owner::new("nobody").pass(&relay, Class::Stranger, 1);
    let (mut sent, mut round, mut reasons) = (0u32, 0u32, BTreeMap::<Reason, u32>::new());
    let (mut taken, mut letters) = (0u64, Vec::new());
    while sent < JUNK {
        let mut requests: Vec<_> = (0..BATCH_MAX as u32 - 1)
            .map(|k| {
                let (from, n) = (format!("junk {}", (sent + k) % 64), sent + k);
                let request = match n % 5 {
                    0 => vec![n as u8; 600],
                    1 | 2 => relay.deposit_request(&from, &nobody, &n.to_be_bytes().repeat(100)),
                    _ => relay.deposit_request(&from, &code, &n.to_be_bytes().repeat(100)),
                };
                (peer(&from), request)
            })
            .collect();
        sent += requests.len() as u32;
        let letter = envelope(0x8000_0000 + round, 200);
        requests.push((peer("alice"), relay.deposit_request("alice", &honest, &letter)));
        let mut answers = relay.answers(requests);
        let answer = answers.pop().unwrap();
        relay.custody(&answer);
        letters.push(letter);
        for answer in answers {
            match answer {
                Answer::Custody(_) => taken += 1,
                Answer::Refused(refusal) => *reasons.entry(refusal.reason).or_default() += 1,
                other => panic!("{other:?}"),
            }
        }
        round += 1;
        relay.pass(1_000);
    }
    assert!(taken <= 256, "{taken} of strangers are kept");
    let known: Vec<_> = reasons.keys().copied().collect();
    assert_eq!(known, [Reason::Malformed, Reason::NoRoom], "{reasons:?}");
    let held = relay.stats().held;
    assert_eq!(held.envelopes, taken + u64::from(round));
    assert!(relay.service.remembered() <= 64 + 8, "{} names are kept in memory", relay.service.remembered());
    assert!(relay.disk.image().len() < 16 << 20, "{} bytes on disk", relay.disk.image().len());
    let mail = relay.mail(&bob);
    assert!(letters.iter().all(|letter| mail.contains(letter)), "honest mail is all there");
}

#[test]
fn r_rly_6_names_are_free_and_take_no_memory() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    for turn in 0..200u32 {
        let requests = (0..250u32).map(|n| (peer(&format!("name {}", turn * 250 + n)), vec![1, 2, 3])).collect();
        relay.turn(requests);
    }
    assert!(relay.service.remembered() <= 8_192 + 8, "{} names are kept", relay.service.remembered());
    // Whoever owns a mailbox is not counted among them.
    assert!(relay.mail(&bob).is_empty());
}

#[test]
fn r_rly_6_a_contact_that_leaves_too_much_at_once_is_told_how_long_to_wait_and_an_owner_is_served() {
    let contact = crate::relay::Rate { per_second: 2, burst: 10 };
    let (mut relay, bob) = (Relay::with(Settings { open: true, contact, ..Settings::default() }), Owner::new("bob"));
    relay.register(&bob);
    let (pass, other) = (bob.pass(&relay, Class::Contact, 7), bob.pass(&relay, Class::Contact, 8));
    for n in 0..10 {
        relay.leave("alice", &pass, &envelope(n, 100));
    }
    let answer = relay.deposit("alice", &pass, b"too much");
    assert_eq!(refusal(&answer).reason, Reason::RateLimited);
    assert_eq!(refusal(&answer).retry_after_ms, 500);
    relay.leave("dave", &other, b"another grant");
    assert_eq!(relay.mail(&bob).len(), 11);
    relay.pass(500);
    relay.leave("alice", &pass, b"too much");
}
