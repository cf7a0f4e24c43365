//! What a program's file is, from its first bytes, as the kernel's loaders read it (fs/binfmt_elf.c, fs/binfmt_script.c).

use crate::memory::StringBuf;
use crate::sys::arch::{MACHINE, MACHINE_COMPATIBLE};
use portcullis_policy::image::build_id;

/// What the kernel reads of a script's first line (BINPRM_BUF_SIZE).
pub const SCRIPT_HEAD: usize = 256;
/// What is read of a file: an ELF header with program headers, behind which linkers put the loader's path and the build-id.
pub const HEAD: usize = 2048;

/// A program's file.
pub enum Format<'h> {
    /// A program of this architecture.
    Native(Elf<'h>),
    /// A program that the kernel runs, with a loader that cannot load this library: of another word size.
    Foreign,
    /// A script: its line behind `#!`.
    Script(&'h [u8]),
    /// A script whose line is cut or empty, which the kernel does not run.
    Broken,
    /// Neither. The kernel runs it only where somebody registered an interpreter (binfmt_misc).
    Other,
}

/// An ELF file of this architecture.
pub struct Elf<'h> {
    /// Its loader.
    pub loader: Loader<'h>,
    /// Its build-id; empty where it has none, or none within what was read.
    pub build_id: &'h [u8],
}

/// The loader that an ELF file names.
pub enum Loader<'h> {
    /// None: it is static.
    None,
    /// This one.
    Named(&'h [u8]),
    /// That stands beyond what was read: see [`far_loader`].
    Unknown,
}

/// PT_LOAD, PT_DYNAMIC; DT_NEEDED, DT_STRTAB.
const LOAD: [u8; 4] = 1_u32.to_le_bytes();
const DYNAMIC: [u8; 4] = 2_u32.to_le_bytes();
const NEEDED: usize = 1;
const NAMES: usize = 5;
/// PT_INTERP.
const INTERPRETER: usize = 3;
/// How long the kernel takes its path to be, with its NUL: the file is no program else (fs/binfmt_elf.c).
const PATH: core::ops::RangeInclusive<usize> = 2..=4096;
/// The size of a program header.
const ENTRY: usize = 56;

fn short(head: &[u8], at: usize) -> Option<usize> {
    head.get(at..)?.first_chunk::<2>().map(|bytes| usize::from(u16::from_le_bytes(*bytes)))
}

fn word(head: &[u8], at: usize) -> Option<usize> {
    head.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes) as usize)
}

fn long(head: &[u8], at: usize) -> Option<usize> {
    head.get(at..)?.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes) as usize)
}

impl<'h> Format<'h> {
    /// The format of a file that begins with `head`.
    pub fn of(head: &'h [u8]) -> Format<'h> {
        if let Some(rest) = head.get(..SCRIPT_HEAD).unwrap_or(head).strip_prefix(b"#!") {
            return script(rest, head.len() < SCRIPT_HEAD);
        }
        // The magic number alone makes no program: execvp runs the rest by a shell.
        let executable = matches!(short(head, 16), Some(2 | 3));
        match (head.strip_prefix(b"\x7fELF").and_then(<[u8]>::first), short(head, 18)) {
            (Some(2), Some(machine)) if executable && machine == usize::from(MACHINE) => match elf(head) {
                Some(elf) => Format::Native(elf),
                None => Format::Other,
            },
            // x32 has the word size of the one and the machine of the other.
            (Some(1), Some(machine))
                if executable && (machine == usize::from(MACHINE_COMPATIBLE) || machine == usize::from(MACHINE)) =>
            {
                Format::Foreign
            }
            _ => Format::Other,
        }
    }
}

/// The line of a script; `whole` where the file ends within what was read.
fn script(rest: &[u8], whole: bool) -> Format<'_> {
    let end = rest.iter().position(|&byte| byte == b'\n' || byte == 0);
    let line = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
    let start = line.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let trimmed = line.get(start..).unwrap_or_default();
    // Without the line's end, the kernel takes the interpreter only where something stands behind it.
    let complete = end.is_some() || whole || trimmed.iter().any(|byte| matches!(byte, b' ' | b'\t'));
    if trimmed.is_empty() || !complete { Format::Broken } else { Format::Script(line) }
}

