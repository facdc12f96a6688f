//! Two machines on one network: namespaces joined by a cable, where nobody is told of anybody.

use crate::person::{Person, until};
use crate::space::{Space, program, skipped};

const NEEDS: &str = "root, network namespaces and ip (Debian package iproute2)";
const ALL: &[&str] = &["--listen", "/ip4/0.0.0.0/tcp/0"];

/// Two machines with a cable between them.
struct Cable {
    left: Space,
    right: Space,
}

impl Cable {
    fn lay() -> Option<Self> {
        program("ip")?;
        let net = ["--net"];
        let end = |address: &str| {
            format!(
                "ip link set lo up\nip addr add {address}/24 dev cable\nip link set cable up\nip route add default dev cable"
            )
        };
        let left = Space::make(&net, "ip link add cable type veth peer name far")?;
        let right = Space::make(&net, "true")?;
        left.script(&net, &format!("ip link set far netns {}", right.pid()));
        right.script(&net, "ip link set far name cable");
        left.script(&net, &end("10.77.0.1"));
        right.script(&net, &end("10.77.0.2"));
        Some(Self { left, right })
    }
}

/// Somebody whose daemon runs on a machine.
fn on(machine: &Space, name: &str) -> Person {
    let mut person = Person::new(name);
    person.daemon_inside = machine.enter(&["--net"]);
    person
}

fn peer(person: &Person) -> &str {
    person.ready["peer"].as_str().unwrap()
}

/// Whether somebody's daemon is connected to another's.
fn sees(person: &Person, other: &Person) -> bool {
    let peers = person.ok(&["peer", "list"]);
    peers["items"].as_array().unwrap().iter().any(|p| p["peer"] == peer(other) && p["connected"] == true)
}

/// Whether somebody's daemon has so much as heard of another's.
fn knows(person: &Person, other: &Person) -> bool {
    person.ok(&["peer", "list"])["items"].as_array().unwrap().iter().any(|p| p["peer"] == peer(other))
}

/// Adds each other by the bare codes, which hold no address.
fn exchange_codes(one: &Person, its_name: &str, other: &Person, other_name: &str) {
    let code = |who: &Person| who.ok(&["me"])["code"].as_str().unwrap().to_owned();
    one.ok(&["contact", "add", &code(other), "--name", other_name]);
    other.ok(&["contact", "add", &code(one), "--name", its_name]);
}

#[test]
fn machines_on_one_network_find_each_other_by_multicast_and_talk_with_no_address_given() {
    let Some(cable) = Cable::lay() else { return skipped(NEEDS) };
    let (mut alice, mut bob) = (on(&cable.left, "alice"), on(&cable.right, "bob"));
    alice.start_on(ALL, &[]);
    bob.start_on(ALL, &[]);
    until("they find each other", || sees(&alice, &bob) && sees(&bob, &alice));
    exchange_codes(&alice, "alice", &bob, "bob");
    alice.says("@bob", "over the cable");
    bob.says("@alice", "and back");
    assert_eq!(alice.texts("@bob"), ["over the cable", "and back"]);
    alice.stop();
    bob.stop();
}

#[test]
fn a_machine_told_not_to_neither_shows_itself_by_multicast_nor_looks_for_others() {
    let Some(cable) = Cable::lay() else { return skipped(NEEDS) };
    let (mut alice, mut silent, mut carol) =
        (on(&cable.left, "alice"), on(&cable.right, "bob"), on(&cable.right, "carol"));
    silent.start_on(ALL, &["--no-mdns"]);
    alice.start_on(ALL, &[]);
    carol.start_on(ALL, &[]);
    // Carol's daemon runs on the silent one's machine: whatever of it could be found would have been found with hers.
    until("alice and carol find each other", || sees(&alice, &carol) && sees(&carol, &alice));
    exchange_codes(&alice, "alice", &carol, "carol");
    alice.says("@carol", "the network works");
    for person in [&alice, &carol] {
        assert!(!knows(person, &silent), "it showed itself");
        assert!(!knows(&silent, person), "it looked for others");
    }
    // It was only silent: told where to go, it gets there.
    let status = alice.ok(&["status"]);
    let mut listens = status["listen"].as_array().unwrap().iter().map(|address| address.as_str().unwrap());
    let address = listens.find(|address| address.contains("10.77.0.1")).unwrap().to_owned();
    silent.stop();
    silent.start_on(ALL, &["--no-mdns", "--bootstrap", &address]);
    until("it reaches who it was told of", || sees(&silent, &alice) && sees(&alice, &silent));
    for person in [&mut alice, &mut silent, &mut carol] {
        person.stop();
    }
}
