//! Warns of entries of `[rules.loader-env] allow` that never apply: the list has whole values, without a name or a pattern.

use super::{Reader, Value};
use portcullis_policy::startup::ROWS;

/// A longer value is not compared: src/child/environment/loader.rs in the library looks at entries of so many bytes, name included.
const VALUE_MAX: usize = 1050;

/// The variable that an entry begins with, and whether it is one that loads code; and the rest.
fn named(text: &str) -> Option<(&str, bool, &str)> {
    let (name, value) = text.split_once('=')?;
    let row = ROWS.iter().find(|row| match row.name.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == row.name,
    })?;
    let is_name = name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    is_name.then_some((name, row.loads, value))
}

/// Why an entry never applies, or not to what it seems to, and what to do.
fn wrong(text: &str) -> Option<(String, String)> {
    let library = |part: &&str| part.ends_with("/libportcullis.so");
    Some(match named(text) {
        Some((name, true, value)) => (
            format!("`{text}` never applies: this list has the values of variables, without their names"),
            match value {
                "" => format!("an empty `{name}` is never an event: remove this"),
                value => format!("write `{value}`"),
            },
        ),
        Some((name, false, _)) => (
            format!("`{text}` never applies: loader-env is not about `{name}`, and this list has values without names"),
            "remove it".to_owned(),
        ),
        None if text == "/dev/null" => {
            ("`/dev/null` never applies: no event is written of it".to_owned(), "remove it".to_owned())
        }
        None if text.len() > VALUE_MAX => {
            ("this never applies: so long a value is not compared".to_owned(), "remove it".to_owned())
        }
        None if text.split([':', ' ']).any(|part| library(&part)) => {
            let rest: Vec<&str> = text.split([':', ' ']).filter(|part| !library(part) && !part.is_empty()).collect();
            (
                format!("`{text}` never applies: the library's own path is taken out before the comparison"),
                if rest.is_empty() { "remove it".to_owned() } else { format!("write `{}`", rest.join(":")) },
            )
        }
        None if text.contains(['*', '?']) => (
            format!(
                "`{text}` is no pattern: this list is compared with whole values, in which `*` and `?` stand for themselves"
            ),
            "write each value in full, as the event shows it".to_owned(),
        ),
        None => return None,
    })
}

impl Reader<'_> {
    /// Warns of the values in a list of loader-env.
    pub(super) fn loaded_values(&mut self, value: &Value<'_>) {
        for item in self.items(value) {
            if let Some((message, help)) = item.get_ref().as_str().and_then(wrong) {
                self.warn(item.span(), message, help);
            }
        }
    }
}
