//! Whether another process can change the path and the arguments of a program between the verdict and the kernel's look: by a
//! mapping that both have, or by a file that is mapped.

use super::answer::Case;
use crate::action;
use crate::memory::Text;
use crate::sys;
use crate::sys::procfs;
use portcullis_request::context::number;

/// What is looked at of the mappings of a process.
const MAPS_MAX: usize = 1 << 20;
/// Entries of a vector that are looked at.
const ENTRIES: u64 = 1 << 14;

impl Case<'_> {
    /// Whether the path, the vectors of arguments and environment, or a string of them lies in memory that another process can write
    /// to, or that is not known.
    pub(super) fn shares(&self, [path, argv, envp]: [u64; 3]) -> bool {
        let Some(room) = sys::allocate(MAPS_MAX) else { return true };
        // SAFETY: a new mapping of that size, which nobody else has.
        let bytes = unsafe { core::slice::from_raw_parts_mut(room.cast::<u8>(), MAPS_MAX) };
        let text = procfs::proc_read_all(self.subject.thread, b"maps", bytes);
        let shares = text.is_empty()
            || text.len() == MAPS_MAX
            || text
                .split(|&byte| byte == b'\n')
                .filter_map(Mapping::of)
                .any(|mapping| self.touches(&mapping, path, [argv, envp]) && self.is_changed_by_others(&mapping));
        sys::munmap(room, MAPS_MAX);
        shares
    }

    fn touches(&self, mapping: &Mapping<'_>, path: u64, vectors: [u64; 2]) -> bool {
        // A string may go on from the mapping before.
        let has = |at: u64| at < mapping.end && at.wrapping_add(4096) > mapping.start;
        has(path)
            || vectors.into_iter().filter(|vector| *vector != 0).any(|vector| {
                let entry = |index: u64| {
                    let at = vector.wrapping_add(index.wrapping_mul(self.width as u64));
                    self.memory.number(at, self.width).filter(|entry| *entry != 0).map(|entry| (at, entry))
                };
                has(vector) || (0..ENTRIES).map_while(entry).any(|(at, entry)| has(at) || has(entry))
            })
    }

    /// Whether somebody other than root can write to the file that is mapped. The program itself nobody can write to.
    fn is_changed_by_others(&self, mapping: &Mapping<'_>) -> bool {
        let (mut link, path) = (Text::<64>::new(), Text::<4097>::of(mapping.path));
        link.push(b"map_files/");
        link.push(mapping.range);
        // Only who administers the host may follow that.
        let file = procfs::proc_stat(self.subject.thread, link.bytes())
            .or_else(|| sys::stat(path.c_str()).filter(|file| path.fits() && file.identity.1 == mapping.inode));
        let program = super::subject::image_of(self.subject.thread);
        file.is_none_or(|file| action::is_changeable(&file) && Some(file.identity) != program)
    }
}

/// A line of /proc/PID/maps, of a mapping with a file: shared memory has one as well.
struct Mapping<'m> {
    range: &'m [u8],
    start: u64,
    end: u64,
    inode: u64,
    path: &'m [u8],
}

impl<'m> Mapping<'m> {
    /// `None` for private memory without a file.
    fn of(line: &'m [u8]) -> Option<Mapping<'m>> {
        let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        let range = words.next()?;
        let inode = number(words.nth(3)?);
        let mut ends = range.split(|&byte| byte == b'-').map(hexadecimal);
        let (start, end) = (ends.next()?, ends.next()?);
        let path = line.iter().position(|&byte| byte == b'/').and_then(|at| line.get(at..)).unwrap_or_default();
        (inode != 0).then_some(Mapping { range, start, end, inode, path })
    }
}

fn hexadecimal(digits: &[u8]) -> u64 {
    let digit = |digit: u8| u64::from((digit as char).to_digit(16).unwrap_or(0));
    digits.iter().fold(0, |sum, byte| sum.wrapping_mul(16).wrapping_add(digit(*byte)))
}
