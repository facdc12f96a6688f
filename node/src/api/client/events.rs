//! The stream of events, resumed by cursor when the daemon comes back.

use super::Client;
use super::PAUSE;
use super::connection::{self, Failure, Request};
use crate::api::error::{Code, UserError};
use crate::api::types::{ErrorBody, Event, EventKind, Versioned};
use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// Longest line of the stream in bytes: one message with its names, escaped.
const LINE_MAX: usize = 1024 * 1024;

/// Follows events; after a break it goes on behind the last one seen, so that none is missed and none comes twice.
#[derive(Debug)]
pub struct Events {
    client: Client,
    cursor: u64,
    body: Option<Incoming>,
    buffer: BytesMut,
}

impl Events {
    /// Opens the stream and waits until the daemon listens.
    pub(super) async fn open(client: Client, after: Option<u64>) -> Result<Self, UserError> {
        let body = request(&client, after).await.map_err(Failure::into_error)?;
        let mut events = Self { client, cursor: after.unwrap_or_default(), body: Some(body), buffer: BytesMut::new() };
        match events.line().await {
            Some(Ok(hello)) => events.cursor = hello.cursor,
            Some(Err(error)) => return Err(error),
            None => {
                return Err(
                    UserError::new(Code::DaemonUnreachable, "the daemon went away before it listened").hint("kith run")
                );
            }
        }
        Ok(events)
    }

    /// Returns the cursor of the last event seen: where [`Client::events`] would go on.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Returns the next event. Cancel-safe: what was read is kept.
    ///
    /// # Errors
    /// The daemon's own error, or `daemon_unreachable` if it did not come back within the client's patience; the
    /// stream may be asked again after that.
    pub async fn next(&mut self) -> Result<Event, UserError> {
        loop {
            match self.line().await {
                Some(Ok(event)) => {
                    self.cursor = self.cursor.max(event.cursor);
                    if !matches!(&event.kind, EventKind::State(s) if s.state == "listening") {
                        return Ok(event);
                    }
                }
                Some(Err(error)) if error.code != Code::Stopping => return Err(error),
                _ => self.resume().await?,
            }
        }
    }

    /// Connects again behind the last event seen.
    async fn resume(&mut self) -> Result<(), UserError> {
        self.body = None;
        self.buffer.clear();
        let again = async {
            loop {
                match request(&self.client, Some(self.cursor)).await {
                    Ok(body) => return Ok(body),
                    Err(Failure::Answered(error)) if error.code != Code::Stopping => return Err(error),
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        };
        let body = tokio::time::timeout(self.client.patience, again).await.map_err(|_| {
            UserError::new(Code::DaemonUnreachable, "the daemon went away and did not come back").hint("kith run")
        })??;
        self.body = Some(body);
        Ok(())
    }

    /// Reads one line; none if the connection is gone.
    async fn line(&mut self) -> Option<Result<Event, UserError>> {
        loop {
            while let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                if !line.is_empty() {
                    return Some(parse(&line));
                }
            }
            if self.buffer.len() > LINE_MAX {
                return Some(Err(UserError::internal("the daemon sent a line that is too long")));
            }
            let frame = self.body.as_mut()?.frame().await?.ok()?;
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
        }
    }
}

/// Asks for the stream.
async fn request(client: &Client, after: Option<u64>) -> Result<Incoming, Failure> {
    let path = match after {
        Some(after) => format!("/v1/events?after={after}"),
        None => "/v1/events".to_owned(),
    };
    let response = connection::open(&client.socket, &Request::get(&path), None).await?;
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let body = response.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    Err(Failure::Answered(connection::error_of(&body, status.as_u16())))
}

/// Reads an event or an error object.
fn parse(line: &[u8]) -> Result<Event, UserError> {
    match serde_json::from_slice::<Versioned<Event>>(line) {
        Ok(event) => Ok(event.body),
        Err(e) => match serde_json::from_slice::<ErrorBody>(line) {
            Ok(body) => Err(body.error),
            Err(_) => Err(UserError::internal(format!("the daemon sent a line that does not fit: {e}"))),
        },
    }
}
