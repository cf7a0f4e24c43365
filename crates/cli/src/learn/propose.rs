//! From events to the smallest list that would have allowed them: literal entries, each with its evidence.

use super::launchers::namespace_note;
use super::suspicion::suspicion;
use crate::explain;
use crate::log::Event;
use crate::show::TRIAGE;
use portcullis_config::lists;
use portcullis_policy::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// Which list an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// `[egress] allow`
    Egress,
    /// `[exec] allow`
    Exec,
    /// `[rules.listen-port] allow`
    Listen,
    /// `[rules.dns-direct] resolvers`
    Resolvers,
    /// `[rules.php-ini] allow`
    Settings,
    /// `[rules.exec-unguarded] allow`
    Unguarded,
    /// `[rules.namespace] allow`
    Namespaces,
    /// `[rules.loader-env] allow`
    Libraries,
}

impl List {
    /// All of them.
    pub const ALL: [List; 8] = [
        List::Egress,
        List::Exec,
        List::Listen,
        List::Resolvers,
        List::Settings,
        List::Unguarded,
        List::Namespaces,
        List::Libraries,
    ];

    /// The tables that lead to it, and its key.
    pub fn path(self) -> (&'static [&'static str], &'static str) {
        match self {
            List::Egress => (&["egress"], "allow"),
            List::Exec => (&["exec"], "allow"),
            List::Listen => (&["rules", "listen-port"], "allow"),
            List::Resolvers => (&["rules", "dns-direct"], "resolvers"),
            List::Settings => (&["rules", "php-ini"], "allow"),
            List::Unguarded => (&["rules", "exec-unguarded"], "allow"),
            List::Namespaces => (&["rules", "namespace"], "allow"),
            List::Libraries => (&["rules", "loader-env"], "allow"),
        }
    }

    /// The word for what the list has where it is not written.
    pub fn inherited(self, of_vhost: bool) -> Option<&'static str> {
        match (of_vhost, self) {
            (true, _) => Some("global"),
            (false, List::Exec | List::Resolvers | List::Unguarded) => Some("default"),
            (false, _) => None,
        }
    }
}

/// How often something was seen, and where.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// How often.
    pub count: usize,
    /// When first.
    pub first: String,
    /// When last.
    pub last: String,
    /// By which scripts.
    pub scripts: BTreeSet<String>,
    /// One of the requests.
    pub example: String,
    /// What is to be known about the entry.
    pub note: String,
}

impl Evidence {
    fn add(&mut self, event: &Event) {
        let time = crate::show::time(event);
        self.count += event.count();
        if self.first.is_empty() || time < self.first {
            self.first.clone_from(&time);
        }
        if time > self.last {
            self.last = time;
        }
        let script = event.text("/portcullis/request/script");
        self.scripts.insert(if script.is_empty() { "no script".to_owned() } else { script.to_owned() });
        if self.example.is_empty() {
            let (method, uri) = (event.text("/http/request/method"), event.text("/url/original"));
            self.example =
                if uri.is_empty() { event.text("/portcullis/chain").to_owned() } else { format!("{method} {uri}") };
        }
    }

    /// That of both together.
    pub fn join(&mut self, other: &Evidence) {
        self.count += other.count;
        if self.first.is_empty() || other.first < self.first {
            self.first.clone_from(&other.first);
        }
        if other.last > self.last {
            self.last.clone_from(&other.last);
        }
        self.scripts.extend(other.scripts.iter().cloned());
        if self.example.is_empty() {
            self.example.clone_from(&other.example);
        }
        if self.note.is_empty() {
            self.note.clone_from(&other.note);
        }
    }

