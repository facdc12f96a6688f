//! A new reach secret: the old code finds nothing any more, contacts are told, and whoever was not told yet is not cut off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    app::{Command, Input},
    net::NetEvent,
};
use kith_protocol::{
    RecordKey,
    identity::{ContactLink, ReachSecret},
    prekey::{check_record, readers_keys, record_key_of},
};
use kith_store::{
    Rows,
    table::{Contact, Device},
};
use kith_tests::bench::{Bench, DAY, Fate, HOUR, MINUTE, Node};

/// The reach secret in a node's contact code.
fn reach_of(node: &Node) -> ReachSecret {
    ContactLink::parse(&node.me().code).unwrap().code.reach
}

/// The reach secret that a node knows of another's account.
fn known_reach(bench: &Bench, at: usize, of: usize) -> [u8; 16] {
    let key = Contact::key_of(&bench.nodes[of].account);
    bench.nodes[at].read(|rows| rows.row::<Contact>(&key).unwrap()).unwrap().reach.unwrap()
}

/// Where a node believes to reach another.
fn pinned(bench: &Bench, at: usize, of: usize) -> (Option<String>, Vec<String>) {
    let key = Device::key_of(&bench.nodes[of].device);
    let row = bench.nodes[at].read(|rows| rows.row::<Device>(&key).unwrap()).unwrap();
    (row.peer, row.addresses)
}

/// The keys of every day whose record of node 1 anybody may still read today.
fn old_keys(bench: &Bench, reach: &ReachSecret) -> Vec<RecordKey> {
    let first = bench.now.day().minus(1);
    (0..8).map(|n| record_key_of(&bench.nodes[1].account, reach, first.plus(n), 0).unwrap()).collect()
}

/// Whether a stranger who has this code, and looks for an hour, finds node 1.
fn finds(bench: &mut Bench, code: &str) -> bool {
    bench.act(2, Command::ContactRemove { account: bench.nodes[1].account }).unwrap();
    bench.act(2, Command::ContactAdd { code_or_link: code.to_owned(), name: None }).unwrap();
    bench.wait(HOUR);
    let contact = bench.contact(2, 1).unwrap();
    contact.devices > 0
}

#[test]
fn r_desc_11_a_new_reach_secret_empties_every_day_that_was_published_under_the_old_one() {
    let mut bench = Bench::friends(2_101, 3);
    bench.wait(3 * DAY + HOUR);
    let (old, code) = (reach_of(&bench.nodes[1]), bench.nodes[1].me().code);
    assert!(finds(&mut bench, &code), "the code is good");
    let before = bench.dht.clone();
    let keys = old_keys(&bench, &old);
    let meta = |bench: &Bench, key: &RecordKey| check_record(key, &bench.dht[key], bench.now).unwrap();
    let published: Vec<_> = keys.iter().map(|key| meta(&bench, key)).collect();
    assert!(published.iter().all(|meta| !meta.empty));
    bench.act(1, Command::RotateReach).unwrap();
    for (key, before) in keys.iter().zip(published) {
        let now = meta(&bench, key);
        assert!(now.empty && now.seq > before.seq, "{:?} of {:?}", now.day, bench.now.day());
    }
    let fresh = old_keys(&bench, &reach_of(&bench.nodes[1]));
    assert!(fresh[1..].iter().all(|key| !meta(&bench, key).empty), "today and six days ahead");
    assert!(!finds(&mut bench, &code), "a stranger finds it by the old code");
    // Nodes that were off meanwhile come back with the old records: they are emptied again, whatever else is published.
    bench.dht.extend(before.clone());
    bench.restart(1);
    assert!(!finds(&mut bench, &code), "after a restart");
    bench.act(1, Command::RotateReach).unwrap();
    bench.dht.extend(before);
    bench.wait(DAY);
    assert!(!finds(&mut bench, &code), "after another rotation, on the next day");
    bench.wait(9 * DAY);
    let code = bench.nodes[1].me().code;
    assert!(finds(&mut bench, &code), "the newest code is good");
}

#[test]
fn r_desc_11_a_contact_learns_the_new_reach_secret_in_its_session_and_resolves_by_it() {
    let mut bench = Bench::friends(2_102, 2);
    bench.say(0, 1, "hello");
    bench.say(1, 0, "hello");
    bench.wait(DAY);
    let old = reach_of(&bench.nodes[1]);
    bench.act(1, Command::RotateReach).unwrap();
    bench.wait(MINUTE);
    let new = reach_of(&bench.nodes[1]);
    assert_ne!(new.as_bytes(), old.as_bytes());
    assert_eq!(known_reach(&bench, 0, 1), *new.as_bytes());
    // The other's addresses change, and nothing of it arrives here: only the records under the new secret tell.
    bench.fate(|_, _, _| Fate::Lost);
    let addresses = vec!["/memory/41".to_owned()];
    bench.feed(1, vec![Input::Net(NetEvent::Addresses { peer: Node::peer(1), addresses: addresses.clone() })]);
    bench.wait(MINUTE);
    assert_ne!(pinned(&bench, 0, 1).1, addresses);
    let lookups = bench.lookups.len();
    let id = bench.say(0, 1, "where are you?");
    bench.wait(HOUR);
    let asked: Vec<_> = bench.lookups[lookups..].iter().filter(|(who, _)| *who == 0).collect();
    assert!(!asked.is_empty());
    let keys = readers_keys(&bench.nodes[1].account, &new, bench.now);
    assert!(asked.iter().all(|(_, asked)| *asked == keys), "asked by another secret");
    assert_eq!(pinned(&bench, 0, 1).1, addresses);
    bench.fate(|_, _, _| Fate::Arrives);
    bench.wait(HOUR);
    assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
}

#[test]
fn r_desc_11_a_contact_that_was_not_told_the_new_reach_secret_yet_still_reaches_us_where_it_did() {
    let mut bench = Bench::friends(2_103, 2);
    bench.say(0, 1, "hello");
    bench.say(1, 0, "hello");
    bench.wait(2 * DAY);
    let (old, before) = (reach_of(&bench.nodes[1]), pinned(&bench, 0, 1));
    assert!(before.0.is_some() && !before.1.is_empty());
    bench.fate(|from, _, _| if from == 1 { Fate::Lost } else { Fate::Arrives });
    bench.act(1, Command::RotateReach).unwrap();
    // Looking it up by the old secret finds empty records, which take nothing away.
    bench.nodes[1].stop();
    let first = bench.say(0, 1, "written while you were off");
    let lookups = bench.lookups.len();
    bench.wait(2 * HOUR);
    assert!(bench.lookups[lookups..].iter().any(|(who, _)| *who == 0));
    assert_eq!((known_reach(&bench, 0, 1), pinned(&bench, 0, 1)), (*old.as_bytes(), before.clone()));
    bench.start(1);
    bench.wait(HOUR);
    let second = bench.say(0, 1, "written by one who does not know");
    bench.wait(HOUR);
    assert_eq!(bench.texts(1, 0).len(), 3, "{:?}", bench.nodes[0].why(&second));
    assert_eq!(known_reach(&bench, 0, 1), *old.as_bytes(), "nothing of the other arrived yet");
    bench.fate(|_, _, _| Fate::Arrives);
    bench.wait(2 * HOUR);
    assert_eq!(known_reach(&bench, 0, 1), *reach_of(&bench.nodes[1]).as_bytes(), "told as soon as something arrives");
    for id in [first, second] {
        assert_eq!(format!("{:?}", bench.state(0, &id)), "Delivered");
    }
}
