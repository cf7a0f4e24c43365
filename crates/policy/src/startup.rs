//! Lists the environment variables that choose what a shell, or a program that `allow` names, reads or runs around the
//! command, or how the shell parses it. Some of them load code into a program that is started: with those, the rule
//! loader-env is about every program ([`loads`]).
//!
//! An entry of `[exec] allow` holds only where none of them differs from the server's start: who chooses one of them
//! chooses what the allowed command does. docs/configuration.md has the same table.
//!
//! **Why one list for all shells**: the shell of a script further down has another name than the first one, and it gets the
//! same environment.

mod rows;

use rows::{CLAUSES, LOADING, NAMES};
pub use rows::{ROWS, Row};

/// A row of the table by its number; the number behind the last is a variable of any name whose value begins as an
/// exported function does, which bash before 4.3-25 takes (CVE-2014-6271).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable(u8);

const FUNCTION: Variable = Variable(ROWS.len() as u8);
const _: () = assert!(ROWS.len() < u8::MAX as usize);

impl Variable {
    /// The clause of events.
    #[must_use]
    pub fn clause(self) -> &'static [u8] {
        self.line(CLAUSES).unwrap_or(b"allow does not hold: a variable is a shell function")
    }

    fn line(self, lines: &'static str) -> Option<&'static [u8]> {
        lines.as_bytes().split(|&byte| byte == b'\n').nth(usize::from(self.0)).filter(|line| !line.is_empty())
    }

    /// The first row that has a variable of that name.
    fn of(name: &[u8]) -> Option<Variable> {
        place(NAMES, name).map(Variable)
    }
}

/// The number of the first line that stands for a name.
fn place(lines: &'static str, name: &[u8]) -> Option<u8> {
    let has = |row: &[u8]| match row.strip_suffix(b"*") {
        Some(beginning) => name.starts_with(beginning),
        None => name == row,
    };
    let mut number = 0_u8;
    for row in lines.as_bytes().split(|&byte| byte == b'\n').filter(|row| !row.is_empty()) {
        if has(row) {
            return Some(number);
        }
        number = number.wrapping_add(1);
    }
    None
}

/// The value of an entry (`NAME=VALUE`) of an environment whose variable makes a program load code, whatever the program;
/// none where the value names nothing.
///
/// **Why whatever the program**: what only perl reads goes to perl by way of `env` or a shell, too, and the process that
/// starts it there was itself started with the variable.
#[must_use]
pub fn loads(entry: &[u8]) -> Option<&[u8]> {
    let end = entry.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (entry.get(..end)?, entry.get(end.wrapping_add(1)..)?);
    let nothing = value.is_empty() || value == b"/dev/null";
    if nothing { None } else { place(LOADING, name).map(|_| value) }
}

/// The row of an entry that [`loads`] is about, for people.
#[must_use]
pub fn loading_row(entry: &[u8]) -> Option<&'static Row> {
    let end = entry.iter().position(|&byte| byte == b'=')?;
    let name = entry.get(..end)?;
    let is = |row: &&Row| match row.name.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning.as_bytes()),
        None => name == row.name.as_bytes(),
    };
    ROWS.iter().filter(|row| row.loads).find(is)
}

/// The word and the bit of the first two bytes of a name in [`BEGINNINGS`].
const fn beginning(first: u8, second: u8) -> (usize, u64) {
    let at = first.wrapping_mul(37).wrapping_add(second);
    ((at >> 6) as usize, 1 << (at & 63))
}

/// How the names of those begin that load code: most entries begin otherwise, and are not read any further.
const BEGINNINGS: [u64; 4] = {
    let (mut sieve, names) = ([0; 4], LOADING.as_bytes());
    let mut at = 0;
    while at + 1 < names.len() {
        if at == 0 || names[at - 1] == b'\n' {
            let (word, bit) = beginning(names[at], names[at + 1]);
            sieve[word] |= bit;
        }
        at += 1;
    }
    sieve
};

/// Whether an entry that begins with these two bytes can be one that [`loads`] is about.
#[must_use]
pub fn may_load(first: u8, second: u8) -> bool {
    let (word, bit) = beginning(first, second);
    BEGINNINGS.get(word).is_some_and(|sieve| sieve & bit != 0)
}

/// Shells that run a file in the home folder first, whatever they are called for: a script may have written that.
const HOME_READERS: [&[u8]; 9] =
    [b"zsh", b"zsh5", b"zsh-static", b"rzsh", b"csh", b"bsd-csh", b"tcsh", b"fish", b"pwsh"];
const HOME: &[u8] = b"HOME";
const PATH: &[u8] = b"PATH";

/// Folders of the system: a program that lies in one is the system's own.
pub const SYSTEM_FOLDERS: [&[u8]; 6] =
    [b"/bin", b"/usr/bin", b"/sbin", b"/usr/sbin", b"/usr/local/bin", b"/usr/local/sbin"];

/// What an environment says about whether an entry of `allow` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// It holds.
    None,
    /// It does not: this variable is not known to be the server's own.
    By(Variable),
    /// The environment could not be read.
    Unknown,
}

