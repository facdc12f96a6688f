//! `/v1/channels/{channel}/invites`: letting somebody in; `/v1/joins`: coming in by an invite.

use super::Shared;
use super::contacts::check_name;
use super::members::check_role_name;
use crate::api::backend::Backend;
use crate::api::code;
use crate::api::error::{Code, UserError};
use crate::api::extract::{Answer, Body, IdempotencyKey, ListAnswer, Segment, Segments, list, one};
use crate::api::target;
use crate::api::types::{
    ChannelInvite, Done, ErrorBody, HistoryGrant, Items, Join, NewChannelInvite, NewJoin, Versioned,
};
use crate::app::command::Command;
use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post};
use kith_protocol::limits;

/// The shortest time in milliseconds for which an invite is good: somebody has to type it.
const EXPIRES_MS_MIN: u64 = 60_000;

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/channels/{channel}/invites", get(all::<B>).post(make::<B>))
        .route("/v1/channels/{channel}/invites/{invite}", delete(revoke::<B>))
        .route("/v1/joins", get(joins::<B>).post(join::<B>))
        .route("/v1/joins/{id}", get(show::<B>).delete(cancel::<B>))
        .route("/v1/joins/{id}/confirm", post(confirm::<B>))
}

/// Lists a channel's invites that still let somebody in.
#[utoipa::path(get, path = "/v1/channels/{channel}/invites", params(("channel" = String, Path)),
    responses((status = 200, body = Items<ChannelInvite>), (status = "default", body = ErrorBody)))]
pub(super) async fn all<B: Backend>(
    State(shared): State<Shared<B>>,
    Segment(channel): Segment,
) -> ListAnswer<ChannelInvite> {
    let channel = shared.channel(&channel).await?;
    list(shared.backend.invites(channel).await?)
}

/// Makes an invite into a channel.
#[utoipa::path(post, path = "/v1/channels/{channel}/invites", request_body = NewChannelInvite,
    params(("channel" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters")),
    responses((status = 200, body = Versioned<ChannelInvite>), (status = "default", body = ErrorBody)))]
pub(super) async fn make<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(channel): Segment,
    Body(terms): Body<NewChannelInvite>,
) -> Answer<ChannelInvite> {
    let terms = check_terms(terms)?;
    let channel = shared.channel(&channel).await?;
    one(shared.in_channel(channel, Command::ChannelInvite { channel, terms }, key).await?.invite()?)
}

/// Ends an invite, by its id or a unique prefix. Ended already is no error.
#[utoipa::path(delete, path = "/v1/channels/{channel}/invites/{invite}",
    params(("channel" = String, Path), ("invite" = String, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn revoke<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segments(channel, invite): Segments,
) -> Answer<Done> {
    let channel = shared.channel(&channel).await?;
    // What ended already is in no list: the app, which remembers it, finds the invite.
    let invite = invite.trim().to_ascii_lowercase();
    if invite.len() < target::PREFIX_MIN || !invite.bytes().all(|b| b.is_ascii_alphanumeric()) {
        let error = UserError::new(Code::BadTarget, "not an invite's id, nor at least six characters of one")
            .hint("kith invite list '#NAME'");
        return Err(shared.naming(channel, error).await);
    }
    shared.done_in(channel, Command::ChannelInviteRevoke { channel, invite }, key).await
}

/// Lists the joins that are under way or ended lately.
#[utoipa::path(get, path = "/v1/joins", responses((status = 200, body = Items<Join>), (status = "default", body = ErrorBody)))]
pub(super) async fn joins<B: Backend>(State(shared): State<Shared<B>>) -> ListAnswer<Join> {
    list(shared.backend.joins().await?)
}

/// Begins to join a channel by an invite's code or link. In already, or on the way, is no error.
#[utoipa::path(post, path = "/v1/joins", request_body = NewJoin,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters")),
    responses((status = 200, body = Versioned<Join>), (status = "default", body = ErrorBody)))]
pub(super) async fn join<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<NewJoin>,
) -> Answer<Join> {
    code::check_invite(&request.code)?;
    let name = request.name.as_deref().map(check_name).transpose()?;
    let command = Command::Join { code_or_link: request.code, name, yes: request.yes };
    one(shared.backend.command(command, key).await?.join()?)
}

/// Tells how far a join has come.
#[utoipa::path(get, path = "/v1/joins/{id}", params(("id" = u64, Path)),
    responses((status = 200, body = Versioned<Join>), (status = "default", body = ErrorBody)))]
pub(super) async fn show<B: Backend>(State(shared): State<Shared<B>>, Segment(id): Segment) -> Answer<Join> {
    let wanted = number(&id)?;
    let found = shared.backend.joins().await?.into_iter().find(|join| join.id == wanted);
    one(found.ok_or_else(|| unknown(&id))?)
}

/// Says yes to what an invite leads to.
#[utoipa::path(post, path = "/v1/joins/{id}/confirm", params(("id" = u64, Path)),
    responses((status = 200, body = Versioned<Join>), (status = "default", body = ErrorBody)))]
pub(super) async fn confirm<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(id): Segment,
) -> Answer<Join> {
    one(shared.backend.command(Command::JoinConfirm { join: number(&id)? }, key).await?.join()?)
}

/// Gives a join up.
#[utoipa::path(delete, path = "/v1/joins/{id}", params(("id" = u64, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn cancel<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(id): Segment,
) -> Answer<Done> {
    shared.done(Command::JoinCancel { join: number(&id)? }, key).await
}

/// Reads the number of a join; what is no number is the number of none.
fn number(text: &str) -> Result<u64, UserError> {
    text.trim().parse().map_err(|_| unknown(text))
}

fn unknown(id: &str) -> UserError {
    UserError::new(Code::JoinUnknown, format!("no join {id} is under way")).hint("kith join CODE begins one")
}

/// Refuses terms on which nobody could come, or that no channel keeps.
fn check_terms(terms: NewChannelInvite) -> Result<NewChannelInvite, UserError> {
    let wrong = |message: String, hint: &str| Err(UserError::new(Code::Usage, message).hint(hint));
    if !(1..=limits::INVITE_USES_MAX).contains(&terms.uses) {
        return wrong(format!("an invite lets in 1 to {} people", limits::INVITE_USES_MAX), "--uses 25");
    }
    if !(EXPIRES_MS_MIN..=limits::INVITE_MS_MAX).contains(&terms.expires_after_ms) {
        return wrong("an invite is good for 1 minute to 365 days".to_owned(), "--expires 7d");
    }
    if terms.history == HistoryGrant::Days(0) {
        return wrong("no day of history is none".to_owned(), "--history none");
    }
    Ok(NewChannelInvite { role: check_role_name(&terms.role)?, ..terms })
}
