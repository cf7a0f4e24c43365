//! What a command has in common with others of its kind: `convert /tmp/phpA1x9Qz out/17.jpg` is like any other conversion.

use crate::trail::stable;
use std::fmt::Write;

/// Words beyond that make a command one of its own.
const WORDS_MAX: usize = 1000;
/// Programs whose first word is another one.
const STARTERS: [&str; 9] = ["exec", "env", "nice", "nohup", "setsid", "sudo", "time", "command", "stdbuf"];
/// Kinds of files that people give their own names, and that are pictures, sounds or pages: none of them is run.
const MEDIA: [&str; 30] = [
    "avif", "bmp", "doc", "docx", "eps", "gif", "heic", "ico", "jpe", "jpeg", "jpg", "mkv", "mov", "mp3", "mp4", "odp",
    "ods", "odt", "ogg", "pdf", "png", "ppt", "pptx", "psd", "tif", "tiff", "wav", "webm", "webp", "xlsx",
];
/// Kinds of files that programs name with a date or a number.
const NUMBERED: [&str; 14] =
    ["bak", "bz2", "csv", "gz", "json", "lock", "log", "sql", "tmp", "txt", "xml", "xz", "zip", "zst"];
/// Folders in which programs make up the names of their files.
const TEMPORARY: [&str; 3] = ["/tmp/", "/var/tmp/", "/dev/shm/"];
/// So many digits of a name are a date or an identifier; so many hexadecimal ones a hash.
const DIGITS: usize = 6;
const HEX: usize = 8;
/// So many random characters the makers of temporary names put at the end (mkstemp, PHP).
const RANDOM: usize = 6;
/// A larger number is no port, mode, or number of a user.
const NUMBER_MAX: u64 = 65_535;

/// A command line without what differs from call to call of one program: what a machine made up. That are the names of pictures, numbers
/// and hashes in names of other data, temporary names, sizes of pictures, and folders that are numbers. Everything else is what the
/// command does, and stays: programs, hosts, ports, modes, paths, scripts, options, and what a shell does with them. A line of which the
/// end is not known is like no other.
///
/// **Trust**: an attacker writes commands that look ordinary. A word that is left out tells him from nobody, so that whatever is not
/// certain to be made up is kept, and two such commands are two kinds.
pub fn of_command(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut words = 0;
    let mut is_program = true;
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
                true => out.push_str(word),
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

/// A character by which a shell does something else than passing a word on.
fn is_operator(character: char) -> bool {
    matches!(character, ';' | '|' | '&' | '`' | '$' | '(' | ')' | '<' | '>' | '\n')
}

fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\'' | '"' | '=' | ',')
}

fn of_word(word: &str, out: &mut String) {
    // A host, with its port and its user.
    let (host, path) = match word.split_once("://") {
        Some((_, rest)) => word.split_at(word.len() - rest.len() + rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => {
            let first = word.find('/').unwrap_or(word.len());
            word.split_at(word[..first].rfind([':', '@']).map_or(0, |at| at + 1))
        }
    };
    out.push_str(host);
    if !path.contains('/') && host.is_empty() && of_number(path, out) {
        return;
    }
    let (path, query) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    let is_temporary = TEMPORARY.iter().any(|folder| path.starts_with(folder));
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        match parts.peek() {
            Some(_) if is_numbered(part) => out.push_str("#/"),
            Some(_) => {
                out.push_str(part);
                out.push('/');
            }
            None if path.contains('/') && is_numbered(part) => out.push('#'),
            None => of_name(part, is_temporary, out),
        }
    }
    without(query, |one| one.is_ascii_digit(), DIGITS, out);
}

/// A number, or the size of a picture: `200x200`, `50%`, `+10+20`. False where it is neither.
fn of_number(word: &str, out: &mut String) -> bool {
    let is_digit = |one: char| one.is_ascii_digit();
    if word.is_empty() || !word.contains(is_digit) || !word.chars().all(|one| is_digit(one) || "x+%!^.".contains(one)) {
        return false;
    }
    match word.chars().all(is_digit) {
        true if word.parse().is_ok_and(|number: u64| number <= NUMBER_MAX) => out.push_str(word),
        // An address has points, and its numbers are no sizes.
        false if !word.contains(['x', '+', '%']) => out.push_str(word),
        _ => without(word, is_digit, 1, out),
    }
    true
}

/// Whether a folder, or the last part of an address, is a number, or two digits of a hash.
fn is_numbered(part: &str) -> bool {
    let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    !part.is_empty() && (part.bytes().all(|byte| byte.is_ascii_digit()) || is_hex && (part.len() == 2 || is_hash(part)))
}

/// Whether hexadecimal digits are a hash rather than a word.
fn is_hash(text: &str) -> bool {
    text.len() >= HEX && text.contains(|one: char| one.is_ascii_digit())
}

