//! The demo shows what it says, and leaves nothing behind, also when it is interrupted.

use crate::harness::wait_until;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// How it ends.
const END: &str = "In audit 4 intrusions were seen and none was blocked; in enforce 4 were blocked; the ordinary pages worked in both.";

fn demo() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/demo"))
}

/// The folders of demos and the programs that run from them.
fn left() -> Vec<String> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir("/tmp").expect("/tmp").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("portcullis-demo-") {
            left.push(name);
        }
    }
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains("/portcullis-demo-") {
            left.push(line);
        }
    }
    left
}

#[test]
fn the_readme_says_how_it_ends() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    assert!(readme.contains(&format!("    {END}\n")));
}

/// The picture in the README shows what the demo prints now; `make pictures` draws it.
fn is_the_picture(output: &[u8]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut draw = Command::new("python3")
        .arg(root.join("scripts/picture.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    // The picture is written once the output was read to its end.
    draw.stdin.take().expect("a pipe").write_all(output).expect("the demo's output");
    let drawn = draw.wait_with_output().expect("the picture");
    let kept = std::fs::read_to_string(root.join("docs/demo.svg")).expect("docs/demo.svg");
    assert_eq!(String::from_utf8_lossy(&drawn.stdout), kept, "make pictures");
}

/// The screenshots of the report show the words that the report has now.
fn is_the_report(page: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["report", "report-dark", "report-phone", "report-phone-dark"] {
        let check = Command::new("python3")
            .arg(root.join("scripts/page_mark.py"))
            .arg("check")
            .arg(root.join(format!("docs/{name}.png")))
            .stdin(std::fs::File::open(page).expect("the report"))
            .output()
            .expect("python3");
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    }
}

// One test, since each would see what the other leaves while it runs.
#[test]
fn shows_what_it_says_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.html");
    let done = demo().env("PORTCULLIS_REPORT", &report).output().expect("the demo");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}\n{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(text.lines().last(), Some(END));
    is_the_picture(&done.stdout);
    is_the_report(&report);
    assert_eq!(left(), [""; 0]);
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut child = demo().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the demo");
        wait_until("its servers", || left().iter().any(|line| line.contains("nginx")));
        // SAFETY: a child of this test that was not waited for yet.
        unsafe { libc::kill(child.id().cast_signed(), signal) };
        wait_until("its end", || child.try_wait().expect("a child").is_some());
        assert_eq!(left(), [""; 0], "after signal {signal}");
    }
}
