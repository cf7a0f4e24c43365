//! Recognises the files of shells, tools, multi-call programs and dynamic loaders, whatever name they go by.
//!
//! `portcullis compile` lists these files of the system. A hard link or a bind mount has the device and inode of one of
//! them, a copy has its build-id.

use crate::Policy;
use crate::format::{Image, Scope, Section};

/// How much of a build-id is kept: the whole of a SHA-1, which linkers write by default.
pub const BUILD_ID_MAX: usize = 20;
/// A shorter build-id is too likely to be another file's.
const BUILD_ID_MIN: usize = 8;

/// What the program in such a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// It is a shell.
    Shell = 1,
    /// It is busybox or toybox: the applet, which its first arguments name, decides.
    Applets = 2,
    /// It is a dynamic loader: it runs the program that its arguments name.
    Loader = 3,
    /// It is a tool.
    Tool = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        [Kind::Shell, Kind::Applets, Kind::Loader, Kind::Tool].into_iter().find(|kind| *kind as u8 == byte)
    }
}

impl Image {
    /// Whether this is the file with that device and inode and that build-id, or a copy of it. A build-id is empty where
    /// it is not known.
    fn is(&self, identity: (u64, u64), build_id: &[u8]) -> bool {
        let own = self.build_id.get(..usize::from(self.length)).unwrap_or_default();
        let other = build_id.get(..BUILD_ID_MAX).unwrap_or(build_id);
        if own.len() >= BUILD_ID_MIN && !other.is_empty() {
            // An inode number, or a device number, is another file's after an upgrade or a restart.
            return own == other;
        }
        identity != (0, 0) && identity == (self.device.get(), self.inode.get())
    }
}

impl<'a> Policy<'a> {
    fn images(&self, identity: (u64, u64), build_id: &[u8]) -> impl Iterator<Item = &'a Image> {
        self.records::<Image>(Section::Images).iter().filter(move |image| image.is(identity, build_id))
    }

    /// What the file with that device and inode, and that build-id (empty where it is not known), is: its kind, and the
    /// clause that lists it. Whether a shell counts in a scope is for [`Policy::decide_exec`] to say.
    #[must_use]
    pub fn image(&self, device: u64, inode: u64, build_id: &[u8]) -> Option<(Kind, u32)> {
        self.images((device, inode), build_id)
            .find_map(|image| Some((Kind::from_byte(image.kind)?, image.clause.get())))
    }

    /// Whether the policy lists the very file with that device and inode as one of that kind: a build-id can be copied.
    #[must_use]
    pub fn is_file(&self, identity: (u64, u64), kind: Kind) -> bool {
        let is = |image: &Image| identity == (image.device.get(), image.inode.get()) && image.kind == kind as u8;
        identity != (0, 0) && self.records::<Image>(Section::Images).iter().any(is)
    }

    /// The name under which such a file lies in a system folder; empty where it is none.
    #[must_use]
    pub fn image_name(&self, identity: (u64, u64), build_id: &[u8]) -> &'a [u8] {
        self.images(identity, build_id).next().map_or(b"", |image| self.text(image.name))
    }

    /// The clause by which a file is one of a scope's shells.
    pub(crate) fn shell_image(&self, scope: &Scope, identity: (u64, u64), build_id: &[u8]) -> Option<u32> {
        self.images(identity, build_id)
            .filter(|image| Kind::from_byte(image.kind) == Some(Kind::Shell))
            .find_map(|image| self.name(scope.shells, self.text(image.name)))
    }

    /// The clause by which a file is one of a scope's tools.
    pub(crate) fn tool_image(&self, scope: &Scope, identity: (u64, u64), build_id: &[u8]) -> Option<u32> {
        self.images(identity, build_id)
            .filter(|image| Kind::from_byte(image.kind) == Some(Kind::Tool))
            .find_map(|image| self.tool(scope, &[self.text(image.name)]))
    }
}

