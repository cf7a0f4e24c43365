//! Another preload beside the guard, before it and behind it: what a program sees, and how often the other's functions are
//! called, is what it is without the guard. Real ones are in tests/servers/preloads.rs.

use crate::build::{built, compile, enter, library, source};
use crate::table::libc_path;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How another preload finds what stands behind its own functions, and what else it has.
const KINDS: [(&str, &[&str]); 17] = [
    ("next", &[]),
    ("version", &[]),
    // By a handle of libc: called by a hook, it called that hook again, and so on.
    ("handle", &[]),
    ("closed", &[]),
    ("path", &[]),
    // By syscall(2), whose hook may not end in it.
    ("syscall", &[]),
    // Its constructor calls hooks, perhaps before the guard's has run.
    ("early", &[]),
    // It asks for functions while the guard's constructor walks along what is loaded.
    ("next", &["-DITERATE"]),
    ("handle", &["-DITERATE"]),
    // The loader calls its malloc before libc has begun, and that asks dlsym.
    ("next", &["-DMALLOC"]),
    ("handle", &["-DMALLOC"]),
    // It puts variables into the environment before main, and has a getenv.
    ("next", &["-DINJECT"]),
    // dlsym and dlopen are its own; dlvsym too, which it finds in libc's own table.
    ("next", &["-DWRAP"]),
    ("handle", &["-DITERATE", "-DWRAP"]),
    ("handle", &["-DITERATE", "-DWRAP", "-DTABLE"]),
    // It connects by a library that it has loaded past itself.
    ("deep", &[]),
    // It has no table of GNU's hashes.
    ("sysv", &["-Wl,--hash-style=sysv"]),
];

struct Case<'f> {
    folder: &'f Path,
    program: PathBuf,
    libraries: [PathBuf; 4],
}

impl Case<'_> {
    /// What the program says with these preloads; in a process that serves, where there is a policy.
    fn run(&self, preload: &str, policy: Option<&Path>) -> Vec<String> {
        let mut command = Command::new("timeout");
        let [lazy, now, deep, helper] = &self.libraries;
        command.arg("20").arg("env").arg(format!("LD_PRELOAD={preload}")).arg(format!("HELPER={}", helper.display()));
        if let Some(policy) = policy {
            command.arg(format!("PORTCULLIS_CONTEXT=1;s;0;0;0;0:0;{};preloaded", policy.display()));
        }
        let done = command.arg(&self.program).args([lazy, now, deep]).output().expect("the program");
        assert!(done.status.success(), "{preload}: {:?} {}", done.status, String::from_utf8_lossy(&done.stderr));
        assert!(done.stderr.is_empty(), "{preload}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect()
    }

    /// Compiles the policy of a mode; its path and that of the events.
    fn policy(&self, mode: &str) -> (PathBuf, PathBuf) {
        let [config, log, policy] = ["toml", "jsonl", "policy"].map(|end| self.folder.join(format!("{mode}.{end}")));
        let text =
            format!("mode = \"{mode}\"\n[log]\nmerge = false\nsink = [\"file\"]\nfile = \"{}\"\n", log.display());
        std::fs::write(&config, text).expect("a file");
        let mut command = Command::new(built().join("portcullis"));
        let done = command.arg("compile").arg("--config").arg(&config).arg("-o").arg(&policy).output();
        assert!(done.expect("portcullis").status.success());
        (policy, log)
    }
}

/// How often the rule fired; the events are removed.
fn fired(log: &Path, rule: &str) -> usize {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let _ = std::fs::remove_file(log);
    let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    events.filter(|event| event["rule"]["id"] == rule).count()
}

#[test]
fn audit_changes_nothing_and_enforce_refuses_beside_any_kind() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let shared: &[&str] = &["-shared", "-fPIC", "-Wl,-z,lazy", "-Wl,-z,norelro"];
    let helper = |name| compile(&source("helper.c"), folder.path(), name, shared);
    let case = Case {
        folder: folder.path(),
        program: compile(&source("preloaded.c"), folder.path(), "preloaded", &[]),
        libraries: ["liblazy.so", "libnow.so", "libdeep.so", "libhelper.so"].map(helper),
    };
    let (audit, audited) = case.policy("audit");
    let (enforce, enforced) = case.policy("enforce");
    let (guard, libc) = (library(), format!("-DLIBC=\"{}\"", libc_path().display()));
    for (number, (way, flags)) in KINDS.iter().enumerate() {
        let way_flag = format!("-DWAY={way}");
        let flags = [&["-shared", "-fPIC", &way_flag, &libc], *flags].concat();
        let other = compile(&source("preload.c"), folder.path(), &format!("libpreload{number}.so"), &flags);
        let bare = case.run(&other.display().to_string(), None);
        assert!(bare.len() > 20, "{bare:?}");
        let orders = [[&guard, &other], [&other, &guard]].map(|[first, second]| {
            let before = first == &other;
            (before, format!("{}:{}", first.display(), second.display()))
        });
        for (before, preload) in orders {
            // What comes before the guard and goes on in libc, by what it has read in libc's own table, is for the backstop.
            let outside = if before && flags.contains(&"-DTABLE") { 0 } else { 7 };
            assert_eq!(case.run(&preload, Some(&audit)), bare, "{preload} {flags:?}");
            let early = usize::from(*way == "early");
            assert!(fired(&audited, "egress-port") >= outside, "{preload} {flags:?}");
            let seen = case.run(&preload, Some(&enforce));
            let refused = |what: &str| seen.iter().filter(|line| line.starts_with(what)).count();
            let failed = seen.iter().filter(|line| line.starts_with("connect") && line.ends_with(" -1 EACCES"));
            assert_eq!(failed.count(), outside, "{preload} {flags:?}: {seen:?}");
            for line in ["connect to loopback 0", "popen 0", "system 0", "accept 1", "read 1", "getaddrinfo 0"] {
                assert_eq!(refused(line), 1, "{line}: {preload} {flags:?}: {seen:?}");
            }
            assert_eq!(fired(&enforced, "shell-spawn"), 3 + early, "{preload} {flags:?}");
        }
    }
}
