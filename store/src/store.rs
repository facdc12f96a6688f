//! The store itself: create, open, read, commit, and what happens after the disk failed.

use crate::{
    Committed, Damage, Disk, Error, Snapshot, Stretching, Tx, Unlock, UnlockKind,
    disk::Backend,
    guard::guarded,
    header::{HEADERS, Header, SCHEMA, StoreId},
    migrate,
    rows::ROWS,
    seal::Keys,
    unlock::{Work, Wrapping},
};
use kith_protocol::crypto::Secret;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rand_core::CryptoRng;
use redb::{Database, Durability, ReadableDatabase};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Memory for cached pages, in bytes: the rows of an active profile fit, and a hundred stores fit into a test.
const CACHE: usize = 32 << 20;

/// Commits that are not synced, in a row.
const UNSYNCED_MAX: u32 = 63;

/// A sealed store, open; shared between threads by reference. One thread writes at a time, any number read.
pub struct Store {
    disk: Disk,
    data_key: Secret<32>,
    keys: Arc<Keys>,
    rng: Mutex<ChaCha20Rng>,
    state: RwLock<State>,
    /// Commits since the last one that was synced.
    unsynced: AtomicU32,
}

enum State {
    /// All is well.
    Open(Database),
    /// Writing stopped; the outcome of the last commit is unknown. Reads go on over a shadow of the disk where it still
    /// answers.
    Stopped(Option<Database>),
}

/// What a store tells about itself without being unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// The store's id.
    pub id: StoreId,
    /// Its schema version.
    pub schema: u32,
    /// What opens it.
    pub unlock: UnlockKind,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { disk, data_key: _, keys: _, rng: _, state: _, unsynced: _ } = self;
        write!(f, "Store({disk:?})")
    }
}

impl Store {
    /// Makes a new, empty store.
    ///
    /// # Errors
    /// `Exists` if anything lies there: nothing is ever overwritten.
    pub fn create(disk: Disk, unlock: &Unlock, rng: &mut impl CryptoRng) -> Result<Self, Error> {
        Self::create_with(disk, unlock, &Stretching::STANDARD, rng)
    }

    /// Makes a new, empty store with another amount of work per passphrase guess.
    pub fn create_with(
        disk: Disk,
        unlock: &Unlock,
        stretching: &Stretching,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        if disk.exists()? {
            return Err(Error::Exists);
        }
        unlock.prepare(rng)?;
        let (data_key, mut id) = (Secret::random(rng), StoreId::default());
        rng.fill_bytes(&mut id);
        let wrapping = Wrapping::seal(&data_key, &id, unlock, stretching, rng)?;
        disk.establish(|draft| {
            let db = builder().create_with_backend(draft)?;
            run(&db, Durability::Immediate, |txn| {
                txn.open_table(ROWS)?;
                Header { schema: SCHEMA, id, wrapping }.write(txn)
            })?;
            Ok(db.close()?)
        })?;
        let (db, _) = open_checked(&disk)?.release()?;
        Ok(Self::assemble(disk, data_key, db, rng))
    }

    /// Opens a store; migrates an older one, and raises the work per passphrase guess where it has become too little.
    ///
    /// Until id, version, passphrase and pages were checked, the file is only read.
    ///
    /// # Errors
    /// `Missing`, `WrongPassphrase` or `WrongKeyFile`, `Locked` or `NoPassphrase` if the other kind opens it,
    /// `NewerVersion`, `Corrupt`, `InUse`, `ReadOnly`, `DiskFull`, `Io`. In all these cases the store is as it was.
    pub fn open(disk: Disk, unlock: &Unlock, rng: &mut impl CryptoRng) -> Result<Self, Error> {
        Self::open_with(disk, unlock, &Stretching::STANDARD, rng)
    }

    /// Opens a store, accepting and asking for another amount of work per passphrase guess.
    pub fn open_with(
        disk: Disk,
        unlock: &Unlock,
        stretching: &Stretching,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        let opened = open_checked(&disk)?;
        let data_key = opened.header.wrapping.open(&opened.header.id, unlock, stretching)?;
        migrate::prepare(&disk, &opened.header)?;
        let (db, header) = opened.release()?;
        let store = Self::assemble(disk, data_key, db, rng);
        store.migrate(&header)?;
        if matches!(header.wrapping.work(), Work::Argon2 { params, .. } if stretching.raises(params)) {
            store.rewrap(unlock, stretching, rng)?;
        }
        Ok(store)
    }

