//! The verdict on a program: is it a shell, a tool, in a place of its own kind, on a connection; and does `allow` name it?

use crate::command::{Tokens, glob, token_hash};
use crate::egress::Step;
use crate::format::{Command, ProgramEntry, Range, Scope, Section, StringRange};
use crate::rest::{default, mode};
use crate::startup::{self, Steering};
use crate::{Findings, Mode, Policy, Rule, Unknown, Verdict};

/// The facts about a program that is about to be executed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecutedProgram<'a> {
    /// Base names it goes by: as called, what a symlink resolves to, the applet, the interpreter of its `#!` line.
    pub names: &'a [&'a [u8]],
    /// How many of these, from the first, are its own rather than an interpreter's.
    pub own_names: usize,
    /// It is a script: device, inode and build-id are its interpreter's.
    pub is_script: bool,
    /// The text behind `-c` where the call is `SHELL -c TEXT` or `SHELL -c -- TEXT` and nothing more, and the shell
    /// stands in a system folder.
    pub command: Option<&'a [u8]>,
    /// The path and all arguments after the first where the call is anything else; `None` where there are too many.
    pub words: Option<&'a [&'a [u8]]>,
    /// Its path with every symlink resolved; empty where that is not known.
    pub path: &'a [u8],
    /// Device and inode of its file; (0, 0) where they are not known.
    pub identity: (u64, u64),
    /// The build-id of its file, as [`crate::image::build_id`] gives it; empty where there is none.
    pub build_id: &'a [u8],
    /// The process that starts it can write to the file, or to the folder that it is in.
    pub writable: bool,
    /// It lies in a system folder.
    pub of_system: bool,
    /// It is started with a network connection as its standard input or output.
    pub on_connection: bool,
    /// What a variable that loads code says that the process itself was not started with; `None` where it was too long.
    pub loader: Option<Option<&'a [u8]>>,
    /// Why the library will not be active in it: a word of [`REASONS`], or another; empty where it will be.
    pub unguarded: &'a str,
    /// What of all this could not be read.
    pub unknown: Option<Unknown>,
}

/// An entry of `allow`.
#[derive(Clone, Copy)]
struct Named {
    clause: u32,
    /// The shell looks for the program along PATH.
    bare: bool,
}

/// The word in `places` for what the process can write to.
pub const WRITABLE: &str = "writable";
/// The word for a program that is no file, or one that was removed.
pub const MEMFD: &str = "memfd";
/// The word for a name that begins with a dot.
pub const HIDDEN: &str = "hidden";

/// Why the library is not active in a program: it gains a user, a group or capabilities by its file; it has no loader;
/// its loader cannot load the library; the library is not where its loader looks; its own library has to be the first.
pub const REASONS: [&str; 5] = ["setuid", "static", "foreign", MISSING, SANITIZER];
/// The word for a program whose loader does not find the library.
pub const MISSING: &str = "missing";
/// The word for a program that was built with a sanitizer, whose library has to be loaded before every other.
pub const SANITIZER: &str = "sanitizer";

/// The bit of a reason in [`Scope::reasons`]; all bits for one that is not in the list, so that it always fires.
#[must_use]
pub fn reason(word: &str) -> u16 {
    REASONS.iter().position(|known| *known == word).map_or(u16::MAX, |at| 1_u16.wrapping_shl(at as u32))
}

/// Shells that are known to redirect as [`Tokens`] reads it.
const REDIRECTING: [&[u8]; 3] = [b"sh", b"dash", b"bash"];

/// Whether the program of a command is named without a folder: its first word, or the one behind `exec`. A quoted blank ends it here, which
/// is the safe side.
fn is_bare(text: &[u8]) -> bool {
    let is_word = |word: &&[u8]| !word.is_empty();
    let mut words = text.split(|byte| matches!(byte, b' ' | b'\t')).filter(is_word);
    let first = words.next();
    let program = if first == Some(b"exec") { words.next() } else { first };
    !program.is_some_and(|word| word.contains(&b'/'))
}

