//! Combinations that chance alone would seldom make: two unusual things that matter together.

use super::{Lines, exhaust, network};
use crate::random::Random;

const SHELLS: [&str; 3] = ["/bin/sh", "/bin/bash", "/bin/dash"];

pub fn action(random: &mut Random, lines: &mut Lines) -> &'static str {
    match random.below(7) {
        0 => startup(random, lines),
        1 => unusable(random, lines),
        2 => unreadable(random, lines),
        3 => actions(random, lines),
        4 => setid(random, lines),
        5 => threads(random, lines),
        _ => race(random, lines),
    }
}

/// An allowed command, in a shell that reads what the environment says first.
fn startup(random: &mut Random, lines: &mut Lines) -> &'static str {
    lines.push("file start text=${mark}\\n");
    if random.once_in(2) {
        lines.push("user 33");
    }
    for _ in 0..=random.below(2) {
        lines.push(random.pick(&[
            "setenv e=BASH_ENV=/srv/w/start",
            "setenv e=BASH_ENV=\\x24(${mark})",
            "setenv e=ENV=/srv/w/start",
            "setenv e=ENV=\\x24(${mark})",
            "setenv e=SHELLOPTS=xtrace e=PS4=\\x24(${mark})",
            "setenv e=SHELLOPTS=xtrace:posix e=PS4=\\x60${mark}\\x60",
            "setenv e=BASHOPTS=extdebug",
            "setenv e=BASH_FUNC_command%%=()\\s{\\s${mark};\\s}",
            "setenv e=BASH_FUNC_exec%%=()\\s{\\s${mark};\\s}",
            "setenv e=IFS=v",
            "setenv e=POSIXLY_CORRECT=1 e=ENV=/srv/w/start",
        ]));
    }
    let command = random.pick(&[
        "/srv/bin/view\\sa",
        "exec\\s/srv/bin/view\\sa",
        "command\\s/srv/bin/view\\sa",
        "/srv/bin/view\\sa\\s2>&1",
    ]);
    match random.below(4) {
        0 => lines.push(format!("system cmd={command}")),
        1 => lines.push(format!("popen cmd={command}")),
        _ => {
            // Bash reads the most.
            let shell = random.pick(&["/bin/bash", "/bin/bash", "/bin/sh"]);
            let options = random.pick(&["", "", "", "", "", "a=-i", "a=-l", "a=-p", "a=-x", "a=--posix"]);
            lines.push(format!("exec how=execv path={shell} a=sh {options} a=-c a={command}"));
        }
    }
    "startup"
}

/// A process that cannot use the policy.
fn unusable(random: &mut Random, lines: &mut Lines) -> &'static str {
    if random.once_in(2) {
        let folder = random.pick(&["/run/portcullis", "/run", "/srv/log", "/proc"]);
        lines.push(format!("cover {folder}"));
        if folder == "/srv/log" {
            lines.push("limit a program that was started opens the log by its path: docs/bypasses.md");
        }
        lines.push("descend");
        if random.once_in(2) {
            network::action(random, lines);
        } else {
            lines.push("exec how=execv path=/bin/sh a=sh a=-c a=${mark}");
        }
    } else {
        if random.once_in(2) {
            lines.push("user 33");
        }
        let options = random.pick(&["-U", "-Ur", "-Urm", "-Urn", "-Urp a=-f", "-m", "-p a=-f", "-Urmnpiu a=-f"]);
        let program = random.pick(&["/bin/sh", "/usr/bin/env a=sh", "/srv/bin/hop a=strict"]);
        lines.push(format!("exec how=execv path=/usr/bin/unshare a=unshare a={options} a={program} a=-c a=${{mark}}"));
    }
    "unusable"
}

/// A way to a shell that the process cannot look at.
fn unreadable(random: &mut Random, lines: &mut Lines) -> &'static str {
    let shell = random.pick(&SHELLS);
    match random.below(4) {
        0 => lines.push(format!("copy x from={shell} mode={}", random.pick(&["755", "711", "111"]))),
        1 => lines.push(format!("file x text=#!{shell}\\n${{mark}}\\n mode={}", random.pick(&["755", "711"]))),
        _ => lines.push(format!("link x to={shell}")),
    }
    lines.push(random.pick(&["cover /proc", "no-readlink", "user 33", "nofile 60", "cover /proc"]));
    let path = random.pick(&["/srv/w/x", "x", "./x"]);
    if lines.0.last().is_some_and(|line| line == "nofile 60") {
        lines.push("fill");
    }
    let how = random.pick(&["execv", "execvp", "execve", "syscall", "execveat"]);
    lines.push(if random.once_in(4) {
        format!("spawn path={path} a=x a=-c a=${{mark}}")
    } else {
        format!("exec how={how} path={path} a=x a=-c a=${{mark}}")
    });
    "unreadable"
}

/// File actions that change what the path leads to.
fn actions(random: &mut Random, lines: &mut Lines) -> &'static str {
    lines.push("link one/x to=/bin/true");
    lines.push("link two/x to=/bin/sh");
    lines.push("open fd=50 path=/bin/true");
    lines.push("open fd=52 path=/bin/sh");
    lines.push("open fd=53 path=/srv/w/two");
    lines.push("chdir /srv/w/one");
    let (path, action) = random.pick(&[
        ("/proc/self/fd/50", "open:50:/bin/sh"),
        ("/dev/fd/50", "open:50:/bin/sh"),
        ("/proc/self/fd/50", "dup2:52:50"),
        ("/proc/thread-self/fd/50", "dup2:52:50"),
        ("./x", "chdir:/srv/w/two"),
        ("x", "fchdir:53"),
        ("/proc/self/cwd/x", "fchdir:53"),
        ("../one/../two/x", "chdir:/srv/w/one"),
    ]);
    exhaust(random, lines);
    lines.push(format!("spawn path={path} a=x a=-c a=${{mark}} act={action}"));
    "actions"
}

/// A program that runs without the preload since it gains privileges.
fn setid(random: &mut Random, lines: &mut Lines) -> &'static str {
    let from = random.pick(&["/usr/bin/env", "/bin/dash", "/usr/bin/nice"]);
    let (owner, mode) = random.pick(&[("group=33", "2755"), ("user=0", "4755"), ("user=33", "6755")]);
    lines.push(format!("copy x from={from} {owner} mode={mode}"));
    lines.push("user 33");
    let inner = if from == "/bin/dash" { "" } else { " a=/bin/sh" };
    lines.push(format!("exec how=execv path=/srv/w/x a=x{inner} a=-c a=${{mark}}"));
    "setid"
}

/// Threads of two virtual hosts: half of the commands are of the one of which nothing is looked at.
fn threads(random: &mut Random, lines: &mut Lines) -> &'static str {
    let threads = random.pick(&[2, 4, 6, 8, 16, 32]);
    lines.push(format!("events {}", threads / 2));
    if random.once_in(3) {
        lines.push(format!("env-many {}", random.pick(&[10, 1000, 1019, 2000])));
    }
    lines.push(format!("{} threads={threads} hosts=two cmd=/srv/bin/hop", random.pick(&["system", "popen"])));
    "threads"
}

/// A link that is swapped.
fn race(random: &mut Random, lines: &mut Lines) -> &'static str {
    lines.push("race");
    let one = random.pick(&["/bin/true", "/srv/bin/view", "/nonexistent"]);
    lines.push(format!("link x to={one}"));
    lines.push(format!("race link=/srv/w/x one={one} two={} n=100 a=x a=-c a=${{mark}}", random.pick(&SHELLS)));
    "race"
}
