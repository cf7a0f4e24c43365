//! A function that is hooked is hooked by every name that libc has for it, and in every form that the compiler makes of a call.

use crate::build::compile;
use crate::root::own_root;
use crate::table::{libc_path, rows};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};

/// What libc puts around a name: of its own use, of calls that the compiler checks, of large files.
const BEFORE: [&str; 4] = ["__libc_", "_IO_", "__", "_"];
const BEHIND: [&str; 4] = ["_chk", "_nocancel", "_2", "64"];

/// The names that a function may be another form of, itself among them.
fn bare_names(name: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([name.to_owned()]);
    loop {
        let shorter: BTreeSet<String> = all
            .iter()
            .flat_map(|name| {
                let front = BEFORE.iter().filter_map(|part| name.strip_prefix(part));
                front.chain(BEHIND.iter().filter_map(|part| name.strip_suffix(part))).map(str::to_owned)
            })
            .collect();
        let before = all.len();
        all.extend(shorter);
        if all.len() == before {
            return all;
        }
    }
}

/// Addresses of the functions that libc exports.
fn functions() -> BTreeMap<String, BTreeSet<u64>> {
    let bytes = std::fs::read(libc_path()).expect("libc");
    let libc = ElfFile64::<Endianness>::parse(&*bytes).expect("an ELF file");
    let mut all: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for symbol in libc.dynamic_symbols().filter(|symbol| symbol.is_definition()) {
        if !matches!(symbol.kind(), SymbolKind::Data | SymbolKind::Tls)
            && let Ok(name) = symbol.name()
        {
            all.entry(name.to_owned()).or_default().insert(symbol.address());
        }
    }
    assert!(all.len() > 2000);
    all
}

fn hooks() -> BTreeSet<String> {
    rows().into_iter().map(|row| row.name).collect()
}

#[test]
fn every_other_name_of_a_hooked_function_is_hooked() {
    let (functions, hooks) = (functions(), hooks());
    let hooked: BTreeSet<u64> = hooks.iter().filter_map(|hook| functions.get(hook)).flatten().copied().collect();
    let is_twin = |name: &str, addresses: &BTreeSet<u64>| {
        !addresses.is_disjoint(&hooked) || !bare_names(name).is_disjoint(&hooks)
    };
    let left: Vec<&String> = functions
        .iter()
        .filter(|(name, addresses)| !hooks.contains(*name) && is_twin(name, addresses))
        .map(|(name, _)| name)
        .collect();
    assert!(left.is_empty(), "not hooked, and other names of what is: {left:?}");
}

/// Calls with sizes and flags that the compiler does not know, into buffers whose size it does know.
const CALLS: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
char buffer[64];
int main(int count, char **words)
{
    size_t size = atol(words[1]);
    long sum = 0;
    for (int fd = 0; fd < count; fd++) {
        while (read(fd, buffer, size) > 0)
            sum++;
        while (recv(fd, buffer, size, 0) > 0)
            sum++;
        while (recvfrom(fd, buffer, size, 0, 0, 0) > 0)
            sum++;
        sum += open(words[2], count) + openat(fd, words[2], count) + !fopen(words[2], words[3]);
        sum += write(fd, buffer, size) + send(fd, buffer, size, 0) + dup2(fd, count) + system(words[2]);
    }
    return sum;
}
"#;

#[test]
fn every_call_is_hooked_however_it_is_compiled() {
    own_root(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("calls.c");
    let (functions, hooks) = (functions(), hooks());
    let mut checked = BTreeSet::new();
    for bits in ["", "#define _FILE_OFFSET_BITS 64\n"] {
        std::fs::write(&source, format!("{bits}{CALLS}")).expect("a file");
        for level in 0..=3 {
            let flags = ["-O2", "-U_FORTIFY_SOURCE", &format!("-D_FORTIFY_SOURCE={level}")];
            let bytes = std::fs::read(compile(&source, folder.path(), "calls", &flags)).expect("the program");
            let program = ElfFile64::<Endianness>::parse(&*bytes).expect("an ELF file");
            let imports = program.dynamic_symbols().filter(|symbol| symbol.is_undefined());
            let imports: BTreeSet<String> =
                imports.filter_map(|symbol| symbol.name().ok().map(str::to_owned)).collect();
            let ways: Vec<&String> = imports
                .iter()
                .filter(|name| functions.contains_key(*name) && !bare_names(name).is_disjoint(&hooks))
                .collect();
            assert!(ways.len() >= 10, "level {level}: {imports:?}");
            let left: Vec<&&String> = ways.iter().filter(|name| !hooks.contains(**name)).collect();
            assert!(left.is_empty(), "level {level}: not hooked: {left:?}");
            checked.extend(ways.iter().filter(|name| level > 0 && name.starts_with("__")).map(|name| (*name).clone()));
        }
    }
    for name in ["__read_chk", "__recv_chk", "__recvfrom_chk", "__open_2", "__openat_2", "__open64_2"] {
        assert!(checked.contains(name), "no level makes {name} of it: {checked:?}");
    }
}
