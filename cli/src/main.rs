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
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
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
    let context = match Context::new(&cli.global, out) {
        Ok(context) => context,
        Err(error) => {
            out.error(&error);
            return ExitCode::from(error.code.exit_code());
        }
    };
    let out = context.out;
    let ended = commands::runtime(cli.command.as_ref()).map_err(Failure::from).and_then(|runtime| {
        let ended = runtime.block_on(commands::run(cli.command, &context));
        // A prompt or a read of stdin may still sit in a blocking thread: do not wait for it.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(Failure::Told(error)) => {
            let error = context.without_profile(error);
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
            let hint = format!("{} --help", command_of(args));
            out.error(&UserError::new(Code::Usage, message_of(error)).hint(hint));
        }
        _ => out.note(error.render().to_string().trim_end()),
    }
    ExitCode::from(Code::Usage.exit_code())
}

/// Says on one line what the parser found wrong, without the usage that follows it.
fn message_of(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more"));
    let words: Vec<&str> = lines.filter(|l| !l.is_empty()).collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

/// Finds the command whose help fits, with its name: `kith contact add`, for one.
fn command_of(args: &[OsString]) -> String {
    let (mut path, mut command) = ("kith".to_owned(), Cli::command());
    let mut words = args.iter().skip(1).filter_map(|a| a.to_str());
    while let Some(word) = words.next() {
        if matches!(word, "--home" | "--profile") {
            words.next();
        } else if !word.starts_with('-') {
            let Some(next) = command.find_subcommand(word).cloned() else { break };
            path = format!("{path} {word}");
            command = next;
        }
    }
    path
}
