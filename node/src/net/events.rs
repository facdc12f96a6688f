//! What waits for the app: bounded, so that a slow app costs neither memory nor the swarm's time.
//! Must not block: what the app can do without is merged, and inbound frames are answered busy instead.

use super::{
    gossip::Turns,
    types::{NetEvent, PeerName},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokio::sync::mpsc;

/// The way to the app.
pub(crate) struct Events {
    queue: mpsc::Sender<NetEvent>,
    waiting: Waiting,
    /// Frames of channels.
    frames: Turns,
}

/// What waits for room in the queue.
#[derive(Default)]
struct Waiting {
    /// Answers the app counts on; as many as it asked for.
    answers: VecDeque<NetEvent>,
    /// Answers of relays and members among them: they are large.
    asks: usize,
    /// Whether each peer is up, as last seen.
    peers: BTreeMap<PeerName, bool>,
    /// Who said that something waits there.
    woken: BTreeSet<PeerName>,
    published: Option<NetEvent>,
    addresses: Option<NetEvent>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        let Self { answers, asks: _, peers, woken, published, addresses } = self;
        answers.is_empty() && peers.is_empty() && woken.is_empty() && published.is_none() && addresses.is_none()
    }

    fn next(&mut self) -> Option<NetEvent> {
        if let Some(event) = self.addresses.take().or_else(|| self.answers.pop_front()) {
            self.asks -= usize::from(matches!(event, NetEvent::Asked { .. }));
            return Some(event);
        }
        if let Some((peer, up)) = self.peers.pop_first() {
            return Some(if up { NetEvent::PeerUp { peer } } else { NetEvent::PeerDown { peer } });
        }
        let woken = self.woken.pop_first().map(|from| NetEvent::Woken { from });
        woken.or_else(|| self.published.take())
    }
}

impl Events {
    pub(crate) fn new(queue: mpsc::Sender<NetEvent>) -> Self {
        Self { queue, waiting: Waiting::default(), frames: Turns::default() }
    }

    /// Offers an event that is worthless later; says whether the app took it. What waits goes first.
    pub(crate) fn offer(&mut self, event: NetEvent) -> bool {
        self.flush();
        !self.waiting() && self.queue.try_send(event).is_ok()
    }

    /// Passes a frame of a channel on; says whether nothing was dropped for it. They take the emptier half of the queue, so
    /// that there is room for what somebody waits for.
    pub(crate) fn pass_on(&mut self, topic: [u8; 32], from: PeerName, frame: Vec<u8>) -> bool {
        let bytes = frame.len();
        let kept = self.frames.push(from.clone(), bytes, NetEvent::Gossip { topic, from, frame });
        self.flush();
        kept
    }

    /// Sends an answer to a command; it waits until the app takes it.
    pub(crate) fn answer(&mut self, event: NetEvent) {
        self.waiting.asks += usize::from(matches!(event, NetEvent::Asked { .. }));
        self.waiting.answers.push_back(event);
        self.flush();
    }

    /// Tells something of which only the newest counts.
    pub(crate) fn tell(&mut self, event: NetEvent) {
        match event {
            NetEvent::PeerUp { peer } => drop(self.waiting.peers.insert(peer, true)),
            NetEvent::PeerDown { peer } => drop(self.waiting.peers.insert(peer, false)),
            NetEvent::Woken { from } => drop(self.waiting.woken.insert(from)),
            NetEvent::Published { .. } => self.waiting.published = Some(event),
            NetEvent::Addresses { .. } => self.waiting.addresses = Some(event),
            _ => return self.answer(event),
        }
        self.flush();
    }

    /// Says whether something waits for room.
    pub(crate) fn waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns how many answers wait.
    pub(crate) fn answers(&self) -> usize {
        self.waiting.answers.len()
    }

    /// Returns how many answers of relays and members wait.
    pub(crate) fn unread_asks(&self) -> usize {
        self.waiting.asks
    }

    /// Returns the queue, to wait for room in it.
    pub(crate) fn queue(&self) -> mpsc::Sender<NetEvent> {
        self.queue.clone()
    }

    /// Moves what waits into the queue while there is room; if the app is gone, drops it. Frames of channels come last.
    pub(crate) fn flush(&mut self) {
        while self.waiting() {
            match self.queue.try_reserve() {
                Ok(room) => {
                    if let Some(event) = self.waiting.next() {
                        room.send(event);
                    }
                }
                Err(mpsc::error::TrySendError::Full(())) => return,
                Err(mpsc::error::TrySendError::Closed(())) => self.waiting = Waiting::default(),
            }
        }
        while !self.frames.is_empty() && self.queue.capacity() > self.queue.max_capacity() / 2 {
            match self.queue.try_reserve() {
                Ok(room) => {
                    if let Some(frame) = self.frames.next() {
                        room.send(frame);
                    }
                }
                Err(mpsc::error::TrySendError::Full(())) => return,
                Err(mpsc::error::TrySendError::Closed(())) => self.frames = Turns::default(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{AskOutcome, DeliverOutcome};

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
        events.tell(NetEvent::Woken { from: PeerName("b".into()) });
        events.tell(NetEvent::Woken { from: PeerName("b".into()) });
        events.answer(NetEvent::Asked { ask: 3, outcome: AskOutcome::Unsupported });
        assert_eq!(events.unread_asks(), 1);
        events.tell(NetEvent::Published { stored: 1 });
        events.tell(NetEvent::Published { stored: 2 });
        assert!(!events.offer(up("offered")));
        let mut seen = Vec::new();
        while let Ok(event) = app.try_recv() {
            seen.push(event);
            events.flush();
        }
        let down = NetEvent::PeerDown { peer: PeerName("a".into()) };
        let asked = NetEvent::Asked { ask: 3, outcome: AskOutcome::Unsupported };
        let woken = NetEvent::Woken { from: PeerName("b".into()) };
        assert_eq!(seen, vec![done(1), done(2), asked, down, woken, NetEvent::Published { stored: 2 }]);
        assert_eq!(events.unread_asks(), 0);
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
