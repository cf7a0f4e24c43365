//! Programs that PHP starts by PHP-FPM and by mod_php in a way that hid a shell, or a connection, from Portcullis: bare, in audit
//! and in enforce, by the hooks alone and with the backstop.

use crate::harness::{Apache, Fpm, Guard, Kind, Listeners, Nginx, Parts, Place, Pool, enter, every_rule, http};
use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Each way prints what the program says. Only a shell can say `shell-42`: its text is in no argument.
const PAGE: &str = r##"<?php
error_reporting(0);
const MARK = 'echo shell-$((40+2))';
const LD = '/lib64/ld-linux-x86-64.so.2';
function start($argv, $folder = null) {
    $p = proc_open($argv, [['file', '/dev/null', 'r'], ['pipe', 'w'], ['file', '/dev/null', 'w']], $pipes, $folder);
    if (!is_resource($p)) { return ''; }
    $said = trim(stream_get_contents($pipes[1]));
    proc_close($p);
    return $said;
}
function by_path($path, $name) {
    $old = getenv('PATH');
    putenv("PATH=$path");
    $said = start([$name, '-c', MARK]);
    putenv($old === false ? 'PATH' : "PATH=$old");
    return $said;
}
function own($name) { copy('/bin/dash', "WORK/$name"); chmod("WORK/$name", 0755); return "WORK/$name"; }
function python($code) { return start(['/usr/bin/python3', '-S', '-c', "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\n$code"]); }
$high = 'n = ctypes.c_long((1 << 32) | NUMBER)';
$ways = [
    'long path' => fn() => by_path(str_repeat('/nonexistent:', 400) . '/usr/bin:/bin', 'sh'),
    'longest path' => fn() => by_path(str_repeat('/nonexistent:', 8000) . '/usr/bin:/bin', 'sh'),
    'first has no executable interpreter' => fn() => by_path('WORK/one:WORK/three', 'y'),
    'first has no interpreter' => fn() => by_path('WORK/two:WORK/three', 'y'),
    'real path' => fn() => start(['DEEP/report', '-c', MARK]),
    'real path relative' => fn() => start(['./report', '-c', MARK], 'DEEP'),
    'loader of a script' => fn() => start(['WWW/script']),
    'loader with options' => fn() => start([LD, '--inhibit-cache', '--library-path', '/lib/x86_64-linux-gnu', '--argv0', 'x',
        '--glibc-hwcaps-mask', 'x', '/bin/sh', '-c', MARK]),
    'symlink' => fn() => start(['WWW/symlink', '-c', MARK]),
    'copy' => fn() => start(['WWW/copy', '-c', MARK]),
    'hard link' => fn() => start(['WWW/link', '-c', MARK]),
    'copy of its own' => fn() => start([own('.cache'), '-c', MARK]),
    'symlink without /proc' => fn() => start(['/usr/bin/unshare', '-Urm', '/usr/bin/python3', '-S', '-c',
        "import ctypes, os\nassert ctypes.CDLL(None).mount(b'none', b'/proc', b'tmpfs', 0, None) == 0\n"
        . "os.execv('WWW/symlink', ['report', '-c', '" . MARK . "'])"]),
    'false ELF' => fn() => start(['WWW/false']),
    'false ELF header' => fn() => start(['WWW/header']),
    'high bits exec' => fn() => python(str_replace('NUMBER', '59', $high) . "\n"
        . "c.syscall(n, b'/bin/sh', (ctypes.c_char_p * 4)(b'sh', b'-c', b'" . MARK . "'), (ctypes.c_char_p * 1)())"),
    'high bits connect' => fn() => python(str_replace('NUMBER', '42', $high) . "\n"
        . "import socket\ns = socket.socket()\na = bytes([2, 0, 0x11, 0x5c, 192, 88, 1, 10]) + bytes(8)\n"
        . "print('shell-42' if c.syscall(n, s.fileno(), a, 16) == 0 else '')"),
    'setgid helper' => fn() => start(['WWW/setgid', 'sh', '-c', MARK]),
];
if ($_GET['way'] === 'swap') {
    for ($count = 0; $count < 200; $count++) { echo start(['SWAP/program', '-c', MARK]), "\n"; }
} else {
    echo $ways[$_GET['way']]();
}
"##;

