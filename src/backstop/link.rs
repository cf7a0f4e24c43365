//! The way from a worker to the supervisor of its server: found by a name in the abstract namespace, started where it is
//! not there. Nobody can take the name before: a number is in it that the master chooses before it forks.

use crate::memory::Text;
use crate::request::slots_address;
use crate::{compiler, context, listeners, local_listeners, state, sys};
use core::sync::atomic::{AtomicU64, Ordering};
use portcullis_request::environment::SUPERVISE;
use sys::Fd;

/// The version of what worker and supervisor say to each other.
const VERSION: u64 = 4;
/// How long the supervisor may take to answer, in milliseconds.
const PATIENCE: u32 = 3000;

/// Words in which a worker tells.
pub const TOLD: usize = 7;

/// What a worker tells the supervisor, with its listener.
pub struct Told {
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

impl Told {
    fn words(&self) -> [u64; TOLD] {
        let Told { secret, secret_at, role_at, slots_at, ports_at, marks_at } = *self;
        [VERSION, secret, secret_at, role_at, slots_at, ports_at, marks_at]
    }

    /// `None` for another version.
    pub fn of(words: &[u64; TOLD]) -> Option<Told> {
        let [version, secret, secret_at, role_at, slots_at, ports_at, marks_at] = *words;
        (version == VERSION).then_some(Told { secret, secret_at, role_at, slots_at, ports_at, marks_at })
    }
}

/// A connection to the supervisor.
pub struct Link {
    socket: Fd,
    supervisor: u32,
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

/// The number in the supervisor's name; 0 as long as there is none. A master that executes itself anew hands it on.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The number, to be handed on.
pub fn number() -> u64 {
    NUMBER.load(Ordering::Relaxed)
}

/// Takes over the number of the program before this one; for the constructor.
pub fn set_number(number: u64) {
    NUMBER.store(number, Ordering::Relaxed);
}

/// Chooses the number, where that was not done yet.
pub fn choose() -> Option<u64> {
    match number() {
        0 => {
            let new = sys::random()? | 1;
            Some(
                NUMBER
                    .compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed)
                    .map_or_else(|other| other, |_| new),
            )
        }
        number => Some(number),
    }
}

/// The supervisor's name: one for each server.
fn name(number: u64) -> Text<96> {
    let mut name = Text::new();
    name.push(b"\0portcullis-");
    name.number(VERSION);
    name.push(b"-");
    name.number(number);
    name
}

/// A connection to the server's supervisor, which is started where it is not there.
pub fn link() -> Option<Link> {
    let master = master();
    let name = name(choose()?);
    for _ in 0..3 {
        let socket = sys::local_packets().ok()?;
        if sys::connect_local(socket.0, name.bytes()) {
            let (supervisor, user) = sys::peer_process(socket.0)?;
            // Anybody may take a name; only root, or this user, is believed.
            return (user == 0 || user == sys::geteuid()).then_some(Link { socket, supervisor });
        }
        start(master, name.bytes())?;
    }
    None
}

/// Starts the supervisor, unless another worker is faster. It listens before this returns.
fn start(master: u32, name: &[u8]) -> Option<()> {
    let command = compiler::command()?;
    let listener = sys::local_packets().ok()?;
    if !sys::listen_local(listener.0, name) {
        return Some(());
    }
    let settled = state::settled();
    let (mut preload, mut inherited, mut supervise) = (Text::<600>::new(), Text::<1024>::new(), Text::<64>::new());
    preload.push(b"LD_PRELOAD=");
    preload.push(settled.library.bytes());
    inherited.push(context::compose_supervisor().bytes());
    supervise.push(SUPERVISE);
    supervise.number(u64::from(master));
    let environment = [
        preload.c_str().as_ptr(),
        inherited.c_str().as_ptr(),
        supervise.c_str().as_ptr(),
        c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".as_ptr(),
        core::ptr::null(),
    ];
    let arguments = [c"portcullis".as_ptr(), c"supervise".as_ptr(), core::ptr::null()];
    // SAFETY: the child only makes system calls of `sys`.
    match unsafe { sys::fork_silent() } {
        Err(_) => None,
        Ok(0) => {
            // Its parent ends at once, so that it is no child of the server's.
            // SAFETY: as above.
            if unsafe { sys::fork_silent() } != Ok(0) {
                sys::exit(0);
            }
            sys::setsid();
            if let Ok(nothing) = sys::open(libc::AT_FDCWD, c"/dev/null", libc::O_RDWR, 0) {
                for standard in 0..3 {
                    sys::duplicate_onto(nothing.0, standard);
                }
                core::mem::forget(nothing);
            }
            // It may be that number already, and would then be closed on exec.
            let high = sys::duplicate_high(listener.0, 64).unwrap_or(listener.0);
            sys::duplicate_onto(high, super::supervisor::LISTENER);
            sys::close_from(super::supervisor::LISTENER.wrapping_add(1));
            sys::unblock_signals();
            // SAFETY: the vectors end in NULL and hold C strings.
            unsafe {
                sys::execve(command.c_str().as_ptr().cast(), arguments.as_ptr().cast(), environment.as_ptr().cast())
            };
            sys::exit(127)
        }
        Ok(child) => {
            sys::wait_for(child);
            Some(())
        }
    }
}

impl Link {
    /// Hands the listener over, and waits until the supervisor has it.
    pub fn hand_over(self, listener: Fd, secret: u64) -> bool {
        sys::set_ptracer(self.supervisor);
        let told = Told {
            secret,
            secret_at: sys::secret_address() as u64,
            role_at: state::role_address() as u64,
            slots_at: slots_address() as u64,
            ports_at: listeners::address() as u64,
            marks_at: local_listeners::address() as u64,
        };
        if !sys::pass(self.socket.0, &told.words(), listener.0) {
            return false;
        }
        let mut entry = [libc::pollfd { fd: self.socket.0, events: libc::POLLIN, revents: 0 }];
        sys::poll(&mut entry, PATIENCE);
        let mut answer = [0];
        entry[0].revents & libc::POLLIN != 0 && sys::read(self.socket.0, &mut answer) == b"k"
    }
}
