//! The supervisor, `portcullis supervise`: a separate process in which this library evaluates the calls that the filters of a server's
//! workers stop.
//!
//! It has three processes. The broker receives and answers the calls. It has the rights to open other processes' memory and to act in
//! their place, and interprets nothing that these processes wrote. The judge reads that and decides, and has none of these rights. The
//! keeper shares its descriptors with the broker, waits for the broker's exit, and then takes its place. So the death of one of them
//! changes nothing for the server. All exit with the server, or with the last process whose calls they evaluate.

mod announced;
mod answer;
mod broker;
mod cage;
mod call;
mod caller;
#[cfg(test)]
mod compromised;
mod connection;
mod copied;
mod expected;
mod guarded;
mod helpers;
mod judge;
mod left;
mod mapped;
mod members;
mod opening;
mod pause;
mod permit;
mod pool;
mod postponed;
mod program;
mod records;
mod remote;
mod restricted;
mod sent;
mod shared;
mod subject;
mod watch;
mod window;

pub use expected::ARGUMENTS_MAX;

use crate::action::{Decision, Refused};
use crate::policy::in_force;
use crate::policy::load;
use crate::report::fallback;
use crate::report::{counters, emit, merge, seal, sink};
use crate::sys;
use crate::sys::broker::desk::{self, job};
use broker::JudgeActivity;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use judge::JobEnd;
use members::{MEMBERS, Member};
use portcullis_policy::{Mode, Rule, STRICTEST_SCOPE};

/// The descriptor of the socket on which workers request a place.
pub const LISTENER: i32 = 3;
/// How often the supervisor checks whether the server still runs, in milliseconds.
const LOOK: u32 = 1000;

/// How long the evaluation of one call may take, in seconds: reading a process's memory may never return (a FUSE file system that does
/// not answer). The judge is ended then, and its successor answers.
const PATIENCE: usize = 5;

/// What the log says where a broker did not come back.
const HUNG: &str = "the backstop's acting process waited in the kernel for what a call was about, and another has begun: the policy decided the call, and the worker's next calls are evaluated by less for ten seconds";

/// State that the broker and the keeper write, and the judge only reads.
struct SharedState {
    /// Descriptors of other processes can be duplicated (pidfd_getfd).
    borrows: AtomicBool,
    /// The parts of the cage that could be set up.
    cage: AtomicU32,
    /// The keeper.
    keeper: AtomicU32,
    /// The call that is being evaluated: its listener and its ID.
    at_hand: (AtomicI32, AtomicU64),
    members: [Member; MEMBERS],
    /// The postponed calls.
    postponed: postponed::Calls,
    /// The time that the worker of the last call had used, in nanoseconds; no other worker counts as having used less.
    taken: AtomicU64,
    helpers: helpers::Helpers,
    /// What was told to end and has not, and whose calls that was for.
    left: left::Left,
    /// The place of the worker whose call is being judged, and one; and the judge, by its number and start.
    place: AtomicU32,
    judge: (AtomicU32, AtomicU64),
    /// The timer by which the keeper watches the broker, and when that is to be back; 0 for none, and for no time.
    timer: AtomicI32,
    until: AtomicU64,
    /// The broker before this one did not come back.
    replaced: AtomicBool,
    /// What a broker has open for its judge and its call, each with one added; 0 for nothing.
    channel: AtomicI32,
    lent: [AtomicI32; desk::LENT],
}

/// State of the judge. The broker reads only the scope and the desk.
struct JudgeState {
    /// The scope in which the current call is evaluated.
    scope: AtomicU32,
    sides: [WorkerState; MEMBERS],
    records: records::Records,
    restricted: restricted::Restricted,
    expected: expected::Expected,
    desk: desk::Desk,
}

/// State that the judge keeps for one worker.
struct WorkerState {
    /// The pools of its server.
    pools: pool::Pools,
    /// Since when one of its processes may be in a Landlock domain.
    restricted: restricted::RestrictedSince,
}

