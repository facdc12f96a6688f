//! A contact whose account tells two histories of its devices: an alarm, silence towards it, and a person's word to go on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{app::Command, net::Verdict};
use kith_protocol::{
    EnvelopeId, MessageId,
    content::{Body, Text},
    identity::{DeviceSecrets, safety_number},
    wire::Signed,
};
use kith_store::{
    Rows,
    table::{Contact, SessionsRow},
};
use kith_tests::bench::{Bench, DAY, Fate, Forger, HOUR, MINUTE, Target};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const WAITS: &str = "the contact's identity changed: compare safety numbers";

/// Alice (0) has verified Mallory (1) and wrote a text that waits for Mallory's node.
struct Scene {
    bench: Bench,
    mallory: Forger,
    target: Target,
    waiting: MessageId,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::friends(seed, 2);
        bench.say(0, 1, "before");
        bench.say(1, 0, "answer");
        let (target, mallory) = (Target::known_to(&bench.nodes[1], &bench.nodes[0], bench.now), bench.forger_of(1));
        let mut scene = Self { bench, mallory, target, waiting: MessageId::from_bytes([0; 16]) };
        scene.verify().unwrap();
        assert!(scene.bench.contact(0, 1).unwrap().verified);
        scene.bench.cut_off.insert(1);
        scene.waiting = scene.bench.say(0, 1, "waits");
        scene.bench.wait(MINUTE);
        scene
    }

    /// Alice compares all digits.
    fn verify(&mut self) -> kith_node::app::Reply {
        let account = self.bench.nodes[1].account;
        let digits = safety_number(&self.bench.nodes[0].account, &account).to_string();
        self.bench.act(0, Command::ContactVerify { account, digits: Some(digits) })
    }

    /// Mallory says something in a new session, with the log as it is.
    fn say(&mut self, body: &str) -> Verdict {
        let body = Body::Text(Text::new(body.to_owned()).unwrap());
        let content = self.mallory.content(&self.bench.nodes[0], body, self.bench.now);
        let frame = self.mallory.seal(&self.target, &content, self.bench.now);
        let verdict = self.bench.hand(1, 0, frame).unwrap();
        self.bench.pump();
        verdict
    }

    fn alarms(&self) -> usize {
        self.bench.nodes[0].alerts().iter().filter(|a| *a == "identity_changed").count()
    }

    /// The sessions with Mallory's device as they are stored: they change with everything that is sealed.
    fn sessions(&self) -> Vec<u8> {
        let key = SessionsRow::key_of(&self.bench.nodes[1].device);
        let row = self.bench.nodes[0].read(|rows| rows.row::<SessionsRow>(&key).unwrap()).unwrap();
        serde_json::to_vec(&row).unwrap()
    }

    /// Alice is alarmed once, and whatever happens nothing is sealed or sent until she has compared the numbers.
    fn check_silence(&mut self) {
        let contact = self.bench.contact(0, 1).unwrap();
        assert!(contact.identity_changed && !contact.verified);
        assert_eq!(self.alarms(), 1);
        self.bench.cut_off.clear();
        // What Mallory's own node says would change the sessions too.
        self.bench.fate(|from, _, _| if from == 1 { Fate::Lost } else { Fate::Arrives });
        let (sessions, carried) = (self.sessions(), self.bench.carried.len());
        let account = self.bench.nodes[1].account;
        assert_eq!(self.bench.try_say(0, 1, "refused").unwrap_err().code.as_str(), "identity_changed");
        let none_of_these_lifts_it = [
            Command::ContactAccept { account },
            Command::ContactRename { account, name: "mallory".into() },
            Command::ContactAdd { code_or_link: self.bench.nodes[1].me().url, name: None },
            Command::ContactVerify { account, digits: None },
            Command::OutboxRetry { message: None },
            Command::SetName { name: "alice".into() },
        ];
        for command in none_of_these_lifts_it {
            self.bench.act(0, command).unwrap();
            self.bench.wait(HOUR);
        }
        let digits = Some("0".repeat(60));
        let wrong = self.bench.act(0, Command::ContactVerify { account, digits }).unwrap_err();
        assert_eq!(wrong.code.as_str(), "unverified");
        self.bench.restart(0);
        self.bench.wait(2 * DAY);
        let contact = self.bench.contact(0, 1).unwrap();
        assert!(contact.identity_changed && !contact.verified);
        assert_eq!(self.bench.carried[carried..].iter().filter(|c| c.from == 0).count(), 0, "something left");
        assert!(self.sessions() == sessions, "something was sealed");
        assert_eq!(format!("{:?}", self.bench.state(0, &self.waiting)), "Queued");
        assert_eq!(self.bench.nodes[0].error(&self.waiting).as_deref(), Some(WAITS));
        assert_eq!(self.alarms(), 1, "one alarm is enough");
    }

    /// Alice compared the numbers: what waited arrives, and the conversation goes on.
    fn check_resumed(mut self) {
        self.bench.fate(|_, _, _| Fate::Arrives);
        let carried = self.bench.carried.len();
        self.verify().unwrap();
        let contact = self.bench.contact(0, 1).unwrap();
        assert!(contact.verified && !contact.identity_changed);
        self.bench.wait(1);
        assert!(self.bench.carried[carried..].iter().any(|c| c.from == 0), "what waited goes out at once");
        self.bench.wait(2 * HOUR);
        let story = self.bench.nodes[0].why(&self.waiting);
        assert_eq!(format!("{:?}", self.bench.state(0, &self.waiting)), "Delivered", "{story:?}");
        assert_eq!(self.bench.texts(1, 0), ["before", "waits"]);
        let id = self.bench.say(0, 1, "after");
        self.bench.wait(HOUR);
        assert_eq!(format!("{:?}", self.bench.state(0, &id)), "Delivered");
    }
}

