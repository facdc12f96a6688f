//! What one person can make this node do or remember, however often they ask: receipts, sessions, repairs, echoes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    app::{Command, Input},
    net::{Frame, NetEvent, Verdict},
};
use kith_protocol::{
    AccountId,
    content::{Body, CannotOpen, Text},
    limits,
};
use kith_store::{
    Range, Rows,
    table::{Contact, Device, FirstSeen, OutboxOf, SessionsRow},
};
use kith_tests::{
    bench::{Bench, DAY, Fate, Forger, HOUR, MINUTE, Node, Target},
    count,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// Sessions that a stranger can begin while one set of prekeys lives.
const BEGUN_BY_STRANGER: usize = 64;
/// Sessions that a contact can begin meanwhile.
const BEGUN_BY_CONTACT: u32 = 4_096;
/// Rows that may wait for a contact before echoes are left out.
const ECHOES: usize = 32;

fn text(body: &str) -> Body {
    Body::Text(Text::new(body.to_owned()).unwrap())
}

/// How many frames leave node 1 because a frame came again.
fn answers(bench: &mut Bench, frame: &Frame) -> usize {
    let before = bench.carried.len();
    assert_eq!(bench.hand(0, 1, frame.clone()), Some(Verdict::Accepted));
    bench.pump();
    bench.carried[before..].iter().filter(|c| c.from == 1).count()
}

#[test]
fn r_out_3_a_receipt_for_one_envelope_is_made_again_at_most_once_a_minute() {
    let mut bench = Bench::friends(2_301, 2);
    let before = bench.carried.len();
    bench.say(0, 1, "once");
    let frame = bench.carried[before..].iter().find(|c| c.from == 0).unwrap().frame.clone();
    assert_eq!((0..50).map(|_| answers(&mut bench, &frame)).sum::<usize>(), 0, "at once");
    bench.wait(MINUTE - 1);
    assert_eq!(answers(&mut bench, &frame), 0, "a millisecond too early");
    bench.wait(1);
    assert_eq!((0..50).map(|_| answers(&mut bench, &frame)).sum::<usize>(), 1, "after a minute, one");
    bench.restart(1);
    bench.wait(MINUTE - 1);
    assert_eq!(answers(&mut bench, &frame), 0, "the minute runs from the last one");
    bench.wait(1);
    assert_eq!((0..50).map(|_| answers(&mut bench, &frame)).sum::<usize>(), 1, "and another");
    assert_eq!(bench.texts(1, 0), ["once"]);
}

fn contact(bench: &Bench, of: &AccountId) -> Contact {
    bench.nodes[1].read(|rows| rows.row::<Contact>(&Contact::key_of(of)).unwrap()).unwrap()
}

/// First messages that are remembered against replay.
fn remembered(bench: &Bench) -> u64 {
    bench.nodes[1].read(|rows| rows.all::<FirstSeen>(None, usize::MAX).unwrap()).len() as u64
}

/// Somebody begins session after session with node 1; tells how many it took before it asked to wait.
fn begin_many(bench: &mut Bench, who: &mut Forger, target: &Target, many: usize) -> usize {
    let now = bench.now;
    // One message, sealed again and again: it is shown once, and takes no further room as a request.
    let content = who.content(&bench.nodes[1], text("again"), now);
    let mut accepted = 0;
    for n in 0..many {
        let frame = who.seal(target, &content, now);
        match bench.hand(0, 1, frame).unwrap() {
            Verdict::Accepted => {
                assert_eq!(accepted, n, "taken again after it was asked to wait");
                accepted += 1;
            }
            verdict => assert!(matches!(verdict, Verdict::Busy { .. }), "{verdict:?}"),
        }
    }
    bench.pump();
    accepted
}

#[test]
fn c05_22_a_stranger_that_begins_session_after_session_is_asked_to_wait_alone() {
    let mut bench = Bench::friends(2_302, 2);
    let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
    let mut strangers = [1, 2].map(|seed| Forger::fresh(ChaCha20Rng::seed_from_u64(seed), bench.now));
    let before = remembered(&bench);
    for (n, stranger) in strangers.iter_mut().enumerate() {
        assert_eq!(begin_many(&mut bench, stranger, &target, 200), BEGUN_BY_STRANGER, "each for itself");
        assert_eq!(remembered(&bench) - before, ((n + 1) * BEGUN_BY_STRANGER) as u64);
        assert_eq!(bench.nodes[1].messages(&stranger.account.id()).len(), 1);
    }
    let id = bench.say(0, 1, "I do not notice");
    bench.wait(MINUTE);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
    // Once accepted, a contact's measure holds.
    bench.act(1, Command::ContactAccept { account: strangers[0].account.id() }).unwrap();
    assert_eq!(begin_many(&mut bench, &mut strangers[0], &target, 30), 30);
}

#[test]
fn c05_22_one_contact_that_begins_session_after_session_leaves_bounded_state_and_is_asked_to_wait_alone() {
    let mut bench = Bench::friends(2_303, 3);
    bench.say(0, 1, "hello");
    let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
    let mut mallory = bench.forger_of(0);
    let account = mallory.account.id();
    let many = count("sessions that one contact begins", "KITH_BEGUN", 6_000);
    // A short run begins as if most of them had been begun already.
    let begun = BEGUN_BY_CONTACT - (many as u32 * 2 / 3).min(BEGUN_BY_CONTACT);
    bench.nodes[1].overwrite(&Contact { begun, ..contact(&bench, &account) });
    let before = remembered(&bench);
    let taken = begin_many(&mut bench, &mut mallory, &target, many as usize);
    assert_eq!(taken as u32, BEGUN_BY_CONTACT - begun);
    assert_eq!((contact(&bench, &account).begun, remembered(&bench) - before), (BEGUN_BY_CONTACT, taken as u64));
    let row = bench.nodes[1]
        .read(|rows| rows.row::<SessionsRow>(&SessionsRow::key_of(&bench.nodes[0].device)).unwrap())
        .unwrap();
    let sessions = serde_json::to_value(&row).unwrap()["sessions"]["list"].as_array().unwrap().len();
    assert_eq!(sessions, limits::OLD_SESSIONS_MAX + 1);
    let id = bench.say(2, 1, "I do not notice");
    bench.wait(MINUTE);
    assert_eq!(format!("{:?}", bench.state(2, &id)), "Delivered");
    // With the prekeys that were used the memory goes, and with it the bound is reached anew.
    for _ in 0..2 {
        bench.now = bench.now.plus_days(u64::from(limits::PREKEY_RETENTION_DAYS) + 1);
        // For an hour after the clock leapt nothing lapses.
        bench.wait(3 * HOUR);
    }
    assert!(remembered(&bench) < taken as u64);
    let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
    assert_eq!(begin_many(&mut bench, &mut mallory, &target, 5), 5);
}

#[test]
fn c05_12_r_ses_10_a_first_message_in_another_envelope_begins_nothing_as_long_as_its_prekeys_live() {
    let mut bench = Bench::friends(2_307, 2);
    bench.say(0, 1, "hello");
    bench.say(1, 0, "hello");
    let now = bench.now;
    let mut target = Target::known_to(&bench.nodes[0], &bench.nodes[1], now);
    let mut stranger = Forger::fresh(ChaCha20Rng::seed_from_u64(7), now);
    let account = stranger.account.id();
    let content = stranger.content(&bench.nodes[1], text("once"), now);
    let payload = stranger.payload(content.encode().unwrap().to_vec());
    let message = stranger.first_message(&target, &payload, now);
    let frame = stranger.wrap(&target, &message, now);
    assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Accepted));
    // The session and everything that is known of its other end goes.
    bench.act(1, Command::ContactRemove { account }).unwrap();
    for day in [0, 29, 58, 87] {
        bench.now = now.plus_days(day);
        bench.wait(HOUR);
        target.mailbox = Some(Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now).bundle);
        let frame = stranger.wrap(&target, &message, bench.now);
        assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Refused), "day {day}");
        assert!(!bench.nodes[1].contacts().iter().any(|c| c.account == account), "day {day}: a request again");
        assert!(bench.nodes[1].messages(&account).is_empty());
    }
}

