//! The built library inside the real servers.

mod harness;

mod backstop;
mod bad_input;
mod children;
mod command;
mod demo;
mod examples;
mod matrix;
mod merging;
mod modules;
mod operator;
mod report;
mod requests;
mod rules;
mod silence;
mod sinks;
mod vhosts;
