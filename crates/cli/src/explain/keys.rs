//! Which key of the configuration would allow an action, and with which entry; or why none does.

use super::question::Question;
use crate::learn;
use crate::show::triage;
use portcullis_policy::egress::Step;
use portcullis_policy::{Policy, Rule, Unknown, Verdict};
use serde_json::{Value, json};

/// What would allow an action, as far as one or more rules are about it.
pub struct Way {
    /// The rules.
    rules: Vec<&'static str>,
    /// The key, with the tables that lead to it, and the new entries; `None`: nothing does.
    entry: Option<(&'static str, Vec<String>)>,
    /// What is to be known about it.
    note: String,
}

impl Way {
    fn entry(rules: &[Rule], key: &'static str, entry: impl Into<String>) -> Way {
        Way { rules: words(rules), entry: Some((key, vec![entry.into()])), note: String::new() }
    }

    fn nothing(rules: &[Rule], note: impl Into<String>) -> Way {
        Way { rules: words(rules), entry: None, note: note.into() }
    }

    fn noting(self, note: &str) -> Way {
        Way { note: note.to_owned(), ..self }
    }

    /// In a line.
    pub fn line(&self, vhost: bool) -> String {
        let rules = self.rules.join(", ");
        let note = if self.note.is_empty() { String::new() } else { format!("; {}", self.note) };
        match &self.entry {
            Some((key, entries)) => {
                let shown = |entry: &String| match entry.parse::<u16>() {
                    Ok(port) => port.to_string(),
                    Err(_) => format!("{entry:?}"),
                };
                let entries: Vec<String> = entries.iter().map(shown).collect();
                let entries = entries.join(", ");
                let (table, key) = key.rsplit_once('.').unwrap_or(("", key));
                // In a file of its own, a virtual host's tables have no prefix.
                let whose = if vhost { " of the virtual host" } else { "" };
                format!("{entries} in `[{table}] {key}`{whose} ({rules}{note})")
            }
            None => crate::show::printable(&format!("nothing ({rules}{note})")),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "rules": self.rules,
            "key": self.entry.as_ref().map(|entry| entry.0),
            "entries": self.entry.as_ref().map_or(&[][..], |entry| &entry.1),
            "note": self.note,
        })
    }
}

fn words(rules: &[Rule]) -> Vec<&'static str> {
    rules.iter().map(|rule| rule.word()).collect()
}

/// The rules on which program it is: an entry of `[exec] allow` is silent in all of them.
const OF_COMMANDS: [Rule; 4] = [Rule::ShellSpawn, Rule::ExecPlace, Rule::ExecTool, Rule::ExecUnguarded];

/// A scope of a policy.
pub type Place<'p> = (&'p Policy<'p>, u32);

/// What would allow an action on which rules fire, for each of these rules.
pub fn ways(question: &Question, decided: &Verdict, steps: &[Step], place: Place<'_>) -> Vec<Way> {
    let fired: Vec<Rule> =
        Rule::ALL.into_iter().filter(|rule| *rule == decided.rule || decided.also & rule.bit() != 0).collect();
    if let Some(what) = decided.unknown.or(decided.beside) {
        return vec![Way::nothing(&fired, of_unknown(what))];
    }
    let (of_command, others): (Vec<Rule>, Vec<Rule>) = fired.into_iter().partition(|rule| OF_COMMANDS.contains(rule));
    let mut ways = Vec::new();
    if !of_command.is_empty() {
        ways.push(of_program(question, decided, &of_command, place));
    }
    let is_denied = steps.iter().any(|step| step.name == "deny" && step.clause.is_some());
    // A name server's entry is silent in both.
    let is_resolver = others.contains(&Rule::DnsDirect) && !is_denied;
    let others = others.into_iter().filter(|rule| *rule != Rule::EgressPort || !is_resolver);
    ways.extend(others.map(|rule| of_rule(question, rule, is_denied, place)));
    ways
}

/// What to do about a variable because of which an entry does not hold. `is_further`: a program that the server had started before has
/// it, so that nothing tells whether it is the server's.
pub fn of_steered(is_further: bool) -> &'static str {
    match is_further {
        false => "the server was started without it, so the application sets it: unset it there",
        true => {
            "if the application sets it, unset it there; if the server was started with it (the unit, or `env[]` of a PHP-FPM pool), \
             a program that another program starts cannot tell: set it only for those that need it, or unset it in the script that \
             starts this one"
        }
    }
}

/// Why no list is for what could not be judged.
pub fn of_unknown(what: Unknown) -> String {
    format!("{}; no list allows what could not be evaluated; help: {}, `{}`", what.clause(), triage(), what.word())
}

