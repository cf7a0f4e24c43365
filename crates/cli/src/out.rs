//! Writes to standard output and standard error: the only module that does, but for the full-screen view (`top/screen.rs`).
//!
//! **Invariants**: nothing but printable characters, line ends, tabs and this program's own colours gets to a terminal, whoever wrote the
//! text. [`printable`] does more for a single value: nothing in it ends the line or has a colour.
//!
//! **Why a module**: `clippy.toml` forbids the printing macros of others in this crate.
#![allow(clippy::disallowed_methods)]

use crate::limits;
use rustix::fs::FileType;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Arguments;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Prints to standard output, through [`safe`].
macro_rules! print {
    ($($text:tt)*) => { $crate::out::write(false, format_args!($($text)*)) };
}

/// Prints a line to standard output, through [`safe`].
macro_rules! println {
    ($($text:tt)*) => { $crate::out::write(false, format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error, through [`safe`].
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::out::write(true, format_args!("{}\n", format_args!($($text)*))) };
}

/// Letters and signs that print as nothing.
const BLANK: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];
/// What a sequence that sets a colour begins with.
const ESCAPE: char = '\u{1b}';
/// The longest sequence that sets a colour, without its first two characters.
const COLOUR_MAX: usize = 12;

/// The exit status where nobody reads the output any more: that of a program which SIGPIPE ends, as a shell has it.
const UNREAD: i32 = 128 + 13;

/// Writes text. Ends the program where that fails: silently where nobody reads it any more.
pub fn write(is_error: bool, text: Arguments<'_>) {
    let text = text.to_string();
    let text = safe(&text);
    progress(None);
    if is_error {
        // Nothing is left to say it on.
        return drop(anstream::stderr().lock().write_all(text.as_bytes()));
    }
    let done = limits::open(true).and_then(|()| match text.contains(ESCAPE) {
        // Without a colour there is none to take away.
        false => send(&mut std::io::stdout().lock(), &text),
        true => send(&mut anstream::stdout().lock(), &text),
    });
    done.unwrap_or_else(|error| unwritten(&error));
}

/// Ends the program where its output cannot be written.
fn unwritten(error: &std::io::Error) -> ! {
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(UNREAD);
    }
    let status = crate::complain(format_args!("cannot write to standard output: {error}"));
    std::process::exit(i32::from(status));
}

/// Writes the help that was asked for, or on standard error how a command line is wrong, in the colours of clap.
pub fn help(text: &clap::Error) {
    if text.use_stderr() {
        return drop(text.print());
    }
    let done = limits::open(true).and_then(|()| text.print()).and_then(|()| std::io::stdout().flush());
    done.unwrap_or_else(|error| unwritten(&error));
}

/// Writes text that is to be seen now: a question has no end of a line, and is read before it is answered.
fn send(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    out.write_all(text.as_bytes())?;
    if text.ends_with('\n') { Ok(()) } else { out.flush() }
}

/// Whether a line of [`progress`] is there.
static HAS_PROGRESS: AtomicBool = AtomicBool::new(false);

/// Puts a line on the terminal in the place of the last one, or takes that away. Nobody but this program wrote a part of it.
pub fn progress(line: Option<&str>) {
    if HAS_PROGRESS.swap(line.is_some(), Ordering::Relaxed) || line.is_some() {
        // Where the terminal is gone, nobody misses it.
        let _ = write!(std::io::stderr().lock(), "\r\x1b[2K{}", line.unwrap_or_default());
    }
}

/// Whether a person sees what is put on standard error meanwhile, and no other program has the terminal.
pub fn is_watched() -> bool {
    let goes_to_program = || {
        let kind = rustix::fs::fstat(std::io::stdout()).map(|meta| FileType::from_raw_mode(meta.st_mode));
        kind.is_ok_and(|kind| matches!(kind, FileType::Fifo | FileType::Socket))
    };
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    is_terminal(true) && !is_dumb && !goes_to_program()
}

/// How wide the terminal is that standard output is; `COLUMNS` says so of anything else.
pub fn columns() -> Option<usize> {
    let set = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    set.or_else(|| {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    })
}

/// Writes what is no text, a compiled policy, to standard output.
pub fn bytes(bytes: &[u8]) -> std::io::Result<()> {
    limits::open(true)?;
    let mut output = std::io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()
}

