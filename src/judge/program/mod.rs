//! Which program a path really is: by name, by what a symlink resolves to, by applet, by the interpreter of a script, by
//! what the dynamic loader is told to run.
//!
//! What cannot be opened, read or followed is `unknown`, which the policy decides. Nothing has a bound here that it does not
//! have in the kernel.

mod format;
mod interpreter;
mod loader;
mod privileges;
mod real_path;
mod script;
mod starter;

use crate::action;
use crate::action::Place;
use crate::memory::{StringBuf, base_name};
use crate::policy::in_force;
use crate::sys::PATH_MAX;
use crate::sys::procfs;
use crate::sys::{self, Fd, Stat};
use core::ffi::CStr;
use format::{Format, HEAD, Loader};
use portcullis_policy::Unknown;
use portcullis_policy::exec::SANITIZER;
use portcullis_policy::image::{BUILD_ID_MAX, Kind};
pub use script::{ScriptLine, words};
pub use starter::Starter;

const FOREIGN: &str = "foreign";
/// Why the preload does not hold in a program that gains privileges.
pub const SETUID: &str = "setuid";
/// Base names that one program may go by.
const NAMES: usize = 16;
/// Folders in which a shell is the system's own, so that `allow` can be believed.
const SYSTEM: [&[u8]; 6] = [b"/bin/", b"/usr/bin/", b"/sbin/", b"/usr/sbin/", b"/usr/local/bin/", b"/usr/lib/"];

/// A program.
pub struct Program<'p> {
    names: [StringBuf<64>; NAMES],
    count: usize,
    /// How many of the names are its own rather than an interpreter's.
    pub own_names: usize,
    /// The path with every symlink resolved; empty where it is not known.
    pub real: StringBuf<PATH_MAX>,
    /// The file is neither ELF nor a script, so that execvp and its kin run it with sh.
    pub unknown_format: bool,
    /// Its loader does not load this library: another word size, or musl's where the server is glibc's.
    foreign: bool,
    /// Its loader is musl's.
    is_musl: bool,
    /// Why the preload will not hold in it: `static`, `setuid`, `foreign`, `sanitizer`; empty where it will.
    pub unguarded: &'static str,
    /// Its loader is none of the system's.
    pub has_own_loader: bool,
    /// What could not be read; the first of it.
    pub unknown: Option<Unknown>,
    /// The dynamic loader is run as a program, and told to load a library.
    pub loads_library: bool,
    /// The file's status when it was judged.
    pub stat: Stat,
    /// Device and inode of what the new process will run: of a script, its interpreter. Zeros where that is not known.
    pub image: (u64, u64),
    /// Device and inode of what decides which program it is: of a script its interpreter, of what the dynamic loader is told
    /// to run that.
    pub identity: (u64, u64),
    build_id: ([u8; BUILD_ID_MAX], usize),
    /// It is a script.
    pub is_script: bool,
    /// It is a script, and what its line names only finds its interpreter: env(1).
    pub is_found: bool,
    /// Of a script whose interpreter is none itself: the interpreter, and the line that names it.
    pub interpreter: Option<(Fd, ScriptLine)>,
    /// Who starts it; `None` where it does not matter what that may write to.
    pub starter: Option<Starter>,
    /// The starter could have put another program in the place of what runs it.
    runs_own: bool,
    /// The open file.
    file: Option<Fd>,
    /// Where the process is that starts it; `None` where that is this one.
    place: Option<&'p Place>,
}

/// The errors with which a file cannot be opened for the kernel either, so that it is no program. Others are this process's
/// own: no free descriptor, no memory, a filter of somebody's.
fn is_absent(errno: i32) -> bool {
    matches!(
        errno,
        libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG | libc::EACCES | libc::ESTALE | libc::EBADF
    )
}

