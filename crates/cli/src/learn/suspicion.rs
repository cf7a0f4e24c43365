//! What looks like an intrusion, and is not learnt unless somebody names it.

use super::dangers;
use super::launchers::{is, runs_commands};
use super::propose::{List, base_name, of_finders, steered, words};
use crate::log::Event;
use crate::probes;
use portcullis_config::lists;
use portcullis_event::field;
use portcullis_policy::{RULE_FACTS, RULE_TEXTS, Rule, RuleText};
use portcullis_story::writable_part;

/// The ports that Linux chooses from (ip_local_port_range).
const CHOSEN: std::ops::RangeInclusive<u16> = 32768..=60999;
/// What to do where a command is to be allowed all the same.
const INCLUDE: &str = "`--include 'ENTRY'` proposes it";

/// How the reason begins why a UDP socket that was only connected is not learnt.
pub const ONLY_CONNECTED: &str = "a UDP socket was only connected";

/// The gravest rule of an event of which nothing is learnt, and why. `loads_own`: a variable that loads code is one of those that a
/// person named or the policy allows, so that the event is judged by its other rules.
fn grave(event: &Event, loads_own: bool) -> Option<(&'static str, &'static str)> {
    let excused = |rule: &RuleText| loads_own && rule.rule == Rule::LoaderEnv;
    let fired = |rule: &&RuleText| {
        !rule.grave.is_empty() && !excused(rule) && event.rules().any(|word| word == rule.rule.word())
    };
    let severity = |rule: &RuleText| RULE_FACTS[rule.rule as usize].severity;
    // Of two that are as grave, the first.
    let rule = RULE_TEXTS
        .iter()
        .filter(fired)
        .reduce(|most, rule| if severity(rule) > severity(most) { rule } else { most })?;
    Some((rule.rule.word(), rule.grave))
}

/// Why no application causes an event, so that everything that belongs to it is withheld.
pub fn of_incident(event: &Event, loads_own: bool) -> Option<String> {
    if let Some((rule, why)) = grave(event, loads_own).filter(|_| !event.sends_nothing()) {
        return Some(format!("{rule}: {why}"));
    }
    let part = writable_part(event.text(field::REQUEST_SCRIPT))?;
    Some(format!("the script lies in a place for files, not for programs (`{part}`)"))
}

/// Programs that hand on what an intruder types or sends.
const RELAYS: [&str; 12] = [
    "socat",
    "nc",
    "ncat",
    "netcat",
    "nc.openbsd",
    "nc.traditional",
    "socket",
    "busybox",
    "openssl",
    "nohup",
    "setsid",
    "telnet",
];

/// The program between the server and what did it that hands on what an intruder types.
fn relay(event: &Event) -> Option<&str> {
    let chain = event.text(field::CHAIN);
    let mut programs: Vec<&str> = chain.split(" > ").skip(1).collect();
    if event.is_exec() {
        programs.pop();
    }
    programs.into_iter().find(|program| RELAYS.contains(&base_name(program)))
}

/// Whether it is the start of the script that the request is for: a CGI script, which has its interpreter's name, too.
fn is_own_script(event: &Event) -> bool {
    let script = event.text(field::REQUEST_SCRIPT);
    let arguments = event.arguments();
    !script.is_empty()
        && event.shell_command().is_none()
        && (event.text(field::PROCESS_EXECUTABLE) == script || arguments.first() == Some(&script))
}

/// Why an event looks like an intrusion.
pub fn suspicion(event: &Event, loads_own: bool) -> Option<String> {
    if event.sends_nothing() {
        return Some(format!(
            "{ONLY_CONNECTED}, which `enforce` refuses nobody; what was seen to be sent has events of its own. \
             Where the application sends by a way that no hook sees, {INCLUDE}"
        ));
    }
    if let Some((rule, why)) = grave(event, loads_own) {
        let more = if rule == "exec-place" { of_finders(rule, INCLUDE) } else { String::new() };
        return Some(format!("{why} ({rule}). {more}").trim_end_matches([' ', '.']).to_owned());
    }
    if let Some(why) = steered(event) {
        return Some(format!("{why}; where the variable belongs to the application, {INCLUDE}"));
    }
    if probes::is_marked(event) || event.text(field::DESTINATION_IP) == probes::ADDRESS {
        return Some("it looks like a probe of `portcullis doctor`, and is none of those in its list".into());
    }
    if event.rule() == "exec-tool" && !is_own_script(event) {
        return Some(format!(
            "it is a tool that is common in attacks (exec-tool). {}",
            of_finders("exec-tool", INCLUDE)
        ));
    }
    if event.rules().any(|rule| rule == "exec-unguarded")
        && let Some(why) = runs_commands(event.text(field::PROCESS_EXECUTABLE), event.text(field::UNGUARDED))
    {
        return Some(format!("{why}; for one command of it, name that with its arguments in `[exec] allow`"));
    }
    if let Some(part) = writable_part(event.text(field::REQUEST_SCRIPT)) {
        return Some(format!("the script lies in a place for files, not for programs (`{part}`)"));
    }
    if let Some(relay) = relay(event) {
        return Some(format!("{relay} did it, which hands on what somebody sends"));
    }
    if event.rule() == "shell-spawn" && event.shell_command().is_none() {
        return Some("a shell runs it: it is a script, or a shell by another name; read the file first".into());
    }
    let command = event.shell_command().and_then(words)?;
    let names: Vec<&str> = command.iter().map(|word| base_name(word)).collect();
    let is_shell = |name: &&&str| lists::SHELLS.contains(name);
    if let Some(shell) = names.iter().find(is_shell) {
        return Some(format!("the command starts a shell ({shell})"));
    }
    let first = names.first()?;
    if lists::TOOLS.iter().any(|tool| is(first, tool)) {
        return Some(format!("the command is a tool of intruders ({first})"));
    }
    // A mailer that takes a message runs nothing of its caller's; its other options are dangers.
    if dangers::is_submission(&command) { None } else { runs_commands(first, "") }
}

/// Why an entry is not proposed unless somebody names it, whoever caused the event.
pub fn of_entry(list: List, text: &str) -> Option<String> {
    if list == List::Listen && text.parse().is_ok_and(|port: u16| CHOSEN.contains(&port)) {
        return Some("the kernel chooses such a port for a program that names none, and the next time another".into());
    }
    if list != List::Exec {
        return None;
    }
    let words = words(text)?;
    if let Some(why) = dangers::never(&words) {
        return Some(why);
    }
    let program = words.first().filter(|program| !program.contains('/'))?;
    Some(format!(
        "the command names `{program}` without its path, and the event has none: PATH decides which program that is. Let the \
         application call it by its whole path, and learn that"
    ))
}

/// Why an entry is not proposed word by word; a pattern may be.
pub fn of_literal(list: List, text: &str) -> Option<String> {
    words(text).filter(|_| list == List::Exec).and_then(|words| dangers::literal(&words))
}
