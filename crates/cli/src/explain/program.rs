//! A program, as an event describes it, put together again for the policy.
//!
//! An event has what the program was called and what it really is, but not the file. By which name it counted as a shell or a
//! tool, and in which place it lay, its clause says.

use super::question::unknown;
use crate::learn;
use crate::log::{CUT, Event};
use portcullis_config::lists;
use portcullis_event::field;
use portcullis_policy::command::{TOKEN_MAX, Tokens};
use portcullis_policy::egress::Step;
use portcullis_policy::exec::{ExecutedProgram, HIDDEN, MEMFD, WRITABLE};
use portcullis_policy::startup::{Steering, Variable, loading_row, loads, variable};
use portcullis_policy::{Outcome, Policy, Rule, Unknown, Verdict};

/// The beginning of the clause of a variable that keeps an entry from holding.
const STEERED: &str = "allow does not hold: ";

/// A program that is started.
#[derive(Clone, Debug, Default)]
pub struct Started {
    /// Base names it goes by.
    names: Vec<String>,
    /// The text behind `-c`.
    pub command: Option<String>,
    /// The paths or names that it may have been called by, and all arguments after the first.
    words: Vec<Vec<String>>,
    /// Its real path; empty where that is not known.
    pub path: String,
    /// The event has only a part of its arguments.
    is_cut: bool,
    /// It is `SHELL -c TEXT`.
    is_script: bool,
    of_system: bool,
    writable: bool,
    on_connection: bool,
    /// The variables (`NAME=VALUE`) that load code or steer the command and are not the server's; `None` for one that the event does not
    /// show whole.
    variables: Vec<Option<String>>,
    /// The rule loader-env fired.
    loads: bool,
    /// Why the library is not active in it.
    pub unguarded: String,
    unknown: Option<Unknown>,
    /// A program that the server had started before starts it.
    pub is_further: bool,
    steering: Option<Steering>,
}

