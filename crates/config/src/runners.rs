//! Programs that run any command or script that their caller names, and whether an entry of `[exec] allow` bounds one.
//!
//! The list has the programs that do so by their purpose. Those that do so by one option among many (find, tar, git) are not
//! in it: a glob of an entry does not match an option.

use crate::folders::Folders;
use crate::lists;
use portcullis_policy::command::glob;
use std::path::Path;

/// What a program runs if its arguments contain no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCommand {
    /// It shows something, or fails.
    Nothing,
    /// It starts a shell, which reads its input.
    Shell,
    /// Without any argument it runs its input as a script.
    Input,
}

/// A program, how many operands stand before the command in its arguments, and what it does without a command.
pub type Runner = (&'static str, usize, NoCommand);

/// Those of Debian's packages that run with other rights, in other namespaces or in another root; that run a command under
/// some condition; and the interpreters, without the version in their name. The shells of [`lists::SHELLS`] are as well.
pub const RUNNERS: [Runner; 57] = [
    ("su", 1, NoCommand::Shell),
    ("sudo", 0, NoCommand::Nothing),
    ("doas", 0, NoCommand::Nothing),
    ("pkexec", 0, NoCommand::Shell),
    ("runuser", 1, NoCommand::Shell),
    ("newgrp", 1, NoCommand::Shell),
    ("sg", 1, NoCommand::Shell),
    ("ssh-agent", 0, NoCommand::Nothing),
    ("systemd-run", 0, NoCommand::Nothing),
    ("machinectl", 0, NoCommand::Nothing),
    ("capsh", 0, NoCommand::Nothing),
    ("setpriv", 0, NoCommand::Nothing),
    ("chroot", 1, NoCommand::Shell),
    ("unshare", 0, NoCommand::Shell),
    ("nsenter", 0, NoCommand::Shell),
    ("bwrap", 0, NoCommand::Nothing),
    ("firejail", 0, NoCommand::Shell),
    ("at", 0, NoCommand::Input),
    ("batch", 0, NoCommand::Input),
    ("crontab", 0, NoCommand::Input),
    ("env", 0, NoCommand::Nothing),
    ("nohup", 0, NoCommand::Nothing),
    ("setsid", 0, NoCommand::Nothing),
    ("nice", 0, NoCommand::Nothing),
    ("ionice", 0, NoCommand::Nothing),
    ("chrt", 1, NoCommand::Nothing),
    ("taskset", 1, NoCommand::Nothing),
    ("timeout", 1, NoCommand::Nothing),
    ("stdbuf", 0, NoCommand::Nothing),
    ("xargs", 0, NoCommand::Nothing),
    ("parallel", 0, NoCommand::Input),
    ("time", 0, NoCommand::Nothing),
    ("watch", 0, NoCommand::Nothing),
    ("flock", 1, NoCommand::Nothing),
    ("prlimit", 0, NoCommand::Nothing),
    ("setarch", 1, NoCommand::Shell),
    ("linux32", 0, NoCommand::Shell),
    ("linux64", 0, NoCommand::Shell),
    ("start-stop-daemon", 0, NoCommand::Nothing),
    ("strace", 0, NoCommand::Nothing),
    ("ltrace", 0, NoCommand::Nothing),
    ("gdb", 0, NoCommand::Input),
    ("busybox", 0, NoCommand::Nothing),
    ("toybox", 0, NoCommand::Nothing),
    ("python", 0, NoCommand::Input),
    ("php", 0, NoCommand::Input),
    ("php-cgi", 0, NoCommand::Input),
    ("php-fpm", 0, NoCommand::Nothing),
    ("perl", 0, NoCommand::Input),
    ("ruby", 0, NoCommand::Input),
    ("lua", 0, NoCommand::Input),
    ("node", 0, NoCommand::Input),
    ("tclsh", 0, NoCommand::Input),
    ("expect", 0, NoCommand::Input),
    ("awk", 0, NoCommand::Nothing),
    ("gawk", 0, NoCommand::Nothing),
    ("mawk", 0, NoCommand::Nothing),
];

/// Set-user-ID and set-group-ID programs that run commands by some of their arguments or by their configuration (`-be`, `-C`).
pub const MAILERS: [&str; 7] = ["exim", "exim4", "sendmail", "msmtp", "suexec", "suexec-custom", "suexec-pristine"];

/// Programs that do what the name says by which they are called.
const APPLETS: [&str; 2] = ["busybox", "toybox"];

/// The program of a name, which may have a version at its end.
fn of_name(name: &str) -> Option<Runner> {
    let known = |name: &str| {
        let shell = lists::SHELLS.into_iter().find(|shell| *shell == name);
        RUNNERS.into_iter().find(|runner| runner.0 == name).or(shell.map(|shell| (shell, 0, NoCommand::Shell)))
    };
    known(name).or_else(|| known(name.trim_end_matches(|end: char| end.is_ascii_digit() || end == '.')))
}

/// Whether a program of that name runs any command.
pub fn is_runner(name: &str) -> bool {
    of_name(name).is_some() || MAILERS.contains(&name)
}

/// A path's folder and its last component.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The name of a program and the one that its symbolic links lead to. Of a pattern, the programs that run any command among
/// those that it stands for: those that are in the folder, where that has no pattern itself, and all otherwise.
fn names_of(path: &str, folders: &Folders) -> Vec<String> {
    let (folder, name) = split(path);
    if !is_glob(name) {
        // By another name it is that applet.
        let real = folders.real_name(Path::new(path)).filter(|real| !APPLETS.contains(&real.as_str()));
        return std::iter::once(name.to_owned()).chain(real).collect();
    }
    let matches = |known: &str| glob(name.as_bytes(), known.as_bytes(), true);
    if is_glob(folder) || folder.is_empty() {
        let known = RUNNERS.iter().map(|runner| runner.0).chain(MAILERS);
        return known.filter(|known| matches(known)).map(str::to_owned).collect();
    }
    let found = folders.matching(Path::new(path));
    found.iter().filter(|entry| entry.is_runner).map(|entry| entry.name.clone()).collect()
}

/// The programs that run any command among those that `path`, perhaps a pattern, stands for.
pub(crate) fn runners(path: &str, folders: &Folders) -> Vec<String> {
    let mut found = names_of(path, folders);
    found.retain(|name| is_runner(name));
    found
}

/// Why the tokens of an allowed command allow any other command.
pub(crate) fn unbounded(tokens: &[String], folders: &Folders) -> Option<String> {
    let (program, arguments) = tokens.split_first()?;
    names_of(program, folders).into_iter().find_map(|name| {
        let runner = of_name(&name)?;
        let what = match is_bounded(runner, arguments) {
            true => return None,
            false if arguments.iter().any(|argument| is_glob(argument)) => "what its arguments name",
            false => "what it reads from its input",
        };
        Some(format!("`{name}` runs {what}"))
    })
}

/// Whether the command that a program runs is written out in its arguments. An operand that follows an option may be the
/// option's value, unless it is a path.
fn is_bounded((_, mut before, without): Runner, arguments: &[String]) -> bool {
    let (mut follows_option, mut has_operand) = (false, false);
    for argument in arguments {
        if is_glob(argument) {
            return false;
        }
        if argument.starts_with('-') {
            follows_option = true;
        } else if before > 0 {
            before -= 1;
            follows_option = false;
        } else if !argument.contains('=') {
            if !follows_option || argument.contains('/') {
                return true;
            }
            (follows_option, has_operand) = (false, true);
        }
    }
    match without {
        NoCommand::Nothing => true,
        NoCommand::Shell => has_operand,
        NoCommand::Input => !arguments.is_empty(),
    }
}
