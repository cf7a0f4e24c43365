//! Announced programs: those that libc is about to execute in a new process after a hook has evaluated them and written their event.
//! Such are the programs of wordexp(3), and programs whose environment cannot carry the library.
//!
//! The supervisor evaluates the exec all the same, and writes no second event if it equals the announcement of the thread that made the
//! process: the same file, path and arguments, in a process that began afterwards, once. If an announcement is too long, or there is
//! no free place for it, the call has two events.

use super::records::{bucket, crowd};
use super::subject::{self, Subject};
use crate::memory::StringBuf;
use crate::sys::{self, EXPECTED_MAX};
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// The most announcements at a time.
const PLACES: usize = 16;
/// The longest arguments, with a NUL between each two, and the longest path.
pub const ARGUMENTS_MAX: usize = 1024;
/// Device, inode and path.
const PROGRAM_MAX: usize = EXPECTED_MAX;

struct Place {
    /// The thread; 0 for a free place.
    thread: AtomicU32,
    /// The worker that it descends from.
    worker: AtomicU32,
    /// When the thread began, and when it announced this, in ticks since the host booted.
    times: [AtomicU64; 2],
    /// The call that was announced, once it was made; 0 before. `words` may have several.
    call: AtomicU64,
    lens: [AtomicU32; 2],
    arguments: [AtomicU8; ARGUMENTS_MAX],
    program: [AtomicU8; PROGRAM_MAX],
}

/// The announcements, in memory that all judges share.
pub struct Expected {
    places: [Place; PLACES],
}

fn store(to: &[AtomicU8], from: &[u8]) {
    to.iter().zip(from).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
}

fn copy<const N: usize>(from: &[AtomicU8], len: &AtomicU32) -> StringBuf<N> {
    let mut text = StringBuf::new();
    for byte in from.iter().take(len.load(Ordering::Relaxed) as usize) {
        text.push(&[byte.load(Ordering::Relaxed)]);
    }
    text
}

impl Expected {
    /// Replaces the announcement of a thread; an empty one removes it.
    pub fn put(&self, (thread, worker): (u32, u32), arguments: &[u8], program: &[u8]) {
        let of = |wanted: u32| self.places.iter().find(|place| place.thread.load(Ordering::Relaxed) == wanted);
        let ended = |place: &&Place| subject::process_of(place.thread.load(Ordering::Relaxed)).is_none();
        if let Some(place) = of(thread) {
            place.thread.store(0, Ordering::Release);
        }
        if arguments.is_empty() || arguments.len() > ARGUMENTS_MAX || program.len() > PROGRAM_MAX {
            return;
        }
        let Some(began) = subject::start_of(thread) else { return };
        let crowded = || {
            let owners = || self.places.iter().map(|place| place.worker.load(Ordering::Relaxed));
            let most = crowd(owners(), worker);
            // No worker may use up the places of others; if its own are used up, its first announcements stay.
            let displaced = owners().position(|owner| bucket(owner) == most).filter(|_| bucket(worker) != most);
            displaced.and_then(|place| self.places.get(place))
        };
        let Some(place) = of(0).or_else(|| self.places.iter().find(ended)).or_else(crowded) else { return };
        place.thread.store(0, Ordering::Release);
        place.worker.store(worker, Ordering::Relaxed);
        store(&place.arguments, arguments);
        store(&place.program, program);
        place.lens[0].store(arguments.len() as u32, Ordering::Relaxed);
        place.lens[1].store(program.len() as u32, Ordering::Relaxed);
        place.times[0].store(began, Ordering::Relaxed);
        place.times[1].store(sys::ticks_since_boot(), Ordering::Relaxed);
        place.call.store(0, Ordering::Relaxed);
        place.thread.store(thread, Ordering::Release);
    }

    /// Whether the program that a call executes was announced by the thread that made the process.
    pub fn has<'a>(
        &self,
        process: &Subject,
        program: &Program<'_>,
        arguments: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> bool {
        let began = || subject::start_of(process.pid).unwrap_or(0);
        self.places.iter().any(|place| {
            let thread = place.thread.load(Ordering::Acquire);
            let (worker, call) = (place.worker.load(Ordering::Relaxed), place.call.load(Ordering::Relaxed));
            let is_free = thread == 0 || worker != program.worker || ![0, program.call].contains(&call);
            if is_free || copy::<{ PROGRAM_MAX + 1 }>(&place.program, &place.lens[1]).bytes() != program.bytes().bytes()
            {
                return false;
            }
            let announced = copy::<{ ARGUMENTS_MAX + 1 }>(&place.arguments, &place.lens[0]);
            let [thread_began, since] = place.times.each_ref().map(|time| time.load(Ordering::Relaxed));
            let is = is_announced(announced.bytes(), arguments.clone())
                && subject::start_of(thread) == Some(thread_began)
                && began() >= since
                && subject::is_child_of(process, thread);
            // Words may have several substitutions.
            if is && !announced.bytes().starts_with(b"\0") {
                place.call.store(program.call, Ordering::Relaxed);
            }
            is
        })
    }
}

/// A program that a call executes.
#[derive(Clone, Copy)]
pub struct Program<'p> {
    /// The call.
    pub call: u64,
    /// The worker that its process descends from.
    pub worker: u32,
    /// Device and inode.
    pub file: (u64, u64),
    pub path: &'p [u8],
}

