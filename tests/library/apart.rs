//! A call whose verdict hangs on the socket, in a process with threads and where a rule refuses: it is made in a child that the
//! program does not notice.

use crate::build::{built, compile, enter, source};
use std::process::Command;

fn said(command: &mut Command) -> Vec<String> {
    let done = command.output().expect("a program");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_call_on_the_socket_that_was_judged_is_what_it_is_without_the_guard() {
    enter();
    let folder = crate::build::folder();
    let program = compile(&source("apart.c"), folder.path(), "apart", &["-pthread"]);
    let config = folder.path().join("config.toml");
    let log = folder.path().join("events.jsonl");
    for word in ["", "ports"] {
        let bare = said(Command::new(&program).arg(word));
        for line in ["to a full listener: -1 4; handled", "to a full listener: 0 77; handled", "no child: -1 10; "] {
            assert!(bare.iter().any(|said| said == line), "no {line}: {bare:#?}");
        }
        for backstop in ["off", "supervise"] {
            let text = format!(
                "mode = \"enforce\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[egress]\nallow = [\"127.0.0.1:*\", \"192.88.1.10:9\"]\n\
                 [rules.listen-port]\nmode = \"enforce\"\nallow = [\"0-65535\"]\n[backstop]\nseccomp = \"{backstop}\"\n",
                log.display()
            );
            std::fs::write(&config, text).expect("a file");
            let mut command = Command::new(built().join("portcullis"));
            command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&program).arg(word);
            let guarded = said(&mut command);
            assert_eq!(guarded, bare, "{word} {backstop}");
        }
    }
}
