//! The file actions of posix_spawn (glibc, posix/spawn_int.h), as far as they change which file a path refers to and what the
//! standard descriptors of the new program are, or open the memory of a process for writing: the program would have the
//! caller's.

use super::musl_actions::Translated;
use super::{open, reading};
use crate::action::Decision;
use crate::memory::StringBuf;
use crate::process::state;
use crate::sys::procfs;
use crate::sys::{self, Fd};
use crate::sys::{PathCopy, Plain, Reader};
use core::ffi::{CStr, c_char, c_int};
use portcullis_policy::Unknown;

/// What a standard descriptor is that an action opens or closes: no connection.
const NO_CONNECTION: c_int = -1;

const FOLDER: c_int = libc::O_PATH | libc::O_DIRECTORY;

/// `struct __spawn_action`: a tag, then a union of at most three words.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Action {
    pub tag: c_int,
    pub words: [usize; 3],
}

// SAFETY: numbers.
unsafe impl Plain for Action {}

/// The public type's beginning.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Actions {
    pub allocated: c_int,
    pub used: c_int,
    pub actions: *const Action,
}

impl Action {
    /// The descriptors, which share the first word.
    pub fn descriptors(&self) -> (c_int, c_int) {
        (self.words[0] as c_int, (self.words[0] >> 32) as c_int)
    }
}

// SAFETY: numbers and a pointer.
unsafe impl Plain for Actions {}

pub const CLOSE: c_int = 0;
pub const DUP2: c_int = 1;
pub const OPEN: c_int = 2;
pub const CHDIR: c_int = 3;
pub const FCHDIR: c_int = 4;
pub const CLOSE_FROM: c_int = 5;
const TCSETPGRP: c_int = 6;

/// What a descriptor of the new process is.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    /// The caller's, with this number.
    Caller(c_int),
    /// The file that the action of this index opens: no connection.
    Opened(usize),
    Closed,
}

/// What the actions do to the new process.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Known,
    /// One of them fails, so that no program is started.
    Fails,
    Unknown,
}

/// What the actions change.
pub struct Effects {
    actions: *const Action,
    /// Those that were read.
    count: usize,
    /// Where they are musl's.
    translated: Option<Translated>,
    /// The folder in which the new program begins; `None` for the caller's.
    folder: Option<Fd>,
    changes_descriptors: bool,
    standard: [c_int; 3],
    outcome: Outcome,
    decision: Decision,
}

impl Effects {
    /// Those of `actions`, which may be null.
    pub fn of(actions: *const libc::posix_spawn_file_actions_t) -> Effects {
        let mut effects = Effects {
            actions: core::ptr::null(),
            count: 0,
            translated: None,
            folder: None,
            changes_descriptors: false,
            standard: [0, 1, 2],
            outcome: Outcome::Known,
            decision: Ok(()),
        };
        if !actions.is_null() && effects.read(actions.cast()).is_none() {
            effects.outcome = Outcome::Unknown;
        }
        effects
    }

    fn read(&mut self, actions: *const Actions) -> Option<()> {
        let reader = Reader::default();
        let count = if state::has_other_libc() {
            let translated = self.translated.insert(Translated::of(&reader, actions.cast())?);
            self.actions = translated.actions();
            translated.count
        } else {
            let actions: Actions = reader.value(actions)?;
            self.actions = actions.actions;
            usize::try_from(actions.used).ok()?
        };
        for index in 0..count {
            self.count = index;
            let action = self.action(&reader, index)?;
            let (first, _) = action.descriptors();
            match action.tag {
                CLOSE | DUP2 | CLOSE_FROM => self.changes_descriptors = true,
                OPEN => {
                    let [_, path, flags] = action.words;
                    let flags = flags as c_int;
                    if self.decision.is_ok() && (open::writes(flags) || reading::is_judged(flags)) {
                        self.opens(path as *const _, flags)?;
                    }
                    self.changes_descriptors = true;
                }
                CHDIR => self.enter(self.folder(), action.words[0] as *const _)?,
                FCHDIR => self.enter_descriptor(&reader, first)?,
                TCSETPGRP => {}
                _ => return None,
            }
            if self.outcome != Outcome::Known {
                return Some(());
            }
            self.count = index.wrapping_add(1);
        }
        for (fd, standard) in self.standard.iter_mut().enumerate() {
            *standard = match origin(self.actions, &reader, self.count, fd as c_int)? {
                Origin::Caller(fd) => fd,
                Origin::Opened(_) | Origin::Closed => NO_CONNECTION,
            };
        }
        Some(())
    }

    fn action(&self, reader: &Reader, index: usize) -> Option<Action> {
        reader.value(self.actions.wrapping_add(index))
    }

    /// Changes the folder to the one at `path`, which begins in `from`.
    fn enter(&mut self, from: c_int, path: *const c_char) -> Option<()> {
        let mut room = PathCopy::new();
        let Ok(path) = room.of(path) else { return self.fails() };
        if self.changes() && sys::leads_through_process(from, path) {
            return None;
        }
        match sys::open(from, path, FOLDER, 0) {
            Ok(folder) => self.enter_folder(folder.0),
            Err(errno) => self.not_entered(errno),
        }
    }

