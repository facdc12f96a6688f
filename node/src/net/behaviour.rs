//! What the swarm speaks: the protocols and limits, put together in the order in which they are polled.
//! Must not hold the node's own state.

use super::{
    config::{NetConfig, NetError},
    dht::{Dht, Records},
    gossip::{self, Followed, Quiet},
    identify::Identify,
    networks::Networks,
    peers::limits::Limits,
    protect::Protect,
    wire::{Channel, Codec, Deliver, Descriptor, Layout, Mailbox, Reading, Wake},
};
use libp2p::{
    PeerId, StreamProtocol, allow_block_list,
    connection_limits::{self, ConnectionLimits},
    identify, identity, kad, mdns, memory_connection_limits, ping,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
};
use std::time::Duration;

/// The name of our DHT: nobody joins the public one by accident.
pub(crate) const KAD: StreamProtocol = StreamProtocol::new("/kith/kad/1");
/// What identify says this is; the same for every version and system.
const IDENTITY: &str = "/kith/1";

/// Largest DHT message: a record with the addresses of twenty nearer nodes.
const KAD_PACKET: usize = 16 * 1024;
/// Streams of one protocol on one connection, both ways; above both windows of `Limits`.
const STREAMS: usize = 64;

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) blocked: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) networks: Networks,
    pub(crate) memory: Toggle<memory_connection_limits::Behaviour>,
    pub(crate) protect: Protect,
    pub(crate) identify: Identify,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(crate) dht: Dht,
    pub(crate) gossip: Quiet,
    pub(crate) deliver: request_response::Behaviour<Codec<Deliver>>,
    pub(crate) descriptor: request_response::Behaviour<Codec<Descriptor>>,
    pub(crate) mailbox: request_response::Behaviour<Codec<Mailbox>>,
    pub(crate) channel: request_response::Behaviour<Codec<Channel>>,
    pub(crate) wake: request_response::Behaviour<Codec<Wake>>,
    pub(crate) ping: ping::Behaviour,
}

/// What a node brings to its swarm.
pub(crate) struct Own<'a> {
    /// What identify tells peers: another text at each start.
    pub(crate) run: &'a str,
    /// Whether this node runs a relay.
    pub(crate) relay: bool,
    /// The records it has.
    pub(crate) records: Records,
    /// The topics it follows.
    pub(crate) followed: Followed,
}

impl Behaviour {
    pub(crate) fn new(key: &identity::Keypair, config: &NetConfig, own: Own<'_>) -> Result<Self, NetError> {
        let Own { run, relay, records, followed } = own;
        let me = key.public().to_peer_id();
        let limits = &config.limits;
        // Who asks one that runs no relay learns at once that it is none.
        let mailbox = if relay { ProtocolSupport::Full } else { ProtocolSupport::Outbound };
        let reading = Reading::new(limits.read_timeout(), limits.half_read_bytes);
        Ok(Self {
            blocked: allow_block_list::Behaviour::default(),
            limits: connection_limits::Behaviour::new(connection_limits(limits)),
            networks: Networks::new(limits.connections_per_network),
            memory: limits.memory_bytes.map(memory_connection_limits::Behaviour::with_max_bytes).into(),
            protect: Protect::default(),
            identify: Identify::new(
                identify::Config::new(IDENTITY.into(), key.public())
                    .with_agent_version(run.into())
                    .with_interval(Duration::from_secs(15 * 60))
                    .with_push_listen_addr_updates(true)
                    .with_cache_size(0),
            ),
            mdns: mdns(config.mdns, me),
            dht: Dht::new(kad::Behaviour::with_config(me, records, dht_config(limits))),
            gossip: gossip::behaviour(limits, followed).ok_or(NetError::Setup)?,
            deliver: exchange(&reading, ProtocolSupport::Full, limits),
            descriptor: exchange(&reading, ProtocolSupport::Full, limits),
            mailbox: exchange(&reading, mailbox, limits),
            channel: exchange(&reading, ProtocolSupport::Full, limits),
            wake: exchange(&reading, ProtocolSupport::Full, limits),
            ping: ping::Behaviour::new(
                ping::Config::new().with_interval(limits.ping_every).with_timeout(limits.ping_patience),
            ),
        })
    }
}

fn connection_limits(limits: &Limits) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_outgoing(Some(limits.pending_connections))
        .with_max_established_incoming(Some(limits.inbound_connections))
        .with_max_established_outgoing(Some(limits.outbound_connections))
        .with_max_established_per_peer(Some(limits.connections_per_peer))
}

fn dht_config(limits: &Limits) -> kad::Config {
    let mut config = kad::Config::new(KAD);
    config
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_max_packet_size(KAD_PACKET)
        .set_query_timeout(limits.fetch_timeout)
        .set_substreams_timeout(limits.handshake_timeout)
        // A record says itself when it lapses; the store holds to that.
        .set_record_ttl(None)
        .set_replication_interval(Some(Duration::from_secs(2 * 3_600)))
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_caching(kad::Caching::Disabled)
        .set_periodic_bootstrap_interval(Some(Duration::from_secs(600)));
    config
}

fn exchange<L: Layout>(
    reading: &Reading,
    support: ProtocolSupport,
    limits: &Limits,
) -> request_response::Behaviour<Codec<L>> {
    let config = request_response::Config::default()
        .with_request_timeout(limits.request_timeout)
        .with_max_concurrent_streams(STREAMS);
    request_response::Behaviour::with_codec(Codec::new(reading.clone()), [(L::NAME, support)], config)
}

/// Finding peers by multicast; a machine without a multicast route goes on without it.
fn mdns(wanted: bool, me: PeerId) -> Toggle<mdns::tokio::Behaviour> {
    let config =
        mdns::Config { ttl: Duration::from_secs(600), query_interval: Duration::from_secs(300), enable_ipv6: false };
    let behaviour = wanted.then(|| mdns::tokio::Behaviour::new(config, me));
    match behaviour.transpose() {
        Ok(behaviour) => behaviour.into(),
        Err(_) => {
            tracing::warn!("finding peers on the local network is not possible here");
            None.into()
        }
    }
}
