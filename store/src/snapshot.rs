//! A view of the rows as one commit left them.

use crate::{
    Error,
    key::{Key, Range},
    row::RawRow,
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

    /// Returns everything that was applied, in order, for the commit.
    pub fn into_writes(self) -> Writes {
        self.writes
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
