//! Starting, stopping, modes and standing.

use super::kit::{check, config, frame, node, seed, soon};
use crate::{
    clock::Clock,
    net::{
        DeliverOutcome, DhtMode, NetCommand, NetConfig, NetError, NetEvent, NetSetup, NetStatus, PeerName, PingError,
        Transport, Verdict, peer_name, spawn,
    },
};
use std::time::Duration;

async fn error_for(listen: &str) -> NetError {
    let mut config = config();
    config.listen = vec![listen.into()];
    match spawn(NetSetup::forgetful(config, seed(), check(), Clock::system())).await {
        Ok(_) => panic!("{listen} was accepted"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_taken_port_is_named_for_tcp_and_quic() {
    let bob = node(config()).await;
    for transport in [Transport::Noise, Transport::Quic] {
        let taken = bob.listens(transport).remove(0);
        let taken = taken.split("/p2p/").next().unwrap().to_owned();
        let error = error_for(&taken).await;
        assert!(matches!(&error, NetError::PortInUse { address } if *address == taken), "{error:?}");
        assert_eq!(error.code(), "port_in_use");
        assert!(error.hint().contains("another port"));
    }
    bob.net.shutdown().await;
}

#[tokio::test]
async fn addresses_that_cannot_be_listened_on_are_named() {
    for bad in ["nonsense", "/ip4/127.0.0.1", "/dns4/localhost/tcp/1", "/ip4/127.0.0.1/udp/0", "/memory/1"] {
        let error = error_for(bad).await;
        assert!(matches!(&error, NetError::BadAddress { address } if address == bad), "{bad}: {error:?}");
    }
    // TEST-NET-1 belongs to no machine.
    let error = error_for("/ip4/192.0.2.1/tcp/0").await;
    assert_eq!(error.code(), "listen_failed");
}

#[tokio::test]
async fn the_name_follows_from_the_seed_and_a_stop_frees_the_port_and_hangs_up() {
    let seed = seed();
    let (net, _events) = spawn(NetSetup::forgetful(config(), seed.clone(), check(), Clock::system())).await.unwrap();
    assert_eq!(Some(net.status().peer), peer_name(&seed).map(|name| name.0));
    let mut alice = node(config()).await;
    let address = net.status().listen.remove(0);
    alice.send(NetCommand::Dial { addresses: vec![address.clone()] });
    alice.event("bob up", |event| matches!(event, NetEvent::PeerUp { .. }).then_some(())).await;
    soon("the stop", net.shutdown()).await;
    alice.event("bob down", |event| matches!(event, NetEvent::PeerDown { .. }).then_some(())).await;
    assert!(net.send(NetCommand::Dial { addresses: vec![] }).is_err());
    assert_eq!(net.ping(alice.name.clone(), vec![]).await, Err(PingError::Unavailable));

    let mut again = config();
    again.listen = vec![address.split("/p2p/").next().unwrap().to_owned()];
    let (net, _events) = spawn(NetSetup::forgetful(again, seed, check(), Clock::system())).await.unwrap();
    assert_eq!(net.status().listen, vec![address]);
}

#[tokio::test]
async fn the_default_configuration_listens_over_tcp_and_quic() {
    let config = NetConfig::default();
    let setup = NetSetup::forgetful(config, seed(), check(), Clock::system());
    let (net, _events) = spawn(setup).await.unwrap();
    let listen = net.status().listen;
    assert!(
        listen.iter().any(|address| address.contains("/tcp/"))
            && listen.iter().any(|address| address.contains("/quic-v1"))
    );
    net.shutdown().await;
}

#[tokio::test]
async fn one_port_serves_both_families_and_is_taken_for_the_second_daemon() {
    let port = std::net::TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let mut both = config();
    both.listen = ["/ip4/0.0.0.0/tcp", "/ip6/::/tcp"].map(|at| format!("{at}/{port}")).to_vec();
    let setup = || NetSetup::forgetful(both.clone(), seed(), check(), Clock::system());
    let (net, _events) = spawn(setup()).await.unwrap();
    assert!(net.status().listen.iter().all(|address| address.contains(&format!("/tcp/{port}/"))));
    assert_eq!(spawn(setup()).await.unwrap_err().code(), "port_in_use");
    net.shutdown().await;
}

#[tokio::test]
async fn r_net_6_the_mode_is_explicit_server_on_loopback_unless_configured_otherwise() {
    assert!(node(config()).await.net.status().dht_server);
    let mut client = config();
    client.dht_mode = DhtMode::Client;
    assert!(!node(client).await.net.status().dht_server);
    let mut deaf = config();
    deaf.listen.clear();
    assert!(!node(deaf.clone()).await.net.status().dht_server);
    deaf.dht_mode = DhtMode::Server;
    assert!(node(deaf).await.net.status().dht_server);
}

#[tokio::test]
async fn the_app_learns_the_addresses_at_the_start() {
    let mut bob = node(config()).await;
    let listen = bob.net.status().listen;
    let pick = |event| match event {
        NetEvent::Addresses { peer, addresses } => Some((peer, addresses)),
        _ => None,
    };
    let (peer, mut addresses) = bob.event("own addresses", pick).await;
    let mut expected: Vec<_> = listen.iter().map(|address| address.split("/p2p/").next().unwrap().to_owned()).collect();
    addresses.sort();
    expected.sort();
    assert_eq!((peer, addresses), (bob.name.clone(), expected));
}

#[tokio::test]
async fn connections_of_contacts_stay_and_others_end_when_idle() {
    let mut config_short = config();
    (config_short.limits.idle, config_short.limits.anchors) = (Duration::from_millis(300), 0);
    let mut bob = node(config_short.clone()).await;
    let (contact, stranger) = (node(config_short.clone()).await, node(config_short).await);
    bob.send(NetCommand::Protect { peers: vec![contact.name.clone()] });
    contact.send(NetCommand::Protect { peers: vec![bob.name.clone()] });
    bob.send(NetCommand::Dial { addresses: [contact.net.status().listen, stranger.net.status().listen].concat() });
    let down = |name: &PeerName| {
        let name = name.clone();
        move |event| matches!(event, NetEvent::PeerDown { peer } if peer == name).then_some(())
    };
    bob.event("the stranger's end", down(&stranger.name)).await;
    let only_contact = |status: &NetStatus| status.peers.len() == 1 && status.peers[0].peer == contact.name;
    bob.status("only the contact", only_contact).await;
    // No longer a contact: its connection ends too. (The DHT may have called the stranger meanwhile; that is no matter.)
    contact.send(NetCommand::Protect { peers: vec![] });
    bob.send(NetCommand::Protect { peers: vec![] });
    bob.event("the contact's end", down(&contact.name)).await;
}

#[tokio::test]
async fn a_blocked_peer_is_hung_up_on_and_not_let_in_until_unblocked() {
    let (mut bob, mut eve) = (node(config()).await, node(config()).await);
    eve.deliver(1, &bob, frame("hello"));
    let (token, ..) = bob.inbound().await;
    bob.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
    assert_eq!(eve.done().await.1, DeliverOutcome::Accepted);
    bob.send(NetCommand::Block { peers: vec![eve.name.clone()] });
    eve.event("bob hung up", |event| matches!(event, NetEvent::PeerDown { .. }).then_some(())).await;
    let status = bob.status("eve shown as banned", |status| status.peers.iter().any(|peer| peer.banned)).await;
    assert_eq!(status.peers[0].transport, None);
    eve.deliver(2, &bob, frame("let me in"));
    assert!(matches!(eve.done().await, (2, DeliverOutcome::Unreachable { .. })));
    bob.deliver(3, &eve, frame("nor out"));
    assert_eq!(bob.done().await, (3, DeliverOutcome::Unreachable { why: "blocked" }));

    bob.send(NetCommand::Block { peers: vec![] });
    bob.deliver(4, &eve, frame("again"));
    let (token, ..) = eve.inbound().await;
    eve.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
    assert_eq!(bob.done().await, (4, DeliverOutcome::Accepted));
}

#[tokio::test]
async fn r_net_7_five_faults_ban_a_stranger_but_never_a_contact() {
    let (bob, contact, eve) = (node(config()).await, node(config()).await, node(config()).await);
    bob.send(NetCommand::Protect { peers: vec![contact.name.clone()] });
    bob.send(NetCommand::Dial { addresses: [contact.net.status().listen, eve.net.status().listen].concat() });
    bob.status("both up", |status| status.peers.iter().filter(|peer| peer.transport.is_some()).count() == 2).await;
    for _ in 0..5 {
        bob.send(NetCommand::Fault { peer: contact.name.clone() });
        bob.send(NetCommand::Fault { peer: eve.name.clone() });
    }
    let status = bob.status("eve banned", |status| status.peers.iter().any(|peer| peer.banned)).await;
    let of = |name| status.peers.iter().find(|peer| peer.peer == name).unwrap();
    assert!(of(eve.name.clone()).banned && of(eve.name.clone()).transport.is_none());
    assert!(!of(contact.name.clone()).banned && of(contact.name.clone()).transport.is_some());
    assert!(of(contact.name.clone()).score <= -90);
}
