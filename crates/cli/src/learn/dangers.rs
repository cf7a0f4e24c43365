//! Commands that no evidence makes harmless: with one option or one path of the caller's, each runs or writes anything. None is
//! proposed unless somebody names it.

use super::launchers::is;
use super::propose::base_name;

/// Mailers: some of their options run a command or write a file.
const MAILERS: [&str; 7] = ["exim*", "sendmail*", "msmtp*", "postfix", "mailq", "newaliases", "rmail"];
/// What such an option begins with: another configuration, a log of the traffic, a setting, the queue, an expansion.
const MAILER_OPTIONS: [&str; 6] = ["-C", "-X", "-O", "-q", "-be", "-D"];
/// Options with which a mailer takes a message from its caller, and nothing else; behind `-f` and `-F`, an address or a name, and behind
/// the last one, addresses alone.
const SUBMISSION: [&str; 10] = ["-t", "-i", "-ti", "-oi", "-oem", "-bm", "-N", "-f", "-F", "--"];
/// Interpreters, and the options whose value is their program.
const INTERPRETERS: [(&str, &[&str]); 14] = [
    ("python*", &["-c"]),
    ("pypy*", &["-c"]),
    ("perl*", &["-e", "-E"]),
    ("ruby*", &["-e"]),
    ("php*", &["-r", "-B", "-R", "-E"]),
    ("node*", &["-e", "-p", "--eval", "--print"]),
    ("lua*", &["-e"]),
    ("Rscript", &["-e"]),
    ("osascript", &["-e"]),
    ("guile*", &["-c"]),
    ("tclsh*", &["-c"]),
    ("gdb", &["-ex", "--eval-command"]),
    ("wish*", &["-c"]),
    ("expect", &["-c"]),
];
/// Programs that write what they fetch, with or without an option that says where.
const FETCHERS: [&str; 12] =
    ["curl", "wget", "wget2", "fetch", "aria2c", "ftp", "tftp", "lftp", "scp", "sftp", "rsync", "axel"];
/// Options that name a file to write.
const OUTPUTS: [&str; 8] = ["-o", "-O", "--output", "--output-document", "--output-dir", "--remote-name", "-P", "-T"];
/// Programs in which such a letter says how something is shown or found, and names no file.
const SHOWS: [(&str, &str); 5] = [("snmp*", "-O"), ("grep", "-o"), ("ps", "-o"), ("find", "-o"), ("find", "-O")];
/// Parts of the names of options whose value runs something, or says what is read or written instead.
const INSTRUCTIONS: [&str; 18] = [
    "action", "cmd", "command", "config", "editor", "eval", "exec", "filter", "format", "hook", "output", "pack",
    "pager", "program", "proxy", "rsh", "script", "shell",
];
/// Folders that anybody can write to.
const WRITABLE: [&str; 6] = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/lock/", "/run/shm/", "/var/lock/"];

/// Whether a name is one of a list, in which `*` at the end stands for any version.
fn is_one(name: &str, list: &[&str]) -> bool {
    list.iter().any(|known| is(name, known))
}

/// Whether a path lies where anybody can write.
pub fn is_writable(path: &str) -> bool {
    let plain = path.strip_prefix("file:").unwrap_or(path);
    WRITABLE.iter().any(|folder| plain.starts_with(folder) || format!("{plain}/") == **folder)
        || plain.split('/').any(|part| part == "..")
}

/// Whether an argument is one of these options, alone or with its value in the same word.
fn option<'o>(word: &str, options: &[&'o str]) -> Option<&'o str> {
    options.iter().copied().find(|option| match option.strip_prefix("--") {
        Some(_) => word == *option || word.strip_prefix(option).is_some_and(|rest| rest.starts_with('=')),
        // `-ofile`, and `-sSo`.
        None if option.len() == 2 => word.starts_with(option) || ends_in(word, option),
        None => word.starts_with(option),
    })
}

/// Whether a word of several short options has this one: `-sSo` has `-o`.
fn ends_in(word: &str, option: &str) -> bool {
    let letters = word.strip_prefix('-').unwrap_or_default();
    letters.len() > 1
        && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
        && letters.len() <= 5
        && option.strip_prefix('-').is_some_and(|letter| letters.ends_with(letter))
}

