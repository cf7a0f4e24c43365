//! Which program a path really is: by name, by what a symlink resolves to, by applet, by the interpreter of a script.

use crate::files;
use crate::memory::{Text, base_name};
use crate::sys::{self, Fd};
use core::ffi::CStr;

/// Interpreters that are scripts themselves, followed this far (the kernel's own bound, fs/exec.c).
const DEPTH: usize = 5;
/// What the kernel reads of a script's first line (BINPRM_BUF_SIZE).
const HEAD: usize = 256;
/// What is read of an ELF file: its header and program headers, behind which linkers put the loader's path.
const ELF_HEAD: usize = 1024;
const ELF: &[u8] = b"\x7fELF";
const FOREIGN: &str = "foreign";
/// Base names that one program may go by.
const NAMES: usize = 16;
/// Arguments in which the dynamic loader, started as a program, is searched for what it is to run.
const LOADER_ARGUMENTS: usize = 6;
/// Folders in which a shell is the system's own, so that `allow` can be believed.
const SYSTEM: [&[u8]; 6] = [b"/bin/", b"/usr/bin/", b"/sbin/", b"/usr/sbin/", b"/usr/local/bin/", b"/usr/lib/"];

/// A program.
pub struct Program {
    names: [Text<64>; NAMES],
    count: usize,
    /// How many of the names are its own rather than an interpreter's.
    pub own_names: usize,
    /// The path with every symlink resolved; empty where /proc is not there.
    pub real: Text<512>,
    /// The file is neither ELF nor a script, so that execvp and its kin run it with sh.
    pub unknown_format: bool,
    /// Its loader cannot load this library: another word size, or musl's.
    pub foreign: bool,
    /// Why the preload will not hold in it: `static`, `setuid`, `foreign`; empty where it will.
    pub unguarded: &'static str,
}

impl Program {
    fn empty() -> Program {
        Program {
            names: [const { Text::new() }; NAMES],
            count: 0,
            own_names: 0,
            real: Text::new(),
            unknown_format: false,
            foreign: false,
            unguarded: "",
        }
    }

    /// The program at `path`, relative to `at`, called with `argv`; `None` where there is no such file, which the
    /// kernel will say.
    pub fn find(at: i32, path: &CStr, argv: &[&[u8]]) -> Option<Program> {
        let mut program = Program::empty();
        program.push(base_name(path.to_bytes()));
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = match sys::open(at, path, flags, 0) {
            Ok(file) => file,
            Err(libc::ENOENT | libc::ENOTDIR) => return None,
            // Executable without being readable: its name can still be resolved.
            Err(_) => match sys::open(at, path, libc::O_PATH, 0) {
                Ok(file) => file,
                Err(_) => return Some(program),
            },
        };
        program.examine(&file, argv);
        Some(program)
    }

    /// The program that a descriptor of the caller refers to.
    pub fn of_descriptor(fd: i32, argv: &[&[u8]]) -> Program {
        let mut program = Program::empty();
        let borrowed = core::mem::ManuallyDrop::new(Fd(fd));
        program.examine(&borrowed, argv);
        program
    }

    /// Adds a base name.
    pub fn push(&mut self, name: &[u8]) {
        if let Some(to) = self.names.get_mut(self.count) {
            *to = Text::new();
            to.push(name);
            self.count = self.count.wrapping_add(1);
        }
    }

    /// Calls `look` with all base names.
    pub fn with_names<R>(&self, look: impl FnOnce(&[&[u8]]) -> R) -> R {
        let mut names = [&b""[..]; NAMES];
        for (to, from) in names.iter_mut().zip(&self.names) {
            *to = from.bytes();
        }
        look(names.get(..self.count).unwrap_or_default())
    }

    /// Whether it is a program of the system, not one that somebody put elsewhere under a shell's name.
    pub fn of_system(&self) -> bool {
        SYSTEM.iter().any(|folder| self.real.bytes().starts_with(folder))
    }