    /// In a line, for a comment.
    pub fn line(&self) -> String {
        let times = if self.count == 1 { "once".to_owned() } else { format!("{} times", self.count) };
        let when =
            if self.first == self.last { self.first.clone() } else { format!("{} to {}", self.first, self.last) };
        let mut scripts: Vec<&str> = self.scripts.iter().map(String::as_str).take(3).collect();
        if self.scripts.len() > 3 {
            scripts.push("others");
        }
        let example: String = self.example.chars().take(80).collect();
        let note = if self.note.is_empty() { String::new() } else { format!("; {}", self.note) };
        format!("{times}, {when}, by {}; such as: {example}{note}", scripts.join(", "))
    }
}

/// What is proposed for one scope.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Entries, each with its evidence.
    pub entries: BTreeMap<(List, String), Evidence>,
    /// What is not proposed: what it is, and why.
    pub refused: BTreeMap<(String, String), Evidence>,
    /// Entries that look like an intrusion in some event.
    suspicious: BTreeSet<(List, String)>,
    /// Document roots of the requests.
    pub roots: BTreeSet<String>,
}

/// Why calls are not learnt that were merged into no event which is read.
const OF_MERGED: &str = "no event that is read says which commands or destinations they were: nothing is proposed \
                         for them. Learn again once what is listed is allowed, or with `merge = false` in `[log]`";
/// How many reasons are given why something is not proposed.
const REASONS: usize = 3;

impl Proposal {
    /// Names each thing once: an entry that was also seen where it looks like an intrusion is not proposed, for it would allow that as
    /// well; what is not proposed for several reasons has them together.
    fn name_once(&mut self) {
        for key in &self.suspicious {
            if let Some(seen) = self.entries.remove(key)
                && let Some((_, refused)) = self.refused.iter_mut().find(|((what, _), _)| *what == key.1)
            {
                refused.join(&seen);
            }
        }
        let mut together: BTreeMap<String, (Vec<String>, Evidence)> = BTreeMap::new();
        for ((what, why), seen) in std::mem::take(&mut self.refused) {
            let (reasons, evidence) = together.entry(what).or_default();
            reasons.push(why);
            evidence.join(&seen);
        }
        self.refused = together
            .into_iter()
            .map(|(what, (mut reasons, evidence))| {
                let more = reasons.len().saturating_sub(REASONS);
                reasons.truncate(REASONS);
                let more = if more == 0 { String::new() } else { format!("; and for {more} more reasons") };
                ((what, format!("{}{more}", reasons.join("; and: "))), evidence)
            })
            .collect();
    }
}

/// What to learn from.
pub struct Choice<'c> {
    /// Entries that are learnt although they look like an intrusion.
    pub include: &'c [String],
    /// Learn from what was refused, too.
    pub refused: bool,
}

/// The proposals by virtual host; that of the global policy under the empty name.
pub fn proposals(events: &[Event], policy: &Policy<'_>, choice: &Choice<'_>) -> BTreeMap<String, Proposal> {
    let mut out: BTreeMap<String, Proposal> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.is_of_guard() && (choice.refused || !event.refused())) {
        if event.is_of_merged() {
            // Those whose kind has an event were added to that.
            let what = format!("calls that were merged ({})", event.rule());
            let refused = &mut out.entry(event.vhost().to_owned()).or_default().refused;
            refused.entry((what, OF_MERGED.to_owned())).or_default().add(event);
            continue;
        }
        if is_probe(event) || explain::fires(policy, event) == Some(false) {
            continue;
        }
        let proposal = out.entry(event.vhost().to_owned()).or_default();
        let root = event.text("/portcullis/request/document_root");
        if !root.is_empty() && is_plain(root) {
            proposal.roots.insert(root.to_owned());
        }
        match entries(event) {
            Err(why) => proposal.refused.entry((described(event), why)).or_default().add(event),
            Ok(entries) => {
                // Several settings are several entries; several commands are one under two names.
                let is_alone = entries.len() == 1 || !entries.iter().any(|(list, _)| *list == List::Exec);
                for (list, text) in entries {
                    if !is_plain(&text) {
                        let why = "it has characters that do not print, so nobody could read what the entry allows";
                        proposal.refused.entry((text, why.to_owned())).or_default().add(event);
                        continue;
                    }
                    match suspicion(event).filter(|_| !choice.include.contains(&text)) {
                        Some(why) => {
                            proposal.suspicious.insert((list, text.clone()));
                            let more = if is_alone { String::new() } else { format!("; {}", explain::AMBIGUOUS) };
                            proposal.refused.entry((text, format!("{why}{more}"))).or_default().add(event);
                        }
                        None => {
                            let note = note(list, &text, is_alone);
                            let evidence = proposal.entries.entry((list, text)).or_default();
                            evidence.note = note;
                            evidence.add(event);
                        }
                    }
                }
            }
        }
    }
    for proposal in out.values_mut() {
        proposal.name_once();
    }
    out.retain(|_, proposal| !proposal.entries.is_empty() || !proposal.refused.is_empty());
    out
}

