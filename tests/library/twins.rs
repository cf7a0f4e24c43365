//! A function that is hooked is hooked by every name that libc has for it, and in every form that the compiler makes of a call.

use crate::build::source;
use crate::root::own_root;
use crate::table::{Row, libc_path, rows};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// What libc puts around a name: of its own use, of a later standard, of calls that the compiler checks, of large files and late times.
const BEFORE: [&str; 6] = ["__libc_", "__isoc99_", "__isoc23_", "_IO_", "__", "_"];
const BEHIND: [&str; 5] = ["_chk", "_nocancel", "_2", "64", "_time64"];

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

/// The compilers that are looked for; the first is needed.
const COMPILERS: [&str; 10] =
    ["cc", "gcc-12", "gcc-13", "gcc-14", "gcc-15", "gcc-16", "clang", "clang-14", "tcc", "musl-gcc"];

/// musl has no headers for some, and the arguments are any: from GCC 14, both are errors.
const LENIENT: [&str; 3] =
    ["-Wno-error=implicit-function-declaration", "-Wno-error=int-conversion", "-Wno-error=incompatible-pointer-types"];

/// An argument of this type: a size and a flag that the compiler does not know, a buffer whose size it does know.
fn argument(kind: &str) -> String {
    match kind {
        "size_t" => "size".to_owned(),
        "res_state" => "any".to_owned(),
        _ if kind.contains("(*)") || kind.starts_with("const ") => "any".to_owned(),
        _ if kind.contains('*') => "(void *)buffer".to_owned(),
        _ => "number".to_owned(),
    }
}

/// The types of a signature's arguments.
fn arguments(signature: &str) -> Vec<&str> {
    // Behind the result, which may be a pointer: `FILE *(const char *)`.
    let list = signature.split_once('(').map_or("", |(_, list)| list).strip_suffix(')').expect("a signature");
    let mut depth = 0;
    let parts = list.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|kind| *kind != "void").collect()
}

/// A call of each hooked function that a header declares; of a variadic one, with and without an argument more. Each in a function of its
/// own: behind some of them no other is reached.
fn calls(rows: &[Row]) -> String {
    let declared: Vec<(&Row, &str)> = rows.iter().filter_map(|row| Some((row, row.header.as_deref()?))).collect();
    let headers: BTreeSet<&str> = declared.iter().map(|(_, header)| *header).collect();
    let mut text = "#define _GNU_SOURCE\n#include <sys/types.h>\n#include <netinet/in.h>\n".to_owned();
    for header in headers {
        let _ = writeln!(text, "#include <{header}>");
    }
    text += "char buffer[64];\n";
    for (row, _) in declared {
        let kinds = arguments(&row.signature);
        let fixed: Vec<String> = kinds.iter().filter(|kind| **kind != "...").map(|kind| argument(kind)).collect();
        let more = if fixed.len() == kinds.len() { "" } else { ", number" };
        for (index, more) in BTreeSet::from(["", more]).into_iter().enumerate() {
            let (name, fixed) = (&row.name, fixed.join(", "));
            let _ = writeln!(
                text,
                "void call_{name}_{index}(size_t size, int number, void *any) {{ {name}({fixed}{more}); }}"
            );
        }
    }
    text
}

/// The functions that an object file calls and does not have; `None` where there is no such compiler.
fn imports(compiler: &str, source: &Path, flags: &[&str]) -> Option<BTreeSet<String>> {
    let output = source.with_extension("o");
    let done = Command::new(compiler)
        .args(["-O2", "-w"])
        .args(LENIENT)
        .args(["-c", "-o"])
        .arg(&output)
        .args(flags)
        .arg(source)
        .output();
    let done = match done {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && compiler != COMPILERS[0] => return None,
        done => done.expect(compiler),
    };
    assert!(done.status.success(), "{compiler}: {}", String::from_utf8_lossy(&done.stderr));
    let bytes = std::fs::read(output).expect("the object");
    let object = object::File::parse(&*bytes).expect("an object");
    let undefined = object.symbols().filter(|symbol| symbol.is_undefined());
    Some(undefined.filter_map(|symbol| symbol.name().ok().map(str::to_owned)).filter(|name| !name.is_empty()).collect())
}

/// Whatever a compiler and the headers make of a call, at each level of checks: of each hooked function, and of the loops by which servers
/// read a request.
#[test]
fn every_call_is_hooked_however_it_is_compiled() {
    own_root(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let (rows, hooks) = (rows(), hooks());
    let loops = std::fs::read_to_string(source("read_loops.c")).expect("a file");
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, text) in [("calls.c", calls(&rows)), ("loops.c", loops)] {
        let source = folder.path().join(name);
        std::fs::write(&source, text).expect("a file");
        for compiler in COMPILERS {
            for level in 0..=3 {
                for bits in ["-UX", "-D_FILE_OFFSET_BITS=64"] {
                    let flags = ["-U_FORTIFY_SOURCE", &format!("-D_FORTIFY_SOURCE={level}"), bits];
                    let Some(imports) = imports(compiler, &source, &flags) else { continue };
                    let ways = imports.iter().filter(|name| !bare_names(name).is_disjoint(&hooks));
                    let left: Vec<&String> = ways.clone().filter(|name| !hooks.contains(*name)).collect();
                    assert!(left.is_empty(), "{compiler}, level {level}, {bits}, {name}: not hooked: {left:?}");
                    found.entry(compiler).or_default().extend(ways.cloned());
                }
            }
        }
    }
    for (compiler, ways) in &found {
        // All but those without a header, which no compiler calls by itself.
        assert!(ways.len() >= 90, "{compiler}: {} of {ways:?}", ways.len());
    }
    let checked = &found[COMPILERS[0]];
    for name in ["__read_chk", "__recv_chk", "__recvfrom_chk", "__open_2", "__openat_2", "__open64_2", "__openat64_2"] {
        assert!(checked.contains(name), "no level makes {name} of it: {checked:?}");
    }
}
