//! The routes, one file a noun. Must not decide anything: they parse, ask the backend and wrap its answer.

mod contacts;
mod events;
mod me;
mod messages;
mod node;
mod outbox;
mod peers;
mod relays;

use super::backend::Backend;
use super::error::{Code, UserError};
use super::extract::BODY_MAX;
use super::target;
use super::types::{Added, Contact, Done, Me, RelayAdded, SendReply, Verification};
use crate::app::command::Outcome;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use kith_protocol::AccountId;
use std::any::Any;
use std::time::Duration;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

pub use contacts::check_name;
pub use messages::{check_expiry, check_text};
pub use node::openapi;

/// How long a request may take before it is answered `timeout`; event streams are not bound by it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What every route has at hand.
#[derive(Clone)]
pub(crate) struct Shared<B> {
    /// Answers.
    backend: B,
    /// Becomes true when the daemon stops: streams end.
    stop: watch::Receiver<bool>,
}

/// Makes the router over a backend. Streams end when `stop` becomes true.
pub fn router<B: Backend>(backend: B, stop: watch::Receiver<bool>) -> Router {
    let answers = Router::new()
        .merge(contacts::routes())
        .merge(me::routes())
        .merge(messages::routes())
        .merge(node::routes())
        .merge(outbox::routes())
        .merge(peers::routes())
        .merge(relays::routes())
        .layer(middleware::from_fn(within_time));
    Router::new()
        .merge(answers)
        .merge(events::routes())
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(RequestBodyLimitLayer::new(BODY_MAX))
        .layer(middleware::map_response(too_large))
        .with_state(Shared { backend, stop })
}

/// Answers `timeout` instead of keeping a client waiting.
async fn within_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => UserError::new(Code::Timeout, format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()))
            .hint("kith status; a command repeated with the same idempotency key is carried out once")
            .into_response(),
    }
}

/// Turns the limit layer's bare 413 (by Content-Length, before a body is read) into an error object.
async fn too_large(response: Response) -> Response {
    let bare = response.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE
        && response.headers().get("content-type").is_none_or(|t| t.as_bytes() != b"application/json");
    if !bare {
        return response;
    }
    UserError::new(Code::BodyTooLarge, format!("the request is larger than {} MiB", BODY_MAX >> 20)).into_response()
}

async fn no_such_route() -> UserError {
    UserError::new(Code::NoSuchRoute, "no such resource").hint("GET /openapi.json lists them")
}

async fn method_not_allowed() -> UserError {
    UserError::new(Code::MethodNotAllowed, "the resource does not take this method")
        .hint("GET /openapi.json lists what it takes")
}

/// Answers for a handler that panicked; the panic itself is in the log.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    UserError::internal("the request could not be handled").into_response()
}

impl<B: Backend> Shared<B> {
    /// Finds the account of the contact meant by `@name`, an id or a prefix.
    async fn account(&self, text: &str) -> Result<AccountId, UserError> {
        target::account(text, &self.backend.contacts().await?)
    }

    /// Finds the account meant, that of a removed contact included: what was written with them stays.
    async fn account_or_removed(&self, text: &str) -> Result<AccountId, UserError> {
        let known = self.account(text).await;
        let Err(error) = &known else { return known };
        if error.code != Code::ContactUnknown {
            return known;
        }
        match target::account(text, &self.backend.removed_contacts().await?) {
            Err(removed) if removed.code != Code::Ambiguous => known,
            removed => removed,
        }
    }
}

/// Says that a command answered something that it never does.
fn misfit() -> UserError {
    UserError::internal("a command answered with the wrong kind of reply")
}

impl Outcome {
    fn sent(self) -> Result<SendReply, UserError> {
        if let Self::Sent(reply) = self { Ok(reply) } else { Err(misfit()) }
    }

    fn contact(self) -> Result<Contact, UserError> {
        if let Self::Contact(contact) = self { Ok(contact) } else { Err(misfit()) }
    }

    fn added(self) -> Result<Added, UserError> {
        if let Self::Added(added) = self { Ok(added) } else { Err(misfit()) }
    }

    fn verification(self) -> Result<Verification, UserError> {
        if let Self::Verification(v) = self { Ok(v) } else { Err(misfit()) }
    }

    fn me(self) -> Result<Me, UserError> {
        if let Self::Me(me) = self { Ok(me) } else { Err(misfit()) }
    }

    fn relay(self) -> Result<RelayAdded, UserError> {
        if let Self::Relay(relay) = self { Ok(relay) } else { Err(misfit()) }
    }

    fn done(self) -> Result<Done, UserError> {
        if let Self::Done(done) = self { Ok(done) } else { Err(misfit()) }
    }
}
