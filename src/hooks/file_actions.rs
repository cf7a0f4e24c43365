//! The file actions of posix_spawn (glibc, posix/spawn_int.h), as far as they change which file a path refers to and what the
//! standard descriptors of the new program are, or open the memory of a process for writing: the program would have the
//! caller's.

use super::open;
use crate::files;
use crate::judge::Decision;
use crate::memory::{PathCopy, Plain, Reader, Text};
use crate::sys::{self, Fd};
use core::ffi::{CStr, c_char, c_int};
use portcullis_policy::Unknown;

/// Actions that are looked at; more are not known.
const ACTIONS_MAX: usize = 4096;
/// Descriptors of which it is remembered what they became.
const DESCRIPTORS: usize = 64;
/// What a file has that an action opens: no connection.
const OPENED: c_int = -1;

/// `struct __spawn_action`: a tag, then a union of at most three words.
#[repr(C)]
#[derive(Clone, Copy)]
struct Action {
    tag: c_int,
    words: [usize; 3],
}

// SAFETY: numbers.
unsafe impl Plain for Action {}

/// The public type's beginning.
#[repr(C)]
#[derive(Clone, Copy)]
struct Actions {
    allocated: c_int,
    used: c_int,
    actions: *const Action,
}

// SAFETY: numbers and a pointer.
unsafe impl Plain for Actions {}

const CLOSE: c_int = 0;
const DUP2: c_int = 1;
const OPEN: c_int = 2;
const CHDIR: c_int = 3;
const FCHDIR: c_int = 4;
const CLOSE_FROM: c_int = 5;
const TCSETPGRP: c_int = 6;

/// What the actions change.
pub struct Effects {
    /// The folder in which the new program begins; `None` for the caller's.
    folder: Option<Fd>,
    /// Descriptors of the new process, and which of the caller's they are.
    became: [(c_int, c_int); DESCRIPTORS],
    count: usize,
    /// The first of the descriptors of which all are closed.
    closed: c_int,
    unknown: bool,
    judged: Decision,
}

impl Effects {
    /// Those of `actions`, which may be null.
    pub fn of(actions: *const libc::posix_spawn_file_actions_t) -> Effects {
        let mut effects = Effects {
            folder: None,
            became: [(0, 0); DESCRIPTORS],
            count: 0,
            closed: c_int::MAX,
            unknown: false,
            judged: Ok(()),
        };
        if !actions.is_null() && effects.read(actions.cast()).is_none() {
            effects.unknown = true;
        }
        effects
    }

    fn read(&mut self, actions: *const Actions) -> Option<()> {
        let reader = Reader::default();
        let actions: Actions = reader.value(actions)?;
        let used = usize::try_from(actions.used).ok().filter(|used| *used <= ACTIONS_MAX)?;
        for index in 0..used {
            let action: Action = reader.value(actions.actions.wrapping_add(index))?;
            // Two ints share the first word.
            let (first, second) = (action.words[0] as c_int, (action.words[0] >> 32) as c_int);
            match action.tag {
                CLOSE => self.becomes(first, OPENED)?,
                DUP2 => self.becomes(second, self.source(first))?,
                OPEN => {
                    let [_, path, flags] = action.words;
                    if self.judged.is_ok() && open::writes(flags as c_int) {
                        self.opens(path as *const _)?;
                    }
                    self.becomes(first, OPENED)?;
                }
                CHDIR => {
                    let mut room = PathCopy::new();
                    let path = room.of(action.words[0] as *const _).ok()?;
                    let flags = libc::O_PATH | libc::O_DIRECTORY;
                    self.folder = Some(sys::open(self.folder(), path, flags, 0).ok()?);
                }
                FCHDIR => {
                    let source = self.source(first);
                    if source == OPENED {
                        return None;
                    }
                    self.folder = Some(Fd(sys::duplicate_high(source, 0).ok()?));
                }
                // Whatever it closes is no connection.
                CLOSE_FROM => {
                    self.closed = self.closed.min(first);
                    for fd in first.max(0)..=2 {
                        self.becomes(fd, OPENED)?;
                    }
                }
                TCSETPGRP => {}
                _ => return None,
            }
        }
        Some(())
    }

    /// Judges an open for writing, by the file that the path leads to now.
    fn opens(&mut self, path: *const c_char) -> Option<()> {
        let mut room = PathCopy::new();
        let Ok(path) = room.of(path) else { return Some(()) };
        let file = sys::open(self.folder(), path, libc::O_PATH, 0);
        match file.map_err(|errno| sys::lookup_error(self.folder(), path, errno)) {
            Ok(file) => self.judged = open::judged(file.0),
            // Nothing is there: it is made, unless an action before leads to it.
            Err(libc::ENOENT | libc::ENOTDIR)
                if !self.changes() || !sys::leads_through_process(self.folder(), path) => {}
            // The new process finds as little.
            Err(libc::EACCES | libc::ELOOP | libc::ENAMETOOLONG) => {}
            Err(_) => return None,
        }
        Some(())
    }

