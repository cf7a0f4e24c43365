//! Whatever a program does to its environment, what it starts is guarded, and neither sees anything of the guard.

use crate::build::{built, compile, enter, source};
use std::process::Command;

#[test]
fn children_stay_guarded_and_see_nothing() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let probe = compile(&source("environment.c"), folder.path(), "environment", &[]);
    let config = folder.path().join("config.toml");
    for layer in ["off", "supervise"] {
        let text = format!("[log]\nsink = [\"file\"]\nfile = \"/dev/null\"\n[backstop]\nseccomp = \"{layer}\"\n");
        std::fs::write(&config, text).expect("a file");
        for how in ["nothing", "clearenv", "unsetenv", "setenv", "putenv", "environ", "null", "given"] {
            for way in ["execve", "execvpe", "execv", "posix_spawn", "popen", "system"] {
                let done = Command::new(built().join("portcullis"))
                    .args(["run", "--role", "serving", "--config"])
                    .arg(&config)
                    .arg("--")
                    .arg(&probe)
                    .args([how, way])
                    .env_remove("LD_PRELOAD")
                    .output()
                    .expect("portcullis");
                let own = match (how, way) {
                    ("setenv", _) => "set",
                    ("putenv", _) => "put",
                    ("environ", _) => "given",
                    ("given", "execve" | "execvpe" | "posix_spawn") => "given",
                    _ => "",
                };
                // LD_PRELOAD is what the program set it to, less what the guard put there.
                let wanted = format!("sees [] []\nguarded [] [] [] [] [{own}]\n");
                let seen = String::from_utf8_lossy(&done.stdout);
                assert_eq!(seen, wanted, "{layer} {how} {way}: {}", String::from_utf8_lossy(&done.stderr));
            }
        }
    }
}

/// The backstop's key is for programs in which the guard will be, and they wipe it before anybody looks.
#[test]
fn the_key_is_nobody_elses() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.toml");
    let text = "[log]\nsink = [\"file\"]\nfile = \"/dev/null\"\n[backstop]\nseccomp = \"supervise\"\n";
    std::fs::write(&config, text).expect("a file");
    let run = |arguments: &[&str]| {
        let done = Command::new(built().join("portcullis"))
            .args(["run", "--role", "serving", "--config"])
            .arg(&config)
            .args(["--", "/usr/bin/env"])
            .args(arguments)
            .output()
            .expect("portcullis");
        String::from_utf8_lossy(&done.stdout).replace('\0', "\n")
    };
    let key = |text: &str| text.lines().find_map(|line| line.strip_prefix("PORTCULLIS_KEY=")).map(str::to_owned);
    let by_static = run(&["/bin/busybox", "env"]);
    assert!(by_static.contains("PORTCULLIS_REQUEST="), "{by_static}");
    assert_eq!(key(&by_static), None);
    let wiped = key(&run(&["/bin/cat", "/proc/self/environ"])).expect("a guarded program is given it");
    assert!(wiped.len() > 10 && wiped.bytes().all(|byte| byte == b'0'), "{wiped}");
}
