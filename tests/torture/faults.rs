//! Every system call that the guard makes fails, one after the other, with every error: the program notices nothing, and what
//! is to be refused is refused.

use crate::compiled;
use crate::harness::{Guard, Place, enter, every_rule};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ERRORS: [(&str, i32); 6] = [
    ("ENOMEM", libc::ENOMEM),
    ("EMFILE", libc::EMFILE),
    ("ENOSYS", libc::ENOSYS),
    ("EINTR", libc::EINTR),
    ("EAGAIN", libc::EAGAIN),
    ("EACCES", libc::EACCES),
];

/// The system calls in the guard's source, by name and number. Those of a hook's own call are the caller's, and go out
/// through libc.
fn calls() -> BTreeMap<String, i64> {
    let mut names = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the source").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(path).expect("a file");
                names.extend(text.split("libc::SYS_").skip(1).map(|rest| {
                    rest.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
                        .next()
                        .unwrap_or("")
                        .to_owned()
                }));
            }
        }
    }
    names.sort();
    names.dedup();
    // The compiler knows the numbers.
    let list: String = names.iter().map(|name| format!("{name} SYS_{name}\n")).collect();
    let place = Place::new();
    let source = place.write("numbers.c", &format!("#include <sys/syscall.h>\n{list}"));
    let done = Command::new("cc").args(["-E", "-P"]).arg(source).output().expect("cc");
    let numbers = String::from_utf8(done.stdout).expect("text");
    names
        .into_iter()
        .filter_map(|name| {
            let line = numbers.lines().find_map(|line| line.strip_prefix(&format!("{name} ")))?;
            Some((name.clone(), line.trim().parse().unwrap_or_else(|_| panic!("{name}: {line}"))))
        })
        .collect()
}

/// What the victim prints; panics where it does not end.
fn printed(place: &Place, guard: Option<&Guard>, fault: Option<(i64, i32, &str)>) -> String {
    let mut command = Command::new(place.join("victim"));
    let mut preload = place.join("fault.so").display().to_string();
    if let Some(guard) = guard {
        guard.load(&mut command);
        preload = format!("{} {preload}", place.library().display());
    }
    command.env("LD_PRELOAD", preload).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some((number, errno, when)) = fault {
        command.env("FAULT", format!("{number}:{errno}")).env("FAULT_WHEN", when);
    }
    let mut child = command.spawn().expect("the victim");
    let end = Instant::now() + Duration::from_secs(20);
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > end {
            child.kill().expect("killed");
            panic!("{fault:?}: it hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let done = child.wait_with_output().expect("the victim");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{fault:?}: {}\n{text}", done.status);
    // What is said on standard error would be in the server's own.
    assert!(done.stderr.is_empty(), "{fault:?}: {}", String::from_utf8_lossy(&done.stderr));
    text
}

struct Setting {
    place: Place,
    guard: Guard,
}

fn setting(config: &str) -> Setting {
    let place = Place::new();
    compiled(&place, "victim", &[]);
    let library = compiled(&place, "fault", &["-shared", "-fPIC"]);
    std::fs::rename(library, place.join("fault.so")).expect("renamed");
    let guard = place.guard(config);
    let done = place.portcullis().arg("compile").arg("--config").arg(&guard.config).output().expect("portcullis");
    assert!(done.status.success());
    Setting { place, guard }
}

/// Every fault; `wanted` is what the victim has to print, of which the lines count that `counts` takes.
fn every_fault(setting: &Setting, when: &str, wanted: &str, counts: impl Fn(&str) -> bool) {
    let mut wrong = Vec::new();
    // These are made for system, popen and pclose, whose results they are.
    let for_the_program = |name: &str| matches!(name, "wait4" | "pipe2");
    for (name, number) in calls().into_iter().filter(|(name, _)| !for_the_program(name)) {
        for (error, errno) in ERRORS {
            let text = printed(&setting.place, Some(&setting.guard), Some((number, errno, when)));
            // What cannot be closed stays open; the memory of popen's stream, and its pipe, are the program's.
            let of_popen = |line: &str| matches!(name.as_str(), "close" | "mmap") && line.starts_with("popen");
            let same = |text: &str| -> String {
                text.lines()
                    .filter(|line| name != "close" || !line.starts_with("descriptors"))
                    .filter(|line| !of_popen(line))
                    .map(|line| format!("{line}\n"))
                    .collect()
            };
            let (text, wanted) = (same(&text), same(wanted));
            let differs: Vec<String> = (text.lines().zip(wanted.lines()))
                .filter(|(is, was)| is != was && counts(was))
                .map(|(is, was)| format!("  {is}, not {was}\n"))
                .collect();
            if text.lines().count() != wanted.lines().count() || !differs.is_empty() {
                wrong.push(format!("{name} {error} at {when}:\n{}", differs.concat()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} faults change what the program sees:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_program_that_is_audited_notices_no_fault() {
    enter();
    let setting = setting(&every_rule("audit"));
    let bare = printed(&setting.place, None, None);
    assert_eq!(printed(&setting.place, Some(&setting.guard), None), bare);
    for when in ["start", "run"] {
        every_fault(&setting, when, &bare, |_| true);
    }
}

#[test]
fn what_is_refused_is_refused_under_any_fault() {
    enter();
    let setting = setting(&every_rule("enforce"));
    let refused = printed(&setting.place, Some(&setting.guard), None);
    let bare = printed(&setting.place, None, None);
    assert_ne!(bare, refused);
    // What is allowed may be refused as well: what could not be judged is, where a rule is enforced.
    let is_refused = |line: &str| !bare.lines().any(|other| other == line);
    every_fault(&setting, "run", &refused, is_refused);
}
