//! Where a store lies: a file, or a memory that forgets what was not synced.
//! Must not know rows or keys.

mod memory;
mod shadow;

pub use memory::{Counts, MemoryDisk};
pub(crate) use shadow::Shadow;

use crate::{Damage, Error, lock};
use redb::{StorageBackend, backends::FileBackend};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a store lies.
#[derive(Clone, Debug)]
pub enum Disk {
    /// A file; created with mode 0600 in a folder that must exist.
    File(PathBuf),
    /// Memory that behaves like a disk, crashes included; for tests and the simulated world.
    Memory(MemoryDisk),
}

impl Disk {
    /// Tells whether anything lies there.
    ///
    /// # Errors
    /// `Corrupt` for a file without a byte: a store is put in place whole, so what was one has lost everything.
    pub fn exists(&self) -> Result<bool, Error> {
        match self {
            Self::File(path) => match fs::metadata(path) {
                Ok(meta) if meta.len() == 0 => Err(Error::Corrupt(Damage::Pages)),
                Ok(_) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error.into()),
            },
            Self::Memory(disk) => Ok(!disk.is_empty()),
        }
    }

    /// Makes everything with `build` on a draft and puts it in place at once, so that a crash leaves all of it or nothing.
    pub(crate) fn establish(&self, build: impl FnOnce(Backend) -> Result<(), Error>) -> Result<(), Error> {
        match self {
            Self::File(path) => {
                let draft = beside(path, "creating");
                remove_if_there(&draft)?;
                let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&draft)?;
                build(Backend::released(Box::new(FileBackend::new(file)?))?)?;
                fs::rename(&draft, path)?;
                sync_parent(path)
            }
            Self::Memory(disk) => {
                let draft = MemoryDisk::new();
                build(Backend::released(Box::new(draft.handle()))?)?;
                Ok(disk.install(draft.image())?)
            }
        }
    }

    /// Opens it for reading and writing, but holds every write back until [`Backend::release`]; a file must belong to
    /// this user alone.
    pub(crate) fn backend(&self) -> Result<Backend, Error> {
        let disk: Box<dyn StorageBackend> = match self {
            Self::File(path) => {
                let file = OpenOptions::new().read(true).write(true).open(path).map_err(missing_or)?;
                lock::keep_private(path, &file)?;
                Box::new(FileBackend::new(file)?)
            }
            Self::Memory(disk) => Box::new(disk.handle()),
        };
        Ok(Backend(Arc::new(Shadow::over(disk, true)?)))
    }

    /// Opens it for reading alone, without locks: what is written is forgotten.
    pub(crate) fn view(&self) -> Result<Backend, Error> {
        let disk: Box<dyn StorageBackend> = match self {
            Self::File(path) => Box::new(FileBackend::new(File::open(path).map_err(missing_or)?)?),
            Self::Memory(disk) => Box::new(disk.handle()),
        };
        Ok(Backend(Arc::new(Shadow::over(disk, false)?)))
    }

    /// Keeps a synced copy of everything beside the store, under the store's name and a suffix; an existing copy stays,
    /// since it is the older one.
    pub(crate) fn keep_copy(&self, suffix: &str) -> Result<(), Error> {
        match self {
            Self::File(path) => copy_file(path, suffix),
            Self::Memory(disk) => {
                disk.keep_copy(suffix);
                Ok(())
            }
        }
    }

    /// Removes the copy kept under a suffix; tells whether there was one.
    pub(crate) fn drop_copy(&self, suffix: &str) -> Result<bool, Error> {
        match self {
            Self::File(path) => remove_if_there(&beside(path, suffix)),
            Self::Memory(disk) => Ok(disk.drop_copy(suffix)),
        }
    }
}

fn missing_or(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound { Error::Missing } else { error.into() }
}

/// Removes a file; tells whether there was one.
fn remove_if_there(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Names a file beside another one.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn copy_file(path: &Path, suffix: &str) -> Result<(), Error> {
    let (target, draft) = (beside(path, suffix), beside(path, "copying"));
    if target.exists() {
        return Ok(());
    }
    // A draft left by a crash is worth nothing.
    remove_if_there(&draft)?;
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    io::copy(&mut File::open(path)?, &mut out)?;
    out.flush()?;
    out.sync_all()?;
    fs::rename(&draft, &target)?;
    sync_parent(&target)
}

/// Makes a name in a folder durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(File::open(folder)?.sync_all()?)
}

/// A disk as the database takes it; a clone stays with the store.
#[derive(Clone, Debug)]
pub(crate) struct Backend(Arc<Shadow>);

impl Backend {
    fn released(disk: Box<dyn StorageBackend>) -> io::Result<Self> {
        let backend = Self(Arc::new(Shadow::over(disk, true)?));
        backend.release()?;
        Ok(backend)
    }

    /// Carries out what was held back; from now on writes reach the disk at once.
    pub(crate) fn release(&self) -> io::Result<()> {
        self.0.release()
    }
}

type Bound = std::ops::Bound<u64>;

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound, end: Bound) -> Result<bool, redb::BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound, end: Bound) -> Result<bool, redb::BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound, end: Bound) -> Result<(), redb::BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound, end: Bound) -> Result<(), redb::BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound, end: Bound) -> Result<(), redb::BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound, end: Bound) -> Result<bool, redb::BackendError> {
        self.0.query_lock_range(start, end)
    }
}
