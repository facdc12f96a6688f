//! The JSON that scripts rely on, letter by letter: fields may be added here, never renamed, removed or reordered.

use super::backend::{
    BOB, CAROL, GENERAL, Memory, channel, contact, in_channel, into_channel, invite, join, me, member, message, relay,
    stats,
};
use crate::api::Backend;
use crate::api::types::*;
use crate::{Code, UserError};
use kith_protocol::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

const ONE: &str = "aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq";
const TWO: &str = "aibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaiba";

/// Checks the text form, and that it reads back as the same.
fn golden<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T, expected: &str) {
    let value = Versioned::new(value);
    let text = serde_json::to_string(&value).unwrap();
    assert_eq!(text, expected);
    assert_eq!(serde_json::from_str::<Versioned<T>>(&text).unwrap(), value);
}

#[tokio::test]
async fn status_me_contact() {
    let device = me().device.to_string();
    golden(
        Memory::new().status().await.unwrap(),
        &format!(
            r#"{{"v":1,"ready":true,"account":"{ONE}","device":"{device}","name":"alice","peer":"12D3KooWalice","listen":["/ip4/127.0.0.1/tcp/1"],"peers":1,"transports":{{"noise":0,"quic":1}},"dht":{{"mode":"client","routing":1,"published_to":1}},"relays":[],"contacts":1,"requests":0,"channels":0,"unread":0,"outbox":0,"locked":false,"storage":"ok","version":"0.1.0","pid":7,"started_at":"1970-01-01T00:00:01.000Z"}}"#
        ),
    );
    golden(
        me(),
        &format!(
            r#"{{"v":1,"code":"kith1code","url":"kith:kith1code?a=x","account":"{ONE}","device":"{device}","name":"alice"}}"#
        ),
    );
    golden(
        contact(BOB, "bob", ContactState::NeedsKeys),
        &format!(
            r#"{{"v":1,"account":"{TWO}","name":"bob","name_given":true,"own_name":"Robert","state":"needs_keys","verified":false,"identity_changed":false,"added_at":"1970-01-01T00:00:01.000Z","last_seen":null,"devices":1,"unread":0}}"#
        ),
    );
}

