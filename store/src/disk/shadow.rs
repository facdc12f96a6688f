//! Holds back everything that is written to a disk until it is known to be right.
//!
//! Opening a database may repair it, and a repair writes. Behind a shadow a store is looked at first (is it ours, does the
//! passphrase fit, do its pages hold together); a store that is refused is left byte for byte as it was. Released, the
//! shadow carries out what it held back, writes and syncs in their order, and is transparent from then on: to the disk
//! this looks as if the database had been opened without it, only later. A store whose disk failed is read through a
//! shadow that is never released.

use redb::{BackendError, StorageBackend};
use std::{
    collections::BTreeMap,
    io,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// Granularity of what is kept in memory, in bytes.
const BLOCK: u64 = 4096;

#[derive(Debug)]
pub(crate) struct Shadow {
    disk: Box<dyn StorageBackend>,
    /// Whether locks on the disk are taken; a reader that never writes takes none.
    locking: bool,
    mode: RwLock<Mode>,
}

#[derive(Debug)]
enum Mode {
    Holding(Held),
    Released,
}

/// What is held back.
#[derive(Debug)]
struct Held {
    /// The length as this shadow shows it.
    len: u64,
    /// How far the disk still shows through: shrinking hides it for good.
    through: u64,
    /// Whole blocks that were written, by number.
    blocks: BTreeMap<u64, Box<[u8]>>,
    /// All that has to be carried out on release, in order.
    log: Vec<Act>,
}

#[derive(Debug)]
enum Act {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

impl Shadow {
    /// Puts a shadow over a disk, which nobody else may change meanwhile.
    pub(crate) fn over(disk: Box<dyn StorageBackend>, locking: bool) -> io::Result<Self> {
        let len = disk.len()?;
        let held = Held { len, through: len, blocks: BTreeMap::new(), log: Vec::new() };
        Ok(Self { disk, locking, mode: RwLock::new(Mode::Holding(held)) })
    }

    /// Carries out what was held back and holds nothing back any more.
    pub(crate) fn release(&self) -> io::Result<()> {
        let mut mode = self.change();
        if let Mode::Holding(held) = &mut *mode {
            for act in std::mem::take(&mut held.log) {
                match act {
                    Act::Write(offset, data) => self.disk.write(offset, &data)?,
                    Act::SetLen(len) => self.disk.set_len(len)?,
                    Act::Sync => self.disk.sync_data()?,
                }
            }
            *mode = Mode::Released;
        }
        Ok(())
    }

    fn released(&self) -> bool {
        matches!(&*self.look(), Mode::Released)
    }

    fn look(&self) -> RwLockReadGuard<'_, Mode> {
        self.mode.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Mode> {
        self.mode.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one block as it stands, zeros where nothing is.
    fn block(&self, held: &Held, number: u64) -> io::Result<Box<[u8]>> {
        if let Some(block) = held.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK as usize].into_boxed_slice();
        let start = number.saturating_mul(BLOCK);
        let there = held.through.saturating_sub(start).min(BLOCK) as usize;
        if let Some(part) = block.get_mut(..there).filter(|part| !part.is_empty()) {
            self.disk.read(start, part)?;
        }
        Ok(block)
    }
}

type Bound = std::ops::Bound<u64>;

/// Calls `f(block number, range inside the block, range inside the data)` for each block a stretch touches.
fn each_block(
    offset: u64,
    len: usize,
    mut f: impl FnMut(u64, std::ops::Range<usize>, std::ops::Range<usize>) -> io::Result<()>,
) -> io::Result<()> {
    let mut done = 0usize;
    while done < len {
        let at = offset.saturating_add(done as u64);
        let inside = (at % BLOCK) as usize;
        let count = (BLOCK as usize).saturating_sub(inside).min(len.saturating_sub(done));
        let end = done.saturating_add(count);
        f(at / BLOCK, inside..inside.saturating_add(count), done..end)?;
        done = end;
    }
    Ok(())
}

pub(super) fn out_of_range() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end of the store")
}

/// Copies between two ranges that were computed to have the same length.
fn copy(from: Option<&[u8]>, to: Option<&mut [u8]>) -> io::Result<()> {
    match (from, to) {
        (Some(from), Some(to)) if from.len() == to.len() => {
            to.copy_from_slice(from);
            Ok(())
        }
        _ => Err(out_of_range()),
    }
}

impl StorageBackend for Shadow {
    fn len(&self) -> io::Result<u64> {
        match &*self.look() {
            Mode::Holding(held) => Ok(held.len),
            Mode::Released => self.disk.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mode = self.look();
        let Mode::Holding(held) = &*mode else { return self.disk.read(offset, out) };
        let end = offset.checked_add(out.len() as u64).filter(|end| *end <= held.len).ok_or_else(out_of_range)?;
        // The common case: nothing was written there, and one read serves.
        let untouched = held.blocks.range(offset / BLOCK..end.div_ceil(BLOCK)).next().is_none();
        if untouched && end <= held.through {
            return self.disk.read(offset, out);
        }
        each_block(offset, out.len(), |number, inside, data| {
            copy(self.block(held, number)?.get(inside), out.get_mut(data))
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.released() {
            return self.disk.set_len(len);
        }
        let mut mode = self.change();
        let Mode::Holding(held) = &mut *mode else { return self.disk.set_len(len) };
        held.log.push(Act::SetLen(len));
        if len < held.len {
            held.through = held.through.min(len);
            held.blocks.split_off(&len.div_ceil(BLOCK));
            // What is cut off inside the last block must come back as zeros.
            if !len.is_multiple_of(BLOCK) {
                let mut last = self.block(held, len / BLOCK)?;
                if let Some(rest) = last.get_mut((len % BLOCK) as usize..) {
                    rest.fill(0);
                }
                held.blocks.insert(len / BLOCK, last);
            }
        }
        held.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.released() {
            return self.disk.sync_data();
        }
        if let Mode::Holding(held) = &mut *self.change() {
            held.log.push(Act::Sync);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.released() {
            return self.disk.write(offset, data);
        }
        let mut mode = self.change();
        let Mode::Holding(held) = &mut *mode else { return self.disk.write(offset, data) };
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > held.len) {
            return Err(out_of_range());
        }
        held.log.push(Act::Write(offset, data.to_vec()));
        each_block(offset, data.len(), |number, inside, part| {
            let mut block = self.block(held, number)?;
            copy(data.get(part), block.get_mut(inside))?;
            held.blocks.insert(number, block);
            Ok(())
        })
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close()
    }

    fn try_lock_range(&self, start: Bound, end: Bound) -> Result<bool, BackendError> {
        if self.locking { self.disk.try_lock_range(start, end) } else { Err(BackendError::Unsupported) }
    }

    fn try_lock_shared_range(&self, start: Bound, end: Bound) -> Result<bool, BackendError> {
        if self.locking { self.disk.try_lock_shared_range(start, end) } else { Err(BackendError::Unsupported) }
    }

    fn lock_range(&self, start: Bound, end: Bound) -> Result<(), BackendError> {
        if self.locking { self.disk.lock_range(start, end) } else { Err(BackendError::Unsupported) }
    }

    fn lock_shared_range(&self, start: Bound, end: Bound) -> Result<(), BackendError> {
        if self.locking { self.disk.lock_shared_range(start, end) } else { Err(BackendError::Unsupported) }
    }

    fn unlock_range(&self, start: Bound, end: Bound) -> Result<(), BackendError> {
        if self.locking { self.disk.unlock_range(start, end) } else { Err(BackendError::Unsupported) }
    }

    fn query_lock_range(&self, start: Bound, end: Bound) -> Result<bool, BackendError> {
        if self.locking { self.disk.query_lock_range(start, end) } else { Err(BackendError::Unsupported) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Call {
        Write(u64, Vec<u8>),
        SetLen(u64),
        Read(u64, usize),
        Sync,
        Release,
    }

    fn call() -> impl Strategy<Value = Call> {
        prop_oneof![
            (0..20_000u64, prop::collection::vec(any::<u8>(), 1..9_000)).prop_map(|(o, d)| Call::Write(o, d)),
            (0..20_000u64).prop_map(Call::SetLen),
            Just(Call::Sync),
            Just(Call::Release),
            (0..20_000u64, 0..9_000usize).prop_map(|(o, n)| Call::Read(o, n)),
        ]
    }

    proptest! {
        #[test]
        fn shadow_behaves_like_a_disk_and_holds_everything_back_until_released(calls in prop::collection::vec(call(), 1..40)) {
            let before: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
            let source = MemoryDisk::from_image(before.clone());
            let shadow = Shadow::over(Box::new(source.handle()), false).unwrap();
            let (mut model, mut synced, mut released) = (before.clone(), before.clone(), false);
            for call in calls {
                match call {
                    Call::Write(o, d) => {
                        let fits = o as usize + d.len() <= model.len();
                        prop_assert_eq!(shadow.write(o, &d).is_ok(), fits);
                        if fits { model[o as usize..o as usize + d.len()].copy_from_slice(&d); }
                    }
                    Call::SetLen(n) => { shadow.set_len(n).unwrap(); model.resize(n as usize, 0); }
                    Call::Read(o, n) => {
                        let mut out = vec![0; n];
                        let fits = o as usize + n <= model.len();
                        prop_assert_eq!(shadow.read(o, &mut out).is_ok(), fits);
                        if fits { prop_assert!(out[..] == model[o as usize..o as usize + n]); }
                    }
                    Call::Sync => { shadow.sync_data().unwrap(); synced.clone_from(&model); }
                    Call::Release => { shadow.release().unwrap(); released = true; }
                }
                prop_assert_eq!(shadow.len().unwrap(), model.len() as u64);
                let (live, safe) = if released { (&model, &synced) } else { (&before, &before) };
                prop_assert!(source.image() == *live && source.synced_image() == *safe);
            }
        }
    }
}
