//! Warns of entries of `[rules.loader-env] allow` that never apply: the list has whole values of variables that load code, or any variable
//! with its value, and no pattern.

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
        // In its value the library's own path does not count.
        Some(("LD_PRELOAD", _, value)) if !value.is_empty() => (
            format!("`{text}` never applies: of `LD_PRELOAD`, this list has the value without its name"),
            format!("write `{value}`"),
        ),
        Some((name, true, "" | "/dev/null")) => {
            (format!("`{text}` never applies: no event is written of such a `{name}`"), "remove it".to_owned())
        }
        Some(("HOME", ..)) => (
            format!("`{text}` never applies: no entry of `[exec] allow` holds in a shell that reads a file there"),
            "remove it".to_owned(),
        ),
        Some((_, _, value)) if !value.contains(['*', '?']) && text.len() <= VALUE_MAX => return None,
        _ if text == "/dev/null" => {
            ("`/dev/null` never applies: no event is written of it".to_owned(), "remove it".to_owned())
        }
        _ if text.len() > VALUE_MAX => {
            ("this never applies: so long a value is not compared".to_owned(), "remove it".to_owned())
        }
        None if text.split([':', ' ']).any(|part| library(&part)) => {
            let rest: Vec<&str> = text.split([':', ' ']).filter(|part| !library(part) && !part.is_empty()).collect();
            (
                format!("`{text}` never applies: the library's own path is taken out before the comparison"),
                if rest.is_empty() { "remove it".to_owned() } else { format!("write `{}`", rest.join(":")) },
            )
        }
        _ if text.contains(['*', '?']) => (
            format!(
                "`{text}` is no pattern: this list is compared with whole values, in which `*` and `?` stand for themselves"
            ),
            "write each value in full, as the event shows it".to_owned(),
        ),
        _ => return None,
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