/// Allocates zeroed memory that all processes of the supervisor share, and that is never unmapped.
///
/// # Safety
/// Zero bytes are a valid `T`.
unsafe fn share<T>() -> &'static T {
    match sys::mmap(None, size_of::<T>()) {
        // SAFETY: a mapping of that size, never unmapped; the rest as the caller promises.
        Some(at) => unsafe { &*at.cast::<T>() },
        None => sys::exit(1),
    }
}

/// Supervises the workers of `master` until the server has exited. `lost` is the reason why the server's policy cannot be used.
pub fn run(master: u32, lost: Option<load::Reason>) -> ! {
    sys::set_thread_name(c"portcullis");
    for signal in
        [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGPIPE, libc::SIGUSR1, libc::SIGUSR2]
    {
        sys::ignore(signal);
    }
    sys::default_action(libc::SIGALRM);
    // Nobody waits for those who act in a caller's place.
    sys::ignore(libc::SIGCHLD);
    // A worker of a library before this one offers a socket on which it would connect.
    if sys::listens(LISTENER) {
        sys::exit(1);
    }
    sys::raise_limit(libc::RLIMIT_NOFILE);
    sys::raise_limit(libc::RLIMIT_FSIZE);
    counters::share();
    sink::hold(&in_force::policy());
    fallback::begin_sealing();
    if in_force::is_lost() {
        fallback::report(lost);
    }
    // SAFETY: both are atomics and bytes.
    let (shared, judged) = unsafe { (share::<SharedState>(), share::<JudgeState>()) };
    shared.borrows.store(sys::may_borrow(), Ordering::Relaxed);
    // Whether the call is permitted is tried in a child process, which the judge cannot fork.
    sys::person(sys::getpid());
    if let Some(timer) = sys::timer() {
        shared.timer.store(timer.0, Ordering::Relaxed);
        core::mem::forget(timer);
    }
    let cage = cage::enter();
    shared.cage.store(cage, Ordering::Relaxed);
    if cage == cage::NONE {
        emit::guard(
            &in_force::policy(),
            "the backstop's supervisor keeps rights that it does not need: it could not give them up",
        );
    }
    keep(shared, judged);
    broker(shared, judged, master)
}

/// Waits for the exit of the broker, and forks another; returns in each new broker, and if no fork is possible.
fn keep(shared: &'static SharedState, judged: &'static JudgeState) {
    let mut pause = pause::Pause::default();
    loop {
        shared.keeper.store(sys::getpid(), Ordering::Release);
        pause.begin();
        let mut chain = seal::Child::none();
        chain.before_fork();
        // SAFETY: the child goes on in this library alone, which makes system calls of `sys`.
        let forked = unsafe { sys::fork_with_files() };
        chain.after_fork(forked == Ok(0));
        match forked {
            Ok(0) | Err(_) => return,
            Ok(child) => {
                let end = shared.watch(child);
                if let watch::BrokerEnd::Ended(0) = end {
                    sys::exit(0);
                }
                settle_left_over(shared, judged);
                if let watch::BrokerEnd::Ended(_) = end {
                    pause.take();
                }
                sys::reap();
            }
        }
    }
}

/// Runs the broker until the server has exited; takes the keeper's place if the keeper has died.
fn broker(shared: &'static SharedState, judged: &'static JudgeState, master: u32) -> ! {
    settle_left_over(shared, judged);
    let Some(mut judge) = judge::Judge::new(shared, judged) else { sys::exit(1) };
    shared.close_left_over();
    if shared.replaced.swap(false, Ordering::AcqRel) {
        emit::guard(&in_force::policy(), HUNG);
    }
    let (mut looked, mut is_last) = (0, false);
    loop {
        let now = sys::since_boot();
        shared.takes_time();
        let has_helpers = shared.helpers.look(now);
        if now.wrapping_sub(looked) >= u64::from(LOOK).wrapping_mul(1_000_000) {
            looked = now;
            load::look_again();
            let _ = judge.job(job::LOOK, 0, &sys::Notice::default(), JudgeActivity::Nothing);
            let keeper = shared.keeper.load(Ordering::Acquire);
            if keeper != sys::getpid() && sys::getppid() != keeper {
                // This process becomes the keeper. Its child continues here as the broker, with a judge of its own.
                judge.end();
                keep(shared, judged);
            }
            sys::reap();
        }
        let is_alone = turn(shared, judged, &mut judge, (master, has_helpers), &mut is_last);
        if is_alone && (is_last || !sys::exists(master)) {
            judge.end();
            merge::say_all_of(&counters::in_force().merged);
            sys::exit(0);
        }
    }
}

