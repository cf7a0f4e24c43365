//! The world of the cases: namespaces, outside addresses with listeners, folders, and what a case puts there beforehand.

use crate::case::Step;
use std::ffi::CString;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// By which a shell shows that it ran.
pub const MARK_COMMAND: &str = "echo 1 >/srv/mark/m";
pub const MARK: &str = "/srv/mark/m";
/// Into which the actor and the programs that it starts write.
pub const VIEW: &str = "/srv/mark/view";
pub const RESULT: &str = "/srv/mark/result";
pub const ACTOR: &str = "/srv/bin/differential";
/// The folder of a case's own files.
pub const WORK: &str = "/srv/w";
/// An uncommon port, and those by which programs ask for their own address.
const PORTS: [u16; 2] = [4444, 9];
/// Outside addresses: v4, v6, the v4 one behind NAT64 and 6to4.
const ADDRESSES: [(&str, u8); 4] =
    [("192.88.1.10", 32), ("2a0e:1::10", 128), ("64:ff9b::c058:10a", 128), ("2002:c058:10a::1", 128)];

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(format!("{program} {arguments:?}: {said}")) }
}

/// Enters namespaces of this process's own; it is the first process of the new PID namespace when this returns.
pub fn enter() -> Result<(), String> {
    // SAFETY: nothing of this process's own is open above standard error yet; what it inherited is not for the cases.
    unsafe { libc::close_range(3, u32::MAX, 0) };
    // SAFETY: this process has one thread.
    if unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS | libc::CLONE_NEWPID) } != 0 {
        return Err(format!("needs root: {}", std::io::Error::last_os_error()));
    }
    // SAFETY: one thread; the parent only waits.
    let child = unsafe { libc::fork() };
    if child > 0 {
        let mut status = 0;
        // SAFETY: a pointer to a whole number.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        std::process::exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 3 });
    }
    // SAFETY: of this process alone: it ends with its parent.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    run("mount", &["--make-rprivate", "/"])?;
    run("mount", &["-t", "proc", "none", "/proc"])?;
    run("mount", &["-t", "tmpfs", "-o", "mode=755", "none", "/srv"])?;
    std::fs::create_dir_all("/run/portcullis").map_err(|error| error.to_string())?;
    run("mount", &["-t", "tmpfs", "-o", "mode=755", "none", "/run/portcullis"])?;
    run("ip", &["link", "set", "lo", "up"])?;
    for (address, length) in ADDRESSES {
        let address = format!("{address}/{length}");
        let no_check: &[&str] = if length == 128 { &["nodad"] } else { &[] };
        run("ip", &[&["address", "add", &address, "dev", "lo"], no_check].concat())?;
    }
    Ok(())
}

/// Copies the programs in, with a mailer that starts a shell, and makes the folders.
pub fn furnish(library: &Path, command: &Path) -> Result<(), String> {
    let fail = |error: std::io::Error| error.to_string();
    let own = std::env::current_exe().map_err(fail)?;
    for folder in ["bin", "mark", "log", "w", "sbin", "sbin-work"] {
        std::fs::create_dir(format!("/srv/{folder}")).map_err(fail)?;
    }
    std::fs::set_permissions("/srv/mark", std::fs::Permissions::from_mode(0o777)).map_err(fail)?;
    let view = own.with_file_name("view");
    for (from, to) in [
        (library, "/srv/bin/libportcullis.so"),
        (command, "/srv/bin/portcullis"),
        (&own, ACTOR),
        (&view, "/srv/bin/view"),
        (&view, "/srv/bin/hop"),
        (&view, "/srv/sbin/sendmail"),
    ] {
        std::fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755)).map_err(fail)?;
    }
    let layers = "lowerdir=/usr/sbin,upperdir=/srv/sbin,workdir=/srv/sbin-work";
    run("mount", &["-t", "overlay", "-o", layers, "none", "/usr/sbin"])?;
    for file in [MARK, VIEW, RESULT] {
        std::fs::write(file, "").map_err(fail)?;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o666)).map_err(fail)?;
    }
    Ok(())
}

pub struct Listeners {
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
}

