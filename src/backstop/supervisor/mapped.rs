//! Reads the mappings of a process (/proc/PID/maps).

use crate::sys;
use crate::sys::procfs;

/// How much of the mappings of a process is read, in bytes.
pub const MAPS_MAX: usize = 1 << 20;
/// The same for the lookup of a single address, which may be repeated often.
const LOOKED_AT_MAX: usize = 1 << 18;

/// Whether readable memory is mapped at an address of a thread's process; true if that is unknown.
pub fn is_mapped(thread: u32, at: u64) -> bool {
    let Some(room) = sys::allocate(LOOKED_AT_MAX) else { return true };
    // SAFETY: a new mapping of that size, which nobody else has.
    let bytes = unsafe { core::slice::from_raw_parts_mut(room.cast::<u8>(), LOOKED_AT_MAX) };
    let text = procfs::proc_read_all(thread, b"maps", bytes);
    let is_whole = !text.is_empty() && text.len() < LOOKED_AT_MAX;
    let line = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).find(|line| {
        let mut ends = line.split(|byte| matches!(byte, b'-' | b' ')).map(hexadecimal);
        ends.nth(1).is_none_or(|end| at < end)
    });
    let holds = line.map_or(!is_whole, |line| {
        let mut words = line.split(|&byte| byte == b' ');
        let start = words.next().and_then(|range| range.split(|&byte| byte == b'-').next()).map_or(0, hexadecimal);
        start <= at && !words.next().is_some_and(|rights| rights.starts_with(b"---"))
    });
    sys::munmap(room, LOOKED_AT_MAX);
    holds
}

/// A number in hexadecimal digits.
pub fn hexadecimal(digits: &[u8]) -> u64 {
    let digit = |digit: u8| u64::from((digit as char).to_digit(16).unwrap_or(0));
    digits.iter().fold(0, |sum, byte| sum.wrapping_mul(16).wrapping_add(digit(*byte)))
}

#[cfg(test)]
mod tests {
    use super::is_mapped;
    use crate::sys;

    #[test]
    fn what_is_mapped_may_be_read_by_the_kernel() {
        let is = |at: usize| is_mapped(sys::getpid(), at as u64);
        let at = sys::mmap(None, 3 << 12).expect("memory") as usize;
        assert!(is(at) && is(at + (3 << 12) - 1));
        // SAFETY: pages of this test's own.
        assert!(unsafe { sys::mprotect(at, 1 << 12, libc::PROT_NONE) });
        assert!(!is(at) && is(at + (1 << 12)));
        sys::munmap((at + (1 << 12)) as *mut _, 1 << 12);
        assert!(!is(at + (1 << 12)) && is(at + (2 << 12)));
        assert!(!is(0) && !is(1 << 46) && !is(1 << 61));
        // Of a process that is not there nothing is known.
        assert!(is_mapped(1 << 22, 0));
    }
}
