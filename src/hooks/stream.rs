//! popen(3), by posix_spawn with an environment of the shell's own.
//!
//! The stream is libc's: a custom stream (fopencookie), which reads and writes by the same functions of libc as popen's own
//! stream does, with popen's descriptor and popen's buffer size. Closing it waits for the shell, whether by pclose, which is
//! fclose in glibc, or by fclose, which is not hooked. pclose is, for another preload that has both: it keeps a list of the
//! streams of its own popen, and would not find this one there.
//!
//! **Source**: libio/iopopen.c of glibc, and POSIX: the streams of earlier calls are closed in the child.
//! **Concurrency**: the streams are a list of mappings that grows and never shrinks, changed in turn. The turn lasts until
//! the shell is started, as in glibc: a descriptor that loses close-on-exec is closed in every shell that is started later.

mod musl;

use super::shell::{self, Command};
use super::turn::Turn;
use super::{fail, lent_actions};
use crate::action::Refused;
use crate::process::state;
use crate::real::objects::{self, of_libc};
use crate::real::table::{part, real};
use crate::real::types::Functions;
use crate::sys;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};

unsafe extern "C" {
    /// shim/stream.c: the descriptor of a stream, which only C's header can name.
    fn portcullis_set_fileno(stream: *mut libc::FILE, fd: c_int);
}

/// A stream of popen. Streams are reused, and never unmapped.
struct Stream {
    taken: AtomicBool,
    /// The descriptor plus one; 0 as long as no shell is at its other end.
    fd: AtomicI32,
    pid: AtomicI32,
    /// A page for its buffer: what libc would allocate for a pipe.
    buffer: AtomicPtr<c_void>,
    /// libc's stream, as long as it is open.
    file: AtomicPtr<libc::FILE>,
    /// Which pipe the descriptor is of, with musl.
    pipe: AtomicU64,
}

const PAGE: usize = sys::PAGE_MIN;
/// Streams of a page, and the address of the next page.
const STREAMS: usize = (PAGE - 16) / size_of::<Stream>();

struct Streams {
    next: AtomicPtr<Streams>,
    streams: [Stream; STREAMS],
}

const _: () = assert!(size_of::<Streams>() <= PAGE);

static TURN: Turn = Turn::new();
static FIRST: AtomicPtr<Streams> = AtomicPtr::new(core::ptr::null_mut());

/// Every stream; for whoever has the turn.
fn all() -> impl Iterator<Item = &'static Stream> {
    let mut page = FIRST.load(Ordering::Acquire);
    core::iter::from_fn(move || {
        // SAFETY: null, or a mapping that stays for ever; zeros are free streams.
        let streams = unsafe { page.as_ref() }?;
        page = streams.next.load(Ordering::Acquire);
        Some(streams.streams.iter())
    })
    .flatten()
}

impl Stream {
    /// A free one.
    fn take() -> Option<&'static Stream> {
        let _held = TURN.take();
        if let Some(free) = all().find(|stream| !stream.taken.load(Ordering::Relaxed)) {
            free.taken.store(true, Ordering::Relaxed);
            return Some(free);
        }
        let page = sys::allocate(PAGE)?.cast::<Streams>();
        // SAFETY: a zeroed mapping of that size, which stays for ever.
        let streams = unsafe { &*page };
        streams.next.store(FIRST.load(Ordering::Relaxed), Ordering::Relaxed);
        let first = streams.streams.first()?;
        first.taken.store(true, Ordering::Relaxed);
        FIRST.store(page, Ordering::Release);
        Some(first)
    }

    fn descriptor(&self) -> c_int {
        self.fd.load(Ordering::Relaxed).wrapping_sub(1)
    }

    fn free(&self) {
        self.taken.store(false, Ordering::Release);
    }

    /// libc's stream on it.
    fn open(&'static self, does: Does) -> Option<*mut libc::FILE> {
        let functions = Functions { read, write, seek, close };
        let mode = if does == Does::Read { c"r" } else { c"w" };
        let open = part::fopencookie()?;
        // SAFETY: the cookie lives for ever; the functions are for it.
        let file = unsafe { open((&raw const *self).cast_mut().cast(), mode.as_ptr(), functions) };
        if file.is_null() {
            return None;
        }
        let mut buffer = self.buffer.load(Ordering::Relaxed);
        if buffer.is_null() {
            buffer = sys::allocate(PAGE).unwrap_or(core::ptr::null_mut());
            self.buffer.store(buffer, Ordering::Relaxed);
        }
        if let Some(set) = part::setvbuf()
            && !buffer.is_null()
        {
            // SAFETY: the page is this stream's for ever, and the stream is new.
            unsafe { set(file, buffer.cast(), libc::_IOFBF, PAGE) };
        }
        Some(file)
    }
}

/// What the program does with the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Read,
    Write,
}