impl Listeners {
    pub fn new() -> Result<Listeners, String> {
        let mut all = Listeners { tcp: Vec::new(), udp: Vec::new() };
        let fail = |error: std::io::Error| error.to_string();
        for (address, _) in ADDRESSES {
            for port in PORTS {
                let at = (address.parse::<std::net::IpAddr>().map_err(|error| error.to_string())?, port);
                let tcp = TcpListener::bind(at).map_err(fail)?;
                let on: libc::c_int = 5;
                // SAFETY: the option is a whole number. Data with the first packet is taken.
                unsafe {
                    let value = (&raw const on).cast();
                    libc::setsockopt(tcp.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_FASTOPEN, value, 4);
                }
                tcp.set_nonblocking(true).map_err(fail)?;
                all.tcp.push(tcp);
                let udp = UdpSocket::bind(at).map_err(fail)?;
                udp.set_nonblocking(true).map_err(fail)?;
                all.udp.push(udp);
            }
        }
        Ok(all)
    }

    /// What has arrived since the last look: one line a connection or datagram.
    pub fn arrived(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut buffer = [0; 4096];
        for listener in &self.tcp {
            let at = listener.local_addr().map(|at| at.to_string()).unwrap_or_default();
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.set_nonblocking(true);
                let got = stream.read(&mut buffer).unwrap_or(0);
                found.push(format!("tcp {at} {got} bytes"));
            }
        }
        for socket in &self.udp {
            let at = socket.local_addr().map(|at| at.to_string()).unwrap_or_default();
            while let Ok(got) = socket.recv(&mut buffer) {
                found.push(format!("udp {at} {got} bytes"));
            }
        }
        found
    }
}

/// Empties what the last run left.
pub fn clear() {
    for file in [MARK, VIEW, RESULT] {
        // Not removed: every user may write to it.
        let _ = std::fs::File::create(file);
    }
    let _ = std::env::set_current_dir("/");
    // What a case left may be deeper than a path can name.
    let _ = std::fs::remove_dir_all(WORK);
    let _ = std::fs::create_dir(WORK);
    let _ = std::fs::set_permissions(WORK, std::fs::Permissions::from_mode(0o755));
}

/// Changes into a folder, a component at a time: the whole may be longer than a path can be. Makes what is missing.
pub fn change_into(path: &str, make: bool) -> bool {
    if path.starts_with('/') {
        let _ = std::env::set_current_dir("/");
    }
    path.split('/').filter(|part| !part.is_empty()).all(|part| {
        if make && !Path::new(part).exists() {
            let _ = std::fs::create_dir(part);
            let _ = std::fs::set_permissions(part, std::fs::Permissions::from_mode(0o755));
        }
        std::env::set_current_dir(part).is_ok()
    })
}

/// Does a step that is done before the case, by root; false where the step is not of that kind.
pub fn prepare(step: &Step) -> bool {
    if !matches!(step.verb.as_str(), "dir" | "file" | "copy" | "link") {
        return false;
    }
    let path = step.text("").to_owned();
    change_into(WORK, true);
    let name = if step.verb == "dir" {
        change_into(&path, true);
        "."
    } else {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        change_into(folder, true);
        name
    };
    match step.verb.as_str() {
        "file" => drop(std::fs::write(name, step.get("text").unwrap_or_default())),
        "copy" => drop(std::fs::copy(step.text("from"), name)),
        "link" => drop(symlink(step.text("to"), name)),
        _ => {}
    }
    if step.verb != "link" {
        let user = step.number("user", 0) as u32;
        let group = step.number("group", 0) as u32;
        if let Ok(name) = CString::new(name)
            && std::fs::metadata(step.text("")).map_or(true, |found| found.uid() != user)
        {
            // SAFETY: a string that ends.
            unsafe { libc::chown(name.as_ptr(), user, group) };
        }
        let mode = i64::from_str_radix(step.text("mode"), 8).unwrap_or(0o755) as u32;
        let _ = std::fs::set_permissions(name, std::fs::Permissions::from_mode(mode));
    }
    let _ = std::env::set_current_dir("/");
    true
}
