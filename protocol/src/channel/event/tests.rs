use super::*;
use crate::wire::mutate_test::every_field_altered;
use std::collections::BTreeSet;

/// Says something, as the first thing of its device.
pub(in crate::channel) fn first(saying: Saying) -> Event {
    Event {
        sequence: 1,
        previous: None,
        heads: vec![OpId::from_bytes([1; 32])],
        sent_at: Timestamp::from_millis(1_800_000_000_000),
        expires_after_ms: None,
        saying,
        extensions: Extensions::default(),
    }
}

/// Says words.
pub(in crate::channel) fn text(words: &str) -> Saying {
    Saying::Text { text: Text::new(words.to_owned()).unwrap(), reply_to: None, mentions: Vec::new() }
}

/// Says words with everything that an event can hold.
pub(in crate::channel) fn full(words: &str) -> Event {
    let extension = proto_extension(300, false);
    Event {
        sequence: 300,
        previous: Some(MessageHash::from_bytes([2; 32])),
        heads: vec![OpId::from_bytes([1; 32]), OpId::from_bytes([3; 32])],
        expires_after_ms: Some(60_000),
        saying: Saying::Text {
            text: Text::new(words.to_owned()).unwrap(),
            reply_to: Some(ID),
            mentions: vec![AccountId::from_bytes([4; 32]), AccountId::from_bytes([5; 32])],
        },
        extensions: Extensions::from_wire(vec![extension], &[]).unwrap(),
        ..first(text("x"))
    }
}

const ID: MessageId = MessageId::from_bytes([9; 16]);

fn proto_extension(r#type: u32, critical: bool) -> crate::proto::wire::Extension {
    crate::proto::wire::Extension { r#type, critical, bytes: vec![1] }
}

fn reached(from: u64, sequence: u64, read: u64) -> Reached {
    Reached { from, sequence, read }
}

fn device(n: u32) -> DeviceId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    DeviceId::from_bytes(id)
}

fn seen(devices: u32) -> Saying {
    Saying::Seen((0..devices).map(|n| (device(n), reached(u64::MAX, u64::MAX, u64::MAX))).collect())
}

fn react(emoji: &str) -> Saying {
    Saying::React { target: ID, emoji: emoji.to_owned(), on: true }
}

fn mention(people: u8) -> Saying {
    let mentions = (0..people).map(|n| AccountId::from_bytes([n; 32])).collect();
    Saying::Text { text: Text::new("you".to_owned()).unwrap(), reply_to: None, mentions }
}

fn every_saying() -> Vec<Saying> {
    let new = Text::new("hello again".to_owned()).unwrap();
    vec![
        text("hello"),
        full("hello").saying,
        Saying::Edit { target: ID, text: new },
        Saying::Delete { target: ID },
        react("🎉"),
        Saying::React { target: ID, emoji: "👋🏽".to_owned(), on: false },
        Saying::Pin { target: ID, on: true },
        Saying::Pin { target: ID, on: false },
        Saying::Seen([(device(1), reached(1, 1, 0)), (device(2), reached(7, 300, 299))].into()),
        Saying::Unknown { kind: 7, body: Vec::new() },
        Saying::Unknown { kind: u32::MAX, body: b"hello from a later version".to_vec() },
    ]
}

/// Changes an event on the wire.
fn bent(event: &Event, bend: impl FnOnce(&mut proto::Event)) -> Result<Event, wire::Error> {
    let mut wire: proto::Event = wire::decode(&event.encode().unwrap(), limits::CONTENT_MAX).unwrap();
    bend(&mut wire);
    Event::decode(&wire::encode(&wire))
}

/// Reads a saying as an event of its kind is read.
fn read(kind: u32, body: Vec<u8>) -> Result<Saying, wire::Error> {
    bent(&first(text("x")), |e| (e.kind, e.body) = (kind, body)).map(|e| e.saying)
}

fn refused(event: &Event) -> wire::Error {
    event.encode().map(|_| ()).unwrap_err()
}

#[test]
fn every_kind_comes_back_as_it_went() {
    for saying in every_saying() {
        for event in [first(saying.clone()), Event { saying: saying.clone(), ..full("x") }] {
            assert_eq!(Event::decode(&event.encode().unwrap()), Ok(event));
        }
    }
}

#[test]
fn every_field_of_every_kind_altered_is_another_event_or_none() {
    for saying in every_saying() {
        let event = Event { saying, ..full("x") };
        for altered in every_field_altered(&event.encode().unwrap()) {
            if let Ok(other) = Event::decode(&altered.bytes) {
                assert_ne!(other, event, "{}", altered.what);
                assert_eq!(other.encode().unwrap().as_slice(), altered.bytes, "{}", altered.what);
            }
        }
        let (kind, body) = event.saying.to_wire();
        if kind >= 7 {
            continue;
        }
        for altered in every_field_altered(&body) {
            if let Ok(other) = read(kind, altered.bytes.clone()) {
                assert!(other != event.saying && other.to_wire() == (kind, altered.bytes), "{}", altered.what);
            }
        }
    }
}