/// A way, and the rules of which each has to fire.
const WAYS: [(&str, &[&str]); 18] = [
    ("long path", &["shell-spawn"]),
    ("longest path", &["shell-spawn"]),
    ("first has no executable interpreter", &["shell-spawn"]),
    ("first has no interpreter", &["shell-spawn"]),
    ("real path", &["shell-spawn", "exec-place"]),
    ("real path relative", &["shell-spawn", "exec-place"]),
    ("loader of a script", &["shell-spawn"]),
    ("loader with options", &["shell-spawn"]),
    ("symlink", &["shell-spawn"]),
    ("copy", &["shell-spawn"]),
    ("hard link", &["shell-spawn"]),
    ("copy of its own", &["shell-spawn", "exec-place"]),
    ("symlink without /proc", &["shell-spawn"]),
    ("false ELF", &["shell-spawn"]),
    ("false ELF header", &["shell-spawn"]),
    ("high bits exec", &["shell-spawn"]),
    ("high bits connect", &["egress-port"]),
    ("setgid helper", &["exec-unguarded"]),
];

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("permissions");
}

/// The page, and what it starts.
fn files(place: &Place) {
    let (www, work, swap) = (place.join("www"), place.join("work"), place.join("swap"));
    let deep = work.join([&"d".repeat(120); 6].map(String::as_str).join("/"));
    for folder in [&www, &swap, &deep, &work.join("one"), &work.join("two"), &work.join("three")] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    for (path, text, mode) in [
        ("work/one/none", "no program", 0o644),
        ("work/one/y", &format!("#!{}/one/none\n", work.display()), 0o755),
        ("work/two/y", "#!/nonexistent\n", 0o755),
        ("www/script", "#!/lib64/ld-linux-x86-64.so.2 /bin/sh\necho shell-$((40+2))\n", 0o755),
        ("www/false", "\x7fELF\necho shell-$((40+2))\n", 0o755),
        ("www/header", "\x7fELF\x02\x01\x01\necho shell-$((40+2))\n", 0o755),
    ] {
        permit(&place.write(path, text), mode);
    }
    for link in [work.join("three/y"), www.join("symlink"), swap.join("shell")] {
        symlink("/bin/sh", link).expect("a link");
    }
    symlink("/bin/true", swap.join("true")).expect("a link");
    for (copy, from) in
        [(www.join("copy"), "/bin/dash"), (deep.join("report"), "/bin/dash"), (www.join("setgid"), "/usr/bin/env")]
    {
        std::fs::copy(from, copy).expect("a copy");
    }
    // On another file system it is one of the copy.
    let linked = std::fs::hard_link("/bin/dash", www.join("link"));
    linked.or_else(|_| std::fs::hard_link(www.join("copy"), www.join("link"))).expect("a link");
    chown(www.join("setgid"), None, Some(8)).expect("a group");
    permit(&www.join("setgid"), 0o2755);
    [&work, &deep].into_iter().for_each(|folder| permit(folder, 0o777));
    let page = [("WORK", &work), ("WWW", &www), ("DEEP", &deep), ("SWAP", &swap)]
        .iter()
        .fold(PAGE.to_owned(), |page, (name, path)| page.replace(name, path.to_str().expect("a path")));
    place.write("www/programs.php", &page);
}

struct Site {
    port: u16,
    _servers: (Option<(Fpm, Nginx)>, Option<Apache>),
}

