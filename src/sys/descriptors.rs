//! The descriptors of this process.

use super::{Fd, close, open, raw::syscall, result};
use portcullis_request::context::number;

/// Without /proc, as far as they are looked for.
const WITHOUT_PROC: i32 = 1024;
/// Where the name begins in a `struct linux_dirent64`, and where its length stands (getdents64(2)).
const NAME: usize = 19;
const LENGTH: usize = 16;

/// Calls `with` with each open descriptor, and perhaps with some that are not open.
pub fn each_descriptor(mut with: impl FnMut(i32)) {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let Ok(folder) = open(libc::AT_FDCWD, c"/proc/self/fd", flags, 0) else {
        (0..WITHOUT_PROC).for_each(with);
        return;
    };
    let mut room = [0_u8; 2048];
    while let Some(mut entries) = more(&folder, &mut room) {
        while let Some((entry, rest)) = next(entries) {
            entries = rest;
            let name = entry.get(NAME..).unwrap_or_default().split(|&byte| byte == 0).next().unwrap_or_default();
            if name.first().is_some_and(u8::is_ascii_digit) {
                with(number(name) as i32);
            }
        }
    }
}

/// Whether a descriptor is a ring of io_uring's, by what the kernel says to a question that is none (io_uring_register(2)).
pub fn is_ring(fd: i32) -> bool {
    const PROBE: usize = 8;
    // SAFETY: without a place for the answer, nothing is written.
    let said = result(unsafe { syscall(libc::SYS_io_uring_register, [fd as usize, PROBE, 0, 0, 0, 0]) });
    !matches!(said, Err(libc::EOPNOTSUPP | libc::EBADF | libc::ENOSYS | libc::EPERM | libc::EACCES))
}

/// Puts /dev/null in the place of a descriptor; closes it where there is none.
pub fn replace_by_null(fd: i32) {
    match open(libc::AT_FDCWD, c"/dev/null", libc::O_RDWR | libc::O_CLOEXEC, 0) {
        // SAFETY: takes no pointer.
        Ok(null) => unsafe {
            syscall(libc::SYS_dup3, [null.0 as usize, fd as usize, libc::O_CLOEXEC as usize, 0, 0, 0]);
        },
        Err(_) => close(fd),
    }
}

/// The next entries of a folder.
fn more<'r>(folder: &Fd, room: &'r mut [u8]) -> Option<&'r [u8]> {
    let args = [folder.0 as usize, room.as_mut_ptr() as usize, room.len(), 0, 0, 0];
    // SAFETY: the kernel writes at most that many bytes into the room.
    let got = result(unsafe { syscall(libc::SYS_getdents64, args) }).ok().filter(|got| *got > 0)?;
    room.get(..got)
}

fn next(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = entries.get(LENGTH..)?.first_chunk()?;
    let length = usize::from(u16::from_ne_bytes(*length));
    entries.split_at_checked(length.max(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn all_that_are_open_are_among_them() {
        let opened: Vec<_> = (0..200).map(|_| std::fs::File::open("/dev/null").expect("a file")).collect();
        let mut found = std::collections::BTreeSet::new();
        each_descriptor(|fd| {
            found.insert(fd);
        });
        for file in &opened {
            assert!(found.contains(&file.as_raw_fd()), "{found:?}");
        }
    }
}
