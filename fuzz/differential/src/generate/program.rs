//! Programs that are started: how they are named, with which arguments and environment, and by which function.

use super::{Lines, exhaust, state};
use crate::random::Random;

/// What the case's own folder has under some name: a way to a shell, or to a program that is none.
fn made(random: &mut Random, lines: &mut Lines, name: &str) {
    let harmless = random.once_in(4);
    let shell = if harmless { "/srv/bin/view" } else { random.pick(&["/bin/sh", "/bin/bash", "/bin/dash"]) };
    match random.below(10) {
        0..=2 => links(random, lines, name, shell),
        3..=5 => script(random, lines, name, shell),
        6 => {
            let mode = random.pick(&["755", "755", "777", "711", "2755", "4755"]);
            if mode.len() == 4 {
                lines.push(
                    "limit the loader takes LD_PRELOAD out of what a set-user-ID program sees: docs/reliability.md",
                );
            }
            lines.push(format!("copy {name} from={shell} mode={mode}"));
        }
        7 => {
            let head = random.pick(&[
                "\\x7fELF",
                "\\x7fELF\\x02\\x01\\x01",
                "${mark}",
                "\\n",
                "MZ",
                "#",
                "#!",
                "#!\\n",
                "#!\\s\\n",
                "",
            ]);
            lines.push(format!("file {name} text={head}\\n${{mark}}\\n"));
        }
        8 => lines.push(format!("file {name} mode={} text=none", random.pick(&["644", "755", "0", "111"]))),
        _ => lines.push(format!(
            "link {name} to={}",
            random.pick(&["/bin/busybox", "/usr/bin/env", "/usr/bin/perl", "/nonexistent", "/srv/w"])
        )),
    }
}

/// A chain of symbolic links, maybe through folders with long names.
fn links(random: &mut Random, lines: &mut Lines, name: &str, target: &str) {
    let depth = random.pick(&[1, 1, 2, 5, 39, 40, 41]);
    let mut to = target.to_owned();
    if random.once_in(4) {
        let folder = vec!["${100*d}"; random.pick(&[2, 4, 5, 6, 12, 38]) as usize].join("/");
        if random.once_in(2) {
            lines.push(format!("copy {folder}/x from={target}"));
        } else {
            lines.push(format!("link {folder}/x to={target}"));
        }
        to = format!("/srv/w/{folder}/x");
    }
    for i in 1..depth {
        lines.push(format!("link l{i}{name} to={to}"));
        to = if random.once_in(2) { format!("/srv/w/l{i}{name}") } else { format!("l{i}{name}") };
    }
    // A link that is relative is relative to where it lies.
    let to = if name.contains('/') && !to.starts_with('/') { format!("/srv/w/{to}") } else { to };
    lines.push(format!("link {name} to={to}"));
}

/// A script, whose interpreter may be a script, and so on.
fn script(random: &mut Random, lines: &mut Lines, name: &str, shell: &str) {
    let depth = random.pick(&[1, 1, 1, 2, 3, 4, 5, 6]);
    let base = if shell == "/srv/bin/view" { shell } else { shell.rsplit('/').next().unwrap_or("sh") };
    let mut interpreter = match random.below(12) {
        0..=2 => shell.to_owned(),
        3 => format!("{}{shell}", "\\s".repeat(random.pick(&[1, 5, 100, 240, 250]) as usize)),
        4 => format!("/usr/bin/env\\s{base}"),
        5 => format!("/usr/bin/env\\s-S\\s{shell}"),
        6 => format!("/usr/bin/env\\s-S\\sA=b\\s{base}"),
        7 | 8 => format!("/lib64/ld-linux-x86-64.so.2\\s{shell}"),
        9 => format!("{}/bin/sh", "/.".repeat(random.pick(&[1, 30, 110, 122, 124, 126]) as usize)),
        10 => "/bin/busybox\\ssh".to_owned(),
        _ => "/nonexistent".to_owned(),
    };
    for i in 1..depth {
        let file = format!("s{i}{}", name.replace('/', "-"));
        lines.push(format!("file {file} text=#!{interpreter}\\n${{mark}}\\n"));
        interpreter = format!("/srv/w/{file}");
    }
    let end = random.pick(&["\\n", "\\n", "\\s\\n", "\\r\\n", "\\t-\\n", "\\s-e\\n"]);
    let end = if end == "\\r\\n" { "\\x0d\\n" } else { end };
    lines.push(format!("file {name} text=#!{interpreter}{end}${{mark}}\\n"));
}

