//! Reads and writes cases: one step a line, a verb with its arguments, in plain text that a person can change.
//!
//! An argument is `KEY=VALUE` or a bare `VALUE`. In a value `\s`, `\n`, `\t`, `\\` and `\xNN` stand for bytes, `${N*TEXT}` for
//! N times TEXT, and `${mark}` for the command by which a shell shows that it ran.

use crate::world::MARK_COMMAND;

/// One step of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub line: String,
    pub verb: String,
    arguments: Vec<(String, Vec<u8>)>,
}

impl Step {
    pub fn parse(line: &str) -> Result<Step, String> {
        let mut words = line.split_ascii_whitespace();
        let verb = words.next().ok_or("an empty step")?.to_owned();
        let mut arguments = Vec::new();
        for word in words {
            let (key, value) = match word.split_once('=') {
                Some((key, value)) if key.bytes().all(|byte| byte.is_ascii_lowercase()) => (key, value),
                _ => ("", word),
            };
            arguments.push((key.to_owned(), expand(value).map_err(|why| format!("{line}: {why}"))?));
        }
        Ok(Step { line: line.to_owned(), verb, arguments })
    }

    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.arguments.iter().find(|(own, _)| own == key).map(|(_, value)| &value[..])
    }

    pub fn text(&self, key: &str) -> &str {
        self.get(key).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
    }

    pub fn number(&self, key: &str, default: i64) -> i64 {
        let text = self.text(key);
        match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).unwrap_or(default),
            None => text.parse().unwrap_or(default),
        }
    }

    /// Every value of a key, in order.
    pub fn all(&self, key: &str) -> Vec<Vec<u8>> {
        self.arguments.iter().filter(|(own, _)| own == key).map(|(_, value)| value.clone()).collect()
    }
}

/// The bytes that a value stands for.
fn expand(value: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        if let Some(inner) = rest.strip_prefix("${") {
            let (body, after) = inner.split_once('}').ok_or("`${` without `}`")?;
            match body.split_once('*') {
                Some((count, text)) => {
                    let count: usize = count.parse().map_err(|_| format!("`{count}` is no number"))?;
                    out.extend(expand(text)?.repeat(count));
                }
                None if body == "mark" => out.extend(MARK_COMMAND.as_bytes()),
                None => return Err(format!("unknown `${{{body}}}`")),
            }
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('\\') {
            let code = inner.chars().next().ok_or("a `\\` at the end")?;
            rest = &inner[code.len_utf8()..];
            match code {
                's' => out.push(b' '),
                'n' => out.push(b'\n'),
                't' => out.push(b'\t'),
                '\\' => out.push(b'\\'),
                'x' => {
                    let digits = rest.get(..2).ok_or("`\\x` takes two digits")?;
                    out.push(u8::from_str_radix(digits, 16).map_err(|_| format!("`\\x{digits}`"))?);
                    rest = &rest[2..];
                }
                other => return Err(format!("unknown `\\{other}`")),
            }
        } else {
            out.extend(first.to_string().as_bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(out)
}

/// A case: the steps, and what is said about it.
#[derive(Clone, Debug)]
pub struct Case {
    pub class: String,
    /// Why a finding is a limit that the documentation names, if it is one.
    pub limit: Option<String>,
    /// Whether two runs need not show the same.
    pub is_race: bool,
    /// How many events an audited run has, where a case knows.
    pub events: Option<usize>,
    pub steps: Vec<Step>,
}

impl Case {
    /// Whether it enters mounts of its own.
    pub fn has_own_mounts(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.verb.as_str(), "cover" | "bind-mount"))
    }

    pub fn parse(text: &str) -> Result<Case, String> {
        let mut case =
            Case { class: "unnamed".to_owned(), limit: None, is_race: false, events: None, steps: Vec::new() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            match verb {
                "class" => case.class = rest.to_owned(),
                "limit" => case.limit = Some(rest.to_owned()),
                "events" => case.events = rest.parse().ok(),
                "race" if rest.is_empty() => case.is_race = true,
                _ => case.steps.push(Step::parse(line)?),
            }
        }
        Ok(case)
    }

    pub fn write(&self) -> String {
        let mut text = format!("class {}\n", self.class);
        if let Some(limit) = &self.limit {
            text.push_str(&format!("limit {limit}\n"));
        }
        if self.is_race {
            text.push_str("race\n");
        }
        if let Some(events) = self.events {
            text.push_str(&format!("events {events}\n"));
        }
        for step in &self.steps {
            text.push_str(&step.line);
            text.push('\n');
        }
        text
    }
}
