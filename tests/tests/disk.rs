//! Disks that fill up or fail in the middle of a conversation: callers are told, peers are asked to wait, nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::net::Verdict;
use kith_store::Counts;
use kith_tests::bench::{Bench, HOUR, MINUTE};

/// What happens to a disk after a number of calls.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Full,
    Failing,
    FailsOnce,
}

/// A conversation both ways while one disk fails at a certain call; tells whether it did.
fn run(fault: Fault, n: u64, victim: usize) -> bool {
    let mut bench = Bench::friends(1_000 + n, 2);
    let disk = bench.nodes[victim].disk.clone();
    let before = disk.counts();
    match fault {
        Fault::Full => disk.full_after(n),
        Fault::Failing => disk.fail_after(n),
        Fault::FailsOnce => disk.fail_once_after(n),
    }
    let mut accepted = Vec::new();
    for k in 0..4 {
        for (from, to) in [(0, 1), (1, 0)] {
            let body = format!("{k} from {from}");
            match bench.try_say(from, to, &body) {
                Ok(sent) => accepted.push((from, to, sent.id, body)),
                Err(error) => {
                    let code = error.code.as_str();
                    assert_eq!(from, victim, "{fault:?} {n}: {code} where the disk is fine");
                    assert!(["disk_full", "storage_failed"].contains(&code), "{fault:?} {n}: {code}");
                }
            }
        }
    }
    let spent = disk.counts();
    let refused = bench.carried.iter().filter(|c| c.verdict == Some(Verdict::Refused)).count();
    assert_eq!(refused, 0, "{fault:?} {n}: a frame was refused for our own disk");
    disk.heal();
    bench.wait(2 * HOUR);
    for (from, to, id, body) in accepted {
        let times = bench.texts(to, from).iter().filter(|t| **t == body).count();
        assert_eq!(times, 1, "{fault:?} {n} victim {victim}: {body:?} shown {times} times");
        assert_eq!(
            format!("{:?}", bench.state(from, &id)),
            "Delivered",
            "{fault:?} {n}: {:?}",
            bench.nodes[from].why(&id)
        );
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let id = bench.say(from, to, "there is room again");
        bench.wait(MINUTE);
        assert_eq!(format!("{:?}", bench.state(from, &id)), "Delivered", "{fault:?} {n}");
    }
    let calls = |c: Counts| match fault {
        Fault::Full => c.writes,
        _ => c.reads + c.writes + c.syncs,
    };
    calls(spent) - calls(before) > n
}

/// A text sent under a key while the disk fails once at a certain call; tells whether it did.
fn send_once(n: u64) -> bool {
    let mut bench = Bench::friends(1_200 + n, 2);
    let disk = bench.nodes[0].disk.clone();
    let before = disk.counts();
    disk.fail_once_after(n);
    let command = bench.text(1, "once");
    let first = bench.act_keyed(0, command.clone(), Some("key"));
    let spent = disk.counts();
    disk.heal();
    let there = bench.nodes[0].messages(&bench.nodes[1].account).len();
    match &first {
        Ok(_) => assert_eq!(there, 1, "{n}: acknowledged and not there"),
        Err(error) if error.message.contains("not known yet") => {}
        Err(error) => assert_eq!(there, 0, "{n}: {error:?} and yet there"),
    }
    let again = bench.act_keyed(0, command, Some("key")).unwrap();
    assert!(first.is_err() || first.unwrap() == again, "{n}");
    bench.wait(HOUR);
    assert_eq!(bench.texts(1, 0), ["once"], "{n}");
    let calls = |c: Counts| c.reads + c.writes + c.syncs;
    calls(spent) - calls(before) > n
}

#[test]
fn a_request_whose_commit_failed_is_told_what_is_on_disk_and_repeats_without_a_second_effect() {
    let points = (0..).take_while(|n| send_once(*n)).count();
    println!("counts: {points} points of a disk that fails once under a repeated request");
    assert!(points > 5, "only {points} points");
}

#[test]
fn the_storage_counts_as_failed_until_a_write_has_come_through() {
    let mut bench = Bench::friends(1_098, 2);
    bench.nodes[0].disk.set_full(true);
    bench.try_say(0, 1, "no room").unwrap_err();
    assert!(bench.nodes[0].storage_failed);
    bench.wait(10 * MINUTE);
    assert!(bench.nodes[0].storage_failed, "a full disk that is only read counts as well");
    bench.nodes[0].disk.heal();
    bench.wait(MINUTE);
    assert!(!bench.nodes[0].storage_failed);
}

#[test]
fn a_start_whose_commit_failed_is_made_up_for() {
    let mut bench = Bench::friends(1_097, 2);
    bench.dht.clear();
    bench.nodes[0].stop();
    bench.start_over_a_full_disk(0);
    assert!(bench.dht.is_empty());
    bench.nodes[0].disk.heal();
    bench.wait(MINUTE);
    assert!(!bench.dht.is_empty(), "nothing was published");
}

/// Every call up to a number, then ever larger steps, until the conversation ends before the fault.
fn sweep(fault: Fault) {
    let mut points = 0;
    for victim in [0, 1] {
        let mut n = 0;
        while run(fault, n, victim) {
            points += 1;
            n += 1 + n / 12;
        }
    }
    println!("counts: {points} points of a disk that is {fault:?}");
    assert!(points > 10, "only {points} points");
}

#[test]
fn a_disk_that_fills_up_at_any_write_loses_nothing_and_goes_on_when_there_is_room() {
    sweep(Fault::Full);
}

#[test]
fn a_disk_that_fails_from_any_call_on_loses_nothing() {
    sweep(Fault::Failing);
}

#[test]
fn a_disk_that_fails_once_at_any_call_loses_nothing() {
    sweep(Fault::FailsOnce);
}

#[test]
fn while_the_disk_is_full_frames_are_answered_busy_and_reading_goes_on() {
    let mut bench = Bench::friends(1_099, 2);
    bench.say(0, 1, "before");
    bench.nodes[1].disk.set_full(true);
    let id = bench.say(0, 1, "no room");
    assert!(matches!(bench.carried.last().unwrap().verdict, Some(Verdict::Busy { .. })));
    assert_eq!(bench.try_say(1, 0, "x").unwrap_err().code.as_str(), "disk_full");
    assert_eq!(bench.texts(1, 0), ["before"]);
    bench.nodes[1].disk.heal();
    bench.wait(HOUR);
    assert_eq!(bench.texts(1, 0), ["before", "no room"]);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
}
