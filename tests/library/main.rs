//! The built library itself: its file, and each hook in every condition, with and without the guard.

mod actions;
mod added_calls;
mod addresses;
mod apart;
mod build;
mod conditions;
mod confined;
mod confined_thread;
mod deepbind;
mod directly;
#[path = "../distro/names.rs"]
mod distro;
mod elf;
mod elsewhere;
mod environment;
mod execveat;
mod fcntl;
mod full;
mod inside;
mod interpreted;
mod languages;
mod limits;
mod loading;
mod messages;
mod musl;
mod names;
mod observed;
mod preloads;
mod programs;
mod quiet;
mod reach;
mod rooms;
#[path = "../servers/harness/root.rs"]
mod root;
mod rules;
mod schema;
mod stacks;
mod table;
mod twins;
mod unknown;
mod upgrade;
mod variadic;
mod vectors;
mod ways;
mod wild;
mod without_proc;
