//! What a unit's settings mean for the guard: what the drop-in has to add, and what would defeat it.

use super::unit::{Setting, Unit, words};
use super::{below, program};
use portcullis_config::Config;
use portcullis_policy::BackstopKind;
use portcullis_policy::Sink;
use std::path::Path;

/// Something to know about a unit.
#[derive(Debug)]
pub struct Warning {
    /// `FILE:LINE` of the setting; empty where it is about no line.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Review {
    /// Lines for the drop-in, each with its reason.
    pub lines: Vec<(String, String)>,
    /// What the drop-in cannot mend.
    pub warnings: Vec<Warning>,
}

impl Review {
    fn add(&mut self, setting: &Setting, why: &str, line: String) {
        let value = shortened(&setting.value);
        self.lines.push((format!("{}={value} is set: {why}.", setting.key), line));
    }

    fn warn(&mut self, setting: Option<&Setting>, message: impl Into<String>) {
        let place = setting.map(Setting::place).unwrap_or_default();
        self.warnings.push(Warning { place, message: message.into() });
    }
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(48) {
        Some((at, _)) => format!("{}\u{2026}", &value[..at]),
        None => value.to_owned(),
    }
}

/// Looks at a unit without the guard's drop-in, of the system below `root`.
pub fn review(root: &Path, unit: &Unit, library: &Path, config: &Config) -> Review {
    let mut review = Review::default();
    sinks(unit, config, &mut review);
    filters(unit, config, &mut review);
    paths(unit, library, &mut review);
    environment(root, unit, &mut review);
    confinement(unit, &mut review);
    for (path, setting) in unit.programs() {
        if let Some(why) = program::defeats(&below(root, &path)) {
            review.warn(Some(setting), format!("{} will not be guarded: {why}", path.display()));
        }
    }
    review
}

/// What keeps events from their sinks.
fn sinks(unit: &Unit, config: &Config, review: &mut Review) {
    let by_socket = config.sinks.iter().any(|sink| sink.socket().is_some());
    let families = unit.values("RestrictAddressFamilies");
    if let (true, Some(first)) = (by_socket, families.first()) {
        let denies = first.value.starts_with('~');
        let named = families
            .iter()
            .any(|setting| words(&setting.value).iter().any(|word| word.trim_start_matches('~') == "AF_UNIX"));
        if denies == named {
            review.add(first, "events leave by a local socket", "RestrictAddressFamilies=AF_UNIX".into());
        }
    }
    let read_only = unit.value("ProtectSystem").filter(|setting| setting.value == "strict");
    let read_only = read_only.or_else(|| unit.is_on("DynamicUser")).or_else(|| unit.value("ReadOnlyPaths"));
    if let (true, Some(setting)) = (config.sinks.contains(&Sink::File), read_only) {
        let folder = config.log_file.parent().unwrap_or(Path::new("/"));
        review.add(setting, "the log file has to be written to", format!("ReadWritePaths=-{}", folder.display()));
    }
    if let Some(setting) = unit.value("LogNamespace") {
        let message = format!(
            "events go to the journal of the namespace {0}: read them with journalctl --namespace={0}",
            setting.value
        );
        review.warn(Some(setting), message);
    }
}