/// Whether standard output, or standard error, is a terminal.
pub fn is_terminal(is_error: bool) -> bool {
    if is_error { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() }
}

/// Whether a character takes its place and does nothing else: no control character, none that changes the direction of text, ends a
/// line, joins the one before or is not there.
pub fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~')
        // The standard library knows of all others what prints as itself.
        || (!character.is_ascii() && character.escape_debug().count() == 1 && !BLANK.contains(&character))
}

/// A value that anybody may have written, as a part of a line.
pub fn printable(text: &str) -> String {
    let first = plain(text, b' ');
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    for character in text[first..].chars() {
        if is_printable(character) {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out
}

/// What keeps a file from being written where it was asked for: no directory is made on the way, for its name may be mistyped. The guard's
/// own is made: a server's master asks for a policy in it, perhaps before anybody else does.
pub fn lacks_folder(path: &Path) -> Result<(), String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if Some(folder) == Path::new(portcullis_policy::place::DEFAULT_POLICY).parent() {
        return Ok(());
    }
    let (shown, folder_shown) = (path.display(), folder.display());
    match std::fs::metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!(
            "cannot write {shown}: the directory {folder_shown} does not exist; help: mkdir -p {folder_shown}"
        )),
        _ => Ok(()),
    }
}

/// What the standard library writes behind the system's words for an error, before its number.
const NUMBER: &str = " (os error ";
/// What `tempfile` writes behind that: the name of a file that nobody asked for.
const AT_PATH: &str = " at path \"";
/// The numbers of the errors of a user who lacks a right (errno.h).
const RIGHTS: [&str; 2] = ["1", "13"];

/// Where the packages put the pages of the documentation.
const PAGES: &str = "/usr/share/doc/portcullis";

/// Where a page of the documentation is: on a server, as the package has it; otherwise in this project.
pub fn page(name: &str) -> String {
    let installed = Path::new(PAGES).join(name);
    if installed.exists() { installed.display().to_string() } else { format!("docs/{name}") }
}

/// A message of this program in words: without the system's numbers of errors, and with the command that has the right which a user
/// lacks.
pub fn in_words(message: &str) -> String {
    let (mut out, mut rest, mut lacks_right) = (String::new(), message, false);
    while let Some((before, behind)) = rest.split_once(NUMBER) {
        out.push_str(before);
        let Some((number, behind)) = behind.split_once(')') else {
            out.push_str(NUMBER);
            rest = behind;
            continue;
        };
        lacks_right |= RIGHTS.contains(&number);
        let named = behind.strip_prefix(AT_PATH).and_then(|path| path.split_once('"'));
        rest = named.map_or(behind, |(_, behind)| behind);
    }
    out.push_str(rest);
    if lacks_right && !crate::install::is_root() && !out.contains("help: ") {
        out.push_str("; help: ");
        out.push_str(&as_root());
    }
    out
}

/// This command as root runs it.
pub fn as_root() -> String {
    format!("sudo {}", command())
}

/// This command as it was typed, for a shell.
pub fn command() -> String {
    let is_plain = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=+./:,@%".contains(&byte))
    };
    let words = std::env::args_os().skip(1).map(|word| {
        let word = word.to_string_lossy().into_owned();
        if is_plain(&word) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
    });
    std::iter::once("portcullis".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A line of a comment in TOML, indented by `indent`: nothing in it ends the comment, whoever wrote a part of it.
pub fn comment(indent: &str, text: &str) -> String {
    format!("{indent}# {}\n", printable(text))
}

/// A value of an event, whatever its type; empty where there is none.
pub fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => printable(text),
        Some(other) => printable(&other.to_string()),
    }
}

/// JSON in ASCII, over several lines where `pretty` says so.
pub fn json(value: &Value, pretty: bool) -> String {
    ascii(&if pretty { format!("{value:#}") } else { value.to_string() })
}

/// JSON with everything in its strings escaped that is not ASCII.
pub fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (plain, behind) = rest.split_at(plain(rest, b'\n'));
        out.push_str(plain);
        let mut characters = behind.chars();
        // What is not ASCII is within a string.
        let Some(character) = characters.next() else { return out };
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
        rest = characters.as_str();
    }
}

