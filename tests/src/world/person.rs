//! One person of the world: a disk that survives, a node that does not.

use kith_node::{
    api::types::{Alert, ContactState, DeliveryState, EventKind, Me, Message, Relay},
    app::{App, Command, Input, Outlet, Reply, RequestId, Runner, create_profile, query, release},
    net::{InboundToken, NetCommand, PeerName},
};
use kith_protocol::{AccountId, MessageId, Timestamp, crypto::Secret, mailbox::Pass};
use kith_store::{
    Disk, MemoryDisk, Range, Rows as _, Store, Unlock, Writes,
    table::{Contact, Outbox, OwnRelayPool, PassesOf},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng},
};
use std::{collections::BTreeMap, sync::Arc};

/// What a node let out in one turn.
#[derive(Default)]
pub(super) struct Out {
    /// For the net.
    pub net: Vec<NetCommand>,
    /// Answers to the person.
    pub replies: Vec<(RequestId, Reply)>,
    /// When it wants to be woken.
    pub next_due: Option<Timestamp>,
}

/// How a turn ended.
pub(super) enum Ended {
    /// With this.
    Well(Out),
    /// The power went: nothing is let out.
    PowerCut {
        /// After some of the commit's writes had gone to the disk.
        inside: bool,
        /// When the node comes back, in milliseconds.
        back_after_ms: u64,
    },
}

/// A power cut that is to come.
struct Doom {
    /// The change of the disk, counted since it was made, that is not carried out any more.
    at: u64,
    back_after_ms: u64,
}

impl Outlet for Out {
    fn net(&mut self, command: NetCommand) {
        self.net.push(command);
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        self.replies.push((request, reply));
    }

    fn events(&mut self, _newest: u64) {}
}

/// A person with a node.
pub struct Person {
    /// For messages of failed checks.
    pub name: String,
    /// How far the person's clock is ahead of the world's.
    pub clock_ahead_ms: u64,
    /// Whether the node tells others what was read, from its next start on.
    pub shares_read: bool,
    /// When the node is woken next.
    pub wake_planned: Option<Timestamp>,
    /// Turns that the node took in all its lives.
    pub turns: u64,
    index: usize,
    disk: MemoryDisk,
    runner: Option<Runner>,
    account: AccountId,
    life: u64,
    tokens: BTreeMap<InboundToken, (usize, u64, u64)>,
    next_token: u64,
    doom: Option<Doom>,
}

/// Half of the power cuts tear what was not synced, half lose all of it.
fn drop_after_power_cut(disk: &MemoryDisk, runner: Runner, rng: &mut ChaCha20Rng) {
    if rng.next_u64().is_multiple_of(2) {
        disk.crash();
    } else {
        disk.crash_torn(rng);
    }
    drop(runner);
}

fn unlock() -> Unlock {
    Unlock::Key(Secret::new([7; 32]))
}

fn rng(seed: u64, index: usize, life: u64) -> ChaCha20Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&(index as u64).to_le_bytes());
    bytes[16..24].copy_from_slice(&life.to_le_bytes());
    ChaCha20Rng::from_seed(bytes)
}

impl Person {
    pub(super) fn create(index: usize, seed: u64, now: Timestamp) -> Self {
        let disk = MemoryDisk::new();
        let mut rng = rng(seed, index, u64::MAX);
        let store = Store::create(Disk::Memory(disk.clone()), &unlock(), &mut rng).unwrap();
        let created = create_profile(&store, &format!("p{index}"), now, &mut rng).unwrap();
        drop(store);
        Self {
            name: format!("p{index}"),
            clock_ahead_ms: 0,
            shares_read: false,
            wake_planned: None,
            turns: 0,
            index,
            disk,
            runner: None,
            account: created.account,
            life: 0,
            tokens: BTreeMap::new(),
            next_token: 0,
            doom: None,
        }
    }

    /// The person's account.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The node's transport name.
    pub fn peer(&self) -> PeerName {
        PeerName(format!("peer-{}", self.index))
    }

    pub(super) fn address(&self) -> String {
        format!("/memory/{}/p2p/peer-{}", self.index, self.index)
    }

    /// Whether the node runs.
    pub fn is_up(&self) -> bool {
        self.runner.is_some()
    }

    /// Counts the node's starts.
    pub fn life(&self) -> u64 {
        self.life
    }

    pub(super) fn alive(&self, life: u64) -> bool {
        self.is_up() && self.life == life
    }

    pub(super) fn start(&mut self, _now: Timestamp, seed: u64) {
        self.life += 1;
        let mut rng = rng(seed, self.index, self.life);
        let store = Arc::new(Store::open(Disk::Memory(self.disk.clone()), &unlock(), &mut rng).unwrap());
        let app = App::load(&store).unwrap().share_read(self.shares_read);
        self.runner = Some(Runner::new(app, store, rng));
        self.wake_planned = None;
    }

