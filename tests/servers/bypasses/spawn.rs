//! Environments of programs in new processes: any number of threads and variables, and a program that behaves as bare.

use crate::harness::{Guard, Parts, Place, enter};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program of tests/servers/c, in the place.
fn compile(place: &Place, name: &str) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/servers/c/{name}.c"));
    std::fs::create_dir_all(place.join("log")).expect("a folder");
    let output = place.join(name);
    let done = Command::new("cc").args(["-O1", "-w", "-pthread", "-o"]).arg(&output).arg(source).status();
    assert!(done.expect("cc").success());
    output.to_str().expect("a path").to_owned()
}

/// What a program says, as a serving process with the guard.
fn run(place: &Place, guard: &Guard, words: &[&str]) -> String {
    let mut command = place.portcullis();
    command.args(["run", "--role", "serving", "--config"]).arg(&guard.config).arg("--").args(words);
    said(command)
}

fn said(mut command: Command) -> String {
    let done = command.stdin(Stdio::null()).env_remove("LD_PRELOAD").output().expect("a program");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

const EXACT: &str = "wrong 0 unguarded 0 preloads 0 failed 0 errno 0\n";

/// Each shell gets its own thread's request, whatever other threads start, and the guard, whatever its environment has.
fn crowd(layer: &str, shapes: &[[&str; 4]]) {
    enter();
    let place = Place::new();
    let program = compile(&place, "crowd");
    let guard = place.guard(&format!("mode = \"audit\"\n[backstop]\nseccomp = \"{layer}\"\n"));
    for [threads, rounds, variables, preload] in shapes {
        for way in ["popen", "system", "spawn"] {
            let said = run(&place, &guard, &[&program, way, threads, rounds, variables, preload, "0"]);
            assert_eq!(said, EXACT, "{layer} {way}: {threads} threads, {variables} variables, LD_PRELOAD of {preload}");
        }
    }
    // With its environment in its place, the filter lets a judged program go ahead.
    let layers: Vec<Value> = guard.events().all();
    assert!(!layers.is_empty());
    assert!(layers.iter().all(|event| event.text("portcullis.layer") == "libc"), "the supervisor judged one as well");
}

const SHAPES: [[&str; 4]; 5] = [
    ["16", "4", "0", "0"],
    ["64", "2", "0", "0"],
    ["2", "1", "2000", "0"],
    ["3", "1", "100000", "0"],
    ["2", "1", "0", "4000"],
];

#[test]
fn every_thread_starts_shells_for_its_own_request() {
    crowd("off", &SHAPES);
}

#[test]
fn every_thread_starts_shells_for_its_own_request_supervised() {
    crowd("supervise", &SHAPES);
}

/// An environment that there is no memory for is for the policy to decide.
#[test]
fn an_environment_that_cannot_be_made_is_unknown() {
    enter();
    let place = Place::new();
    let program = compile(&place, "crowd");
    for (mode, refused) in [("enforce", true), ("audit", false)] {
        // The shell itself is allowed.
        let guard = place.guard(&format!(
            "mode = \"audit\"\n[exec]\nmode = \"off\"\n[rules.exec-tool]\nmode = \"off\"\n[rules.loader-env]\nmode = \"{mode}\"\n"
        ));
        let mut events = guard.events();
        events.fresh();
        for way in ["popen", "system", "spawn"] {
            // There is room for the stack of libc's child, and none for a hundred thousand pointers.
            let said = run(&place, &guard, &[&program, way, "1", "1", "100000", "0", "300000"]);
            let fresh = events.fresh();
            assert_eq!(said.contains("errno 13"), refused, "{way} {mode}: {said}");
            let unknown: Vec<&str> = fresh.iter().map(|event| event.text("portcullis.unknown")).collect();
            assert!(unknown.contains(&"environment"), "{way} {mode}: {fresh:#?}");
        }
    }
}

/// wordexp's shell cannot be handed an environment: enforce refuses the substitution, audit changes nothing.
#[test]
fn a_shell_of_wordexp_cannot_be_handed_the_guard() {
    enter();
    let place = Place::new();
    let program = compile(&place, "shells");
    let bare = said({
        let mut command = Command::new(&program);
        command.arg("words");
        command
    });
    assert!(bare.contains("[one] [two] [three]"), "{bare}");
    for mode in ["audit", "enforce"] {
        let guard = place.guard(&format!("mode = \"{mode}\"\n"));
        let said = run(&place, &guard, &[&program, "words"]);
        for (bare, said) in bare.lines().zip(said.lines()) {
            let starts = bare.starts_with("$(echo") || bare.starts_with("$(exit");
            match mode == "enforce" && starts {
                // WRDE_CMDSUB.
                true => assert!(said.ends_with(": 4"), "{said}"),
                false => assert_eq!(said, bare, "{mode}"),
            }
        }
    }
}

/// What popen, pclose, system and their kin do is the same, byte for byte, in audit.
fn as_bare(program: &str, case: &str, layer: &str) {
    let place = Place::new();
    let program = compile(&place, program);
    let guard = place.guard(&format!("mode = \"audit\"\n[backstop]\nseccomp = \"{layer}\"\n"));
    let bare = said({
        let mut command = Command::new(&program);
        command.arg(case);
        command
    });
    assert!(bare.lines().count() > 10, "{case}: {bare}");
    assert_eq!(in_order(&run(&place, &guard, &[&program, case])), in_order(&bare), "{case} {layer}");
}

/// The lines, sorted up to each result: the program and the command that it waits for write beside each other.
fn in_order(said: &str) -> Vec<String> {
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    for part in lines.chunk_by_mut(|line, _| !line.contains(" errno ")) {
        part.sort();
    }
    lines
}

#[test]
fn streams_are_as_bare() {
    enter();
    ["modes", "reading", "writing", "streams", "standard"].into_iter().for_each(|case| as_bare("shells", case, "off"));
}

#[test]
fn limits_and_statuses_are_as_bare() {
    enter();
    ["limits", "statuses"].into_iter().for_each(|case| as_bare("shells", case, "off"));
}

#[test]
fn signals_and_cancellation_are_as_bare() {
    enter();
    ["signalled", "cancelled"].into_iter().for_each(|case| as_bare("shell_threads", case, "off"));
}

#[test]
fn all_of_it_is_as_bare_supervised() {
    enter();
    ["streams", "standard", "statuses"].into_iter().for_each(|case| as_bare("shells", case, "supervise"));
    as_bare("shell_threads", "cancelled", "supervise");
}

/// A child that is forked while other threads are in popen and system can call both. (In glibc's own it can wait for ever.)
#[test]
fn a_fork_in_the_midst_of_shells_waits_for_nobody() {
    enter();
    let place = Place::new();
    let program = compile(&place, "shell_threads");
    let guard = place.guard("mode = \"audit\"\n");
    let said = run(&place, &guard, &[&program, "forked"]);
    let wanted = "  2: default flags 4000000  3: default flags 4000000  17: default flags 0  blocked:\n";
    assert_eq!(said, wanted);
}
