//! The workers of a server, each in one place of a table.
//!
//! A worker requests its place, and then sends the listener of its filter. The supervisor waits for neither: a worker that sends nothing
//! keeps its place and delays no other. The sender is identified before its message is read. If it sends anything else than a seccomp
//! listener, it loses its place. If no place is free, the worker is informed, and continues as the policy decides.

use super::{LISTENER, SharedState, subject};
use crate::backstop::link::{ADMITTED, ASKED, FULL, Registration, TOLD};
use crate::policy::load;
use crate::sys::procfs;
use crate::sys::{self, Fd};
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// The most workers at a time.
pub const MEMBERS: usize = 1024;
/// How many requests for a place are answered in a row, before waiting calls are evaluated again.
const WELCOMED: usize = 16;

/// A worker.
pub struct Member {
    /// Its filter's listener; 0 for none.
    pub(super) listener: AtomicI32,
    /// Its socket, until it has sent the listener; 0 for none.
    asking: AtomicI32,
    pub(super) pid: AtomicU32,
    /// Its start time; 0 if unknown.
    start: AtomicU64,
    pub(super) secret: AtomicU64,
    pub(super) secret_at: AtomicU64,
    pub(super) role_at: AtomicU64,
    pub(super) slots_at: AtomicU64,
    pub(super) ports_at: AtomicU64,
    pub(super) marks_at: AtomicU64,
    /// The time that its calls have taken, in nanoseconds.
    taken: AtomicU64,
}

impl Member {
    /// The descriptor to poll; -1 for none.
    pub(super) fn descriptor(&self) -> i32 {
        match self.asking.load(Ordering::Relaxed) {
            0 => match self.listener.load(Ordering::Relaxed) {
                0 => -1,
                listener => listener,
            },
            asking => asking,
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Relaxed) != 0
    }

    pub(super) fn is_free(&self) -> bool {
        self.descriptor() < 0
    }

    /// Frees the place.
    pub(super) fn leave(&self) {
        for descriptor in [&self.asking, &self.listener] {
            match descriptor.swap(0, Ordering::Relaxed) {
                0 => {}
                open => sys::close(open),
            }
        }
    }

    /// The time that its calls have taken. After a pause, a worker gets no credit for the time that others used.
    fn taken(&self, last: &AtomicU64) -> u64 {
        self.taken.load(Ordering::Relaxed).max(last.load(Ordering::Relaxed))
    }

    /// Whether its next call comes before another one's.
    pub(super) fn comes_before(&self, other: &Member, last: &AtomicU64) -> bool {
        self.taken(last) < other.taken(last)
    }

    /// Adds the time that one of its calls has taken.
    pub(super) fn takes(&self, time: u64, last: &AtomicU64) {
        let before = self.taken(last);
        last.store(before, Ordering::Relaxed);
        self.taken.store(before.wrapping_add(time.max(1)), Ordering::Relaxed);
    }

    /// Receives the listener of a worker, or frees its place if it has exited or sends anything else. `learn` is called in between,
    /// while the worker waits.
    pub(super) fn settle(&self, learn: impl FnOnce(u32, u64)) {
        let asking = self.asking.load(Ordering::Relaxed);
        let handed = sys::passed::<TOLD>(asking).filter(|(_, listener)| is_listener(listener));
        let Some((told, listener)) = handed.and_then(|(words, listener)| Registration::of(&words).zip(Some(listener)))
        else {
            return self.leave();
        };
        // A worker begins after a reload: what it is judged by is compiled by now.
        load::look_again();
        let Registration { secret, secret_at, role_at, slots_at, ports_at, marks_at } = told;
        for (word, told) in [
            (&self.secret, secret),
            (&self.secret_at, secret_at),
            (&self.role_at, role_at),
            (&self.slots_at, slots_at),
            (&self.ports_at, ports_at),
            (&self.marks_at, marks_at),
        ] {
            word.store(told, Ordering::Relaxed);
        }
        learn(self.pid.load(Ordering::Relaxed), self.start.load(Ordering::Relaxed));
        self.listener.store(listener.0, Ordering::Release);
        core::mem::forget(listener);
        let _ = sys::send_bytes(asking, b"k");
        self.asking.store(0, Ordering::Release);
        sys::close(asking);
    }

    fn is_of(&self, pid: u32, start: u64) -> bool {
        !self.is_free() && self.pid.load(Ordering::Relaxed) == pid && self.start.load(Ordering::Relaxed) == start
    }
}

/// Whether a descriptor is a listener of seccomp's: no file can have this name.
fn is_listener(fd: &Fd) -> bool {
    let mut name = [0; 32];
    sys::readlink(procfs::proc_descriptor(fd.0).c_str(), &mut name) == b"anon_inode:seccomp notify"
}

impl SharedState {
    /// Answers requests for a place; true if there was one.
    pub(super) fn welcome_all(&self, master: u32) -> bool {
        let mut any = false;
        for _ in 0..WELCOMED {
            match sys::passed::<{ ASKED.len() }>(LISTENER) {
                Some((ASKED, socket)) => self.welcome(master, socket),
                Some(_) => {}
                None => break,
            }
            any = true;
        }
        any
    }

