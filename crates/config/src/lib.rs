//! The configuration: TOML files to a compiled policy, with a diagnostic for every error.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods))]

mod compile;
pub mod diagnostic;
mod entry;
mod folders;
mod images;
pub mod keys;
pub mod lists;
mod load;
pub mod model;
pub mod modes;
mod nets;
mod read;
pub mod reading;
pub mod runners;
mod snapshot;
mod syntax;
pub mod trust;

pub use compile::{compile, compile_for_library};
pub use diagnostic::{Diagnostic, Severity};
pub use entry::command;
pub use load::{FORGIVEN, Loaded, built_in, load, load_below, mark, parse_text};
pub use model::{Config, SourceFile};
pub use portcullis_policy::Sink;
pub use portcullis_policy::place::DEFAULT_CONFIG;
pub use read::nearest;
