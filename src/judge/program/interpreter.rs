//! The loader that an ELF file names (PT_INTERP): the kernel runs that, with the file as what it is told to load. One of the
//! system's loads the file and the guard; any other is a program that does as it likes.

use super::format::{DistantLoader, Format, HEAD, Loader, far_loader};
use super::{FOREIGN, PATH_MAX, Program, loader, read, readable, real_path, starter};
use crate::memory::{StringBuf, base_name};
use crate::policy::in_force;
use crate::sys::{self, Fd, Stat};
use core::ffi::CStr;
use portcullis_policy::Unknown;
use portcullis_policy::image::Kind;

/// What is kept of a loader's path: Linux takes one of 4,096 bytes.
const LOADER_MAX: usize = 256;

impl Program<'_> {
    /// Looks at the loader that the file of `stat` names; the errno with which the kernel does not run it.
    #[inline(never)]
    pub(super) fn loaded_by(
        &mut self,
        named: &Loader<'_>,
        (file, stat): (&Fd, &Stat),
        opened: Option<(i32, &CStr)>,
        argv: &[&[u8]],
    ) -> Result<(), i32> {
        let mut path = StringBuf::<LOADER_MAX>::new();
        match named {
            Loader::None => return Ok(()),
            Loader::Named(named) => path.set(named),
            Loader::Unknown => match readable(file, opened, stat) {
                Some(file) => match far_loader(|at, into| sys::read_at(file.0, into, at).len()) {
                    DistantLoader::Named(far) => path = far,
                    DistantLoader::None => return Ok(()),
                    DistantLoader::Broken => {
                        self.unknown_format = true;
                        return Ok(());
                    }
                    DistantLoader::Cut => return Err(libc::EIO),
                },
                // Root's own are what they are called.
                None if stat.uid == 0 => return Ok(()),
                None => path.push(&[b'x'; LOADER_MAX]),
            },
        }
        // It leads to the folder that the process is in.
        if path.fits() && path.bytes().is_empty() {
            return Err(libc::EACCES);
        }
        // Whose folder a relative one is in, is not known yet.
        if !path.fits() || !path.bytes().starts_with(b"/") {
            self.cannot(Unknown::Interpreter);
            return Ok(());
        }
        if self.place.is_none()
            && is_below_lib(path.bytes())
            && sys::stat(path.c_str()).is_some_and(|stat| in_force::policy().is_file(stat.identity, Kind::Loader))
        {
            return Ok(());
        }
        self.loaded_by_path(path.c_str(), argv)
    }

    /// The same of one that is not known to be the system's.
    #[inline(never)]
    fn loaded_by_path(&mut self, path: &CStr, argv: &[&[u8]]) -> Result<(), i32> {
        let file = match self.open(path) {
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
        let is_here = self.place.is_none();
        if stat.mode & libc::S_IFMT != libc::S_IFREG || is_here && !sys::may_execute(libc::AT_FDCWD, path) {
            return Err(libc::EACCES);
        }
        self.note(&stat);
        let opened = self.opened(path);
        let mut real = StringBuf::<PATH_MAX>::new();
        // What a process calls its own is another one to the process that looks.
        let is_own = is_here && sys::leads_through_process(libc::AT_FDCWD, path);
        if is_own || !real_path::find(file.0, &stat, opened, &mut real) {
            self.cannot(Unknown::Interpreter);
        }
        let name = base_name(real.bytes());
        if is_of_system(&stat, name) {
            return Ok(());
        }
        self.push(base_name(path.to_bytes()));
        self.push(name);
        self.runs_at(real.bytes());
        let mut head = [0; HEAD];
        let Some(head) = read(&file, opened, &stat, &mut head) else {
            self.cannot(Unknown::Interpreter);
            return Ok(());
        };
        match head.get(..4) {
            Some(b"\x7fELF") => {}
            _ if head.len() < 64 => return Err(libc::EIO),
            _ => return Err(libc::ELIBBAD),
        }
        let Format::Native(elf) = Format::of(head) else {
            // The kernel runs no other.
            self.cannot(Unknown::Interpreter);
            return Ok(());
        };
        if self.unguarded.is_empty() {
            self.has_own_loader = true;
            // Whatever else the file names is not loaded.
            self.is_musl |= name.starts_with(b"ld-musl");
            self.foreign |= self.is_musl;
            self.unguarded = if self.foreign { FOREIGN } else { "static" };
        }
        let policy = in_force::policy();
        let (device, inode) = stat.identity;
        match policy.image(device, inode, elf.build_id) {
            Some((Kind::Applets, _)) => argv.iter().take(2).for_each(|argument| self.push(base_name(argument))),
            Some((Kind::Shell, _)) => self.push(policy.image_name(stat.identity, elf.build_id)),
            _ => {}
        }
        Ok(())
    }
}

/// Whether a path leads, by its words, to a folder of the system's libraries.
fn is_below_lib(path: &[u8]) -> bool {
    let starts = [&b"/lib"[..], b"/usr/lib"].into_iter().any(|start| path.starts_with(start));
    starts && !path.windows(4).any(|four| four == b"/../")
}

/// Whether the file with this status and name is a loader that root has put there, and nobody else can write to.
pub(super) fn is_of_system(stat: &Stat, name: &[u8]) -> bool {
    let is_roots = stat.uid == 0 && stat.mode & 0o022 == 0;
    let is_listed = || in_force::policy().is_file(stat.identity, Kind::Loader);
    (is_roots && loader::is_loader(name) && starter::knows_root()) || is_listed()
}
