//! The client against a daemon that goes away and comes back.

use super::backend::{BOB, Daemon, ME};
use crate::api::types::{ContactState, Conversation, DeliveryState, EventKind, SendRequest};
use crate::api::{Client, ReadRequest};
use crate::app::command::Command;
use crate::{Code, UserError};
use kith_protocol::limits;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

fn hi() -> SendRequest {
    SendRequest { to: "@bob".into(), body: "hi".into(), expires_after_ms: Some(60_000), reply_to: None }
}

#[tokio::test]
async fn every_typed_method_reaches_its_route() {
    let daemon = Daemon::start();
    let client = daemon.client();
    assert_eq!(client.status().await.unwrap().account, ME);
    assert_eq!(client.me().await.unwrap().code, "kith1code");
    assert_eq!(client.set_name("alice").await.unwrap().name, "alice");
    client.rotate().await.unwrap();
    assert_eq!(client.contacts(None).await.unwrap().len(), 1);
    assert_eq!(client.contacts(Some(ContactState::Request)).await.unwrap().len(), 0);
    assert_eq!(client.contact("@bob").await.unwrap().account, BOB);
    client.add_contact("kith1code", Some("bob")).await.unwrap();
    client.accept_contact(&BOB.to_string()).await.unwrap();
    assert!(!client.verify_contact("@bob", None).await.unwrap().verified);
    assert!(client.verify_contact("@bob", Some("12345")).await.unwrap().verified);
    client.rename_contact("@bob", " Bobby ").await.unwrap();
    client.block_contact("@bob").await.unwrap();
    client.unblock_contact("@bob").await.unwrap();
    client.reset_session("@bob").await.unwrap();
    let sent = client.send(&hi()).await.unwrap();
    assert_eq!((sent.state, sent.members), (DeliveryState::Queued, 1));
    let read = ReadRequest { with: "@bob".into(), before: Some(sent.id), limit: Some(7), ..ReadRequest::default() };
    assert_eq!(client.read(&read).await.unwrap()[0].body, "hi");
    assert_eq!(client.message(&sent.id.to_string()[..6]).await.unwrap().id, sent.id);
    assert_eq!(client.why(&sent.id.to_string()).await.unwrap().recipients[0].account, BOB);
    client.search("two words", Some("@bob"), Some(3)).await.unwrap();
    client.search("50%?&", None, None).await.unwrap();
    let searches = daemon.memory.state.lock().unwrap().searches.clone();
    let bob = Some(Conversation::Person(BOB));
    assert_eq!(searches, [("two words".to_owned(), bob, 3), ("50%?&".to_owned(), None, 50)]);
    client.mark_read("@bob", Some(sent.id)).await.unwrap();
    assert!(client.outbox().await.unwrap().is_empty());
    client.retry(None).await.unwrap();
    client.cancel(&sent.id.to_string()).await.unwrap();
    assert_eq!(client.peers().await.unwrap().len(), 2);
    assert_eq!(client.ping("111111").await.unwrap().peer, "12D3KooWaaaaaa111111");
    client.ban("111111").await.unwrap();
    client.unban("111111").await.unwrap();
    assert_eq!(client.config().await.unwrap().path, "/config.toml");
    assert_eq!(client.doctor().await.unwrap()[0].name, "clock");
    client.remove_contact("@bob").await.unwrap();
    client.stop().await.unwrap();

    let state = daemon.memory.state.lock().unwrap();
    assert!(state.stopped);
    assert_eq!((state.queries[0].before, state.queries[0].limit), (Some(sent.id), 7));
    let peer = "12D3KooWaaaaaa111111".to_owned();
    for expected in [
        Command::SetName { name: "alice".into() },
        Command::RotateReach,
        Command::ContactAdd { code_or_link: "kith1code".into(), name: Some("bob".into()) },
        Command::ContactAccept { account: BOB },
        Command::ContactRename { account: BOB, name: "Bobby".into() },
        Command::ContactBlock { account: BOB },
        Command::ContactUnblock { account: BOB },
        Command::SessionReset { account: BOB },
        Command::Send { to: BOB, body: "hi".into(), expires_after_ms: Some(60_000) },
        Command::MarkRead { conversation: BOB.into(), up_to: Some(sent.id) },
        Command::OutboxRetry { message: None },
        Command::OutboxCancel { message: sent.id },
        Command::PeerBan { peer: peer.clone() },
        Command::PeerUnban { peer },
        Command::ContactRemove { account: BOB },
    ] {
        assert!(state.commands.iter().any(|(c, key)| *c == expected && key.is_some()), "{expected:?}");
    }
}

#[tokio::test]
async fn without_a_daemon_it_says_so_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Client::new(dir.path().join("kith.sock"));
    let check = |error: UserError| assert_eq!((error.code, error.hint.as_str()), (Code::DaemonUnreachable, "kith run"));
    check(missing.status().await.unwrap_err());
    check(missing.send(&hi()).await.unwrap_err());
    check(missing.events(None).await.unwrap_err());
    // A killed daemon leaves its socket file.
    drop(UnixListener::bind(dir.path().join("kith.sock")).unwrap());
    check(missing.send(&hi()).await.unwrap_err());
}

