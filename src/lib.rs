//! The guard: a shared library that watches, from inside a server, what it connects to and what it starts.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, allow(dead_code))]

mod actor;
mod address;
mod allowed;
mod backstop;
mod compiler;
mod context;
mod counters;
mod deepbind;
mod emit;
mod environment;
mod files;
mod gate;
mod handed;
mod hooks;
mod host;
mod init;
mod judge;
mod left;
mod listeners;
mod load;
mod local_listeners;
mod memory;
mod merge;
mod names;
mod objects;
mod peers;
mod pools;
mod program;
mod request;
mod rings;
mod route;
mod seqlock;
mod sink;
mod stack;
mod state;
mod sys;

/// A reachable panic calls a function that does not exist: the release library then does not link.
#[cfg(all(not(test), not(debug_assertions)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn portcullis_a_panic_is_reachable() -> !;
    }
    // SAFETY: never linked, so never called.
    unsafe { portcullis_a_panic_is_reachable() }
}

/// A debug build is not optimised enough to show that no panic is reachable; it stops instead.
#[cfg(all(not(test), debug_assertions))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::exit(134)
}

/// core's debug build names it; nothing unwinds here.
#[cfg(all(not(test), debug_assertions))]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
