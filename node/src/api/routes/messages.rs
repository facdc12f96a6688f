//! `/v1/messages`: send, read, why; and in channels: edit, delete, react, pin.

use super::Shared;
use crate::api::backend::{Backend, MessageQuery};
use crate::api::error::{Code, UserError};
use crate::api::extract::{Answer, Body, IdempotencyKey, ListAnswer, Params, Segment, list, one};
use crate::api::target;
use crate::api::types::{
    ChannelSaying, Conversation, Done, EditMessage, ErrorBody, Items, MarkRead, Message, Pin, React, SendReply,
    SendRequest, Time, Versioned, Why, text,
};
use crate::app::command::Command;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use kith_protocol::{ChannelId, MessageId, limits};
use serde::Deserialize;
use utoipa::IntoParams;

/// How many messages are read when no number is given.
const LIMIT_DEFAULT: usize = 50;

/// How many messages are read at most at once; older ones by `before`.
const LIMIT_MAX: usize = 1000;

/// Length of the words of a search in bytes.
const QUERY_MAX: usize = 1_024;

/// After how many milliseconds a message may disappear: a second to a year.
const EXPIRY_MS: std::ops::RangeInclusive<u64> = 1_000..=365 * 86_400_000;

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/messages", get(read::<B>).post(send::<B>))
        .route("/v1/messages/read", post(mark_read::<B>))
        .route("/v1/messages/search", get(search::<B>))
        .route("/v1/messages/{id}", get(show::<B>).patch(edit::<B>).delete(delete::<B>))
        .route("/v1/messages/{id}/reactions", post(react::<B>))
        .route("/v1/messages/{id}/pin", post(pin::<B>))
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
    let (body, expires_after_ms) = (request.body, request.expires_after_ms);
    let command = match shared.conversation(&request.to).await? {
        Conversation::Person(_) if request.reply_to.is_some() => {
            return Err(UserError::new(Code::Usage, "answers to a message are given in channels only, for now")
                .hint("leave --reply out"));
        }
        Conversation::Person(to) => Command::Send { to, body, expires_after_ms },
        Conversation::Channel(channel) => {
            let reply_to = match &request.reply_to {
                Some(id) => Some(shared.message_in(channel, id).await?),
                None => None,
            };
            let saying = ChannelSaying::Text { body, reply_to };
            let command = Command::ChannelSay { channel, saying, expires_after_ms };
            return one(shared.in_channel(channel, command, key).await?.sent()?);
        }
    };
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

/// Refuses what cannot be a reaction.
///
/// # Errors
/// `usage` if it is empty, too long, or has characters that do not show.
pub fn check_reaction(emoji: &str) -> Result<String, UserError> {
    let emoji = emoji.trim();
    let hidden =
        |c: char| c.is_control() || c.is_whitespace() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if emoji.is_empty() || emoji.len() > limits::EMOJI_MAX || emoji.chars().any(hidden) {
        return Err(UserError::new(
            Code::Usage,
            format!("a reaction is an emoji, of at most {} bytes", limits::EMOJI_MAX),
        )
        .hint("kith react ID 👍"));
    }
    Ok(emoji.to_owned())
}

/// Which messages to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadParams {
    /// Which conversation: `@name`, `#name`, an id, or a prefix.
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
    let conversation = shared.conversation_or_removed(&params.with).await?;
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let since = params.since.map(|t| t.0);
    list(shared.backend.messages(MessageQuery { conversation, before: params.before, since, limit }).await?)
}

/// What to search for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchParams {
    /// Words that a text must contain, all of them, in any case.
    query: String,
    /// In which conversation: `@name`, `#name`, an id, or a prefix; in all without.
    #[serde(default)]
    with: Option<String>,
    /// At most so many, 1 to 1000.
    #[serde(default)]
    limit: Option<usize>,
}

/// Searches this device's messages: the newest texts that fit, oldest first. Nothing leaves the machine.
#[utoipa::path(get, path = "/v1/messages/search", params(SearchParams),
    responses((status = 200, body = Items<Message>), (status = "default", body = ErrorBody)))]
pub(super) async fn search<B: Backend>(
    State(shared): State<Shared<B>>,
    Params(SearchParams { query, with, limit }): Params<SearchParams>,
) -> ListAnswer<Message> {
    check_query(&query)?;
    let conversation = match with {
        Some(with) => Some(shared.conversation_or_removed(&with).await?),
        None => None,
    };
    list(shared.backend.search(query, conversation, limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)).await?)
}

/// Refuses words that cannot be searched for.
///
/// # Errors
/// `usage` if there are none or too many.
pub fn check_query(query: &str) -> Result<(), UserError> {
    if query.trim().is_empty() || query.len() > QUERY_MAX {
        let message = format!("a search is for words, of at most {QUERY_MAX} bytes together");
        return Err(UserError::new(Code::Usage, message).hint("kith search 'some words'"));
    }
    Ok(())
}