impl Does {
    /// The program's end of a pipe, and the shell's.
    fn of(self, ends: [c_int; 2]) -> (c_int, c_int) {
        match self {
            Does::Read => (ends[0], ends[1]),
            Does::Write => (ends[1], ends[0]),
        }
    }
}

/// popen's mode; `None` for one that is not allowed.
///
/// # Safety
/// `kind` must be a C string.
unsafe fn mode(kind: *const c_char) -> Option<(Does, bool)> {
    let (mut reads, mut writes, mut closes) = (false, false, false);
    // SAFETY: as the caller promises.
    for (index, letter) in unsafe { CStr::from_ptr(kind) }.to_bytes().iter().enumerate() {
        match letter {
            b'e' if index > 0 || !state::has_other_libc() => closes = true,
            // musl looks at the first, and for an `e` behind it.
            _ if index > 0 && state::has_other_libc() => {}
            b'r' => reads = true,
            b'w' => writes = true,
            _ => return None,
        }
    }
    match (reads, writes) {
        (true, false) => Some((Does::Read, closes)),
        (false, true) => Some((Does::Write, closes)),
        _ => None,
    }
}

/// popen(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn popen(text: *const c_char, kind: *const c_char) -> *mut libc::FILE {
    // SAFETY: as the caller promises.
    let opened = match unsafe { mode(kind) } {
        Some((does, closes)) => {
            let command = Command::of(text);
            match shell::decide(&command, |envp| open(&command, envp, does, closes)) {
                Ok(Ok(opened)) => opened,
                Ok(Err(errno)) => Err(not_started(errno)),
                Err(Refused(errno)) => Err(errno),
            }
        }
        None => Err(libc::EINVAL),
    };
    opened.unwrap_or_else(|errno| {
        fail(errno);
        core::ptr::null_mut()
    })
}

/// `popen` by its other name.
///
/// # Safety
/// As [`popen`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn _IO_popen(text: *const c_char, kind: *const c_char) -> *mut libc::FILE {
    // SAFETY: as the caller promises.
    unsafe { popen(text, kind) }
}

/// pclose(3): libc's for the streams of [`popen`], and for any other what comes behind this library.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn pclose(file: *mut libc::FILE) -> c_int {
    let next = real::pclose();
    let own = || all().find(|stream| stream.file.load(Ordering::Acquire) == file);
    if state::has_other_libc()
        && let Some(stream) = own()
    {
        // SAFETY: as the caller promises.
        return unsafe { musl::close(stream, file) };
    }
    let close = match next {
        Some(next) if !objects::is_libcs(next as usize) && own().is_some() => {
            of_libc!(c"pclose": fn(*mut libc::FILE) -> c_int).or(Some(next))
        }
        next => next,
    };
    match close {
        // SAFETY: as the caller promises.
        Some(close) => unsafe { close(file) },
        None => fail(libc::ENOSYS),
    }
}

type Vector = crate::sys::Vector;

/// The errno where the shell cannot be started.
fn not_started(errno: i32) -> i32 {
    if state::has_other_libc() { errno } else { libc::ENOMEM }
}

/// A stream with a shell at its other end.
fn open(command: &Command, envp: Vector, does: Does, closes: bool) -> Result<*mut libc::FILE, i32> {
    let stream = Stream::take().ok_or(libc::ENOMEM)?;
    if state::has_other_libc() {
        return musl::open(command, envp, stream, does, closes);
    }
    let Some(file) = stream.open(does) else {
        stream.free();
        return Err(libc::ENOMEM);
    };
    let started = sys::pipe().and_then(|ends| {
        let (own, mut other) = does.of(ends);
        let started = start(command, envp, stream, does, closes, own, &mut other);
        sys::close(other);
        started.map(|()| own).inspect_err(|_| sys::close(own))
    });
    match started {
        Ok(own) => {
            // SAFETY: the stream was opened just now, and nobody else has it.
            unsafe { portcullis_set_fileno(file, own) };
            stream.file.store(file, Ordering::Release);
            Ok(file)
        }
        Err(errno) => {
            if let Some(close) = part::fclose() {
                // SAFETY: as above. No shell is at its other end, so that nothing waits.
                unsafe { close(file) };
            }
            Err(errno)
        }
    }
}

/// What a child does before it is the shell.
struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> Option<Actions> {
        let mut actions = core::mem::MaybeUninit::uninit();
        // SAFETY: libc initialises it.
        unsafe {
            part::posix_spawn_file_actions_init()?(actions.as_mut_ptr());
            Some(Actions(actions.assume_init()))
        }
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        if let Some(destroy) = part::posix_spawn_file_actions_destroy() {
            // SAFETY: it was initialised.
            unsafe { destroy(&raw mut self.0) };
        }
    }
}

