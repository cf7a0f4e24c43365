//! PHP inside Apache: another Apache with the unit's settings and its modules, on a port of loopback, that serves the probe alone.
//! Nothing can be laid where the unit's own workers would serve it without changing what the server has.

use super::bounded::{Bounded, PATIENCE};
use super::master::Master;
use super::proof::{self, Script, Service};
use super::{Findings, Outcome, fact};
use crate::install::Systemd;
use crate::install::unit::Unit;
use crate::log::Selection;
use crate::probes::{By, Expected};
use crate::status::live;
use portcullis_config::reading;
use portcullis_event::field;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// How much of its log is shown, in characters.
const LOG_MAX: usize = 4096;

/// Where a distribution has its Apache.
pub struct Layout {
    /// The base name of its program.
    program: &'static str,
    /// Its folder of configurations.
    root: &'static str,
    /// The files that load its modules, below that.
    modules: &'static str,
}

/// Debian's, and Fedora's.
const LAYOUTS: [Layout; 2] = [
    Layout { program: "apache2", root: "/etc/apache2", modules: "mods-enabled/*.load" },
    Layout { program: "httpd", root: "/etc/httpd", modules: "conf.modules.d/*.conf" },
];

/// The layout of an Apache, where that has PHP in it.
pub fn layout(master: Master) -> Option<&'static Layout> {
    let program = std::fs::read_link(live::path(master.pid(), "exe")).ok()?;
    let maps = fact(live::path(master.pid(), "maps"))?;
    let name = program.file_name()?.to_str()?;
    LAYOUTS.iter().find(|layout| layout.program == name).filter(|_| maps.contains("/libphp"))
}

/// Has PHP in such an Apache do what the guard has to see, and looks for the events.
#[allow(clippy::too_many_arguments)]
pub fn in_its_php(
    unit: &Unit,
    systemd: &Systemd,
    layout: &Layout,
    master: Master,
    script: &Script,
    token: &str,
    (sink, selection): (&str, &Selection),
    findings: &mut Findings,
) {
    const WHAT: &str = "PHP in an Apache with the unit's settings and modules";
    let prepared = prepare(layout, master, script);
    let (service, port) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return findings.add(Outcome::Wrong, WHAT, format!("cannot be prepared: {error}"), ""),
    };
    let name = format!("{token}-apache.service");
    let done = proof::started(unit, systemd, &name, &service, || {
        // The same process may do several.
        let mut seen: Vec<String> = Vec::new();
        for act in &proof::IN_PHP {
            let what = format!("{} (Apache with the unit's settings)", act.what);
            match get(port, act.how).and_then(|body| proof::said(body.trim(), "")) {
                Ok(pid) => {
                    let event = proof::await_event(selection, |event| {
                        let is_its =
                            [event.number(field::PROCESS_PID), event.number(field::PARENT_PID)].contains(&Some(pid));
                        is_its
                            && event.rules().any(|rule| rule == act.rule)
                            && !seen.iter().any(|id| id == event.text(field::EVENT_ID))
                    });
                    if let Ok(event) = &event {
                        seen.push(event.text(field::EVENT_ID).to_owned());
                    }
                    findings.of_event(&what, sink, event);
                }
                Err(why) => {
                    let log = fact(script.path().with_file_name("error")).unwrap_or_default();
                    let log: String = log.trim().chars().take(LOG_MAX).collect();
                    findings.add(Outcome::Skipped, &what, format!("{why} {log}"), "");
                }
            }
        }
    });
    if let Err(why) = done {
        findings.add(Outcome::Skipped, WHAT, why, "");
    }
}

/// Writes the configuration; gives the service, and the port that it will listen on.
fn prepare(layout: &Layout, master: Master, script: &Script) -> Result<(Service, u16), String> {
    let path = script.path();
    let folder = path.parent().unwrap_or(Path::new("/"));
    let program = proof::word(&master.program()?)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let port = port.map_err(|error| error.to_string())?.port();
    let (uid, gid) = worker(master);
    let (shown, root, modules) = (folder.display(), layout.root, layout.modules);
    let config = folder.join("apache.conf");
    // The probe alone is served: every local user can ask, and what was asked for stands in the log beside it, which is not to be PHP.
    let text = format!(
        "ServerRoot \"{root}\"\nServerName portcullis-doctor.invalid\nListen 127.0.0.1:{port}\nDefaultRuntimeDir \"{shown}\"\n\
         PidFile \"{shown}/pid\"\nErrorLog \"{shown}/error\"\nUser #{uid}\nGroup #{gid}\nIncludeOptional {modules}\n\
         <IfModule mime_module>\nTypesConfig /dev/null\n</IfModule>\n\
         <Directory \"/\">\nRequire all denied\n</Directory>\nDocumentRoot \"{shown}\"\n<Directory \"{shown}\">\n\
         <Files \"probe.php\">\nRequire all granted\nSetHandler application/x-httpd-php\n</Files>\n</Directory>\n"
    );
    std::fs::write(&config, text).map_err(|error| error.to_string())?;
    proof::word(&config)?;
    Ok((vec![("Type", "exec".to_owned()), ("ExecStart", line(&program, folder))], port))
}

/// The command line of such an Apache.
fn line(program: &str, folder: &Path) -> String {
    format!("{program} -DFOREGROUND -f {}/apache.conf", folder.display())
}

/// What PHP in it is to do.
pub fn expected(master: Master, token: &str, port: u16) -> Vec<Expected> {
    let program = master.program().unwrap_or_default();
    let line = line(&program.display().to_string(), &Path::new(proof::FOLDER).join(token));
    let by = || By::Process(line.clone());
    let connections = proof::IN_PHP.iter().filter(|act| act.rule == "egress-port").count();
    vec![Expected::shell(by()), Expected::connections(by(), port, "tcp", connections), Expected::guard(by())]
}

/// User and group of a worker of the server; its own where it has none.
fn worker(master: Master) -> (u32, u32) {
    // Each task has the children that it has started.
    let tasks = reading::entries(Path::new(&format!("/proc/{}/task", master.pid())), reading::ENTRIES_MAX);
    let tasks = tasks.into_iter().flatten().filter_map(|task| fact(task.path().join("children")));
    let children = tasks.collect::<Vec<String>>().join(" ");
    // The folder in /proc of a process that gave up root belongs to root.
    let user = |pid: &str| {
        let status = fact(live::path(pid.parse().ok()?, "status"))?;
        let effective = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().nth(1)?.parse::<u32>().ok()
        };
        Some((effective("Uid:")?, effective("Gid:")?))
    };
    let all: Vec<(u32, u32)> = children.split_whitespace().filter_map(user).collect();
    all.iter().copied().find(|(uid, _)| *uid != 0).or_else(|| all.first().copied()).unwrap_or((65534, 65534))
}

/// The body of what the probe answers.
fn get(port: u16, how: &str) -> Result<String, String> {
    let begun = Instant::now();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let connection = loop {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(connection) => break connection,
            Err(error) if begun.elapsed() > PATIENCE => return Err(format!("Apache cannot be reached: {error}")),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let mut connection = Bounded::new(connection);
    let mut ask = || -> std::io::Result<String> {
        write!(connection, "GET /probe.php?{how} HTTP/1.0\r\nHost: portcullis-doctor.invalid\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| format!("Apache does not answer: {error}"))?;
    Ok(answer.split_once("\r\n\r\n").map_or(answer.as_str(), |(_, body)| body).to_owned())
}
