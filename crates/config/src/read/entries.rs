//! What a word in a list has to be.

use crate::entry::EntryError;
use portcullis_policy::exec::{HIDDEN, MEMFD, WRITABLE};

/// Checks a word of a list.
pub(super) type WordCheck = fn(&str) -> Result<(), EntryError>;

/// The name behind the last slash; what stands there for it where there is none.
fn name_of(word: &str) -> &str {
    let name = word.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if name.trim_start_matches('.').is_empty() { "NAME" } else { name }
}

/// A place of programs: a folder, or a word for a kind of place.
pub(super) fn place(word: &str) -> Result<(), EntryError> {
    let is_folder = word.starts_with('/') && word.len() > 1 && !word.ends_with('/') && !word.contains(['\0', '*']);
    if is_folder || [MEMFD, WRITABLE, HIDDEN].contains(&word) {
        return Ok(());
    }
    let trimmed = word.trim_end_matches(['/', '*']);
    let help = match trimmed.starts_with('/') && !trimmed.contains(['\0', '*']) {
        true => format!("write `{trimmed}`: a folder stands for all that is in it"),
        false => "write an absolute path, or one of: memfd, writable, hidden".into(),
    };
    EntryError::because(format!("`{word}` is no place"), help)
}

/// A tool: a program's name.
pub(super) fn tool(word: &str) -> Result<(), EntryError> {
    let name = word.strip_suffix('*').unwrap_or(word);
    match name.is_empty() || name.contains(['/', '\0', '*', '?']) {
        true => {
            let help = format!("write `{}`; a `*` may stand at the end of a name", name_of(word));
            EntryError::because(format!("`{word}` is not a name"), help)
        }
        false => Ok(()),
    }
}

/// A shell: a program's name.
pub(super) fn shell(word: &str) -> Result<(), EntryError> {
    match word.is_empty() || word.contains(['/', '\0']) {
        true => EntryError::because(format!("`{word}` is not a name"), format!("write `{}`", name_of(word))),
        false => Ok(()),
    }
}

/// A program, by its absolute path.
pub(super) fn program(word: &str) -> Result<(), EntryError> {
    if !word.starts_with('/') || word.contains('\0') {
        let help = format!("write the program's real path, for example `/usr/bin/{}`", name_of(word));
        return EntryError::because(format!("`{word}` is not an absolute path"), help);
    }
    match word.ends_with('/') {
        true => {
            let help = format!("write a program's path; `{word}*` stands for every program in that folder");
            EntryError::because(format!("`{word}` names a folder"), help)
        }
        false => Ok(()),
    }
}

/// Any text.
pub(super) fn any_text(word: &str) -> Result<(), EntryError> {
    match word.is_empty() || word.contains('\0') {
        true => EntryError::because("this is empty, or has a NUL in it", "remove it"),
        false => Ok(()),
    }
}
