//! One node of the bench: a disk, and an app over it while it runs.

use super::Forger;
use kith_node::{
    api::types::{self, EventKind},
    app::{App, Input, Outlet, Reply, RequestId, Runner, create_profile, query, release},
    net::{NetCommand, PeerName},
};
use kith_protocol::{AccountId, DeviceId, MessageId, Timestamp, crypto::Secret};
use kith_store::{Disk, MemoryDisk, Range, RawRows, Row, Rows, Store, Unlock, Writes, table::Outbox};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::sync::Arc;

/// What one turn let out.
#[derive(Default)]
pub(super) struct Out {
    pub(super) net: Vec<NetCommand>,
    pub(super) replies: Vec<(RequestId, Reply)>,
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

/// One node.
pub struct Node {
    /// Its place on the bench.
    pub index: usize,
    /// Its disk.
    pub disk: MemoryDisk,
    /// Its account.
    pub account: AccountId,
    /// Its device.
    pub device: DeviceId,
    /// How far its clock is off.
    pub skew_ms: i64,
    /// Takes its clock for right whatever it shows.
    pub accept_clock: bool,
    /// Tells contacts what was read.
    pub share_read: bool,
    /// Whether its last turn said that the disk takes no writes.
    pub storage_failed: bool,
    pub(super) next_due: Option<Timestamp>,
    runner: Option<Runner>,
    seed: u64,
    life: u64,
}

fn unlock() -> Unlock {
    Unlock::Key(Secret::new([9; 32]))
}

impl Node {
    pub(super) fn create(seed: u64, index: usize, now: Timestamp) -> Self {
        let disk = MemoryDisk::new();
        let mut rng = chance(seed, index, u64::MAX);
        let store = Store::create(Disk::Memory(disk.clone()), &unlock(), &mut rng).unwrap();
        let created = create_profile(&store, &format!("n{index}"), now, &mut rng).unwrap();
        Self {
            index,
            disk,
            account: created.account,
            device: created.device,
            skew_ms: 0,
            accept_clock: false,
            share_read: false,
            storage_failed: false,
            next_due: None,
            runner: None,
            seed,
            life: 0,
        }
    }

    /// The transport name of the node at a place.
    pub fn peer(index: usize) -> PeerName {
        PeerName(format!("peer-{index}"))
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.runner.is_some()
    }

    pub(super) fn start(&mut self) {
        self.life += 1;
        let mut rng = chance(self.seed, self.index, self.life);
        let store = Arc::new(Store::open(Disk::Memory(self.disk.clone()), &unlock(), &mut rng).unwrap());
        let app = App::load(&store).unwrap().accept_clock(self.accept_clock).share_read(self.share_read);
        self.runner = Some(Runner::new(app, store, rng));
        self.next_due = None;
    }

    /// Stops the node; its disk stays as it is.
    pub fn stop(&mut self) {
        self.runner = None;
    }

    /// Stops the node as a power cut does: what was not synced is gone.
    pub fn power_cut(&mut self) {
        self.disk.crash();
        self.runner = None;
    }

    /// Puts an old copy of the disk in the place of the one there is; the node stops.
    pub fn put_back(&mut self, image: Vec<u8>) {
        self.runner = None;
        self.disk = MemoryDisk::from_image(image);
    }

    pub(super) fn turn(&mut self, inputs: Vec<Input>, now: Timestamp) -> Option<Out> {
        let turn = self.runner.as_mut()?.turn(inputs, now);
        self.storage_failed = turn.storage_failed;
        self.next_due = if turn.effects.is_some() { turn.next_due } else { Some(now.plus_millis(5_000)) };
        let mut out = Out::default();
        release(turn, &mut out);
        Some(out)
    }

    /// Reads from the store.
    pub fn read<T>(&self, look: impl FnOnce(&dyn RawRows) -> T) -> T {
        match &self.runner {
            Some(runner) => look(&runner.store().snapshot().unwrap()),
            None => {
                let disk = Disk::Memory(MemoryDisk::from_image(self.disk.image()));
                let store = Store::open(disk, &unlock(), &mut chance(self.seed, self.index, 0)).unwrap();
                look(&store.snapshot().unwrap())
            }
        }
    }

    /// Puts a row into the running node's store behind its back.
    pub fn overwrite(&self, row: &impl Row) {
        self.overwrite_all(std::slice::from_ref(row));
    }

    /// Puts rows into the running node's store behind its back.
    pub fn overwrite_all<R: Row>(&self, rows: &[R]) {
        let mut writes = Writes::default();
        for row in rows {
            writes.put(row).unwrap();
        }
        let store = self.runner.as_ref().unwrap().store();
        store.write(|tx| tx.apply(&writes)).unwrap().into_inner();
    }

    /// The contact code and link.
    pub fn me(&self) -> types::Me {
        self.read(|rows| query::me(rows).unwrap())
    }

    /// People it shows.
    pub fn contacts(&self) -> Vec<types::Contact> {
        self.read(|rows| query::contacts(rows).unwrap())
    }

    /// A conversation.
    pub fn messages(&self, with: &AccountId) -> Vec<types::Message> {
        self.read(|rows| query::messages(rows, &(*with).into(), None, None, usize::MAX).unwrap())
    }

    /// One message.
    pub fn message(&self, id: &MessageId) -> Option<types::Message> {
        self.read(|rows| query::one_message(rows, id).unwrap())
    }

    /// The story of a message.
    pub fn why(&self, id: &MessageId) -> types::Why {
        self.read(|rows| query::why(rows, id).unwrap()).expect("the message has a story")
    }

    /// The steps of a message that has one recipient device.
    pub fn steps(&self, id: &MessageId) -> Vec<String> {
        self.why(id).recipients[0].steps.iter().map(|s| s.what.clone()).collect()
    }

    /// Why a message waits.
    pub fn error(&self, id: &MessageId) -> Option<String> {
        self.why(id).recipients[0].error.clone()
    }

    /// What is on its way.
    pub fn outbox(&self) -> Vec<types::OutboxItem> {
        self.read(|rows| query::outbox(rows).unwrap())
    }

    /// How many rows its outbox has, of every kind.
    pub fn outbox_rows(&self) -> usize {
        self.read(|rows| rows.rows::<Outbox>(Outbox::GROUP, &Range::all(), usize::MAX).unwrap().len())
    }

    /// All events after a cursor.
    pub fn events(&self, after: u64) -> Vec<types::Event> {
        self.read(|rows| query::events(rows, after, usize::MAX).unwrap().events)
    }

    /// The codes of all alerts, in order.
    pub fn alerts(&self) -> Vec<String> {
        let alert = |e: types::Event| match e.kind {
            EventKind::Alert(alert) => Some(alert.code),
            _ => None,
        };
        self.events(0).into_iter().filter_map(alert).collect()
    }

    /// Messages of others that the event stream told of.
    pub fn told(&self) -> Vec<MessageId> {
        let told = |e: types::Event| match e.kind {
            EventKind::Message(m) if !m.outgoing => Some(m.id),
            _ => None,
        };
        self.events(0).into_iter().filter_map(told).collect()
    }

    pub(super) fn forger(&self) -> Forger {
        self.read(|rows| Forger::of(rows, chance(self.seed, self.index, u64::MAX - 1)))
    }
}

fn chance(seed: u64, index: usize, life: u64) -> ChaCha20Rng {
    let mut bytes = [0x42; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&(index as u64).to_le_bytes());
    bytes[16..24].copy_from_slice(&life.to_le_bytes());
    ChaCha20Rng::from_seed(bytes)
}
