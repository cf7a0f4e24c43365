//! Limits of whoever runs this, and standard streams that are closed: each is an error in words, with an exit status.
//!
//! **What happens otherwise**: a program without memory aborts, a file beyond `ulimit -f` ends it by SIGXFSZ without a word, and what is
//! printed to a closed descriptor goes to /dev/null, which the standard library opens in its place before `main`.

use rustix::io::fcntl_getfd;
use signal_hook::consts::{SIGABRT, SIGXFSZ};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether standard input and standard output were closed when the program started.
static IS_CLOSED: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];

/// Looks which standard streams are closed, before the standard library does.
pub fn look() {
    let streams = [fcntl_getfd(rustix::stdio::stdin()), fcntl_getfd(rustix::stdio::stdout())];
    for (is_closed, flags) in IS_CLOSED.iter().zip(streams) {
        is_closed.store(flags == Err(rustix::io::Errno::BADF), Ordering::Relaxed);
    }
}

/// What reading from standard input, or writing to standard output, fails with where it was closed.
pub fn open(is_output: bool) -> std::io::Result<()> {
    match IS_CLOSED[usize::from(is_output)].load(Ordering::Relaxed) {
        true => Err(rustix::io::Errno::BADF.into()),
        false => Ok(()),
    }
}

/// Takes the signals by which limits end a program. One that was ignored is not ignored any more by a program that this one executes.
pub fn take() -> std::io::Result<()> {
    // Behind a handler, the call that exceeds the limit fails, and its error is reported as any other.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    // The standard library says how much memory there is not, and aborts. A panic is a defect, whose status stays that of an abort.
    let is_memory = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(SIGABRT, i32::from(crate::WRONG), Arc::clone(&is_memory))?;
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        is_memory.store(false, Ordering::Relaxed);
        before(panic);
    }));
    Ok(())
}
