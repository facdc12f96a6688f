//! Seals rows, and hides where they lie: the keys drawn from a store's data key.
//!
//! A row's place is `[hash of the table][hash of table and group][order bytes]`, both hashes under keys, so that a file
//! does not tell whom or what its rows belong to. Its value is `[row version][nonce][ciphertext]`, bound to table, place
//! and version, so that no row can be moved, swapped or aged.

use crate::{
    Damage, Error,
    key::{Key, Range, Stretch},
    row::RawRow,
    table::Table,
};
use kith_protocol::crypto::{Secret, aead, kdf, label};
use rand_core::CryptoRng;

/// Bytes of the keyed hash that stands for a group: enough that two groups never meet by chance.
const GROUP_LEN: usize = 16;

/// Bytes of the keyed hash that stands for a table.
const TABLE_LEN: usize = 8;

/// The keys of an open store; wiped when dropped.
pub(crate) struct Keys {
    table: Secret<32>,
    place: Secret<32>,
    row: Secret<32>,
}

impl Keys {
    pub(crate) fn new(data_key: &Secret<32>) -> Self {
        let derive = |label: &str| kdf::hkdf(&[], data_key.as_bytes(), label.as_bytes());
        Self { table: derive(label::STORE_TABLE), place: derive(label::STORE_PLACE), row: derive(label::STORE_ROW) }
    }

    /// Returns where a row lies.
    pub(crate) fn place(&self, table: Table, key: &Key) -> Vec<u8> {
        let mut place = self.group(table, key.group());
        place.extend_from_slice(key.order());
        place
    }

    /// Returns the stretch of a group's rows.
    pub(crate) fn stretch(&self, table: Table, group: &[u8], range: &Range) -> Stretch {
        Stretch::of(&self.group(table, group), range)
    }

    /// Returns the stretch of a whole table, after one key if given.
    pub(crate) fn whole(&self, table: Table, after: Option<&Key>) -> Stretch {
        Stretch::whole(&self.table(table.number()), after.map(|key| self.place(table, key)))
    }

    /// Returns what all places of a table start with.
    pub(crate) fn table(&self, number: u16) -> Vec<u8> {
        let hash = kdf::hmac(self.table.as_bytes(), &[&number.to_be_bytes()]);
        hash.as_bytes().iter().copied().take(TABLE_LEN).collect()
    }

    fn group(&self, table: Table, group: &[u8]) -> Vec<u8> {
        let hash = kdf::hmac(self.place.as_bytes(), &[&table.number().to_be_bytes(), group]);
        let mut prefix = self.table(table.number());
        prefix.extend(hash.as_bytes().iter().take(GROUP_LEN));
        prefix
    }

    /// Seals a row for its place.
    pub(crate) fn seal(&self, table: u16, place: &[u8], row: &RawRow, rng: &mut impl CryptoRng) -> Vec<u8> {
        let sealed = aead::seal_random(&self.row, &associated(table, place, row.version), &row.body, rng);
        let mut value = Vec::with_capacity(sealed.len().saturating_add(1));
        value.push(row.version);
        value.extend_from_slice(&sealed);
        value
    }

    /// Opens a row found at a place.
    pub(crate) fn open(&self, table: u16, place: &[u8], value: &[u8]) -> Result<RawRow, Error> {
        let (version, sealed) = value.split_first().ok_or(Error::Corrupt(Damage::Row))?;
        let body = aead::open_random(&self.row, &associated(table, place, *version), sealed);
        Ok(RawRow { version: *version, body: body.map_err(|_| Error::Corrupt(Damage::Row))? })
    }
}

/// Joins table, place and row version; table and version have fixed lengths, so that no two triples give the same bytes.
fn associated(table: u16, place: &[u8], version: u8) -> Vec<u8> {
    [&table.to_be_bytes()[..], place, &[version]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;
    use crate::table::Setting;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    fn sealed() -> (Keys, Vec<u8>, Vec<u8>) {
        let keys = Keys::new(&Secret::new([1; 32]));
        let row = Setting { name: "n".into(), value: b"v".to_vec() };
        let place = keys.place(Table::Setting, &Setting::key_of("n"));
        let raw = row::encode(&row).unwrap();
        let value = keys.seal(Table::Setting.number(), &place, &raw, &mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(keys.open(Table::Setting.number(), &place, &value).unwrap(), raw);
        (keys, place, value)
    }

    fn refused(result: Result<RawRow, Error>) -> bool {
        matches!(result, Err(Error::Corrupt(Damage::Row)))
    }

    #[test]
    fn r_row_1_row_opens_only_at_its_place_in_its_table_with_its_version_under_its_key() {
        let (keys, place, value) = sealed();
        let table = Table::Setting.number();
        assert!(refused(keys.open(table, &[&place[..], b"x"].concat(), &value)));
        assert!(refused(keys.open(Table::Identity.number(), &place, &value)));
        let mut aged = value.clone();
        aged[0] += 1;
        assert!(refused(keys.open(table, &place, &aged)));
        assert!(refused(Keys::new(&Secret::new([2; 32])).open(table, &place, &value)));
        for cut in 0..value.len() {
            assert!(refused(keys.open(table, &place, &value[..cut])));
        }
    }

    #[test]
    fn one_group_in_two_tables_or_two_stores_lies_at_unrelated_places() {
        let keys = Keys::new(&Secret::new([1; 32]));
        let key = Key::new(b"alice", b"");
        let hashed = |keys: &Keys, table| keys.place(table, &key).split_off(TABLE_LEN);
        let here = hashed(&keys, Table::Setting);
        assert_ne!(here, hashed(&keys, Table::Identity));
        assert_ne!(here, hashed(&Keys::new(&Secret::new([2; 32])), Table::Setting));
        assert_ne!(keys.table(1), keys.table(2));
        assert!(!here.windows(5).any(|w| w == b"alice"));
    }
}