/// Whether an entry reads as what it is.
fn is_plain(text: &str) -> bool {
    crate::show::printable(text) == text
}

/// Whether `portcullis doctor` did it.
fn is_probe(event: &Event) -> bool {
    event.text("/destination/ip") == "0.0.0.1"
        || event.shell_command().is_some_and(|command| command.starts_with(": portcullis-doctor-"))
}

/// What an event is about, in a few words.
fn described(event: &Event) -> String {
    let of_program = ["/process/command_line", "/process/executable", "/message"];
    let of_others = ["/portcullis/detail", "/message"];
    let (paths, destination) = match event.is_exec() {
        true => (&of_program[..], None),
        false => (&of_others[..], event.destination().filter(|_| event.unknown().is_empty())),
    };
    let texts = paths.iter().map(|path| event.text(path)).find(|text| !text.is_empty());
    destination.as_deref().or(texts).unwrap_or_default().chars().take(120).collect()
}

/// Why no list is for an event, whatever it is about.
fn without_list(event: &Event) -> Option<String> {
    if let Some((field, journal)) = event.contradicted().into_iter().next() {
        return Some(format!("somebody else may have written the event: its {field} is {journal} in the journal"));
    }
    match event.text("/portcullis/request/state") {
        "lost" => return Some("its request was taken away: no host's policy would allow it".into()),
        "unknown" => {
            return Some(format!(
                "its request could not be read, and the strictest policy, which has no `allow`, judged it: see {TRIAGE}, `request`"
            ));
        }
        _ => {}
    }
    if !event.unknown().is_empty() {
        let clause = event.text("/portcullis/clause");
        return Some(match explain::unknown(event.unknown()) {
            Some(what) => explain::of_unknown(what),
            None => format!("{clause} ({}): no list allows what could not be judged: see {TRIAGE}", event.unknown()),
        });
    }
    let clause = event.text("/portcullis/clause");
    clause.starts_with("allow does not hold: ").then(|| {
        let detail = event.text("/portcullis/detail");
        let advice = explain::of_steered(explain::is_further(event));
        format!("`[exec] allow` names the command already; {clause} ({detail}): {advice}")
    })
}