#[test]
fn r_ses_12_cannot_open_is_heeded_once_in_half_an_hour() {
    let half = limits::CANNOT_OPEN_INTERVAL_MS / 2;
    let mut bench = Bench::friends(2_304, 2);
    bench.say(0, 1, "hello");
    bench.wait(HOUR);
    bench.fate(|_, to, _| if to == 0 { Fate::Swallowed } else { Fate::Arrives });
    let waiting: Vec<_> = (0..5).map(|n| bench.say(1, 0, &format!("swallowed {n}"))).collect();
    let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
    let mut mallory = bench.forger_of(0);
    let sealed_again = |bench: &Bench| {
        let steps = waiting.iter().flat_map(|id| bench.nodes[1].steps(id));
        steps.filter(|s| s.contains("the contact could not open it")).count()
    };
    let mut complain = |bench: &mut Bench, times: usize| {
        for _ in 0..times {
            let now = bench.now;
            let content = mallory.content(&bench.nodes[1], Body::CannotOpen(CannotOpen { session: None }), now);
            let frame = mallory.seal(&target, &content, now);
            assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Accepted));
            bench.pump();
        }
        sealed_again(bench)
    };
    let frames = bench.carried.len();
    assert_eq!(complain(&mut bench, 20), 5, "each text once");
    let left = bench.carried[frames..].iter().filter(|c| c.from == 1).count();
    assert!((5..12).contains(&left), "{left} frames left for twenty complaints about five texts");
    bench.wait(half - 1);
    assert_eq!(complain(&mut bench, 5), 5, "a millisecond too early");
    bench.wait(1);
    assert_eq!(complain(&mut bench, 5), 10, "after half an hour once more");
    bench.restart(1);
    assert_eq!(complain(&mut bench, 5), 10, "a restart does not shorten it");
}

