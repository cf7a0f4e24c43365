//! The `portcullis` command: everything that parses, allocates and talks to people.
#![forbid(unsafe_code)]

mod arguments;
mod check;
mod compile;
mod events;
mod explain;
mod incident;
mod log;
mod run;
mod show;

use arguments::{Arguments, Verb};
use clap::Parser;
use std::process::ExitCode;

/// Fine.
const FINE: u8 = 0;
/// Something wrong was found.
const WRONG: u8 = 1;
/// Used wrongly; clap exits with it too.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Compile(arguments) => compile::run(&arguments),
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Events(arguments) => events::run(&arguments),
        // The library takes the process over before it comes here.
        Verb::Supervise => {
            complain("`portcullis supervise` is started by the guard in a server, and does nothing by itself");
            USAGE
        }
        Verb::Explain(arguments) => explain::run(&arguments),
    };
    ExitCode::from(done)
}

/// Says on standard error what went wrong; gives the exit code.
fn complain(message: impl std::fmt::Display) -> u8 {
    anstream::eprintln!("portcullis: {message}");
    WRONG
}
