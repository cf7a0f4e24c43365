//! Checks whether another process can change the path and the arguments of a program between the verdict and the kernel's lookup: through
//! shared memory, or through a mapped file.

use super::answer::SupervisedCall;
use super::mapped::{Mappings, TEXT_MAX};
use super::window::{PAGE, Window};
use crate::action;
use crate::memory::StringBuf;
use crate::sys;
use crate::sys::MappingQuery;
use crate::sys::procfs;

/// Entries of a vector that are looked at.
const ENTRIES: u64 = 1 << 14;
/// The longest string (MAX_ARG_STRLEN, include/uapi/linux/binfmts.h).
const STRING_MAX: u64 = 128 << 10;
/// How many mappings with a file, and places between them, are looked at; the parts of a call with more are taken for changeable.
const KNOWN_MAX: usize = 512;

/// The mappings with a file that a call's parts lie in.
struct Touched<'m> {
    mappings: &'m Mappings,
    /// What is known: from where to where, and whether a mapping with a file is there.
    known: [(u64, u64, bool); KNOWN_MAX],
    count: usize,
    /// All of them are known.
    is_whole: bool,
}

impl<'m> Touched<'m> {
    fn new(mappings: &'m Mappings) -> Touched<'m> {
        Touched { mappings, known: [(0, 0, false); KNOWN_MAX], count: 0, is_whole: true }
    }

    /// Looks at what something at an address may lie in; a string may go on from one mapping to the next.
    fn look(&mut self, at: u64) {
        let (mut from, end) = (at, at.saturating_add(STRING_MAX));
        while from < end && self.is_whole {
            let known = self.known.iter_mut().take(self.count);
            if let Some((_, to, _)) = known.into_iter().find(|(start, to, _)| *start <= from && from < *to) {
                from = *to;
                continue;
            }
            match self.mappings.find(from, MappingQuery::NextWithFile, &mut []) {
                Ok(None) => self.note(from, u64::MAX, false),
                Ok(Some(next)) if next.start > from => self.note(from, next.start, false),
                Ok(Some(next)) => self.note(next.start, next.end, true),
                Err(()) => self.is_whole = false,
            }
        }
    }

    fn note(&mut self, from: u64, to: u64, has_file: bool) {
        let mut known = self.known.iter_mut().take(self.count);
        // Where there is none, there may be none before it either.
        if let Some(gap) = known.find(|gap| !has_file && !gap.2 && gap.1 == to) {
            gap.0 = gap.0.min(from);
            return;
        }
        match self.known.get_mut(self.count) {
            Some(place) => *place = (from, to, has_file),
            None => self.is_whole = false,
        }
        self.count = self.count.wrapping_add(1);
    }

    /// The mappings with a file; `None` where not all are known.
    fn all(&self) -> Option<impl Iterator<Item = (u64, u64)>> {
        let with_file = self.known.iter().take(self.count).filter(|known| known.2);
        self.is_whole.then(|| with_file.map(|(start, end, _)| (*start, *end)))
    }
}

impl SupervisedCall<'_> {
    /// Whether the path, the vectors of arguments and environment, or one of their strings is in memory that another process can
    /// write to; true if that is unknown.
    pub(super) fn shares(&self, [path, argv, envp]: [u64; 3]) -> bool {
        let Some(mappings) = Mappings::of(self.subject.thread, TEXT_MAX) else { return true };
        let mut touched = Touched::new(&mappings);
        touched.look(path);
        let mut page = [0; PAGE];
        for vector in [argv, envp].into_iter().filter(|vector| *vector != 0) {
            let mut window = Window::new(&mut page);
            for index in 0..ENTRIES {
                let at = vector.wrapping_add(index.wrapping_mul(self.width as u64));
                touched.look(at);
                match window.number(self.memory, at, self.width).filter(|entry| *entry != 0) {
                    Some(entry) => touched.look(entry),
                    None => break,
                }
            }
        }
        touched.all().is_none_or(|mut all| all.any(|range| self.is_changed_by_others(&mappings, range)))
    }

    /// Whether somebody other than root can write to the file that is mapped. The program itself nobody can write to.
    fn is_changed_by_others(&self, mappings: &Mappings, (start, end): (u64, u64)) -> bool {
        let mut name = [0; 4097];
        let Ok(Some(found)) = mappings.find(start, MappingQuery::At, &mut name) else { return true };
        let path = StringBuf::<4097>::of(name.get(..found.name_len.saturating_sub(1)).unwrap_or_default());
        let mut link = StringBuf::<64>::new();
        link.push(b"map_files/");
        in_hexadecimal(start, &mut link);
        link.push(b"-");
        in_hexadecimal(end, &mut link);
        // Only who administers the host may follow that.
        let file = procfs::proc_stat(self.subject.thread, link.bytes())
            .or_else(|| sys::stat(path.c_str()).filter(|file| path.fits() && file.identity.1 == found.inode));
        let program = super::subject::image_of(self.subject.thread);
        let is_it = (found.start, found.end) == (start, end);
        !is_it || file.is_none_or(|file| action::is_changeable(&file) && Some(file.identity) != program)
    }
}

/// The digits of a number, without zeros before them.
fn in_hexadecimal(number: u64, into: &mut StringBuf<64>) {
    let first = number.checked_ilog2().unwrap_or(0) / 4;
    for place in (0..=first).rev() {
        let digit = char::from_digit((number >> (4 * place)) as u32 & 15, 16);
        into.push(&[digit.map_or(b'0', |digit| digit as u8)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_digits() {
        for number in [0, 1, 15, 16, 0x7fff_0000_1000, u64::MAX] {
            let mut digits = StringBuf::new();
            in_hexadecimal(number, &mut digits);
            assert_eq!(digits.bytes(), format!("{number:x}").as_bytes());
        }
    }

    #[test]
    fn a_string_is_followed_as_far_as_it_may_go() {
        let mappings = Mappings::of(sys::getpid(), TEXT_MAX).expect("mappings");
        // Memory of this process alone, and behind it memory that has a file of the kernel's, as all has that processes share.
        let room = sys::allocate(1 << 20).expect("memory") as u64;
        let at = room + (1 << 19);
        let shared = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: over memory of this test's own.
        let made = unsafe { libc::mmap(at as *mut _, 4096, libc::PROT_READ, shared, -1, 0) };
        assert_eq!(made as u64, at);
        let touches = |from: &[u64]| {
            let mut touched = Touched::new(&mappings);
            from.iter().for_each(|from| touched.look(*from));
            touched.all().expect("all of them").any(|range| range == (at, at + 4096))
        };
        assert!(touches(&[at]) && touches(&[at + 4095]) && touches(&[at - STRING_MAX + 1]));
        assert!(!touches(&[at - STRING_MAX]) && !touches(&[at + 4096]) && !touches(&[room]));
        // What was looked at before hides nothing.
        assert!(touches(&[at - STRING_MAX, at]) && touches(&[room, at - 1, at + 4096]));
        assert!(!touches(&[at + 4096, room, at - STRING_MAX]));
    }
}
