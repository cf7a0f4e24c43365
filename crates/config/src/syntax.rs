//! Finds what makes a command of `[exec] allow` more than words.

use portcullis_policy::command::{TOKEN_MAX, Tokens};

/// What a shell gives a meaning.
const SPECIAL: &str = "|&;<>()$`*?[]{}!^%#~=\\'\"";
/// The longest command that is searched: each beginning of it is read once.
const SEARCHED: usize = 4096;

/// Whether a text has nothing but words.
fn is_simple(text: &str) -> bool {
    let mut tokens = Tokens::new(text.as_bytes());
    let mut buffer = [0; TOKEN_MAX];
    while let Some(token) = tokens.next(&mut buffer) {
        if token.is_err() {
            return false;
        }
    }
    true
}

/// The text as it is shown in Markdown's way, a backtick too.
fn quoted(text: char) -> String {
    if text == '`' { "`` ` ``".into() } else { format!("`{text}`") }
}

/// What in a command that is not simple makes it so.
pub(crate) fn found(text: &str) -> String {
    if text.len() > SEARCHED {
        return "more than 4096 bytes".into();
    }
    // The longest beginning that is simple; what follows it is what is looked for.
    let ends = text.char_indices().map(|(at, _)| at);
    let end = ends.filter(|end| text.get(..*end).is_some_and(is_simple)).max().unwrap_or(0);
    let rest = text.get(end..).unwrap_or_default();
    let mut characters = rest.chars();
    let Some(first) = characters.next() else { return "no words".into() };
    match first {
        '"' | '\'' => match characters.as_str().split_once(first) {
            None => format!("a quote `{first}` that is not closed"),
            Some((inner, _)) => inner.chars().find(|one| "$`\\!".contains(*one)).map_or("a quote".into(), quoted),
        },
        '=' => "`=` in the program's name".into(),
        special if SPECIAL.contains(special) => quoted(special),
        _ => match text.split([' ', '\t']).find(|word| !word.is_empty()) {
            Some(word) if word.len() < 16 => format!("`{word}`, a word of the shell's own"),
            _ => format!("a word of more than {TOKEN_MAX} bytes"),
        },
    }
}