#[test]
fn echoes_wait_for_an_absent_contact_in_bounded_number_and_texts_beside_them() {
    let mut bench = Bench::friends(2_305, 3);
    for contact in [0, 2] {
        bench.say(contact, 1, "hello");
    }
    bench.wait(HOUR);
    bench.cut_off.insert(0);
    let account = bench.nodes[0].account;
    let rows = |bench: &Bench| {
        bench.nodes[1].read(|rows| rows.rows::<OutboxOf>(account.as_bytes(), &Range::all(), usize::MAX).unwrap()).len()
    };
    let mut last = Vec::new();
    for n in 0..3 * ECHOES {
        last = vec![format!("/memory/{}", 100 + n)];
        let moved = NetEvent::Addresses { peer: Node::peer(1), addresses: last.clone() };
        bench.feed(1, vec![Input::Net(moved)]);
        bench.pump();
        assert!(rows(&bench) <= ECHOES, "{} rows after {n} moves", rows(&bench));
    }
    assert_eq!(rows(&bench), ECHOES);
    let pinned = |bench: &Bench, at: usize| {
        let key = Device::key_of(&bench.nodes[1].device);
        bench.nodes[at].read(|rows| rows.row::<Device>(&key).unwrap()).unwrap().addresses
    };
    assert_eq!(pinned(&bench, 2), last, "whoever is there is told of each");
    let id = bench.say(1, 0, "a text is no echo");
    assert_eq!(rows(&bench), ECHOES + 1);
    bench.cut_off.clear();
    bench.wait(HOUR);
    assert_eq!((format!("{:?}", bench.state(1, &id)).as_str(), rows(&bench)), ("Delivered", 0));
    bench.wait(DAY);
    assert_eq!(pinned(&bench, 0), last, "the next descriptor tells the newest");
}
