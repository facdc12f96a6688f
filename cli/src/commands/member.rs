//! `kith member`

use super::channel::Which;
use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use clap::{Args, Subcommand};
use kith_node::api::check_role_name;
use kith_node::api::types::{GiveRole, MuteMember};
use std::time::Duration;

/// What to do with the members of a channel.
#[derive(Debug, Subcommand)]
pub(crate) enum MemberVerb {
    /// List members
    List(Which),
    /// Give a member a role, or take one
    Role {
        /// Whom.
        #[command(flatten)]
        whom: Whom,
        /// Which: kith role list
        #[arg(value_name = "ROLE")]
        role: String,
        /// Take it
        #[arg(long, conflicts_with = "time")]
        take: bool,
        /// For how long; for good if left out
        #[arg(long = "for", value_name = "TIME", value_parser = input::duration)]
        time: Option<Duration>,
    },
    /// Remove a member, who may come back by an invite
    Remove(Removal),
    /// Remove a member for good; whoever is none is named by the whole id
    Ban(Removal),
    /// Let somebody who was banned come again: a contact, or an account by the whole id
    Unban(Whom),
    /// Let somebody in who waits: kith channel requests
    Approve(Whom),
    /// Do not let somebody in who waits
    Deny(Whom),
    /// Silence a member, or end that
    Mute {
        /// Whom.
        #[command(flatten)]
        whom: Whom,
        /// For how long; for good if left out
        #[arg(long = "for", value_name = "TIME", value_parser = input::duration)]
        time: Option<Duration>,
        /// Let them speak again
        #[arg(long, conflicts_with = "time")]
        off: bool,
    },
}

/// Whom, and where.
#[derive(Debug, Args)]
pub(crate) struct Whom {
    /// Which channel.
    #[command(flatten)]
    which: Which,
    /// @name (yours for them, or the one they go by there), an id, or the beginning of one
    #[arg(value_name = "@P")]
    who: String,
}

/// Whom to remove.
#[derive(Debug, Args)]
pub(crate) struct Removal {
    /// Whom.
    #[command(flatten)]
    whom: Whom,
    /// Why; all members see it
    #[arg(long, value_name = "T", default_value = "", hide_default_value = true)]
    reason: String,
}

/// Carries out what to do with members.
pub(crate) async fn run(verb: MemberVerb, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    let done = match verb {
        MemberVerb::List(which) => return out.list(&client.members(&which.channel).await?, "nobody"),
        MemberVerb::Role { whom, role, take, time } => {
            let role = GiveRole { role: check_role_name(&role)?, give: !take, for_ms: time.map(input::millis) };
            client.give_role(&whom.which.channel, &whom.who, &role).await?
        }
        MemberVerb::Remove(Removal { whom, reason }) => {
            client.remove_member(&whom.which.channel, &whom.who, &reason).await?
        }
        MemberVerb::Ban(Removal { whom, reason }) => client.ban_member(&whom.which.channel, &whom.who, &reason).await?,
        MemberVerb::Unban(whom) => client.unban_member(&whom.which.channel, &whom.who).await?,
        MemberVerb::Approve(whom) => client.judge_request(&whom.which.channel, &whom.who, true).await?,
        MemberVerb::Deny(whom) => client.judge_request(&whom.which.channel, &whom.who, false).await?,
        MemberVerb::Mute { whom, time, off } => {
            let mute = MuteMember { on: !off, for_ms: time.map(input::millis) };
            client.mute_member(&whom.which.channel, &whom.who, &mute).await?
        }
    };
    out.one(&done)
}
