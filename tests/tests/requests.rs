//! Strangers, contacts and what they may do: bounded requests, nothing told before accepting, blocks that leave no trace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{app::Command, net::Verdict};
use kith_protocol::{
    content::{Body, Text},
    limits,
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
