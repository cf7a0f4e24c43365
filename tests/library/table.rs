//! The table of hooks, whose rows are in src/real/rows.rs: against the headers, against what libc exports, and against docs/hooks.md.

use crate::build::compile;
use crate::root::own_root;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol, SymbolKind};
use portcullis_policy::RULE_WORDS;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A row.
pub struct Row {
    family: String,
    rules: String,
    pub header: Option<String>,
    pub signature: String,
    pub name: String,
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All rows of the table.
pub fn rows() -> Vec<Row> {
    let text = file("src/real/rows.rs");
    let mut rows = Vec::new();
    for note in text.split("                [").skip(1) {
        let (note, rest) = note.split_once("\"]").expect("a note");
        let (family, note) = note.split_once(": \"").expect("a family");
        let (rules, note) = note.split_once("\"; ").expect("rules");
        let (header, signature) = note.split_once("; \"").expect("a header");
        let name = rest.trim_start().split([':', ';']).next().expect("a name");
        rows.push(Row {
            family: family.to_owned(),
            rules: rules.to_owned(),
            header: header.strip_prefix('<').map(|header| header.trim_end_matches('>').to_owned()),
            signature: signature.to_owned(),
            name: name.to_owned(),
        });
    }
    assert!(rows.len() > 50);
    rows
}

/// The C library, which the loader finds in one of these places.
pub fn libc_path() -> PathBuf {
    let candidates = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/lib64/libc.so.6"];
    candidates.iter().map(PathBuf::from).find(|path| path.exists()).expect("glibc")
}

/// The functions that libc exports.
pub fn libc_functions() -> BTreeSet<String> {
    let bytes = std::fs::read(libc_path()).expect("libc");
    let libc = ElfFile64::<Endianness>::parse(&*bytes).expect("an ELF file");
    let functions = libc
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && !matches!(symbol.kind(), SymbolKind::Data | SymbolKind::Tls));
    functions.filter_map(|symbol| symbol.name().ok().map(str::to_owned)).collect()
}

/// Each signature is the header's: the compiler compares the types.
#[test]
fn signatures_are_the_headers() {
    let exported = libc_functions();
    let mut by_header: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows() {
        if let Some(header) = row.header.clone()
            && exported.contains(&row.name)
        {
            by_header.entry(header).or_default().push(row);
        }
    }
    let mut text = String::from("#define _GNU_SOURCE\n#include <sys/types.h>\n#include <netinet/in.h>\n");
    for header in by_header.keys() {
        let _ = writeln!(text, "#include <{header}>");
    }
    for row in by_header.values().flatten() {
        // With GNU's extensions the header has a union of all kinds of addresses there.
        let signature = row
            .signature
            .replace("const struct sockaddr *", "__CONST_SOCKADDR_ARG")
            .replace("struct sockaddr *", "__SOCKADDR_ARG");
        let name = &row.name;
        let _ = writeln!(
            text,
            "_Static_assert(__builtin_types_compatible_p(__typeof__({name}), {signature}), \"{name}\");"
        );
    }
    text += "int main(void) { return 0; }\n";
    own_root(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("signatures.c");
    std::fs::write(&source, text).expect("a file");
    compile(&source, folder.path(), "signatures", &[]);
}

/// The names in the first column of the table behind a heading of docs/hooks.md.
pub fn documented(heading: &str) -> BTreeSet<String> {
    let text = file("docs/hooks.md");
    let part = text.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let lines = part.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `"));
    let cells = lines.filter_map(|line| line.split('|').nth(1));
    cells.flat_map(|cell| cell.split(',').map(|name| name.trim().trim_matches('`').to_owned())).collect()
}

/// What a function of the C library may be called that starts a program, opens a connection, a port or a file, makes a
/// namespace, or writes another process's memory.
fn is_suspicious(name: &str) -> bool {
    const PARTS: [&str; 17] = [
        "exec",
        "spawn",
        "popen",
        "proc_open",
        "system",
        "connect",
        "sendto",
        "sendmsg",
        "sendmmsg",
        "listen",
        "accept",
        "fork",
        "clone",
        "syscall",
        "wordexp",
        "rcmd",
        "dlsym",
    ];
    PARTS.iter().any(|part| name.contains(part))
        || ["bind", "__bind", "dlvsym", "unshare", "setns", "ptrace"].contains(&name)
        || name.contains("process_vm")
        || name.strip_prefix("__").unwrap_or(name).starts_with("open64")
        || name.strip_prefix("__").unwrap_or(name).starts_with("openat")
        || ["open", "__open", "__open_2", "__open_nocancel", "open_by_handle_at"].contains(&name)
        || ["fopen", "creat"].iter().any(|part| name.trim_end_matches("64").ends_with(part))
        || name.contains("freopen")
}

/// A new libc cannot add a way unseen: every function that it exports has been looked at, and each whose name says that
/// it may be a way is hooked, or docs/hooks.md says why not.
#[test]
fn every_function_of_libc_has_been_looked_at() {
    let exported = libc_functions();
    let hooked: BTreeSet<String> = rows().into_iter().map(|row| row.name).collect();
    let excused = documented("Not hooked, and why");
    let is_excused = |name: &str| {
        excused.contains(name)
            || excused.iter().any(|one| one.strip_suffix('*').is_some_and(|beginning| name.starts_with(beginning)))
    };
    let reviewed = file("tests/library/libc-functions.txt");
    let reviewed: BTreeSet<&str> = reviewed.lines().collect();
    let new: Vec<&String> =
        exported.iter().filter(|name| !reviewed.contains(name.as_str()) && !hooked.contains(*name)).collect();
    assert!(
        new.is_empty(),
        "look at these, hook those that are ways, then add them to tests/library/libc-functions.txt: {new:?}"
    );
    let left: Vec<&String> =
        exported.iter().filter(|name| is_suspicious(name) && !hooked.contains(*name) && !is_excused(name)).collect();
    assert!(left.is_empty(), "neither hooked nor excused in docs/hooks.md: {left:?}");
    let stale: Vec<&String> = excused.iter().filter(|name| hooked.contains(*name)).collect();
    assert!(stale.is_empty(), "hooked, and excused: {stale:?}");
}

/// Each rule has a hook, and each row names rules that there are.
#[test]
fn the_rows_have_every_rule() {
    let rows = rows();
    let words = |row: &Row| -> Vec<String> { row.rules.split(", ").map(str::to_owned).collect() };
    let named: BTreeSet<String> = rows.iter().flat_map(words).collect();
    let wanted = RULE_WORDS.into_iter().chain(["", "all of the system call's"]).map(str::to_owned).collect();
    assert_eq!(named, wanted);
    let of = |rule: &str| -> Vec<&str> {
        let of_it = |row: &&Row| words(row).iter().any(|word| word == rule);
        rows.iter().filter(of_it).map(|row| row.name.as_str()).collect()
    };
    assert_eq!(
        of("fpm-socket"),
        [
            "connect",
            "sendto",
            "sendmsg",
            "sendmmsg",
            "accept",
            "accept4",
            "read",
            "__read_chk",
            "__connect",
            "__sendmmsg",
            "__read",
            "__read_nocancel"
        ]
    );
}

/// docs/coverage.md has a row for each rule, and names tests that there are.
#[test]
fn the_coverage_has_every_rule() {
    let text = file("docs/coverage.md");
    let missing: Vec<&str> = RULE_WORDS.into_iter().filter(|rule| !text.contains(&format!("| {rule} |"))).collect();
    assert!(missing.is_empty(), "no row of docs/coverage.md has {missing:?}");
    let part = text.split("\n## Other rules\n").nth(1).expect("the table");
    let tests = part.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.split('|').nth(3));
    let names = tests.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    for name in names {
        let parts: Vec<&str> = name.split("::").collect();
        let is_there = match parts.as_slice() {
            [case] => {
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/differential/corpus/{case}.case")).exists()
            }
            ["bypasses", module] => !file(&format!("tests/servers/bypasses/{module}.rs")).is_empty(),
            ["bypasses", module, test] => {
                file(&format!("tests/servers/bypasses/{module}.rs")).contains(&format!("fn {test}("))
            }
            ["reach", test] => file("tests/library/reach.rs").contains(&format!("fn {test}(")),
            [module, test] => file(&format!("tests/servers/{module}.rs")).contains(&format!("fn {test}(")),
            _ => false,
        };
        assert!(is_there, "docs/coverage.md names {name}");
    }
}

