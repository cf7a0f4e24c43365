//! Programs in a terminal emulator, tmux: what `portcullis top` shows, what it does with keys and another size, and that the terminal is as
//! it was afterwards, whatever ends it; and the questions of other verbs.
#![allow(clippy::disallowed_methods)]

mod terminal;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use terminal::Terminal;

/// The command.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_portcullis"))
}

fn event(number: u32, rule: &str, site: &str, script: &str) -> Value {
    json!({
        "@timestamp": jiff::Timestamp::now().to_string(),
        "event": { "id": format!("00000000000000aa-{number}"), "action": "exec", "outcome": "success", "severity": 47 },
        "rule": { "id": rule }, "host": { "hostname": "web1" }, "client": { "address": format!("192.88.1.{number}") },
        "http": { "request": { "id": format!("{number:016x}"), "method": "GET" } },
        "url": { "domain": site, "original": "/" }, "process": { "command_line": format!("sh -c {rule}") },
        "portcullis": { "mode": "audit", "chain": "php-fpm > sh", "request": { "state": "known", "script": script } },
    })
}

#[test]
fn a_session_from_start_to_end() {
    let terminal = Terminal::new(80, 24);
    for number in 1..=3 {
        terminal.write(&event(number, "shell-spawn", "shop.example", "/srv/shop/contact.php"));
    }
    terminal.write(&event(9, "stdio-socket", "india.example", "/srv/india/up.php"));
    terminal.start(program());
    let screen = terminal.await_that("rates", |screen| screen.contains("(shop.example)") && screen.contains("up.php"));
    for text in ["calls 4, 0 blocked; 4 in a minute", "SITE", "RULE", "stdio-socket", "2 incidents, the gravest first"]
    {
        assert!(screen.contains(text), "{text}: {screen}");
    }
    assert!(screen.lines().all(|line| line.chars().count() <= 80) && screen.trim_end().ends_with("q quit"), "{screen}");
    // What comes is shown.
    terminal.write(&event(20, "exec-tool", "new.example", "/srv/new/late.php"));
    terminal.await_that("the new incident", |screen| screen.contains("3 incidents") && screen.contains("192.88.1.20"));
    // The gravest is the first, and opens.
    terminal.key("Enter");
    let opened = terminal.await_that("steps", |screen| screen.contains("Steps") && screen.contains("Esc back"));
    let words = opened.replace('\u{2502}', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(" from india.example: up.php, by 192.88.1.9, 1 request, not blocked "), "{opened}");
    assert!(opened.contains("WENT AHEAD  stdio-socket"), "{opened}");
    // Another size, in the middle of that.
    terminal.tmux(&["resize-window", "-x", "200", "-y", "60"]);
    let large = terminal.await_that("more room", |screen| {
        screen.lines().nth(59).is_some_and(|line| line.starts_with("Esc back"))
            && screen.contains("portcullis events --table")
    });
    assert!(large.lines().nth(1).is_some_and(|line| line.chars().count() == 200), "{large}");
    terminal.key("Escape");
    terminal.await_that("all numbers", |screen| screen.contains("10 min") && screen.contains("blocked"));
    terminal.key("Down");
    terminal.key("Enter");
    terminal.await_that("the second one", |screen| screen.contains("Steps") && !screen.contains("up.php"));
    // Nothing is contained without a yes.
    terminal.key("c");
    terminal.await_text("A preview comes first. y: yes, any other key: no");
    terminal.key("n");
    terminal.await_text("Esc back");
    terminal.key("q");
    terminal.await_end("0");
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let terminal = Terminal::new(80, 24);
    for (signal, status) in [("TERM", "143"), ("INT", "130"), ("HUP", "129"), ("QUIT", "131")] {
        terminal.start(program());
        let done = Command::new("kill").args([&format!("-{signal}"), &terminal.program()]).status();
        assert!(done.expect("kill").success());
        terminal.await_end(status);
    }
    terminal.start(program());
    terminal.key("C-c");
    terminal.await_end("0");
}

/// The command that this test runs itself in the terminal.
const PANICS: &str = "PORTCULLIS_TEST_PANICS";

