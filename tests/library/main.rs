//! The built library itself: its file, and each hook in every condition, with and without the guard.

mod addresses;
mod build;
mod conditions;
mod deepbind;
mod elf;
mod environment;
mod inside;
mod languages;
mod names;
mod programs;
mod reach;
mod schema;
mod table;
mod unknown;
mod variadic;
mod ways;
