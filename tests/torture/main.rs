//! The guard under conditions that no server should meet, and some that every server does: what it asks of the kernel fails,
//! many threads at once, servers that run on and on, other programs' own tests. `TORTURE=long` takes hours where the
//! short form takes minutes.

#[path = "../servers/harness/mod.rs"]
// These tests use a part of it.
#[allow(dead_code, unused_imports)]
mod harness;

mod differential;
mod faults;
mod outside;
mod sanitized;
mod soak;
mod threads;
mod transparency;
mod valgrind;

use crate::harness::Place;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether this is the long form.
fn is_long() -> bool {
    std::env::var_os("TORTURE").is_some_and(|form| form == "long")
}

/// Compiles a C file of tests/torture/c/.
fn compiled(place: &Place, name: &str, flags: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture/c").join(name).with_extension("c");
    let output = place.join(name);
    let done = Command::new("cc").args(["-O1", "-g", "-o"]).arg(&output).arg(source).args(flags).status().expect("cc");
    assert!(done.success(), "{name}");
    output
}