    /// Gives a worker its place.
    fn welcome(&self, master: u32, socket: Fd) {
        // Only the master and its children are its workers.
        let Some((pid, user)) = sys::peer_process(socket.0) else { return };
        let is_its = pid == master
            || match subject::parent_of(pid) {
                Some(parent) => parent == master,
                // The parent is unknown: root's workers are accepted.
                None => user == 0,
            };
        if !is_its {
            return;
        }
        let start = subject::start_of(pid).unwrap_or(0);
        let own = self.members.iter().find(|member| member.is_of(pid, start));
        let member = match own {
            // It requests again; its former socket is closed.
            Some(member) if member.is_asking() => Some(member),
            Some(_) => return,
            None => self.members.iter().find(|member| member.is_free()),
        };
        let answer = if member.is_some() { ADMITTED } else { FULL };
        let words = [answer, u64::from(self.keeper.load(Ordering::Relaxed))].map(u64::to_ne_bytes);
        if sys::send_bytes(socket.0, words.as_flattened()).is_err() {
            return;
        }
        let Some(member) = member else { return };
        member.leave();
        member.pid.store(pid, Ordering::Relaxed);
        member.start.store(start, Ordering::Relaxed);
        member.taken.store(0, Ordering::Relaxed);
        member.asking.store(socket.0, Ordering::Release);
        core::mem::forget(socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn shared() -> &'static SharedState {
        let at = sys::mmap(None, size_of::<SharedState>()).expect("memory");
        // SAFETY: a zeroed mapping of that size, never unmapped; zero bytes are valid atomics.
        unsafe { &*at.cast::<SharedState>() }
    }

    /// Asks as this process does; the answer.
    fn ask(shared: &SharedState, master: u32) -> (Fd, Option<u64>) {
        let [own, theirs] = sys::local_pair().expect("a pair");
        shared.welcome(master, theirs);
        let mut answer = [0; 16];
        let kind = sys::read(own.0, &mut answer).first_chunk::<8>().map(|kind| u64::from_ne_bytes(*kind));
        (own, kind)
    }

    fn used(shared: &SharedState) -> usize {
        shared.members.iter().filter(|member| !member.is_free()).count()
    }

    #[test]
    fn a_process_has_one_place_and_none_is_left_over() {
        let (shared, own) = (shared(), std::process::id());
        let parent = subject::parent_of(own).expect("a parent");
        assert_eq!((ask(shared, 1 << 22).1, used(shared)), (None, 0), "it is no worker of that server's");
        assert_eq!(ask(shared, parent).1, Some(ADMITTED));
        let (link, answer) = ask(shared, own);
        assert_eq!((answer, used(shared)), (Some(ADMITTED), 1));
        let place = &shared.members[0];
        // With a listener it has all that it can have.
        let asking = place.asking.swap(0, Ordering::Relaxed);
        place.listener.store(1 << 30, Ordering::Relaxed);
        assert_eq!((ask(shared, own).1, used(shared)), (None, 1));
        // All places are others'.
        for member in &shared.members {
            member.listener.store(1 << 30, Ordering::Relaxed);
        }
        place.start.store(1, Ordering::Relaxed);
        assert_eq!((ask(shared, own).1, used(shared)), (Some(FULL), MEMBERS));
        // What is no listener is closed, and the place is free.
        place.listener.store(0, Ordering::Relaxed);
        place.asking.store(asking, Ordering::Relaxed);
        let [socket, _other] = sys::local_pair().expect("a pair");
        let words = [5, 1, 2, 3, 4, 5, 6];
        assert!(Registration::of(&words).is_some());
        assert_eq!(sys::pass(link.0, &words, socket.0), Ok(()));
        place.settle(|_, _| panic!("a worker"));
        assert!(place.is_free());
        assert!(sys::read(link.0, &mut [0]).is_empty());
    }

    #[test]
    fn who_seldom_asks_does_not_wait_for_who_always_does() {
        let shared = shared();
        let [busy, other, seldom, ..] = &shared.members;
        let last = &shared.taken;
        for _ in 0..100 {
            let next = if busy.comes_before(other, last) { busy } else { other };
            next.takes(1000, last);
        }
        let taken = |member: &Member| member.taken.load(Ordering::Relaxed);
        assert_eq!((taken(busy), taken(other)), (50_000, 50_000));
        assert!(seldom.comes_before(busy, last) && seldom.comes_before(other, last));
        seldom.takes(1000, last);
        // Nothing left over from before is accepted now.
        assert!(!seldom.comes_before(busy, last) && !seldom.comes_before(other, last));
    }

    #[test]
    fn only_a_listener_of_seccomps_is_one() {
        let folder = std::env::temp_dir().join(format!("portcullis-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a folder");
        let file = std::fs::File::create(folder.join("anon_inode:seccomp notify")).expect("a file");
        std::fs::remove_dir_all(&folder).expect("the folder");
        let own = |fd: i32| Fd(sys::duplicate_high(fd, 3).expect("a duplicate"));
        assert!(!is_listener(&own(file.as_raw_fd())));
        assert!(!is_listener(&own(std::io::stdin().as_raw_fd())));
    }
}
