//! What others learn of a node and its network, and what it believes of theirs, over public and private addresses.
//! A machine of its own has both: this test starts itself once more inside a network namespace.
#![expect(clippy::print_stdout, reason = "says so where it cannot run")]

use super::kit::{DEADLINE, Node, config, node, soon};
use crate::net::{
    behaviour::KAD,
    translate::{self, Reach},
};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, SwarmBuilder, identify, kad, noise,
    swarm::{DialError, NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use std::process::Command;

/// Set for the copy of the test that runs inside the namespace.
const INSIDE: &str = "KITH_TEST_INSIDE";
const PUBLIC: &str = "203.0.113.1";
const PRIVATE: &str = "10.77.0.1";

/// Runs the named test again on a machine with a public and a private address; true where that is this process.
fn inside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let machine = format!(
        "ip link set lo up && ip addr add {PUBLIC}/32 dev lo && ip addr add {PRIVATE}/32 dev lo && echo made && exec \"$0\" \"$@\""
    );
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", &machine]).arg(test).args([name, "--exact", "--nocapture"]);
    let output = command.env(INSIDE, "1").output();
    let output = output.ok().filter(|o| o.stdout.starts_with(b"made"));
    let Some(output) = output else {
        println!("\nSKIPPED: needs root, network namespaces and ip (Debian package iproute2)");
        return false;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    false
}

#[derive(NetworkBehaviour)]
struct Curious {
    identify: identify::Behaviour,
    kad: kad::Behaviour<kad::store::MemoryStore>,
}

/// Somebody who connects from outside, tells what they like of themselves and looks at what they are told.
struct Stranger {
    swarm: libp2p::Swarm<Curious>,
    name: PeerId,
}

impl Stranger {
    /// Connects to an address and claims to listen at others.
    async fn connect(to: &Multiaddr, claims: &[&str]) -> (Self, Vec<Multiaddr>) {
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|key| {
                let me = key.public().to_peer_id();
                let config = identify::Config::new("/kith/1".into(), key.public()).with_hide_listen_addrs(true);
                let mut kad = kad::Behaviour::with_config(me, kad::store::MemoryStore::new(me), kad::Config::new(KAD));
                kad.set_mode(Some(kad::Mode::Server));
                Curious { identify: identify::Behaviour::new(config.with_cache_size(0)), kad }
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE))
            .build();
        for claim in claims {
            swarm.add_external_address(claim.parse().unwrap());
        }
        let name = *swarm.local_peer_id();
        swarm.dial(to.clone()).unwrap();
        let told = soon("the node tells of itself", async {
            let (mut told, mut heard) = (None, false);
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::Behaviour(CuriousEvent::Identify(identify::Event::Received { info, .. })) => {
                        told = Some(info.listen_addrs);
                    }
                    SwarmEvent::Behaviour(CuriousEvent::Identify(identify::Event::Sent { .. })) => heard = true,
                    _ => {}
                }
                if let (Some(told), true) = (&told, heard) {
                    break told.clone();
                }
            }
        })
        .await;
        (Self { swarm, name }, told)
    }

    /// Looks for somebody in the DHT; returns the addresses it was told and therefore dialled, none of which answer.
    async fn addresses_of(&mut self, at: &Multiaddr, of: PeerId) -> Vec<Multiaddr> {
        let Some(libp2p::multiaddr::Protocol::P2p(node)) = at.iter().last() else { panic!("no name in {at}") };
        self.swarm.behaviour_mut().kad.add_address(&node, at.clone());
        let query = self.swarm.behaviour_mut().kad.get_closest_peers(of);
        let mut heard = Vec::new();
        soon("the end of a lookup", async {
            loop {
                match self.swarm.select_next_some().await {
                    SwarmEvent::OutgoingConnectionError {
                        peer_id: Some(peer),
                        error: DialError::Transport(tried),
                        ..
                    } if peer == of => heard.extend(tried.into_iter().map(|(address, _)| address)),
                    SwarmEvent::Behaviour(CuriousEvent::Kad(kad::Event::OutboundQueryProgressed {
                        id, step, ..
                    })) if id == query && step.last => break,
                    _ => {}
                }
            }
        })
        .await;
        heard
    }

    /// Goes on in the background.
    fn stay(mut self) -> PeerId {
        let name = self.name;
        tokio::spawn(async move {
            loop {
                self.swarm.select_next_some().await;
            }
        });
        name
    }
}

fn at(node: &Node, host: &str) -> Multiaddr {
    let listens = node.net.status().listen;
    listens.iter().find(|address| address.contains(host)).unwrap_or_else(|| panic!("{listens:?}")).parse().unwrap()
}

fn local(addresses: &[Multiaddr]) -> Vec<&Multiaddr> {
    let public = |address: &&Multiaddr| translate::reach(&translate::without_peer((*address).clone())) == Reach::Public;
    addresses.iter().filter(|address| !public(address)).collect()
}

#[tokio::test]
async fn addresses_of_the_local_network_stay_in_it_and_strangers_cannot_plant_any() {
    if !inside("net::tests::seen::addresses_of_the_local_network_stay_in_it_and_strangers_cannot_plant_any") {
        return;
    }
    let mut everywhere = config();
    everywhere.listen = [PUBLIC, PRIVATE].map(|host| format!("/ip4/{host}/tcp/0")).to_vec();
    let bob = node(everywhere).await;
    let (public, private) = (at(&bob, PUBLIC), at(&bob, PRIVATE));
    let claims = ["/ip4/10.77.0.99/tcp/22", "/ip4/127.0.0.1/tcp/22", "/ip4/203.0.113.99/tcp/4001"];

    // Who comes from the local network is told its addresses; who comes from outside is not.
    let (neighbour, told) = Stranger::connect(&private, &claims).await;
    assert!(told.iter().any(|address| address.to_string().contains(PRIVATE)), "{told:?}");
    let neighbour = neighbour.stay();
    let (outsider, told) = Stranger::connect(&public, &claims).await;
    assert_eq!(local(&told), Vec::<&Multiaddr>::new());
    let outsider = outsider.stay();
    // From now on the node knows that it is public: it serves the DHT, and tells outsiders where.
    let (mut asker, told) = Stranger::connect(&public, &[]).await;
    assert_eq!(local(&told), Vec::<&Multiaddr>::new());
    assert!(told.iter().any(|address| address.to_string().contains(PUBLIC)), "{told:?}");
    bob.status("everybody with a public address is in the routing table", |status| status.routing >= 2).await;

    // Whatever they claimed, others hear public addresses only.
    for peer in [outsider, neighbour] {
        let heard = asker.addresses_of(&public, peer).await;
        assert_eq!(local(&heard), Vec::<&Multiaddr>::new(), "outsider: {}", peer == outsider);
        assert!(heard.iter().any(|address| address.to_string().contains("203.0.113.99")), "{heard:?}");
    }
}
