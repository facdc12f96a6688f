//! Peers found by multicast on the local network, where the user switched that on.
//! Must not trust it: anybody on that network can announce anything.

use super::{
    run::Net,
    translate::{self, Reach},
};
use libp2p::mdns::Event;

/// Connections that multicast may cause; the network finds the rest by itself.
const LAN_PEERS: usize = 16;

impl Net {
    pub(crate) fn on_mdns(&mut self, event: Event) {
        // A lapsed announcement says nothing: peers go on living without it.
        let Event::Discovered(found) = event else { return };
        for (peer, address) in found.into_iter().take(LAN_PEERS * 4) {
            let address = translate::without_peer(address);
            let local = matches!(translate::reach(&address), Reach::Private | Reach::Loopback);
            if !local || !translate::is_sound(&peer) || self.connections.live.len() >= LAN_PEERS {
                continue;
            }
            if let Err(why) = self.reach_out(peer, vec![address]) {
                tracing::debug!(why, "a peer on the local network was not dialled");
            }
        }
    }
}
