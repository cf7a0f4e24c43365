//! What these tests build and where what was built lies.

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

/// Compiles C into `folder`; gives the path of what came of it.
pub fn compile(source: &Path, folder: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let output = folder.join(name);
    let done = Command::new("cc")
        .args(["-O1", "-pthread", "-w"])
        .args(flags)
        .arg("-o")
        .arg(&output)
        .arg(source)
        .output()
        .expect("cc");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    output
}

/// A file of tests/library/c.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/c").join(name)
}

/// Moves this thread into a network of its own, with an outside address on its loopback interface.
pub fn enter() {
    // SAFETY: affects this thread only.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(done, 0, "the tests need root: {}", std::io::Error::last_os_error());
    let commands: [&[&str]; 3] = [
        &["link", "set", "lo", "up"],
        &["address", "add", "192.88.1.10/32", "dev", "lo"],
        &["address", "add", "2a0e:1::10/128", "dev", "lo", "nodad"],
    ];
    for arguments in commands {
        assert!(Command::new("ip").args(arguments).status().expect("ip").success());
    }
}
