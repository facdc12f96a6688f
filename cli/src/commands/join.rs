//! `kith join`: begins to join a channel, shows where the invite leads, and follows how far it comes. The joining itself
//! goes on in the daemon, whether this waits or not.

use super::invite;
use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use crate::render::{JoinReply, Show};
use clap::Args;
use kith_node::api::Events;
use kith_node::api::code::check_invite;
use kith_node::api::types::{EventKind, Join, JoinState, NewJoin};
use kith_node::{Client, Code, UserError};
use std::time::Duration;

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// An invite's code or link, as pasted; - reads it from stdin
    #[arg(value_name = "CODE|LINK|-", required = true, num_args = 1..)]
    code: Vec<String>,
    /// The name to go by there, if not the one that contacts see
    #[arg(long, value_name = "NICK")]
    name: Option<String>,
    /// Join without asking first
    #[arg(long)]
    yes: bool,
    /// How long to wait (exit 7 if not in by then; it goes on in the daemon)
    #[arg(long, value_name = "TIME", value_parser = input::duration, default_value = "60s")]
    wait: Duration,
}

/// Joins a channel.
pub(crate) async fn run(args: JoinArgs, context: &Context) -> Outcome {
    let out = context.out;
    let code = invite::read(&args.code)?;
    check_invite(&code)?;
    if !args.yes && (out.is_json() || !input::can_ask()) {
        return Err(input::needed("joining takes a yes", "kith join CODE --yes").into());
    }
    let client = context.client.clone().with_patience(args.wait);
    let mut course = Course { events: client.events(None).await?, client, time: args.wait };
    let begun = course.client.join(&NewJoin { code, name: args.name, yes: args.yes }).await?;
    out.progress("looking for the channel; Ctrl-C leaves it to the daemon");
    // Who said yes beforehand waits once; who is asked is not hurried, and waits for the finding and for the letting in.
    let found: fn(JoinState) -> bool = match args.yes {
        true => |state| state == JoinState::Preview || is_settled(state),
        false => |state| state != JoinState::Looking,
    };
    let mut join = course.until(begun, found).await?;
    if join.state == JoinState::Preview {
        out.note(&join.human(out.style()));
        if !args.yes && !agreed(context).await? {
            course.client.cancel_join(join.id).await?;
            return Err(UserError::new(Code::Failed, "not joined").hint("kith join CODE asks again").into());
        }
        let confirmed = course.client.confirm_join(join.id).await?;
        join = course.until(confirmed, is_settled).await?;
    } else if join.state == JoinState::Asking && !args.yes {
        join = course.until(join, is_settled).await?;
    }
    report(&course.client, join, context).await
}

/// Asks whether to join; Enter is yes.
async fn agreed(context: &Context) -> Result<bool, UserError> {
    let answer = input::unless_interrupted(input::ask(context.out, "Join? [Y/n] ")).await??;
    Ok(matches!(answer.to_lowercase().as_str(), "" | "y" | "yes"))
}

/// Says whether nothing more is to be waited for here.
fn is_settled(state: JoinState) -> bool {
    matches!(state, JoinState::Waiting | JoinState::Joined | JoinState::Failed)
}

/// A join that is followed, and how long at a time.
struct Course {
    client: Client,
    events: Events,
    time: Duration,
}

impl Course {
    /// Waits until the join has come to a state, or the time is over; returns how far it is.
    async fn until(&mut self, mut join: Join, reached: fn(JoinState) -> bool) -> Result<Join, UserError> {
        let followed = async {
            while !reached(join.state) {
                match self.events.next().await?.kind {
                    EventKind::Join(now) if now.id == join.id => join = now,
                    _ => {}
                }
            }
            Ok::<_, UserError>(())
        };
        let ended = tokio::select! {
            ended = tokio::time::timeout(self.time, followed) => ended,
            error = input::interrupted() => return Err(error),
        };
        match ended {
            Ok(Ok(())) => Ok(join),
            Ok(Err(error)) if error.code != Code::DaemonUnreachable => Err(error),
            // Out of time, or the daemon went away: the join is on its disk, so it is not an error of the join.
            _ => Ok(self.client.join_state(join.id).await.unwrap_or(join)),
        }
    }
}

/// Prints how far the join has come, and says what is missing.
async fn report(client: &Client, join: Join, context: &Context) -> Outcome {
    if join.state == JoinState::Failed {
        return Err(failure(&join).into());
    }
    let mut reply = JoinReply::from(&join);
    if let Some(id) = join.channel.filter(|_| join.state == JoinState::Joined) {
        let channel = client.channel(&id.to_string()).await?;
        (reply.name, reply.members) = (Some(channel.name), Some(channel.members));
    }
    context.out.one(&reply)?;
    let again = "the same kith join again tells how it stands";
    match join.state {
        JoinState::Joined | JoinState::Failed => Ok(()),
        JoinState::Waiting => {
            let message = "a member has to say yes; you can go, it goes on in the daemon";
            Err(UserError::new(Code::NotYet, message).hint(again).into())
        }
        _ if client.status().await.is_ok_and(|status| status.peers == 0) => {
            let message = "no way to reach the network yet: use the link, or --bootstrap, or add a relay; it goes on in \
                           the daemon";
            Err(UserError::new(Code::NobodyReachable, message).hint(again).into())
        }
        JoinState::Looking | JoinState::Preview => {
            let message = "what the invite leads to was not found in time; the daemon goes on looking";
            Err(UserError::new(Code::NotYet, message).hint(again).into())
        }
        JoinState::Asking => {
            let message = "no member who may let you in has answered yet; it goes on in the daemon";
            Err(UserError::new(Code::NotYet, message).hint(again).into())
        }
    }
}

/// Says why a join came to nothing.
fn failure(join: &Join) -> UserError {
    let Some((code, sentence)) = &join.error else {
        return UserError::new(Code::Failed, "the join came to nothing");
    };
    let code = serde_json::from_value(code.as_str().into()).unwrap_or(Code::Unknown);
    let hint = match code {
        Code::InviteExpired | Code::InviteRevoked | Code::InviteUsedUp => "ask for a new invite",
        Code::Banned => "who banned you, or another who may, lifts it: kith member unban",
        _ => "ask whoever gave you the invite",
    };
    UserError::new(code, sentence.clone()).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_that_failed_ends_with_the_code_of_its_reason() {
        let mut join = Join {
            id: 1,
            state: JoinState::Failed,
            channel: None,
            name: None,
            inviter: None,
            members: None,
            role: None,
            history: None,
            expires: None,
            error: Some(("invite_used_up".into(), "25 people came".into())),
        };
        let error = failure(&join);
        assert_eq!(
            (error.code, error.code.exit_code(), error.message.as_str()),
            (Code::InviteUsedUp, 6, "25 people came")
        );
        join.error = Some(("from_the_future".into(), "m".into()));
        assert_eq!(failure(&join).code, Code::Unknown);
        join.error = None;
        assert_eq!(failure(&join).code, Code::Failed);
    }
}
