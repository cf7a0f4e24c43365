//! From events to the smallest list that would have allowed them: literal entries, each with its evidence.

use super::evidence::Evidence;
use super::launchers::namespace_note;
use super::suspicion::ONLY_CONNECTED;
use super::widen::Wider;
use crate::explain;
use crate::log::Event;
use crate::show::triage;
use portcullis_config::lists;
use portcullis_event::field;
use portcullis_policy::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// Which list an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// What is proposed for one scope.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Entries, each with its evidence.
    pub entries: BTreeMap<(List, String), Evidence>,
    /// Entries that were seen too little to be proposed.
    pub rare: BTreeMap<(List, String), Evidence>,
    /// Patterns that could stand for several entries.
    pub wider: Vec<Wider>,
    /// What is not proposed: what it is, and why.
    pub withheld: BTreeMap<(String, String), Evidence>,
    /// What is not held of a kind, because it has too many that differ.
    pub rest: BTreeMap<String, Evidence>,
    /// Entries that look like an intrusion in some event.
    pub suspicious: BTreeSet<(List, String)>,
    /// Document roots of the requests.
    pub roots: BTreeSet<String>,
}

/// How many reasons are given why something is not proposed.
const REASONS: usize = 3;

impl Proposal {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.rare.is_empty() && self.withheld.is_empty() && self.rest.is_empty()
    }

    /// Names each thing once: an entry that was also seen where it looks like an intrusion is not proposed, for it would allow that as
    /// well; what is not proposed for several reasons has them together.
    pub fn name_once(&mut self) {
        let mut elsewhere: BTreeMap<String, Evidence> = BTreeMap::new();
        for key in &self.suspicious {
            if let Some(seen) = self.entries.remove(key) {
                elsewhere.entry(key.1.clone()).or_default().join(&seen);
            }
        }
        // What is proposed for what others did is nothing to be withheld.
        let proposed: BTreeSet<&str> = self.entries.keys().map(|(_, text)| text.as_str()).collect();
        self.withheld.retain(|(what, _), _| !proposed.contains(what.as_str()));
        let mut together: BTreeMap<String, (Vec<(String, usize)>, Evidence)> = BTreeMap::new();
        for ((what, why), seen) in std::mem::take(&mut self.withheld) {
            let (reasons, evidence) = together.entry(what).or_default();
            reasons.push((why, seen.count));
            evidence.join(&seen);
        }
        self.withheld = together
            .into_iter()
            .map(|(what, (mut reasons, mut evidence))| {
                if let Some(seen) = elsewhere.get(&what) {
                    evidence.join(seen);
                }
                // What is no more than a connect says least.
                reasons.sort_by_key(|(why, _)| why.starts_with(ONLY_CONNECTED));
                let more = reasons.len().saturating_sub(REASONS);
                reasons.truncate(REASONS);
                let more = if more == 0 { String::new() } else { format!("; and for {more} more reasons") };
                let all = evidence.count;
                // A reason that does not hold for all of them says for how many it does.
                let counted = reasons.into_iter().map(|(why, count)| match count {
                    count if count < all => format!("{count} of {all}: {why}"),
                    _ => why,
                });
                ((what, format!("{}{more}", counted.collect::<Vec<String>>().join("; and: "))), evidence)
            })
            .collect();
    }
}

/// What to learn from.
#[derive(Default)]
pub struct Choice<'c> {
    /// Entries that are learnt although they look like an intrusion.
    pub include: &'c [String],
    /// Learn from what was blocked, too.
    pub blocked: bool,
    /// Propose what was seen too little, too.
    pub rare: bool,
    /// Clients that are proxies, which stand for many.
    pub proxies: &'c [String],
    /// Put patterns in the place of literal entries.
    pub widen: bool,
}

/// What an event is about, in a few words.
pub fn described(event: &Event) -> String {
    let of_program = [field::PROCESS_COMMAND_LINE, field::PROCESS_EXECUTABLE, field::MESSAGE];
    let of_others = [field::DETAIL, field::MESSAGE];
    let (fields, destination) = match event.is_exec() {
        true => (&of_program[..], None),
        false => (&of_others[..], event.destination().filter(|_| event.unknown().is_empty())),
    };
    let texts = fields.iter().map(|field| event.text(*field)).find(|text| !text.is_empty());
    let text = destination.as_deref().or(texts).unwrap_or_default();
    // A connection is put on several descriptors, and is one.
    let end = text.strip_prefix("descriptor ").and_then(|rest| rest.split_once(": ")).map(|(_, end)| end);
    end.unwrap_or(text).chars().take(120).collect()
}

/// Why no list is for an event, whatever it is about.
fn without_list(event: &Event) -> Option<String> {
    if let Some((field, journal)) = event.contradicted().into_iter().next() {
        return Some(format!("somebody else may have written the event: its {field} is {journal} in the journal"));
    }
    match event.text(field::REQUEST_STATE) {
        "lost" => return Some("its request was taken away: no host's policy would allow it".into()),
        "unknown" => {
            return Some(format!(
                "its request could not be read, and the strictest policy, which has no `allow`, decided: see {}, `request`",
                triage()
            ));
        }
        _ => {}
    }
    if !event.unknown().is_empty() {
        let clause = event.text(field::CLAUSE);
        return Some(match explain::unknown(event.unknown()) {
            Some(what) => explain::of_unknown(what),
            None => {
                format!("{clause} ({}): no list allows what could not be evaluated: see {}", event.unknown(), triage())
            }
        });
    }
    None
}

