//! The backstop: a filter in the kernel for what does not come through the hooks.

/// The process begins to serve.
pub fn serving() {}
