//! Copies of pipes: what came by one is there once, and is read a second time from here.
//!
//! **Memory** has a bound; what is beyond it goes to a file without a name, which is gone with the process.

use crate::spill;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Error, Read, Result, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::SpooledTempFile;

/// What of a pipe is held in memory, in bytes.
const HELD_MAX: usize = 8 << 20;

type Copy = Arc<Mutex<SpooledTempFile>>;

/// Copies of the pipes among some files, by their places there.
#[derive(Clone, Default)]
pub struct Copies(RefCell<HashMap<usize, Copy>>);

impl Copies {
    /// What reads a pipe: the copy, where it was read before, and else the pipe itself, of which a copy is made.
    pub(super) fn reader<R: Read + Send + 'static>(&self, place: usize, pipe: R) -> Result<Box<dyn Read + Send>> {
        if let Some(copy) = self.0.borrow().get(&place) {
            locked(copy, |copy| copy.seek(SeekFrom::Start(0)))?;
            return Ok(Box::new(Again(Arc::clone(copy))));
        }
        let copy = Arc::new(Mutex::new(tempfile::spooled_tempfile_in(HELD_MAX, spill::folder())));
        self.0.borrow_mut().insert(place, Arc::clone(&copy));
        Ok(Box::new(Tee { pipe, copy }))
    }
}

/// Two readers of one copy are never there at the same time.
fn locked<T>(copy: &Copy, act: impl FnOnce(&mut SpooledTempFile) -> Result<T>) -> Result<T> {
    act(&mut copy.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Reads a pipe, and keeps what it gives.
struct Tee<R> {
    pipe: R,
    copy: Copy,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let got = self.pipe.read(buffer)?;
        let kept = locked(&self.copy, |copy| copy.write_all(&buffer[..got]));
        kept.map_err(|error| Error::new(error.kind(), format!("no copy of the pipe can be kept: {error}")))?;
        Ok(got)
    }
}

/// Reads a copy.
struct Again(Copy);

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        locked(&self.0, |copy| copy.read(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_read_as_often_as_one_likes() {
        let copies = Copies::default();
        for length in [3, 2 * HELD_MAX + 17] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let read = |pipe: &'static [u8]| {
                let mut all = Vec::new();
                copies.reader(length, pipe).unwrap().read_to_end(&mut all).unwrap();
                all
            };
            let pipe: &'static [u8] = Box::leak(bytes.clone().into_boxed_slice());
            assert!(read(pipe) == bytes && read(&[]) == bytes && read(&[]) == bytes, "{length}");
        }
    }
}
