//! The rules: what is looked for. The table below is the one place that says what a rule is; the events, the configuration, the
//! command and the tests read it from here. The Sigma rules, the alerts of Prometheus, the words of the schema and the tables in
//! docs/rules/ are written from it: `PORTCULLIS_UPDATE=1 cargo test -p portcullis-event --test rules`.

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
    /// What triggers it, for the Sigma rule.
    pub about: &'static str,
    /// What triggers it that is no attack, and what to do then.
    pub benign: &'static str,
    /// ATT&CK's tactics, as Sigma spells them.
    pub tactics: &'static [&'static str],
    /// The fields of its event that an analyst reads first.
    pub fields: &'static [&'static str],
    /// `event.action` of its events that are of an action which other rules are about, too; empty where there are none.
    pub shared: &'static str,
    /// The fields that tell what it is about, in Markdown.
    pub read: &'static str,
    /// The row of README.md's table that it is in.
    pub group: &'static str,
    /// What it detects, for that row.
    pub detects: &'static str,
    /// What is asked, where the rule has no list; otherwise empty, and crates/cli/src/explain/words.rs says it.
    pub asked: &'static str,
    /// Why nothing allows it, likewise.
    pub because: &'static str,
    /// The Sigma rule's identifier: never changed.
    pub uuid: &'static str,
    /// The date of the Sigma rule.
    pub since: &'static str,
}

/// An action that only one rule is about.
#[derive(Clone, Copy, Debug)]
pub struct OwnAction {
    /// `event.action`
    pub word: &'static [u8],
    /// In `message`: what a process was refused, up to the object.
    pub refused: &'static [u8],
    /// In `message`: what a process does, up to the object.
    pub proceeds: &'static [u8],
    /// In `message`: the object; `portcullis.detail` follows.
    pub object: &'static [u8],
}