/// Whether an entry of `tools` means a program of this name. A `*` at its end stands for any version, and not for what makes a script
/// that only begins so, such as python.cgi.
#[must_use]
pub fn is_tool(entry: &[u8], name: &[u8]) -> bool {
    match entry.strip_suffix(b"*") {
        Some(beginning) => name.strip_prefix(beginning).is_some_and(|rest| {
            !rest.windows(2).any(|two| two.starts_with(b".") && two.iter().any(u8::is_ascii_alphabetic))
        }),
        None => name == entry,
    }
}

impl<'a> Policy<'a> {
    /// The verdict on `program` in scope `scope`, in an environment that steers nothing.
    #[must_use]
    pub fn decide_exec(&self, scope: u32, program: &ExecutedProgram<'_>) -> Verdict {
        self.decide_exec_in(scope, program, |_| Steering::None)
    }

    /// The verdict on `program` in scope `scope`. `environment` says whether its environment steers an allowed command, and
    /// is asked only where an entry of `allow` would hold; true: the command names its program without a folder.
    #[must_use]
    pub fn decide_exec_in(
        &self,
        scope: u32,
        program: &ExecutedProgram<'_>,
        environment: impl FnOnce(bool) -> Steering,
    ) -> Verdict {
        const RULE: Rule = Rule::ShellSpawn;
        let scope = self.scope(scope);
        let mut findings = Findings::none(RULE, u32::MAX);
        let [shell, tool, place, unguarded] = self.kinds(scope, program);
        let found = [(RULE, shell), (Rule::ExecPlace, place), (Rule::ExecTool, tool), (Rule::ExecUnguarded, unguarded)];
        let named = match (shell, tool, place, unguarded) {
            (None, None, None, None) => None,
            _ => self.allowed(scope, program),
        };
        let steering = named.map(|named| match startup::reads_home(program.names) {
            Some(home) => Steering::By(home),
            None => environment(named.bare),
        });
        if let (Some(named), Some(Steering::None)) = (named, steering) {
            findings = Findings::none(RULE, named.clause);
        } else {
            if let Some(Steering::Unknown) = steering {
                let about = found.iter().filter(|(_, clause)| clause.is_some());
                let rules = about.fold(0, |bits, (rule, _)| bits | rule.bit());
                findings.unknown(scope, Unknown::Environment, Unknown::Environment.rules() & rules);
            }
            for (rule, clause) in found {
                if let Some(clause) = clause {
                    findings.fire(rule, self.mode_there(scope, rule, program), clause);
                }
            }
            if let Some(Steering::By(variable)) = steering {
                findings.steered_by(variable);
            }
        }
        if program.on_connection {
            findings.fire(Rule::StdioSocket, mode(scope, Rule::StdioSocket), default(scope, Rule::StdioSocket));
        }
        if let Some(value) = program.loader
            && !value.is_some_and(|value| self.is_expected(scope, value))
        {
            findings.fire(Rule::LoaderEnv, mode(scope, Rule::LoaderEnv), default(scope, Rule::LoaderEnv));
        }
        if let Some(what) = program.unknown {
            findings.unknown(scope, what, what.rules());
        }
        findings.verdict()
    }

    /// Whether one of these names is a shell's.
    #[must_use]
    pub fn is_shell(&self, scope: u32, names: &[&[u8]]) -> bool {
        let shells = self.scope(scope).shells;
        names.iter().any(|name| self.name(shells, name).is_some())
    }

    /// Whether `allow` of loader-env names the whole value of a variable.
    #[must_use]
    pub fn is_loaded(&self, scope: u32, value: &[u8]) -> bool {
        self.is_expected(self.scope(scope), value)
    }

    fn is_expected(&self, scope: &Scope, value: &[u8]) -> bool {
        self.name(scope.libraries, value).is_some()
    }

