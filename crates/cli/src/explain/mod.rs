//! `portcullis explain`: what the policy decides, which clause does, what the next clause would have said, and which key would
//! allow what is not.

mod keys;
mod of_log;
mod program;
mod question;
mod request;
mod words;

use crate::arguments::Explain;
use crate::log::Event;
use crate::show::printable;
use crate::{FINE, WRONG, check, complain, instead, show};
use keys::Way;
pub use keys::{AMBIGUOUS, of_steered, of_unknown};
use portcullis_config::Loaded;
use portcullis_policy::egress::Transport;
use portcullis_policy::{GLOBAL_SCOPE, Mode, Outcome, Policy, Rule};
pub use program::{Started, is_further};
use question::Question;
pub use question::{is_datagram_sent, rule_of, unknown};
use request::source;
pub use request::{Request, Whose, find, request_of, scope_of};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;

pub fn run(arguments: &Explain) -> u8 {
    let path = check::path_of(&arguments.source);
    let is_built_in = arguments.source.config.is_none() && !path.try_exists().unwrap_or(true);
    let loaded = if is_built_in {
        // On standard error: with --json, standard output is for a program.
        eprintln!("There is no {}: this is what the built-in configuration says.", path.display());
        Loaded { config: portcullis_config::built_in(), diagnostics: Vec::new(), is_trusted: true }
    } else {
        portcullis_config::load(&path)
    };
    check::show_errors(&loaded);
    let is_rejected = !loaded.usable();
    let bytes = match is_rejected {
        true => {
            let instead = instead::of(&path);
            eprintln!("{}: rejected; this is what {} says.", check::summary(&loaded, &path), instead.what);
            instead.bytes
        }
        false => portcullis_config::compile(&loaded.config),
    };
    let policy = match Policy::new(&bytes) {
        Ok(policy) => policy,
        Err(why) => return complain(why.reason()),
    };
    let asked = match &arguments.event {
        Some(file) => of_file(file, arguments.id.as_deref()),
        None => of_arguments(arguments).map(|(question, request)| (question, request, None)),
    };
    let (question, request, fired) = match asked {
        Ok(asked) => asked,
        Err(message) => return complain(message),
    };
    let whose = match &arguments.vhost {
        Some(name) => match named(&policy, name) {
            Ok(whose) => whose,
            Err(why) => return complain(why),
        },
        None => find(&policy, &request),
    };
    let mut answer = Answer::new(&policy, whose, &question, fired);
    answer.chosen = match &arguments.vhost {
        Some(_) => "--vhost names it".to_owned(),
        None if is_rejected => "the compiled policy, without the keys of its configuration".to_owned(),
        None => request::why(&loaded.config, whose, &request),
    };
    if arguments.json {
        println!("{}", crate::out::json(&answer.json(), true));
    } else {
        answer.print();
    }
    if is_rejected { WRONG } else { FINE }
}

fn of_arguments(arguments: &Explain) -> Result<(Question, Request), String> {
    let question = match (&arguments.connect, &arguments.exec) {
        (Some(target), _) => {
            // Events are shown with their transport behind the port.
            let (place, word) = match target.rsplit_once('/') {
                Some((place, word @ ("tcp" | "udp"))) => (place, word),
                _ => (target.as_str(), ""),
            };
            let address = place.parse().map_err(|_| {
                format!(
                    "`{target}` is not ADDRESS:PORT; help: --connect 192.0.2.1:443 --domain NAME (IPv6: \
                     [2001:db8::1]:443; UDP: 192.0.2.1:443/udp, or --udp)"
                )
            })?;
            if arguments.udp && word == "tcp" {
                return Err(format!("`{target}` is not UDP; help: leave out --udp, or /tcp"));
            }
            let name = arguments.domain.as_deref().unwrap_or_default();
            let transport = if arguments.udp || word == "udp" { Transport::Datagram } else { Transport::Stream };
            Question::connect(address, transport, name.as_bytes())
        }
        (None, Some(command)) => Question::Exec(Box::new(Started::by_shell(command))),
        (None, None) => return Err("nothing to explain".to_owned()),
    };
    let word = |value: &Option<String>| value.clone().unwrap_or_default();
    let request = Request {
        server_name: word(&arguments.server_name),
        source: source(&arguments.server_name_from),
        document_root: word(&arguments.document_root),
        script: word(&arguments.script),
        pool: word(&arguments.pool),
        profile: word(&arguments.profile),
        is_unknown: false,
    };
    Ok((question, request))
}

