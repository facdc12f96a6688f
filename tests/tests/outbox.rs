//! What waits, why, and until when: the outbox, idempotent requests, disappearing messages, the event stream.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::EventKind,
    app::{Command, Input, Outcome},
    net::{NetEvent, Verdict},
};
use kith_tests::bench::{Bench, DAY, Fate, HOUR, MINUTE, Node};

#[test]
fn a_text_waits_for_keys_and_says_so_until_the_descriptor_is_found() {
    let mut bench = Bench::new(701, 2);
    let published = std::mem::take(&mut bench.dht);
    bench.add(0, 1).unwrap();
    let id = bench.say(0, 1, "hello");
    bench.wait(MINUTE);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Queued");
    assert!(
        bench.nodes[0].error(&id).unwrap().contains("nobody knows the contact's keys"),
        "{:?}",
        bench.nodes[0].error(&id)
    );
    bench.cut_off.insert(0);
    bench.wait(HOUR);
    assert!(
        bench.nodes[0].error(&id).unwrap().contains("no way to reach the network"),
        "{:?}",
        bench.nodes[0].error(&id)
    );
    bench.cut_off.clear();
    bench.dht = published;
    bench.wait(HOUR);
    assert_eq!(bench.texts(1, 0), ["hello"]);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Sent");
}

#[test]
fn pauses_grow_and_a_peer_that_appears_ends_them() {
    let mut bench = Bench::friends(702, 2);
    bench.cut_off.insert(1);
    let id = bench.say(0, 1, "hello");
    bench.wait(6 * HOUR);
    let attempts = bench.nodes[0].outbox()[0].attempts;
    assert!((12..60).contains(&attempts), "{attempts} attempts in six hours");
    assert_eq!(bench.nodes[0].error(&id).as_deref(), Some("not reachable"));
    bench.cut_off.clear();
    let before = bench.now;
    bench.feed(0, vec![Input::Net(NetEvent::PeerUp { peer: Node::peer(1) })]);
    bench.wait(1);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
    assert!(bench.now.millis_since(before) < 10);
}

#[test]
fn r_out_5_what_was_taken_but_never_confirmed_is_sealed_again() {
    let mut bench = Bench::friends(703, 2);
    bench.fate(|_, _, _| Fate::Swallowed);
    let id = bench.say(0, 1, "swallowed");
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Sent");
    bench.wait(MINUTE);
    bench.fate(|_, _, _| Fate::Arrives);
    bench.wait(HOUR);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered", "{:?}", bench.nodes[0].why(&id));
    assert_eq!(bench.texts(1, 0), ["swallowed"]);
    assert!(bench.nodes[0].steps(&id).iter().any(|s| s.contains("no receipt yet")));
}

#[test]
fn r_out_6_a_text_is_given_up_after_thirty_days_and_says_why() {
    let mut bench = Bench::friends(704, 2);
    bench.cut_off.insert(1);
    let id = bench.say(0, 1, "never");
    bench.wait(29 * DAY);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Queued");
    bench.wait(2 * DAY);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Failed");
    assert!(bench.nodes[0].error(&id).unwrap().contains("not delivered in time"));
    assert!(bench.nodes[0].outbox().is_empty());
    let told =
        |e: kith_node::api::types::Event| matches!(e.kind, EventKind::Receipt(r) if r.id == id && r.error.is_some());
    assert!(bench.nodes[0].events(0).into_iter().any(told), "followers are told");
}

#[test]
fn a_refused_frame_goes_again_in_a_fresh_session() {
    let mut bench = Bench::friends(705, 2);
    bench.say(0, 1, "one");
    bench.say(1, 0, "two");
    // The recipient forgets its sessions.
    let account = bench.nodes[0].account;
    bench.cut_off.insert(0);
    bench.act(1, Command::SessionReset { account }).unwrap();
    bench.cut_off.clear();
    let id = bench.say(0, 1, "three");
    assert!(bench.carried.iter().any(|c| c.verdict == Some(Verdict::Refused)));
    bench.wait(HOUR);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
    assert_eq!(bench.texts(1, 0), ["one", "three"]);
}

