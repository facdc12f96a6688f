//! Strangers, contacts and what they may do: bounded requests, nothing told before accepting, blocks that leave no trace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    app::{Command, query},
    net::Verdict,
};
use kith_protocol::{
    AccountId,
    content::{Body, Text},
    limits,
};
use kith_store::{
    Row, Rows,
    table::{
        ChainLink, Contact, ContactNumber, ContactState, Counters, Dropped, FirstSeen, Message, MessageRef, PlaceHead,
    },
};
use kith_tests::bench::{Bench, DAY, Forger, HOUR, MINUTE, Target};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// Two nodes; only the first knows the second.
fn stranger(seed: u64) -> Bench {
    let mut bench = Bench::new(seed, 2);
    bench.add(0, 1).unwrap();
    bench
}

#[test]
fn r_out_7_nothing_is_told_before_a_request_is_accepted_then_all_of_it() {
    let mut bench = stranger(601);
    let ids: Vec<_> = (0..3).map(|n| bench.say(0, 1, &format!("hello {n}"))).collect();
    bench.wait(2 * DAY);
    assert_eq!(bench.texts(1, 0).len(), 3, "a request shows each message once");
    assert_eq!(format!("{:?}", bench.contact(1, 0).unwrap().state), "Request");
    assert!(bench.carried.iter().all(|c| c.from == 0), "something left for a stranger");
    assert!(ids.iter().all(|id| format!("{:?}", bench.state(0, id)) == "Sent"));
    for id in &ids {
        let why = bench.nodes[0].error(id).unwrap();
        assert!(why.contains("not accepted yet"), "{why}");
    }
    assert!(bench.nodes[1].told().is_empty());
    let account = bench.nodes[0].account;
    bench.act(1, Command::ContactAccept { account }).unwrap();
    bench.wait(HOUR);
    for id in &ids {
        assert_eq!(format!("{:?}", bench.state(0, id)), "Delivered", "{:?}", bench.nodes[0].why(id));
        assert_eq!(bench.nodes[0].error(id), None);
    }
    assert_eq!(bench.nodes[1].told(), ids, "followers are told once it is accepted");
    let answer = bench.say(1, 0, "hello yourself");
    bench.wait(MINUTE);
    assert_eq!(format!("{:?}", bench.state(1, &answer)), "Delivered");
}

#[test]
fn adding_the_code_accepts_a_request() {
    let mut bench = stranger(602);
    let id = bench.say(0, 1, "hello");
    bench.add(1, 0).unwrap();
    bench.wait(MINUTE);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
}

#[test]
fn the_twenty_first_message_of_a_request_waits_with_its_sender_until_there_is_room() {
    let mut bench = stranger(603);
    let most = limits::REQUEST_MESSAGES_MAX;
    let ids: Vec<_> = (0..most + 5).map(|n| bench.say(0, 1, &format!("m{n}"))).collect();
    bench.wait(HOUR);
    assert_eq!(bench.texts(1, 0).len(), most);
    assert!(bench.carried.iter().any(|c| matches!(c.verdict, Some(Verdict::Busy { .. }))));
    assert_eq!(bench.nodes[0].error(&ids[most]).as_deref(), Some("the other side is busy"));
    let account = bench.nodes[0].account;
    bench.act(1, Command::ContactAccept { account }).unwrap();
    bench.wait(2 * HOUR);
    assert_eq!(bench.texts(1, 0).len(), most + 5);
    assert!(ids.iter().all(|id| format!("{:?}", bench.state(0, id)) == "Delivered"));
}

#[test]
fn requests_beyond_the_limit_wait_and_arrive_when_there_is_room() {
    let mut bench = Bench::friends(604, 2);
    let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
    let now = bench.now;
    let mut frames = Vec::new();
    for n in 0..limits::REQUEST_ACCOUNTS_MAX as u64 + 1 {
        let mut forger = Forger::fresh(ChaCha20Rng::seed_from_u64(n), now);
        let content = forger.content(&bench.nodes[1], Body::Text(Text::new("hi".into()).unwrap()), now);
        frames.push((forger.account.id(), forger.seal(&target, &content, now)));
    }
    let (late, last) = frames.pop().unwrap();
    let first = frames[0].0;
    for (_, frame) in frames {
        assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Accepted));
    }
    assert!(matches!(bench.hand(0, 1, last.clone()), Some(Verdict::Busy { .. })));
    assert!(!bench.nodes[1].contacts().iter().any(|c| c.account == late));
    bench.act(1, Command::ContactRemove { account: first }).unwrap();
    assert_eq!(bench.hand(0, 1, last), Some(Verdict::Accepted));
    assert!(bench.nodes[1].contacts().iter().any(|c| c.account == late));
}

