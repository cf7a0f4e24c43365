//! The verdicts of the rules that are about neither a connection nor a program: listeners, descriptors, PHP's settings, the
//! server's own pool, memory, namespaces.

use crate::format::{Range, Scope};
use crate::{Findings, Mode, Policy, Rule, Verdict};

impl Policy<'_> {
    /// The verdict on opening port `port` in scope `scope`, by a process whose master has not opened it.
    #[must_use]
    pub fn decide_listen(&self, scope: u32, port: u16) -> Verdict {
        self.decide(scope, Rule::ListenPort, |scope| self.port(scope.listen, port))
    }

    /// The verdict of a rule that has no list in scope `scope`.
    #[must_use]
    pub fn decide_plain(&self, scope: u32, rule: Rule) -> Verdict {
        self.decide(scope, rule, |_| None)
    }

    /// The verdict on the settings that a FastCGI request brings in scope `scope`: lines of `NAME=VALUE`; `None` where
    /// they are too long to be read. Allowed where the policy names each of them.
    #[must_use]
    pub fn decide_settings(&self, scope: u32, lines: Option<&[u8]>) -> Verdict {
        self.decide(scope, Rule::PhpIni, |scope| {
            let mut last = None;
            for line in lines?.split(|&byte| byte == b'\n' || byte == b'\r') {
                let name = line.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii();
                if !name.is_empty() && !name.starts_with(b";") {
                    last = Some(self.name(scope.settings, name)?);
                }
            }
            last
        })
    }

    /// The verdict on making or entering a namespace in scope `scope`, by the program whose real path is `program`; empty
    /// where that is not known.
    #[must_use]
    pub fn decide_namespace(&self, scope: u32, program: &[u8]) -> Verdict {
        self.decide(scope, Rule::Namespace, |scope| self.path(scope.namespaces, program))
    }

    /// The verdict of one rule that has a default clause, unless `allowed` gives another.
    fn decide(&self, scope: u32, rule: Rule, allowed: impl FnOnce(&Scope) -> Option<u32>) -> Verdict {
        let scope = self.scope(scope);
        let mode = mode(scope, rule);
        if mode == Mode::Off {
            return Verdict::allow(rule, u32::MAX);
        }
        match allowed(scope) {
            Some(clause) => Verdict::allow(rule, clause),
            None => {
                let mut findings = Findings::none(rule, u32::MAX);
                findings.fire(rule, mode, default(scope, rule));
                findings.verdict()
            }
        }
    }

    /// The errno of what `rule` refuses in scope `scope`.
    #[must_use]
    pub fn errno(&self, scope: u32, rule: Rule) -> i32 {
        const EACCES: i32 = 13;
        let scope = self.scope(scope);
        let errno = if rule.is_of_network() { scope.egress_errno } else { scope.exec_errno };
        match i32::from(errno.get()) {
            0 => EACCES,
            errno => errno,
        }
    }

    pub(crate) fn has_names(&self, range: Range) -> bool {
        range.len.get() != 0
    }
}

/// The mode of a rule.
#[inline]
pub(crate) fn mode(scope: &Scope, rule: Rule) -> Mode {
    Mode::from_byte(scope.modes.get(rule as usize).copied().unwrap_or(0))
}

/// The strictest that a rule may be in a scope, for what cannot be judged.
pub(crate) fn strictest_mode(scope: &Scope, rule: Rule) -> Mode {
    match rule {
        Rule::ExecPlace if scope.enforced_places.len.get() != 0 => Mode::Enforce,
        _ => mode(scope, rule),
    }
}

/// The clause of a rule that fires where nothing more particular does.
pub(crate) fn default(scope: &Scope, rule: Rule) -> u32 {
    scope.defaults.get(rule as usize).map_or(u32::MAX, |clause| clause.get())
}
