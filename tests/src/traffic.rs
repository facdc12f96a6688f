//! Texts that never pause: written through the restarts of one daemon, followed through those of the other.
//! Must not know who is killed, nor when.

use crate::process::eventually;
use kith_node::{
    Client,
    api::types::{EventKind, SendRequest},
};
use kith_protocol::{AccountId, MessageId};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::MissedTickBehavior};

/// What happens in one direction.
#[derive(Debug, Default)]
pub struct Direction {
    /// Acknowledged by the writer's daemon: text by id.
    pub promised: Mutex<BTreeMap<MessageId, String>>,
    /// How many of them there are.
    pub acknowledged: AtomicU64,
    /// Told by the reader's event stream, in order.
    pub told: Mutex<Vec<MessageId>>,
    /// Wakes whoever waits for the next text told.
    pub next: Notify,
}

/// Writes until asked to stop; a text whose acknowledgement is missing is sent again under the same key, until there is one.
pub async fn write(
    from: Client,
    to: AccountId,
    writer: u64,
    pace: Duration,
    way: Arc<Direction>,
    stop: Arc<AtomicBool>,
) {
    let mut pace = tokio::time::interval(pace);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 0_u64.. {
        pace.tick().await;
        if stop.load(SeqCst) {
            return;
        }
        let body = format!("writer {writer} message {n}");
        let request = SendRequest { to: to.to_string(), body, ..SendRequest::default() };
        let key = format!("{to}-{writer}-{n}").chars().rev().take(64).collect::<String>();
        let sent =
            eventually("a text is acknowledged", || async { from.send_with_key(&request, &key).await.ok() }).await;
        let again = way.promised.lock().unwrap().insert(sent.id, request.body);
        assert!(again.is_none(), "one id for two messages");
        way.acknowledged.fetch_add(1, SeqCst);
    }
}

/// Follows the reader's events through every restart of its daemon.
pub async fn follow(at: Client, way: Arc<Direction>) {
    let mut events = eventually("events", || async { at.events(Some(0)).await.ok() }).await;
    let mut cursor = 0;
    loop {
        let event = events.next().await.unwrap();
        assert!(event.cursor > cursor, "the cursor goes up");
        cursor = event.cursor;
        if let EventKind::Message(message) = event.kind
            && !message.outgoing
        {
            way.told.lock().unwrap().push(message.id);
            way.next.notify_waiters();
        }
    }
}
