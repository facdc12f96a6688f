//! `/v1/messages`: send, read, why.

use super::Shared;
use crate::api::backend::{Backend, MessageQuery};
use crate::api::error::{Code, UserError};
use crate::api::extract::{Answer, Body, IdempotencyKey, ListAnswer, Params, Segment, list, one};
use crate::api::target;
use crate::api::types::{
    Done, ErrorBody, Items, MarkRead, Message, SendReply, SendRequest, Time, Versioned, Why, text,
};
use crate::app::command::Command;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use kith_protocol::{MessageId, limits};
use serde::Deserialize;
use utoipa::IntoParams;

/// How many messages are read when no number is given.
const LIMIT_DEFAULT: usize = 50;

/// How many messages are read at most at once; older ones by `before`.
const LIMIT_MAX: usize = 1000;

/// After how many milliseconds a message may disappear: a second to a year.
const EXPIRY_MS: std::ops::RangeInclusive<u64> = 1_000..=365 * 86_400_000;

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/messages", get(read::<B>).post(send::<B>))
        .route("/v1/messages/read", post(mark_read::<B>))
        .route("/v1/messages/{id}", get(show::<B>))
        .route("/v1/messages/{id}/why", get(why::<B>))
}

/// Queues a message. Repeat it with the same key when the answer got lost: it is sent once.
#[utoipa::path(post, path = "/v1/messages", request_body = SendRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters")),
    responses((status = 200, body = Versioned<SendReply>), (status = "default", body = ErrorBody)))]
pub(super) async fn send<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<SendRequest>,
) -> Answer<SendReply> {
    check_text(&request.body)?;
    if let Some(ms) = request.expires_after_ms {
        check_expiry(ms)?;
    }
    let to = shared.account(&request.to).await?;
    let command = Command::Send { to, body: request.body, expires_after_ms: request.expires_after_ms };
    one(shared.backend.command(command, key).await?.sent()?)
}

/// Refuses a time after which nothing could have been read, or after which nobody remembers.
///
/// # Errors
/// `usage`.
pub fn check_expiry(ms: u64) -> Result<(), UserError> {
    if EXPIRY_MS.contains(&ms) {
        return Ok(());
    }
    Err(UserError::new(Code::Usage, "a message disappears after 1 second to 365 days").hint("--expire 1d"))
}

/// Refuses a text that cannot be a message.
///
/// # Errors
/// `empty_message`, `message_too_long`.
pub fn check_text(text: &str) -> Result<(), UserError> {
    if text.trim().is_empty() {
        return Err(UserError::new(Code::EmptyMessage, "the message is empty").hint("kith send @NAME 'some text'"));
    }
    if text.len() > limits::TEXT_MAX {
        return Err(UserError::new(
            Code::MessageTooLong,
            format!("the message has {} bytes, at most {} are possible", text.len(), limits::TEXT_MAX),
        )
        .hint("send it in parts"));
    }
    Ok(())
}

/// Which messages to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadParams {
    /// Whose conversation: `@name`, an id, or a prefix.
    with: String,
    /// Only messages before this one.
    #[serde(default, with = "text::option")]
    #[param(value_type = Option<String>)]
    before: Option<MessageId>,
    /// Only messages stored at or after this time.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    since: Option<Time>,
    /// At most so many, 1 to 1000.
    #[serde(default)]
    limit: Option<usize>,
}

/// Reads a conversation: the newest messages that fit, oldest first.
#[utoipa::path(get, path = "/v1/messages", params(ReadParams),
    responses((status = 200, body = Items<Message>), (status = "default", body = ErrorBody)))]
pub(super) async fn read<B: Backend>(
    State(shared): State<Shared<B>>,
    Params(params): Params<ReadParams>,
) -> ListAnswer<Message> {
    let conversation = shared.account_or_removed(&params.with).await?;
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let since = params.since.map(|t| t.0);
    list(shared.backend.messages(MessageQuery { conversation, before: params.before, since, limit }).await?)
}

/// Marks messages as read.
#[utoipa::path(post, path = "/v1/messages/read", request_body = MarkRead,
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn mark_read<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<MarkRead>,
) -> Answer<Done> {
    let conversation = shared.account_or_removed(&request.conversation).await?;
    one(shared.backend.command(Command::MarkRead { conversation, up_to: request.up_to }, key).await?.done()?)
}

/// Reads one message by its id or a unique prefix of it.
#[utoipa::path(get, path = "/v1/messages/{id}", params(("id" = String, Path)),
    responses((status = 200, body = Versioned<Message>), (status = "default", body = ErrorBody)))]
pub(super) async fn show<B: Backend>(State(shared): State<Shared<B>>, Segment(id): Segment) -> Answer<Message> {
    let id = shared.message_id(&id).await?;
    one(shared.backend.message(id).await?)
}

/// Tells how far a message got on each device, step by step.
#[utoipa::path(get, path = "/v1/messages/{id}/why", params(("id" = String, Path)),
    responses((status = 200, body = Versioned<Why>), (status = "default", body = ErrorBody)))]
pub(super) async fn why<B: Backend>(State(shared): State<Shared<B>>, Segment(id): Segment) -> Answer<Why> {
    let id = shared.message_id(&id).await?;
    one(shared.backend.why(id).await?)
}

impl<B: Backend> Shared<B> {
    /// Finds the message meant by an id or a unique prefix of one.
    pub(super) async fn message_id(&self, text: &str) -> Result<MessageId, UserError> {
        let prefix = target::id_prefix(text)?;
        if let Ok(whole) = prefix.parse() {
            return Ok(whole);
        }
        let found = self.backend.find_messages(prefix.clone()).await?;
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(UserError::new(Code::MessageUnknown, format!("no message's id begins with {prefix}"))
                .hint("kith read @NAME --json shows ids")),
            several => Err(UserError::new(Code::Ambiguous, format!("{} messages fit", several.len()))
                .hint("name one of the candidates by its whole id")
                .candidates(several.iter().map(ToString::to_string).collect())),
        }
    }
}