    fn migrate(&self, header: &Header) -> Result<(), Error> {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        match &*self.read_state() {
            State::Open(db) => migrate::run(db, header, &self.data_key, &mut rng),
            State::Stopped(_) => Err(Error::Stopped),
        }
    }

    /// Reads what a store tells without being unlocked; changes nothing.
    pub fn info(disk: &Disk) -> Result<StoreInfo, Error> {
        let view = existing(disk)?.view()?;
        let Header { schema, id, wrapping } = guarded(|| header_of(&builder().create_with_backend(view)?))?;
        Ok(StoreInfo { id, schema, unlock: wrapping.work().kind() })
    }

    fn assemble(disk: Disk, data_key: Secret<32>, db: Database, rng: &mut impl CryptoRng) -> Self {
        let keys = Arc::new(Keys::new(&data_key));
        // Nonces come from a generator of the store's own, seeded by every opening anew.
        let seed = Secret::<32>::random(rng);
        let rng = Mutex::new(ChaCha20Rng::from_seed(*seed.as_bytes()));
        Self { disk, data_key, keys, rng, state: RwLock::new(State::Open(db)), unsynced: AtomicU32::new(0) }
    }

    /// Lets another passphrase or key file open the store from now on; the old one no longer does.
    ///
    /// A copy of the file made before still opens with the old one.
    pub fn change_unlock(
        &self,
        unlock: &Unlock,
        stretching: &Stretching,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Error> {
        unlock.prepare(rng)?;
        self.rewrap(unlock, stretching, rng)
    }

    fn rewrap(&self, unlock: &Unlock, stretching: &Stretching, rng: &mut impl CryptoRng) -> Result<(), Error> {
        self.transact(Durability::Immediate, |txn| {
            let header = Header::read(&txn.open_table(HEADERS)?)?;
            let wrapping = Wrapping::seal(&self.data_key, &header.id, unlock, stretching, rng)?;
            Header { wrapping, ..header }.write(txn)
        })
    }

    /// Where it lies.
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Shows the rows as the newest commit left them.
    ///
    /// After a storage error it shows what the disk still gives, which may or may not include the commit that failed.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        if let State::Open(db) | State::Stopped(Some(db)) = &*self.read_state() {
            return self.view(db);
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Stopped(view @ None) = &mut *state {
            let disk = self.disk.view()?;
            *view = Some(guarded(|| Ok(builder().create_with_backend(disk)?))?);
        }
        match &*state {
            State::Open(db) | State::Stopped(Some(db)) => self.view(db),
            State::Stopped(None) => Err(Error::Stopped),
        }
    }

    fn view(&self, db: &Database) -> Result<Snapshot, Error> {
        let tree = guarded(|| Ok(db.begin_read()?.open_table(ROWS)?))?;
        Ok(Snapshot { tree, keys: Arc::clone(&self.keys) })
    }

