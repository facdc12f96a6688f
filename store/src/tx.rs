//! One transaction: all of it is on disk, or none.

use crate::{
    Error,
    guard::guarded,
    key::{Key, Range},
    row::RawRow,
    rows::{self, RawRows},
    seal::Keys,
    table::Table,
    writes::{Write, Writes},
};
use rand_chacha::ChaCha20Rng;

/// Wraps what may leave the node: it exists only after the rows it came from are durable.
///
/// Made by [`Store::write`](crate::Store::write) and [`Store::replay`](crate::Store::replay) and nowhere else:
///
/// ```compile_fail,E0423
/// let forged = kith_store::Committed("send me");
/// ```
/// ```compile_fail,E0277
/// let forged: kith_store::Committed<&str> = "send me".into();
/// ```
/// ```compile_fail,E0277
/// let forged = kith_store::Committed::<u8>::default();
/// ```
///
/// What is inside can be changed only into something made from it alone, since [`Committed::map`] takes a function
/// that captures nothing:
///
/// ```compile_fail,E0308
/// fn smuggle(done: kith_store::Committed<()>, secret: String) -> kith_store::Committed<String> {
///     done.map(|()| secret)
/// }
/// ```
/// ```
/// fn fine(done: kith_store::Committed<(u8, u8)>) -> kith_store::Committed<u8> {
///     done.map(|(first, _)| first)
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "effects that are dropped must be made again from rows"]
pub struct Committed<T>(T);

impl<T> Committed<T> {
    /// Marks a value as committed; the only place is [`crate::store`], after a durable commit.
    pub(crate) fn after_commit(value: T) -> Self {
        Self(value)
    }

    /// Takes the value out.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Changes the value into something made from it alone.
    pub fn map<U>(self, f: fn(T) -> U) -> Committed<U> {
        Committed(f(self.0))
    }
}

impl<T> AsRef<T> for Committed<T> {
    fn as_ref(&self) -> &T {
        &self.0
    }
}

impl<T> Committed<Vec<T>> {
    /// Splits a list into its parts, each committed.
    pub fn each(self) -> impl Iterator<Item = Committed<T>> {
        self.0.into_iter().map(Committed)
    }
}

/// An open transaction; sees its own writes.
pub struct Tx<'txn> {
    pub(crate) tree: redb::Table<'txn, &'static [u8], &'static [u8]>,
    pub(crate) keys: &'txn Keys,
    pub(crate) rng: &'txn mut ChaCha20Rng,
    /// Whether a write failed half-way.
    pub(crate) failed: bool,
}

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx(..)")
    }
}

impl Tx<'_> {
    /// Writes what a step collected, in order.
    ///
    /// # Errors
    /// What the disk reports; the transaction cannot be committed then, whatever its step returns.
    pub fn apply(&mut self, writes: &Writes) -> Result<(), Error> {
        let result = guarded(|| self.insert(writes));
        self.failed |= result.is_err();
        result
    }

    fn insert(&mut self, writes: &Writes) -> Result<(), Error> {
        for write in writes.list() {
            match write {
                Write::Put { table, key, row } => {
                    let place = self.keys.place(*table, key);
                    let value = self.keys.seal(table.number(), &place, row, self.rng);
                    self.tree.insert(place.as_slice(), value.as_slice())?;
                }
                Write::Delete { table, key } => {
                    self.tree.remove(self.keys.place(*table, key).as_slice())?;
                }
            }
        }
        Ok(())
    }
}

impl RawRows for Tx<'_> {
    fn raw(&self, table: Table, key: &Key) -> Result<Option<RawRow>, Error> {
        rows::fetch(&self.tree, self.keys, table, &self.keys.place(table, key))
    }

    fn raw_group(&self, table: Table, group: &[u8], range: &Range, limit: usize) -> Result<Vec<RawRow>, Error> {
        rows::scan(&self.tree, None, self.keys, table, &self.keys.stretch(table, group, range), limit)
    }

    fn raw_table(&self, table: Table, after: Option<&Key>, limit: usize) -> Result<Vec<RawRow>, Error> {
        rows::scan(&self.tree, None, self.keys, table, &self.keys.whole(table, after), limit)
    }
}
