//! The way from a worker to the supervisor of its server: a pair of sockets that the master makes before it forks.
//!
//! The pair has no name: nobody who was not forked from the master can reach it, take its place, or fill its queue. Both ends
//! are closed on exec, and a worker closes its own before it runs anything for a request. As the master keeps the supervisor's
//! end, what a worker has asked is not lost with a supervisor, but answered by the next.
//!
//! A worker asks for a place before it loads its filter, which nobody can take off again: without an answer, or a place, it
//! knows what to load. It never waits for longer than [`PATIENCE`].

use super::NoSupervisor;
use crate::child::{context, handed};
use crate::memory::StringBuf;
use crate::policy::compiler;
use crate::process::state;
use crate::report::counters;
use crate::report::sink::held::HeldDescriptor;
use crate::request::slots_address;
use crate::server::{listeners, local_listeners};
use crate::sys;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use portcullis_request::environment::SUPERVISE;
use sys::Fd;

/// The version of what worker and supervisor say to each other.
const VERSION: u64 = 5;
/// How long a worker waits for the supervisor, its start included, in milliseconds.
const PATIENCE: u64 = 3000;
/// After which a supervisor that seems to be there is not waited for any longer: another is started.
const ANEW: u64 = 2000;
/// How long is waited before it is looked whether the supervisor has ended, in milliseconds.
const LOOK: u32 = 50;
/// How often a worker starts one.
const STARTS: usize = 3;

/// The descriptor of the supervisor that is its policy's, where that is handed down.
const POLICY: i32 = super::supervisor::LISTENER + 1;

/// A worker asks for a place.
pub const ASKED: [u64; 1] = [VERSION];
/// What the supervisor answers, with its number: there is a place, and there is none.
pub const ADMITTED: u64 = 1;
pub const FULL: u64 = 2;

/// Words in which a worker tells.
pub const TOLD: usize = 7;

/// A worker's first message to the supervisor, which carries its seccomp listener.
pub struct Registration {
    /// The secret of its filter.
    pub secret: u64,
    /// Where it lies in the worker's memory: a process that has it there is the worker, or a fork of it.
    pub secret_at: u64,
    /// Where the worker's role lies.
    pub role_at: u64,
    /// Where the list of its threads' requests lies.
    pub slots_at: u64,
    /// Where the ports lie on which its server listens.
    pub ports_at: u64,
    /// Where the marks of its server's local listeners lie.
    pub marks_at: u64,
}

impl Registration {
    fn words(&self) -> [u64; TOLD] {
        let Registration { secret, secret_at, role_at, slots_at, ports_at, marks_at } = *self;
        [VERSION, secret, secret_at, role_at, slots_at, ports_at, marks_at]
    }

    /// `None` for another version.
    pub fn of(words: &[u64; TOLD]) -> Option<Registration> {
        let [version, secret, secret_at, role_at, slots_at, ports_at, marks_at] = *words;
        (version == VERSION).then_some(Registration { secret, secret_at, role_at, slots_at, ports_at, marks_at })
    }
}

/// The master's and its workers' end of the pair, and the supervisor's.
static WORKERS: HeldDescriptor = HeldDescriptor::new();
static SUPERVISORS: HeldDescriptor = HeldDescriptor::new();

/// The group of processes of the supervisor at the other end of a pair that this process made for itself.
static OWN: AtomicU64 = AtomicU64::new(0);
static IS_OWN: AtomicBool = AtomicBool::new(false);

/// The number of the supervisor's group, or who is starting one: of a pair that the master made, its workers share it.
fn group() -> &'static AtomicU64 {
    if IS_OWN.load(Ordering::Relaxed) { &OWN } else { &counters::in_force().supervisor }
}

