//! What a client may not do, and what it is told.

use super::backend::{BOB, Daemon, ME, contact};
use crate::UserError;
use crate::api::types::{ContactState, ErrorBody};
use crate::app::command::Command;
use kith_protocol::limits;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Sends bytes as they are and returns status and body.
async fn raw(path: &Path, request: &[u8]) -> (u16, String) {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn ask(path: &Path, method: &str, route: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let mut request = format!(
        "{method} {route} HTTP/1.1\r\nhost: kith\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    raw(path, &request).await
}

fn error(body: &str) -> UserError {
    assert!(body.starts_with(r#"{"v":1,"error":{"code":"#), "{body}");
    serde_json::from_str::<ErrorBody>(body).unwrap().error
}

/// Method, route, headers, body; status and code of the answer.
type Case<'a> = (&'a str, &'a str, &'a str, &'a [u8], u16, &'a str);

#[tokio::test]
async fn requests_that_do_not_fit_are_refused_with_a_code_and_change_nothing() {
    let daemon = Daemon::start();
    let long = serde_json::json!({"to": "@bob", "body": "x".repeat(limits::TEXT_MAX + 1)}).to_string();
    let cases: &[Case] = &[
        ("POST", "/v1/messages", "", br#"{"to":"@bob","body":"hi","color":"red"}"#, 400, "usage"),
        ("POST", "/v1/messages", "", br#"{"to":"@bob"}"#, 400, "usage"),
        ("POST", "/v1/messages", "", b"{", 400, "usage"),
        ("POST", "/v1/messages", "", b"{\"to\":\"@bob\",\"body\":\"\xff\"}", 400, "invalid_utf8"),
        ("POST", "/v1/messages", "", br#"{"to":"@bob","body":" \n"}"#, 400, "empty_message"),
        ("POST", "/v1/messages", "", long.as_bytes(), 413, "message_too_long"),
        ("POST", "/v1/messages", "", br#"{"to":"@nobody","body":"hi"}"#, 404, "contact_unknown"),
        ("POST", "/v1/messages", "", br##"{"to":"#nowhere","body":"hi"}"##, 404, "channel_unknown"),
        ("POST", "/v1/messages", "", br#"{"to":"@bob","body":"hi","reply_to":"abcdef"}"#, 400, "usage"),
        ("POST", "/v1/messages", "", br##"{"to":"#general","body":"hi","reply_to":"zzzzzz"}"##, 404, "message_unknown"),
        ("GET", "/v1/messages/search?query=%20", "", b"", 400, "usage"),
        ("GET", "/v1/messages/search?query=a&with=@nobody", "", b"", 404, "contact_unknown"),
        ("PATCH", "/v1/messages/zzzzzz", "", br#"{"body":""}"#, 400, "empty_message"),
        ("PATCH", "/v1/messages/zzzzzz", "", br#"{"body":"x"}"#, 404, "message_unknown"),
        ("DELETE", "/v1/messages/zzzzzz", "", b"", 400, "usage"),
        ("POST", "/v1/messages/zzzzzz/reactions", "", br#"{"emoji":" ","on":true}"#, 400, "usage"),
        ("POST", "/v1/channels", "", br#"{"name":"a  b"}"#, 400, "bad_name"),
        ("POST", "/v1/channels", "", "{\"name\":\"a\u{202e}b\"}".as_bytes(), 400, "bad_name"),
        ("GET", "/v1/channels/general", "", b"", 404, "channel_unknown"),
        ("GET", "/v1/channels/@bob", "", b"", 400, "bad_target"),
        ("PATCH", "/v1/channels/%23general", "", b"{}", 400, "usage"),
        ("PATCH", "/v1/channels/%23general", "", br#"{"color":"red"}"#, 400, "usage"),
        ("PATCH", "/v1/channels/%23general", "", br#"{"mode":"secret"}"#, 400, "usage"),
        ("PATCH", "/v1/channels/%23general", "", br#"{"expire_after_ms":5}"#, 400, "usage"),
        ("PATCH", "/v1/channels/%23general", "", br#"{"topic":"a\nb"}"#, 400, "usage"),
        ("DELETE", "/v1/channels/%23nowhere", "", b"", 404, "channel_unknown"),
        ("GET", "/v1/channels/%23general/members/@bob", "", b"", 405, "method_not_allowed"),
        ("DELETE", "/v1/channels/%23general/members/@nobody", "", b"", 404, "member_unknown"),
        ("DELETE", "/v1/channels/%23general/members/@bob?ban=true", "", b"", 400, "usage"),
        ("DELETE", "/v1/channels/%ff/members/@bob", "", b"", 400, "invalid_utf8"),
        ("DELETE", "/v1/channels/%23general/members/@carol/ban", "", b"", 404, "contact_unknown"),
        ("POST", "/v1/channels/%23general/members/@bob/role", "", br#"{"role":"","give":true}"#, 400, "bad_name"),
        (
            "POST",
            "/v1/channels/%23general/members/@bob/role",
            "",
            br#"{"role":"admin","give":false,"for_ms":9000}"#,
            400,
            "usage",
        ),
        ("POST", "/v1/channels/%23general/members/@bob/mute", "", br#"{"on":true,"for_ms":5}"#, 400, "usage"),
        ("POST", "/v1/channels/%23general/requests/@bob", "", br#"{"admit":true}"#, 404, "member_unknown"),
        ("POST", "/v1/channels/%23general/roles", "", br#"{"name":"x","allow":["everything"]}"#, 400, "usage"),
        ("POST", "/v1/channels/%23general/roles", "", br#"{"name":"x","inherits":["a\u0007"]}"#, 400, "bad_name"),
        ("POST", "/v1/channels/%23general/roles", "", br#"{"name":"x","minutes":[0,1441]}"#, 400, "usage"),
        (
            "POST",
            "/v1/channels/%23general/invites",
            "",
            br#"{"uses":0,"expires_after_ms":60000,"role":"member"}"#,
            400,
            "usage",
        ),
        (
            "POST",
            "/v1/channels/%23general/invites",
            "",
            br#"{"uses":1,"expires_after_ms":1,"role":"member"}"#,
            400,
            "usage",
        ),
        ("DELETE", "/v1/channels/%23general/invites/x", "", b"", 400, "bad_target"),
        ("POST", "/v1/joins", "", br#"{"code":"hello"}"#, 400, "code_typo"),
        ("GET", "/v1/joins/8", "", b"", 404, "join_unknown"),
        ("DELETE", "/v1/joins/-1", "", b"", 404, "join_unknown"),
        ("POST", "/v1/messages", "", br#"{"to":"bob","body":"hi"}"#, 400, "bad_target"),
        ("POST", "/v1/messages", "idempotency-key: \r\n", br#"{"to":"@bob","body":"hi"}"#, 400, "usage"),
        ("POST", "/v1/messages", "idempotency-key: \x01\r\n", b"", 400, ""),
        ("POST", "/v1/contacts/@bob/rename", "", br#"{"name":"  "}"#, 400, "bad_name"),
        ("POST", "/v1/contacts/@bob/rename", "", "{\"name\":\"a\u{202e}b\"}".as_bytes(), 400, "bad_name"),
        ("POST", "/v1/contacts/%ff/accept", "", b"", 400, "invalid_utf8"),
        ("POST", "/v1/outbox/cancel", "", b"", 400, "usage"),
        ("POST", "/v1/outbox/cancel", "", br#"{"message":"zzzzzz"}"#, 404, "message_unknown"),
        ("POST", "/v1/peers/ban", "", br#"{"peer":"12D3KooW"}"#, 409, "ambiguous"),
        ("POST", "/v1/peers/ban", "", br#"{"peer":"zzzzzz"}"#, 404, "peer_unknown"),
        ("POST", "/v1/peers/ban", "", br#"{"peer":"../etc"}"#, 400, "bad_target"),
        ("POST", "/v1/relays", "", br#"{"card":"kith1x","name":"x"}"#, 400, "usage"),
        ("DELETE", "/v1/relays/zzzzzz", "", b"", 404, "relay_unknown"),
        ("GET", "/v1/relay", "", b"", 404, "no_relay"),
        ("POST", "/v1/relay/invites", "", br#"{"uses":-1,"expires_after_ms":1}"#, 400, "usage"),
        ("POST", "/v1/relay/members", "", br#"{"mailbox":"zzzzzz","blocked":"yes"}"#, 400, "usage"),
        ("POST", "/v1/relay/members", "", br#"{"mailbox":"zzzzzz"}"#, 404, "no_relay"),
        ("GET", "/v1/messages?with=@bob&limit=many", "", b"", 400, "usage"),
        ("GET", "/v1/messages?with=@bob&color=red", "", b"", 400, "usage"),
        ("GET", "/v1/messages", "", b"", 400, "usage"),
        ("GET", "/v1/messages/short", "", b"", 400, "bad_target"),
        ("GET", "/v1/contacts?state=friendly", "", b"", 400, "usage"),
        ("GET", "/v1/events?after=x", "", b"", 400, "usage"),
        ("PUT", "/v1/messages", "", b"", 405, "method_not_allowed"),
        ("GET", "/v1/stop", "", b"", 405, "method_not_allowed"),
        ("GET", "/v2/status", "", b"", 404, "no_such_route"),
        ("GET", "/", "", b"", 404, "no_such_route"),
    ];
    for (method, route, headers, body, status, code) in cases {
        let (got, answer) = ask(daemon.path(), method, route, headers, body).await;
        assert_eq!(got, *status, "{method} {route}: {answer}");
        if !code.is_empty() {
            let error = error(&answer);
            assert_eq!(error.code.as_str(), *code, "{method} {route}: {answer}");
            assert!(!error.message.is_empty());
        }
    }
    let state = daemon.memory.state.lock().unwrap();
    assert!(state.commands.is_empty() && !state.stopped);
}

#[tokio::test]
async fn a_body_too_large_is_refused_whether_announced_or_not() {
    let daemon = Daemon::start();
    let announced = b"POST /v1/messages HTTP/1.1\r\nhost: k\r\nconnection: close\r\ncontent-length: 10485761\r\n\r\n{";
    let (status, body) = raw(daemon.path(), announced).await;
    assert_eq!((status, error(&body).code.as_str()), (413, "body_too_large"));

    let mut stream = UnixStream::connect(daemon.path()).await.unwrap();
    let head = b"POST /v1/messages HTTP/1.1\r\nhost: k\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    for _ in 0..11 {
        // The daemon may hang up before it has read everything.
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 413 "));
    assert!(daemon.memory.state.lock().unwrap().commands.is_empty());
}

#[tokio::test]
async fn the_text_limit_itself_passes() {
    let daemon = Daemon::start();
    let body = serde_json::json!({"to": "@bob", "body": "x".repeat(limits::TEXT_MAX)}).to_string();
    let (status, answer) = ask(daemon.path(), "POST", "/v1/messages", "", body.as_bytes()).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn the_idempotency_key_reaches_the_command() {
    let daemon = Daemon::start();
    let send =
        async |body: &'static [u8]| ask(daemon.path(), "POST", "/v1/messages", "Idempotency-Key: k-1\r\n", body).await;
    let first = send(br#"{"to":"@bob","body":"hi"}"#).await;
    assert_eq!(first.0, 200);
    assert_eq!(send(br#"{"to":"@bob","body":"hi"}"#).await, first, "same key, same body, same reply");
    let (status, body) = send(br#"{"to":"@bob","body":"other"}"#).await;
    assert_eq!((status, error(&body).code.as_str()), (409, "conflict"));
    let state = daemon.memory.state.lock().unwrap();
    assert_eq!(state.messages.len(), 1);
    let expected = Command::Send { to: BOB, body: "hi".into(), expires_after_ms: None };
    assert_eq!(state.commands[0], (expected, Some("k-1".into())));
}

#[tokio::test]
async fn an_ambiguous_name_lists_the_candidates() {
    let daemon = Daemon::start();
    daemon.memory.state.lock().unwrap().contacts.push(contact(ME, "BOB", ContactState::Connected));
    let (status, body) = ask(daemon.path(), "GET", "/v1/contacts/@Bob", "", b"").await;
    let error = error(&body);
    assert_eq!((status, error.code.as_str()), (409, "ambiguous"));
    assert!(error.candidates.iter().any(|c| c.starts_with(&BOB.to_string())), "{:?}", error.candidates);
}

#[tokio::test]
async fn a_panic_in_a_handler_is_an_error_and_the_daemon_goes_on() {
    let daemon = Daemon::start();
    daemon.memory.state.lock().unwrap().broken = true;
    let (status, body) = ask(daemon.path(), "GET", "/v1/status", "", b"").await;
    assert_eq!((status, error(&body).code.as_str()), (500, "internal"));
    daemon.memory.state.lock().unwrap().broken = false;
    assert_eq!(ask(daemon.path(), "GET", "/v1/status", "", b"").await.0, 200);
}

#[tokio::test]
async fn every_described_route_exists_and_takes_its_method() {
    let daemon = Daemon::start();
    let (status, body) = ask(daemon.path(), "GET", "/openapi.json", "", b"").await;
    assert_eq!(status, 200);
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let mut seen = 0;
    for (route, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let (route, method) = (
                ["{who}", "{member}", "{id}", "{relay}", "{invite}", "{role}"]
                    .iter()
                    .fold(route.replace("{channel}", "%23general"), |r, part| r.replace(part, "zzzzzz")),
                method.to_uppercase(),
            );
            let route = if route == "/v1/events" { "/v1/events?follow=false".into() } else { route };
            let (_, answer) = ask(daemon.path(), &method, &route, "", b"").await;
            for missing in ["no_such_route", "method_not_allowed"] {
                assert!(!answer.contains(missing), "{method} {route} is described and missing");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 70, "a route was added or removed: describe it in the list of routes/node.rs");
}

#[tokio::test]
async fn the_stream_begins_with_its_cursor_and_without_follow_ends_at_the_newest() {
    let daemon = Daemon::start();
    daemon.memory.push("one");
    daemon.memory.push("two");
    let (status, body) = ask(daemon.path(), "GET", "/v1/events?after=1&follow=false", "", b"").await;
    assert_eq!(status, 200);
    // The body is chunked; the objects are on lines of their own all the same.
    let lines: Vec<&str> = body.lines().filter(|l| l.starts_with('{')).collect();
    assert_eq!(lines[0], r#"{"v":1,"event":"state","state":"listening","cursor":1}"#);
    assert!(lines[1].starts_with(r#"{"v":1,"event":"message","id":""#) && lines[1].ends_with(r#""cursor":2}"#));
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn half_a_request_does_not_keep_the_daemon_from_stopping() {
    let mut daemon = Daemon::start();
    let mut stream = UnixStream::connect(daemon.path()).await.unwrap();
    stream.write_all(b"POST /v1/messages HTTP/1.1\r\nhost: k\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    // Once another request is answered, the half one was taken too: connections are accepted in order.
    daemon.client().status().await.unwrap();
    daemon.stop().await;
    assert!(daemon.memory.state.lock().unwrap().commands.is_empty());
}
