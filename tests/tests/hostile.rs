//! A contact with valid keys that does what no honest node does: refused or harmless, and nothing of others changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    Code,
    app::Command,
    net::{Frame, Verdict},
};
use kith_protocol::{
    ChannelId, Day, DeviceId, MessageId, Timestamp,
    content::{Body, CannotOpen, Content, Conversation, Marks, Range, Receipt, SessionControl, Text},
    crypto::dh::DhSecret,
    identity::ReachSecret,
    mailbox::{EnvelopeBody, envelope},
    prekey::HandedKey,
};
use kith_store::{
    Key, Row,
    table::{SessionsRow, Table},
};
use kith_tests::bench::{Bench, DAY, Fate, Forger, HOUR, Target};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn text(body: &str) -> Body {
    Body::Text(Text::new(body.to_owned()).unwrap())
}

/// Mallory (0) is a contact of the victim (1), who talks with a friend (2).
struct Scene {
    bench: Bench,
    mallory: Forger,
    target: Target,
    friendly: MessageId,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::friends(seed, 3);
        bench.say(2, 1, "from the friend");
        bench.cut_off.insert(2);
        let friendly = bench.say(1, 2, "to the friend");
        let target = Target::known_to(&bench.nodes[0], &bench.nodes[1], bench.now);
        let mallory = bench.forger_of(0);
        Self { bench, mallory, target, friendly }
    }

    fn content(&mut self, body: Body) -> Content {
        let now = self.bench.now;
        self.mallory.content(&self.bench.nodes[1], body, now)
    }

    fn say(&mut self, content: &Content) -> Verdict {
        let frame = self.mallory.seal(&self.target, content, self.bench.now);
        let verdict = self.bench.hand(0, 1, frame).unwrap();
        self.bench.pump();
        verdict
    }

    /// Nothing of the friend's changed, and the conversation with the friend goes on.
    fn check(mut self, what: &str) {
        assert_eq!(self.bench.texts(1, 2), ["from the friend"], "{what}");
        assert_eq!(format!("{:?}", self.bench.state(1, &self.friendly)), "Queued", "{what}");
        self.bench.cut_off.clear();
        self.bench.wait(HOUR);
        assert_eq!(format!("{:?}", self.bench.state(1, &self.friendly)), "Delivered", "{what}");
        let id = self.bench.say(2, 1, "still here");
        self.bench.wait(HOUR);
        assert_eq!(format!("{:?}", self.bench.state(2, &id)), "Delivered", "{what}");
        self.bench.restart(1);
        assert_eq!(self.bench.texts(1, 2).len(), 2, "{what}");
    }
}

/// Alters a content.
type Alter = Box<dyn Fn(&mut Content)>;

#[test]
fn content_of_another_sender_or_conversation_is_refused() {
    let mut scene = Scene::new(1_101);
    let (friend, device) = (scene.bench.nodes[2].account, scene.bench.nodes[2].device);
    let alter: [(&str, Alter); 5] = [
        ("another account", Box::new(move |c| c.sender_account = friend)),
        ("another device", Box::new(move |c| c.sender_device = device)),
        ("both", Box::new(move |c| (c.sender_account, c.sender_device) = (friend, device))),
        ("somebody else's conversation", Box::new(move |c| c.conversation = Conversation::Person(friend))),
        ("a channel", Box::new(|c| c.conversation = Conversation::Channel(ChannelId::from_bytes([7; 32])))),
    ];
    for (what, alter) in alter {
        let mut content = scene.content(text("forged"));
        alter(&mut content);
        assert_eq!(scene.say(&content), Verdict::Refused, "{what}");
    }
    assert!(scene.bench.texts(1, 0).is_empty());
    assert!(!scene.bench.faults.is_empty(), "it is the peer's fault");
    scene.check("wrong senders");
}

#[test]
fn absurd_numbers_and_times_are_shown_once_and_break_nothing() {
    let mut scene = Scene::new(1_102);
    let mut sent = 0;
    for sequence in [1, u64::MAX, u64::MAX - 1, 1] {
        for at in [0, u64::MAX, scene.bench.now.as_millis()] {
            for expires in [None, Some(u64::MAX)] {
                let mut content = scene.content(text("absurd"));
                content.sequence = sequence;
                content.sent_at = Timestamp::from_millis(at);
                content.expires_after_ms = expires;
                content.previous = Some(MessageId::from_bytes([9; 16]));
                assert_eq!(scene.say(&content), Verdict::Accepted);
                sent += 1;
            }
        }
    }
    assert_eq!(scene.bench.texts(1, 0).len(), sent);
    let answer = scene.bench.say(1, 0, "I can still write");
    assert_eq!(scene.bench.nodes[1].messages(&scene.bench.nodes[0].account).len(), sent + 1);
    assert!(scene.bench.nodes[1].message(&answer).is_some());
    scene.check("absurd numbers");
}

