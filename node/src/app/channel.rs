//! Channels: what a person does in them, and what comes of it. Must not know how members are reached.

mod act;
mod caught;
mod join;
mod keys;
mod later;
mod numbers;
mod past;
mod relay;
mod room;
mod sync;
mod talk;
mod word;

pub(in crate::app) use caught::code_of;
pub(in crate::app) use join::{JOIN_NUMBER, JOIN_QUERY};
pub(in crate::app) use numbers::of_others;
pub(in crate::app) use relay::relays_of;
pub(in crate::app) use room::{Room, Rooms, graph_of};
pub(in crate::app) use word::WORD_MEMBERS_MAX;

use super::{
    App, channel_query,
    command::{Command, Outcome},
    work::{Halt, Work},
};
use crate::{
    api::{
        error::{Code, UserError},
        types::{ChannelChange, ChannelMode, Done, EventKind, MemberEvent, NewRole},
    },
    net::NetCommand,
};
use kith_protocol::{
    AccountId, ChannelId,
    channel::{Act, Conditions, Mode, Name, Permission, Permissions, Refused, Removal, Role, RoleName, Setting},
};
use kith_store::table::Membership;

impl App {
    /// Carries out a command about a channel.
    pub(super) fn channel_command(&self, w: &mut Work<'_>, command: Command) -> Result<Outcome, Halt> {
        let channel = match command {
            Command::ChannelCreate { name } => {
                let room = self.channel_create(w, &name)?;
                self.tell_channel(w, &room)?;
                let shown = channel_query::shown(w.rows(), &room.row, &room.graph, &room.epochs, &room.ring, w.now)?;
                self.close(w, room)?;
                return Ok(Outcome::Channel(shown));
            }
            Command::Join { code_or_link, name, yes } => return self.join(w, &code_or_link, name, yes),
            Command::JoinConfirm { join } => return self.join_confirm(w, join),
            Command::JoinCancel { join } => return self.join_cancel(w, join),
            Command::ChannelSet { channel, .. }
            | Command::ChannelLeave { channel }
            | Command::ChannelRekey { channel, .. }
            | Command::ChannelInvite { channel, .. }
            | Command::ChannelInviteRevoke { channel, .. }
            | Command::JoinJudge { channel, .. }
            | Command::ChannelSay { channel, .. }
            | Command::MemberRole { channel, .. }
            | Command::MemberRemove { channel, .. }
            | Command::MemberUnban { channel, .. }
            | Command::MemberMute { channel, .. }
            | Command::RoleDefine { channel, .. }
            | Command::RoleDrop { channel, .. } => channel,
            _ => return Err(UserError::internal("a command of another kind").into()),
        };
        let Some(mut room) = self.room(w, &channel)? else {
            return Err(UserError::new(Code::ChannelUnknown, "no such channel").hint("kith channel list").into());
        };
        if room.row.membership != Membership::Joined {
            if matches!(command, Command::ChannelLeave { .. }) {
                self.close(w, room)?;
                return Ok(Outcome::Done(Done { changed: false }));
            }
            return Err(UserError::new(Code::NotMember, "you are not in this channel any more")
                .hint("ask for an invite: kith join CODE")
                .into());
        }
        let outcome = self.channel_act(w, &mut room, command)?;
        self.close(w, room)?;
        Ok(outcome)
    }

