//! Reads the memory of the library in a descendant: the secret, which proves that it is the library, and the request and chain.

use super::records::{Images, Owner, Record, Records};
use super::remote::Memory;
use super::subject::{self, Subject};
use crate::child::environment::{SIGN, SIGN_ADDRESS, Sign};
use crate::memory::StringBuf;
use crate::request::HandedDownCopy;

/// Where a process with the library has what it was handed down: its sign says it, and where the library has the
/// secret. Whatever else lies there, nobody else knows that.
pub fn handed_down(memory: &Memory, secret: u64) -> Option<u64> {
    if memory.is_closed() || secret == 0 {
        return None;
    }
    let mut bytes = [0; SIGN];
    let is_whole = memory.read(SIGN_ADDRESS as u64, &mut bytes).len() == SIGN;
    let Sign { secret_at, handed_down_at } = Sign::of(&bytes);
    (is_whole && memory.number(secret_at, 8) == Some(secret)).then_some(handed_down_at)
}

/// Takes what a guarded process was handed down, and puts it on record: a later call may be judged without its memory.
pub fn of_memory(subject: &mut Subject, at: u64, memory: &Memory, worker: u32, records: &Records) {
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
    use crate::sys;
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
        of_memory(&mut seen, HandedDownCopy::address() as u64, &readable, own, records);
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