    /// The clauses by which a program is a shell, a tool, in a place, and without the library; none for a rule that is off.
    fn kinds(&self, scope: &Scope, program: &ExecutedProgram<'_>) -> [Option<u32>; 4] {
        let on = |rule| mode(scope, rule) != Mode::Off;
        let names = || program.names.iter().filter(|name| !name.is_empty());
        let named = || names().find_map(|name| self.name(scope.shells, name));
        let image = || self.shell_image(scope, program.identity, program.build_id);
        let shell = if on(Rule::ShellSpawn) { named().or_else(image) } else { None };
        let own = || program.names.get(..program.own_names).unwrap_or(program.names);
        // A script's interpreter is none.
        let tool_image = || self.tool_image(scope, program.identity, program.build_id).filter(|_| !program.is_script);
        let tool = if on(Rule::ExecTool) { self.tool(scope, own()).or_else(tool_image) } else { None };
        let place = if on(Rule::ExecPlace) { self.place(scope.places, program, own()) } else { None };
        let unguarded = if on(Rule::ExecUnguarded) { self.unguarded(scope, program) } else { None };
        [shell, tool, place, unguarded]
    }

    /// The clause of a program in which the library will not be active, unless its path is allowed. A path that is not known
    /// is none that is allowed.
    fn unguarded(&self, scope: &Scope, program: &ExecutedProgram<'_>) -> Option<u32> {
        let is_meant = !program.unguarded.is_empty() && scope.reasons.get() & reason(program.unguarded) != 0;
        let fires = is_meant && self.path(scope.unguarded, program.path).is_none();
        fires.then(|| default(scope, Rule::ExecUnguarded))
    }

    /// The clause of the first entry, a path perhaps with globs, that a program's real path matches.
    pub(crate) fn path(&self, range: Range, path: &[u8]) -> Option<u32> {
        let paths: &[ProgramEntry] = self.range(Section::Names, range);
        let is = |entry: &&ProgramEntry| glob(self.text(entry.text), path, true);
        paths.iter().find(is).map(|entry| entry.clause.get())
    }

    pub(crate) fn tool(&self, scope: &Scope, names: &[&[u8]]) -> Option<u32> {
        let tools: &[ProgramEntry] = self.range(Section::Names, scope.tools);
        let is = |tool: &&ProgramEntry| names.iter().any(|name| is_tool(self.text(tool.text), name));
        tools.iter().find(is).map(|tool| tool.clause.get())
    }

    /// The mode of a rule that this program triggers: stricter in some places.
    #[cold]
    fn mode_there(&self, scope: &Scope, rule: Rule, program: &ExecutedProgram<'_>) -> Mode {
        match rule {
            Rule::ExecPlace if self.place(scope.enforced_places, program, &[]).is_some() => Mode::Enforce,
            _ => mode(scope, rule),
        }
    }

    fn place(&self, places: Range, program: &ExecutedProgram<'_>, names: &[&[u8]]) -> Option<u32> {
        let places: &[ProgramEntry] = self.range(Section::Names, places);
        let is_here = |place: &&ProgramEntry| match self.text(place.text) {
            word if word == WRITABLE.as_bytes() => program.writable,
            word if word == MEMFD.as_bytes() => {
                program.path.starts_with(b"/memfd:") || program.path.ends_with(b" (deleted)")
            }
            word if word == HIDDEN.as_bytes() => {
                names.iter().any(|name| name.len() > 1 && name.starts_with(b".") && *name != b"..")
            }
            folder => {
                program.path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
            }
        };
        places.iter().find(is_here).map(|place| place.clause.get())
    }

    /// The entry of `allow` that names the command or the program. A program that is named without a folder has to be one
    /// of the system's: what a shell runs by that name, PATH says; what is executed itself is looked at.
    fn allowed(&self, scope: &Scope, program: &ExecutedProgram<'_>) -> Option<Named> {
        let (tokens, first) = match (program.command, program.words) {
            (Some(text), _) if program.names.iter().all(|name| REDIRECTING.contains(name)) => (Tokens::new(text), text),
            (Some(text), _) => (Tokens::without_redirections(text), text),
            (None, Some(words)) => (Tokens::words(words), words.first().copied().unwrap_or_default()),
            (None, None) => return None,
        };
        let clause = self.command(scope.commands, tokens)?;
        let bare = is_bare(first);
        match program.command {
            Some(_) => Some(Named { clause, bare }),
            None => (program.of_system || !bare).then_some(Named { clause, bare: false }),
        }
    }

