//! `/v1/channels/{channel}/members`, `…/requests` and `…/roles`: who is in a channel, who asks to be, and with what rights.

use super::Shared;
use super::channels::check_line;
use crate::api::alike;
use crate::api::backend::Backend;
use crate::api::error::{Code, UserError};
use crate::api::extract::{Answer, Body, IdempotencyKey, ListAnswer, Params, Segment, Segments, list, one};
use crate::api::target;
use crate::api::types::{
    BanMember, Done, ErrorBody, GiveRole, Items, JoinRequestInfo, JudgeRequest, Member, MuteMember, NewRole, RoleInfo,
    Versioned,
};
use crate::app::command::Command;
use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post};
use kith_protocol::channel::{Permission, RoleName};
use kith_protocol::{AccountId, ChannelId, limits};
use serde::Deserialize;
use utoipa::IntoParams;

/// For how many milliseconds a role is given or somebody silenced: a second to ten years.
const FOR_MS: std::ops::RangeInclusive<u64> = 1_000..=3_650 * 86_400_000;

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

pub(super) fn routes<B: Backend>() -> Router<Shared<B>> {
    Router::new()
        .route("/v1/channels/{channel}/members", get(members::<B>))
        .route("/v1/channels/{channel}/members/{member}", delete(remove::<B>))
        .route("/v1/channels/{channel}/members/{member}/role", post(role::<B>))
        .route("/v1/channels/{channel}/members/{member}/mute", post(mute::<B>))
        .route("/v1/channels/{channel}/members/{member}/ban", post(ban::<B>).delete(unban::<B>))
        .route("/v1/channels/{channel}/requests", get(requests::<B>))
        .route("/v1/channels/{channel}/requests/{member}", post(judge::<B>))
        .route("/v1/channels/{channel}/roles", get(roles::<B>).post(define::<B>))
        .route("/v1/channels/{channel}/roles/{role}", delete(drop_role::<B>))
}

/// Lists a channel's members.
#[utoipa::path(get, path = "/v1/channels/{channel}/members", params(("channel" = String, Path)),
    responses((status = 200, body = Items<Member>), (status = "default", body = ErrorBody)))]
pub(super) async fn members<B: Backend>(
    State(shared): State<Shared<B>>,
    Segment(channel): Segment,
) -> ListAnswer<Member> {
    let channel = shared.channel(&channel).await?;
    list(shared.backend.members(channel).await?)
}

/// What is said of a removal.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RemoveParams {
    /// Why; shown to all.
    #[serde(default)]
    reason: String,
}

/// Removes a member, who may come back by an invite.
#[utoipa::path(delete, path = "/v1/channels/{channel}/members/{member}",
    params(("channel" = String, Path), ("member" = String, Path), RemoveParams),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn remove<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segments(channel, member): Segments,
    Params(params): Params<RemoveParams>,
) -> Answer<Done> {
    let reason = check_line(&params.reason, "reason", limits::REASON_MAX)?;
    let (channel, account) = shared.member(&channel, &member).await?;
    shared.done_in(channel, Command::MemberRemove { channel, account, ban: false, reason }, key).await
}

