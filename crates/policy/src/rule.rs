//! The rules: what is looked for.

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rule {
    /// A connection to an uncommon port outside the local ranges.
    EgressPort = 0,
    /// A shell started by a serving process or a descendant of one.
    ShellSpawn = 1,
    /// A program in a place where programs do not belong.
    ExecPlace = 2,
    /// A network, scripting or reconnaissance tool.
    ExecTool = 3,
    /// Standard input or output on a network connection.
    StdioSocket = 4,
    /// A new program's environment makes its loader load something.
    LoaderEnv = 5,
    /// A port is opened that the server itself did not open.
    ListenPort = 6,
    /// A name server is asked that is no configured one.
    DnsDirect = 7,
    /// The metadata service of a cloud.
    Metadata = 8,
    /// A FastCGI request changes PHP's settings.
    PhpIni = 9,
    /// A program in which this library will not be active.
    ExecUnguarded = 10,
    /// The server's own application pool is reached past the server.
    FpmSocket = 11,
    /// The memory of a process is opened for writing, or written.
    ProcessMemory = 12,
    /// A process makes or enters a namespace.
    Namespace = 13,
}

/// How many rules there are.
pub const RULES: usize = 14;

const ALL: [Rule; RULES] = [
    Rule::EgressPort,
    Rule::ShellSpawn,
    Rule::ExecPlace,
    Rule::ExecTool,
    Rule::StdioSocket,
    Rule::LoaderEnv,
    Rule::ListenPort,
    Rule::DnsDirect,
    Rule::Metadata,
    Rule::PhpIni,
    Rule::ExecUnguarded,
    Rule::FpmSocket,
    Rule::ProcessMemory,
    Rule::Namespace,
];

/// The words of all rules, in the order of [`Rule`].
pub const RULE_WORDS: [&str; RULES] = [
    "egress-port",
    "shell-spawn",
    "exec-place",
    "exec-tool",
    "stdio-socket",
    "loader-env",
    "listen-port",
    "dns-direct",
    "metadata",
    "php-ini",
    "exec-unguarded",
    "fpm-socket",
    "process-memory",
    "namespace",
];

impl Rule {
    /// All of them, in the order of their numbers.
    pub const ALL: [Rule; RULES] = ALL;

    /// `rule.id`.
    #[must_use]
    pub fn word(self) -> &'static str {
        RULE_WORDS.get(self as usize).copied().unwrap_or_default()
    }

    /// Its bit in [`crate::Verdict::also`].
    #[must_use]
    pub const fn bit(self) -> u16 {
        1_u16.wrapping_shl(self as u32)
    }

    /// Whether a refusal of it is one of a connection, rather than one of a program.
    #[must_use]
    pub fn is_of_network(self) -> bool {
        matches!(self, Rule::EgressPort | Rule::ListenPort | Rule::DnsDirect | Rule::Metadata | Rule::FpmSocket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places() {
        for (number, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!((rule as usize, rule.word()), (number, RULE_WORDS[number]));
        }
    }
}
