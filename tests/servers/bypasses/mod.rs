//! Ways past the guard that were found, each as a test of its kind.

mod cgi;
mod chrooted;
mod confined;
mod egress;
mod elsewhere;
mod evidence;
mod formats;
mod fpm_socket;
mod interpreters;
mod journal_sender;
mod limits;
mod loading;
mod locked;
mod lost_library;
mod merging;
mod names_away;
mod one_event;
mod places;
mod policy;
mod pools;
mod pools_unguarded;
mod pools_unseen;
mod programs;
mod python;
mod replaced;
mod requests;
mod rings;
mod routes;
mod sandboxed;
mod secret;
mod shells;
mod sinks;
mod slow_memory;
mod spawn;
mod successors;
mod supervised_calls;
mod supervised_failures;
mod supervised_files;
mod supervised_flood;
mod supervised_hidden;
mod supervised_paths;
mod supervised_threads;
mod supervisor;
mod swapped;
mod tools;
mod unit_filter;

mod unreadable_policy;
mod uwsgi;

use crate::harness::{Place, http};
use std::path::Path;
use std::process::Command;

/// A program of tests/servers/c in the place; with `-static` among the flags no hook is in it.
pub fn compile(place: &Place, name: &str, flags: &[&str]) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/servers/c/{name}.c"));
    let output = place.join(name);
    let done = Command::new("cc").args(["-O1", "-w"]).args(flags).arg("-o").arg(&output).arg(source).status();
    assert!(done.expect("cc").success());
    output.to_str().expect("a path").to_owned()
}

/// Puts a page that starts the program that its query names, and prints what that says, into the root and into `strict/` and `other1/`.
pub fn run_page(place: &Place) {
    let page = "<?php $p = proc_open(json_decode($_GET['argv']), [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes);\n\
                echo is_resource($p) ? stream_get_contents($pipes[1]) . ' ' . proc_close($p) : 'refused';";
    for folder in ["", "strict/", "other1/"] {
        place.write(&format!("www/{folder}run.php"), page);
    }
}

/// What a program says that the page starts.
pub fn run(port: u16, host: &str, words: &[&str]) -> String {
    let argv = serde_json::to_string(words).expect("words");
    let encoded: String = argv.bytes().map(|byte| format!("%{byte:02x}")).collect();
    http::get_host(port, host, &format!("/run.php?argv={encoded}")).body
}
