//! Copies of pipes: what came by one is there once, and is read a second time from here.
//!
//! **Memory** has a bound; what is beyond it goes to a file without a name, which is gone with the process. Where there is no room for
//! that, the pipe is read once, and a second reading says why it is none.

use crate::spill;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Error, Read, Result, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::SpooledTempFile;

/// What of a pipe is held in memory, in bytes.
const HELD_MAX: usize = 8 << 20;

/// A copy, or why there is none.
type Copy = Arc<Mutex<Result<SpooledTempFile>>>;

/// Copies of the pipes among some files, by their places there.
#[derive(Clone, Default)]
pub struct Copies(RefCell<HashMap<usize, Copy>>);

impl Copies {
    /// What reads a pipe: the copy, where it was read before, and else the pipe itself, of which a copy is made.
    pub(super) fn reader<R: Read + Send + 'static>(&self, place: usize, pipe: R) -> Result<Box<dyn Read + Send>> {
        if let Some(copy) = self.0.borrow().get(&place) {
            match &mut *locked(copy) {
                Ok(copy) => copy.seek(SeekFrom::Start(0))?,
                Err(error) => return Err(Error::new(error.kind(), error.to_string())),
            };
            return Ok(Box::new(Again(Arc::clone(copy))));
        }
        let copy = Arc::new(Mutex::new(Ok(tempfile::spooled_tempfile_in(HELD_MAX, spill::folder()))));
        self.0.borrow_mut().insert(place, Arc::clone(&copy));
        Ok(Box::new(Tee { pipe, copy }))
    }
}

/// Two readers of one copy are never there at the same time.
fn locked(copy: &Copy) -> MutexGuard<'_, Result<SpooledTempFile>> {
    copy.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a pipe, and keeps what it gives.
struct Tee<R> {
    pipe: R,
    copy: Copy,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let got = self.pipe.read(buffer)?;
        let mut copy = locked(&self.copy);
        if let Ok(file) = &mut *copy
            && let Err(error) = file.write_all(&buffer[..got])
        {
            *copy = Err(lost(&error));
        }
        Ok(got)
    }
}

/// Why a pipe is read once only, and what to do.
fn lost(error: &Error) -> Error {
    let text = format!(
        "it is a pipe, which is read once, and no copy of it could be kept in {}: {error}; help: TMPDIR names another directory",
        spill::folder().display()
    );
    Error::new(error.kind(), text)
}

/// Reads a copy.
struct Again(Copy);

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match &mut *locked(&self.0) {
            Ok(copy) => copy.read(buffer),
            Err(error) => Err(Error::new(error.kind(), error.to_string())),
        }
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
