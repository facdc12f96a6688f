//! The stream of events that local clients follow by cursor.

use super::{
    App,
    work::{Halt, Work},
};
use crate::api::types::{self, EventKind};
use kith_protocol::Timestamp;
use kith_store::table::{Counters, Event};

/// How many events are kept: a client that was away longer reads the conversations instead.
const EVENTS_KEPT: u64 = 20_000;

impl App {
    /// Adds an event; returns its cursor.
    pub(super) fn emit(&self, w: &mut Work<'_>, kind: EventKind) -> Result<u64, Halt> {
        let mut counters = w.counters()?;
        counters.event += 1;
        if counters.first_event == 0 {
            counters.first_event = 1;
        }
        while counters.event - counters.first_event >= EVENTS_KEPT {
            w.delete::<Event>(&Event::key_of(counters.first_event))?;
            counters.first_event += 1;
        }
        let cursor = counters.event;
        w.put(&counters)?;
        let json = serde_json::to_vec(&types::Event { kind, cursor }).unwrap_or_default();
        w.put(&Event { cursor, at: w.now, json })?;
        w.effects().newest_event = Some(cursor);
        Ok(cursor)
    }

    /// Adds an alert: something a person should know.
    pub(super) fn alert(&self, w: &mut Work<'_>, code: &str, message: String, hint: &str) -> Result<(), Halt> {
        let at: Timestamp = w.now;
        self.emit(w, EventKind::Alert(types::Alert { code: code.into(), message, hint: hint.into(), at: at.into() }))
            .map(drop)
    }
}

impl Work<'_> {
    /// Reads the counters.
    pub(super) fn counters(&self) -> Result<Counters, Halt> {
        Ok(self.get(&Counters::only())?.unwrap_or_default())
    }
}
