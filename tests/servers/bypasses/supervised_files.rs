//! The files that a worker names to the supervisor, which is root.

use super::supervisor::servers_with;
use super::{compile, run};
use crate::harness::{Place, enter};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path")
}

/// The supervisor never opens a FIFO, a device or a socket: that can wait for ever, and has effects.
#[test]
fn only_regular_files_are_opened() {
    enter();
    let place = Place::new();
    let sockets = compile(&place, "raw_sockets", &["-static", "-pthread"]);
    let (_guard, _fpm, nginx) = servers_with(&place, "");
    let (fifo, device, socket) = (place.join("fifo"), place.join("device"), place.join("socket"));
    // SAFETY: the paths are C strings.
    unsafe {
        assert_eq!(libc::mkfifo(c_path(&fifo).as_ptr(), 0o777), 0);
        // The null device.
        assert_eq!(libc::mknod(c_path(&device).as_ptr(), libc::S_IFCHR | 0o777, libc::makedev(1, 3)), 0);
    }
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    // SAFETY: the path is a C string.
    let watch = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
    for path in [&fifo, &device, &socket] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("permissions");
        // SAFETY: as above.
        assert!(unsafe { libc::inotify_add_watch(watch, c_path(path).as_ptr(), libc::IN_OPEN) } >= 0);
    }
    // The same behind a link, and as what a script names.
    let named: Vec<_> = [("fifo", &fifo), ("device", &device)]
        .into_iter()
        .map(|(name, path)| {
            let (link, script) = (place.join(&format!("{name}-link")), place.join(&format!("{name}-script")));
            std::os::unix::fs::symlink(path, &link).expect("a link");
            std::fs::write(&script, format!("#!{}\n", path.display())).expect("a script");
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("permissions");
            [link, script]
        })
        .collect();
    for host in ["localhost", "other1.example"] {
        for path in [&fifo, &device, &socket].into_iter().chain(named.iter().flatten()) {
            let answer = run(nginx.port, host, &[&sockets, "exec", path.to_str().expect("a path")]);
            assert_eq!(answer, "-1:13  0", "{}", path.display());
        }
    }
    let mut bytes = [0_u8; 256];
    // SAFETY: the kernel writes at most that many bytes.
    let seen = unsafe { libc::read(watch, bytes.as_mut_ptr().cast(), bytes.len()) };
    assert_eq!(seen, -1, "something was opened");
    // SAFETY: this test's own.
    unsafe { libc::close(watch) };
}
