//! What the judge has its broker do: each is a question, and the answer to it.

pub mod desk;

use crate::sys::{self, ADDRESS_HEAD, ADDRESS_MAX, Fd, Reply};
use core::mem::ManuallyDrop;
use core::net::IpAddr;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};
use desk::{ANSWER, ASKED, DATA_MAX, Desk, Shape, asked};

/// The descriptor of the judge's by which it talks to its broker: the cage lets it talk by no other.
pub const CHANNEL: i32 = 3;

/// The memory that both have; none where this process is no judge.
static DESK: AtomicPtr<Desk> = AtomicPtr::new(null_mut());

/// The number that the broker has for each descriptor that it lent, and one; by the number that it has here.
static LENT: [AtomicI32; 64] = [const { AtomicI32::new(0) }; 64];

/// Whether this process is the judge.
#[inline(always)]
pub fn is_judge() -> bool {
    !DESK.load(Ordering::Relaxed).is_null()
}

/// This process is the judge from now on.
pub fn begin(desk: &'static Desk) {
    DESK.store(core::ptr::from_ref(desk).cast_mut(), Ordering::Release);
}

fn desk() -> Option<&'static Desk> {
    // SAFETY: what `begin` was given is there for good.
    unsafe { DESK.load(Ordering::Acquire).as_ref() }
}

/// Asks; without an answer this process has nothing to do any more.
#[inline(never)]
fn ask_for_all(words: [u64; ASKED], fd: Option<i32>) -> ([u64; ANSWER], Option<Fd>) {
    let mut answer = [0; ANSWER];
    let fds = if fd.is_some() { &[fd.unwrap_or(-1)][..] } else { &[] };
    match sys::tell(CHANNEL, &words, fds).then(|| sys::hear(CHANNEL, &mut answer, true)).flatten() {
        Some([fd, ..]) => (answer, fd),
        None => sys::exit(1),
    }
}

fn ask(words: [u64; ASKED], fd: Option<i32>) -> (i64, Option<Fd>) {
    let ([number, ..], fd) = ask_for_all(words, fd);
    (number as i64, fd)
}

/// On whose account the broker's processes are that wait for the call at hand.
static SITE: AtomicU32 = AtomicU32::new(0);

/// The call at hand is this site's.
pub fn set_site(site: u32) {
    SITE.store(site, Ordering::Relaxed);
}

fn site() -> u64 {
    u64::from(SITE.load(Ordering::Relaxed))
}

/// What of a lent socket is under its lock, which a caller can hold for as long as it likes: the length of a name and the name, or the
/// negative errno and nothing.
#[cold]
pub fn name(fd: i32, which: u64) -> (i64, [u8; ADDRESS_HEAD]) {
    let ([len, words @ ..], _) = ask_for_all([asked::NAME, token(fd), which, site(), 0, 0, 0, 0], None);
    let mut bytes = [0; ADDRESS_HEAD];
    bytes.as_chunks_mut::<8>().0.iter_mut().zip(words).for_each(|(to, word)| *to = word.to_ne_bytes());
    (len as i64, bytes)
}

/// Puts text on the desk; how much there is of it.
#[inline(never)]
fn put(parts: &[&[u8]]) -> Option<()> {
    desk()?.put_text(parts)
}

/// The files that came with the call at hand, each for its first use, and whose they are.
static KEPT: [AtomicI32; KEPT_NAMES.len()] = [const { AtomicI32::new(0) }; KEPT_NAMES.len()];
static KEPT_OF: AtomicU32 = AtomicU32::new(0);
/// The files of /proc that come with a call.
pub const KEPT_NAMES: [&[u8]; 3] = [b"mem", b"maps", b"status"];

/// They were opened while the call waited.
static IS_CERTAIN: AtomicBool = AtomicBool::new(false);

