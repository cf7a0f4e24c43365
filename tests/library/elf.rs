//! The ELF file: what it exports, imports and demands; and the proof that a panic does not link.

use crate::build::{built, library};
use object::read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader};
use object::{Object, ObjectSymbol, elf};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The C API of shim/include/portcullis.h.
const API: [&str; 3] = ["portcullis_profile_known", "portcullis_request_begin", "portcullis_request_end"];

/// The hooks, as the table has them.
fn hooks() -> Vec<String> {
    crate::table::rows().into_iter().map(|row| row.name).collect()
}

/// All that the guard needs of libc: no memory, no locks, no stdio. The first two are the loaders', glibc's and musl's, and weak; the last
/// four are weak, from the compiler's start-up files.
const IMPORTS: [&str; 14] = [
    "_r_debug",
    "_dl_debug_addr",
    "__errno_location",
    "bcmp",
    "environ",
    "memcmp",
    "memcpy",
    "memset",
    "strlen",
    "_ITM_deregisterTMCloneTable",
    "_ITM_registerTMCloneTable",
    "__cxa_finalize",
    "__gmon_start__",
    // Its thread, without a system call.
    "pthread_self",
];

struct Library {
    bytes: Vec<u8>,
}

impl Library {
    fn read() -> Library {
        Library { bytes: std::fs::read(library()).expect("the library") }
    }

    fn file(&self) -> ElfFile64<'_> {
        ElfFile64::parse(&*self.bytes).expect("an ELF file")
    }

    /// The entries of the dynamic section: tag, value.
    fn dynamic(&self) -> Vec<(i64, u64)> {
        let file = self.file();
        let endian = file.endian();
        let segments = file.elf_program_headers().iter();
        let entries = segments.filter_map(|segment| segment.dynamic(endian, &*self.bytes).ok().flatten());
        entries.flatten().map(|entry| (entry.d_tag(endian), entry.d_val(endian))).collect()
    }

    fn tags(&self, tag: i64) -> Vec<u64> {
        self.dynamic().into_iter().filter(|entry| entry.0 == tag).map(|entry| entry.1).collect()
    }
}

/// A page of data would be copied in every program that is started, which costs more than the constructor does.
#[test]
fn what_is_written_at_run_time_begins_as_zeros() {
    let library = Library::read();
    let file = library.file();
    let endian = file.endian();
    let segments = || file.elf_program_headers().iter();
    let relro = segments().find(|segment| segment.p_type(endian) == elf::PT_GNU_RELRO).expect("a read-only part");
    let relro = relro.p_vaddr(endian)..relro.p_vaddr(endian) + relro.p_memsz(endian);
    assert!(relro.end - relro.start <= 2 * 4096, "what is relocated takes more than two pages: {relro:x?}");
    for segment in segments().filter(|segment| segment.p_type(endian) == elf::PT_LOAD) {
        let is_written = segment.p_flags(endian) & elf::PF_W != 0 && !relro.contains(&segment.p_vaddr(endian));
        assert!(!is_written || segment.p_filesz(endian) == 0, "data in the file at {:x}", segment.p_vaddr(endian));
    }
}

fn sorted(names: impl Iterator<Item = String>) -> BTreeSet<String> {
    names.collect()
}

#[test]
fn exports_are_the_hooks_and_the_c_api_and_nothing_else() {
    let library = Library::read();
    let file = library.file();
    let exports = file.dynamic_symbols().filter(|symbol| symbol.is_definition());
    let exports = sorted(exports.filter_map(|symbol| symbol.name().ok().map(str::to_owned)));
    assert_eq!(exports, sorted(hooks().into_iter().chain(API.map(str::to_owned))));
}

#[test]
fn every_hook_exists_in_libc() {
    /// Hooks of functions that came with a later libc than the oldest that is supported.
    const LATER: [&str; 2] = ["pidfd_spawn", "pidfd_spawnp"];
    let names = crate::table::libc_functions();
    for hook in hooks() {
        assert!(names.contains(&hook) || LATER.contains(&hook.as_str()), "{hook} is not in libc");
    }
}

