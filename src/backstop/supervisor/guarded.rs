//! Reads the memory of the library in a descendant: the secret, which proves that it is the library, and the request and chain.

use super::mapped::{MAPS_MAX, hexadecimal};
use super::records::{Images, Owner, Record, Records};
use super::remote::Memory;
use super::subject::{self, Subject};
use crate::memory::{StringBuf, base_name};
use crate::request::HandedDownCopy;
use crate::sys;
use crate::sys::procfs::{self, Whose};

/// The most mappings of files with the library's name that are checked.
const MAPPINGS_MAX: usize = 64;

/// The distance between the library's address in a thread's process and in this process, if the secret is there.
pub fn distance(thread: u32, memory: &Memory, secret: u64) -> Option<u64> {
    let own = library_at(Whose::Own, |_| true)?;
    let has_secret = |at: u64| {
        let at = at.wrapping_sub(own).wrapping_add(sys::secret_address() as u64);
        secret != 0 && memory.number(at, 8) == Some(secret)
    };
    library_at(Whose::Of(thread), has_secret).map(|at| at.wrapping_sub(own))
}

/// Where a process has this library: the first mapping of a file of its name that `is` it.
fn library_at(whose: Whose, is: impl Fn(u64) -> bool) -> Option<u64> {
    let room = sys::allocate(MAPS_MAX)?;
    // SAFETY: a new mapping of that size, which nobody else has.
    let bytes = unsafe { core::slice::from_raw_parts_mut(room.cast::<u8>(), MAPS_MAX) };
    let name = base_name(crate::process::state::settled().library.bytes());
    let text = procfs::proc_read_all(whose, b"maps", bytes);
    let lines = text.split(|&byte| byte == b'\n').filter(|line| base_name(line).starts_with(name));
    let starts = lines.map(|line| line.split(|&byte| byte == b'-').next().map_or(0, hexadecimal));
    let at = starts.take(MAPPINGS_MAX).find(|at| is(*at));
    sys::munmap(room, MAPS_MAX);
    at
}

/// Reads the request and the chain of a guarded process, and records them: a later call may be evaluated without its memory.
pub fn of_memory(subject: &mut Subject, distance: u64, memory: &Memory, worker: u32, records: &Records) {
    let at = distance.wrapping_add(HandedDownCopy::address() as u64);
    let read = |room: &mut [u8]| {
        let len = room.len();
        memory.read(at, room).len() == len
    };
    let Some(handed) = HandedDownCopy::read(read) else { return };
    let Some(request) = portcullis_request::wire::read(handed.request()) else { return };
    subject.served.request = request;
    subject.chain.set(handed.chain());
    remember(subject, Owner::of(worker, handed.request()), handed.request(), records);
}

/// Records a process, unless it has a record.
fn remember(subject: &Subject, owner: Owner, value: &[u8], records: &Records) {
    let Some(start) = subject::start_of(subject.pid) else { return };
    let chain = subject.chain.bytes();
    // Its hooks have evaluated whatever it runs.
    let images = Images::default();
    let is_known =
        |record: Record| record.request.bytes() == value && record.chain.bytes() == chain && record.images == images;
    if !records.of(subject.pid, start).is_some_and(is_known) {
        let mut record = Record { owner, images, request: StringBuf::new(), chain: StringBuf::new() };
        record.request.push(value);
        record.chain.push(chain);
        records.copy(subject.pid, start, &record, images);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Member;
    use super::*;
    use core::sync::atomic::Ordering;
    use portcullis_request::{Request, State};

    /// Its other threads may keep its memory locked at the next call.
    #[test]
    fn a_guarded_process_stays_known_without_its_memory() {
        let room = |size| sys::mmap(None, size).expect("memory");
        // SAFETY: zeroed mappings of these sizes, never unmapped; zero bytes are valid atomics.
        let (member, records) =
            unsafe { (&*room(size_of::<Member>()).cast::<Member>(), &*room(size_of::<Records>()).cast::<Records>()) };
        let own = std::process::id();
        member.pid.store(own, Ordering::Relaxed);
        let mut wire = Vec::new();
        portcullis_request::wire::write(&Request::none(), 7, |part| wire.extend_from_slice(part));
        crate::request::publish(&wire, b"php-fpm > sleep");
        // A child has what this process has, where this process has it.
        // SAFETY: it makes one system call.
        let pid = match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: waits for the signal that ends it.
                unsafe { libc::pause() };
            },
            pid => pid as u32,
        };
        let (readable, closed) = (Memory::of(pid).expect("its memory"), Memory::of(pid).expect("its memory"));
        closed.close();
        let known = || subject::of(member, pid, &closed, records).expect("a subject");
        let mut seen = known();
        assert_eq!(seen.served.request.state, State::Lost);
        of_memory(&mut seen, 0, &readable, own, records);
        for subject in [seen, known()] {
            assert_eq!(subject.served.request.state, State::None);
            assert_eq!(subject.chain.bytes(), b"php-fpm > sleep");
        }
        // SAFETY: a child of the test.
        unsafe {
            libc::kill(pid as i32, libc::SIGKILL);
            libc::waitpid(pid as i32, core::ptr::null_mut(), 0);
        }
    }
}
