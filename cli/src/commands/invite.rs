//! `kith invite`

use super::channel::{Which, days};
use crate::context::{Context, quoted};
use crate::failure::Outcome;
use crate::input;
use crate::render::{Inspected, qr};
use clap::{Args, Subcommand};
use kith_node::api::code;
use kith_node::api::types::{HistoryGrant, NewChannelInvite};
use kith_node::api::{INVITE_USES_MAX, check_role_name};
use std::path::Path;
use std::time::Duration;

/// Longest code read from stdin in bytes.
const CODE_MAX: usize = 4096;

/// What to do with invites into channels.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct InviteArgs {
    #[command(subcommand)]
    verb: Option<InviteVerb>,
    /// Into which: '#name' (quoted: a shell takes # for a comment), an id, or the beginning of one
    #[arg(value_name = "#C", required = true)]
    channel: Option<String>,
    /// How many it lets in
    #[arg(long, value_name = "N", default_value_t = 25)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(INVITE_USES_MAX)))]
    uses: u32,
    /// For how long it is good: 1m to 365d
    #[arg(long, value_name = "TIME", value_parser = input::duration, default_value = "7d")]
    expires: Duration,
    /// As what they come
    #[arg(long, value_name = "R", default_value = "member")]
    role: String,
    /// What of the past they are to be given: none, all, or so many days (30d); nothing of it is handed out yet
    #[arg(long, value_name = "HISTORY", value_parser = history, default_value = "none")]
    history: HistoryGrant,
    /// Let nobody in before a member has said yes: kith channel requests, kith member approve
    #[arg(long)]
    approve: bool,
    /// Show the link as a QR code too
    #[arg(long)]
    qr: bool,
}

/// What to do with invites that are there.
#[derive(Debug, Subcommand)]
pub(crate) enum InviteVerb {
    /// List those that still let somebody in
    List(Which),
    /// End one
    Revoke {
        /// Of which channel.
        #[command(flatten)]
        which: Which,
        /// Its id, or the beginning of it: kith invite list
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Say what a code or link is, without asking anybody; - reads it from stdin
    Inspect {
        /// A code or link, as pasted
        #[arg(value_name = "CODE|LINK|-", required = true, num_args = 1..)]
        code: Vec<String>,
    },
}

/// Makes an invite, or does something with those that are there.
pub(crate) async fn run(args: InviteArgs, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    match args.verb {
        Some(InviteVerb::List(Which { channel })) => {
            let make = format!("no invite lets anybody in now: kith invite {}", quoted(Path::new(&channel)));
            out.list(&client.invites(&channel).await?, &make)
        }
        Some(InviteVerb::Revoke { which, id }) => out.one(&client.revoke_invite(&which.channel, &id).await?),
        Some(InviteVerb::Inspect { code }) => out.one(&Inspected::from(code::inspect(&read(&code)?)?)),
        None => {
            let terms = NewChannelInvite {
                uses: args.uses,
                expires_after_ms: input::millis(args.expires),
                role: check_role_name(&args.role)?,
                history: args.history,
                approval: args.approve,
            };
            let invite = client.invite(&args.channel.unwrap_or_default(), &terms).await?;
            if let Some(url) = invite.url.as_ref().filter(|_| args.qr && !out.is_json()) {
                out.say(&qr(url)?)?;
            }
            out.one(&invite)
        }
    }
}

/// Reads a code as given. One pasted in groups without quotes arrives as several words: they belong together.
pub(crate) fn read(words: &[String]) -> Result<String, kith_node::UserError> {
    match words {
        [dash] if dash == "-" => input::stdin_text(CODE_MAX),
        words => Ok(words.join(" ")),
    }
}

/// Reads what of the past is given.
fn history(text: &str) -> Result<HistoryGrant, String> {
    match text {
        "none" => Ok(HistoryGrant::None),
        "all" => Ok(HistoryGrant::All),
        time => days(time).map(HistoryGrant::Days).map_err(|_| "none, all, or whole days such as 30d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_nothing_everything_or_days() {
        assert_eq!((history("none"), history("all")), (Ok(HistoryGrant::None), Ok(HistoryGrant::All)));
        assert_eq!(history("30d"), Ok(HistoryGrant::Days(30)));
        for bad in ["", "some", "30", "1h", "0d"] {
            assert!(history(bad).is_err(), "{bad}");
        }
    }
}
