//! A view of the rows as one commit left them.

use crate::{
    Error,
    key::{Key, Range, Stretch},
    row::{self, RawRow, Row},
    rows::{self, Pending, RawRows},
    seal::Keys,
    table::Table,
    writes::{Write, Writes},
};
use std::sync::Arc;

/// Shows the rows as the newest commit left them, and does not change afterwards.
///
/// Space that later commits free is not reused while a snapshot lives: hold it for one reading, not for ever.
pub struct Snapshot {
    pub(crate) tree: redb::ReadOnlyTable<&'static [u8], &'static [u8]>,
    pub(crate) keys: Arc<Keys>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot(..)")
    }
}

impl RawRows for Snapshot {
    fn raw(&self, table: Table, key: &Key) -> Result<Option<RawRow>, Error> {
        rows::fetch(&self.tree, &self.keys, table, &self.keys.place(table, key))
    }

    fn raw_group(&self, table: Table, group: &[u8], range: &Range, limit: usize) -> Result<Vec<RawRow>, Error> {
        rows::scan(&self.tree, None, &self.keys, table, &self.keys.stretch(table, group, range), limit)
    }

    fn raw_table(&self, table: Table, after: Option<&Key>, limit: usize) -> Result<Vec<RawRow>, Error> {
        rows::scan(&self.tree, None, &self.keys, table, &self.keys.whole(table, after), limit)
    }
}

/// Shows a snapshot with changes laid over it that are not committed yet.
///
/// Steps that are committed together read each other's rows through it. A step that failed leaves no trace, since its
/// writes are never applied.
#[derive(Debug)]
pub struct Overlay<'a> {
    base: &'a Snapshot,
    pending: Pending,
    writes: Writes,
}

impl<'a> Overlay<'a> {
    /// Lays nothing over a snapshot yet.
    pub fn new(base: &'a Snapshot) -> Self {
        Self { base, pending: Pending::new(), writes: Writes::default() }
    }

    /// Lays a step's writes over what is there.
    pub fn apply(&mut self, writes: Writes) {
        for write in writes.list() {
            let (table, key, row) = match write {
                Write::Put { table, key, row } => (*table, key, Some(row.clone())),
                Write::Delete { table, key } => (*table, key, None),
            };
            self.pending.insert(self.base.keys.place(table, key), row);
        }
        self.writes.append(writes);
    }

    /// Returns what is to be committed: for each row what was written last.
    pub fn into_writes(self) -> Writes {
        self.writes.last_of_each()
    }
}

/// Lays one step's writes over a batch: the step reads what it wrote, the batch does not until it is applied.
#[derive(Debug)]
pub struct Draft<'a> {
    batch: &'a Overlay<'a>,
    pending: Pending,
    writes: Writes,
}

impl<'a> Draft<'a> {
    /// Begins with nothing written.
    pub fn new(batch: &'a Overlay<'a>) -> Self {
        Self { batch, pending: Pending::new(), writes: Writes::default() }
    }

    /// Writes a row.
    ///
    /// # Errors
    /// `RowTooLarge`.
    pub fn put<R: Row>(&mut self, row: &R) -> Result<(), Error> {
        let raw = row::encode(row)?;
        let key = row.key();
        self.pending.insert(self.batch.base.keys.place(R::TABLE, &key), Some(raw.clone()));
        self.writes.push(Write::Put { table: R::TABLE, key, row: raw });
        Ok(())
    }

    /// Deletes a row, if it is there.
    pub fn delete<R: Row>(&mut self, key: Key) {
        self.pending.insert(self.batch.base.keys.place(R::TABLE, &key), None);
        self.writes.push(Write::Delete { table: R::TABLE, key });
    }

    /// Returns everything that was written, in order, to be applied to the batch.
    pub fn into_writes(self) -> Writes {
        self.writes
    }

    /// What is pending in a stretch: the batch's rows, with this step's over them.
    fn pending_in(&self, stretch: &Stretch) -> Pending {
        let mut merged = Pending::new();
        if !stretch.is_empty() {
            for layer in [&self.batch.pending, &self.pending] {
                let inside = layer.range::<[u8], _>(stretch.bounds());
                merged.extend(inside.map(|(place, row)| (place.clone(), row.clone())));
            }
        }
        merged
    }
}

impl RawRows for Draft<'_> {
    fn raw(&self, table: Table, key: &Key) -> Result<Option<RawRow>, Error> {
        match self.pending.get(&self.batch.base.keys.place(table, key)) {
            Some(pending) => Ok(pending.clone()),
            None => self.batch.raw(table, key),
        }
    }

    fn raw_group(&self, table: Table, group: &[u8], range: &Range, limit: usize) -> Result<Vec<RawRow>, Error> {
        let (base, stretch) = (self.batch.base, self.batch.base.keys.stretch(table, group, range));
        rows::scan(&base.tree, Some(&self.pending_in(&stretch)), &base.keys, table, &stretch, limit)
    }

    fn raw_table(&self, table: Table, after: Option<&Key>, limit: usize) -> Result<Vec<RawRow>, Error> {
        let (base, stretch) = (self.batch.base, self.batch.base.keys.whole(table, after));
        rows::scan(&base.tree, Some(&self.pending_in(&stretch)), &base.keys, table, &stretch, limit)
    }
}

impl RawRows for Overlay<'_> {
    fn raw(&self, table: Table, key: &Key) -> Result<Option<RawRow>, Error> {
        let place = self.base.keys.place(table, key);
        match self.pending.get(&place) {
            Some(pending) => Ok(pending.clone()),
            None => rows::fetch(&self.base.tree, &self.base.keys, table, &place),
        }
    }

    fn raw_group(&self, table: Table, group: &[u8], range: &Range, limit: usize) -> Result<Vec<RawRow>, Error> {
        let (base, stretch) = (self.base, self.base.keys.stretch(table, group, range));
        rows::scan(&base.tree, Some(&self.pending), &base.keys, table, &stretch, limit)
    }

    fn raw_table(&self, table: Table, after: Option<&Key>, limit: usize) -> Result<Vec<RawRow>, Error> {
        let (base, stretch) = (self.base, self.base.keys.whole(table, after));
        rows::scan(&base.tree, Some(&self.pending), &base.keys, table, &stretch, limit)
    }
}
