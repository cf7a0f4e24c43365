//! A network of the test's own, in which an outside address is one that the test put on an interface.

use super::root::own_root;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

/// An address outside the local ranges.
pub const OUTSIDE4: &str = "192.88.1.10";
/// The same for v6.
pub const OUTSIDE6: &str = "2a0e:1::10";
/// An address inside the local ranges.
pub const INSIDE: &str = "10.1.2.3";

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Moves this thread, and what it starts, into a network and a root of its own, with a /usr/sbin/sendmail that takes any
/// mail.
pub fn enter() {
    own_root(&[]);
    // SAFETY: affects this thread only.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(done, 0, "the tests need root: {}", std::io::Error::last_os_error());
    run("ip", &["link", "set", "lo", "up"]);
    for address in [OUTSIDE4, INSIDE] {
        run("ip", &["address", "add", &format!("{address}/32"), "dev", "lo"]);
    }
    run("ip", &["address", "add", &format!("{OUTSIDE6}/128"), "dev", "lo", "nodad"]);
    // What is compiled here is this test's alone.
    std::fs::create_dir_all("/run/portcullis").expect("a folder");
    run("mount", &["-t", "tmpfs", "-o", "mode=755", "none", "/run/portcullis"]);
    let mail = "/usr/sbin/sendmail";
    // A link would lead to another mailer.
    let _ = std::fs::remove_file(mail);
    // PHP notices a program that ends before it has read the mail.
    std::fs::write(mail, "#!/usr/bin/perl\n1 while <STDIN>;\n").expect("a script");
    std::fs::set_permissions(mail, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// Gives this thread a /run and a /dev of its own, with the devices that every program needs, so that a journal or a
/// syslog of the test's is nobody else's.
pub fn own_run_and_dev() {
    run("mount", &["-t", "tmpfs", "none", "/run"]);
    std::fs::create_dir("/mnt/dev").expect("a folder");
    run("mount", &["-t", "tmpfs", "-o", "mode=755", "none", "/mnt/dev"]);
    for device in ["null", "zero", "random", "urandom"] {
        let node = format!("/mnt/dev/{device}");
        std::fs::write(&node, "").expect("a place");
        run("mount", &["--bind", &format!("/dev/{device}"), &node]);
    }
    std::os::unix::fs::symlink("/proc/self/fd", "/mnt/dev/fd").expect("a link");
    run("mount", &["--move", "/mnt/dev", "/dev"]);
}

/// Listeners that answer like a small web server, on the outside addresses and the inside one.
pub struct Listeners {
    _udp: Vec<UdpSocket>,
}

impl Listeners {
    /// Binds `ports` on all addresses; they answer until the process ends.
    pub fn on(ports: &[u16]) -> Listeners {
        let mut udp = Vec::new();
        for port in ports {
            for address in [OUTSIDE4, OUTSIDE6, INSIDE] {
                let listener = TcpListener::bind((address, *port)).expect("a port");
                udp.push(UdpSocket::bind((address, *port)).expect("a port"));
                std::thread::spawn(move || {
                    for stream in listener.incoming() {
                        let Ok(mut stream) = stream else { return };
                        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
                        let _ = stream.shutdown(std::net::Shutdown::Write);
                        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                        let _ = stream.read(&mut [0; 1024]);
                    }
                });
            }
        }
        Listeners { _udp: udp }
    }
}
