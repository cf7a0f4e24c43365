//! The judge: reads the memory of callers, and decides. It has no right to open a process's memory, to duplicate a descriptor, to
//! connect, send, kill or write: its broker does that, for the current call.
//!
//! If it dies, does not answer in time, or sends an invalid answer, the broker ends it, answers the call as one that cannot be
//! evaluated, and starts another judge.

use super::broker::{self, BrokerOutcome, JudgeActivity, JudgeJob, SoFar};
use super::postponed::SLICE;
use super::{JudgeState, Member, PATIENCE, SharedState, answer, cage, pause, subject};
use crate::policy::load;
use crate::report::merge;
use crate::sys::broker::desk::{self, BrokerCopy, JOB, job};
use crate::sys::broker::{self as ask, CHANNEL};
use crate::sys::{self, Fd, Notice, Reply};
use core::sync::atomic::Ordering;

/// The number of pages of its own code for which a judge may wait, without the end of its time slice.
const READ_MAX: u64 = 8;

/// How long a judge may wait that reads none of the caller's memory, in milliseconds: such a call has nothing to leave out.
const LAST_SLICE: u32 = 20;
/// How long a judge, and its broker for it, may run at one call, in nanoseconds. The bounds on its work keep an ordinary call below
/// it. A judge that runs longer would do so again.
const RUN_MAX: u64 = 8_000_000;

/// How often is looked whether one that was told to end has, and the nap before each look, in nanoseconds.
const ENDS: usize = 20;
const ENDS_NAP: usize = 500_000;

/// What comes of a job.
pub enum JobEnd {
    Done(Option<Reply>),
    /// Its judge, with this process number, waits for the caller's memory, and has to be ended.
    Waits(u32),
    /// It uses too much processor time, and has done nothing that lasts.
    Runs,
    /// No judge can be started.
    Failed,
}

/// Whether a new judge may start on the call that the last one did not finish.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Restart {
    May,
    /// Later: this one waits, and has done nothing that lasts.
    Later,
    /// No, and without the arguments: this one runs for too long, and has done nothing that lasts.
    WithoutArguments,
    /// No: it waits, and has done something that cannot be repeated.
    Never,
    /// No: something cannot be repeated, or the judge did not die by itself.
    MayNot,
}

/// The broker's state of its judge.
pub struct Judge {
    shared: &'static SharedState,
    judged: &'static JudgeState,
    own: Option<(usize, Fd)>,
    /// The pages for which it had waited at the last check.
    read: u64,
    copied: BrokerCopy,
    pause: pause::Pause,
}

impl Judge {
    pub fn new(shared: &'static SharedState, judged: &'static JudgeState) -> Option<Judge> {
        Some(Judge { shared, judged, own: None, read: 0, copied: BrokerCopy::new()?, pause: pause::Pause::default() })
    }

    fn start(&mut self) -> Option<()> {
        let [own, theirs] = sys::waiting_pair().ok()?;
        self.pause.begin();
        let broker = sys::getpid();
        // SAFETY: the child goes on in this library alone, which makes system calls of `sys`.
        match unsafe { sys::fork_silent() } {
            Ok(0) => be(self.shared, self.judged, broker, theirs.0),
            Ok(child) => {
                self.shared.judge.1.store(subject::start_of(child as u32).unwrap_or(0), Ordering::Relaxed);
                self.shared.judge.0.store(child as u32, Ordering::Release);
                self.shared.channel.store(own.0.wrapping_add(1), Ordering::Relaxed);
                self.own = Some((child, own));
                self.read = 0;
                Some(())
            }
            Err(_) => None,
        }
    }

    /// Ends it.
    pub fn end(&mut self) {
        let Some((pid, _)) = self.own.take() else { return };
        self.shared.channel.store(0, Ordering::Relaxed);
        self.shared.judge.0.store(0, Ordering::Release);
        // Its number is its own until it is waited for.
        if sys::wait(pid).is_none() {
            sys::kill(pid);
            // It may wait in the kernel for what a caller holds.
            for _ in 0..ENDS {
                if sys::wait(pid).is_some() {
                    return;
                }
                sys::sleep(ENDS_NAP);
            }
            self.leave(pid);
        }
    }

    /// Takes note of one that was told to end, at the call at hand.
    fn leave(&self, pid: usize) {
        self.shared.left.put(pid as u32, (self.shared.place.load(Ordering::Relaxed) as usize).wrapping_sub(1));
    }

    /// Ends it, without waiting for that: it may wait in the kernel itself. From here on it does nothing more.
    fn abandon(&mut self) -> u32 {
        let Some((pid, _)) = self.own.take() else { return 0 };
        self.shared.channel.store(0, Ordering::Relaxed);
        self.shared.judge.0.store(0, Ordering::Release);
        sys::kill(pid);
        self.leave(pid);
        pid as u32
    }

    /// Has a job done. If a judge dies before it has done anything that lasts, the next judge repeats the job.
    pub fn job(&mut self, kind: u64, place: usize, notice: &Notice, at: JudgeActivity<'_>) -> JobEnd {
        for is_first in [true, false] {
            if self.own.is_none() && self.start().is_none() {
                return JobEnd::Failed;
            }
            let done = self.at_it(kind, place, notice, at);
            self.shared.takes_time();
            match done {
                Ok(done) => return JobEnd::Done(done),
                Err(Restart::Later) => return JobEnd::Waits(self.abandon()),
                Err(Restart::WithoutArguments) => {
                    self.abandon();
                    return JobEnd::Runs;
                }
                Err(Restart::Never) => {
                    self.abandon();
                    return JobEnd::Failed;
                }
                Err(again) => {
                    self.end();
                    self.pause.take();
                    if !(again == Restart::May && is_first) {
                        return JobEnd::Failed;
                    }
                }
            }
        }
        JobEnd::Failed
    }

