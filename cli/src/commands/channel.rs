//! `kith channel`

use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use crate::render::ChannelDetails;
use clap::{Args, Subcommand};
use kith_node::api::types::{ChannelChange, ChannelMode};
use std::time::Duration;

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// What to do with channels.
#[derive(Debug, Subcommand)]
pub(crate) enum ChannelVerb {
    /// Make a channel; whoever makes it is its owner
    Create {
        /// What it is to be called
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List channels, those that were left included
    List,
    /// Show a channel: mode, members, my rights, whether its keys are there
    Info(Which),
    /// Leave a channel; what was said stays here
    Leave(Which),
    /// Give a channel another name, for all
    Rename {
        /// Which channel.
        #[command(flatten)]
        which: Which,
        /// The new name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Say what a channel is about; '' takes it away
    Topic {
        /// Which channel.
        #[command(flatten)]
        which: Which,
        /// A line
        #[arg(value_name = "TEXT", required = true, num_args = 1..)]
        text: Vec<String>,
    },
    /// Change a setting: mode=open|private|announce|archive, retention=30d|0, expire=1d|0
    Set {
        /// Which channel.
        #[command(flatten)]
        which: Which,
        /// mode=open|private|announce|archive: who may come and speak; retention=30d: how long messages are to be kept (0: for
        /// ever); expire=1d: after which time they disappear (0: never)
        #[arg(value_name = "KEY=VALUE", value_parser = setting)]
        change: ChannelChange,
    },
    /// Make a channel's keys anew
    Rekey {
        /// Which channel.
        #[command(flatten)]
        which: Which,
        /// Let nothing be sent under the old keys from now on, not even joined with the new: a device was stolen
        #[arg(long)]
        emergency: bool,
    },
    /// Show messages of a channel as no news, here alone
    Mute {
        /// Which channel.
        #[command(flatten)]
        which: Which,
        /// Show them as news again
        #[arg(long)]
        off: bool,
    },
    /// List who waits to be let in: kith member approve, or kith member deny
    Requests(Which),
    /// Let a relay keep what is said for who is away, or no more
    #[command(subcommand)]
    Relay(RelayVerb),
}

/// What to do with the relays of a channel.
#[derive(Debug, Subcommand)]
pub(crate) enum RelayVerb {
    /// Name a relay for a channel: every member's daemon uses it, and it reads nothing
    Add {
        /// Which channel.
        #[command(flatten)]
        which: Which,
        /// The relay's link, from its operator: kith relay card, or kith relay invite
        #[arg(value_name = "CARD")]
        card: String,
    },
    /// Let a relay go
    Remove {
        /// Which channel.
        #[command(flatten)]
        which: Which,
        /// The relay's id, or its beginning: kith channel info shows it
        #[arg(value_name = "RELAY")]
        relay: String,
    },
}

/// Which channel.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// '#name' (quoted: a shell takes # for a comment), an id, or the beginning of one
    #[arg(value_name = "#C")]
    pub(crate) channel: String,
}

/// Carries out what to do with channels.
pub(crate) async fn run(verb: ChannelVerb, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    match verb {
        ChannelVerb::Create { name } => out.one(&client.create_channel(&name).await?),
        ChannelVerb::List => {
            out.list(&client.channels().await?, "no channel yet: kith channel create NAME, or kith join CODE")
        }
        ChannelVerb::Info(which) => out.one(&ChannelDetails(client.channel(&which.channel).await?)),
        ChannelVerb::Leave(which) => out.one(&client.leave_channel(&which.channel).await?),
        ChannelVerb::Rename { which, name } => change(&which, ChannelChange::Name(name), context).await,
        ChannelVerb::Topic { which, text } => change(&which, ChannelChange::Topic(text.join(" ")), context).await,
        ChannelVerb::Set { which, change: to } => change(&which, to, context).await,
        ChannelVerb::Rekey { which, emergency } => out.one(&client.rekey_channel(&which.channel, emergency).await?),
        ChannelVerb::Mute { which, off } => change(&which, ChannelChange::Muted(!off), context).await,
        ChannelVerb::Relay(RelayVerb::Add { which, card }) => {
            change(&which, ChannelChange::RelayAdd(card), context).await
        }
        ChannelVerb::Relay(RelayVerb::Remove { which, relay }) => {
            change(&which, ChannelChange::RelayRemove(relay), context).await
        }
        ChannelVerb::Requests(which) => out.list(&client.join_requests(&which.channel).await?, "nobody waits"),
    }
}

async fn change(which: &Which, change: ChannelChange, context: &Context) -> Outcome {
    context.out.one(&context.client.change_channel(&which.channel, &change).await?)
}

/// Reads `KEY=VALUE`.
fn setting(text: &str) -> Result<ChannelChange, String> {
    let known = "mode=open|private|announce|archive, retention=30d or 0, expire=1d or 0";
    let (key, value) = text.split_once('=').ok_or_else(|| format!("a setting is {known}"))?;
    match (key.trim(), value.trim()) {
        ("mode", "open") => Ok(ChannelChange::Mode(ChannelMode::Open)),
        ("mode", "private") => Ok(ChannelChange::Mode(ChannelMode::Private)),
        ("mode", "announce") => Ok(ChannelChange::Mode(ChannelMode::Announce)),
        ("mode", "archive") => Ok(ChannelChange::Mode(ChannelMode::Archive)),
        ("mode", _) => Err("the mode is open, private, announce or archive".to_owned()),
        ("retention", "0") => Ok(ChannelChange::RetentionDays(0)),
        ("retention", time) => days(time).map(ChannelChange::RetentionDays),
        ("expire", "0") => Ok(ChannelChange::ExpireAfterMs(0)),
        ("expire", time) => input::expiry(time).map(|time| ChannelChange::ExpireAfterMs(input::millis(time))),
        _ => Err(format!("there are {known}")),
    }
}

/// Reads a time of whole days, one at least.
pub(crate) fn days(text: &str) -> Result<u32, String> {
    let wrong = || "a time of whole days, such as 30d".to_owned();
    let millis = input::duration(text).map(|time: Duration| input::millis(time)).map_err(|_| wrong())?;
    let whole = millis.is_multiple_of(DAY) && millis > 0;
    u32::try_from(millis / DAY).ok().filter(|_| whole).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_a_key_and_a_value_that_fits_it() {
        for (text, change) in [
            ("mode=private", ChannelChange::Mode(ChannelMode::Private)),
            ("retention=30d", ChannelChange::RetentionDays(30)),
            ("retention=48h", ChannelChange::RetentionDays(2)),
            ("retention=0", ChannelChange::RetentionDays(0)),
            ("expire=1d", ChannelChange::ExpireAfterMs(DAY)),
            ("expire=0", ChannelChange::ExpireAfterMs(0)),
        ] {
            assert_eq!(setting(text), Ok(change), "{text}");
        }
        for bad in
            ["", "mode", "mode=", "mode=secret", "retention=1h", "retention=0d", "expire=10ms", "expire=400d", "x=1"]
        {
            assert!(setting(bad).is_err(), "{bad}");
        }
    }
}