#[tokio::test]
async fn errors_of_the_daemon_arrive_whole() {
    let daemon = Daemon::start();
    let text = "x".repeat(limits::TEXT_MAX + 1);
    assert_eq!(daemon.client().send_text("@bob", &text).await.unwrap_err().code, Code::MessageTooLong);
    let error = daemon.client().ping("12D3KooW").await.unwrap_err();
    assert_eq!((error.code, error.candidates.len()), (Code::Ambiguous, 2));
}

#[tokio::test]
async fn a_send_whose_answer_got_lost_is_repeated_under_the_same_key_and_sent_once() {
    let mut daemon = Daemon::start();
    daemon.stop().await;
    // In its place something that takes the request and dies before it answers.
    let dying = UnixListener::bind(daemon.path()).unwrap();
    let client = daemon.client();
    let sending = tokio::spawn(async move { client.send(&hi()).await });
    let (mut stream, _) = dying.accept().await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        stream.read_buf(&mut seen).await.unwrap();
    }
    let seen = String::from_utf8(seen).unwrap().to_lowercase();
    let key = seen.lines().find_map(|l| l.strip_prefix("idempotency-key: ")).unwrap().to_owned();
    drop((stream, dying));
    std::fs::remove_file(daemon.path()).unwrap();
    daemon.start_again();
    sending.await.unwrap().unwrap();
    let state = daemon.memory.state.lock().unwrap();
    assert_eq!(state.messages.len(), 1);
    assert_eq!(state.commands[0].1.as_deref(), Some(key.as_str()));
}

#[tokio::test]
async fn a_daemon_that_is_stopping_is_asked_again() {
    let daemon = Daemon::start();
    daemon.memory.state.lock().unwrap().stopping = 2;
    daemon.client().send(&hi()).await.unwrap();
    assert_eq!(daemon.memory.state.lock().unwrap().messages.len(), 1);
}

#[tokio::test]
async fn a_daemon_that_does_not_come_back_is_a_timeout_that_says_what_is_unclear() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kith.sock");
    let dying = UnixListener::bind(&path).unwrap();
    let client = Client::new(&path).with_patience(Duration::from_millis(400));
    let sending = tokio::spawn(async move { client.send(&hi()).await });
    drop(dying.accept().await.unwrap());
    drop(dying);
    let error = sending.await.unwrap().unwrap_err();
    assert_eq!(error.code, Code::Timeout);
    assert!(error.hint.contains("kith outbox list"));
}

/// Returns the text of the next event.
async fn body(events: &mut crate::api::Events) -> String {
    match events.next().await.unwrap().kind {
        EventKind::Message(message) => message.body,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_it_broke_and_misses_nothing() {
    let mut daemon = Daemon::start();
    daemon.memory.push("before");
    let mut events = daemon.client().events(None).await.unwrap();
    daemon.memory.push("one");
    assert_eq!(body(&mut events).await, "one");
    daemon.stop().await;
    daemon.memory.push("while it was away");
    daemon.start_again();
    daemon.memory.push("after");
    assert_eq!(body(&mut events).await, "while it was away");
    assert_eq!(body(&mut events).await, "after");
    assert_eq!(events.cursor(), 4);
    let mut again = daemon.client().events(Some(1)).await.unwrap();
    assert_eq!(body(&mut again).await, "one");
}

#[tokio::test]
async fn a_stream_cut_in_the_middle_of_a_line_repeats_that_line_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kith.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let line = |state: &str, cursor: u64| {
        format!("{{\"v\":1,\"event\":\"state\",\"state\":\"{state}\",\"cursor\":{cursor}}}\n")
    };
    let first = format!("{}\n{}{}", line("listening", 0), line("a", 1), &line("b", 2)[..20]);
    let second = format!("{}{}", line("listening", 1), line("b", 2));
    let server = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in [first, second] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut head).await.unwrap();
            }
            asked.push(String::from_utf8(head).unwrap().lines().next().unwrap().to_owned());
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
            stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
        }
        asked
    });
    let mut events = Client::new(&path).events(None).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        match events.next().await.unwrap().kind {
            EventKind::State(progress) => seen.push(progress.state),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["a", "b"]);
    assert_eq!(server.await.unwrap(), ["GET /v1/events HTTP/1.1", "GET /v1/events?after=1 HTTP/1.1"]);
}

#[tokio::test]
async fn stopping_ends_streams_instead_of_waiting_for_them() {
    let mut daemon = Daemon::start();
    let client = daemon.client().with_patience(Duration::from_millis(100));
    let mut events = client.events(None).await.unwrap();
    daemon.stop().await;
    assert_eq!(events.next().await.unwrap_err().code, Code::DaemonUnreachable);
}