impl Program<'_> {
    /// The path and the arguments, in the form of an announcement.
    fn bytes(&self) -> StringBuf<{ PROGRAM_MAX + 1 }> {
        let mut bytes = StringBuf::new();
        bytes.push(&self.file.0.to_le_bytes());
        bytes.push(&self.file.1.to_le_bytes());
        bytes.push(self.path);
        bytes
    }
}

/// Whether arguments are the announced ones. An announcement that begins with an empty one is of words that wordexp expands:
/// it runs `sh -c` with what stands in them, and `sh -nc` where that fails.
fn is_announced<'a>(announced: &[u8], mut arguments: impl Iterator<Item = &'a [u8]>) -> bool {
    if let Some(words) = announced.strip_prefix(b"\0") {
        let is_shell =
            matches!(arguments.next(), Some(b"sh" | b"/bin/sh")) && matches!(arguments.next(), Some(b"-c" | b"-nc"));
        let Some(text) = arguments.next().filter(|text| !text.is_empty()) else { return false };
        return is_shell && arguments.next().is_none() && words.windows(text.len()).any(|part| part == text);
    }
    let mut announced = announced.split(|&byte| byte == 0);
    loop {
        match (announced.next(), arguments.next()) {
            (None, None) => return true,
            (one, other) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_worker_leave_places_for_another_s() {
        let at = sys::mmap(None, size_of::<Expected>()).expect("memory");
        // SAFETY: a zeroed mapping of that size, never unmapped; zero bytes are valid atomics.
        let expected: &Expected = unsafe { &*at.cast::<Expected>() };
        let (own, end) = (sys::gettid(), std::sync::Barrier::new(PLACES + 2));
        let place_of =
            |thread: u32| expected.places.iter().position(|place| place.thread.load(Ordering::Relaxed) == thread);
        std::thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            for _ in 0..=PLACES {
                let (tell, end) = (tell.clone(), &end);
                scope.spawn(move || {
                    tell.send(sys::gettid()).expect("a listener");
                    end.wait();
                });
            }
            let threads: Vec<u32> = told.iter().take(PLACES + 1).collect();
            for thread in &threads {
                expected.put((*thread, 7), b"sh", b"");
            }
            let last = place_of(threads[PLACES]);
            expected.put((own, 8), b"sh", b"");
            let left = threads.iter().filter(|thread| place_of(**thread).is_some()).count();
            // They end whatever was found.
            end.wait();
            assert_eq!(last, None, "its own first ones stay");
            assert!(place_of(own).is_some());
            assert_eq!(left, PLACES - 1);
        });
    }

    /// What is announced is one start of one file, by a process that did not begin before.
    #[test]
    fn an_announcement_is_of_one_start() {
        let at = sys::mmap(None, size_of::<Expected>()).expect("memory");
        // SAFETY: a zeroed mapping of that size, never unmapped; zero bytes are valid atomics.
        let expected: &Expected = unsafe { &*at.cast::<Expected>() };
        let start = || std::process::Command::new("/bin/sleep").arg("100").spawn().expect("sleep");
        let announced = Program { call: 0, worker: 7, file: (1, 2), path: b"/bin/sh" };
        let is = |child: &std::process::Child, program: &Program<'_>| {
            let process = Subject { pid: child.id(), parent: std::process::id(), ..Subject::unknown() };
            expected.has(&process, program, [&b"sh"[..]].into_iter())
        };
        let mut before = start();
        // The time of a start has hundredths of a second.
        while subject::start_of(before.id()) >= Some(sys::ticks_since_boot()) {}
        expected.put((sys::gettid(), 7), b"sh", announced.bytes().bytes());
        let mut behind = start();
        let of = |call| Program { call, ..announced };
        assert!(!is(&before, &of(1)), "it began before");
        assert!(!is(&behind, &Program { worker: 8, ..of(1) }) && !is(&behind, &Program { file: (1, 3), ..of(1) }));
        assert!(is(&behind, &of(1)) && is(&behind, &of(1)), "a call that is judged anew");
        assert!(!is(&behind, &of(2)), "another call");
        for child in [&mut before, &mut behind] {
            child.kill().expect("kill");
            child.wait().expect("an end");
        }
    }

    #[test]
    fn only_what_was_announced_is() {
        let is = |announced: &[u8], arguments: &[&[u8]]| is_announced(announced, arguments.iter().copied());
        assert!(is(b"sh\0-c\0id", &[b"sh", b"-c", b"id"]));
        assert!(!is(b"sh\0-c\0id", &[b"sh", b"-c", b"i"]));
        assert!(!is(b"sh\0-c\0id", &[b"sh", b"-c"]));
        assert!(!is(b"sh\0-c\0id", &[b"sh", b"-c", b"id", b""]));
        assert!(is(b"\0a $(id) b", &[b"sh", b"-c", b"id"]));
        assert!(is(b"\0a $(id) b", &[b"/bin/sh", b"-nc", b"id"]));
        assert!(!is(b"\0a $(id) b", &[b"sh", b"-c", b"ls"]));
        assert!(!is(b"\0a $(id) b", &[b"sh", b"-c", b""]));
        assert!(!is(b"\0a $(id) b", &[b"bash", b"-c", b"id"]));
    }
}
