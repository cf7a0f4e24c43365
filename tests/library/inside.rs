//! What libc does inside itself: its machine code is followed from every exported function to the system calls that the guard is
//! about. Whoever gets there has a hook, or docs/hooks.md says why not.

use crate::table::{documented, libc_path, rows};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const CALLS: [i64; 8] = [
    libc::SYS_connect,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_execve,
    libc::SYS_execveat,
];

/// Before glibc 2.41 these get there by pointers in a table, which the code does not show.
const LATER: [&str; 1] = ["__libc_freeres"];

/// The numbers of a function's system calls; those that are not known are not in it.
type Numbers = BTreeMap<usize, BTreeSet<i64>>;
/// From a function to those that call it, or take its address.
type Callers = BTreeMap<usize, BTreeSet<usize>>;

fn output(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).arg(libc_path()).output().expect(program);
    // readelf minds that the debugging information of the package is not there.
    assert!(!done.stdout.is_empty(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// Where each function begins and ends, as the tables for unwinding say, which have the nameless ones as well.
fn functions() -> Vec<(u64, u64)> {
    let text = output("readelf", &["-wf"]);
    let ranges = text.lines().filter(|line| line.contains(" FDE ")).filter_map(|line| line.split(" pc=").nth(1));
    let mut found: Vec<_> = ranges
        .filter_map(|range| {
            let (first, last) = range.trim().split_once("..")?;
            Some((hexadecimal(first)?, hexadecimal(last)?))
        })
        .collect();
    found.sort_unstable();
    assert!(found.len() > 2000, "{}", found.len());
    found
}

fn function_of(functions: &[(u64, u64)], at: u64) -> Option<usize> {
    let index = functions.partition_point(|(first, _)| *first <= at).checked_sub(1)?;
    (at < functions[index].1).then_some(index)
}

/// A call, and what was pushed before it: an immediate value or another.
struct Call {
    from: usize,
    to: usize,
    pushed: Option<i64>,
}

/// Gives their numbers to those that make a system call by a function which gets the number as its seventh argument: from glibc 2.41,
/// each call at which a thread can be cancelled.
fn add_passed(numbers: &mut Numbers, mut makes_any: BTreeSet<usize>, calls: &[Call]) {
    loop {
        let further = calls.iter().filter(|call| call.pushed.is_none() && makes_any.contains(&call.to));
        let further: Vec<usize> = further.map(|call| call.from).collect();
        let before = makes_any.len();
        makes_any.extend(further);
        if makes_any.len() == before {
            break;
        }
    }
    for call in calls.iter().filter(|call| makes_any.contains(&call.to)) {
        numbers.entry(call.from).or_default().extend(call.pushed);
    }
}

/// Reads the machine code.
fn follow(functions: &[(u64, u64)]) -> (Numbers, Callers) {
    let (mut numbers, mut callers) = (Numbers::new(), Callers::new());
    let (mut makes_any, mut calls) = (BTreeSet::new(), Vec::new());
    let (mut current, mut number, mut pushed) = (None, None, None);
    for line in output("objdump", &["-d", "--no-show-raw-insn"]).lines() {
        let Some((at, code)) = line.split_once(":\t") else { continue };
        let Some(at) = hexadecimal(at.trim()) else { continue };
        let function = function_of(functions, at);
        if function != current {
            (current, number, pushed) = (function, None, None);
        }
        let Some(function) = function else { continue };
        let (operation, operands) = code.split_once(' ').map_or((code.trim(), ""), |(o, rest)| (o, rest.trim()));
        let target = match operation {
            "syscall" => {
                numbers.entry(function).or_default().extend(number);
                if number.is_none() {
                    makes_any.insert(function);
                }
                None
            }
            _ if operation == "call" || operation.starts_with('j') => {
                operands.split([' ', '<']).next().and_then(hexadecimal).and_then(|to| function_of(functions, to))
            }
            // The address of a function, which somebody else will call.
            "lea" => operands
                .split("# ")
                .nth(1)
                .and_then(|to| hexadecimal(to.split(' ').next()?))
                .and_then(|to| function_of(functions, to).filter(|index| functions[*index].0 == to)),
            _ => None,
        };
        if let Some(target) = target.filter(|target| *target != function) {
            callers.entry(target).or_default().insert(function);
        }
        if operation == "push" {
            let value = operands.strip_prefix('$').and_then(hexadecimal).map(u64::cast_signed);
            // A register is saved, or is no number of a call.
            pushed = (!operands.starts_with('%')).then_some(value);
        } else if operation == "call"
            && let (Some(to), Some(pushed)) = (target, pushed.take())
        {
            calls.push(Call { from: function, to, pushed });
        }
        let to_number = [",%eax", ",%rax"].into_iter().find_map(|register| operands.strip_suffix(register));
        match (operation, to_number) {
            ("mov", Some(value)) => number = value.strip_prefix('$').and_then(hexadecimal).map(u64::cast_signed),
            ("cmp" | "test", _) | (_, None) => {}
            (_, Some(_)) => number = None,
        }
    }
    add_passed(&mut numbers, makes_any, &calls);
    (numbers, callers)
}

/// The functions that get to one of the system calls.
fn reaching(numbers: &Numbers, callers: &Callers) -> BTreeSet<usize> {
    let of_interest = |of: &BTreeSet<i64>| CALLS.iter().any(|call| of.contains(call));
    let mut todo: Vec<usize> = numbers.iter().filter(|(_, of)| of_interest(of)).map(|(index, _)| *index).collect();
    let mut seen: BTreeSet<usize> = todo.iter().copied().collect();
    while let Some(next) = todo.pop() {
        todo.extend(callers.get(&next).into_iter().flatten().filter(|caller| seen.insert(**caller)));
    }
    seen
}

/// The exported names of a set of functions. What is glibc's own alone (GLIBC_PRIVATE) no program can link.
fn exported(functions: &[(u64, u64)], set: &BTreeSet<usize>) -> BTreeSet<String> {
    let private: BTreeSet<String> = output("readelf", &["-W", "--dyn-syms"])
        .lines()
        .filter_map(|line| line.split_whitespace().nth(7)?.split_once("@GLIBC_PRIVATE").map(|(name, _)| name))
        .map(|name| name.trim_end_matches('@').to_owned())
        .collect();
    let bytes = std::fs::read(libc_path()).expect("libc");
    let libc = ElfFile64::<Endianness>::parse(&*bytes).expect("an ELF file");
    let symbols = libc
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && !matches!(symbol.kind(), SymbolKind::Data | SymbolKind::Tls));
    let inside = symbols
        .filter(|symbol| function_of(functions, symbol.address()).is_some_and(|function| set.contains(&function)));
    let names = inside.filter_map(|symbol| symbol.name().ok().map(str::to_owned));
    names.filter(|name| !private.contains(name)).collect()
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "reads the code of x86-64")]
fn whoever_gets_to_the_network_inside_libc_has_a_hook_or_a_reason() {
    let functions = functions();
    let (numbers, callers) = follow(&functions);
    let found = exported(&functions, &reaching(&numbers, &callers));
    // That it sees what there is to see.
    for name in
        ["connect", "getaddrinfo", "rexec_af", "syslog", "clnttcp_create", "popen", "posix_spawn", "svctcp_create"]
    {
        assert!(found.contains(name), "{name} is not found");
    }
    for name in ["strlen", "malloc", "printf", "qsort", "fread", "dup2"] {
        assert!(!found.contains(name), "{name} is found");
    }
    let hooked: BTreeSet<String> = rows().into_iter().map(|row| row.name).collect();
    let excused = documented("Inside libc");
    let is_of = |name: &str, one: &str| {
        one == name || one.strip_suffix('*').is_some_and(|beginning| name.starts_with(beginning))
    };
    let left: Vec<&String> =
        found.iter().filter(|name| !hooked.contains(*name) && !excused.iter().any(|one| is_of(name, one))).collect();
    assert!(left.is_empty(), "neither hooked nor excused in docs/hooks.md: {left:?}");
    let stale: Vec<&String> = excused
        .iter()
        .filter(|one| {
            !LATER.contains(&one.as_str()) && !found.iter().any(|name| is_of(name, one) && !hooked.contains(name))
        })
        .collect();
    assert!(stale.is_empty(), "excused in docs/hooks.md for nothing: {stale:?}");
}
