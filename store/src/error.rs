//! What can go wrong between a row and the disk, said so that a person knows what to do next.

use crate::table::Table;
use kith_protocol::Fault;
use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};
use std::{io, path::PathBuf};

/// Why the store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk reported an error; what the last commit left behind is unknown until the store is reopened.
    #[error("the disk failed: {0}")]
    Io(#[source] io::Error),
    /// There is no room left; nothing accepted before is lost.
    #[error("the disk is full")]
    DiskFull,
    /// The folder, the file or the disk cannot be written.
    #[error("the store cannot be written: read-only disk or no permission")]
    ReadOnly,
    /// An earlier error stopped all writing; reopening is the way on.
    #[error("an earlier storage error stopped all writing")]
    Stopped,
    /// The file was changed or damaged outside the store.
    #[error("the store is damaged: {0}")]
    Corrupt(Damage),
    /// The store or a row in it was written by a newer version of the program.
    #[error("the store was written by a newer version (format {found}, this program knows {known})")]
    NewerVersion {
        /// The version found.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// There is no store yet at this place.
    #[error("there is no store here yet")]
    Missing,
    /// There is a store already; it is never overwritten.
    #[error("there is a store here already")]
    Exists,
    /// The passphrase does not open this store.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The key file does not open this store.
    #[error("the key file does not belong to this store")]
    WrongKeyFile,
    /// The store is locked by a passphrase and none was given.
    #[error("the store is locked by a passphrase")]
    Locked,
    /// The store is opened by a key file and a passphrase was given.
    #[error("the store is opened by a key file, not by a passphrase")]
    NoPassphrase,
    /// The key file is not there.
    #[error("the key file {} is missing", path.display())]
    KeyFileMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The stored passphrase parameters lie outside what this program accepts, so that a changed file can neither
    /// weaken the lock nor exhaust the machine.
    #[error("the passphrase parameters in the store are out of bounds: {memory_kib} KiB, {passes} passes")]
    WrappingRefused {
        /// Argon2 memory in KiB.
        memory_kib: u32,
        /// Argon2 passes.
        passes: u32,
    },
    /// Another process has the profile or the store open.
    #[error("{profile} is in use by {}", pid.map_or_else(|| "another process".to_owned(), |p| format!("process {p}")))]
    InUse {
        /// The profile as its holder named it.
        profile: String,
        /// The process that holds it, where known.
        pid: Option<u32>,
        /// The command that reaches or stops the holder.
        command: String,
    },
    /// A file or folder belongs to somebody else or is open to others.
    #[error("{} must belong to you alone (mode {mode:o})", path.display())]
    Permissions {
        /// Which file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A row is larger than `row::ROW_MAX`.
    #[error("a row of {table:?} is too large ({bytes} bytes)")]
    RowTooLarge {
        /// Which table.
        table: Table,
        /// Encoded size, 0 where encoding stopped before it was known.
        bytes: usize,
    },
    /// The program used the store in a way that cannot be right.
    #[error("bug in the store's use: {0}")]
    Bug(&'static str),
}

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The pages do not match their checksums or make no sense.
    #[error("its pages do not hold together")]
    Pages,
    /// The header is missing or makes no sense.
    #[error("its header cannot be read")]
    Header,
    /// A row was changed, moved, or sealed by another key.
    #[error("a row is not what was stored there")]
    Row,
    /// A row is authentic but its encoding is not known.
    #[error("a row cannot be decoded")]
    Encoding,
}

impl Error {
    /// Returns the stable code that clients and scripts see.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) | Self::Stopped => "storage_failed",
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::Corrupt(_) | Self::WrappingRefused { .. } => "store_corrupt",
            Self::NewerVersion { .. } => "store_newer",
            Self::Missing => "no_profile",
            Self::Exists => "profile_exists",
            Self::WrongPassphrase => "wrong_passphrase",
            Self::Locked | Self::WrongKeyFile | Self::KeyFileMissing { .. } => "locked",
            Self::NoPassphrase => "usage",
            Self::InUse { .. } => "profile_in_use",
            Self::Permissions { .. } => "not_permitted",
            Self::RowTooLarge { .. } | Self::Bug(_) => "internal",
        }
    }

    /// Says who is at fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Io(_) | Self::Stopped | Self::DiskFull => Fault::Transient,
            Self::RowTooLarge { .. } | Self::Bug(_) => Fault::Bug,
            _ => Fault::Local,
        }
    }

    /// Says in one sentence what the user can do.
    pub fn hint(&self) -> String {
        match self {
            Self::Io(_) | Self::Stopped => "check the disk, then restart; what was confirmed before is kept".into(),
            Self::DiskFull => "free some space; writing goes on by itself once there is room".into(),
            Self::ReadOnly => "make the profile's folder writable for you".into(),
            Self::Corrupt(_) | Self::WrappingRefused { .. } => {
                "the file was left as it is: keep a copy, then restore a backup or recover with your 24 words".into()
            }
            Self::NewerVersion { .. } => "update the program; the file was not touched".into(),
            Self::Missing => "kith init".into(),
            Self::Exists => "use it, or choose another profile".into(),
            Self::WrongPassphrase => "try again; nobody can reset it".into(),
            Self::WrongKeyFile | Self::KeyFileMissing { .. } => "put the key file of this profile back".into(),
            Self::Locked => "give the passphrase (--passphrase-file, or type it when asked)".into(),
            Self::NoPassphrase => "leave the passphrase away".into(),
            Self::InUse { command, .. } => command.clone(),
            Self::Permissions { path, .. } => format!("chmod go-rwx {}", path.display()),
            Self::RowTooLarge { .. } | Self::Bug(_) => "please report this".into(),
        }
    }

    /// Tells whether the outcome of the write that failed is unknown, so that nothing may be written before a reopen.
    pub(crate) fn stops_writing(&self) -> bool {
        matches!(self, Self::Io(_) | Self::DiskFull | Self::ReadOnly | Self::Stopped | Self::Corrupt(Damage::Pages))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::StorageFull | K::QuotaExceeded => Self::DiskFull,
            K::ReadOnlyFilesystem | K::PermissionDenied => Self::ReadOnly,
            // No database at all, or a part of one.
            K::InvalidData | K::UnexpectedEof => Self::Corrupt(Damage::Pages),
            _ => Self::Io(error),
        }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Io(e) => e.into(),
            StorageError::Corrupted(what) => {
                tracing::debug!(what, "the database reports damage");
                Self::Corrupt(Damage::Pages)
            }
            StorageError::PreviousIo | StorageError::DatabaseClosed | StorageError::LockPoisoned(_) => Self::Stopped,
            StorageError::ValueTooLarge(_) => Self::Bug("value beyond the database's maximum"),
            _ => Self::Io(io::Error::other("the storage backend lacks an operation")),
        }
    }
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Storage(e) => e.into(),
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::InUse { profile: "the store".into(), pid: None, command: "kith stop".into() }
            }
            DatabaseError::TransactionInProgress => Self::Bug("closed during a transaction"),
            // A file format of the database that this program never wrote.
            _ => Self::Corrupt(Damage::Pages),
        }
    }
}

impl From<TransactionError> for Error {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(e) => e.into(),
            _ => Self::Bug("transactions overlap"),
        }
    }
}

impl From<TableError> for Error {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(e) => e.into(),
            TableError::TableAlreadyOpen(..) => Self::Bug("table opened twice in a transaction"),
            // Absent, or of another type: not a file this program wrote.
            _ => Self::Corrupt(Damage::Pages),
        }
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(e) => e.into(),
            _ => Self::Stopped,
        }
    }
}
