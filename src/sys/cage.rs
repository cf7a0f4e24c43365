//! Rights that a process of the guard's own gives up for good.

use super::raw::syscall;

/// _LINUX_CAPABILITY_VERSION_3 (linux/capability.h).
const VERSION: u32 = 0x2008_0522;

/// `prctl` with one number; negative errno on failure.
fn set(option: i32, value: usize) -> isize {
    // SAFETY: the callers' options take no pointer.
    unsafe { syscall(libc::SYS_prctl, [option as usize, value, 0, 0, 0, 0]) }
}

/// No program that it executes gains a capability.
pub fn empty_bounding_set() {
    let mut capability = 0;
    while set(libc::PR_CAPBSET_DROP, capability) == 0 {
        capability = capability.wrapping_add(1);
    }
}

/// Keeps of the capabilities that the process has those alone that are chosen; a program that it executes inherits none.
pub fn keep_capabilities(chosen: impl FnOnce(u64) -> u64) {
    let header = [VERSION, 0];
    // Twice 32 of each: effective, permitted, inheritable.
    let mut sets = [0_u32; 6];
    let args = [header.as_ptr() as usize, sets.as_mut_ptr() as usize, 0, 0, 0, 0];
    // SAFETY: the kernel writes two structures of three numbers.
    if unsafe { syscall(libc::SYS_capget, args) } != 0 {
        return;
    }
    let [_, low, _, _, high, _] = sets;
    let kept = chosen(u64::from(high) << 32 | u64::from(low));
    let masks = [kept as u32, (kept >> 32) as u32];
    for ([effective, permitted, inheritable], mask) in sets.as_chunks_mut::<3>().0.iter_mut().zip(masks) {
        (*effective, *permitted, *inheritable) = (*effective & mask, *permitted & mask, 0);
    }
    // SAFETY: the kernel reads the same.
    unsafe { syscall(libc::SYS_capset, args) };
}

/// Leaves the groups of whom the process was started by, where it is root.
pub fn leave_groups() {
    if super::geteuid() == 0 {
        // SAFETY: no group is read.
        unsafe {
            syscall(libc::SYS_setgroups, [0; 6]);
            syscall(libc::SYS_setresgid, [0; 6]);
        }
    }
}

/// Makes this the most that the process may have of a resource, now and later.
pub fn limit_to(resource: u32, most: u64) {
    if let Some([_, hard]) = super::limit(resource) {
        let limits = [hard.min(most); 2];
        // SAFETY: the kernel reads a rlimit64.
        unsafe { syscall(libc::SYS_prlimit64, [0, resource as usize, limits.as_ptr() as usize, 0, 0, 0]) };
    }
}

/// Lets nobody without privileges look into this process, of whichever user: there is no core of it, either.
pub fn hide() {
    set(libc::PR_SET_DUMPABLE, 0);
}

/// Whether the kernel has Landlock.
pub fn has_landlock() -> bool {
    const VERSION_OF: usize = 1;
    // SAFETY: no rules are read.
    unsafe { syscall(libc::SYS_landlock_create_ruleset, [0, 0, VERSION_OF, 0, 0, 0]) > 0 }
}

/// Enters a domain of Landlock's for good: from there nobody looks into a process outside of it, and no file is written, made,
/// removed or executed, whatever the user and the capabilities. It needs no_new_privs.
pub fn enter_domain() -> bool {
    // All that its first version knows (linux/landlock.h), but reading.
    const HANDLED: u64 = 0x1fff & !(1 << 2 | 1 << 3);
    let rules = [HANDLED];
    let args = [rules.as_ptr() as usize, size_of_val(&rules), 0, 0, 0, 0];
    // SAFETY: the kernel reads a number.
    let made = super::result(unsafe { syscall(libc::SYS_landlock_create_ruleset, args) });
    let Ok(domain) = made.map(|fd| super::Fd(fd as i32)) else { return false };
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_landlock_restrict_self, [domain.0 as usize, 0, 0, 0, 0, 0]) == 0 }
}
