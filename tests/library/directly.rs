//! syscall(2) is the kernel's call and nothing else, with a hook as without: no cancellation point, and no function of another
//! library that calls it again.

use crate::build::{built, compile, enter};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The system calls that src/hooks/syscall.rs has hooks for.
fn hooked() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/hooks/syscall.rs");
    let text = std::fs::read_to_string(path).expect("the source");
    let set = text.split("Set::of(&[").nth(1).and_then(|rest| rest.split("]);").next()).expect("the set");
    let names = set.split("libc::SYS_").skip(1).filter_map(|rest| rest.split(',').next());
    let names: Vec<String> = names.map(str::to_owned).collect();
    assert!(names.len() > 30);
    names
}

/// What is not a cancellation point even where it ends the thread, or makes a new one.
const ENDS: [&str; 3] = ["exit_group", "clone", "clone3"];

/// Calls each with what the kernel refuses, and then the commonest for real, in a thread that is to be cancelled at the next
/// cancellation point.
fn program(names: &[String]) -> String {
    let mut rows = String::new();
    for name in names.iter().filter(|name| !ENDS.contains(&name.as_str())) {
        let _ = writeln!(rows, "{{\"{name}\", SYS_{name}}},");
    }
    format!(
        r#"
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static const struct {{ const char *name; long number; }} all[] = {{ {rows} }};
#define COUNT (sizeof all / sizeof *all)
static const char *name;
static long result;
static int error, ends[2], is_late, at_once = 1;
static void say(const char *how)
{{
    char line[200];
    int length = snprintf(line, sizeof line, "%s %ld %d %s\n", name, result, error, how);
    syscall(SYS_write, 1, line, length);
}}
static void *one(void *which)
{{
    size_t k = (size_t)which;
    struct sockaddr_in to = {{.sin_family = AF_INET, .sin_port = htons(4446)}};
    struct iovec piece = {{"x", 1}};
    struct msghdr message = {{.msg_iov = &piece, .msg_iovlen = 1}};
    int udp = syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0), high;
    char byte;
    to.sin_addr.s_addr = htonl(0xc058010a);
    if (at_once)
        pthread_cancel(pthread_self());
    errno = 0;
    switch (k < COUNT ? -1 : (int)(k - COUNT)) {{
    case -1: name = all[k].name; result = syscall(all[k].number, -1L, 0L, 0L, 0L, 0L, 0L); break;
    case 0: name = "a connection"; result = syscall(SYS_connect, udp, &to, sizeof to); break;
    case 1: name = "a datagram"; result = syscall(SYS_sendto, udp, "x", 1, 0, &to, sizeof to); break;
    case 2: message.msg_name = &to; message.msg_namelen = sizeof to;
        name = "a message"; result = syscall(SYS_sendmsg, udp, &message, 0); break;
    case 3: name = "a byte written"; result = syscall(SYS_write, ends[1], "x", 1); break;
    case 4: name = "a byte read"; result = syscall(SYS_read, ends[0], &byte, 1); break;
    case 5: name = "a file opened"; high = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR); result = high >= 0; break;
    case 6: name = "pieces written"; result = syscall(SYS_writev, ends[1], &piece, 1); break;
    case 7: name = "a descriptor put"; result = syscall(SYS_dup3, ends[0], 77, 0); break;
    case 8: name = "a program"; result = syscall(SYS_execveat, AT_FDCWD, "/nowhere", 0, 0, 0); break;
    default: name = 0;
    }}
    error = errno;
    is_late = 1;
    return (void *)1;
}}
int main(int count, char **words)
{{
    int next = 0;
    at_once = count == 1;
    pipe(ends);
    for (size_t k = 0; !next; k++) {{
        pthread_t thread;
        void *got;
        name = "?", result = error = is_late = 0;
        pthread_create(&thread, 0, one, (void *)k);
        pthread_join(thread, &got);
        if (name)
            say(got == PTHREAD_CANCELED ? "cancelled" : "ran");
        else
            next = 1;
    }}
    syscall(SYS_exit_group, 3);
    return 0;
}}
"#
    )
}

/// A library whose every function makes its own call by syscall(2), as some that trace or shape traffic do.
fn library(names: &[String]) -> String {
    let mut text = String::from("#define _GNU_SOURCE\n#include <sys/syscall.h>\nextern long syscall(long, ...);\n");
    for name in names.iter().filter(|name| !ENDS[1..].contains(&name.as_str())) {
        let function = if name == "exit_group" { "_exit" } else { name };
        let _ = writeln!(
            text,
            "long {function}(long a, long b, long c, long d, long e, long f)\n\
             {{ return syscall(SYS_{name}, a, b, c, d, e, f); }}"
        );
    }
    text
}

struct Bench {
    folder: tempfile::TempDir,
    program: PathBuf,
    next: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        enter();
        let folder = crate::build::folder();
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let names = hooked();
        let program = compile(&write("direct.c", program(&names)), folder.path(), "direct", &[]);
        let library = write("next.c", library(&names));
        let next = compile(&library, folder.path(), "libnext.so", &["-shared", "-fPIC", "-fno-builtin"]);
        Bench { folder, program, next }
    }

    /// What the program says, and by which status it ends.
    fn said(&self, command: &mut Command, words: &[&str], preload: bool) -> (Vec<String>, Option<i32>) {
        if preload {
            command.env("LD_PRELOAD", &self.next);
        }
        let done = command.args(words).output().expect("a program");
        let text = String::from_utf8_lossy(&done.stdout);
        (text.lines().map(str::to_owned).collect(), done.status.code())
    }

    fn compare(&self, words: &[&str], preload: bool) {
        let bare = self.said(&mut Command::new(&self.program), words, preload);
        assert_eq!(bare.1, Some(3), "{bare:?}");
        assert!(bare.0.len() > 35 && bare.0.iter().all(|line| line.ends_with(" ran")), "{bare:?}");
        for backstop in ["off", "supervise"] {
            let config = self.folder.path().join("config.toml");
            let log = self.folder.path().join("events.jsonl");
            let text = format!(
                "[log]\nsink = [\"file\"]\nfile = \"{}\"\n[backstop]\nseccomp = \"{backstop}\"\n",
                log.display()
            );
            std::fs::write(&config, text).expect("a file");
            let mut command = Command::new(built().join("portcullis"));
            command.args(["run", "--role", "serving", "--config"]).arg(&config).arg("--").arg(&self.program);
            assert_eq!(self.said(&mut command, words, preload), bare, "{backstop}");
            let events = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(events.contains("192.88.1.10:4446"), "{backstop}: it was not judged: {events}");
            std::fs::remove_file(&log).expect("the log");
        }
    }
}

#[test]
fn a_system_call_is_no_cancellation_point() {
    Bench::new().compare(&[], false);
}

#[test]
fn a_system_call_is_no_other_librarys_function() {
    let bench = Bench::new();
    bench.compare(&["and", "go", "on"], true);
    bench.compare(&[], true);
}
