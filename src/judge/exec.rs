//! The judgement on a program that is about to be started.

use super::{By, Decision, Refused, is_on, on_connection};
use crate::environment::{self, Vector};
use crate::memory::{Reader, Text, base_name};
use crate::program::Program;
use crate::request::Served;
use crate::state::{self, Role};
use crate::sys;
use crate::{counters, emit};
use core::ffi::CStr;
use portcullis_policy::{Outcome, Rule};

/// A program that is about to be started.
#[derive(Clone, Copy)]
pub struct Exec<'a> {
    /// Which.
    pub target: Target<'a>,
    /// Its arguments, as the caller gave them.
    pub argv: Vector,
    /// Its environment, likewise.
    pub envp: Vector,
    /// The environment has the guard's own variables, and not as they were handed down.
    pub forged: bool,
    /// The descriptors that will be its standard ones.
    pub standard: [i32; 3],
    /// A file of no known format is run by sh.
    pub shell_fallback: bool,
    /// It replaces the program of the calling process, rather than running in a new one.
    pub replaces: bool,
}

/// How the caller named the program.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// By its path, relative to a descriptor.
    Path(i32, &'a CStr),
    /// By a descriptor.
    Descriptor(i32),
    /// By a name that is looked for along PATH.
    Search(&'a CStr),
}

impl Exec<'_> {
    /// The base name of the program, for the chain; what a descriptor refers to has the name of its first argument.
    pub fn name(&self) -> Text<64> {
        let mut name = Text::new();
        match self.target {
            Target::Path(_, path) | Target::Search(path) => name.push(base_name(path.to_bytes())),
            Target::Descriptor(_) => {
                let mut reader = Reader::default();
                let first = reader.pointer(self.argv, 0).and_then(|argument| reader.string(argument, 64));
                name.push(base_name(first.unwrap_or_default()));
            }
        }
        name
    }
}

/// How much of the guard a program gets.
#[derive(Clone, Copy)]
pub enum Guarding {
    /// All.
    Whole,
    /// The preload, which will not hold in it, but in what it starts.
    Handed,
    /// None: its loader could not load the library.
    None,
}

/// How many words a command may have that `allow` can name.
const WORDS: usize = 48;
/// The longest word and the longest command text that are compared with `allow`, in bytes.
const WORD_MAX: usize = portcullis_policy::command::TOKEN_MAX + 1;
const COMMAND_MAX: usize = 16 * 1024;

/// The arguments of a program, as far as they are looked at.
pub struct Arguments<'a> {
    words: [&'a [u8]; WORDS],
    /// How many there are, counted up to a bound.
    pub count: usize,
    /// The whole third or fourth word, where a command text stands.
    text: [Option<&'a [u8]>; 2],
}

/// Arguments beyond this number are not counted.
const COUNT_MAX: usize = 100_000;

impl<'a> Arguments<'a> {
    fn read(argv: Vector) -> Option<Arguments<'a>> {
        let mut arguments = Arguments { words: [b""; WORDS], count: 0, text: [None; 2] };
        if argv.is_null() {
            return Some(arguments);
        }
        let mut vector = Reader::default();
        let mut strings = Reader::default();
        while arguments.count < COUNT_MAX {
            let argument = vector.pointer(argv, arguments.count)?;
            if argument.is_null() {
                break;
            }
            if let Some(to) = arguments.words.get_mut(arguments.count) {
                *to = strings.string(argument, WORD_MAX)?;
            }
            if let Some(to) = arguments.count.checked_sub(2).and_then(|at| arguments.text.get_mut(at)) {
                *to = strings.string(argument, COMMAND_MAX).filter(|text| text.len() < COMMAND_MAX);
            }
            arguments.count = arguments.count.wrapping_add(1);
        }
        Some(arguments)
    }

    /// The arguments, at most as many as are kept.
    pub fn words(&self) -> &[&'a [u8]] {
        self.words.get(..self.count).unwrap_or(&self.words)
    }

    fn word(&self, index: usize) -> &'a [u8] {
        self.words.get(index).copied().unwrap_or_default()
    }

    /// The text of `SHELL -c TEXT` or `SHELL -c -- TEXT`, where there is nothing more. Outside: the call is of that
    /// form. Inside: the text, unless it is too long.
    pub fn command(&self) -> Option<Option<&'a [u8]>> {
        match self.count {
            3 if self.word(1) == b"-c" => Some(self.text[0]),
            4 if self.word(1) == b"-c" && self.word(2) == b"--" => Some(self.text[1]),
            _ => None,
        }
    }
}

