//! `/v1/channels`: channels and their properties.

use super::Shared;
use crate::api::alike;
use crate::api::backend::Backend;
use crate::api::error::{Code, UserError};
use crate::api::extract::{Answer, Body, IdempotencyKey, ListAnswer, Segment, list, one};
use crate::api::target;
use crate::api::types::{Channel, ChannelChange, CreateChannel, Done, ErrorBody, Items, Rekey, Versioned};
use crate::app::command::Command;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use kith_protocol::channel::Name;
use kith_protocol::{ChannelId, limits};

/// For how many days messages can be kept at most; longer is for ever.
const RETENTION_DAYS_MAX: u32 = 36_500;

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/channels", get(all::<B>).post(create::<B>))
        .route("/v1/channels/{channel}", get(show::<B>).patch(change::<B>).delete(leave::<B>))
        .route("/v1/channels/{channel}/rekey", post(rekey::<B>))
}

/// Lists the channels, those that were left included.
#[utoipa::path(get, path = "/v1/channels",
    responses((status = 200, body = Items<Channel>), (status = "default", body = ErrorBody)))]
pub(super) async fn all<B: Backend>(State(shared): State<Shared<B>>) -> ListAnswer<Channel> {
    list(shared.backend.channels().await?)
}

/// Makes a channel.
#[utoipa::path(post, path = "/v1/channels", request_body = CreateChannel,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters")),
    responses((status = 200, body = Versioned<Channel>), (status = "default", body = ErrorBody)))]
pub(super) async fn create<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<CreateChannel>,
) -> Answer<Channel> {
    let name = check_channel_name(&request.name)?;
    one(shared.backend.command(Command::ChannelCreate { name }, key).await?.channel()?)
}

/// Shows a channel by `#name`, its id or a prefix of it.
#[utoipa::path(get, path = "/v1/channels/{channel}", params(("channel" = String, Path)),
    responses((status = 200, body = Versioned<Channel>), (status = "default", body = ErrorBody)))]
pub(super) async fn show<B: Backend>(State(shared): State<Shared<B>>, Segment(channel): Segment) -> Answer<Channel> {
    one(target::find_channel(&channel, &shared.backend.channels().await?)?.clone())
}

/// Changes a property of a channel.
#[utoipa::path(patch, path = "/v1/channels/{channel}", params(("channel" = String, Path)), request_body = ChannelChange,
    responses((status = 200, body = Versioned<Channel>), (status = "default", body = ErrorBody)))]
pub(super) async fn change<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(channel): Segment,
    Body(change): Body<ChannelChange>,
) -> Answer<Channel> {
    let change = check_change(change)?;
    let channel = shared.channel(&channel).await?;
    one(shared.in_channel(channel, Command::ChannelSet { channel, change }, key).await?.channel()?)
}

/// Leaves a channel; what was said stays here. Left already is no error.
#[utoipa::path(delete, path = "/v1/channels/{channel}", params(("channel" = String, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn leave<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(channel): Segment,
) -> Answer<Done> {
    let channel = shared.channel(&channel).await?;
    one(shared.in_channel(channel, Command::ChannelLeave { channel }, key).await?.done()?)
}

/// Makes a channel's keys anew.
#[utoipa::path(post, path = "/v1/channels/{channel}/rekey", params(("channel" = String, Path)), request_body = Rekey,
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn rekey<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(channel): Segment,
    Body(Rekey { emergency }): Body<Rekey>,
) -> Answer<Done> {
    let channel = shared.channel(&channel).await?;
    one(shared.in_channel(channel, Command::ChannelRekey { channel, emergency }, key).await?.done()?)
}

/// Returns a channel's name without the space around it and the mark before it, if it can be one.
///
/// # Errors
/// `bad_name` with the reason.
pub fn check_channel_name(name: &str) -> Result<String, UserError> {
    let name = name.trim();
    let name = name.strip_prefix('#').unwrap_or(name).trim();
    let wrong = |e: kith_protocol::channel::BadName| {
        UserError::new(Code::BadName, e.to_string()).hint("choose a short, plain name")
    };
    let name = Name::parse(name).map_err(wrong)?;
    alike::check(name.as_str())?;
    Ok(name.as_str().to_owned())
}

/// Returns a line that all members see, if it can be one.
pub(super) fn check_line(line: &str, what: &str, max: usize) -> Result<String, UserError> {
    let line = line.trim();
    if line.len() > max {
        let message = format!("the {what} has {} bytes, at most {max} are possible", line.len());
        return Err(UserError::new(Code::Usage, message).hint("say it shorter"));
    }
    if line.chars().any(char::is_control) {
        return Err(UserError::new(Code::Usage, format!("the {what} is a line without control characters"))
            .hint("leave line breaks out"));
    }
    Ok(line.to_owned())
}

/// Refuses a change that cannot be.
fn check_change(change: ChannelChange) -> Result<ChannelChange, UserError> {
    Ok(match change {
        ChannelChange::Name(name) => ChannelChange::Name(check_channel_name(&name)?),
        ChannelChange::Topic(topic) => ChannelChange::Topic(check_line(&topic, "topic", limits::TOPIC_MAX)?),
        ChannelChange::RetentionDays(days) if days > RETENTION_DAYS_MAX => {
            let message = format!("messages are kept for at most {RETENTION_DAYS_MAX} days, or for ever");
            return Err(UserError::new(Code::Usage, message).hint("kith channel set '#NAME' retention=0"));
        }
        ChannelChange::ExpireAfterMs(ms) if ms > 0 => {
            super::check_expiry(ms)?;
            change
        }
        _ => change,
    })
}

impl<B: Backend> Shared<B> {
    /// Finds the channel meant by `#name`, an id or a prefix.
    pub(super) async fn channel(&self, text: &str) -> Result<ChannelId, UserError> {
        Ok(target::find_channel(text, &self.backend.channels().await?)?.id)
    }
}
