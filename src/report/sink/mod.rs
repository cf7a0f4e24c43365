//! Where events go. A sink never blocks, and never writes to a descriptor that is not provably the guard's.
//!
//! A worker may be unable to open anything: chrooted, without privileges, /dev/log out of reach. So the master opens
//! the sinks before it forks and its workers inherit them, closed on exec and with high numbers. Every other process
//! opens what it needs for one event and closes it again.

mod container;
pub mod held;
mod lent;
mod write;

use crate::policy::in_force;
use crate::process::state;
use crate::report::{counters, seal};
use crate::sys;
use crate::sys::broker as ask;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering};
use held::{HeldDescriptor, SinkResult};
pub use lent::{HandedSink as Handed, accept, end_of, is_spoilt, lend, spoil};
use portcullis_event::journal::{Fields, fields, priority};
use portcullis_event::{Event, Line, encode};
use portcullis_policy::{Policy, Sink};

/// Where an event goes that no sink of the policy has taken; behind them is a container's standard error.
const INSTEAD: [Sink; 2] = [Sink::Journald, Sink::Syslog];

static HELD_JOURNALD: HeldDescriptor = HeldDescriptor::new();
static HELD_SYSLOG: HeldDescriptor = HeldDescriptor::new();
static HELD_FILE: HeldDescriptor = HeldDescriptor::new();
static HELD_STDERR: HeldDescriptor = HeldDescriptor::new();
static HELD_CONTAINER: HeldDescriptor = HeldDescriptor::new();

/// The root folder in which the sinks that are held were opened: its mount, device and inode. Zeros: none is held; ones: they were
/// handed down.
static HELD_IN: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Whether what is held was opened in another root folder, or in other mounts, than this process's: there somebody else may have put
/// a log or a socket at the path of one.
pub fn is_elsewhere() -> bool {
    let held_in = [0, 1, 2].map(|at: usize| HELD_IN.get(at).map_or(0, |word| word.load(Ordering::Relaxed)));
    held_in != [0; 3] && sys::root_folder().map_or(held_in == [u64::MAX; 3], |now| now != held_in)
}

/// Whether what is held was handed down.
fn is_handed() -> bool {
    HELD_IN.first().is_some_and(|word| word.load(Ordering::Relaxed) == u64::MAX)
}

fn set_held_in(root: [u64; 3]) {
    HELD_IN.iter().zip(root).for_each(|(word, now)| word.store(now, Ordering::Relaxed));
}

/// The sinks that a process may hold and hand down.
pub const KINDS: usize = 4;
const HELD: [&HeldDescriptor; KINDS] = [&HELD_JOURNALD, &HELD_SYSLOG, &HELD_FILE, &HELD_CONTAINER];
/// Those that are opened by a path of the policy or of the system.
const BY_PATH: usize = 3;

/// Holds what this program was handed; for the constructor.
pub fn keep(handed: [Option<Handed>; KINDS]) {
    for (at, (place, file)) in HELD.into_iter().zip(handed).enumerate() {
        if let Some((fd, stat, end)) = file {
            sys::close_on_exec(fd);
            place.hold(fd, &stat);
            lent::set_end(at, end);
            // A container's standard error is handed down where the program is, and it has the other paths.
            let is_by_path = at < BY_PATH;
            if !is_by_path {
                container::was_lent();
            }
            if is_by_path || HELD_IN.iter().all(|word| word.load(Ordering::Relaxed) == 0) {
                set_held_in(if is_by_path { [u64::MAX; 3] } else { sys::root_folder().unwrap_or_default() });
            }
        }
    }
}

/// Whether a sink may be held by this descriptor, as none is by a lower one: every close is asked so.
#[inline(always)]
pub fn may_hold(fd: i32) -> bool {
    held::may_be_held(fd)
}

fn kept() -> impl Iterator<Item = &'static HeldDescriptor> {
    HELD.into_iter().chain(lent::LENT)
}

/// Whether a sink is held by this descriptor which the process could not open again.
#[cold]
#[inline(never)]
pub fn is_kept(fd: i32) -> bool {
    HELD_CONTAINER.is_at(fd) || kept().any(|place| place.is_at(fd)) && is_elsewhere()
}

/// The lowest descriptor from `first` on of which that is so.
pub fn kept_from(first: u32) -> Option<u32> {
    let own = HELD_CONTAINER.ours();
    let all = kept().filter_map(HeldDescriptor::ours).filter(|fd| Some(*fd) == own || is_elsewhere());
    all.map(i32::cast_unsigned).filter(|fd| *fd >= first).min()
}

/// Another descriptor is about to take this number: a sink that is kept there moves.
#[cold]
#[inline(never)]
pub fn make_way(fd: i32) {
    if is_kept(fd) {
        kept().filter(|place| place.is_at(fd)).for_each(HeldDescriptor::relocate);
    }
}

