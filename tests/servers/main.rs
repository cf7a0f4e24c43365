//! The built library inside the real servers.

mod harness;

#[path = "../../benches/guard/counting.rs"]
// This test uses a part of it.
#[allow(dead_code)]
mod counting;

mod backstop;
mod bad_input;
mod bypasses;
mod children;
mod command;
mod contain;
mod containers;
mod demo;
mod dry_run;
mod elsewhere;
mod examples;
mod exercise;
mod gateways;
mod hidepid;
mod host;
mod instructions;
mod jails;
mod kill_switch;
mod matrix;
mod memory;
mod merging;
mod modules;
mod named;
mod named_requests;
mod numbers;
mod operator;
mod preloads;
mod report;
mod requests;
mod rules;
mod running;
mod scripts;
mod sealed;
mod shipped;
mod silence;
mod sinks;
mod temporary;
mod told;
mod unloadable;
mod unseen;
mod vhosts;
