//! `portcullis explain`: what the policy decides, which clause does, and what the next clause would have said.

use crate::arguments::Explain;
use crate::{FINE, WRONG, check, complain};
use anstream::{eprintln, println};
use portcullis_policy::egress::{Step, Target, Transport};
use portcullis_policy::exec::Program;
use portcullis_policy::name::HostName;
use portcullis_policy::vhost::Asked;
use portcullis_policy::{GLOBAL_SCOPE, Mode, Outcome, Policy, Rule, Verdict};
use portcullis_request::{Field, Source, normalise};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;

/// What is asked about.
enum Question {
    Connect(SocketAddr, Transport, Box<HostName>),
    Exec(String),
}

/// Of which request.
#[derive(Default)]
struct Request {
    server_name: String,
    source: u8,
    document_root: String,
    script: String,
    pool: String,
    profile: String,
}

pub fn run(arguments: &Explain) -> u8 {
    let path = check::path_of(&arguments.source);
    let loaded = portcullis_config::load(&path);
    check::show_errors(&loaded);
    if !loaded.usable() {
        eprintln!("{}", check::summary(&loaded, &path));
        return WRONG;
    }
    let bytes = portcullis_config::compile(&loaded.config);
    let policy = match Policy::new(&bytes) {
        Ok(policy) => policy,
        Err(why) => return complain(why.reason()),
    };
    let asked = match &arguments.event {
        Some(file) => of_file(file),
        None => of_arguments(arguments),
    };
    let (question, request) = match asked {
        Ok(asked) => asked,
        Err(message) => return complain(message),
    };
    let vhost = match &arguments.vhost {
        Some(name) => match loaded.config.vhosts.iter().position(|vhost| vhost.name.value == *name) {
            Some(index) => Some(index as u32),
            None => return complain(format_args!("the policy has no virtual host named `{name}`")),
        },
        None => find(&policy, &request),
    };
    let answer = Answer::new(&policy, vhost, &question);
    if arguments.json {
        println!("{:#}", answer.json());
    } else {
        answer.print();
    }
    FINE
}

fn find(policy: &Policy<'_>, request: &Request) -> Option<u32> {
    let (mut root, mut script) = (None::<Field<512>>, None::<Field<512>>);
    let name = request.server_name.to_ascii_lowercase();
    policy.vhost(&Asked {
        server_name: name.as_bytes(),
        source: request.source,
        document_root: normalise(request.document_root.as_bytes(), &mut root),
        script: normalise(request.script.as_bytes(), &mut script),
        pool: request.pool.as_bytes(),
        profile: request.profile.as_bytes(),
    })
}

fn of_arguments(arguments: &Explain) -> Result<(Question, Request), String> {
    let question = match (&arguments.connect, &arguments.exec) {
        (Some(target), _) => {
            let address = target.parse().map_err(|_| {
                format!(
                    "`{target}` is not ADDRESS:PORT; the guard resolves no names, write the address (v6 in brackets), and \
                     the name that is resolved to it behind --domain"
                )
            })?;
            let name = arguments.domain.as_deref().unwrap_or_default();
            Question::Connect(address, transport(arguments.udp), Box::new(HostName::of(name.as_bytes())))
        }
        (None, Some(command)) => Question::Exec(command.clone()),
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
    };
    Ok((question, request))
}

fn transport(udp: bool) -> Transport {
    if udp { Transport::Datagram } else { Transport::Stream }
}

fn source(word: &str) -> u8 {
    let all = [Source::Module, Source::Nginx, Source::Apache];
    all.into_iter().find(|source| source.word() == word).unwrap_or(Source::Unknown) as u8
}

fn of_file(file: &Path) -> Result<(Question, Request), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let line = text.lines().rfind(|line| !line.trim().is_empty()).ok_or(format!("{} has no event", file.display()))?;
    let event: Value = serde_json::from_str(line)
        .map_err(|error| format!("the last line of {} is not an event: {error}", file.display()))?;
    of_event(&event)
}

/// Whether the action of an event would be an event under a policy; `None` where a policy alone cannot tell.
pub fn fires(policy: &Policy<'_>, event: &Value) -> Option<bool> {
    let (question, request) = of_event(event).ok()?;
    let scope = find(policy, &request).map_or(GLOBAL_SCOPE, |vhost| policy.vhost_scope(vhost).0);
    Some(decide(policy, scope, &question).0.outcome != Outcome::Allow)
}

/// What a policy says of a connection by TCP, of no request.
pub fn allows_connect(policy: &Policy<'_>, to: SocketAddr) -> bool {
    let question = Question::Connect(to, Transport::Stream, Box::new(HostName::none()));
    decide(policy, GLOBAL_SCOPE, &question).0.outcome == Outcome::Allow
}

fn decide(policy: &Policy<'_>, scope: u32, question: &Question) -> (Verdict, Vec<Step>) {
    match question {
        Question::Connect(to, transport, name) => {
            let to = Target { address: to.ip(), port: to.port(), sends: false };
            let decided = policy.decide_connect(scope, to, || *transport, || **name);
            (decided, policy.steps_connect(scope, to, *transport, name).to_vec())
        }
        Question::Exec(command) => {
            let names: [&[u8]; 2] = [b"sh", b"dash"];
            let program = Program {
                names: &names,
                own_names: names.len(),
                command: Some(command.as_bytes()),
                path: b"/usr/bin/dash",
                ..Program::default()
            };
            (policy.decide_exec(scope, &program), policy.steps_exec(scope, &program).to_vec())
        }
    }
}

