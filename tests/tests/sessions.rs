//! Sessions as people see them: crashes, old disks, replays and lost keys cost no message and repeat none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{app::Command, net::Verdict};
use kith_protocol::content::{Body, Text};
use kith_tests::{
    bench::{Bench, DAY, Fate, Forger, Found, HOUR, Letters, MINUTE, Target},
    count,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng},
};
use std::{cell::Cell, rc::Rc};

fn text(body: &str) -> Body {
    Body::Text(Text::new(body.to_owned()).unwrap())
}

/// The last frame that carried something from one node to another.
fn last_frame(bench: &Bench, from: usize, to: usize) -> kith_node::net::Frame {
    bench.carried.iter().rev().find(|c| c.from == from && c.to == to).unwrap().frame.clone()
}

#[test]
fn c05_03_r_out_3_the_same_frame_is_acknowledged_again_and_shown_once() {
    let mut bench = Bench::friends(503, 2);
    let frames = Rc::new(std::cell::RefCell::new(Vec::new()));
    let kept = frames.clone();
    bench.fate(move |from, _, frame| {
        if from == 0 {
            kept.borrow_mut().push(frame.clone());
        }
        Fate::Arrives
    });
    bench.say(0, 1, "once");
    let first: Vec<_> = frames.borrow().clone();
    assert!(!first.is_empty());
    let again = |bench: &mut Bench, when: &str| {
        for frame in &first {
            assert_eq!(bench.hand(0, 1, frame.clone()), Some(Verdict::Accepted), "{when}");
        }
        bench.pump();
        assert_eq!(bench.texts(1, 0).iter().filter(|t| *t == "once").count(), 1, "{when}");
        assert_eq!(bench.nodes[1].told().len(), bench.texts(1, 0).len(), "{when}");
    };
    again(&mut bench, "immediately");
    bench.restart(1);
    again(&mut bench, "after a restart");
    let others = count("messages in between", "KITH_BETWEEN", 2_000);
    for n in 0..others {
        bench.say(0, 1, &format!("other {n}"));
    }
    again(&mut bench, "after many others");
    assert_eq!(bench.texts(1, 0).len() as u64, others + 1);
}

/// Sends a text while the disk of one side loses power at a certain write or sync; tells whether the power went at all.
fn power_cut_at(n: u64, victim: usize) -> bool {
    let mut bench = Bench::friends(505_000 + n, 2);
    bench.say(0, 1, "before");
    let before = bench.nodes[victim].disk.counts();
    bench.nodes[victim].disk.stop_after(n);
    let taken = bench.try_say(0, 1, "in between");
    let after = bench.nodes[victim].disk.counts();
    let calls = after.writes + after.syncs - before.writes - before.syncs;
    bench.nodes[victim].power_cut();
    bench.wait(MINUTE);
    bench.start(victim);
    bench.wait(2 * HOUR);
    let after = bench.say(0, 1, "after");
    bench.wait(2 * HOUR);
    let shown = bench.texts(1, 0);
    let times = shown.iter().filter(|t| *t == "in between").count();
    match taken {
        Ok(sent) => {
            assert_eq!(times, 1, "n {n} victim {victim}: accepted, and shown {times} times");
            assert_eq!(format!("{:?}", bench.state(0, &sent.id)), "Delivered", "n {n} victim {victim}");
        }
        Err(_) => assert!(times <= 1, "n {n} victim {victim}: shown {times} times"),
    }
    assert_eq!(shown.iter().filter(|t| *t == "after").count(), 1, "n {n} victim {victim}");
    assert_eq!(format!("{:?}", bench.state(0, &after)), "Delivered", "n {n} victim {victim}");
    let mut told = bench.nodes[1].told();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), bench.nodes[1].told().len(), "n {n} victim {victim}: told twice");
    let found = Letters::default().check(&bench, &format!("n {n} victim {victim}"));
    assert!(found.letters > 4, "{found:?}");
    calls > n
}

#[test]
fn c05_05_r_out_1_a_power_cut_at_any_write_of_a_send_loses_and_repeats_nothing() {
    let mut n = 0;
    while power_cut_at(n, 0) {
        n += 1;
    }
    println!("counts: {n} points of a power cut at the sender");
    assert!(n > 5, "only {n} points");
}

#[test]
fn c05_05_r_out_2_a_power_cut_at_any_write_of_a_receive_loses_and_repeats_nothing() {
    let mut n = 0;
    while power_cut_at(n, 1) {
        n += 1;
    }
    println!("counts: {n} points of a power cut at the recipient");
    assert!(n > 5, "only {n} points");
}

