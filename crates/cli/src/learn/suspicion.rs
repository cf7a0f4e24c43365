//! What looks like an intrusion, and is not learnt unless somebody names it.

use super::launchers::runs_commands;
use super::propose::{of_finders, words};
use crate::log::Event;
use portcullis_config::lists;
use portcullis_policy::{RULE_FACTS, RULE_TEXTS, RuleText};

/// Parts of a script's path that anybody's upload may lie in.
const WRITABLE: [&str; 7] = ["upload", "uploads", "tmp", "temp", "cache", "shm", "sessions"];
/// What to do where a command is to be allowed all the same.
const INCLUDE: &str = "`--include 'ENTRY'` proposes it";

/// The gravest rule of an event of which nothing is learnt, and why.
fn grave(event: &Event) -> Option<(&'static str, &'static str)> {
    let fired = |rule: &&RuleText| !rule.grave.is_empty() && event.rules().any(|word| word == rule.rule.word());
    let severity = |rule: &RuleText| RULE_FACTS[rule.rule as usize].severity;
    // Of two that are as grave, the first.
    let rule = RULE_TEXTS
        .iter()
        .filter(fired)
        .reduce(|most, rule| if severity(rule) > severity(most) { rule } else { most })?;
    Some((rule.rule.word(), rule.grave))
}

/// Why an event looks like an intrusion.
pub fn suspicion(event: &Event) -> Option<String> {
    if let Some((rule, why)) = grave(event) {
        let more = if rule == "exec-place" { of_finders(rule, INCLUDE) } else { String::new() };
        return Some(format!("{why} ({rule}). {more}").trim_end_matches([' ', '.']).to_owned());
    }
    if event.rule() == "exec-tool" {
        return Some(format!(
            "it is a tool that is common in attacks (exec-tool). {}",
            of_finders("exec-tool", INCLUDE)
        ));
    }
    if event.rules().any(|rule| rule == "exec-unguarded")
        && let Some(why) = runs_commands(event.text("/process/executable"), event.text("/portcullis/unguarded"))
    {
        return Some(format!("{why}; for one command of it, name that with its arguments in `[exec] allow`"));
    }
    let script = event.text("/portcullis/request/script");
    if let Some(part) = script.split('/').find(|part| WRITABLE.contains(&part.to_ascii_lowercase().as_str())) {
        return Some(format!("the script lies in a place for files, not for programs (`{part}`)"));
    }
    if event.text("/portcullis/chain").matches(" > ").count() > usize::from(event.is_exec()) {
        return Some("a program did it that a request had started before".into());
    }
    if event.rule() == "shell-spawn" && event.shell_command().is_none() {
        return Some("a shell runs it: it is a script, or a shell by another name; read the file first".into());
    }
    let command = event.shell_command().and_then(words)?;
    let names: Vec<&str> = command.iter().map(|word| word.rsplit('/').next().unwrap_or(word)).collect();
    let is_shell = |name: &&&str| lists::SHELLS.contains(name);
    if let Some(shell) = names.iter().find(is_shell) {
        return Some(format!("the command starts a shell ({shell})"));
    }
    let is_tool = |name: &str| {
        lists::TOOLS.iter().any(|tool| tool.strip_suffix('*').map_or(*tool == name, |stem| name.starts_with(stem)))
    };
    let first = names.first()?;
    if is_tool(first) {
        return Some(format!("the command is a tool of intruders ({first})"));
    }
    runs_commands(first, "")
}