    fn becomes(&mut self, fd: c_int, source: c_int) -> Option<()> {
        let place = self.became.iter().take(self.count).position(|(known, _)| *known == fd).unwrap_or(self.count);
        *self.became.get_mut(place)? = (fd, source);
        self.count = self.count.max(place.wrapping_add(1));
        Some(())
    }

    /// Which of the caller's descriptors `fd` is by now.
    fn source(&self, fd: c_int) -> c_int {
        self.became.iter().take(self.count).find(|(known, _)| *known == fd).map_or(fd, |(_, source)| *source)
    }

    /// Whether an action changes what a path may lead to.
    fn changes(&self) -> bool {
        self.count > 0 || self.folder.is_some()
    }

    /// The path by which the new process finds what the caller has as `fd`: by its own descriptor where it still has that, else by
    /// the caller's.
    pub fn path_of(&self, fd: c_int) -> Text<64> {
        if fd < self.closed && self.source(fd) == fd && !self.unknown {
            return files::proc_descriptor(fd);
        }
        let mut name = Text::<16>::of(b"fd/");
        name.number(u64::from(fd.cast_unsigned()));
        files::proc_path(sys::getpid(), name.bytes())
    }

    /// What is decided of the files that the actions open for writing.
    pub fn judged(&self) -> Decision {
        self.judged
    }

    /// The descriptor of the folder in which a relative path begins.
    pub fn folder(&self) -> c_int {
        self.folder.as_ref().map_or(libc::AT_FDCWD, |folder| folder.0)
    }

    /// The caller's descriptors that will be the standard ones.
    pub fn standard(&self) -> [c_int; 3] {
        [0, 1, 2].map(|fd| self.source(fd))
    }

    /// Whether what `path` refers to is not known: the actions were not read, or the path leads through a descriptor or a
    /// folder of a process (/proc/self/fd/N), which is another one in the new process.
    pub fn unknown_of(&self, path: &CStr) -> Option<Unknown> {
        (self.unknown || (self.changes() && sys::leads_through_process(self.folder(), path)))
            .then_some(Unknown::FileActions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read_as_libc_writes_them() {
        // SAFETY: libc's own functions on their own object, which is initialised first and destroyed last.
        unsafe {
            let mut actions = core::mem::MaybeUninit::uninit();
            assert_eq!(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()), 0);
            let at = actions.as_mut_ptr();
            assert_eq!(libc::posix_spawn_file_actions_addopen(at, 7, c"/dev/null".as_ptr(), libc::O_RDONLY, 0), 0);
            assert_eq!(libc::posix_spawn_file_actions_adddup2(at, 9, 0), 0);
            assert_eq!(libc::posix_spawn_file_actions_adddup2(at, 0, 1), 0);
            assert_eq!(libc::posix_spawn_file_actions_adddup2(at, 7, 2), 0);
            assert_eq!(libc::posix_spawn_file_actions_addclose(at, 9), 0);
            let effects = Effects::of(at);
            assert!(!effects.unknown);
            assert_eq!(effects.standard(), [9, 9, OPENED]);
            assert_eq!(effects.unknown_of(c"/bin/true"), None);
            assert_eq!(effects.unknown_of(c"/proc/self/fd/7"), Some(Unknown::FileActions));
            libc::posix_spawn_file_actions_destroy(at);
        }
        assert_eq!(Effects::of(core::ptr::null()).standard(), [0, 1, 2]);
        assert_eq!(Effects::of(core::ptr::null()).unknown_of(c"/proc/self/fd/7"), None);
    }

    #[test]
    fn the_folder_is_the_one_that_is_changed_to() {
        unsafe extern "C" {
            fn posix_spawn_file_actions_addchdir_np(
                at: *mut libc::posix_spawn_file_actions_t,
                path: *const i8,
            ) -> c_int;
        }
        // SAFETY: as above.
        unsafe {
            let mut actions = core::mem::MaybeUninit::uninit();
            assert_eq!(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()), 0);
            let at = actions.as_mut_ptr();
            assert_eq!(posix_spawn_file_actions_addchdir_np(at, c"/usr".as_ptr().cast()), 0);
            assert_eq!(posix_spawn_file_actions_addchdir_np(at, c"bin".as_ptr().cast()), 0);
            let effects = Effects::of(at);
            assert!(!effects.unknown);
            let found = sys::stat_at(effects.folder(), c"env").unwrap();
            assert_eq!(Some(found.identity), sys::stat(c"/usr/bin/env").map(|stat| stat.identity));
            libc::posix_spawn_file_actions_destroy(at);
        }
    }
}