#[test]
fn c05_06_an_old_copy_of_the_senders_disk_heals_and_shows_nothing_twice() {
    let mut bench = Bench::friends(506, 2);
    bench.say(0, 1, "one");
    bench.say(1, 0, "two");
    bench.wait(HOUR);
    let old = bench.nodes[0].disk.image();
    for n in 0..5 {
        bench.say(0, 1, &format!("lost to the copy {n}"));
        bench.say(1, 0, &format!("answer {n}"));
    }
    bench.wait(HOUR);
    bench.nodes[0].put_back(old);
    bench.start(0);
    let id = bench.say(0, 1, "from the copy");
    bench.wait(3 * HOUR);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
    let id = bench.say(1, 0, "still there?");
    bench.wait(3 * HOUR);
    assert_eq!(format!("{:?}", bench.state(1, &id)), "Delivered");
    assert!(bench.nodes[1].alerts().contains(&"session_repaired".to_owned()), "{:?}", bench.nodes[1].alerts());
    let shown = bench.texts(1, 0);
    assert_eq!(shown.iter().filter(|t| *t == "from the copy").count(), 1);
    assert_eq!(bench.nodes[1].told().len(), shown.len(), "told twice");
    assert_eq!(shown.len(), 7, "{shown:?}");
    assert_eq!(bench.texts(0, 1).last().unwrap(), "still there?");
}

#[test]
fn c05_06_r_out_4_what_an_old_copy_of_the_recipient_never_confirmed_comes_again() {
    let mut bench = Bench::friends(5062, 2);
    bench.say(0, 1, "one");
    bench.wait(HOUR);
    let old = bench.nodes[1].disk.image();
    // The daemon takes them, but no receipt comes back.
    bench.fate(|from, _, _| if from == 1 { Fate::Lost } else { Fate::Arrives });
    let unconfirmed: Vec<_> = (0..3).map(|n| bench.say(0, 1, &format!("unconfirmed {n}"))).collect();
    bench.nodes[1].put_back(old);
    bench.fate(|_, _, _| Fate::Arrives);
    bench.start(1);
    bench.say(0, 1, "next");
    bench.wait(2 * DAY);
    let shown = bench.texts(1, 0);
    for (n, id) in unconfirmed.iter().enumerate() {
        assert_eq!(shown.iter().filter(|t| **t == format!("unconfirmed {n}")).count(), 1, "{shown:?}");
        assert_eq!(format!("{:?}", bench.state(0, id)), "Delivered");
    }
    assert_eq!(bench.nodes[1].told().len(), shown.len());
}

#[test]
fn c05_12_a_replayed_first_message_begins_nothing_and_shows_nothing() {
    let mut bench = Bench::new(512, 2);
    bench.add(0, 1).unwrap();
    bench.say(0, 1, "hello");
    let first = last_frame(&bench, 0, 1);
    assert_eq!(bench.texts(1, 0), ["hello"]);
    let account = bench.nodes[0].account;
    bench.act(1, Command::ContactAccept { account }).unwrap();
    bench.wait(HOUR);
    assert_eq!(bench.hand(0, 1, first.clone()), Some(Verdict::Accepted));
    assert_eq!(bench.texts(1, 0), ["hello"]);
    bench.act(1, Command::ContactRemove { account }).unwrap();
    assert_eq!(bench.hand(0, 1, first), Some(Verdict::Accepted), "known envelopes are acknowledged again");
    assert!(bench.contact(1, 0).is_none(), "a replay does not bring a removed contact back");
    let sent = bench.say(0, 1, "again");
    bench.wait(3 * HOUR);
    assert_eq!(bench.texts(1, 0).last().map(String::as_str), Some("again"), "{:?}", bench.nodes[0].why(&sent));
}

#[test]
fn c05_13_both_begin_at_once_and_nothing_is_lost() {
    for seed in 0..6 {
        let mut bench = Bench::friends(513 + seed, 2);
        for (a, b) in [(0, 1), (1, 0)] {
            let account = bench.nodes[b].account;
            bench.act(a, Command::SessionReset { account }).unwrap();
        }
        bench.cut_off.insert(0);
        let a: Vec<_> = (0..3).map(|n| bench.say(0, 1, &format!("a{n}"))).collect();
        let b: Vec<_> = (0..3).map(|n| bench.say(1, 0, &format!("b{n}"))).collect();
        let mut number = seed;
        bench.fate(move |_, _, _| {
            number += 1;
            match number % 6 {
                0 => Fate::Lost,
                1 if seed % 2 == 0 => Fate::AnswerLost,
                2 if seed % 3 == 0 => Fate::Swallowed,
                _ => Fate::Arrives,
            }
        });
        bench.cut_off.clear();
        bench.wait(2 * DAY);
        bench.fate(|_, _, _| Fate::Arrives);
        bench.wait(8 * DAY);
        for (who, ids) in [(0, a), (1, b)] {
            for id in ids {
                assert_eq!(
                    format!("{:?}", bench.state(who, &id)),
                    "Delivered",
                    "seed {seed}: {:?}",
                    bench.nodes[who].why(&id)
                );
            }
        }
        assert_eq!((bench.texts(0, 1).len(), bench.texts(1, 0).len()), (3, 3), "seed {seed}");
    }
}