/// The last part of a path: a file, or a word.
fn of_name(name: &str, is_temporary: bool, out: &mut String) {
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    let low = kind.to_ascii_lowercase();
    if !stem.is_empty() && MEDIA.contains(&low.as_str()) {
        let _ = write!(out, "*.{kind}");
    } else if NUMBERED.contains(&low.as_str()) {
        without(stem, |one| one.is_ascii_digit(), 1, out);
        let _ = write!(out, ".{kind}");
    } else if is_temporary && let Some(begin) = before_random(name) {
        let _ = write!(out, "{begin}*");
    } else if kind.is_empty() && is_temporary {
        without(name, |one| one.is_ascii_digit(), 1, out);
    } else if kind.is_empty() && name.len() >= HEX && is_numbered(name) {
        out.push('#');
    } else if kind.is_empty() {
        without(name, |one| one.is_ascii_digit(), DIGITS, out);
    } else {
        out.push_str(name);
    }
}

/// What a temporary name has before its random end: that is of letters of both cases, or with digits among them.
fn before_random(name: &str) -> Option<&str> {
    let start = name.char_indices().rev().take_while(|(_, one)| one.is_ascii_alphanumeric()).last()?.0;
    let end = &name[start..];
    let at = match end.strip_prefix("php") {
        Some(random) if random.len() == RANDOM => start + "php".len(),
        // Behind a sign, all is random: `magick-Xy3...`, `tmp.a8Kz...`.
        _ if start > 0 && end.len() >= RANDOM => start,
        _ => return None,
    };
    let random = &name[at..];
    let has = |is: fn(&u8) -> bool| random.bytes().any(|byte| is(&byte));
    let kinds = [has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase), has(u8::is_ascii_digit)];
    (kinds.iter().filter(|has| **has).count() > 1).then(|| &name[..at])
}

/// A text with `#` in the place of so many of these characters or more.
fn without(text: &str, is: impl Fn(char) -> bool, least: usize, out: &mut String) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|one| is(one) != is(first)).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(length);
        out.push_str(if is(first) && length >= least { "#" } else { run });
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_made_up_is_left_out() {
        for (one, other) in [
            (
                "sh -c convert '/tmp/php3Ab9xQ' -resize 200x200 out/17.jpg",
                "sh -c convert '/tmp/phpZZb1dk' -resize 640x480 out/holiday.jpg",
            ),
            ("convert /tmp/php17 a.png", "convert /tmp/php2931 b.png"),
            ("convert /tmp/magick-9Xk2dLqPoiu a.png", "convert /tmp/magick-Qq81jsLwPz a.png"),
            ("cat /tmp/tmp.x8Kd02Lq1z", "cat /tmp/tmp.Aw81ksLQ2a"),
            ("mysqldump shop > /srv/backup/shop-20261130.sql.gz", "mysqldump shop > /srv/backup/shop-20261201.sql.gz"),
            ("curl -s api.example/v1/item/7", "curl -s api.example/v1/item/8"),
            ("curl https://a.example/item/7?x", "curl https://a.example/item/12?x"),
            ("convert ./in/1.jpg ../out/1.jpg", "convert ./in/2.jpg ../out/2.jpg"),
            ("gzip /srv/cache/a3/4f/d41d8cd98f00b204", "gzip /srv/cache/00/1b/900150983cd24fb0"),
            ("php artisan queue:work 1764500000", "php artisan queue:work 1764500077"),
        ] {
            assert_eq!(of_command(one), of_command(other), "{one}");
        }
        assert_ne!(of_command("sh -c id"), of_command("sh -c w"));
    }

    /// Another script, another host, another path, another right: whatever program it is of, no list names it.
    #[test]
    fn everything_else_tells_one_command_from_another() {
        for program in ["php", "php8.2", "python3", "bash", "scp", "rsync -a", "tar xf", "unknown-tool", "install -m"] {
            for (ordinary, other) in [
                ("/srv/www/shop/cron.php", "/srv/www/shop/uploads/evil.php"),
                ("/srv/www/shop/a.php", "/srv/www/shop/b.php"),
                ("/srv/a/x.sh", "/srv/a/y.sh"),
                ("jobs/a.py", "uploads/a.py"),
                ("/srv/jobs/job1.sh", "/srv/jobs/job2.sh"),
                ("/srv/jobs/job", "/srv/jobs/jab"),
                ("a.txt", "b.txt"),
                ("/tmp/x", "/tmp/evil"),
                ("a.jpg", "a.php"),
                ("/srv/in/a.jpg", "/etc/a.jpg"),
                ("/etc/passwd", "/etc/shadow"),
                ("backup@one.example:/srv/a.txt", "backup@two.example:/srv/a.txt"),
                ("web1.example", "web2.example"),
                ("192.0.2.1", "192.0.2.2"),
                ("192.0.2.1 80", "192.0.2.1 4444"),
                ("2001:db8::1", "2001:db8::2"),
                ("host1:80", "host1:4444"),
                ("https://a.example/x", "https://b.example/x"),
                ("https://a.example/x", "https://a.example/y"),
                ("https://a.example:80/x", "https://a.example:4444/x"),
                ("0644 a", "4755 a"),
                ("-p 22", "-p 4444"),
                ("--user 33", "--user 0"),
                ("eval(1)", "eval(2)"),
            ] {
                let [one, two] = [ordinary, other].map(|words| of_command(&format!("{program} {words}")));
                assert_ne!(one, two, "{program}");
                let [one, two] = [ordinary, other].map(|words| of_command(&format!("sh -c '{program} {words}'")));
                assert_ne!(one, two, "{program}");
            }
        }
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
