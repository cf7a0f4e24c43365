//! A program that somebody could replace is started by its descriptor; where /proc is not there, which that goes by, it is started all
//! the same.

use crate::build::{built, compile, enter, source};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

#[test]
fn a_replaceable_program_starts_without_proc() {
    enter();
    let folder = crate::build::folder();
    let at = |name: &str| folder.path().join(name);
    let starter = compile(&source("without_proc.c"), folder.path(), "without_proc", &[]);
    let own = compile(&source("nothing.c"), folder.path(), "own", &[]);
    std::fs::write(at("script"), "#!/bin/echo said\n").expect("a file");
    std::fs::set_permissions(at("script"), PermissionsExt::from_mode(0o755)).expect("permissions");
    for path in [folder.path(), &own, &at("script")] {
        chown(path, Some(33), Some(33)).expect("an owner");
    }
    // Of root's, as is the configuration: the log of a folder of others is not made.
    let roots = crate::build::folder();
    let [config, log] = ["config.toml", "events.jsonl"].map(|name| roots.path().join(name));
    let text = format!(
        "mode = \"audit\"\n[rules.exec-unguarded]\nmode = \"enforce\"\nreasons = [\"setuid\", \"static\", \"foreign\"]\n\
         [log]\nsink = [\"file\"]\nfile = \"{}\"\n",
        log.display()
    );
    std::fs::write(&config, text).expect("a file");
    let said = |command: &mut Command| {
        let done = command.args([&own, &at("script")]).output().expect("a program");
        format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
    };
    let bare = said(Command::new("unshare").arg("-m").arg(&starter));
    assert!(bare.starts_with("proc 0\n1: 0 0\n") && bare.contains("said") && bare.ends_with("2: 0 0\n"), "{bare}");
    let mut guarded = Command::new("unshare");
    guarded.arg("-m").arg(built().join("portcullis")).args(["run", "--role", "serving", "--config"]);
    let guarded = said(guarded.arg(&config).arg("--").arg(&starter));
    let events = std::fs::read_to_string(&log).unwrap_or_default();
    assert_eq!(guarded, bare, "{events}");
}
