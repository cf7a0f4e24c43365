//! Errors for people: what is wrong, where, and what to do.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;
use std::path::PathBuf;

/// Whether a diagnostic stops the compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// Its text; empty where it could not be read.
    pub text: std::rc::Rc<str>,
    /// The place, in bytes.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Not everybody may read the file: whoever reads the message need not be one who may.
    pub is_private: bool,
}

impl Diagnostic {
    /// One of a file as a whole.
    #[must_use]
    pub fn of_file(severity: Severity, file: PathBuf, message: String, help: String) -> Diagnostic {
        Diagnostic { severity, file, text: "".into(), span: 0..0, message, help: Some(help), is_private: false }
    }

    /// Line and column, in characters, both from 1.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        let before = self.text.get(..self.span.start.min(self.text.len())).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// The same without anything of the file's text: where it is wrong, and in what way. For a reader who may not read the file.
    #[must_use]
    pub fn without_text(&self) -> Diagnostic {
        let (line, column) = self.position();
        let place = if self.text.is_empty() { String::new() } else { format!("line {line}, column {column}: ") };
        let help = "others may not read the file, so its text is not shown: `portcullis check` on a terminal shows it";
        Diagnostic {
            text: "".into(),
            span: 0..0,
            message: format!("{place}{}", unquoted(&self.message)),
            help: Some(if self.text.is_empty() { self.help.clone().unwrap_or_default() } else { help.to_owned() }),
            ..self.clone()
        }
    }

    /// The diagnostic as text of several lines, with the line of the file and a caret under the place.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let path = self.file.display().to_string();
        if self.text.is_empty() {
            let help = self.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
            let word = if self.severity == Severity::Error { "error" } else { "warning" };
            return format!("{word}: {path}: {}{help}", self.message);
        }
        let end = self.span.end.clamp(self.span.start, self.text.len());
        let start = self.span.start.min(end);
        let snippet = Snippet::source(&*self.text).path(path).annotation(AnnotationKind::Primary.span(start..end));
        let mut group = level.primary_title(&self.message).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// A message without what it quotes, in backticks or in quotation marks: that may be of the file. Several lines are one.
fn unquoted(message: &str) -> String {
    let mut out = String::new();
    let mut open = None;
    for character in message.chars() {
        match (open, character) {
            (None, '`' | '"') => {
                open = Some(character);
                out.push_str("`\u{2026}`");
            }
            (Some(mark), mark_or_not) if mark == mark_or_not => open = None,
            (Some(_), _) => {}
            (None, '\n') => out.push(' '),
            (None, other) => out.push(other),
        }
    }
    out
}
