//! Lines out of anything that reads, each with a bound: one function for files, decoders and journalctl.
//!
//! **Invariants**: nothing that is in a file hides what comes after it. What is longer than an event can be, and what is no text, is passed
//! over and counted; a hole costs one call, however large it is.

use rustix::fs::SeekFrom;
use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, ErrorKind, Result};
use std::rc::Rc;

/// The longest line, in bytes; what is longer is no event, and is cut.
pub const LINE_MAX: usize = 1 << 20;
/// Reads lines.
pub struct Lines<R> {
    reader: R,
    /// A line whose end is not there yet.
    partial: Vec<u8>,
    /// How long that line is; without what was passed over.
    length: u64,
    /// The bytes of whole lines that were read, and those that were passed over.
    taken: u64,
    /// Of these, the latter.
    passed_over: u64,
    /// The file that is read, where that is one, with the place in it that the reader has.
    file: Option<File>,
    stop: u64,
    max: usize,
    /// The number of the line that was read last, for whoever gets the lines.
    number: Rc<Cell<u64>>,
    ends: u64,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Lines<R> {
        let (partial, file) = (Vec::new(), None);
        Lines {
            reader,
            partial,
            length: 0,
            taken: 0,
            passed_over: 0,
            file,
            stop: u64::MAX,
            max: LINE_MAX,
            number: Rc::default(),
            ends: 0,
        }
    }

    /// With the file that the reader reads, whose holes are left out.
    pub fn of_file(mut self, file: Option<File>) -> Lines<R> {
        self.file = file;
        self
    }

    /// The number of the line that is handed over, from 1, in what is read.
    pub fn number(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.number)
    }

    /// With lines of another length.
    pub fn longest(mut self, max: usize) -> Lines<R> {
        self.max = max;
        self
    }

    /// Stops at the first end of a line after so many bytes.
    pub fn stop_after(&mut self, bytes: u64) {
        self.stop = bytes;
    }

    /// The bytes of the whole lines that were read, with those that were passed over.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// How many bytes were passed over since this was called last: zeros, and what of a line is longer than an event.
    pub fn passed_over(&mut self) -> u64 {
        std::mem::take(&mut self.passed_over)
    }

    /// Calls `line` with each whole line that is there.
    pub fn read(&mut self, line: &mut dyn FnMut(&[u8])) -> Result<()> {
        while self.taken < self.stop {
            let got = match self.reader.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // No event has a zero in it: what is before some is no part of what comes after them.
            let zeros = got.iter().take_while(|&&byte| byte == 0).count();
            if zeros > 0 {
                let is_all = zeros == got.len();
                self.reader.consume(zeros);
                self.finish(line);
                self.pass_over(zeros as u64);
                if is_all {
                    let hole = self.hole()?;
                    self.pass_over(hole);
                }
                continue;
            }
            let end = end_of(got);
            let is_end = end.is_some_and(|end| got[end] == b'\n');
            let bytes = end.map_or(got.len(), |end| end + usize::from(is_end));
            let kept = bytes.min(self.max.saturating_sub(self.partial.len()));
            self.partial.extend_from_slice(&got[..kept]);
            self.reader.consume(bytes);
            self.length += kept as u64;
            // It is read once, whether its end is there or not.
            self.pass_over((bytes - kept) as u64);
            if is_end {
                self.finish(line);
                self.ends += 1;
            }
        }
        Ok(())
    }

    /// Hands over the line that was read.
    fn finish(&mut self, line: &mut dyn FnMut(&[u8])) {
        self.taken += std::mem::take(&mut self.length);
        if !self.partial.is_empty() {
            self.number.set(self.ends + 1);
            line(&self.partial);
            self.partial.clear();
        }
    }

    fn pass_over(&mut self, bytes: u64) {
        if bytes > 0 {
            self.taken += bytes + std::mem::take(&mut self.length);
            self.passed_over += bytes;
        }
    }

    /// Moves the file to what has been written after the place that was read; gives how far that is.
    fn hole(&mut self) -> Result<u64> {
        let Some(file) = &self.file else { return Ok(0) };
        let at = rustix::fs::tell(file)?;
        match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => Ok(data.saturating_sub(at)),
            // Nothing but a hole is left.
            Err(rustix::io::Errno::NXIO) => Ok(rustix::fs::seek(file, SeekFrom::End(0))?.saturating_sub(at)),
            // A file system that knows no holes.
            Err(_) => Ok(0),
        }
    }

    /// Calls `line` with what has no end.
    pub fn end(&mut self, line: &mut dyn FnMut(&[u8])) {
        self.number.set(self.ends + 1);
        line(&std::mem::take(&mut self.partial));
    }

    /// Reads from another one, after what has no end yet.
    pub fn go_on_with(&mut self, reader: R, file: Option<File>) {
        self.reader = reader;
        self.file = file;
        self.ends = 0;
    }
}

/// Where the first end of a line or zero is.
fn end_of(bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', 0, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Write};

    fn read(bytes: &[u8]) -> (Vec<usize>, u64, u64) {
        let (mut found, mut lines) = (Vec::new(), Lines::new(BufReader::with_capacity(4, bytes)).longest(5));
        lines.read(&mut |line| found.push(line.len())).unwrap();
        (found, lines.taken(), lines.passed_over())
    }

    #[test]
    fn nothing_hides_what_comes_after_it() {
        assert_eq!(read(b"a\nbc\n\n"), (vec![2, 3, 1], 6, 0));
        assert_eq!(read(b"a\nbc"), (vec![2], 2, 0), "no end yet");
        assert_eq!(read(b"123456789\na\n"), (vec![5, 2], 12, 5));
        // The rest is no part of what was read.
        assert_eq!(read(b"a\n123456789"), (vec![2], 11, 4));
        assert_eq!(read(b"a\0\0\0\0\0\0bc\n\0\0d\n"), (vec![1, 3, 2], 14, 8));
        assert_eq!(read(b"\0\0\0\0\0\0\0\0"), (vec![], 8, 8));
    }

    #[test]
    fn a_hole_costs_nothing() {
        let mut file = tempfile::tempfile().unwrap();
        let behind = 1 << 40;
        file.write_all(b"a\n").unwrap();
        if file.set_len(behind).is_err() {
            return;
        }
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
        file.write_all(b"bc\n").unwrap();
        file.set_len(behind * 2).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let mut found = Vec::new();
        let mut lines = Lines::new(BufReader::new(file.try_clone().unwrap())).of_file(Some(file));
        lines.read(&mut |line| found.push(line.len())).unwrap();
        assert_eq!((found, lines.taken()), (vec![2, 3], behind * 2));
    }
}
