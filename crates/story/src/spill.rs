//! Records of one size in order: in memory up to a bound, and beyond it in a file without a name, which is gone with the process.

use rustix::fs::{Access, access};
use std::io::{Read, Result, Seek, SeekFrom, Write};
use std::path::PathBuf;
use tempfile::SpooledTempFile;

/// What is held in memory, in bytes.
const HELD_MAX: usize = 16 << 20;
/// How much is written and read at once, about.
const PIECE: usize = 64 << 10;

/// Where such files are without `TMPDIR`: the first of these that takes one. `/tmp` often is in memory.
const FOLDERS: [&str; 2] = ["/var/tmp", "/tmp"];

/// The folder of such files: `TMPDIR`, or one that is on a disk.
#[must_use]
pub fn folder() -> PathBuf {
    let takes_files = |folder: &str| access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    match std::env::var_os("TMPDIR") {
        Some(named) if !named.is_empty() => named.into(),
        _ => FOLDERS.into_iter().find(|folder| takes_files(folder)).unwrap_or(FOLDERS[0]).into(),
    }
}

/// Records of `N` bytes.
pub struct Spill<const N: usize> {
    /// Those that were not written yet.
    last: Vec<u8>,
    written: SpooledTempFile,
    count: u64,
}

impl<const N: usize> Default for Spill<N> {
    fn default() -> Spill<N> {
        Spill::bounded(HELD_MAX)
    }
}

impl<const N: usize> Spill<N> {
    /// One of which so many bytes are held in memory.
    #[must_use]
    pub fn bounded(max: usize) -> Spill<N> {
        Spill { last: Vec::new(), written: tempfile::spooled_tempfile_in(max, folder()), count: 0 }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds one. An error of the disk.
    pub fn push(&mut self, record: &[u8; N]) -> Result<()> {
        self.last.extend_from_slice(record);
        self.count += 1;
        if self.last.len() < PIECE {
            return Ok(());
        }
        self.written.write_all(&self.last)?;
        self.last.clear();
        Ok(())
    }

    /// Calls `each` with all of them, in order. An error of the disk.
    pub fn each(&mut self, each: &mut dyn FnMut(&[u8; N])) -> Result<()> {
        self.written.seek(SeekFrom::Start(0))?;
        let mut piece = vec![0; (PIECE / N).max(1) * N];
        let mut left = (self.count as usize * N).saturating_sub(self.last.len());
        while left > 0 {
            let now = left.min(piece.len());
            self.written.read_exact(&mut piece[..now])?;
            piece[..now].as_chunks::<N>().0.iter().for_each(&mut *each);
            left -= now;
        }
        self.last.as_chunks::<N>().0.iter().for_each(each);
        self.written.seek(SeekFrom::End(0))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_there_each_time() {
        for (max, count) in [(1 << 30, 10), (0, 100_000_u64), (PIECE, 100_000)] {
            let mut spill = Spill::<12>::bounded(max);
            let push = |spill: &mut Spill<12>, number: u64| {
                let mut record = [7; 12];
                record[..8].copy_from_slice(&number.to_le_bytes());
                spill.push(&record).unwrap();
            };
            for until in [count, count + 5] {
                (spill.len()..until).for_each(|number| push(&mut spill, number));
                for _ in 0..2 {
                    let mut next = 0;
                    spill
                        .each(&mut |record| {
                            assert_eq!((record[..8].to_owned(), record[11]), (u64::to_le_bytes(next).to_vec(), 7));
                            next += 1;
                        })
                        .unwrap();
                    assert_eq!(next, until);
                }
            }
        }
    }
}