/// Marks messages as read.
#[utoipa::path(post, path = "/v1/messages/read", request_body = MarkRead,
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn mark_read<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<MarkRead>,
) -> Answer<Done> {
    let conversation = shared.conversation_or_removed(&request.conversation).await?;
    one(shared.backend.command(Command::MarkRead { conversation, up_to: request.up_to }, key).await?.done()?)
}

/// Reads one message by its id or a unique prefix of it.
#[utoipa::path(get, path = "/v1/messages/{id}", params(("id" = String, Path)),
    responses((status = 200, body = Versioned<Message>), (status = "default", body = ErrorBody)))]
pub(super) async fn show<B: Backend>(State(shared): State<Shared<B>>, Segment(id): Segment) -> Answer<Message> {
    let id = shared.message_id(&id).await?;
    one(shared.backend.message(id).await?)
}

/// Gives a message of mine in a channel other words.
#[utoipa::path(patch, path = "/v1/messages/{id}", params(("id" = String, Path)), request_body = EditMessage,
    responses((status = 200, body = Versioned<SendReply>), (status = "default", body = ErrorBody)))]
pub(super) async fn edit<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(id): Segment,
    Body(EditMessage { body }): Body<EditMessage>,
) -> Answer<SendReply> {
    check_text(&body)?;
    shared.say_of(&id, key, |target| ChannelSaying::Edit { target, body }).await
}

/// From where a message is to go.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteParams {
    /// Whether everybody is asked to hide it; only that is possible yet.
    #[serde(default)]
    everyone: bool,
}

/// Asks all members of a channel to hide a message; who has read it has read it.
#[utoipa::path(delete, path = "/v1/messages/{id}", params(("id" = String, Path), DeleteParams),
    responses((status = 200, body = Versioned<SendReply>), (status = "default", body = ErrorBody)))]
pub(super) async fn delete<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(id): Segment,
    Params(params): Params<DeleteParams>,
) -> Answer<SendReply> {
    if !params.everyone {
        return Err(UserError::new(Code::Usage, "a message cannot be deleted on this machine alone yet")
            .hint("--everyone asks all members to hide it"));
    }
    shared.say_of(&id, key, |target| ChannelSaying::Delete { target }).await
}

/// Reacts to a message of a channel, or ends that.
#[utoipa::path(post, path = "/v1/messages/{id}/reactions", params(("id" = String, Path)), request_body = React,
    responses((status = 200, body = Versioned<SendReply>), (status = "default", body = ErrorBody)))]
pub(super) async fn react<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(id): Segment,
    Body(React { emoji, on }): Body<React>,
) -> Answer<SendReply> {
    let emoji = check_reaction(&emoji)?;
    shared.say_of(&id, key, |target| ChannelSaying::React { target, emoji, on }).await
}

/// Pins a message of a channel, or ends that.
#[utoipa::path(post, path = "/v1/messages/{id}/pin", params(("id" = String, Path)), request_body = Pin,
    responses((status = 200, body = Versioned<SendReply>), (status = "default", body = ErrorBody)))]
pub(super) async fn pin<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(id): Segment,
    Body(Pin { on }): Body<Pin>,
) -> Answer<SendReply> {
    shared.say_of(&id, key, |target| ChannelSaying::Pin { target, on }).await
}

/// Tells how far a message got on each device, step by step.
#[utoipa::path(get, path = "/v1/messages/{id}/why", params(("id" = String, Path)),
    responses((status = 200, body = Versioned<Why>), (status = "default", body = ErrorBody)))]
pub(super) async fn why<B: Backend>(State(shared): State<Shared<B>>, Segment(id): Segment) -> Answer<Why> {
    let id = shared.message_id(&id).await?;
    one(shared.backend.why(id).await?)
}

impl<B: Backend> Shared<B> {
    /// Says something about a message where it stands.
    async fn say_of(
        &self,
        id: &str,
        key: Option<String>,
        saying: impl FnOnce(MessageId) -> ChannelSaying,
    ) -> Answer<SendReply> {
        let message = self.backend.message(self.message_id(id).await?).await?;
        let Some(channel) = channel_of(&message) else {
            return Err(UserError::new(
                Code::Usage,
                "this message is no channel's: there is nothing but text to people yet",
            )
            .hint("kith read '#NAME' --json shows ids"));
        };
        let command = Command::ChannelSay { channel, saying: saying(message.id), expires_after_ms: None };
        one(self.in_channel(channel, command, key).await?.sent()?)
    }

    /// Finds the message meant, which must stand in a channel.
    async fn message_in(&self, channel: ChannelId, id: &str) -> Result<MessageId, UserError> {
        let message = self.backend.message(self.message_id(id).await?).await?;
        if channel_of(&message) == Some(channel) {
            return Ok(message.id);
        }
        let error = UserError::new(Code::MessageUnknown, "that message stands in another conversation")
            .hint("kith read '#NAME' --json shows ids");
        Err(self.naming(channel, error).await)
    }

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

/// The channel in which a message stands, if it is one.
fn channel_of(message: &Message) -> Option<ChannelId> {
    message.channel.then(|| ChannelId::from_bytes(*message.conversation.as_bytes()))
}