#[test]
fn one_that_expires_at_once_vanishes_alone() {
    let mut scene = Scene::new(1_103);
    let mut content = scene.content(text("blink"));
    content.expires_after_ms = Some(1);
    assert_eq!(scene.say(&content), Verdict::Accepted);
    scene.bench.wait(HOUR);
    assert!(scene.bench.texts(1, 0).is_empty());
    let mut copied = scene.content(text("the friend's id"));
    copied.id = scene.friendly;
    copied.expires_after_ms = Some(1);
    assert_eq!(scene.say(&copied), Verdict::Accepted);
    scene.bench.wait(HOUR);
    assert!(scene.bench.nodes[1].message(&scene.friendly).is_some(), "a copied id took a message away");
    scene.check("expiry");
}

#[test]
fn receipts_confirm_only_what_was_sent_to_their_author() {
    let mut scene = Scene::new(1_104);
    let victim = scene.bench.nodes[1].device;
    let all = |device| vec![Range { device, from: 1, to: u64::MAX }];
    let ids = vec![scene.friendly, MessageId::from_bytes([1; 16])];
    let marks = [
        Marks { ids, ranges: Vec::new() },
        Marks { ids: Vec::new(), ranges: all(victim) },
        Marks { ids: Vec::new(), ranges: all(DeviceId::from_bytes([1; 32])) },
    ];
    for marks in marks {
        for receipt in [
            Receipt { delivered: marks.clone(), read: Marks::default() },
            Receipt { delivered: Marks::default(), read: marks.clone() },
        ] {
            let content = scene.content(Body::Receipt(receipt));
            assert_eq!(scene.say(&content), Verdict::Accepted);
        }
    }
    scene.check("receipts");
}

#[test]
fn session_control_says_nothing_about_others() {
    let mut scene = Scene::new(1_105);
    let name = scene.bench.contact(1, 2).unwrap().own_name;
    let foreign: Vec<_> = scene.bench.dht.values().cloned().collect();
    let mut controls = vec![
        SessionControl { descriptor: Some(vec![1, 2, 3]), ..SessionControl::default() },
        SessionControl { reach_secret: Some(ReachSecret::from_bytes([0; 16])), ..SessionControl::default() },
        SessionControl { name: Some("\u{202e}evil\n".repeat(4)), ..SessionControl::default() },
    ];
    for record in foreign.into_iter().take(12) {
        controls.push(SessionControl { descriptor: Some(record), ..SessionControl::default() });
    }
    let (key, expires) = (*scene.target.bundle.signed_prekey(), scene.bench.now.plus_days(90));
    let keys = |id| HandedKey { id, key, expires };
    controls
        .push(SessionControl { one_time_keys: vec![keys(1), keys(1), keys(u32::MAX)], ..SessionControl::default() });
    for control in controls {
        let content = scene.content(Body::SessionControl(control));
        let verdict = scene.say(&content);
        assert!(matches!(verdict, Verdict::Accepted | Verdict::Refused), "{verdict:?}");
    }
    assert_eq!(scene.bench.contact(1, 2).unwrap().own_name, name);
    scene.check("session control");
}

#[test]
fn unknown_kinds_are_kept_and_unknown_critical_extensions_refused() {
    let mut scene = Scene::new(1_106);
    let unknown = scene.content(Body::Unknown { kind: 4_000, body: vec![0xFF; 1_000] });
    assert_eq!(scene.say(&unknown), Verdict::Accepted);
    let shown = scene.bench.nodes[1].message(&unknown.id).unwrap();
    assert_eq!(format!("{:?}", shown.kind), "Unknown");
    for (critical, expected) in [(false, Verdict::Accepted), (true, Verdict::Refused)] {
        let mut bytes = scene.content(text("extended")).encode().unwrap().to_vec();
        // Field 12 of a content: an extension of type 77.
        let extension = if critical { vec![0x08, 77, 0x10, 1, 0x1a, 1, 1] } else { vec![0x08, 77, 0x1a, 1, 1] };
        bytes.extend([0x62, extension.len() as u8]);
        bytes.extend(extension);
        let frame = scene.mallory.seal_bytes(&scene.target, bytes, scene.bench.now);
        assert_eq!(scene.bench.hand(0, 1, frame), Some(expected), "critical {critical}");
    }
    scene.bench.pump();
    scene.check("unknown kinds");
}