/// Answers the call that was being evaluated when a broker or a judge died: in audit it proceeds, otherwise it is denied. If its
/// virtual host was not known yet, the strictest policy decides.
fn settle_left_over(shared: &SharedState, judged: &JudgeState) {
    let id = shared.at_hand.1.swap(0, Ordering::AcqRel);
    if id == 0 {
        return;
    }
    // It is unknown whether it would have been an event.
    counters::counters().dropped.fetch_add(1, Ordering::Relaxed);
    let scope = judged.scope.load(Ordering::Acquire);
    let strict = |rule| in_force::policy().mode(scope, rule) == Mode::Enforce;
    let refused = Rule::ALL.into_iter().any(strict);
    let decision: Decision = if refused { Err(Refused(libc::EACCES)) } else { Ok(()) };
    sys::reply(shared.at_hand.0.load(Ordering::Acquire), id, decision.into());
}

/// Waits for the next message or call, and handles it; true if there is no worker. After `is_last`, no other worker can come.
fn turn(
    shared: &'static SharedState,
    judged: &'static JudgeState,
    judge: &mut judge::Judge,
    (master, has_helpers): (u32, bool),
    is_last: &mut bool,
) -> bool {
    let nothing = libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 };
    let mut entries = [nothing; MEMBERS + 1];
    let (mut used, later) = (1_usize, shared.postponed.any());
    entries[0].fd = if *is_last { -1 } else { LISTENER };
    for (index, (entry, member)) in entries.iter_mut().skip(1).zip(&shared.members).enumerate() {
        entry.fd = member.descriptor();
        if entry.fd >= 0 {
            used = index.wrapping_add(2);
        }
    }
    let wait = if used == 1 || has_helpers { LOOK / 10 } else { LOOK };
    let wait = if later { wait.min(shared.postponed.wait(sys::since_boot()).max(1)) } else { wait };
    shared.rests();
    sys::poll(entries.get_mut(..used).unwrap_or(&mut []), wait);
    shared.takes_time();
    let mut next: Option<(usize, &Member)> = None;
    for (entry, (place, member)) in entries.iter().skip(1).zip(shared.members.iter().enumerate()) {
        if entry.revents == 0 {
            continue;
        }
        match member.is_asking() {
            true => member.settle(|worker, start| {
                let Some(side) = judged.sides.get(place) else { return };
                side.begin();
                shared.left.forget(place);
                let _ = judge.job(job::POOLS, place, &sys::Notice::default(), JudgeActivity::Worker(worker, start));
            }),
            false if entry.revents & libc::POLLIN != 0 => {
                if next.is_none_or(|(_, before)| member.comes_before(before, &shared.taken)) {
                    next = Some((place, member));
                }
            }
            // The worker and all its descendants have exited.
            false => member.leave(),
        }
    }
    // One call of the worker that has used least time, then the loop polls again: a worker with many calls delays no other.
    if let Some((place, member)) = next {
        let begun = sys::since_boot();
        shared.postponed.ask(begun);
        one(shared, judged, judge, place, member);
        member.takes(sys::since_boot().wrapping_sub(begun), &shared.taken);
    }
    if later {
        again(shared, judged, judge);
    }
    if entries[0].revents != 0 {
        *is_last = !shared.welcome_all(master) && entries[0].revents & libc::POLLHUP != 0;
    }
    shared.members.iter().all(Member::is_free)
}

impl WorkerState {
    /// A new worker has the place, of whose server nothing is known.
    fn begin(&self) {
        self.pools.lose();
        self.restricted.forget();
    }
}

