//! `kith contact`

use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use clap::{Args, Subcommand};
use kith_node::api::types::ContactState;

/// Longest code read from stdin in bytes.
const CODE_MAX: usize = 4096;

/// What to do with people.
#[derive(Debug, Subcommand)]
pub(crate) enum ContactVerb {
    /// Add somebody by contact code or link, as pasted; - reads it from stdin
    Add(AddArgs),
    /// List contacts
    List,
    /// List strangers who wrote
    Requests,
    /// Accept a stranger who wrote
    Accept(Who),
    /// Show the safety number, or compare it with the digits read on the other side
    Verify(VerifyArgs),
    /// Give a contact another name here
    Rename(RenameArgs),
    /// Block somebody
    Block(Who),
    /// Unblock somebody
    Unblock(Who),
    /// Remove a contact; messages stay
    Remove(Who),
}

/// Whom.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// @name, an id, or the beginning of one
    #[arg(value_name = "P")]
    who: String,
}

/// Whom to add.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// A contact code or link
    #[arg(value_name = "CODE|LINK|-", required = true, num_args = 1..)]
    code: Vec<String>,
    /// The name to use here
    #[arg(long, value_name = "N")]
    name: Option<String>,
}

/// Whom to verify.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// @name, an id, or the beginning of one
    #[arg(value_name = "P")]
    who: String,
    /// The digits read on the other side
    #[arg(long, value_name = "DIGITS")]
    code: Option<String>,
}

/// Whom to rename.
#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// @name, an id, or the beginning of one
    #[arg(value_name = "P")]
    who: String,
    /// The new name
    #[arg(value_name = "NAME")]
    name: String,
}

/// Carries out what to do with people.
pub(crate) async fn run(verb: ContactVerb, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    match verb {
        ContactVerb::Add(args) => add(args, context).await,
        ContactVerb::List => out.list(&client.contacts(None).await?, "nobody yet: kith contact add CODE"),
        ContactVerb::Requests => {
            out.list(&client.contacts(Some(ContactState::Request)).await?, "no requests from strangers")
        }
        ContactVerb::Accept(Who { who }) => out.one(&client.accept_contact(&who).await?),
        ContactVerb::Verify(args) => out.one(&client.verify_contact(&args.who, args.code.as_deref()).await?),
        ContactVerb::Rename(args) => out.one(&client.rename_contact(&args.who, &args.name).await?),
        ContactVerb::Block(Who { who }) => out.one(&client.block_contact(&who).await?),
        ContactVerb::Unblock(Who { who }) => out.one(&client.unblock_contact(&who).await?),
        ContactVerb::Remove(Who { who }) => out.one(&client.remove_contact(&who).await?),
    }
}

/// Adds somebody. A code pasted in groups without quotes arrives as several words: they belong together.
async fn add(args: AddArgs, context: &Context) -> Outcome {
    let code = match args.code.as_slice() {
        [dash] if dash == "-" => input::stdin_text(CODE_MAX)?,
        words => words.join(" "),
    };
    context.out.one(&context.client.add_contact(&code, args.name.as_deref()).await?)
}