    fn examine(&mut self, file: &Fd, argv: &[&[u8]]) {
        let mut buffer = [0; 512];
        let mut path = Text::<64>::new();
        path.push(b"fd/");
        path.number(u64::from(file.0.cast_unsigned()));
        let real = sys::readlink(files::proc_path(0, path.bytes()).c_str(), &mut buffer);
        self.real.push(real);
        let name = base_name(real);
        self.push(name);
        if name.starts_with(b"busybox") || name.starts_with(b"toybox") {
            // The applet is the name it was called by, else its first argument.
            for argument in argv.iter().take(2) {
                self.push(base_name(argument));
            }
        } else if name.starts_with(b"ld-linux") || name.starts_with(b"ld-2.") {
            for argument in argv.iter().skip(1).take(LOADER_ARGUMENTS) {
                self.push(base_name(argument));
            }
        }
        let mut head = [0; ELF_HEAD];
        let mut read = sys::read_head(file.0, &mut head);
        self.own_names = self.count;
        self.preload(file, read);
        if read.starts_with(ELF) {
            self.foreign = self.unguarded == FOREIGN;
            return;
        }
        read = read.get(..HEAD).unwrap_or(read);
        self.unknown_format = !read.is_empty() && !read.starts_with(b"#!");
        let mut next = [0; ELF_HEAD];
        for _ in 0..DEPTH {
            let Some(line) = read.get(..HEAD).unwrap_or(read).strip_prefix(b"#!") else { return };
            let Some(interpreter) = self.interpreter(line) else { return };
            let Ok(file) = sys::open(libc::AT_FDCWD, interpreter.c_str(), libc::O_RDONLY | libc::O_NONBLOCK, 0) else {
                return;
            };
            let mut path = Text::<64>::new();
            path.push(b"fd/");
            path.number(u64::from(file.0.cast_unsigned()));
            self.push(base_name(sys::readlink(files::proc_path(0, path.bytes()).c_str(), &mut buffer)));
            read = sys::read_head(file.0, &mut next);
            self.preload(&file, read);
        }
    }

    /// Notes why a preload will not hold in an ELF file that begins with `head`.
    fn preload(&mut self, file: &Fd, head: &[u8]) {
        let Some(elf) = head.strip_prefix(ELF) else { return };
        let class = if cfg!(target_pointer_width = "64") { 2 } else { 1 };
        let stat = sys::fstat(file.0).unwrap_or_default();
        let group = libc::S_ISGID | libc::S_IXGRP;
        let loader = if elf.first() == Some(&class) { loader(head) } else { Loader::Unknown };
        let is_musl = matches!(loader, Loader::Named(path) if base_name(path).starts_with(b"ld-musl"));
        if elf.first() != Some(&class) || is_musl {
            self.unguarded = FOREIGN;
        } else if (stat.mode & libc::S_ISUID != 0 && stat.uid != sys::geteuid()) || stat.mode & group == group {
            self.unguarded = "setuid";
        } else if matches!(loader, Loader::None) {
            self.unguarded = "static";
        }
    }

    /// The interpreter of a `#!` line, whose name and, behind `env`, whose argument's name are added.
    fn interpreter(&mut self, line: &[u8]) -> Option<Text<256>> {
        let line = line.split(|&byte| byte == b'\n' || byte == 0).next()?;
        let mut words = line.split(|&byte| byte == b' ' || byte == b'\t').filter(|word| !word.is_empty());
        let interpreter = words.next()?;
        let name = base_name(interpreter);
        self.push(name);
        if name == b"env" || name.starts_with(b"busybox") || name.starts_with(b"toybox") {
            // The first word that is neither an option nor an assignment is the program.
            if let Some(word) = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'=')) {
                self.push(base_name(word));
            }
        }
        let mut path = Text::new();
        path.push(interpreter);
        Some(path)
    }
}

/// The loader that an ELF file names.
enum Loader<'h> {
    /// None: it is static.
    None,
    /// This one.
    Named(&'h [u8]),
    /// That stands beyond what was read.
    Unknown,
}

/// The loader of an ELF file of this word size that begins with `head`.
fn loader(head: &[u8]) -> Loader<'_> {
    const INTERPRETER: u32 = 3;
    let short = |at: usize| head.get(at..)?.first_chunk::<2>().map(|bytes| usize::from(u16::from_le_bytes(*bytes)));
    let long = |at: usize| head.get(at..)?.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes) as usize);
    // e_phoff, e_phentsize, e_phnum.
    let (Some(table), Some(size), Some(count)) = (long(32), short(54), short(56)) else { return Loader::Unknown };
    for index in 0..count {
        let at = table.wrapping_add(index.wrapping_mul(size));
        let Some(kind) = head.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return Loader::Unknown };
        if u32::from_le_bytes(*kind) == INTERPRETER {
            // p_offset, p_filesz.
            let (Some(start), Some(len)) = (long(at.wrapping_add(8)), long(at.wrapping_add(32))) else {
                return Loader::Unknown;
            };
            let path = head.get(start..).and_then(|rest| rest.get(..len));
            return path.map_or(Loader::Unknown, |path| Loader::Named(path.strip_suffix(&[0]).unwrap_or(path)));
        }
    }
    Loader::None
}
