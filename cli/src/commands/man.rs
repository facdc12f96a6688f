//! `kith man DIR`

use crate::args::Cli;
use crate::context::Context;
use crate::failure::Outcome;
use crate::render::{Show, Style, clean_line};
use clap::{Args, CommandFactory};
use kith_node::{Code, UserError};
use serde::Serialize;
use std::path::PathBuf;

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder, made if missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    dir: String,
    pages: usize,
}

impl Show for Written {
    fn human(&self, _: Style) -> String {
        format!("{} pages in {dir}; read one: man {dir}/kith.1", self.pages, dir = clean_line(&self.dir))
    }
}

/// Writes a page for every verb.
pub(crate) fn run(args: ManArgs, context: &Context) -> Outcome {
    let write = || {
        std::fs::create_dir_all(&args.dir)?;
        clap_mangen::generate_to(Cli::command(), &args.dir)?;
        Ok(std::fs::read_dir(&args.dir)?.count())
    };
    let cannot = |e: std::io::Error| {
        UserError::new(Code::Io, format!("could not write man pages into {}: {e}", args.dir.display()))
    };
    let pages = write().map_err(cannot)?;
    context.out.one(&Written { dir: args.dir.display().to_string(), pages })
}