    /// Runs `f` in one transaction and commits it durably; what it returns may leave the node.
    ///
    /// # Errors
    /// An error of `f` changes nothing. An error of the disk leaves the outcome unknown and stops all writing until
    /// [`Self::reopen`]; every later write gives `Stopped`.
    pub fn write<T>(&self, f: impl FnOnce(&mut Tx<'_>) -> Result<T, Error>) -> Result<Committed<T>, Error> {
        self.commit(Durability::Immediate, f)
    }

    /// Like [`Self::write`], but does not wait for the disk: a power cut, a kill or an opening anew takes the commit back
    /// whole, unless one that was synced came after it. For rows that a start makes anew, and of which nothing that leaves the node says that they are
    /// kept. One in 64 of them is synced, since the database reuses no page before.
    pub fn write_forgettable<T>(&self, f: impl FnOnce(&mut Tx<'_>) -> Result<T, Error>) -> Result<Committed<T>, Error> {
        let synced = self.unsynced.load(Ordering::Relaxed) >= UNSYNCED_MAX;
        self.commit(if synced { Durability::Immediate } else { Durability::None }, f)
    }

    fn commit<T>(
        &self,
        durability: Durability,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, Error>,
    ) -> Result<Committed<T>, Error> {
        let mut panicked = None;
        let result = self.transact(durability, |txn| {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            let mut tx = Tx { tree: txn.open_table(ROWS)?, keys: &self.keys, rng: &mut rng, failed: false };
            match catch_unwind(AssertUnwindSafe(|| f(&mut tx))) {
                Ok(Ok(_)) if tx.failed => Err(Error::Stopped),
                Ok(result) => result,
                Err(payload) => {
                    panicked = Some(payload);
                    Err(Error::Bug("a step panicked"))
                }
            }
        });
        match durability {
            Durability::None => self.unsynced.fetch_add(1, Ordering::Relaxed),
            _ => self.unsynced.swap(0, Ordering::Relaxed),
        };
        // The step's own panic goes on once its transaction is undone.
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
        result.map(Committed::after_commit)
    }

    /// Reads committed rows; what is made from them may leave the node (at start, for retries).
    ///
    /// # Errors
    /// `Stopped` after a storage error, since what is read then may not be durable.
    pub fn replay<T>(&self, f: impl FnOnce(&Snapshot) -> Result<T, Error>) -> Result<Committed<T>, Error> {
        let snapshot = match &*self.read_state() {
            State::Open(db) => self.view(db)?,
            State::Stopped(_) => return Err(Error::Stopped),
        };
        f(&snapshot).map(Committed::after_commit)
    }

    /// Tells whether a storage error stopped all writing.
    pub fn is_stopped(&self) -> bool {
        matches!(&*self.read_state(), State::Stopped(_))
    }

    /// Opens the store again after a storage error: repairs it and finds out what the last commit left behind.
    ///
    /// # Errors
    /// What is still wrong; the store stays stopped, and can be reopened later.
    pub fn reopen(&self) -> Result<(), Error> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // The old one must be gone before the file is opened again.
        *state = State::Stopped(None);
        let (db, _) = open_checked(&self.disk)?.release()?;
        self.view(&db)?;
        *state = State::Open(db);
        Ok(())
    }

    /// Closes the store, so that the next opening finds it cleanly closed; dropping it does the same without an answer.
    pub fn close(self) -> Result<(), Error> {
        match self.state.into_inner().unwrap_or_else(PoisonError::into_inner) {
            State::Open(db) => Ok(db.close()?),
            State::Stopped(_) => Err(Error::Stopped),
        }
    }

    /// Removes the copy that the last migration kept; tells whether there was one.
    ///
    /// The copy holds keys that the store itself has deleted since: remove it once the new version has proved itself.
    pub fn drop_old_copies(&self) -> Result<bool, Error> {
        migrate::drop_copies(&self.disk)
    }

    fn read_state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn transact<T>(
        &self,
        durability: Durability,
        f: impl FnOnce(&redb::WriteTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = match &*self.read_state() {
            State::Open(db) => run(db, durability, f),
            State::Stopped(_) => return Err(Error::Stopped),
        };
        if let Err(error) = &result
            && error.stops_writing()
        {
            tracing::error!(code = error.code(), "storage error: writing stops until the store is reopened");
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::Stopped(None);
        }
        result
    }
}

/// Runs `f` in a transaction and commits it.
pub(crate) fn run<T>(
    db: &Database,
    durability: Durability,
    f: impl FnOnce(&redb::WriteTransaction) -> Result<T, Error>,
) -> Result<T, Error> {
    guarded(|| {
        let mut txn = db.begin_write()?;
        txn.set_durability(durability).map_err(|_| Error::Bug("the database takes no such durability"))?;
        let value = f(&txn)?;
        txn.commit()?;
        Ok(value)
    })
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

/// A database that was checked, with its first writes (a repair after an unclean stop) still held back.
struct Opened {
    db: Database,
    header: Header,
    backend: Backend,
}

impl Opened {
    /// Lets the repair reach the disk.
    fn release(self) -> Result<(Database, Header), Error> {
        self.backend.release()?;
        Ok((self.db, self.header))
    }
}

/// Opens a database, checks every page, and reads the header; the disk stays as it is.
fn open_checked(disk: &Disk) -> Result<Opened, Error> {
    let backend = existing(disk)?.backend()?;
    guarded(|| {
        let db = builder().set_check_integrity_on_open(true).create_with_backend(backend.clone())?;
        let header = header_of(&db)?;
        Ok(Opened { db, header, backend })
    })
}

fn existing(disk: &Disk) -> Result<&Disk, Error> {
    if disk.exists()? { Ok(disk) } else { Err(Error::Missing) }
}

fn header_of(db: &Database) -> Result<Header, Error> {
    match db.begin_read()?.open_table(HEADERS) {
        Ok(table) => Header::read(&table),
        Err(redb::TableError::Storage(error)) => Err(error.into()),
        Err(_) => Err(Error::Corrupt(Damage::Header)),
    }
}
