//! The steps that bring a process into a state: user, folder, environment, descriptors, namespaces, filters.

use super::{report, report_line};
use crate::case::Step;
use crate::world::change_into;
use std::ffi::CString;

fn string(bytes: &[u8]) -> CString {
    CString::new(bytes.iter().copied().filter(|&byte| byte != 0).collect::<Vec<u8>>()).unwrap_or_default()
}

pub fn perform(step: &Step) {
    let number = step.number("", 0);
    // SAFETY: each call gets whole values and strings that end; what it changes is this process's.
    unsafe {
        match step.verb.as_str() {
            "user" => {
                libc::setgroups(0, std::ptr::null());
                libc::setgid(number as u32);
                report("user", libc::setuid(number as u32).into());
            }
            "cd" => report_line(&format!("cd {}", change_into(step.text(""), false))),
            "chdir" => report("chdir", libc::chdir(string(step.get("").unwrap_or_default()).as_ptr()).into()),
            "clearenv" => report("clearenv", libc::clearenv().into()),
            "setenv" => {
                for entry in step.all("e") {
                    let at = entry.iter().position(|&byte| byte == b'=').unwrap_or(entry.len());
                    let value = entry.get(at + 1..).unwrap_or_default();
                    libc::setenv(string(&entry[..at]).as_ptr(), string(value).as_ptr(), 1);
                }
            }
            "env-many" => {
                for i in 0..number {
                    libc::setenv(string(format!("V{i}").as_bytes()).as_ptr(), c"x".as_ptr(), 1);
                }
            }
            "open" => {
                let flags = match step.text("flags") {
                    "w" => libc::O_RDWR,
                    "path" => libc::O_PATH,
                    _ => libc::O_RDONLY,
                };
                let fd = libc::open(string(step.get("path").unwrap_or_default()).as_ptr(), flags);
                place(fd, step);
            }
            "memfd" => {
                let fd = libc::memfd_create(c"x".as_ptr(), 0);
                let bytes = match step.get("text") {
                    Some(text) => text.to_vec(),
                    None => std::fs::read(step.text("from")).unwrap_or_default(),
                };
                libc::write(fd, bytes.as_ptr().cast(), bytes.len());
                place(fd, step);
            }
            "limit" | "nofile" => {
                let limit = libc::rlimit { rlim_cur: number as u64, rlim_max: number as u64 };
                report("nofile", libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit).into());
            }
            "fill" => while libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) >= 0 {},
            "close-from" => match step.text("how") {
                "range" => drop(libc::close_range(number as u32, u32::MAX, 0)),
                "syscall" => drop(libc::syscall(libc::SYS_close_range, number, u32::MAX, 0)),
                "dup2" => (number..1024).for_each(|fd| {
                    libc::dup2(0, fd as i32);
                }),
                _ => (number..1200).for_each(|fd| {
                    libc::close(fd as i32);
                }),
            },
            "umask" => drop(libc::umask(number as u32)),
            "block" => {
                let mut set: libc::sigset_t = std::mem::zeroed();
                libc::sigaddset(&raw mut set, number as i32);
                libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            }
            "ignore" => drop(libc::signal(number as i32, libc::SIG_IGN)),
            // Mounts of this process's own; `cover PATH` puts an empty file system over a folder.
            "cover" if own_mounts() => {
                let path = string(step.get("").unwrap_or_default());
                report(
                    "cover",
                    libc::mount(c"none".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null()).into(),
                );
            }
            "bind-mount" if own_mounts() => {
                let (from, to) =
                    (string(step.get("from").unwrap_or_default()), string(step.get("to").unwrap_or_default()));
                report(
                    "bind-mount",
                    libc::mount(from.as_ptr(), to.as_ptr(), std::ptr::null(), libc::MS_BIND, std::ptr::null()).into(),
                );
            }
            "cover" | "bind-mount" => report_line("no mounts of its own"),
            "no-readlink" => no_readlink(),
            other => report_line(&format!("unknown step {other}")),
        }
    }
}

/// Enters a mount namespace of the process's own, past the hooks where that can be; false where it is refused: a mount would
/// then be one of every case's.
fn own_mounts() -> bool {
    // SAFETY: whole numbers, and strings that end.
    unsafe {
        unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
    }
}

/// unshare(2) without libc.
#[cfg(target_arch = "x86_64")]
fn unshare(flags: i32) -> i64 {
    let mut result = libc::SYS_unshare;
    // SAFETY: one argument, a whole number; the kernel changes rcx and r11.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") result, in("rdi") i64::from(flags), lateout("rcx") _, lateout("r11") _);
    }
    result
}

/// unshare(2).
#[cfg(not(target_arch = "x86_64"))]
fn unshare(flags: i32) -> i64 {
    // SAFETY: a whole number.
    unsafe { libc::unshare(flags).into() }
}

/// Moves a descriptor to the number that a step names.
unsafe fn place(fd: i32, step: &Step) {
    report_line(&format!("{} {}", step.verb, fd >= 0));
    let wanted = step.number("fd", 50) as i32;
    let flags = if step.text("cloexec") == "1" { libc::O_CLOEXEC } else { 0 };
    // SAFETY: descriptors of this case.
    unsafe {
        if fd >= 0 && fd != wanted {
            libc::dup3(fd, wanted, flags);
            libc::close(fd);
        }
    }
}

/// A filter of the process's own, in which readlink and readlinkat are refused.
fn no_readlink() {
    const RET: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const JEQ: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let mut filter = [
        libc::sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
        #[cfg(target_arch = "x86_64")]
        libc::sock_filter { code: JEQ, jt: 2, jf: 0, k: libc::SYS_readlink as u32 },
        libc::sock_filter { code: JEQ, jt: 1, jf: 0, k: libc::SYS_readlinkat as u32 },
        libc::sock_filter { code: RET, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
        libc::sock_filter { code: RET, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::EPERM as u32 },
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: a whole program of that length.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    report("no-readlink", done.into());
}
