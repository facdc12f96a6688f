//! Clocks that are years off: nothing lapses by them, and everything goes on once they are right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::app::{Command, Outcome};
use kith_tests::bench::{Bench, DAY, HOUR, MINUTE};

const YEAR: i64 = 365 * DAY as i64;

/// A conversation, then one node starts with its clock off; a text that disappears and one that waits are underway.
fn off(seed: u64, skew_ms: i64) {
    let mut bench = Bench::friends(seed, 2);
    bench.say(0, 1, "before");
    bench.say(1, 0, "answer");
    let to = bench.nodes[1].account;
    let vanishing = Command::Send { to, body: "vanishes tomorrow".into(), expires_after_ms: Some(DAY) };
    let Ok(Outcome::Sent(vanishing)) = bench.act(0, vanishing) else { panic!("not sent") };
    bench.cut_off.insert(1);
    let waiting = bench.say(0, 1, "waits");
    bench.nodes[0].skew_ms = skew_ms;
    bench.restart(0);
    bench.wait(2 * HOUR);
    assert!(bench.nodes[0].alerts().contains(&"clock_off".to_owned()), "skew {skew_ms}");
    let queued = bench.say(0, 1, "written under a wrong clock");
    bench.wait(2 * HOUR);
    assert_eq!(bench.nodes[0].messages(&to).len(), 5, "skew {skew_ms}: something was deleted");
    assert!(bench.nodes[0].message(&vanishing.id).is_some());
    for id in [&waiting, &queued] {
        assert_eq!(format!("{:?}", bench.state(0, id)), "Queued", "skew {skew_ms}");
    }
    // The clock is set right while the node runs.
    bench.nodes[0].skew_ms = 0;
    bench.feed(0, vec![kith_node::app::Input::Tick]);
    bench.cut_off.clear();
    bench.wait(4 * HOUR);
    for id in [&waiting, &queued] {
        assert_eq!(format!("{:?}", bench.state(0, id)), "Delivered", "skew {skew_ms}: {:?}", bench.nodes[0].why(id));
    }
    let after = bench.say(1, 0, "and back");
    bench.wait(HOUR);
    assert_eq!(format!("{:?}", bench.state(1, &after)), "Delivered", "skew {skew_ms}");
    bench.wait(2 * DAY);
    assert!(bench.nodes[0].message(&vanishing.id).is_none(), "skew {skew_ms}: what was to vanish stays");
}

#[test]
fn c05_51_a_clock_years_behind_lets_nothing_lapse() {
    off(901, -10 * YEAR);
}

#[test]
fn c05_51_a_clock_at_the_epoch_lets_nothing_lapse() {
    off(902, -100 * YEAR);
}

#[test]
fn c05_51_a_clock_years_ahead_lets_nothing_lapse() {
    off(903, 10 * YEAR);
}

#[test]
fn c05_51_a_clock_that_jumps_between_turns_loses_nothing() {
    let mut bench = Bench::friends(904, 2);
    let jumps = [3 * HOUR as i64, -2 * DAY as i64, 0, 40 * DAY as i64, -YEAR, 2 * YEAR, 0];
    let mut sent = Vec::new();
    for (n, jump) in jumps.into_iter().enumerate() {
        bench.nodes[0].skew_ms = jump;
        sent.push(bench.say(0, 1, &format!("at {n}")));
        bench.wait(10 * MINUTE);
    }
    bench.wait(2 * DAY);
    let shown = bench.texts(1, 0);
    for (n, id) in sent.iter().enumerate() {
        assert_eq!(shown.iter().filter(|t| **t == format!("at {n}")).count(), 1, "{n}: {:?}", bench.nodes[0].why(id));
    }
    assert_eq!(bench.nodes[1].told().len(), shown.len());
}