/// The GNU build-id in an ELF file that begins with `head`; empty where there is none, or `head` ends before it.
/// Linkers put it right behind the program headers, in the first kilobyte.
///
/// **Source**: elf(5), "Elf32_Phdr" and "Notes (Nhdr)"; the note's name is `GNU` and its type NT_GNU_BUILD_ID.
#[must_use]
pub fn build_id(head: &[u8]) -> &[u8] {
    find_build_id(head).unwrap_or_default()
}

fn find_build_id(head: &[u8]) -> Option<&[u8]> {
    const NOTE: u64 = 4;
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let wide = match head.get(4)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let big_endian = *head.get(5)? == 2;
    let number = |at: u64, size: u64| -> Option<u64> {
        let bytes = head.get(usize::try_from(at).ok()?..)?.get(..size as usize)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    };
    let word = if wide { 8 } else { 4 };
    // e_phoff, e_phentsize, e_phnum.
    let (table, size, count) = match wide {
        true => (number(32, 8)?, number(54, 2)?, number(56, 2)?),
        false => (number(28, 4)?, number(42, 2)?, number(44, 2)?),
    };
    // As the kernel demands (fs/binfmt_elf.c); so the records do not overlap.
    if size != if wide { 56 } else { 32 } {
        return None;
    }
    for index in 0..count {
        let header = table.wrapping_add(index.wrapping_mul(size));
        if number(header, 4)? != NOTE {
            continue;
        }
        // p_offset, p_filesz.
        let (start, len) = match wide {
            true => (header.wrapping_add(8), header.wrapping_add(32)),
            false => (header.wrapping_add(4), header.wrapping_add(16)),
        };
        let (mut at, len) = (number(start, word)?, number(len, word)?);
        let end = at.checked_add(len)?;
        while at < end {
            let Some((name, description, kind)) =
                number(at, 4).zip(number(at.wrapping_add(4), 4)).zip(number(at.wrapping_add(8), 4)).map(flat)
            else {
                break;
            };
            let text = at.wrapping_add(12);
            let value = text.wrapping_add(padded(name));
            if kind == 3
                && let Some(b"GNU\0") = head.get(usize::try_from(text).ok()?..).and_then(|rest| rest.get(..4))
                && let Some(id) =
                    head.get(usize::try_from(value).ok()?..).and_then(|rest| rest.get(..description as usize))
            {
                return Some(id.get(..BUILD_ID_MAX).unwrap_or(id));
            }
            at = value.wrapping_add(padded(description));
        }
    }
    None
}

fn flat<A, B, C>(((a, b), c): ((A, B), C)) -> (A, B, C) {
    (a, b, c)
}

/// The room that a note's name or description takes.
fn padded(len: u64) -> u64 {
    len.wrapping_add(3) & !3
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn the_build_id_of_this_program_and_of_bytes_that_are_cut() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let head = &whole[..4096];
        let id = build_id(head);
        assert!(id.len() == 20 || id.len() == 8 || id.is_empty(), "{}", id.len());
        for end in 0..head.len() {
            let cut = build_id(&head[..end]);
            assert!(cut.is_empty() || cut == id);
        }
        // Whatever a byte of the headers says, nothing is read out of bounds.
        let mut damaged = head.to_vec();
        for at in 0..1024 {
            for byte in [0, 1, 0x7f, 0xff] {
                let before = std::mem::replace(&mut damaged[at], byte);
                let _ = build_id(&damaged);
                damaged[at] = before;
            }
        }
    }

    #[test]
    fn a_file_is_known_by_its_build_id_and_without_one_by_its_inode() {
        let mut image = Image::default();
        (image.device, image.inode) = (5.into(), 7.into());
        assert!(image.is((5, 7), b"") && image.is((5, 7), b"12345678") && !image.is((5, 8), b"12345678"));
        image.build_id[..8].copy_from_slice(b"12345678");
        image.length = 8;
        assert!(image.is((0, 0), b"12345678") && image.is((5, 7), b"12345678") && image.is((5, 7), b""));
        assert!(!image.is((5, 7), b"87654321") && !image.is((5, 7), b"123456789") && !image.is((1, 1), b""));
        assert!(!Image::default().is((0, 0), b"") && !Image::default().is((0, 0), b"\0"));
    }
}
