//! What a program is to the loader: whether LD_PRELOAD holds in it.

use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind};
use portcullis_config::reading::{self, Links};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why the loader would not load the guard into a program; `None` where it would, or where that is not known.
pub fn defeats(path: &Path) -> Option<&'static str> {
    let meta = std::fs::metadata(path).ok()?;
    if meta.mode() & 0o6000 != 0 {
        return Some("it is setuid or setgid, and the loader ignores LD_PRELOAD there");
    }
    if xattr::get(path, "security.capability").ok().flatten().is_some() {
        return Some(
            "it has file capabilities, and the loader ignores LD_PRELOAD there: take them away (setcap -r) and give \
             the unit AmbientCapabilities= instead",
        );
    }
    let bytes = reading::bytes(path, Links::Follow, reading::PROGRAM_MAX).ok()?;
    match FileKind::parse(&*bytes).ok()? {
        FileKind::Elf64 => of_elf::<elf::FileHeader64<Endianness>>(&bytes),
        FileKind::Elf32 => Some("32-bit program; the library is 64-bit"),
        _ => None,
    }
}

fn of_elf<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Option<&'static str> {
    let header = H::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let own = if cfg!(target_arch = "aarch64") { elf::EM_AARCH64 } else { elf::EM_X86_64 };
    if header.e_machine(endian) != own {
        return Some("it is a program for another architecture");
    }
    let headers = header.program_headers(endian, bytes).ok()?;
    let loader = headers.iter().find_map(|header| header.interpreter(endian, bytes).ok().flatten());
    match loader {
        None => Some("it is a static program, which has no loader"),
        Some(loader) if loader.windows(7).any(|part| part == b"ld-musl") => {
            Some("made for musl, whose loader does not replace $LIB in LD_PRELOAD")
        }
        Some(_) => None,
    }
}

/// What is wrong with the library itself; `None` where nothing is.
pub fn unfit_library(path: &Path) -> Option<String> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => return Some(format!("{} cannot be read: {error}", path.display())),
    };
    if meta.mode() & 0o022 != 0 || meta.uid() != 0 {
        return Some(format!("{} does not belong to root alone: who may write to it owns the server", path.display()));
    }
    let bytes = reading::bytes(path, Links::Own, reading::PROGRAM_MAX).unwrap_or_default();
    let machine = match FileKind::parse(&*bytes) {
        Ok(FileKind::Elf64) => elf::FileHeader64::<Endianness>::parse(&*bytes)
            .ok()
            .and_then(|header| Some(header.e_machine(header.endian().ok()?))),
        _ => None,
    };
    let own = if cfg!(target_arch = "aarch64") { elf::EM_AARCH64 } else { elf::EM_X86_64 };
    (machine != Some(own)).then(|| format!("{} is no library for this machine", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs() {
        assert_eq!(defeats(Path::new("/bin/sh")), None);
        assert!(defeats(Path::new("/bin/mount")).is_some_and(|why| why.starts_with("it is setuid")));
        assert!(
            unfit_library(Path::new("/etc/passwd")).is_some_and(|why| why.ends_with("no library for this machine"))
        );
        assert!(unfit_library(Path::new("/nowhere")).is_some());
    }
}