#[tokio::test]
async fn message_send_why() {
    let id = message(9, "").id;
    golden(
        message(9, "\u{1b}[2J\u{202e}hi"),
        &format!(
            r#"{{"v":1,"id":"{id}","conversation":"{TWO}","from":"{ONE}","from_name":"alice","to":"{TWO}","outgoing":true,"at":"1970-01-01T00:00:02.000Z","stored_at":"1970-01-01T00:00:02.000Z","kind":"text","body":"\u001b[2J{}hi","state":"queued","delivered":0,"members":1,"error":null,"reply_to":null,"expires":null,"files":[],"channel":false,"edited":false,"pinned":false,"reactions":[],"missing":0}}"#,
            '\u{202e}'
        ),
    );
    golden(
        SendReply::from(&message(9, "")),
        &format!(r#"{{"v":1,"id":"{id}","to":"{TWO}","state":"queued","delivered":0,"members":1}}"#),
    );
    let memory = Memory::new();
    let id = memory.push("x").id;
    golden(
        memory.why(id).await.unwrap(),
        &format!(
            r#"{{"v":1,"id":"{id}","recipients":[{{"account":"{TWO}","name":"bob","device":null,"state":"queued","steps":[{{"at":"1970-01-01T00:00:03.000Z","what":"queued","where":"here"}}],"next_retry":"1970-01-01T00:00:03.000Z","error":"keys not found yet"}}]}}"#
        ),
    );
}

#[tokio::test]
async fn channels_and_who_is_in_them() {
    let (id, four) = (GENERAL.to_string(), CAROL.to_string());
    golden(
        channel(GENERAL, "general"),
        &format!(
            r#"{{"v":1,"id":"{id}","name":"general","topic":"what is new","state":"joined","mode":"open","members":3,"roles":["owner"],"permissions":["send"],"unread":4,"muted":false,"removal":null,"creator":"{ONE}","retention_days":30,"expires_after_ms":0,"state_hash":"00ff","ops":9,"gate":"rekey_first","requests":1,"missing":0,"relays":[]}}"#
        ),
    );
    golden(
        in_channel(CAROL, "carol"),
        &format!(
            r#"{{"v":1,"account":"{four}","name":"carol","roles":["member"],"creator":false,"me":false,"devices":1,"muted":false,"caught":[]}}"#
        ),
    );
    golden(
        Memory::new().roles(GENERAL).await.unwrap().remove(0),
        r#"{"v":1,"name":"helper","builtin":false,"inherits":["reader"],"allow":["send"],"deny":["pin"]}"#,
    );
    golden(
        into_channel(),
        &format!(
            r#"{{"v":1,"id":"aabbccdd","code":"kith1invite","url":"kith:kith1invite?a=x","expires":"1970-01-01T00:00:04.000Z","uses":25,"used":2,"role":"member","approval":false,"history":{{"days":30}},"by":"{ONE}"}}"#
        ),
    );
    golden(
        join(7, JoinState::Preview),
        &format!(
            r#"{{"v":1,"id":7,"state":"preview","channel":"{id}","name":"general","inviter":"bob","members":3,"role":"member","history":"none","expires":"1970-01-01T00:00:04.000Z","error":null}}"#
        ),
    );
    golden(
        Memory::new().join_requests(GENERAL).await.unwrap().remove(0),
        &format!(r#"{{"v":1,"account":"{four}","name":"carol","role":"member","at":"1970-01-01T00:00:03.000Z"}}"#),
    );
}

#[test]
fn events_and_changes_of_channels() {
    let (id, four, at) = (GENERAL.to_string(), CAROL.to_string(), Time(Timestamp::from_millis(0)));
    let came = MemberEvent { channel: GENERAL, account: CAROL, name: "carol".into(), joined: true, at };
    golden(
        Event { kind: EventKind::Member(came), cursor: 6 },
        &format!(
            r#"{{"v":1,"event":"member","channel":"{id}","account":"{four}","name":"carol","joined":true,"at":"1970-01-01T00:00:00.000Z","cursor":6}}"#
        ),
    );
    for kind in [EventKind::Channel(channel(GENERAL, "x")), EventKind::Join(join(1, JoinState::Waiting))] {
        let event = Versioned::new(Event { kind, cursor: 1 });
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Versioned<Event>>(&text).unwrap(), event, "{text}");
    }
    use ChannelMode::{Announce, Archive, Open, Private};
    let modes: Vec<_> = [Open, Private, Announce, Archive].iter().map(|m| serde_json::to_value(m).unwrap()).collect();
    assert_eq!(modes, ["open", "private", "announce", "archive"]);
    for (change, text) in [
        (ChannelChange::Name("n".into()), r#"{"name":"n"}"#),
        (ChannelChange::Topic("t".into()), r#"{"topic":"t"}"#),
        (ChannelChange::Mode(Private), r#"{"mode":"private"}"#),
        (ChannelChange::RetentionDays(30), r#"{"retention_days":30}"#),
        (ChannelChange::ExpireAfterMs(0), r#"{"expire_after_ms":0}"#),
        (ChannelChange::Muted(true), r#"{"muted":true}"#),
    ] {
        assert_eq!(serde_json::to_string(&change).unwrap(), text);
        assert_eq!(serde_json::from_str::<ChannelChange>(text).unwrap(), change);
    }
}

#[test]
fn relays_and_what_their_operators_see() {
    golden(
        RelayAdded { relay: relay("r"), changed: true },
        r#"{"v":1,"relay":"r","peer":"12D3KooWrelay","name":"corner","state":"ready","detail":null,"added_at":"1970-01-01T00:00:01.000Z","last_answer":null,"envelopes":1,"envelopes_max":2,"bytes":3,"bytes_max":4,"prekeys":5,"broken":0,"changed":true}"#,
    );
    golden(
        RelayStatus { relay: "r".into(), peer: "p".into(), name: "n".into(), state: RelayState::WrongKey },
        r#"{"v":1,"relay":"r","peer":"p","name":"n","state":"wrong_key"}"#,
    );
    golden(
        RelayCard { card: "c".into(), url: "u".into(), relay: "r".into(), name: "n".into(), open: false },
        r#"{"v":1,"card":"c","url":"u","relay":"r","name":"n","open":false}"#,
    );
    golden(
        invite("00112233aa"),
        r#"{"v":1,"id":"00112233aa","card":null,"url":null,"uses":2,"expires":"1970-01-01T00:00:04.000Z"}"#,
    );
    let member = member(1);
    let mailbox = &member.mailbox;
    golden(
        member.clone(),
        &format!(
            r#"{{"v":1,"mailbox":"{mailbox}","registered":true,"since":"1970-01-01T00:00:01.000Z","envelopes":1,"bytes":2,"envelopes_max":null,"bytes_max":null,"allowed":false,"blocked":false,"prekeys":3}}"#
        ),
    );
    golden(
        stats(),
        r#"{"v":1,"name":"corner","open":true,"mailboxes":1,"envelopes":2,"bytes":3,"kept_bytes":4,"owners":5,"deposits":6,"refused":{"full":7},"collected":8,"swept":9,"storage_errors":10,"storage_ok":true,"clock":null,"uptime_s":11}"#,
    );
    let states: Vec<_> = [RelayState::New, RelayState::Unreachable, RelayState::Refused, RelayState::Leaving]
        .map(|state| serde_json::to_value(state).unwrap())
        .to_vec();
    assert_eq!(states, ["new", "unreachable", "refused", "leaving"]);
}

#[test]
fn events_carry_their_kind_their_fields_and_a_cursor() {
    let at = Time(Timestamp::from_millis(0));
    let id = message(9, "").id;
    golden(
        Event {
            kind: EventKind::Receipt(Receipt {
                id,
                to: BOB,
                state: DeliveryState::Delivered,
                delivered: 1,
                members: 1,
                at,
                error: None,
            }),
            cursor: 4,
        },
        &format!(
            r#"{{"v":1,"event":"receipt","id":"{id}","to":"{TWO}","state":"delivered","delivered":1,"members":1,"at":"1970-01-01T00:00:00.000Z","error":null,"cursor":4}}"#
        ),
    );
    golden(
        Event {
            kind: EventKind::Alert(Alert { code: "clock_off".into(), message: "m".into(), hint: "h".into(), at }),
            cursor: 5,
        },
        r#"{"v":1,"event":"alert","code":"clock_off","message":"m","hint":"h","at":"1970-01-01T00:00:00.000Z","cursor":5}"#,
    );
    for kind in [
        EventKind::Message(message(1, "hi")),
        EventKind::Contact(contact(BOB, "bob", ContactState::Connected)),
        EventKind::Request(contact(BOB, "bob", ContactState::Request)),
        EventKind::State(Progress { state: "ready".into() }),
    ] {
        let event = Versioned::new(Event { kind, cursor: u64::MAX });
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Versioned<Event>>(&text).unwrap(), event);
    }
}

#[test]
fn an_event_of_a_newer_daemon_is_unknown_and_keeps_its_cursor() {
    let text = r#"{"v":1,"event":"call","from":"x","cursor":7}"#;
    let event = serde_json::from_str::<Versioned<Event>>(text).unwrap().body;
    assert_eq!((event.kind, event.cursor), (EventKind::Unknown, 7));
}

#[test]
fn fields_of_a_newer_daemon_are_ignored() {
    let text = r#"{"v":1,"changed":true,"color":"red"}"#;
    assert_eq!(serde_json::from_str::<Versioned<Done>>(text).unwrap().body, Done { changed: true });
}

#[test]
fn errors_leave_out_what_they_do_not_have() {
    let plain = ErrorBody::new(UserError::new(Code::DaemonUnreachable, "m").hint("kith run"));
    assert_eq!(
        serde_json::to_string(&plain).unwrap(),
        r#"{"v":1,"error":{"code":"daemon_unreachable","message":"m","hint":"kith run"}}"#
    );
    let full = ErrorBody::new(UserError::new(Code::Ambiguous, "m").retry_after(5).candidates(vec!["a".into()]));
    assert_eq!(
        serde_json::to_string(&full).unwrap(),
        r#"{"v":1,"error":{"code":"ambiguous","message":"m","hint":"","retry_after_ms":5,"candidates":["a"]}}"#
    );
}

#[test]
fn delivery_states_have_the_words_of_the_contract() {
    use DeliveryState::{Delivered, Failed, Queued, Read, Sent, Stored};
    let words: Vec<_> =
        [Queued, Sent, Stored, Delivered, Read, Failed].iter().map(|s| serde_json::to_value(s).unwrap()).collect();
    assert_eq!(words, ["queued", "sent", "stored", "delivered", "read", "failed"]);
}
