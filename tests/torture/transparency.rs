//! Other programs' own tests, without the guard and under it, judged in audit mode with every rule: no test changes its
//! result. CPython's come with the distribution; Perl's and PHP's from the distribution's source packages, which
//! `scripts/sources` unpacks for the long form.

use crate::harness::{Guard, Place, enter, every_rule, named};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names of tests with what became of them.
type Results = BTreeMap<String, String>;

/// Runs `run` without the guard, and then with it, in which everything is judged as in a process that serves.
fn compare(what: &str, run: impl Fn(&dyn Fn(&mut Command)) -> Results) {
    let place = Place::new();
    let guard: Guard = place.guard(&every_rule("audit"));
    let done = place.portcullis().arg("compile").arg("--config").arg(&guard.config).output().expect("portcullis");
    assert!(done.status.success());
    let load = |command: &mut Command| {
        guard.load(command);
        // The variable of src/child/context.rs.
        command.env("PORTCULLIS_CONTEXT", format!("1;s;0;0;0;0:0;{};torture", guard.policy().display()));
    };
    let bare = run(&|_| {});
    let guarded = run(&load);
    let mut differs: Vec<String> = bare
        .iter()
        .filter(|(name, result)| guarded.get(*name) != Some(result))
        .map(|(name, result)| {
            format!("{name}: {result}, guarded {}", guarded.get(name).map_or("missing", String::as_str))
        })
        .collect();
    differs.extend(guarded.keys().filter(|name| !bare.contains_key(*name)).map(|name| format!("{name}: new")));
    // Some tests fail now and then by themselves: what differs has to differ again.
    if !differs.is_empty() {
        let (bare, guarded) = (run(&|_| {}), run(&load));
        differs.retain(|line| {
            let name = line.split(": ").next().unwrap_or_default();
            bare.get(name) != guarded.get(name)
        });
    }
    let passed = bare.values().filter(|result| *result == "passed").count();
    let events = guard.events().all();
    println!("{what}: {} tests, {passed} pass, {} events under the guard", bare.len(), events.len());
    assert!(differs.is_empty(), "{what}: {}", differs.join("\n"));
    assert!(passed > 10, "{what}: {passed} pass of {}", bare.len());
    assert!(!events.is_empty(), "{what}: the guard saw nothing");
}

