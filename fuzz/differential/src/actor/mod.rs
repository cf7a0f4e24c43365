//! Does the steps of a case in a process of their own, which was forked from a server's master
//! and has accepted a connection.
//!
//! The actor reads a case, forks, and tells how the child ended. What each step gave goes to a file, so that it outlasts exec.

mod exec;
mod network;
mod state;

use crate::case::{Case, Step};
use crate::world::{RESULT, WORK, change_into};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// The descriptor over which cases come, away from those that cases use.
pub const CHANNEL: i32 = 700;
/// How long a case may take, in milliseconds.
const LIMIT: i32 = 4000;

/// What a step gave, with errno.
pub fn report(what: &str, result: i64) {
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    report_line(&format!("{what} {result} errno {}", if result < 0 { errno } else { 0 }));
}

pub fn report_line(line: &str) {
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    // Opened for each line: a case closes and fills descriptors. Where none is free, one that no case needs makes room.
    let open = || std::fs::OpenOptions::new().append(true).custom_flags(libc::O_CLOEXEC).open(RESULT);
    let file = open().or_else(|_| {
        // SAFETY: of this process, and of no other use in a child.
        unsafe { libc::close(CHANNEL) };
        open()
    });
    if let Ok(mut file) = file {
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
    // SAFETY: this thread's own.
    unsafe { *libc::__errno_location() = errno };
}

/// Does steps, in order.
fn perform(steps: &[Step]) {
    for (i, step) in steps.iter().enumerate() {
        match step.verb.as_str() {
            // The world's steps were done before.
            "dir" | "file" | "copy" | "link" => {}
            "descend" => {
                let rest: Vec<&str> = steps[i + 1..].iter().map(|step| step.line.as_str()).collect();
                exec::descend(&rest.join("\n"));
                return;
            }
            "socket" | "connect" | "bind" | "listen" | "sendto" | "sendmsg" | "sendmmsg" | "send" | "write"
            | "writev" => {
                network::perform(step);
            }
            "exec" | "spawn" | "system" | "popen" | "race" => exec::perform(step),
            _ => state::perform(step),
        }
    }
}

/// Does the rest of a case in a program that an actor started.
pub fn perform_text(text: &str) {
    match Case::parse(text) {
        Ok(case) => perform(&case.steps),
        Err(why) => report_line(&why),
    }
}

/// Reads cases and does each in a child.
pub fn serve() -> ! {
    // SAFETY: standard input is the channel; a child must not have it.
    unsafe {
        libc::dup3(0, CHANNEL, libc::O_CLOEXEC);
        libc::close(0);
        libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
    loop {
        let mut length = [0; 4];
        if !receive(&mut length) {
            std::process::exit(0);
        }
        let mut text = vec![0; u32::from_ne_bytes(length) as usize];
        receive(&mut text);
        let status = child(&String::from_utf8_lossy(&text));
        // SAFETY: four bytes.
        unsafe { libc::write(CHANNEL, (&raw const status).cast(), 4) };
    }
}

fn receive(buffer: &mut [u8]) -> bool {
    let mut done = 0;
    while done < buffer.len() {
        // SAFETY: the rest of the buffer.
        let got = unsafe { libc::read(CHANNEL, buffer[done..].as_mut_ptr().cast(), buffer.len() - done) };
        if got <= 0 {
            return false;
        }
        done += got as usize;
    }
    true
}

/// Accepts a connection of its own: by that the guard knows a process that serves.
fn accept_one() {
    if let Ok(listener) = std::net::TcpListener::bind("127.0.0.1:0")
        && let Ok(at) = listener.local_addr()
        && let Ok(_client) = std::net::TcpStream::connect(at)
    {
        drop(listener.accept());
    }
}

/// Does one case; gives its status as waitpid does, or -1 where it had to be ended.
fn child(text: &str) -> i32 {
    // SAFETY: one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: of this process alone.
        unsafe { libc::setpgid(0, 0) };
        accept_one();
        change_into(WORK, false);
        // What the actor's last call left says nothing of this case.
        // SAFETY: this thread's own.
        unsafe { *libc::__errno_location() = 0 };
        perform_text(text);
        // SAFETY: ends this process.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the child is this process's and not yet awaited, so its number is nobody else's; so is its group's.
    unsafe {
        libc::setpgid(child, child);
        let handle = libc::syscall(libc::SYS_pidfd_open, child, 0) as i32;
        let mut entry = libc::pollfd { fd: handle, events: libc::POLLIN, revents: 0 };
        let ended = libc::poll(&raw mut entry, 1, LIMIT) > 0;
        libc::close(handle);
        libc::kill(-child, libc::SIGKILL);
        libc::waitpid(child, &raw mut status, 0);
        if ended { status } else { -1 }
    }
}
