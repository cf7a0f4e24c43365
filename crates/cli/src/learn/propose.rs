//! From events to the smallest list that would have allowed them: literal entries, each with its evidence.

use super::suspicion::suspicion;
use crate::explain;
use crate::log::Event;
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
}

impl List {
    /// All of them.
    pub const ALL: [List; 7] =
        [List::Egress, List::Exec, List::Listen, List::Resolvers, List::Settings, List::Unguarded, List::Namespaces];

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
        // Every part of it may come from an attacker: nothing in it ends the comment.
        crate::show::printable(&format!("{times}, {when}, by {}; such as: {example}", scripts.join(", ")))
    }
}

/// What is proposed for one scope.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Entries, each with its evidence.
    pub entries: BTreeMap<(List, String), Evidence>,
    /// What is not proposed: what it is, and why.
    pub refused: BTreeMap<(String, String), Evidence>,
    /// Document roots of the requests.
    pub roots: BTreeSet<String>,
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
    for event in events
        .iter()
        .filter(|event| !event.is_of_guard() && !event.is_of_merged() && (choice.refused || !event.refused()))
    {
        if is_probe(event) || explain::fires(policy, event.value()) == Some(false) {
            continue;
        }
        let proposal = out.entry(event.vhost().to_owned()).or_default();
        let root = event.text("/portcullis/request/document_root");
        if !root.is_empty() {
            proposal.roots.insert(root.to_owned());
        }
        match entries(event) {
            Err(why) => proposal.refused.entry((described(event), why)).or_default().add(event),
            Ok(entries) => {
                for (list, text) in entries {
                    match suspicion(event).filter(|_| !choice.include.contains(&text)) {
                        Some(why) => proposal.refused.entry((text, why)).or_default().add(event),
                        None => proposal.entries.entry((list, text)).or_default().add(event),
                    }
                }
            }
        }
    }
    out.retain(|_, proposal| !proposal.entries.is_empty() || !proposal.refused.is_empty());
    out
}

/// Whether `portcullis doctor` did it.
fn is_probe(event: &Event) -> bool {
    event.text("/destination/ip") == "0.0.0.1"
        || event.shell_command().is_some_and(|command| command.starts_with(": portcullis-doctor-"))
}

/// What an event is about, in a few words.
fn described(event: &Event) -> String {
    match event.is_exec() {
        true => event.text("/process/command_line").chars().take(120).collect(),
        false => event.text("/portcullis/detail").chars().take(120).collect(),
    }
}

/// The entries that would have allowed an event; why there are none.
fn entries(event: &Event) -> Result<Vec<(List, String)>, String> {
    if event.text("/portcullis/request/state") == "lost" {
        return Err("its request was taken away: no host's policy would allow it".into());
    }
    match event.rule() {
        "egress-port" | "metadata" => {
            let destination = event.destination().ok_or("it names no destination")?;
            let port = event.number("/destination/port").unwrap_or(0);
            let domain = event.text("/destination/domain");
            Ok(vec![(List::Egress, if domain.is_empty() { destination } else { format!("{domain}:{port}") })])
        }
        "shell-spawn" => {
            let command = event.shell_command().ok_or("a shell that runs no single command cannot be allowed")?;
            if command.ends_with('\u{2026}') {
                return Err("the event has only the beginning of the command".into());
            }
            Ok(vec![(List::Exec, literal(command)?)])
        }
        "listen-port" => Ok(vec![(List::Listen, event.number("/server/port").unwrap_or(0).to_string())]),
        "dns-direct" => Ok(vec![(List::Resolvers, event.text("/destination/ip").to_owned())]),
        "php-ini" => {
            let names = event.text("/portcullis/detail").lines().filter_map(|line| line.split_once('='));
            Ok(names.map(|(name, _)| (List::Settings, name.trim().to_owned())).collect())
        }
        rule @ ("exec-unguarded" | "namespace") => {
            let list = if rule == "namespace" { List::Namespaces } else { List::Unguarded };
            let program = event.text("/process/executable");
            match program.starts_with('/') && !program.contains(['*', '?', '\u{2026}']) {
                true => Ok(vec![(list, program.to_owned())]),
                false => Err("the event has not the whole path of the program".into()),
            }
        }
        rule => Err(format!(
            "{rule} has no list of what is allowed: its own mode, or what it looks for, is changed by hand"
        )),
    }
}

/// A simple command as `allow` names it.
fn literal(command: &str) -> Result<String, String> {
    let words = words(command).ok_or("not a simple command: `allow` can only name words without metacharacters")?;
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
