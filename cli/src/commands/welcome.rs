//! `kith` alone: guides a newcomer; at home it shows what is going on. Without a terminal it is a usage error.

use crate::args::Cli;
use crate::commands::init::{self, CreatedView};
use crate::context::Context;
use crate::failure::Outcome;
use crate::render::Output;
use crate::spawn::Daemon;
use crate::{input, passphrase};
use clap::CommandFactory;
use kith_node::api::check_name;
use kith_node::api::types::Me;
use kith_node::profile::{self, Key};
use kith_node::{Client, Code, UserError};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long the daemon may take to learn its addresses before the link is shown without.
const ADDRESSES: Duration = Duration::from_secs(3);

/// How often to look.
const PAUSE: Duration = Duration::from_millis(100);

/// Guides a newcomer, or shows what is going on.
pub(crate) async fn run(context: &Context) -> Outcome {
    if !input::can_ask() || context.out.is_json() {
        let help = Cli::command().render_help().to_string();
        context.out.note(help.trim_end());
        let error = UserError::new(Code::Usage, "no command given").hint("kith --help");
        return Err(error.into());
    }
    match profile::needs_passphrase(&context.paths.home) {
        Err(error) if error.code == Code::NoProfile => input::unless_interrupted(first_run(context)).await?,
        Ok(_) => at_home(context).await,
        Err(error) if error.code == Code::ProfileInUse => at_home(context).await,
        Err(error) => Err(error.into()),
    }
}

/// Shows the daemon's state and what to type.
async fn at_home(context: &Context) -> Outcome {
    let kith = &context.kith;
    match context.client.status().await {
        Ok(status) => {
            context.out.one(&status)?;
            context.out.say(&format!("\n{kith} send @NAME TEXT · {kith} read @NAME · {kith} listen · {kith} --help"))
        }
        Err(error) if error.code == Code::DaemonUnreachable => {
            context.out.say(&format!("The daemon is not running. Start it:\n  {kith} run"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks three questions, makes the profile, starts the daemon and says what to type next.
async fn first_run(context: &Context) -> Outcome {
    let out = context.out;
    out.say("Welcome to Kith. No server, no account: your identity is made on this computer.\n")?;
    let name = name(out).await?;
    let phrase = choose_passphrase(out).await?;
    let code = input::ask(out, "3/3  Somebody's contact code or link? Paste it, or Enter for later  > ").await?;
    let key = phrase.clone().map_or(Key::File, Key::Passphrase);
    let created = init::create(context, name, key).await?;
    out.say("")?;
    out.one(&CreatedView::from(&created))?;
    out.say("")?;
    let daemon = Daemon::start_detached(context, phrase).await?;
    if !code.is_empty() {
        match daemon.client.add_contact(&code, None).await {
            Ok(contact) => out.one(&contact)?,
            // A typing error is no reason to lose what was made.
            Err(error) => out.error(&error),
        }
    }
    let me = reachable(&daemon.client).await?;
    let kith = &context.kith;
    out.say(&format!("You are reachable now. Give this link to somebody:\n\n  {}\n", me.url))?;
    out.say(&format!(
        "Next:\n  {kith} contact add CODE     add somebody by their code or link\n  \
         {kith} send @NAME TEXT      write\n  {kith} join CODE            come into a channel by an invite\n  \
         {kith} listen               see what comes in\n  \
         {kith} stop                 go offline; `{kith} run` or `{kith} service install` bring you back"
    ))
}

/// Returns code and link once the link carries addresses; without them after a while, where there is no network.
async fn reachable(client: &Client) -> Result<Me, UserError> {
    let mut me = client.me().await?;
    let known = async {
        while !me.url.contains('?') {
            tokio::time::sleep(PAUSE).await;
            me = client.me().await?;
        }
        Ok(())
    };
    match tokio::time::timeout(ADDRESSES, known).await {
        Ok(Err(error)) => Err(error),
        _ => Ok(me),
    }
}

/// Asks for a name until there is one that can be shown.
async fn name(out: Output) -> Result<String, UserError> {
    loop {
        match check_name(&input::ask(out, "1/3  What should people call you?  > ").await?) {
            Ok(name) => return Ok(name),
            Err(error) => out.error(&error),
        }
    }
}

/// Asks for a passphrase, twice; none if it is empty.
async fn choose_passphrase(out: Output) -> Result<Option<Zeroizing<String>>, UserError> {
    loop {
        let first = passphrase::prompt(
            out,
            "2/3  A passphrase for this computer (Enter: none, whoever reads the folder can open it)  > ",
        )
        .await?;
        if first.is_empty() {
            return Ok(None);
        }
        if *passphrase::prompt(out, "     Again  > ").await? == *first {
            return Ok(Some(first));
        }
        out.note("     The two differ.");
    }
}