    /// Stops the node as a power cut would.
    pub(super) fn crash(&mut self, rng: &mut ChaCha20Rng) -> bool {
        let Some(runner) = self.runner.take() else { return false };
        drop_after_power_cut(&self.disk, runner, rng);
        self.tokens.clear();
        self.doom = None;
        true
    }

    /// Lets so many further writes and syncs of the disk succeed: the power goes at the next one.
    pub(super) fn cut_power_after(&mut self, changes: u64, back_after_ms: u64) {
        if self.is_up() && self.doom.is_none() {
            self.disk.stop_after(changes);
            self.doom = Some(Doom { at: self.changes() + changes, back_after_ms });
        }
    }

    /// Calls a power cut off that has not come yet.
    pub(super) fn spare(&mut self) {
        self.disk.heal();
        self.doom = None;
    }

    fn changes(&self) -> u64 {
        let counts = self.disk.counts();
        counts.writes + counts.syncs
    }

    /// A copy of what is on the disk now.
    pub fn image(&self) -> Vec<u8> {
        self.disk.image()
    }

    pub(super) fn put_back(&mut self, image: Vec<u8>) {
        self.runner = None;
        self.tokens.clear();
        self.disk = MemoryDisk::from_image(image);
        self.doom = None;
    }

    pub(super) fn turn(&mut self, inputs: Vec<Input>, now: Timestamp) -> Option<Ended> {
        let before = self.changes();
        self.turns += 1;
        let turn = self.runner.as_mut()?.turn(inputs, now);
        if let Some(doom) = &self.doom
            && turn.effects.is_none()
        {
            return Some(Ended::PowerCut { inside: doom.at > before, back_after_ms: doom.back_after_ms });
        }
        let mut out = Out { next_due: turn.next_due, ..Out::default() };
        release(turn, &mut out);
        Some(Ended::Well(out))
    }

    pub(super) fn expects_answer(&mut self, from: usize, attempt: u64, life: u64) -> InboundToken {
        self.next_token += 1;
        let token = InboundToken(self.next_token);
        self.tokens.insert(token, (from, attempt, life));
        token
    }

    pub(super) fn answered(&mut self, token: InboundToken) -> Option<(usize, u64, u64)> {
        self.tokens.remove(&token)
    }

    /// The command that sends a text.
    pub fn text_to(&self, to: AccountId, body: &str) -> Command {
        Command::Send { to, body: body.to_owned(), expires_after_ms: None }
    }

    /// The person's contact link.
    pub fn link(&self) -> String {
        self.me().url
    }

    /// Reads from the node's store (opened again if the node is down).
    pub fn read<T>(&self, look: impl FnOnce(&dyn kith_store::RawRows) -> T) -> T {
        match &self.runner {
            Some(runner) => look(&runner.store().snapshot().unwrap()),
            None => {
                let disk = Disk::Memory(MemoryDisk::from_image(self.disk.image()));
                let store = Store::open(disk, &unlock(), &mut rng(0, self.index, 0)).unwrap();
                look(&store.snapshot().unwrap())
            }
        }
    }

    /// Messages of others that the node shows.
    pub fn shown(&self) -> Vec<Message> {
        self.read(|rows| {
            let contacts = query::contacts(rows).unwrap();
            let all =
                contacts.iter().flat_map(|c| query::messages(rows, &c.account.into(), None, None, usize::MAX).unwrap());
            all.filter(|m| !m.outgoing).collect()
        })
    }

    /// Messages of others that the event stream told of, in order.
    pub fn told(&self) -> Vec<MessageId> {
        self.read(|rows| {
            let page = query::events(rows, 0, usize::MAX).unwrap();
            let messages = page.events.into_iter().filter_map(|e| match e.kind {
                EventKind::Message(m) if !m.outgoing => Some(m.id),
                _ => None,
            });
            messages.collect()
        })
    }
}

impl Person {
    /// Deletes the private halves of the one-time keys at relays, while the node is down.
    pub fn forget_relay_keys(&self) {
        assert!(self.runner.is_none());
        let disk = Disk::Memory(self.disk.clone());
        let store = Store::open(disk, &unlock(), &mut rng(0, self.index, 0)).unwrap();
        let pools: Vec<OwnRelayPool> = store.snapshot().unwrap().all(None, usize::MAX).unwrap();
        assert!(!pools.is_empty());
        let mut writes = Writes::default();
        pools.iter().for_each(|pool| writes.delete::<OwnRelayPool>(OwnRelayPool::key_of(pool.number)));
        store.write(|tx| tx.apply(&writes)).map(drop).unwrap();
        store.close().unwrap();
    }

