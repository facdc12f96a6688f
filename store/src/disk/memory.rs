//! A disk in memory that is faithful about crashes: only what was synced is sure to survive one.
//!
//! It also fails on command: the n-th call, every write from some point on, or for want of room. The simulated world and
//! the crash tests run the real store on it.

use super::shadow::out_of_range;
use rand_core::CryptoRng;
use redb::StorageBackend;
use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a power cut leaves whole, in bytes: the disk's sector.
const SECTOR: usize = 512;

/// A disk in memory; clones share it, as processes share a disk.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What a reader sees now.
    live: Vec<u8>,
    /// Unsynced changes in order, each with what it replaced.
    unsynced: Vec<Change>,
    /// Raised by every crash; handles of an earlier one are dead.
    boot: u64,
    plan: Plan,
    counts: Counts,
    copies: BTreeMap<String, Vec<u8>>,
}

struct Change {
    offset: usize,
    /// The bytes written; empty for a change of length.
    new: Vec<u8>,
    /// The bytes that were there.
    old: Vec<u8>,
    old_len: usize,
    new_len: usize,
}

/// Which calls fail.
#[derive(Clone, Copy, Default)]
enum Plan {
    #[default]
    Healthy,
    /// Calls of the scope succeed `left` times, then fail: once, or from then on.
    Fail { left: u64, scope: Scope, once: bool },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Reads, writes, changes of length and syncs: an I/O error.
    All,
    /// Writes, changes of length and syncs: an I/O error, as if the power went before the call.
    Changes,
    /// Writes and growth: no room.
    Room,
    /// Writes and changes of length: mounted read-only.
    ReadOnly,
}

/// How often a disk was called since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads.
    pub reads: u64,
    /// Writes and changes of length.
    pub writes: u64,
    /// Syncs.
    pub syncs: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Read,
    Write,
    Shrink,
    Sync,
}

impl MemoryDisk {
    /// Makes an empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a disk that holds a copy of the bytes, all synced.
    pub fn from_image(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { live: image, ..State::default() })))
    }

    /// Returns a copy of the bytes as a reader sees them now.
    pub fn image(&self) -> Vec<u8> {
        self.state().live.clone()
    }

    /// Returns a copy of the bytes that are synced.
    pub fn synced_image(&self) -> Vec<u8> {
        let state = self.state();
        let mut image = state.live.clone();
        undo(&mut image, &state.unsynced);
        image
    }

    /// Puts an older image in the place of what is there, as somebody who restores a copied file does. Handles from
    /// before are dead.
    pub fn restore(&self, image: Vec<u8>) {
        let mut state = self.state();
        state.boot = state.boot.saturating_add(1);
        state.unsynced.clear();
        state.live = image;
    }

    /// Flips bits of the byte at an offset, under whoever has the disk open, as a failing disk does.
    pub fn damage(&self, offset: usize, bits: u8) {
        if let Some(byte) = self.state().live.get_mut(offset) {
            *byte ^= bits;
        }
    }

    /// Cuts the power: everything unsynced is gone, and handles from before the crash are dead. Faults are lifted.
    pub fn crash(&self) {
        let mut state = self.state();
        let unsynced = std::mem::take(&mut state.unsynced);
        undo(&mut state.live, &unsynced);
        state.reboot();
    }

    /// Cuts the power, and chance decides for each unsynced write whether it reached the disk: not at all, whole, or some
    /// of its sectors; in any order. Handles from before the crash are dead. Faults are lifted.
    pub fn crash_torn(&self, rng: &mut impl CryptoRng) {
        let mut state = self.state();
        let unsynced = std::mem::take(&mut state.unsynced);
        undo(&mut state.live, &unsynced);
        for change in &unsynced {
            land(&mut state.live, change, rng);
        }
        state.reboot();
    }

    /// Lets `n` further calls succeed; every call after them fails with an I/O error, until [`Self::heal`].
    pub fn fail_after(&self, n: u64) {
        self.state().plan = Plan::Fail { left: n, scope: Scope::All, once: false };
    }

    /// Lets `n` further calls succeed and the next one fail with an I/O error; later ones succeed again.
    pub fn fail_once_after(&self, n: u64) {
        self.state().plan = Plan::Fail { left: n, scope: Scope::All, once: true };
    }

    /// Lets `n` further writes and syncs succeed; every one after them fails, until [`Self::heal`] or a crash. Followed by
    /// a crash, this is a power cut at exactly that point.
    pub fn stop_after(&self, n: u64) {
        self.state().plan = Plan::Fail { left: n, scope: Scope::Changes, once: false };
    }

    /// Lets `n` further writes succeed; every one after them finds no room, until [`Self::heal`].
    pub fn full_after(&self, n: u64) {
        self.state().plan = Plan::Fail { left: n, scope: Scope::Room, once: false };
    }

    /// Takes all room away, or gives it back.
    pub fn set_full(&self, full: bool) {
        if full { self.full_after(0) } else { self.heal() }
    }

    /// Refuses every write, as a disk that was mounted read-only does, or takes them again.
    pub fn set_read_only(&self, read_only: bool) {
        let refuse = Plan::Fail { left: 0, scope: Scope::ReadOnly, once: false };
        self.state().plan = if read_only { refuse } else { Plan::Healthy };
    }

    /// Lifts every fault.
    pub fn heal(&self) {
        self.state().plan = Plan::Healthy;
    }

    /// Returns how often the disk was called since it was made.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Returns the copy kept under a suffix, for tests of migrations.
    pub fn copy(&self, suffix: &str) -> Option<Vec<u8>> {
        self.state().copies.get(suffix).cloned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().live.is_empty()
    }

    /// Fills an empty disk, synced.
    pub(crate) fn install(&self, image: Vec<u8>) -> io::Result<()> {
        let mut state = self.state();
        let boot = state.boot;
        state.call(boot, Call::Write)?;
        state.call(boot, Call::Sync)?;
        state.live = image;
        Ok(())
    }

    pub(crate) fn keep_copy(&self, suffix: &str) {
        let mut state = self.state();
        let image = state.live.clone();
        state.copies.entry(suffix.to_owned()).or_insert(image);
    }

    pub(crate) fn drop_copy(&self, suffix: &str) -> bool {
        self.state().copies.remove(suffix).is_some()
    }

    /// Opens the disk; the handle dies with the next crash.
    pub(crate) fn handle(&self) -> Handle {
        let boot = self.state().boot;
        Handle { disk: self.clone(), boot }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "MemoryDisk({} bytes, {} unsynced changes)", state.live.len(), state.unsynced.len())
    }
}

