//! Man pages and shell completions, out of the command line's own description; for packages.

use crate::arguments::Arguments;
use crate::{FINE, complain};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::path::Path;

/// What the end of a `--help` begins with, and what parts it.
const EXAMPLES: &str = "Examples:\n";
const EXIT_STATUS: &str = "\n\nExit status:\n";
/// The section of a page that the others go before.
const VERSION: &str = "\n.SH VERSION";

/// Writes `man/*.1` and a file for each shell.
pub fn run(folder: &Path) -> u8 {
    match generate(folder) {
        Ok(()) => FINE,
        Err(error) => complain(format_args!("cannot write to {}: {error}", folder.display())),
    }
}

fn generate(folder: &Path) -> std::io::Result<()> {
    let man = folder.join("man");
    std::fs::create_dir_all(&man)?;
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    page(&command, &man)?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        page(verb, &man)?;
    }
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Arguments::command(), "portcullis", folder)?;
    }
    Ok(())
}

/// Writes the page of a command, in the order of man-pages(7): the end of `--help` becomes EXIT STATUS and EXAMPLES.
fn page(command: &Command, folder: &Path) -> std::io::Result<()> {
    let end = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command.clone().after_help(None::<&str>));
    let mut text = Vec::new();
    man.render(&mut text)?;
    // A group of options is no section of its own.
    let groups = command.get_arguments().filter_map(|option| option.get_help_heading());
    let text = groups.fold(String::from_utf8_lossy(&text).into_owned(), |text, group| {
        text.replace(&format!("\n.SH \"{}\"\n", group.to_uppercase()), &format!("\n.SS \"{group}\"\n"))
    });
    let (examples, statuses) = end.split_once(EXIT_STATUS).unwrap_or((&end, ""));
    let examples = examples.strip_prefix(EXAMPLES).unwrap_or(examples);
    let (before, behind) = text.split_at(text.find(VERSION).unwrap_or(text.trim_end().len()));
    let mut whole = before.to_owned() + &section("EXIT STATUS", statuses) + &section("EXAMPLES", examples);
    if command.get_name() != command.get_bin_name().unwrap_or_default() {
        whole += "\n.SH \"SEE ALSO\"\n\\fBportcullis\\fR(1)";
    }
    whole += behind;
    if !whole.ends_with('\n') {
        whole.push('\n');
    }
    std::fs::write(folder.join(man.get_filename()), whole)
}

/// A section whose lines stay as they are.
fn section(name: &str, lines: &str) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let line = |line: &str| format!("\\&{}\n", line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq"));
    let lines: String = lines.lines().map(line).collect();
    format!("\n.SH \"{name}\"\n.nf\n{lines}.fi")
}
