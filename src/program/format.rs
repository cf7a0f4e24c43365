//! What a program's file is, from its first bytes, as the kernel's loaders read it (fs/binfmt_elf.c, fs/binfmt_script.c).

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
    /// That stands beyond what was read.
    Unknown,
}

const NATIVE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
/// 32-bit x86, and 32-bit ARM.
const COMPATIBLE: u16 = if cfg!(target_arch = "x86_64") { 3 } else { 40 };

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
            (Some(2), Some(machine)) if executable && machine == usize::from(NATIVE) => match elf(head) {
                Some(elf) => Format::Native(elf),
                None => Format::Other,
            },
            // x32 has the word size of the one and the machine of the other.
            (Some(1), Some(machine))
                if executable && (machine == usize::from(COMPATIBLE) || machine == usize::from(NATIVE)) =>
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

/// The loader and the build-id of an ELF file; `None` where the kernel does not take its program headers.
fn elf(head: &[u8]) -> Option<Elf<'_>> {
    const INTERPRETER: usize = 3;
    const ENTRY: usize = 56;
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
        // p_offset, p_filesz.
        let part = long(head, at.wrapping_add(8)).zip(long(head, at.wrapping_add(32)));
        let part = part.and_then(|(start, len)| head.get(start..)?.get(..len));
        match (kind, part) {
            (INTERPRETER, Some(path)) => elf.loader = Loader::Named(path.strip_suffix(&[0]).unwrap_or(path)),
            (INTERPRETER, None) => elf.loader = Loader::Unknown,
            _ => {}
        }
    }
    Some(elf)
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
