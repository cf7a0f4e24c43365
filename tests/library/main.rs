//! The built library itself: its file, and each hook in every condition, with and without the guard.

mod addresses;
mod build;
mod conditions;
mod confined;
mod deepbind;
mod directly;
mod elf;
mod environment;
mod inside;
mod languages;
mod messages;
mod names;
mod preloads;
mod programs;
mod reach;
mod schema;
mod table;
mod twins;
mod unknown;
mod variadic;
mod vectors;
mod ways;
