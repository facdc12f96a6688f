//! What waits for the app: bounded, so that a slow app costs neither memory nor the swarm's time.
//! Must not block: what the app can do without is merged, and inbound frames are answered busy instead.

use super::types::{NetEvent, PeerName};
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::mpsc;

/// The way to the app.
pub(crate) struct Events {
    queue: mpsc::Sender<NetEvent>,
    /// Answers the app counts on; as many as it asked for.
    answers: VecDeque<NetEvent>,
    /// Whether each peer is up, as last seen.
    peers: BTreeMap<PeerName, bool>,
    published: Option<NetEvent>,
    addresses: Option<NetEvent>,
}

impl Events {
    pub(crate) fn new(queue: mpsc::Sender<NetEvent>) -> Self {
        Self { queue, answers: VecDeque::new(), peers: BTreeMap::new(), published: None, addresses: None }
    }

    /// Offers an event that is worthless later; says whether the app took it. What waits goes first.
    pub(crate) fn offer(&mut self, event: NetEvent) -> bool {
        self.flush();
        !self.waiting() && self.queue.try_send(event).is_ok()
    }

    /// Sends an answer to a command; it waits until the app takes it.
    pub(crate) fn answer(&mut self, event: NetEvent) {
        self.answers.push_back(event);
        self.flush();
    }

    /// Tells something of which only the newest counts.
    pub(crate) fn tell(&mut self, event: NetEvent) {
        match event {
            NetEvent::PeerUp { peer } => drop(self.peers.insert(peer, true)),
            NetEvent::PeerDown { peer } => drop(self.peers.insert(peer, false)),
            NetEvent::Published { .. } => self.published = Some(event),
            NetEvent::Addresses { .. } => self.addresses = Some(event),
            _ => return self.answer(event),
        }
        self.flush();
    }

    /// Says whether something waits for room.
    pub(crate) fn waiting(&self) -> bool {
        !self.answers.is_empty() || !self.peers.is_empty() || self.published.is_some() || self.addresses.is_some()
    }

    /// Returns how many answers wait.
    pub(crate) fn answers(&self) -> usize {
        self.answers.len()
    }

    /// Returns the queue, to wait for room in it.
    pub(crate) fn queue(&self) -> mpsc::Sender<NetEvent> {
        self.queue.clone()
    }

    /// Moves what waits into the queue while there is room; if the app is gone, drops it.
    pub(crate) fn flush(&mut self) {
        while self.waiting() {
            match self.queue.try_reserve() {
                Ok(room) => {
                    if let Some(event) =
                        next(&mut self.answers, &mut self.addresses, &mut self.peers, &mut self.published)
                    {
                        room.send(event);
                    }
                }
                Err(mpsc::error::TrySendError::Full(())) => return,
                Err(mpsc::error::TrySendError::Closed(())) => {
                    self.answers.clear();
                    self.peers.clear();
                    (self.published, self.addresses) = (None, None);
                }
            }
        }
    }
}

fn next(
    answers: &mut VecDeque<NetEvent>,
    addresses: &mut Option<NetEvent>,
    peers: &mut BTreeMap<PeerName, bool>,
    published: &mut Option<NetEvent>,
) -> Option<NetEvent> {
    if let Some(event) = addresses.take().or_else(|| answers.pop_front()) {
        return Some(event);
    }
    let peer =
        peers.pop_first().map(|(peer, up)| if up { NetEvent::PeerUp { peer } } else { NetEvent::PeerDown { peer } });
    peer.or_else(|| published.take())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::DeliverOutcome;

    fn up(name: &str) -> NetEvent {
        NetEvent::PeerUp { peer: PeerName(name.into()) }
    }

    fn done(attempt: u64) -> NetEvent {
        NetEvent::DeliverDone { attempt, outcome: DeliverOutcome::Accepted }
    }

    #[tokio::test]
    async fn answers_wait_in_order_news_are_merged_and_offers_are_refused_while_the_app_sleeps() {
        let (queue, mut app) = mpsc::channel(1);
        let mut events = Events::new(queue);
        events.answer(done(1));
        events.answer(done(2));
        events.tell(up("a"));
        events.tell(NetEvent::PeerDown { peer: PeerName("a".into()) });
        events.tell(NetEvent::Published { stored: 1 });
        events.tell(NetEvent::Published { stored: 2 });
        assert!(!events.offer(up("offered")));
        let mut seen = Vec::new();
        while let Ok(event) = app.try_recv() {
            seen.push(event);
            events.flush();
        }
        let down = NetEvent::PeerDown { peer: PeerName("a".into()) };
        assert_eq!(seen, vec![done(1), done(2), down, NetEvent::Published { stored: 2 }]);
        assert!(!events.waiting());
        assert!(events.offer(up("offered")));
    }

    #[tokio::test]
    async fn nothing_is_hoarded_for_an_app_that_is_gone() {
        let (queue, app) = mpsc::channel(1);
        let mut events = Events::new(queue);
        drop(app);
        events.answer(done(1));
        assert!(!events.waiting());
        assert!(!events.offer(up("a")));
    }
}
