//! Writes what the kernel and the C library gave a program at its start; called `sendmail` or
//! `hop`, starts a shell that leaves its mark.
//!
//! Without Rust's own start, which would change signals and open descriptors.
#![no_main]

use std::ffi::{CStr, c_char, c_int};
use std::fmt::Write;

/// A file that every user may append to.
const VIEW: &CStr = c"/srv/mark/view";
const MAILER_MARK: &CStr = c"echo 1 >/srv/mark/m";

fn escaped(bytes: &[u8]) -> String {
    // Long values differ as much by their hash.
    if bytes.len() > 300 {
        let hash = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        return format!("{} bytes, hash {hash:016x}, {}", bytes.len(), bytes[..40].escape_ascii());
    }
    bytes.escape_ascii().to_string()
}

/// # Safety
/// As the C library calls it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) -> c_int {
    let mut out = String::new();
    // SAFETY: the C library's main: argv and envp end with null.
    unsafe {
        let name = if argc > 0 { CStr::from_ptr(*argv).to_bytes() } else { b"" };
        if name.ends_with(b"sendmail") || name.ends_with(b"hop") {
            // For a request of which nothing is looked at, a shell that does nothing.
            let is_lax = argc > 1 && CStr::from_ptr(*argv.add(1)) == c"lax";
            let command = if is_lax { c":" } else { MAILER_MARK };
            let arguments = [c"sh".as_ptr(), c"-c".as_ptr(), command.as_ptr(), std::ptr::null()];
            libc::execv(c"/bin/sh".as_ptr(), arguments.as_ptr());
            return 127;
        }
        let _ = writeln!(out, "argc {argc}");
        for i in 0..argc as usize {
            let _ = writeln!(out, "argv {}", escaped(CStr::from_ptr(*argv.add(i)).to_bytes()));
        }
        let _ = writeln!(out, "stack argv ends {}", (*argv.add(argc as usize)).is_null());
        let _ = writeln!(out, "stack envp follows {}", std::ptr::eq(envp, argv.add(argc as usize + 1)));
        let mut at = envp;
        while !(*at).is_null() {
            let _ = writeln!(out, "env {}", escaped(CStr::from_ptr(*at).to_bytes()));
            at = at.add(1);
        }
        // On the first stack the auxiliary values follow the environment.
        let mut auxiliary = at.add(1).cast::<[usize; 2]>();
        let mut keys = 0;
        while (*auxiliary)[0] != 0 && (*auxiliary)[0] < 100 && keys < 100 {
            keys += 1;
            auxiliary = auxiliary.add(1);
        }
        let _ = writeln!(out, "stack auxv follows {}", keys >= 10 && (*auxiliary)[0] == 0);
        let path = libc::getauxval(libc::AT_EXECFN) as *const c_char;
        let _ = writeln!(
            out,
            "execfn {}",
            if path.is_null() { String::new() } else { escaped(CStr::from_ptr(path).to_bytes()) }
        );
        let _ = writeln!(out, "secure {}", libc::getauxval(libc::AT_SECURE));
        for fd in 0..1200 {
            let mut status: libc::stat = std::mem::zeroed();
            if libc::fstat(fd, &raw mut status) == 0 {
                let _ = writeln!(out, "fd {fd} {:o}", status.st_mode & libc::S_IFMT);
            }
        }
        let mut comm = [0_u8; 16];
        libc::prctl(libc::PR_GET_NAME, comm.as_mut_ptr());
        let _ = writeln!(out, "comm {}", escaped(comm.split(|&byte| byte == 0).next().unwrap_or_default()));
        for signal in 1..65 {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction != 0 {
                let _ = writeln!(out, "signal {signal} {}", action.sa_sigaction);
            }
        }
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(0, std::ptr::null(), &raw mut mask);
        let blocked: Vec<_> = (1..65).filter(|&signal| libc::sigismember(&raw const mask, signal) == 1).collect();
        let _ = writeln!(out, "blocked {blocked:?}");
        let mut folder = [0_u8; 4096];
        if !libc::getcwd(folder.as_mut_ptr().cast(), folder.len()).is_null() {
            let path = folder.split(|&byte| byte == 0).next().unwrap_or_default();
            let _ = writeln!(out, "folder {}", escaped(path));
        }
        let umask = libc::umask(0);
        libc::umask(umask);
        let _ = writeln!(
            out,
            "umask {umask:o}, user {} {}, nice {}",
            libc::getuid(),
            libc::geteuid(),
            libc::getpriority(0, 0)
        );
        let fd = libc::open(VIEW.as_ptr(), libc::O_WRONLY | libc::O_APPEND);
        libc::write(fd, out.as_ptr().cast(), out.len());
    }
    0
}