#[test]
fn c05_14_r_ses_12_a_deleted_prekey_is_told_to_contacts_once_an_hour_and_to_strangers_never() {
    let mut bench = Bench::friends(514, 2);
    let mut target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
    bench.say(0, 1, "we know each other");
    bench.wait(70 * DAY);
    target.mailbox = Some(Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now).bundle);
    let repairs = |bench: &Bench| bench.nodes[1].alerts().iter().filter(|a| *a == "session_repaired").count();
    assert_eq!(repairs(&bench), 0);
    let mut contact = bench.forger_of(0);
    let mut stranger = Forger::fresh(ChaCha20Rng::seed_from_u64(1), bench.now);
    let late = |bench: &mut Bench, who: &mut Forger| {
        let now = bench.now;
        let content = who.content(&bench.nodes[1], text("late"), now);
        let frame = who.seal(&target, &content, now);
        assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Refused));
        bench.pump();
    };
    let carried = bench.carried.len();
    for _ in 0..3 {
        late(&mut bench, &mut stranger);
    }
    assert_eq!((bench.carried.len(), repairs(&bench)), (carried, 0), "a stranger is told something");
    for _ in 0..3 {
        late(&mut bench, &mut contact);
    }
    assert_eq!(repairs(&bench), 1, "at most once an hour");
    assert!(bench.carried[carried..].iter().any(|c| c.from == 1), "the contact is told");
    bench.wait(HOUR + MINUTE);
    late(&mut bench, &mut contact);
    assert_eq!(repairs(&bench), 2);
    let id = bench.say(0, 1, "healed");
    bench.wait(HOUR);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
    assert_eq!(bench.nodes[1].contacts().len(), 1, "a stranger leaves no trace");
}

#[test]
fn c05_17_c05_18_r_out_8_swapped_recipients_and_every_failure_look_the_same() {
    let mut bench = Bench::friends(517, 3);
    bench.say(0, 1, "for the first");
    let for_first = last_frame(&bench, 0, 1);
    let now = bench.now;
    let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], now);
    let mut forger = bench.forger_of(0);
    let mut altered = forger.content(&bench.nodes[1], text("x"), now);
    altered.sender_account = bench.nodes[2].account;
    let mut cases = vec![("for another device", 2, for_first.clone())];
    let mut bad = for_first;
    let last = bad.envelope.len() - 1;
    bad.envelope[last] ^= 1;
    cases.push(("bad tag", 1, bad.clone()));
    bad.envelope.truncate(40);
    cases.push(("cut off", 1, bad));
    cases.push(("another sender inside", 1, forger.seal(&target, &altered, now)));
    cases.push(("no content", 1, forger.seal_bytes(&target, b"garbage".to_vec(), now)));
    cases.push(("no payload", 1, forger.seal_payload(&target, b"garbage", now)));
    for (what, to, frame) in cases {
        let shown = bench.texts(to, 0);
        assert_eq!(bench.hand(0, to, frame), Some(Verdict::Refused), "{what}");
        assert_eq!(bench.texts(to, 0), shown, "{what}");
    }
    bench.pump();
    bench.say(0, 1, "still fine");
    assert_eq!(bench.texts(1, 0).last().unwrap(), "still fine");
}

#[test]
fn c05_22_a_flood_of_first_messages_is_bounded_and_contacts_do_not_notice() {
    let mut bench = Bench::friends(522, 2);
    let now = bench.now;
    let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], now);
    let accounts = count("accounts that flood", "KITH_FLOOD", 20_000);
    let mut accepted = 0;
    for n in 0..accounts {
        let mut forger = Forger::fresh(ChaCha20Rng::seed_from_u64(n), now);
        let content = forger.content(&bench.nodes[1], text("drain"), now);
        let frame = forger.seal(&target, &content, now);
        match bench.hand(0, 1, frame).unwrap() {
            Verdict::Accepted => accepted += 1,
            verdict => assert!(matches!(verdict, Verdict::Busy { .. }), "{verdict:?}"),
        }
        if n % 500 == 0 {
            bench.say(0, 1, &format!("meanwhile {n}"));
        }
    }
    assert_eq!(accepted, kith_protocol::limits::REQUEST_ACCOUNTS_MAX);
    assert_eq!(bench.nodes[1].contacts().len(), 1 + kith_protocol::limits::REQUEST_ACCOUNTS_MAX);
    let id = bench.say(0, 1, "after the flood");
    bench.wait(MINUTE);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
    assert_eq!(bench.texts(1, 0).len() as u64, accounts.div_ceil(500) + 1);
}

