//! The command line: flags that every verb takes, and the verbs.

use crate::commands::{
    amend, channel, completions, config, contact, demo, init, invite, join, listen, man, me, member, outbox, peer,
    read, relay, role, run, search, send, service, session, status, why,
};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::path::PathBuf;

/// A peer-to-peer, end-to-end encrypted messenger without servers.
#[derive(Debug, Parser)]
#[command(name = "kith", version, propagate_version = false, disable_help_subcommand = true)]
#[command(
    after_help = "Try it: kith demo. Start: kith init, kith run, kith me, kith contact add CODE, kith send @NAME TEXT. \
                  Channels: kith channel create NAME, kith invite '#NAME', kith join CODE."
)]
pub(crate) struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The verb; without one a newcomer is guided.
    #[command(subcommand)]
    pub(crate) command: Option<Verb>,
}

/// Flags of every verb.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Folder with everything of a profile [env: KITH_HOME]
    #[arg(long, global = true, value_name = "DIR", env = "KITH_HOME", hide_env = true)]
    pub(crate) home: Option<PathBuf>,
    /// Profile by name, in the XDG folders, where no --home is given [env: KITH_PROFILE]
    #[arg(long, global = true, value_name = "NAME", env = "KITH_PROFILE", hide_env = true, default_value = "default")]
    pub(crate) profile: String,
    /// JSON on stdout (an object a line for streams), errors as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a profile: a new account and its first device
    Init(init::InitArgs),
    /// Run the daemon in the foreground
    Run(run::RunVerb),
    /// Stop the daemon
    Stop,
    /// Show how the daemon is doing
    Status(status::StatusArgs),
    /// Check this machine, the profile and the network
    Doctor,
    /// Show how far a message got, step by step
    Why(why::WhyArgs),
    /// See it work: real daemons on this machine, a relay, a channel, crashes in the middle
    Demo(demo::DemoArgs),
    /// Show my contact code and link; change my name
    Me(me::MeArgs),
    /// People: add, list, requests, accept, verify, rename, block, unblock, remove
    #[command(subcommand)]
    Contact(contact::ContactVerb),
    /// Come into a channel by an invite
    Join(join::JoinArgs),
    /// Invite into a channel; list invites, revoke one, inspect a code
    Invite(invite::InviteArgs),
    /// Channels: create, list, info, leave, rename, topic, set, rekey, mute, requests
    #[command(subcommand)]
    Channel(channel::ChannelVerb),
    /// Members of a channel: list, role, remove, ban, unban, approve, deny, mute
    #[command(subcommand)]
    Member(member::MemberVerb),
    /// Roles of a channel: list, define, drop
    #[command(subcommand)]
    Role(role::RoleVerb),
    /// Send a message
    Send(send::SendArgs),
    /// Read a conversation
    Read(read::ReadArgs),
    /// Follow messages and events as they happen
    Listen(listen::ListenArgs),
    /// Find messages of this device by their words
    Search(search::SearchArgs),
    /// React to a message of a channel
    React(amend::ReactArgs),
    /// Give a message of mine in a channel other words
    Edit(amend::EditArgs),
    /// Ask all members of a channel to hide a message
    Delete(amend::DeleteArgs),
    /// Pin a message of a channel
    Pin(amend::PinArgs),
    /// Messages on their way: list, retry, cancel
    #[command(subcommand)]
    Outbox(outbox::OutboxVerb),
    /// Machines of the network: list, ping, ban, unban
    #[command(subcommand)]
    Peer(peer::PeerVerb),
    /// Relays hold mail for who sleeps: run, add, list, remove, card, invite, members, stats
    #[command(subcommand)]
    Relay(relay::RelayVerb),
    /// Print counters as Prometheus text
    Metrics,
    /// Sessions with a contact's devices
    #[command(subcommand)]
    Session(session::SessionVerb),
    /// Settings: show, get, set, validate
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Run the daemon from login on, as a systemd user service
    #[command(subcommand)]
    Service(service::ServiceVerb),
    /// Print shell completions
    Completions(completions::CompletionsArgs),
    /// Write man pages into a folder
    Man(man::ManArgs),
    /// Show the version
    Version,
}

/// Lists the verbs by name.
pub(crate) fn verbs() -> Vec<String> {
    Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_verbs_of_the_contract_are_there() {
        let verbs = verbs();
        for verb in [
            "init",
            "run",
            "stop",
            "status",
            "doctor",
            "why",
            "demo",
            "me",
            "contact",
            "join",
            "invite",
            "channel",
            "member",
            "role",
            "send",
            "read",
            "listen",
            "react",
            "edit",
            "delete",
            "pin",
            "outbox",
            "peer",
            "relay",
            "metrics",
            "session",
            "config",
            "service",
            "completions",
            "man",
            "version",
        ] {
            assert!(verbs.iter().any(|v| v == verb), "{verb}");
        }
    }

    #[test]
    fn global_flags_stand_before_and_after_the_verb() {
        for line in ["kith --json --home /x status", "kith status --json --home /x"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.global.json);
            assert_eq!(cli.global.home, Some("/x".into()));
        }
    }

    #[test]
    fn no_flag_takes_a_secret() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                let long = arg.get_long().unwrap_or_default();
                assert!(!matches!(long, "passphrase" | "password" | "secret" | "phrase"), "{long}");
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
