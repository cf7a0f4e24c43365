//! The library where it was not built for: with another libc, and on another processor with each size of a page.

use crate::build::{built, enter, folder, library, source};
use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Compiles tests/library/c/elsewhere.c and a library of act.c alone; `None` where there is no such compiler.
fn compiled(compiler: &str, folder: &Path) -> Option<[PathBuf; 2]> {
    let [program, library] = ["elsewhere", "libact.so"].map(|name| folder.join(name));
    let (main, act) = (source("elsewhere.c"), source("act.c"));
    for (output, arguments) in [
        (&program, vec![main.as_os_str(), act.as_os_str(), "-ldl".as_ref()]),
        (&library, vec!["-shared".as_ref(), "-fPIC".as_ref(), "-Wl,-z,now".as_ref(), act.as_os_str()]),
    ] {
        let done = match Command::new(compiler).args(["-O1", "-w", "-o"]).arg(output).args(arguments).output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("skipped: no {compiler} here; scripts/setup test installs it");
                return None;
            }
            done => done.expect(compiler),
        };
        assert!(done.status.success(), "{compiler}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Some([program, library])
}

/// Compiles a policy of this mode; gives its configuration and the log.
fn policy(folder: &Path, mode: &str) -> [PathBuf; 2] {
    let [config, log] = ["config.toml", "events.jsonl"].map(|name| folder.join(name));
    let _ = std::fs::remove_file(&log);
    let text = format!("mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nmerge = false\nfile = \"{}\"\n", log.display());
    std::fs::write(&config, text).expect("a file");
    let done = Command::new(built().join("portcullis")).args(["compile", "--config"]).arg(&config).output();
    let done = done.expect("portcullis");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    [config, log]
}

/// What the program calls itself: a worker of PHP-FPM.
const TITLE: &str = "php-fpm: pool elsewhere";

/// The rule, the outcome, the role and the pool of each event.
fn events(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let words = |event: Value| {
        [
            &event["rule"]["id"],
            &event["event"]["outcome"],
            &event["portcullis"]["role"],
            &event["portcullis"]["request"]["pool"],
        ]
        .map(|value| value.as_str().unwrap_or_default().to_owned())
        .join(" ")
    };
    events.map(words).collect()
}

