//! What a command has in common with others of its kind: `convert /tmp/phpA1.jpg out/17.jpg` is like any other conversion.

use std::fmt::Write;

/// Words beyond that are not looked at.
const WORDS_MAX: usize = 60;
/// A longer word is a code or a name of a file.
const LONG: usize = 32;
/// A longer end of a name is no kind of file.
const KIND_MAX: usize = 8;

/// A command line without what differs from call to call: numbers, the names of files, long codes. What a shell does with it stays, and
/// the kinds of files: `convert a.jpg b.jpg` is not `convert a.jpg b.php`, nor `convert a.jpg; b`. An address of the web keeps its host.
pub fn of_command(line: &str) -> String {
    let mut out = String::new();
    let mut words = 0;
    for part in line.split_inclusive(|character: char| is_operator(character) || is_blank(character)) {
        let end = part.chars().next_back().filter(|last| is_operator(*last) || is_blank(*last));
        let word = part.strip_suffix(|last| Some(last) == end).unwrap_or(part);
        if !word.is_empty() {
            of_word(word, &mut out);
            out.push(' ');
            words += 1;
        }
        if let Some(operator) = end.filter(|last| is_operator(*last)) {
            out.push(operator);
            out.push(' ');
        }
        if words == WORDS_MAX {
            break;
        }
    }
    out
}

/// A character by which a shell does something else than passing a word on.
fn is_operator(character: char) -> bool {
    ";|&`$()<>\n".contains(character)
}

fn is_blank(character: char) -> bool {
    character.is_whitespace() || "'\"=,".contains(character)
}

fn of_word(word: &str, out: &mut String) {
    if let Some((scheme, rest)) = word.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let _ = write!(out, "{scheme}://{host}");
        return;
    }
    let name = word.rsplit('/').next().unwrap_or_default();
    let kind = name.rsplit_once('.').map(|(_, kind)| kind).filter(|kind| kind.len() <= KIND_MAX).unwrap_or_default();
    if word.starts_with('/') {
        let _ = write!(out, "/{}/*.{kind}", word.split('/').nth(1).unwrap_or_default());
    } else if word.contains('/') || word.chars().count() > LONG {
        let _ = write!(out, "*.{kind}");
    } else {
        let mut is_number = false;
        for character in word.chars() {
            if !character.is_ascii_digit() {
                out.push(character);
            } else if !is_number {
                out.push('#');
            }
            is_number = character.is_ascii_digit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_call_to_call_is_left_out() {
        let convert = of_command("sh -c convert '/tmp/php3Ab9' -resize 200x200 out/17.jpg");
        assert_eq!(convert, of_command("sh -c convert '/tmp/phpZZ' -resize 640x480 out/9124.jpg"));
        assert_ne!(convert, of_command("sh -c convert '/srv/x' -resize 200x200 out/17.jpg"));
        assert_ne!(of_command("sh -c id"), of_command("sh -c w"));
        assert_eq!(of_command("curl https://a.example/x1"), of_command("curl https://a.example/y?z"));
        assert_ne!(of_command("curl https://a.example/x1"), of_command("curl https://b.example/x1"));
    }

    #[test]
    fn what_a_shell_does_with_it_stays() {
        let ordinary = of_command("sh -c 'convert /tmp/php1.jpg -resize 200x200 /srv/out/1.jpg'");
        for other in [
            "sh -c 'convert /tmp/php1.jpg -resize 200x200;/srv/out/1.jpg'",
            "sh -c 'convert;/tmp/php1.jpg -resize 200x200 /srv/out/1.jpg'",
            "sh -c 'convert /tmp/php1.jpg -resize 200x200 /srv/out/1.php'",
            "sh -c 'convert /tmp/php1.jpg -resize 200x200 > /srv/out/1.jpg'",
            "sh -c 'convert /tmp/php1.jpg -resize 200x200 $(/srv/out/1.jpg)'",
            "sh -c 'convert /tmp/php1.jpg -resize 200x200 `/srv/out/1.jpg`'",
            "sh -c 'convert /tmp/php1.jpg -resize 200x200 | /srv/out/1.jpg'",
        ] {
            assert_ne!(of_command(other), ordinary, "{other}");
        }
        assert_eq!(of_command("sh -c 'convert /tmp/php7.jpg -resize 9x9 /srv/out/82.jpg'"), ordinary);
    }
}
