//! Brings an older store to the newest schema: numbered steps, each in one transaction, after a copy was kept.
//!
//! A step and the new schema number are committed together: a crash leaves the old schema or the new one. The copy lies
//! beside the store (`….schema-N`) until [`Store::drop_old_copies`](crate::Store::drop_old_copies).

mod hidden_tables;

use crate::{
    Disk, Error,
    header::{Header, SCHEMA},
};
use kith_protocol::crypto::Secret;
use rand_chacha::ChaCha20Rng;
use redb::{Database, WriteTransaction};

/// Brings a store from the schema before to the next.
type Step = fn(&WriteTransaction, &Secret<32>, &mut ChaCha20Rng) -> Result<(), Error>;

/// The step that leads away from schema 1, from schema 2, and so on.
const STEPS: &[Step] = &[hidden_tables::step];

/// Keeps a copy of a store that will be migrated, before it is opened for writing.
pub(crate) fn prepare(disk: &Disk, header: &Header) -> Result<(), Error> {
    if header.schema == SCHEMA { Ok(()) } else { disk.keep_copy(&suffix(header.schema)) }
}

/// Runs what is missing between the store's schema and the newest.
pub(crate) fn run(db: &Database, header: &Header, data_key: &Secret<32>, rng: &mut ChaCha20Rng) -> Result<(), Error> {
    let done = header.schema.saturating_sub(1) as usize;
    for (step, schema) in STEPS.iter().skip(done).zip(header.schema.saturating_add(1)..) {
        crate::store::run(db, redb::Durability::Immediate, |txn| {
            step(txn, data_key, rng)?;
            Header { schema, ..header.clone() }.write(txn)
        })?;
        tracing::info!(schema, "the store was brought to a newer schema");
    }
    Ok(())
}

/// Removes the copies kept by migrations; tells whether there were any.
pub(crate) fn drop_copies(disk: &Disk) -> Result<bool, Error> {
    (1..SCHEMA).try_fold(false, |any, schema| Ok(disk.drop_copy(&suffix(schema))? || any))
}

fn suffix(schema: u32) -> String {
    format!("schema-{schema}")
}
