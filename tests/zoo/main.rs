//! The zoo: programs of many runtimes, started by each server. In audit, with the hooks and with the supervisor, each says and
//! does what it says and does without the guard, byte for byte; so it does in enforce where the policy allows it.

#[allow(dead_code, unused_imports)]
#[path = "../servers/harness/mod.rs"]
mod harness;
mod long;
mod programs;

use harness::{Apache, Fpm, Guard, Kind, Nginx, Place, Pool, Process, enter, http, named, wait_until};
use long::LONG;
use programs::{PROGRAMS, Program, Sees};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

/// Who starts the programs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    /// PHP-FPM with `clear_env`.
    Fpm(&'static str),
    ModPhp,
    Uwsgi,
}

struct Zoo {
    place: Place,
    programs: &'static [Program],
}

/// What each program said.
type Said = Vec<Vec<u8>>;

impl Zoo {
    fn new(programs: &'static [Program]) -> Zoo {
        enter();
        let zoo = Zoo { place: Place::new(), programs };
        let place = &zoo.place;
        for folder in ["log", "own.d"] {
            std::fs::create_dir_all(place.join(folder)).expect("a folder");
        }
        std::fs::set_permissions(place.join("own.d"), std::fs::Permissions::from_mode(0o700)).expect("permissions");
        place.write("own", "");
        for own in ["own", "own.d"] {
            chown(place.join(own), Some(33), Some(33)).expect("www-data's");
        }
        place.write("calls.m4", &zoo.filled("syscmd(`sh WITNESS a')esyscmd(`echo b')"));
        for (name, line) in [("line", "#!/bin/sh\n"), ("noline", ""), ("split", "#!/usr/bin/env -S A=b  sh -u\n")] {
            let script = place.write(&format!("bin/{name}"), &format!("{line}. \"$1\"\n"));
            std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        }
        for program in programs.iter().filter(|program| !program.make.is_empty()) {
            let mut make = Command::new("sh");
            make.args(["-c", &zoo.filled(program.make)]).env("GOCACHE", place.join("go")).env("GO111MODULE", "off");
            let done = make.output().expect("a shell");
            assert!(done.status.success(), "{}: {done:?}", program.name);
        }
        let pages = place.pages();
        for (file, text) in [("page.php", include_str!("page.php")), ("app.py", include_str!("app.py"))] {
            std::fs::write(pages.join(file), text).expect("a file");
        }
        std::fs::set_permissions(&pages, std::fs::Permissions::from_mode(0o777)).expect("permissions");
        zoo
    }

    fn filled(&self, text: &str) -> String {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zoo");
        // What www-data can read.
        let zoo = self.place.join("zoo");
        if !zoo.exists() {
            std::fs::create_dir(&zoo).expect("a folder");
            for entry in std::fs::read_dir(sources).expect("sources") {
                let entry = entry.expect("a source");
                std::fs::copy(entry.path(), zoo.join(entry.file_name())).expect("a copy");
            }
        }
        let zoo = zoo.to_str().expect("a path");
        let place = self.place.path().to_str().expect("a path");
        let python = concat!(env!("CARGO_MANIFEST_DIR"), "/target/zoo/python");
        named(text)
            .replace("PYTHON", python)
            .replace("RAW", "-O1 -nostdlib -ffreestanding -fno-stack-protector")
            .replace("WITNESS", &format!("{zoo}/witness.sh"))
            .replace("ZOO", zoo)
            .replace("PLACE", place)
    }

    /// Tells the pages what to start.
    fn tell(&self, bare: bool) {
        // As PHP finds it where nothing is to be added.
        let commands: Vec<_> = self.programs.iter().map(|program| (self.command(program, bare), None::<()>)).collect();
        let file = self.place.join("www/commands.json");
        std::fs::write(file, serde_json::to_string(&commands).expect("JSON")).expect("a file");
    }

    fn command(&self, program: &Program, bare: bool) -> Vec<String> {
        // The unit's library would end it, whatever is in it.
        let without: &[&str] = match bare && program.sees == Sees::NoPreload {
            true => &["env", "-u", "LD_PRELOAD"],
            false => &[],
        };
        without.iter().chain(program.command).map(|word| self.filled(word)).collect()
    }

    /// What the programs say under a server.
    fn run(&self, by: By, guard: Option<&Guard>) -> Said {
        let place = &self.place;
        let page = |port| http::get(port, "/page.php");
        let answer = match by {
            By::Fpm(clear) => {
                let lines = format!("clear_env = {clear}");
                let fpm = Fpm::start(place, guard, &Pool { lines, ..Pool::default() });
                let nginx = Nginx::start(place, None, &fpm.nginx_location(&place.pages()));
                page(nginx.port)
            }
            By::ModPhp => page(Apache::start(place, guard, Kind::ModPhp, None, "").port),
            By::Uwsgi => {
                let _server = self.uwsgi(guard);
                page(8083)
            }
        };
        let all: Vec<(String, String, i64)> =
            serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{by:?}: {answer:?}"));
        assert_eq!(all.len(), self.programs.len());
        let text = |(out, error, code): (String, String, i64)| {
            format!("{}--\n{}--\n{code}", decoded(&out), decoded(&error)).into_bytes()
        };
        all.into_iter().map(text).collect()
    }