/// Whether `starter` could have put another file where an absolute path leads.
#[cold]
#[inline(never)]
pub fn is_own_script(starter: &Starter, path: &[u8]) -> bool {
    let (path, mut real) = (StringBuf::<513>::of(path), StringBuf::<PATH_MAX>::new());
    let Ok(file) = sys::open(libc::AT_FDCWD, path.c_str(), libc::O_PATH, 0) else { return true };
    let Some(stat) = sys::fstat(file.0) else { return true };
    let is_known = real_path::find(file.0, &stat, Some((libc::AT_FDCWD, path.c_str())), &mut real);
    stat.mode & libc::S_IFMT != libc::S_IFREG || !is_known || starter.may_replace(real.bytes())
}

impl<'p> Program<'p> {
    /// No program yet, of a process there.
    pub fn none(place: Option<&'p Place>) -> Program<'p> {
        Program {
            names: [const { StringBuf::new() }; NAMES],
            count: 0,
            own_names: 0,
            real: StringBuf::new(),
            unknown_format: false,
            foreign: false,
            is_musl: false,
            unguarded: "",
            has_own_loader: false,
            unknown: None,
            loads_library: false,
            stat: Stat::default(),
            image: (0, 0),
            identity: (0, 0),
            build_id: ([0; BUILD_ID_MAX], 0),
            is_script: false,
            is_found: false,
            interpreter: None,
            starter: None,
            runs_own: false,
            file: None,
            place,
        }
    }

    /// Finds the program at `path`, relative to `at`, called with `argv`; the errno with which the kernel does not run it.
    #[inline(never)]
    pub fn find(&mut self, at: i32, path: &CStr, argv: &[&[u8]]) -> Result<(), i32> {
        self.push(base_name(path.to_bytes()));
        match sys::open(at, path, libc::O_PATH, 0) {
            Ok(file) => self.examine(file, Some((at, path)), argv)?,
            // Twice: a filter that somebody put before one of the calls makes it fail, too.
            Err(errno) => {
                match sys::stat_at(at, path) {
                    Err(_) if is_absent(errno) => return Err(errno),
                    Err(errno) if is_absent(errno) => return Err(errno),
                    Err(_) => {}
                    Ok(stat) => self.stat = stat,
                }
                self.own_names = self.count;
                self.cannot(Unknown::Program);
            }
        }
        Ok(())
    }

    /// Finds the program that a descriptor of the caller refers to. Closing it is the caller's affair.
    pub fn of_descriptor(&mut self, fd: i32, argv: &[&[u8]]) -> Result<(), i32> {
        match sys::duplicate_high(fd, 0) {
            Ok(file) => self.examine(Fd(file), None, argv),
            Err(libc::EBADF) => Err(libc::EBADF),
            Err(_) => {
                self.cannot(Unknown::Program);
                Ok(())
            }
        }
    }

    /// Adds a base name.
    pub fn push(&mut self, name: &[u8]) {
        match self.names.get_mut(self.count) {
            Some(to) => {
                *to = StringBuf::new();
                to.push(name);
                self.count = self.count.wrapping_add(1);
            }
            None => self.cannot(Unknown::Arguments),
        }
    }

    /// Calls `look` with all base names.
    pub fn with_names<R>(&self, look: impl FnOnce(&[&[u8]]) -> R) -> R {
        let mut names = [&b""[..]; NAMES];
        for (to, from) in names.iter_mut().zip(&self.names).take(self.count) {
            *to = from.bytes();
        }
        look(names.get(..self.count).unwrap_or_default())
    }

    /// Whether it is a program of the system, not one that somebody put elsewhere under a shell's name.
    pub fn of_system(&self) -> bool {
        is_of_system(self.real.bytes())
    }

    /// Whether who starts it could have put another program in its place, or in that of its interpreter.
    pub fn is_own(&self) -> bool {
        self.starter.is_some_and(|starter| self.runs_own || starter.may_replace(self.real.bytes()))
    }

    /// Whether it is of another word size, whose loader complains of a library that it cannot load.
    pub fn is_of_other_width(&self) -> bool {
        self.foreign && !self.is_musl
    }

    /// Notes where an interpreter lies.
    fn runs_at(&mut self, real: &[u8]) {
        self.runs_own |= self.starter.is_some_and(|starter| starter.may_replace(real));
    }

    /// The build-id of its file; empty where it has none.
    pub fn build_id(&self) -> &[u8] {
        self.build_id.0.get(..self.build_id.1).unwrap_or_default()
    }

    /// The open file by which it can be run; of a script its interpreter's, with the line that names it.
    pub fn into_file(self) -> (Option<Fd>, Option<ScriptLine>) {
        let (file, line) = match self.interpreter {
            Some((file, line)) => (Some(file), Some(line)),
            None => (self.file, None),
        };
        // A file action of posix_spawn, or a script, may mean a low number as one that is free.
        (file.map(|file| sys::duplicate_highest(file.0).map_or(file, Fd)), line)
    }

    /// Notes who may write to a file that it is made of.
    fn note(&self, stat: &Stat) {
        if let Some(place) = self.place {
            place.note(action::is_changeable(stat));
        }
    }

    /// Opens a path that a program names rather than its caller, as a place only: the errno where there is nothing,
    /// `Err(None)` where that is not known.
    fn open(&self, path: &CStr) -> Result<Fd, Option<i32>> {
        match self.place {
            Some(place) => place.open(None, path, true),
            None => sys::open(libc::AT_FDCWD, path, libc::O_PATH, 0).map_err(|errno| is_absent(errno).then_some(errno)),
        }
    }

    /// How a file is opened again that [`Program::open`] has opened: only here does its path say it.
    fn opened<'c>(&self, path: &'c CStr) -> Option<(i32, &'c CStr)> {
        self.place.is_none().then_some((libc::AT_FDCWD, path))
    }

