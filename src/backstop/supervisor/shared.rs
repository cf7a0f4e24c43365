//! Checks whether another process can change the path and the arguments of a program between the verdict and the kernel's lookup: through
//! shared memory, or through a mapped file.

use super::answer::SupervisedCall;
use super::mapped::{MAPS_MAX, hexadecimal};
use super::window::{PAGE, Window};
use crate::action;
use crate::memory::StringBuf;
use crate::sys;
use crate::sys::procfs;
use portcullis_request::context::number;

/// The most mappings in the part of the file that is read: a line is longer than 48 bytes.
const MAPPINGS_MAX: usize = MAPS_MAX / 48;
/// The most entries of a vector that are checked.
const ENTRIES: u64 = 1 << 14;
/// The longest string (MAX_ARG_STRLEN, include/uapi/linux/binfmts.h).
const STRING_MAX: u64 = 128 << 10;
/// The most mappings with a file that are checked for one call; more count as changeable.
const TOUCHED_MAX: usize = 256;

/// A mapping with a file, and its line.
#[derive(Clone, Copy)]
struct Range {
    start: u64,
    end: u64,
    line: [u32; 2],
    is_touched: bool,
}

impl SupervisedCall<'_> {
    /// Whether the path, the vectors of arguments and environment, or one of their strings is in memory that another process can
    /// write to; true if that is unknown.
    pub(super) fn shares(&self, [path, argv, envp]: [u64; 3]) -> bool {
        const SIZE: usize = MAPS_MAX + MAPPINGS_MAX * size_of::<Range>();
        let Some(room) = sys::allocate(SIZE) else { return true };
        // SAFETY: a new mapping of that size, which nobody else has, filled with zeros, which are a valid Range; its second part begins
        // where a page does.
        let (bytes, ranges) = unsafe {
            let ranges = room.cast::<u8>().wrapping_add(MAPS_MAX).cast::<Range>();
            (
                core::slice::from_raw_parts_mut(room.cast::<u8>(), MAPS_MAX),
                core::slice::from_raw_parts_mut(ranges, MAPPINGS_MAX),
            )
        };
        let text = procfs::proc_read_all(self.subject.thread, b"maps", bytes);
        let shares = text.is_empty() || text.len() == MAPS_MAX || self.shares_in(text, ranges, path, [argv, envp]);
        sys::munmap(room, SIZE);
        shares
    }

    fn shares_in(&self, text: &[u8], ranges: &mut [Range], path: u64, vectors: [u64; 2]) -> bool {
        let (mut count, mut from) = (0_usize, 0_usize);
        for line in text.split(|&byte| byte == b'\n') {
            if let Some(mapping) = Mapping::of(line)
                && let Some(place) = ranges.get_mut(count)
            {
                let line = [from as u32, from.wrapping_add(line.len()) as u32];
                *place = Range { start: mapping.start, end: mapping.end, line, is_touched: false };
                count = count.wrapping_add(1);
            }
            from = from.wrapping_add(line.len()).wrapping_add(1);
        }
        let ranges = ranges.get_mut(..count).unwrap_or_default();
        touch(ranges, path);
        let mut page = [0; PAGE];
        for vector in vectors.into_iter().filter(|vector| *vector != 0) {
            let mut window = Window::new(&mut page);
            for index in 0..ENTRIES {
                let at = vector.wrapping_add(index.wrapping_mul(self.width as u64));
                touch(ranges, at);
                match window.number(self.memory, at, self.width).filter(|entry| *entry != 0) {
                    Some(entry) => touch(ranges, entry),
                    None => break,
                }
            }
        }
        let touched = || ranges.iter().filter(|range| range.is_touched);
        let line = |range: &Range| text.get(range.line[0] as usize..range.line[1] as usize).and_then(Mapping::of);
        touched().count() > TOUCHED_MAX
            || touched().any(|range| line(range).is_none_or(|mapping| self.is_changed_by_others(&mapping)))
    }

    /// Whether a user other than root can write to the mapped file. No one can write to the running program itself.
    fn is_changed_by_others(&self, mapping: &Mapping<'_>) -> bool {
        let (mut link, path) = (StringBuf::<64>::new(), StringBuf::<4097>::of(mapping.path));
        link.push(b"map_files/");
        link.push(mapping.range);
        // Only an administrator of the host may follow that link.
        let file = procfs::proc_stat(self.subject.thread, link.bytes())
            .or_else(|| sys::stat(path.c_str()).filter(|file| path.fits() && file.identity.1 == mapping.inode));
        let program = super::subject::image_of(self.subject.thread);
        file.is_none_or(|file| action::is_changeable(&file) && Some(file.identity) != program)
    }
}

/// Marks the mappings in which a string at an address may be; it may continue in the next. The mappings are in order.
fn touch(ranges: &mut [Range], at: u64) {
    let first = ranges.partition_point(|range| range.end <= at);
    let rest = ranges.get_mut(first..).unwrap_or_default();
    rest.iter_mut()
        .take_while(|range| range.start < at.saturating_add(STRING_MAX))
        .for_each(|range| range.is_touched = true);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_followed_as_far_as_it_may_go() {
        let page = PAGE as u64;
        let of = |pages: u64| Range { start: pages * page, end: (pages + 1) * page, line: [0; 2], is_touched: false };
        let touched = |at: u64| {
            let mut ranges = [of(100), of(102), of(300)];
            touch(&mut ranges, at);
            ranges.map(|range| range.is_touched)
        };
        assert_eq!(touched(100 * page), [true, true, false]);
        // The string begins in private memory, more than a page earlier.
        assert_eq!(touched(97 * page), [true, true, false]);
        assert_eq!(touched(300 * page - STRING_MAX), [false; 3]);
        assert_eq!(touched(300 * page - STRING_MAX + 1), [false, false, true]);
        assert_eq!(touched(101 * page), [false, true, false]);
        assert_eq!(touched(301 * page), [false; 3]);
    }
}
