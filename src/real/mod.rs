//! The functions behind the hooks: where they are, and how they are called.

pub mod find;
pub mod gate;
pub mod objects;
pub mod search;
