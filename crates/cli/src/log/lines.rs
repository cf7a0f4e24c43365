//! Lines out of anything that reads, each with a bound: one function for files, decoders and journalctl.

use std::io::{BufRead, ErrorKind, Result};

/// The longest line, in bytes; what is longer is no event, and is cut.
pub const LINE_MAX: usize = 1 << 20;
/// How long a line may be before it is none: a file of zeros has no end.
const ENDLESS: u64 = 64 << 20;

/// Reads lines.
pub struct Lines<R> {
    reader: R,
    /// A line whose end is not there yet.
    partial: Vec<u8>,
    /// How long that line is, with what was cut.
    length: u64,
    /// The bytes of whole lines that were read.
    taken: u64,
    stop: u64,
    max: usize,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Lines<R> {
        Lines { reader, partial: Vec::new(), length: 0, taken: 0, stop: u64::MAX, max: LINE_MAX }
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

    /// The bytes of the whole lines that were read.
    pub fn taken(&self) -> u64 {
        self.taken
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
            let end = got.iter().position(|&byte| byte == b'\n');
            let bytes = end.map_or(got.len(), |end| end + 1);
            let room = self.max.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&got[..bytes.min(room)]);
            self.reader.consume(bytes);
            self.length += bytes as u64;
            if end.is_some() {
                self.taken += std::mem::take(&mut self.length);
                line(&std::mem::take(&mut self.partial));
            } else if self.length > ENDLESS {
                return Err(std::io::Error::new(ErrorKind::InvalidData, "a line in it has no end: it is no log"));
            }
        }
        Ok(())
    }

    /// Calls `line` with what has no end.
    pub fn end(&mut self, line: &mut dyn FnMut(&[u8])) {
        line(&std::mem::take(&mut self.partial));
    }

    /// Reads from another one, after what has no end yet.
    pub fn go_on_with(&mut self, reader: R) {
        self.reader = reader;
    }
}