/// What is to be known of a program beside the verdict on it.
type Beside<'b, T> = &'b dyn Fn(&ExecutedProgram<'_>, Steering) -> T;

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a path is in a directory of the system, as src/judge/program/mod.rs has it.
fn is_of_system(path: &str) -> bool {
    const SYSTEM: [&str; 6] = ["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/", "/usr/local/bin/", "/usr/lib/"];
    SYSTEM.iter().any(|folder| path.starts_with(folder)) && !path.contains("/../")
}

/// The entry that a clause names: of `tool nc (default)` and of `tools = "nc"` it is `nc`.
pub fn entry(clause: &str) -> Option<&str> {
    match clause.split_once(" = ") {
        Some((_, entry)) => Some(entry.trim_matches('"')),
        None => clause.strip_suffix(" (default)")?.split_once(' ').map(|(_, entry)| entry),
    }
}

/// Whether a program that the server had started before does what an event is about.
pub fn is_further(event: &Event) -> bool {
    event.text(field::ROLE) == "descendant"
}

/// The variable that a clause names.
fn steering(clause: &str) -> Option<Variable> {
    let name = clause.strip_prefix(STEERED)?.split(' ').next()?;
    match name {
        "a" => variable(b"x=() {", false),
        name => variable(format!("{}=", name.trim_end_matches('*')).as_bytes(), true),
    }
}

impl Started {
    /// The command that a shell is given, as PHP's system() and popen() do.
    pub fn by_shell(command: &str) -> Started {
        Started {
            names: vec!["sh".to_owned(), "dash".to_owned()],
            command: Some(command.to_owned()),
            path: "/usr/bin/dash".to_owned(),
            of_system: true,
            ..Started::default()
        }
    }

    /// The program of an event.
    pub fn of(event: &Event) -> Result<Started, String> {
        let args = event.arguments();
        let (path, name) = (event.text(field::PROCESS_EXECUTABLE), event.text(field::PROCESS_NAME));
        if args.is_empty() && path.is_empty() {
            return Err("the event is neither about a connection nor about a program".to_owned());
        }
        let fired = |rule: Rule| event.rules().any(|word| word == rule.word());
        let clause = event.text(field::CLAUSE);
        let of_rule = |rule: Rule| entry(clause).filter(|_| event.rule() == rule.word());
        let count = event.number(field::PROCESS_ARGS_COUNT).unwrap_or(args.len() as u64);
        let is_cut = count > args.len() as u64 || path.ends_with(CUT) || args.iter().any(|word| word.ends_with(CUT));

        let mut names: Vec<String> = Vec::new();
        let by_clause = of_rule(Rule::ShellSpawn).or(of_rule(Rule::ExecTool)).map(|name| name.trim_end_matches('*'));
        let called = args.first().copied().unwrap_or_default();
        let real = path.strip_suffix(" (deleted)").unwrap_or(path);
        // The clause's is the one that counted: of a script it is the interpreter's.
        for name in by_clause.into_iter().chain([name, base_name(real)]) {
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let is_applets = ["busybox", "toybox"].iter().any(|box_of| base_name(real).starts_with(box_of));
        names.extend(args.iter().take(if is_applets { 2 } else { 0 }).map(|word| base_name(word).to_owned()));
        if names.is_empty() {
            names.push(base_name(called).to_owned());
        }

        let of_system = path.is_empty() || is_of_system(path);
        let form = match args.as_slice() {
            [_, "-c", text] | [_, "-c", "--", text] => Some(*text),
            _ => None,
        };
        // By its base name, which the event has, the first argument may be what it was called by, with its folder or looked for
        // along PATH; so may its real path.
        let by = [path, called].into_iter().filter(|first| match first.contains('/') {
            _ if base_name(first) != name => false,
            true => is_of_system(first) == of_system,
            false => of_system,
        });
        let mut by: Vec<&str> = by.collect();
        if called.contains('/') && by.contains(&called) {
            by.retain(|first| *first == called);
        }
        by.dedup();
        let rest = || args.iter().skip(1).map(|word| (*word).to_owned());
        let words = by.iter().map(|first| std::iter::once((*first).to_owned()).chain(rest()).collect());
        let steered = clause.starts_with(STEERED);
        let loads = fired(Rule::LoaderEnv);
        let variables = if loads || steered { variables(event.text(field::DETAIL)) } else { Vec::new() };
        Ok(Started {
            command: form.filter(|_| of_system && !is_cut).map(str::to_owned),
            words: if form.is_some() || is_cut { Vec::new() } else { words.collect() },
            path: if path.starts_with('/') && !path.ends_with(CUT) { path.to_owned() } else { String::new() },
            is_cut,
            is_script: form.is_some(),
            of_system,
            writable: fired(Rule::ExecPlace) && is_writable(of_rule(Rule::ExecPlace), path, &names),
            on_connection: fired(Rule::StdioSocket),
            variables: variables.into_iter().map(|entry| entry.map(str::to_owned)).collect(),
            loads,
            unguarded: event.text(field::UNGUARDED).to_owned(),
            unknown: unknown(event.unknown()),
            is_further: is_further(event),
            steering: steering(clause).map(Steering::By),
            names,
        })
    }

    /// The verdict in a scope, and the steps to it.
    pub fn decide(&self, policy: &Policy<'_>, scope: u32) -> (Verdict, Vec<Step>) {
        self.decide_with(policy, scope, &|program, steering| {
            let steps = policy.steps_exec(scope, program).into_iter();
            // An entry that does not hold is none.
            steps.filter(|step| step.name != "allow" || steering == Steering::None).collect()
        })
    }

    /// The verdict alone.
    pub fn verdict(&self, policy: &Policy<'_>, scope: u32) -> Verdict {
        self.decide_with(policy, scope, &|_, _| ()).0
    }

    /// The verdict, and something beside it of the name that decides.
    fn decide_with<T>(&self, policy: &Policy<'_>, scope: u32, beside: Beside<'_, T>) -> (Verdict, T) {
        let mut first = None;
        for words in self.words.iter().map(Some).chain(self.words.is_empty().then_some(None)) {
            let decided = self.decide_called(policy, scope, words, beside);
            if decided.0.outcome == Outcome::Allow {
                return decided;
            }
            first.get_or_insert(decided);
        }
        first.unwrap_or_else(|| self.decide_called(policy, scope, None, beside))
    }

    fn decide_called<T>(
        &self,
        policy: &Policy<'_>,
        scope: u32,
        words: Option<&Vec<String>>,
        beside: Beside<'_, T>,
    ) -> (Verdict, T) {
        let names: Vec<&[u8]> = self.names.iter().map(String::as_bytes).collect();
        let words: Option<Vec<&[u8]>> = words.map(|words| words.iter().map(String::as_bytes).collect());
        // An environment that cannot be read or made, of which the loader's variables would be a part, or only what may steer.
        let environment = self.unknown == Some(Unknown::Environment) && !self.loads;
        // What the policy names by its value has a clause there.
        let by_value = || self.loaded().map(|value| value.filter(|value| policy.is_loaded(scope, value.as_bytes())));
        let loader = match self.unexpected(policy, scope, true).next() {
            Some(entry) => Some(entry.as_deref().and_then(value_of)),
            None => by_value().find(Option::is_some),
        };
        let program = ExecutedProgram {
            names: &names,
            own_names: names.len(),
            command: self.command.as_deref().map(str::as_bytes),
            words: words.as_deref(),
            path: self.path.as_bytes(),
            of_system: self.of_system,
            writable: self.writable,
            on_connection: self.on_connection,
            loader: loader.map(|entry| entry.map(str::as_bytes)),
            unguarded: &self.unguarded,
            unknown: self.unknown.filter(|_| !environment),
            ..ExecutedProgram::default()
        };
        let is_steered = self.unexpected(policy, scope, false).next().is_some();
        let steering = match environment {
            true => Steering::Unknown,
            false => self.steering.filter(|_| is_steered).unwrap_or(Steering::None),
        };
        (policy.decide_exec_in(scope, &program, |_| steering), beside(&program, steering))
    }

    /// The values of the variables that load code; `None` for one that the event does not show whole. None where loader-env did not fire.
    fn loaded(&self) -> impl Iterator<Item = Option<&str>> {
        let loads = |entry: &&Option<String>| entry.as_deref().is_none_or(|entry| loads(entry.as_bytes()).is_some());
        self.variables.iter().filter(|_| self.loads).filter(loads).map(|entry| entry.as_deref().and_then(value_of))
    }

    /// Those of the variables which a scope does not name; `loading`: of those that load code.
    fn unexpected<'s>(
        &'s self,
        policy: &Policy<'_>,
        scope: u32,
        loading: bool,
    ) -> impl Iterator<Item = &'s Option<String>> {
        let is_meant = move |entry: &&String| !loading || loads(entry.as_bytes()).is_some();
        let is_named = move |entry: &String| {
            policy.is_loaded(scope, entry.as_bytes())
                || loads(entry.as_bytes()).is_some_and(|value| policy.is_loaded(scope, value))
        };
        let variables = self.variables.iter().filter(move |_| self.loads || !loading);
        variables.filter(move |entry| entry.as_ref().is_none_or(|entry| is_meant(&entry) && !is_named(entry)))
    }

    /// What `[rules.loader-env] allow` would have to have for those of the variables that a scope does not name, as far as the event
    /// shows them whole; `loading`: for those that load code, which it names by their values. Whether these are all.
    pub fn expectations(&self, policy: &Policy<'_>, scope: u32, loading: bool) -> (Vec<String>, bool) {
        let all: Vec<&Option<String>> = self.unexpected(policy, scope, loading).collect();
        let mut entries: Vec<String> = all.iter().filter_map(|entry| entry.as_deref()).map(expectation).collect();
        let is_all = entries.len() == all.len();
        entries.sort();
        entries.dedup();
        (entries, is_all)
    }

    /// What the variables that load code do.
    pub fn loading(&self) -> Vec<String> {
        let rows = self.variables.iter().flatten().filter_map(|entry| loading_row(entry.as_bytes()));
        rows.map(|row| format!("{} chooses for {}: {}", row.name, row.readers, row.effect)).collect()
    }

    /// The entries of `[exec] allow` that would name it: one, or of two names one of which it was called by; or why none does.
    pub fn entries(&self) -> Result<Vec<String>, String> {
        if self.is_cut {
            return Err("the event has only a part of the command".to_owned());
        }
        let is_long = |text: &String| text.split_ascii_whitespace().any(|word| word.len() > TOKEN_MAX);
        let commands = match &self.command {
            Some(text) if is_long(text) => {
                return Err(format!("no entry matches a command with a word of more than {TOKEN_MAX} bytes"));
            }
            Some(text) => vec![learn::words(text).ok_or_else(|| not_simple(text))?],
            None if self.is_script => {
                return Err("a command is allowed in a shell of the system's directories alone".to_owned());
            }
            None if self.words.is_empty() => {
                return Err("the event does not say by which path the program was called".to_owned());
            }
            None => self.words.clone(),
        };
        commands.iter().map(|words| learn::literal(words)).collect()
    }

    /// The first name that it goes by.
    pub fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Whether the event leaves open by which of two names it was called.
    pub fn is_ambiguous(&self) -> bool {
        self.words.len() > 1
    }
}

