use super::*;
use crate::{SessionId, crypto::dh::DhSecret, identity::ReachSecret, prekey::HandedKey};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const ALICE: SenderBinding =
    SenderBinding { account: AccountId::from_bytes([1; 32]), device: DeviceId::from_bytes([2; 32]) };
const BOB: AccountId = AccountId::from_bytes([3; 32]);

fn content(body: Body) -> Content {
    Content {
        id: MessageId::from_bytes([9; 16]),
        conversation: Conversation::Person(BOB),
        sender_account: ALICE.account,
        sender_device: ALICE.device,
        sequence: 5,
        previous: Some(MessageId::from_bytes([8; 16])),
        sent_at: Timestamp::from_millis(1_800_000_000_000),
        expires_after_ms: None,
        body,
        extensions: Extensions::default(),
    }
}

fn text(text: &str) -> Body {
    Body::Text(Text::new(text.to_owned()).unwrap())
}

fn handed(id: u32) -> HandedKey {
    HandedKey { id, key: DhSecret::from_bytes([4; 32]).public(), expires: Timestamp::from_millis(9) }
}

fn every_body() -> Vec<Body> {
    let range = Range { device: ALICE.device, from: 3, to: 9 };
    let marks = Marks { ids: vec![MessageId::from_bytes([7; 16])], ranges: vec![range] };
    vec![
        text("hello"),
        Body::Receipt(Receipt { delivered: marks.clone(), read: marks }),
        Body::SessionControl(SessionControl::default()),
        Body::SessionControl(SessionControl {
            one_time_keys: vec![handed(1), handed(3)],
            reach_secret: Some(ReachSecret::from_bytes([6; 16])),
            name: Some(String::new()),
            descriptor: Some(vec![1, 2, 3]),
            mailboxes: Some(vec![vec![4; 9]]),
        }),
        Body::CannotOpen(CannotOpen { session: None }),
        Body::CannotOpen(CannotOpen { session: Some(SessionId::from_bytes([5; 16])) }),
        Body::Unknown { kind: 900, body: vec![1, 2, 3] },
    ]
}

#[test]
fn every_kind_comes_back_as_it_went() {
    for body in every_body() {
        let content = content(body);
        assert_eq!(Content::decode(&content.encode().unwrap()), Ok(content));
    }
}

#[test]
fn r_msg_1_ids_are_fresh_and_the_same_however_often_the_content_is_sealed() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    assert_ne!(new_id(&mut rng), new_id(&mut rng));
    let content = content(text("once"));
    let (first, second) = (content.encode().unwrap(), content.encode().unwrap());
    assert_eq!(Content::decode(&first).unwrap().id, Content::decode(&second).unwrap().id);
}

#[test]
fn r_msg_2_unknown_kinds_are_kept_as_they_came() {
    let unknown = content(Body::Unknown { kind: 77, body: b"from a later version".to_vec() });
    let bytes = unknown.encode().unwrap();
    let back = Content::decode(&bytes).unwrap();
    assert_eq!(back.body, Body::Unknown { kind: 77, body: b"from a later version".to_vec() });
    assert_eq!(back.encode().unwrap(), bytes);
    let zero = content(Body::Unknown { kind: 0, body: Vec::new() });
    assert_eq!(zero.encode().err(), Some(wire::Error::Unknown(0)));
}

#[test]
fn r_msg_3_sender_and_conversation_are_those_of_the_session() {
    let good = content(text("hi"));
    assert_eq!(good.check(&ALICE, &BOB), Ok(()));
    let mallory = AccountId::from_bytes([66; 32]);
    assert_eq!(good.check(&SenderBinding { account: mallory, ..ALICE }, &BOB), Err(Misplaced::Sender));
    let other_device = SenderBinding { device: DeviceId::from_bytes([66; 32]), ..ALICE };
    assert_eq!(good.check(&other_device, &BOB), Err(Misplaced::Sender));
    assert_eq!(good.check(&ALICE, &mallory), Err(Misplaced::Conversation));
    let mut channel = good;
    channel.conversation = Conversation::Channel(ChannelId::from_bytes(*BOB.as_bytes()));
    assert_eq!(channel.check(&ALICE, &BOB), Err(Misplaced::Conversation));
}

