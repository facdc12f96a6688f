//! Runs the examples, so that they cannot rot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, unreachable_pub, dead_code)]

#[path = "../examples/echo_bot.rs"]
mod echo_bot;
#[path = "../examples/two_people.rs"]
mod two_people;

use kith_node::api::types::EventKind;
use std::time::Duration;

/// Far more than any step takes on a slow machine: a limit for failures, never part of what is asserted.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn two_people_hear_each_other() {
    tokio::time::timeout(PATIENCE, two_people::two_people()).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn the_echo_bot_accepts_a_stranger_and_answers_once() {
    let folder = tempfile::tempdir().unwrap();
    let (bot_daemon, bot) = two_people::person(folder.path(), "bot").await.unwrap();
    let (ana_daemon, ana) = two_people::person(folder.path(), "ana").await.unwrap();
    let running = tokio::spawn(async move { echo_bot::echo(&bot).await });

    let url = bot_daemon_url(&bot_daemon.ready.socket).await;
    ana.add_contact(&url, Some("bot")).await.unwrap();
    let mut events = ana.events(None).await.unwrap();
    let mut answers = Vec::new();
    for text in ["one", "two"] {
        ana.send_text("@bot", text).await.unwrap();
        answers.push(answer(&mut events).await);
    }
    assert_eq!(answers, ["one", "two"]);
    let request = kith_node::api::ReadRequest { with: "@bot".into(), ..Default::default() };
    let all = ana.read(&request).await.unwrap();
    assert_eq!(all.iter().filter(|m| !m.outgoing).count(), 2, "each message is answered once: {all:?}");

    assert!(!running.is_finished(), "the bot goes on");
    running.abort();
    bot_daemon.stop().await.unwrap();
    ana_daemon.stop().await.unwrap();
}

async fn bot_daemon_url(socket: &str) -> String {
    kith_node::Client::new(socket).me().await.unwrap().url
}

/// Waits for the next text that came in.
async fn answer(events: &mut kith_node::api::Events) -> String {
    let next = async {
        loop {
            match events.next().await.unwrap().kind {
                EventKind::Message(said) if !said.outgoing => return said.body,
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("an answer comes")
}