/// docs/hooks.md shows the table as it is; with PORTCULLIS_UPDATE=1 it is written.
#[test]
fn the_document_has_the_table() {
    let mut wanted =
        String::from("| function | family | rules | header | signature |\n| --- | --- | --- | --- | --- |\n");
    let mut rows = rows();
    rows.sort_by(|a, b| (&a.family, &a.name).cmp(&(&b.family, &b.name)));
    for row in rows {
        let header = row.header.map_or(String::new(), |header| format!("`<{header}>`"));
        let Row { family, rules, signature, name, .. } = row;
        let _ = writeln!(wanted, "| `{name}` | {family} | {rules} | {header} | `{signature}` |");
    }
    let text = file("docs/hooks.md");
    let heading = wanted.lines().next().expect("a heading");
    let (before, rest) = text.split_once(heading).expect("the table");
    let (_, after) = rest.split_once("\n\n").expect("the end of the table");
    let new = format!("{before}{wanted}\n{after}");
    if std::env::var_os("PORTCULLIS_UPDATE").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hooks.md"), &new).expect("docs/hooks.md");
    }
    assert!(
        file("docs/hooks.md") == new,
        "PORTCULLIS_UPDATE=1 cargo nextest run --test library table:: writes docs/hooks.md"
    );
}

/// docs/hooks.md says in which files of src/hooks/ a family is: each hooked function is in one of them, and no file is named in vain.
#[test]
fn each_hook_is_in_a_file_of_its_family() {
    let text = file("docs/hooks.md");
    let (_, table) =
        text.split_once("| family | purpose | files in `src/hooks/` |\n| --- | --- | --- |\n").expect("a table");
    let families: BTreeMap<&str, Vec<(&str, String)>> = table
        .lines()
        .take_while(|line| line.starts_with("| "))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let files = cells[3].split(", ").map(|name| name.trim_matches('`'));
            (cells[1], files.map(|name| (name, file(&format!("src/hooks/{name}")))).collect())
        })
        .collect();
    let mut used = BTreeSet::new();
    for row in rows() {
        let files = families.get(row.family.as_str()).unwrap_or_else(|| panic!("no family {}", row.family));
        let has = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == row.name);
        let found: Vec<&str> = files.iter().filter(|(_, text)| has(text)).map(|(name, _)| *name).collect();
        assert!(!found.is_empty(), "{} is in none of the files of {}", row.name, row.family);
        used.extend(found.into_iter().map(|name| (row.family.clone(), name)));
    }
    for (family, files) in &families {
        for (name, _) in files {
            assert!(used.contains(&((*family).to_owned(), *name)), "no hook of {family} is in {name}");
        }
    }
}
