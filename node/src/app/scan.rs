//! Reads whole groups and tables in bounded bites.

use kith_store::{Error, Key, Range, RawRows, Row, Rows};

/// Rows read at a time.
const BITE: usize = 256;

/// Reads whole groups and tables.
pub(crate) trait Scan: RawRows {
    /// All rows of a group, in order.
    fn group<R: Row>(&self, group: &[u8]) -> Result<Vec<R>, Error> {
        self.rows::<R>(group, &Range::all(), usize::MAX)
    }

    /// All rows of a table.
    fn every<R: Row>(&self) -> Result<Vec<R>, Error> {
        let mut found: Vec<R> = Vec::new();
        loop {
            let after: Option<Key> = found.last().map(Row::key);
            let bite = self.all::<R>(after.as_ref(), BITE)?;
            let last = bite.len() < BITE;
            found.extend(bite);
            if last {
                return Ok(found);
            }
        }
    }
}

impl<T: RawRows + ?Sized> Scan for T {}
