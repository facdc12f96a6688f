//! A relay's engine over the store: the conformance suite, and what only this engine can be asked.

#[path = "mailbox/faults.rs"]
mod faults;
#[path = "mailbox/kit.rs"]
mod kit;
#[path = "mailbox/model.rs"]
mod model;
#[path = "mailbox/property.rs"]
mod property;

use crate::common::*;
use kith_store::{
    Disk, MemoryDisk, Store,
    mailbox::{
        MailboxStore,
        conformance::{self, Ground},
    },
};

/// Engines on disks in memory.
pub(crate) struct OnMemory;

/// An engine with its disk.
pub(crate) fn relay_on(disk: &MemoryDisk) -> MailboxStore {
    MailboxStore::new(create(disk))
}

impl Ground for OnMemory {
    type Store = MailboxStore;

    fn fresh(&self) -> MailboxStore {
        relay_on(&MemoryDisk::new())
    }

    fn crash(&self, engine: MailboxStore) -> MailboxStore {
        let store = engine.into_store();
        let Disk::Memory(disk) = store.disk().clone() else { panic!("not in memory") };
        disk.crash();
        // Only now: closing would make durable what was not.
        drop(store);
        MailboxStore::new(open(&disk).unwrap())
    }
}

#[test]
fn engine_over_the_store_conforms() {
    for (what, check) in conformance::checks::<OnMemory>() {
        println!("{what}");
        check(&OnMemory).unwrap();
    }
}

#[test]
fn plain_model_conforms() {
    for (what, check) in conformance::checks::<model::Models>() {
        println!("{what}");
        check(&model::Models).unwrap();
    }
}

#[test]
fn engine_opens_what_a_closed_store_left() {
    let disk = MemoryDisk::new();
    let engine = relay_on(&disk);
    engine.into_store().close().unwrap();
    assert!(Store::open(Disk::Memory(disk), &key(), &mut rng(2)).is_ok());
}
