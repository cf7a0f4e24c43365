//! popen(3) for musl, whose streams have another layout, and which has no functions that a stream could be given: the stream is
//! fdopen's, on the descriptor itself, and pclose waits for the shell. fclose does not, as in musl (src/stdio/pclose.c).

use super::{Does, Stream, TURN, Vector, all, start};
use crate::hooks::fail;
use crate::hooks::shell::Command;
use crate::real::errno::errno;
use crate::real::objects::of_libc;
use crate::real::table::part;
use crate::sys;
use core::ffi::{c_char, c_int};
use core::sync::atomic::Ordering;

/// A stream with a shell at its other end.
#[cold]
#[inline(never)]
pub fn open(
    command: &Command,
    envp: Vector,
    stream: &'static Stream,
    does: Does,
    closes: bool,
) -> Result<*mut libc::FILE, i32> {
    let opened = sys::pipe().and_then(|ends| {
        let (own, mut other) = does.of(ends);
        let opened = on_descriptor(stream, own, does).inspect_err(|_| sys::close(own)).and_then(|file| {
            start(command, envp, stream, does, closes, own, &mut other).map(|()| file).inspect_err(|_| {
                if let Some(close) = part::fclose() {
                    // SAFETY: the stream was opened just now, and nobody else has it.
                    unsafe { close(file) };
                }
            })
        });
        sys::close(other);
        opened
    });
    match opened {
        Ok(file) => stream.file.store(file, Ordering::Release),
        Err(_) => stream.free(),
    }
    opened
}

/// fdopen's stream on a pipe's end.
#[cold]
fn on_descriptor(stream: &Stream, fd: c_int, does: Does) -> Result<*mut libc::FILE, i32> {
    let mode = if does == Does::Read { c"r" } else { c"w" };
    let open = of_libc!(c"fdopen": fn(c_int, *const c_char) -> *mut libc::FILE).ok_or(libc::ENOSYS)?;
    // SAFETY: a descriptor that nobody else has.
    let file = unsafe { open(fd, mode.as_ptr()) };
    if file.is_null() {
        return Err(errno());
    }
    stream.pipe.store(pipe(fd).unwrap_or(0), Ordering::Relaxed);
    Ok(file)
}

/// Closes a stream that [`open`] has opened, and waits for the shell.
///
/// # Safety
/// The stream must be open.
#[cold]
pub unsafe fn close(stream: &Stream, file: *mut libc::FILE) -> c_int {
    stream.file.store(core::ptr::null_mut(), Ordering::Relaxed);
    let pid = stream.pid.load(Ordering::Relaxed);
    {
        let _held = TURN.take();
        stream.fd.store(0, Ordering::Relaxed);
    }
    if let Some(close) = part::fclose() {
        // SAFETY: as the caller promises.
        unsafe { close(file) };
    }
    stream.free();
    loop {
        match sys::wait_child(pid) {
            Err(libc::EINTR) => {}
            ended => return ended.unwrap_or_else(fail),
        }
    }
}

/// Frees the streams that the program has closed by fclose, which is not hooked: the numbers of their descriptors may be other
/// files' by now, and their addresses other streams'. For whoever has the turn.
#[cold]
#[inline(never)]
pub fn free_closed() {
    for stream in all().filter(|stream| stream.descriptor() >= 0) {
        if pipe(stream.descriptor()) != Some(stream.pipe.load(Ordering::Relaxed)) {
            stream.file.store(core::ptr::null_mut(), Ordering::Relaxed);
            stream.fd.store(0, Ordering::Relaxed);
            stream.free();
        }
    }
}

/// The number of the pipe of which a descriptor is an end.
fn pipe(fd: c_int) -> Option<u64> {
    sys::fstat(fd).filter(|stat| stat.mode & libc::S_IFMT == libc::S_IFIFO).map(|stat| stat.identity.1)
}