/// The row of an entry (`NAME=VALUE`) of an environment that steers an allowed command, unless the server was started with
/// it; `bare`: the command names its program without a folder.
#[must_use]
pub fn variable(entry: &[u8], bare: bool) -> Option<Variable> {
    let end = entry.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (entry.get(..end)?, entry.get(end.wrapping_add(1)..)?);
    let function = || value.starts_with(b"() {").then_some(FUNCTION);
    match name {
        // Whose file in it matters, the shell's name says.
        HOME => function(),
        PATH if !bare || is_of_system(value) => function(),
        name => Variable::of(name).or_else(function),
    }
}

/// Whether all folders of a PATH are the system's.
fn is_of_system(path: &[u8]) -> bool {
    path.split(|&byte| byte == b':').all(|folder| SYSTEM_FOLDERS.contains(&folder.strip_suffix(b"/").unwrap_or(folder)))
}

/// The row of HOME where one of a program's names is that of a shell that runs a file in the home folder first.
pub(crate) fn reads_home(names: &[&[u8]]) -> Option<Variable> {
    if names.iter().any(|name| HOME_READERS.contains(name)) { Variable::of(HOME) } else { None }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn row_name(variable: Variable) -> &'static str {
        variable.line(NAMES).map_or("a function", |name| std::str::from_utf8(name).unwrap())
    }

    fn name(entry: &str, bare: bool) -> &'static str {
        variable(entry.as_bytes(), bare).map_or("", row_name)
    }

    #[test]
    fn entries_of_an_environment() {
        for (entry, row) in [
            ("BASH_ENV=/tmp/x", "BASH_ENV"),
            ("BASH_ENV=", "BASH_ENV"),
            ("BASH_ENVX=/tmp/x", ""),
            ("BASH_FUNC_id%%=() {  :; }", "BASH_FUNC_*"),
            ("BASH_FUNC_id()=x", "BASH_FUNC_*"),
            ("x=() { :; }", "a function"),
            ("x=(){ :; }", ""),
            ("LD_BIND_NOW=1", "LD_*"),
            ("LD=1", ""),
            ("LC_ALL=C", ""),
            ("HOME=/tmp", ""),
            ("PYTHONHOME=/tmp", "PYTHONHOME"),
            ("PYTHONUTF8=1", "PYTHON*"),
            ("TMPDIR=/tmp", ""),
            ("MALLOC_ARENA_MAX=2", ""),
            ("no equals sign", ""),
            ("", ""),
            ("=", ""),
        ] {
            assert_eq!(name(entry, false), row, "{entry}");
        }
    }

    #[test]
    fn what_loads_code() {
        for (entry, value) in [
            ("GCONV_PATH=/tmp", Some("/tmp")),
            ("LD_PRELOAD=/tmp/x.so", Some("/tmp/x.so")),
            ("OPENSSL_CONF=/dev/null", None),
            ("PYTHONPATH=", None),
            ("PYTHONUNBUFFERED=1", None),
            ("QT_QPA_PLATFORM=offscreen", None),
            ("NODE_ENV=production", None),
            ("GIT_SSH=/tmp/x", None),
            ("BASH_ENV=/tmp/x", None),
            ("HOME=/tmp", None),
            ("L", None),
            ("", None),
        ] {
            assert_eq!(loads(entry.as_bytes()), value.map(str::as_bytes), "{entry}");
        }
        for row in ROWS.iter().filter(|row| row.loads) {
            let entry = std::format!("{}=x", row.name.trim_end_matches('*'));
            assert!(loads(entry.as_bytes()).is_some() && may_load(entry.as_bytes()[0], entry.as_bytes()[1]));
        }
        let usual = [
            "PATH",
            "HOME",
            "USER",
            "LANG",
            "LC_ALL",
            "PWD",
            "TERM",
            "SHLVL",
            "HTTP_HOST",
            "SERVER_NAME",
            "REMOTE_ADDR",
        ];
        let read = usual.iter().filter(|entry| may_load(entry.as_bytes()[0], entry.as_bytes()[1])).count();
        assert!(read < 4, "{read}");
    }

    #[test]
    fn path_matters_to_a_bare_name() {
        for (path, steers) in [
            ("/usr/local/bin:/usr/bin:/bin", false),
            ("/usr/bin/:/bin", false),
            ("/tmp:/usr/bin", true),
            ("/usr/bin:", true),
            ("", true),
            (":/bin", true),
            ("/usr/bin/../../tmp", true),
        ] {
            let entry = std::format!("PATH={path}");
            assert_eq!(name(&entry, true), if steers { "PATH" } else { "" }, "{path}");
            assert_eq!(name(&entry, false), "", "{path}");
        }
    }

    #[test]
    fn every_row_is_complete_and_stands_once() {
        for (number, row) in ROWS.iter().enumerate() {
            let variable = Variable::of(row.name.trim_end_matches('*').as_bytes()).unwrap();
            assert_eq!((usize::from(variable.0), row_name(variable)), (number, row.name));
            let clause = std::str::from_utf8(variable.clause()).unwrap();
            assert!(clause.contains(row.name) && clause.ends_with("own"));
            assert!(!row.readers.is_empty() && !row.effect.is_empty() && !row.source.is_empty(), "{}", row.name);
            assert_eq!(ROWS.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
        }
        assert!(reads_home(&[b"dash", b"zsh"]).is_some() && reads_home(&[b"dash"]).is_none());
    }
}
