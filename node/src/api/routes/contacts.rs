//! `/v1/contacts`: people.

use super::Shared;
use crate::api::backend::Backend;
use crate::api::error::{Code, UserError};
use crate::api::extract::{Answer, Body, IdempotencyKey, ListAnswer, Params, Segment, list, one};
use crate::api::target;
use crate::api::types::{
    AddContact, Added, Contact, ContactState, Done, ErrorBody, Items, RenameContact, Verification, VerifyContact,
    Versioned,
};
use crate::app::command::Command;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use kith_protocol::{AccountId, limits};
use serde::Deserialize;
use utoipa::IntoParams;

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/contacts", get(all::<B>).post(add::<B>))
        .route("/v1/contacts/{who}", get(show::<B>).delete(remove::<B>))
        .route("/v1/contacts/{who}/accept", post(accept::<B>))
        .route("/v1/contacts/{who}/verify", post(verify::<B>))
        .route("/v1/contacts/{who}/rename", post(rename::<B>))
        .route("/v1/contacts/{who}/block", post(block::<B>))
        .route("/v1/contacts/{who}/unblock", post(unblock::<B>))
        .route("/v1/contacts/{who}/session/reset", post(reset_session::<B>))
}

/// Which contacts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Only those in this state; without it everybody except requests.
    #[serde(default)]
    #[param(inline)]
    state: Option<ContactState>,
}

/// Lists contacts.
#[utoipa::path(get, path = "/v1/contacts", params(ListParams),
    responses((status = 200, body = Items<Contact>), (status = "default", body = ErrorBody)))]
pub(super) async fn all<B: Backend>(
    State(shared): State<Shared<B>>,
    Params(params): Params<ListParams>,
) -> ListAnswer<Contact> {
    let mut contacts = shared.backend.contacts().await?;
    contacts.retain(|c| match params.state {
        Some(state) => c.state == state,
        None => c.state != ContactState::Request,
    });
    list(contacts)
}

/// Adds a contact by code or link; known already is no error.
#[utoipa::path(post, path = "/v1/contacts", request_body = AddContact,
    responses((status = 200, body = Versioned<Added>), (status = "default", body = ErrorBody)))]
pub(super) async fn add<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<AddContact>,
) -> Answer<Added> {
    let name = request.name.as_deref().map(check_name).transpose()?;
    one(shared.backend.command(Command::ContactAdd { code_or_link: request.code, name }, key).await?.added()?)
}

/// Returns a name without the space around it, if it can be one.
///
/// # Errors
/// `bad_name` if it is empty, too long, or has characters that control a terminal or the direction of text.
pub fn check_name(name: &str) -> Result<String, UserError> {
    let name = name.trim();
    let wrong = |message: String| Err(UserError::new(Code::BadName, message).hint("choose a shorter, plain name"));
    if name.is_empty() {
        return wrong("the name is empty".into());
    }
    if name.len() > limits::NAME_MAX {
        return wrong(format!("the name has {} bytes, at most {} are possible", name.len(), limits::NAME_MAX));
    }
    if name.chars().any(|c| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    }) {
        return wrong("the name has characters that do not show".into());
    }
    Ok(name.to_owned())
}

/// Shows one contact.
#[utoipa::path(get, path = "/v1/contacts/{who}", params(("who" = String, Path)),
    responses((status = 200, body = Versioned<Contact>), (status = "default", body = ErrorBody)))]
pub(super) async fn show<B: Backend>(State(shared): State<Shared<B>>, Segment(who): Segment) -> Answer<Contact> {
    let contacts = shared.backend.contacts().await?;
    one(target::find(&who, &contacts)?.clone())
}

/// Removes a contact; messages stay. Removed already is no error.
#[utoipa::path(delete, path = "/v1/contacts/{who}", params(("who" = String, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn remove<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(who): Segment,
) -> Answer<Done> {
    let account = shared.account_or_removed(&who).await?;
    one(shared.backend.command(Command::ContactRemove { account }, key).await?.done()?)
}

/// Accepts a stranger's request.
#[utoipa::path(post, path = "/v1/contacts/{who}/accept", params(("who" = String, Path)),
    responses((status = 200, body = Versioned<Contact>), (status = "default", body = ErrorBody)))]
pub(super) async fn accept<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(who): Segment,
) -> Answer<Contact> {
    shared.change(&who, key, |account| Command::ContactAccept { account }).await
}

/// Shows the safety number, or compares digits with it.
#[utoipa::path(post, path = "/v1/contacts/{who}/verify", params(("who" = String, Path)), request_body = VerifyContact,
    responses((status = 200, body = Versioned<Verification>), (status = "default", body = ErrorBody)))]
pub(super) async fn verify<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(who): Segment,
    Body(request): Body<VerifyContact>,
) -> Answer<Verification> {
    let account = shared.account(&who).await?;
    let command = Command::ContactVerify { account, digits: request.digits };
    one(shared.backend.command(command, key).await?.verification()?)
}

/// Gives a contact another name here.
#[utoipa::path(post, path = "/v1/contacts/{who}/rename", params(("who" = String, Path)), request_body = RenameContact,
    responses((status = 200, body = Versioned<Contact>), (status = "default", body = ErrorBody)))]
pub(super) async fn rename<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(who): Segment,
    Body(request): Body<RenameContact>,
) -> Answer<Contact> {
    let name = check_name(&request.name)?;
    shared.change(&who, key, |account| Command::ContactRename { account, name }).await
}

/// Blocks a contact.
#[utoipa::path(post, path = "/v1/contacts/{who}/block", params(("who" = String, Path)),
    responses((status = 200, body = Versioned<Contact>), (status = "default", body = ErrorBody)))]
pub(super) async fn block<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(who): Segment,
) -> Answer<Contact> {
    shared.change(&who, key, |account| Command::ContactBlock { account }).await
}

/// Unblocks a contact.
#[utoipa::path(post, path = "/v1/contacts/{who}/unblock", params(("who" = String, Path)),
    responses((status = 200, body = Versioned<Contact>), (status = "default", body = ErrorBody)))]
pub(super) async fn unblock<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(who): Segment,
) -> Answer<Contact> {
    shared.change(&who, key, |account| Command::ContactUnblock { account }).await
}

/// Drops the sessions with a contact; the next message starts new ones.
#[utoipa::path(post, path = "/v1/contacts/{who}/session/reset", params(("who" = String, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn reset_session<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(who): Segment,
) -> Answer<Done> {
    let account = shared.account(&who).await?;
    one(shared.backend.command(Command::SessionReset { account }, key).await?.done()?)
}

impl<B: Backend> Shared<B> {
    /// Runs a command on the contact meant.
    async fn change(
        &self,
        who: &str,
        key: Option<String>,
        command: impl FnOnce(AccountId) -> Command,
    ) -> Answer<Contact> {
        let account = self.account(who).await?;
        one(self.backend.command(command(account), key).await?.contact()?)
    }
}