/// Keeps what came with the call of a thread, in the place of what came before.
pub fn keep(thread: u32, handed: sys::ReceivedFds) {
    let is_certain = handed[0].is_some();
    for (place, fd) in KEPT.iter().zip(handed) {
        let new = fd.map_or(0, |fd| ManuallyDrop::new(fd).0.wrapping_add(1));
        match place.swap(new, Ordering::Relaxed) {
            0 => {}
            old => sys::close(old.wrapping_sub(1)),
        }
    }
    KEPT_OF.store(thread, Ordering::Relaxed);
    IS_CERTAIN.store(is_certain, Ordering::Relaxed);
}

/// A file of a thread's that came with its call.
pub fn kept(thread: u32, name: &[u8]) -> Option<Fd> {
    if KEPT_OF.load(Ordering::Relaxed) != thread {
        return None;
    }
    let place = KEPT_NAMES.iter().position(|kept| *kept == name).and_then(|index| KEPT.get(index))?;
    match place.swap(0, Ordering::Relaxed) {
        0 => None,
        fd => Some(Fd(fd.wrapping_sub(1))),
    }
}

/// A file of a thread's in /proc, to read it or as a place.
#[cold]
#[inline(never)]
pub fn open(thread: u32, name: &[u8], is_place: bool) -> Option<Fd> {
    put(&[name])?;
    ask([asked::OPEN, u64::from(thread), u64::from(is_place), name.len() as u64, 0, 0, 0, 0], None).1
}

/// What a link in a folder of the caller's in /proc leads to; `None` where it is a link like any other, an error where that is not
/// known.
#[cold]
pub fn follow(folder: i32, name: &[u8]) -> Result<Option<Fd>, i32> {
    /// The answer for what is no link of the kernel's own.
    const LIKE_ANY_OTHER: i64 = -(libc::EPERM as i64);
    put(&[name]).ok_or(libc::ENAMETOOLONG)?;
    match ask([asked::FOLLOW, name.len() as u64, 0, 0, 0, 0, 0, 0], Some(folder)) {
        (_, Some(place)) => Ok(Some(place)),
        (LIKE_ANY_OTHER, None) => Ok(None),
        (errno, None) => Err(i32::try_from(errno.wrapping_neg()).unwrap_or(libc::EACCES)),
    }
}

/// The caller's descriptor with this number.
pub fn borrow(number: i32) -> Result<Fd, i32> {
    match ask([asked::BORROW, u64::from(number.cast_unsigned()), site(), 0, 0, 0, 0, 0], None) {
        (token @ 0.., Some(fd)) => {
            let place = usize::try_from(fd.0).ok().and_then(|own| LENT.get(own)).ok_or(libc::EMFILE)?;
            place.store((token as i32).wrapping_add(1), Ordering::Relaxed);
            Ok(fd)
        }
        (errno, _) => Err(i32::try_from(errno.wrapping_neg()).unwrap_or(libc::EPERM)),
    }
}

/// What the broker calls a descriptor that it lent.
fn token(fd: i32) -> u64 {
    let place = usize::try_from(fd).ok().and_then(|own| LENT.get(own));
    place.map_or(u64::MAX, |place| i64::from(place.load(Ordering::Relaxed)).wrapping_sub(1) as u64)
}

/// Whether what was read of the caller is the caller's: its files came with the call, or the call still waits.
pub fn is_certain() -> bool {
    IS_CERTAIN.load(Ordering::Relaxed) || still_waits()
}

/// Whether the call still waits.
pub fn still_waits() -> bool {
    ask([asked::WAITS, 0, 0, 0, 0, 0, 0, 0], None).0 == 1
}

/// Connects, a socket whose sending is ended first if so; that it is awaited, or finds no place.
pub fn connect(fd: i32, address: &[u8; ADDRESS_MAX], len: usize, ends_sending: bool) -> i64 {
    match put(&[address]) {
        Some(()) => ask([asked::CONNECT, token(fd), len as u64, site(), u64::from(ends_sending), 0, 0, 0], None).0,
        None => -i64::from(libc::EACCES),
    }
}

