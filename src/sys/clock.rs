//! Reads the clocks of the kernel: by its function in this address space (vdso(7)) if that was found, else by a system call.

pub use super::arch::CLOCK;
use super::raw::syscall;
use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    clock(libc::CLOCK_REALTIME)
}

/// Nanoseconds since the host was started, whatever its clock is set to.
pub fn since_boot() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

/// The same as /proc has the start of a process: with the time that the host slept, in ticks (USER_HZ, 100 in a second).
pub fn ticks_since_boot() -> u64 {
    clock(libc::CLOCK_BOOTTIME) / 10_000_000
}

/// Processor time that a process has had, in nanoseconds; 0 where that is not to be had. The clock of a process is named by its number
/// (linux/posix-timers.h).
pub fn processor_time(pid: u32) -> u64 {
    /// CPUCLOCK_SCHED, of a process.
    const SCHEDULED: i32 = 2;
    let mut time = [0_i64; 2];
    let id = (!pid.cast_signed() << 3) | SCHEDULED;
    // SAFETY: the kernel writes two words there.
    unsafe { syscall(libc::SYS_clock_gettime, [id as usize, time.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    (time[0] as u64).wrapping_mul(1_000_000_000).wrapping_add(time[1] as u64)
}

/// clock_gettime as the kernel maps it into every process: it reads the clock without a system call.
type Clock = unsafe extern "C" fn(libc::clockid_t, *mut [i64; 2]) -> i32;
/// Where it is; null where that is not known, as in what a server starts, which asks for the time once if ever.
static MAPPED: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// From now on the clock is read by this function.
///
/// # Safety
/// It must be the function [`CLOCK`] of the kernel's object.
pub unsafe fn set_clock(address: usize) {
    MAPPED.store(address as *mut c_void, Ordering::Relaxed);
}

fn clock(which: libc::clockid_t) -> u64 {
    let mut time = [0_i64; 2];
    // SAFETY: null, or the kernel's function, which stays where it is; `None` is null.
    let mapped = unsafe { core::mem::transmute::<*mut c_void, Option<Clock>>(MAPPED.load(Ordering::Relaxed)) };
    // SAFETY: it writes a timespec, which is two 64-bit integers on 64-bit Linux.
    if mapped.is_none_or(|mapped| unsafe { mapped(which, &raw mut time) } != 0) {
        let args = [which as usize, time.as_mut_ptr() as usize, 0, 0, 0, 0];
        // SAFETY: the kernel writes the same.
        unsafe { syscall(libc::SYS_clock_gettime, args) };
    }
    time[0].wrapping_mul(1_000_000_000).wrapping_add(time[1]).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_the_clock_say_the_same() {
        let asked = || {
            MAPPED.store(core::ptr::null_mut(), Ordering::Relaxed);
            (now(), since_boot())
        };
        let before = asked();
        crate::real::find::resolve();
        assert!(!MAPPED.load(Ordering::Relaxed).is_null(), "the kernel's object was not found");
        let read = (now(), since_boot());
        let after = asked();
        assert!(before.0 <= read.0 && read.0 <= after.0, "{before:?}, {read:?}, {after:?}");
        assert!(before.1 <= read.1 && read.1 <= after.1, "{before:?}, {read:?}, {after:?}");
    }
}