/// One module of CPython's tests.
fn python(module: &str, more: &[&str]) {
    compare(module, |load| {
        let place = Place::new();
        let xml = place.join("results.xml");
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-m", "test", "--timeout", "300", "--junit-xml"]).arg(&xml).arg(module).args(more);
        load(&mut command);
        let log = std::fs::File::create(place.join("log.txt")).expect("a file");
        command.current_dir(place.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        let _ = command.status().expect("python3");
        let text = std::fs::read_to_string(&xml).unwrap_or_else(|_| {
            panic!("{module}: {}", std::fs::read_to_string(place.join("log.txt")).unwrap_or_default())
        });
        // Each case is one element, with one inside that says why it did not pass.
        let cases = text.split("<testcase ").skip(1);
        cases
            .map(|case| {
                let name = case.split("name=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
                let result = ["<failure", "<error", "<skipped"].into_iter().find(|tag| case.contains(tag));
                (name.to_owned(), result.map_or("passed", |tag| &tag[1..]).to_owned())
            })
            .collect()
    });
}

#[test]
fn python_sockets() {
    enter();
    // A test of virtual machines' sockets waits for ever where the host has none.
    python("test_socket", &["-i", "*VSOCK*"]);
}

#[test]
fn python_subprocesses() {
    enter();
    python("test_subprocess", &[]);
}

#[test]
#[ignore = "of the long form: minutes"]
fn python_asyncio() {
    enter();
    python("test_asyncio", &[]);
}

#[test]
#[ignore = "of the long form: minutes"]
fn python_multiprocessing() {
    enter();
    for module in ["test_multiprocessing_fork", "test_multiprocessing_spawn", "test_multiprocessing_forkserver"] {
        python(module, &[]);
    }
}

/// A source package of the distribution, unpacked by scripts/sources.
fn source(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/torture").join(name);
    assert!(folder.exists(), "scripts/sources unpacks {name}");
    folder
}

#[test]
#[ignore = "of the long form: needs scripts/sources"]
fn perls_own() {
    enter();
    let folder = source("perl");
    let files = [
        "t/op/exec.t",
        "t/op/fork.t",
        "t/op/alarm.t",
        "t/op/die_exit.t",
        "t/op/getppid.t",
        "t/io/socket.t",
        "t/io/socketpair.t",
        "t/io/pipe.t",
        "t/io/dup.t",
        "t/io/fs.t",
        "dist/IO/t/io_sock.t",
        "dist/IO/t/io_udp.t",
        "dist/IO/t/io_unix.t",
        "dist/IO/t/io_multihomed.t",
        "dist/IO/t/io_pipe.t",
        "dist/IO/t/io_poll.t",
        "dist/IO/t/io_sel.t",
        "ext/IPC-Open3/t/IPC-Open2.t",
        "ext/IPC-Open3/t/IPC-Open3.t",
        "cpan/Socket/t/socketpair.t",
        "cpan/Socket/t/getaddrinfo.t",
        "cpan/Socket/t/sockaddr.t",
        "cpan/IPC-Cmd/t/01_IPC-Cmd.t",
    ];
    compare("Perl's own tests", |load| {
        let mut results = Results::new();
        for file in files.iter().filter(|file| folder.join(file).exists()) {
            let mut command = Command::new("/usr/bin/perl");
            // Perl's own tests are run in t/, the others in their module's folder.
            let (at, name) = match file.strip_prefix("t/") {
                Some(name) => (folder.join("t"), name.to_owned()),
                None => {
                    let (module, name) = file.split_once("/t/").expect("a test");
                    (folder.join(module), format!("t/{name}"))
                }
            };
            command.arg("-I../lib").arg("-Ilib").arg(name).current_dir(at).stdin(Stdio::null());
            load(&mut command);
            let done = command.output().expect("perl");
            for line in String::from_utf8_lossy(&done.stdout).lines() {
                let line = line.trim();
                if let Some((result, test)) = line
                    .strip_prefix("not ok ")
                    .map(|test| ("failed", test))
                    .or_else(|| line.strip_prefix("ok ").map(|test| ("passed", test)))
                {
                    let number = test.split_whitespace().next().unwrap_or_default();
                    results.insert(format!("{file} {number}"), result.to_owned());
                }
            }
            results.insert((*file).to_owned(), format!("{}", done.status));
        }
        results
    });
}

#[test]
#[ignore = "of the long form: needs scripts/sources"]
fn phps_own() {
    enter();
    let folder = source("php");
    compare("PHP's own tests", |load| {
        let mut command = Command::new(named("/usr/bin/phpX.Y"));
        command.arg("run-tests.php").args([
            "-q",
            "-p",
            &named("/usr/bin/phpX.Y"),
            "--offline",
            "--no-color",
            "-g",
            "PASS,FAIL,SKIP",
        ]);
        command.args([
            "ext/sockets/tests",
            "ext/standard/tests/general_functions",
            "ext/standard/tests/streams",
            "ext/pcntl/tests",
            "ext/curl/tests",
        ]);
        command.current_dir(&folder).stdin(Stdio::null()).env("NO_INTERACTION", "1");
        load(&mut command);
        let done = command.output().expect("php");
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        text.lines()
            .filter_map(|line| {
                // Its progress is overwritten.
                let (word, rest) = line.rsplit('\r').next()?.split_once(' ')?;
                let result = match word {
                    "PASS" => "passed",
                    "FAIL" => "failed",
                    "SKIP" => "skipped",
                    _ => return None,
                };
                let name =
                    rest.rsplit_once('[').map(|(_, file)| file.split(']').next().unwrap_or(file)).unwrap_or(rest);
                Some((name.to_owned(), result.to_owned()))
            })
            .collect()
    });
}
