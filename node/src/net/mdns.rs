//! Peers found by multicast on the local network, where the user switched that on.
//! Must not trust it: anybody on that network can announce anything.

use super::{
    run::Net,
    translate::{self, Reach},
};
use libp2p::mdns::Event;

/// Connections that multicast may cause; the network finds the rest by itself.
const LAN_PEERS: usize = 16;
/// Announcements looked at in one event.
const LOOKED_AT: usize = 64;

impl Net {
    pub(crate) fn on_mdns(&mut self, event: Event) {
        // A lapsed announcement says nothing: peers go on living without it.
        let Event::Discovered(found) = event else { return };
        for (peer, address) in found.into_iter().take(LOOKED_AT) {
            let address = translate::without_peer(address);
            let local = matches!(translate::reach(&address), Reach::Private | Reach::Loopback);
            if !local
                || !translate::is_sound(&peer)
                || self.connections.live.len() + self.connections.dialing() >= LAN_PEERS
            {
                continue;
            }
            if let Err(why) = self.reach_out(peer, vec![address]) {
                tracing::debug!(why, "a peer on the local network was not dialled");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        net::{
            NetEvent, NetSetup, Transport, handle,
            tests::kit::{check, config, node, seed},
        },
    };
    use libp2p::{Multiaddr, identity::Keypair};

    #[tokio::test]
    async fn announced_neighbours_are_dialled_within_bounds_and_nobody_beyond_the_network() {
        let mut bob = node(config()).await;
        let setup = NetSetup::forgetful(config(), seed(), check(), Clock::system());
        let (mut alice, _handle, _events) = handle::prepare(setup).await.unwrap();
        let stranger = || Keypair::generate_ed25519().public().to_peer_id();
        let public: Multiaddr = "/ip4/192.0.2.1/tcp/4001".parse().unwrap();
        alice.on_mdns(Event::Discovered((0..20).map(|_| (stranger(), public.clone())).collect()));
        assert_eq!(alice.connections.dialing(), 0);

        let address: Multiaddr = bob.listens(Transport::Noise).remove(0).parse().unwrap();
        let mut announced = vec![(bob.name.0.parse().unwrap(), address.clone())];
        announced.extend((0..200).map(|_| (stranger(), translate::without_peer(address.clone()))));
        alice.on_mdns(Event::Discovered(announced));
        assert_eq!(alice.connections.dialing(), LAN_PEERS);
        let name = translate::peer_name(alice.swarm.local_peer_id());
        tokio::spawn(alice.run());
        let up = |event| matches!(event, NetEvent::PeerUp { peer } if peer == name).then_some(());
        bob.event("alice up", up).await;
    }
}