#[test]
fn imports_are_the_short_list() {
    let library = Library::read();
    let file = library.file();
    let imports = file.dynamic_symbols().filter(|symbol| symbol.is_undefined());
    let imports = sorted(imports.filter_map(|symbol| symbol.name().ok().map(str::to_owned)));
    let allowed = sorted(IMPORTS.iter().map(|&name| name.to_owned()));
    let extra: Vec<&String> = imports.iter().filter(|name| !name.is_empty() && !allowed.contains(*name)).collect();
    assert!(extra.is_empty(), "new imports: {extra:?}");
}

#[test]
fn needs_libc_alone_and_none_newer_than_2_34() {
    let library = Library::read();
    let file = library.file();
    let header = file.elf_header();
    let endian = file.endian();
    let sections = header.sections(endian, &*library.bytes).expect("sections");
    let mut newest = (0, 0);
    let (mut needs, strings) = sections.gnu_verneed(endian, &*library.bytes).expect("versions").expect("versions");
    let strings = sections.strings(endian, &*library.bytes, strings).expect("strings");
    while let Some((need, mut versions)) = needs.next().expect("a need") {
        assert_eq!(need.file(endian, strings).expect("a name"), b"libc.so.6");
        while let Some(version) = versions.next().expect("a version") {
            let name = std::str::from_utf8(version.name(endian, strings).expect("a name")).expect("text");
            let mut numbers =
                name.strip_prefix("GLIBC_").expect("of glibc").split('.').map(|n| n.parse().expect("a number"));
            newest = newest.max((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)));
        }
    }
    assert!(newest <= (2, 34), "{newest:?}");
    assert_eq!(library.tags(elf::DT_NEEDED).len(), 1);
}

#[test]
fn is_hardened() {
    let library = Library::read();
    let file = library.file();
    let endian = file.endian();
    let segments: Vec<(u32, u32)> =
        file.elf_program_headers().iter().map(|segment| (segment.p_type(endian), segment.p_flags(endian))).collect();
    let of = |kind: u32| segments.iter().filter(move |segment| segment.0 == kind).map(|segment| segment.1);
    assert_eq!(of(elf::PT_GNU_RELRO).count(), 1, "RELRO");
    assert!(of(elf::PT_GNU_STACK).all(|flags| flags & elf::PF_X == 0), "no executable stack");
    assert_eq!(of(elf::PT_GNU_STACK).count(), 1);
    assert!(of(elf::PT_LOAD).all(|flags| flags & (elf::PF_W | elf::PF_X) != elf::PF_W | elf::PF_X), "W^X");
    let segment = file.elf_program_headers().iter().find(|segment| segment.p_type(endian) == elf::PT_TLS);
    assert!(segment.is_some_and(|tls| tls.p_memsz(endian) <= 16), "little thread-local storage");
    let dynamic = file.dynamic_symbols().any(|symbol| symbol.name() == Ok("__tls_get_addr"));
    assert!(!dynamic, "no dynamic thread-local storage");
    let flags = library.tags(elf::DT_FLAGS_1).into_iter().fold(0, |all, flags| all | flags);
    assert_ne!(flags & u64::from(elf::DF_1_NOW), 0, "full RELRO");
    assert_ne!(flags & u64::from(elf::DF_1_NODELETE), 0, "nodelete");
    assert!(library.tags(elf::DT_TEXTREL).is_empty(), "no text relocations");
}

/// Each process of a server maps it; the supervisor's own filter has its share.
#[test]
fn is_under_580_kib() {
    let size = std::fs::metadata(library()).expect("the library").len();
    assert!(size < 580 * 1024, "{size} bytes");
}

/// The panic handler calls what does not exist: the same library with a panic behind a hook must not link.
#[test]
fn a_panic_behind_a_hook_does_not_link() {
    let target = built().parent().expect("a parent").join("prove-panic");
    // Under sudo the compiler beside cargo may not be in PATH.
    let cargo = Path::new(env!("CARGO"));
    let tools = cargo.parent().and_then(Path::to_str).expect("a folder");
    let path = format!("{tools}:{}", std::env::var("PATH").unwrap_or_default());
    let done = Command::new(cargo)
        .env("PATH", path)
        .args(["build", "--release", "--lib", "--locked", "--features", "prove-panic", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    let text = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success(), "it linked");
    assert!(text.contains("portcullis_a_panic_is_reachable"), "{text}");
}