    fn channel_act(&self, w: &mut Work<'_>, room: &mut Room, command: Command) -> Result<Outcome, Halt> {
        let until = |for_ms: Option<u64>| for_ms.map(|ms| w.now.plus_millis(ms));
        match command {
            Command::ChannelSet { change, .. } => {
                self.channel_set(w, room, change)?;
                self.tell_channel(w, room)?;
                channel_query::shown(w.rows(), &room.row, &room.graph, &room.epochs, &room.ring, w.now)
                    .map(Outcome::Channel)
                    .map_err(Into::into)
            }
            Command::ChannelLeave { .. } => self.channel_leave(w, room),
            Command::ChannelRekey { emergency, .. } => {
                self.act_fresh(w, room, |fresh| Act::Rekey { emergency, fresh })?;
                Ok(done())
            }
            Command::ChannelInvite { terms, .. } => self.channel_invite(w, room, &terms),
            Command::ChannelInviteRevoke { invite, .. } => self.channel_invite_revoke(w, room, &invite),
            Command::JoinJudge { account, admit, .. } => self.join_judge(w, room, account, admit),
            Command::ChannelSay { saying, expires_after_ms, .. } => self.channel_say(w, room, saying, expires_after_ms),
            Command::MemberRole { account, role, give, for_ms, .. } => {
                let role = role_name(&role)?;
                let act = if give {
                    Act::GrantRole { account, role, until: until(for_ms) }
                } else {
                    Act::RevokeRole { account, role }
                };
                self.act(w, room, &act)?;
                self.tell_channel(w, room)?;
                Ok(done())
            }
            Command::MemberRemove { account, ban, reason, .. } => {
                if account == self.me.account {
                    return Err(UserError::new(Code::BadTarget, "that is you")
                        .hint("kith channel leave '#NAME'")
                        .into());
                }
                self.member_remove(w, room, account, ban, &reason)?;
                self.tell_channel(w, room)?;
                Ok(done())
            }
            Command::MemberUnban { account, .. } => {
                self.act(w, room, &Act::Unban { account })?;
                Ok(done())
            }
            Command::MemberMute { account, on, for_ms, .. } => {
                self.act(w, room, &Act::Mute { account, on, until: until(for_ms).filter(|_| on) })?;
                Ok(done())
            }
            Command::RoleDefine { role, .. } => self.role_define(w, room, &role),
            Command::RoleDrop { name, .. } => {
                self.act(w, room, &Act::DropRole { name: role_name(&name)? })?;
                Ok(done())
            }
            _ => Err(UserError::internal("a command of another kind").into()),
        }
    }

    fn channel_set(&self, w: &mut Work<'_>, room: &mut Room, change: ChannelChange) -> Result<(), Halt> {
        let setting = match change {
            ChannelChange::Muted(muted) => {
                room.row.muted = muted;
                return Ok(());
            }
            ChannelChange::Name(name) => Setting::Name(Name::parse(&name).map_err(|error| {
                UserError::new(Code::BadName, error.to_string()).hint("kith channel rename '#NAME' 'new name'")
            })?),
            ChannelChange::Topic(topic) => {
                if topic.len() > kith_protocol::limits::TOPIC_MAX || topic.chars().any(char::is_control) {
                    return Err(UserError::new(Code::BadName, "a topic is one line of at most 512 bytes")
                        .hint("kith channel topic '#NAME' 'what it is about'")
                        .into());
                }
                Setting::Topic(topic)
            }
            ChannelChange::Mode(mode) => Setting::Mode(match mode {
                ChannelMode::Open => Mode::Open,
                ChannelMode::Private => Mode::Private,
                ChannelMode::Announce => Mode::Announce,
                ChannelMode::Archive => Mode::Archive,
            }),
            ChannelChange::RetentionDays(days) => Setting::RetentionDays(days),
            ChannelChange::ExpireAfterMs(ms) => Setting::ExpireAfterMs(ms),
            ChannelChange::RelayAdd(card) => self.channel_relay_add(room, &card)?,
            ChannelChange::RelayRemove(relay) => self.channel_relay_remove(room, &relay)?,
        };
        self.act(w, room, &Act::Set(setting))?;
        self.mailboxes_follow(w, room)
    }

    fn channel_leave(&self, w: &mut Work<'_>, room: &mut Room) -> Result<Outcome, Halt> {
        let owner = RoleName::owner();
        let owns = |account: &AccountId| room.graph.standing(account, w.now).is_some_and(|s| s.roles.contains(&owner));
        let others = room.graph.members().filter(|m| *m != self.me.account).collect::<Vec<_>>();
        if owns(&self.me.account) && !others.is_empty() && !others.iter().any(owns) {
            return Err(UserError::new(Code::LastOwner, "you are the channel's last owner")
                .hint("make somebody else owner first: kith member role '#NAME' @PERSON owner")
                .into());
        }
        let removal =
            Removal { account: self.me.account, ban: false, reason: String::new(), cutoffs: Vec::new(), fresh: None };
        room.row.membership = Membership::Left;
        self.act(w, room, &Act::Remove(removal))?;
        room.row.membership = Membership::Left;
        room.row.sending = None;
        w.effects().net.push(NetCommand::ChannelLeave { topic: room.row.topic });
        self.tell_channel(w, room)?;
        Ok(done())
    }