/// What an event of a file is about, and the rule that decided then.
fn of_file(file: &Path, id: Option<&str>) -> Result<(Question, Request, Option<Rule>), String> {
    let event = of_log::event(file, id)?;
    let fired = Rule::ALL.into_iter().find(|rule| rule.word() == event.rule());
    Ok((Question::of(&event)?, request_of(&event), fired))
}

/// Whether a policy would write an event of the action of an event; `None` where a policy alone cannot tell.
pub fn has_event(policy: &Policy<'_>, event: &Event) -> Option<bool> {
    let question = Question::of(event).ok()?;
    Some(question.has_event(policy, scope_of(policy, event)))
}

/// Whether a rule of a policy is against the action of an event; of a UDP socket that is only connected, against what is sent. `None` where
/// a policy alone cannot tell.
pub fn fires(policy: &Policy<'_>, event: &Event) -> Option<bool> {
    let question = Question::of(event).ok()?;
    Some(question.fires(policy, scope_of(policy, event)))
}

/// What a policy decides on the action of an event: the outcome, and the rule and the clause that decide, with its place. Of a UDP socket
/// that is only connected, it decides on what is sent.
pub fn verdict_on(policy: &Policy<'_>, event: &Event) -> Result<(Outcome, String), String> {
    let question = Question::of(event)?;
    Ok(decided(policy, find(policy, &request_of(event)), &question))
}

/// The same on a shell's command, or on a connection by TCP, of a request.
pub fn verdicts_of(policy: &Policy<'_>, request: &Request, command: &str, to: SocketAddr) -> [(Outcome, String); 2] {
    asked(command, to).map(|question| decided(policy, find(policy, request), &question))
}

/// The same of the virtual host with this name.
pub fn verdicts_of_vhost(
    policy: &Policy<'_>,
    name: &str,
    command: &str,
    to: SocketAddr,
) -> Result<[(Outcome, String); 2], String> {
    let whose = named(policy, name)?;
    Ok(asked(command, to).map(|question| decided(policy, whose, &question)))
}

fn asked(command: &str, to: SocketAddr) -> [Question; 2] {
    [Question::Exec(Box::new(Started::by_shell(command))), Question::connect(to, Transport::Stream, b"")]
}

/// The virtual host with this name.
fn named(policy: &Policy<'_>, name: &str) -> Result<Whose, String> {
    match (0_u32..).zip(policy.vhost_names()).find(|(_, known)| *known == name.as_bytes()) {
        Some((index, _)) => Ok(Whose::Vhost(index)),
        None => Err(check::no_vhost(name, policy.vhost_names().map(String::from_utf8_lossy))),
    }
}

fn decided(policy: &Policy<'_>, whose: Whose, question: &Question) -> (Outcome, String) {
    let answer = Answer::new(policy, whose, question, None);
    let clause = answer.clauses.first().map(Clause::line).unwrap_or_default();
    let outcome = question.decide(policy, whose.scope(policy)).0.outcome;
    (outcome, format!("{}, mode {}; {clause}", answer.rule.word(), answer.mode.word()))
}

/// What `[rules.loader-env] allow` would have to have for those variables of an event that a policy does not name, as far as the event
/// shows them; `loading`: for those that load code. Whether these are all.
pub fn expectations(policy: &Policy<'_>, event: &Event, loading: bool) -> (Vec<String>, bool) {
    let scope = scope_of(policy, event);
    Started::of(event).map_or((Vec::new(), false), |started| started.expectations(policy, scope, loading))
}

/// What a policy says of a connection by TCP, of no request.
pub fn allows_connect(policy: &Policy<'_>, to: SocketAddr) -> bool {
    !Question::connect(to, Transport::Stream, b"").fires(policy, GLOBAL_SCOPE)
}

/// A clause as it is shown.
struct Clause {
    step: &'static str,
    text: String,
    place: String,
    verdict: &'static str,
}

