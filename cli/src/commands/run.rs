//! `kith run`

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::input;
use crate::passphrase::PassphraseArgs;
use crate::render::{Show, Style, clean_line};
use clap::Args;
use kith_node::config::{Config, Dht};
use kith_node::daemon::{self, DaemonOptions, Ready};
use kith_node::net::DhtMode;
use kith_node::profile::{self, Key};
use kith_node::relay::RelayOptions;
use kith_node::{UserError, log};
use serde::Serialize;

/// How to run.
#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// Listen on this address instead of the configured ones (may be repeated)
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<String>,
    /// Start from this peer, beside the configured ones (may be repeated)
    #[arg(long, value_name = "MULTIADDR")]
    bootstrap: Vec<String>,
    /// Do not look for peers on the same network
    #[arg(long)]
    no_mdns: bool,
    /// Start although the clock is far from what this profile has seen
    #[arg(long)]
    accept_clock: bool,
    /// Where the passphrase comes from.
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct RunVerb {
    /// How to run it.
    #[command(flatten)]
    run: RunArgs,
    /// Run a relay for members beside the daemon: kith relay run has more to say about it
    #[arg(long)]
    relay: bool,
}

impl RunVerb {
    /// Runs the daemon, with a relay for members where that was asked for.
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        run(self.run, self.relay.then(RelayOptions::default), context).await
    }
}

/// The first line: the daemon takes requests.
#[derive(Serialize)]
struct ReadyLine {
    event: &'static str,
    peer: String,
    listen: Vec<String>,
    socket: String,
    web: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invite: Option<String>,
}

impl Show for ReadyLine {
    fn human(&self, style: Style) -> String {
        let listen: Vec<String> = self.listen.iter().map(|a| format!("\n  {}", clean_line(a))).collect();
        let card = self.card.as_ref().map(|card| format!("\nrelay card  {card}")).unwrap_or_default();
        let invite = self.invite.as_ref().map(|link| format!("\ninvite      {link}")).unwrap_or_default();
        format!("{} · {}{}{card}{invite}", style.good("ready"), clean_line(&self.socket), listen.concat())
    }
}

impl From<Ready> for ReadyLine {
    fn from(ready: Ready) -> Self {
        let Ready { peer, listen, socket, card, invite } = ready;
        Self { event: "ready", peer, listen, socket, web: None, card, invite }
    }
}

/// Runs the daemon until it is asked to stop.
pub(crate) async fn run(args: RunArgs, relay: Option<RelayOptions>, context: &Context) -> Outcome {
    let config = Config::load(&context.paths.config)?;
    log::start(std::env::var("KITH_LOG").ok().as_deref().unwrap_or(&config.log.filter))?;
    let options = input::unless_interrupted(options(args, relay, config, context)).await??;
    let relayed = options.relay.is_some();
    let mut told: Outcome = Ok(());
    let ended = daemon::run(options, |ready| {
        told = context.out.one(&ReadyLine::from(ready));
        let next = if relayed {
            "Ctrl-C stops; in another terminal: kith relay invite, kith relay members, kith relay stats"
        } else {
            "Ctrl-C stops; in another terminal: kith me, kith contact add CODE, kith send @NAME TEXT"
        };
        context.out.note(&context.here(next));
    })
    .await;
    match told {
        // A daemon whose starter stopped reading goes on: only its first line was asked for.
        Ok(()) | Err(Failure::ReaderGone) => ended.map_err(Into::into),
        Err(error) => Err(error),
    }
}

/// Puts arguments and settings together.
async fn options(
    args: RunArgs,
    relay: Option<RelayOptions>,
    config: Config,
    context: &Context,
) -> Result<DaemonOptions, UserError> {
    let key = if profile::needs_passphrase(&context.paths.home)? {
        Key::Passphrase(args.passphrase.read(context.out, false).await?)
    } else {
        Key::File
    };
    let mut bootstrap = config.network.bootstrap;
    bootstrap.extend(args.bootstrap);
    Ok(DaemonOptions {
        paths: context.paths.clone(),
        key,
        listen: if args.listen.is_empty() { config.network.listen } else { args.listen },
        announce: config.network.announce,
        bootstrap,
        mdns: config.network.mdns && !args.no_mdns,
        dht: match config.network.dht {
            Dht::Auto => DhtMode::Auto,
            Dht::Server => DhtMode::Server,
            Dht::Client => DhtMode::Client,
        },
        accept_clock: args.accept_clock,
        read_receipts: config.messages.read_receipts,
        relay,
    })
}