/// A clock that is some months ahead is believed; when it is set right the node is found and written to as before.
fn months_ahead(seed: u64, restart: bool) {
    let mut bench = Bench::friends(seed, 2);
    bench.nodes[0].skew_ms = 100 * DAY as i64;
    bench.restart(0);
    // Until nothing that it published before is of use to anybody.
    bench.wait(10 * DAY);
    bench.nodes[0].skew_ms = 0;
    if restart {
        bench.restart(0);
    } else {
        bench.feed(0, vec![kith_node::app::Input::Tick]);
    }
    bench.wait(HOUR);
    let told = bench.nodes[0].alerts().iter().filter(|code| **code == "clock_off").count();
    assert_eq!(told, 1);
    // Another start on the same day finds the net task without records.
    bench.dht.clear();
    bench.restart(1);
    bench.restart(0);
    bench.wait(HOUR);
    let (stranger, code_or_link) = (bench.join(), bench.nodes[0].me().code);
    bench.act(stranger, Command::ContactAdd { code_or_link, name: None }).unwrap();
    let first = bench.say(stranger, 0, "found by the code alone");
    let (there, back) = (bench.say(0, 1, "there"), bench.say(1, 0, "back"));
    bench.wait(HOUR);
    assert_eq!(format!("{:?}", bench.state(stranger, &first)), "Sent", "{:?}", bench.nodes[stranger].why(&first));
    assert_eq!(format!("{:?}", bench.state(0, &there)), "Delivered", "{:?}", bench.nodes[0].why(&there));
    assert_eq!(format!("{:?}", bench.state(1, &back)), "Delivered", "{:?}", bench.nodes[1].why(&back));
}

#[test]
fn a_clock_months_ahead_that_is_set_right_at_a_start_leaves_the_node_reachable() {
    months_ahead(905, true);
}

#[test]
fn a_clock_months_ahead_that_is_set_right_while_the_node_runs_leaves_it_reachable() {
    months_ahead(906, false);
}

#[test]
fn a_clock_that_leaps_a_year_while_the_node_runs_gives_nothing_up_and_is_set_right() {
    let mut bench = Bench::friends(907, 2);
    bench.say(0, 1, "before");
    bench.cut_off.insert(1);
    let waiting = bench.say(0, 1, "waits");
    bench.wait(HOUR);
    bench.nodes[0].skew_ms = YEAR;
    bench.wait(30 * MINUTE);
    assert_eq!(format!("{:?}", bench.state(0, &waiting)), "Queued", "{:?}", bench.nodes[0].why(&waiting));
    bench.nodes[0].skew_ms = 0;
    bench.feed(0, vec![kith_node::app::Input::Tick]);
    bench.cut_off.clear();
    bench.wait(HOUR);
    assert_eq!(format!("{:?}", bench.state(0, &waiting)), "Delivered", "{:?}", bench.nodes[0].why(&waiting));
    assert!(bench.nodes[0].alerts().is_empty(), "{:?}", bench.nodes[0].alerts());
}

#[test]
fn after_a_long_sleep_what_waits_gets_a_try_before_it_is_given_up() {
    let mut bench = Bench::friends(908, 2);
    bench.cut_off.insert(1);
    let (reached, late) = (bench.say(0, 1, "waits"), bench.nodes[1].account);
    bench.wait(HOUR);
    bench.nodes[0].stop();
    bench.now = bench.now.plus_days(35);
    bench.cut_off.clear();
    bench.restart(1);
    bench.start(0);
    bench.wait(HOUR / 2);
    assert_eq!(format!("{:?}", bench.state(0, &reached)), "Delivered", "{:?}", bench.nodes[0].why(&reached));
    // A leap that lasts is believed: then time counts again.
    bench.cut_off.insert(1);
    let command = Command::Send { to: late, body: "vanishes".into(), expires_after_ms: Some(DAY) };
    let Ok(Outcome::Sent(sent)) = bench.act(0, command) else { panic!("not sent") };
    bench.wait(2 * DAY);
    assert!(bench.nodes[0].message(&sent.id).is_none());
}
