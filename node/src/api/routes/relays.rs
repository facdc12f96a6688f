//! `/v1/relays`: relays that hold my mail; `/v1/relay`: the one this node runs; `/v1/metrics`.

use super::Shared;
use crate::api::backend::Backend;
use crate::api::error::{Code, UserError};
use crate::api::extract::{Answer, Body, IdempotencyKey, ListAnswer, Segment, list, one};
use crate::api::target::PREFIX_MIN;
use crate::api::types::{
    AddRelay, Done, ErrorBody, Items, MemberWord, NewInvite, Relay, RelayAdded, RelayCard, RelayInvite, RelayMember,
    RelayStats, Versioned,
};
use crate::app::command::Command;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{delete, get};
use kith_protocol::{MailboxId, RelayId, mailbox};

/// The type of Prometheus text (exposition format 0.0.4).
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/relays", get(all::<B>).post(add::<B>))
        .route("/v1/relays/{relay}", delete(remove::<B>))
        .route("/v1/relay", get(card::<B>))
        .route("/v1/relay/invites", get(invites::<B>).post(invite::<B>))
        .route("/v1/relay/invites/{id}", delete(revoke::<B>))
        .route("/v1/relay/members", get(members::<B>).post(judge::<B>))
        .route("/v1/relay/stats", get(stats::<B>))
        .route("/v1/metrics", get(metrics::<B>))
}

/// Lists the relays that hold my mail.
#[utoipa::path(get, path = "/v1/relays",
    responses((status = 200, body = Items<Relay>), (status = "default", body = ErrorBody)))]
pub(super) async fn all<B: Backend>(State(shared): State<Shared<B>>) -> ListAnswer<Relay> {
    list(shared.backend.relays().await?)
}

/// Lets a relay hold my mail.
#[utoipa::path(post, path = "/v1/relays", request_body = AddRelay,
    responses((status = 200, body = Versioned<RelayAdded>), (status = "default", body = ErrorBody)))]
pub(super) async fn add<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<AddRelay>,
) -> Answer<RelayAdded> {
    check_hints(&request.card)?;
    one(shared.backend.command(Command::RelayAdd { card: request.card }, key).await?.relay()?)
}

/// Refuses a card whose addresses name nobody: nothing checks them as its sum checks the code.
fn check_hints(card: &str) -> Result<(), UserError> {
    let hints = mailbox::RelayCard::parse(card).map(|card| card.hints).unwrap_or_default();
    let names = hints.iter().filter_map(|hint| hint.rsplit_once("/p2p/"));
    match names.into_iter().find(|(_, peer)| !crate::net::is_peer(peer)) {
        Some(_) => Err(UserError::new(Code::CodeBadHint, "the address in the link names no peer")
            .hint("copy the link again, or ask for it")),
        None => Ok(()),
    }
}

/// Lets a relay go.
#[utoipa::path(delete, path = "/v1/relays/{relay}", params(("relay" = String, Path, description = "its id, or the beginning of it")),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn remove<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(relay): Segment,
) -> Answer<Done> {
    let relay = shared.relay(&relay).await?;
    one(shared.backend.command(Command::RelayRemove { relay }, key).await?.done()?)
}

/// Shows the card of the relay that this node runs.
#[utoipa::path(get, path = "/v1/relay",
    responses((status = 200, body = Versioned<RelayCard>), (status = "default", body = ErrorBody)))]
pub(super) async fn card<B: Backend>(State(shared): State<Shared<B>>) -> Answer<RelayCard> {
    one(shared.backend.relay_card().await?)
}

/// Lists the invites that still admit.
#[utoipa::path(get, path = "/v1/relay/invites",
    responses((status = 200, body = Items<RelayInvite>), (status = "default", body = ErrorBody)))]
pub(super) async fn invites<B: Backend>(State(shared): State<Shared<B>>) -> ListAnswer<RelayInvite> {
    list(shared.backend.relay_invites().await?)
}

/// Makes an invite.
#[utoipa::path(post, path = "/v1/relay/invites", request_body = NewInvite,
    responses((status = 200, body = Versioned<RelayInvite>), (status = "default", body = ErrorBody)))]
pub(super) async fn invite<B: Backend>(
    State(shared): State<Shared<B>>,
    Body(request): Body<NewInvite>,
) -> Answer<RelayInvite> {
    one(shared.backend.relay_invite(request).await?)
}

