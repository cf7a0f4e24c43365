//! The functions behind the hooks: where they are, and how they are called.

pub mod errno;
pub mod find;
pub mod gate;
pub mod objects;
pub mod rows;
pub mod search;
pub mod straight;
pub mod table;
pub mod types;
