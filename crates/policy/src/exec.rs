//! The verdict on a program: is it a shell, and does `allow` name the simple command that it runs?

use crate::command::{Tokens, glob, token_hash};
use crate::egress::Step;
use crate::format::{Command, Name, Range, Section, Text};
use crate::{Mode, Policy, Rule, Verdict};

/// What is known of a program that is about to be executed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Program<'a> {
    /// Base names it goes by: as called, what a symlink resolves to, the applet, the interpreter of its `#!` line.
    pub names: &'a [&'a [u8]],
    /// The text behind `-c` where the call is `SHELL -c TEXT` or `SHELL -c -- TEXT` and nothing more, and the shell
    /// stands in a system folder.
    pub command: Option<&'a [u8]>,
    /// The path and all arguments after the first where the call is anything else; `None` where there are too many.
    pub words: Option<&'a [&'a [u8]]>,
}

impl<'a> Policy<'a> {
    /// The verdict on `program` in scope `scope`.
    #[must_use]
    pub fn decide_exec(&self, scope: u32, program: &Program<'_>) -> Verdict {
        const RULE: Rule = Rule::ShellSpawn;
        let Some(scope) = self.scope(scope) else { return Verdict::allow(RULE, u32::MAX) };
        let mode = Mode::from_byte(scope.modes[RULE as usize]);
        if mode == Mode::Off {
            return Verdict::allow(RULE, u32::MAX);
        }
        let shell = program.names.iter().filter(|name| !name.is_empty()).find_map(|name| self.name(scope.shells, name));
        let Some(shell) = shell else { return Verdict::allow(RULE, u32::MAX) };
        let allowed = match (program.command, program.words) {
            (Some(text), _) => self.command(scope.commands, || Tokens::new(text)),
            (None, Some(words)) => self.command(scope.commands, || Tokens::words(words)),
            (None, None) => None,
        };
        match allowed {
            Some(clause) => Verdict::allow(RULE, clause),
            None => Verdict::fire(RULE, mode, shell),
        }
    }

    /// Every step of the decision on a program, in order; see [`Policy::steps_connect`]. A program that is no shell is
    /// allowed.
    #[must_use]
    pub fn steps_exec(&self, scope: u32, program: &Program<'_>) -> [Step; 3] {
        let Some(scope) = self.scope(scope) else { return [Step::default(); 3] };
        let shell = program.names.iter().filter(|name| !name.is_empty()).find_map(|name| self.name(scope.shells, name));
        let allowed = match (program.command, program.words) {
            (Some(text), _) => self.command(scope.commands, || Tokens::new(text)),
            (None, Some(words)) => self.command(scope.commands, || Tokens::words(words)),
            (None, None) => None,
        };
        let no_shell = if shell.is_none() { Some(u32::MAX) } else { None };
        [
            Step { name: "no shell", clause: no_shell, fires: false },
            Step { name: "allow", clause: allowed, fires: false },
            Step { name: "shell", clause: shell, fires: true },
        ]
    }

    /// The errno of a refused program in scope `scope`.
    #[must_use]
    pub fn exec_errno(&self, scope: u32) -> i32 {
        self.scope(scope).map_or(13, |scope| i32::from(scope.exec_errno.get()))
    }

    fn name(&self, range: Range, name: &[u8]) -> Option<u32> {
        let names: &[Name] = self.range(Section::Names, range);
        let at = names.partition_point(|entry| self.text(entry.text) < name);
        let entry = names.get(at)?;
        (self.text(entry.text) == name).then_some(entry.clause.get())
    }

    /// The clause of the first entry that matches: those whose first token has a glob, then those found by its hash.
    fn command<'t>(&self, range: Range, tokens: impl Fn() -> Tokens<'t>) -> Option<u32> {
        let entries: &[Command] = self.range(Section::Commands, range);
        let mut buffer = [0; crate::command::TOKEN_MAX];
        let first = token_hash(tokens().next(&mut buffer)?.ok()?);
        let globbed = entries.partition_point(|entry| entry.hash.get() == 0);
        let from = entries.partition_point(|entry| entry.hash.get() < first);
        let to = entries.partition_point(|entry| entry.hash.get() <= first);
        let candidates = [entries.get(..globbed), entries.get(from..to)];
        candidates
            .into_iter()
            .flatten()
            .flatten()
            .find(|entry| self.matches(entry.tokens, tokens(), &mut buffer))
            .map(|entry| entry.clause.get())
    }

    fn matches(&self, range: Range, mut tokens: Tokens<'_>, buffer: &mut [u8; crate::command::TOKEN_MAX]) -> bool {
        let patterns: &[Text] = self.range(Section::Tokens, range);
        for (index, pattern) in patterns.iter().enumerate() {
            match tokens.next(buffer) {
                Some(Ok(token)) if glob(self.text(*pattern), token, index == 0) => {}
                _ => return false,
            }
        }
        tokens.next(buffer).is_none()
    }
}