/// A process is about to leave its root folder or its mounts: what it cannot open there, it holds, and what it has to lend.
#[cold]
#[inline(never)]
pub fn hold_before_leaving() {
    if state::ready() {
        hold(&in_force::policy());
        lent::open(&in_force::policy());
    }
}

/// Opens the sinks of `policy` that are not held yet. Where two threads meet, one's are left open.
pub fn hold(policy: &Policy<'_>) {
    if is_elsewhere() {
        return;
    }
    set_held_in(sys::root_folder().unwrap_or_default());
    let sinks = policy.sinks();
    if Sink::Journald.is_in(sinks) {
        HELD_JOURNALD.refresh(|| write::to_socket(Sink::Journald));
    }
    if Sink::Syslog.is_in(sinks) {
        HELD_SYSLOG.refresh(|| write::to_socket(Sink::Syslog));
    }
    if Sink::File.is_in(sinks) {
        let path = write::c_path(policy.log_file());
        if !HELD_FILE.is(crate::sys::stat(path).map(|stat| stat.identity)) {
            HELD_FILE.release();
        }
        HELD_FILE.refresh(|| write::file(path));
    }
    if Sink::Stderr.is_in(sinks) && write::is_stderr(crate::process::state::settled().stderr) {
        HELD_STDERR.refresh(write::stderr);
    }
    if HELD.iter().take(BY_PATH).all(|place| place.ours().is_none()) {
        HELD_CONTAINER.refresh(container::stderr);
    }
}

/// Whether a container's standard error is held, since no other sink could be opened that programs open themselves: they are handed it.
pub fn is_in_container() -> bool {
    HELD_CONTAINER.ours().is_some()
}

/// An event as it is written: its line, and what the journal has of it.
struct Written<'w> {
    /// Of syslog.
    pub priority: u8,
    /// In nanoseconds since 1970.
    pub time: u64,
    pub line: &'w [u8],
    pub fields: JournalRecord<'w>,
}

/// The journal's fields of an event.
#[derive(Clone, Copy)]
pub enum JournalRecord<'w> {
    By(&'w Event<'w>),
    As(&'w [u8]),
}

/// Writes the event to every sink of the policy; whether all that there are have taken it. What none has taken goes to the journal,
/// or else to syslog, though the policy does not name them, or else to the container's standard error, which is enough.
pub fn send(policy: &Policy<'_>, event: &Event<'_>) -> bool {
    if is_handed() {
        lent::look();
    }
    let mut buffer = Line::new();
    let (priority, time) = (priority(event.severity()), event.time);
    let _ = encode(event, &mut buffer);
    if ask::is_judge() {
        let mut record = Fields::new();
        return ask::write(priority, time, fields(event, &mut record), &buffer);
    }
    write_sealed(policy, priority, time, &mut buffer, JournalRecord::By(event))
}

/// Writes one that is encoded, with the seal of this process.
fn write_sealed(policy: &Policy<'_>, priority: u8, time: u64, line: &mut Line, fields: JournalRecord<'_>) -> bool {
    seal::seal(policy, line);
    let (is_taken, by_any) = write(policy, &Written { priority, time, line, fields });
    if !by_any {
        seal::lost(policy);
    }
    is_taken
}

/// The same of the judge's, for the broker.
pub fn write_of_judge(policy: &Policy<'_>, priority: u8, time: u64, line: &[u8], fields: &[u8]) -> bool {
    let mut buffer = Line::new();
    buffer.try_extend_from_slice(line).is_ok()
        && write_sealed(policy, priority, time, &mut buffer, JournalRecord::As(fields))
}

/// The same of one that is encoded; also whether any sink has taken it.
fn write(policy: &Policy<'_>, event: &Written<'_>) -> (bool, bool) {
    let sinks = policy.sinks();
    let (mut all, mut any) = (true, false);
    for sink in Sink::ALL {
        if sink.is_in(sinks) {
            let taken = sent_to(sink, policy, event);
            all &= taken;
            any |= taken;
        }
    }
    if !any {
        any = INSTEAD.iter().any(|sink| !sink.is_in(sinks) && sent_to(*sink, policy, event));
    }
    if !any {
        any = written_by(|| HELD_CONTAINER.with(container::stderr, |fd| write::whole(fd, event.line)));
        all = any;
        counters::unsent(any);
    }
    (all, any)
}

