//! The command over what an intruder left for root to read: every verb ends within a bound of time and memory, and prints only
//! characters that print.
#![allow(clippy::disallowed_methods)]

use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long any verb may take here; most of it is this machine's, in a build without optimization.
const PATIENCE: Duration = Duration::from_secs(60);
/// The address space that any verb may have.
const MEMORY: u64 = 1 << 30;
const HOSTILE: &str = "\u{1b}[2J\u{1b}[8m\r\n\u{9b}31m\u{202e}\u{2028}\u{2029}\u{61c}\u{200b}\u{ad}\u{feff}\u{e0041}\u{3164}\u{7f}\t<script>";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(place.at("bin")).expect("a folder");
        place.journal("");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What journalctl prints.
    fn journal(&self, entries: &str) {
        std::fs::write(self.at("entries"), entries).expect("a file");
        let journalctl = self.at("bin/journalctl");
        let script = format!("#!/bin/sh\nexec /bin/cat {}\n", self.at("entries").display());
        std::fs::write(&journalctl, script).expect("a script");
        std::fs::set_permissions(journalctl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    }

    /// The command, which has to end by itself.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("timeout");
        command.arg(PATIENCE.as_secs().to_string()).args(["prlimit", &format!("--as={MEMORY}")]);
        command.arg(env!("CARGO_BIN_EXE_portcullis")).args(arguments);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.at("bin").display())).env_remove("PORTCULLIS_CONFIG");
        let begun = Instant::now();
        let done = command.output().expect("portcullis");
        assert!(begun.elapsed() < PATIENCE, "{arguments:?}");
        let code = done.status.code();
        assert!(matches!(code, Some(0 | 1)), "{arguments:?}: {code:?}: {}", String::from_utf8_lossy(&done.stderr));
        for stream in [&done.stdout, &done.stderr] {
            let text = std::str::from_utf8(stream).expect("UTF-8");
            let odd = text.chars().find(|character| {
                let is_own = matches!(character, ' '..='~' | '\n' | '\t');
                !is_own && (character.is_ascii() || character.escape_debug().count() > 1 || *character == '\u{3164}')
            });
            assert_eq!(odd, None, "{arguments:?}");
        }
        if arguments.contains(&"--json") {
            assert!(done.stdout.is_ascii(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stdout));
        }
        done
    }

    fn run_all(&self, log: &str) {
        for arguments in [
            &["events", "--rotated", log][..],
            &["events", "--rotated", "--json", log],
            &["events", "--rotated", "--table", log],
            &["events", "--rotated", "--incidents", log],
            &["events", "--rotated", "--incidents", "--json", log],
            &["events", "--rotated", "--verify", log],
            &["events", "--rotated", "--verify", "--json", log],
            &["learn", "--rotated", "--widen", log],
            &["learn", "--rotated", "--json", log],
            &["report", "--rotated", log],
        ] {
            self.run(arguments);
        }
        self.contain_all(log);
        let state = self.at("state");
        self.run(&["status", "--prometheus", "-", "--state", state.to_str().expect("a path"), "--log", log]);
    }
}

impl Place {
    /// What containing the first incidents would do: their sites and calls come from the log.
    fn contain_all(&self, log: &str) {
        let config = self.at("portcullis.toml");
        std::fs::write(&config, "mode = \"audit\"\n").expect("a file");
        let config = config.to_str().expect("a path");
        let listed = self.run(&["events", "--rotated", "--incidents", "--json", log]);
        for line in String::from_utf8_lossy(&listed.stdout).lines().take(3) {
            let incident: Value = serde_json::from_str(line).expect("JSON");
            let id = incident["id"].as_str().expect("an identifier");
            let arguments = ["contain", "--config", config, "--dry-run", "--rotated", "--incident", id, log];
            self.run(&arguments);
            self.run(&[&arguments[..], &["--json"]].concat());
        }
    }
}

