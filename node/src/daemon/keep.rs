//! Keeps what the network node holds for others and knows of them, in a file of its own, written by a thread of its own:
//! a full or slow disk never stops the net task, and losing this file loses nobody's message.

use crate::{
    api::error::UserError,
    clock::system_rng,
    net::{Kept, PeerName, PeerSink, RecordSink},
    profile::{Folder, explain},
};
use kith_protocol::{
    RecordKey, Timestamp,
    crypto::{Secret, kdf},
};
use kith_store::{
    Disk, Error, Store, Unlock, Writes,
    table::{HeldRecord, LearnedPeer},
};
use std::sync::mpsc;

/// Changes that may wait for the disk; more are dropped, since they come again.
const QUEUE: usize = 1024;
/// Changes written in one commit.
const BATCH: usize = 256;

enum Change {
    Record(HeldRecord),
    NoRecord(RecordKey),
    Peer(LearnedPeer),
    NoPeer(String),
}

/// The thread that keeps the network node's file.
pub(super) struct Keeper {
    changes: mpsc::SyncSender<Change>,
    thread: std::thread::JoinHandle<()>,
}

/// Hands changes over without waiting.
#[derive(Clone)]
pub(super) struct Sink(mpsc::SyncSender<Change>);

impl Keeper {
    /// Opens the file (made anew if it is missing or damaged: nothing in it is anybody's only copy).
    pub(super) async fn open(folder: &Folder, transport_seed: &[u8; 32]) -> Result<(Self, Kept), UserError> {
        let path = folder.network();
        let key: Secret<32> = kdf::hkdf(&[], transport_seed, b"kith/v1/network-file");
        let opened = tokio::task::spawn_blocking(move || {
            let mut rng = system_rng().map_err(|_| Error::Bug("no randomness"))?;
            let unlock = Unlock::Key(key);
            let store = match Store::open(Disk::File(path.clone()), &unlock, &mut rng) {
                Ok(store) => store,
                Err(Error::Missing) => Store::create(Disk::File(path), &unlock, &mut rng)?,
                Err(Error::Corrupt(_) | Error::WrongKeyFile) => {
                    tracing::warn!("the network node's file is damaged: beginning a new one");
                    std::fs::remove_file(&path).map_err(Error::Io)?;
                    Store::create(Disk::File(path), &unlock, &mut rng)?
                }
                Err(error) => return Err(error),
            };
            let kept = load(&store)?;
            Ok::<_, Error>((store, kept))
        });
        let home = folder.network();
        let (store, kept) = opened
            .await
            .map_err(|_| UserError::internal("opening the network file died"))?
            .map_err(|e| explain(&e, home.parent().unwrap_or(&home)))?;
        let (changes, inbox) = mpsc::sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("kith-keep".into())
            .spawn(move || keep(&store, &inbox))
            .map_err(|e| UserError::internal(format!("no thread for the network file: {e}")))?;
        Ok((Self { changes, thread }, kept))
    }

    /// What the net task tells its changes to.
    pub(super) fn sinks(&self) -> (Sink, Sink) {
        (Sink(self.changes.clone()), Sink(self.changes.clone()))
    }

    /// Waits until everything told so far is kept.
    pub(super) async fn finish(self) {
        drop(self.changes);
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

fn load(store: &Store) -> Result<Kept, Error> {
    use crate::app::Scan as _;
    let rows = store.snapshot()?;
    let records = rows.every::<HeldRecord>()?.into_iter().map(|r| (r.key, r.bytes)).collect();
    let peers = rows.every::<LearnedPeer>()?.into_iter().map(|p| (PeerName(p.peer), p.addresses)).collect();
    Ok(Kept { records, peers })
}

fn keep(store: &Store, inbox: &mpsc::Receiver<Change>) {
    while let Ok(first) = inbox.recv() {
        let mut writes = Writes::default();
        for change in std::iter::once(first).chain(inbox.try_iter().take(BATCH - 1)) {
            let put = match change {
                Change::Record(row) => writes.put(&row),
                Change::Peer(row) => writes.put(&row),
                Change::NoRecord(key) => {
                    writes.delete::<HeldRecord>(HeldRecord::key_of(&key));
                    Ok(())
                }
                Change::NoPeer(peer) => {
                    writes.delete::<LearnedPeer>(LearnedPeer::key_of(&peer));
                    Ok(())
                }
            };
            if let Err(error) = put {
                tracing::debug!(%error, "a record is not kept");
            }
        }
        if let Err(error) = store.write(|tx| tx.apply(&writes)) {
            tracing::warn!(%error, "the network node's file could not be written: records are kept in memory only");
            let _ = store.reopen();
        }
    }
}

impl Sink {
    fn tell(&self, change: Change) {
        // Dropped when the disk is behind: records are published again, peers are met again.
        let _ = self.0.try_send(change);
    }
}

impl RecordSink for Sink {
    fn stored(&mut self, key: &RecordKey, bytes: &[u8], expires: Timestamp) {
        self.tell(Change::Record(HeldRecord { key: *key, bytes: bytes.to_vec(), expires }));
    }

    fn removed(&mut self, key: &RecordKey) {
        self.tell(Change::NoRecord(*key));
    }
}

impl PeerSink for Sink {
    fn learned(&mut self, peer: &PeerName, addresses: &[String]) {
        self.tell(Change::Peer(LearnedPeer { peer: peer.0.clone(), addresses: addresses.to_vec() }));
    }

    fn forgotten(&mut self, peer: &PeerName) {
        self.tell(Change::NoPeer(peer.0.clone()));
    }
}
