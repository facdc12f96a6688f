//! Schema 1 to 2: places no longer start with the table's number, which told a thief how many rows each table had.

use crate::{
    Damage, Error,
    rows::{ROWS, Tree},
    seal::Keys,
};
use kith_protocol::crypto::Secret;
use rand_chacha::ChaCha20Rng;
use redb::{ReadableTable, TableDefinition, WriteTransaction};

/// Where rows lay in schema 1.
const OLD_ROWS: Tree = TableDefinition::new("rows");

pub(super) fn step(txn: &WriteTransaction, data_key: &Secret<32>, rng: &mut ChaCha20Rng) -> Result<(), Error> {
    let keys = Keys::new(data_key);
    {
        let (old, mut new) = (txn.open_table(OLD_ROWS)?, txn.open_table(ROWS)?);
        for entry in old.iter()? {
            let (place, value) = entry?;
            let (number, rest) = place.value().split_first_chunk().ok_or(Error::Corrupt(Damage::Row))?;
            let number = u16::from_be_bytes(*number);
            let row = keys.open(number, place.value(), value.value())?;
            let hidden = [&keys.table(number), rest].concat();
            new.insert(hidden.as_slice(), keys.seal(number, &hidden, &row, rng).as_slice())?;
        }
    }
    txn.delete_table(OLD_ROWS)?;
    Ok(())
}
