//! What runs in a program's place: the interpreter of a script, and what the dynamic loader is told to run.

use super::format::{self, Format, HEAD, Loader};
use super::{FOREIGN, PATH_MAX, Program, interpreter, is_multicall, is_of_system, loader, read, readable, real_path};
use crate::memory::{StringBuf, base_name};
use crate::sys;
use core::ffi::CStr;
use portcullis_policy::Unknown;
use portcullis_policy::image::Kind;

/// Interpreters that are scripts themselves, followed this far (fs/exec.c: the kernel says ELOOP beyond).
const DEPTH: usize = 5;

/// The line of a script behind `#!`.
pub type ScriptLine = StringBuf<{ format::SCRIPT_HEAD }>;

/// The interpreter of a script's line, and the argument that follows it; empty where none does.
pub fn words(line: &ScriptLine) -> (ScriptLine, ScriptLine) {
    let trimmed = trim(line.bytes());
    let end = trimmed.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(trimmed.len());
    let (interpreter, argument) = trimmed.split_at_checked(end).unwrap_or((trimmed, b""));
    (StringBuf::of(interpreter), StringBuf::of(trim(argument)))
}

impl Program<'_> {
    /// What the dynamic loader is told to run by these arguments. What is only called one may do anything else.
    pub(super) fn run_by_loader(&mut self, arguments: &[&[u8]], is_known: bool) {
        let told = loader::read(arguments);
        self.loads_library = told.loads_library;
        // What is called a loader may be another program.
        self.runs_own |= self.starter.is_some_and(|starter| starter.may_replace(self.real.bytes()));
        let Some(path) = told.program else {
            if told.unknown {
                self.cannot(Unknown::Arguments);
            }
            return;
        };
        self.push(base_name(path));
        let copy = StringBuf::<PATH_MAX>::of(path);
        if !copy.fits() || !path.contains(&b'/') {
            // A name alone is looked for in the folders of libraries.
            self.cannot(Unknown::Arguments);
            return;
        }
        let opened = self.opened(copy.c_str());
        match self.open(copy.c_str()) {
            Ok(file) => match sys::fstat(file.0) {
                // The loader maps it: where that is, is where the program is.
                Some(stat) if real_path::find(file.0, &stat, opened, &mut self.real) => {
                    self.note(&stat);
                    let name = StringBuf::<64>::of(base_name(self.real.bytes()));
                    self.push(name.bytes());
                    self.identity = stat.identity;
                    let mut head = [0; HEAD];
                    match read(&file, opened, &stat, &mut head).map(Format::of) {
                        Some(Format::Native(elf)) => self.take_build_id(elf.build_id),
                        // The loader loads nothing else.
                        Some(_) => {}
                        None => self.cannot(Unknown::Program),
                    }
                }
                _ => self.cannot(Unknown::Path),
            },
            // The loader says so itself, unless it is there by then.
            Err(_) => self.cannot(Unknown::Program),
        }
        // The loader is static; what it loads is not.
        if is_known {
            self.unguarded = "";
        }
    }

    /// Follows a script's line to what the kernel will run.
    #[inline(never)]
    pub(super) fn script(&mut self, line: &[u8], opened: Option<(i32, &CStr)>) -> Result<(), i32> {
        let mut line = ScriptLine::of(line);
        // What the interpreter gets as its first argument that is no option: the rest of the line, else the script.
        let script = opened.map_or(&b""[..], |(_, path)| path.to_bytes());
        for depth in 0..=DEPTH {
            let trimmed = trim(line.bytes());
            let end = trimmed.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(trimmed.len());
            let (interpreter, argument) = trimmed.split_at_checked(end).unwrap_or((trimmed, b""));
            let argument = trim(argument);
            let path = StringBuf::<{ format::SCRIPT_HEAD }>::of(interpreter);
            self.push(base_name(interpreter));
            let file = match self.open(path.c_str()) {
                Ok(file) => file,
                Err(Some(errno)) => return Err(errno),
                Err(None) => {
                    self.cannot(Unknown::Interpreter);
                    return Ok(());
                }
            };
            let Some(stat) = sys::fstat(file.0) else {
                self.cannot(Unknown::Interpreter);
                return Ok(());
            };
            let may_execute = match self.place {
                Some(_) => sys::may_execute_open(file.0),
                None => sys::may_execute(libc::AT_FDCWD, path.c_str()),
            };
            if stat.mode & libc::S_IFMT != libc::S_IFREG || !may_execute {
                return Err(libc::EACCES);
            }
            // The kernel opens one interpreter more than it runs.
            if depth == DEPTH {
                return Err(libc::ELOOP);
            }
            self.note(&stat);
            self.image = stat.identity;
            self.identity = stat.identity;
            let opened = self.opened(path.c_str());
            let mut real = StringBuf::<PATH_MAX>::new();
            if !real_path::find(file.0, &stat, opened, &mut real) {
                self.cannot(Unknown::Path);
            }
            self.runs_at(real.bytes());
            let name = base_name(real.bytes());
            self.push(name);
            let mut head = [0; HEAD];
            let readable = readable(&file, opened, &stat);
            let head = readable.as_ref().and_then(|file| sys::read_head(file.0, &mut head));
            if let Some(Format::Native(elf)) = head.map(Format::of) {
                self.take_build_id(elf.build_id);
            }
            let kind = self.kind();
            if name == b"env" || is_multicall(name) || kind == Some(Kind::Applets) {
                // Options and assignments are left out; of the others each may be the program.
                for word in argument.split(|byte| matches!(byte, b' ' | b'\t')) {
                    let word = word.strip_prefix(b"-S").unwrap_or(word);
                    if !word.is_empty() && !word.starts_with(b"-") && !word.contains(&b'=') {
                        self.push(base_name(word));
                    }
                }
            }
            let Some(head) = head else {
                if stat.uid != 0 {
                    self.cannot(Unknown::Interpreter);
                }
                return Ok(());
            };
            match Format::of(head) {
                Format::Script(next) => {
                    line = StringBuf::of(next);
                    continue;
                }
                Format::Native(elf) => {
                    self.guard_in(&elf.loader, &stat);
                    self.first_in(head, readable.as_ref());
                    let is_loader = loader::is_loader(name) || kind == Some(Kind::Loader);
                    if matches!(elf.loader, Loader::None) && is_loader {
                        let first = if argument.is_empty() { script } else { argument };
                        let first = StringBuf::<PATH_MAX>::of(first);
                        self.run_by_loader(&[first.bytes()], interpreter::is_of_system(&stat, name));
                    }
                    let found = self.loaded_by(&elf.loader, (&file, &stat), opened, &[]);
                    if depth == 0 {
                        self.is_found = name == b"env" && is_of_system(real.bytes());
                        self.interpreter = Some((file, line));
                    }
                    return found;
                }
                Format::Foreign => {
                    self.foreign = true;
                    self.unguarded = FOREIGN;
                }
                // The kernel runs neither, unless somebody registered an interpreter.
                Format::Broken | Format::Other => {
                    self.unknown_format = true;
                    self.image = (0, 0);
                    self.cannot(Unknown::Format);
                }
            }
            return Ok(());
        }
        Err(libc::ELOOP)
    }
}

/// A script's line, or a part of it, without the blanks around it, as the kernel trims it.
fn trim(line: &[u8]) -> &[u8] {
    let is_word = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = line.iter().position(is_word).unwrap_or(line.len());
    let end = line.iter().rposition(is_word).map_or(start, |end| end.wrapping_add(1));
    line.get(start..end).unwrap_or_default()
}