#[test]
fn r_chan_11_words_reactions_mentions_and_what_was_seen_have_their_limits() {
    let fits = |saying| {
        let event = first(saying);
        event.encode().map(|bytes| assert_eq!(Event::decode(&bytes), Ok(event))).is_ok()
    };
    for less in [1, 0] {
        assert!(fits(text(&"x".repeat(limits::TEXT_MAX - less))));
        assert!(fits(react(&"x".repeat(EMOJI_MAX - less))));
        assert!(fits(mention((MENTIONS_MAX - less) as u8)));
        assert!(fits(seen((REACHED_MAX - less) as u32)));
    }
    let long = "x".repeat(limits::TEXT_MAX + 1);
    let said = wire::encode(&proto::Said { text: long.clone(), ..Default::default() });
    let edited = wire::encode(&proto::Edited { target: vec![9; 16], text: long });
    for (kind, body) in [(1, said), (2, edited)] {
        assert_eq!(read(kind, body).err(), Some(wire::Error::TooLarge { max: limits::TEXT_MAX }));
    }
    assert_eq!(refused(&first(react(&"x".repeat(EMOJI_MAX + 1)))), wire::Error::OutOfBounds);
    assert_eq!(refused(&first(react(""))), wire::Error::OutOfBounds);
    assert_eq!(refused(&first(mention(MENTIONS_MAX as u8 + 1))), wire::Error::TooMany { max: MENTIONS_MAX });
    assert_eq!(refused(&first(seen(REACHED_MAX as u32 + 1))), wire::Error::TooMany { max: REACHED_MAX });
    assert_eq!(refused(&first(seen(0))), wire::Error::OutOfBounds);
    for nothing in [reached(0, 0, 0), reached(0, 1, 0), reached(2, 1, 0), reached(1, 1, 2)] {
        assert_eq!(refused(&first(Saying::Seen([(device(1), nothing)].into()))), wire::Error::OutOfBounds);
    }
    let edited = wire::encode(&proto::Edited { target: vec![9; 16], text: String::new() });
    for (kind, empty) in [(1, Vec::new()), (2, edited)] {
        assert_eq!(read(kind, empty).err(), Some(wire::Error::OutOfBounds));
    }
}

#[test]
fn the_largest_event_of_each_kind_fits_a_frame() {
    let heads: BTreeSet<_> = (0..CHANNEL_PARENTS_MAX as u8).map(|n| OpId::from_bytes([n; 32])).collect();
    let mentions = (0..MENTIONS_MAX as u8).map(|n| AccountId::from_bytes([n; 32])).collect();
    let words = Text::new("x".repeat(limits::TEXT_MAX)).unwrap();
    for saying in [Saying::Text { text: words, reply_to: Some(ID), mentions }, seen(REACHED_MAX as u32)] {
        let event = Event { saying, heads: heads.iter().copied().collect(), sequence: u64::MAX, ..full("x") };
        let bytes = event.encode().unwrap();
        assert!(bytes.len() > 25_000 && bytes.len() <= crate::padding::CONTENT_MAX);
    }
}

#[test]
fn r_chan_9_the_first_event_names_nothing_before_it_and_every_later_one_does() {
    let (start, later) = (first(text("hi")), full("hi"));
    assert!(bent(&start, |_| ()).is_ok() && bent(&later, |_| ()).is_ok());
    assert_eq!(bent(&start, |e| e.sequence = 0), Err(wire::Error::OutOfBounds));
    assert_eq!(bent(&later, |e| e.sequence = 0), Err(wire::Error::OutOfBounds));
    assert_eq!(bent(&start, |e| e.previous = vec![2; 32]), Err(wire::Error::OutOfBounds));
    assert_eq!(bent(&start, |e| e.sequence = 2), Err(wire::Error::OutOfBounds));
    assert_eq!(bent(&later, |e| e.sequence = 1), Err(wire::Error::OutOfBounds));
    assert_eq!(bent(&later, |e| e.previous.clear()), Err(wire::Error::OutOfBounds));
    for length in [16, 31, 33] {
        assert_eq!(bent(&later, |e| e.previous = vec![2; length]), Err(wire::Error::FieldLength { expected: 32 }));
    }
    assert!(bent(&later, |e| e.sequence = u64::MAX).is_ok());
}

#[test]
fn r_chan_9_an_event_names_one_to_32_heads_in_order() {
    let heads = |n: usize| (0..n).map(|n| vec![n as u8; 32]).collect::<Vec<_>>();
    for (n, fine) in [(0, false), (1, true), (31, true), (32, true), (33, false)] {
        assert_eq!(bent(&full("hi"), |e| e.heads = heads(n)).is_ok(), fine, "{n}");
    }
    assert_eq!(bent(&full("hi"), |e| e.heads.reverse()), Err(wire::Error::NotCanonical));
    assert_eq!(bent(&full("hi"), |e| e.heads = vec![vec![1; 32]; 2]), Err(wire::Error::NotCanonical));
    for length in [0, 31, 33] {
        assert!(bent(&full("hi"), |e| e.heads = vec![vec![1; length]]).is_err(), "{length}");
    }
}