/// The loader and the build-id of an ELF file; `None` where the kernel does not take its program headers, or its loader's path.
fn elf(head: &[u8]) -> Option<Elf<'_>> {
    // e_phoff, e_phentsize, e_phnum.
    let (table, size, count) = (long(head, 32)?, short(head, 54)?, short(head, 56)?);
    if size != ENTRY || count == 0 || count.wrapping_mul(size) > 65536 {
        return None;
    }
    let mut elf = Elf { loader: Loader::None, build_id: build_id(head) };
    for index in 0..count {
        let at = table.wrapping_add(index.wrapping_mul(size));
        let Some(kind) = word(head, at) else {
            elf.loader = Loader::Unknown;
            break;
        };
        if kind != INTERPRETER {
            continue;
        }
        // The first is the one. p_offset, p_filesz.
        let part = long(head, at.wrapping_add(8)).zip(long(head, at.wrapping_add(32)));
        if part.is_some_and(|(_, len)| !PATH.contains(&len)) {
            return None;
        }
        elf.loader = match part.and_then(|(start, len)| head.get(start..)?.get(..len)) {
            Some(path) if path.last() != Some(&0) => return None,
            Some(path) => Loader::Named(path.split(|&byte| byte == 0).next().unwrap_or_default()),
            None => Loader::Unknown,
        };
        break;
    }
    Some(elf)
}

/// The loader's path in an ELF file that has it beyond the part that is read first.
pub enum DistantLoader<const N: usize> {
    /// It names none.
    None,
    Named(StringBuf<N>),
    /// The kernel does not take the file for a program.
    Broken,
    /// The file ends before the path does, which to the kernel is an error of the disk's.
    Cut,
}

/// Finds it. `read` reads at an offset, and says how much.
pub fn far_loader<const N: usize>(read: impl Fn(u64, &mut [u8]) -> usize) -> DistantLoader<N> {
    let mut header = [0; 64];
    read(0, &mut header);
    let Some(((table, size), count)) = long(&header, 32).zip(short(&header, 54)).zip(short(&header, 56)) else {
        return DistantLoader::Broken;
    };
    let mut entry = [0; ENTRY];
    // The kernel does not run a file of which it cannot read the table.
    let entry_at = |index: usize, entry: &mut [u8; ENTRY]| {
        let at = table.wrapping_add(index.wrapping_mul(size)) as u64;
        read(at, entry) == ENTRY
    };
    if !entry_at(count.wrapping_sub(1), &mut entry) {
        return DistantLoader::Broken;
    }
    for index in 0..count {
        if !entry_at(index, &mut entry) {
            return DistantLoader::Broken;
        }
        if word(&entry, 0) != Some(INTERPRETER) {
            continue;
        }
        let Some((start, len)) = long(&entry, 8).zip(long(&entry, 32)) else { return DistantLoader::Broken };
        if !PATH.contains(&len) {
            return DistantLoader::Broken;
        }
        let mut last = [1];
        if read(start.wrapping_add(len).wrapping_sub(1) as u64, &mut last) != 1 {
            return DistantLoader::Cut;
        }
        if last != [0] {
            return DistantLoader::Broken;
        }
        let mut path = StringBuf::new();
        path.fill(|into| {
            let wanted = len.min(into.len());
            let got = into.get_mut(..wanted).map_or(0, |into| read(start as u64, into));
            into.get(..got).and_then(|path| path.iter().position(|&byte| byte == 0)).unwrap_or(into.len())
        });
        return DistantLoader::Named(path);
    }
    DistantLoader::None
}

