//! The library with musl: programs that musl-gcc compiles do with it what they do without it, and each technique that is judged with
//! glibc is judged with musl.

use crate::build::{built, compile, enter, folder, source};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The kernel's headers, of which musl has none. They come last.
const KERNEL: [&str; 4] = ["-idirafter", "/usr/include", "-idirafter", KERNELS_OWN];
const KERNELS_OWN: &str = "/usr/include/x86_64-linux-gnu";

/// A program of tests/library/c by musl-gcc; `None` where that is not here.
fn by_musl(name: &str, folder: &Path) -> Option<PathBuf> {
    let output = folder.join(format!("{name}-musl"));
    let mut command = Command::new("musl-gcc");
    command.args(["-O1", "-pthread", "-w", "-Werror=implicit-function-declaration", "-o"]).arg(&output);
    command.arg("-include").arg(source("musl.h")).arg(source(&format!("{name}.c"))).args(KERNEL);
    match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: no musl-gcc here; scripts/setup test installs it");
            None
        }
        done => {
            let done = done.expect("musl-gcc");
            assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
            Some(output)
        }
    }
}

/// What a program prints, and how it ends.
fn said(done: &Output) -> (Vec<String>, Option<i32>) {
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    (String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect(), done.status.code())
}

/// The same with the library, and the rule, the outcome and what is unknown of each event, sorted.
fn guarded(place: &Path, mode: &str, program: &Path, arguments: &[&str]) -> ((Vec<String>, Option<i32>), Vec<String>) {
    let [config, log] = ["config.toml", "events.jsonl"].map(|name| place.join(name));
    let _ = std::fs::remove_file(&log);
    let mut text =
        format!("mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nmerge = false\nfile = \"{}\"\n", log.display());
    for rule in ["listen-port", "stdio-socket", "exec-place"] {
        let _ = writeln!(text, "[rules.{rule}]\nmode = \"{mode}\"");
    }
    std::fs::write(&config, text).expect("a file");
    let mut command = Command::new(built().join("portcullis"));
    command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(program).args(arguments);
    let said = said(&command.env("PROBE_DESTRUCTOR", "1").output().expect("portcullis"));
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let word = |event: &Value, path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut events: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|event| ["/rule/id", "/event/outcome", "/portcullis/unknown"].map(|path| word(&event, path)).join(" "))
        .collect();
    events.sort();
    (said, events)
}

fn bare(program: &Path, arguments: &[&str]) -> (Vec<String>, Option<i32>) {
    said(&Command::new(program).args(arguments).env("PROBE_DESTRUCTOR", "1").output().expect("the program"))
}

/// What ways.c can do, and under which conditions probe.c does all that is hooked (tests/library/ways.rs, conditions.rs).
const WAYS: [&str; 12] = [
    "connect",
    "sendto",
    "sendto fast open",
    "sendmsg",
    "sendmmsg",
    "listen",
    "bind udp",
    "execve",
    "execveat",
    "execveat by descriptor",
    "execve in memory",
    "io_uring",
];
const CONDITIONS: [&str; 6] = ["plain", "vfork", "signal-handler", "small-stack", "after-fork", "exit-handler"];

/// In audit and in enforce, the events of a program of musl are those of the same program of glibc; audit changes nothing.
#[test]
fn each_technique_is_judged_as_with_glibc() {
    enter();
    let folder = folder();
    let place = folder.path();
    let cases = ["libc", "syscall"]
        .into_iter()
        .flat_map(|how| WAYS.map(|way| ("ways", vec![how, way])))
        .chain(CONDITIONS.map(|condition| ("probe", vec![condition])))
        .collect::<Vec<_>>();
    let mut programs = std::collections::BTreeMap::new();
    for name in ["ways", "probe"] {
        let Some(musls) = by_musl(name, place) else { return };
        programs.insert(name, [musls, compile(&source(&format!("{name}.c")), place, name, &[])]);
    }
    for (name, arguments) in cases {
        let [musls, glibcs] = &programs[name];
        let context = format!("{name} {arguments:?}");
        for mode in ["audit", "enforce"] {
            let (saw, events) = guarded(place, mode, musls, &arguments);
            let (_, wanted) = guarded(place, mode, glibcs, &arguments);
            assert!(!wanted.is_empty(), "{context}, {mode}");
            assert_eq!(events, wanted, "{context}, {mode}");
            if mode == "audit" {
                assert_eq!(saw, bare(musls, &arguments), "{context}");
            }
        }
    }
}

/// What a program does not say of itself, or says of where it runs.
fn musls_own(place: &Path) -> Option<(PathBuf, String)> {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let program = by_musl("musl", place)?;
    let beside = place.join("place");
    std::fs::create_dir_all(&beside).expect("a folder");
    std::fs::write(beside.join("plain"), "exit 5\n").expect("a file");
    std::fs::set_permissions(beside.join("plain"), PermissionsExt::from_mode(0o755)).expect("permissions");
    symlink(&program, beside.join("link")).expect("a link");
    Some((program, beside.to_str().expect("a path").to_owned()))
}

