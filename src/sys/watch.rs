//! What one process watches another by: a timer that both have, and the other's end.

use super::raw::syscall;
use super::{Fd, poll, result};

/// A timer that is not set. A process that shares this one's descriptors has it as well.
pub fn timer() -> Option<Fd> {
    let flags = (libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) as usize;
    // SAFETY: takes no pointer.
    let timer = unsafe { syscall(libc::SYS_timerfd_create, [libc::CLOCK_MONOTONIC as usize, flags, 0, 0, 0, 0]) };
    result(timer).ok().map(|fd| Fd(fd as i32))
}

/// Lets it run out in some nanoseconds, for 0 never.
pub fn set_timer(fd: i32, nanoseconds: u64) {
    let time = [0, 0, nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000];
    // SAFETY: the kernel reads an itimerspec: four words on 64-bit Linux.
    unsafe { syscall(libc::SYS_timerfd_settime, [fd as usize, 0, time.as_ptr() as usize, 0, 0, 0]) };
}

/// A descriptor that can be read once a process has ended; `None` on kernels before 5.3.
pub fn end_of(pid: usize) -> Option<Fd> {
    // SAFETY: takes no pointer.
    result(unsafe { syscall(libc::SYS_pidfd_open, [pid, 0, 0, 0, 0, 0]) }).ok().map(|fd| Fd(fd as i32))
}

/// Waits until one of these can be read, or for some milliseconds; whether each can.
pub fn either<const N: usize>(fds: [i32; N], milliseconds: u32) -> [bool; N] {
    let mut entries = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    poll(&mut entries, milliseconds);
    entries.map(|entry| entry.revents != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_runs_out_once_it_is_set() {
        let timer = timer().expect("a timer");
        assert_eq!(either([timer.0], 0), [false]);
        set_timer(timer.0, 1_000_000);
        assert_eq!(either([timer.0], 1000), [true]);
        set_timer(timer.0, 0);
        assert_eq!(either([timer.0], 5), [false]);
    }
}
