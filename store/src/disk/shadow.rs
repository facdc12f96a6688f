//! Reads a disk without ever changing it: what is written stays in memory.
//!
//! Opening a database may repair it, and a repair writes. Behind a shadow a store can be looked at (is it ours, does the
//! passphrase fit, do its pages hold together) before the first byte of the file is touched, and a store whose disk
//! failed can still be read.

use super::Source;
use redb::StorageBackend;
use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Granularity of what is kept in memory, in bytes.
const BLOCK: u64 = 4096;

#[derive(Debug)]
pub(crate) struct Shadow {
    source: Box<dyn Source>,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    /// The length as this shadow shows it.
    len: u64,
    /// How far the source still shows through: shrinking hides it for good.
    through: u64,
    /// Whole blocks that were written, by number.
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Shadow {
    /// Puts a shadow over a source, which must not change while it is read.
    pub(crate) fn over(source: Box<dyn Source>) -> io::Result<Self> {
        let len = source.length()?;
        Ok(Self { source, written: Mutex::new(Written { len, through: len, blocks: BTreeMap::new() }) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one block as it stands, zeros where nothing is.
    fn block(&self, written: &Written, number: u64) -> io::Result<Box<[u8]>> {
        if let Some(block) = written.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK as usize].into_boxed_slice();
        let start = number.saturating_mul(BLOCK);
        let there = written.through.saturating_sub(start).min(BLOCK) as usize;
        if let Some(part) = block.get_mut(..there).filter(|part| !part.is_empty()) {
            self.source.fill(start, part)?;
        }
        Ok(block)
    }
}

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
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > written.len) {
            return Err(out_of_range());
        }
        // The common case: nothing was written there, and one read serves.
        let blocks = offset / BLOCK..offset.saturating_add(out.len() as u64).div_ceil(BLOCK);
        let untouched = written.blocks.range(blocks).next().is_none();
        if untouched && offset.saturating_add(out.len() as u64) <= written.through {
            return self.source.fill(offset, out);
        }
        each_block(offset, out.len(), |number, inside, data| {
            copy(self.block(&written, number)?.get(inside), out.get_mut(data))
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written();
        if len < written.len {
            written.through = written.through.min(len);
            written.blocks.split_off(&len.div_ceil(BLOCK));
            // What is cut off inside the last block must come back as zeros.
            if !len.is_multiple_of(BLOCK) {
                let mut last = self.block(&written, len / BLOCK)?;
                if let Some(rest) = last.get_mut((len % BLOCK) as usize..) {
                    rest.fill(0);
                }
                written.blocks.insert(len / BLOCK, last);
            }
        }
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > written.len) {
            return Err(out_of_range());
        }
        each_block(offset, data.len(), |number, inside, part| {
            let mut block = self.block(&written, number)?;
            copy(data.get(part), block.get_mut(inside))?;
            written.blocks.insert(number, block);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Act {
        Write(u64, Vec<u8>),
        SetLen(u64),
        Read(u64, usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0..20_000u64, prop::collection::vec(any::<u8>(), 1..9_000)).prop_map(|(o, d)| Act::Write(o, d)),
            (0..20_000u64).prop_map(Act::SetLen),
            (0..20_000u64, 0..9_000usize).prop_map(|(o, n)| Act::Read(o, n)),
        ]
    }

    proptest! {
        #[test]
        fn shadow_behaves_like_a_disk_and_leaves_its_source_alone(acts in prop::collection::vec(act(), 1..40)) {
            let before: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
            let source = MemoryDisk::from_image(before.clone());
            let shadow = Shadow::over(Box::new(source.handle())).unwrap();
            let mut model = before.clone();
            for act in acts {
                match act {
                    Act::Write(o, d) => {
                        let fits = o as usize + d.len() <= model.len();
                        prop_assert_eq!(shadow.write(o, &d).is_ok(), fits);
                        if fits { model[o as usize..o as usize + d.len()].copy_from_slice(&d); }
                    }
                    Act::SetLen(n) => { shadow.set_len(n).unwrap(); model.resize(n as usize, 0); }
                    Act::Read(o, n) => {
                        let mut out = vec![0; n];
                        let fits = o as usize + n <= model.len();
                        prop_assert_eq!(shadow.read(o, &mut out).is_ok(), fits);
                        if fits { prop_assert_eq!(&out[..], &model[o as usize..o as usize + n]); }
                    }
                }
            }
            prop_assert_eq!(source.image(), before);
        }
    }
}
