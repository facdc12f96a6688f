//! Bounds the handshakes that others began here. Who says nothing holds a place until somebody else needs it: then the
//! oldest one goes of the network that holds most, so that neither many silent sockets nor one that is slow keep anybody
//! out for longer than it takes to come again.
//! Must not know who anybody is: that is what a handshake finds out.

use super::{networks, translate};
use futures::{
    FutureExt as _,
    future::{AbortHandle, Abortable, BoxFuture, abortable},
};
use libp2p::{
    Multiaddr, PeerId,
    core::{
        Transport,
        muxing::StreamMuxerBox,
        transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent},
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

type Connected = (PeerId, StreamMuxerBox);

/// Where somebody comes from: a network of the internet, or an address of a local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Network(networks::Network),
    Local(Option<IpAddr>),
}

fn place(address: &Multiaddr) -> Place {
    networks::network(address).map_or_else(|| Place::Local(translate::ip(address)), Place::Network)
}

/// Handshakes under way, by place and age.
#[derive(Debug, Default)]
struct Pending {
    next: u64,
    places: HashMap<Place, BTreeMap<u64, AbortHandle>>,
    count: usize,
}

impl Pending {
    /// Takes one in; where there are more than `most` after that, another one ends.
    fn enter(&mut self, place: Place, handle: AbortHandle, most: usize) -> u64 {
        self.next = self.next.wrapping_add(1);
        self.places.entry(place).or_default().insert(self.next, handle);
        self.count += 1;
        if self.count > most {
            // Of places that hold as many, the one whose oldest is older.
            let fullest =
                self.places.iter().max_by_key(|(_, held)| (held.len(), std::cmp::Reverse(held.keys().next().copied())));
            let oldest =
                fullest.and_then(|(place, held)| held.first_key_value().map(|(n, handle)| (*place, *n, handle)));
            if let Some((place, number, handle)) = oldest {
                handle.abort();
                self.leave(&place, number);
            }
        }
        self.next
    }

    fn leave(&mut self, place: &Place, number: u64) {
        let Some(held) = self.places.get_mut(place) else { return };
        if held.remove(&number).is_some() {
            self.count -= 1;
        }
        if held.is_empty() {
            self.places.remove(place);
        }
    }
}

/// A transport whose inbound handshakes are bounded.
pub(crate) struct Handshakes {
    inner: Boxed<Connected>,
    most: usize,
    pending: Arc<Mutex<Pending>>,
}

impl Handshakes {
    /// Bounds them to so many at a time.
    pub(crate) fn bound(inner: Boxed<Connected>, most: usize) -> Self {
        Self { inner, most, pending: Arc::default() }
    }

    fn begin(&self, from: &Multiaddr, upgrade: BoxFuture<'static, io::Result<Connected>>) -> Handshake {
        let (upgrade, handle) = abortable(upgrade);
        let place = place(from);
        let number = self.pending.lock().unwrap_or_else(PoisonError::into_inner).enter(place, handle, self.most);
        Handshake { upgrade, place, number, pending: Arc::clone(&self.pending) }
    }
}

/// One of them, until it ends.
pub(crate) struct Handshake {
    upgrade: Abortable<BoxFuture<'static, io::Result<Connected>>>,
    place: Place,
    number: u64,
    pending: Arc<Mutex<Pending>>,
}

impl Future for Handshake {
    type Output = io::Result<Connected>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let made_room = |_| Err(io::Error::new(io::ErrorKind::ConnectionAborted, "made room for another handshake"));
        Poll::Ready(ready!(self.upgrade.poll_unpin(cx)).unwrap_or_else(made_room))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).leave(&self.place, self.number);
    }
}

impl Transport for Handshakes {
    type Output = Connected;
    type Error = io::Error;
    type ListenerUpgrade = Handshake;
    type Dial = BoxFuture<'static, io::Result<Connected>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        self.inner.dial(address, options)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Handshake, io::Error>> {
        Poll::Ready(match ready!(Pin::new(&mut self.inner).poll(cx)) {
            TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr } => {
                let upgrade = self.begin(&send_back_addr, upgrade);
                TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr }
            }
            TransportEvent::NewAddress { listener_id, listen_addr } => {
                TransportEvent::NewAddress { listener_id, listen_addr }
            }
            TransportEvent::AddressExpired { listener_id, listen_addr } => {
                TransportEvent::AddressExpired { listener_id, listen_addr }
            }
            TransportEvent::ListenerClosed { listener_id, reason } => {
                TransportEvent::ListenerClosed { listener_id, reason }
            }
            TransportEvent::ListenerError { listener_id, error } => {
                TransportEvent::ListenerError { listener_id, error }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::pending;

    fn transport(most: usize) -> Handshakes {
        Handshakes::bound(libp2p::core::transport::dummy::DummyTransport::<Connected>::new().boxed(), most)
    }

    /// Somebody who says nothing begins a handshake.
    fn silent(transport: &Handshakes, from: &str) -> Handshake {
        transport.begin(&from.parse().unwrap(), pending().boxed())
    }

    fn is_over(handshake: &mut Handshake) -> bool {
        handshake.now_or_never().is_some_and(|ended| ended.is_err())
    }

    #[test]
    fn r_net_10_the_oldest_handshake_of_the_network_that_holds_most_makes_room() {
        let transport = transport(4);
        let mut slow = silent(&transport, "/ip4/198.51.100.1/tcp/5");
        let mut flood: Vec<_> = (0..3).map(|n| silent(&transport, &format!("/ip4/203.0.113.{n}/tcp/5"))).collect();
        assert!(!is_over(&mut slow) && flood.iter_mut().all(|handshake| !is_over(handshake)), "there is room");
        for n in 0..20 {
            flood.push(silent(&transport, &format!("/ip4/203.0.113.{}/tcp/6", 3 + n)));
            assert!(!is_over(&mut slow), "whoever is slow is not sent away for what others do");
            let over: Vec<_> = flood.iter_mut().map(is_over).collect();
            assert_eq!(over.iter().filter(|over| !**over).count(), 3);
            assert!(over.is_sorted_by(|one, next| one >= next), "the oldest went: {over:?}");
        }
        // Whoever comes from elsewhere finds a place, also one network beside the other.
        let mut other = silent(&transport, "/ip4/127.0.0.1/tcp/5");
        assert!(!is_over(&mut other) && !is_over(&mut slow));
        assert_eq!(flood.iter_mut().filter_map(|handshake| (!is_over(handshake)).then_some(())).count(), 2);
    }

    #[test]
    fn a_handshake_that_ends_leaves_its_place() {
        let transport = transport(2);
        for _ in 0..10 {
            let (mut one, mut two) =
                (silent(&transport, "/ip4/127.0.0.1/tcp/5"), silent(&transport, "/ip4/127.0.0.1/tcp/6"));
            assert!(!is_over(&mut one) && !is_over(&mut two));
        }
        let pending = transport.pending.lock().unwrap();
        assert!(pending.count == 0 && pending.places.is_empty());
    }
}
