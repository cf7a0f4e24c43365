//! An ELF file whose loader (PT_INTERP) the kernel does not take fails with the same error, with the hooks as without.

use crate::build::{built, compile, enter, source};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Offsets in an ELF header and its program headers (elf(5)).
const ENTRY: usize = 56;

/// A file that can be executed.
fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("permissions");
    path
}

/// A program whose loader is `path` as it stands, of so many bytes, near its headers or at its end.
fn with(program: &[u8], path: &[u8], len: u64, is_far: bool) -> Vec<u8> {
    let mut bytes = program.to_vec();
    let number = |at: usize| u64::from_le_bytes(program[at..at + 8].try_into().expect("bytes")) as usize;
    let headers = (0..usize::from(program[56])).map(|index| number(32) + index * ENTRY);
    let at = headers.into_iter().find(|&at| program[at..at + 4] == 3_u32.to_le_bytes()).expect("a loader");
    let mut start = number(at + 8);
    if is_far {
        start = bytes.len();
        bytes.extend(path);
    } else {
        bytes[start..start + path.len()].copy_from_slice(path);
    }
    bytes[at + 8..at + 16].copy_from_slice(&(start as u64).to_le_bytes());
    bytes[at + 32..at + 40].copy_from_slice(&len.to_le_bytes());
    bytes
}

fn programs(folder: &Path) -> Vec<PathBuf> {
    let program = std::fs::read(compile(&source("nothing.c"), folder, "nothing", &[])).expect("a program");
    let mut files = Vec::new();
    let text = |name: &str| folder.join(name).to_str().expect("a path").to_owned() + "\0";
    file(folder, "short", b"hello");
    file(folder, "long", &[b'x'; 5000]);
    file(folder, "empty", b"");
    std::fs::write(folder.join("not executable"), &program).expect("a file");
    std::fs::create_dir(folder.join("folder")).expect("a folder");
    let long = [&b"/"[..], &[b'x'; 5000], b"\0"].concat();
    let loaders = ["short", "long", "empty", "not executable", "folder", "not there", "short/below"].map(text);
    let mut paths: Vec<(String, Vec<u8>, u64)> = vec![
        ("of none".into(), b"/x\0".into(), 0),
        ("of one".into(), b"\0".into(), 1),
        ("of two".into(), b"\0\0".into(), 2),
        ("without an end".into(), b"/lib64/ld-l".into(), 11),
        ("with an early end".into(), b"/none\0/x\0".into(), 9),
        ("with an early end only".into(), b"/none\0/x".into(), 8),
        ("4,096 long".into(), [&long[..4095], b"\0"].concat(), 4096),
        ("4,097 long".into(), [&long[..4096], b"\0"].concat(), 4097),
        ("longer than the file".into(), b"/x\0".into(), 4000),
        ("much longer".into(), b"/x\0".into(), 1 << 40),
    ];
    for path in loaders {
        paths.push((
            format!("by {}", path.rsplit('/').next().expect("a name").trim_end_matches('\0')),
            path.clone().into(),
            path.len() as u64,
        ));
    }
    for (name, path, len) in paths {
        if path.len() < 12 {
            files.push(file(folder, &format!("near {name}"), &with(&program, &path, len, false)));
        }
        files.push(file(folder, &format!("far {name}"), &with(&program, &path, len, true)));
    }
    for (name, at, value) in [
        ("no headers", 56, 0_u16),
        ("many headers", 56, 60000),
        ("headers of another size", 54, 55),
        ("headers behind the end", 36, 1),
        ("1,170 headers", 56, 1170),
    ] {
        let mut bytes = program.clone();
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        files.push(file(folder, name, &bytes));
    }
    files.push(file(folder, "cut", &program[..100]));
    files
}

fn said(command: &mut Command) -> Vec<String> {
    let done = command.output().expect("a program");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_loader_that_the_kernel_does_not_take_is_its_error() {
    enter();
    let folder = crate::build::folder();
    let starter = compile(&source("started.c"), folder.path(), "started", &[]);
    let programs = programs(folder.path());
    let bare = said(Command::new(&starter).args(&programs));
    for (mode, backstop) in [("audit", "off"), ("audit", "supervise"), ("enforce", "off"), ("enforce", "supervise")] {
        let config = folder.path().join("config.toml");
        let text = format!(
            "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[rules.exec-place]\nmode = \"off\"\n\
             [rules.shell-spawn]\nmode = \"off\"\n[backstop]\nseccomp = \"{backstop}\"\n",
            folder.path().join("events.jsonl").display()
        );
        std::fs::write(&config, text).expect("a file");
        let mut command = Command::new(built().join("portcullis"));
        command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&starter).args(&programs);
        let guarded = said(&mut command);
        let differs: Vec<_> = bare.iter().zip(&guarded).filter(|(bare, guarded)| bare != guarded).collect();
        assert!(differs.is_empty() && bare.len() == guarded.len(), "{mode}, {backstop}: {differs:#?}");
    }
}