/// Numbers that are always the same.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides.max(1)
    }

    /// A value of any type, with whatever a terminal would obey.
    fn value(&mut self) -> Value {
        match self.throw(9) {
            0 => HOSTILE.into(),
            1 => json!([HOSTILE, [HOSTILE, 1]]),
            2 => json!({ HOSTILE: HOSTILE }),
            3 => Value::Null,
            4 => u64::MAX.into(),
            5 => (-1.5e300).into(),
            6 => char::from_u32(self.throw(0x11_0000) as u32).unwrap_or('\u{fffd}').to_string().repeat(300).into(),
            7 => format!("/srv/{HOSTILE}/x > {HOSTILE}").into(),
            _ => true.into(),
        }
    }

    /// Puts values of any type into an object, deep in it too.
    fn spoil(&mut self, value: &mut Value) {
        match value {
            Value::Object(all) => {
                for inner in all.values_mut() {
                    match self.throw(8) {
                        0 => *inner = self.value(),
                        _ => self.spoil(inner),
                    }
                }
            }
            Value::Array(all) => all.iter_mut().for_each(|inner| self.spoil(inner)),
            other if self.throw(6) == 0 => *other = self.value(),
            _ => {}
        }
    }
}

/// Every example of an event, spoiled again and again, and lines that are none.
fn spoiled(count: usize) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("examples").flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    let events: Vec<Value> =
        paths.iter().map(|path| serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")).collect();
    let mut dice = Dice(0x5eed_0fda_7a00);
    let mut out = Vec::new();
    for round in 0..count {
        let mut event = events[round % events.len()].clone();
        dice.spoil(&mut event);
        if dice.throw(12) == 0 {
            let bytes: Vec<u8> = (0..200).map(|_| dice.throw(256) as u8).collect();
            out.extend(bytes);
        }
        out.extend(event.to_string().into_bytes());
        out.push(b'\n');
    }
    out.extend("[".repeat(100_000).into_bytes());
    out.push(b'\n');
    out
}

#[test]
fn any_value_of_any_type_is_printed_as_text() {
    let place = Place::new();
    let log = place.at("events.jsonl");
    std::fs::write(&log, spoiled(400)).expect("a log");
    place.run_all(log.to_str().expect("a path"));
    // The same out of the journal, whose messages may be of any bytes.
    let entries: Vec<String> = spoiled(200)
        .split(|&byte| byte == b'\n')
        .map(|line| match std::str::from_utf8(line) {
            Ok(text) => json!({ "MESSAGE": text, "_UID": "1000", "_PID": "7", "__CURSOR": "c" }).to_string() + "\n",
            Err(_) => json!({ "MESSAGE": line, "_UID": "1000", "_PID": "7" }).to_string() + "\n",
        })
        .collect();
    place.journal(&entries.concat());
    for arguments in [
        &["events"][..],
        &["events", "--json"],
        &["events", "--incidents"],
        &["events", "--verify"],
        &["learn"],
        &["report"],
    ] {
        place.run(arguments);
    }
}

/// Text that comes to a terminal by no value of an event: a path that somebody has given a file.
#[test]
fn the_name_of_a_file_is_printed_as_text() {
    let place = Place::new();
    let log = place.at("\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\u{3164}.jsonl");
    std::fs::create_dir(&log).expect("a folder");
    for verb in ["events", "learn", "report"] {
        let done = place.run(&[verb, log.to_str().expect("a path")]);
        assert!(String::from_utf8_lossy(&done.stderr).contains("u{202e}"), "{verb}");
    }
}

/// What is printed here goes to a pipe, as into a journal: others read it than who may read the file.
#[test]
fn what_only_its_owner_may_read_is_not_quoted() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let config = place.at("portcullis.toml");
    // What is quoted of a file is printed as text, as all that anybody has written.
    std::fs::write(&config, "hunter2 = hunter2 # \u{3164}\u{2028}\u{e0041}\u{202e}\n").expect("a file");
    for (mode, is_quoted) in [(0o600, false), (0o644, true)] {
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(mode)).expect("permissions");
        let (path, output) = (config.to_str().expect("a path"), place.at("policy"));
        for arguments in
            [&["check", "--config", path][..], &["compile", "--config", path, "-o", output.to_str().expect("a path")]]
        {
            let done = place.run(arguments);
            let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            assert_eq!(said.contains("hunter2"), is_quoted, "{arguments:?}: {said}");
            assert!(is_quoted || said.contains("line 1"), "{arguments:?}: {said}");
        }
    }
}

