//! A program that a hook and the supervisor both judge has one event.

use super::run;
use super::supervisor::servers_with;
use crate::harness::{Parts, Place, enter};

/// Starts `program` in the way that is named, and says how it ended.
const START: &str = "import os, sys
way, program = sys.argv[1:]
words = ['true']
if way == 'execve':
    child = os.fork()
    if child == 0:
        os.execve(program, words, os.environ)
elif way == 'posix_spawn':
    child = os.posix_spawn(program, words, os.environ)
elif way == 'posix_spawnp':
    child = os.posix_spawnp(os.path.basename(program), words, os.environ)
elif way == 'actions':
    child = os.posix_spawn(program, words, os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, 0)])
print(os.waitpid(child, 0)[1])";

#[test]
fn a_static_program_has_one_event_however_libc_starts_it() {
    enter();
    let place = Place::new();
    let program = place.join("plain");
    std::fs::copy("/bin/busybox", &program).expect("a static program");
    let program = program.to_str().expect("a path");
    let one = format!(
        "[[vhost]]\nname = \"one\"\nmode = \"audit\"\nmatch = {{ document_root = \"{}\" }}\n\
         [vhost.rules.exec-unguarded]\nmode = \"audit\"\nreasons = [\"static\"]\n",
        place.join("www/strict").display()
    );
    let (guard, _fpm, nginx) = servers_with(&place, &one);
    let mut events = guard.events();
    let path = format!("PATH={}:/usr/bin:/bin", place.join("").display());
    for way in ["execve", "posix_spawn", "posix_spawnp", "actions"] {
        let words = ["/usr/bin/env", &path, "/usr/bin/python3", "-c", START, way, program];
        assert_eq!(run(nginx.port, "strict.example", &words), "0\n 0", "{way}");
        let fresh = events.fresh();
        let of_it = |event: &&serde_json::Value| event.text("rule.id") == "exec-unguarded";
        let layers: Vec<&str> = fresh.iter().filter(of_it).map(|event| event.text("portcullis.layer")).collect();
        assert_eq!(layers, ["libc"], "{way}: {fresh:#?}");
    }
}
