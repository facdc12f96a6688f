//! Makes the swarm and its listeners.
//! Must not know what happens on it afterwards.

use super::{
    behaviour::{Behaviour, Own},
    config::{NetConfig, NetError},
    handshakes::Handshakes,
    peers::limits::Limits,
    translate::{self, Reach},
};
use libp2p::{
    Multiaddr, Swarm, Transport as _, TransportError,
    core::{muxing::StreamMuxerBox, transport::timeout::TransportTimeout, upgrade::Version},
    dns, identity,
    multiaddr::Protocol,
    noise, quic, swarm, tcp, yamux,
};
use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    num::NonZeroUsize,
    time::Duration,
};

/// Streams of one connection, all protocols together.
const YAMUX_STREAMS: usize = 256;

/// Makes a swarm: TCP with Noise and Yamux, QUIC beside it, names resolved by DNS.
pub(crate) fn build(key: identity::Keypair, config: &NetConfig, own: Own<'_>) -> Result<Swarm<Behaviour>, NetError> {
    let behaviour = Behaviour::new(&key, config, own)?;
    let limits = &config.limits;
    let me = key.public().to_peer_id();
    let noise = noise::Config::new(&key).map_err(|_| NetError::Setup)?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(YAMUX_STREAMS);
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let mut quic = quic::Config::new(&key);
    quic.handshake_timeout = limits.handshake_timeout;
    // A peer that died without a word is noticed within this: nothing else tells on UDP.
    quic.max_idle_timeout = 8_000;
    quic.keep_alive_interval = Duration::from_secs(2);
    let quic = quic::tokio::Transport::new(quic).map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let both = tcp.or_transport(quic).map(|either, _| either.into_inner());
    // A machine without a resolver configuration asks nobody, rather than somebody it never chose.
    let named = if std::path::Path::new("/etc/resolv.conf").exists() {
        dns::tokio::Transport::system(both).map_err(|_| NetError::Setup)?
    } else {
        let nobody = dns::ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        dns::tokio::Transport::custom(both, nobody, dns::ResolverOpts::default())
    };
    let timed = TransportTimeout::new(named, limits.handshake_timeout).boxed();
    let most = usize::try_from(limits.pending_connections).unwrap_or(usize::MAX);
    let transport = Handshakes::bound(timed, most).boxed();
    Ok(Swarm::new(transport, behaviour, me, tune(swarm::Config::with_tokio_executor(), limits)))
}

fn tune(config: swarm::Config, limits: &Limits) -> swarm::Config {
    config
        .with_idle_connection_timeout(limits.idle)
        .with_max_negotiating_inbound_streams(64)
        .with_notify_handler_buffer_size(const { NonZeroUsize::new(64).unwrap() })
        .with_per_connection_event_buffer_size(32)
}

/// Listens on every configured address; an address family this machine lacks is left out while another one works.
pub(crate) fn listen(swarm: &mut Swarm<Behaviour>, texts: &[String]) -> Result<usize, NetError> {
    let (mut listeners, mut lacking) = (0, None);
    for text in texts {
        let bad = || NetError::BadAddress { address: text.clone() };
        let address = translate::address(text).filter(is_listenable).ok_or_else(bad)?;
        match probe(&address).and_then(|()| swarm.listen_on(address).map_err(io_error)) {
            Ok(_) => listeners += 1,
            Err(error) => match listen_error(text, error) {
                Ok(error) => return Err(error),
                Err(error) => lacking = Some(error),
            },
        }
    }
    match lacking {
        Some(error) if listeners == 0 => Err(error),
        _ => Ok(listeners),
    }
}

/// Sorts what the system said: `Ok` is fatal, `Err` only if nothing else works.
fn listen_error(text: &str, source: io::Error) -> Result<NetError, NetError> {
    let address = text.to_owned();
    match source.kind() {
        io::ErrorKind::AddrInUse => Ok(NetError::PortInUse { address }),
        io::ErrorKind::PermissionDenied => Ok(NetError::PortForbidden { address }),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported if text.starts_with("/ip6/::/") => {
            Err(NetError::Listen { address, source })
        }
        // EAFNOSUPPORT has no stable kind: a machine without IPv6.
        _ if text.starts_with("/ip6/") => Err(NetError::Listen { address, source }),
        _ => Ok(NetError::Listen { address, source }),
    }
}

/// TCP or QUIC on an IP address, a wildcard one as well.
fn is_listenable(address: &Multiaddr) -> bool {
    let wildcard = address.iter().next().is_some_and(|part| match part {
        Protocol::Ip4(ip) => ip.is_unspecified(),
        Protocol::Ip6(ip) => ip.is_unspecified(),
        _ => false,
    });
    let named = matches!(address.iter().next(), Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)));
    let shape: Multiaddr = address
        .iter()
        .map(|part| match part {
            Protocol::Ip4(_) if wildcard => Protocol::Ip4([127, 0, 0, 1].into()),
            Protocol::Ip6(_) if wildcard => Protocol::Ip6([0, 0, 0, 0, 0, 0, 0, 1].into()),
            other => other,
        })
        .collect();
    !named && translate::split_peer(address.clone()).1.is_none() && translate::reach(&shape) != Reach::Unusable
}

/// Tries a port before libp2p does. It shares TCP ports (SO_REUSEPORT), so a second daemon would silently take every
/// other connection of the first; and it wraps what the system says beyond recognition.
fn probe(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        // The standard library would take the port for IPv4 too, which may be ours already; this meets every other holder.
        Some(Protocol::Ip6(ip)) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) => TcpListener::bind(SocketAddr::new(ip, port)).map(drop),
        Some(Protocol::Udp(port)) => UdpSocket::bind(SocketAddr::new(ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// Says whether nobody holds the port of an address.
pub(crate) fn is_free(address: &Multiaddr) -> bool {
    probe(address).map_or_else(|error| error.kind() != io::ErrorKind::AddrInUse, |()| true)
}

fn io_error(error: TransportError<io::Error>) -> io::Error {
    match error {
        TransportError::Other(error) => error,
        TransportError::MultiaddrNotSupported(_) => io::ErrorKind::Unsupported.into(),
    }
}
