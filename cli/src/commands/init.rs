//! `kith init`

use crate::context::{Context, quoted};
use crate::failure::Outcome;
use crate::input;
use crate::passphrase::PassphraseArgs;
use crate::render::{Show, Style};
use clap::Args;
use kith_node::UserError;
use kith_node::api::check_name;
use kith_node::profile::{self, Created, Key};
use serde::Serialize;

/// How to make a profile.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The name that contacts see
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// Where the passphrase comes from.
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Seal the profile by a key file beside it: whoever reads the folder can open it
    #[arg(long, conflicts_with = "passphrase_file")]
    no_passphrase: bool,
}

/// What was made, told once.
#[derive(Serialize)]
pub(crate) struct CreatedView<'a> {
    account: &'a str,
    device: &'a str,
    recovery_phrase: &'a str,
}

impl<'a> From<&'a Created> for CreatedView<'a> {
    fn from(created: &'a Created) -> Self {
        let Created { account, device, recovery_phrase } = created;
        Self { account, device, recovery_phrase }
    }
}

impl Show for CreatedView<'_> {
    fn human(&self, style: Style) -> String {
        let words: Vec<String> = self
            .recovery_phrase
            .split_whitespace()
            .enumerate()
            .map(|(n, word)| format!("{:>2} {word:<9}", n + 1))
            .collect();
        let rows: Vec<String> = words.chunks(6).map(|row| format!("  {}", row.join(" ").trim_end())).collect();
        format!(
            "account  {}\ndevice   {}\n\n{}\n{}\n{}",
            self.account,
            self.device,
            style.bold("Your 24 recovery words. Write them down on paper; they are shown once and kept nowhere:"),
            rows.join("\n"),
            "Whoever has them is you. No verb of this version reads them yet: keep a copy of the profile too.",
        )
    }
}

/// Makes a profile.
pub(crate) async fn run(args: InitArgs, context: &Context) -> Outcome {
    input::unless_interrupted(make(args, context)).await?
}

async fn make(args: InitArgs, context: &Context) -> Outcome {
    let name = match args.name {
        Some(name) => check_name(&name)?,
        None => String::new(),
    };
    let key = if args.no_passphrase {
        Key::File
    } else if args.passphrase.file().is_none() && !input::can_ask() {
        return Err(input::needed("a new profile needs a passphrase", "--passphrase-file F, or --no-passphrase").into());
    } else {
        Key::Passphrase(args.passphrase.read(context.out, true).await?)
    };
    let created = create(context, name, key.clone()).await?;
    context.out.one(&CreatedView::from(&created))?;
    if matches!(key, Key::File) {
        let home = quoted(&context.paths.home);
        context.out.note(&format!("No passphrase: whoever reads {home} can read everything and be you."));
    }
    context.out.note(&context.here("Next: kith run"));
    Ok(())
}

/// Makes the profile; sealing with a passphrase takes a second of all memory it may have.
pub(crate) async fn create(context: &Context, name: String, key: Key) -> Result<Created, UserError> {
    context.out.progress("making the profile…");
    let home = context.paths.home.clone();
    let made = tokio::task::spawn_blocking(move || profile::create(&home, &name, &key)).await;
    made.map_err(|_| UserError::internal("making the profile died"))?
}