#[test]
fn c05_27_a_longer_log_in_a_message_leads_to_a_lookup() {
    let mut bench = Bench::friends(527, 2);
    bench.wait(DAY);
    let now = bench.now;
    let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], now);
    let mut forger = bench.forger_of(0);
    let content = forger.content(&bench.nodes[1], text("I have more devices"), now).encode().unwrap().to_vec();
    let mut head = forger.log.head();
    head.len += 1;
    let payload = kith_protocol::session::Payload {
        content,
        sender_log: head,
        recipient_log: head,
        introduction: None,
        extensions: kith_protocol::wire::Extensions::default(),
    };
    let frame = forger.seal_payload(&target, &payload.encode(), now);
    let before = bench.lookups.iter().filter(|(who, _)| *who == 1).count();
    assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Accepted));
    bench.pump();
    bench.wait(MINUTE);
    assert!(bench.lookups.iter().filter(|(who, _)| *who == 1).count() > before, "no lookup");
}

/// Nodes whose power goes, inside commits too, and whose disks are put back, while frames and answers are lost; tells what
/// left meanwhile.
fn troubled(seed: u64) -> Found {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut chance = move |end: u64| rng.next_u64() % end;
    let mut bench = Bench::friends(599_000 + seed, 2);
    bench.say(0, 1, "before");
    bench.say(1, 0, "answer");
    let mut letters = Letters::default();
    let mut old = [bench.nodes[0].disk.image(), bench.nodes[1].disk.image()];
    let mut number = chance(3);
    bench.fate(move |_, _, _| {
        number += 1;
        [Fate::Arrives, Fate::Arrives, Fate::Lost, Fate::Arrives, Fate::AnswerLost][(number % 5) as usize]
    });
    for n in 0..40 {
        let who = chance(2) as usize;
        match chance(8) {
            0 => old[who] = bench.nodes[who].disk.image(),
            1 => {
                letters.learn(&bench);
                bench.nodes[who].put_back(old[who].clone());
                bench.start(who);
            }
            2 => {
                let writes = chance(24);
                bench.nodes[who].disk.stop_after(writes);
                let _ = bench.try_say(who, 1 - who, &format!("cut off {n}"));
                bench.nodes[who].power_cut();
                bench.start(who);
            }
            _ => {
                bench.say(who, 1 - who, &format!("{n} from {who}"));
            }
        }
        bench.wait(chance(20) * MINUTE);
    }
    bench.fate(|_, _, _| Fate::Arrives);
    bench.wait(3 * HOUR);
    letters.check(&bench, &format!("seed {seed}"))
}

#[test]
fn r_ses_5_c05_05_c05_06_no_key_and_nonce_serve_two_messages_through_power_cuts_and_old_disks() {
    let mut all = Found::default();
    for seed in 0..count("troubled conversations", "KITH_TROUBLED", 60) {
        let found = troubled(seed);
        all.letters += found.letters;
        all.places_used_again += found.places_used_again;
    }
    println!("counts: {} different messages, {} places of a chain used again", all.letters, all.places_used_again);
    assert!(all.letters > 100 && all.places_used_again > 0, "{all:?}: no state was used again, so nothing was shown");
}

#[test]
fn no_message_leaves_in_two_envelopes_and_no_envelope_with_two_contents() {
    let mut bench = Bench::friends(599, 2);
    let lost = Rc::new(Cell::new(0));
    let counter = lost.clone();
    bench.fate(move |_, _, _| {
        counter.set(counter.get() + 1);
        if counter.get() % 3 == 0 { Fate::Lost } else { Fate::Arrives }
    });
    for n in 0..20 {
        bench.say(0, 1, &format!("m{n}"));
    }
    bench.wait(2 * HOUR);
    assert_eq!(bench.texts(1, 0).len(), 20);
    let found = Letters::default().check(&bench, "lost frames");
    assert!(lost.get() > 0 && found.letters >= 40 && found.letters < bench.carried.len(), "{found:?}");
    assert_eq!(found.places_used_again, 0, "no state was put back");
}
