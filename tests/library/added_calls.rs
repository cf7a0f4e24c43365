//! A unit's own filter (SystemCallFilter=, a container's profile) may end whoever makes a system call that the program never made without
//! the library. Which calls the library adds to what most programs do is therefore kept in a list.

use crate::build::{built, compile, enter, source};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

/// What the library calls, beside what the loader and libc call in any program. docs/threat-model.md has the list.
const ADDED: [libc::c_long; 8] = [
    libc::SYS_fstat,
    libc::SYS_rt_sigprocmask,
    libc::SYS_getpid,
    libc::SYS_getsockname,
    libc::SYS_fcntl,
    libc::SYS_prctl,
    libc::SYS_readlinkat,
    libc::SYS_statx,
];
/// Numbers of system calls; those between are of no native program.
const NUMBERS: [std::ops::Range<libc::c_long>; 2] = [0..336, 424..470];

#[test]
fn the_library_adds_no_other_system_calls() {
    enter();
    let folder = crate::build::folder();
    let program = compile(&source("under.c"), folder.path(), "under", &[]);
    let config = folder.path().join("config.toml");
    let log = folder.path().join("events.jsonl");
    let text = format!("mode = \"audit\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n", log.display());
    std::fs::write(&config, text + "[backstop]\nseccomp = \"off\"\n").expect("a file");
    let library = built().join("libportcullis.so");
    let said = |number: libc::c_long, library: &Path| {
        let mut command = Command::new(&program);
        command.arg(number.to_string()).arg(library).env("PORTCULLIS_CONFIG", &config).env_remove("LD_PRELOAD");
        let done = command.output().expect("a program");
        (String::from_utf8_lossy(&done.stdout).into_owned(), done.status.code(), done.status.signal())
    };
    let bare = Path::new("-");
    let nothing_forbidden = said(10_000, bare);
    assert_eq!(said(10_000, &library), nothing_forbidden);
    // What starts the program, and what ends it.
    let is_own = |number: &libc::c_long| [libc::SYS_execve, libc::SYS_exit_group].contains(number);
    let differs = |number: &libc::c_long| {
        let guarded = said(*number, &library);
        guarded != nothing_forbidden && guarded != said(*number, bare)
    };
    let added: Vec<libc::c_long> =
        NUMBERS.into_iter().flatten().filter(|number| !is_own(number)).filter(differs).collect();
    assert!(added.iter().all(|number| ADDED.contains(number)), "{added:?}");
    assert!(added.contains(&libc::SYS_statx), "{added:?}: the filter ends nothing");
}
