//! What a process has mapped: each mapping as the kernel says it alone (PROCMAP_QUERY, from Linux 6.11 on), else as /proc/PID/maps says
//! all of them, of which only a part is looked at.

use crate::sys::procfs::{self, Whose};
use crate::sys::{self, Fd, Mapping, MappingQuery};
use core::cell::Cell;
use portcullis_request::context::number;

/// What is looked at of a process's mappings as a text, in bytes; and for a single address, for which it may be asked again and again.
pub const TEXT_MAX: usize = 1 << 20;
const SINGLE_MAX: usize = 1 << 18;

/// The mappings of a process.
pub struct Mappings {
    file: Fd,
    /// Where the text is that was read of them, with its length, once the kernel has not said them one by one.
    text: Cell<Option<(*mut core::ffi::c_void, usize)>>,
    max: usize,
}

impl Mappings {
    /// Of a thread's process, of whose text no more than `max` bytes are looked at.
    pub fn of(thread: u32, max: usize) -> Option<Mappings> {
        let file = procfs::proc_open(Whose::Of(thread), b"maps", libc::O_RDONLY).ok()?;
        Some(Mappings { file, text: Cell::new(None), max })
    }

    /// A mapping, and its file's path where there is room for it; an error where that is not known.
    pub fn find(&self, at: u64, query: MappingQuery, path: &mut [u8]) -> Result<Option<Mapping>, ()> {
        sys::mapping(&self.file, at, query, path).or_else(|_| self.in_text(at, query, path))
    }

    #[cold]
    fn in_text(&self, at: u64, query: MappingQuery, path: &mut [u8]) -> Result<Option<Mapping>, ()> {
        let (room, len) = match self.text.get() {
            Some(text) => text,
            None => {
                let room = sys::allocate(self.max).ok_or(())?;
                // SAFETY: a new mapping of that size, which nobody else has.
                let bytes = unsafe { core::slice::from_raw_parts_mut(room.cast::<u8>(), self.max) };
                let text = (room, procfs::read_all(&self.file, bytes).len());
                self.text.set(Some(text));
                text
            }
        };
        // SAFETY: so much was read into the mapping, which stays as long as this.
        let text = unsafe { core::slice::from_raw_parts(room.cast::<u8>(), len) };
        let lines = text.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        let mut found = lines.map(|line| (line, mapping(line))).filter(|(_, mapping)| mapping.end > at);
        let found = found.find(|(_, mapping)| query == MappingQuery::At || mapping.inode != 0);
        let Some((line, mut mapping)) = found else {
            return if len == 0 || len == self.max { Err(()) } else { Ok(None) };
        };
        let name = line.iter().position(|&byte| byte == b'/').and_then(|at| line.get(at..)).unwrap_or_default();
        if let Some(room) = path.get_mut(..name.len()) {
            room.copy_from_slice(name);
            mapping.name_len = name.len().wrapping_add(1);
        }
        Ok(Some(mapping).filter(|mapping| query != MappingQuery::At || mapping.start <= at))
    }
}

impl Drop for Mappings {
    fn drop(&mut self) {
        if let Some((room, _)) = self.text.get() {
            sys::munmap(room, self.max);
        }
    }
}

/// What a line says: `START-END RIGHTS OFFSET DEVICE INODE`, then its name.
fn mapping(line: &[u8]) -> Mapping {
    let mut words = line.split(|&byte| byte == b' ');
    let mut ends = words.next().unwrap_or_default().split(|&byte| byte == b'-').map(hexadecimal);
    let (start, end) = (ends.next().unwrap_or(0), ends.next().unwrap_or(0));
    let has_rights = !words.next().is_some_and(|rights| rights.starts_with(b"---"));
    Mapping { start, end, inode: words.nth(2).map_or(0, number), has_rights, name_len: 0 }
}

/// Whether readable memory is mapped at an address of a thread's process; true if that is unknown.
pub fn is_mapped(thread: u32, at: u64) -> bool {
    let found = Mappings::of(thread, SINGLE_MAX).map(|mappings| mappings.find(at, MappingQuery::At, &mut []));
    found.and_then(Result::ok).is_none_or(|found| found.is_some_and(|mapping| mapping.has_rights))
}

/// A number in hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> u64 {
    let digit = |digit: u8| u64::from((digit as char).to_digit(16).unwrap_or(0));
    digits.iter().fold(0, |sum, byte| sum.wrapping_mul(16).wrapping_add(digit(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_may_be_read_by_the_kernel() {
        let is = |at: usize| is_mapped(sys::getpid(), at as u64);
        let at = sys::mmap(None, 3 << 12).expect("memory") as usize;
        assert!(is(at) && is(at + (3 << 12) - 1));
        // SAFETY: pages of this test's own.
        assert!(unsafe { sys::mprotect(at, 1 << 12, libc::PROT_NONE) });
        assert!(!is(at) && is(at + (1 << 12)));
        sys::munmap((at + (1 << 12)) as *mut _, 1 << 12);
        assert!(!is(at + (1 << 12)) && is(at + (2 << 12)));
        assert!(!is(0) && !is(1 << 46) && !is(1 << 61));
        // Of a process that is not there nothing is known.
        assert!(is_mapped(1 << 22, 0));
    }

    /// The text says what the kernel says.
    #[test]
    fn both_ways_find_the_same() {
        let mappings = Mappings::of(sys::getpid(), TEXT_MAX).expect("mappings");
        let code = is_mapped as *const () as u64;
        let shared = sys::mmap(None, 1 << 12).expect("memory") as u64;
        let own = sys::allocate(1 << 12).expect("memory") as u64;
        for at in [code, shared, own, own - 1, 0, 1 << 46, u64::MAX] {
            for query in [MappingQuery::At, MappingQuery::NextWithFile] {
                let mut paths = [[0; 4096]; 2];
                let [path, in_text] = &mut paths;
                let (asked, read) = (mappings.find(at, query, path), mappings.in_text(at, query, in_text));
                let facts = |mapping: Mapping| (mapping.start, mapping.end, mapping.inode, mapping.has_rights);
                assert_eq!(asked.map(|found| found.map(facts)), read.map(|found| found.map(facts)), "{at:#x}");
                let has_file = read.is_ok_and(|found| found.is_some_and(|mapping| mapping.inode != 0));
                assert!(!has_file || paths[0] == paths[1], "{at:#x}");
            }
        }
        assert!(
            mappings.find(shared, MappingQuery::At, &mut []).is_ok_and(|found| found.is_some_and(|it| it.inode != 0))
        );
        let short = Mappings::of(sys::getpid(), 10).expect("mappings");
        assert!(short.in_text(code, MappingQuery::At, &mut []).is_err(), "more than is looked at");
    }
}
