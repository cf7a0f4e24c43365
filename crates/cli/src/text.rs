//! Values in a place of a line: their width, their length, and as a word for a shell.

use crate::out::is_printable;
use portcullis_story::CUT;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// A text with blanks up to a width.
pub fn pad(text: String, to: usize) -> String {
    let missing = to.saturating_sub(width(&text));
    text + &" ".repeat(missing)
}

/// A text of at most so many columns, without its middle where it is longer: of a path, both ends say something.
pub fn middle(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let left = max.saturating_sub(1);
    let begin = fitting(text.chars(), left / 2);
    let end: Vec<char> = fitting(text.chars().rev(), left - left / 2);
    begin.into_iter().chain([CUT]).chain(end.into_iter().rev()).collect()
}

/// A text of at most so many columns, without its end where it is longer: a sentence begins with what it is about.
pub fn beginning(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    fitting(text.chars(), max.saturating_sub(1)).into_iter().chain([CUT]).collect()
}

/// The first characters that fit into so many columns.
fn fitting(text: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut left = columns;
    text.map_while(|one| {
        // As `width` has it: what moves a cursor takes a column, too.
        left = left.checked_sub(UnicodeWidthChar::width(one).unwrap_or(1))?;
        Some(one)
    })
    .collect()
}

/// The longest value that is shown in full, in characters, and how much of the others stays at each end.
const VALUE_MAX: usize = 1000;
const VALUE_ENDS: usize = 400;

/// A value of a line for people, with a bound in its length.
pub fn bounded(text: &str) -> String {
    // Nothing of ASCII has more characters than bytes.
    if text.len() <= VALUE_MAX {
        return text.to_owned();
    }
    let count = text.chars().count();
    if count <= VALUE_MAX {
        return text.to_owned();
    }
    let begin: String = text.chars().take(VALUE_ENDS).collect();
    let end: String = text.chars().skip(count - VALUE_ENDS).collect();
    let left_out = count - 2 * VALUE_ENDS;
    format!("{begin}{CUT}[{left_out} characters: --json shows them]{CUT}{end}")
}

/// A word for a shell: as it is, in quotes, or, where it has more than prints, as `$'...'` (POSIX.1-2024) with its bytes.
pub fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@%+,".contains(&byte);
    if !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    if text.chars().all(is_printable) {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    let mut out = String::from("$'");
    for character in text.chars() {
        match character {
            // A shell that does not know these quotes (dash) ends them at none of its words.
            '\'' => out += "\\047",
            '\\' => out += "\\134",
            _ if is_printable(character) => out.push(character),
            _ => {
                let mut bytes = [0; 4];
                character.encode_utf8(&mut bytes).bytes().for_each(|byte| out += &format!("\\{byte:03o}"));
            }
        }
    }
    out + "'"
}

/// An option with its value, for a shell; joined to it where it could be another option.
pub fn option(name: &str, value: &str) -> String {
    let apart = if value.starts_with('-') { '=' } else { ' ' };
    format!("--{name}{apart}{}", quoted(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "\u{1b}[2J\r\u{9b}31m\u{202e}\u{2028}\u{200b}\u{3164}e\u{301}\u{7f}\t";

    #[test]
    fn a_word_of_an_attacker_s_is_one_word_to_a_shell() {
        for (text, expected) in [
            ("/srv/a.php", "/srv/a.php"),
            ("", "''"),
            ("-rf", "'-rf'"),
            ("a b", "'a b'"),
            ("$(id)", "'$(id)'"),
            ("it's", "'it'\\''s'"),
            ("a\n'\\\u{202e}", "$'a\\012\\047\\134\\342\\200\\256'"),
        ] {
            assert_eq!(quoted(text), expected);
        }
        // The shell agrees.
        for text in [
            "",
            "-n",
            "a b",
            "$(id)`id`",
            "it's \\",
            "\n'; echo x #",
            "a\n\u{1b}[2J'\\\u{202e}\u{7f}",
            HOSTILE,
            "\\101'\t1",
        ] {
            let command = format!("printf '%s|' {}", quoted(text));
            let done = std::process::Command::new("bash").args(["-c", &command]).output().expect("bash");
            assert_eq!(String::from_utf8_lossy(&done.stdout), format!("{text}|"), "{command}");
            // To one that does not know `$'`, it is one word still.
            let command = format!("set -- {}; printf '%s' $#", quoted(text));
            let done = std::process::Command::new("dash").args(["-c", &command]).output().expect("dash");
            assert_eq!(String::from_utf8_lossy(&done.stdout), "1", "{command}");
        }
        assert_eq!(option("client", "--all"), "--client='--all'");
    }

    #[test]
    fn a_text_loses_its_middle() {
        assert_eq!(middle("/srv/shop/up.php", 16), "/srv/shop/up.php");
        assert_eq!(middle("/srv/shop/up.php", 11), "/srv/\u{2026}p.php");
        for (text, max) in [("日本日本日本", 7), ("日本日本日本", 2), ("abc", 0), ("abc", 1), (HOSTILE, 3)]
        {
            assert!(width(&middle(text, max)) <= max.max(1), "{text} {max}");
        }
        let long = format!("{}END", "ü".repeat(50_000));
        let shown = bounded(&long);
        assert!(shown.ends_with("END") && shown.contains("[49203 characters: --json shows them]"), "{shown}");
        assert_eq!(bounded(&"ü".repeat(1000)).chars().count(), 1000);
    }
}
