//! Libraries that PHP loads with RTLD_DEEPBIND at run time: extensions by dl(), any library by FFI.

use crate::build::{built, compile, enter};
use crate::distro::named;
use std::path::Path;
use std::process::Command;

/// A library whose functions connect and start a shell, bound as it likes.
const LIBRARY: &str = r#"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int (*by_pointer)(int, const struct sockaddr *, socklen_t) = connect;
static int go(int (*how)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4446)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int result = how(fd, (struct sockaddr *)&to, sizeof to);
    close(fd);
    return result;
}
int probe_connect(void) { return go(connect); }
int probe_pointer(void) { return go(by_pointer); }
int probe_system(void) { return system("exit 0"); }
"#;

/// PHP without its configuration.
fn options(code: &str) -> [&str; 7] {
    ["-n", "-d", "enable_dl=1", "-d", "ffi.enable=1", "-r", code]
}

/// What bare PHP prints.
fn bare(code: &str) -> String {
    let done = Command::new(named("phpX.Y")).args(options(code)).output().expect("php");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Runs PHP without its configuration under the guard; gives the rules that fired, and what it printed.
fn printed(folder: &Path, code: &str) -> (Vec<String>, String) {
    let (config, log) = (folder.join("config.toml"), folder.join("events.jsonl"));
    let _ = std::fs::remove_file(&log);
    std::fs::write(&config, format!("[log]\nsink = [\"file\"]\nfile = \"{}\"\n", log.display())).expect("a file");
    let done = Command::new(built().join("portcullis"))
        .args(["run", "--config"])
        .arg(&config)
        .args(["--", &named("phpX.Y")])
        .args(options(code))
        .output()
        .expect("php");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.ends_with("done"), "{said} {}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    (events.map(|event| event["rule"]["id"].as_str().unwrap_or_default().to_owned()).collect(), said)
}

fn php(folder: &Path, code: &str) -> Vec<String> {
    printed(folder, code).0
}

#[test]
fn loaded_by_ffi_bound_now_and_lazily() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("library.c");
    std::fs::write(&source, LIBRARY).expect("a file");
    for (name, flags) in [
        ("liblazy.so", &["-shared", "-fPIC", "-Wl,-z,lazy", "-Wl,-z,norelro"][..]),
        ("libnow.so", &["-shared", "-fPIC", "-Wl,-z,now", "-Wl,-z,relro"]),
        ("libnoplt.so", &["-shared", "-fPIC", "-fno-plt", "-Wl,-z,relro"]),
    ] {
        let library = compile(&source, folder.path(), name, flags);
        let code = format!(
            "dl('ffi.so'); $l = FFI::cdef('int probe_connect(void); int probe_pointer(void); int probe_system(void);', \
             '{}'); $l->probe_connect(); $l->probe_pointer(); $l->probe_system(); echo 'done';",
            library.display()
        );
        assert_eq!(php(folder.path(), &code), ["egress-port", "egress-port", "shell-spawn"], "{name}");
    }
}

#[test]
fn an_extension_loaded_by_dl() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let code = "dl('curl.so'); $c = curl_init('http://192.88.1.10:4446/'); curl_setopt($c, CURLOPT_RETURNTRANSFER, 1); \
                curl_exec($c); dl('sockets.so'); $s = socket_create(AF_INET, SOCK_STREAM, 0); \
                @socket_connect($s, '192.88.1.10', 4446); echo 'done';";
    assert_eq!(php(folder.path(), code), ["egress-port", "egress-port"]);
}

/// What is loaded as usual binds to the guard anyway, and a symbol of the same name in the library itself is its own where bare PHP
/// takes that: up to 8.3, which loads with RTLD_DEEPBIND.
#[test]
fn a_function_of_the_librarys_own_stays_its_own() {
    enter();
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("own.c");
    let text =
        "int connect(int a, const void *b, unsigned c) { return 42; }\nint probe(void) { return connect(-1, 0, 0); }\n";
    std::fs::write(&source, text).expect("a file");
    let library = compile(&source, folder.path(), "libown.so", &["-shared", "-fPIC", "-Wl,-z,lazy"]);
    let code = format!(
        "dl('ffi.so'); $l = FFI::cdef('int probe(void);', '{}'); echo $l->probe(), ' done';",
        library.display()
    );
    let bare = bare(&code);
    assert!(["42 done", "-1 done"].contains(&bare.as_str()), "{bare}");
    // A descriptor that is none connects nowhere.
    assert_eq!(printed(folder.path(), &code), (Vec::new(), bare));
}
