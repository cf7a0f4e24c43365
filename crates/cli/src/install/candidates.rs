//! `portcullis install` without a unit: which web servers this system has, which of them are guarded, and what comes next for each.

use super::unit::{self, Unit};
use super::{Systemd, installed};
use crate::out::printable;
use crate::{FINE, status};
use anstyle::{AnsiColor, Style};
use std::collections::BTreeSet;
use std::path::Path;

const GOOD: Style = AnsiColor::Green.on_default();
const OPEN: Style = AnsiColor::Yellow.on_default();

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has the drop-in, and a running server is guarded as a whole.
    Guarded,
    /// It has the drop-in, and processes without the guard, or without a supervisor that they need.
    Exposed,
    /// It has no drop-in.
    Bare,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Guarded => "guarded",
            State::Exposed => "in part",
            State::Bare => "not guarded",
        }
    }

    fn style(self) -> Style {
        if self == State::Guarded { GOOD } else { OPEN }
    }
}

/// A unit, and what to do next.
#[derive(Debug)]
struct Candidate {
    name: String,
    state: State,
    is_running: bool,
}

impl Candidate {
    /// The next command for it.
    fn next(&self) -> String {
        let name = printable(self.name.trim_end_matches(".service"));
        match (self.state, self.is_running) {
            (State::Bare, true) => format!("portcullis install {name} --now"),
            (State::Bare, false) => format!("portcullis install {name}"),
            (State::Exposed, _) => format!("systemctl restart {name}"),
            (State::Guarded, true) => format!("portcullis doctor {name}"),
            (State::Guarded, false) => format!("systemctl start {name}"),
        }
    }
}

/// The units of known servers, and every other that has the drop-in, each once whatever its names.
fn find(root: &Path, running: &dyn Fn(&str) -> bool, exposed: &[String]) -> Vec<Candidate> {
    let guarded = installed(root);
    let names: BTreeSet<String> = unit::servers(root)
        .iter()
        .filter_map(|name| Unit::find(root, name).ok())
        // A masked unit is a link to /dev/null, and cannot start.
        .filter(|unit| unit.value("ExecStart").is_some())
        .map(|unit| unit.name)
        .chain(guarded.iter().cloned())
        .collect();
    let of = |name: String| {
        let state = match (guarded.contains(&name), exposed.contains(&name)) {
            (false, _) => State::Bare,
            (true, true) => State::Exposed,
            (true, false) => State::Guarded,
        };
        Candidate { is_running: running(&name), name, state }
    };
    names.into_iter().map(of).collect()
}

/// Prints them.
pub fn list(root: &Path) -> u8 {
    let systemd = Systemd::of(root);
    let exposed = if systemd.is_running() && super::is_root() { status::exposed() } else { Vec::new() };
    let found = find(root, &|name| systemd.is_active(name), &exposed);
    if found.is_empty() {
        println!("No unit of a known web server is here. `portcullis install UNIT` guards any other service.");
        return FINE;
    }
    let width = found.iter().map(|one| printable(&one.name).len()).max().unwrap_or(0);
    for one in &found {
        let (style, word) = (one.state.style(), one.state.word());
        let running = if one.is_running { "running" } else { "stopped" };
        println!("{:width$}  {running}  {style}{word:<11}{style:#}  next: {}", printable(&one.name), one.next());
    }
    println!("`portcullis install UNIT` guards any other service, too.");
    FINE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_is_listed_once_with_what_comes_next() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let service = "[Service]\nExecStart=/usr/sbin/x\n";
        for name in ["apache2", "nginx", "php8.2-fpm", "php8.3-fpm", "pages", "sshd"] {
            write(&format!("lib/systemd/system/{name}.service"), service);
        }
        std::os::unix::fs::symlink("apache2.service", root.path().join("lib/systemd/system/httpd.service")).unwrap();
        write("lib/systemd/system/caddy.service", "");
        for name in ["nginx", "pages", "php8.3-fpm"] {
            write(
                &format!("etc/systemd/system/{name}.service.d/portcullis.conf"),
                "# Written by `portcullis install`\n[Service]\n",
            );
        }
        let found = find(root.path(), &|name| !name.starts_with("pages"), &["nginx.service".to_owned()]);
        let next: Vec<String> = found.iter().map(Candidate::next).collect();
        assert_eq!(
            next,
            [
                "portcullis install apache2 --now",
                "systemctl restart nginx",
                "systemctl start pages",
                "portcullis install php8.2-fpm --now",
                "portcullis doctor php8.3-fpm",
            ]
        );
    }
}
