//! What a step wants written: plain data, without a database in sight.

use crate::{
    Error,
    key::Key,
    row::{self, RawRow, Row},
    table::Table,
};
use std::collections::HashSet;

/// Collects rows to put and delete, in order; later ones win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes(Vec<Write>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Put { table: Table, key: Key, row: RawRow },
    Delete { table: Table, key: Key },
}

impl Writes {
    /// Starts with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a row where its key says, in the place of what is there.
    ///
    /// # Errors
    /// `RowTooLarge` beyond `ROW_MAX`.
    pub fn put<R: Row>(&mut self, row: &R) -> Result<(), Error> {
        self.0.push(Write::Put { table: R::TABLE, key: row.key(), row: row::encode(row)? });
        Ok(())
    }

    /// Deletes the row at a key; deleting what is not there does nothing.
    pub fn delete<R: Row>(&mut self, key: Key) {
        self.0.push(Write::Delete { table: R::TABLE, key });
    }

    /// Adds another step's writes after these.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn push(&mut self, write: Write) {
        self.0.push(write);
    }

    /// Keeps for each row only what was written last, so that a row written a hundred times in a batch is sealed once.
    pub(crate) fn last_of_each(self) -> Self {
        let mut seen = HashSet::new();
        let mut kept: Vec<Write> = Vec::with_capacity(self.0.len());
        for write in self.0.into_iter().rev() {
            let (table, key) = match &write {
                Write::Put { table, key, .. } | Write::Delete { table, key } => (*table, key.clone()),
            };
            if seen.insert((table, key)) {
                kept.push(write);
            }
        }
        kept.reverse();
        Self(kept)
    }

    /// Returns the number of writes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes of all rows, to bound what one commit takes.
    pub fn bytes(&self) -> usize {
        let size = |write: &Write| match write {
            Write::Put { row, .. } => row.body.len(),
            Write::Delete { .. } => 0,
        };
        self.0.iter().map(size).sum()
    }

    pub(crate) fn list(&self) -> &[Write] {
        &self.0
    }
}
