//! The supervisor: a process of its own, `portcullis supervise`, in which this library judges the calls that the filters of
//! a server's workers stop.
//!
//! It is two processes that share their descriptors: one judges, the other waits for its end and takes its place then. So
//! the death of either changes nothing for the server. Both end with the server, at once, or with the last process that they judge.

mod answer;
mod cage;
mod call;
mod caller;
mod connection;
mod copied;
mod expected;
mod helpers;
mod members;
mod opening;
mod pause;
mod pool;
mod program;
mod records;
mod remote;
mod restricted;
mod sent;
mod shared;
mod subject;

pub use expected::ARGUMENTS_MAX;

use crate::action::{Decision, Refused};
use crate::policy::in_force;
use crate::policy::load;
use crate::report::fallback;
use crate::report::{counters, emit, merge, sink};
use crate::sys;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use members::{MEMBERS, Member};
use portcullis_policy::{Mode, Rule, STRICTEST_SCOPE};

/// The descriptor of the socket on which workers come.
pub const LISTENER: i32 = 3;
/// How often the server's end is looked for, in milliseconds.
const LOOK: u32 = 1000;

/// How long the judgement on one call may take, in seconds: a process may have memory whose reading does not end (a file of a
/// FUSE that says nothing). The judge ends then, and its successor answers.
const PATIENCE: usize = 5;

/// What the two processes share.
struct Shared {
    /// Descriptors of other processes can be borrowed.
    borrows: AtomicBool,
    /// The process that waits.
    keeper: AtomicU32,
    /// The call that is being judged: its listener and its number, and the scope that it is judged in.
    at_hand: (AtomicI32, AtomicU64),
    scope: AtomicU32,
    members: [Member; MEMBERS],
    /// The time that the worker had taken whose call was the last, in nanoseconds: no other counts as having taken less.
    taken: AtomicU64,
    /// The pools of each one's server.
    pools: [pool::Pools; MEMBERS],
    records: records::Records,
    helpers: helpers::Helpers,
    restricted: restricted::Restricted,
    expected: expected::Expected,
}

/// Supervises the workers of `master`, and ends. `lost` is why the server's policy cannot be used.
pub fn run(master: u32, lost: Option<load::Reason>) -> ! {
    sys::set_thread_name(c"portcullis");
    for signal in
        [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGPIPE, libc::SIGUSR1, libc::SIGUSR2]
    {
        sys::ignore(signal);
    }
    sys::default_action(libc::SIGALRM);
    // A worker of a library before this one offers a socket on which it would connect.
    if sys::listens(LISTENER) {
        sys::exit(1);
    }
    sys::raise_limit(libc::RLIMIT_NOFILE);
    sys::raise_limit(libc::RLIMIT_FSIZE);
    counters::share();
    sink::hold(&in_force::policy());
    if in_force::is_lost() {
        fallback::report(lost);
    }
    let Some(at) = sys::mmap(None, size_of::<Shared>()) else { sys::exit(1) };
    // SAFETY: a zeroed mapping of that size, shared and never unmapped; zero bytes are valid atomics.
    let shared = unsafe { &*at.cast::<Shared>() };
    shared.borrows.store(sys::may_borrow(), Ordering::Relaxed);
    remote::try_to_write();
    if !cage::enter() {
        emit::guard(
            &in_force::policy(),
            "the backstop's supervisor keeps rights that it does not need: it could not give them up",
        );
    }
    let mut pause = pause::Pause::default();
    loop {
        shared.keeper.store(sys::getpid(), Ordering::Release);
        pause.begin();
        // SAFETY: the child goes on in this library alone, which makes system calls of `sys`.
        match unsafe { sys::fork_with_files() } {
            Ok(0) => judge(shared, master),
            Ok(child) if sys::wait_for(child) == 0 => sys::exit(0),
            Ok(_) => {
                settle_left_over(shared);
                pause.take();
            }
            // No process can be made: judge without a keeper.
            Err(_) => judge(shared, master),
        }
    }
}

/// Judges until the server has ended; takes the keeper's place where that has died.
fn judge(shared: &'static Shared, master: u32) -> ! {
    settle_left_over(shared);
    let (mut looked, mut is_last) = (0, false);
    loop {
        let now = sys::since_boot();
        let has_helpers = shared.helpers.look(now);
        if now.wrapping_sub(looked) >= u64::from(LOOK).wrapping_mul(1_000_000) {
            looked = now;
            load::look_again();
            merge::say_due();
            shared.records.forget_ended();
            let keeper = shared.keeper.load(Ordering::Acquire);
            if keeper != sys::getpid() && sys::getppid() != keeper {
                become_keeper(shared);
            }
            sys::reap();
        }
        let is_alone = turn(shared, master, has_helpers, &mut is_last);
        if is_alone && (is_last || !sys::exists(master)) {
            merge::say_all_of(&counters::in_force().merged);
            sys::exit(0);
        }
    }
}

