//! `/v1/outbox`: what is on its way.

use super::Shared;
use crate::api::backend::Backend;
use crate::api::error::{Code, UserError};
use crate::api::extract::{Answer, Body, IdempotencyKey, ListAnswer, list, one};
use crate::api::types::{Done, ErrorBody, Items, OutboxItem, OutboxSelection, Versioned};
use crate::app::command::Command;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/outbox", get(all::<B>))
        .route("/v1/outbox/retry", post(retry::<B>))
        .route("/v1/outbox/cancel", post(cancel::<B>))
}

/// Lists what is on its way, oldest first.
#[utoipa::path(get, path = "/v1/outbox",
    responses((status = 200, body = Items<OutboxItem>), (status = "default", body = ErrorBody)))]
pub(super) async fn all<B: Backend>(State(shared): State<Shared<B>>) -> ListAnswer<OutboxItem> {
    list(shared.backend.outbox().await?)
}

/// Tries one message, or all, now.
#[utoipa::path(post, path = "/v1/outbox/retry", request_body = OutboxSelection,
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn retry<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<OutboxSelection>,
) -> Answer<Done> {
    let message = match request.message {
        Some(text) => Some(shared.message_id(&text).await?),
        None => None,
    };
    one(shared.backend.command(Command::OutboxRetry { message }, key).await?.done()?)
}

/// Gives a message up; it is shown as failed.
#[utoipa::path(post, path = "/v1/outbox/cancel", request_body = OutboxSelection,
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn cancel<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<OutboxSelection>,
) -> Answer<Done> {
    let Some(text) = request.message else {
        return Err(UserError::new(Code::Usage, "which message? Only one at a time can be given up")
            .hint("kith outbox list shows ids"));
    };
    let message = shared.message_id(&text).await?;
    one(shared.backend.command(Command::OutboxCancel { message }, key).await?.done()?)
}