/// Whether the first library that an ELF file needs is one that has to be the first of all. `read` reads at an offset, and says how
/// much. What cannot be read says nothing.
#[inline(never)]
pub fn needs_to_be_first(head: &[u8], read: impl Fn(u64, &mut [u8]) -> usize) -> bool {
    let (table, count) = long(head, 32).zip(short(head, 56)).unwrap_or_default();
    let headers = || head.get(table..).unwrap_or_default().chunks_exact(ENTRY).take(count);
    let Some(dynamic) = headers().find(|header| header.starts_with(&DYNAMIC)) else { return false };
    let (Some(begin), Some(size)) = (long(dynamic, 8), long(dynamic, 32)) else { return false };
    let (mut name, mut names, mut at) = (None, None, 0_usize);
    let mut entries = [0; 512];
    'read: while at < size {
        let got = read(begin.wrapping_add(at) as u64, &mut entries);
        for entry in entries.get(..got).unwrap_or_default().chunks_exact(16) {
            match long(entry, 0) {
                Some(NEEDED) if name.is_none() => name = long(entry, 8),
                Some(NAMES) => names = long(entry, 8),
                Some(0) => break 'read,
                _ => continue,
            }
            if name.is_some() && names.is_some() {
                break 'read;
            }
        }
        if got < entries.len() {
            break;
        }
        at = at.wrapping_add(got);
    }
    let Some((name, names)) = name.zip(names) else { return false };
    // Where in the file what lies at that address is.
    let place = headers().filter(|header| header.starts_with(&LOAD)).find_map(|header| {
        let (offset, address, size) = (long(header, 8)?, long(header, 16)?, long(header, 32)?);
        let into = names.checked_sub(address).filter(|into| *into < size)?;
        Some(offset.wrapping_add(into))
    });
    let Some(place) = place else { return false };
    let mut text = [0; 16];
    read(place.wrapping_add(name) as u64, &mut text);
    crate::child::environment::has_to_be_first(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_the_system_is_native_with_its_loader_and_build_id() {
        let bytes = std::fs::read("/bin/true").unwrap();
        let Format::Native(elf) = Format::of(&bytes[..HEAD]) else { panic!("not native") };
        assert!(matches!(elf.loader, Loader::Named(path) if path.starts_with(b"/lib")));
        assert_eq!(elf.build_id.len(), 20);
    }

    /// As the kernel takes it: the first, up to its first NUL, wherever it stands.
    #[test]
    fn the_loader_is_the_first_that_is_named() {
        let with = |entries: &[(u32, u64, u64)], far: usize| {
            let mut file = vec![0; 64];
            file[..6].copy_from_slice(b"\x7fELF\x02\x01");
            (file[16], file[18], file[32], file[54], file[56]) = (2, MACHINE as u8, 64, 56, entries.len() as u8);
            for (kind, start, len) in entries {
                let mut entry = [0; ENTRY];
                entry[..4].copy_from_slice(&kind.to_le_bytes());
                entry[8..16].copy_from_slice(&start.to_le_bytes());
                entry[32..40].copy_from_slice(&len.to_le_bytes());
                file.extend(entry);
            }
            file.resize(far, 0);
            file.extend(b"/first\0x\0/second\0");
            file
        };
        let (first, second) = ((3, 1000, 9), (3, 1009, 8));
        let near = with(&[(1, 0, 0), first, second], 1000);
        let Format::Native(elf) = Format::of(&near) else { panic!("not native") };
        assert!(matches!(elf.loader, Loader::Named(b"/first")));
        let far = with(&[(1, 0, 0), (3, 5000, 9), (3, 5009, 8)], 5000);
        let Format::Native(elf) = Format::of(&far[..HEAD]) else { panic!("not native") };
        assert!(matches!(elf.loader, Loader::Unknown));
        let read = |file: &[u8], at: u64, into: &mut [u8]| {
            let rest = file.get(at as usize..).unwrap_or_default();
            let len = rest.len().min(into.len());
            into[..len].copy_from_slice(&rest[..len]);
            len
        };
        let is = |far: &[u8], wanted: &[u8]| {
            let found = far_loader::<256>(|at, into| read(far, at, into));
            matches!(found, DistantLoader::Named(path) if path.fits() && path.bytes() == wanted)
        };
        assert!(is(&far, b"/first"));
        assert!(matches!(far_loader::<4>(|at, into| read(&far, at, into)), DistantLoader::Named(path) if !path.fits()));
        assert!(matches!(far_loader::<256>(|at, into| read(&with(&[(1, 0, 0)], 120), at, into)), DistantLoader::None));
    }

    #[test]
    fn four_bytes_make_no_program() {
        for bytes in [&b"\x7fELF"[..], b"\x7fELF\necho hi\n", b"", b"echo", b"\x7fELF\x02\x01\x01"] {
            assert!(matches!(Format::of(bytes), Format::Other));
        }
    }

    #[test]
    fn scripts_are_read_as_the_kernel_reads_them() {
        let is = |text: &[u8], wanted: &[u8]| matches!(Format::of(text), Format::Script(line) if line == wanted);
        assert!(is(b"#!/bin/sh -e\nx", b"/bin/sh -e"));
        assert!(is(b"#!/bin/sh", b"/bin/sh"));
        let long = [b"#!/", &[b'a'; 300][..]].concat();
        assert!(matches!(Format::of(&long), Format::Broken));
        let spaced = [b"#!/bin/sh ", &[b'a'; 300][..]].concat();
        assert!(is(&spaced, &spaced[2..SCRIPT_HEAD]));
        assert!(matches!(Format::of(b"#!  \nx"), Format::Broken));
    }
}