    fn uwsgi(&self, guard: Option<&Guard>) -> Process {
        let mut command = Command::new("/usr/bin/uwsgi");
        command.args(["--plugin", "python3", "--http-socket", "127.0.0.1:8083", "--master", "--need-app"]);
        command.args(["--processes", "1", "--uid", "www-data", "--gid", "www-data", "--die-on-term"]);
        command.arg("--disable-logging").arg("--wsgi-file").arg(self.place.pages().join("app.py"));
        // What differs is to be seen among what a test says.
        command.arg("--logto").arg(self.place.join("uwsgi.log"));
        let process = Process::start(command, guard);
        wait_until("uwsgi", || std::net::TcpStream::connect(("127.0.0.1", 8083)).is_ok());
        process
    }
}

/// Base64, as PHP and Python write it.
fn decoded(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.bytes().filter(|digit| *digit != b'=' && *digit != b'\\') {
        bits = bits << 6 | DIGITS.iter().position(|known| *known == digit).expect("a digit of base64") as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a program said without what it may see of the guard.
fn allowed_for(program: &Program, said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said).into_owned();
    if program.sees == Sees::Nothing {
        return text;
    }
    let is_guards = |line: &&str| {
        let line = line.trim_start_matches('"');
        let is_gap = program.sees == Sees::Gap && line.starts_with("page size");
        let is_preload = program.sees != Sees::NoPreload && line.starts_with("LD_PRELOAD");
        line.starts_with("PORTCULLIS_") || is_preload || is_gap
    };
    text.lines().filter(|line| !is_guards(line)).map(|line| format!("{line}\n")).collect()
}

fn compare(programs: &'static [Program], by: By) {
    let zoo = Zoo::new(programs);
    // The variables of the unit are the same without the guard: its library has nothing in it.
    let guard = zoo.place.guard("mode = \"audit\"\n");
    let library = zoo.place.library();
    let full = zoo.place.join("full.so");
    std::fs::rename(&library, &full).expect("moved");
    let mut empty = Command::new("cc");
    empty.args(["-shared", "-nostdlib", "-x", "c", "/dev/null", "-o"]).arg(&library);
    assert!(empty.status().expect("a compiler").success());
    zoo.tell(true);
    let bare = zoo.run(by, Some(&guard));
    let again = zoo.run(by, Some(&guard));
    std::fs::rename(&full, &library).expect("moved back");
    zoo.tell(false);
    let mut wrong = Vec::new();
    for (program, (first, second)) in programs.iter().zip(bare.iter().zip(&again)) {
        if first != second {
            wrong.push(format!("{} says something else each time: {}", program.name, difference(first, second)));
        }
    }
    let all: String = ["rules.exec-unguarded", "rules.exec-tool", "rules.exec-place", "rules.loader-env", "exec"]
        .map(|table| format!("[{table}]\nmode = \"audit\"\n"))
        .concat();
    for config in [
        "mode = \"audit\"\n".to_owned(),
        "mode = \"audit\"\n[backstop]\nseccomp = \"supervise\"\n".to_owned(),
        format!("mode = \"enforce\"\n{all}"),
        format!("mode = \"enforce\"\n{all}[backstop]\nseccomp = \"supervise\"\n"),
    ] {
        let guard = zoo.place.guard(&config);
        let guarded = zoo.run(by, Some(&guard));
        for (program, (bare, guarded)) in programs.iter().zip(bare.iter().zip(&guarded)) {
            if allowed_for(program, bare) != allowed_for(program, guarded) {
                wrong.push(format!("{by:?} {config:?} {}: {}", program.name, difference(bare, guarded)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines that only one of two texts has.
fn difference(one: &[u8], other: &[u8]) -> String {
    let (one, other) = (String::from_utf8_lossy(one), String::from_utf8_lossy(other));
    let mut said = String::new();
    for (sign, lines, others) in [('-', &one, &other), ('+', &other, &one)] {
        for line in lines.lines().filter(|line| !others.lines().any(|other| other == *line)) {
            said += &format!("\n    {sign} {line}");
        }
    }
    said
}

#[test]
fn php_fpm() {
    compare(PROGRAMS, By::Fpm("yes"));
}

#[test]
fn php_fpm_that_keeps_its_environment() {
    compare(PROGRAMS, By::Fpm("no"));
}

#[test]
fn mod_php() {
    compare(PROGRAMS, By::ModPhp);
}

#[test]
fn uwsgi() {
    compare(PROGRAMS, By::Uwsgi);
}

#[test]
#[ignore = "make torture"]
fn large_ones_of_php_fpm() {
    compare(LONG, By::Fpm("yes"));
}

#[test]
#[ignore = "make torture"]
fn large_ones_of_php_fpm_that_keeps_its_environment() {
    compare(LONG, By::Fpm("no"));
}

#[test]
#[ignore = "make torture"]
fn large_ones_of_mod_php() {
    compare(LONG, By::ModPhp);
}

#[test]
#[ignore = "make torture"]
fn large_ones_of_uwsgi() {
    compare(LONG, By::Uwsgi);
}

/// docs/coverage.md names each.
#[test]
fn the_document_has_them() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/coverage.md");
    let document = std::fs::read_to_string(document).expect("a document");
    for program in PROGRAMS.iter().chain(LONG) {
        let sees = match program.sees {
            Sees::Nothing => "nothing",
            Sees::NoPreload => "nothing; with a backstop Portcullis's variables",
            Sees::Variables => "Portcullis's variables",
            Sees::Gap => "Portcullis's variables, unused words behind its environment",
        };
        let row = format!("| {} | {sees} |", program.name);
        assert!(document.lines().any(|line| line == row), "docs/coverage.md has no {row}");
    }
    assert!(PROGRAMS.len() >= 50);
}