#[test]
fn r_id_4_both_branches_in_a_message_alarm_and_silence_until_the_numbers_are_compared() {
    let mut scene = Scene::new(2_001);
    let now = scene.bench.now;
    scene.mallory.fork(now);
    assert_eq!(scene.say("with both branches"), Verdict::Accepted);
    assert_eq!(scene.bench.texts(0, 1), ["answer", "with both branches"]);
    scene.check_silence();
    assert_eq!(scene.say("once more"), Verdict::Accepted);
    let contact = scene.bench.contact(0, 1).unwrap();
    assert!(contact.identity_changed && !contact.verified, "what it says counts as verified again");
    scene.check_resumed();
}

/// The log that shows only one of two operations.
fn branch(mallory: &Forger, op: &Signed, scene: &Bench) -> Forger {
    let mut one = scene.forger_of(1);
    one.rng = ChaCha20Rng::from_seed(*EnvelopeId::of(&op.encode()).as_bytes());
    one.log = mallory.log.append(op, scene.now).unwrap().0;
    assert!(!one.log.is_frozen());
    one
}

#[test]
fn r_id_4_a_branch_in_a_message_and_another_in_the_next_one_alarm_all_the_same() {
    let mut scene = Scene::new(2_002);
    let before = scene.bench.forger_of(1);
    let ops = scene.mallory.fork(scene.bench.now);
    scene.mallory = branch(&before, &ops[0], &scene.bench);
    assert_eq!(scene.say("one history"), Verdict::Accepted);
    assert!(!scene.bench.contact(0, 1).unwrap().identity_changed);
    scene.mallory = branch(&before, &ops[1], &scene.bench);
    assert_eq!(scene.say("another history"), Verdict::Accepted);
    scene.check_silence();
    scene.check_resumed();
}