#[test]
fn a_hundred_cannot_open_cost_only_their_author() {
    let mut scene = Scene::new(1_107);
    // Texts that Mallory's daemon took and never confirms are what a repair would seal again.
    scene.bench.fate(|_, to, _| if to == 0 { Fate::Swallowed } else { Fate::Arrives });
    let unconfirmed: Vec<_> = (0..5).map(|n| scene.bench.say(1, 0, &format!("unconfirmed {n}"))).collect();
    let before = scene.bench.carried.len();
    for _ in 0..100 {
        let content = scene.content(Body::CannotOpen(CannotOpen { session: None }));
        assert_eq!(scene.say(&content), Verdict::Accepted);
    }
    let left = scene.bench.carried[before..].iter().filter(|c| c.from == 1).count();
    assert!((5..12).contains(&left), "{left} frames left for a hundred complaints about five texts");
    assert!(scene.bench.carried[before..].iter().all(|c| c.from != 1 || c.to == 0), "somebody else was written to");
    let before = scene.bench.carried.len();
    scene.bench.wait(DAY);
    // Within a day each unconfirmed text goes again some eight times, whoever complains.
    let left = scene.bench.carried[before..].iter().filter(|c| c.from == 1 && c.to == 0).count();
    assert!(left < 5 * 12 + 24, "{left} frames left within a day");
    assert_eq!(scene.bench.nodes[1].outbox().len(), 6, "what waits for the friend, and what nobody confirmed");
    scene.bench.fate(|_, _, _| Fate::Arrives);
    scene.bench.act(1, Command::OutboxRetry { message: None }).unwrap();
    scene.bench.wait(2 * HOUR);
    for id in unconfirmed {
        assert_eq!(format!("{:?}", scene.bench.state(1, &id)), "Delivered", "{:?}", scene.bench.nodes[1].why(&id));
    }
    scene.check("cannot open");
}

/// A row of the sessions' table that holds no sessions.
#[derive(serde::Serialize, serde::Deserialize)]
struct NoSessions {
    device: DeviceId,
}

impl Row for NoSessions {
    const TABLE: Table = Table::Sessions;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        SessionsRow::key_of(&self.device)
    }
}

#[test]
fn what_cannot_be_read_of_one_contact_stops_nobody_else() {
    let mut bench = Bench::friends(1_190, 3);
    bench.say(0, 1, "before");
    bench.cut_off.insert(1);
    let waiting = bench.say(0, 1, "waits");
    bench.nodes[0].overwrite(&NoSessions { device: bench.nodes[1].device });
    // The next attempt cannot be sealed; neither it nor the frame of that contact may hold up the others.
    bench.act(0, Command::OutboxRetry { message: Some(waiting) }).unwrap();
    assert_eq!(bench.try_say(0, 1, "again").unwrap_err().code, Code::Internal);
    bench.cut_off.clear();
    bench.try_say(1, 0, "from the unreadable one").unwrap();
    bench.wait(2 * HOUR);
    bench.say(0, 2, "to somebody else");
    bench.say(2, 0, "from somebody else");
    assert_eq!(bench.texts(2, 0), ["to somebody else"]);
    assert_eq!(bench.texts(0, 2), ["from somebody else"]);
}

#[test]
fn an_envelope_for_a_day_that_never_had_keys_counts_against_its_peer_and_a_late_one_does_not() {
    let mut bench = Bench::friends(4_711, 2);
    let mut rng = ChaCha20Rng::seed_from_u64(4_711);
    let key = DhSecret::random(&mut rng).public();
    let today = bench.now.day();
    let body = EnvelopeBody::Ratchet(vec![1; 64].into());
    let mut faults = |day: Day| {
        let envelope = envelope::seal(&key, day, &body, &mut rng).unwrap();
        let before = bench.faults.len();
        let frame = Frame { tag: [0; 16], expires: bench.now.plus_days(1), envelope };
        assert_eq!(bench.hand(0, 1, frame), Some(Verdict::Refused));
        bench.pump();
        bench.faults.len() - before
    };
    assert_eq!(faults(Day(0)), 1);
    assert_eq!(faults(today.plus(2)), 1);
    assert_eq!(faults(Day(u32::MAX)), 1);
    assert_eq!(faults(Day(today.0 - 40)), 0, "a key of then may be gone: nobody's fault");
}