/// The entries that would have allowed an event; why there are none.
fn entries(event: &Event) -> Result<Vec<(List, String)>, String> {
    if let Some(why) = without_list(event) {
        return Err(why);
    }
    match event.rule() {
        "egress-port" if event.destination().is_none() => {
            Err("what an io_uring does cannot be seen, so that no list can name it".into())
        }
        "egress-port" | "metadata" => {
            let destination = event.destination().ok_or("it names no destination")?;
            let port = event.number("/destination/port").unwrap_or(0);
            let domain = event.text("/destination/domain");
            Ok(vec![(List::Egress, if domain.is_empty() { destination } else { format!("{domain}:{port}") })])
        }
        "shell-spawn" => {
            let is_shell = lists::SHELLS.contains(&base_name(event.text("/process/executable")));
            if is_shell && event.shell_command().is_none() {
                return Err("a shell that runs no single command cannot be allowed".into());
            }
            commands(event)
        }
        "listen-port" => Ok(vec![(List::Listen, event.number("/server/port").unwrap_or(0).to_string())]),
        "dns-direct" => Ok(vec![(List::Resolvers, event.text("/destination/ip").to_owned())]),
        "php-ini" => {
            Ok(settings(event.text("/portcullis/detail")).map(|name| (List::Settings, name.to_owned())).collect())
        }
        rule @ ("exec-unguarded" | "namespace") => {
            let list = if rule == "namespace" { List::Namespaces } else { List::Unguarded };
            let program = event.text("/process/executable");
            match program.starts_with('/') && !program.contains(['*', '?', '\u{2026}']) {
                true => Ok(vec![(list, program.to_owned())]),
                false => Err("the list takes absolute paths, and the event has no whole path of the program".into()),
            }
        }
        "loader-env" => match explain::Started::of(event)?.loader.flatten() {
            Some(value) => Ok(vec![(List::Libraries, value)]),
            None => {
                Err("the event shows no whole value of a variable that `[rules.loader-env] allow` could name".into())
            }
        },
        // Their own keys say what they look for; the list of what is allowed is the commands'.
        rule @ ("exec-tool" | "exec-place") => commands(event).map_err(|why| of_finders(rule, &why)),
        rule => Err(format!("{rule} has no list of what is allowed; `[rules.{rule}] mode` says what the rule does")),
    }
}

/// The entries of `[exec] allow` for a program.
fn commands(event: &Event) -> Result<Vec<(List, String)>, String> {
    let entries = explain::Started::of(event)?.entries()?;
    Ok(entries.into_iter().map(|entry| (List::Exec, entry)).collect())
}

/// What the key of a rule that looks for programs can do, and what it cannot.
pub fn of_finders(rule: &str, more: &str) -> String {
    let (key, what) = if rule == "exec-tool" { ("tools", "a tool") } else { ("places", "a place") };
    format!(
        "`[rules.{rule}] {key}` lists what the rule looks for: without {what} in it, the rule is silent about that for every script \
         and with any arguments. One command alone is for `[exec] allow`: {more}"
    )
}

/// What a reader has to know of an entry; `is_alone`: the event needs no other.
fn note(list: List, text: &str, is_alone: bool) -> String {
    if list == List::Exec && !is_alone {
        return explain::AMBIGUOUS.to_owned();
    }
    if list == List::Namespaces {
        return namespace_note(text);
    }
    let program = words(text).and_then(|words| words.into_iter().next()).unwrap_or_default();
    if list != List::Exec || program.contains('/') {
        return String::new();
    }
    format!(
        "the command names `{program}` without its path, and the event has none: the entry holds only where PATH has the \
         system's directories alone; better call it by its whole path, and name that"
    )
}

/// The names of settings, out of lines of `NAME=VALUE`.
pub fn settings(lines: &str) -> impl Iterator<Item = &str> {
    lines.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim())
}

/// The last component of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A simple command as `allow` names it.
pub fn literal(words: &[String]) -> Result<String, String> {
    if words.iter().any(|word| word.contains(['*', '?', '\'', '"'])) {
        return Err("its words have characters that stand for others in `allow`".into());
    }
    let quoted = words
        .iter()
        .map(|word| if word.contains([' ', '\t']) || word.is_empty() { format!("'{word}'") } else { word.clone() });
    Ok(quoted.collect::<Vec<String>>().join(" "))
}

/// The words of a simple command.
pub fn words(command: &str) -> Option<Vec<String>> {
    use portcullis_policy::command::{TOKEN_MAX, Tokens};
    let mut tokens = Tokens::new(command.as_bytes());
    let mut buffer = [0; TOKEN_MAX];
    let mut out = Vec::new();
    while let Some(token) = tokens.next(&mut buffer) {
        out.push(String::from_utf8(token.ok()?.to_vec()).ok()?);
    }
    (!out.is_empty()).then_some(out)
}
