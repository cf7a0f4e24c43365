//! The steps that start programs, by every function that libc has for it.

use super::{report, report_line};
use crate::case::Step;
use crate::world::ACTOR;
use std::ffi::{CString, c_char};
use std::ptr::null;

unsafe extern "C" {
    static mut environ: *const *const c_char;
}

fn string(bytes: &[u8]) -> CString {
    CString::new(bytes.iter().copied().take_while(|&byte| byte != 0).collect::<Vec<u8>>()).unwrap_or_default()
}

/// Strings as exec takes them.
struct Strings {
    _kept: Vec<CString>,
    list: Vec<*const c_char>,
}

impl Strings {
    fn new(of: Vec<Vec<u8>>) -> Strings {
        let kept: Vec<CString> = of.iter().map(|bytes| string(bytes)).collect();
        let list = kept.iter().map(|text| text.as_ptr()).chain([null()]).collect();
        Strings { _kept: kept, list }
    }
}

/// Starts this program again with the rest of a case.
pub fn descend(rest: &str) {
    let arguments = Strings::new(vec![b"differential".to_vec(), b"--rest".to_vec(), rest.as_bytes().to_vec()]);
    // SAFETY: strings that end, in a list that ends.
    unsafe { libc::execv(string(ACTOR.as_bytes()).as_ptr(), arguments.list.as_ptr()) };
    report("descend", -1);
}

pub fn perform(step: &Step) {
    match step.verb.as_str() {
        "exec" => exec(step),
        "spawn" => spawn(step),
        "race" => race(step),
        _ => command(step),
    }
}

fn exec(step: &Step) {
    let path = string(step.get("path").unwrap_or_default());
    let arguments = Strings::new(step.all("a"));
    let given = Strings::new(step.all("e"));
    let argv = if step.text("argv") == "null" { null() } else { arguments.list.as_ptr() };
    let fd = step.number("fd", -1) as i32;
    let at = if fd < 0 { libc::AT_FDCWD } else { fd };
    let flags = step.number("flags", 0) as i32;
    // SAFETY: strings that end, in lists that end, or null, which the kernel takes.
    let result: i64 = unsafe {
        let envp = match step.text("envp") {
            "null" => null(),
            "given" => given.list.as_ptr(),
            _ => environ,
        };
        let high: i64 = if step.text("via") == "high" { 1 << 32 } else { 0 };
        let a = |i: usize| arguments.list.get(i).copied().unwrap_or(null());
        *libc::__errno_location() = 0;
        match step.text("how") {
            "execv" => libc::execv(path.as_ptr(), argv).into(),
            "execvp" => libc::execvp(path.as_ptr(), argv).into(),
            "execvpe" => libc::execvpe(path.as_ptr(), argv, envp).into(),
            "execl" => libc::execl(path.as_ptr(), a(0), a(1), a(2), null::<c_char>()).into(),
            "execlp" => libc::execlp(path.as_ptr(), a(0), a(1), a(2), null::<c_char>()).into(),
            "execle" => libc::execle(path.as_ptr(), a(0), a(1), a(2), null::<c_char>(), envp).into(),
            "fexecve" => libc::fexecve(fd, argv, envp).into(),
            "execveat" => libc::execveat(at, path.as_ptr(), argv.cast(), envp.cast(), flags).into(),
            "syscall" => libc::syscall(libc::SYS_execve | high, path.as_ptr(), argv, envp),
            "syscall-at" => libc::syscall(libc::SYS_execveat | high, at, path.as_ptr(), argv, envp, flags),
            _ => libc::execve(path.as_ptr(), argv, envp).into(),
        }
    };
    report("exec", result);
}