#[test]
fn retry_goes_now_and_cancel_gives_up() {
    let mut bench = Bench::friends(706, 2);
    bench.cut_off.insert(1);
    let (retried, cancelled) = (bench.say(0, 1, "retry"), bench.say(0, 1, "cancel"));
    bench.wait(HOUR);
    bench.act(0, Command::OutboxCancel { message: cancelled }).unwrap();
    assert_eq!(format!("{:?}", bench.state(0, &cancelled)), "Failed");
    assert_eq!(bench.nodes[0].error(&cancelled).as_deref(), Some("cancelled"));
    let twice = bench.act(0, Command::OutboxCancel { message: cancelled }).unwrap_err();
    assert_eq!(twice.code.as_str(), "conflict");
    bench.cut_off.clear();
    bench.act(0, Command::OutboxRetry { message: Some(retried) }).unwrap();
    bench.wait(1);
    assert_eq!(format!("{:?}", bench.state(0, &retried)), "Delivered");
    assert_eq!(bench.texts(1, 0), ["retry"]);
    let unknown = kith_protocol::MessageId::from_bytes([1; 16]);
    assert_eq!(bench.act(0, Command::OutboxCancel { message: unknown }).unwrap_err().code.as_str(), "message_unknown");
}

#[test]
fn an_idempotency_key_gives_one_message_and_one_answer_whatever_happens() {
    let mut bench = Bench::friends(707, 2);
    let command = bench.text(1, "once");
    let first = bench.act_keyed(0, command.clone(), Some("key")).unwrap();
    let check = |bench: &mut Bench, when: &str| {
        let again = bench.act_keyed(0, command.clone(), Some("key")).unwrap();
        assert_eq!(again, first, "{when}");
        let other = bench.text(1, "another");
        assert_eq!(bench.act_keyed(0, other, Some("key")).unwrap_err().code.as_str(), "conflict", "{when}");
    };
    check(&mut bench, "at once");
    bench.restart(0);
    check(&mut bench, "after a restart");
    bench.nodes[0].power_cut();
    bench.start(0);
    check(&mut bench, "after a power cut");
    bench.wait(MINUTE);
    assert_eq!(bench.texts(1, 0), ["once"]);
    bench.wait(2 * DAY);
    let later = bench.act_keyed(0, command.clone(), Some("key")).unwrap();
    assert_ne!(later, first, "the key is free again after a day");
}

#[test]
fn disappearing_messages_vanish_on_both_sides_and_from_the_stream_and_stay_away() {
    let mut bench = Bench::friends(708, 2);
    let to = bench.nodes[1].account;
    let command = Command::Send { to, body: "gone soon".into(), expires_after_ms: Some(HOUR) };
    let Ok(Outcome::Sent(sent)) = bench.act(0, command) else { panic!("not sent") };
    let frames: Vec<_> = bench.carried.iter().filter(|c| c.from == 0).map(|c| c.frame.clone()).collect();
    bench.wait(MINUTE);
    assert_eq!(bench.texts(1, 0), ["gone soon"]);
    bench.wait(2 * HOUR);
    for who in [0, 1] {
        assert!(bench.nodes[who].message(&sent.id).is_none(), "{who}");
        let events = format!("{:?}", bench.nodes[who].events(0));
        assert!(!events.contains("gone soon"), "the stream of {who} still tells it");
    }
    for frame in frames {
        assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Accepted));
    }
    bench.pump();
    assert!(bench.texts(1, 0).is_empty());
}

