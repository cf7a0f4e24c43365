//! A tool is known by its file, whatever name it goes by: another name of the same file, a copy, one that its interpreter's package
//! brings beside the usual one.

use super::{run, run_page};
use crate::harness::{Fpm, Nginx, Parts, Place, Pool, enter};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

const HOST: &str = "shop.example";

/// The names in /usr/bin of the tools' files, beside those that the rule names itself, as this machine has them.
fn other_names() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/usr/bin").expect("a folder").flatten().map(|entry| entry.path());
    let begins = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        name.starts_with("perl5") || name == "nodejs" || name == "domainname"
    };
    entries.filter(begins).collect()
}

#[test]
fn a_tool_under_another_name_is_that_tool() {
    enter();
    for (mode, layer) in [("audit", "off"), ("enforce", "off"), ("enforce", "supervise")] {
        let place = Place::new();
        let folder = place.join("programs");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::create_dir_all(place.join("www")).expect("a folder");
        run_page(&place);
        let (copy, link, sort) = (folder.join("report"), folder.join("linked"), folder.join("sorted"));
        std::fs::copy("/usr/bin/perl", &copy).expect("a copy");
        symlink("/usr/bin/perl5.36.0", &link).or_else(|_| symlink("/usr/bin/perl", &link)).expect("a link");
        std::fs::copy("/usr/bin/sort", &sort).expect("a copy");
        let script = place.write("programs/cgi", "#!/usr/bin/perl\nprint 'ran';\n");
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("permissions");
        let guard = place.guard_of_every_event(&format!(
            "mode = \"audit\"\n[rules.exec-tool]\nmode = \"{mode}\"\n[backstop]\nseccomp = \"{layer}\"\n"
        ));
        let fpm = Fpm::start(&place, Some(&guard), &Pool::default());
        let nginx = Nginx::start(&place, None, &fpm.nginx_location(&place.join("www")));
        let mut events = guard.events();
        events.fresh();
        let mut ask = |words: &[&str]| {
            let said = run(nginx.port, HOST, words);
            let fresh = events.fresh();
            let tools = fresh.iter().filter(|event| event.text("rule.id") == "exec-tool");
            (said, tools.map(|event| event.text("portcullis.clause").to_owned()).collect::<Vec<_>>())
        };
        let others = other_names();
        assert!(others.len() > 1, "{others:?}");
        for program in others.iter().chain([&copy, &link]) {
            let program = program.to_str().expect("a path");
            let name = program.rsplit('/').next().expect("a name");
            let words: &[&str] = if name == "domainname" { &[program] } else { &[program, "-e", "1"] };
            let (said, clauses) = ask(words);
            assert_eq!(said.ends_with(" 0"), mode == "audit", "{mode}, {layer}: {program}: {said}");
            assert!(!clauses.is_empty(), "{mode}, {layer}: {program}");
        }
        // A script in its language is none, nor is another program.
        for words in [&[script.to_str().expect("a path")][..], &[sort.to_str().expect("a path"), "/dev/null"]] {
            let (said, clauses) = ask(words);
            assert!(said.ends_with(" 0") && clauses.is_empty(), "{mode}, {layer}: {words:?}: {said}, {clauses:?}");
        }
    }
}
