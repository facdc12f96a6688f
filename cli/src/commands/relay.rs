//! `kith relay`: relays that hold my mail, and the one this machine runs for its community.

mod add;

use super::run::{self, RunArgs};
use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use crate::render::qr;
use clap::{Args, Subcommand};
use kith_node::UserError;
use kith_node::api::check_name;
use kith_node::api::types::{MailboxQuota, MemberWord, NewInvite};
use kith_node::relay::{Caps, Quota, RelayOptions, Settings};
use std::path::Path;
use std::time::Duration;

/// What to do with relays.
#[derive(Debug, Subcommand)]
pub(crate) enum RelayVerb {
    /// Run the daemon with a relay beside it, which holds ciphertext for others while they sleep
    Run(RelayRunArgs),
    /// Let a relay hold my mail, by its card or link as pasted; - reads it from stdin
    Add(add::AddArgs),
    /// List the relays that hold my mail
    List,
    /// Let a relay hold my mail no longer
    Remove(Which),
    /// Show the card of the relay that runs here
    Card(CardArgs),
    /// Invite to the relay that runs here: make, list, revoke
    Invite(InviteArgs),
    /// List the mailboxes of the relay that runs here
    Members,
    /// Let a mailbox register without an invite
    Allow(Mailbox),
    /// Take nothing more for a mailbox; what lies there can be fetched
    Block(Mailbox),
    /// Take mail for a mailbox again
    Unblock(Mailbox),
    /// Give a mailbox a quota of its own, or the usual one again
    Quota(QuotaArgs),
    /// Show how the relay that runs here stands
    Stats,
}

/// How to run a relay.
#[derive(Debug, Args)]
pub(crate) struct RelayRunArgs {
    /// Anybody may register a mailbox
    #[arg(long, conflicts_with = "members_only")]
    open: bool,
    /// Only who was invited or allowed may register (the default)
    #[arg(long)]
    members_only: bool,
    /// What the relay calls itself
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// Where it keeps mail: redb:PATH; a file in the profile's folder if left out
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Make an invite at the start, for so many mailboxes (1) within seven days, and print it beside the card
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    invite: Option<u32>,
    /// Days that an envelope is kept at most
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=90))]
    days: u64,
    /// Envelopes that a mailbox may hold
    #[arg(long, value_name = "N", default_value_t = standard().mailbox.envelopes)]
    mailbox_envelopes: u64,
    /// Bytes that a mailbox may hold
    #[arg(long, value_name = "SIZE", value_parser = input::size, default_value_t = standard().mailbox.bytes)]
    mailbox_bytes: u64,
    /// Envelopes that all mailboxes may hold together
    #[arg(long, value_name = "N", default_value_t = standard().total.envelopes)]
    total_envelopes: u64,
    /// Bytes that all mailboxes may hold together
    #[arg(long, value_name = "SIZE", value_parser = input::size, default_value_t = standard().total.bytes)]
    total_bytes: u64,
    /// How to run the daemon.
    #[command(flatten)]
    run: RunArgs,
}

/// What a relay holds unless told otherwise.
fn standard() -> Caps {
    Settings::default().caps
}

impl RelayRunArgs {
    /// Where it keeps mail, if not in the profile's folder.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.store.as_deref()?.strip_prefix("redb:").map(Path::new)
    }

    /// What it runs by; `bad_name` if it calls itself what nobody may.
    pub(crate) fn options(&self) -> Result<RelayOptions, UserError> {
        Ok(RelayOptions {
            open: self.open,
            name: self.name.as_deref().map(check_name).transpose()?.unwrap_or_default(),
            store: self.store.clone(),
            mailbox: Some(Quota { envelopes: self.mailbox_envelopes, bytes: self.mailbox_bytes }),
            total: Some(Quota { envelopes: self.total_envelopes, bytes: self.total_bytes }),
            days: Some(self.days),
            invite: self.invite,
        })
    }
}

/// Which relay.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// A relay's id, or the beginning of it
    #[arg(value_name = "RELAY")]
    relay: String,
}

/// How to show the card.
#[derive(Debug, Args)]
pub(crate) struct CardArgs {
    /// Show the link as a QR code too
    #[arg(long)]
    qr: bool,
}

