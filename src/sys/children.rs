//! What popen and system do by themselves around the program that they start: signals, pipes, waiting.

// It is what libc calls in popen and system, so on behalf of the program.
use super::raw::enter as syscall;
use super::result;
use core::sync::atomic::AtomicU32;

/// The kernel's mask with one signal in it.
pub fn signal_bit(signal: i32) -> u64 {
    1 << (signal as u32).wrapping_sub(1)
}

/// Blocks some signals as well, or exactly these; the mask before.
pub fn block_signals(how: i32, mask: u64) -> u64 {
    let mut before = 0_u64;
    let args = [how as usize, &raw const mask as usize, &raw mut before as usize, 8, 0, 0];
    // SAFETY: the kernel reads and writes a mask of eight bytes.
    unsafe { syscall(libc::SYS_rt_sigprocmask, args) };
    before
}

/// `kill` with SIGKILL.
pub fn kill_child(pid: i32) {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_kill, [pid as usize, libc::SIGKILL as usize, 0, 0, 0, 0]) };
}

/// `wait4` for one child, which is no cancellation point: its status.
pub fn wait_child(pid: i32) -> Result<i32, i32> {
    let mut status = 0_i32;
    let args = [pid as usize, &raw mut status as usize, 0, 0, 0, 0];
    // SAFETY: the kernel writes an int.
    result(unsafe { syscall(libc::SYS_wait4, args) }).map(|_| status)
}

/// `pipe2` with close-on-exec: the end to read and the end to write.
pub fn pipe() -> Result<[i32; 2], i32> {
    let mut ends = [-1_i32; 2];
    let args = [ends.as_mut_ptr() as usize, libc::O_CLOEXEC as usize, 0, 0, 0, 0];
    // SAFETY: the kernel writes two ints.
    result(unsafe { syscall(libc::SYS_pipe2, args) }).map(|_| ends)
}

/// `close`, which says whether it worked.
pub fn close_checked(fd: i32) -> Result<(), i32> {
    // SAFETY: takes no pointer.
    result(unsafe { syscall(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]) }).map(|_| ())
}

/// Keeps a descriptor open over exec.
pub fn keep_over_exec(fd: i32) {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_SETFD as usize, 0, 0, 0, 0]) };
}

/// Closes a descriptor on exec.
pub fn close_on_exec(fd: i32) {
    let flags = libc::FD_CLOEXEC as usize;
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_SETFD as usize, flags, 0, 0, 0]) };
}

/// `lseek`.
pub fn seek(fd: i32, offset: i64, whence: i32) -> Result<i64, i32> {
    // SAFETY: takes no pointer.
    result(unsafe { syscall(libc::SYS_lseek, [fd as usize, offset as usize, whence as usize, 0, 0, 0]) })
        .map(|at| at as i64)
}

/// Sleeps while a word has a value, unless something wakes the thread.
pub fn futex_wait(word: &AtomicU32, value: u32) {
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let args = [word.as_ptr() as usize, operation as usize, value as usize, 0, 0, 0];
    // SAFETY: the kernel reads the word.
    unsafe { syscall(libc::SYS_futex, args) };
}

/// Wakes a thread that sleeps for a word.
pub fn futex_wake(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel takes the word's address for a number.
    unsafe { syscall(libc::SYS_futex, [word.as_ptr() as usize, operation as usize, 1, 0, 0, 0]) };
}
