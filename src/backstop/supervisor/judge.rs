//! The judge: it looks at what callers have in their memory, and decides. It has no right to look into a process, to
//! borrow, connect, send, kill or write to anything: its broker does that, for the call at hand.
//!
//! Where it dies, says nothing for too long, or says nothing that makes sense, the broker ends it, answers the call as one that
//! cannot be judged, and starts another.

use super::broker::{BrokerOutcome, JudgeActivity, JudgeJob};
use super::{JudgeState, Member, PATIENCE, SharedState, answer, cage, pause};
use crate::policy::load;
use crate::report::merge;
use crate::sys::broker::desk::{self, BrokerCopy, JOB, job};
use crate::sys::broker::{self as ask, CHANNEL};
use crate::sys::{self, Fd, Notice, Reply};
use core::sync::atomic::Ordering;

/// Whether a new judge may start on the call that the last one did not finish.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Restart {
    May,
    /// Something has come of it, or the judge did not die by itself.
    MayNot,
}

/// The broker's hold on its judge.
pub struct Judge {
    shared: &'static SharedState,
    judged: &'static JudgeState,
    own: Option<(usize, Fd)>,
    copied: BrokerCopy,
    pause: pause::Pause,
}

impl Judge {
    pub fn new(shared: &'static SharedState, judged: &'static JudgeState) -> Option<Judge> {
        Some(Judge { shared, judged, own: None, copied: BrokerCopy::new()?, pause: pause::Pause::default() })
    }

    fn start(&mut self) -> Option<()> {
        let [own, theirs] = sys::waiting_pair().ok()?;
        self.pause.begin();
        let broker = sys::getpid();
        // SAFETY: the child goes on in this library alone, which makes system calls of `sys`.
        match unsafe { sys::fork_silent() } {
            Ok(0) => be(self.shared, self.judged, broker, theirs.0),
            Ok(child) => {
                self.own = Some((child, own));
                Some(())
            }
            Err(_) => None,
        }
    }

    /// Ends it.
    pub fn end(&mut self) {
        let Some((pid, _)) = self.own.take() else { return };
        // Its number is its own until it is waited for.
        if sys::wait(pid).is_none() {
            sys::kill(pid);
            sys::wait_for(pid);
        }
    }

    /// Has a job done; `Err` where there is nobody who does it. What a judge was at that died, and that nothing had come of yet, the next
    /// one does.
    pub fn job(
        &mut self,
        kind: u64,
        place: usize,
        notice: &Notice,
        at: JudgeActivity<'_>,
    ) -> Result<Option<Reply>, ()> {
        for is_first in [true, false] {
            if self.own.is_none() {
                self.start().ok_or(())?;
            }
            match self.at_it(kind, place, notice, at) {
                Ok(done) => return Ok(done),
                Err(again) => {
                    self.end();
                    self.pause.take();
                    if !(again == Restart::May && is_first) {
                        return Err(());
                    }
                }
            }
        }
        Err(())
    }

    fn at_it(
        &mut self,
        kind: u64,
        place: usize,
        notice: &Notice,
        at: JudgeActivity<'_>,
    ) -> Result<Option<Reply>, Restart> {
        let Judge { shared, judged, own, copied, .. } = self;
        let Some((_, Fd(channel))) = *own else { return Err(Restart::May) };
        let mut words = [0; JOB];
        (words[0], words[1]) = (kind, place as u64);
        words.iter_mut().skip(2).zip(notice.words()).for_each(|(word, of)| *word = of);
        let mut job = JudgeJob::new(shared, &judged.desk, at);
        let files = job.files();
        let numbers = files.as_ref().map(|files| files.each_ref().map(|file| file.0));
        if !sys::tell(channel, &words, numbers.as_ref().map_or(&[][..], |numbers| &numbers[..])) {
            return Err(Restart::May);
        }
        drop(files);
        let begun = sys::since_boot();
        loop {
            let waited = (sys::since_boot().wrapping_sub(begun) / 1_000_000) as u32;
            let left = (PATIENCE as u32).wrapping_mul(1000).checked_sub(waited).ok_or(Restart::MayNot)?;
            let mut entry = [libc::pollfd { fd: channel, events: libc::POLLIN, revents: 0 }];
            sys::poll(&mut entry, left);
            if entry[0].revents == 0 {
                continue;
            }
            let mut asked = [0; desk::ASKED];
            let [with, ..] =
                sys::hear(channel, &mut asked, false).ok_or(if job.acted { Restart::MayNot } else { Restart::May })?;
            match job.answer(&asked, with, copied) {
                BrokerOutcome::Answer(answer, fd) => {
                    let fds = fd.as_ref().map(|fd| [fd.0]);
                    sys::tell(channel, &[answer as u64], fds.as_ref().map_or(&[], |fds| fds));
                }
                BrokerOutcome::Lends(name, fd) => drop(sys::tell(channel, &[name as u64], &[fd])),
                BrokerOutcome::Done(reply) => return Ok(reply),
                BrokerOutcome::Nonsense => return Err(Restart::MayNot),
            }
        }
    }
}

/// The judge itself.
fn be(shared: &'static SharedState, judged: &'static JudgeState, broker: u32, channel: i32) -> ! {
    sys::end_in(0);
    sys::end_with_parent();
    if sys::getppid() != broker {
        sys::exit(1);
    }
    sys::duplicate_onto(channel, CHANNEL);
    sys::close_from(CHANNEL.wrapping_add(1));
    // SAFETY: from here on this process writes to nothing of it.
    unsafe { sys::mprotect(core::ptr::from_ref(shared) as usize, size_of::<SharedState>(), libc::PROT_READ) };
    // Outside of it nobody is to judge: then nothing can be judged.
    if !cage::enter_judges(shared.cage.load(Ordering::Relaxed)) {
        sys::exit(1);
    }
    ask::begin(&judged.desk);
    loop {
        let mut words = [0; JOB];
        let Some(handed) = sys::hear(CHANNEL, &mut words, true) else { sys::exit(1) };
        ask::keep(Notice::of(words.last_chunk().unwrap_or(&[0; 10])).pid, handed);
        let place = words[1] as usize;
        let (Some(member), Some(side)) = (shared.members.get(place), judged.sides.get(place)) else { sys::exit(1) };
        let reply = match words[0] {
            job::CALL => call(shared, judged, member, side, &words),
            job::POOLS => {
                load::look_again();
                side.pools.take(member);
                None
            }
            _ => {
                load::look_again();
                merge::say_due();
                judged.records.forget_ended();
                None
            }
        };
        ask::done(reply);
    }
}

fn call(
    shared: &SharedState,
    judged: &JudgeState,
    member: &Member,
    side: &super::WorkerState,
    words: &[u64; JOB],
) -> Option<Reply> {
    let notice = Notice::of(words.last_chunk().unwrap_or(&[0; 10]));
    let with = answer::With {
        scope: &judged.scope,
        borrows: shared.borrows.load(Ordering::Relaxed),
        records: &judged.records,
        restricted: &judged.restricted,
        since: &side.restricted,
        expected: &judged.expected,
        pools: &side.pools,
    };
    answer::answer(member, &notice, &with)
}
