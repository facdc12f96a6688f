//! The `kith` command: arguments and output; everything else is asked of the daemon.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod args;
mod commands;
mod context;
mod failure;
mod input;
mod passphrase;
mod render;
mod spawn;

use args::Cli;
use clap::Parser;
use clap::error::ErrorKind;
use context::Context;
use failure::Failure;
use kith_node::{Code, UserError};
use render::Output;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &args),
    };
    let out = Output::new(cli.global.json);
    let ended = Context::new(&cli.global, out).map_err(Failure::from).and_then(|context| {
        let runtime = commands::runtime(cli.command.as_ref())?;
        let ended = runtime.block_on(commands::run(cli.command, &context));
        // A prompt or a read of stdin may still sit in a blocking thread: do not wait for it.
        runtime.shutdown_background();
        ended.map_err(|failure| match failure {
            Failure::Told(error) => Failure::Told(context.localize(error)),
            Failure::ReaderGone => Failure::ReaderGone,
        })
    });
    match ended {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(Failure::Told(error)) => {
            out.error(&error);
            ExitCode::from(error.code.exit_code())
        }
    }
}

/// Answers a command line that does not parse, or one that asks for help.
fn usage(error: &clap::Error, args: &[OsString]) -> ExitCode {
    let json = args.iter().skip(1).take_while(|a| *a != "--").any(|a| a == "--json");
    let out = Output::new(json);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = out.raw(error.render().to_string().as_bytes());
            return ExitCode::SUCCESS;
        }
        _ if json => {
            let text = error.render().to_string();
            let message = text.trim_start_matches("error: ").lines().next().unwrap_or_default().trim().to_owned();
            let message = if message.is_empty() { "the command line is incomplete".to_owned() } else { message };
            out.error(&UserError::new(Code::Usage, message).hint(format!("{} --help", command_of(args))));
        }
        _ => out.note(error.render().to_string().trim_end()),
    }
    ExitCode::from(Code::Usage.exit_code())
}

/// Names the command whose help fits: `kith contact`, for one.
fn command_of(args: &[OsString]) -> String {
    let words = args.iter().skip(1).filter_map(|a| a.to_str()).find(|a| !a.starts_with('-'));
    let known = words.filter(|w| args::verbs().iter().any(|v| v == w));
    known.map_or_else(|| "kith".to_owned(), |verb| format!("kith {verb}"))
}