impl Clause {
    fn line(&self) -> String {
        match self.text.as_str() {
            "" => self.step.to_owned(),
            text => format!("{}: {text} ({})", self.step, self.place),
        }
    }
}

struct Answer {
    /// The question.
    asked: String,
    /// What decides, in words.
    words: String,
    /// Why this policy decides.
    chosen: String,
    rule: Rule,
    mode: Mode,
    /// `override` gives every rule that mode.
    is_overridden: bool,
    also: Vec<&'static str>,
    whose: Whose,
    vhost: Option<(String, String)>,
    /// What could not be judged.
    unknown: Option<&'static str>,
    /// What would allow what is not.
    ways: Vec<Way>,
    /// What an event leaves open.
    note: &'static str,
    /// The one that decides, then the others that have what is asked about, in order.
    clauses: Vec<Clause>,
    why: String,
}

/// What becomes of an action on which a rule that has this mode fires; allowed where none does.
fn verdict(mode: Option<Mode>) -> &'static str {
    match mode {
        None | Some(Mode::Off) => "allowed",
        Some(Mode::Audit) => "allowed, with an event",
        Some(Mode::Enforce) => "blocked, with an event",
    }
}

/// The same of the connect of a UDP socket, for what is sent on it has this verdict; `has_event`: the connect is an event.
fn quiet_verdict(sent: &'static str, has_event: bool) -> &'static str {
    match (sent, has_event) {
        ("allowed", _) => "allowed",
        (_, true) => "allowed, with an event; what is sent has an event of its own",
        ("allowed, with an event", false) => "allowed, without an event; what is sent is allowed, with an event",
        _ => "allowed, without an event; what is sent is blocked, with an event",
    }
}

/// What is to be known of an event of such a connect.
const NOTE_OF_QUIET: &str = "`nothing sent yet`: the event is of the connect alone, which sends nothing and is refused nobody; what the \
                             socket sends is evaluated when it is sent";

/// Prints one line of the answer.
fn row(name: &str, text: &str) {
    println!("{:<9} {}", format!("{name}:"), printable(text));
}

impl Answer {
    /// `fired`: the rule of the event that is asked about.
    fn new(policy: &Policy<'_>, whose: Whose, question: &Question, fired: Option<Rule>) -> Answer {
        let scope = whose.scope(policy);
        let (mut decided, mut steps) = question.decide(policy, scope);
        // An action on which no rule fires has no rule in the verdict.
        if let Some(rule) = fired.filter(|_| decided.outcome == Outcome::Allow) {
            decided.rule = rule;
        }
        steps.retain(|step| step.clause.is_some());
        // A verdict names the entries of the first lists alone.
        let quiet = steps.iter().find(|step| step.fires.is_none()).and_then(|step| step.clause);
        if decided.outcome == Outcome::Allow && decided.clause == u32::MAX {
            decided.clause = quiet.unwrap_or(u32::MAX);
        }
        let show = |clause: u32| {
            let (text, file, line) = policy.clause(clause);
            let place = match file {
                [] => "built in".to_owned(),
                file => format!("{}:{line}", String::from_utf8_lossy(file)),
            };
            (String::from_utf8_lossy(text).into_owned(), place)
        };
        // What decides comes first: a stricter rule wins over an earlier one.
        let fires = (decided.outcome != Outcome::Allow).then_some(decided.rule);
        let is_it = |step: &portcullis_policy::egress::Step| (step.clause, step.fires) == (Some(decided.clause), fires);
        let its_step = steps.iter().find(|step| is_it(step)).map(|step| step.name);
        let is_off = policy.mode(scope, decided.rule) == Mode::Off;
        let step = match (decided.own_clause(), its_step) {
            (Some(_), _) if decided.unknown.is_some() => "unknown",
            (Some(_), _) => "environment",
            (None, Some(name)) => name,
            (None, None) if fires.is_some() => "rule",
            (None, None) if decided.clause != u32::MAX => "allow",
            (None, None) if is_off => "the rule is off",
            (None, None) => "no rule is about it",
        };
        let (text, place) = match decided.own_clause() {
            Some(clause) => (String::from_utf8_lossy(clause).into_owned(), "built in".to_owned()),
            None => show(decided.clause),
        };
        let of_all = verdict(fires.map(|rule| policy.mode(scope, rule)));
        let verdict_of = match question.is_quiet() {
            true => quiet_verdict(of_all, question.has_event(policy, scope)),
            false => of_all,
        };
        let first = Clause { step, text, place, verdict: verdict_of };
        let others = steps.iter().filter(|step| !is_it(step)).filter_map(|step| {
            let (text, place) = show(step.clause?);
            let verdict = verdict(step.fires.map(|rule| policy.mode(scope, rule)));
            Some(Clause { step: step.name, text, place, verdict })
        });
        let also = Rule::ALL.into_iter().filter(|rule| decided.also & rule.bit() != 0).map(Rule::word);
        Answer {
            asked: question.asked(),
            words: words::of(question, &decided, &first),
            chosen: String::new(),
            rule: decided.rule,
            mode: policy.mode(scope, decided.rule),
            is_overridden: policy.is_overridden(),
            also: also.collect(),
            whose,
            vhost: match whose {
                Whose::Vhost(vhost) => {
                    let name = String::from_utf8_lossy(policy.vhost_name(vhost)).into_owned();
                    Some((name, show(policy.vhost_scope(vhost).1).1))
                }
                _ => None,
            },
            unknown: decided.unknown.or(decided.beside).map(|what| what.word()),
            ways: if fires.is_some() { keys::ways(question, &decided, &steps, (policy, scope)) } else { Vec::new() },
            note: match question {
                Question::Exec(started) if fires.is_none() && started.is_ambiguous() => AMBIGUOUS,
                _ if question.is_quiet() => NOTE_OF_QUIET,
                _ => "",
            },
            clauses: std::iter::once(first).chain(others).collect(),
            why: String::from_utf8_lossy(policy.why(scope, decided.rule)).into_owned(),
        }
    }

    fn print(&self) {
        row("asked", &self.asked);
        match &self.vhost {
            Some((name, place)) => row("policy", &format!("virtual host {name} ({place})")),
            None if self.whose == Whose::Strictest => {
                row("policy", "the strictest one");
            }
            None => row("policy", "the global one"),
        }
        row("chosen", &self.chosen);
        let by = if self.is_overridden { ", by `override`, which takes precedence over every mode" } else { "" };
        row("rule", &format!("{}, mode {}{by}", self.rule.word(), self.mode.word()));
        let mut clauses = self.clauses.iter();
        if let Some(first) = clauses.next() {
            row("verdict", first.verdict);
            row("because", &self.words);
            row("clause", &first.line());
        }
        if let Some(next) = clauses.next() {
            row("else", &format!("{}: {}", next.line(), next.verdict));
        }
        if !self.also.is_empty() {
            row("also", &self.also.join(", "));
        }
        if !self.note.is_empty() {
            row("note", self.note);
        }
        if let Some(unknown) = self.unknown {
            row("unknown", &format!("{unknown} ({})", show::triage()));
        }
        for way in &self.ways {
            row("allow by", &way.line(self.vhost.is_some()));
        }
        if !self.why.is_empty() {
            row("why", &self.why);
        }
    }

    fn json(&self) -> Value {
        let clauses: Vec<Value> = self
            .clauses
            .iter()
            .map(|clause| {
                json!({
                    "step": clause.step,
                    "clause": clause.text,
                    "source": clause.place,
                    "verdict": clause.verdict,
                })
            })
            .collect();
        json!({
            "asked": self.asked,
            "because": self.words,
            "chosen": self.chosen,
            "vhost": self.vhost.as_ref().map(|vhost| &vhost.0),
            "rule": self.rule.word(),
            "mode": self.mode.word(),
            "override": self.is_overridden,
            "also": self.also,
            "note": self.note,
            "policy": match self.whose {
                Whose::Global => "global",
                Whose::Strictest => "strictest",
                Whose::Vhost(_) => "vhost",
            },
            "unknown": self.unknown,
            "allow_by": self.ways.iter().map(Way::json).collect::<Vec<_>>(),
            "verdict": clauses.first().map(|clause| clause["verdict"].clone()),
            "clauses": clauses,
            "why": self.why,
        })
    }
}