/// Arguments for a program by that name.
fn arguments(random: &mut Random, name: &str) -> String {
    let zero = match random.below(8) {
        0 => "",
        1 => "-sh",
        2 => "x",
        _ => name.rsplit('/').next().unwrap_or("sh"),
    };
    match random.below(16) {
        0 => "argv=null".to_owned(),
        1 => String::new(),
        2 => format!("a={zero}"),
        3 => format!("a={zero} a=-c a=/srv/bin/view\\sa"),
        4 => format!("a={zero} a=-c a=/srv/bin/view\\sa a=b a=c"),
        5 => format!("a={zero} a=-ec a=${{mark}}"),
        6 => format!("a={zero} a=-c a=--  a=${{mark}}"),
        7 => format!("a={zero} {}a=-c a=${{mark}}", "a=-e ".repeat(random.pick(&[1, 10, 70, 300]) as usize)),
        8 => format!("a={zero} a=sh a=-c a=${{mark}}"),
        9 => format!("a={zero} a=-c a=${{mark}};:\\s${{{}*x}}", random.pick(&[100, 4000, 5000, 100_000])),
        _ => format!("a={zero} a=-c a=${{mark}}"),
    }
}

/// An environment that a shell, the loader or the guard may read something from.
fn environment(random: &mut Random, lines: &mut Lines) {
    for _ in 0..random.below(3) {
        let entry = match random.below(14) {
            0 => {
                lines.push("file start text=${mark}\\n");
                random.pick(&["BASH_ENV=/srv/w/start", "ENV=/srv/w/start"]).to_owned()
            }
            1 => {
                lines.push("setenv e=SHELLOPTS=xtrace");
                "PS4=\\x24(${mark})".to_owned()
            }
            2 => "BASH_FUNC_echo%%=()\\s{\\s:;\\s}".to_owned(),
            3 => "LD_PRELOAD=".to_owned(),
            4 => "LD_PRELOAD=/nonexistent.so".to_owned(),
            5 => "LD_LIBRARY_PATH=/nonexistent".to_owned(),
            6 => "LD_DEBUG=".to_owned(),
            7 => "PORTCULLIS_CONTEXT=1;m;0;0;0;0:0;/nonexistent;x".to_owned(),
            8 => format!("LONG=${{{}*y}}", random.pick(&[10, 4096, 5000, 100_000])),
            9 => "IFS=/".to_owned(),
            10 => "HOME=".to_owned(),
            11 => "PORTCULLIS_REQUEST=x".to_owned(),
            12 => "=".to_owned(),
            _ => "BASHOPTS=extdebug".to_owned(),
        };
        lines.push(format!("setenv e={entry}"));
    }
}

fn path_variable(random: &mut Random, lines: &mut Lines, name: &str) {
    let mut parts = Vec::new();
    for i in 0..random.below(4) {
        match random.below(6) {
            0 => parts.push(String::new()),
            1 => parts.push(format!("${{{}*/nonexistent:}}/nonexistent", random.pick(&[1, 100, 340, 400, 5000]))),
            2 => parts.push(format!("/${{{}*z}}", random.pick(&[200, 255, 256, 4090, 4096, 5000]))),
            3 => parts.push("/srv/bin/view".to_owned()),
            _ => {
                made(random, lines, &format!("p{i}/{name}"));
                parts.push(format!("/srv/w/p{i}"));
            }
        }
    }
    if random.once_in(2) {
        parts.push("/usr/bin:/bin".to_owned());
    }
    match random.below(12) {
        0 => lines.push("clearenv"),
        _ => lines.push(format!("setenv e=PATH={}", parts.join(":"))),
    }
}