/// Makes the pair, where there is none or somebody else has one of its numbers: for the workers to come, or for this process.
pub fn hold(is_own: bool) {
    if WORKERS.ours().is_some() && SUPERVISORS.ours().is_some() {
        return;
    }
    release();
    let Ok([workers, supervisors]) = sys::local_pair() else { return };
    WORKERS.refresh(|| Ok(workers));
    SUPERVISORS.refresh(|| Ok(supervisors));
    IS_OWN.store(is_own, Ordering::Relaxed);
    // Nobody listens at this one.
    group().store(0, Ordering::Relaxed);
}

/// Closes both ends, so that nothing that this process runs has them.
pub fn release() {
    WORKERS.release();
    SUPERVISORS.release();
}

/// In the number of the supervisor's group: it is that of the process that is starting one.
const STARTING: u64 = 1 << 32;

/// Whether the supervisor is there, or is being started, by what the server's processes share.
fn is_there(word: u64) -> bool {
    let number = word as u32;
    number != 0 && if word & STARTING == 0 { sys::exists_group(number) } else { sys::exists(number) }
}

/// A place at the supervisor.
pub struct Link {
    socket: Fd,
    supervisor: u32,
    /// The one before had ended, and was not to.
    pub is_anew: bool,
}

/// Asks the server's supervisor for a place; starts it where it is not there.
pub fn link() -> Result<Link, NoSupervisor> {
    hold(true);
    let begun = sys::since_boot();
    let waited = || sys::since_boot().wrapping_sub(begun) / 1_000_000;
    let (mut asked, mut starts, mut insists, mut is_anew) = (None, 0_usize, false, false);
    let mut seen = (group().load(Ordering::Acquire), 0);
    while waited() < PATIENCE {
        let word = group().load(Ordering::Acquire);
        // Another worker has started one meanwhile: that has its own time.
        if word != seen.0 {
            seen = (word, waited());
        }
        let is_late = !insists && waited().wrapping_sub(seen.1) >= ANEW;
        if is_late || !is_there(word) {
            insists |= is_late;
            is_anew |= word != 0 && word & STARTING == 0;
            starts = starts.wrapping_add(1);
            if starts > STARTS || !start(word) {
                return Err(NoSupervisor::Supervisor);
            }
        }
        let Some(socket) = asked.take().or_else(ask) else { continue };
        let mut entry = [libc::pollfd { fd: socket.0, events: libc::POLLIN, revents: 0 }];
        sys::poll(&mut entry, LOOK);
        let mut answer = [0; 16];
        match sys::read(socket.0, &mut answer).as_chunks::<8>().0 {
            [kind, number] if u64::from_ne_bytes(*kind) == ADMITTED => {
                return Ok(Link { socket, supervisor: u64::from_ne_bytes(*number) as u32, is_anew });
            }
            [_, _] => return Err(NoSupervisor::Room),
            // It had ended with the question, or there is no answer as yet.
            _ if entry[0].revents & libc::POLLHUP != 0 => {}
            _ => asked = Some(socket),
        }
    }
    Err(NoSupervisor::Answer)
}

/// Asks; `None` where that cannot be done, or not yet: others' questions fill the queue.
fn ask() -> Option<Fd> {
    let wait = |fd| {
        sys::poll(&mut [libc::pollfd { fd, events: libc::POLLOUT, revents: 0 }], LOOK);
    };
    let (queue, pair) = (WORKERS.ours(), sys::local_pair());
    let (Some(queue), Ok([own, theirs])) = (queue, pair) else {
        // Nothing is there to wait for, but the time.
        wait(-1);
        return None;
    };
    match sys::pass(queue, &ASKED, theirs.0) {
        Ok(()) => Some(own),
        Err(errno) => {
            wait(if errno == libc::EAGAIN { queue } else { -1 });
            None
        }
    }
}

/// The server's master, which the supervisor outlives by nothing but its workers: the parent of a forked worker, else the
/// process itself. In a container the master may be the first process; of any other, a worker whose parent is that is left behind.
fn master() -> u32 {
    let (own, parent) = (sys::getpid(), sys::getppid());
    match state::first_pid() {
        first if first == own || parent == 0 || (parent == 1 && first != 1) => own,
        _ => parent,
    }
}