/// Removes a member for good; somebody who is none is kept out by the whole id.
#[utoipa::path(post, path = "/v1/channels/{channel}/members/{member}/ban", request_body = BanMember,
    params(("channel" = String, Path), ("member" = String, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn ban<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segments(channel, member): Segments,
    Body(request): Body<BanMember>,
) -> Answer<Done> {
    let reason = check_line(&request.reason, "reason", limits::REASON_MAX)?;
    let channel_id = shared.channel(&channel).await?;
    let account = match shared.member(&channel, &member).await {
        // Who left, or never was there, is kept out by the whole id.
        Err(error) if error.code == Code::MemberUnknown => target::whole_account(&member).ok_or(error)?,
        found => found?.1,
    };
    shared.done_in(channel_id, Command::MemberRemove { channel: channel_id, account, ban: true, reason }, key).await
}

/// Lets somebody who was banned come again: a contact, or an account by its whole id.
#[utoipa::path(delete, path = "/v1/channels/{channel}/members/{member}/ban",
    params(("channel" = String, Path), ("member" = String, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn unban<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segments(channel, member): Segments,
) -> Answer<Done> {
    let channel = shared.channel(&channel).await?;
    let account = target::banned(&member, &shared.backend.contacts().await?)?;
    shared.done_in(channel, Command::MemberUnban { channel, account }, key).await
}

/// Gives a member a role, or takes one.
#[utoipa::path(post, path = "/v1/channels/{channel}/members/{member}/role", request_body = GiveRole,
    params(("channel" = String, Path), ("member" = String, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn role<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segments(channel, member): Segments,
    Body(GiveRole { role, give, for_ms }): Body<GiveRole>,
) -> Answer<Done> {
    let role = check_role_name(&role)?;
    check_for(for_ms, give)?;
    let (channel, account) = shared.member(&channel, &member).await?;
    shared.done_in(channel, Command::MemberRole { channel, account, role, give, for_ms }, key).await
}

/// Silences a member, or ends that.
#[utoipa::path(post, path = "/v1/channels/{channel}/members/{member}/mute", request_body = MuteMember,
    params(("channel" = String, Path), ("member" = String, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn mute<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segments(channel, member): Segments,
    Body(MuteMember { on, for_ms }): Body<MuteMember>,
) -> Answer<Done> {
    check_for(for_ms, on)?;
    let (channel, account) = shared.member(&channel, &member).await?;
    shared.done_in(channel, Command::MemberMute { channel, account, on, for_ms }, key).await
}

/// Lists who waits to be let in.
#[utoipa::path(get, path = "/v1/channels/{channel}/requests", params(("channel" = String, Path)),
    responses((status = 200, body = Items<JoinRequestInfo>), (status = "default", body = ErrorBody)))]
pub(super) async fn requests<B: Backend>(
    State(shared): State<Shared<B>>,
    Segment(channel): Segment,
) -> ListAnswer<JoinRequestInfo> {
    let channel = shared.channel(&channel).await?;
    list(shared.backend.join_requests(channel).await?)
}

/// Lets somebody in who waits, or not.
#[utoipa::path(post, path = "/v1/channels/{channel}/requests/{member}", request_body = JudgeRequest,
    params(("channel" = String, Path), ("member" = String, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn judge<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segments(channel, member): Segments,
    Body(JudgeRequest { admit }): Body<JudgeRequest>,
) -> Answer<Done> {
    let channel = shared.channel(&channel).await?;
    let requests = shared.backend.join_requests(channel).await?;
    let account = match target::asker(&member, &requests, &shared.backend.contacts().await?) {
        Ok(account) => account,
        Err(error) => return Err(shared.naming(channel, error).await),
    };
    shared.done_in(channel, Command::JoinJudge { channel, account, admit }, key).await
}

/// Lists a channel's roles.
#[utoipa::path(get, path = "/v1/channels/{channel}/roles", params(("channel" = String, Path)),
    responses((status = 200, body = Items<RoleInfo>), (status = "default", body = ErrorBody)))]
pub(super) async fn roles<B: Backend>(
    State(shared): State<Shared<B>>,
    Segment(channel): Segment,
) -> ListAnswer<RoleInfo> {
    let channel = shared.channel(&channel).await?;
    list(shared.backend.roles(channel).await?)
}

/// Defines a role, anew if it is there.
#[utoipa::path(post, path = "/v1/channels/{channel}/roles", params(("channel" = String, Path)), request_body = NewRole,
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn define<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segment(channel): Segment,
    Body(role): Body<NewRole>,
) -> Answer<Done> {
    let role = check_role(role)?;
    let channel = shared.channel(&channel).await?;
    shared.done_in(channel, Command::RoleDefine { channel, role }, key).await
}

/// Ends a role.
#[utoipa::path(delete, path = "/v1/channels/{channel}/roles/{role}",
    params(("channel" = String, Path), ("role" = String, Path)),
    responses((status = 200, body = Versioned<Done>), (status = "default", body = ErrorBody)))]
