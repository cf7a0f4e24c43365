//! execveat with every flag, by path and by descriptor, of what somebody else may replace: as the kernel does it.

use crate::build::{built, compile, enter, source};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

fn said(command: &mut Command) -> Vec<String> {
    let done = command.env_remove("LD_PRELOAD").output().expect("a program");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn each_flag_does_what_it_does_without_the_guard() {
    enter();
    let folder = crate::build::folder();
    let program = compile(&source("execveat.c"), folder.path(), "execveat", &[]);
    let place = folder.path().join("place");
    std::fs::create_dir_all(place.join("folder")).expect("folders");
    std::fs::copy("/bin/false", place.join("program")).expect("a copy");
    symlink("program", place.join("link")).expect("a link");
    symlink("nowhere", place.join("dangling")).expect("a link");
    std::fs::write(place.join("script"), "#!/bin/false\n").expect("a script");
    std::fs::set_permissions(place.join("script"), std::fs::Permissions::from_mode(0o755)).expect("permissions");
    chown(&place, Some(33), Some(33)).expect("www-data's");
    let bare = said(Command::new(&program).arg(&place));
    assert!(bare.iter().any(|line| line == "link 100: 40"), "{bare:?}");
    assert!(bare.iter().any(|line| line == "program 1000: ended with 100"), "{bare:?}");
    let config = folder.path().join("config.toml");
    for (mode, backstop) in [("audit", "off"), ("audit", "supervise"), ("enforce", "off"), ("enforce", "supervise")] {
        let text = format!(
            "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"/dev/null\"\n[rules.exec-place]\nmode = \"off\"\n[backstop]\nseccomp = \"{backstop}\"\n"
        );
        std::fs::write(&config, text).expect("a file");
        let mut command = Command::new(built().join("portcullis"));
        command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&program).arg(&place);
        // A script that an interpreter does not find by a name is unknown: what it finds is not what was judged.
        let without = |lines: &[String]| match mode {
            "enforce" => lines.iter().filter(|line| !line.starts_with("script")).cloned().collect(),
            _ => lines.to_vec(),
        };
        assert_eq!(without(&said(&mut command)), without(&bare), "{mode} {backstop}");
    }
}
