//! The supervisor: a process of its own, `portcullis supervise`, in which this library judges the calls that the filters of
//! a server's workers stop.
//!
//! It is two processes that share their descriptors: one judges, the other waits for its end and takes its place then. So
//! the death of either changes nothing for the server. Both end when the server and its workers have.

mod answer;
mod call;
mod caller;
mod connection;
mod copied;
mod expected;
mod opening;
mod pool;
mod program;
mod records;
mod remote;
mod restricted;
mod sent;
mod shared;
mod subject;

pub use expected::ARGUMENTS_MAX;

use super::link::{TOLD, Told};
use crate::judge::{Decision, Refused};
use crate::sys::{self, Fd};
use crate::{counters, load, merge, sink, state};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use portcullis_policy::{Mode, Rule, STRICTEST_SCOPE};

/// The descriptor of the socket on which workers come.
pub const LISTENER: i32 = 3;
/// Workers at a time.
const MEMBERS: usize = 1024;
/// How often the server's end is looked for, in milliseconds.
const LOOK: u32 = 1000;

/// How long the judgement on one call may take, in seconds: a process may have memory whose reading does not end (a file of a
/// FUSE that says nothing). The judge ends then, and its successor answers.
const PATIENCE: usize = 5;

/// A worker.
pub struct Member {
    /// Its filter's listener; 0 for a free place.
    listener: AtomicI32,
    pid: AtomicU32,
    secret: AtomicU64,
    secret_at: AtomicU64,
    role_at: AtomicU64,
    slots_at: AtomicU64,
    /// Since when a process of its may have given up rights.
    restricted: restricted::Since,
}

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
    /// The pools of each one's server.
    pools: [pool::Pools; MEMBERS],
    records: records::Records,
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
    sys::raise_limit(libc::RLIMIT_NOFILE);
    sys::raise_limit(libc::RLIMIT_FSIZE);
    counters::share();
    sink::hold(&state::policy());
    if state::is_lost() {
        load::report(lost);
    }
    let Some(at) = sys::mmap(None, size_of::<Shared>()) else { sys::exit(1) };
    // SAFETY: a zeroed mapping of that size, shared and never unmapped; zero bytes are valid atomics.
    let shared = unsafe { &*at.cast::<Shared>() };
    shared.borrows.store(sys::may_borrow(), Ordering::Relaxed);
    loop {
        shared.keeper.store(sys::getpid(), Ordering::Release);
        // SAFETY: the child goes on in this library alone, which makes system calls of `sys`.
        match unsafe { sys::fork_with_files() } {
            Ok(0) => judge(shared, master),
            Ok(child) if sys::wait_for(child) == 0 => sys::exit(0),
            Ok(_) => {}
            // No process can be made: judge without a keeper.
            Err(_) => judge(shared, master),
        }
    }
}

/// Judges until the server has ended; takes the keeper's place where that has died.
fn judge(shared: &'static Shared, master: u32) -> ! {
    settle_left_over(shared);
    let mut looked = 0;
    loop {
        let now = sys::since_boot();
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
        let alone = turn(shared, master);
        if alone && !sys::exists(master) {
            merge::say_all_of(&counters::in_force().merged);
            sys::exit(0);
        }
    }
}

