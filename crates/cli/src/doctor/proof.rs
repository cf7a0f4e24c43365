//! Harmless acts that the guard has to see, and the look for their events.
//!
//! A shell that runs `:`, and a connection or a datagram from 127.0.0.1 to 0.0.0.1, which no kernel sends: an address of
//! loopback as the source of a packet to elsewhere is refused before anything leaves.

use super::fastcgi::{self, Listener};
use super::master::Master;
use super::{Findings, Outcome};
use crate::install::unit::Unit;
use crate::install::{Systemd, plan};
use crate::log::{Event, Probes, Selection, moment};
use crate::probes::{self, By, Entry, Expected};
use portcullis_config::Config;
use portcullis_event::field;
use portcullis_policy::{Policy, Sink};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long an event may take to its sink.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ports of which one is most unlikely to be allowed.
const PORTS: [u16; 3] = [61234, 4444, 31337];
/// Where the script of PHP lies, in a folder of the token's name.
pub const FOLDER: &str = "/run/portcullis";
/// Settings of a unit that a process beside it must not have.
const OWN: [&str; 22] = [
    "Type",
    "PIDFile",
    "BusName",
    "NotifyAccess",
    "Restart",
    "RestartSec",
    "RemainAfterExit",
    "GuessMainPID",
    "Sockets",
    "RuntimeDirectory",
    "RuntimeDirectoryPreserve",
    "StateDirectory",
    "CacheDirectory",
    "LogsDirectory",
    "ConfigurationDirectory",
    "KillMode",
    "WatchdogSec",
    "FileDescriptorStoreMax",
    "OOMPolicy",
    "StandardInput",
    "StandardOutput",
    "TTYPath",
];

/// An act, and the rule that it is for.
pub struct Act {
    /// What is done, for people.
    pub what: &'static str,
    /// The rule.
    pub rule: &'static str,
    /// How the script of PHP names it.
    pub how: &'static str,
}

/// What a worker of PHP-FPM does.
pub const IN_PHP: [Act; 3] = [
    Act { what: "a shell from PHP", rule: "shell-spawn", how: "shell" },
    Act { what: "a connection from PHP", rule: "egress-port", how: "connect" },
    Act { what: "a connection from PHP's curl, loaded with RTLD_DEEPBIND", rule: "egress-port", how: "curl" },
];

/// The port to connect to under a policy.
pub fn port(policy: &Policy<'_>) -> Option<u16> {
    PORTS.into_iter().find(|&port| !crate::explain::allows_connect(policy, ([0, 0, 0, 1], port).into()))
}

/// A probe that runs: its token, and its entry in the list of root's until it is over.
pub struct Run {
    pub token: String,
    _entry: Option<Entry>,
}

/// Begins a probe that is to cause what `expected` gives for its token.
pub fn begin(findings: &mut Findings, expected: impl FnOnce(&str) -> Vec<Expected>) -> Option<Run> {
    let token = match probes::token() {
        Ok(token) => token,
        Err(error) => {
            findings.add(Outcome::Wrong, "proof", format!("the kernel has no random bytes: {error}"), "");
            return None;
        }
    };
    let entry = match probes::open(Path::new(probes::LIST), &token, expected(&token)) {
        Ok(entry) => Some(entry),
        Err(error) => {
            let found = format!("cannot write {}: {error}: the events of this probe count as any other", probes::LIST);
            findings.add(Outcome::Warning, "list of probes", found, "");
            None
        }
    };
    Some(Run { token, _entry: entry })
}

/// The URI by which a worker of PHP-FPM is asked for an act.
fn uri(token: &str, act: &Act) -> String {
    format!("/{token}?{}", act.how)
}

/// What a worker of PHP-FPM is to do.
pub fn of_fpm(token: &str, port: u16) -> Vec<Expected> {
    let of = |act: &Act| match act.rule {
        "shell-spawn" => Expected::shell(By::Uri(uri(token, act))),
        _ => Expected::connections(By::Uri(uri(token, act)), port, "tcp", 1),
    };
    // The shell of an act has the library, too.
    IN_PHP.iter().map(of).chain([Expected::guard(By::Uri(format!("/{token}")))]).collect()
}

/// What a process beside the unit's is to do.
pub fn of_beside(token: &str, port: u16) -> Vec<Expected> {
    let own = std::env::current_exe().unwrap_or_default();
    let by = || By::Process(format!("{} probe {token} {port}", own.display()));
    vec![Expected::shell(by()), Expected::connections(by(), port, "udp", 1), Expected::guard(by())]
}

/// The sink to look in, and how; `None` where none can be read from here.
pub fn sink(config: &Config) -> Option<(&'static str, Selection)> {
    let since = moment("1m").ok();
    let probes = Probes { probes: true, ..Probes::default() };
    match &config.sinks {
        sinks if sinks.contains(&Sink::Journald) => {
            Some(("the journal", Selection { since, probes, ..Selection::default() }))
        }
        sinks if sinks.contains(&Sink::File) => {
            let files = vec![config.log_file.clone()];
            Some(("the log file", Selection { files, since, probes, ..Selection::default() }))
        }
        _ => None,
    }
}

