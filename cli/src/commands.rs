//! The verbs, one file each: their arguments and what they do.
//! Must not print: that is `render`'s.

pub(crate) mod amend;
pub(crate) mod channel;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod contact;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod invite;
pub(crate) mod join;
pub(crate) mod listen;
pub(crate) mod man;
pub(crate) mod me;
pub(crate) mod member;
pub(crate) mod metrics;
pub(crate) mod outbox;
pub(crate) mod peer;
pub(crate) mod read;
pub(crate) mod relay;
pub(crate) mod role;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod send;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod version;
pub(crate) mod welcome;
pub(crate) mod why;

use crate::args::Verb;
use crate::context::Context;
use crate::failure::Outcome;
use kith_node::{Code, UserError};
use tokio::runtime::{Builder, Runtime};

/// Makes the runtime a verb needs: the daemon all cores, the rest one thread.
pub(crate) fn runtime(verb: Option<&Verb>) -> Result<Runtime, UserError> {
    let mut builder = match verb {
        Some(Verb::Run(_) | Verb::Relay(relay::RelayVerb::Run(_))) => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    builder.enable_all().build().map_err(|e| UserError::new(Code::Io, format!("could not start: {e}")))
}

/// Carries a verb out.
pub(crate) async fn run(verb: Option<Verb>, context: &Context) -> Outcome {
    match verb {
        None => welcome::run(context).await,
        Some(Verb::Init(args)) => init::run(args, context).await,
        Some(Verb::Run(verb)) => verb.run(context).await,
        Some(Verb::Stop) => stop::run(context).await,
        Some(Verb::Status(args)) => status::run(args, context).await,
        Some(Verb::Doctor) => doctor::run(context).await,
        Some(Verb::Why(args)) => why::run(args, context).await,
        Some(Verb::Demo(args)) => demo::run(args, context).await,
        Some(Verb::Me(args)) => me::run(args, context).await,
        Some(Verb::Contact(verb)) => contact::run(verb, context).await,
        Some(Verb::Join(args)) => join::run(args, context).await,
        Some(Verb::Invite(args)) => invite::run(args, context).await,
        Some(Verb::Channel(verb)) => channel::run(verb, context).await,
        Some(Verb::Member(verb)) => member::run(verb, context).await,
        Some(Verb::Role(verb)) => role::run(verb, context).await,
        Some(Verb::Send(args)) => send::run(args, context).await,
        Some(Verb::Read(args)) => read::run(args, context).await,
        Some(Verb::Search(args)) => search::run(args, context).await,
        Some(Verb::Listen(args)) => listen::run(args, context).await,
        Some(Verb::React(args)) => amend::react(args, context).await,
        Some(Verb::Edit(args)) => amend::edit(args, context).await,
        Some(Verb::Delete(args)) => amend::delete(args, context).await,
        Some(Verb::Pin(args)) => amend::pin(args, context).await,
        Some(Verb::Outbox(verb)) => outbox::run(verb, context).await,
        Some(Verb::Peer(verb)) => peer::run(verb, context).await,
        Some(Verb::Relay(verb)) => relay::run(verb, context).await,
        Some(Verb::Metrics) => metrics::run(context).await,
        Some(Verb::Session(verb)) => session::run(verb, context).await,
        Some(Verb::Config(verb)) => config::run(verb, context),
        Some(Verb::Service(verb)) => service::run(verb, context).await,
        Some(Verb::Completions(args)) => completions::run(args, context),
        Some(Verb::Man(args)) => man::run(args, context),
        Some(Verb::Version) => version::run(context),
    }
}