    /// Every step of the decision on a program, in order; see [`Policy::steps_connect`]. What no rule is about is allowed.
    #[must_use]
    pub fn steps_exec(&self, number: u32, program: &ExecutedProgram<'_>) -> [Step; 10] {
        let scope = self.scope(number);
        let [shell, tool, place, unguarded] = self.kinds(scope, program);
        let named = self.allowed(scope, program).filter(|_| startup::reads_home(program.names).is_none());
        let fires = |name, rule, clause| Step { name, clause, fires: Some(rule) };
        let allows = |name, clause| Step { name, clause, fires: None };
        let of_path = self.path(scope.unguarded, program.path).filter(|_| !program.unguarded.is_empty());
        let library = program.loader.flatten().and_then(|value| self.name(scope.libraries, value));
        let of = |rule, is_so: bool| (is_so && mode(scope, rule) != Mode::Off).then(|| default(scope, rule));
        let stdio = of(Rule::StdioSocket, program.on_connection);
        let loader = of(Rule::LoaderEnv, program.loader.is_some() && library.is_none());
        let none = [shell, tool, place, unguarded, of_path, library, stdio, loader].iter().all(Option::is_none);
        [
            allows("no rule is about it", none.then_some(u32::MAX)),
            allows("allow", named.map(|named| named.clause)),
            allows("allow of exec-unguarded", of_path),
            allows("allow of loader-env", library),
            fires("shell", Rule::ShellSpawn, shell),
            fires("place", Rule::ExecPlace, place),
            fires("tool", Rule::ExecTool, tool),
            fires("unguarded", Rule::ExecUnguarded, unguarded),
            fires("standard input or output", Rule::StdioSocket, stdio),
            fires("loader", Rule::LoaderEnv, loader),
        ]
    }

    pub(crate) fn name(&self, range: Range, name: &[u8]) -> Option<u32> {
        let names: &[ProgramEntry] = self.range(Section::Names, range);
        let at = names.partition_point(|entry| self.text(entry.text) < name);
        let entry = names.get(at)?;
        (self.text(entry.text) == name).then_some(entry.clause.get())
    }

    /// The clause of the first entry that matches: those whose first token has a glob, then those found by its hash.
    fn command(&self, range: Range, mut tokens: Tokens<'_>) -> Option<u32> {
        let whole = tokens;
        let entries: &[Command] = self.range(Section::Commands, range);
        let mut buffer = [0; crate::command::TOKEN_MAX];
        let first = token_hash(tokens.next(&mut buffer)?.ok()?);
        let globbed = entries.partition_point(|entry| entry.hash.get() == 0);
        let from = entries.partition_point(|entry| entry.hash.get() < first);
        let to = entries.partition_point(|entry| entry.hash.get() <= first);
        let candidates = [entries.get(..globbed), entries.get(from..to)];
        candidates
            .into_iter()
            .flatten()
            .flatten()
            .find(|entry| self.matches(entry.tokens, whole, &mut buffer))
            .map(|entry| entry.clause.get())
    }

    fn matches(&self, range: Range, mut tokens: Tokens<'_>, buffer: &mut [u8; crate::command::TOKEN_MAX]) -> bool {
        let patterns: &[StringRange] = self.range(Section::Tokens, range);
        for (index, pattern) in patterns.iter().enumerate() {
            match tokens.next(buffer) {
                Some(Ok(token)) if glob(self.text(*pattern), token, index == 0) => {}
                _ => return false,
            }
        }
        tokens.next(buffer).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::is_bare;

    #[test]
    fn a_program_behind_exec_is_the_one_that_is_named() {
        for text in [
            "id",
            " \tid /etc",
            "exec id",
            "exec",
            "",
            "exec\tid /bin/sh",
            "\"exec\" /bin/id",
            "exe /bin/id",
            "exec exec /bin/id",
        ] {
            assert!(is_bare(text.as_bytes()), "{text}");
        }
        for text in ["/bin/id", "  ./id", "exec /bin/id", " exec  ../id x"] {
            assert!(!is_bare(text.as_bytes()), "{text}");
        }
    }
}
