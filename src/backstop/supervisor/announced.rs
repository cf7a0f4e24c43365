//! What the supervisor takes of an announcement: that its process starts a program. For which request that is, the announcing process's
//! own memory says, where the library has it; nobody else announces anything.

use super::Member;
use super::answer::With;
use super::records::Owner;
use super::remote::Memory;
use super::subject;
use crate::memory::StringBuf;
use crate::sys::{Announced, EXPECTED_MAX, Notice};
use core::sync::atomic::Ordering;
use portcullis_request::wire::{self, WIRE_MAX};

/// Puts on record what a hook announces: the program that its process is about to execute has no guard in it, or libc is about
/// to execute one in a new process. For which request that is, is what the announcing process's own memory says.
pub fn take(member: &Member, notice: &Notice, memory: &Memory, with: &With<'_>, what: Announced) {
    let worker = member.pid.load(Ordering::Relaxed);
    let (mut said, mut programs) = ([0; WIRE_MAX], [0; EXPECTED_MAX]);
    let read = |(at, len): (u64, u64), room: &mut [u8]| {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        room.get_mut(..len).map_or(0, |room| memory.read(at, room).len())
    };
    let (is_expected, [text, chain]) = match what {
        Announced::Asked => return,
        Announced::Unguarded(parts) => (false, parts),
        Announced::Expected(parts) => (true, parts),
    };
    let (len, programs_len) = (read(text, &mut said), read(chain, &mut programs));
    let (said, programs) = (said.get(..len).unwrap_or_default(), programs.get(..programs_len).unwrap_or_default());
    let Some(subject) = subject::of_announcing(member, notice.pid, memory, with.records, said) else { return };
    // Nobody else announces anything.
    if !subject.is_guarded {
        return;
    }
    if is_expected {
        return with.expected.put((notice.pid, worker), said, programs);
    }
    let Some(start) = subject::start_of(subject.pid) else { return };
    let mut request = StringBuf::<{ WIRE_MAX + 1 }>::new();
    // Its number a thread gives its request when somebody asks for it.
    let own = &subject.served;
    match wire::read(said).is_some_and(|said| subject::is_same(&own.request, said)) {
        true => request.push(said),
        false => wire::write(&own.request, own.id(), |part| request.push(part)),
    }
    let owner = Owner::of(worker, request.bytes());
    with.records.put(subject.pid, start, owner, request.bytes(), programs, Default::default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::environment::set_room;
    use crate::request::publish;
    use crate::sys;
    use portcullis_request::{Request, State};
    use std::sync::atomic::AtomicU32;

    /// Zeroed memory, never unmapped, for what consists of atomics.
    fn zeroed<T>() -> &'static T {
        let at = sys::mmap(None, size_of::<T>()).expect("memory");
        // SAFETY: a mapping of that size; zero bytes are valid atomics.
        unsafe { &*at.cast::<T>() }
    }

    fn of_host(name: &[u8]) -> Vec<u8> {
        let mut request = Request { state: State::Known, ..Request::none() };
        request.server_name.set(name);
        let mut text = Vec::new();
        wire::write(&request, 7, |part| text.extend_from_slice(part));
        text
    }

    /// A child that waits, with this process's memory.
    fn forked() -> u32 {
        // SAFETY: it makes one system call.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: waits for the signal that ends it.
                unsafe { libc::pause() };
            },
            pid => pid as u32,
        }
    }

    /// Who has the secret may say what it likes: the library has what the process was handed down.
    #[test]
    fn a_request_is_not_taken_from_what_is_said() {
        let (own, other, programs) = (of_host(b"own.example"), of_host(b"other.example"), b"php-fpm > tool");
        let member = zeroed::<Member>();
        let secret = sys::SpeaksBy::Execve.secret(0x0fed_cba9_8765_4320);
        member.pid.store(std::process::id(), Ordering::Relaxed);
        member.secret.store(secret, Ordering::Relaxed);
        let scope = AtomicU32::new(0);
        let with = With {
            reads: true,
            looks: true,
            scope: &scope,
            borrows: false,
            records: zeroed(),
            restricted: zeroed(),
            since: zeroed(),
            expected: zeroed(),
            pools: zeroed(),
        };
        let recorded = |said: &[u8]| {
            let pid = forked();
            let memory = Memory::of(pid).expect("its memory");
            let parts = [said, &programs[..]].map(|text| (text.as_ptr() as u64, text.len() as u64));
            let mut notice = Notice::default();
            notice.pid = pid;
            take(member, &notice, &memory, &with, Announced::Unguarded(parts));
            let record = with.records.of(pid, subject::start_of(pid).expect("a start"));
            // SAFETY: a child of the test.
            unsafe {
                libc::kill(pid as i32, libc::SIGKILL);
                libc::waitpid(pid as i32, core::ptr::null_mut(), 0);
            }
            record.map(|record| (record.request.bytes().to_vec(), record.chain.bytes().to_vec()))
        };
        assert_eq!(recorded(&own), None, "the library is not in it");
        sys::set_secret(secret);
        assert!(set_room(secret));
        publish(&own, b"php-fpm");
        for said in [&own, &other] {
            assert_eq!(recorded(said), Some((own.clone(), programs.to_vec())));
        }
    }
}