fn of_program(question: &Question, decided: &Verdict, rules: &[Rule], (policy, scope): Place<'_>) -> Way {
    let Question::Exec(started) = question else { return Way::nothing(rules, "the program is not known") };
    if decided.steered.is_some() {
        let advice = of_steered(started.is_further);
        let note = format!(
            "an entry of `[exec] allow` names the command, and does not hold while a variable has this value; {advice}"
        );
        let named = started.expectations(policy, scope, false);
        return match named.0.is_empty() {
            true => Way::nothing(rules, note),
            false => of_variables(rules, named, &note),
        };
    }
    let program = started.path.as_str();
    let launches = learn::runs_commands(program, &started.unguarded);
    if let [Rule::ExecUnguarded] = rules
        && launches.is_none()
        && !program.is_empty()
    {
        return Way::entry(rules, "rules.exec-unguarded.allow", program);
    }
    let entries = match started.entries() {
        Ok(entries) => entries,
        Err(why) => return Way::nothing(rules, why),
    };
    let mut notes = Vec::new();
    if entries.len() > 1 {
        notes.push(AMBIGUOUS.to_owned());
    }
    match launches {
        Some(why) if rules.contains(&Rule::ExecUnguarded) => {
            notes.push(format!("with these arguments only; not in `[rules.exec-unguarded] allow`: {why}"));
        }
        _ if rules.contains(&Rule::ExecTool) => {
            notes.push("`[rules.exec-tool] tools` says which programs are tools".into())
        }
        _ if rules.contains(&Rule::ExecPlace) => {
            notes.push("`[rules.exec-place] places` says which places are unusual".into());
        }
        _ => {}
    }
    Way { rules: words(rules), entry: Some(("exec.allow", entries)), note: notes.join("; ") }
}

/// What to know where an event has two names of a program.
pub const AMBIGUOUS: &str = "the event does not say whether the program was called by its path or by its name: only the entry \
                             with that holds";

/// What allows the variables that load code, or those because of which an entry does not hold, as far as the event shows them.
fn of_variables(rules: &[Rule], (entries, is_all): (Vec<String>, bool), note: &str) -> Way {
    if entries.is_empty() {
        let note = "the event shows no whole value of a variable that `[rules.loader-env] allow` could name";
        return Way::nothing(rules, note);
    }
    let all = if is_all { "" } else { "; the event does not show all such variables whole" };
    Way { rules: words(rules), entry: Some(("rules.loader-env.allow", entries)), note: format!("{note}{all}") }
}

fn of_rule(question: &Question, rule: Rule, is_denied: bool, (policy, scope): Place<'_>) -> Way {
    let alone = &[rule];
    let without_list = || {
        let word = rule.word();
        Way::nothing(alone, format!("the rule has no list of what is allowed; `[rules.{word}] mode` says what it does"))
    };
    match (rule, question) {
        (Rule::EgressPort, _) if is_denied => {
            Way::nothing(alone, "an entry of `[egress] deny` beats every `allow`: take that entry out")
        }
        (Rule::DnsDirect, Question::Connect { to, .. }) => {
            Way::entry(alone, "rules.dns-direct.resolvers", to.ip().to_string())
        }
        (Rule::EgressPort | Rule::Metadata, Question::Connect { to, name, .. }) => match name.bytes() {
            [] => Way::entry(alone, "egress.allow", to.to_string()),
            name => Way::entry(alone, "egress.allow", format!("{}:{}", String::from_utf8_lossy(name), to.port())),
        },
        (Rule::EgressPort, _) => {
            Way::nothing(alone, "what is done by an io_uring cannot be seen; `[egress] mode` says what the rule does")
        }
        (Rule::ListenPort, Question::Listen(port)) => Way::entry(alone, "rules.listen-port.allow", port.to_string()),
        (Rule::PhpIni, Question::Settings(Some(lines))) => {
            let names = learn::settings(lines).map(str::to_owned).collect();
            Way { rules: words(alone), entry: Some(("rules.php-ini.allow", names)), note: String::new() }
        }
        (Rule::PhpIni, _) => Way::nothing(alone, "the event has only a part of the settings"),
        (Rule::LoaderEnv, Question::Exec(started)) => {
            let about = started.loading();
            let about =
                if about.is_empty() { "it is none that this version knows".to_owned() } else { about.join("; ") };
            let note = format!("the whole value of the variable; {about}");
            of_variables(alone, started.expectations(policy, scope, true), &note)
        }
        (Rule::Namespace, Question::Namespace(program)) if program.starts_with('/') => {
            Way::entry(alone, "rules.namespace.allow", program.as_str()).noting(&learn::namespace_note(program))
        }
        (Rule::Namespace, Question::Namespace(_)) => Way::nothing(alone, "the event has no whole path of the program"),
        _ => without_list(),
    }
}
