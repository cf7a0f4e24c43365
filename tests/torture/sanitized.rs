//! The C parts under sanitizers.

use crate::harness::Place;
use std::path::Path;
use std::process::Command;

#[test]
fn the_variadic_functions() {
    let place = Place::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = place.join("variadic");
    let done = Command::new("cc")
        .args(["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o"])
        .arg(&program)
        .args([root.join("tests/torture/c/variadic.c"), root.join("shim/variadic.c"), root.join("shim/thread.c")])
        .status();
    assert!(done.expect("cc").success());
    let done = Command::new(program).output().expect("the program");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.stdout, b"fine\n");
}