#[test]
fn the_event_stream_goes_on_from_its_cursor_across_restarts() {
    let mut bench = Bench::friends(709, 2);
    bench.say(0, 1, "one");
    let cursor = bench.nodes[1].events(0).last().unwrap().cursor;
    bench.restart(1);
    bench.say(0, 1, "two");
    let after = bench.nodes[1].events(cursor);
    assert!(after.iter().all(|e| e.cursor > cursor));
    let texts: Vec<_> = after
        .into_iter()
        .filter_map(|e| match e.kind {
            EventKind::Message(m) => Some(m.body),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["two"]);
    let all: Vec<_> = bench.nodes[1].events(0).into_iter().map(|e| e.cursor).collect();
    assert!(all.windows(2).all(|w| w[0] < w[1]));
}

#[test]
fn a_client_ahead_of_a_profile_put_back_misses_nothing_new() {
    let mut bench = Bench::friends(790, 2);
    let old = bench.nodes[1].disk.image();
    bench.say(0, 1, "forgotten with the newer disk");
    bench.wait(MINUTE);
    let cursor = bench.nodes[1].events(0).last().unwrap().cursor;
    bench.nodes[1].stop();
    bench.nodes[1].put_back(old);
    bench.start(1);
    let id = bench.say(0, 1, "after it was put back");
    bench.wait(3 * HOUR);
    let told = bench.nodes[1].events(cursor);
    assert!(told.iter().any(|e| matches!(&e.kind, EventKind::Message(m) if m.id == id)), "nothing new was told");
}

#[test]
fn receipts_for_somebody_who_never_takes_them_gather_and_stay_few() {
    let mut bench = Bench::friends(711, 3);
    bench.fate(|from, to, _| if (from, to) == (1, 0) { Fate::Lost } else { Fate::Arrives });
    let texts = 600;
    let ids: Vec<_> = (0..texts).map(|n| bench.say(0, 1, &format!("{n}"))).collect();
    assert_eq!(bench.texts(1, 0).len(), texts);
    let rows = bench.nodes[1].outbox_rows();
    assert!(rows <= 16, "{rows} rows wait for one contact");
    // Others are served, and once they are taken the receipts say all of it.
    let other = bench.say(1, 2, "meanwhile");
    assert_eq!(format!("{:?}", bench.state(1, &other)), "Delivered");
    bench.fate(|_, _, _| Fate::Arrives);
    bench.wait(HOUR);
    let open = ids.iter().filter(|id| format!("{:?}", bench.state(0, id)) != "Delivered").count();
    assert_eq!(open, 0);
    assert_eq!((bench.nodes[0].outbox_rows(), bench.nodes[1].outbox_rows()), (0, 0));
}

#[test]
fn what_was_read_is_told_only_by_who_shares_it() {
    let mut bench = Bench::friends(712, 3);
    bench.nodes[1].share_read = true;
    bench.restart(1);
    let conversation = bench.nodes[0].account.into();
    let (to_sharer, later, to_other) = (bench.say(0, 1, "one"), bench.say(0, 1, "two"), bench.say(0, 2, "one"));
    bench.act(1, Command::MarkRead { conversation, up_to: Some(to_sharer) }).unwrap();
    bench.act(2, Command::MarkRead { conversation, up_to: None }).unwrap();
    bench.wait(MINUTE);
    assert_eq!(format!("{:?}", bench.state(0, &to_sharer)), "Read");
    assert_eq!(format!("{:?}", bench.state(0, &later)), "Delivered");
    assert_eq!(format!("{:?}", bench.state(0, &to_other)), "Delivered");
}

#[test]
fn receipts_that_wait_say_all_that_was_read_as_well() {
    let mut bench = Bench::friends(713, 2);
    bench.nodes[1].share_read = true;
    bench.restart(1);
    bench.wait(MINUTE);
    bench.fate(|from, _, _| if from == 1 { Fate::Lost } else { Fate::Arrives });
    let conversation = bench.nodes[0].account.into();
    let ids: Vec<_> = (0..60)
        .map(|n| {
            let id = bench.say(0, 1, &format!("{n}"));
            bench.act(1, Command::MarkRead { conversation, up_to: None }).unwrap();
            id
        })
        .collect();
    assert!(bench.nodes[1].outbox_rows() <= 16);
    bench.fate(|_, _, _| Fate::Arrives);
    bench.wait(HOUR);
    let unread = ids.iter().filter(|id| format!("{:?}", bench.state(0, id)) != "Read").count();
    assert_eq!(unread, 0);
}
