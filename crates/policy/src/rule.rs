//! The rules: what is looked for. The table below is the one place that says what a rule is; the events, the configuration, the
//! command and the tests read it from here, and docs/, examples/siem/ and the schema are held against it.

/// Facts on a rule that its events carry.
#[derive(Clone, Copy, Debug)]
pub struct RuleFacts {
    /// `rule.id`
    pub id: &'static str,
    /// `rule.name`
    pub name: &'static str,
    /// `event.severity`, on Elastic's scale: 21 low, 47 medium, 73 high.
    pub severity: u8,
    /// `threat.technique.id`: ATT&CK's techniques, those that the subtechniques belong to included.
    pub techniques: &'static [&'static str],
    /// `threat.technique.subtechnique.id`
    pub subtechniques: &'static [&'static str],
    /// `event.category` of what is about no action of its own: `network`, `process` or `configuration`.
    pub category: &'static str,
}

/// Facts on a rule that only the command and the compiler need. They are apart, so that the library does not have them.
#[derive(Clone, Copy, Debug)]
pub struct RuleText {
    /// The rule.
    pub rule: Rule,
    /// Its table in the configuration.
    pub table: &'static str,
    /// The key of what it is about, beside `mode` and `why`; empty where it has none.
    pub list: &'static str,
    /// What an event names as the clause where nothing in the policy decided.
    pub otherwise: &'static str,
    /// Why nothing is learnt from its events, since applications do not do that; empty where they may.
    pub grave: &'static str,
    /// How far it follows the global mode.
    pub mode: Follows,
}

/// How far a rule follows the global `mode`, and a virtual host's. A rule that does not is `audit` unless something says that it, or
/// everything, is off, or it has a mode of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// The rule has no benign use in a web worker, or is one of the two of every web shell.
    Mode,
    /// In some places: what is no file, and what anybody can write to.
    InPlaces,
    /// Not at all.
    Nothing,
}