/// Waits for an event.
pub fn await_event(selection: &Selection, is_it: impl Fn(&Event) -> bool) -> Result<Event, String> {
    let begun = Instant::now();
    loop {
        let (events, _) = selection.all()?;
        if let Some(event) = events.into_iter().find(|event| is_it(event)) {
            return Ok(event);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("no event came within {} seconds", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A folder with the script of PHP, gone at its end.
pub struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    /// Lays it where every user can read it.
    pub fn lay(port: u16, token: &str) -> std::io::Result<Script> {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(FOLDER)?;
        // An event of Apache's shows the folder in the command line.
        let folder = tempfile::Builder::new().prefix(token).rand_bytes(0).tempdir_in(FOLDER)?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let script = Script { folder };
        let text = include_str!("probe.php").replace("PORT", &port.to_string()).replace("TOKEN", token);
        std::fs::write(script.path(), text)?;
        std::fs::set_permissions(script.path(), std::fs::Permissions::from_mode(0o644))?;
        Ok(script)
    }

    /// Its path.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("probe.php")
    }
}

/// Has a worker behind `listener` do one act.
pub fn in_php(listener: &Listener, master: Master, script: &Script, act: &Act, token: &str) -> Result<(), String> {
    let path = script.path().display().to_string();
    let uri = uri(token, act);
    let params = [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", "portcullis-doctor"),
        ("SERVER_NAME", "portcullis-doctor.invalid"),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", uri.as_str()),
        ("QUERY_STRING", act.how),
        ("SCRIPT_NAME", "/probe.php"),
        ("SCRIPT_FILENAME", path.as_str()),
        ("REMOTE_ADDR", "127.0.0.1"),
    ];
    let (out, err) = fastcgi::request(listener, master, &params).map_err(|error| format!("{listener}: {error}"))?;
    let body = out.split_once("\r\n\r\n").map_or(out.as_str(), |(_, body)| body).trim();
    said(body, err.trim()).map(drop)
}

/// The number of the process in which PHP did an act, by what it printed; 0 where it may not tell.
pub fn said(body: &str, errors: &str) -> Result<u64, String> {
    match (body.strip_prefix("done "), body.strip_prefix("cannot: ")) {
        (Some(pid), _) => Ok(pid.trim().parse().unwrap_or(0)),
        (_, Some(why)) => Err(why.to_owned()),
        _ => Err(format!("PHP did not run the probe: {}", crate::show::printable(&format!("{body} {errors}")))),
    }
}

/// Whether an event is that of an act of the worker.
pub fn is_of(event: &Event, act: &Act, token: &str) -> bool {
    event.rules().any(|rule| rule == act.rule) && event.text(field::URL_ORIGINAL) == uri(token, act)
}

/// Runs the probe as a process of its own with the settings of `unit`: who it is, what it sees, what it may do.
pub fn beside(unit: &Unit, systemd: &Systemd, policy: &Path, port: u16, token: &str) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find the own program: {error}"))?;
    let service = vec![
        ("Type", "oneshot".to_owned()),
        ("Environment", format!("\"PORTCULLIS_CONTEXT=1;s;0;0;0;0:0;{};\"", word(policy)?)),
        ("ExecStart", format!("{} probe {token} {port}", word(&own)?)),
    ];
    started(unit, systemd, &format!("{token}.service"), &service, || ())
}

/// Settings of a unit of systemd, each a key and its value.
pub type Service = Vec<(&'static str, String)>;

/// A path as one word of a setting, by itself: what would mean something else to systemd there (a space, a quote, `%`, `$`, a line's end) is
/// refused.
pub fn word(path: &Path) -> Result<String, String> {
    let is_plain =
        |text: &&str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._+:@,=~-".contains(letter));
    let plain = path.to_str().filter(|text| text.starts_with('/')).filter(is_plain);
    plain
        .map(str::to_owned)
        .ok_or_else(|| format!("{} is not a path that a unit of systemd has unquoted", path.display()))
}

/// Starts a unit that has the settings of `unit` but for those of its own, calls `meanwhile`, and takes the unit away.
pub fn started<R>(
    unit: &Unit,
    systemd: &Systemd,
    name: &str,
    service: &Service,
    meanwhile: impl FnOnce() -> R,
) -> Result<R, String> {
    let path = Path::new("/run/systemd/system").join(name);
    let mut text = "[Unit]\nDescription=A harmless probe of portcullis doctor\n[Service]\n".to_owned();
    for setting in &unit.settings {
        let is_own =
            OWN.contains(&setting.key.as_str()) || setting.key.starts_with("Exec") && setting.key != "ExecPaths";
        if !is_own {
            text += &format!("{}={}\n", setting.key, setting.value);
        }
    }
    text += "TimeoutStartSec=20\n";
    for (key, value) in service {
        if value.contains(|letter: char| letter.is_control()) {
            return Err(format!("{key}= would have a control character"));
        }
        text += &format!("{key}={value}\n");
    }
    plan::write(Path::new("/"), &path, &text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    let done = systemd.reload().and_then(|()| systemd.start(name)).map(|()| meanwhile());
    let stopped = systemd.stop(name);
    let _ = std::fs::remove_file(&path);
    systemd.reload()?;
    systemd.forget(name);
    stopped.and(done)
}

/// The probe itself: the same acts from a process that counts as serving.
pub fn probe(token: &str, port: u16) -> u8 {
    let _ = Command::new("sh").arg("-c").arg(format!(": {token}")).status();
    if let Ok(socket) = std::net::UdpSocket::bind("127.0.0.1:0") {
        // A connect of it sends nothing, and is no event.
        let _ = socket.send_to(b"x", ("0.0.0.1", port));
    }
    crate::FINE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_or_none() {
        assert_eq!(word(Path::new("/usr/sbin/apache2")).unwrap(), "/usr/sbin/apache2");
        for path in ["apache2", "/a\nExecStartPre=/x", "/a b", "/a%n", "/a$b", "/a\"b", "/a\\b", "/a;b", "/a\u{85}b"] {
            assert!(word(Path::new(path)).is_err(), "{path:?}");
        }
    }
}