fn output(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// What `program` prints where each connection and each shell is refused, as bare tells it.
fn refused(bare: &str) -> String {
    let line = |line: &str| match line.rsplitn(3, ' ').collect::<Vec<_>>()[..] {
        [_, _, what] if what.contains(": ") => format!("{what} -1 {}", libc::EACCES),
        _ => line.to_owned(),
    };
    bare.lines().map(|text| line(text) + "\n").collect()
}

/// Audit changes nothing and tells each act; enforce refuses each: of the program, of one that it starts,
/// and of a library that was bound past the preload.
fn expect_guarded(folder: &Path, roles: &[&str], run: impl Fn(Option<&Path>) -> Output) {
    let bare = run(None);
    assert!(bare.status.success(), "{bare:?}");
    let each = ["egress-port", "egress-port", "shell-spawn", "shell-spawn"];
    for (mode, outcome) in [("audit", "success"), ("enforce", "failure")] {
        let [config, log] = policy(folder, mode);
        let guarded = run(Some(&config));
        let wanted = if mode == "audit" { output(&bare) } else { refused(&output(&bare)) };
        assert_eq!(output(&guarded), wanted, "{mode}: {guarded:?}");
        assert_eq!(guarded.status.code(), Some(0), "{mode}: {guarded:?}");
        let of = |role: &str| each.map(|rule| format!("{rule} {outcome} {role} elsewhere"));
        let wanted: Vec<String> = roles.iter().flat_map(|role| of(role)).collect();
        assert_eq!(events(&log), wanted, "{mode}: {guarded:?}");
    }
}

/// A program of musl starts with the library that was built for glibc, and is guarded.
#[test]
fn a_program_of_musl_starts_and_is_guarded() {
    enter();
    let folder = folder();
    let folder = folder.path();
    let Some([program, act]) = compiled("musl-gcc", folder) else { return };
    expect_guarded(folder, &["serving", "descendant", "serving"], |config| {
        let mut command = Command::new(&program);
        command.arg0(TITLE);
        if let Some(config) = config {
            command.env("LD_PRELOAD", library()).env("PORTCULLIS_CONFIG", config);
        }
        command.args([&program, &act]).output().expect("the program")
    });
}

/// The library of `make aarch64`.
fn arms() -> PathBuf {
    built().parent().expect("a parent").join("aarch64/aarch64-unknown-linux-gnu/release/libportcullis.so")
}

/// The calls of a guest (qemu's -strace) whose address a kernel with pages of this size would not take.
fn misplaced(trace: &str, page: usize) -> Vec<&str> {
    let is_wrong = |line: &&str| {
        let Some((name, rest)) = line.split_once('(') else { return false };
        let name = name.rsplit(' ').next().unwrap_or_default();
        let address = rest.split(',').next().unwrap_or_default();
        let address = match address.strip_prefix("0x") {
            Some(hex) => usize::from_str_radix(hex, 16).ok(),
            None if address == "NULL" => Some(0),
            None => address.parse().ok(),
        };
        ["mprotect", "munmap", "madvise", "mremap", "mmap"].contains(&name)
            && !address.unwrap_or_else(|| panic!("{line}")).is_multiple_of(page)
    };
    trace.lines().filter(is_wrong).collect()
}

/// Runs what follows without /proc, through which the library else writes to what the loader made read-only: qemu has several threads.
const WITHOUT_PROC: [&str; 4] = ["-m", "sh", "-c", "mount -t tmpfs none /proc && exec \"$0\" \"$@\""];

/// On arm64, with the smallest and the largest page that its kernels have.
#[test]
#[ignore = "of the long form: on a busy machine one run of twenty has no events, for a reason that is not known"]
fn arm64_with_each_size_of_a_page() {
    enter();
    let folder = folder();
    let folder = folder.path();
    if !arms().exists() {
        return eprintln!("skipped: no {}; make aarch64 builds it", arms().display());
    }
    let Some([program, act]) = compiled("aarch64-linux-gnu-gcc", folder) else { return };
    for page in [4096, 65536] {
        let guest = |mut command: Command, config: Option<&Path>, more: &[&str]| {
            command.args(["-p", &page.to_string(), "-L", "/usr/aarch64-linux-gnu", "-0", TITLE]).args(more);
            if let Some(config) = config {
                command.arg("-E").arg(format!("LD_PRELOAD={}", arms().display()));
                command.arg("-E").arg(format!("PORTCULLIS_CONFIG={}", config.display()));
            }
            command.arg(&program).arg("/nowhere").arg(&act).output()
        };
        match guest(Command::new("qemu-aarch64"), None, &[]) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return eprintln!("skipped: no qemu-aarch64 here; scripts/setup test installs it");
            }
            bare => {
                let text = output(&bare.expect("qemu"));
                if !text.starts_with(&format!("page {page}\n")) {
                    return eprintln!("skipped: this qemu has no pages of {page} bytes: {text}");
                }
            }
        }
        // Another processor's program is started by nobody here.
        expect_guarded(folder, &["serving", "serving"], |config| {
            guest(Command::new("qemu-aarch64"), config, &[]).expect("qemu")
        });
        // qemu takes any address; a kernel would not.
        let [config, _] = policy(folder, "enforce");
        let mut apart = Command::new("unshare");
        apart.args(WITHOUT_PROC).arg("qemu-aarch64");
        let traced = guest(apart, Some(&config), &["-strace"]).expect("qemu");
        let trace = String::from_utf8_lossy(&traced.stderr);
        let binds = trace.lines().filter(|line| line.contains("mprotect(") && line.contains("PROT_READ|PROT_WRITE)"));
        assert!(binds.count() >= 2, "no slot of the library's was written: {trace}");
        assert_eq!(misplaced(&trace, page), [""; 0], "pages of {page} bytes");
        assert!(output(&traced).contains(&format!("library: connect -1 {}\n", libc::EACCES)), "{traced:?}");
    }
}
