//! Which programs are shells: by name, by what a symbolic link resolves to, by applet, by the interpreter of a script.

use crate::build::{built, enter};
use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// Whether that was a shell.
fn is_shell(folder: &Path, program: &str, arguments: &[&str]) -> bool {
    let events = start(folder, program, arguments);
    // What a shell starts in its turn is not in question.
    let shells = |event: &&Value| event["portcullis"]["role"] == "serving" && event["rule"]["id"] == "shell-spawn";
    events.iter().filter(shells).count() == 1
}

/// The events, once `program` was started with `arguments` from Perl, which serves.
fn start(folder: &Path, program: &str, arguments: &[&str]) -> Vec<Value> {
    let (config, log) = (folder.join("config.toml"), folder.join("events.jsonl"));
    let _ = std::fs::remove_file(&log);
    let allow = "[exec]\nallow = [\"default\", \"/usr/bin/printf a *\", \"/opt/listed.sh *\"]";
    std::fs::write(&config, format!("{allow}\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n", log.display()))
        .expect("a file");
    let script =
        "my $p = shift; my $pid = fork; if (!$pid) { close STDIN; exec { $p } @ARGV; exit 0 } waitpid $pid, 0;";
    let done = Command::new(built().join("portcullis"))
        .args(["run", "--config"])
        .arg(&config)
        .args(["--", "/usr/bin/perl", "-e", script, program])
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("perl");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn script(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("permissions");
    path.to_str().expect("a path").to_owned()
}

#[test]
fn shells_and_what_is_none() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    for (link, target) in [
        ("plain", "/bin/dash"),
        ("again", "plain"),
        ("ls", "/bin/busybox"),
        ("ash", "/bin/busybox"),
        ("sh", "/bin/true"),
    ] {
        symlink(target, folder.join(link)).expect("a link");
    }
    let at = |name: &str| folder.join(name).to_str().expect("a path").to_owned();
    let by_sh = script(folder, "by_sh", "#!/bin/sh\nexit 0\n");
    let by_env = script(folder, "by_env", "#!/usr/bin/env -S bash -e\nexit 0\n");
    let spaced = script(folder, "spaced", "#!  /bin/dash -e\nexit 0\n");
    let nested = script(folder, "nested", &format!("#!{by_sh} x\n"));
    let by_perl = script(folder, "by_perl", "#!/usr/bin/perl\nexit 0;\n");
    let busybox_script = script(folder, "busybox_script", "#!/bin/busybox sh\nexit 0\n");
    let loader = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let loader = loader.into_iter().find(|path| Path::new(path).exists()).expect("a loader");
    for (program, arguments) in [
        ("/bin/sh", &["sh", "-c", "exit 0"][..]),
        ("/bin/sh", &["innocent", "-c", "exit 0"]),
        ("/usr/bin/mksh", &["mksh", "-c", "exit 0"]),
        ("/bin/../bin/bash", &["bash", "-c", "exit 0"]),
        (&at("plain"), &["plain", "-c", "exit 0"]),
        (&at("again"), &["again", "-c", "exit 0"]),
        ("/bin/busybox", &["busybox", "sh", "-c", "exit 0"]),
        (&at("ash"), &["ash", "-c", "exit 0"]),
        (&at("ls"), &["sh", "-c", "exit 0"]),
        ("sh", &["sh", "-c", "exit 0"]),
        (&at("sh"), &["sh"]),
        (&by_sh, &["by_sh"]),
        (&by_env, &["by_env"]),
        (&spaced, &["spaced"]),
        (&nested, &["nested"]),
        (&busybox_script, &["busybox_script"]),
        (loader, &["ld.so", "/bin/sh", "-c", "exit 0"]),
        // Allowed is a simple command, and nothing that has it in it.
        ("/bin/sh", &["sh", "-c", "/usr/bin/printf a b; id"]),
        ("/bin/sh", &["sh", "-c", "/usr/bin/printf a -v"]),
        ("/bin/sh", &["sh", "-c", "/usr/bin/printf a $(id)"]),
        ("/bin/sh", &["sh", "-x", "-c", "/usr/bin/printf a b"]),
        (&at("plain"), &["sh", "-c", "/usr/bin/printf a b", "x"]),
    ] {
        assert!(is_shell(folder, program, arguments), "{program} {arguments:?}");
    }
    for (program, arguments) in [
        ("/usr/bin/id", &["id", "-u"][..]),
        ("/usr/bin/id", &["sh", "-u"]),
        ("/bin/busybox", &["busybox", "true"]),
        (&at("ls"), &["ls", "/nowhere"]),
        (&by_perl, &["by_perl"]),
        ("/nowhere/sh", &["sh"]),
        ("/bin/sh", &["sh", "-c", "/usr/bin/printf a b"]),
        ("/bin/sh", &["sh", "-c", "/usr/bin/printf  'a' \"b c\""]),
        ("/bin/sh", &["sh", "-c", "--", "/usr/bin/printf a b"]),
        (&at("plain"), &["sh", "-c", "/usr/bin/printf a b"]),
    ] {
        assert!(!is_shell(folder, program, arguments), "{program} {arguments:?}");
    }
}

/// A file under a shell's name outside of the system's folders is a shell, and no `allow` helps it.
#[test]
fn a_copy_elsewhere_is_not_believed() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy("/bin/dash", folder.path().join("sh")).expect("a copy");
    let copy = folder.path().join("sh");
    let copy = copy.to_str().expect("a path");
    assert!(is_shell(folder.path(), copy, &["sh", "-c", "/usr/bin/printf a b"]));
}

/// An exec knows beforehand whether the guard will be in the program, or in the interpreter of a script.
#[test]
fn what_will_not_be_guarded_is_named() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let busybox = script(folder, "busybox_script", "#!/bin/busybox sh\nexit 0\n");
    let dash = script(folder, "dash_script", "#!/bin/dash\nexit 0\n");
    let setuid = folder.join("sh");
    std::fs::copy("/bin/dash", &setuid).expect("a copy");
    std::os::unix::fs::chown(&setuid, Some(33), Some(33)).expect("chown");
    std::fs::set_permissions(&setuid, PermissionsExt::from_mode(0o4755)).expect("permissions");
    for (program, unguarded) in [
        ("/bin/busybox", Some("static")),
        (&busybox, Some("static")),
        (&dash, None),
        ("/bin/sh", None),
        (setuid.to_str().expect("a path"), Some("setuid")),
    ] {
        let events = start(folder, program, &["sh", "-c", "exit 0"]);
        let first = events.iter().find(|event| event["portcullis"]["role"] == "serving").expect("an event");
        assert_eq!(first["portcullis"]["unguarded"].as_str(), unguarded, "{program}");
    }
}

/// A hook for a function that this libc does not have does not make it one.
#[test]
fn a_function_that_libc_does_not_have_stays_away() {
    enter();
    let known = "import ctypes; print([hasattr(ctypes.CDLL(name), f) for name in (None, 'libc.so.6') \
                 for f in ('connect', 'pidfd_spawn', 'pidfd_spawnp', 'no_such_function')])";
    let run = |command: &mut Command| String::from_utf8_lossy(&command.output().expect("python").stdout).into_owned();
    let bare = run(Command::new("/usr/bin/python3").args(["-c", known]));
    assert!(bare.contains("True"), "{bare}");
    let guarded = run(Command::new(built().join("portcullis")).args(["run", "--", "/usr/bin/python3", "-c", known]));
    assert_eq!(bare, guarded);
}