pub(super) async fn drop_role<B: Backend>(
    State(shared): State<Shared<B>>,
    IdempotencyKey(key): IdempotencyKey,
    Segments(channel, role): Segments,
) -> Answer<Done> {
    let name = check_role_name(&role)?;
    let channel = shared.channel(&channel).await?;
    shared.done_in(channel, Command::RoleDrop { channel, name }, key).await
}

/// Returns a role's name as it is told by, in lower case.
///
/// # Errors
/// `bad_name` with the reason.
pub fn check_role_name(name: &str) -> Result<String, UserError> {
    let wrong = |e: kith_protocol::channel::BadName| {
        UserError::new(Code::BadName, e.to_string()).hint("roles are words such as member, moderator, admin")
    };
    RoleName::parse(name.trim()).map(|name| name.as_str().to_owned()).map_err(wrong)
}

/// Returns the word of a right.
///
/// # Errors
/// `usage` with all words as candidates.
pub fn check_permission(word: &str) -> Result<String, UserError> {
    let word = word.trim().to_ascii_lowercase().replace('-', "_");
    match Permission::from_word(&word) {
        Some(permission) => Ok(permission.word().to_owned()),
        None => {
            let words: Vec<&str> = Permission::ALL.iter().map(|p| p.word()).collect();
            let message = format!("no right is called so; there are {}", words.join(", "));
            Err(UserError::new(Code::Usage, message).hint("kith role list '#NAME' shows who has which"))
        }
    }
}

/// Refuses a role that cannot be, and spells its words as they are told by.
fn check_role(role: NewRole) -> Result<NewRole, UserError> {
    let too_many = |what: &str| UserError::new(Code::Usage, format!("at most {} {what}", limits::ROLES_MAX));
    if role.inherits.len() > limits::ROLES_MAX {
        return Err(too_many("roles can be inherited from"));
    }
    if role.minutes.is_some_and(|(from, until)| from >= DAY_MINUTES || until > DAY_MINUTES || from == until) {
        return Err(UserError::new(Code::Usage, format!("minutes of a day lie between 0 and {DAY_MINUTES}")));
    }
    if role.per_minute == Some(0) {
        return Err(UserError::new(Code::Usage, "at least one message in a minute").hint("deny send instead"));
    }
    let name = check_role_name(&role.name)?;
    // Only where one is defined: what others defined can still be named, to be dropped.
    alike::check(&name)?;
    let words = |words: Vec<String>| words.iter().map(|word| check_permission(word)).collect::<Result<Vec<_>, _>>();
    Ok(NewRole {
        name,
        inherits: role.inherits.iter().map(|name| check_role_name(name)).collect::<Result<_, _>>()?,
        allow: words(role.allow)?,
        deny: words(role.deny)?,
        ..role
    })
}

/// Refuses a time for which nothing would last, or that nobody remembers.
fn check_for(for_ms: Option<u64>, on: bool) -> Result<(), UserError> {
    match for_ms {
        Some(_) if !on => Err(UserError::new(Code::Usage, "what ends needs no time").hint("leave the time out")),
        Some(ms) if !FOR_MS.contains(&ms) => {
            Err(UserError::new(Code::Usage, "the time is 1 second to 3650 days").hint("--for 1d, or none for good"))
        }
        _ => Ok(()),
    }
}

impl<B: Backend> Shared<B> {
    /// Finds a member of a channel.
    async fn member(&self, channel: &str, member: &str) -> Result<(ChannelId, AccountId), UserError> {
        let channel = self.channel(channel).await?;
        let members = self.backend.members(channel).await?;
        match target::member(member, &members, &self.backend.contacts().await?) {
            Ok(account) => Ok((channel, account)),
            Err(error) => Err(self.naming(channel, error).await),
        }
    }

    /// Runs a command that answers nothing else.
    pub(super) async fn done(&self, command: Command, key: Option<String>) -> Answer<Done> {
        one(self.backend.command(command, key).await?.done()?)
    }

    /// Runs a command about a channel that answers nothing else.
    pub(super) async fn done_in(&self, channel: ChannelId, command: Command, key: Option<String>) -> Answer<Done> {
        one(self.in_channel(channel, command, key).await?.done()?)
    }
}
