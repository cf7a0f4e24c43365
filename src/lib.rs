//! The guard: a shared library that watches, from inside a server, what it connects to and what it starts.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(test, allow(dead_code))]

mod action;
mod backstop;
mod child;
mod hooks;
mod judge;
mod memory;
mod policy;
mod process;
mod real;
mod report;
mod request;
mod server;
mod sys;

/// The constructor, for what another library's constructor calls before it: the one name by which a lower room reaches the highest.
const ENSURE: extern "C" fn() = hooks::init::ensure;

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
