//! A program that is about to be started.

use crate::memory::{StringBuf, base_name};
use crate::sys::{Reader, Vector};
use core::ffi::CStr;
use portcullis_policy::Unknown;

/// A program that is about to be started.
#[derive(Clone, Copy)]
pub struct Exec<'a> {
    /// Which.
    pub target: ExecTarget<'a>,
    /// The name by which it was looked for along PATH.
    pub searched: Option<&'a CStr>,
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
    /// What of it is known to be unknown: an environment that it cannot be handed.
    pub unknown: Option<Unknown>,
}

/// The program of an exec, as the caller names it: by path or by descriptor.
#[derive(Clone, Copy)]
pub enum ExecTarget<'a> {
    /// By its path, relative to a descriptor.
    Path(i32, &'a CStr),
    /// By a descriptor.
    Descriptor(i32),
}

impl Exec<'_> {
    /// The base name of the program, for the chain; what a descriptor refers to has the name of its first argument.
    pub fn name(&self) -> StringBuf<64> {
        let mut name = StringBuf::new();
        match self.target {
            ExecTarget::Path(_, path) => name.push(base_name(path.to_bytes())),
            ExecTarget::Descriptor(_) => {
                let reader = Reader::default();
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
    /// The preload, which is not likely to hold in it.
    Handed,
    /// The preload under a name that it passes over, and that holds in what it starts.
    Passed,
    /// None: it, or its loader, ends or complains where the library is in LD_PRELOAD, or there is none.
    None,
}