/// A defect of the program leaves a terminal that can be used, and its message on it.
#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    if std::env::var_os(PANICS).is_some() {
        portcullis_cli::panic_on_the_screen();
    }
    let terminal = Terminal::new(200, 50);
    let own = std::env::current_exe().expect("a path");
    let name = "a_panic_leaves_the_terminal_as_it_was";
    terminal.command(&format!("{PANICS}=1 {} --exact {name} --nocapture", own.display()));
    let screen = terminal.await_text("status 101");
    assert!(screen.contains("panicked at") && screen.contains("a defect, with the terminal taken"), "{screen}");
    assert!(!screen.contains("a picture"), "{screen}");
    terminal.await_quiet();
}

/// It can be stopped as any other program, by a key or a signal, and goes on as it was.
#[test]
fn a_stop_leaves_the_terminal_to_the_shell() {
    let terminal = Terminal::new(80, 24);
    terminal.write(&event(1, "shell-spawn", "shop.example", "/srv/shop/contact.php"));
    terminal.start(program());
    terminal.await_text("1 incident");
    let pid = terminal.program();
    let send = |signal: &str| {
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
    };
    let stops: [&dyn Fn(); 2] = [&|| terminal.key("C-z"), &|| send("-TSTP")];
    for stop in stops {
        stop();
        terminal.await_text("Stopped");
        terminal.await_quiet();
        terminal.line("fg");
        terminal.await_text("1 incident");
        assert!(terminal.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).starts_with("1 0"));
    }
    // A stop that no program sees, and another screen meanwhile.
    send("-STOP");
    terminal.await_text("Stopped");
    terminal.line("tput rmcup; tput cnorm; clear; echo; echo other");
    terminal.await_text("\nother");
    terminal.line("fg");
    terminal.await_text("1 incident");
    terminal.key("q");
    terminal.await_that("the shell", |screen| !screen.contains("portcullis top  "));
    terminal.line("clear; echo; echo before");
    terminal.await_text("\nbefore");
    terminal.await_quiet();
}

/// A terminal that is closed ends it, whatever it does.
#[test]
fn a_terminal_that_closes_ends_it() {
    let busy = |terminal: &Terminal, keys: &[&str], text: &str| {
        if text.contains("1 incident") {
            // Such a shell passes no signal on.
            terminal.line("trap '' HUP");
        }
        terminal.start(program());
        terminal.await_text("1 incident");
        for key in keys {
            terminal.key(key);
        }
        terminal.await_text(text);
    };
    for (keys, text) in [(&[][..], "1 incident"), (&["Enter"], "Steps"), (&["c", "y"], "Enter continues")] {
        let terminal = Terminal::new(120, 40);
        terminal.write(&event(1, "shell-spawn", "shop.example", "/srv/shop/contact.php"));
        busy(&terminal, keys, text);
        let pid = terminal.program();
        terminal.tmux(&["set-option", "-g", "exit-empty", "off"]);
        terminal.tmux(&["kill-pane"]);
        terminal::await_true("its end", || terminal::has_ended(&pid));
    }
}

/// A terminal that answers no question, as a serial line has it: it works there, and ends as it should.
#[test]
fn a_terminal_that_answers_nothing_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("events.jsonl");
    std::fs::write(&log, format!("{}\n", event(1, "shell-spawn", "shop.example", "/srv/shop/contact.php")))
        .expect("a log");
    let command = format!("stty rows 24 cols 80; {} top {}", program().display(), log.display());
    let mut script = Command::new("timeout");
    script
        .args(["--foreground", "60", "script", "--quiet", "--flush", "--return", "--command", &command, "/dev/null"])
        .env("TERM", "xterm");
    let mut running = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script");
    let (mut keys, mut screen) = (running.stdin.take().expect("keys"), running.stdout.take().expect("a screen"));
    let (mut seen, mut part) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains("192.88.1.1") {
        let read = screen.read(&mut part).expect("a part of the screen");
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&part[..read]);
    }
    keys.write_all(b"q").expect("a key");
    screen.read_to_end(&mut seen).expect("the rest");
    let status = running.wait().expect("its end");
    let is_given_back = seen.windows(8).any(|part| part == b"\x1b[?1049l") && seen.ends_with(b"\x1b[?25h");
    assert!(status.success() && is_given_back, "{status}: {}", seen.escape_ascii());
}

