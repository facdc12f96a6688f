//! `kith peer`

use crate::context::Context;
use crate::failure::Outcome;
use clap::{Args, Subcommand};

/// What to do with machines of the network.
#[derive(Debug, Subcommand)]
pub(crate) enum PeerVerb {
    /// List connected and banned peers
    List,
    /// Measure the round trip to a peer
    Ping(Which),
    /// Ban a peer
    Ban(Which),
    /// Lift a ban
    Unban(Which),
}

/// Which peer.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// A peer id, its beginning or its end
    #[arg(value_name = "PEER")]
    peer: String,
}

/// Carries out what to do with machines of the network.
pub(crate) async fn run(verb: PeerVerb, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    match verb {
        PeerVerb::List => {
            out.list(&client.peers().await?, "no peers yet: use a contact's link, or --bootstrap, or add a relay")
        }
        PeerVerb::Ping(Which { peer }) => out.one(&client.ping(&peer).await?),
        PeerVerb::Ban(Which { peer }) => out.one(&client.ban(&peer).await?),
        PeerVerb::Unban(Which { peer }) => out.one(&client.unban(&peer).await?),
    }
}
