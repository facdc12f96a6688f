//! Reading rows: what snapshots, overlays and open transactions have in common.

use crate::{
    Error,
    guard::guarded,
    key::{Key, Range, Stretch},
    row::{self, RawRow, Row},
    seal::Keys,
    table::Table,
};
use redb::ReadableTable;
use std::collections::BTreeMap;

/// Something that rows can be read from, whatever their type. [`Rows`] reads typed rows from it.
pub trait RawRows {
    /// Reads one row.
    fn raw(&self, table: Table, key: &Key) -> Result<Option<RawRow>, Error>;

    /// Reads at most `limit` rows of a group, in the order of their order bytes.
    fn raw_group(&self, table: Table, group: &[u8], range: &Range, limit: usize) -> Result<Vec<RawRow>, Error>;

    /// Reads at most `limit` rows of a whole table in a fixed but meaningless order, from behind one key if given.
    fn raw_table(&self, table: Table, after: Option<&Key>, limit: usize) -> Result<Vec<RawRow>, Error>;
}

/// Reads typed rows.
///
/// # Errors
/// All methods: `Corrupt` for a row that is not what was stored there, `NewerVersion` for one of a later version, and
/// what the disk reports.
pub trait Rows: RawRows {
    /// Reads one row.
    fn row<R: Row>(&self, key: &Key) -> Result<Option<R>, Error> {
        self.raw(R::TABLE, key)?.map(|raw| row::decode(&raw)).transpose()
    }

    /// Reads at most `limit` rows of a group.
    fn rows<R: Row>(&self, group: &[u8], range: &Range, limit: usize) -> Result<Vec<R>, Error> {
        self.raw_group(R::TABLE, group, range, limit)?.iter().map(row::decode).collect()
    }

    /// Reads at most `limit` rows of the whole table, groups in no meaningful order; to go on, pass the last row's key.
    fn all<R: Row>(&self, after: Option<&Key>, limit: usize) -> Result<Vec<R>, Error> {
        self.raw_table(R::TABLE, after, limit)?.iter().map(row::decode).collect()
    }
}

impl<T: RawRows + ?Sized> Rows for T {}

/// Pending changes by place: a row put, or `None` for one deleted.
pub(crate) type Pending = BTreeMap<Vec<u8>, Option<RawRow>>;

/// The tree in which all rows lie.
pub(crate) type Tree = redb::TableDefinition<'static, &'static [u8], &'static [u8]>;
pub(crate) const ROWS: Tree = redb::TableDefinition::new("sealed");

/// Reads one row of a tree.
pub(crate) fn fetch(
    tree: &impl ReadableTable<&'static [u8], &'static [u8]>,
    keys: &Keys,
    table: Table,
    place: &[u8],
) -> Result<Option<RawRow>, Error> {
    guarded(|| tree.get(place)?.map(|value| keys.open(table.number(), place, value.value())).transpose())
}

/// Reads a stretch of a tree with pending changes laid over it. Rows that are hidden or beyond the limit are not opened.
pub(crate) fn scan(
    tree: &impl ReadableTable<&'static [u8], &'static [u8]>,
    pending: Option<&Pending>,
    keys: &Keys,
    table: Table,
    stretch: &Stretch,
    limit: usize,
) -> Result<Vec<RawRow>, Error> {
    if stretch.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    guarded(|| merge(tree, pending, keys, table, stretch, limit))
}

fn merge(
    tree: &impl ReadableTable<&'static [u8], &'static [u8]>,
    pending: Option<&Pending>,
    keys: &Keys,
    table: Table,
    stretch: &Stretch,
    limit: usize,
) -> Result<Vec<RawRow>, Error> {
    let mut found = Vec::new();
    let backward = stretch.backward;
    let mut stored = tree.range::<&[u8]>(stretch.bounds())?;
    let mut laid = pending.map(|pending| pending.range::<[u8], _>(stretch.bounds()));
    let mut next_stored = || if backward { stored.next_back() } else { stored.next() }.transpose();
    let mut next_laid = || laid.as_mut().and_then(|laid| if backward { laid.next_back() } else { laid.next() });
    let (mut below, mut above) = (next_stored()?, next_laid());
    while found.len() < limit {
        // Which of the two comes first in reading direction; a pending row hides a stored one at its place.
        let order = match (&below, &above) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((place, _)), Some((laid, _))) => {
                let order = place.value().cmp(laid.as_slice());
                if backward { order.reverse() } else { order }
            }
        };
        if order.is_lt() {
            if let Some((place, value)) = &below {
                found.push(keys.open(table.number(), place.value(), value.value())?);
            }
        } else if let Some((_, Some(row))) = above {
            found.push(row.clone());
        }
        if order.is_le() {
            below = next_stored()?;
        }
        if order.is_ge() {
            above = next_laid();
        }
    }
    Ok(found)
}