    /// Something of it is not known.
    pub fn cannot(&mut self, what: Unknown) {
        self.unknown = self.unknown.or(Some(what));
    }

    /// Looks at an open file, of which `opened` is how.
    fn examine(&mut self, file: Fd, opened: Option<(i32, &CStr)>, argv: &[&[u8]]) -> Result<(), i32> {
        let Some(stat) = sys::fstat(file.0) else {
            self.own_names = self.count;
            self.cannot(Unknown::Program);
            return Ok(());
        };
        if stat.mode & libc::S_IFMT != libc::S_IFREG {
            return Err(libc::EACCES);
        }
        self.stat = stat;
        self.note(&stat);
        self.image = stat.identity;
        self.identity = stat.identity;
        if !real_path::find(file.0, &stat, opened, &mut self.real) {
            self.real.set(b"");
            self.cannot(Unknown::Path);
        }
        let name = StringBuf::<64>::of(base_name(self.real.bytes()));
        self.push(name.bytes());
        let mut head = [0; HEAD];
        let readable = readable(&file, opened, &stat);
        let head = readable.as_ref().and_then(|file| sys::read_head(file.0, &mut head));
        if head.is_none() && stat.uid != 0 {
            // Executable without being readable. Root's own are what they are called.
            self.cannot(Unknown::Program);
        }
        let is_read = head.is_some();
        let head = head.unwrap_or_default();
        self.file = Some(file);
        let format = Format::of(head);
        if let Format::Native(elf) = &format {
            self.take_build_id(elf.build_id);
        }
        let kind = self.kind();
        if is_multicall(name.bytes()) || kind == Some(Kind::Applets) {
            // The applet is the name it was called by, else its first argument.
            for argument in argv.iter().take(2) {
                self.push(base_name(argument));
            }
        }
        match format {
            Format::Script(line) => {
                self.own_names = self.count;
                self.is_script = true;
                return self.script(line, opened);
            }
            Format::Native(elf) => {
                self.guard_in(&elf.loader, &stat);
                self.first_in(head, readable.as_ref());
                let is_loader = loader::is_loader(name.bytes()) || kind == Some(Kind::Loader);
                if matches!(elf.loader, Loader::None) && is_loader {
                    let is_known = interpreter::is_of_system(&stat, name.bytes());
                    self.run_by_loader(argv.get(1..).unwrap_or_default(), is_known);
                }
                self.own_names = self.count;
                let Some(file) = self.file.take() else { return Ok(()) };
                let found = self.loaded_by(&elf.loader, (&file, &stat), opened, argv);
                self.file = Some(file);
                return found;
            }
            Format::Foreign => {
                self.foreign = true;
                self.unguarded = FOREIGN;
            }
            Format::Broken | Format::Other => self.unknown_format = is_read,
        }
        self.own_names = self.count;
        Ok(())
    }