/// Starts the shell with `other` as its standard input or output.
fn start(
    command: &Command,
    envp: Vector,
    stream: &'static Stream,
    does: Does,
    closes: bool,
    own: c_int,
    other: &mut c_int,
) -> Result<(), i32> {
    let onto = if does == Does::Read { 1 } else { 0 };
    if *other == onto {
        // The child would lose it by close-on-exec.
        let high = sys::duplicate_high(onto, 0).map_err(|_| libc::ENOMEM)?;
        sys::close(core::mem::replace(other, high));
    }
    let parts =
        (real::posix_spawn(), real::posix_spawn_file_actions_adddup2(), part::posix_spawn_file_actions_addclose());
    let (Some(spawn), Some(duplicate), Some(close)) = parts else { return Err(libc::ENOSYS) };
    let mut actions = Actions::new().ok_or(libc::ENOSYS)?;
    let to = &raw mut actions.0;
    // SAFETY: the actions were initialised.
    if unsafe { duplicate(to, *other, onto) } != 0 {
        return Err(libc::ENOMEM);
    }
    let _held = TURN.take();
    if state::has_other_libc() {
        musl::free_closed();
    }
    for earlier in all().map(Stream::descriptor).filter(|fd| *fd >= 0 && *fd != onto) {
        // SAFETY: as above.
        if unsafe { close(to, earlier) } != 0 {
            return Err(libc::ENOMEM);
        }
    }
    let (mut pid, nothing) = (0, core::ptr::null());
    let argv = command.vector().cast();
    let started = lent_actions::with(to, envp, |actions| {
        // SAFETY: as above; the vectors end in NULL, or the kernel finds the fault.
        unsafe { spawn(&raw mut pid, shell::SHELL.as_ptr(), actions, nothing, argv, envp.cast()) }
    });
    match started {
        0 => {}
        errno => return Err(not_started(errno)),
    }
    stream.pid.store(pid, Ordering::Relaxed);
    stream.fd.store(own.wrapping_add(1), Ordering::Relaxed);
    if !closes {
        sys::keep_over_exec(own);
    }
    Ok(())
}

/// The stream of a cookie.
///
/// # Safety
/// `cookie` must be one that [`Stream::open`] gave to libc.
unsafe fn of(cookie: *mut c_void) -> &'static Stream {
    // SAFETY: as the caller promises: a stream, which lives for ever.
    unsafe { &*cookie.cast::<Stream>() }
}

/// Reads as libc does, at a cancellation point.
unsafe extern "C" fn read(cookie: *mut c_void, into: *mut c_char, size: libc::size_t) -> libc::ssize_t {
    // SAFETY: libc gives the cookie that it was given, and a buffer of that size.
    match (unsafe { of(cookie) }.descriptor(), real::read()) {
        // SAFETY: as above.
        (fd, Some(real)) => unsafe { real(fd, into.cast(), size) },
        _ => fail(libc::ENOSYS) as libc::ssize_t,
    }
}

/// Writes all of it, or until an error, as libc does.
unsafe extern "C" fn write(cookie: *mut c_void, from: *const c_char, size: libc::size_t) -> libc::ssize_t {
    // SAFETY: libc gives the cookie that it was given.
    let fd = unsafe { of(cookie) }.descriptor();
    let mut done = 0_usize;
    while done < size {
        let Some(real) = part::write() else { break };
        // SAFETY: libc gives a buffer of that size.
        let wrote = unsafe { real(fd, from.wrapping_add(done).cast(), size.wrapping_sub(done)) };
        let Ok(wrote) = usize::try_from(wrote) else { break };
        done = done.wrapping_add(wrote);
    }
    done as libc::ssize_t
}

unsafe extern "C" fn seek(cookie: *mut c_void, offset: *mut i64, whence: c_int) -> c_int {
    // SAFETY: libc gives the cookie that it was given, and the place of an offset.
    let (fd, offset) = unsafe { (of(cookie).descriptor(), &mut *offset) };
    match sys::seek(fd, *offset, whence) {
        Ok(at) => {
            *offset = at;
            0
        }
        Err(errno) => fail(errno),
    }
}

/// Closes the descriptor and waits for the shell: its status, or -1. No cancellation point.
unsafe extern "C" fn close(cookie: *mut c_void) -> c_int {
    // SAFETY: libc gives the cookie that it was given.
    let stream = unsafe { of(cookie) };
    stream.file.store(core::ptr::null_mut(), Ordering::Relaxed);
    let fd = {
        let _held = TURN.take();
        stream.fd.swap(0, Ordering::Relaxed).wrapping_sub(1)
    };
    let pid = stream.pid.load(Ordering::Relaxed);
    let status = if fd < 0 { 0 } else { wait(fd, pid) };
    stream.free();
    status
}

fn wait(fd: c_int, pid: libc::pid_t) -> c_int {
    if let Err(errno) = sys::close_checked(fd) {
        return fail(errno);
    }
    loop {
        match sys::wait_child(pid) {
            Ok(status) => return status,
            Err(errno) => {
                fail(errno);
                if errno != libc::EINTR {
                    return -1;
                }
            }
        }
    }
}