/// Why a command is not simple, with the character that makes it so.
fn not_simple(text: &str) -> String {
    const META: &[u8] = b"|&;<>()$`*?[{}!^%\\=#~";
    let is_open = |quote: char| learn::words(&format!("{text}{quote}")).is_some();
    let mut tokens = Tokens::new(text.as_bytes());
    let mut buffer = [0; TOKEN_MAX];
    while let Some(Ok(_)) = tokens.next(&mut buffer) {}
    let end = tokens.at();
    let last = end.checked_sub(1).and_then(|at| text.as_bytes().get(at).copied());
    let first = text.split_ascii_whitespace().next().unwrap_or_default();
    let what = match last {
        _ if is_open('\'') || is_open('"') => "a quote is not closed".to_owned(),
        Some(byte) if META.contains(&byte) => format!("it has `{}`", char::from(byte)),
        Some(byte) if byte.is_ascii_control() => format!("it has `{}`", byte.escape_ascii()),
        _ => format!("`{first}` is a word that the shell takes for itself"),
    };
    format!(
        "not a simple command: {what}, and `allow` can only name words without metacharacters (listed in {}, Commands)",
        crate::out::page("configuration.md")
    )
}

/// Whether a program is in an unusual place because the process can write to it: the clause says so, or nothing else makes
/// its place one.
fn is_writable(place: Option<&str>, path: &str, names: &[String]) -> bool {
    match place {
        Some(place) => place == WRITABLE,
        None => {
            let is_below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
            let in_list = lists::PLACES.iter().any(|place| place.starts_with('/') && is_below(place));
            let by_word = |word: &str| match word {
                MEMFD => path.starts_with("/memfd:") || path.ends_with(" (deleted)"),
                HIDDEN => names.iter().any(|name| name.starts_with('.')),
                _ => false,
            };
            !in_list && !by_word(MEMFD) && !by_word(HIDDEN)
        }
    }
}