/// Whoever can open a folder can hold its lock.
#[test]
fn a_locked_folder_is_not_waited_for() {
    let place = Place::new();
    let log = place.at("events.jsonl");
    std::fs::write(&log, spoiled(1)).expect("a log");
    let folder = std::fs::File::open(place.0.path()).expect("the folder");
    folder.lock().expect("a lock");
    let state = place.at("state");
    let arguments = ["status", "--prometheus", "-", "--state", state.to_str().expect("a path")];
    let done = place.run(&[&arguments[..], &["--log", log.to_str().expect("a path")]].concat());
    assert!(String::from_utf8_lossy(&done.stdout).contains("portcullis_"));
}

#[test]
fn what_is_no_log_is_not_waited_for() {
    let place = Place::new();
    let log = place.at("events.jsonl");
    std::fs::write(&log, spoiled(5)).expect("a log");
    let fifo = |name: &str| {
        assert!(Command::new("mkfifo").arg(place.at(name)).status().expect("mkfifo").success());
    };
    fifo("events.jsonl.1");
    std::os::unix::fs::symlink("/dev/zero", place.at("events.jsonl.2")).expect("a link");
    std::os::unix::fs::symlink("events.jsonl.1", place.at("events.jsonl.3")).expect("a link");
    let _socket = std::os::unix::net::UnixListener::bind(place.at("events.jsonl.4")).expect("a socket");
    std::fs::create_dir(place.at("events.jsonl.5")).expect("a folder");
    std::fs::File::create(place.at("events.jsonl.6")).expect("a file").set_len(1 << 42).expect("a sparse file");
    for (name, head) in
        [("7.xz", &b"\xfd7zXZ\0\0\x04"[..]), ("8.zst", b"\x28\xb5\x2f\xfd\xff\xff"), ("9.gz", b"\x1f\x8b\x08\0")]
    {
        std::fs::write(place.at(&format!("events.jsonl.{name}")), [head, &[0xff; 3000]].concat()).expect("a file");
    }
    place.run_all(log.to_str().expect("a path"));
    // The others are read all the same.
    let done = place.run(&["events", "--json", "--rotated", log.to_str().expect("a path")]);
    assert!(done.stdout.iter().filter(|&&byte| byte == b'\n').count() > 2);
    assert_eq!(done.status.code(), Some(1), "and what could not be read is not fine");
    fifo("pipe.jsonl");
    for name in ["pipe.jsonl", "events.jsonl.2", "events.jsonl.4", "events.jsonl.5", "events.jsonl.6"] {
        let done = place.run(&["events", place.at(name).to_str().expect("a path")]);
        assert_eq!(done.status.code(), Some(1), "{name}");
    }
    // A descriptor of the caller's own may be a pipe.
    let piped = format!("/bin/cat {} | {} events --json /dev/stdin", log.display(), env!("CARGO_BIN_EXE_portcullis"));
    assert!(!Command::new("sh").arg("-c").arg(piped).output().expect("a shell").stdout.is_empty());
}

#[test]
fn a_small_file_that_expands_to_a_large_one_is_not_read_whole() {
    let place = Place::new();
    // Lines of spaces are no events, and cost least.
    let mut part = Vec::new();
    for _ in 0..32 {
        part.resize(part.len() + (1 << 20) - 1, b' ');
        part.push(b'\n');
    }
    std::fs::write(place.at("part"), &part).expect("a file");
    for (tool, level, name) in [("xz", "-1", "bomb.xz"), ("gzip", "-9", "bomb.gz")] {
        let done = Command::new(tool).args(["-c", level]).arg(place.at("part")).output().expect("a compressor");
        // Streams one behind the other are one file: 2 GiB.
        let mut file = std::fs::File::create(place.at(name)).expect("a file");
        for _ in 0..64 {
            file.write_all(&done.stdout).expect("a stream");
        }
        let log = place.at(name);
        let done = place.run(&["events", log.to_str().expect("a path")]);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(1) && said.contains("it expands to more than"), "{name}: {said}");
    }
}

