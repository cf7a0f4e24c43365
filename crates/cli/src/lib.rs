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
mod contain;
mod destination;
mod device;
mod doctor;
mod events;
mod explain;
mod format;
mod generate;
mod help;
mod incident;
mod incidents;
mod install;
mod instead;
#[allow(clippy::disallowed_methods)]
mod kill_switch;
mod learn;
mod limits;
mod log;
mod modes;
mod probes;
mod progress;
mod ps;
mod reload;
mod report;
mod run;
mod seal_key;
mod show;
mod sink;
mod status;
mod text;
mod top;
mod unreached;
mod verify;

use arguments::{Arguments, Verb};
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};
use std::process::ExitCode;

/// Fine.
const FINE: u8 = 0;
/// Something wrong was found.
const WRONG: u8 = 1;
/// Nothing matched, where that was asked for.
const NOTHING: u8 = 3;
/// Used wrongly; clap exits with it too.
const USAGE: u8 = 2;

/// Looks at what is lost when `main` begins.
pub use limits::look as look_first;

/// Does what the arguments of the process ask for.
pub fn main() -> ExitCode {
    let verb = match Arguments::try_parse() {
        Ok(arguments) => arguments.verb,
        Err(error) => return ExitCode::from(parsed_wrongly(error)),
    };
    // A program that `run` starts has its signals as they were.
    if !matches!(verb, Verb::Run(_))
        && let Err(error) = limits::take()
    {
        return ExitCode::from(complain(format_args!("cannot take signals: {error}")));
    }
    if let Some(Err(why)) = verb.selection().map(log::Selection::is_possible) {
        return ExitCode::from(misuse(why));
    }
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
        Verb::Report(arguments) => report::run(*arguments),
        Verb::Doctor(arguments) => doctor::run(&arguments),
        Verb::Probe { token, port } => doctor::probe(&token, port),
        Verb::Renew => install::renew(std::path::Path::new("/")),
        Verb::Generate { folder } => generate::run(&folder),
        Verb::Events(arguments) => events::run(*arguments),
        Verb::Top(arguments) => top::run(*arguments),
        // The library takes the process over before it comes here.
        Verb::Supervise => misuse("`portcullis supervise` is for the library only; it does nothing by itself"),
        Verb::Panic(arguments) => kill_switch::run(&arguments),
        Verb::Contain(arguments) => contain::run(*arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
    };
    ExitCode::from(done)
}

/// Prints the help that was asked for, or how the command line is wrong; gives the exit code.
fn parsed_wrongly(error: clap::Error) -> u8 {
    let error = with_hint(without_hidden(error));
    out::help(&error);
    if error.use_stderr() { USAGE } else { FINE }
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

/// What to type instead of an argument that a verb does not take.
fn hint(verb: &str, argument: &str) -> Option<String> {
    // A name as a shell takes it, without quotes; others are not repeated.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/@-".contains(&byte);
    let named = if argument.bytes().all(is_plain) { argument } else { "NAME" };
    Some(match verb {
        "status" => format!(
            "it shows every unit; `portcullis doctor {named}` tests one, and `portcullis ps {named}` lists what its workers started"
        ),
        "check" | "compile" | "apply" => format!("name a configuration by `portcullis {verb} --config {named}`"),
        "panic" => {
            "it is for every guarded unit; one virtual host is set to audit by `portcullis install UNIT --vhost NAME \
                    --mode audit`"
                .to_owned()
        }
        "explain" => format!("ask by `--exec '{named}'`, `--connect HOST:PORT` or `--event FILE`"),
        "run" => format!("put the command behind `--`: `portcullis run -- {named}`"),
        "ps" => format!("it takes one unit: `portcullis ps {named}`"),
        _ => return None,
    })
}

/// An error of the command line, with what to type instead of a word that the verb does not take.
fn with_hint(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return error };
    let is_word = error.kind() == clap::error::ErrorKind::UnknownArgument && !argument.starts_with('-');
    let verb = std::env::args().nth(1).unwrap_or_default();
    if let Some(hint) = hint(&verb, argument).filter(|_| is_word) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
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

/// Says on standard error how a verb was used wrongly; gives the exit code.
fn misuse(message: impl std::fmt::Display) -> u8 {
    complain(message);
    USAGE
}

/// Takes the terminal as `portcullis top` does, and panics; for the test of what is left of the terminal.
#[doc(hidden)]
pub fn panic_on_the_screen() -> ! {
    top::panic_on_the_screen()
}

/// The pages of the report on lines of a log, whatever they are; for the fuzzer.
#[doc(hidden)]
#[must_use]
pub fn report_on(lines: &[u8]) -> String {
    let mut unreadable = 0;
    let mut events = Vec::new();
    for line in lines.split(|&byte| byte == b'\n') {
        log::Event::each_in(line, |event, _| match event {
            Ok(event) => events.push(event),
            Err(_) => unreadable += 1,
        });
    }
    report::pages_on(&events, unreadable, "").concat()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_fuzzers_logs_make_a_page_without_markup_of_theirs() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/events");
        let own = super::report_on(b"");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("the corpus") {
            let page = super::report_on(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
            assert!(page.starts_with("<!DOCTYPE html>") && !page.contains("<img"));
            assert_eq!(page.matches("<script").count(), own.matches("<script").count());
            count += 1;
        }
        assert!(count > 20);
    }
}