    fn enter_folder(&mut self, folder: c_int) -> Option<()> {
        // Asks for the right to search it, as chdir does.
        let folder =
            sys::open(folder, c".", FOLDER, 0).map(|folder| sys::duplicate_highest(folder.0).map_or(folder, Fd));
        match folder {
            Ok(folder) => {
                self.folder = Some(folder);
                Some(())
            }
            Err(errno) => self.not_entered(errno),
        }
    }

    fn not_entered(&mut self, errno: c_int) -> Option<()> {
        match errno {
            libc::EMFILE | libc::ENFILE | libc::ENOMEM => None,
            _ => self.fails(),
        }
    }

    /// Changes the folder to the new process's descriptor `fd`.
    fn enter_descriptor(&mut self, reader: &Reader, fd: c_int) -> Option<()> {
        match origin(self.actions, reader, self.count, fd)? {
            Origin::Caller(fd) => self.enter_folder(fd),
            Origin::Opened(index) => {
                let [_, path, _] = self.action(reader, index)?.words;
                let is_absolute = reader.byte(path as *const u8)? == b'/';
                // A relative path begins in the folder of then.
                let from = if is_absolute || self.folder.is_none() { libc::AT_FDCWD } else { return None };
                self.enter(from, path as *const _)
            }
            Origin::Closed => self.fails(),
        }
    }

    fn fails(&mut self) -> Option<()> {
        self.outcome = Outcome::Fails;
        Some(())
    }

    /// Judges an open, by the file that the path leads to now.
    fn opens(&mut self, path: *const c_char, flags: c_int) -> Option<()> {
        let mut room = PathCopy::new();
        let Ok(path) = room.of(path) else { return Some(()) };
        let file = sys::open(self.folder(), path, libc::O_PATH, 0);
        match file.map_err(|errno| sys::lookup_error(self.folder(), path, errno)) {
            Ok(file) if open::writes(flags) => self.decision = open::decide(file.0),
            Ok(file) => self.decision = reading::decide(file.0),
            // Nothing is there: it is made, unless an action before leads to it.
            Err(libc::ENOENT | libc::ENOTDIR)
                if !self.changes() || !sys::leads_through_process(self.folder(), path) => {}
            // The new process finds as little.
            Err(libc::EACCES | libc::ELOOP | libc::ENAMETOOLONG) => {}
            Err(_) => return None,
        }
        Some(())
    }

    /// Whether an action changes what a path may lead to.
    fn changes(&self) -> bool {
        self.changes_descriptors || self.folder.is_some()
    }

    /// The path by which the new process finds what the caller has as `fd`: by its own descriptor where it still has that, else by
    /// the caller's.
    pub fn path_of(&self, fd: c_int) -> StringBuf<64> {
        let origin = origin(self.actions, &Reader::default(), self.count, fd);
        if origin == Some(Origin::Caller(fd)) && self.outcome == Outcome::Known {
            return procfs::proc_descriptor(fd);
        }
        let mut name = StringBuf::<16>::of(b"fd/");
        name.number(u64::from(fd.cast_unsigned()));
        procfs::proc_path(sys::getpid(), name.bytes())
    }

    /// What is decided of the files that the actions open for writing.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Whether an action fails, so that no program is started.
    pub fn fail(&self) -> bool {
        self.outcome == Outcome::Fails
    }

    /// The descriptor of the folder in which a relative path begins.
    pub fn folder(&self) -> c_int {
        self.folder.as_ref().map_or(libc::AT_FDCWD, |folder| folder.0)
    }

    /// The caller's descriptors that will be the standard ones.
    pub fn standard(&self) -> [c_int; 3] {
        self.standard
    }

    /// Whether what `path` refers to is not known: the actions were not read, or the path leads through a descriptor or a
    /// folder of a process (/proc/self/fd/N), which is another one in the new process.
    pub fn unknown_of(&self, path: &CStr) -> Option<Unknown> {
        let is_unknown =
            self.outcome == Outcome::Unknown || (self.changes() && sys::leads_through_process(self.folder(), path));
        is_unknown.then_some(Unknown::FileActions)
    }
}

/// What `fd` is once the first `count` of `actions` are done; `None` where they cannot be read.
fn origin(actions: *const Action, reader: &Reader, count: usize, fd: c_int) -> Option<Origin> {
    let mut fd = fd;
    for index in (0..count).rev() {
        let action: Action = reader.value(actions.wrapping_add(index))?;
        let (first, second) = action.descriptors();
        match action.tag {
            CLOSE if first == fd => return Some(Origin::Closed),
            CLOSE_FROM if first <= fd => return Some(Origin::Closed),
            OPEN if first == fd => return Some(Origin::Opened(index)),
            DUP2 if second == fd => fd = first,
            _ => {}
        }
    }
    Some(Origin::Caller(fd))
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
            assert!(effects.outcome == Outcome::Known);
            assert_eq!(effects.standard(), [9, 9, NO_CONNECTION]);
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
            assert!(effects.outcome == Outcome::Known);
            let found = sys::stat_at(effects.folder(), c"env").unwrap();
            assert_eq!(Some(found.identity), sys::stat(c"/usr/bin/env").map(|stat| stat.identity));
            libc::posix_spawn_file_actions_destroy(at);
        }
    }
}
