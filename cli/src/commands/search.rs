//! `kith search`

use crate::context::Context;
use crate::failure::Outcome;
use crate::render::message::Found;
use clap::Args;

/// What to search for.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Words that a message must contain, all of them, in any case
    #[arg(value_name = "QUERY", required = true, num_args = 1..)]
    query: Vec<String>,
    /// In one conversation only: @name, '#name' (quoted), an id, or the beginning of one
    #[arg(long, value_name = "#C|@P")]
    with: Option<String>,
    /// At most so many, the newest
    #[arg(short, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    n: u16,
}

/// Shows the messages of this device that contain all words, oldest first.
pub(crate) async fn run(args: SearchArgs, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    let query = args.query.join(" ");
    kith_node::api::check_query(&query)?;
    let messages = client.search(&query, args.with.as_deref(), Some(args.n.into())).await?;
    if messages.is_empty() {
        out.say("nothing found")?;
    }
    let (channels, contacts) = match messages.is_empty() {
        true => Default::default(),
        false => (client.channels().await?, client.contacts(None).await?),
    };
    for message in messages {
        let named = |sign: char, name: &str| (!name.is_empty()).then(|| format!("{sign}{name}"));
        let place = match message.channel {
            true => channels
                .iter()
                .find(|c| c.id.as_bytes() == message.conversation.as_bytes())
                .and_then(|c| named('#', &c.name)),
            false => contacts.iter().find(|c| c.account == message.conversation).and_then(|c| named('@', &c.name)),
        };
        out.one(&Found { message, place })?;
    }
    Ok(())
}