impl State {
    fn reboot(&mut self) {
        self.boot = self.boot.saturating_add(1);
        self.plan = Plan::Healthy;
    }

    /// Counts a call and fails it if the plan says so.
    fn call(&mut self, boot: u64, call: Call) -> io::Result<()> {
        if boot != self.boot {
            return Err(io::Error::other("the power was cut"));
        }
        let count = match call {
            Call::Read => &mut self.counts.reads,
            Call::Write | Call::Shrink => &mut self.counts.writes,
            Call::Sync => &mut self.counts.syncs,
        };
        *count = count.saturating_add(1);
        let Plan::Fail { left, scope, once } = &mut self.plan else { return Ok(()) };
        let meant = match scope {
            Scope::All => true,
            Scope::Changes => call != Call::Read,
            Scope::Room => call == Call::Write,
            Scope::ReadOnly => matches!(call, Call::Write | Call::Shrink),
        };
        if !meant {
            return Ok(());
        }
        if *left > 0 {
            *left = left.saturating_sub(1);
            return Ok(());
        }
        let error = match scope {
            Scope::Room => io::Error::from(io::ErrorKind::StorageFull),
            Scope::ReadOnly => io::Error::from(io::ErrorKind::ReadOnlyFilesystem),
            Scope::All | Scope::Changes => io::Error::other("injected I/O error"),
        };
        if *once {
            self.plan = Plan::Healthy;
        }
        Err(error)
    }

    fn change(&mut self, offset: usize, data: &[u8], new_len: usize) -> io::Result<()> {
        let old_len = self.live.len();
        let old = if new_len < old_len {
            self.live.split_off(new_len)
        } else {
            self.live.resize(new_len, 0);
            let end = offset.checked_add(data.len()).ok_or_else(out_of_range)?;
            let place = self.live.get_mut(offset..end).ok_or_else(out_of_range)?;
            let old = place.to_vec();
            place.copy_from_slice(data);
            old
        };
        self.unsynced.push(Change { offset, new: data.to_vec(), old, old_len, new_len });
        Ok(())
    }
}

/// Takes changes back, newest first.
fn undo(image: &mut Vec<u8>, changes: &[Change]) {
    for change in changes.iter().rev() {
        if change.new_len < change.old_len {
            image.extend_from_slice(&change.old);
            continue;
        }
        let end = change.offset.saturating_add(change.old.len());
        if let Some(place) = image.get_mut(change.offset..end) {
            place.copy_from_slice(&change.old);
        }
        image.truncate(change.old_len);
    }
}

/// Lets chance decide how much of a change reached the disk.
fn land(image: &mut Vec<u8>, change: &Change, rng: &mut impl CryptoRng) {
    let fate = rng.next_u32() % 4;
    if fate == 0 {
        return;
    }
    if change.new.is_empty() {
        image.resize(change.new_len, 0);
        return;
    }
    let end = change.offset.saturating_add(change.new.len());
    if image.len() < end {
        image.resize(end, 0);
    }
    let Some(place) = image.get_mut(change.offset..end) else { return };
    for (to, from) in place.chunks_mut(SECTOR).zip(change.new.chunks(SECTOR)) {
        if fate != 1 || rng.next_u32().is_multiple_of(2) {
            to.copy_from_slice(from);
        }
    }
}

/// An open disk.
#[derive(Debug)]
pub(crate) struct Handle {
    disk: MemoryDisk,
    boot: u64,
}

fn index(n: u64) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| out_of_range())
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.call(self.boot, Call::Read)?;
        Ok(state.live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.call(self.boot, Call::Read)?;
        let start = index(offset)?;
        let end = start.checked_add(out.len()).ok_or_else(out_of_range)?;
        out.copy_from_slice(state.live.get(start..end).ok_or_else(out_of_range)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let new_len = index(len)?;
        let call = if new_len > state.live.len() { Call::Write } else { Call::Shrink };
        state.call(self.boot, call)?;
        state.change(0, &[], new_len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.call(self.boot, Call::Sync)?;
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.call(self.boot, Call::Write)?;
        let start = index(offset)?;
        let len = state.live.len();
        if start.checked_add(data.len()).is_none_or(|end| end > len) {
            return Err(out_of_range());
        }
        state.change(start, data, len)
    }
}

#[cfg(test)]
mod tests;
