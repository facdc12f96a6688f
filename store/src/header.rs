//! The only plain part of a store: its id, its schema version, and how its data key is wrapped.
//!
//! The header can be changed by whoever holds the file, so its layout is fixed, its numbers are checked before they are
//! used, and store id and parameters are bound into the wrapped key.

use crate::{Damage, Error, unlock::Wrapping};
use redb::{ReadableTable, TableDefinition};

/// The schema this program writes.
pub(crate) const SCHEMA: u32 = 2;

pub(crate) const HEADERS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("kith");
const NAME: &str = "header";

/// Names a store: 16 random bytes.
pub type StoreId = [u8; 16];

/// What a store says about itself before it is unlocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) schema: u32,
    pub(crate) id: StoreId,
    pub(crate) wrapping: Wrapping,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.schema.to_be_bytes().to_vec();
        out.extend_from_slice(&self.id);
        self.wrapping.encode(&mut out);
        out
    }

    /// Reads a header; a newer schema is told before anything else, since the rest may look different.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = Error::Corrupt(Damage::Header);
        let Some((schema, rest)) = bytes.split_first_chunk::<4>() else { return Err(damaged) };
        let schema = u32::from_be_bytes(*schema);
        if schema > SCHEMA {
            return Err(Error::NewerVersion { found: schema, known: SCHEMA });
        }
        let Some((id, rest)) = rest.split_first_chunk::<16>() else { return Err(damaged) };
        let Some(wrapping) = Wrapping::decode(rest).filter(|_| schema > 0) else { return Err(damaged) };
        Ok(Self { schema, id: *id, wrapping })
    }

    pub(crate) fn read(table: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Self, Error> {
        let found = table.get(NAME)?.ok_or(Error::Corrupt(Damage::Header))?;
        Self::decode(found.value())
    }

    pub(crate) fn write(&self, txn: &redb::WriteTransaction) -> Result<(), Error> {
        txn.open_table(HEADERS)?.insert(NAME, self.encode().as_slice())?;
        Ok(())
    }
}
