//! What could not be judged: an outcome of its own, which the policy decides like any other.

use crate::facts::Subject;
use crate::rest::{default, strictest_mode};
use crate::{Findings, Policy, Rule, Verdict};

/// What could not be read, found, parsed or bounded. A closed list: `portcullis.unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Unknown {
    /// A socket address.
    Address = 1,
    /// The arguments of a program: unreadable, or too many or too long to find the program that they name.
    Arguments = 2,
    /// The environment of a program.
    Environment = 3,
    /// The file of a program: it could not be opened or read.
    Program = 4,
    /// The real path of a program: not told by the kernel, or longer than a path can be.
    Path = 5,
    /// The interpreter of a script.
    Interpreter = 6,
    /// The format of a program's file: neither ELF nor a script, so that another interpreter may run it.
    Format = 7,
    /// The file actions of posix_spawn: they change what the path of the program refers to.
    FileActions = 8,
    /// The program that started is another than the one that was judged.
    Replaced = 9,
    /// A standard descriptor of a program.
    Descriptor = 10,
    /// A socket: its kind, its address or its peer.
    Socket = 11,
    /// A system call of a kind or an architecture that is not decoded.
    SystemCall = 12,
    /// The memory of a process that the supervisor judges.
    Memory = 13,
    /// The request: cut, malformed or taken away.
    Request = 14,
    /// The policy of the process tree.
    Policy = 15,
    /// A namespace that the process enters or makes.
    Namespace = 16,
    /// Where a socket's packets go: it has a route of its own, or further addresses.
    Route = 17,
}

/// The rules on connections.
const CONNECTION: u16 = Subject::Connection.rules();
/// The rules on which program it is.
const PROGRAM: u16 = Subject::Program.rules();
/// The rules on what a process does to others and to its own surroundings.
const PROCESS: u16 = Subject::Process.rules();
/// The rules on the start of a program: which it is, and with what it starts.
const START: u16 = PROGRAM | Rule::LoaderEnv.bit() | Rule::StdioSocket.bit() | Rule::ProcessMemory.bit();

impl Unknown {
    /// All of them, in the order of their numbers.
    pub const ALL: [Unknown; 17] = [
        Unknown::Address,
        Unknown::Arguments,
        Unknown::Environment,
        Unknown::Program,
        Unknown::Path,
        Unknown::Interpreter,
        Unknown::Format,
        Unknown::FileActions,
        Unknown::Replaced,
        Unknown::Descriptor,
        Unknown::Socket,
        Unknown::SystemCall,
        Unknown::Memory,
        Unknown::Request,
        Unknown::Policy,
        Unknown::Namespace,
        Unknown::Route,
    ];

    /// Its word and its clause, in one text: each text is an address that the loader has to write in every program.
    fn text(self) -> &'static str {
        match self {
            Unknown::Address => "address|cannot judge: the address could not be read",
            Unknown::Arguments => "arguments|cannot judge: the arguments do not say which program runs",
            Unknown::Environment => "environment|cannot judge: the environment could not be read or made",
            Unknown::Program => "program|cannot judge: the program's file could not be read",
            Unknown::Path => "path|cannot judge: the program's real path is not known",
            Unknown::Interpreter => "interpreter|cannot judge: the script's interpreter could not be read",
            Unknown::Format => "format|cannot judge: the program's format is not known",
            Unknown::FileActions => "file-actions|cannot judge: file actions change what the path refers to",
            Unknown::Replaced => "replaced|cannot judge: another program may run than the one that was judged",
            Unknown::Descriptor => "descriptor|cannot judge: a standard descriptor could not be examined",
            Unknown::Socket => "socket|cannot judge: the socket could not be examined",
            Unknown::SystemCall => "system-call|cannot judge: the system call is not decoded",
            Unknown::Memory => "memory|cannot judge: the process's memory could not be read",
            Unknown::Request => "request|cannot judge: the request could not be read",
            Unknown::Policy => "policy|cannot judge: the policy could not be read",
            Unknown::Namespace => "namespace|cannot judge: the namespace is not known",
            Unknown::Route => "route|cannot judge: the socket goes elsewhere than its address says",
        }
    }

    /// The word in events.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.text().split_once('|').map_or("", |(word, _)| word)
    }

    /// The clause of its events: what could not be judged.
    #[must_use]
    pub fn clause(self) -> &'static str {
        self.text().split_once('|').map_or("", |(_, clause)| clause)
    }

    /// The rules that cannot be judged without it, a bit for each.
    #[must_use]
    pub fn rules(self) -> u16 {
        match self {
            // A socket of the server's own pool is no internet address.
            Unknown::Address | Unknown::Socket => CONNECTION | Rule::ListenPort.bit() | Rule::FpmSocket.bit(),
            Unknown::Route => CONNECTION,
            Unknown::Environment => PROGRAM | Rule::LoaderEnv.bit(),
            Unknown::Descriptor => Rule::StdioSocket.bit() | Rule::ProcessMemory.bit(),
            Unknown::FileActions => PROGRAM | Rule::StdioSocket.bit() | Rule::ProcessMemory.bit(),
            Unknown::Arguments
            | Unknown::Program
            | Unknown::Path
            | Unknown::Interpreter
            | Unknown::Format
            | Unknown::Replaced => PROGRAM,
            Unknown::Request => CONNECTION | PROGRAM | PROCESS | Rule::PhpIni.bit(),
            Unknown::SystemCall | Unknown::Memory | Unknown::Policy | Unknown::Namespace => {
                CONNECTION | PROGRAM | PROCESS
            }
        }
    }
}

impl Findings {
    /// These rules, which cannot be judged, fire, as far as they are on.
    pub(crate) fn unknown(&mut self, scope: &crate::format::Scope, what: Unknown, rules: u16) {
        let (outcome, fired) = self.so_far();
        for rule in Rule::ALL.into_iter().filter(|rule| rules & rule.bit() != 0) {
            self.fire(rule, strictest_mode(scope, rule), default(scope, rule));
        }
        let (now, also) = self.so_far();
        if now > outcome {
            self.decided_by(what);
        } else if also != fired {
            self.noted(what);
        }
    }
}

impl Policy<'_> {
    /// The verdict in scope `scope` on what could not be judged, as far as `rules` (a bit for each) are about the action:
    /// an enforced rule refuses, an audited one logs.
    #[must_use]
    pub fn decide_unknown(&self, scope: u32, what: Unknown, rules: u16) -> Verdict {
        let first = Rule::ALL.into_iter().find(|rule| what.rules() & rules & rule.bit() != 0);
        let mut findings = Findings::none(first.unwrap_or(Rule::EgressPort), u32::MAX);
        findings.unknown(self.scope(scope), what, what.rules() & rules);
        findings.verdict()
    }

    /// The verdict on the start of a program of which this could not be judged, so that nothing else of it was: all rules on a start fire.
    #[must_use]
    pub fn decide_unseen(&self, scope: u32, what: Unknown) -> Verdict {
        let mut findings = Findings::none(Rule::ShellSpawn, u32::MAX);
        findings.unknown(self.scope(scope), what, what.rules() | START);
        findings.verdict()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_words_and_rules_are_complete() {
        for (number, what) in Unknown::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, number + 1);
            assert!(!what.word().is_empty() && what.clause().starts_with("cannot judge: "));
            assert_ne!(what.rules(), 0, "{what:?} concerns no rule, so that it would mean: let it go");
            assert!(Unknown::ALL.into_iter().filter(|other| other.word() == what.word()).count() == 1);
        }
    }
}