/// The keeper has died: this process waits from now on, and its child judges.
fn become_keeper(shared: &'static Shared) {
    loop {
        shared.keeper.store(sys::getpid(), Ordering::Release);
        // SAFETY: as in `run`.
        match unsafe { sys::fork_with_files() } {
            Ok(0) | Err(_) => return,
            Ok(child) if sys::wait_for(child) == 0 => sys::exit(0),
            Ok(_) => settle_left_over(shared),
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
    let strict = |rule| state::policy().mode(scope, rule) == Mode::Enforce;
    let refused = Rule::ALL.into_iter().any(strict);
    let decision: Decision = if refused { Err(Refused(libc::EACCES)) } else { Ok(()) };
    sys::reply(shared.at_hand.0.load(Ordering::Acquire), id, decision.into());
}

/// Waits for what comes next, and deals with it; whether there is no worker.
fn turn(shared: &Shared, master: u32) -> bool {
    let nothing = libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 };
    let mut entries = [nothing; MEMBERS + 1];
    let mut used = 1_usize;
    entries[0].fd = LISTENER;
    for (entry, member) in entries.iter_mut().skip(1).zip(&shared.members) {
        let listener = member.listener.load(Ordering::Relaxed);
        entry.fd = if listener == 0 { -1 } else { listener };
        if listener != 0 {
            used = member.index(shared).wrapping_add(2);
        }
    }
    let idle = if used == 1 { LOOK / 10 } else { LOOK };
    sys::poll(entries.get_mut(..used).unwrap_or(&mut []), idle);
    for (entry, member) in entries.iter().skip(1).zip(&shared.members) {
        if entry.revents & libc::POLLIN != 0 {
            one(shared, member);
        } else if entry.revents != 0 {
            // The worker and all that descended from it have ended.
            member.listener.store(0, Ordering::Relaxed);
            sys::close(entry.fd);
        }
    }
    if entries[0].revents & libc::POLLIN != 0
        && let Ok(socket) = sys::accept_local(LISTENER)
    {
        welcome(shared, master, &socket);
        return false;
    }
    used == 1
}

impl Member {
    fn index(&self, shared: &Shared) -> usize {
        let first = shared.members.as_ptr() as usize;
        ((self as *const Member as usize).wrapping_sub(first)) / size_of::<Member>()
    }
}

/// Takes in a worker.
fn welcome(shared: &Shared, master: u32, socket: &Fd) {
    let mut entry = [libc::pollfd { fd: socket.0, events: libc::POLLIN, revents: 0 }];
    // It has its listener ready at once: nobody else is kept waiting.
    sys::poll(&mut entry, LOOK);
    // The name is for everybody to find: only the master and its children are its workers.
    let Some((pid, user)) = sys::peer_process(socket.0) else { return };
    let is_its = pid == master
        || match subject::parent_of(pid) {
            Some(parent) => parent == master,
            // Nobody says: root is not to be kept out.
            None => user == 0,
        };
    if !is_its {
        return;
    }
    // A worker begins after a reload: what it is judged by is compiled by now.
    load::look_again();
    let Some((words, listener)) = sys::passed::<TOLD>(socket.0) else { return };
    let Some(told) = Told::of(&words) else { return };
    let Some(member) = shared.members.iter().find(|member| member.listener.load(Ordering::Relaxed) == 0) else {
        return;
    };
    member.pid.store(pid, Ordering::Relaxed);
    member.secret.store(told.secret, Ordering::Relaxed);
    member.secret_at.store(told.secret_at, Ordering::Relaxed);
    member.role_at.store(told.role_at, Ordering::Relaxed);
    member.slots_at.store(told.slots_at, Ordering::Relaxed);
    if let Some(pools) = shared.pools.get(member.index(shared)) {
        pools.take(pid, &told);
    }
    member.restricted.forget();
    member.listener.store(listener.0, Ordering::Release);
    core::mem::forget(listener);
    let _ = sys::send_bytes(socket.0, b"k");
}

/// Judges the next call of a worker or what descended from it.
fn one(shared: &Shared, member: &Member) {
    let listener = member.listener.load(Ordering::Relaxed);
    let Some(pools) = shared.pools.get(member.index(shared)) else { return };
    let notice = match sys::receive(listener) {
        Ok(notice) => notice,
        // Its process has ended in between, or a signal came.
        Err(libc::ENOENT | libc::EINTR) => return,
        // What was handed over is no listener.
        Err(_) => {
            member.listener.store(0, Ordering::Relaxed);
            sys::close(listener);
            return;
        }
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
