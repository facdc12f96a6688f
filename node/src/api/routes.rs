//! The routes, one file a noun. Must not decide anything: they parse, ask the backend and wrap its answer.

mod channels;
mod contacts;
mod events;
mod invites;
mod me;
mod members;
mod messages;
mod node;
mod outbox;
mod peers;
mod relays;

use super::backend::Backend;
use super::error::{Code, UserError};
use super::extract::BODY_MAX;
use super::target;
use super::types::{
    Added, Channel, ChannelInvite, Contact, Conversation, Done, Join, Me, RelayAdded, SendReply, Verification,
};
use crate::app::command::{Command, Outcome};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use kith_protocol::{AccountId, ChannelId};
use std::any::Any;
use std::time::Duration;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

pub use channels::check_channel_name;
pub use contacts::check_name;
pub use members::{check_permission, check_role_name};
pub use messages::{check_expiry, check_query, check_reaction, check_text};
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
        .merge(channels::routes())
        .merge(contacts::routes())
        .merge(invites::routes())
        .merge(me::routes())
        .merge(members::routes())
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

    /// Runs a command about a channel. What is told of it names the channel as it is named here.
    async fn in_channel(
        &self,
        channel: ChannelId,
        command: Command,
        key: Option<String>,
    ) -> Result<Outcome, UserError> {
        match self.backend.command(command, key).await {
            Err(error) => Err(self.naming(channel, error).await),
            done => done,
        }
    }

    /// Lets a hint name the channel it is about: a command in it can be typed as it stands.
    async fn naming(&self, channel: ChannelId, error: UserError) -> UserError {
        if !error.hint.contains(target::ANY_CHANNEL) {
            return error;
        }
        let channels = self.backend.channels().await.unwrap_or_default();
        let Some(handle) = target::channel_handle(channel, &channels) else { return error };
        let hint = error.hint.replace(target::ANY_CHANNEL, &handle);
        UserError { hint, ..error }
    }

    /// Finds the conversation meant by `@name`, `#name`, an id or a prefix.
    async fn conversation(&self, text: &str) -> Result<Conversation, UserError> {
        let contacts = self.backend.contacts().await?;
        let parsed = target::Target::parse(text);
        let person = target::account(text, &contacts).map(Conversation::Person);
        let whole = target::whole_account(text).is_some() && person.is_ok();
        // Channels are read only where one can be meant: that is more work.
        if whole || matches!(parsed, Ok(target::Target::Person(_))) {
            return person;
        }
        let channels = self.backend.channels().await?;
        parsed.and_then(|target| target.conversation(&contacts, &channels)).map_err(|error| {
            let told = person.err().filter(|told| told.code == error.code).unwrap_or(error);
            target::unmarked(text, &channels, told)
        })
    }

    /// Finds the conversation meant, that with a removed contact included: what was written with them stays.
    async fn conversation_or_removed(&self, text: &str) -> Result<Conversation, UserError> {
        match self.conversation(text).await {
            Err(error) if error.code == Code::ContactUnknown => {
                self.account_or_removed(text).await.map(Conversation::Person)
            }
            found => found,
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

    fn channel(self) -> Result<Channel, UserError> {
        if let Self::Channel(channel) = self { Ok(channel) } else { Err(misfit()) }
    }

    fn invite(self) -> Result<ChannelInvite, UserError> {
        if let Self::Invite(invite) = self { Ok(invite) } else { Err(misfit()) }
    }

    fn join(self) -> Result<Join, UserError> {
        if let Self::Join(join) = self { Ok(join) } else { Err(misfit()) }
    }

    fn relay(self) -> Result<RelayAdded, UserError> {
        if let Self::Relay(relay) = self { Ok(relay) } else { Err(misfit()) }
    }

    fn done(self) -> Result<Done, UserError> {
        if let Self::Done(done) = self { Ok(done) } else { Err(misfit()) }
    }
}
