//! What a command has in common with others of its kind: `convert /tmp/phpA1x9Qz out/17.jpg` is like any other conversion.

mod word;

use crate::trail::stable;
use std::fmt::Write;
use word::{LEFT_OUT, of_folders, of_word};

/// Parts of words beyond that make a command one of its own.
const WORDS_MAX: usize = 1000;
/// Programs whose first word is another one.
const STARTERS: [&str; 9] = ["exec", "env", "nice", "nohup", "setsid", "sudo", "time", "command", "stdbuf"];

/// A command line without what differs from call to call of one program: what a machine made up. That are the names of pictures, numbers
/// and hashes in names of other data, temporary names, sizes of pictures, and the folders of these that are numbers. Everything else is
/// what the command does, and stays: programs, hosts, ports, modes, paths, scripts, options, where a word ends, and what a shell does
/// with them. A line of which the end is not known is like no other.
///
/// **Trust**: an attacker writes commands that look ordinary. A word that is left out tells him from nobody, so that whatever is not
/// certain to be made up is kept, and two such commands are two kinds.
///
/// `program`: the file that is started; `folder`: the working directory. Of another program by the same name, or of the same script in
/// another folder, is another kind.
pub fn of_started(line: &str, program: &str, folder: &str) -> String {
    let mut reader = Reader { out: String::with_capacity(line.len()), is_program: true, ..Reader::default() };
    if line.ends_with(crate::CUT) {
        let _ = write!(reader.out, "{:x} ", stable(line));
    }
    for (at, character) in line.char_indices() {
        if reader.parts > WORDS_MAX {
            break;
        }
        if let Some(end) = reader.end(character) {
            reader.take(line, at, character, end);
        }
    }
    reader.end_word(line, line.len());
    if reader.parts > WORDS_MAX {
        let _ = write!(reader.out, "{:x}", stable(line));
    }
    let mut out = reader.out;
    if !program.is_empty() {
        let _ = write!(out, "{LEFT_OUT}{program}");
    }
    if reader.is_relative && !folder.is_empty() {
        out.push(LEFT_OUT);
        of_folders(folder, false, &mut out);
    }
    out
}

/// What a character ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// A command, or a part of it: a shell does something else than passing a word on.
    Operator,
    Word,
    /// A part of a word: a quote, or a sign.
    Part,
}

/// A command line that is read.
#[derive(Default)]
struct Reader {
    out: String,
    /// How many parts of words there were.
    parts: usize,
    /// Where the present word begins, and its present part.
    word: usize,
    part: usize,
    /// The word is a program.
    is_program: bool,
    /// The word is what a shell gets as a command.
    is_command: bool,
    /// The quote that is open, and whether a shell sees what is in it as one word.
    quote: Option<(char, bool)>,
    is_escaped: bool,
    /// A `=` was in the word.
    has_value: bool,
    /// A word that stayed may be a file of the working directory.
    is_relative: bool,
}

impl Reader {
    /// What a character ends; `None` for one that is a part of the word.
    fn end(&mut self, character: char) -> Option<End> {
        if std::mem::take(&mut self.is_escaped) {
            return None;
        }
        let is_hidden = |other: char| self.quote.is_some_and(|(open, hides)| hides && (open == '\'' || open == other));
        match character {
            '\\' if self.quote.is_none_or(|(open, _)| open != '\'') => {
                self.is_escaped = true;
                None
            }
            '\'' | '"' => self.quote.is_none_or(|(open, _)| open == character).then_some(End::Part),
            // A shell looks for these in double quotes, too.
            '$' | '`' => (!is_hidden(character)).then_some(End::Operator),
            _ if is_operator(character) => (!is_hidden('"')).then_some(End::Operator),
            ' ' | '\t' => Some(End::Word),
            '=' | ',' => Some(End::Part),
            _ => None,
        }
    }

    /// Takes what ends at `at` with a character.
    fn take(&mut self, line: &str, at: usize, character: char, end: End) {
        let is_first = at == self.word;
        match end {
            End::Part => self.end_part(line, at),
            End::Word | End::Operator => self.end_word(line, at),
        }
        if end != End::Word || !self.out.ends_with(' ') {
            self.out.push(character);
        }
        self.part = at + character.len_utf8();
        match end {
            End::Part if character == '=' => self.has_value = true,
            End::Part if character != ',' => {
                self.quote = match self.quote {
                    None => Some((character, !(self.is_command && is_first))),
                    Some(_) => None,
                };
            }
            End::Part => {}
            End::Word => self.word = self.part,
            End::Operator => {
                self.word = self.part;
                self.is_program = !"<>$)".contains(character);
            }
        }
    }

