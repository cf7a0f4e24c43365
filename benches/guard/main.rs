//! What the guard costs: a call, a process, a server, a flood, and its peers. Ratios of one run on one machine; `make bench`
//! runs it, or a part of it: `calls`, `process`, `peers`, `servers`, `flood`, `hostile`.

#[path = "../../tests/servers/harness/mod.rs"]
// A benchmark uses a part of it.
#[allow(dead_code, unused_imports)]
mod harness;

mod calls;
// The test of the kept counts uses the rest.
#[allow(dead_code)]
mod counting;
mod flood;
mod hostile;
mod load;
mod process;
mod servers;

use std::os::unix::net::UnixDatagram;

fn main() {
    // `cargo test` runs benchmarks too, to see that they build.
    let arguments: Vec<String> = std::env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    // What is written there is measured on a disk.
    harness::own_root(&["/srv"]);
    harness::enter();
    harness::own_run_and_dev();
    counting::addresses();
    journal();
    let parts: [(&str, fn()); 6] = [
        ("calls", calls::run),
        ("process", process::run),
        ("peers", process::peers),
        ("servers", servers::run),
        ("flood", flood::run),
        ("hostile", hostile::run),
    ];
    let named = |name: &str| arguments.iter().any(|argument| argument == name);
    let all = !parts.iter().any(|(name, _)| named(name));
    for (name, run) in parts {
        if all || named(name) {
            run();
        }
    }
}

/// Readers at journald's and syslog's sockets, so that what is measured is the guard, or a peer, and not a log daemon.
fn journal() {
    std::fs::create_dir_all("/run/systemd/journal").expect("a folder");
    std::fs::create_dir_all("/run/portcullis").expect("a folder");
    for path in ["/run/systemd/journal/socket", "/dev/log"] {
        let socket = UnixDatagram::bind(path).expect("a socket");
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while socket.recv(&mut buffer).is_ok() {}
        });
    }
}

/// The middle of some figures, with the lowest and the highest.
fn spread(figures: &mut [f64]) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    (figures[0], figures[figures.len() / 2], figures[figures.len() - 1])
}
