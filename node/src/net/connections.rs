//! Connections and dials: who is connected over what, which dials are under way, and why they were made.
//! Must not know what travels on a connection.

use super::{
    channel::ToMembers,
    deliver::Frames,
    mailbox::Questions,
    run::Net,
    translate::{self, Reach},
    types::{NetEvent, Transport},
};
use crate::clock::Moment;
use libp2p::{
    Multiaddr, PeerId,
    core::ConnectedPoint,
    kad, ping,
    swarm::{
        ConnectionId, DialError,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// Addresses tried in one dial.
const DIAL_ADDRESSES: usize = 16;
/// Addresses of one `Dial` command, and of the hints of one lookup.
pub(crate) const HINTS: usize = 16;
/// Dials under way that nobody in particular waits for; more are not begun.
const BACKGROUND_DIALS: usize = 16;
/// How often bootstrap and known peers are dialled while few are connected.
const BOOTSTRAP_EVERY: Duration = Duration::from_secs(15);

/// Within what time two connections that a peer makes may be of one moment: it dials several addresses.
const TWICE_WITHIN: Duration = Duration::from_secs(1);
/// Within what time a connection of ours and one of the peer's may be of one moment: both dialled, over a slow network.
const MUTUAL_WITHIN: Duration = Duration::from_secs(2);
/// Characters kept of what a peer calls its run.
const RUN_MAX: usize = 32;

/// What is connected and what is being dialled.
pub(crate) struct Connections {
    pub(crate) live: BTreeMap<PeerId, Live>,
    dials: HashMap<ConnectionId, Dial>,
    /// Configured addresses under which others reach this node.
    pub(crate) announce: Vec<Multiaddr>,
    /// Own public addresses that somebody from the public network has used.
    pub(crate) confirmed: Vec<Multiaddr>,
    /// Whether strangers from the public network come in here, or are meant to.
    pub(crate) outsiders: bool,
    /// The addresses last told to the app.
    pub(crate) announced: Option<Vec<String>>,
    /// The DHT mode that was set.
    pub(crate) mode: Option<kad::Mode>,
}

/// A connected peer.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) rtt: Option<Duration>,
    /// Whether it said that it serves our DHT.
    pub(crate) serves: bool,
    /// Whether it said that it speaks gossip.
    pub(crate) gossips: bool,
}

impl Live {
    /// Notes which run of the peer speaks on a connection; returns the connections that the peer does not have any more:
    /// those of its earlier runs, and those that it cannot know of since it dialled again. Young ones of the same run stay:
    /// it may have dialled two addresses at the same moment, or both sides each other.
    fn identified(&mut self, id: ConnectionId, run: &str) -> Vec<ConnectionId> {
        let Some(connection) = self.connections.get_mut(&id) else { return Vec::new() };
        let run: String = run.chars().take(RUN_MAX).collect();
        connection.run = Some(run.clone());
        let (since, dialled) = (connection.since, connection.incoming);
        let gone = |c: &Connection| {
            let young = if c.incoming { TWICE_WITHIN } else { MUTUAL_WITHIN };
            let earlier_run = c.since <= since && c.run.as_ref().is_some_and(|other| *other != run);
            // It dialled although it had this one: it has lost it. Only the dialled side concludes that, so that the two
            // never close one each.
            earlier_run || (dialled && since.saturating_sub(c.since) >= young)
        };
        self.connections.iter().filter(|(other, c)| **other != id && gone(c)).map(|(id, _)| *id).collect()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) address: Multiaddr,
    pub(crate) reach: Reach,
    /// Whether the peer dialled.
    incoming: bool,
    since: Moment,
    /// What the peer calls its run: another one at each start.
    run: Option<String>,
}

#[derive(Debug)]
struct Dial {
    peer: Option<PeerId>,
    /// The lookup that wants to ask whoever answers there.
    fetch: Option<u64>,
}

/// How far a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A connection is open.
    Open,
    /// A dial is under way; it ends in `on_connected` or `on_dial_failed`.
    Dialing,
}

impl Connections {
    pub(crate) fn new(announce: Vec<Multiaddr>) -> Self {
        Self {
            live: BTreeMap::new(),
            dials: HashMap::new(),
            outsiders: !announce.is_empty(),
            announce,
            confirmed: Vec::new(),
            announced: None,
            mode: None,
        }
    }

    /// Returns how many dials are under way.
    pub(crate) fn dialing(&self) -> usize {
        self.dials.len()
    }

    /// Says from where a connection comes, if it is open.
    pub(crate) fn reach(&self, peer: &PeerId, connection: ConnectionId) -> Option<Reach> {
        self.live.get(peer)?.connections.get(&connection).map(|connection| connection.reach)
    }
}