/// Filters of system calls, and what the backstop needs.
fn filters(unit: &Unit, config: &Config, review: &mut Review) {
    let calls = unit.values("SystemCallFilter");
    let has_backstop = config.backstop.kind != BackstopKind::Off;
    if let Some(first) = calls.first() {
        let whole = calls.iter().any(|setting| words(&setting.value).iter().any(|word| word == "@system-service"));
        if !first.value.starts_with('~') && !whole {
            let message = "the guard makes the system calls of @basic-io, @file-system, @network-io and @process; where this \
                           filter lacks one, the server is ended at its start: allow @system-service";
            review.warn(Some(first), message);
        }
        if has_backstop {
            review.add(
                first,
                "the backstop loads a filter, and makes connections in a process's place",
                "SystemCallFilter=seccomp pidfd_getfd".into(),
            );
        }
    }
    if !has_backstop {
        return;
    }
    let can = |capability: &str| {
        unit.values("CapabilityBoundingSet").first().is_none_or(|first| {
            let named = words(&first.value).iter().any(|word| word.trim_start_matches('~') == capability);
            named != first.value.starts_with('~')
        })
    };
    let no_new_privileges = unit.is_on("NoNewPrivileges").or_else(|| unit.is_on("DynamicUser")).is_some();
    let user = unit.value("User").filter(|setting| !["root", "0"].contains(&setting.value.as_str()));
    if !no_new_privileges && !config.backstop.no_new_privs {
        let cannot = "there is no backstop in this unit: write NoNewPrivileges=yes, or [backstop] no_new_privs = true; either \
                      takes setuid programs (sendmail, postdrop) their privileges";
        match user {
            Some(user) => review.warn(Some(user), format!("the server never is root, so {cannot}")),
            None if !can("CAP_SYS_ADMIN") => {
                review.warn(
                    unit.value("CapabilityBoundingSet"),
                    format!("CAP_SYS_ADMIN is not in this set, so {cannot}"),
                );
            }
            None => {}
        }
    }
    if !can("CAP_SYS_PTRACE") && config.backstop.kind == BackstopKind::Supervise {
        let message = "without CAP_SYS_PTRACE the supervisor cannot read a worker that gave up root itself: its raw system \
                       calls are counted and not judged in audit; programs without the guard are judged by the strictest \
                       policy of all virtual hosts, and an enforced one refuses their connections";
        review.warn(unit.value("CapabilityBoundingSet"), message);
    }
}

/// What hides the library, the policy or the sinks.
fn paths(unit: &Unit, library: &Path, review: &mut Review) {
    for key in ["RootDirectory", "RootImage"] {
        if let Some(setting) = unit.value(key) {
            let message = format!(
                "the server sees another root: bind the library into it (BindReadOnlyPaths={} /run/portcullis /run/systemd/journal/socket)",
                library.display()
            );
            review.warn(Some(setting), message);
        }
    }
    for key in ["InaccessiblePaths", "TemporaryFileSystem"] {
        for setting in unit.values(key) {
            for hidden in words(&setting.value) {
                let hidden = hidden.trim_start_matches(['-', '+']);
                let hidden = Path::new(hidden.split(':').next().unwrap_or_default());
                for needed in [library, Path::new("/run/portcullis/policy"), Path::new("/run/systemd/journal/socket")] {
                    if needed.starts_with(hidden) {
                        let message = format!("this hides {0}: add BindReadOnlyPaths={0}", needed.display());
                        review.warn(Some(setting), message);
                    }
                }
            }
        }
    }
    for setting in unit.values("NoExecPaths") {
        let hidden = words(&setting.value);
        if hidden.iter().any(|path| library.starts_with(path.trim_start_matches(['-', '+']))) {
            review.add(setting, "the library has to be loaded", format!("ExecPaths={}", library.display()));
        }
    }
}

/// What takes the variable away.
fn environment(root: &Path, unit: &Unit, review: &mut Review) {
    for setting in unit.values("UnsetEnvironment") {
        let takes = |word: &String| word == "LD_PRELOAD" || word.starts_with("LD_PRELOAD=");
        if words(&setting.value).iter().any(takes) {
            review.warn(Some(setting), "this removes LD_PRELOAD, so the server is not guarded: delete the word");
        }
    }
    for setting in unit.values("EnvironmentFile") {
        let path = setting.value.trim_start_matches('-');
        let text = super::text_of(&below(root, Path::new(path))).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            if let Some(value) = line.trim().strip_prefix("LD_PRELOAD=") {
                let message = format!(
                    "{path}:{} sets LD_PRELOAD={value}, which takes precedence over the drop-in: put libportcullis.so first there",
                    number + 1
                );
                review.warn(Some(setting), message);
            }
        }
    }
}

