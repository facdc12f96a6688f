//! `/v1/events`: the stream of events, one JSON object a line.
//!
//! It reads from rows by cursor, so a slow client slows only itself and a client that comes back misses nothing.

use super::Shared;
use crate::api::backend::Backend;
use crate::api::error::{Code, UserError};
use crate::api::extract::Params;
use crate::api::types::{ErrorBody, Event, EventKind, EventPage, Progress, Versioned};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::stream;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;
use utoipa::IntoParams;

/// How many events are read at once.
const PAGE: usize = 256;

/// After how long without events an empty line shows that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new().route("/v1/events", get(stream::<B>))
}

/// Where a stream begins and whether it goes on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamParams {
    /// Events after this cursor; without it only what happens from now on.
    #[serde(default)]
    after: Option<u64>,
    /// Whether to wait for more (the default), or to end after the newest event.
    #[serde(default)]
    follow: Option<bool>,
}

/// Streams events, one JSON object a line (`application/x-ndjson`).
///
/// The first line is `{"v":1,"event":"state","state":"listening","cursor":N}`; empty lines show that the stream lives.
/// Reconnect with the last cursor seen: nothing is missed, nothing comes twice.
#[utoipa::path(get, path = "/v1/events", params(StreamParams),
    responses((status = 200, body = Versioned<Event>, content_type = "application/x-ndjson"),
        (status = "default", body = ErrorBody)))]
pub(super) async fn stream<B: Backend>(
    State(shared): State<Shared<B>>,
    Params(params): Params<StreamParams>,
) -> Result<Response, UserError> {
    let newest = shared.backend.newest_event().await?;
    let cursor = params.after.unwrap_or(newest);
    if cursor > newest {
        return Err(UserError::new(Code::Usage, format!("there is no event {cursor} yet: the newest is {newest}"))
            .hint("a cursor is the one of the last event seen"));
    }
    let kind = EventKind::State(Progress { state: "listening".into() });
    let hello = line(&Versioned::new(Event { kind, cursor }));
    let start = Reader { shared, cursor, follow: params.follow.unwrap_or(true), hello: Some(hello), ended: false };
    let body = Body::from_stream(stream::unfold(start, async |mut reader| {
        let chunk = reader.next().await?;
        Some((Ok::<_, Infallible>(chunk), reader))
    }));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Where one client's stream stands.
struct Reader<B> {
    shared: Shared<B>,
    cursor: u64,
    follow: bool,
    hello: Option<Bytes>,
    ended: bool,
}

impl<B: Backend> Reader<B> {
    /// Returns the next bytes to send, or none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        while !self.ended {
            match self.shared.backend.events(self.cursor, PAGE).await {
                Ok(page) if page.events.is_empty() && page.next <= self.cursor => {}
                Ok(page) => {
                    if let Some(lines) = self.page(page) {
                        return Some(lines);
                    }
                    continue;
                }
                Err(error) => {
                    self.ended = true;
                    return Some(line(&ErrorBody::new(error)));
                }
            }
            if !self.follow {
                return None;
            }
            if let Some(keep_alive) = self.wait().await {
                return Some(keep_alive);
            }
        }
        None
    }

    /// Writes a page of events and moves the cursor behind it.
    fn page(&mut self, page: EventPage) -> Option<Bytes> {
        self.cursor = self.cursor.max(page.next);
        let mut lines = Vec::new();
        for event in page.events {
            lines.extend_from_slice(&line(&Versioned::new(event)));
        }
        (!lines.is_empty()).then(|| lines.into())
    }

    /// Waits for events; returns an empty line if none came for a while, and ends the stream if the daemon stops.
    async fn wait(&mut self) -> Option<Bytes> {
        let Shared { backend, stop } = &mut self.shared;
        let keep_alive = tokio::select! {
            () = backend.wait_events(self.cursor) => None,
            // Its sender gone means the same: the daemon is going down.
            _ = stop.wait_for(|stopping| *stopping) => None,
            () = tokio::time::sleep(KEEP_ALIVE) => Some(Bytes::from_static(b"\n")),
        };
        self.ended = *stop.borrow() || stop.has_changed().is_err();
        keep_alive
    }
}

/// Writes one object as a line.
fn line<T: Serialize>(object: &T) -> Bytes {
    // Writing these types to memory cannot fail: string keys only, no fallible Serialize.
    let mut bytes = serde_json::to_vec(object).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}