#[test]
fn r_msg_4_text_is_one_byte_to_32_kib() {
    assert!(Text::new(String::new()).is_err());
    assert!(Text::new("x".repeat(limits::TEXT_MAX + 1)).is_err());
    let largest = content(text(&"ü".repeat(limits::TEXT_MAX / 2)));
    assert_eq!(Content::decode(&largest.encode().unwrap()), Ok(largest));
    assert_eq!(Body::from_wire(1, vec![]), Err(wire::Error::OutOfBounds));
    assert!(Body::from_wire(1, vec![0x0a, 1, 0xff]).is_err(), "not UTF-8");
}

#[test]
fn r_msg_5_receipts_name_something_bounded_and_ranges_run_forwards() {
    let id = MessageId::from_bytes([1; 16]);
    let receipt = |delivered| content(Body::Receipt(Receipt { delivered, read: Marks::default() })).encode();
    assert!(receipt(Marks::default()).is_err());
    assert!(receipt(Marks { ids: vec![id; limits::RECEIPT_ENTRIES_MAX], ranges: vec![] }).is_ok());
    assert!(receipt(Marks { ids: vec![id; limits::RECEIPT_ENTRIES_MAX + 1], ranges: vec![] }).is_err());
    for (from, to, fine) in [(1, 1, true), (1, u64::MAX, true), (0, 1, false), (2, 1, false)] {
        let ranges = vec![Range { device: ALICE.device, from, to }];
        assert_eq!(receipt(Marks { ids: vec![], ranges }).is_ok(), fine, "{from}-{to}");
    }
}

#[test]
fn session_control_out_of_bounds_is_refused() {
    let control = |change: fn(&mut SessionControl)| {
        let mut control = SessionControl::default();
        change(&mut control);
        content(Body::SessionControl(control)).encode().is_ok()
    };
    assert!(control(|c| c.one_time_keys = (1..5).map(handed).collect()));
    assert!(!control(|c| c.one_time_keys = (1..6).map(handed).collect()));
    assert!(control(|c| c.name = Some("n".repeat(limits::NAME_MAX))));
    assert!(!control(|c| c.name = Some("n".repeat(limits::NAME_MAX + 1))));
    assert!(!control(|c| c.descriptor = Some(vec![1; limits::DESCRIPTOR_MAX + 1])));
    for point in crate::session::tests::bad_points() {
        let key = wire::encode(&proto::prekey::OneTimeKey { id: 1, key: point.to_vec(), expires_ms: 1 });
        let body = proto::content::SessionControl { one_time_keys: vec![key], ..Default::default() };
        assert!(Body::from_wire(3, wire::encode(&body)).is_err());
    }
}

#[test]
fn fields_out_of_bounds_are_refused() {
    let change = |change: fn(&mut proto::content::Content)| {
        let bytes = content(text("hi")).encode().unwrap();
        let mut wire: proto::content::Content = wire::decode(&bytes, limits::CONTENT_MAX).unwrap();
        change(&mut wire);
        Content::decode(&wire::encode(&wire)).is_ok()
    };
    assert!(change(|_| ()));
    assert!(change(|c| c.previous.clear()));
    assert!(!change(|c| c.version = 2));
    assert!(!change(|c| c.id = vec![1; 15]));
    assert!(!change(|c| c.conversation = None));
    assert!(!change(|c| c.conversation.as_mut().unwrap().kind = 3));
    assert!(!change(|c| c.conversation.as_mut().unwrap().id.push(0)));
    assert!(!change(|c| c.sender_account.clear()));
    assert!(!change(|c| c.sender_device = vec![1; 33]));
    assert!(!change(|c| c.sequence = 0));
    assert!(!change(|c| c.previous = c.id.clone()));
    assert!(!change(|c| c.previous = vec![1; 17]));
    assert!(!change(|c| c.body = vec![0xff]));
}

#[test]
fn debug_shows_no_word_of_it() {
    for body in every_body() {
        let shown = format!("{:?}", content(body));
        assert!(!shown.contains("hello") && !shown.contains("[1, 2, 3]"), "{shown}");
    }
}
