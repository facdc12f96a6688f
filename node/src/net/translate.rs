//! Between plain data and libp2p types: names, multiaddresses, and which addresses may be used where.
//! Must not dial or decide anything else.

use super::types::{PeerName, Transport};
use libp2p::{Multiaddr, PeerId, identity::PublicKey, multiaddr::Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest multiaddress text that is looked at.
const ADDRESS_TEXT_MAX: usize = 256;

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Anywhere on the internet (names count as such).
    Public,
    /// The local network: RFC 1918, RFC 4193, RFC 6598, link-local.
    Private,
    /// This machine.
    Loopback,
    /// Nowhere this node dials: circuits, unspecified, multicast, unknown transports.
    Unusable,
}

/// Returns the plain name of a libp2p peer.
pub(crate) fn peer_name(peer: &PeerId) -> PeerName {
    PeerName(peer.to_base58())
}

/// Returns the libp2p peer of a plain name, if it is one and its key may be used.
pub(crate) fn peer_id(name: &PeerName) -> Option<PeerId> {
    if name.0.len() > ADDRESS_TEXT_MAX {
        return None;
    }
    name.0.parse().ok().filter(is_sound)
}

/// Whether a text is the transport name of a peer whose key may be used.
pub fn is_peer(name: &str) -> bool {
    peer_id(&PeerName(name.to_owned())).is_some()
}

/// Says whether a peer's key is an Ed25519 key that is canonical, of prime order, and therefore not anybody's to sign with.
///
/// libp2p verifies signatures non-strictly, under which a small-order key has signatures that everybody can make.
pub(crate) fn is_sound(peer: &PeerId) -> bool {
    let multihash: &libp2p::multihash::Multihash<64> = peer.as_ref();
    // Code 0 is the identity hash: the public key itself.
    if multihash.code() != 0 {
        return false;
    }
    let Ok(key) = PublicKey::try_decode_protobuf(multihash.digest()) else { return false };
    key.try_into_ed25519().is_ok_and(|key| is_sound_key(&key.to_bytes()))
}

fn is_sound_key(bytes: &[u8; 32]) -> bool {
    kith_protocol::crypto::sign::VerifyingKey::parse(bytes).is_ok()
}

/// Parses a multiaddress; `None` for what is too long or malformed.
pub(crate) fn address(text: &str) -> Option<Multiaddr> {
    if text.len() > ADDRESS_TEXT_MAX { None } else { text.trim().parse().ok() }
}

/// Splits the trailing `/p2p/…` off an address.
pub(crate) fn split_peer(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => {
            address.pop();
            (address, Some(peer))
        }
        _ => (address, None),
    }
}

/// Drops a trailing `/p2p/…`.
pub(crate) fn without_peer(address: Multiaddr) -> Multiaddr {
    split_peer(address).0
}

/// Parses addresses that are meant for one peer: those of other peers and unusable ones are left out.
pub(crate) fn addresses_of(peer: &PeerId, texts: &[String], max: usize) -> Vec<Multiaddr> {
    let mut addresses = Vec::new();
    for (address, of) in texts.iter().take(max).filter_map(|text| address(text)).map(split_peer) {
        if of.is_none_or(|of| of == *peer) && reach(&address) != Reach::Unusable && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Says which transport an address uses: QUIC, or TCP with Noise.
pub(crate) fn transport(address: &Multiaddr) -> Transport {
    if address.iter().any(|part| matches!(part, Protocol::QuicV1)) { Transport::Quic } else { Transport::Noise }
}

/// Says where an address leads, judged by its form alone.
pub(crate) fn reach(address: &Multiaddr) -> Reach {
    let mut parts = address.iter();
    let host = match parts.next() {
        Some(Protocol::Ip4(ip)) => of_ip(IpAddr::V4(ip)),
        Some(Protocol::Ip6(ip)) => of_ip(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name)) if !name.is_empty() => Reach::Public,
        _ => Reach::Unusable,
    };
    let carried = match (parts.next(), parts.next()) {
        (Some(Protocol::Tcp(_)), None | Some(Protocol::P2p(_))) => true,
        (Some(Protocol::Udp(_)), Some(Protocol::QuicV1)) => matches!(parts.next(), None | Some(Protocol::P2p(_))),
        _ => false,
    };
    if carried && parts.next().is_none() { host } else { Reach::Unusable }
}

fn of_ip(ip: IpAddr) -> Reach {
    match ip {
        _ if ip.is_loopback() => Reach::Loopback,
        _ if ip.is_unspecified() || ip.is_multicast() => Reach::Unusable,
        IpAddr::V4(ip) if ip.is_broadcast() => Reach::Unusable,
        IpAddr::V4(ip) if ip.is_private() || ip.is_link_local() || is_shared(ip) => Reach::Private,
        IpAddr::V6(ip) if is_unique_local(ip) || (ip.segments()[0] & 0xffc0) == 0xfe80 => Reach::Private,
        _ => Reach::Public,
    }
}

/// RFC 6598, carrier-grade NAT.
fn is_shared(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && (64..128).contains(&b)
}

/// RFC 4193.
fn is_unique_local(ip: Ipv6Addr) -> bool {
    (ip.segments()[0] & 0xfe00) == 0xfc00
}

/// Returns the IP address in front of a multiaddress.
pub(crate) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(IpAddr::V4(ip)),
        Some(Protocol::Ip6(ip)) => Some(IpAddr::V6(ip)),
        _ => None,
    }
}