fn spawn(step: &Step) {
    let path = string(step.get("path").unwrap_or_default());
    let arguments = Strings::new(step.all("a"));
    let given = Strings::new(step.all("e"));
    let argv = if step.text("argv") == "null" { null() } else { arguments.list.as_ptr() };
    // SAFETY: strings that end, in lists that end; the actions are made, used and destroyed here.
    unsafe {
        let envp = match step.text("envp") {
            "null" => null(),
            "given" => given.list.as_ptr(),
            _ => environ,
        };
        let mut actions: libc::posix_spawn_file_actions_t = std::mem::zeroed();
        libc::posix_spawn_file_actions_init(&raw mut actions);
        for action in step.all("act") {
            let text = String::from_utf8_lossy(&action).into_owned();
            let mut parts = text.splitn(3, ':');
            let (kind, first, second) = (parts.next(), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let fd: i32 = first.parse().unwrap_or(-1);
            match kind {
                Some("open") => {
                    let path = string(second.as_bytes());
                    libc::posix_spawn_file_actions_addopen(&raw mut actions, fd, path.as_ptr(), libc::O_RDONLY, 0);
                }
                Some("dup2") => {
                    libc::posix_spawn_file_actions_adddup2(&raw mut actions, fd, second.parse().unwrap_or(-1));
                }
                Some("close") => drop(libc::posix_spawn_file_actions_addclose(&raw mut actions, fd)),
                Some("chdir") => {
                    let path = string(first.as_bytes());
                    libc::posix_spawn_file_actions_addchdir_np(&raw mut actions, path.as_ptr());
                }
                Some("fchdir") => drop(libc::posix_spawn_file_actions_addfchdir_np(&raw mut actions, fd)),
                _ => report_line("unknown action"),
            }
        }
        let mut child = 0;
        let is_search = step.text("how") == "spawnp";
        let function = if is_search { libc::posix_spawnp } else { libc::posix_spawn };
        let argv = argv.cast::<*mut c_char>();
        let result = function(&raw mut child, path.as_ptr(), &raw const actions, null(), argv, envp.cast());
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        let mut status = 0;
        if result == 0 {
            libc::waitpid(child, &raw mut status, 0);
        }
        report_line(&format!("spawn {result}, status {status:x}"));
    }
}

/// The request of the C API (shim/include/portcullis.h).
#[repr(C)]
struct Request {
    size: usize,
    server_name: *const c_char,
    others: [*const c_char; 6],
}

/// Tells the guard, where there is one, which virtual host this thread serves.
fn begin_request(server_name: &CString) {
    // SAFETY: the function has this signature; the strings outlive the call.
    unsafe {
        let at = libc::dlsym(libc::RTLD_DEFAULT, c"portcullis_request_begin".as_ptr());
        if !at.is_null() {
            let begin: extern "C" fn(*const Request) -> u64 = std::mem::transmute(at);
            begin(&Request { size: size_of::<Request>(), server_name: server_name.as_ptr(), others: [null(); 6] });
        }
    }
}

/// system(3) or popen(3), from one thread or many at once.
fn command(step: &Step) {
    let text = string(step.get("cmd").unwrap_or_default());
    let is_system = step.verb == "system";
    let threads = step.number("threads", 1);
    let start = std::sync::Barrier::new(threads as usize);
    let once = |i: i64| {
        // Every other thread serves a request that is not looked at, where the step says so.
        let host = if i % 2 == 0 { "strict" } else { "lax" };
        let text = if step.text("hosts") == "two" {
            begin_request(&string(host.as_bytes()));
            string(&[text.as_bytes(), b" ", host.as_bytes()].concat())
        } else {
            text.clone()
        };
        start.wait();
        // SAFETY: strings that end; the stream is closed by pclose alone.
        unsafe {
            *libc::__errno_location() = 0;
            if is_system {
                let status = libc::system(text.as_ptr());
                let errno = *libc::__errno_location();
                return format!("system {status:x} errno {}", if status == -1 { errno } else { 0 });
            }
            let stream = libc::popen(text.as_ptr(), c"r".as_ptr());
            if stream.is_null() {
                return format!("popen null errno {}", *libc::__errno_location());
            }
            let mut said = [0_u8; 64];
            let got = libc::fread(said.as_mut_ptr().cast(), 1, said.len(), stream);
            format!("popen {}, pclose {:x}", said[..got].escape_ascii(), libc::pclose(stream))
        }
    };
    if threads == 1 {
        return report_line(&once(0));
    }
    let mut lines: Vec<String> = std::thread::scope(|scope| {
        let once = &once;
        let all: Vec<_> = (0..threads).map(|i| scope.spawn(move || once(i))).collect();
        all.into_iter().map(|one| one.join().unwrap_or_default()).collect()
    });
    lines.sort();
    lines.iter().for_each(|line| report_line(line));
}

/// Starts a program again and again while another process makes a link point to one of two files in turn.
fn race(step: &Step) {
    let link = string(step.get("link").unwrap_or_default());
    let spare = string(&[step.get("link").unwrap_or_default(), b".new"].concat());
    let targets = [string(step.get("one").unwrap_or_default()), string(step.get("two").unwrap_or_default())];
    let arguments = Strings::new(step.all("a"));
    // SAFETY: strings that end; both children are this process's, and the first is ended by its number before it is awaited.
    unsafe {
        let swapper = libc::fork();
        if swapper == 0 {
            loop {
                for target in &targets {
                    libc::symlink(target.as_ptr(), spare.as_ptr());
                    libc::rename(spare.as_ptr(), link.as_ptr());
                }
            }
        }
        for _ in 0..step.number("n", 300) {
            let child = libc::fork();
            if child == 0 {
                libc::execv(link.as_ptr(), arguments.list.as_ptr());
                libc::_exit(1);
            }
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        libc::kill(swapper, libc::SIGKILL);
        libc::waitpid(swapper, std::ptr::null_mut(), 0);
    }
}