#[test]
fn a_request_lapses_visibly_after_thirty_days() {
    let mut bench = stranger(605);
    bench.say(0, 1, "hello");
    bench.nodes[0].stop();
    bench.wait(29 * DAY);
    assert_eq!(bench.nodes[1].contacts().len(), 1);
    bench.wait(2 * DAY);
    assert!(bench.nodes[1].contacts().is_empty());
    assert!(bench.nodes[1].alerts().contains(&"request_lapsed".to_owned()));
}

#[test]
fn of_somebody_blocked_nothing_is_kept_and_nothing_is_told() {
    let mut bench = Bench::friends(606, 2);
    bench.say(0, 1, "before");
    let account = bench.nodes[0].account;
    bench.act(1, Command::ContactBlock { account }).unwrap();
    let (sent, cursor) = (bench.carried.len(), bench.nodes[1].events(0).len());
    let id = bench.say(0, 1, "blocked");
    bench.wait(DAY);
    assert_eq!(bench.texts(1, 0), ["before"]);
    assert_eq!(bench.nodes[1].events(0).len(), cursor, "a block is silent here too");
    assert!(bench.carried[sent..].iter().all(|c| c.from == 0), "something was told to somebody blocked");
    assert!(bench.carried[sent..].iter().all(|c| c.verdict == Some(Verdict::Accepted)), "a block shows");
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Sent");
    assert_eq!(bench.try_say(1, 0, "x").unwrap_err().code.as_str(), "blocked");
    bench.act(1, Command::ContactUnblock { account }).unwrap();
    let id = bench.say(0, 1, "after");
    bench.wait(HOUR);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
    assert!(bench.texts(1, 0).contains(&"after".to_owned()));
}

#[test]
fn a_removed_contact_that_writes_again_is_a_request() {
    let mut bench = Bench::friends(607, 2);
    bench.say(0, 1, "before");
    bench.say(1, 0, "answer");
    let account = bench.nodes[0].account;
    bench.act(1, Command::ContactRemove { account }).unwrap();
    assert!(bench.contact(1, 0).is_none());
    let id = bench.say(0, 1, "again");
    bench.wait(DAY);
    assert_eq!(format!("{:?}", bench.contact(1, 0).expect("a request").state), "Request");
    assert_eq!(bench.texts(1, 0), ["before", "again"]);
    bench.act(1, Command::ContactAccept { account }).unwrap();
    bench.wait(HOUR);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
}

/// All rows of a kind at the second node.
fn all<R: Row>(bench: &Bench) -> Vec<R> {
    bench.nodes[1].read(|rows| rows.all::<R>(None, 10_000).unwrap())
}

fn unread(bench: &Bench) -> u64 {
    bench.nodes[1].read(|rows| query::overview(rows).unwrap().unread)
}

#[test]
fn a_request_that_is_removed_or_lapses_leaves_no_text_and_does_not_come_back_by_itself() {
    for lapses in [false, true] {
        let mut bench = stranger(608);
        let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
        let mut forger = bench.forger_of(0);
        let text = Body::Text(Text::new("hello".into()).unwrap());
        let mut content = forger.content(&bench.nodes[1], text, bench.now);
        content.sequence = 1;
        let frame = forger.seal(&target, &content, bench.now);
        assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Accepted));
        bench.say(0, 1, "still there?");
        bench.nodes[0].stop();
        assert_eq!((all::<Message>(&bench).len(), all::<ChainLink>(&bench).len(), unread(&bench)), (2, 2, 2));
        let account = bench.nodes[0].account;
        if lapses {
            bench.wait(31 * DAY);
            assert!(bench.nodes[1].alerts().contains(&"request_lapsed".to_owned()));
        } else {
            bench.act(1, Command::ContactRemove { account }).unwrap();
        }
        let left = (all::<Message>(&bench).len(), all::<ChainLink>(&bench).len(), all::<PlaceHead>(&bench).len());
        assert_eq!((left, unread(&bench)), ((0, 0, 0), 0), "lapses: {lapses}");
        assert!(bench.nodes[1].message(&content.id).is_none());
        // Who has no receipt seals again.
        let frame =
            forger.seal(&Target::known_to(&bench.nodes[0], &bench.nodes[1], content.sent_at), &content, bench.now);
        assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Accepted));
        assert!(bench.nodes[1].contacts().is_empty() && all::<Message>(&bench).is_empty());
        assert_eq!(all::<Dropped>(&bench).len(), 2, "they are known");
        assert!(all::<MessageRef>(&bench).is_empty());
        bench.wait(62 * DAY);
        assert!(all::<Dropped>(&bench).is_empty(), "and forgotten once no envelope of theirs could open");
    }
}

