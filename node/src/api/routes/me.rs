//! `/v1/me`: my code, my name.

use super::Shared;
use super::contacts::check_name;
use crate::api::backend::Backend;
use crate::api::extract::{Answer, Body, IdempotencyKey, one};
use crate::api::types::{ErrorBody, Me, SetName, Versioned};
use crate::app::command::Command;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/me", get(me::<B>))
        .route("/v1/me/name", post(set_name::<B>))
        .route("/v1/me/rotate", post(rotate::<B>))
}

/// Tells my code and link.
#[utoipa::path(get, path = "/v1/me", responses((status = 200, body = Versioned<Me>), (status = "default", body = ErrorBody)))]
pub(super) async fn me<B: Backend>(State(shared): State<Shared<B>>) -> Answer<Me> {
    one(shared.backend.me().await?)
}

/// Changes the name that contacts see.
#[utoipa::path(post, path = "/v1/me/name", request_body = SetName,
    responses((status = 200, body = Versioned<Me>), (status = "default", body = ErrorBody)))]
pub(super) async fn set_name<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<SetName>,
) -> Answer<Me> {
    let name = check_name(&request.name)?;
    one(shared.backend.command(Command::SetName { name }, key).await?.me()?)
}

/// Makes a new reach secret: who has only the old code cannot find me any more; contacts can.
#[utoipa::path(post, path = "/v1/me/rotate",
    responses((status = 200, body = Versioned<Me>), (status = "default", body = ErrorBody)))]
pub(super) async fn rotate<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
) -> Answer<Me> {
    one(shared.backend.command(Command::RotateReach, key).await?.me()?)
}