/// Starts the supervisor, unless another worker is faster; false where that cannot be done.
fn start(seen: u64) -> bool {
    let own = u64::from(sys::getpid()) | STARTING;
    if group().compare_exchange(seen, own, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return true;
    }
    let started = launch();
    group().store(started.unwrap_or(0), Ordering::Release);
    started.is_some()
}

/// Starts it; the number of its group of processes.
fn launch() -> Option<u64> {
    let end = SUPERVISORS.ours()?;
    let command = compiler::command()?;
    let settled = state::settled();
    let policy = handed::for_supervisor();
    let inherited = context::compose_supervisor(handed::told_supervisor(policy.as_ref(), POLICY));
    let (mut preload, mut supervise) = (StringBuf::<600>::new(), StringBuf::<64>::new());
    preload.push(b"LD_PRELOAD=");
    preload.push(settled.library.bytes());
    // Beside it is the key of the seals.
    let mut config = StringBuf::<600>::new();
    config.push(b"PORTCULLIS_CONFIG=");
    config.push(settled.config_path.bytes());
    supervise.push(SUPERVISE);
    supervise.number(u64::from(master()));
    let environment = [
        preload.c_str().as_ptr(),
        inherited.c_str().as_ptr(),
        supervise.c_str().as_ptr(),
        config.c_str().as_ptr(),
        c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".as_ptr(),
        core::ptr::null(),
    ];
    let arguments = [c"portcullis".as_ptr(), c"supervise".as_ptr(), core::ptr::null()];
    // SAFETY: the child only makes system calls of `sys`.
    match unsafe { sys::fork_silent() } {
        Err(_) => None,
        Ok(0) => {
            // The number of its group is nobody else's as long as one of the supervisor's processes is there.
            sys::setsid();
            // Its parent ends at once, so that it is no child of the server's.
            // SAFETY: as above.
            if unsafe { sys::fork_silent() } != Ok(0) {
                sys::exit(0);
            }
            if let Ok(nothing) = sys::open(libc::AT_FDCWD, c"/dev/null", libc::O_RDWR, 0) {
                for standard in 0..3 {
                    sys::duplicate_onto(nothing.0, standard);
                }
                core::mem::forget(nothing);
            }
            // It may be that number already, and would then be closed on exec.
            let high = sys::duplicate_high(end, 64).unwrap_or(end);
            let policy = policy.as_ref().map(|policy| sys::duplicate_high(policy.0, 64).unwrap_or(policy.0));
            sys::duplicate_onto(high, super::supervisor::LISTENER);
            match policy {
                Some(policy) => sys::duplicate_onto(policy, POLICY),
                None => sys::close(POLICY),
            }
            sys::close_from(POLICY.wrapping_add(1));
            sys::unblock_signals();
            // SAFETY: the vectors end in NULL and hold C strings.
            unsafe {
                sys::execve(command.c_str().as_ptr().cast(), arguments.as_ptr().cast(), environment.as_ptr().cast())
            };
            sys::exit(127)
        }
        Ok(child) => {
            sys::wait_for(child);
            u64::try_from(child).ok()
        }
    }
}

impl Link {
    /// Hands the listener over, and waits until the supervisor has it; false where that has ended. One that is late has it in
    /// its queue.
    pub fn hand_over(self, listener: Fd, secret: u64) -> bool {
        sys::set_ptracer(self.supervisor);
        let told = Registration {
            secret,
            secret_at: sys::secret_address() as u64,
            role_at: state::role_address() as u64,
            slots_at: slots_address() as u64,
            ports_at: listeners::address() as u64,
            marks_at: local_listeners::address() as u64,
        };
        if sys::pass(self.socket.0, &told.words(), listener.0).is_err() {
            return false;
        }
        let mut entry = [libc::pollfd { fd: self.socket.0, events: libc::POLLIN, revents: 0 }];
        sys::poll(&mut entry, PATIENCE as u32);
        let mut answer = [0];
        entry[0].revents == 0 || sys::read(self.socket.0, &mut answer) == b"k"
    }
}
