//! The `portcullis` command: everything that parses, allocates and talks to people.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods))]

#[macro_use]
mod out;

mod apply;
mod arguments;
mod changes;
mod check;
mod compile;
mod doctor;
mod events;
mod explain;
mod generate;
mod help;
mod incident;
mod install;
mod instead;
#[allow(clippy::disallowed_methods)]
mod kill_switch;
mod learn;
mod log;
mod modes;
mod probes;
mod ps;
mod reload;
mod report;
mod run;
mod seal_key;
mod show;
mod sink;
mod status;
mod verify;

use arguments::{Arguments, Verb};
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};
use std::process::ExitCode;

/// Fine.
const FINE: u8 = 0;
/// Something wrong was found.
const WRONG: u8 = 1;
/// Used wrongly; clap exits with it too.
const USAGE: u8 = 2;

/// Does what the arguments of the process ask for.
pub fn main() -> ExitCode {
    let verb = match Arguments::try_parse() {
        Ok(arguments) => arguments.verb,
        Err(error) => without_hidden(error).exit(),
    };
    let done = match verb {
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Compile(arguments) => compile::run(&arguments),
        Verb::Apply(arguments) => apply::run(&arguments),
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Install(arguments) => install::install(&arguments),
        Verb::Uninstall(arguments) => install::uninstall(&arguments),
        Verb::Status(arguments) => status::run(&arguments),
        Verb::Ps(arguments) => ps::run(&arguments),
        Verb::Learn(arguments) => learn::run(*arguments),
        Verb::Report(arguments) => report::run(arguments),
        Verb::Doctor(arguments) => doctor::run(&arguments),
        Verb::Probe { token, port } => doctor::probe(&token, port),
        Verb::Renew => install::renew(std::path::Path::new("/")),
        Verb::Generate { folder } => generate::run(&folder),
        Verb::Events(arguments) => events::run(arguments),
        // The library takes the process over before it comes here.
        Verb::Supervise => {
            complain("`portcullis supervise` is for the library only; it does nothing by itself");
            USAGE
        }
        Verb::Panic(arguments) => kill_switch::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
    };
    ExitCode::from(done)
}

/// An error of the command line that suggests no verb which `--help` hides.
fn without_hidden(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::Strings(verbs)) = error.get(ContextKind::SuggestedSubcommand) {
        let command = Arguments::command();
        let is_shown = |verb: &&String| command.find_subcommand(verb).is_some_and(|found| !found.is_hide_set());
        let shown: Vec<String> = verbs.iter().filter(is_shown).cloned().collect();
        if shown.is_empty() {
            error.remove(ContextKind::SuggestedSubcommand);
        } else {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(shown));
        }
    }
    error
}

/// Says on standard error what does not keep the command from its work.
fn warn(message: impl std::fmt::Display) {
    eprintln!("portcullis: warning: {}", out::printable(&out::in_words(&message.to_string())));
}

/// Says on standard error what went wrong, in one line, whoever wrote a part of it; gives the exit code.
fn complain(message: impl std::fmt::Display) -> u8 {
    eprintln!("portcullis: {}", out::printable(&out::in_words(&message.to_string())));
    WRONG
}

/// The report on lines of a log, whatever they are; for the fuzzer.
#[doc(hidden)]
#[must_use]
pub fn report_on(lines: &[u8]) -> String {
    let mut unreadable = 0;
    let events = lines.split(|&byte| byte == b'\n').filter_map(|line| match log::Event::parse(line)? {
        Ok(event) => Some(event),
        Err(_) => {
            unreadable += 1;
            None
        }
    });
    let events = log::together(events.collect(), false);
    report::page_on(&events, unreadable, "", "2026-01-01T00:00:00Z")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_fuzzers_logs_make_a_page_without_markup_of_theirs() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/events");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("the corpus") {
            let page = super::report_on(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
            assert!(page.starts_with("<!DOCTYPE html>") && !page.contains("<script") && !page.contains("<img"));
            count += 1;
        }
        assert!(count > 20);
    }
}