/// The keeper has died: this process waits from now on, and its child judges.
fn become_keeper(shared: &'static Shared) {
    let mut pause = pause::Pause::default();
    loop {
        pause.begin();
        shared.keeper.store(sys::getpid(), Ordering::Release);
        // SAFETY: as in `run`.
        match unsafe { sys::fork_with_files() } {
            Ok(0) | Err(_) => return,
            Ok(child) if sys::wait_for(child) == 0 => sys::exit(0),
            Ok(_) => {
                settle_left_over(shared);
                pause.take();
            }
        }
    }
}

/// Answers the call that a judge was at when it died: in audit it goes on, else it is refused. Where it was not known yet
/// whose call it is, the strictest policy says which.
fn settle_left_over(shared: &Shared) {
    let id = shared.at_hand.1.swap(0, Ordering::AcqRel);
    if id == 0 {
        return;
    }
    // Whether it would have been an event nobody knows any more.
    counters::counters().dropped.fetch_add(1, Ordering::Relaxed);
    let scope = shared.scope.load(Ordering::Acquire);
    let strict = |rule| in_force::policy().mode(scope, rule) == Mode::Enforce;
    let refused = Rule::ALL.into_iter().any(strict);
    let decision: Decision = if refused { Err(Refused(libc::EACCES)) } else { Ok(()) };
    sys::reply(shared.at_hand.0.load(Ordering::Acquire), id, decision.into());
}

/// Waits for what comes next, and deals with it; whether there is no worker. No other can come once `is_last` is set.
fn turn(shared: &Shared, master: u32, has_helpers: bool, is_last: &mut bool) -> bool {
    let nothing = libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 };
    let mut entries = [nothing; MEMBERS + 1];
    let mut used = 1_usize;
    entries[0].fd = if *is_last { -1 } else { LISTENER };
    for (index, (entry, member)) in entries.iter_mut().skip(1).zip(&shared.members).enumerate() {
        entry.fd = member.descriptor();
        if entry.fd >= 0 {
            used = index.wrapping_add(2);
        }
    }
    let wait = if used == 1 || has_helpers { LOOK / 10 } else { LOOK };
    sys::poll(entries.get_mut(..used).unwrap_or(&mut []), wait);
    let members = shared.members.iter().zip(&shared.pools);
    let mut next: Option<(&Member, &pool::Pools)> = None;
    for (entry, (member, pools)) in entries.iter().skip(1).zip(members) {
        if entry.revents == 0 {
            continue;
        }
        match member.is_asking() {
            true => shared.settle(member, pools),
            false if entry.revents & libc::POLLIN != 0 => {
                if next.is_none_or(|(before, _)| member.comes_before(before, &shared.taken)) {
                    next = Some((member, pools));
                }
            }
            // The worker and all that descended from it have ended.
            false => member.leave(),
        }
    }
    // One call, and then whoever has come meanwhile: those who ask all the time wait for those who seldom do.
    if let Some((member, pools)) = next {
        let begun = sys::since_boot();
        one(shared, member, pools);
        member.takes(sys::since_boot().wrapping_sub(begun), &shared.taken);
    }
    if entries[0].revents != 0 {
        *is_last = !shared.welcome_all(master) && entries[0].revents & libc::POLLHUP != 0;
    }
    shared.members.iter().all(Member::is_free)
}

/// Judges the next call of a worker or what descended from it.
fn one(shared: &Shared, member: &Member, pools: &pool::Pools) {
    let listener = member.listener.load(Ordering::Relaxed);
    let notice = match sys::receive(listener) {
        Ok(notice) => notice,
        // Its process has ended in between, or a signal came.
        Err(libc::ENOENT | libc::EINTR) => return,
        // It is one no more.
        Err(_) => return member.leave(),
    };
    shared.at_hand.0.store(listener, Ordering::Relaxed);
    shared.scope.store(STRICTEST_SCOPE, Ordering::Relaxed);
    shared.at_hand.1.store(notice.id, Ordering::Release);
    sys::end_in(PATIENCE);
    let borrows = shared.borrows.load(Ordering::Relaxed);
    let with = answer::With {
        scope: &shared.scope,
        borrows,
        records: &shared.records,
        helpers: &shared.helpers,
        restricted: &shared.restricted,
        since: &member.restricted,
        expected: &shared.expected,
        pools,
    };
    let reply = answer::answer(member, &notice, &with);
    sys::end_in(0);
    if let Some(reply) = reply {
        sys::reply(listener, notice.id, reply);
    }
    shared.at_hand.1.store(0, Ordering::Release);
}