pub fn action(random: &mut Random, lines: &mut Lines) -> &'static str {
    if random.once_in(8) {
        state(random, lines);
        environment(random, lines);
        let threads = random.pick(&[1, 1, 2, 5, 8]);
        let command =
            random.pick(&["${mark}", "/srv/bin/view\\sa", "/usr/sbin/sendmail\\s-t\\s-i", "exit\\s3", "", ":;${mark}"]);
        lines.push(format!("{} threads={threads} cmd={command}", random.pick(&["system", "popen"])));
        return "command";
    }
    let (name, class) = match random.below(12) {
        0..=3 => {
            let name = random.pick(&["sh", "bash", "x", "true"]);
            path_variable(random, lines, name);
            (name.to_owned(), "search")
        }
        4 => (
            random
                .pick(&["/bin/sh", "/bin/bash", "/usr/bin/../bin/sh", "//bin//./sh", "/proc/self/root/bin/sh"])
                .to_owned(),
            "shell",
        ),
        5 => ("/srv/bin/view".to_owned(), "view"),
        _ => {
            made(random, lines, "x");
            ("/srv/w/x".to_owned(), "made")
        }
    };
    state(random, lines);
    environment(random, lines);
    let mut path = name.clone();
    let mut more = String::new();
    let is_search = class == "search";
    if class == "made" {
        match random.below(10) {
            0 => path = random.pick(&["./x", "x", "../w/x", ".//x", "../../proc/self/cwd/x"]).to_owned(),
            1 => {
                lines.push(format!("open fd=50 path=/srv/w/x flags={}", random.pick(&["r", "path"])));
                path = random.pick(&["/proc/self/fd/50", "/dev/fd/50"]).to_owned();
            }
            2 => {
                lines.push("memfd fd=50 from=/bin/dash");
                path = "/proc/self/fd/50".to_owned();
            }
            _ => {}
        }
    }
    // A program that starts the one that is meant.
    let wrapped = random.once_in(8);
    let mut given = arguments(random, &name);
    if wrapped {
        let wrapper = random.pick(&[
            "/usr/bin/env", "/usr/bin/env a=-i", "/usr/bin/nice", "/usr/bin/timeout a=5", "/usr/bin/setsid a=-w", "/usr/bin/unshare a=-Ur",
            "/lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2 a=--inhibit-cache a=--argv0 a=x",
            "/lib64/ld-linux-x86-64.so.2 a=--library-path a=/lib a=--inhibit-cache a=--glibc-hwcaps-mask a=x a=--argv0 a=x",
            "/bin/busybox a=env",
        ]);
        let (program, options) = wrapper.split_once(' ').unwrap_or((wrapper, ""));
        given = format!("a=x {options} a={path} a=-c a=${{mark}}");
        path = program.to_owned();
    }
    let envp = match random.below(8) {
        0 => " envp=null",
        1 => " envp=given",
        2 => " envp=given e=PATH=/bin e=A=1 e=A=2 e=NOVALUE e=LD_PRELOAD=/nonexistent.so",
        _ => "",
    };
    if random.once_in(5) {
        let actions = spawn_actions(random, lines);
        exhaust(random, lines);
        let how = if is_search || random.once_in(3) { "spawnp" } else { "spawn" };
        lines.push(format!("spawn how={how} path={path} {given}{envp}{actions}"));
        return "spawn";
    }
    let how = if is_search && !wrapped {
        random.pick(&["execvp", "execvp", "execvpe", "execlp"])
    } else {
        let how = random.pick(&[
            "execve",
            "execv",
            "execvp",
            "execvpe",
            "execl",
            "execlp",
            "execle",
            "fexecve",
            "execveat",
            "syscall",
            "syscall-at",
            "syscall",
        ]);
        match how {
            "fexecve" => {
                lines.push(format!("open fd=51 path={path}"));
                more = " fd=51".to_owned();
            }
            "execveat" | "syscall-at" if random.once_in(2) => {
                lines.push(format!("open fd=51 path={path} flags={}", random.pick(&["r", "path"])));
                more = format!(" fd=51 flags=0x{:x}", random.pick(&[0x1000, 0x1000, 0x1100]));
                path = String::new();
            }
            "execveat" => more = format!(" flags=0x{:x}", random.pick(&[0, 0x100, 0x1000])),
            "syscall" => more = random.pick(&["", " via=high"]).to_owned(),
            _ => {}
        }
        how
    };
    exhaust(random, lines);
    lines.push(format!("exec how={how} path={path} {given}{envp}{more}"));
    class
}

fn spawn_actions(random: &mut Random, lines: &mut Lines) -> String {
    let mut actions = String::new();
    for _ in 0..random.below(4) {
        let action = match random.below(7) {
            0 => format!("open:50:{}", random.pick(&["/bin/sh", "/bin/true", "/srv/w/x", "/nonexistent"])),
            1 => {
                lines.push("open fd=52 path=/bin/sh");
                "dup2:52:50".to_owned()
            }
            2 => format!("close:{}", random.pick(&[50, 52, 900, 901])),
            3 => {
                lines.push("link d/x to=/bin/sh");
                "chdir:/srv/w/d".to_owned()
            }
            4 => {
                lines.push("dir d");
                lines.push("open fd=53 path=/srv/w/d");
                "fchdir:53".to_owned()
            }
            5 => "open:0:/dev/null".to_owned(),
            _ => "dup2:1:2".to_owned(),
        };
        actions.push_str(&format!(" act={action}"));
    }
    actions
}