    /// Has every pass that was given here name another machine for its relay, as whoever gave it could, while the node is
    /// down.
    pub fn bend_passes(&self, peer: &PeerName) {
        assert!(self.runner.is_none());
        let disk = Disk::Memory(self.disk.clone());
        let store = Store::open(disk, &unlock(), &mut rng(0, self.index, 0)).unwrap();
        let rows: Vec<PassesOf> = store.snapshot().unwrap().all(None, usize::MAX).unwrap();
        assert!(rows.iter().any(|row| !row.given.is_empty()));
        let mut writes = Writes::default();
        for mut row in rows {
            for bytes in row.given.iter_mut().chain(&mut row.strangers) {
                let mut pass = Pass::decode(bytes).unwrap();
                pass.peer.clone_from(&peer.0);
                pass.addresses = vec![format!("/memory/1/p2p/{}", peer.0)];
                *bytes = pass.encode();
            }
            writes.put(&row).unwrap();
        }
        store.write(|tx| tx.apply(&writes)).map(drop).unwrap();
        store.close().unwrap();
    }

    /// Writes what it likes into its own store, while the node is down.
    pub fn tamper(&self, change: impl FnOnce(&dyn kith_store::RawRows, &mut Writes)) {
        assert!(self.runner.is_none());
        let disk = Disk::Memory(self.disk.clone());
        let store = Store::open(disk, &unlock(), &mut rng(0, self.index, 0)).unwrap();
        let mut writes = Writes::default();
        change(&store.snapshot().unwrap(), &mut writes);
        store.write(|tx| tx.apply(&writes)).map(drop).unwrap();
        store.close().unwrap();
    }

    /// Takes a contact for one who showed two histories, while the node is down.
    pub fn doubts(&self, account: &AccountId) {
        assert!(self.runner.is_none());
        let disk = Disk::Memory(self.disk.clone());
        let store = Store::open(disk, &unlock(), &mut rng(0, self.index, 0)).unwrap();
        let mut contact: Contact = store.snapshot().unwrap().row(&Contact::key_of(account)).unwrap().unwrap();
        contact.violated = true;
        let mut writes = Writes::default();
        writes.put(&contact).unwrap();
        store.write(|tx| tx.apply(&writes)).map(drop).unwrap();
        store.close().unwrap();
    }

    /// How often the disk was synced.
    pub fn syncs(&self) -> u64 {
        self.disk.counts().syncs
    }

    /// Who the person is.
    pub fn me(&self) -> Me {
        self.read(|rows| query::me(rows).unwrap())
    }

    /// Strangers who wrote and were not answered yet.
    pub fn asked_by(&self) -> Vec<AccountId> {
        let contacts = self.read(|rows| query::contacts(rows).unwrap());
        contacts.into_iter().filter(|c| c.state == ContactState::Request).map(|c| c.account).collect()
    }

    /// Alerts that the event stream told of, in order.
    pub fn alerts(&self) -> Vec<Alert> {
        self.read(|rows| {
            let page = query::events(rows, 0, usize::MAX).unwrap();
            let alerts = page.events.into_iter().filter_map(|e| match e.kind {
                EventKind::Alert(alert) => Some(alert),
                _ => None,
            });
            alerts.collect()
        })
    }

    /// The relays that hold this person's mail.
    pub fn relays(&self) -> Vec<Relay> {
        self.read(|rows| query::relays(rows).unwrap())
    }

    /// What the node still has to bring to others, texts and everything else.
    pub fn waiting(&self) -> Vec<String> {
        self.read(|rows| {
            let waiting = rows.rows::<Outbox>(Outbox::GROUP, &Range::all(), usize::MAX).unwrap();
            let shown = |row: Outbox| format!("{} {:?} due {:?}", row.id, row.cargo, row.due_at);
            waiting.into_iter().map(shown).collect()
        })
    }

    /// Own messages that no device of their recipient has confirmed.
    pub fn unconfirmed(&self) -> Vec<MessageId> {
        self.read(|rows| {
            let contacts = query::contacts(rows).unwrap();
            let all =
                contacts.iter().flat_map(|c| query::messages(rows, &c.account.into(), None, None, usize::MAX).unwrap());
            all.filter(|m| m.outgoing && m.state != DeliveryState::Delivered).map(|m| m.id).collect()
        })
    }

    /// The stories of all own messages.
    pub fn why_all(&self) -> Vec<kith_node::api::types::Why> {
        self.read(|rows| {
            let contacts = query::contacts(rows).unwrap();
            let all =
                contacts.iter().flat_map(|c| query::messages(rows, &c.account.into(), None, None, usize::MAX).unwrap());
            all.filter(|m| m.outgoing).filter_map(|m| query::why(rows, &m.id).unwrap()).collect()
        })
    }
}
