//! Other preloads beside the guard in a real PHP-FPM, before it and behind it: in audit the page says what it says without the
//! guard, in enforce only what is refused differs. docs/coverage.md has them in a table.

use crate::harness::http::Answer;
use crate::harness::{Fpm, Guard, Listeners, Nginx, Place, Pool, calls, enter, http};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Other {
    name: &'static str,
    /// The package in any release of Debian.
    packages: &'static [&'static str],
    /// Its files, below /usr/lib; TRIPLET is the architecture's folder.
    libraries: &'static [&'static str],
    /// Its variables; WORK is a folder of the test.
    variables: &'static [(&'static str, &'static str)],
    /// Before the guard it takes connections elsewhere, so that the guard sees another address.
    redirects: bool,
    /// Forks without its lock, which one of its threads may hold: a worker then waits for ever, without the guard as well.
    forks_without_its_lock: bool,
}

const fn other(name: &'static str, packages: &'static [&'static str], libraries: &'static [&'static str]) -> Other {
    Other { name, packages, libraries, variables: &[], redirects: false, forks_without_its_lock: false }
}

const fn with(other: Other, variables: &'static [(&'static str, &'static str)]) -> Other {
    Other { variables, ..other }
}

/// Takes the place of malloc, which PHP 8.2 survives only without the extensions that it loads with RTLD_DEEPBIND.
const fn plain(other: Other) -> Other {
    with(other, &[("PHP_INI_SCAN_DIR", "WORK/none")])
}

const fn redirects(other: Other) -> Other {
    Other { redirects: true, ..other }
}

const fn forks_without_its_lock(other: Other) -> Other {
    Other { forks_without_its_lock: true, ..other }
}

const OTHERS: [Other; 33] = [
    with(
        other("nss_wrapper", &["libnss-wrapper"], &["TRIPLET/libnss_wrapper.so"]),
        &[
            ("NSS_WRAPPER_PASSWD", "WORK/passwd"),
            ("NSS_WRAPPER_GROUP", "/etc/group"),
            ("NSS_WRAPPER_HOSTS", "WORK/hosts"),
        ],
    ),
    redirects(with(
        other("socket_wrapper", &["libsocket-wrapper"], &["TRIPLET/libsocket_wrapper.so"]),
        &[("SOCKET_WRAPPER_DIR", "WORK/sockets"), ("SOCKET_WRAPPER_DEFAULT_IFACE", "10")],
    )),
    with(
        other("uid_wrapper", &["libuid-wrapper"], &["TRIPLET/libuid_wrapper.so"]),
        &[("UID_WRAPPER", "1"), ("UID_WRAPPER_ROOT", "1")],
    ),
    with(
        other("resolv_wrapper", &["libresolv-wrapper"], &["TRIPLET/libresolv_wrapper.so"]),
        &[("RESOLV_WRAPPER_HOSTS", "WORK/resolved")],
    ),
    with(other("pam_wrapper", &["libpam-wrapper"], &["TRIPLET/libpam_wrapper.so"]), &[("PAM_WRAPPER", "0")]),
    plain(other("jemalloc", &["libjemalloc2"], &["TRIPLET/libjemalloc.so.2"])),
    plain(other("tcmalloc", &["libgoogle-perftools4", "libgoogle-perftools4t64"], &["TRIPLET/libtcmalloc.so.4"])),
    plain(other(
        "tcmalloc, minimal",
        &["libtcmalloc-minimal4", "libtcmalloc-minimal4t64"],
        &["TRIPLET/libtcmalloc_minimal.so.4"],
    )),
    other("gperftools' profiler", &["libgoogle-perftools4", "libgoogle-perftools4t64"], &["TRIPLET/libprofiler.so.0"]),
    plain(other(
        "mimalloc",
        &["libmimalloc2.0", "libmimalloc3"],
        &["TRIPLET/libmimalloc.so.2", "TRIPLET/libmimalloc.so.3"],
    )),
    with(
        other("libfaketime", &["libfaketime"], &["TRIPLET/faketime/libfaketime.so.1"]),
        &[("FAKETIME", "@2020-06-15 00:00:00")],
    ),
    with(
        other("libfaketime for threads", &["libfaketime"], &["TRIPLET/faketime/libfaketimeMT.so.1"]),
        &[("FAKETIME", "@2020-06-15 00:00:00")],
    ),
    with(
        other("datefudge", &["datefudge"], &["TRIPLET/datefudge/datefudge.so"]),
        &[("DATEFUDGE", "100000000"), ("DATEFUDGE_DOSTATIC", "0")],
    ),
    redirects(with(
        other("proxychains 4", &["libproxychains4"], &["TRIPLET/libproxychains.so.4"]),
        &[("PROXYCHAINS_CONF_FILE", "WORK/proxychains.conf"), ("PROXYCHAINS_QUIET_MODE", "1")],
    )),
    redirects(with(
        other("proxychains 3", &["libproxychains3"], &["TRIPLET/libproxychains.so.3"]),
        &[("HOME", "WORK")],
    )),
    redirects(with(
        other("tsocks", &["tsocks"], &["TRIPLET/libtsocks.so"]),
        &[("TSOCKS_CONF_FILE", "WORK/tsocks.conf"), ("TSOCKS_DEBUG", "-1")],
    )),
    redirects(with(
        other("torsocks", &["torsocks"], &["TRIPLET/torsocks/libtorsocks.so"]),
        &[("TORSOCKS_CONF_FILE", "WORK/torsocks.conf"), ("TORSOCKS_LOG_LEVEL", "1")],
    )),
    other("libeatmydata", &["libeatmydata1"], &["TRIPLET/libeatmydata.so", "TRIPLET/libeatmydata.so.1"]),
    other("fakeroot", &["libfakeroot"], &["TRIPLET/libfakeroot/libfakeroot-sysv.so"]),
    with(
        other("fakechroot", &["libfakechroot"], &["TRIPLET/fakechroot/libfakechroot.so"]),
        &[("FAKECHROOT", "true"), ("FAKECHROOT_VERSION", "2.20.1")],
    ),
    other("snoopy", &["snoopy"], &["TRIPLET/libsnoopy.so"]),
    with(other("stdbuf", &["coreutils"], &["../libexec/coreutils/libstdbuf.so"]), &[("_STDBUF_O", "L")]),
    with(
        other("libkeepalive", &["libkeepalive0"], &["libkeepalive.so.0", "TRIPLET/libkeepalive.so.0"]),
        &[("KEEPCNT", "3")],
    ),
    other("nocache", &["nocache"], &["nocache/nocache.so", "TRIPLET/nocache/nocache.so"]),
    other(
        "libfiu",
        &["fiu-utils", "libfiu0", "libfiu0t64"],
        &["fiu/fiu_posix_preload.so", "TRIPLET/fiu/fiu_posix_preload.so"],
    ),
    other("LTTng's libc wrapper", &["liblttng-ust1"], &["TRIPLET/liblttng-ust-libc-wrapper.so.1"]),
    other("LTTng's dlopen wrapper", &["liblttng-ust1"], &["TRIPLET/liblttng-ust-dl.so.1"]),
    other("LTTng's fork wrapper", &["liblttng-ust1"], &["TRIPLET/liblttng-ust-fork.so.1"]),
    other("LTTng's descriptor wrapper", &["liblttng-ust1"], &["TRIPLET/liblttng-ust-fd.so.1"]),
    forks_without_its_lock(with(
        other(
            "heaptrack",
            &["heaptrack"],
            &["heaptrack/libheaptrack_preload.so", "TRIPLET/heaptrack/libheaptrack_preload.so"],
        ),
        &[("DUMP_HEAPTRACK_OUTPUT", "/dev/null")],
    )),
    other("authbind", &["authbind"], &["authbind/libauthbind.so.1"]),
    other("installwatch", &["checkinstall"], &["checkinstall/installwatch.so"]),
    other("libhugetlbfs", &["libhugetlbfs0"], &["TRIPLET/libhugetlbfs.so.0", "libhugetlbfs.so.0"]),
];

/// What Debian has not, by its name in the table.
const NOT_TESTED: [&str; 6] = [
    "Datadog's injector",
    "OpenTelemetry's injector",
    "Dynatrace's OneAgent",
    "gentoo sandbox",
    "priv_wrapper",
    "libSegFault",
];

impl Other {
    /// Its file; `None` where this release of Debian has no such package.
    fn library(&self) -> Option<PathBuf> {
        let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
        let paths = self.libraries.iter().map(|name| Path::new("/usr/lib").join(name.replace("TRIPLET", &triplet)));
        let found = paths.into_iter().find(|path| path.exists());
        if found.is_none() {
            let known = Command::new("apt-cache").arg("show").args(self.packages).output().expect("apt-cache");
            assert!(known.stdout.is_empty(), "{}: Debian has it: make setup", self.name);
            println!("{}: not in this release of Debian", self.name);
        }
        found
    }
}

struct Site {
    place: Place,
    nginx: Nginx,
    _listeners: Listeners,
}

impl Site {
    fn new() -> Site {
        enter();
        let place = Place::new();
        let www = place.pages();
        let location = format!(
            "location ~ \\.php$ {{ include /etc/nginx/fastcgi_params; fastcgi_read_timeout 20s; \
             fastcgi_param SCRIPT_FILENAME {}$fastcgi_script_name; fastcgi_pass unix:{}; }}",
            www.display(),
            place.join("fpm.sock").display()
        );
        let passwd = std::fs::read_to_string("/etc/passwd").expect("users");
        place.write("work/passwd", &format!("{passwd}preloaded:x:4711:4711::/:/bin/sh\n"));
        place.write("work/hosts", "127.0.0.1 localhost\n10.1.2.3 preloaded.example.com\n");
        place.write("work/resolved", "A preloaded.example.com 10.1.2.3\nA localhost 127.0.0.1\n");
        place.write(
            "work/proxychains.conf",
            "strict_chain\nlocalnet 127.0.0.0/255.0.0.0\n[ProxyList]\nsocks5 127.0.0.1 1080\n",
        );
        place.write(
            "work/.proxychains/proxychains.conf",
            "strict_chain\nlocalnet 127.0.0.0/255.0.0.0\n[ProxyList]\nsocks5 127.0.0.1 1080\n",
        );
        place.write("work/tsocks.conf", "local = 127.0.0.0/255.0.0.0\nserver = 127.0.0.1\nserver_port = 1080\n");
        place.write(
            "work/torsocks.conf",
            "TorAddress 127.0.0.1\nTorPort 1080\nAllowInbound 1\nAllowOutboundLocalhost 1\n",
        );
        std::fs::create_dir_all(place.join("work/sockets")).expect("a folder");
        let _listeners = Listeners::on(&[4446]);
        let nginx = Nginx::start(&place, None, &location);
        Site { place, nginx, _listeners }
    }

    /// The page, with these preloads in PHP-FPM and what it starts.
    fn page(&self, other: &Other, preload: &str, guard: Option<&Guard>) -> String {
        let mut answer = self.answer(other, preload, guard);
        for _ in 0..if other.forks_without_its_lock { 3 } else { 0 } {
            if answer.status == 504 {
                answer = self.answer(other, preload, guard);
            }
        }
        assert_eq!(answer.status, 200, "{}: {preload}: {}", other.name, answer.body);
        answer.body
    }

    fn answer(&self, other: &Other, preload: &str, guard: Option<&Guard>) -> Answer {
        let work = self.place.join("work");
        let work = work.to_str().expect("a path");
        let mut words = vec!["/usr/bin/env".to_owned(), format!("LD_PRELOAD={preload}")];
        words.extend(other.variables.iter().map(|(name, value)| format!("{name}={}", value.replace("WORK", work))));
        words.extend(guard.map(|guard| format!("PORTCULLIS_CONFIG={}", guard.config.display())));
        let faked = (other.name == "fakeroot").then(Faked::start);
        words.extend(faked.iter().map(|faked| format!("FAKEROOTKEY={}", faked.key)));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // As Docker's images of PHP have it.
        let stderr = Some(self.place.join("stderr"));
        let pool = Pool { lines: "clear_env = no".into(), stderr, ..Pool::default() };
        let fpm = Fpm::start_in(&self.place, None, &pool, &words);
        let answer = http::get(self.nginx.port, "/preloads.php");
        drop((fpm, faked));
        answer
    }
}

fn of(events: &[Value], rule: &str) -> u64 {
    let events: Vec<Value> = events.iter().filter(|event| event["rule"]["id"] == rule).cloned().collect();
    calls(&events)
}

/// The daemon of fakeroot, which ends with the value.
struct Faked {
    key: String,
    pid: i32,
}

impl Faked {
    fn start() -> Faked {
        let done = Command::new("/usr/bin/faked-sysv").output().expect("faked");
        let text = String::from_utf8_lossy(&done.stdout);
        let (key, pid) = text.trim().split_once(':').expect("a key and a process");
        Faked { key: key.to_owned(), pid: pid.parse().expect("a number") }
    }
}

impl Drop for Faked {
    fn drop(&mut self) {
        // SAFETY: a process that this test started.
        unsafe { libc::kill(self.pid, libc::SIGTERM) };
    }
}

/// Runs some of them.
fn run(others: &[Other]) {
    let site = Site::new();
    let library = site.place.library();
    let mut ran = 0;
    for other in others {
        let Some(path) = other.library() else { continue };
        eprintln!("## {}", other.name);
        ran += 1;
        let bare = site.page(other, &path.display().to_string(), None);
        let (_, allowed) = bare.split_once("--\n").unwrap_or_else(|| panic!("{}: {bare}", other.name));
        for (order, preload) in [("behind", [&library, &path]), ("before", [&path, &library])] {
            let preload = preload.map(|path| path.display().to_string()).join(":");
            let what = format!("{} {order} the guard", other.name);
            for mode in ["audit", "enforce"] {
                let guard = site.place.guard(&format!("mode = \"{mode}\"\n"));
                let _ = std::fs::remove_file(&guard.log);
                let mut events = guard.events();
                let page = site.page(other, &preload, Some(&guard));
                let events = events.fresh();
                let by_curl = u64::from(bare.contains("outside by curl"));
                let connections = if other.redirects && order == "before" { 0 } else { 1 + by_curl };
                assert!(of(&events, "shell-spawn") >= 3, "{what}, {mode}: {events:#?}");
                assert!(of(&events, "egress-port") >= connections, "{what}, {mode}: {events:#?}");
                if mode == "audit" {
                    assert_eq!(page, bare, "{what}");
                    continue;
                }
                let (refused, rest) = page.split_once("--\n").unwrap_or_else(|| panic!("{what}: {page}"));
                assert_eq!(rest, allowed, "{what}");
                // Where another has a popen of its own, that gives what its child gave.
                assert!(!refused.contains("popen: array (\n  0 => 4"), "{what}: {page}");
                assert!(!refused.contains("a shell"), "{what}: {page}");
                assert!(connections == 0 || !refused.contains("HTTP/1.0 200 OK"), "{what}: {page}");
            }
        }
    }
    assert!(ran > others.len() / 2, "{ran} of {}", others.len());
}

#[test]
fn the_first_of_them() {
    run(&OTHERS[..OTHERS.len() / 3]);
}

#[test]
fn the_second_of_them() {
    run(&OTHERS[OTHERS.len() / 3..OTHERS.len() / 3 * 2]);
}

#[test]
fn the_third_of_them() {
    run(&OTHERS[OTHERS.len() / 3 * 2..]);
}

/// The table of docs/coverage.md has what is run here, and what is not.
#[test]
fn the_table_has_each_of_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/coverage.md");
    let text = std::fs::read_to_string(path).expect("docs/coverage.md");
    let (_, section) = text.split_once("\n## Other preloads\n").expect("the section");
    let section = section.split("\n## ").next().expect("a section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")).skip(1).filter(|row| !row.starts_with("---"));
    let rows: Vec<(String, String)> = rows
        .map(|row| {
            let mut cells = row.split('|').map(|cell| cell.trim().to_owned());
            (cells.next().expect("a name"), cells.next().expect("a package"))
        })
        .collect();
    let run = OTHERS.iter().map(|other| (other.name.to_owned(), other.packages.join(", ")));
    let not = NOT_TESTED.iter().map(|name| ((*name).to_owned(), "none: not tested".to_owned()));
    assert_eq!(rows, run.chain(not).collect::<Vec<_>>());
}