/// Withdraws an invite.
#[utoipa::path(delete, path = "/v1/relay/invites/{id}", params(("id" = String, Path, description = "its name, or the beginning of it")),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn revoke<B: Backend>(State(shared): State<Shared<B>>, Segment(id): Segment) -> Answer<Done> {
    let invites = shared.backend.relay_invites().await?.into_iter().map(|invite| (invite.id, String::new()));
    let hint = "kith relay invite list";
    let unknown = || UserError::new(Code::NotFound, format!("no invite that still admits begins with {id}")).hint(hint);
    let id = prefixed(&id, invites.collect(), "invites", hint)?.ok_or_else(unknown)?;
    shared.backend.relay_revoke(id).await?;
    one(Done { changed: true })
}

/// Lists the mailboxes of the relay that this node runs.
#[utoipa::path(get, path = "/v1/relay/members",
    responses((status = 200, body = Items<RelayMember>), (status = "default", body = ErrorBody)))]
pub(super) async fn members<B: Backend>(State(shared): State<Shared<B>>) -> ListAnswer<RelayMember> {
    list(shared.backend.relay_members().await?)
}

/// Says the operator's word on a mailbox.
#[utoipa::path(post, path = "/v1/relay/members", request_body = MemberWord,
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn judge<B: Backend>(State(shared): State<Shared<B>>, Body(word): Body<MemberWord>) -> Answer<Done> {
    let hint = "kith relay members";
    let members = shared.backend.relay_members().await?;
    let names = members.iter().map(|member| (member.mailbox.clone(), String::new())).collect();
    // A whole name also means a mailbox that is not there yet.
    let mailbox: MailboxId = match word.mailbox.trim().to_ascii_lowercase().parse() {
        Ok(whole) => whole,
        Err(_) => {
            let unknown =
                || UserError::new(Code::NotFound, format!("no mailbox begins with {}", word.mailbox)).hint(hint);
            let name = prefixed(&word.mailbox, names, "mailboxes", hint)?.ok_or_else(unknown)?;
            name.parse().map_err(|_| unknown())?
        }
    };
    let before = members.into_iter().find(|member| member.mailbox == mailbox.to_string());
    let changed = word.changes(before.as_ref());
    if changed {
        shared.backend.relay_judge(mailbox, word).await?;
    }
    one(Done { changed })
}

/// Tells how the relay that this node runs stands.
#[utoipa::path(get, path = "/v1/relay/stats",
    responses((status = 200, body = Versioned<RelayStats>), (status = "default", body = ErrorBody)))]
pub(super) async fn stats<B: Backend>(State(shared): State<Shared<B>>) -> Answer<RelayStats> {
    one(shared.backend.relay_stats().await?)
}

/// Tells counters as Prometheus text.
#[utoipa::path(get, path = "/v1/metrics",
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(super) async fn metrics<B: Backend>(State(shared): State<Shared<B>>) -> Result<impl IntoResponse, UserError> {
    Ok(([("content-type", METRICS)], shared.backend.metrics().await?))
}

impl<B: Backend> Shared<B> {
    /// Finds the relay meant by its id or a prefix of it.
    async fn relay(&self, text: &str) -> Result<RelayId, UserError> {
        let hint = "kith relay list";
        let unknown = || UserError::new(Code::RelayUnknown, format!("no relay of yours begins with {text}")).hint(hint);
        let relays = self.backend.relays().await?.into_iter().map(|relay| (relay.relay, relay.name));
        let id = prefixed(text, relays.collect(), "relays", hint)?.ok_or_else(unknown)?;
        id.parse().map_err(|_| unknown())
    }
}

/// The one id that begins with a text, of ids with what they are called; none if none does.
fn prefixed(text: &str, mut ids: Vec<(String, String)>, what: &str, hint: &str) -> Result<Option<String>, UserError> {
    let text = text.trim().to_ascii_lowercase();
    if text.len() < PREFIX_MIN || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(UserError::new(Code::BadTarget, "not an id, nor at least six characters of one").hint(hint));
    }
    ids.retain(|(id, _)| id.starts_with(&text));
    match ids.len() {
        0 | 1 => Ok(ids.pop().map(|(id, _)| id)),
        several => Err(UserError::new(Code::Ambiguous, format!("{several} {what} fit"))
            .hint("name one of the candidates")
            .candidates(
                ids.into_iter().take(10).map(|(id, name)| format!("{id} {name}").trim_end().to_owned()).collect(),
            )),
    }
}