/// Decides whether an address that a peer told may be kept: nobody may point this node at a network it learned of
/// over a wider one, or strangers could make it knock on doors inside a home.
pub(crate) fn may_tell(teller: Reach, told: &Multiaddr) -> bool {
    match reach(told) {
        Reach::Public => true,
        Reach::Private => matches!(teller, Reach::Private | Reach::Loopback),
        Reach::Loopback => teller == Reach::Loopback,
        Reach::Unusable => false,
    }
}

/// Decides whether an address out of a DHT answer may be dialled: private ones only inside a network this node is in
/// (its own /24 or /64), loopback only if it listens there and nowhere else.
pub(crate) fn may_dial(own: &[Multiaddr], told: &Multiaddr) -> bool {
    match reach(told) {
        Reach::Public => true,
        Reach::Loopback => !own.is_empty() && own.iter().all(|address| reach(address) == Reach::Loopback),
        Reach::Private => own.iter().any(|address| match (ip(address), ip(told)) {
            (Some(IpAddr::V4(a)), Some(IpAddr::V4(b))) => a.octets()[..3] == b.octets()[..3],
            (Some(IpAddr::V6(a)), Some(IpAddr::V6(b))) => a.segments()[..4] == b.segments()[..4],
            _ => false,
        }),
        Reach::Unusable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Multiaddr {
        address(text).unwrap()
    }

    #[test]
    fn addresses_are_told_apart_by_where_they_lead() {
        for (text, expected) in [
            ("/ip4/127.0.0.1/tcp/1", Reach::Loopback),
            ("/ip6/::1/udp/1/quic-v1", Reach::Loopback),
            ("/ip6/::ffff:127.0.0.1/tcp/1", Reach::Loopback),
            ("/ip4/192.168.1.5/udp/1/quic-v1", Reach::Private),
            ("/ip4/100.64.0.1/tcp/1", Reach::Private),
            ("/ip6/fd00::1/tcp/1", Reach::Private),
            ("/ip6/fe80::1/tcp/1", Reach::Private),
            ("/ip4/8.8.8.8/tcp/1", Reach::Public),
            ("/dns4/example.org/tcp/1", Reach::Public),
            ("/ip4/0.0.0.0/tcp/1", Reach::Unusable),
            ("/ip4/224.0.0.1/udp/1/quic-v1", Reach::Unusable),
            ("/ip4/8.8.8.8/udp/1", Reach::Unusable),
            ("/ip4/8.8.8.8/tcp/1/ws", Reach::Unusable),
            ("/memory/5", Reach::Unusable),
            ("/ip4/8.8.8.8/tcp/1/p2p-circuit", Reach::Unusable),
        ] {
            assert_eq!(reach(&at(text)), expected, "{text}");
        }
    }

    #[test]
    fn r_net_5_a_wider_network_cannot_tell_of_a_narrower_one() {
        let (home, here, out) = (at("/ip4/192.168.1.5/tcp/1"), at("/ip4/127.0.0.1/tcp/1"), at("/ip4/8.8.8.8/tcp/1"));
        assert!(may_tell(Reach::Public, &out) && may_tell(Reach::Private, &home) && may_tell(Reach::Loopback, &here));
        assert!(!may_tell(Reach::Public, &home) && !may_tell(Reach::Public, &here) && !may_tell(Reach::Private, &here));
    }

    #[test]
    fn r_net_5_the_dht_cannot_point_this_node_at_other_networks() {
        let (home, other) = (at("/ip4/192.168.1.5/tcp/1"), at("/ip4/192.168.2.5/tcp/1"));
        let (here, out) = (at("/ip4/127.0.0.1/tcp/1"), at("/ip4/8.8.8.8/tcp/1"));
        assert!(may_dial(std::slice::from_ref(&home), &home) && may_dial(&[], &out));
        assert!(may_dial(std::slice::from_ref(&here), &here));
        assert!(!may_dial(std::slice::from_ref(&home), &other) && !may_dial(&[], &here));
        assert!(!may_dial(&[here.clone(), home], &here), "a node with a real network has no business on loopback");
    }

    #[test]
    fn addresses_of_another_peer_are_left_out() {
        let (bob, eve) = (PeerId::random(), PeerId::random());
        let texts = [
            format!("/ip4/127.0.0.1/tcp/1/p2p/{bob}"),
            format!("/ip4/127.0.0.1/tcp/2/p2p/{eve}"),
            "/ip4/127.0.0.1/tcp/1".into(),
            "nonsense".into(),
            "/".repeat(500),
        ];
        assert_eq!(addresses_of(&bob, &texts, 16), vec![at("/ip4/127.0.0.1/tcp/1")]);
    }

    #[test]
    fn c05_61_r_net_4_small_order_and_foreign_kinds_of_transport_keys_are_refused() {
        let honest = libp2p::identity::Keypair::generate_ed25519().public().to_peer_id();
        assert!(is_sound(&honest));
        assert_eq!(peer_id(&peer_name(&honest)), Some(honest));
        // The neutral element, a point of order 2, and one of order 8.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut order_2 = [0xff; 32];
        (order_2[0], order_2[31]) = (0xec, 0x7f);
        let order_8 = data_encoding::HEXLOWER
            .decode(b"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
            .unwrap();
        for bad in [&neutral[..], &[0; 32], &order_2, &order_8] {
            let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(bad).unwrap();
            let peer = PublicKey::from(key).to_peer_id();
            assert!(!is_sound(&peer));
            assert_eq!(peer_id(&peer_name(&peer)), None);
        }
        let hashed = PeerId::random();
        assert!(!is_sound(&PeerId::from_bytes(&[&[0x12, 0x20][..], &hashed.to_bytes()[2..34]].concat()).unwrap()));
        assert_eq!(peer_id(&PeerName("x".repeat(5_000))), None);
    }
}