    fn take_build_id(&mut self, id: &[u8]) {
        self.build_id.1 = 0;
        if let Some(to) = self.build_id.0.get_mut(..id.len()) {
            to.copy_from_slice(id);
            self.build_id.1 = id.len();
        }
    }

    /// What the policy knows its file to be, whatever its name.
    fn kind(&self) -> Option<Kind> {
        let (device, inode) = self.identity;
        in_force::policy().image(device, inode, self.build_id()).map(|(kind, _)| kind)
    }

    /// Notes whether a library of the program's own has to come before this one.
    fn first_in(&mut self, head: &[u8], file: Option<&Fd>) {
        if self.unguarded.is_empty()
            && let Some(file) = file
            && format::needs_to_be_first(head, |at, into| sys::read_at(file.0, into, at).len())
        {
            self.unguarded = SANITIZER;
        }
    }

    /// Notes why a preload will not hold in a program with this loader.
    fn guard_in(&mut self, loader: &Loader<'_>, stat: &Stat) {
        let is_musl = matches!(loader, Loader::Named(path) if base_name(path).starts_with(b"ld-musl"));
        // Where this process is musl's, its loader has just loaded the library.
        if is_musl && !crate::process::state::has_other_libc() {
            (self.foreign, self.is_musl) = (true, true);
            self.unguarded = FOREIGN;
        } else if self.file.as_ref().is_none_or(|file| privileges::gains(file.0, stat, self.place)) {
            self.unguarded = SETUID;
        } else if matches!(loader, Loader::None) {
            self.unguarded = "static";
        }
    }
}

/// Whether a path lies in a folder of the system, by its words.
pub fn is_of_system(path: &[u8]) -> bool {
    let is_below = |folder: &&[u8]| path.strip_prefix(*folder).is_some_and(|rest| !rest.starts_with(b"../"));
    SYSTEM.iter().any(is_below) && !path.windows(4).any(|four| four == b"/../")
}

/// Whether a program of this name has many programs in it.
fn is_multicall(name: &[u8]) -> bool {
    name.starts_with(b"busybox") || name.starts_with(b"toybox")
}

/// The beginning of a regular file that was opened as a place only (O_PATH), or for reading; `None` where it cannot be read.
fn read<'h>(file: &Fd, opened: Option<(i32, &CStr)>, stat: &Stat, into: &'h mut [u8]) -> Option<&'h [u8]> {
    sys::read_head(readable(file, opened, stat)?.0, into)
}

/// The same file, opened for reading.
fn readable(file: &Fd, opened: Option<(i32, &CStr)>, stat: &Stat) -> Option<Fd> {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let readable = match sys::open(libc::AT_FDCWD, procfs::proc_descriptor(file.0).c_str(), flags, 0) {
        Ok(readable) => readable,
        Err(_) => {
            let (at, path) = opened?;
            sys::open(at, path, flags, 0).ok()?
        }
    };
    // By the path, or by a /proc that somebody has covered, it may be another file.
    sys::fstat(readable.0).filter(|now| now.identity == stat.identity)?;
    Some(readable)
}