/// Changes of confinement at exec, for which the loader drops LD_PRELOAD.
fn confinement(unit: &Unit, review: &mut Review) {
    for key in ["SELinuxContext", "AppArmorProfile"] {
        if let Some(setting) = unit.value(key) {
            let message = "a change of confinement at exec makes the loader ignore LD_PRELOAD silently: after the restart, \
                           `portcullis status` shows whether it did";
            review.warn(Some(setting), message);
        }
    }
    if super::text_of(Path::new("/sys/fs/selinux/enforce")).is_ok() && unit.value("SELinuxContext").is_none() {
        let message = format!(
            "SELinux is on: where its policy changes the domain at exec without `noatsecure`, the loader ignores LD_PRELOAD \
             silently. After the restart, `portcullis status` shows it, and {} has the policy module",
            crate::out::page("troubleshooting.md")
        );
        review.warn(None, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &str, change: impl FnOnce(&mut Config)) -> (Vec<String>, Vec<String>) {
        let unit = Unit { name: "x.service".into(), settings: Vec::new() };
        let unit = unit.with(Path::new("/x.service"), &format!("[Service]\n{lines}"));
        let mut config = Config::default();
        change(&mut config);
        let review = review(Path::new("/"), &unit, Path::new("/usr/lib/x/libportcullis.so"), &config);
        let lines = review.lines.into_iter().map(|(_, line)| line).collect();
        (
            lines,
            review
                .warnings
                .into_iter()
                .filter(|warning| !warning.place.is_empty())
                .map(|warning| warning.message)
                .collect(),
        )
    }

    #[test]
    fn what_hardening_needs() {
        let supervise = |config: &mut Config| config.backstop.kind = BackstopKind::Supervise;
        assert_eq!(of("RestrictAddressFamilies=AF_INET AF_INET6", |_| ()).0, ["RestrictAddressFamilies=AF_UNIX"]);
        assert_eq!(of("RestrictAddressFamilies=~AF_UNIX", |_| ()).0, ["RestrictAddressFamilies=AF_UNIX"]);
        for fine in ["RestrictAddressFamilies=AF_UNIX AF_INET", "RestrictAddressFamilies=~AF_PACKET", "PrivateTmp=yes"]
        {
            let (lines, warnings) = of(fine, |_| ());
            assert!(lines.is_empty() && warnings.is_empty(), "{fine}: {lines:?} {warnings:?}");
        }
        assert_eq!(of("SystemCallFilter=@system-service", supervise).0, ["SystemCallFilter=seccomp pidfd_getfd"]);
        assert_eq!(of("SystemCallFilter=@system-service", |_| ()).0.len(), 0);
        let file = |config: &mut Config| config.sinks = vec![Sink::File];
        assert_eq!(of("ProtectSystem=strict", file).0, ["ReadWritePaths=-/var/log/portcullis"]);
        assert_eq!(of("NoExecPaths=/", |_| ()).0, ["ExecPaths=/usr/lib/x/libportcullis.so"]);
    }

    #[test]
    fn what_defeats_the_guard() {
        let supervise = |config: &mut Config| config.backstop.kind = BackstopKind::Supervise;
        for lines in [
            "UnsetEnvironment=LD_PRELOAD",
            "RootDirectory=/srv/root",
            "InaccessiblePaths=/run",
            "TemporaryFileSystem=/usr/lib:ro",
            "SystemCallFilter=read write",
            "SELinuxContext=a",
            "ExecStart=/bin/mount",
        ] {
            assert_eq!(of(lines, |_| ()).1.len(), 1 + usize::from(lines.ends_with("/run")), "{lines}");
        }
        assert!(of("User=www-data", supervise).1[0].contains("never is root"));
        assert!(of("User=www-data\nNoNewPrivileges=yes", supervise).1.is_empty());
        assert!(
            of("CapabilityBoundingSet=CAP_SETUID", supervise).1.iter().any(|message| message.contains("SYS_ADMIN"))
        );
        assert!(of("CapabilityBoundingSet=~CAP_SYS_PTRACE", supervise).1[0].contains("SYS_PTRACE"));
    }
}
