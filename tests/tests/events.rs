//! The stream of events: what it says to somebody who was away for longer than events are kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::EventKind,
    app::{Command, Input, RequestId},
};
use kith_tests::bench::{Bench, DAY, HOUR};

/// Events that are kept.
const KEPT: usize = 20_000;

/// Makes events, each by renaming a contact.
fn make(bench: &mut Bench, events: usize) {
    let account = bench.nodes[1].account;
    let rename = |n| Command::ContactRename { account, name: format!("name {n}") };
    let command = |n| Input::Command { request: RequestId(n as u64), command: rename(n), idempotency_key: None };
    for begin in (0..events).step_by(250) {
        bench.feed(0, (begin..events.min(begin + 250)).map(command).collect());
    }
}

#[test]
fn who_was_away_for_longer_than_events_are_kept_is_told_of_the_gap_and_only_they_are() {
    let mut bench = Bench::friends(801, 2);
    let before = bench.nodes[0].events(0).last().unwrap().cursor;
    let command = Command::Send { to: bench.nodes[1].account, body: "vanishes".into(), expires_after_ms: Some(DAY) };
    bench.act(0, command).unwrap();
    let all = bench.nodes[0].events(0);
    let place = all.iter().position(|e| matches!(e.kind, EventKind::Message(_))).unwrap();
    let message = all[place].cursor;
    make(&mut bench, KEPT + place - all.len());
    let kept = bench.nodes[0].events(before);
    assert_eq!(kept.len(), KEPT);
    assert!(matches!(kept[0].kind, EventKind::Gap(_)), "{:?}", kept[0]);
    assert_eq!(kept[0].cursor, message, "the newest event that was dropped");
    assert_eq!(kept.iter().filter(|e| matches!(e.kind, EventKind::Gap(_))).count(), 1);
    // Whoever knew the event that the gap stands for misses nothing, and is told of none.
    let from_there = bench.nodes[0].events(message);
    assert!(matches!(from_there[0].kind, EventKind::Receipt(_)), "{:?}", from_there[0]);
    // The message vanishes with the event that told of it; the gap in its place stays.
    bench.wait(DAY + HOUR);
    assert!(bench.nodes[0].messages(&bench.nodes[1].account).is_empty());
    assert!(matches!(bench.nodes[0].events(before)[0].kind, EventKind::Gap(_)));
    make(&mut bench, 10);
    let kept = bench.nodes[0].events(before);
    assert_eq!(kept.len(), KEPT);
    assert!(matches!(kept[0].kind, EventKind::Gap(_)) && kept[0].cursor > message);
}
