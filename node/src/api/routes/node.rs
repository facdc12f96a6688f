//! `/v1/status`, `/v1/config`, `/v1/doctor`, `/v1/stop`, and the description of this API.

use super::{Shared, channels, contacts, events, invites, me, members, messages, outbox, peers, relays};
use crate::api::backend::Backend;
use crate::api::extract::{Answer, ListAnswer, list, one};
use crate::api::types::{Check, ConfigView, Done, ErrorBody, Items, Status, Versioned};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use utoipa::OpenApi;

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/status", get(status::<B>))
        .route("/v1/config", get(config::<B>))
        .route("/v1/doctor", get(doctor::<B>))
        .route("/v1/stop", post(stop::<B>))
        .route("/openapi.json", get(async || Json(openapi())))
}

/// Describes every route in OpenAPI.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Kith", description = "The daemon's API for clients of the same user, over its Unix socket."),
    paths(
        channels::all,
        channels::create,
        channels::show,
        channels::change,
        channels::leave,
        channels::rekey,
        contacts::all,
        contacts::add,
        contacts::show,
        contacts::remove,
        contacts::accept,
        contacts::verify,
        contacts::rename,
        contacts::block,
        contacts::unblock,
        contacts::reset_session,
        events::stream,
        invites::all,
        invites::make,
        invites::revoke,
        invites::joins,
        invites::join,
        invites::show,
        invites::confirm,
        invites::cancel,
        me::me,
        me::set_name,
        me::rotate,
        members::members,
        members::remove,
        members::ban,
        members::unban,
        members::role,
        members::mute,
        members::requests,
        members::judge,
        members::roles,
        members::define,
        members::drop_role,
        messages::send,
        messages::read,
        messages::mark_read,
        messages::show,
        messages::edit,
        messages::delete,
        messages::react,
        messages::pin,
        messages::why,
        outbox::all,
        outbox::retry,
        outbox::cancel,
        peers::all,
        peers::ping,
        peers::ban,
        peers::unban,
        relays::all,
        relays::add,
        relays::remove,
        relays::card,
        relays::invites,
        relays::invite,
        relays::revoke,
        relays::members,
        relays::judge,
        relays::stats,
        relays::metrics,
        status,
        config,
        doctor,
        stop,
    )
)]
struct Description;

/// Tells how the daemon is doing.
#[utoipa::path(get, path = "/v1/status",
    responses((status = 200, body = Versioned<Status>), (status = "default", body = ErrorBody)))]
pub(super) async fn status<B: Backend>(State(shared): State<Shared<B>>) -> Answer<Status> {
    one(shared.backend.status().await?)
}

/// Tells the settings in effect.
#[utoipa::path(get, path = "/v1/config",
    responses((status = 200, body = Versioned<ConfigView>), (status = "default", body = ErrorBody)))]
pub(super) async fn config<B: Backend>(State(shared): State<Shared<B>>) -> Answer<ConfigView> {
    one(shared.backend.config().await?)
}

/// Checks what only the daemon can see.
#[utoipa::path(get, path = "/v1/doctor",
    responses((status = 200, body = Items<Check>), (status = "default", body = ErrorBody)))]
pub(super) async fn doctor<B: Backend>(State(shared): State<Shared<B>>) -> ListAnswer<Check> {
    list(shared.backend.doctor().await?)
}

/// Asks the daemon to stop.
#[utoipa::path(post, path = "/v1/stop",
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn stop<B: Backend>(State(shared): State<Shared<B>>) -> Answer<Done> {
    shared.backend.stop().await?;
    one(Done { changed: true })
}