fn value_of(entry: &str) -> Option<&str> {
    entry.split_once('=').map(|(_, value)| value)
}

/// How `[rules.loader-env] allow` names a variable.
fn expectation(entry: &str) -> String {
    let value = loads(entry.as_bytes()).and_then(|_| value_of(entry));
    value.unwrap_or(entry).to_owned()
}

/// The variables (`NAME=VALUE`) of a detail, behind what other rules say there; `None` for one that it does not show whole. A semicolon
/// in a value is a part of it, as far as no variable follows: the library shows no value in which one does.
fn variables(detail: &str) -> Vec<Option<&str>> {
    // As much of it as an event shows.
    const DETAIL_MAX: usize = 250;
    let (mut starts, mut at) = (Vec::new(), 0);
    for part in detail.split("; ") {
        if variable(part.as_bytes(), true).is_some() {
            starts.push(at);
        }
        at += part.len() + "; ".len();
    }
    let ends = starts.iter().skip(1).map(|next| next - "; ".len()).chain([detail.len()]);
    let entry = |(start, end): (&usize, usize)| {
        let is_cut = detail.len() > DETAIL_MAX && end == detail.len();
        detail.get(*start..end).filter(|entry| !is_cut && !entry.contains([CUT, char::REPLACEMENT_CHARACTER]))
    };
    let entries: Vec<Option<&str>> = starts.iter().zip(ends).map(entry).collect();
    // There is one, or there would be no event of it.
    if entries.is_empty() { vec![None] } else { entries }
}