/// Makes the rules of the table: the number of a rule is its place.
macro_rules! rules {
    ($(
        $(#[$doc:meta])*
        $rule:ident: {
            id: $id:literal,
            name: $name:literal,
            severity: $severity:literal,
            techniques: $techniques:expr,
            subtechniques: $subtechniques:expr,
            category: $category:literal,
            table: $table:literal,
            list: $list:literal,
            otherwise: $otherwise:literal,
            grave: $grave:literal,
            mode: $mode:ident,
        }
    )*) => {
        /// What is looked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        /// How many rules there are.
        pub const RULES: usize = [$(Rule::$rule),*].len();

        /// The words of all rules, in the order of [`Rule`].
        pub const RULE_WORDS: [&str; RULES] = [$($id),*];

        /// What their events carry, in that order.
        pub static RULE_FACTS: [RuleFacts; RULES] = [$(RuleFacts {
            id: $id,
            name: $name,
            severity: $severity,
            techniques: &$techniques,
            subtechniques: &$subtechniques,
            category: $category,
        }),*];

        /// What the configuration and the command say of them, in that order.
        pub static RULE_TEXTS: [RuleText; RULES] = [$(RuleText {
            rule: Rule::$rule,
            table: $table,
            list: $list,
            otherwise: $otherwise,
            grave: $grave,
            mode: Follows::$mode,
        }),*];

        /// Those of which the events are about a connection, a bit for each.
        const OF_NETWORK: u16 = 0 $(| if matches!($category.as_bytes(), b"network") { Rule::$rule.bit() } else { 0 })*;

        impl Rule {
            /// All of them, in the order of their numbers.
            pub const ALL: [Rule; RULES] = [$(Rule::$rule),*];
        }
    };
}

// Severity and techniques of the first are those of Elastic's rule 00546494-5bb0-49d6-9220-5f3b4c12f26a, the severity of the second
// that of its rule f16fca20-4d6c-43f9-aec1-20b6de3b0aeb.
rules! {
    /// A connection to an uncommon port outside the local ranges.
    EgressPort: {
        id: "egress-port",
        name: "Uncommon Destination Port Connection by Linux Web Server",
        severity: 21,
        techniques: ["T1505", "T1571", "T1071"],
        subtechniques: ["T1505.003"],
        category: "network",
        table: "egress",
        list: "",
        otherwise: "no allow entry, local range or common port has this destination",
        grave: "",
        mode: Mode,
    }
    /// A shell started by a serving process or a descendant of one.
    ShellSpawn: {
        id: "shell-spawn",
        name: "Web Server Process Spawning Shell",
        severity: 47,
        techniques: ["T1505", "T1059"],
        subtechniques: ["T1505.003", "T1059.004"],
        category: "process",
        table: "exec",
        list: "",
        otherwise: "a shell",
        grave: "",
        mode: Mode,
    }
    /// A program in a place where programs do not belong.
    ExecPlace: {
        id: "exec-place",
        name: "Web Server Process Starting Program From Unusual Place",
        severity: 47,
        techniques: ["T1505", "T1105"],
        subtechniques: ["T1505.003"],
        category: "process",
        table: "rules.exec-place",
        list: "places",
        otherwise: "a place of its own kind",
        grave: "the program lies where anybody could have put it",
        mode: InPlaces,
    }
    /// A network, scripting or reconnaissance tool.
    ExecTool: {
        id: "exec-tool",
        name: "Web Server Process Starting Network, Scripting or Reconnaissance Tool",
        severity: 21,
        techniques: ["T1505", "T1059", "T1082"],
        subtechniques: ["T1505.003"],
        category: "process",
        table: "rules.exec-tool",
        list: "tools",
        otherwise: "a tool",
        grave: "",
        mode: Nothing,
    }
    /// Standard input or output on a network connection.
    StdioSocket: {
        id: "stdio-socket",
        name: "Web Server Process With Standard Input or Output on Network Connection",
        severity: 73,
        techniques: ["T1505", "T1059", "T1095"],
        subtechniques: ["T1505.003", "T1059.004"],
        category: "process",
        table: "rules.stdio-socket",
        list: "",
        otherwise: "standard input or output on a network connection",
        grave: "a program's standard input or output is a connection",
        mode: Mode,
    }
    /// A new program's environment makes its loader load something.
    LoaderEnv: {
        id: "loader-env",
        name: "Web Server Process Setting Loader Variable for Child",
        severity: 73,
        techniques: ["T1505", "T1574"],
        subtechniques: ["T1505.003", "T1574.006"],
        category: "process",
        table: "rules.loader-env",
        list: "allow",
        otherwise: "a variable that makes a program load other code than the server was started with",
        grave: "a variable makes a program load code",
        mode: Mode,
    }
    /// A port is opened that the server itself did not open.
    ListenPort: {
        id: "listen-port",
        name: "Web Server Process Listening on Port of Its Own",
        severity: 47,
        techniques: ["T1505", "T1571"],
        subtechniques: ["T1505.003"],
        category: "network",
        table: "rules.listen-port",
        list: "allow",
        otherwise: "a port that the server itself did not open",
        grave: "",
        mode: Nothing,
    }
    /// A name server is asked that is no configured one.
    DnsDirect: {
        id: "dns-direct",
        name: "Web Server Process Asking Unconfigured Name Server",
        severity: 21,
        techniques: ["T1505", "T1071"],
        subtechniques: ["T1505.003", "T1071.004"],
        category: "network",
        table: "rules.dns-direct",
        list: "resolvers",
        otherwise: "a name server that is not in /etc/resolv.conf",
        grave: "",
        mode: Nothing,
    }
    /// The metadata service of a cloud.
    Metadata: {
        id: "metadata",
        name: "Web Server Process Accessing Cloud Metadata Service",
        severity: 47,
        techniques: ["T1505", "T1552"],
        subtechniques: ["T1505.003", "T1552.005"],
        category: "network",
        table: "rules.metadata",
        list: "addresses",
        otherwise: "a metadata service",
        grave: "it is the cloud's metadata service, which gives out credentials",
        mode: Mode,
    }
    /// A FastCGI request changes PHP's settings.
    PhpIni: {
        id: "php-ini",
        name: "FastCGI Request Changing PHP Settings",
        severity: 47,
        techniques: ["T1505", "T1190"],
        subtechniques: ["T1505.003"],
        category: "configuration",
        table: "rules.php-ini",
        list: "allow",
        otherwise: "PHP_VALUE or PHP_ADMIN_VALUE in a request",
        grave: "a request changes PHP's settings",
        mode: Mode,
    }
    /// A program in which this library will not be active.
    ExecUnguarded: {
        id: "exec-unguarded",
        name: "Web Server Process Starting Program Out of Sight of Portcullis",
        severity: 47,
        techniques: ["T1505", "T1548"],
        subtechniques: ["T1505.003", "T1548.001"],
        category: "process",
        table: "rules.exec-unguarded",
        list: "allow",
        otherwise: "a program in which the library is not active",
        grave: "",
        mode: Nothing,
    }
    /// The server's own application pool is reached past the server.
    FpmSocket: {
        id: "fpm-socket",
        name: "Web Server Process Reaching Application Pool Past Web Server",
        severity: 73,
        techniques: ["T1505", "T1559"],
        subtechniques: ["T1505.003"],
        category: "network",
        table: "rules.fpm-socket",
        list: "",
        otherwise: "a socket of the server's own application pool",
        grave: "the server's own pool is reached past the server",
        mode: Nothing,
    }
    /// The memory of a process is opened for writing, or written.
    ProcessMemory: {
        id: "process-memory",
        name: "Web Server Process Writing Memory of Process",
        severity: 73,
        techniques: ["T1505", "T1055"],
        subtechniques: ["T1505.003", "T1055.009"],
        category: "process",
        table: "rules.process-memory",
        list: "",
        otherwise: "the memory of a process",
        grave: "the memory of a process is written",
        mode: Nothing,
    }
    /// A process makes or enters a namespace.
    Namespace: {
        id: "namespace",
        name: "Web Server Process Entering Namespace",
        severity: 47,
        techniques: ["T1505", "T1611"],
        subtechniques: ["T1505.003"],
        category: "process",
        table: "rules.namespace",
        list: "allow",
        otherwise: "a namespace",
        grave: "in a namespace of its own a process sees other files and other users",
        mode: Nothing,
    }
}

impl Rule {
    /// `rule.id`.
    #[must_use]
    pub fn word(self) -> &'static str {
        RULE_WORDS.get(self as usize).copied().unwrap_or_default()
    }

    /// What the configuration and the command say of it.
    #[must_use]
    pub fn text(self) -> &'static RuleText {
        &RULE_TEXTS[self as usize]
    }

    /// Whether it follows the global mode everywhere.
    #[must_use]
    pub fn follows_mode(self) -> bool {
        self.text().mode == Follows::Mode
    }

    /// Whether it has a table of its own at the top.
    #[must_use]
    pub fn is_at_top(self) -> bool {
        !self.text().table.starts_with("rules.")
    }

    /// Its bit in [`crate::Verdict::also`].
    #[must_use]
    pub const fn bit(self) -> u16 {
        1_u16.wrapping_shl(self as u32)
    }

    /// Whether a refusal of it is one of a connection, rather than one of a program.
    #[must_use]
    pub fn is_of_network(self) -> bool {
        OF_NETWORK & self.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places() {
        for (number, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!((rule as usize, rule.word()), (number, RULE_WORDS[number]));
            assert_eq!((rule.text().rule, RULE_FACTS[number].id), (rule, rule.word()));
            assert!([21, 47, 73].contains(&RULE_FACTS[number].severity), "{}", rule.word());
        }
    }
}
