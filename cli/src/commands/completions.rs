//! `kith completions SHELL`

use crate::args::Cli;
use crate::context::Context;
use crate::failure::Outcome;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use kith_node::UserError;
use kith_node::api::types::Versioned;
use serde::Serialize;

/// Which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// A script as an object.
#[derive(Serialize)]
struct Script {
    shell: String,
    script: String,
}

/// Prints the completions of a shell.
pub(crate) fn run(args: CompletionsArgs, context: &Context) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kith", &mut script);
    if context.out.is_json() {
        let script = String::from_utf8(script).map_err(|e| UserError::internal(e.to_string()))?;
        return context.out.json(&Versioned::new(Script { shell: args.shell.to_string(), script }));
    }
    context.out.raw(&script)
}