/// Where the command that is run begins: behind the programs that run the rest of their arguments.
fn run(words: &[String]) -> &[String] {
    const RUNNERS: [&str; 10] =
        ["env", "nice", "ionice", "nohup", "setsid", "timeout", "stdbuf", "time", "chrt", "taskset"];
    let Some((first, rest)) = words.split_first() else { return words };
    if !is_one(base_name(first), &RUNNERS) {
        return words;
    }
    let at = rest.iter().position(|word| !word.starts_with('-') && !word.contains('=') && !is_number(word));
    at.map_or(words, |at| run(&rest[at..]))
}

/// Whether a word is a duration, a priority or a mask.
fn is_number(word: &str) -> bool {
    word.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
}

/// Why a command is not to be proposed unless somebody names it.
pub fn never(words: &[String]) -> Option<String> {
    let command = run(words);
    let (program, arguments) = command.split_first()?;
    let name = base_name(program);
    let options = || arguments.iter().map(String::as_str);
    if is_writable(program) {
        return Some(format!("{program} lies where anybody can write a program"));
    }
    if is_one(name, &MAILERS)
        && let Some(option) = options().find_map(|word| option_of_mailer(word))
    {
        return Some(format!("{name} {option} runs a command or writes a file of the caller's choice"));
    }
    if let Some((_, evaluating)) = INTERPRETERS.iter().find(|(known, _)| is(name, known)) {
        if let Some(option) = options().find_map(|word| option(word, evaluating)) {
            return Some(format!("{name} {option} runs the text behind it as a program"));
        }
        if let Some(script) = options().find(|word| !word.starts_with('-')).filter(|script| is_writable(script)) {
            return Some(format!("{name} runs {script}, where anybody can write"));
        }
    }
    if is_one(name, &FETCHERS) {
        return Some(format!("{name} can write what it fetches to a file"));
    }
    let mut before = "";
    for word in options() {
        let value = word.split_once('=').map_or(word, |(_, value)| value);
        let is_output = option(before, &OUTPUTS).is_some() || option(word, &OUTPUTS).is_some();
        let joined = OUTPUTS.iter().find_map(|option| word.strip_prefix(option)).filter(|rest| !rest.is_empty());
        if is_output && (is_writable(value) || joined.is_some_and(is_writable)) {
            return Some(format!("it writes {value}, where anybody can write"));
        }
        before = word;
    }
    let shows = |word: &str| SHOWS.iter().any(|(known, letter)| is(name, known) && *letter == word);
    let names_a_file = |word: &&str| {
        (["-o", "-O"].contains(word) && !shows(word))
            || option(word, &["--output", "--output-document"]).is_some()
            || ["-o/", "-O/"].iter().any(|begin| word.starts_with(begin))
    };
    let found = options().find(names_a_file)?;
    Some(format!("{found} names a file that {name} writes, and an entry with it allows to write that again"))
}

/// Whether a command hands a message to a mailer, with options that say no more than from whom and to whom.
pub fn is_submission(words: &[String]) -> bool {
    let Some((program, arguments)) = words.split_first() else { return false };
    let is_known = |word: &String| match word.strip_prefix('-') {
        None => true,
        Some(rest) => {
            SUBMISSION.contains(&word.as_str()) || (rest.starts_with(['f', 'F']) && rest[1..].contains(['@', '.']))
        }
    };
    // The name can be a list's or a queue's: that is another program.
    is_one(base_name(program), &["exim", "exim4", "sendmail", "msmtp"]) && arguments.iter().all(is_known)
}

fn option_of_mailer(word: &str) -> Option<&'static str> {
    option(word, &MAILER_OPTIONS)
}

/// Whether an option of this name has a value that is an instruction: no pattern may stand for that.
pub fn is_instruction(option: &str) -> bool {
    INSTRUCTIONS.iter().any(|part| option.contains(part))
}