#[test]
fn what_was_dropped_with_a_request_is_stored_if_it_comes_again_once_its_author_is_accepted() {
    let mut bench = stranger(613);
    let dropped = bench.say(0, 1, "dropped");
    bench.wait(HOUR);
    let account = bench.nodes[0].account;
    bench.act(1, Command::ContactRemove { account }).unwrap();
    assert_eq!(bench.nodes[1].message(&dropped), None);
    bench.add(1, 0).unwrap();
    bench.wait(8 * DAY);
    assert_eq!(bench.texts(1, 0), ["dropped"], "confirmed and not there: {:?}", bench.state(0, &dropped));
    assert_eq!(format!("{:?}", bench.state(0, &dropped)), "Delivered");
}

#[test]
fn a_removed_request_of_a_former_contact_takes_only_what_came_with_it() {
    let mut bench = Bench::friends(609, 2);
    bench.say(0, 1, "before");
    bench.say(1, 0, "answer");
    let account = bench.nodes[0].account;
    bench.act(1, Command::MarkRead { conversation: account.into(), up_to: None }).unwrap();
    bench.act(1, Command::ContactRemove { account }).unwrap();
    bench.say(0, 1, "again");
    bench.wait(DAY);
    assert_eq!((bench.texts(1, 0).len(), unread(&bench)), (2, 1));
    bench.act(1, Command::ContactRemove { account }).unwrap();
    assert_eq!((bench.texts(1, 0), unread(&bench)), (vec!["before".to_owned()], 0));
    assert_eq!(all::<Message>(&bench).len(), 2, "what was said before stays");
}

/// Hands the first message of somebody new to the second node.
fn newcomer(bench: &mut Bench, seed: u64) -> Verdict {
    let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
    let mut forger = Forger::fresh(ChaCha20Rng::seed_from_u64(seed), bench.now);
    let content = forger.content(&bench.nodes[1], Body::Text(Text::new("hello".into()).unwrap()), bench.now);
    let frame = forger.seal(&target, &content, bench.now);
    bench.hand(0, 1, frame).unwrap()
}

fn contact_row(bench: &Bench) -> Contact {
    let key = Contact::key_of(&bench.nodes[0].account);
    bench.nodes[1].read(|rows| rows.row::<Contact>(&key).unwrap().unwrap())
}

#[test]
fn first_messages_of_contacts_lock_no_newcomer_out_and_those_of_strangers_no_contact() {
    let mut bench = Bench::friends(610, 2);
    bench.say(0, 1, "hello");
    let most = u32::try_from(limits::REPLAY_SET_MAX).unwrap();
    let contact = contact_row(&bench);
    bench.nodes[1].overwrite(&Contact { begun: most, ..contact.clone() });
    assert_eq!(newcomer(&mut bench, 1), Verdict::Accepted, "a contact's count is its own");
    bench.nodes[1].overwrite(&contact);
    let strangers: Vec<_> = (0..1_024_u32)
        .map(|n| {
            let mut account = [0xee; 32];
            account[..4].copy_from_slice(&n.to_be_bytes());
            let (account, number) = (AccountId::from_bytes(account), 1_000 + u64::from(n));
            Contact { account, number, state: ContactState::Removed, begun: 64, ..contact.clone() }
        })
        .collect();
    bench.nodes[1].overwrite_all(&strangers);
    let rows = |bench: &Bench| (all::<Contact>(bench).len(), all::<ContactNumber>(bench).len(), all::<Counters>(bench));
    let before = rows(&bench);
    for _ in 0..3 {
        assert!(matches!(newcomer(&mut bench, 2), Verdict::Busy { .. }), "strangers have no more room");
    }
    assert_eq!(rows(&bench), before, "a refusal leaves nothing behind");
    let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
    let mut forger = bench.forger_of(0);
    let content = forger.content(&bench.nodes[1], Body::Text(Text::new("a new session".into()).unwrap()), bench.now);
    let frame = forger.seal(&target, &content, bench.now);
    assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Accepted));
}

#[test]
fn what_one_began_counts_exactly_as_long_as_it_is_remembered() {
    let mut bench = Bench::friends(611, 2);
    let mut forger = bench.forger_of(0);
    for messages in [3, 2] {
        for _ in 0..messages {
            let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
            let content = forger.content(&bench.nodes[1], Body::Text(Text::new("x".into()).unwrap()), bench.now);
            let frame = forger.seal(&target, &content, bench.now);
            assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Accepted));
        }
        bench.pump();
        bench.say(0, 1, "so that the newest keys are known");
        bench.wait(35 * DAY);
    }
    let (counted, kept) = (contact_row(&bench).begun, all::<FirstSeen>(&bench));
    let account = Some(bench.nodes[0].account);
    assert!(kept.iter().all(|row| row.account == account));
    assert_eq!(counted as usize, kept.len());
    assert!((2..5).contains(&counted), "{counted} of at least five");
}
