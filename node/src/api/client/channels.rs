//! What the client asks about channels, the people in them, and what is said there.

use super::{Client, Empty, Request, connection, idempotency_key};
use crate::api::error::UserError;
use crate::api::types::{
    BanMember, Channel, ChannelChange, ChannelInvite, CreateChannel, Done, EditMessage, GiveRole, Join,
    JoinRequestInfo, JudgeRequest, Member, MuteMember, NewChannelInvite, NewJoin, NewRole, Pin, React, Rekey, RoleInfo,
    SendReply,
};

impl Client {
    /// Lists the channels, those that were left included.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn channels(&self) -> Result<Vec<Channel>, UserError> {
        self.list("/v1/channels").await
    }

    /// Shows one channel, by `#name`, its id or a prefix of it.
    ///
    /// # Errors
    /// See [`Client::status`]; `channel_unknown`, `ambiguous`, `bad_target`.
    pub async fn channel(&self, channel: &str) -> Result<Channel, UserError> {
        self.get(&path(channel, "")).await
    }

    /// Makes a channel.
    ///
    /// # Errors
    /// See [`Client::status`]; `bad_name`.
    pub async fn create_channel(&self, name: &str) -> Result<Channel, UserError> {
        self.post("/v1/channels", &CreateChannel { name: name.into() }).await
    }

    /// Changes a property of a channel.
    ///
    /// # Errors
    /// See [`Client::channel`]; `not_permitted`, `bad_name`.
    pub async fn change_channel(&self, channel: &str, change: &ChannelChange) -> Result<Channel, UserError> {
        self.mutate(Request::patch(&path(channel, ""), change)?, &idempotency_key()?).await
    }

    /// Leaves a channel; what was said stays here.
    ///
    /// # Errors
    /// See [`Client::channel`]; `last_owner`.
    pub async fn leave_channel(&self, channel: &str) -> Result<Done, UserError> {
        self.mutate(Request::delete(&path(channel, "")), &idempotency_key()?).await
    }

    /// Makes a channel's keys anew.
    ///
    /// # Errors
    /// See [`Client::channel`]; `not_permitted`, `keys_on_their_way`.
    pub async fn rekey_channel(&self, channel: &str, emergency: bool) -> Result<Done, UserError> {
        self.post(&path(channel, "/rekey"), &Rekey { emergency }).await
    }

    /// Lists a channel's members.
    ///
    /// # Errors
    /// See [`Client::channel`].
    pub async fn members(&self, channel: &str) -> Result<Vec<Member>, UserError> {
        self.list(&path(channel, "/members")).await
    }

    /// Removes a member, who may come back by an invite.
    ///
    /// # Errors
    /// See [`Client::channel`]; `member_unknown`, `not_permitted`, `not_above`, `last_owner`.
    pub async fn remove_member(&self, channel: &str, member: &str, reason: &str) -> Result<Done, UserError> {
        let mut path = member_path(channel, member, "");
        if !reason.is_empty() {
            path.push_str(&format!("?reason={}", connection::escape(reason)));
        }
        self.mutate(Request::delete(&path), &idempotency_key()?).await
    }

    /// Removes a member for good.
    ///
    /// # Errors
    /// See [`Client::remove_member`].
    pub async fn ban_member(&self, channel: &str, member: &str, reason: &str) -> Result<Done, UserError> {
        self.post(&member_path(channel, member, "/ban"), &BanMember { reason: reason.into() }).await
    }

    /// Lets somebody who was banned come again: a contact, or an account by its whole id.
    ///
    /// # Errors
    /// See [`Client::channel`]; `contact_unknown`, `not_permitted`.
    pub async fn unban_member(&self, channel: &str, member: &str) -> Result<Done, UserError> {
        self.mutate(Request::delete(&member_path(channel, member, "/ban")), &idempotency_key()?).await
    }

    /// Gives a member a role, or takes one.
    ///
    /// # Errors
    /// See [`Client::remove_member`]; `role_unknown`, `more_than_held`.
    pub async fn give_role(&self, channel: &str, member: &str, role: &GiveRole) -> Result<Done, UserError> {
        self.post(&member_path(channel, member, "/role"), role).await
    }

    /// Silences a member, or ends that.
    ///
    /// # Errors
    /// See [`Client::remove_member`].
    pub async fn mute_member(&self, channel: &str, member: &str, mute: &MuteMember) -> Result<Done, UserError> {
        self.post(&member_path(channel, member, "/mute"), mute).await
    }

    /// Lists who waits to be let into a channel.
    ///
    /// # Errors
    /// See [`Client::channel`].
    pub async fn join_requests(&self, channel: &str) -> Result<Vec<JoinRequestInfo>, UserError> {
        self.list(&path(channel, "/requests")).await
    }

    /// Lets somebody in who waits, or not.
    ///
    /// # Errors
    /// See [`Client::channel`]; `member_unknown`, `not_permitted`, `channel_full`.
    pub async fn judge_request(&self, channel: &str, who: &str, admit: bool) -> Result<Done, UserError> {
        self.post(&path(channel, &format!("/requests/{}", connection::escape(who))), &JudgeRequest { admit }).await
    }

    /// Lists a channel's roles.
    ///
    /// # Errors
    /// See [`Client::channel`].
    pub async fn roles(&self, channel: &str) -> Result<Vec<RoleInfo>, UserError> {
        self.list(&path(channel, "/roles")).await
    }

    /// Defines a role, anew if it is there.
    ///
    /// # Errors
    /// See [`Client::channel`]; `role_unknown`, `role_cycle`, `more_than_held`, `not_permitted`.
    pub async fn define_role(&self, channel: &str, role: &NewRole) -> Result<Done, UserError> {
        self.post(&path(channel, "/roles"), role).await
    }

    /// Ends a role.
    ///
    /// # Errors
    /// See [`Client::channel`]; `role_unknown`, `not_permitted`.
    pub async fn drop_role(&self, channel: &str, name: &str) -> Result<Done, UserError> {
        let path = path(channel, &format!("/roles/{}", connection::escape(name)));
        self.mutate(Request::delete(&path), &idempotency_key()?).await
    }

    /// Makes an invite into a channel.
    ///
    /// # Errors
    /// See [`Client::channel`]; `not_permitted`, `role_unknown`, `more_than_held`.
    pub async fn invite(&self, channel: &str, terms: &NewChannelInvite) -> Result<ChannelInvite, UserError> {
        self.post(&path(channel, "/invites"), terms).await
    }

    /// Lists a channel's invites that still let somebody in.
    ///
    /// # Errors
    /// See [`Client::channel`].
    pub async fn invites(&self, channel: &str) -> Result<Vec<ChannelInvite>, UserError> {
        self.list(&path(channel, "/invites")).await
    }

    /// Ends an invite, by its id or a unique prefix.
    ///
    /// # Errors
    /// See [`Client::channel`]; `invite_unknown`, `ambiguous`, `not_permitted`.
    pub async fn revoke_invite(&self, channel: &str, invite: &str) -> Result<Done, UserError> {
        let path = path(channel, &format!("/invites/{}", connection::escape(invite)));
        self.mutate(Request::delete(&path), &idempotency_key()?).await
    }

    /// Begins to join a channel by an invite's code or link; it goes on in the daemon.
    ///
    /// # Errors
    /// See [`Client::status`]; `code_…`, `invite_…`, `bad_name`.
    pub async fn join(&self, join: &NewJoin) -> Result<Join, UserError> {
        self.post("/v1/joins", join).await
    }

    /// Lists the joins that are under way or ended lately.
    ///
    /// # Errors
    /// See [`Client::status`].
    pub async fn joins(&self) -> Result<Vec<Join>, UserError> {
        self.list("/v1/joins").await
    }

    /// Tells how far a join has come.
    ///
    /// # Errors
    /// See [`Client::status`]; `join_unknown`.
    pub async fn join_state(&self, join: u64) -> Result<Join, UserError> {
        self.get(&format!("/v1/joins/{join}")).await
    }

    /// Says yes to what an invite leads to.
    ///
    /// # Errors
    /// See [`Client::join_state`].
    pub async fn confirm_join(&self, join: u64) -> Result<Join, UserError> {
        self.post(&format!("/v1/joins/{join}/confirm"), &Empty {}).await
    }

    /// Gives a join up.
    ///
    /// # Errors
    /// See [`Client::join_state`].
    pub async fn cancel_join(&self, join: u64) -> Result<Done, UserError> {
        self.mutate(Request::delete(&format!("/v1/joins/{join}")), &idempotency_key()?).await
    }

    /// Gives a message of mine in a channel other words.
    ///
    /// # Errors
    /// See [`Client::message`]; `not_permitted`, `empty_message`, `message_too_long`.
    pub async fn edit_message(&self, message: &str, body: &str) -> Result<SendReply, UserError> {
        let request = Request::patch(&message_path(message, ""), &EditMessage { body: body.into() })?;
        self.mutate(request, &idempotency_key()?).await
    }

    /// Asks all members of a channel to hide a message.
    ///
    /// # Errors
    /// See [`Client::message`]; `not_permitted`.
    pub async fn delete_message(&self, message: &str, everyone: bool) -> Result<SendReply, UserError> {
        let path = message_path(message, &format!("?everyone={everyone}"));
        self.mutate(Request::delete(&path), &idempotency_key()?).await
    }

    /// Reacts to a message of a channel, or ends that.
    ///
    /// # Errors
    /// See [`Client::message`]; `not_permitted`.
    pub async fn react(&self, message: &str, emoji: &str, on: bool) -> Result<SendReply, UserError> {
        self.post(&message_path(message, "/reactions"), &React { emoji: emoji.into(), on }).await
    }

    /// Pins a message of a channel, or ends that.
    ///
    /// # Errors
    /// See [`Client::message`]; `not_permitted`.
    pub async fn pin(&self, message: &str, on: bool) -> Result<SendReply, UserError> {
        self.post(&message_path(message, "/pin"), &Pin { on }).await
    }
}

/// Makes the path of a channel.
fn path(channel: &str, rest: &str) -> String {
    format!("/v1/channels/{}{rest}", connection::escape(channel))
}

/// Makes the path of a member.
fn member_path(channel: &str, member: &str, rest: &str) -> String {
    path(channel, &format!("/members/{}{rest}", connection::escape(member)))
}

/// Makes the path of a message.
fn message_path(message: &str, rest: &str) -> String {
    format!("/v1/messages/{}{rest}", connection::escape(message))
}
