//! The loader that a program names is what the kernel runs: one of the system's loads the guard, and any other is judged as what
//! runs, however the file names it.

use super::{compile, run, run_page};
use crate::harness::{Fpm, Guard, Nginx, Parts, Place, Pool, enter};
use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

const HOST: &str = "shop.example";
/// Offsets in an ELF header and its program headers (elf(5)).
const ENTRY: usize = 56;
const INTERPRETER: u32 = 3;

/// A program that does nothing, with this loader.
fn linked(place: &Place, name: &str, loader: &str) -> PathBuf {
    let source = place.write("nothing.c", "int main(void) { return 0; }\n");
    let path = place.join(name);
    let flag = format!("-Wl,--dynamic-linker={loader}");
    assert!(Command::new("cc").arg(flag).arg("-o").arg(&path).arg(source).status().expect("cc").success());
    path
}

/// Where the program headers of a file are that have this type.
fn headers(file: &[u8], kind: u32) -> Vec<usize> {
    let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("bytes")) as usize;
    let count = usize::from(u16::from_le_bytes(file[56..58].try_into().expect("bytes")));
    let entries = (0..count).map(|index| number(32) + index * ENTRY);
    entries.filter(|&at| file[at..at + 4] == kind.to_le_bytes()).collect()
}

/// Lets the program header at `at` name a loader that stands at the file's end.
fn name_far(file: &mut Vec<u8>, at: usize, loader: &str) {
    let start = file.len() as u64;
    file.extend(loader.as_bytes());
    file.push(0);
    file[at..at + 4].copy_from_slice(&INTERPRETER.to_le_bytes());
    file[at + 8..at + 16].copy_from_slice(&start.to_le_bytes());
    file[at + 32..at + 40].copy_from_slice(&(loader.len() as u64 + 1).to_le_bytes());
}

fn change(path: &Path, with: impl FnOnce(&mut Vec<u8>)) {
    let mut file = std::fs::read(path).expect("a file");
    with(&mut file);
    std::fs::write(path, file).expect("written");
}

/// The programs, and how each is started.
fn programs(place: &Place) -> Vec<(&'static str, Vec<String>)> {
    let work = place.join("work");
    std::fs::create_dir_all(&work).expect("a folder");
    let own = compile(place, "own_loader", &["-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector"]);
    for name in ["loader", "sh", "ld-linux-own.so.2"] {
        std::fs::copy(&own, work.join(name)).expect("a copy");
        chown(work.join(name), Some(33), Some(33)).expect("an owner");
    }
    let text = |path: &Path| path.to_str().expect("a path").to_owned();
    let loader = text(&work.join("loader"));
    let named = linked(place, "named", &loader);
    // The kernel takes the first, and reads up to its first NUL.
    let twice = linked(place, "twice", &loader);
    change(&twice, |file| {
        let note = headers(file, 4).into_iter().find(|&note| note > headers(file, INTERPRETER)[0]).expect("a note");
        name_far(file, note, "/lib64/ld-linux-x86-64.so.2");
    });
    let far = linked(place, "far", &loader);
    change(&far, |file| {
        let at = headers(file, INTERPRETER)[0];
        name_far(file, at, &loader);
    });
    let script = place.write("script", &format!("#!{}\n", named.display()));
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("permissions");
    vec![
        ("named", vec![text(&named)]),
        ("twice", vec![text(&twice)]),
        ("far", vec![text(&far)]),
        ("script", vec![text(&script)]),
        ("called a loader", vec![text(&work.join("ld-linux-own.so.2")), "/usr/bin/true".into()]),
        ("by an own loader", vec![text(&linked(place, "by", &text(&work.join("ld-linux-own.so.2"))))]),
        ("called a shell", vec![text(&linked(place, "shell", &text(&work.join("sh"))))]),
    ]
}

fn site(place: &Place, config: &str) -> (Guard, Fpm, Nginx) {
    std::fs::create_dir_all(place.join("www")).expect("a folder");
    run_page(place);
    let guard = place.guard_of_every_event(config);
    let fpm = Fpm::start(place, Some(&guard), &Pool::default());
    let nginx = Nginx::start(place, None, &fpm.nginx_location(&place.join("www")));
    (guard, fpm, nginx)
}