    fn at_it(
        &mut self,
        kind: u64,
        place: usize,
        notice: &Notice,
        at: JudgeActivity<'_>,
    ) -> Result<Option<Reply>, Restart> {
        let Judge { shared, judged, own, copied, read, .. } = self;
        let Some((pid, Fd(channel))) = *own else { return Err(Restart::May) };
        let mut words = [0; JOB];
        (words[0], words[1]) = (kind, place as u64);
        words.iter_mut().skip(2).zip(notice.words()).for_each(|(word, of)| *word = of);
        let mut job = JudgeJob::new(shared, &judged.desk, at);
        copied.lengths.clear();
        shared.acts();
        let files = job.files();
        let numbers = files.as_ref().map(|files| files.each_ref().map(|file| file.0));
        if !sys::tell(channel, &words, numbers.as_ref().map_or(&[][..], |numbers| &numbers[..])) {
            return Err(Restart::May);
        }
        drop(files);
        // A worker waits only until its pools are read, and runs no request's code yet.
        let (begun, has_slice) = (sys::since_boot(), kind != job::POOLS);
        // Other jobs load a policy, or have no arguments that can be left out.
        let bounds_run = matches!(kind, job::CALL | job::UNREAD);
        let slice = if kind == job::BLIND { LAST_SLICE } else { SLICE };
        let ran = || sys::processor_time(pid as u32).wrapping_add(sys::processor_time(sys::getpid()));
        let ran_before = ran();
        let waited = || (sys::since_boot().wrapping_sub(begun) / 1_000_000) as u32;
        loop {
            let left = (PATIENCE as u32).wrapping_mul(1000).checked_sub(waited()).ok_or(Restart::MayNot)?;
            let mut entry = [libc::pollfd { fd: channel, events: libc::POLLIN, revents: 0 }];
            shared.takes_time();
            sys::poll(&mut entry, if has_slice { left.min(SLICE) } else { left });
            shared.acts();
            let runs = bounds_run && waited() >= slice && ran().saturating_sub(ran_before) > RUN_MAX;
            let mut asked = [0; desk::ASKED];
            let (has_asked, mut with) = (entry[0].revents != 0, None);
            if has_asked {
                let heard = sys::hear(channel, &mut asked, false);
                [with, ..] = heard.ok_or(if job.acted { Restart::MayNot } else { Restart::May })?;
            }
            // If it has decided meanwhile, the decision counts.
            let ends = match asked[0] {
                _ if !has_asked => {
                    has_slice && waited() >= slice && {
                        let (waits, faults) = subject::waits(pid as u32);
                        let is_read = faults.saturating_sub(core::mem::replace(read, faults)) > READ_MAX;
                        // It may have sent a request meanwhile, and waits for the answer.
                        let mut entry = [entry[0]];
                        (runs || waits || is_read) && sys::poll(&mut entry, 0) == 0
                    }
                }
                desk::asked::DONE => false,
                _ => runs,
            };
            if ends {
                match job.so_far(copied) {
                    _ if kind == job::BLIND => return Err(Restart::Never),
                    SoFar::Nothing if runs => return Err(Restart::WithoutArguments),
                    SoFar::Nothing => return Err(Restart::Later),
                    SoFar::Sent(count) => {
                        let reply = job.settled(Some(Reply::Result(count)), copied);
                        self.abandon();
                        return Ok(reply);
                    }
                    SoFar::Unknown => {}
                    SoFar::Events => return Err(Restart::Never),
                }
            }
            if !has_asked {
                continue;
            }
            // A disk may be slow.
            if asked[0] == desk::asked::WRITE {
                shared.takes_time();
            }
            match job.answer(&asked, with, copied) {
                BrokerOutcome::Answer(answer, fd) => {
                    let fds = fd.as_ref().map(|fd| [fd.0]);
                    sys::tell(channel, &broker::number(answer), fds.as_ref().map_or(&[], |fds| fds));
                }
                BrokerOutcome::Says(words) => drop(sys::tell(channel, &words, &[])),
                BrokerOutcome::Lends(name, fd) => drop(sys::tell(channel, &broker::number(name), &[fd])),
                BrokerOutcome::Done(reply) => return Ok(job.settled(reply, copied)),
                BrokerOutcome::Nonsense => return Err(Restart::MayNot),
            }
        }
    }
}

/// The judge itself.
fn be(shared: &'static SharedState, judged: &'static JudgeState, parent: u32, channel: i32) -> ! {
    sys::end_in(0);
    sys::end_with_parent();
    if sys::getppid() != parent {
        sys::exit(1);
    }
    sys::duplicate_onto(channel, CHANNEL);
    sys::close_from(CHANNEL.wrapping_add(1));
    // SAFETY: from here on this process writes to nothing of it.
    if !unsafe { sys::mprotect(core::ptr::from_ref(shared) as usize, size_of::<SharedState>(), libc::PROT_READ) } {
        sys::exit(1);
    }
    // No judge may run outside the cage: then no call can be evaluated.
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
            job::CALL | job::UNREAD | job::BLIND => call(shared, judged, member, side, &words),
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
        reads: words[0] == job::CALL,
        looks: words[0] != job::BLIND,
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