/// Why a command is not to be proposed word by word: it names a file where anybody can write. Where three or more of such names were
/// seen, a pattern can stand for them.
pub fn literal(words: &[String]) -> Option<String> {
    let path = words.iter().skip(1).find(|word| is_writable(word) && !word.contains('*'))?;
    Some(format!(
        "{path} lies where anybody can write, and a file of that name can be anybody's. Where three or more were seen, --widen \
         proposes a pattern for them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::words;

    #[test]
    fn what_runs_or_writes_anything_is_never_proposed() {
        for text in [
            "/usr/sbin/sendmail -t -i -C/tmp/cf",
            "/usr/sbin/sendmail -X /srv/www/x.php -t",
            "/usr/sbin/sendmail -OQueueDirectory=/tmp",
            "/usr/sbin/exim4 -be expression",
            "/usr/sbin/sendmail -q",
            "/usr/bin/python3 -c pass",
            "/usr/bin/python3.11 -Bc pass",
            "/usr/bin/perl -e 1",
            "/usr/bin/php8.2 -r echo",
            "/usr/bin/php -n -r echo",
            "/usr/bin/nodejs --eval=1",
            "/usr/bin/env A=b nice -n 5 /usr/bin/ruby -e 1",
            "/usr/bin/timeout 5 /usr/bin/php -r 1",
            "/usr/bin/php /tmp/x.php",
            "/tmp/x",
            "/var/tmp/.x/run a",
            "/srv/app/../../tmp/x",
            "/usr/bin/curl -o /tmp/.c http://a.example/",
            "/usr/bin/curl http://a.example/",
            "/usr/bin/wget -O- http://a.example/",
            "/usr/bin/gcc -o /srv/x y.c",
            "/usr/bin/snmpget -o /srv/x a",
            "/usr/bin/ps -O /tmp/x",
            "/usr/bin/sort -o/dev/shm/x y",
            "/usr/bin/pandoc --output=/srv/www/x.php y",
        ] {
            assert!(never(&words(text).expect(text)).is_some(), "{text}");
        }
        for text in [
            "/usr/sbin/sendmail -t -i",
            "/usr/sbin/sendmail -t -i -fwww@shop.example",
            "/usr/bin/php /srv/www/shop/cron.php",
            "/usr/bin/convert /srv/a.png -resize 200x200 /srv/b.png",
            "/usr/bin/git --git-dir=/srv/a.git log",
            "/usr/bin/diff3 -m /srv/a /srv/b /srv/c",
            "/usr/bin/timeout 5 /usr/bin/php /srv/www/shop/cron.php",
            "/usr/bin/snmpbulkwalk -O QnU -c public -v 2c 192.88.1.1:161 .1.3.6.1.2.1.2.2.1.3",
            "/usr/bin/ps -o pid= -p 7",
            "/usr/bin/grep -o 7 /srv/a",
        ] {
            assert_eq!(never(&words(text).expect(text)), None, "{text}");
        }
    }

    #[test]
    fn a_mailer_takes_a_message() {
        let is_one = |text: &str| is_submission(&words(text).expect(text));
        // The last one is that of Ruby's mail.
        for text in
            ["-t -i", "-t -i -f www@shop.example", "-oi -fwww@shop.example", "-i -f www@shop.example -- a@b.example"]
        {
            assert!(is_one(&format!("/usr/sbin/sendmail {text}")), "{text}");
        }
        for text in ["-i -- -C/srv/x", "-t -C/srv/x", "-be x", "-bs", "-Mrm x", "-oMr x", "-t -v", "-D x"] {
            assert!(!is_one(&format!("/usr/sbin/exim4 {text}")), "{text}");
        }
        assert!(!is_one("/usr/bin/su -t") && !is_one("/usr/sbin/sendmail.list -t"));
    }

    #[test]
    fn a_file_that_anybody_can_write_is_no_literal() {
        assert!(literal(&words("/usr/bin/convert /tmp/a.png /srv/b.png").unwrap()).is_some());
        assert_eq!(literal(&words("/usr/bin/convert /srv/a.png /srv/b.png").unwrap()), None);
        assert_eq!(literal(&["/usr/bin/convert".into(), "/tmp/*".into()]), None);
    }
}