impl Net {
    /// Finds a way to a peer: an open connection, or a dial of the given and the known addresses.
    pub(crate) fn reach_out(&mut self, peer: PeerId, given: Vec<Multiaddr>) -> Result<Way, &'static str> {
        if self.swarm.is_connected(&peer) {
            return Ok(Way::Open);
        }
        if peer == *self.swarm.local_peer_id() {
            return Err("that is this node itself");
        }
        if self.is_banned(&peer) {
            return Err("blocked");
        }
        if self.connections.dials.values().any(|dial| dial.peer == Some(peer)) {
            return Ok(Way::Dialing);
        }
        let now = self.clock.moment();
        let news = given.iter().any(|address| !self.book.addresses(&peer).contains(address));
        if news {
            // Where it was not looked for yet, old failures say nothing.
            for address in given.iter().rev() {
                self.book.told(peer, address.clone(), now);
            }
        } else if !self.dialer.may_dial(&peer, now) {
            return Err("waiting after failed dials");
        }
        let mut addresses = given;
        for known in self.book.addresses(&peer) {
            if !addresses.contains(known) {
                addresses.push(known.clone());
            }
        }
        addresses.truncate(DIAL_ADDRESSES);
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            .build();
        self.dial(options, Dial { peer: Some(peer), fetch: None })
    }

    fn dial(&mut self, options: DialOpts, dial: Dial) -> Result<Way, &'static str> {
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.connections.dials.insert(id, dial);
                Ok(Way::Dialing)
            }
            // The DHT is dialling it; if that fails, `on_dial_failed` tries again with our addresses.
            Err(DialError::DialPeerConditionFalse(_)) => Ok(Way::Dialing),
            Err(DialError::NoAddresses) => Err("no address known"),
            Err(DialError::Denied { .. }) => Err("too many connections here"),
            Err(_) => Err("the dial could not be begun"),
        }
    }

    /// Dials an address whose peer is not known; `fetch` is the lookup that wants to ask it.
    pub(crate) fn dial_unknown(&mut self, address: Multiaddr, fetch: Option<u64>) -> Result<Way, &'static str> {
        let options = DialOpts::unknown_peer_id().address(address).build();
        self.dial(options, Dial { peer: None, fetch })
    }

    /// Dials hints, quietly.
    pub(crate) fn dial_hints(&mut self, texts: &[String]) {
        let addresses: Vec<_> = texts.iter().take(HINTS).filter_map(|text| translate::address(text)).collect();
        self.dial_quietly(addresses);
    }

    fn dial_quietly(&mut self, addresses: Vec<Multiaddr>) {
        let (named, nameless) = by_peer(addresses);
        for (peer, addresses) in named {
            if self.connections.dialing() < BACKGROUND_DIALS
                && let Err(why) = self.reach_out(peer, addresses)
            {
                tracing::debug!(why, "a hint was not dialled");
            }
        }
        for address in nameless {
            if self.connections.dialing() < BACKGROUND_DIALS
                && !self.is_connected_at(&address)
                && let Err(why) = self.dial_unknown(address, None)
            {
                tracing::debug!(why, "a hint was not dialled");
            }
        }
    }

    fn is_connected_at(&self, address: &Multiaddr) -> bool {
        let mut open = self.connections.live.values().flat_map(|live| live.connections.values());
        open.any(|connection| connection.address == *address)
    }

    /// Dials bootstrap peers and peers of earlier runs while few are connected.
    pub(crate) fn drive_bootstrap(&mut self, now: Moment) {
        if now < self.next_bootstrap || self.connections.live.len() >= self.config.limits.anchors {
            return;
        }
        self.next_bootstrap = now.saturating_add(BOOTSTRAP_EVERY);
        self.dial_quietly(self.bootstrap.clone());
        let missing = self.config.limits.anchors.saturating_sub(self.connections.live.len());
        let known = self.book.known().into_iter().filter(|peer| !self.connections.live.contains_key(peer));
        for peer in known.take(missing * 2).collect::<Vec<_>>() {
            if self.connections.dialing() < BACKGROUND_DIALS {
                // A failure is quiet: there is no one to tell.
                let _ = self.reach_out(peer, Vec::new());
            }
        }
    }

    pub(crate) fn on_connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let now = self.clock.moment();
        let remote = translate::without_peer(endpoint.get_remote_address().clone());
        let reach = translate::reach(&remote);
        let transport = translate::transport(&remote);
        let connection = Connection {
            transport,
            address: remote.clone(),
            reach,
            incoming: endpoint.is_listener(),
            since: now,
            run: None,
        };
        let live = self.connections.live.entry(peer).or_default();
        live.connections.insert(id, connection);
        let first = live.connections.len() == 1;
        self.dialer.reset(&peer);
        match endpoint {
            ConnectedPoint::Dialer { .. } => self.book.reached(peer, remote, now),
            ConnectedPoint::Listener { local_addr, .. } => {
                if reach == Reach::Public {
                    self.connections.outsiders = true;
                    self.forget_local_routes();
                }
                self.confirm(local_addr, reach);
            }
        }
        let dial = self.connections.dials.remove(&id);
        if let Some(fetch) = dial.and_then(|dial| dial.fetch) {
            self.ask_hinted(fetch, peer);
        }
        if first {
            self.events.tell(NetEvent::PeerUp { peer: translate::peer_name(&peer) });
        }
        self.pump::<Frames>(peer);
        self.pump::<Questions>(peer);
        self.pump::<ToMembers>(peer);
        self.ask_waiting(peer);
    }

    /// A peer said which run of it speaks: one that died without a word and came back has no use for what was open before.
    pub(crate) fn on_identified(&mut self, peer: PeerId, id: ConnectionId, run: &str) {
        let stale = self.connections.live.get_mut(&peer).map(|live| live.identified(id, run)).unwrap_or_default();
        for old in &stale {
            // What flies on it fails now instead of by its timeout, and is sent on the new one.
            self.swarm.close_connection(*old);
        }
        if !stale.is_empty() {
            self.events.tell(NetEvent::PeerUp { peer: translate::peer_name(&peer) });
        }
    }

    pub(crate) fn on_disconnected(&mut self, peer: PeerId, id: ConnectionId, left: u32) {
        if let Some(live) = self.connections.live.get_mut(&peer) {
            live.connections.remove(&id);
        }
        if left == 0 && self.connections.live.remove(&peer).is_some() {
            self.events.tell(NetEvent::PeerDown { peer: translate::peer_name(&peer) });
            self.on_peer_gone(peer);
            self.client_gone(peer);
        }
    }

    pub(crate) fn on_dial_failed(&mut self, id: ConnectionId, peer: Option<PeerId>, error: &DialError) {
        let dial = self.connections.dials.remove(&id);
        if let Some(fetch) = dial.as_ref().and_then(|dial| dial.fetch) {
            self.hint_failed(fetch);
        }
        let Some(peer) = dial.as_ref().and_then(|dial| dial.peer).or(peer) else { return };
        if self.swarm.is_connected(&peer) {
            return;
        }
        if dial.is_some() {
            self.dialer.failed(peer, self.clock.moment(), &mut self.rng);
            self.fail_waiting(peer, reason(error));
        } else if self.is_awaited(&peer)
            && let Err(why) = self.reach_out(peer, Vec::new())
        {
            // It was the DHT's dial that failed, and there is no better one.
            self.fail_waiting(peer, why);
        }
    }

    /// Tells everybody who waits for a connection to the peer that there is none.
    fn fail_waiting(&mut self, peer: PeerId, why: &'static str) {
        self.fail_waiting_for::<Frames>(peer, why);
        self.fail_waiting_for::<Questions>(peer, why);
        self.fail_waiting_for::<ToMembers>(peer, why);
        self.fail_direct(peer, why);
    }

    fn is_awaited(&self, peer: &PeerId) -> bool {
        self.deliveries.out.awaits(peer)
            || self.questions.awaits(peer)
            || self.members.questions.awaits(peer)
            || self.direct.awaits(peer)
    }

    /// Notes that somebody from the public network came in under a public address of this node.
    fn confirm(&mut self, local: &Multiaddr, from: Reach) {
        let confirmed = &mut self.connections.confirmed;
        if from == Reach::Public && translate::reach(local) == Reach::Public && !confirmed.contains(local) {
            confirmed.push(local.clone());
            self.on_listens_changed();
        }
    }

    pub(crate) fn on_ping(&mut self, event: &ping::Event) {
        if let Some(live) = self.connections.live.get_mut(&event.peer) {
            live.rtt = event.result.as_ref().ok().copied().or(live.rtt);
        }
        if let Err(ping::Failure::Timeout | ping::Failure::Other { .. }) = event.result {
            // Nobody is at the other end any more: what waits on it goes another way.
            self.swarm.close_connection(event.connection);
        }
    }
}

/// Sorts addresses by the peer they name, those that name none apart; unusable ones are left out.
pub(crate) fn by_peer(addresses: Vec<Multiaddr>) -> (BTreeMap<PeerId, Vec<Multiaddr>>, Vec<Multiaddr>) {
    let (mut named, mut nameless) = (BTreeMap::<PeerId, Vec<Multiaddr>>::new(), Vec::new());
    for (address, peer) in addresses.into_iter().map(translate::split_peer) {
        match peer {
            _ if translate::reach(&address) == Reach::Unusable => {}
            Some(peer) if translate::is_sound(&peer) => named.entry(peer).or_default().push(address),
            Some(_) => {}
            None => nameless.push(address),
        }
    }
    (named, nameless)
}

/// Why a dial failed, for `why`; without addresses.
fn reason(error: &DialError) -> &'static str {
    match error {
        DialError::WrongPeerId { .. } => "somebody else answers at its address",
        DialError::NoAddresses => "no address known",
        DialError::Denied { .. } => "too many connections here",
        DialError::Transport(_) => "no answer at its addresses",
        _ => "the dial failed",
    }
}