/// This process's own room for a message's data.
static ROOM: AtomicPtr<u8> = AtomicPtr::new(null_mut());

/// The room for a message's data, which the kernel may read into.
pub fn data() -> Option<&'static mut [u8]> {
    if ROOM.load(Ordering::Relaxed).is_null() {
        ROOM.store(sys::allocate(DATA_MAX)?.cast(), Ordering::Relaxed);
    }
    // SAFETY: a mapping of that size, never unmapped; the judge has one thread, and each use ends before the next.
    Some(unsafe { core::slice::from_raw_parts_mut(ROOM.load(Ordering::Relaxed), DATA_MAX) })
}

/// Copies so much of the room to the desk.
fn put_data(len: usize) -> Option<()> {
    desk()?.put_data(data()?.get(..len)?)
}

/// A message whose data is in its room.
pub struct Message<'m> {
    pub name: &'m [u8; ADDRESS_MAX],
    pub control: &'m [u8],
    pub shape: Shape,
    pub len: usize,
    pub flags: i32,
}

/// Sends a message: without waiting for room, or by a process that answers the call. How much was sent is written to `tell_at`, if that is
/// not 0.
pub fn send(fd: i32, message: &Message<'_>, answers: bool, tell_at: u64) -> i64 {
    let data = if message.shape.faults { Some(()) } else { put_data(message.len) };
    if data.and_then(|()| put(&[message.name, message.control])).is_none() {
        return -i64::from(libc::EACCES);
    }
    let what = if answers { asked::SEND_LATER } else { asked::SEND };
    let (flags, shape) = (u64::from(message.flags.cast_unsigned()), message.shape.word());
    ask([what, token(fd), flags, shape, message.len as u64, tell_at, site(), 0], None).0
}

pub fn bind(fd: i32, address: &[u8; ADDRESS_MAX], len: usize) -> i64 {
    match put(&[address]) {
        Some(()) => ask([asked::BIND, token(fd), len as u64, site(), 0, 0, 0, 0], None).0,
        None => -i64::from(libc::EACCES),
    }
}

pub fn listen(fd: i32, backlog: i32) -> i64 {
    ask([asked::LISTEN, token(fd), u64::from(backlog.cast_unsigned()), site(), 0, 0, 0, 0], None).0
}

pub fn set_option(fd: i32, level: i32, option: i32, value: &[u8]) -> i64 {
    let [level, option] = [level, option].map(|number| u64::from(number.cast_unsigned()));
    match put(&[value]) {
        Some(()) => ask([asked::SET, token(fd), level, option, value.len() as u64, site(), 0, 0], None).0,
        None => -i64::from(libc::EACCES),
    }
}

/// Whether an address is this host's own.
pub fn is_own(ip: IpAddr) -> Option<bool> {
    let kind = match ip {
        IpAddr::V4(ip) => put(&[&ip.octets()]).map(|()| 4)?,
        IpAddr::V6(ip) => put(&[&ip.octets()]).map(|()| 6)?,
    };
    match ask([asked::OWN, kind, 0, 0, 0, 0, 0, 0], None).0 {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Writes an event; whether every sink has taken it.
#[cold]
pub fn write(priority: u8, time: u64, fields: &[u8], line: &[u8]) -> bool {
    let words = [asked::WRITE, u64::from(priority), time, fields.len() as u64, line.len() as u64, 0, 0, 0];
    put(&[fields, line]).is_some_and(|()| ask(words, None).0 == 1)
}

/// What is done with the job at hand.
pub fn done(reply: Option<Reply>) {
    let (what, result) = match reply {
        None => (desk::NOBODY, 0),
        Some(Reply::GoOn) => (desk::GO_ON, 0),
        Some(Reply::Result(result)) => (desk::RESULT, result as u64),
    };
    if !sys::tell(CHANNEL, &[asked::DONE, what, result, 0, 0, 0, 0, 0], &[]) {
        sys::exit(1);
    }
}