/// How many bytes at the beginning of a text are printable ASCII or this one: by parts that the compiler looks at as a whole.
fn plain(text: &str, and: u8) -> usize {
    const PART: usize = 32;
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') || *byte == and;
    let bytes = text.as_bytes();
    let (parts, _) = bytes.as_chunks::<PART>();
    let is_all = |part: &[u8; PART]| part.iter().fold(true, |all, byte| all & is_plain(byte));
    let before = parts.iter().take_while(|part| is_all(part)).count() * PART;
    before + bytes[before..].iter().take_while(|byte| is_plain(byte)).count()
}

/// Text as it goes out: with its lines, and with the colours that this program uses.
pub fn safe(text: &str) -> Cow<'_, str> {
    let first = plain(text, b'\n');
    if first == text.len() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(character) = rest.chars().next() {
        let length = colour(rest).unwrap_or(character.len_utf8());
        let (part, behind) = rest.split_at(length);
        if length > character.len_utf8() || matches!(character, '\n' | '\t') || is_printable(character) {
            out.push_str(part);
        } else {
            out.extend(character.escape_unicode());
        }
        rest = behind;
    }
    Cow::Owned(out)
}

/// How long the sequence is that `text` begins with and that sets a colour, bold or dim; nothing else passes, for text can be hidden, too.
fn colour(text: &str) -> Option<usize> {
    let codes = text.strip_prefix(ESCAPE)?.strip_prefix('[')?;
    let end = codes.bytes().take(COLOUR_MAX).position(|byte| byte == b'm')?;
    let is_own = |code: &str| matches!(code, "" | "0" | "1" | "2") || matches!(code.parse(), Ok(30_u8..=37 | 90..=97));
    codes.get(..end)?.split(';').all(is_own).then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOSTILE: &str =
        "\u{1b}[2J\r\u{9b}31m\u{202e}\u{2028}\u{2029}\u{61c}\u{200b}\u{ad}\u{feff}\u{e0041}\u{3164}e\u{301}\u{7f}\t";

    fn is_safe(text: &str) -> bool {
        text.chars().all(|character| matches!(character, '\n' | '\t') || is_printable(character))
    }

    #[test]
    fn every_character_prints_or_is_escaped() {
        for character in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let shown = printable(&character.to_string());
            assert!(is_safe(&shown) && !shown.contains(['\n', '\t']), "{character:?}");
        }
        assert_eq!(printable("Grüße, 日本 ~"), "Grüße, 日本 ~");
        assert_eq!(printable("a\u{202e}\n"), "a\\u{202e}\\u{a}");
    }

    #[test]
    fn nothing_ends_a_comment() {
        for character in ['\n', '\r', '\u{85}', '\u{2028}', '\0', '\u{1b}', '\u{b}'] {
            let text = comment("  ", &format!("a{character}[exec]"));
            assert!(text.starts_with("  # a\\u{") && text.trim_end().lines().count() == 1, "{text:?}");
            assert!(text.parse::<toml_edit::DocumentMut>().is_ok_and(|document| document.is_empty()), "{text:?}");
        }
    }

    #[test]
    fn a_value_of_any_type_prints() {
        for value in [json!(HOSTILE), json!([HOSTILE]), json!({ HOSTILE: HOSTILE }), json!([[{ "a": [HOSTILE] }]])] {
            assert!(is_safe(&shown(Some(&value))) && !shown(Some(&value)).contains('\n'), "{value}");
        }
        assert_eq!(shown(Some(&json!(80))), "80");
        assert_eq!(shown(None), "");
    }

    #[test]
    fn json_is_ascii_and_the_same() {
        let value = json!({ HOSTILE: [HOSTILE, "\u{1f600}ü", 7] });
        for pretty in [false, true] {
            let text = json(&value, pretty);
            assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')), "{text}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn only_own_colours_pass() {
        let own = "\u{1b}[1m\u{1b}[31mBLOCKED\u{1b}[0m\n";
        assert_eq!(safe(own), own);
        for hidden in
            ["\u{1b}[8m", "\u{1b}[7m", "\u{1b}[2J", "\u{1b}]0;title\u{7}", "\u{1b}[1;8m", "\u{1b}", "\u{1b}[38;5;0m"]
        {
            assert!(is_safe(&safe(hidden)), "{hidden:?}");
        }
        assert!(is_safe(&safe(HOSTILE)));
    }
}