fn fires<'e>(events: &'e [Value], rule: &str) -> Option<&'e Value> {
    events.iter().find(|event| {
        let also = event.pointer("/portcullis/also").and_then(Value::as_array).into_iter().flatten();
        also.filter_map(Value::as_str).any(|also| also == rule) || event.text("rule.id") == rule
    })
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn a_loader_of_its_own_is_what_runs() {
    enter();
    for (mode, layer) in [("audit", "off"), ("enforce", "off"), ("enforce", "supervise")] {
        let place = Place::new();
        let programs = programs(&place);
        let (guard, _fpm, nginx) = site(
            &place,
            &format!(
                "mode = \"audit\"\n[exec]\nmode = \"{mode}\"\n[backstop]\nseccomp = \"{layer}\"\n\
                 [rules.exec-unguarded]\nmode = \"{mode}\"\nreasons = [\"setuid\", \"static\", \"foreign\"]\n"
            ),
        );
        let mut events = guard.events();
        events.fresh();
        let outcome = if mode == "audit" { "success" } else { "failure" };
        for (name, words) in &programs {
            let said = run(nginx.port, HOST, &strs(words));
            assert_eq!(said.starts_with("own loader"), mode == "audit", "{mode}, {layer}: {name}: {said}");
            let fresh = events.fresh();
            let event = fires(&fresh, "exec-unguarded").unwrap_or_else(|| panic!("{mode}, {layer}: {name}: {fresh:?}"));
            assert_eq!(event.text("portcullis.unguarded"), "static", "{name}");
            assert_eq!(event.text("event.outcome"), outcome, "{name}");
            // The program itself is root's; its loader is not.
            assert!(fires(&fresh, "exec-place").is_some(), "{mode}, {layer}: {name}: {fresh:?}");
            assert_eq!(fires(&fresh, "shell-spawn").is_some(), *name == "called a shell", "{name}: {fresh:?}");
        }
    }
}

/// However it is spelled.
#[test]
fn a_loader_of_the_system_is_none_to_speak_of() {
    enter();
    for layer in ["off", "supervise"] {
        let place = Place::new();
        let loader = std::fs::canonicalize("/lib64/ld-linux-x86-64.so.2").expect("a loader");
        let linked_to = place.join("ld.so");
        std::os::unix::fs::symlink(&loader, &linked_to).expect("a link");
        let copy = place.join("ld-linux-copy.so.2");
        std::fs::copy(&loader, &copy).expect("a copy");
        let far = linked(&place, "far", "/lib64/ld-linux-x86-64.so.2");
        change(&far, |file| {
            let at = headers(file, INTERPRETER)[0];
            name_far(file, at, "/lib64/ld-linux-x86-64.so.2");
        });
        let loaders = [&loader, &linked_to, &copy, Path::new("/usr/../lib64/ld-linux-x86-64.so.2")];
        let by = |(number, loader): (usize, &&Path)| {
            linked(&place, &format!("by{number}"), loader.to_str().expect("a path"))
        };
        let programs: Vec<PathBuf> = loaders.iter().enumerate().map(by).chain([far]).collect();
        let rules = "[rules.exec-unguarded]\nmode = \"enforce\"\nreasons = [\"setuid\", \"static\", \"foreign\"]\n[rules.exec-place]\nmode = \"enforce\"\n";
        let (guard, _fpm, nginx) =
            site(&place, &format!("mode = \"enforce\"\n{rules}[backstop]\nseccomp = \"{layer}\"\n"));
        let mut events = guard.events();
        events.fresh();
        for program in &programs {
            let said = run(nginx.port, HOST, &[program.to_str().expect("a path")]);
            assert_eq!(said, " 0", "{layer}: {program:?}: {:?}", events.fresh());
        }
        // One that is not there, and none at all, as the kernel says it.
        let gone = linked(&place, "gone", "/nowhere/ld.so");
        let said = run(nginx.port, HOST, &[gone.to_str().expect("a path")]);
        assert!(!said.ends_with(" 0") && events.fresh().is_empty(), "{layer}: {said}: {:?}", events.fresh());
    }
}
