//! The question of each rule, and its answer, in words.

use super::Clause;
use super::program::{Started, entry};
use super::question::Question;
use portcullis_policy::egress::Transport;
use portcullis_policy::exec::{HIDDEN, MEMFD, WRITABLE};
use portcullis_policy::{Outcome, Rule, Verdict};
use std::net::SocketAddr;

impl Question {
    /// What is asked, as the rule that decides asks it.
    pub fn asked(&self) -> String {
        match self {
            Question::Connect { to, transport, sends, is_quiet, name } => {
                let what = match (transport, sends) {
                    _ if *is_quiet => "connect a UDP socket, and send,",
                    (_, true) => "send a datagram",
                    (Transport::Stream, _) => "connect",
                    (Transport::Datagram, _) => "connect a UDP socket",
                };
                let name = match name.bytes() {
                    [] => String::new(),
                    name => format!(", resolved from `{}`", String::from_utf8_lossy(name)),
                };
                format!("may it {what} to {to}{name}?")
            }
            Question::Exec(started) => format!("may it start {}?", program(started)),
            Question::Listen(port) => format!("may it listen on port {port}, which the server did not open?"),
            Question::Settings(Some(lines)) => {
                let names: Vec<&str> = crate::learn::settings(lines).collect();
                format!("may the request set PHP's `{}`?", names.join("`, `"))
            }
            Question::Settings(None) => "may the request change PHP's settings?".to_owned(),
            Question::Plain(rule) => rule.text().asked.to_owned(),
            Question::Namespace(program) => format!("may {program} enter a new namespace?"),
            Question::Ring => "may it set up an io_uring, whose connections Portcullis does not see?".to_owned(),
            Question::Unknown(what, _) => format!("may it do what Portcullis could not evaluate? ({})", what.clause()),
        }
    }
}

fn program(started: &Started) -> String {
    match &started.command {
        Some(command) => format!("a shell with the command `{command}`"),
        None if started.path.is_empty() => format!("`{}`", started.name()),
        None => started.path.clone(),
    }
}

/// Why an action is decided on as it is. `clause`: what decides.
pub fn of(question: &Question, decided: &Verdict, clause: &Clause) -> String {
    if let Some(what) = decided.unknown {
        return what.clause().to_owned();
    }
    match clause.step {
        "the rule is off" => return format!("`{}` is off here", decided.rule.word()),
        "environment" => {
            return format!("`[exec] allow` has this command, and a variable may change what it does: {}", clause.text);
        }
        _ => {}
    }
    match question {
        Question::Connect { to, .. } => of_connection(*to, clause),
        Question::Exec(started) => of_program(started, clause),
        _ => of_other(question, decided),
    }
}

fn of_connection(to: SocketAddr, clause: &Clause) -> String {
    let (address, port) = (to.ip(), to.port());
    match clause.step {
        "deny" => format!("`[egress] deny` has {to}, and takes precedence over `allow`"),
        "allow" => format!("`[egress] allow` has {to}"),
        "metadata service" => format!("{address} is a cloud metadata service, and `[egress] allow` does not have {to}"),
        "name server" => format!(
            "port {port} is for name servers, and {address} is neither in /etc/resolv.conf nor in \
             `[rules.dns-direct] resolvers`"
        ),
        "local range" => format!("{address} is in a local range (`[egress] local_ranges`)"),
        "common port" => format!("port {port} is a common web port (`[egress] common_ports`)"),
        "configured name server" => format!("{address} is a configured name server"),
        "own address" => {
            format!("a UDP socket that connects to port {port} and sends nothing asks for its own address")
        }
        "otherwise" => format!(
            "port {port} is not a common web port, and {address} is neither in a local range nor in `[egress] allow`"
        ),
        _ => clause.text.clone(),
    }
}

fn of_program(started: &Started, clause: &Clause) -> String {
    let path = match started.path.as_str() {
        "" => started.name().to_owned(),
        path => path.to_owned(),
    };
    let word = entry(&clause.text).unwrap_or(&clause.text);
    let not_allowed = match &started.command {
        Some(command) => format!("`[exec] allow` does not have `{command}`"),
        None => "`[exec] allow` does not have this call".to_owned(),
    };
    match clause.step {
        "allow" => "`[exec] allow` has this command".to_owned(),
        "allow of exec-unguarded" => format!("`[rules.exec-unguarded] allow` has {path}"),
        "allow of loader-env" => "`[rules.loader-env] allow` has the whole value of the variable".to_owned(),
        "shell" => format!("`{word}` is a shell (`[exec] shells`), and {not_allowed}"),
        "tool" => format!("`{word}` is a tool (`[rules.exec-tool] tools`), and {not_allowed}"),
        "place" => {
            let place = match word {
                WRITABLE => "the process that starts it can write to it".to_owned(),
                MEMFD => "it is no file on disk".to_owned(),
                HIDDEN => "its name begins with a dot".to_owned(),
                folder => format!("it is in {folder}"),
            };
            format!("{path} is in an unusual place: {place}; and {not_allowed}")
        }
        "unguarded" => format!("Portcullis would not be active in {path} ({}), and {not_allowed}", started.unguarded),
        "standard input or output" => format!("{path} would have a network connection as standard input or output"),
        "loader" => format!(
            "a variable that loads code into {path} is not as at the server's start, and `[rules.loader-env] allow` \
             does not have its value"
        ),
        "no rule is about it" => {
            format!("{path} is no shell and no tool, is in a usual place, and Portcullis would be active in it")
        }
        _ => clause.text.clone(),
    }
}

fn of_other(question: &Question, decided: &Verdict) -> String {
    let fires = decided.outcome != Outcome::Allow;
    let list = |what: &str, rule: Rule, several: bool| {
        let verb = if fires { "does not have" } else { "has" };
        let all = if several && fires { "all of " } else { "" };
        format!("`[rules.{}] allow` {verb} {all}{what}", rule.word())
    };
    match question {
        Question::Listen(port) => {
            let whose = if fires { "the server did not open this port before it served, and " } else { "" };
            format!("{whose}{}", list(&format!("port {port}"), Rule::ListenPort, false))
        }
        Question::Settings(Some(lines)) => {
            let names: Vec<&str> = crate::learn::settings(lines).collect();
            list(&format!("`{}`", names.join("`, `")), Rule::PhpIni, names.len() > 1)
        }
        Question::Settings(None) => "the event has only a part of the settings".to_owned(),
        Question::Namespace(program) => list(program, Rule::Namespace, false),
        Question::Plain(rule) => format!("{}; no list allows it", rule.text().because),
        Question::Ring => "the kernel would make its calls without libc; no list allows it".to_owned(),
        Question::Connect { .. } | Question::Exec(_) | Question::Unknown(..) => String::new(),
    }
}
