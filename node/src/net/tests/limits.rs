//! Crowds of connections that do nothing: no more than the bounds, and those who were there are served.

use super::kit::{DEADLINE, Node, config, frame, node, soon};
use crate::net::{DeliverOutcome, NetCommand, Transport, Verdict};
use futures::StreamExt;
use libp2p::{
    Multiaddr, SwarmBuilder, noise,
    swarm::{
        SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
        dummy,
    },
    tcp, yamux,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// Somebody who opens connections and does nothing with them.
pub(super) struct Idler {
    /// How many of them were closed by the other side.
    pub(super) closed: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Idler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens so many connections to a node under one name.
pub(super) async fn idler(victim: &Node, connections: usize) -> Idler {
    let to: Multiaddr = victim.listens(Transport::Noise).remove(0).parse().unwrap();
    let peer = victim.name.0.parse().unwrap();
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| dummy::Behaviour)
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE))
        .build();
    // All at once: a node takes older connections of one that dials again for dead.
    for _ in 0..connections {
        let dial = DialOpts::peer_id(peer).addresses(vec![to.clone()]).condition(PeerCondition::Always);
        swarm.dial(dial.build()).unwrap();
    }
    let (mut begun, mut ended) = (0, 0);
    soon("every dial ends", async {
        while begun < connections {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => begun += 1,
                SwarmEvent::ConnectionClosed { .. } => ended += 1,
                SwarmEvent::OutgoingConnectionError { .. } => (begun, ended) = (begun + 1, ended + 1),
                _ => {}
            }
        }
    })
    .await;
    let (told, closed) = watch::channel(ended);
    let task = tokio::spawn(async move {
        loop {
            if let SwarmEvent::ConnectionClosed { .. } = swarm.select_next_some().await {
                told.send_modify(|closed| *closed += 1);
            }
        }
    });
    Idler { closed, task }
}

/// Sends a frame and says how that ended.
async fn outcome(from: &mut Node, to: &Node) -> DeliverOutcome {
    from.deliver(1, to, frame("hello"));
    from.done().await.1
}

/// The same node for others to write to, while it answers everything.
fn serving(node: Node) -> Node {
    let shown = Node { net: node.net.clone(), name: node.name.clone(), events: mpsc::channel(1).1 };
    node.answer_all(Verdict::Accepted);
    shown
}

/// Waits until a node that nobody knows gets through.
async fn takes_strangers_again(node_to: &Node) {
    soon("there is room again", async {
        // A node of its own for each try: one that failed waits before it dials again.
        while outcome(&mut node(config()).await, node_to).await != DeliverOutcome::Accepted {}
    })
    .await;
}

#[tokio::test]
async fn r_net_7_idle_strangers_get_no_more_than_the_room_and_neither_guests_nor_contacts_are_shut_out() {
    const ROOM: usize = 6;
    const CROWD: usize = 3 * ROOM;
    let mut narrow = config();
    narrow.limits.inbound_connections = u32::try_from(ROOM).unwrap();
    let bob = serving(node(narrow).await);
    let (mut guest, mut contact) = (node(config()).await, node(config()).await);
    assert_eq!(outcome(&mut guest, &bob).await, DeliverOutcome::Accepted);
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(idler(&bob, 1).await);
    }
    // Whoever found no room is hung up on.
    let turned_away = |crowd: &[Idler]| crowd.iter().filter(|one| *one.closed.borrow() > 0).count();
    soon("those without room are turned away", async {
        while turned_away(&crowd) < CROWD - (ROOM - 1) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bob.status("the room is full", |status| status.peers.len() == ROOM).await;
    assert!(matches!(outcome(&mut node(config()).await, &bob).await, DeliverOutcome::Unreachable { .. }));
    bob.send(NetCommand::Protect { peers: vec![contact.name.clone()] });
    assert_eq!(outcome(&mut guest, &bob).await, DeliverOutcome::Accepted, "an old guest is shut out");
    assert_eq!(outcome(&mut contact, &bob).await, DeliverOutcome::Accepted, "a contact is shut out");
    let status = bob.status("the contact beside the full room", |status| status.peers.len() == ROOM + 1).await;
    assert!([&guest.name, &contact.name].iter().all(|name| status.peers.iter().any(|peer| peer.peer == **name)));
    assert_eq!(turned_away(&crowd), CROWD - (ROOM - 1), "somebody who was let in was hung up on");
    drop(crowd);
    takes_strangers_again(&bob).await;
}

#[tokio::test]
async fn one_peer_gets_three_connections_however_many_it_opens() {
    let bob = serving(node(config()).await);
    let greedy = idler(&bob, 9).await;
    let mut closed = greedy.closed.clone();
    soon("all but three are closed", closed.wait_for(|closed| *closed >= 6)).await.unwrap();
    assert_eq!(outcome(&mut node(config()).await, &bob).await, DeliverOutcome::Accepted);
    // Three are allowed; fewer are left where the node took older ones for dead.
    assert!((6..9).contains(&*closed.borrow()));
}

/// Resident memory of this process in bytes.
pub(super) fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn above_its_memory_a_node_takes_nobody_new_and_serves_whom_it_has() {
    const MIB: usize = 1 << 20;
    let mut tight = config();
    // Other tests of this process come and go: the steps are wide.
    tight.limits.memory_bytes = Some(resident() + 192 * MIB);
    let bob = serving(node(tight).await);
    let mut guest = node(config()).await;
    assert_eq!(outcome(&mut guest, &bob).await, DeliverOutcome::Accepted);
    let ballast = std::hint::black_box(vec![1u8; 448 * MIB]);
    soon("strangers are refused", async {
        while outcome(&mut node(config()).await, &bob).await == DeliverOutcome::Accepted {}
    })
    .await;
    assert_eq!(outcome(&mut guest, &bob).await, DeliverOutcome::Accepted, "who is there is not served");
    assert!(ballast.iter().rev().take(9).all(|b| *b == 1));
    drop(ballast);
    takes_strangers_again(&bob).await;
}