#[test]
fn r_id_4_a_branch_in_a_message_and_another_in_a_record_alarm_all_the_same() {
    let mut scene = Scene::new(2_003);
    let before = scene.bench.forger_of(1);
    let ops = scene.mallory.fork(scene.bench.now);
    scene.mallory = branch(&before, &ops[0], &scene.bench);
    assert_eq!(scene.say("one history"), Verdict::Accepted);
    let now = scene.bench.now;
    let known = Target::known_to(&scene.bench.nodes[0], &scene.bench.nodes[1], now);
    let mut other = branch(&before, &ops[1], &scene.bench);
    let records = other.records(&known.bundle, ("peer-1", &[]), now.as_millis() + 1, now);
    scene.bench.dht.extend(records);
    let account = scene.bench.nodes[1].account;
    let code_or_link = scene.bench.nodes[1].me().url;
    scene.bench.wait(HOUR);
    // Adding the code again looks the descriptor up.
    scene.bench.act(0, Command::ContactAdd { code_or_link, name: None }).unwrap();
    scene.bench.wait(MINUTE);
    let log = scene.bench.nodes[0].read(|rows| rows.row::<Contact>(&Contact::key_of(&account)).unwrap()).unwrap().log;
    assert!(log.len() > other.log.encode().len(), "both are kept as proof");
    scene.check_silence();
    scene.check_resumed();
}

#[test]
fn r_id_4_a_stranger_with_two_histories_is_written_to_by_nobody_although_its_request_is_accepted() {
    let mut bench = Bench::friends(2_004, 2);
    let now = bench.now;
    let target = Target::known_to(&bench.nodes[1], &bench.nodes[0], now);
    let mut stranger = Forger::fresh(ChaCha20Rng::seed_from_u64(4), now);
    stranger.fork(now);
    let account = stranger.account.id();
    let body = Body::Text(Text::new("hello".into()).unwrap());
    let content = stranger.content(&bench.nodes[0], body, now);
    let frame = stranger.seal(&target, &content, now);
    assert_eq!(bench.hand(1, 0, frame), Some(Verdict::Accepted));
    bench.act(0, Command::ContactAccept { account }).unwrap();
    bench.wait(2 * HOUR);
    let contact = bench.nodes[0].contacts().into_iter().find(|c| c.account == account).unwrap();
    assert!(contact.identity_changed && !contact.verified);
    let text = Command::Send { to: account, body: "hello".into(), expires_after_ms: None };
    assert_eq!(bench.act(0, text).unwrap_err().code.as_str(), "identity_changed");
}

#[test]
fn r_id_4_a_device_that_a_fork_put_in_doubt_speaks_again_once_the_root_lifted_it() {
    let mut scene = Scene::new(2_005);
    let now = scene.bench.now;
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let (second, ghost) = (DeviceSecrets::generate(&mut rng), DeviceSecrets::generate(&mut rng));
    let (kept, lost) = (scene.mallory.admit(&second, now), scene.mallory.admit(&ghost, now));
    let before = scene.mallory.log.clone();
    scene.mallory.log = before.append(&kept, now).unwrap().0;
    let first = std::mem::replace(&mut scene.mallory, scene.bench.forger_of(1));
    let mut phone = Forger { device: second, ..first };
    let speak = |scene: &mut Scene, phone: &mut Forger, body: &str| {
        std::mem::swap(&mut scene.mallory, phone);
        let verdict = scene.say(body);
        std::mem::swap(&mut scene.mallory, phone);
        verdict
    };
    assert_eq!(speak(&mut scene, &mut phone, "from the second device"), Verdict::Accepted);
    assert_eq!(scene.bench.contact(0, 1).unwrap().devices, 2);
    scene.mallory.log = before.merge(&[kept.clone(), lost], now).unwrap().0;
    assert_eq!(scene.say("with both branches"), Verdict::Accepted);
    assert_eq!(scene.bench.contact(0, 1).unwrap().devices, 1);
    assert_eq!(speak(&mut scene, &mut phone, "in doubt"), Verdict::Refused);
    let keep = *phone.log.ops().last().unwrap().id();
    let lift = scene.mallory.log.lift(&scene.mallory.account, &keep, now).unwrap();
    scene.mallory.log = scene.mallory.log.append(&lift, now).unwrap().0;
    phone.log = scene.mallory.log.clone();
    assert_eq!(scene.say("lifted"), Verdict::Accepted);
    assert!(scene.bench.contact(0, 1).unwrap().identity_changed, "that a person looks is not spared");
    assert_eq!(speak(&mut scene, &mut phone, "no longer in doubt"), Verdict::Accepted);
    assert_eq!(scene.bench.contact(0, 1).unwrap().devices, 2);
    assert!(scene.bench.texts(0, 1).contains(&"no longer in doubt".to_owned()));
}