#[test]
fn what_the_journal_says_otherwise_is_shown_and_not_learnt() {
    let place = Place::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events/egress-port.json");
    let mut event: Value = serde_json::from_slice(&std::fs::read(path).expect("an example")).expect("JSON");
    event["user"] = json!({ "id": "33", "name": "www-data" });
    let entry = |uid: &str| {
        let pid = event["process"]["pid"].to_string();
        json!({ "MESSAGE": event.to_string(), "_UID": uid, "_PID": pid, "_SYSTEMD_UNIT": "php8.2-fpm.service" })
            .to_string()
            + "\n"
    };
    let out = |arguments: &[&str]| String::from_utf8(place.run(arguments).stdout).expect("UTF-8");
    place.journal(&entry("33"));
    let learn = ["learn", "--include-rare"];
    assert!(!out(&["events"]).contains("NOT WHAT") && out(&learn).contains("allow = ["));
    place.journal(&entry("1000"));
    for arguments in [&["events"][..], &["events", "--table"], &["events", "--incidents"], &["report"]] {
        assert!(out(arguments).contains("NOT WHAT THE JOURNAL SAYS"), "{arguments:?}");
    }
    let shown: Value = serde_json::from_str(&out(&["events", "--json"])).expect("JSON");
    assert_eq!(shown["portcullis"]["contradicted"], json!({ "user.id": "1000" }));
    let learnt = out(&learn);
    assert!(
        learnt.contains("NOT proposed")
            && learnt.contains("somebody else may have written")
            && !learnt.contains("allow = [")
    );
}

/// A system with a guarded unit, whose pools are in files that others may write.
fn system(root: &Path, library: &str) {
    let unit = "[Service]\nExecStart=/usr/sbin/php-fpm8.2 --fpm-config /etc/php/8.2/fpm/php-fpm.conf\n\
                EnvironmentFile=-/etc/default/php\n";
    for (path, text) in [
        ("lib/systemd/system/php8.2-fpm.service", unit),
        ("etc/php/8.2/fpm/php-fpm.conf", "include=/srv/a/*.conf\n[b]\nchroot = /srv/b\n"),
        ("etc/systemd/system/php8.2-fpm.service.d/portcullis.conf", "# libportcullis.so\n"),
        (library, ""),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    // Any file for this machine does.
    std::fs::copy("/bin/true", root.join(library)).expect("a library");
}

/// What a pool's user can write is among what `install` reads, and so is what a package of somebody else's has laid there.
#[test]
fn install_waits_for_no_fifo_and_reads_nothing_without_an_end() {
    let place = Place::new();
    let library = format!("usr/lib/{}-linux-gnu/libportcullis.so", std::env::consts::ARCH);
    let fifo = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
    let zero = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).expect("a link");
    let long = |path: &Path| std::fs::File::create(path).expect("a file").set_len(1 << 42).expect("a sparse file");
    let folder = |path: &Path| std::fs::create_dir(path).expect("a folder");
    for (name, lay) in [("fifo", &fifo as &dyn Fn(&Path)), ("zero", &zero), ("long", &long), ("folder", &folder)] {
        for spoiled in [
            "srv/a/pool.conf",
            "etc/default/php",
            "usr/sbin/php-fpm8.2",
            "etc/php/8.2/fpm/php-fpm.conf",
            "lib/systemd/system/php8.2-fpm.service",
            "etc/systemd/system/php8.2-fpm.service.d/other.conf",
            "etc/systemd/system/php8.2-fpm.service.d/portcullis.conf",
            "etc/systemd/system/nginx.service.d/portcullis.conf",
            "etc/portcullis/portcullis.toml",
            library.as_str(),
            &format!("srv/b/{library}"),
        ] {
            let root = place.at(&format!("{name}/{}", spoiled.replace('/', "-")));
            system(&root, &library);
            let path = root.join(spoiled);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            let _ = std::fs::remove_file(&path);
            lay(&path);
            let root = root.to_str().expect("a path");
            for arguments in [
                &["install", "php8.2-fpm", "--dry-run", "--root", root][..],
                &["install", "php8.2-fpm", "--jails", "--mode", "enforce", "--dry-run", "--root", root],
                &["uninstall", "--dry-run", "--root", root],
                &["uninstall", "php8.2-fpm", "--purge", "--dry-run", "--root", root],
            ] {
                place.run(arguments);
            }
        }
    }
}
