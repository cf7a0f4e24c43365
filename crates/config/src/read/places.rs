//! Small values, tables and keys, and the errors in them, each with its place.

use super::hints::nearest;
use super::{Reader, Value};
use crate::diagnostic::{Diagnostic, Severity};
use crate::lists;
use crate::model::Origin;
use portcullis_policy::Mode;
use std::ops::Range;
use std::rc::Rc;
use toml::de::{DeTable, DeValue};

impl Reader<'_> {
    pub(super) fn mode(&mut self, table: &DeTable<'_>) -> Option<Mode> {
        Some(match self.one_of(table.get("mode")?, &["off", "audit", "enforce"])?.as_str() {
            "off" => Mode::Off,
            "audit" => Mode::Audit,
            _ => Mode::Enforce,
        })
    }

    /// The kill switch.
    pub(super) fn overriding(&mut self, table: &DeTable<'_>) -> Option<Mode> {
        let word = self.one_of(table.get("override")?, &["audit", "off"])?;
        Some(if word == "off" { Mode::Off } else { Mode::Audit })
    }

    pub(super) fn errno(&mut self, table: &DeTable<'_>) -> Option<u16> {
        let names: Vec<&str> = lists::ERRNOS.iter().map(|errno| errno.0).collect();
        let word = self.one_of(table.get("errno")?, &names)?;
        lists::ERRNOS.iter().find(|errno| errno.0 == word).map(|errno| errno.1)
    }

    pub(super) fn one_of(&mut self, value: &Value<'_>, words: &[&str]) -> Option<String> {
        let word = self.string(value)?;
        if words.contains(&word.as_str()) {
            return Some(word);
        }
        let help = match nearest(&word, words) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write one of: {}", words.join(", ")),
        };
        self.error(value.span(), format!("\"{word}\" is not one of: {}", words.join(", ")), help);
        None
    }

    pub(super) fn string(&mut self, value: &Value<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            other => {
                self.wrong(value.span(), "a string", other, "write it in quotes".into());
                None
            }
        }
    }

    /// The items of a list; a single value is a list of one.
    pub(super) fn items<'v, 't>(&mut self, value: &'v Value<'t>) -> Vec<&'v Value<'t>> {
        match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        }
    }

    pub(super) fn table<'v, 't>(&mut self, table: &'v DeTable<'t>, key: &str) -> Option<&'v DeTable<'t>> {
        let value = table.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.no_table(key, value);
                None
            }
        }
    }

    pub(super) fn wrong(&mut self, span: Range<usize>, wanted: &str, got: &DeValue<'_>, help: String) {
        let got = match got {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(span, format!("this is {got}, not {wanted}"), help);
    }

    pub(super) fn not_boolean(&mut self, value: &Value<'_>, got: &DeValue<'_>) {
        self.wrong(value.span(), "true or false", got, "write true or false, without quotes".into());
    }

    pub(super) fn error(&mut self, span: Range<usize>, message: String, help: String) {
        self.push(Severity::Error, span, message, Some(help));
    }

    pub(super) fn warn(&mut self, span: Range<usize>, message: String, help: String) {
        self.push(Severity::Warning, span, message, Some(help));
    }

    pub(super) fn push(&mut self, severity: Severity, span: Range<usize>, message: String, help: Option<String>) {
        let (file, text) = (self.file.clone(), Rc::clone(&self.text));
        self.diagnostics.push(Diagnostic { severity, file, text, span, message, help, is_private: false });
    }

    /// The place of a span, without a text.
    pub(super) fn origin_at(&self, span: Range<usize>) -> Origin {
        let line = self.lines.partition_point(|start| *start <= span.start) as u32;
        Origin { text: String::new(), file: Some(self.file.clone()), line }
    }

    pub(super) fn origin(&self, value: &Value<'_>, key: &str) -> Origin {
        let text = format!("{key} = {}", self.text.get(value.span()).unwrap_or_default());
        Origin { text, ..self.origin_at(value.span()) }
    }

    /// A sentence for events.
    pub(super) fn why(&mut self, table: &DeTable<'_>) -> Option<String> {
        const MAX: usize = 240;
        let value = table.get("why")?;
        let why = self.string(value)?;
        if why.len() > MAX {
            self.error(
                value.span(),
                format!("`why` has {} bytes", why.len()),
                format!("write at most {MAX} bytes, which is what an event takes"),
            );
        }
        Some(why)
    }
}
