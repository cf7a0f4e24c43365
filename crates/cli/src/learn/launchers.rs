//! Programs that run a command of their caller's choice, which then runs without the library: no entry of
//! `[rules.exec-unguarded] allow` is proposed for them.
//!
//! **Why not a list of dangerous ones alone**: a set-user-ID program that this list does not know may run commands as well. So of
//! those that gain rights, only the known harmless ones are proposed; a person decides on the others.

use super::propose::base_name;
use portcullis_config::lists;

/// Programs with more rights than their caller, or without a loader, that run a command of the caller's choice. A `*` at the end
/// stands for any version.
const LAUNCHERS: [&str; 34] = [
    "apptainer*",
    "at",
    "batch",
    "bwrap",
    "calife",
    "capsh",
    "chroot",
    "crontab",
    "dbus-daemon-launch-helper",
    "doas",
    "exim*",
    "firejail",
    "fusermount*",
    "ksu",
    "mount*",
    "msmtp*",
    "newgrp",
    "nsenter",
    "op",
    "pkexec",
    "pppd",
    "runas",
    "runuser",
    "screen*",
    "sendmail*",
    "sg",
    "singularity*",
    "snap-confine",
    "ssh-agent",
    "staprun",
    "su",
    "sudo*",
    "suexec*",
    "super",
];

/// Set-user-ID and set-group-ID programs, or such with capabilities, that run no command of their caller's: those that ask the
/// network, and those that change an account.
const HARMLESS: [&str; 12] = [
    "arping",
    "chage",
    "expiry",
    "fping",
    "fping6",
    "mtr-packet",
    "passwd",
    "ping",
    "ping4",
    "ping6",
    "traceroute6.iputils",
    "unix_chkpwd",
];

/// Whether a name is this one, of any version where a `*` is at its end.
pub fn is(name: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |stem| name.starts_with(stem))
}

/// Why a program that the library is not active in is not to be allowed whatever its arguments; `None` where it may be.
/// `reason` is the word of `portcullis.unguarded`.
pub fn runs_commands(path: &str, reason: &str) -> Option<String> {
    let name = base_name(path);
    if LAUNCHERS.iter().any(|launcher| is(name, launcher)) {
        return Some(format!("{name} runs a command that its caller names, and that command runs without the library"));
    }
    if lists::SHELLS.contains(&name) || lists::TOOLS.iter().any(|tool| is(name, tool)) {
        return Some(format!("{name} is a shell or a tool, and what it runs has no library"));
    }
    let is_known = HARMLESS.contains(&name) || lists::UNGUARDED.contains(&path);
    (reason == "setuid" && !is_known).then(|| {
        format!("{name} gains rights by its file, and Portcullis does not know whether it runs a command for its caller: read its manual")
    })
}

/// What to know of an entry of `[rules.namespace] allow` for a program that runs any command; empty for others.
pub fn namespace_note(path: &str) -> String {
    let name = base_name(path);
    match portcullis_config::runners::is_runner(name) {
        true => format!(
            "{name} runs any command or script that its caller names: the entry allows a namespace to all of them. Name the program \
             that needs the namespace instead, if that makes the call itself"
        ),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_no_command_may_be_allowed() {
        for path in [
            "su",
            "ssh-agent",
            "newgrp",
            "sudo",
            "sudoedit",
            "pkexec",
            "sg",
            "exim4",
            "sendmail.sendmail",
            "suexec-pristine",
        ] {
            assert!(runs_commands(&format!("/usr/bin/{path}"), "setuid").is_some(), "{path}");
        }
        assert!(runs_commands("/usr/local/bin/own-helper", "setuid").is_some(), "not known");
        assert!(runs_commands("/usr/bin/busybox", "static").is_some());
        for (path, reason) in
            [("/usr/bin/fping", "setuid"), ("/usr/sbin/postdrop", "setuid"), ("/srv/bin/imgproxy", "static")]
        {
            assert_eq!(runs_commands(path, reason), None, "{path}");
        }
    }
}
