//! A device that its account revoked, in thieves' hands: whatever it brings, nothing of it is believed any more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::net::Verdict;
use kith_protocol::{
    content::{Body, Text},
    identity::{DeviceSecrets, device_log::Signer},
};
use kith_store::{
    Rows,
    table::{Contact, Device, SessionsRow},
};
use kith_tests::bench::{Bench, Forger, HOUR, Target};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// Alice (0) talks with Bob (1); somebody holds the keys of Bob's device.
struct Scene {
    bench: Bench,
    thief: Forger,
    target: Target,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::friends(seed, 2);
        bench.say(0, 1, "before");
        bench.say(1, 0, "answer");
        let (target, thief) = (Target::known_to(&bench.nodes[1], &bench.nodes[0], bench.now), bench.forger_of(1));
        bench.cut_off.insert(1);
        Self { bench, thief, target }
    }

    fn say(&mut self, by: &mut Forger, body: &str) -> Verdict {
        let content = by.content(&self.bench.nodes[0], Body::Text(Text::new(body.to_owned()).unwrap()), self.bench.now);
        let frame = by.seal(&self.target, &content, self.bench.now);
        let verdict = self.bench.hand(1, 0, frame).unwrap();
        self.bench.pump();
        verdict
    }

    /// What Alice keeps of a device of Bob's: its row, and whether there are sessions with it.
    fn device(&self, by: &Forger) -> (Device, bool) {
        let device = by.device.id();
        self.bench.nodes[0].read(|rows| {
            let row = rows.row::<Device>(&Device::key_of(&device)).unwrap().unwrap();
            (row, rows.row::<SessionsRow>(&SessionsRow::key_of(&device)).unwrap().is_some())
        })
    }

    fn log_len(&self) -> u64 {
        let key = Contact::key_of(&self.bench.nodes[1].account);
        self.bench.nodes[0].read(|rows| rows.row::<Contact>(&key).unwrap().unwrap().log_head.len)
    }

    fn thief(&self) -> Forger {
        self.bench.forger_of(1)
    }
}

#[test]
fn r_id_6_a_device_that_brings_its_own_revocation_is_revoked_and_its_message_refused() {
    let mut scene = Scene::new(2_101);
    let now = scene.bench.now;
    let mut thief = scene.thief();
    assert_eq!(scene.say(&mut thief, "not revoked yet"), Verdict::Accepted);
    let account = scene.thief().account;
    let revoke = thief.log.revoke(Signer::Root(&account), &thief.device.id(), now).unwrap();
    thief.log = thief.log.append(&revoke, now).unwrap().0;
    let name = scene.bench.contact(0, 1).unwrap().own_name;
    thief.reach = [9; 16];
    for body in ["revokes itself", "and again"] {
        assert_eq!(scene.say(&mut thief, body), Verdict::Refused, "{body}");
        let (row, sessions) = scene.device(&thief);
        assert!(row.revoked && !sessions, "{body}: {row:?}");
    }
    assert_eq!(scene.log_len(), 2, "what the log says is kept");
    let contact = scene.bench.contact(0, 1).unwrap();
    assert_eq!((contact.devices, contact.own_name), (0, name));
    // A log that says less brings it back as little.
    let mut forgetful = scene.thief();
    assert_eq!(scene.say(&mut forgetful, "with the old log"), Verdict::Refused);
    scene.bench.restart(0);
    assert_eq!(scene.say(&mut thief, "after a restart"), Verdict::Refused);
    let carried = scene.bench.carried.len();
    scene.bench.cut_off.clear();
    scene.bench.try_say(0, 1, "to nobody").unwrap();
    scene.bench.wait(HOUR);
    let sealed = scene.bench.carried[carried..].iter().filter(|c| c.from == 0).count();
    assert_eq!(sealed, 0, "something was sealed to the revoked device");
    assert_eq!(scene.bench.texts(0, 1), ["answer", "not revoked yet"]);
}

#[test]
fn r_id_6_a_row_at_odds_with_the_log_is_set_right_by_a_log_that_brings_nothing_new() {
    let mut scene = Scene::new(2_102);
    let now = scene.bench.now;
    let second = DeviceSecrets::generate(&mut ChaCha20Rng::seed_from_u64(5));
    let admit = scene.thief.admit(&second, now);
    scene.thief.log = scene.thief.log.append(&admit, now).unwrap().0;
    let mut phone = scene.thief.another_device(second);
    assert_eq!(scene.say(&mut phone, "from the phone"), Verdict::Accepted);
    let account = scene.thief().account;
    let mut first = scene.thief();
    let revoke = phone.log.revoke(Signer::Root(&account), &first.device.id(), now).unwrap();
    phone.log = phone.log.append(&revoke, now).unwrap().0;
    assert_eq!(scene.say(&mut phone, "the first one is stolen"), Verdict::Accepted);
    let (row, _) = scene.device(&first);
    assert!(row.revoked);
    scene.bench.nodes[0].overwrite(&Device { revoked: false, ..row });
    assert_eq!(scene.say(&mut phone, "nothing new"), Verdict::Accepted);
    assert!(scene.device(&first).0.revoked);
    assert_eq!(scene.bench.contact(0, 1).unwrap().devices, 1);
    first.log = phone.log.clone();
    assert_eq!(scene.say(&mut first, "stolen"), Verdict::Refused);
}
