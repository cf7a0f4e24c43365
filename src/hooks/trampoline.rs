//! A hook that calls a function with its caller's arguments, and then jumps to where that says, with the caller's registers and
//! stack as they were: what is called there may return twice, or go on with a stack of its own.

/// The function `$name`, which goes on where `$before` says.
macro_rules! trampoline {
    ($(#[$doc:meta])* $name:ident => $before:path) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As libc's.
        #[cfg_attr(not(test), unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            crate::sys::arch::jump_where!($before);
        }
    };
}
pub(super) use trampoline;