    fn role_define(&self, w: &mut Work<'_>, room: &mut Room, new: &NewRole) -> Result<Outcome, Halt> {
        let permissions = |words: &[String]| -> Result<Permissions, UserError> {
            let mut list = Vec::new();
            for word in words {
                list.push(Permission::from_word(word).ok_or_else(|| {
                    let all: Vec<&str> = Permission::ALL.iter().map(|p| p.word()).collect();
                    UserError::new(Code::Usage, format!("no such right: {word}")).hint(all.join(", "))
                })?);
            }
            Ok(Permissions::of(&list))
        };
        let mut inherits = new.inherits.iter().map(|name| role_name(name)).collect::<Result<Vec<_>, _>>()?;
        inherits.sort_unstable();
        inherits.dedup();
        if let Some((from, to)) = new.minutes
            && (from > 1_440 || to > 1_440 || from == to)
        {
            return Err(UserError::new(Code::Usage, "minutes of a day lie between 0 and 1440").into());
        }
        let conditions =
            Conditions { minutes: new.minutes, managing_device: new.managing_device, per_minute: new.per_minute };
        let role = Role { inherits, allow: permissions(&new.allow)?, deny: permissions(&new.deny)?, conditions };
        self.act(w, room, &Act::DefineRole { name: role_name(&new.name)?, role })?;
        Ok(done())
    }

    /// Operations came in: tells who came and went, and brings keys and topics in line.
    pub(super) fn after_ops(&self, w: &mut Work<'_>, room: &mut Room) -> Result<(), Halt> {
        self.settle(w, room)?;
        self.mailboxes_follow(w, room)?;
        self.want_keys(w, room)?;
        self.tell_channel(w, room)
    }

    /// Tells local clients how a channel is now.
    pub(super) fn tell_channel(&self, w: &mut Work<'_>, room: &Room) -> Result<(), Halt> {
        let shown = channel_query::shown(w.rows(), &room.row, &room.graph, &room.epochs, &room.ring, w.now)?;
        self.emit(w, EventKind::Channel(shown)).map(drop)
    }

    pub(super) fn tell_member(
        &self,
        w: &mut Work<'_>,
        channel: ChannelId,
        account: AccountId,
        name: String,
        joined: bool,
    ) -> Result<(), Halt> {
        let event = MemberEvent { channel, account, name, joined, at: w.now.into() };
        self.emit(w, EventKind::Member(event)).map(drop)
    }
}

fn done() -> Outcome {
    Outcome::Done(Done { changed: true })
}

fn role_name(text: &str) -> Result<RoleName, UserError> {
    RoleName::parse(text).map_err(|error| {
        UserError::new(Code::BadName, error.to_string())
            .hint("roles: owner, admin, moderator, member, reader, or your own")
    })
}

/// Turns the answer of the one function that says who may do what into what people are told.
pub(super) fn refused(why: Refused) -> UserError {
    let (code, hint) = match why {
        Refused::NotMember | Refused::Removed => (Code::NotMember, "ask for an invite: kith join CODE"),
        Refused::Lacks(_) => {
            (Code::NotPermitted, "kith member list '#NAME' shows who may; roles: kith role list '#NAME'")
        }
        Refused::NotAbove => {
            (Code::NotAbove, "one acts on members below oneself; owners on each other, nobody on the creator")
        }
        Refused::MoreThanHeld => (Code::MoreThanHeld, "one gives only what one has: kith channel info '#NAME'"),
        Refused::UnknownMember => (Code::MemberUnknown, "kith member list '#NAME'"),
        Refused::UnknownRole => (Code::RoleUnknown, "kith role list '#NAME'"),
        Refused::BuiltinRole => {
            (Code::BadName, "choose another name: owner, admin, moderator, member and reader are taken")
        }
        Refused::RoleCycle => (Code::RoleCycle, "kith role list '#NAME'"),
        Refused::UnknownInvite => (Code::InviteUnknown, "kith invite list '#NAME'"),
        Refused::InviteRevoked => (Code::InviteRevoked, "ask for a new invite"),
        Refused::InviteExpired => (Code::InviteExpired, "ask for a new invite"),
        Refused::InviteUsedUp => (Code::InviteUsedUp, "ask for a new invite"),
        Refused::Banned => (Code::Banned, "kith member unban '#NAME' @PERSON"),
        Refused::AlreadyMember => (Code::Conflict, "kith member list '#NAME'"),
        Refused::OutOfBounds | Refused::TooMany => (Code::Usage, "a number is too large"),
        _ => (Code::NotPermitted, "kith channel info '#NAME'"),
    };
    UserError::new(code, why.to_string()).hint(hint)
}
