//! The stream of events that local clients follow by cursor.

use super::{
    App,
    work::{Halt, Work},
};
use crate::api::types::{self, EventKind};
use kith_protocol::Timestamp;
use kith_store::{
    Range, Rows,
    table::{Counters, Event},
};

/// How many events are kept: a client that was away longer reads the conversations instead.
const EVENTS_KEPT: u64 = 20_000;

impl App {
    /// Adds an event; returns its cursor.
    pub(super) fn emit(&self, w: &mut Work<'_>, kind: EventKind) -> Result<u64, Halt> {
        let mut counters = w.counters()?;
        // A client that was ahead of a profile put back goes on from where it was.
        counters.event = (counters.event + 1).max(w.now.as_millis());
        counters.events += 1;
        while counters.events > EVENTS_KEPT {
            // The oldest event kept is a gap that stands where the newest dropped one stood: who comes from before it is
            // told, who comes from after it misses nothing.
            let oldest = w.rows().rows::<Event>(Event::GROUP, &Range::all(), 2)?;
            let [first, second] = oldest.as_slice() else { break };
            w.delete::<Event>(&Event::key_of(first.cursor))?;
            let gap = types::Event { kind: EventKind::Gap(types::Gap { at: second.at.into() }), cursor: second.cursor };
            w.put(&Event { json: serde_json::to_vec(&gap).unwrap_or_default(), ..second.clone() })?;
            counters.events -= 1;
        }
        let cursor = counters.event;
        w.put(&counters)?;
        let json = serde_json::to_vec(&types::Event { kind, cursor }).unwrap_or_default();
        w.put(&Event { cursor, at: w.now, json })?;
        w.effects().newest_event = Some(cursor);
        Ok(cursor)
    }

    /// Takes an event out of the stream, because what it shows has vanished.
    pub(super) fn forget_event(&self, w: &mut Work<'_>, cursor: u64) -> Result<(), Halt> {
        let kept = w.get::<Event>(&Event::key_of(cursor))?;
        let kind = kept.and_then(|event| serde_json::from_slice::<types::Event>(&event.json).ok()).map(|e| e.kind);
        if kind.is_some_and(|kind| !matches!(kind, EventKind::Gap(_))) {
            let mut counters = w.counters()?;
            counters.events = counters.events.saturating_sub(1);
            w.put(&counters)?;
            w.delete::<Event>(&Event::key_of(cursor))?;
        }
        Ok(())
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
