//! `kith relay add`: gives a card to the daemon, and says what the relay answered.

use crate::context::Context;
use crate::failure::Outcome;
use crate::input;
use crate::render::words;
use clap::Args;
use kith_node::api::types::{Relay, RelayAdded, RelayState};
use kith_node::{Client, Code, UserError};
use std::time::Duration;

/// Longest card read from stdin in bytes.
const CARD_MAX: usize = 4096;

/// How often to look: no event tells how a relay stands.
const PAUSE: Duration = Duration::from_millis(50);

/// Which relay, and how long to wait for it.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// A relay's card or link
    #[arg(value_name = "CARD|LINK|-", required = true, num_args = 1..)]
    card: Vec<String>,
    /// How long to wait for its answer (exit 7 if not in time; it stays added); 0s does not wait
    #[arg(long, value_name = "TIME", value_parser = input::duration, default_value = "10s")]
    wait: Duration,
}

/// Adds a relay. A card pasted in groups without quotes arrives as several words: they belong together.
pub(crate) async fn run(args: AddArgs, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    let card = match args.card.as_slice() {
        [dash] if dash == "-" => input::stdin_text(CARD_MAX)?,
        words => words.join(" "),
    };
    let mut added = client.add_relay(&card).await?;
    if args.wait.is_zero() {
        return out.one(&added);
    }
    out.progress("asking the relay; Ctrl-C leaves it to the daemon");
    answered(client, &mut added, args.wait).await?;
    out.one(&added)?;
    check(&added.relay, args.wait).map_err(Into::into)
}

/// Waits until the relay has said yes or no, or the time is over.
async fn answered(client: &Client, added: &mut RelayAdded, time: Duration) -> Result<(), UserError> {
    let said = async {
        while matches!(added.relay.state, RelayState::New | RelayState::Unreachable) {
            tokio::time::sleep(PAUSE).await;
            let now = client.relays().await?.into_iter().find(|relay| relay.relay == added.relay.relay);
            match now {
                Some(relay) => added.relay = relay,
                None => {
                    return Err(
                        UserError::new(Code::RelayUnknown, "the relay was removed meanwhile").hint("kith relay list")
                    );
                }
            }
        }
        Ok(())
    };
    // Out of time is no error of the daemon's: what stands is told.
    tokio::time::timeout(time, said).await.unwrap_or(Ok(()))
}

/// Says what is missing if the relay does not hold mail yet.
fn check(relay: &Relay, time: Duration) -> Result<(), UserError> {
    let short: String = relay.relay.chars().take(12).collect();
    let detail = relay.detail.as_deref().unwrap_or("it does not say why");
    match relay.state {
        RelayState::Ready => Ok(()),
        RelayState::Refused => Err(UserError::new(Code::RelayRefused, format!("the relay refuses: {detail}"))
            .hint(format!("kith relay add LINK with an invite of its operator, or kith relay remove {short}"))),
        RelayState::WrongKey => {
            Err(UserError::new(Code::RelayWrongKey, detail).hint(format!("kith relay remove {short}")))
        }
        RelayState::New | RelayState::Unreachable | RelayState::Leaving => {
            let within = words(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            let message = format!("the relay did not answer within {within}; it stays added and is asked again");
            Err(UserError::new(Code::NotYet, message).hint("kith relay list"))
        }
    }
}