/// Starts a judge on a postponed call, if one is due.
#[cold]
fn again(shared: &SharedState, judged: &JudgeState, judge: &mut judge::Judge) {
    let now = sys::since_boot();
    if shared.postponed.wait(now) > 0 {
        return;
    }
    sys::reap();
    let Some(call) = shared.postponed.next(now) else {
        // Checked again a little later.
        return shared.postponed.take(now.saturating_sub(1_000_000));
    };
    let (notice, place) = call.call();
    let member = shared.members.get(place);
    match member.filter(|member| sys::still_waits(member.listener.load(Ordering::Relaxed), notice.id)) {
        Some(member) => {
            let kind = if call.is_late(now) { job::UNREAD } else { job::CALL };
            judged_by(shared, judged, judge, kind, (place, member), &notice);
            member.takes(sys::since_boot().saturating_sub(now), &shared.taken);
            shared.postponed.take(now);
        }
        None => call.clear(),
    }
}

/// Evaluates the next call of a worker or of its descendants.
fn one(shared: &SharedState, judged: &JudgeState, judge: &mut judge::Judge, place: usize, member: &Member) {
    let listener = member.listener.load(Ordering::Relaxed);
    let notice = match sys::receive(listener) {
        Ok(notice) => notice,
        // Its process has exited meanwhile, or a signal interrupted the call.
        Err(libc::ENOENT | libc::EINTR) => return,
        // The descriptor is no listener any more.
        Err(_) => return member.leave(),
    };
    judged_by(shared, judged, judge, job::CALL, (place, member), &notice);
}

/// Evaluates a call, and answers or postpones it.
#[inline(never)]
fn judged_by(
    shared: &SharedState,
    judged: &JudgeState,
    judge: &mut judge::Judge,
    kind: u64,
    (place, member): (usize, &Member),
    notice: &sys::Notice,
) {
    let (listener, begun) = (member.listener.load(Ordering::Relaxed), sys::since_boot());
    shared.at_hand.0.store(listener, Ordering::Relaxed);
    judged.scope.store(STRICTEST_SCOPE, Ordering::Relaxed);
    shared.at_hand.1.store(notice.id, Ordering::Release);
    shared.place.store(place as u32 + 1, Ordering::Release);
    let kind = match shared.left.care(place, begun) {
        left::Care::All => kind,
        left::Care::Some => job::UNREAD,
        left::Care::Least => job::BLIND,
    };
    // Without a keeper that watches, this process ends itself.
    sys::end_in(PATIENCE + 1);
    let at = JudgeActivity::Call { member, thread: notice.pid, id: notice.id, permit: permit::Permit::of(notice) };
    let done = match judge.job(kind, place, notice, at) {
        JobEnd::Waits(pid) if kind == job::CALL && shared.postponed.put(place, notice, begun, pid) => {
            sys::end_in(0);
            shared.place.store(0, Ordering::Release);
            shared.postponed.take(begun);
            shared.at_hand.1.store(0, Ordering::Release);
            return;
        }
        JobEnd::Runs if kind == job::CALL => judge.job(job::UNREAD, place, notice, at),
        done => done,
    };
    let done = match done {
        JobEnd::Waits(_) | JobEnd::Runs => judge.job(job::BLIND, place, notice, at),
        done => done,
    };
    sys::end_in(0);
    shared.takes_time();
    shared.place.store(0, Ordering::Release);
    match done {
        JobEnd::Done(Some(reply)) => sys::reply(listener, notice.id, reply),
        JobEnd::Done(None) => {}
        JobEnd::Waits(_) | JobEnd::Runs | JobEnd::Failed => {
            settle_left_over(shared, judged);
            // The broker does not interpret the call itself.
            emit::guard(
                &in_force::policy(),
                "the backstop's evaluating process ended at a call or did not answer: no rule evaluated the call",
            );
        }
    }
    if let Some(call) = shared.postponed.of(notice.id) {
        call.clear();
    }
    shared.at_hand.1.store(0, Ordering::Release);
}