#[test]
fn r_chan_10_unknown_kinds_are_kept_as_they_came_and_zero_is_none() {
    let later = first(Saying::Unknown { kind: 77, body: b"from a later version".to_vec() });
    let bytes = later.encode().unwrap();
    let back = Event::decode(&bytes).unwrap();
    assert_eq!(back, later);
    assert_eq!(back.encode().unwrap(), bytes);
    assert_eq!(bent(&later, |e| e.kind = 0), Err(wire::Error::Unknown(0)));
    assert_eq!(bent(&later, |e| e.version = 2), Err(wire::Error::Unknown(2)));
    // A known kind cannot be smuggled through as an unknown one.
    for saying in every_saying() {
        let (kind, body) = saying.to_wire();
        if kind < 7 {
            assert_eq!(refused(&first(Saying::Unknown { kind, body })), wire::Error::NotCanonical);
        }
    }
}

#[test]
fn r_chan_10_an_unknown_critical_extension_refuses_the_event_and_another_is_kept() {
    let with = |critical| bent(&first(text("hi")), |e| e.extensions = vec![proto_extension(9, critical)]);
    assert_eq!(with(true), Err(wire::Error::UnknownCritical(9)));
    let kept = with(false).unwrap();
    assert_eq!(kept.extensions.get(9), Some([1].as_slice()));
    assert_eq!(Event::decode(&kept.encode().unwrap()), Ok(kept));
    let twice = vec![proto_extension(9, false); 2];
    assert_eq!(bent(&first(text("hi")), |e| e.extensions = twice), Err(wire::Error::NotCanonical));
}

#[test]
fn lists_out_of_order_or_with_one_twice_are_refused() {
    let said = |mentions: &[u8]| {
        let mentions = mentions.iter().map(|n| vec![*n; 32]).collect();
        read(1, wire::encode(&proto::Said { text: "hi".into(), reply_to: Vec::new(), mentions }))
    };
    assert!(said(&[1, 2]).is_ok());
    assert_eq!(said(&[2, 1]).err(), Some(wire::Error::NotCanonical));
    assert_eq!(said(&[1, 1]).err(), Some(wire::Error::NotCanonical));
    let seen = |devices: &[u8]| {
        let one = |n: &u8| proto::Reached { device: vec![*n; 32], from: 1, sequence: 1, read: 0 };
        read(6, wire::encode(&proto::Seen { reached: devices.iter().map(one).collect() }))
    };
    assert!(seen(&[1, 2]).is_ok());
    assert_eq!(seen(&[2, 1]).err(), Some(wire::Error::NotCanonical));
    assert_eq!(seen(&[1, 1]).err(), Some(wire::Error::NotCanonical));
    // What would not come back as it went does not go.
    let never = Event { expires_after_ms: Some(0), ..first(text("hi")) };
    assert_eq!(refused(&never), wire::Error::NotCanonical);
}

#[test]
fn ids_of_other_lengths_are_refused() {
    for length in [0, 15, 17] {
        let target = vec![9; length];
        let bodies = [
            (2, wire::encode(&proto::Edited { target: target.clone(), text: "hi".into() })),
            (3, wire::encode(&proto::Deleted { target: target.clone() })),
            (4, wire::encode(&proto::Reacted { target: target.clone(), emoji: "x".into(), on: true })),
            (5, wire::encode(&proto::Pinned { target: target.clone(), on: true })),
        ];
        for (kind, body) in bodies {
            assert_eq!(read(kind, body).err(), Some(wire::Error::FieldLength { expected: 16 }), "{kind}");
        }
        let said = wire::encode(&proto::Said { text: "hi".into(), reply_to: target, mentions: Vec::new() });
        assert_eq!(read(1, said).is_ok(), length == 0, "{length}");
    }
    for length in [31, 33] {
        let mentions = vec![vec![1; length]];
        let said = wire::encode(&proto::Said { text: "hi".into(), reply_to: Vec::new(), mentions });
        let reached = vec![proto::Reached { device: vec![1; length], from: 1, sequence: 1, read: 1 }];
        for (kind, body) in [(1, said), (6, wire::encode(&proto::Seen { reached }))] {
            assert_eq!(read(kind, body).err(), Some(wire::Error::FieldLength { expected: 32 }));
        }
    }
}

#[test]
fn debug_shows_no_word_of_it() {
    for saying in every_saying() {
        let shown = format!("{:?}", first(saying));
        assert_eq!(shown, "Event(1, ..)");
    }
}
