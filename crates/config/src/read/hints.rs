//! Helps with keys and tables that there are not: what was probably meant, and where it goes.

use super::{Reader, Value};
use crate::keys;
use portcullis_policy::{RULE_WORDS, Rule};
use toml::de::{DeTable, DeValue};

/// The table of a rule that has one of its own.
fn own_table(rule: &str) -> Option<&'static str> {
    let known = Rule::ALL.into_iter().find(|known| known.word() == rule)?;
    known.is_at_top().then_some(known.text().table)
}

/// The keys and tables that may stand in the table `at`.
fn keys_of(at: &str) -> Vec<&'static str> {
    let tables: &[&str] = match at {
        "" => &["log", "egress", "exec", "rules", "backstop"],
        "vhost" => &["egress", "exec", "rules"],
        "rules" => &RULE_WORDS,
        "vhosts.d" => &["vhost"],
        _ => &[],
    };
    [tables, &keys::names(at)].concat()
}

/// The word that is spelt nearly so.
#[must_use]
pub fn nearest<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    let scored = words.iter().map(|known| (strsim::damerau_levenshtein(word, known), *known));
    scored.min().filter(|(distance, known)| *distance <= 1.max(known.len() / 3)).map(|(_, known)| known)
}

/// The keys that a word was probably meant for: the one that is spelt nearly so, else those that it is a part of.
fn meant(word: &str, keys: &[&'static str]) -> Vec<&'static str> {
    match nearest(word, keys) {
        Some(known) => vec![known],
        None if word.len() > 2 => keys.iter().copied().filter(|known| known.contains(word)).collect(),
        None => Vec::new(),
    }
}

/// Words as a choice.
fn either(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// A value as it is to be written: that of the file where it is a string.
fn written(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        _ => "\"audit\"".into(),
    }
}

impl Reader<'_> {
    /// Every key of `table`, which stands at `at`, has to be known.
    pub(super) fn known(&mut self, at: &str, table: &DeTable<'_>) {
        let keys = keys_of(at);
        for (key, value) in table.iter() {
            let word = key.get_ref().as_ref();
            if !keys.contains(&word) {
                let what = if at == "rules" { "there is no rule" } else { "unknown key" };
                let help = self.help(at, word, value, &keys);
                self.error(key.span(), format!("{what} `{word}`"), help);
            }
        }
    }

    fn help(&self, at: &str, word: &str, value: &Value<'_>, keys: &[&'static str]) -> String {
        let prefix = self.prefix;
        if ["", "vhost"].contains(&at) && RULE_WORDS.contains(&word) {
            let rule = format!("rules.{word}");
            return format!("write `[{prefix}{}]`", own_table(word).unwrap_or(&rule));
        }
        let rule = at.strip_prefix("rules.").unwrap_or_default();
        if let Some(table) = own_table(rule).filter(|table| keys::names(table).contains(&word)) {
            return format!("the key is `[{prefix}{table}] {word}`");
        }
        if ["exec-place", "exec-tool"].contains(&rule) && word == "allow" {
            let keys = keys.join(", ");
            return format!("`[{prefix}exec] allow` allows a program in this rule, too; the keys here are: {keys}");
        }
        if at == "rules" && keys::names("rules.NAME").contains(&word) {
            let value = written(value.get_ref());
            return format!("write `[{prefix}rules.NAME]` with `{word} = {value}`, for each rule that is meant");
        }
        let meant = meant(word, keys);
        let table = meant.iter().chain(&RULE_WORDS).find(|rule| at == "rules" && own_table(rule) == Some(word));
        match (meant.as_slice(), table) {
            ([], _) => format!("the {} are: {}", if at == "rules" { "rules" } else { "keys here" }, keys.join(", ")),
            (meant, None) => format!("did you mean {}?", either(meant)),
            (meant, Some(rule)) => {
                format!("did you mean {}? The table of `{rule}` is `[{prefix}{word}]`", either(meant))
            }
        }
    }

    /// There is another value where the table `key` has to be.
    pub(super) fn no_table(&mut self, key: &str, value: &Value<'_>) {
        let prefix = self.prefix;
        let written = written(value.get_ref());
        let help = match key {
            "log" => format!("write `[log]` with `sink = {written}`"),
            "backstop" => format!("write `[backstop]` with `seccomp = {written}`"),
            "match" => {
                "write match = { document_root = \"/srv/NAME\" }, or server_name, script, pool or profile".into()
            }
            "rules" => format!("write `[{prefix}rules.NAME]` with `mode = {written}`"),
            key => format!("write `[{prefix}{key}]` with `mode = {written}`"),
        };
        self.wrong(value.span(), "a table", value.get_ref(), help);
    }
}
