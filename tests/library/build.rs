//! What these tests build and where what was built lies.

use crate::root::own_root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with the built library and command.
pub fn built() -> PathBuf {
    let own = std::env::current_exe().expect("the test has a path");
    let release = own.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").join("release");
    assert!(release.join("libportcullis.so").exists(), "build first: cargo build --release --workspace");
    release
}

/// The library.
pub fn library() -> PathBuf {
    built().join("libportcullis.so")
}

/// A folder of the test's own, in which the rules see no writable place: /tmp is one.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("portcullis-test-").tempdir_in("/srv").expect("a folder")
}

/// Compiles C into `folder`; gives the path of what came of it.
pub fn compile(source: &Path, folder: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let output = folder.join(name);
    let done = Command::new("cc")
        .args(["-O1", "-pthread", "-w", "-Werror=implicit-function-declaration"])
        .arg("-o")
        .arg(&output)
        .arg(source)
        .args(flags)
        .output()
        .expect("cc");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    output
}

/// A file of tests/library/c.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/c").join(name)
}

/// Moves this thread into a network and a root of its own, with outside addresses on its loopback interface.
pub fn enter() {
    own_root(&[]);
    // SAFETY: affects this thread only.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(done, 0, "the tests need root: {}", std::io::Error::last_os_error());
    // What is compiled here is this test's alone.
    std::fs::create_dir_all("/run/portcullis").expect("a folder");
    let commands: [&[&str]; 4] = [
        &["ip", "link", "set", "lo", "up"],
        &["ip", "address", "add", "192.88.1.10/32", "dev", "lo"],
        &["ip", "address", "add", "2a0e:1::10/128", "dev", "lo", "nodad"],
        &["mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run/portcullis"],
    ];
    for command in commands {
        assert!(Command::new(command[0]).args(&command[1..]).status().expect("ip").success(), "{command:?}");
    }
}
