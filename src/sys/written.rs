//! Writing what is the guard's own, without waiting and without a signal for the program.

use super::children::{block_signals, signal_bit};
use super::files::{flags, fstat};
use super::process::limit;
use super::raw::syscall;
use super::result;

/// The signals that a write brings: nobody reads any more, and the file would be longer than this process may make one.
const BROUGHT: [(i32, i32); 2] = [(libc::EPIPE, libc::SIGPIPE), (libc::EFBIG, libc::SIGXFSZ)];

/// `write` of one behind the other, once. The signals that it may bring are held back meanwhile, and taken away where this write
/// brought one. For a descriptor of which [`never_blocks`] holds.
pub fn write(fd: i32, first: &[u8], second: &[u8]) -> Result<usize, i32> {
    let set = BROUGHT.iter().fold(0, |set, (_, signal)| set | signal_bit(*signal));
    let mask = block_signals(libc::SIG_BLOCK, set);
    // What the program does not block waits nowhere.
    let waiting = if mask & set == 0 { 0 } else { waiting_signals() };
    let pieces = [first.as_ptr() as usize, first.len(), second.as_ptr() as usize, second.len()];
    let call = match first {
        [] => (libc::SYS_write, [fd as usize, second.as_ptr() as usize, second.len(), 0, 0, 0]),
        _ => (libc::SYS_writev, [fd as usize, pieces.as_ptr() as usize, 2, 0, 0, 0]),
    };
    // SAFETY: the kernel reads the slices.
    let written = result(unsafe { syscall(call.0, call.1) });
    if let Some((_, signal)) = BROUGHT.iter().find(|(errno, _)| written == Err(*errno))
        && waiting & signal_bit(*signal) == 0
    {
        take_away(signal_bit(*signal));
    }
    block_signals(libc::SIG_SETMASK, mask);
    written
}

/// `rt_sigpending`.
fn waiting_signals() -> u64 {
    let mut waiting = 0_u64;
    // SAFETY: the kernel writes a set of eight bytes.
    unsafe { syscall(libc::SYS_rt_sigpending, [&raw mut waiting as usize, 8, 0, 0, 0, 0]) };
    waiting
}

/// `rt_sigtimedwait` for a signal of a set, without waiting.
#[cold]
fn take_away(set: u64) {
    let time = [0_usize; 2];
    // SAFETY: the kernel reads a set of eight bytes and a timespec.
    unsafe { syscall(libc::SYS_rt_sigtimedwait, [&raw const set as usize, 0, time.as_ptr() as usize, 8, 0, 0]) };
}

/// Whether a write of `len` bytes will not wait: to a regular file or a non-blocking description, or where the kernel
/// says that it has room and promises to take that many bytes at once (PIPE_BUF).
pub fn never_blocks(fd: i32, len: usize) -> bool {
    const PIPE_BUF: usize = 4096;
    if flags(fd).is_some_and(|flags| flags & libc::O_NONBLOCK != 0) || is_regular(fd) {
        return true;
    }
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    let timeout = [0_usize; 2];
    // SAFETY: the kernel reads and writes one pollfd, and reads a timespec.
    let ready = unsafe { syscall(libc::SYS_ppoll, [&raw mut poll as usize, 1, timeout.as_ptr() as usize, 0, 0, 0]) };
    ready == 1 && poll.revents & libc::POLLOUT != 0 && len <= PIPE_BUF
}

fn is_regular(fd: i32) -> bool {
    fstat(fd).is_some_and(|stat| stat.mode & libc::S_IFMT == libc::S_IFREG)
}

/// Whether `len` bytes more are within what this process may make a file: up to there the kernel would write a part of them.
pub fn within_limit(fd: i32, len: usize) -> bool {
    match limit(libc::RLIMIT_FSIZE) {
        Some([soft, _]) if soft != libc::RLIM_INFINITY => {
            !is_regular(fd) || end_of(fd).saturating_add(len as u64) <= soft
        }
        _ => true,
    }
}

/// Where a write to a regular file begins.
#[cold]
fn end_of(fd: i32) -> u64 {
    if flags(fd).is_some_and(|flags| flags & libc::O_APPEND == 0) {
        return super::seek(fd, 0, libc::SEEK_CUR).map_or(0, i64::cast_unsigned);
    }
    fstat(fd).map_or(0, |stat| stat.size)
}
