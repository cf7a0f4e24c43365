//! In audit, a program observes the same of how it was started with the guard and without: its arguments, its environment, the
//! initial stack behind it, descriptors, signals, limits.

use crate::build::{built, compile, enter, library, source};
use std::path::Path;
use std::process::Command;

/// Runs a program, under the guard where `config` is there; what it says.
fn said(config: Option<&Path>, program: &Path, arguments: &[&str]) -> String {
    let mut command = match config {
        Some(config) => {
            let mut command = Command::new(built().join("portcullis"));
            command.args(["run", "--role", "serving", "--config"]).arg(config).arg("--").arg(program);
            command
        }
        None => Command::new(program),
    };
    let done = command.args(arguments).env_remove("LD_PRELOAD").output().expect("a program");
    assert!(done.status.success(), "{arguments:?}: {done:?}");
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

/// A configuration that audits everything.
fn audit(folder: &Path, more: &str) -> std::path::PathBuf {
    let config = folder.join("config.toml");
    let text = format!("mode = \"audit\"\n[log]\nsink = [\"file\"]\nfile = \"/dev/null\"\n{more}");
    std::fs::write(&config, text).expect("a file");
    config
}

const WAYS: [&str; 6] = ["execve", "execvp", "fexecve", "posix_spawn", "vfork", "replace"];

#[test]
fn a_program_observes_the_same() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let probe = compile(&source("observed.c"), folder.path(), "observed", &[]);
    let config = audit(folder.path(), "");
    for which in ["none", "own", "separators", "empty", "twice", "almost", "long"] {
        for (number, way) in WAYS.into_iter().enumerate() {
            // On the stack, and in a mapping.
            let count = if number % 2 == 0 { "3" } else { "500" };
            let bare = said(None, &probe, &[way, which, count]);
            let guarded = said(Some(&config), &probe, &[way, which, count]);
            assert!(bare.contains("auxiliary 0 as the kernel's"), "{bare}");
            let (lines, wanted) = (guarded.lines().collect::<Vec<_>>(), bare.lines().collect::<Vec<_>>());
            let first = lines.iter().zip(&wanted).find(|(line, wanted)| line != wanted);
            assert!(guarded == bare, "{way} {which} {count}: first {first:?}; {} {}", lines.len(), wanted.len());
        }
    }
}

/// The order in which somebody preloads stays, with the guard in it.
#[test]
fn the_order_of_preloads_stays() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let probe = compile(&source("observed.c"), folder.path(), "observed", &[]);
    let config = audit(folder.path(), "");
    let given = format!("libm.so.6 {}:libdl.so.2", library().display());
    for way in WAYS {
        let said = said(Some(&config), &probe, &[way, "guard", "3", &given]);
        assert!(said.contains(&format!("\nvariable LD_PRELOAD={given}\n")), "{way}: {said}");
        assert!(!said.contains("PORTCULLIS"), "{way}: {said}");
        assert!(said.contains("auxiliary 0 as the kernel's"), "{way}: {said}");
    }
}

/// An odd number of variables of the guard's, of which a unit sets one.
#[test]
fn the_first_program_finds_its_auxiliary_vector() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let probe = compile(&source("observed.c"), folder.path(), "observed", &[]);
    for role in ["s", "m"] {
        let done = Command::new(&probe)
            .env_clear()
            .env("LD_PRELOAD", library())
            .env("PORTCULLIS_CONTEXT", format!("1;{role};0;0;0;0:0;;"))
            .output()
            .expect("a program");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(said.contains("auxiliary 0 as the kernel's"), "{role}: {done:?}");
        assert!(!said.contains("PORTCULLIS_CONTEXT"), "{role}: {said}");
    }
}

/// A vfork child's memory is its parent's: what the hooks map there for a large environment, or for many arguments, is given back.
#[test]
fn a_vfork_child_leaves_nothing() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let probe = compile(&source("vforks.c"), folder.path(), "vforks", &[]);
    let config = audit(folder.path(), "");
    let script = folder.path().join("script");
    std::fs::write(&script, "exit 0\n").expect("a file");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    for how in ["one", "threads", "failing"] {
        for program in ["/bin/true", script.to_str().expect("a path")] {
            let said = said(Some(&config), &probe, &[how, program]);
            let grown: u64 = said.trim().parse().expect(&said);
            // What the test's own threads and first calls take.
            assert!(grown < 100, "{how} {program}: {grown} KiB more for 300 programs");
        }
    }
}