/// Judges a program that is started for a request.
#[inline(never)]
pub fn exec(by: By<'_>, served: &Served, exec: &Exec<'_>) -> Decision<Guarding> {
    let policy = state::policy();
    if matches!(by, By::This) && state::role() == Role::Master {
        return Ok(Guarding::Whole);
    }
    // What cannot be read, the kernel refuses.
    let Some(arguments) = Arguments::read(exec.argv) else { return Ok(Guarding::Whole) };
    let Some(program) = find(exec, &arguments) else { return Ok(Guarding::Whole) };
    let guarding = match (program.foreign, program.unguarded) {
        (true, _) => Guarding::None,
        (false, "") => Guarding::Whole,
        (false, _) => Guarding::Handed,
    };
    let mut words = arguments.words;
    let path = match exec.target {
        Target::Path(_, path) | Target::Search(path) => path.to_bytes(),
        Target::Descriptor(_) => program.real.bytes(),
    };
    words[0] = path;
    let form = arguments.command();
    let mut detail = Text::<256>::new();
    let mut on_connection = false;
    if is_on(&policy, served.scope, Rule::StdioSocket) {
        for (number, fd) in exec.standard.into_iter().enumerate() {
            on_connection |= self::on_connection(fd, number as i32, &mut detail);
        }
    }
    let loader = match is_on(&policy, served.scope, Rule::LoaderEnv) {
        true if exec.forged => {
            detail.push(b"the guard's own variables");
            Some(None)
        }
        true => environment::foreign_loader(exec.envp, &mut detail),
        false => None,
    };
    let writable = is_on(&policy, served.scope, Rule::ExecPlace) && is_writable(by, &program);
    counters::decision();
    let verdict = program.with_names(|names| {
        let program = portcullis_policy::exec::Program {
            names,
            own_names: program.own_names,
            command: form.flatten().filter(|_| program.of_system()),
            words: match form {
                Some(_) => None,
                None => words.get(..arguments.count.max(1)),
            },
            path: program.real.bytes(),
            writable,
            on_connection,
            loader,
            unguarded: program.unguarded,
            unknown: None,
        };
        policy.decide_exec(served.scope, &program)
    });
    if verdict.outcome == Outcome::Allow {
        return Ok(guarding);
    }
    emit::exec(&policy, verdict, served, by, exec, &program, &arguments, detail.bytes());
    match verdict.outcome {
        Outcome::Deny => Err(Refused(policy.errno(served.scope, verdict.rule))),
        _ => Ok(guarding),
    }
}

/// Whether who starts the program can write to it, or to the folder that it is in. To root, who can write to everything,
/// only what everybody can write to counts.
fn is_writable(by: By<'_>, program: &Program) -> bool {
    let path = program.real.bytes();
    let mut folder = Text::<512>::new();
    let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    folder.push(path.get(..end.max(1)).unwrap_or_default());
    if !path.starts_with(b"/") || !program.real.fits() {
        return false;
    }
    let user = match by {
        By::This => (sys::geteuid(), u32::MAX),
        By::Other(other) => other.user,
    };
    [program.real.c_str(), folder.c_str()].into_iter().any(|path| match by {
        By::This if user.0 != 0 => sys::writable(path),
        _ => sys::stat(path).is_some_and(|stat| {
            let bits = match user.0 {
                0 => 0o002,
                uid if uid == stat.uid => 0o200,
                _ if user.1 == stat.gid => 0o020,
                _ => 0o002,
            };
            stat.mode & bits != 0
        }),
    })
}

/// The program that the kernel would start; `None` where there is none.
fn find(exec: &Exec<'_>, arguments: &Arguments<'_>) -> Option<Program> {
    let mut program = match exec.target {
        Target::Path(at, path) => Program::find(at, path, arguments.words())?,
        Target::Descriptor(fd) => Program::of_descriptor(fd, arguments.words()),
        Target::Search(file) if file.to_bytes().contains(&b'/') => {
            Program::find(libc::AT_FDCWD, file, arguments.words())?
        }
        Target::Search(file) => along_path(file.to_bytes(), arguments)?,
    };
    if exec.shell_fallback && program.unknown_format {
        program.push(b"sh");
    }
    Some(program)
}

/// The first executable of that name along PATH, as execvp(3) looks for it.
#[inline(never)]
fn along_path(file: &[u8], arguments: &Arguments<'_>) -> Option<Program> {
    if file.is_empty() {
        return None;
    }
    // The default of glibc's confstr(_CS_PATH).
    let path = environment::variable(b"PATH").unwrap_or(b"/bin:/usr/bin");
    for folder in path.split(|&byte| byte == b':') {
        let mut candidate = Text::<4096>::new();
        candidate.push(folder);
        if !folder.is_empty() {
            candidate.push(b"/");
        }
        candidate.push(file);
        if candidate.fits()
            && sys::executable(candidate.c_str())
            && let Some(program) = Program::find(libc::AT_FDCWD, candidate.c_str(), arguments.words())
        {
            return Some(program);
        }
    }
    None
}