/// What a rule is about: that says for which rules it is unknown what could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Where a connection goes.
    Connection,
    /// Which program it is.
    Program,
    /// What a process does to others and to its own surroundings.
    Process,
    /// Something else: crates/policy/src/unknown.rs names the rule.
    Other,
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
            subject: $subject:ident,
            shared: $shared:literal,
            table: $table:literal,
            list: $list:literal,
            otherwise: $otherwise:literal,
            grave: $grave:literal,
            mode: $mode:ident,
            about: $about:literal,
            benign: $benign:literal,
            tactics: $tactics:expr,
            fields: $fields:expr,
            read: $read:literal,
            detects: ($group:literal, $detects:literal),
            uuid: $uuid:literal,
            since: $since:literal,
            $(own: {
                action: $action:literal,
                refused: $refused:literal,
                proceeds: $proceeds:literal,
                object: $object:literal,
            })?
            $(question: {
                asked: $asked:literal,
                because: $because:literal,
            })?
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
            about: $about,
            benign: $benign,
            tactics: &$tactics,
            fields: &$fields,
            shared: $shared,
            read: $read,
            group: $group,
            detects: $detects,
            asked: concat!("" $(, $asked)?),
            because: concat!("" $(, $because)?),
            uuid: $uuid,
            since: $since,
        }),*];

        /// Those of which the events are about a connection, a bit for each.
        const OF_NETWORK: u16 = 0 $(| if matches!($category.as_bytes(), b"network") { Rule::$rule.bit() } else { 0 })*;

        /// A line for each rule, empty where it has no action of its own: each text of its own would be an address that the loader
        /// has to write in every program.
        const OWN_ACTIONS: &str =
            concat!($($($action, "|", $refused, "|", $proceeds, "|", $object,)? "\n"),*);

        impl Subject {
            /// The rules with this subject, a bit for each.
            pub(crate) const fn rules(self) -> u16 {
                0 $(| if self as u8 == Subject::$subject as u8 { Rule::$rule.bit() } else { 0 })*
            }
        }

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
        subject: Connection,
        shared: "connection_attempted",
        table: "egress",
        list: "",
        otherwise: "no allow entry, local range or common port has this destination",
        grave: "",
        mode: Mode,
        about: "A web server's worker, or a program that one started, connected or sent a datagram to a port where a web server has no business, outside the local ranges.",
        benign: "Mail by SMTP submission (587), LDAP, databases and caches on ports of their own, APIs on odd ports; name them in [egress] allow",
        tactics: ["persistence", "command-and-control"],
        fields: ["destination.ip", "destination.port", "destination.domain", "network.transport"],
        read: "`destination.ip`, `.port`, `.domain`, `network.transport`",
        detects: ("connections", "uncommon ports outside the local ranges"),
        uuid: "bf140002-91f1-570d-adab-4901bd534114",
        since: "2026-11-26",
    }
    /// A shell started by a serving process or a descendant of one.
    ShellSpawn: {
        id: "shell-spawn",
        name: "Web Server Process Spawning Shell",
        severity: 47,
        techniques: ["T1505", "T1059"],
        subtechniques: ["T1505.003", "T1059.004"],
        category: "process",
        subject: Program,
        shared: "exec",
        table: "exec",
        list: "",
        otherwise: "a shell",
        grave: "",
        mode: Mode,
        about: "A web server's worker, or a program that one started, started a shell.",
        benign: "Converters of images and documents that an application runs by a shell, version checks of plugins; name the whole command in [exec] allow",
        tactics: ["persistence", "execution"],
        fields: ["process.command_line", "process.working_directory", "process.parent.name"],
        read: "`process.command_line`, `process.parent`",
        detects: ("programs", "shells"),
        uuid: "c55de096-1bb4-552b-9adb-81d277289354",
        since: "2026-11-26",
    }
    /// A program in a place where programs do not belong.
    ExecPlace: {
        id: "exec-place",
        name: "Web Server Process Starting Program From Unusual Place",
        severity: 47,
        techniques: ["T1505", "T1105"],
        subtechniques: ["T1505.003"],
        category: "process",
        subject: Program,
        shared: "exec",
        table: "rules.exec-place",
        list: "places",
        otherwise: "a place of its own kind",
        grave: "the program lies where anybody could have put it",
        mode: InPlaces,
        about: "A web server's worker, or a program that one started, started a program that stands in a writable folder, is hidden, or is in no file.",
        benign: "Applications that bring programs into folders which the web server owns; give the files to another user, or name the program in [exec] allow",
        tactics: ["persistence", "command-and-control"],
        fields: ["process.executable", "process.command_line", "portcullis.clause"],
        read: "`process.executable`; `portcullis.clause` names the location",
        detects: ("programs", "unusual locations"),
        uuid: "ab1915c2-cc38-5fe2-9514-fbee60762a76",
        since: "2026-11-26",
    }
    /// A network, scripting or reconnaissance tool.
    ExecTool: {
        id: "exec-tool",
        name: "Web Server Process Starting Network, Scripting or Reconnaissance Tool",
        severity: 21,
        techniques: ["T1505", "T1059", "T1082"],
        subtechniques: ["T1505.003"],
        category: "process",
        subject: Program,
        shared: "exec",
        table: "rules.exec-tool",
        list: "tools",
        otherwise: "a tool",
        grave: "",
        mode: Nothing,
        about: "A web server's worker, or a program that one started, started a network tool, a scripting language or a tool of reconnaissance.",
        benign: "Background jobs that an application runs by php or node, health checks by uname or hostname; name the command in [exec] allow",
        tactics: ["persistence", "execution", "discovery"],
        fields: ["process.executable", "process.command_line", "portcullis.clause"],
        read: "`process.executable`, `process.args`",
        detects: ("programs", "network and scripting tools"),
        uuid: "b5e5d556-752a-59ea-80ca-c10b3dbf99e9",
        since: "2026-11-26",
    }
    /// Standard input or output on a network connection.
    StdioSocket: {
        id: "stdio-socket",
        name: "Web Server Process With Standard Input or Output on Network Connection",
        severity: 73,
        techniques: ["T1505", "T1059", "T1095"],
        subtechniques: ["T1505.003", "T1059.004"],
        category: "process",
        subject: Other,
        shared: "exec",
        table: "rules.stdio-socket",
        list: "",
        otherwise: "standard input or output on a network connection",
        grave: "a program's standard input or output is a connection",
        mode: Mode,
        about: "A program was started with its standard input or output on a connection, or a connection was put there, as a reverse shell does.",
        benign: "Programs in the style of inetd that a server starts on a client's connection; turn the rule off for their virtual host",
        tactics: ["persistence", "execution", "command-and-control"],
        fields: ["portcullis.detail", "process.command_line"],
        read: "`portcullis.detail`: the descriptor and the other end",
        detects: ("descriptors and environment", "standard input or output on a connection"),
        uuid: "af7cf78f-145f-5aec-8e41-8b4b5cb275c6",
        since: "2026-11-26",
        own: {
            action: "stdio_socket",
            refused: " was denied to put ",
            proceeds: " puts ",
            object: "a network connection on standard input or output: ",
        }
        question: {
            asked: "may it have a network connection as standard input or output?",
            because: "a program that reads commands from a connection is a remote shell",
        }
    }
    /// A new program's environment makes its loader load something.
    LoaderEnv: {
        id: "loader-env",
        name: "Web Server Process Setting Loader Variable for Child",
        severity: 73,
        techniques: ["T1505", "T1574"],
        subtechniques: ["T1505.003", "T1574.006"],
        category: "process",
        subject: Other,
        shared: "exec",
        table: "rules.loader-env",
        list: "allow",
        otherwise: "a variable that makes a program load other code than the server was started with",
        grave: "a variable makes a program load code",
        mode: Mode,
        about: "The environment of a new program sets LD_PRELOAD, LD_AUDIT or LD_LIBRARY_PATH to what the server was not started with.",
        benign: "A pool of PHP-FPM with LD_LIBRARY_PATH for a vendor's library; name the value in [rules.loader-env] allow",
        tactics: ["persistence", "privilege-escalation", "defense-evasion"],
        fields: ["portcullis.detail", "process.command_line"],
        read: "`portcullis.detail`: the variable",
        detects: ("descriptors and environment", "variables that make a program load code"),
        uuid: "84ffa92f-3fb6-5df7-addb-d9f32cf709f9",
        since: "2026-11-26",
    }
    /// A port is opened that the server itself did not open.
    ListenPort: {
        id: "listen-port",
        name: "Web Server Process Listening on Port of Its Own",
        severity: 47,
        techniques: ["T1505", "T1571"],
        subtechniques: ["T1505.003"],
        category: "network",
        subject: Other,
        shared: "listen",
        table: "rules.listen-port",
        list: "allow",
        otherwise: "a port that the server itself did not open",
        grave: "",
        mode: Nothing,
        about: "A web server's worker, or a program that one started, listens on a port that the server had not opened before it served.",
        benign: "Active FTP from PHP, test servers that an application starts; name the ports in [rules.listen-port] allow",
        tactics: ["persistence", "command-and-control"],
        fields: ["server.ip", "server.port", "network.transport"],
        read: "`server.ip`, `server.port`",
        detects: ("connections", "new listeners"),
        uuid: "301a8852-b3ca-52a7-a3d8-b322b4d14b49",
        since: "2026-11-26",
    }
    /// A name server is asked that is no configured one.
    DnsDirect: {
        id: "dns-direct",
        name: "Web Server Process Asking Unconfigured Name Server",
        severity: 21,
        techniques: ["T1505", "T1071"],
        subtechniques: ["T1505.003", "T1071.004"],
        category: "network",
        subject: Connection,
        shared: "connection_attempted",
        table: "rules.dns-direct",
        list: "resolvers",
        otherwise: "a name server that is not in /etc/resolv.conf",
        grave: "",
        mode: Nothing,
        about: "A web server's worker, or a program that one started, spoke to port 53 or 853 of a host that is no name server of this one.",
        benign: "nginx with a resolver of its own, applications with a resolver of their own; name them in [rules.dns-direct] resolvers",
        tactics: ["persistence", "command-and-control"],
        fields: ["destination.ip", "destination.port"],
        read: "`destination.ip`",
        detects: ("connections", "name servers that are not configured"),
        uuid: "be2314a5-ec16-5749-9d19-8f0a7a00db56",
        since: "2026-11-26",
    }
    /// The metadata service of a cloud.
    Metadata: {
        id: "metadata",
        name: "Web Server Process Accessing Cloud Metadata Service",
        severity: 47,
        techniques: ["T1505", "T1552"],
        subtechniques: ["T1505.003", "T1552.005"],
        category: "network",
        subject: Connection,
        shared: "connection_attempted",
        table: "rules.metadata",
        list: "addresses",
        otherwise: "a metadata service",
        grave: "it is the cloud's metadata service, which gives out credentials",
        mode: Mode,
        about: "A web server's worker, or a program that one started, spoke to a cloud's metadata service, which hands out credentials.",
        benign: "Applications that use an instance's role by design; name the address in that virtual host's [egress] allow",
        tactics: ["persistence", "credential-access"],
        fields: ["destination.ip", "destination.port"],
        read: "`destination.ip`",
        detects: ("connections", "cloud metadata services"),
        uuid: "068406f2-1c00-55d5-ab83-acee0791c68b",
        since: "2026-11-26",
    }
    /// A FastCGI request changes PHP's settings.
    PhpIni: {
        id: "php-ini",
        name: "FastCGI Request Changing PHP Settings",
        severity: 47,
        techniques: ["T1505", "T1190"],
        subtechniques: ["T1505.003"],
        category: "configuration",
        subject: Other,
        shared: "",
        table: "rules.php-ini",
        list: "allow",
        otherwise: "PHP_VALUE or PHP_ADMIN_VALUE in a request",
        grave: "a request changes PHP's settings",
        mode: Mode,
        about: "A FastCGI request brought PHP_VALUE or PHP_ADMIN_VALUE, by which its sender can have a file of his choice run.",
        benign: "nginx or Apache configured with fastcgi_param PHP_VALUE; name the settings in [rules.php-ini] allow",
        tactics: ["persistence", "initial-access"],
        fields: ["portcullis.detail"],
        read: "`portcullis.detail`: the lines",
        detects: ("PHP-FPM", "PHP settings in a request"),
        uuid: "d166431c-95d0-5bd7-ba72-7f51ea7b0939",
        since: "2026-11-26",
        own: {
            action: "php_setting",
            refused: " was denied a request",
            proceeds: " serves a request",
            object: " that brings PHP settings: ",
        }
    }
    /// A program in which this library will not be active.
    ExecUnguarded: {
        id: "exec-unguarded",
        name: "Web Server Process Starting Program Out of Sight of Portcullis",
        severity: 47,
        techniques: ["T1505", "T1548"],
        subtechniques: ["T1505.003", "T1548.001"],
        category: "process",
        subject: Program,
        shared: "exec",
        table: "rules.exec-unguarded",
        list: "allow",
        otherwise: "a program in which the library is not active",
        grave: "",
        mode: Nothing,
        about: "A web server's worker, or a program that one started, started a program in which the library is not active: setuid, static, or for another loader.",
        benign: "Setuid mailers in other places than the built-in list has them, static helpers of an application; name the program in [rules.exec-unguarded] allow",
        tactics: ["persistence", "privilege-escalation", "defense-evasion"],
        fields: ["portcullis.unguarded", "process.executable", "process.command_line", "process.parent.name"],
        read: "`portcullis.unguarded`: the reason; `process.executable`",
        detects: ("programs", "programs that the library cannot be loaded into"),
        uuid: "5c4590cd-5c88-5605-9495-15017aca6023",
        since: "2026-11-28",
    }
    /// The server's own application pool is reached past the server.
    FpmSocket: {
        id: "fpm-socket",
        name: "Web Server Process Reaching Application Pool Past Web Server",
        severity: 73,
        techniques: ["T1505", "T1559"],
        subtechniques: ["T1505.003"],
        category: "network",
        subject: Other,
        shared: "",
        table: "rules.fpm-socket",
        list: "",
        otherwise: "a socket of the server's own application pool",
        grave: "the server's own pool is reached past the server",
        mode: Nothing,
        about: "A process of the server's tree reached the server's own application pool past the web server, where a request can name any script and any virtual host.",
        benign: "Status pages and caches that an application asks for over its own pool's socket",
        tactics: ["persistence", "execution"],
        fields: ["portcullis.detail", "process.command_line"],
        read: "`portcullis.detail`: a connection, an accept, or a request from within, with the process ID of the sender",
        detects: ("PHP-FPM", "connections to its own pool"),
        uuid: "fdbe6ff5-321e-5cf2-b8e6-382bddbaddd4",
        since: "2026-11-28",
        own: {
            action: "fpm_socket",
            refused: " was denied",
            proceeds: " is let into",
            object: " the server's own pool, past the server: ",
        }
        question: {
            asked: "may it connect to the server's own PHP-FPM pool?",
            because: "a request that comes past the web server may claim to be any script",
        }
    }
    /// The memory of a process is opened for writing, or written.
    ProcessMemory: {
        id: "process-memory",
        name: "Web Server Process Writing Memory of Process",
        severity: 73,
        techniques: ["T1505", "T1055"],
        subtechniques: ["T1505.003", "T1055.009"],
        category: "process",
        subject: Process,
        shared: "",
        table: "rules.process-memory",
        list: "",
        otherwise: "the memory of a process",
        grave: "the memory of a process is written",
        mode: Nothing,
        about: "A web server's worker, or a program that one started, opened the memory of a process for writing, wrote to it, or attached to it.",
        benign: "Debuggers and tracers that a request starts",
        tactics: ["persistence", "privilege-escalation", "defense-evasion"],
        fields: ["portcullis.detail", "process.executable", "process.command_line"],
        read: "`portcullis.detail`: the call, and whose memory",
        detects: ("processes", "memory opened for writing"),
        uuid: "3e5dfac4-1059-5c77-a8b2-e0645c0ac0d7",
        since: "2026-11-28",
        own: {
            action: "process_memory",
            refused: " was denied to write",
            proceeds: " can write",
            object: " the memory of a process: ",
        }
        question: {
            asked: "may it write the memory of a process?",
            because: "code that is written into a process bypasses Portcullis",
        }
    }
    /// A process makes or enters a namespace.
    Namespace: {
        id: "namespace",
        name: "Web Server Process Entering Namespace",
        severity: 47,
        techniques: ["T1505", "T1611"],
        subtechniques: ["T1505.003"],
        category: "process",
        subject: Process,
        shared: "",
        table: "rules.namespace",
        list: "allow",
        otherwise: "a namespace",
        grave: "in a namespace of its own a process sees other files and other users",
        mode: Nothing,
        about: "A web server's worker, or a program that one started, made or entered a namespace, in which it may be root and sees other files and owners.",
        benign: "Headless browsers and sandboxes; name the program in [rules.namespace] allow",
        tactics: ["persistence", "privilege-escalation"],
        fields: ["portcullis.detail", "process.executable", "process.command_line"],
        read: "`portcullis.detail`: the call, and which namespaces",
        detects: ("processes", "new namespaces"),
        uuid: "ed8a4b00-9e09-5c27-b2ef-82b772074ac7",
        since: "2026-11-28",
        own: {
            action: "namespace",
            refused: " was denied",
            proceeds: " enters",
            object: " a namespace: ",
        }
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

    /// The action that this rule alone is about; `None` where its events are all of [`RuleText::shared`].
    #[must_use]
    #[inline(never)]
    pub fn own_action(self) -> Option<OwnAction> {
        let line = OWN_ACTIONS.as_bytes().split(|&byte| byte == b'\n').nth(self as usize)?;
        let mut texts = line.split(|&byte| byte == b'|');
        Some(OwnAction { word: texts.next()?, refused: texts.next()?, proceeds: texts.next()?, object: texts.next()? })
    }

    /// Whether it has an action of its own, and no list: all that is to be said of that is in the table.
    #[must_use]
    pub fn is_plain(self) -> bool {
        !self.text().asked.is_empty()
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