/// What musl lays out otherwise (headers of messages, file actions, streams), and does otherwise (search, shells, errors).
#[test]
fn audit_changes_nothing_of_what_musl_does_its_own_way() {
    enter();
    let folder = folder();
    let place = folder.path();
    let Some((program, beside)) = musls_own(place) else { return };
    let (lines, ended) = bare(&program, &[&beside]);
    assert_eq!(ended, Some(0), "{lines:?}");
    // What makes these cases what they are.
    for wanted in ["execvp of no format: -1 8", "popen: 1792 0", "pclose of the second: 0 0", "sendmsg: 1 0"] {
        assert!(lines.iter().any(|line| line == wanted), "{wanted}: {lines:?}");
    }
    let ((audited, _), events) = guarded(place, "audit", &program, &[&beside]);
    assert_eq!(audited, lines);
    let count = |rule: &str| events.iter().filter(|event| event.as_str() == rule).count();
    // Two messages, with and without control messages; a program by file actions.
    assert_eq!(count("egress-port success "), 4 + 1, "{events:?}");
    // popen: twice, and twice in each of three turns; system.
    assert_eq!(count("shell-spawn success "), 2 + 6 + 1, "{events:?}");
    // `cat`, started by the shell of popen, which has the library.
    assert_eq!(count("exec-tool success "), 1, "{events:?}");
    let ((enforced, _), events) = guarded(place, "enforce", &program, &[&beside]);
    for refused in ["sendmsg: -1 13", "sendmmsg: -1 13", "system: -1 13"] {
        assert!(enforced.iter().any(|line| line == refused), "{refused}: {enforced:?}");
    }
    assert!(!events.iter().any(|event| event.contains("success")), "{events:?}");
    assert!(!events.iter().any(|event| event.contains("file-actions")), "{events:?}");
}

/// Bad addresses of programs, any list of file actions, and what the kernel says of execveat and of many messages.
#[test]
fn audit_changes_nothing_of_what_the_kernel_says() {
    enter();
    let folder = folder();
    let place = folder.path();
    let beside = place.join("place");
    for below in ["", "a", "a/a", "a/b", "b", "b/a", "b/b"] {
        let below = beside.join(below);
        std::fs::create_dir_all(&below).expect("a folder");
        std::fs::write(below.join("file"), "text").expect("a file");
    }
    let beside = beside.to_str().expect("a path");
    for (name, arguments) in [
        ("invalid", &["programs"][..]),
        ("actions", &["any", beside]),
        ("messages", &["syscall"]),
        ("execveat", &[beside]),
    ] {
        let Some(program) = by_musl(name, place) else { return };
        if name == "actions" {
            for below in ["", "a", "a/a", "a/b", "b", "b/a", "b/b"] {
                let link = Path::new(beside).join(below).join("program");
                std::os::unix::fs::symlink(&program, link).expect("a link");
            }
        }
        let (lines, ended) = bare(&program, arguments);
        assert!(lines.len() > 20 && ended == Some(0), "{name}: {ended:?} {lines:?}");
        assert_eq!(guarded(place, "audit", &program, arguments).0, (lines, ended), "{name}");
    }
}

/// The command of `make static`.
fn static_command() -> PathBuf {
    built().parent().expect("a parent").join("static/portcullis")
}

/// In a root that has musl's loader alone, as Alpine's: the static command compiles the policy and starts a server, and the shell
/// and the program behind it are guarded.
#[test]
fn a_root_with_musl_alone_is_guarded_by_the_static_command() {
    enter();
    let folder = folder();
    let place = folder.path();
    if !static_command().exists() {
        return eprintln!("skipped: no {}; make static builds it", static_command().display());
    }
    let Some((program, _)) = musls_own(place) else { return };
    let root = place.join("root");
    for below in ["bin", "lib", "dev", "proc", "srv", "run", "tmp", "usr/lib", "etc/portcullis"] {
        std::fs::create_dir_all(root.join(below)).expect("a folder");
    }
    let copies = [
        (Path::new("/lib/ld-musl-x86_64.so.1"), "lib/ld-musl-x86_64.so.1"),
        (&program, "bin/server"),
        (&program, "bin/sh"),
        (&static_command(), "bin/portcullis"),
        (&crate::build::library(), "usr/lib/libportcullis.so"),
    ];
    for (from, to) in copies {
        std::fs::copy(from, root.join(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
    for (kind, to) in [("proc", "proc"), ("devtmpfs", "dev")] {
        let done = Command::new("mount").args(["-t", kind, "none"]).arg(root.join(to)).status().expect("mount");
        assert!(done.success());
    }
    for mode in ["audit", "enforce"] {
        let text =
            format!("mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nmerge = false\nfile = \"/srv/{mode}.jsonl\"\n");
        std::fs::write(root.join("etc/portcullis/portcullis.toml"), text).expect("a file");
        let inside = |command: &[&str], environment: &[(&str, &str)]| {
            let mut whole = Command::new("/usr/sbin/chroot");
            whole.arg(&root).args(command).env_clear().env("PATH", "/bin").envs(environment.iter().copied());
            let done = whole.output().expect("chroot");
            assert!(done.status.success(), "{command:?}: {done:?}");
            done
        };
        inside(&["/bin/portcullis", "compile"], &[]);
        let run = ["/bin/portcullis", "run", "--role", "serving", "--", "/bin/server", "shells"];
        let preload = [("LD_PRELOAD", "/usr/lib/libportcullis.so")];
        let done = inside(&run, &preload);
        let log = std::fs::read_to_string(root.join(format!("srv/{mode}.jsonl"))).unwrap_or_default();
        let messages: Vec<String> = log
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).expect("JSON")["message"].as_str().unwrap_or_default().to_owned()
            })
            .collect();
        let wanted = match mode {
            "audit" => [
                "server > sh starts a shell: sh -c exec /bin/server show",
                "server > sh > server connects to 192.88.1.10:4446/tcp",
            ]
            .repeat(2),
            _ => ["server > sh was denied a shell: sh -c exec /bin/server show"].repeat(2),
        };
        assert_eq!(messages, wanted, "{mode}: {done:?}");
    }
}