/// Why the entry that names the command of an event does not hold: a variable steers it.
pub fn steered(event: &Event) -> Option<String> {
    let clause = event.text(field::CLAUSE);
    clause.starts_with("allow does not hold: ").then(|| {
        let detail = event.text(field::DETAIL);
        let advice = explain::of_steered(explain::is_further(event));
        format!("`[exec] allow` names the command already; {clause} ({detail}): {advice}")
    })
}

/// The entries that would have allowed an event; why there are none.
pub fn entries(event: &Event, policy: &Policy<'_>) -> Result<Vec<(List, String)>, String> {
    if let Some(why) = without_list(event) {
        return Err(why);
    }
    if let Some(why) = steered(event) {
        let named = explain::expectations(policy, event, false).0;
        return if named.is_empty() { Err(why) } else { Ok(of_list(List::Libraries, named)) };
    }
    match event.rule() {
        "egress-port" if event.destination().is_none() => {
            Err("what an io_uring does cannot be seen, so that no list can name it".into())
        }
        "egress-port" | "metadata" => {
            let destination = event.destination().ok_or("it names no destination")?;
            let port = event.number(field::DESTINATION_PORT).unwrap_or(0);
            let domain = event.text(field::DESTINATION_DOMAIN);
            Ok(vec![(List::Egress, if domain.is_empty() { destination } else { format!("{domain}:{port}") })])
        }
        "shell-spawn" => {
            let is_shell = lists::SHELLS.contains(&base_name(event.text(field::PROCESS_EXECUTABLE)));
            if is_shell && event.shell_command().is_none() {
                return Err("a shell that runs no single command cannot be allowed".into());
            }
            commands(event)
        }
        "listen-port" => Ok(vec![(List::Listen, event.number(field::SERVER_PORT).unwrap_or(0).to_string())]),
        "dns-direct" => Ok(vec![(List::Resolvers, event.text(field::DESTINATION_IP).to_owned())]),
        "php-ini" => Ok(settings(event.text(field::DETAIL)).map(|name| (List::Settings, name.to_owned())).collect()),
        rule @ ("exec-unguarded" | "namespace") => {
            let list = if rule == "namespace" { List::Namespaces } else { List::Unguarded };
            let program = event.text(field::PROCESS_EXECUTABLE);
            match program.starts_with('/') && !program.contains(['*', '?', '\u{2026}']) {
                true => Ok(vec![(list, program.to_owned())]),
                false => Err("the list takes absolute paths, and the event has no whole path of the program".into()),
            }
        }
        "loader-env" => {
            let values = explain::expectations(policy, event, true).0;
            match values.is_empty() {
                true => {
                    Err("the event shows no whole value of a variable that `[rules.loader-env] allow` could name"
                        .into())
                }
                false => Ok(of_list(List::Libraries, values)),
            }
        }
        // Their own keys say what they look for; the list of what is allowed is the commands'.
        rule @ ("exec-tool" | "exec-place") => commands(event).map_err(|why| of_finders(rule, &why)),
        rule => Err(format!("{rule} has no list of what is allowed; `[rules.{rule}] mode` says what the rule does")),
    }
}

fn of_list(list: List, texts: Vec<String>) -> Vec<(List, String)> {
    texts.into_iter().map(|text| (list, text)).collect()
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

/// What to know of a command with a `?` of its own.
pub const ONE_CHARACTER: &str = "`?` stands for any one character";

/// What a reader has to know of an entry; `is_alone`: the event needs no other.
pub fn note(list: List, text: &str, is_alone: bool) -> String {
    if list == List::Exec && !is_alone {
        return explain::AMBIGUOUS.to_owned();
    }
    if list == List::Namespaces {
        return namespace_note(text);
    }
    let program = words(text).and_then(|words| words.into_iter().next()).unwrap_or_default();
    if list == List::Exec && text.contains('?') {
        return ONE_CHARACTER.to_owned();
    }
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

/// A simple command as `allow` names it: what the configuration reads back as these words.
pub fn literal(words: &[String]) -> Result<String, String> {
    // A `?` stands for itself as well; which program it is, is nothing to be open.
    let is_open = |(place, word): (usize, &String)| word.contains('*') || (place == 0 && word.contains('?'));
    if words.iter().enumerate().any(is_open) {
        return Err("its words have characters that stand for others in `allow`".into());
    }
    pattern(words)
}

/// A command of which words may have `*` and `?` that stand for others.
pub fn pattern(words: &[String]) -> Result<String, String> {
    let text = words.iter().map(|word| quoted(word)).collect::<Vec<String>>().join(" ");
    match portcullis_config::command(&text) {
        Ok(read) if read == words => Ok(text),
        Ok(_) => Err("the configuration has no way to write its words".into()),
        Err(wrong) => Err(wrong.message),
    }
}

/// A longer word is read back before it is proposed.
const PLAIN_MAX: usize = 128;

/// A word as it is written in a command: in quotes where it needs them.
fn quoted(word: &str) -> String {
    // No shell has a meaning for one of these.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    if !word.is_empty() && word.len() < PLAIN_MAX && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    let is_read = |text: &str| portcullis_config::command(&format!("x {text}")).is_ok_and(|read| read[1..] == [word]);
    let forms = [word.to_owned(), format!("'{word}'"), format!("\"{word}\"")];
    forms.into_iter().find(|form| is_read(form)).unwrap_or_else(|| word.to_owned())
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