fn of_event(event: &Value) -> Result<(Question, Request), String> {
    let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let action = text("/event/action");
    if !["connection_attempted", "exec", ""].contains(&action.as_str()) {
        return Err(format!("the event is about `{action}`, which has one clause: {}", text("/portcullis/clause")));
    }
    let question = match (event.pointer("/destination/port").and_then(Value::as_u64), text("/destination/ip").parse()) {
        (Some(port), Ok(ip)) => {
            let name = HostName::of(text("/destination/domain").as_bytes());
            Question::Connect(
                SocketAddr::new(ip, port as u16),
                transport(text("/network/transport") == "udp"),
                Box::new(name),
            )
        }
        _ => {
            let args: Vec<String> = event
                .pointer("/process/args")
                .and_then(Value::as_array)
                .map(|args| args.iter().filter_map(|arg| arg.as_str().map(str::to_owned)).collect())
                .unwrap_or_default();
            match args.as_slice() {
                [_, flag, command] if flag == "-c" => Question::Exec(command.clone()),
                [_, flag, dashes, command] if flag == "-c" && dashes == "--" => Question::Exec(command.clone()),
                [] => return Err("the event is neither about a connection nor about a program".to_owned()),
                _ => Question::Exec(args.join(" ")),
            }
        }
    };
    let request = Request {
        server_name: text("/url/domain"),
        source: source(&text("/portcullis/request/source")),
        document_root: text("/portcullis/request/document_root"),
        script: text("/portcullis/request/script"),
        pool: text("/portcullis/request/pool"),
        profile: text("/portcullis/request/profile"),
    };
    Ok((question, request))
}

/// A clause as it is shown.
struct Clause {
    step: &'static str,
    text: String,
    place: String,
    verdict: &'static str,
}

struct Answer {
    rule: Rule,
    mode: Mode,
    also: Vec<&'static str>,
    vhost: Option<(String, String)>,
    /// The one that decides, then the others that have what is asked about, in order.
    clauses: Vec<Clause>,
    why: String,
}

/// What becomes of an action on which a rule that has this mode fires; allowed where none does.
fn verdict(mode: Option<Mode>) -> &'static str {
    match mode {
        None | Some(Mode::Off) => "allowed",
        Some(Mode::Audit) => "allowed, with an event",
        Some(Mode::Enforce) => "refused, with an event",
    }
}

impl Answer {
    fn new(policy: &Policy<'_>, vhost: Option<u32>, question: &Question) -> Answer {
        let (scope, begins) = vhost.map_or((GLOBAL_SCOPE, u32::MAX), |vhost| policy.vhost_scope(vhost));
        let (decided, mut steps) = decide(policy, scope, question);
        steps.retain(|step| step.clause.is_some());
        // What decides comes first: a stricter rule wins over an earlier one.
        let fires = (decided.outcome != Outcome::Allow).then_some(decided.rule);
        steps.sort_by_key(|step| (step.clause, step.fires) != (Some(decided.clause), fires));
        let show = |clause: u32| {
            let (text, file, line) = policy.clause(clause);
            let place = match file {
                [] => "built in".to_owned(),
                file => format!("{}:{line}", String::from_utf8_lossy(file)),
            };
            (String::from_utf8_lossy(text).into_owned(), place)
        };
        let clauses = steps.iter().filter_map(|step| {
            let (text, place) = show(step.clause?);
            let verdict = verdict(step.fires.map(|rule| policy.mode(scope, rule)));
            Some(Clause { step: step.name, text, place, verdict })
        });
        let also = Rule::ALL.into_iter().filter(|rule| decided.also & rule.bit() != 0).map(Rule::word);
        Answer {
            rule: decided.rule,
            mode: policy.mode(scope, decided.rule),
            also: also.collect(),
            vhost: vhost.map(|vhost| {
                let name = String::from_utf8_lossy(policy.vhost_name(vhost)).into_owned();
                (name, show(begins).1)
            }),
            clauses: clauses.collect(),
            why: String::from_utf8_lossy(policy.why(scope, decided.rule)).into_owned(),
        }
    }

    fn print(&self) {
        match &self.vhost {
            Some((name, place)) => println!("policy:   virtual host {name} ({place})"),
            None => println!("policy:   the global one"),
        }
        println!("rule:     {}, mode {}", self.rule.word(), self.mode.word());
        let mut clauses = self.clauses.iter();
        if let Some(first) = clauses.next() {
            println!("verdict:  {}", first.verdict);
            println!("because:  {}: {} ({})", first.step, first.text, first.place);
        }
        if let Some(next) = clauses.next() {
            println!("else:     {}: {} ({}): {}", next.step, next.text, next.place, next.verdict);
        }
        if !self.also.is_empty() {
            println!("also:     {}", self.also.join(", "));
        }
        if !self.why.is_empty() {
            println!("why:      {}", self.why);
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
            "vhost": self.vhost.as_ref().map(|vhost| &vhost.0),
            "rule": self.rule.word(),
            "mode": self.mode.word(),
            "also": self.also,
            "verdict": clauses.first().map(|clause| clause["verdict"].clone()),
            "clauses": clauses,
            "why": self.why,
        })
    }
}