impl Site {
    fn start(place: &Place, guard: Option<&Guard>, server: &str) -> Site {
        files(place);
        if server == "mod_php" {
            let apache = Apache::start(place, guard, Kind::ModPhp, None, "");
            return Site { port: apache.port, _servers: (None, Some(apache)) };
        }
        let fpm = Fpm::start(place, guard, &Pool::default());
        let nginx = Nginx::start(place, guard, &fpm.nginx_location(&place.join("www")));
        Site { port: nginx.port, _servers: (Some((fpm, nginx)), None) }
    }

    fn ask(&self, way: &str) -> String {
        http::get(self.port, &format!("/programs.php?way={}", way.replace(' ', "%20"))).body
    }
}

/// The rules that fired in an event.
fn rules(event: &Value) -> Vec<&str> {
    let also = event.pointer("/portcullis/also").and_then(Value::as_array).into_iter().flatten();
    also.filter_map(Value::as_str).chain([event.text("rule.id")]).collect()
}

/// Exchanges what a link leads to while `work` is at it.
fn swapped<T>(swap: &Path, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (next, program) = (swap.join("next"), swap.join("program"));
            while !done.load(Ordering::Relaxed) {
                for target in ["/bin/true", "/bin/sh"] {
                    symlink(target, &next).expect("a link");
                    std::fs::rename(&next, &program).expect("a rename");
                }
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}

fn held(server: &str) {
    enter();
    let _listeners = Listeners::on(&[4444]);
    let bare = Place::new();
    let site = Site::start(&bare, None, server);
    for (way, _) in WAYS {
        assert_eq!(site.ask(way), "shell-42", "{server}: {way}, without Portcullis");
    }
    drop(site);
    let mut wrong = Vec::new();
    for (mode, layer) in
        [("audit", "off"), ("audit", "supervise"), ("audit", "log"), ("enforce", "off"), ("enforce", "supervise")]
    {
        let place = Place::new();
        let config = ["exec-tool", "namespace"].iter().fold(every_rule(mode), |text, rule| {
            text.replace(&format!("[rules.{rule}]\nmode = \"{mode}\""), &format!("[rules.{rule}]\nmode = \"off\""))
        });
        let guard = place.guard_of_every_event(&format!("{config}[backstop]\nseccomp = \"{layer}\"\n"));
        let site = Site::start(&place, Some(&guard), server);
        let mut events = guard.events();
        events.fresh();
        let (wanted, outcome) = if mode == "enforce" { ("", "failure") } else { ("shell-42", "success") };
        for (way, fires) in WAYS {
            let said = site.ask(way);
            let fresh = events.fresh();
            let seen: Vec<(&str, Vec<&str>)> =
                fresh.iter().map(|event| (event.text("event.outcome"), rules(event))).collect();
            let has = |rule: &str| seen.iter().any(|(how, rules)| *how == outcome && rules.contains(&rule));
            if said != wanted || !fires.iter().all(|rule| has(rule)) {
                wrong.push(format!("{mode}, seccomp {layer}: {way}: {said:?}, {seen:?}"));
            }
        }
        let said = swapped(&place.join("swap"), || site.ask("swap"));
        let shells = said.matches("shell-42").count();
        let fresh = events.fresh();
        let judged = fresh.iter().filter(|event| rules(event).contains(&"shell-spawn"));
        let judged = judged.filter(|event| event.text("event.outcome") == outcome).count();
        // Which of both it is when it is executed is a matter of chance; both happen in 200 times.
        if if mode == "enforce" { shells != 0 || judged == 0 } else { shells > judged || shells == 0 } {
            wrong.push(format!("{mode}, seccomp {layer}: swapped links: {shells} shells, {judged} events"));
        }
    }
    assert!(wrong.is_empty(), "{server}:\n{}", wrong.join("\n"));
}

#[test]
fn programs_of_php_fpm() {
    held("php-fpm");
}

#[test]
fn programs_of_mod_php() {
    held("mod_php");
}
