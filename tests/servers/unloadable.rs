//! Programs that the library cannot be loaded into, and those that find what they need behind their environment: with the
//! guard in the server's own LD_PRELOAD they say and do in audit what they do without it, and what they start is guarded
//! where it can be.

use crate::harness::{Fpm, Nginx, Place, Pool, enter, http};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn compile(place: &Place, compiler: &str, source: &str, name: &str, flags: &[&str]) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/servers/c/{source}.c"));
    let output = place.join(name);
    let done = Command::new(compiler).args(["-O1", "-w"]).arg("-o").arg(&output).arg(source).args(flags).status();
    assert!(done.expect("a compiler").success());
    output.to_str().expect("a path").to_owned()
}

/// What each command says under a PHP-FPM, on standard output and standard error.
const PAGE: &str = r#"<?php
function said($command, $environment) {
    $process = proc_open($command, [['file', '/dev/null', 'r'], ['pipe', 'w'], ['pipe', 'w']], $pipes, null, $environment);
    $said = [stream_get_contents($pipes[1]), stream_get_contents($pipes[2])];
    return [...$said, proc_close($process)];
}
$all = [];
foreach (json_decode(file_get_contents(__DIR__ . '/commands.json'), true) as $command) {
    $all[] = said($command, null);
    $all[] = said($command, ['OWN' => '1', 'PATH' => '/usr/bin:/bin', 'LD_PRELOAD' => 'libm.so.6']);
}
ob_start(); passthru(json_decode(file_get_contents(__DIR__ . '/commands.json'), true)[0][0], $code); $all[] = [ob_get_clean(), '', $code];
echo json_encode($all);
"#;

fn run(guarded: bool, clear: &str, more: &str) -> (Vec<Value>, Vec<Vec<String>>) {
    let place = Place::new();
    std::fs::create_dir_all(place.join("log")).expect("a folder");
    let look = "grep -c libportcullis.so /proc/self/maps; echo \"[${LD_PRELOAD-}] [${OWN-}]\"; env | grep PORTCULLIS_R";
    let musl = compile(&place, "musl-gcc", "seen", "musl", &[]);
    let is_static = compile(&place, "cc", "seen", "static", &["-static"]);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut commands = vec![
        words(&[&musl]),
        words(&[&musl, "/bin/sh", "-c", look]),
        words(&[&is_static]),
        words(&[&is_static, "/bin/sh", "-c", look]),
        words(&[&is_static, &musl]),
        words(&["/bin/busybox", "sh", "-c", &format!("{musl}; {musl} /bin/sh -c true")]),
        words(&["/bin/busybox", "sh", "-c", &format!("/bin/sh -c '{}'", look.replace('\'', ""))]),
        // Dynamically linked Go.
        words(&["/usr/bin/git-lfs", "version"]),
        words(&["/bin/sh", "-c", "/usr/bin/git-lfs version"]),
    ];
    // Their library has to come first.
    for sanitizer in ["address", "thread"] {
        let built = compile(&place, "cc", "seen", sanitizer, &[&format!("-fsanitize={sanitizer}")]);
        commands.push(words(&[&built]));
        commands.push(words(&["/bin/sh", "-c", &built]));
        commands.push(words(&["/bin/sh", "-c", &format!("LD_PRELOAD={} /bin/true", sanitizers_library(&built))]));
    }
    if cfg!(target_arch = "x86_64") {
        let flags = ["-m32", "-nostdlib", "-fno-pic", "-no-pie", "-fno-stack-protector"];
        let alone = compile(&place, "cc", "seen32", "alone32", &[&flags[..], &["-static"]].concat());
        let flags = ["-m32", "-nostdlib", "-fPIE", "-pie", "-fno-stack-protector"];
        let loaded =
            compile(&place, "cc", "seen32", "loaded32", &[&flags[..], &["-Wl,-I,/lib/ld-linux.so.2"]].concat());
        commands.push(words(&[&alone]));
        commands.push(words(&[&loaded]));
        commands.push(words(&["/bin/sh", "-c", &loaded]));
    }
    let guard = place.guard(&format!("mode = \"audit\"\n{more}"));
    let pool = Pool { lines: format!("clear_env = {clear}"), ..Pool::default() };
    let fpm = Fpm::start(&place, guarded.then_some(&guard), &pool);
    let www = place.pages();
    std::fs::write(www.join("unloadable.php"), PAGE).expect("a page");
    let nginx = Nginx::start(&place, None, &fpm.nginx_location(&www));
    std::fs::write(www.join("commands.json"), serde_json::to_string(&commands).expect("JSON")).expect("a file");
    let answer = http::get(nginx.port, "/unloadable.php");
    // PHP writes a slash as JSON lets it.
    let text = answer.body.replace("\\/", "/").replace(place.library().to_str().expect("a path"), "LIBRARY");
    let text = text.replace(place.path().to_str().expect("a path"), "PLACE");
    (serde_json::from_str(&text).unwrap_or_else(|_| panic!("{answer:?}")), commands)
}

/// The path of the sanitizer's library in a program that is built with it.
fn sanitizers_library(program: &str) -> String {
    let done = Command::new("/usr/bin/ldd").arg(program).output().expect("ldd");
    let text = String::from_utf8(done.stdout).expect("text");
    let line = text.lines().find(|line| line.contains("san.so")).unwrap_or_else(|| panic!("{text}"));
    line.split(' ').nth(2).expect("a path").to_owned()
}

/// What a program says without what it may see of the guard (docs/threat-model.md): a static one and one of musl's get its
/// variables to hand on, and a unit's own stay.
fn without_guard(said: &Value) -> Vec<String> {
    let text = said[0].as_str().unwrap_or_default();
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("PORTCULLIS_")) {
        let line = match line.strip_prefix("LD_PRELOAD=/$LIB/") {
            Some(handed_on) => match handed_on.split_once("LIBRARY:") {
                Some((_, own)) => format!("LD_PRELOAD={own}"),
                None => continue,
            },
            None => line.replace("[LIBRARY]", "[]"),
        };
        if !lines.contains(&line) || !line.contains('=') {
            lines.push(line);
        }
    }
    let error = said[1].as_str().unwrap_or_default();
    // With the number of its process.
    let error = error.split_once("==ASan runtime does not").map_or(error, |(_, rest)| rest);
    lines.push(format!("{error} {}", said[2]));
    lines
}

#[test]
fn they_run_as_without_the_guard() {
    enter();
    for clear in ["yes", "no"] {
        let (bare, _) = run(false, clear, "");
        for more in ["", "[backstop]\nseccomp = \"supervise\"\n"] {
            let (guarded, commands) = run(true, clear, more);
            assert_eq!(bare.len(), guarded.len());
            for (number, (guarded, bare)) in guarded.iter().zip(&bare).enumerate() {
                let command = commands.get(number / 2);
                let (mut wanted, seen) = (without_guard(bare), without_guard(guarded));
                let is_guarded = |line: &String| line.parse::<u32>().is_ok();
                // Only the count of the library's mappings differs: what these start has the guard.
                if let Some(at) = wanted.iter().position(is_guarded) {
                    assert_eq!(wanted[at], "0", "{command:?} {bare}");
                    let count =
                        seen.iter().find(|line| is_guarded(line)).unwrap_or_else(|| panic!("{command:?} {guarded}"));
                    assert_ne!(count, "0", "{clear} {more} {command:?}: what it started is unguarded: {guarded}");
                    wanted[at].clone_from(count);
                }
                assert_eq!(seen, wanted, "{clear} {more} {command:?}: {guarded}");
            }
        }
    }
}
