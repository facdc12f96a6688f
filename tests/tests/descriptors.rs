//! What a reader believes of several records of one device: the highest sequence, once seen never a lower one again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{app::Input, net::NetEvent, net::Verdict};
use kith_protocol::{
    RecordKey,
    content::{Body, SessionControl},
    limits,
};
use kith_store::{
    Rows,
    table::{Contact, Device},
};
use kith_tests::bench::{Bench, DAY, Forger, HOUR, MINUTE, Target};

/// The records of a descriptor, one for each day.
type Records = Vec<(RecordKey, Vec<u8>)>;

/// A reader (0) and the account it reads (1), in whose name records are made.
struct Scene {
    bench: Bench,
    author: Forger,
    known: Target,
    /// The sequence that was published last.
    newest: u64,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::friends(seed, 2);
        bench.say(0, 1, "hello");
        bench.say(1, 0, "hello");
        bench.wait(HOUR);
        let (author, known) = (bench.forger_of(1), Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now));
        let mut scene = Self { bench, author, known, newest: 0 };
        scene.newest = scene.device().descriptor_seq;
        scene
    }

    fn device(&self) -> Device {
        let key = Device::key_of(&self.bench.nodes[1].device);
        self.bench.nodes[0].read(|rows| rows.row::<Device>(&key).unwrap()).unwrap()
    }

    /// What the reader goes by: the sequence it pinned, and where it believes to reach the device.
    fn pinned(&self) -> (u64, String, String) {
        let device = self.device();
        (device.descriptor_seq, device.peer.unwrap(), device.addresses.join(" "))
    }

    /// Makes the records of a descriptor that names a place.
    fn records(&mut self, sequence: u64, place: &str) -> Records {
        let (peer, addresses) = (format!("peer-{place}"), [format!("/memory/{place}")]);
        self.author.records(&self.known.bundle, (&peer, &addresses), sequence, self.bench.now)
    }

    /// A lookup of the reader's ends with these records.
    fn found(&mut self, records: Records) {
        let key = Contact::key_of(&self.bench.nodes[1].account);
        let contact = self.bench.nodes[0].read(|rows| rows.row::<Contact>(&key).unwrap()).unwrap();
        self.bench.feed(0, vec![Input::Net(NetEvent::Found { query: contact.number, records, asked: 3 })]);
        self.bench.pump();
    }

    /// The device says a descriptor of its own inside its session.
    fn told(&mut self, records: &Records) {
        let now = self.bench.now;
        let control = SessionControl { descriptor: Some(records[0].1.clone()), ..SessionControl::default() };
        let content = self.author.content(&self.bench.nodes[0], Body::SessionControl(control), now);
        let target = Target::known_to(&self.bench.nodes[1], &self.bench.nodes[0], now);
        let frame = self.author.seal(&target, &content, now);
        assert_eq!(self.bench.hand(1, 0, frame), Some(Verdict::Accepted));
        self.bench.pump();
    }
}

fn is_at(sequence: u64, place: &str) -> (u64, String, String) {
    (sequence, format!("peer-{place}"), format!("/memory/{place}"))
}

#[test]
fn r_desc_7_of_several_valid_records_the_highest_sequence_is_used_and_pinned_wherever_it_stands() {
    for position in 0..3 {
        let mut scene = Scene::new(2_201);
        let newest = scene.newest;
        let mut offered: Records = Vec::new();
        for (n, place) in ["51", "52"].into_iter().enumerate() {
            offered.extend(scene.records(newest + 1 + n as u64, place));
        }
        let best = scene.records(newest + 3, "53");
        offered.splice(position * 7..position * 7, best);
        scene.found(offered);
        assert_eq!(scene.pinned(), is_at(newest + 3, "53"), "at {position}");
    }
}

#[test]
fn c05_19_r_desc_6_an_older_record_offered_later_and_another_of_equal_sequence_change_nothing() {
    let mut scene = Scene::new(2_202);
    let newest = scene.newest;
    let records = scene.records(newest + 5, "55");
    scene.found(records.clone());
    let pinned = scene.pinned();
    assert_eq!(pinned, is_at(newest + 5, "55"));
    let again = records;
    for (what, sequence, place) in [("older", newest + 4, "54"), ("much older", 1, "1"), ("equal", newest + 5, "66")] {
        let offered = scene.records(sequence, place);
        assert!(!again.contains(&offered[0]), "other bytes");
        scene.found(offered.clone());
        assert_eq!(scene.pinned(), pinned, "{what}, found");
        scene.told(&offered);
        assert_eq!(scene.pinned(), pinned, "{what}, told in a session");
        scene.bench.restart(0);
        scene.found(offered);
        assert_eq!(scene.pinned(), pinned, "{what}, after a restart");
    }
    let next = scene.records(newest + 6, "56");
    scene.told(&next);
    assert_eq!(scene.pinned(), is_at(newest + 6, "56"), "a newer one is taken from a session too");
}

#[test]
fn c05_20_r_desc_6_a_sequence_more_than_a_day_ahead_is_neither_used_nor_pinned() {
    let mut scene = Scene::new(2_203);
    let before = scene.pinned();
    let bound = scene.bench.now.plus_millis(limits::CLOCK_SKEW_MS).as_millis();
    for sequence in [bound + 1, bound + 30 * DAY, u64::MAX] {
        let ahead = scene.records(sequence, "77");
        scene.found(ahead.clone());
        assert_eq!(scene.pinned(), before, "{sequence}");
        scene.told(&ahead);
        assert_eq!(scene.pinned(), before, "{sequence}, told in a session");
    }
    // It stands in nobody's way, and the last one within the bound is believed.
    let next = scene.newest + 1;
    let records = scene.records(next, "78");
    scene.found(records);
    assert_eq!(scene.pinned(), is_at(next, "78"));
    let records = scene.records(bound, "79");
    scene.found(records);
    assert_eq!(scene.pinned(), is_at(bound, "79"));
    // Somebody who pinned it is told of the device's own next one all the same, once its time has come.
    scene.bench.wait(2 * DAY);
    scene.bench.restart(1);
    scene.bench.wait(MINUTE);
    assert!(scene.pinned().0 > bound);
    assert_eq!(scene.pinned().1, "peer-1");
}