/// What to do with invites.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct InviteArgs {
    #[command(subcommand)]
    verb: Option<InviteVerb>,
    /// How many mailboxes it admits
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,
    /// For how long it admits
    #[arg(long, value_name = "TIME", value_parser = input::duration, default_value = "7d")]
    expires: Duration,
    /// Show the link as a QR code too
    #[arg(long)]
    qr: bool,
}

/// What to do with invites that are there.
#[derive(Debug, Subcommand)]
pub(crate) enum InviteVerb {
    /// List those that still admit
    List,
    /// Withdraw one
    Revoke {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Which mailbox.
#[derive(Debug, Args)]
pub(crate) struct Mailbox {
    /// A mailbox, or the beginning of its name: kith relay members
    #[arg(value_name = "MAILBOX")]
    mailbox: String,
}

/// How much.
#[derive(Debug, Args)]
pub(crate) struct QuotaArgs {
    /// A mailbox, or the beginning of its name: kith relay members
    #[arg(value_name = "MAILBOX")]
    mailbox: String,
    /// Envelopes it may hold
    #[arg(long, value_name = "N", requires = "bytes", required_unless_present = "default")]
    envelopes: Option<u64>,
    /// Bytes it may hold, such as 256MiB
    #[arg(long, value_name = "SIZE", value_parser = input::size, requires = "envelopes")]
    bytes: Option<u64>,
    /// The quota that every mailbox has, again
    #[arg(long, conflicts_with_all = ["envelopes", "bytes"])]
    default: bool,
}

/// Carries out what to do with relays.
pub(crate) async fn run(verb: RelayVerb, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    match verb {
        RelayVerb::Run(args) => {
            let options = args.options()?;
            run::run(args.run, Some(options), context).await
        }
        RelayVerb::Add(args) => add::run(args, context).await,
        RelayVerb::List => out.list(&client.relays().await?, "no relay holds your mail: kith relay add CARD"),
        RelayVerb::Remove(Which { relay }) => out.one(&client.remove_relay(&relay).await?),
        RelayVerb::Card(args) => {
            let card = client.relay_card().await?;
            if args.qr && !out.is_json() {
                out.say(&qr(&card.url)?)?;
            }
            out.one(&card)
        }
        RelayVerb::Invite(args) => invite(args, context).await,
        RelayVerb::Members => out.list(&client.relay_members().await?, "nobody has a mailbox here yet"),
        RelayVerb::Allow(which) => judge(which, |word| word.allowed = Some(true), context).await,
        RelayVerb::Block(which) => judge(which, |word| word.blocked = Some(true), context).await,
        RelayVerb::Unblock(which) => judge(which, |word| word.blocked = Some(false), context).await,
        RelayVerb::Quota(args) => {
            let quota = args.envelopes.zip(args.bytes).map(|(envelopes, bytes)| MailboxQuota { envelopes, bytes });
            let change = |word: &mut MemberWord| (word.quota, word.usual_quota) = (quota, args.default);
            judge(Mailbox { mailbox: args.mailbox }, change, context).await
        }
        RelayVerb::Stats => out.one(&client.relay_stats().await?),
    }
}

async fn invite(args: InviteArgs, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    match args.verb {
        Some(InviteVerb::List) => out.list(&client.relay_invites().await?, "no invite admits now: kith relay invite"),
        Some(InviteVerb::Revoke { id }) => out.one(&client.relay_revoke(&id).await?),
        None => {
            let expires_after_ms = u64::try_from(args.expires.as_millis()).unwrap_or(u64::MAX);
            let invite = client.relay_invite(&NewInvite { uses: args.uses, expires_after_ms }).await?;
            if let Some(url) = invite.url.as_ref().filter(|_| args.qr && !out.is_json()) {
                out.say(&qr(url)?)?;
            }
            out.one(&invite)
        }
    }
}

async fn judge(which: Mailbox, change: impl FnOnce(&mut MemberWord), context: &Context) -> Outcome {
    let mut word = MemberWord { mailbox: which.mailbox, ..MemberWord::default() };
    change(&mut word);
    context.out.one(&context.client.relay_judge(&word).await?)
}