    fn end_part(&mut self, line: &str, at: usize) {
        let part = line.get(self.part..at).unwrap_or_default();
        self.part = at;
        if part.is_empty() {
            return;
        }
        self.parts += 1;
        let is_option = !self.has_value && line[self.word..].trim_start_matches(['\'', '"']).starts_with('-');
        match self.is_program || is_option {
            true => {
                self.out.push_str(part);
                self.is_relative |= !is_option && names_file(part);
            }
            false => {
                let before = self.out.len();
                of_word(part, &mut self.out);
                self.is_relative |= names_file(part) && self.out.get(before..) == Some(part);
            }
        }
    }

    fn end_word(&mut self, line: &str, at: usize) {
        self.end_part(line, at);
        let word = line.get(self.word..at).unwrap_or_default();
        if !word.is_empty() {
            let program = word.rsplit('/').next().unwrap_or_default().trim_matches(['\'', '"']);
            // Of a word that a shell gets, and of one that starts another program, the next one is a program.
            self.is_command = matches!(word, "-c" | "-lc");
            self.is_program = self.is_command || (self.is_program && STARTERS.contains(&program));
            self.has_value = false;
        }
    }
}

/// Whether a word looks like a file of the working directory: a path that does not begin at the root, or a name with a kind.
fn names_file(word: &str) -> bool {
    let has_kind = |(stem, kind): (&str, &str)| !stem.is_empty() && kind.contains(|one: char| one.is_alphabetic());
    !word.starts_with('/')
        && !word.contains("://")
        && (word.contains('/') || word.rsplit_once('.').is_some_and(has_kind))
}

/// A character by which a shell does something else than passing a word on.
fn is_operator(character: char) -> bool {
    matches!(character, ';' | '|' | '&' | '`' | '$' | '(' | ')' | '<' | '>' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_command(line: &str) -> String {
        of_started(line, "", "")
    }

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
            (
                "convert '/srv/in/a.pdf[0]' -resize '200x200>' /srv/a.png",
                "convert '/srv/in/b.pdf[0]' -resize '64x48>' /srv/b.png",
            ),
            ("convert \\( a.jpg -flip \\) b.jpg", "convert \\( c.jpg -flip \\) d.jpg"),
            ("convert jpg:/tmp/phpabcdef svg:a.svg", "convert jpg:/tmp/php012345 svg:b.svg"),
            (
                "cwebp /srv/3f/9d1c7a52-1b2c-4d5e-8f90-a1b2c3d4e5f6.jfif -o 17/a.webp",
                "cwebp /srv/00/00000000-1b2c-4d5e-8f90-a1b2c3d4e5f7.jfif -o 18/b.webp",
            ),
            ("tool --out=/srv/1.png", "tool --out=/srv/2.png"),
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
                // A word that is one, by what looks like a blank.
                ("resize.php 17.jpg", "resize.php,17.jpg"),
                ("resize.php 17.jpg", "resize.php=17.jpg"),
                ("resize.php 17.jpg", "resize.php\u{a0}17.jpg"),
                ("resize.php 17.jpg", "resize.php\\ 17.jpg"),
                ("http://a/?a=1&id 5", "'http://a/?a=1&id=5'"),
                ("a.jpg", "'a;b.jpg'"),
                ("a.jpg", "*.jpg"),
                // Folders of scripts and programs.
                ("/srv/releases/17/artisan run", "/srv/releases/666/artisan run"),
                ("/srv/customers/17/cron.sh", "/srv/customers/de/cron.sh"),
                ("/usr/bin/bc", "/usr/bin/ed"),
                // Options whose end is a file.
                ("-Tlist.jpg", "-Tother.jpg"),
                ("-d'a.jpg'", "-d'b.jpg'"),
                // Hosts in digits, or with the name of a picture.
                ("backup@3325256704", "backup@3325256705"),
                ("3325256704/y.jpg", "3325256705/y.jpg"),
                ("good.mov", "evil.mov"),
                ("-u#4294967295", "-u#1000000"),
            ] {
                let [one, two] = [ordinary, other].map(|words| of_command(&format!("{program} {words}")));
                assert_ne!(one, two, "{program}");
                let [one, two] = [ordinary, other].map(|words| of_command(&format!("sh -c '{program} {words}'")));
                assert_ne!(one, two, "{program}");
            }
        }
    }

    #[test]
    fn the_program_and_the_folder_tell_one_from_another() {
        let cron = |program, folder| of_started("php cron.php", program, folder);
        assert_ne!(cron("/usr/bin/php8.2", "/srv/www"), cron("/usr/bin/php8.2", "/srv/www/images"));
        assert_ne!(cron("/usr/bin/php8.2", "/srv/www"), cron("/usr/bin/python3", "/srv/www"));
        assert_eq!(cron("/usr/bin/php8.2", "/srv/17"), cron("/usr/bin/php8.2", "/srv/18"));
        let convert = |folder| of_started("convert +flip /srv/1.jpg 2.png 2>/dev/null", "/usr/bin/convert", folder);
        assert_eq!(convert("/srv/a"), convert("/srv/b"), "no file of it is a file of the folder");
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