fn sent_to(sink: Sink, policy: &Policy<'_>, event: &Written<'_>) -> bool {
    let line = event.line;
    match sink {
        Sink::Journald => {
            let mut buffer = Fields::new();
            let fields = match event.fields {
                JournalRecord::By(event) => fields(event, &mut buffer),
                JournalRecord::As(fields) => fields,
            };
            let pieces = [fields, b"MESSAGE=", line];
            taken_by(|| HELD_JOURNALD.with(|| write::to_socket(Sink::Journald), |fd| crate::sys::send(fd, &pieces)))
        }
        Sink::Syslog => {
            let head = write::syslog_head(event.priority, crate::sys::getpid());
            let pieces = [head.bytes(), line.strip_suffix(b"\n").unwrap_or(line), b""];
            taken_by(|| HELD_SYSLOG.with(|| write::to_socket(Sink::Syslog), |fd| crate::sys::send(fd, &pieces)))
        }
        Sink::File => written_by(|| to_file(write::c_path(policy.log_file()), event.time, line)),
        Sink::Stderr => {
            let is_stderr = || write::is_stderr(crate::process::state::settled().stderr);
            let open = || if is_stderr() { write::stderr() } else { Err(libc::EBADF) };
            written_by(|| HELD_STDERR.with(open, |fd| write::whole(fd, line)))
        }
    }
}

/// Whether a sink that may be a regular file has taken an event. Where the soft limit of a file's size has kept it from that, a
/// child process writes.
fn written_by(work: impl Fn() -> SinkResult) -> bool {
    taken_by(&work) || crate::sys::limit(libc::RLIMIT_FSIZE).is_some_and(|[soft, hard]| soft < hard) && in_child(&work)
}

/// Whether a sink has taken an event. Where no descriptor was free, a child process tries again.
fn taken_by(work: impl Fn() -> SinkResult) -> bool {
    match work() {
        Ok(taken) => taken,
        Err(libc::EMFILE | libc::ENFILE) => in_child(work),
        Err(_) => false,
    }
}

/// Does it in a child process, whose descriptors and limits are its own: there two descriptors are free, and the soft limits
/// are the hard ones. The child's end brings the program no signal and is seen by no wait of its own.
#[cold]
#[inline(never)]
fn in_child(work: impl Fn() -> SinkResult) -> bool {
    /// How often the child is looked for, and how long is slept in between: half a second.
    const LOOKS: usize = 1000;
    const PAUSE: usize = 500_000;
    // SAFETY: the child makes system calls of `sys` only, and ends.
    match unsafe { crate::sys::fork_silent() } {
        Ok(0) => {
            crate::sys::raise_limit(libc::RLIMIT_NOFILE);
            crate::sys::raise_limit(libc::RLIMIT_FSIZE);
            crate::sys::close(0);
            crate::sys::close(1);
            crate::sys::exit(usize::from(work() != Ok(true)))
        }
        Ok(child) => {
            for _ in 0..LOOKS {
                if let Some(status) = crate::sys::wait(child) {
                    return status == 0;
                }
                crate::sys::sleep(PAUSE);
            }
            // It may be in a call that does not end.
            crate::sys::kill(child);
            let _ = (0..LOOKS).any(|_| {
                crate::sys::sleep(PAUSE);
                crate::sys::wait(child).is_some()
            });
            false
        }
        Err(_) => false,
    }
}

/// When the held file had the log's path, in nanoseconds since 1970.
static HAD_PATH: AtomicU64 = AtomicU64::new(0);

/// The file that has the path now; where that cannot be opened, the one that is held (it was rotated, and the process
/// may not open the new one). A log is rotated within its file system: where the path leads to another one, a mount of the
/// process's own may hide the log, and both files get the event.
///
/// Where the process is elsewhere than where the file was opened, it is the file that is held, and no other.
///
/// Between two events of a burst nobody rotates a log, has read it to its end and removed it: within half a millisecond
/// the path is not looked up again, only whether the file has a name.
fn to_file(path: &CStr, time: u64, line: &[u8]) -> SinkResult {
    const BURST: u64 = 500_000;
    if time.abs_diff(HAD_PATH.load(Ordering::Relaxed)) <= BURST
        && let Some(fd) = HELD_FILE.file()
    {
        return Ok(write::appended(fd, line));
    }
    if let Some(fd) = HELD_FILE.ours()
        && is_elsewhere()
    {
        return Ok(HELD_FILE.file().is_some() && write::appended(fd, line));
    }
    let stat = crate::sys::stat(path);
    let now = stat.map(|stat| stat.identity);
    let is_regular = stat.is_some_and(|stat| stat.mode & libc::S_IFMT == libc::S_IFREG);
    let write = |fd| if is_regular { write::appended(fd, line) } else { write::whole(fd, line) };
    // The path has the file that was held; a child may have closed its descriptor since, and then opens the path again.
    if now.is_some()
        && HELD_FILE.is(now)
        && let Some(fd) = HELD_FILE.ours()
    {
        HAD_PATH.store(if is_regular { time } else { 0 }, Ordering::Relaxed);
        return Ok(write(fd));
    }
    match write::file(path) {
        Ok(file) => {
            let device = crate::sys::fstat(file.0).map(|stat| stat.identity.0);
            let hidden = HELD_FILE.file().filter(|_| !HELD_FILE.is_on(device));
            Ok(write(file.0) | hidden.is_some_and(write))
        }
        Err(errno) => HELD_FILE.file().map(write).ok_or(errno),
    }
}