/// What is written to standard error meanwhile is not written over the picture, and is there afterwards.
#[test]
fn complaints_wait_for_the_end() {
    let terminal = Terminal::new(200, 30);
    std::fs::write(&terminal.log, "nonsense\n").expect("the log");
    terminal.write(&event(1, "shell-spawn", "shop.example", "/srv/shop/contact.php"));
    terminal.start(program());
    let screen =
        terminal.await_that("the complaint", |screen| screen.contains("not an event") && screen.contains("1 incident"));
    assert!(screen.trim_end().lines().last().is_some_and(|line| line.contains("not an event")), "{screen}");
    terminal.key("q");
    let screen = terminal.await_text("status 0");
    assert!(screen.contains("events.jsonl:1: not an event"), "{screen}");
}

/// No value moves the cursor, sets the title, or takes more than its place.
#[test]
fn hostile_values_stay_in_their_places() {
    let terminal = Terminal::new(80, 24);
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[1;1H\u{202e}\r\n\u{9b}5A\u{3042}x";
    let mut one = event(1, "stdio-socket", hostile, &format!("/srv/{hostile}/{}", "long".repeat(10_000)));
    one["process"]["command_line"] = hostile.into();
    one["client"]["address"] = hostile.into();
    one["rule"]["id"] = hostile.into();
    terminal.write(&one);
    terminal.write(&event(2, "shell-spawn", "shop.example", "/srv/shop/contact.php"));
    terminal.start(program());
    let screen =
        terminal.await_that("both", |screen| screen.contains("2 incidents") && screen.contains("(shop.example)"));
    let check = |screen: &str| {
        assert!(screen.starts_with("portcullis top  ") && screen.trim_end().ends_with("q quit"), "{screen}");
        assert!(!screen.contains('\u{202e}') && screen.lines().count() == 24, "{screen}");
        assert_eq!(
            terminal.tmux(&["display-message", "-p", "#{alternate_on} #{pane_title}"]),
            format!("1 {}", terminal.tmux(&["display-message", "-p", "#{host}"]))
        );
    };
    check(&screen);
    assert!(screen.contains("\\u{1b}"), "{screen}");
    for _ in 0..2 {
        terminal.key("Enter");
        check(&terminal.await_text("Steps"));
        terminal.key("End");
        check(&terminal.await_text("Next"));
        terminal.key("Escape");
        terminal.await_text("Up/Down choose");
        terminal.key("Down");
    }
    terminal.key("q");
    terminal.await_end("0");
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let done = Command::new(env!("CARGO_BIN_EXE_portcullis")).arg("top").output().expect("portcullis");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && done.stdout.is_empty(), "{said}");
    assert!(said.contains("needs a terminal; help: `portcullis events --incidents --follow`"), "{said}");
}

/// A question is seen before it is answered, and what somebody edits meanwhile is not lost.
#[test]
fn an_edit_during_a_question_is_not_lost() {
    let terminal = Terminal::new(200, 50);
    let place = |name: &str| terminal.folder.path().join(name);
    let config = place("portcullis.toml");
    let before = "mode = \"audit\"\n[[vhost]]\nname = \"shop\"\nmatch = { pool = \"shop\" }\n";
    std::fs::write(&config, before).expect("a file");
    let contain = format!(
        "clear; {} contain --config {} --state {} --vhost shop; echo status $?",
        env!("CARGO_BIN_EXE_portcullis"),
        config.display(),
        place("state").display()
    );
    terminal.line(&contain);
    terminal.await_text("Contain it? [y/N]");
    let edited = format!("{before}\n[egress]\ndeny = [\"203.0.113.66:*\"]\n");
    std::fs::write(&config, &edited).expect("a file");
    terminal.line("y");
    let screen = terminal.await_text("status 1");
    assert!(screen.contains("the configuration was changed meanwhile; nothing was contained"), "{screen}");
    assert_eq!(std::fs::read_to_string(&config).expect("a file"), edited);
    // Without an edit it goes on.
    terminal.line(&contain);
    terminal.await_text("Contain it? [y/N]");
    terminal.line("n");
    terminal.await_text("Nothing was changed.");
    assert_eq!(std::fs::read_to_string(&config).expect("a file"), edited);
}
