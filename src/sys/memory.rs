//! Mappings, and reading addresses that may be wild.

use super::raw::syscall;
use super::result;
use core::ffi::c_void;

/// Maps a whole file read-only; or, with no descriptor, zeroed memory that children share.
pub fn mmap(fd: Option<i32>, len: usize) -> Option<*mut c_void> {
    let (protection, flags) = match fd {
        // Before Linux 6.7, a file that is sealed against writing is not mapped shared.
        Some(_) => (libc::PROT_READ, libc::MAP_PRIVATE),
        None => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS),
    };
    let args = [0, len, protection as usize, flags as usize, fd.unwrap_or(-1) as usize, 0];
    // SAFETY: a new mapping overlaps nothing.
    let at = unsafe { syscall(libc::SYS_mmap, args) };
    result(at).ok().map(|at| at as *mut c_void)
}

/// Private zeroed memory.
pub fn allocate(len: usize) -> Option<*mut c_void> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping overlaps nothing.
    let at = unsafe { syscall(libc::SYS_mmap, [0, len, protection as usize, flags as usize, usize::MAX, 0]) };
    result(at).ok().map(|at| at as *mut c_void)
}

/// The size of the smallest page of any kernel, in bytes: what holds for one of its addresses holds for all.
pub const PAGE_MIN: usize = 1 << 12;

/// Private zeroed memory that a forked child has as zeros again, and that is in no core dump.
pub fn allocate_wiped(len: usize) -> Option<*mut c_void> {
    let at = allocate(len)?;
    let advise = |advice: i32| {
        // SAFETY: the new mapping is nobody else's.
        unsafe { syscall(libc::SYS_madvise, [at as usize, len, advice as usize, 0, 0, 0]) == 0 }
    };
    if advise(libc::MADV_WIPEONFORK) && advise(libc::MADV_DONTDUMP) {
        return Some(at);
    }
    munmap(at, len);
    None
}

/// Private zeroed memory at an address where nothing is; EEXIST where something is.
pub fn allocate_where(address: usize, len: usize) -> Result<*mut c_void, i32> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: the kernel maps it there only if it overlaps nothing; a kernel that does not know the flag takes the address
    // for a hint, and what it gives instead is unmapped again.
    let at = unsafe { syscall(libc::SYS_mmap, [address, len, protection as usize, flags as usize, usize::MAX, 0]) };
    let at = result(at)?;
    if at != address {
        munmap(at as *mut c_void, len);
        return Err(libc::EEXIST);
    }
    Ok(at as *mut c_void)
}

/// `munmap` of what [`mmap`] or [`allocate`] gave.
pub fn munmap(at: *mut c_void, len: usize) {
    // SAFETY: the callers unmap only what they mapped, and nothing refers to it any more.
    unsafe { syscall(libc::SYS_munmap, [at as usize, len, 0, 0, 0, 0]) };
}

/// Gives the pages of private memory back, which are zeros then.
///
/// # Safety
/// Nobody may need what is there.
pub unsafe fn discard(at: usize, len: usize) {
    // SAFETY: as the caller promises.
    unsafe { syscall(libc::SYS_madvise, [at, len, libc::MADV_DONTNEED as usize, 0, 0, 0]) };
}

/// The address that the kernel clears when this thread leaves its memory; 0 for none, `None` where it does not tell.
pub fn tid_address() -> Option<usize> {
    let mut at = 0_usize;
    let args = [libc::PR_GET_TID_ADDRESS as usize, &raw mut at as usize, 0, 0, 0, 0];
    // SAFETY: the kernel writes one word.
    (unsafe { syscall(libc::SYS_prctl, args) } == 0).then_some(at)
}

/// Makes the kernel clear another address then; 0 for none.
pub fn set_tid_address(at: usize) {
    // SAFETY: the callers give the address of a word that is theirs as long as the thread has that memory.
    unsafe { syscall(libc::SYS_set_tid_address, [at, 0, 0, 0, 0, 0]) };
}

/// `mprotect` of whole pages; whether the kernel did it.
///
/// # Safety
/// The pages must be ones whose protection the caller may change.
#[must_use]
pub unsafe fn mprotect(at: usize, len: usize, protection: i32) -> bool {
    // SAFETY: as the caller promises.
    unsafe { syscall(libc::SYS_mprotect, [at, len, protection as usize, 0, 0, 0]) == 0 }
}

/// Whether the four bytes around an address can be written, by a change that changes nothing: an or with 0, which wakes who
/// waits there. What cannot be asked is taken to be.
pub fn writable(address: usize) -> bool {
    const OPERATION: libc::c_int = libc::FUTEX_WAKE_OP | libc::FUTEX_PRIVATE_FLAG;
    const OR_NOTHING: usize = 2 << 28;
    let own = 0_u32;
    let args = [&raw const own as usize, OPERATION as usize, 0, 0, address & !3, OR_NOTHING];
    // SAFETY: the word keeps its value.
    unsafe { syscall(libc::SYS_futex, args) != -(libc::EFAULT as isize) }
}

/// Whether eight bytes at an address can be read: rt_sigprocmask copies them in before it sees that its first
/// argument is none (absl's AddressIsReadable has the idea).
pub fn readable(address: usize) -> bool {
    let args = [usize::MAX, address & !7, 0, 8, 0, 0];
    // SAFETY: with this first argument the call changes nothing.
    let read = unsafe { syscall(libc::SYS_rt_sigprocmask, args) != -(libc::EFAULT as isize) };
    // NULL is no set, which is no fault.
    address >= 8 && read
}

/// Writes a word of this process's own memory, whatever its protection; false where the kernel does not do that.
///
/// # Safety
/// It must be a word that this process may change, which nobody reads meanwhile but as a whole.
pub unsafe fn write_own(at: usize, word: usize) -> bool {
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    let Ok(memory) = super::open(libc::AT_FDCWD, c"/proc/self/mem", flags, 0) else { return false };
    let args = [memory.0 as usize, &raw const word as usize, size_of::<usize>(), at, 0, 0];
    // SAFETY: the kernel reads one word; what it writes to is the caller's promise.
    unsafe { syscall(libc::SYS_pwrite64, args) == size_of::<usize>() as isize }
}
