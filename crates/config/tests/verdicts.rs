//! The compiled view against a slow, obvious model of the same configuration.
#![allow(clippy::disallowed_methods)]

use ipnet::IpNet;
use portcullis_config::{compile, parse_text};
use portcullis_policy::egress::{Connection, Transport};
use portcullis_policy::exec::ExecutedProgram;
use portcullis_policy::name::HostName;
use portcullis_policy::startup::{Steering, variable};
use portcullis_policy::{Mode, Outcome, Policy, Rule, Unknown};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

fn to(address: IpAddr, port: u16) -> Connection {
    Connection { address, port, sends: false }
}

/// A destination: network, first and last port.
type Entry = (IpNet, (u16, u16));

/// Few addresses and ports, so that entries overlap.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..4, 0_u8..4).prop_map(|(a, b)| IpAddr::from([25, 0, a, b])),
        (0_u16..4, 0_u16..4).prop_map(|(a, b)| IpAddr::from([0x2a00, 0, 0, 0, 0, 0, a, b])),
        Just(IpAddr::from([255, 255, 255, 255])),
        Just(IpAddr::from([0xffff_u16; 8])),
        Just(IpAddr::from([10, 0, 0, 1])),
    ]
}

fn network() -> impl Strategy<Value = IpNet> {
    (address(), 0_u8..=128).prop_map(|(address, prefix)| {
        let prefix = if address.is_ipv4() { prefix.min(32) } else { prefix };
        IpNet::new(address, prefix).expect("a prefix").trunc()
    })
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![0_u16..6, Just(443), Just(4444), Just(u16::MAX)]
}

fn ports() -> impl Strategy<Value = (u16, u16)> {
    prop_oneof![
        (port(), port()).prop_map(|(a, b)| (a.min(b), a.max(b))),
        port().prop_map(|port| (port, port)),
        Just((0, u16::MAX)),
    ]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec((network(), ports()), 0..6)
}

#[derive(Debug, Clone)]
struct Model {
    deny: Vec<Entry>,
    allow: Vec<Entry>,
    local: Vec<IpNet>,
    common: Vec<(u16, u16)>,
}

fn model() -> impl Strategy<Value = Model> {
    (entries(), entries(), vec(network(), 0..4), vec(ports(), 0..4)).prop_map(|(deny, allow, local, common)| Model {
        deny,
        allow,
        local,
        common,
    })
}

fn range((low, high): (u16, u16)) -> String {
    format!("{low}-{high}")
}

fn list(name: &str, items: impl Iterator<Item = String>) -> String {
    format!("{name} = [{}]\n", items.map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(", "))
}

impl Model {
    fn text(&self) -> String {
        let entry = |entry: &Entry| match entry.0 {
            IpNet::V4(net) => format!("{net}:{}", range(entry.1)),
            IpNet::V6(net) => format!("[{net}]:{}", range(entry.1)),
        };
        let mut text = String::from("mode = \"enforce\"\n[egress]\n");
        text += &list("deny", self.deny.iter().map(entry));
        text += &list("allow", self.allow.iter().map(entry));
        text += &list("local_ranges", self.local.iter().map(ToString::to_string));
        text += &list("common_ports", self.common.iter().copied().map(range));
        // The rules beside the first two are tested by themselves.
        text += "[rules]\nmetadata = { mode = \"off\" }\ndns-direct = { mode = \"off\" }\n";
        text
    }

    /// The first entry of a list that has the destination.
    fn first(entries: &[Entry], address: IpAddr, port: u16) -> Option<usize> {
        entries.iter().position(|(net, (low, high))| net.contains(&address) && (*low..=*high).contains(&port))
    }

    fn refuses(&self, address: IpAddr, port: u16) -> bool {
        Model::first(&self.deny, address, port).is_some()
            || !(Model::first(&self.allow, address, port).is_some()
                || self.local.iter().any(|net| net.contains(&address))
                || self.common.iter().any(|(low, high)| (*low..=*high).contains(&port)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn egress_is_decided_as_the_model_decides_it(model in model(), targets in vec((address(), port()), 1..12)) {
        let loaded = parse_text(Path::new("/test.toml"), &model.text());
        prop_assert!(loaded.usable(), "{}", model.text());
        let bytes = compile(&loaded.config);
        let policy = Policy::new(&bytes).expect("a policy");
        for (address, port) in targets {
            let verdict = policy.decide_connect(0, to(address, port), || Transport::Stream, HostName::none);
            prop_assert_eq!(verdict.outcome == Outcome::Deny, model.refuses(address, port), "{}:{}", address, port);
            // What explains a decision is what decides: the first step that has a clause.
            let steps = policy.steps_connect(0, to(address, port), Transport::Stream, &HostName::none());
            let first = steps.iter().find(|step| step.clause.is_some()).expect("the last step has one");
            prop_assert_eq!((first.clause, first.fires.is_some()), (Some(verdict.clause), verdict.outcome == Outcome::Deny));
            // The clause is the first entry of the list that decided.
            let decided = [("deny", &model.deny), ("allow", &model.allow)]
                .into_iter()
                .find_map(|(name, entries)| Some((name, entries, Model::first(entries, address, port)?)));
            if let Some((name, entries, index)) = decided {
                let (text, file, _) = policy.clause(verdict.clause);
                let text = String::from_utf8_lossy(text);
                let net = entries[index].0;
                let host = if net.addr().is_ipv4() { net.to_string() } else { format!("[{net}]") };
                prop_assert_eq!(text, format!("{name} = \"{host}:{}\"", range(entries[index].1)));
                prop_assert_eq!(file, b"/test.toml");
            }
        }
    }

    #[test]
    fn v4_mapped_is_judged_as_v4_and_the_unspecified_as_loopback(model in model(), target in address(), port in port()) {
        let loaded = parse_text(Path::new("/test.toml"), &model.text());
        let bytes = compile(&loaded.config);
        let policy = Policy::new(&bytes).expect("a policy");
        let decide = |address: IpAddr| policy.decide_connect(0, to(address, port), || Transport::Stream, HostName::none);
        if let IpAddr::V4(v4) = target {
            prop_assert_eq!(decide(v4.to_ipv6_mapped().into()), decide(target));
        }
        prop_assert_eq!(decide([0; 4].into()), decide([127, 0, 0, 1].into()));
        prop_assert_eq!(decide([0_u16; 8].into()), decide("::1".parse().expect("an address")));
    }

    #[test]
    fn programs_are_decided_as_the_model_decides_them(
        shells in vec("[ab]sh", 0..4),
        commands in vec(vec("[ab]{1,2}|\\*|a\\*|-a", 1..4), 0..5),
        names in vec("[abc]sh", 0..3),
        words in vec("-?[ab]{0,3}", 1..4),
    ) {
        let mut text = String::from("mode = \"enforce\"\n[exec]\n");
        text += &list("shells", shells.iter().cloned());
        text += &list("allow", commands.iter().map(|command| command.join(" ")));
        let loaded = parse_text(Path::new("/test.toml"), &text);
        prop_assert!(loaded.usable(), "{}", text);
        let bytes = compile(&loaded.config);
        let policy = Policy::new(&bytes).expect("a policy");
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        let is_shell = names.iter().any(|name| shells.iter().any(|shell| shell.as_bytes() == *name));
        // A shell that always runs a file in the home folder.
        let at_home = names.iter().any(|name| [&b"zsh"[..], b"zsh5", b"zsh-static", b"rzsh", b"csh", b"bsd-csh", b"tcsh", b"fish", b"pwsh"].contains(name));
        let allowed = !at_home && commands.iter().any(|command| {
            command.len() == words.len() && command.iter().zip(&words).all(|(pattern, word)| matches(pattern, word))
        });
        let line = words.join(" ");
        let parts: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        for program in [
            ExecutedProgram { names: &names, command: Some(line.as_bytes()), ..ExecutedProgram::default() },
            ExecutedProgram { names: &names, words: Some(&parts), of_system: true, ..ExecutedProgram::default() },
        ] {
            let refused = policy.decide_exec(0, &program).outcome == Outcome::Deny;
            let steps = policy.steps_exec(0, &program);
            let first = steps.iter().find(|step| step.clause.is_some()).expect("a step");
            prop_assert_eq!(first.fires.is_some(), refused);
            prop_assert_eq!(refused, is_shell && !allowed, "{} {:?}", &text, &line);
        }
    }

    /// Any bytes with a right head and checksum: a verdict, never a panic or a read out of bounds (which safe code
    /// turns into a panic).
    #[test]
    fn a_policy_of_any_bytes_is_refused_or_decides(
        model in model(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        target in address(),
        port in port(),
    ) {
        let loaded = parse_text(Path::new("/test.toml"), &model.text());
        let mut bytes = compile(&loaded.config);
        for (index, byte) in edits {
            // Behind the magic and the version.
            let at = 12 + index.index(bytes.len() - 12);
            bytes[at] = byte;
        }
        let sum = portcullis_policy::format::checksum(&bytes[24..]);
        bytes[16..24].copy_from_slice(&sum.to_le_bytes());
        if let Ok(policy) = Policy::new(&bytes) {
            let verdict = policy.decide_connect(0, to(target, port), || Transport::Datagram, HostName::none);
            let _ = policy.clause(verdict.clause);
            let names: [&[u8]; 2] = [b"sh", b"dash"];
            let program = ExecutedProgram { names: &names, command: Some(b"/usr/sbin/sendmail -t -i"), ..ExecutedProgram::default() };
            let verdict = policy.decide_exec(u32::MAX, &program);
            let _ = (policy.clause(verdict.clause), policy.sources().count(), policy.log_file(), policy.sinks());
        }
    }

    #[test]
    fn any_change_of_a_bit_is_found(model in model(), at: prop::sample::Index, bit in 0_u8..8) {
        let loaded = parse_text(Path::new("/test.toml"), &model.text());
        let mut bytes = compile(&loaded.config);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Policy::new(&bytes).is_err(), "byte {}", at);
    }

    #[test]
    fn any_truncation_is_found(model in model(), at: prop::sample::Index) {
        let loaded = parse_text(Path::new("/test.toml"), &model.text());
        let bytes = compile(&loaded.config);
        prop_assert!(Policy::new(&bytes[..at.index(bytes.len())]).is_err());
    }
}

/// Whether a word is matched, by recursion over both.
fn matches(pattern: &str, word: &str) -> bool {
    fn all(pattern: &[u8], word: &[u8]) -> bool {
        match (pattern.split_first(), word.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => all(rest, word) || (!word.is_empty() && all(pattern, &word[1..])),
            (Some((want, rest)), Some((have, tail))) => want == have && all(rest, tail),
            _ => false,
        }
    }
    (!word.starts_with('-') || pattern.starts_with('-')) && all(pattern.as_bytes(), word.as_bytes())
}

#[test]
fn the_built_in_policy_has_the_lists() {
    let bytes = compile(&portcullis_config::Config::default());
    let policy = Policy::new(&bytes).expect("a policy");
    let connect = |address: &str, port| {
        policy
            .decide_connect(0, to(address.parse().expect("an address"), port), || Transport::Stream, HostName::none)
            .outcome
    };
    for port in [80, 443, 8080, 8443, 8000, 8888, 3128, 3306, 5432, 8220, 8082] {
        assert_eq!(connect("25.0.0.1", port), Outcome::Allow, "{port}");
    }
    for local in ["127.9.9.9", "10.1.1.1", "172.31.0.1", "192.168.0.1", "169.254.1.1", "::1", "fe80::1", "fc00::1"] {
        assert_eq!(connect(local, 4444), Outcome::Allow, "{local}");
    }
    for outside in ["25.0.0.1", "172.32.0.1", "2600::1", "::ffff:25.0.0.1"] {
        assert_eq!(connect(outside, 4444), Outcome::Audit, "{outside}");
    }
    let probe = policy.decide_connect(
        0,
        to("25.0.0.1".parse().expect("an address"), 9),
        || Transport::Datagram,
        HostName::none,
    );
    assert_eq!(probe.outcome, Outcome::Allow);
    assert_eq!(connect("25.0.0.1", 9), Outcome::Audit);
    let exec = |names: &[&[u8]], command: &[u8]| {
        policy.decide_exec(0, &ExecutedProgram { names, command: Some(command), ..ExecutedProgram::default() }).outcome
    };
    assert_eq!(exec(&[b"sh", b"dash"], b"id"), Outcome::Audit);
    assert_eq!(exec(&[b"sh", b"dash"], b"/usr/sbin/sendmail -t -i"), Outcome::Allow);
    assert_eq!(exec(&[b"sh", b"dash"], b"/usr/sbin/sendmail -t -i -X/tmp/x"), Outcome::Audit);
    assert_eq!(exec(&[b"sh", b"dash"], b"/usr/sbin/sendmail -t -i; id"), Outcome::Audit);
    assert_eq!(exec(&[b"convert"], b"anything"), Outcome::Allow);
    let mut all = String::new();
    for shell in ["sh", "bash", "dash", "zsh", "ksh", "csh", "tcsh", "fish", "ash", "mksh", "rbash", "yash", "pwsh"] {
        if exec(&[shell.as_bytes()], b"id") != Outcome::Audit {
            let _ = write!(all, "{shell} ");
        }
    }
    assert_eq!(all, "", "not shells");
}

/// Programs that start others are tools: an event, refused only where the rule is enforced, and allowed by their command.
#[test]
fn programs_that_start_others_are_tools() {
    let names =
        "awk gawk mawk tclsh tclsh8.6 expect gdb at batch unshare nsenter chroot ssh-agent sg sudo su curl wget";
    for (text, outcome) in [
        ("mode = \"enforce\"\n", Outcome::Audit),
        ("[rules.exec-tool]\nmode = \"enforce\"\n", Outcome::Deny),
        ("[rules.exec-tool]\nmode = \"enforce\"\n[exec]\nallow = [\"/nowhere/* -x *\"]\n", Outcome::Allow),
    ] {
        let bytes = policy_of(text);
        let policy = Policy::new(&bytes).expect("a policy");
        for name in names.split(' ') {
            let (path, names) = (format!("/nowhere/{name}"), [name.as_bytes()]);
            let words = [path.as_bytes(), b"-x", b"y"];
            let program = ExecutedProgram {
                names: &names,
                own_names: 1,
                words: Some(&words),
                path: path.as_bytes(),
                of_system: true,
                ..ExecutedProgram::default()
            };
            let verdict = policy.decide_exec(0, &program);
            assert_eq!((verdict.outcome, name), (outcome, name), "{text}");
            assert!(outcome == Outcome::Allow || verdict.rule == Rule::ExecTool, "{text}: {name}");
        }
    }
}

/// Another shell may take `2>&1` for something else, as csh does: with a redirection, only a shell that is known to read it so runs a simple command.
#[test]
fn a_redirection_is_part_of_a_command_of_some_shells() {
    let bytes = policy_of("[exec]\nallow = [\"/nowhere/convert a b\"]\n");
    let policy = Policy::new(&bytes).expect("a policy");
    for (names, redirects) in [
        (&[&b"sh"[..], b"dash"][..], true),
        (&[b"bash"], true),
        (&[b"sh", b"mksh"], false),
        (&[b"yash"], false),
        (&[b"elvish"], false),
        (&[b"sh", b"busybox", b"sh"], false),
    ] {
        for (command, is_redirected) in [("", false), (" 2>&1", true), (" >/dev/null", true)] {
            let text = format!("/nowhere/convert a b{command}");
            let program = ExecutedProgram {
                names,
                own_names: names.len(),
                command: Some(text.as_bytes()),
                path: b"/bin/sh",
                of_system: true,
                ..ExecutedProgram::default()
            };
            let outcome = policy.decide_exec(0, &program).outcome;
            assert_eq!(outcome == Outcome::Allow, redirects || !is_redirected, "{names:?}: {text}");
        }
    }
}

/// The policy of a text.
fn policy_of(text: &str) -> Vec<u8> {
    let loaded = parse_text(Path::new("/test.toml"), text);
    assert!(loaded.usable(), "{text}");
    compile(&loaded.config)
}

#[test]
fn an_entry_holds_where_the_environment_steers_nothing() {
    let text = "mode = \"enforce\"\n[exec]\nallow = [\"default\", \"uname -r\", \"/usr/bin/perl /x.pl\"]\n\
                [rules.exec-tool]\nmode = \"audit\"\n";
    let bytes = policy_of(text);
    let policy = Policy::new(&bytes).expect("a policy");
    let names: [&[u8]; 2] = [b"sh", b"dash"];
    let command = |command| ExecutedProgram { names: &names, command: Some(command), ..ExecutedProgram::default() };
    let decide = |program: &ExecutedProgram<'_>, entry: &[u8]| {
        let environment = |bare| variable(entry, bare).map_or(Steering::None, Steering::By);
        let verdict = policy.decide_exec_in(0, program, environment);
        (verdict.outcome, verdict.rule, String::from_utf8_lossy(verdict.own_clause().unwrap_or_default()).into_owned())
    };
    let allowed = (Outcome::Allow, Rule::ShellSpawn, String::new());
    let by = |name: &str| format!("allow does not hold: {name} is not known to be the server's own");
    let mail = command(b"/usr/sbin/sendmail -t -i");
    assert_eq!(decide(&mail, b"LC_ALL=C"), allowed);
    assert_eq!(decide(&mail, b"PATH=/tmp"), allowed, "a path says itself what runs");
    assert_eq!(decide(&mail, b"BASH_ENV=/tmp/x"), (Outcome::Deny, Rule::ShellSpawn, by("BASH_ENV")));
    assert_eq!(decide(&command(b"uname -r"), b"PATH=/tmp:/bin"), (Outcome::Deny, Rule::ShellSpawn, by("PATH")));
    assert_eq!(decide(&command(b"uname -r"), b"PATH=/usr/bin:/bin"), allowed);
    // An entry holds for tools and places too, and so it is lost to them.
    let words: [&[u8]; 2] = [b"/usr/bin/perl", b"/x.pl"];
    let perl = ExecutedProgram { names: &[b"perl"], own_names: 1, words: Some(&words), ..ExecutedProgram::default() };
    assert_eq!(decide(&perl, b"A=1").0, Outcome::Allow);
    assert_eq!(decide(&perl, b"PERL5OPT=-M/tmp/x"), (Outcome::Audit, Rule::ExecTool, by("PERL5OPT")));
    // What nobody allows is no event of the variable's.
    assert_eq!(decide(&command(b"id"), b"BASH_ENV=/tmp/x"), (Outcome::Deny, Rule::ShellSpawn, String::new()));
    // What cannot be read is an outcome of its own.
    let verdict = policy.decide_exec_in(0, &mail, |_| Steering::Unknown);
    assert_eq!((verdict.outcome, verdict.unknown), (Outcome::Deny, Some(Unknown::Environment)));
    assert_eq!((verdict.rule, verdict.also), (Rule::ShellSpawn, 0));
    // A shell that always reads a file in the home folder.
    let zsh = ExecutedProgram { names: &[b"zsh"], ..mail };
    assert_eq!(decide(&zsh, b"A=1"), (Outcome::Deny, Rule::ShellSpawn, by("HOME")));
}

#[test]
fn a_program_without_a_folder_is_the_systems() {
    let bytes = policy_of("mode = \"enforce\"\n[exec]\nallow = [\"script.sh *\"]\n");
    let policy = Policy::new(&bytes).expect("a policy");
    let words: [&[u8]; 2] = [b"script.sh", b"x"];
    let names: [&[u8]; 2] = [b"script.sh", b"sh"];
    for (of_system, outcome) in [(true, Outcome::Allow), (false, Outcome::Deny)] {
        let program = ExecutedProgram {
            names: &names,
            own_names: 1,
            words: Some(&words),
            of_system,
            ..ExecutedProgram::default()
        };
        assert_eq!(policy.decide_exec(0, &program).outcome, outcome);
        assert_eq!(policy.decide_exec_in(0, &program, |_| Steering::None).outcome, outcome);
    }
}

#[test]
fn a_mailer_that_runs_any_command_is_an_event() {
    let bytes = compile(&portcullis_config::Config::default());
    let policy = Policy::new(&bytes).expect("a policy");
    let decide = |path: &str, words: &[&[u8]]| {
        let names: [&[u8]; 1] = [path.rsplit('/').next().unwrap_or_default().as_bytes()];
        let (path, unguarded) = (path.as_bytes(), "setuid");
        let program = ExecutedProgram {
            names: &names,
            path,
            unguarded,
            words: Some(words),
            own_names: 1,
            ..ExecutedProgram::default()
        };
        policy.decide_exec(0, &program).outcome
    };
    for path in ["/usr/sbin/postdrop", "/usr/sbin/dma", "/usr/sbin/smtpctl", "/usr/sbin/ssmtp"] {
        assert_eq!(decide(path, &[b"x", b"-r"]), Outcome::Allow, "{path}");
    }
    let run: [&[u8]; 3] = [b"/usr/sbin/sendmail", b"-be", b"${run{/bin/true}}"];
    let mail: [&[u8]; 3] = [b"/usr/sbin/sendmail", b"-t", b"-i"];
    for path in
        ["/usr/sbin/exim4", "/usr/libexec/sendmail/sendmail", "/usr/bin/msmtp", "/usr/lib/apache2/suexec-custom"]
    {
        assert_eq!(decide(path, &run), Outcome::Audit, "{path}");
        assert_eq!(decide(path, &mail), Outcome::Allow, "{path}: PHP's mail()");
    }
}

#[test]
fn what_could_not_be_judged_is_said_beside_what_decided() {
    let bytes = policy_of("mode = \"enforce\"\n[rules.exec-tool]\nmode = \"audit\"\n");
    let policy = Policy::new(&bytes).expect("a policy");
    let decide = |names: &[&[u8]], unknown| {
        let verdict = policy.decide_exec(0, &ExecutedProgram { names, unknown, ..ExecutedProgram::default() });
        (verdict.outcome, verdict.unknown, verdict.beside, verdict.also & Rule::ExecTool.bit() != 0)
    };
    let what = Some(Unknown::Path);
    assert_eq!(decide(&[b"sh"], None), (Outcome::Deny, None, None, false));
    assert_eq!(decide(&[b"sh"], what), (Outcome::Deny, None, what, true));
    assert_eq!(decide(&[b"true"], what), (Outcome::Deny, what, None, true));
}

/// A translator or a tunnel takes a packet to the v4 address in these v6 addresses.
#[test]
fn the_v4_address_in_a_v6_address_is_judged_too() {
    let text = "mode = \"enforce\"\n[egress]\nallow = [\"25.0.0.1:4444\", \"[2002:1900:3::/48]:4444\"]\n\
                deny = [\"25.0.0.2:443\"]\n[rules]\nmetadata = { mode = \"enforce\" }\n";
    let loaded = parse_text(Path::new("/test.toml"), text);
    assert!(loaded.usable());
    let bytes = compile(&loaded.config);
    let policy = Policy::new(&bytes).expect("a policy");
    let rule = |address: &str, port| {
        let to = to(address.parse().expect("an address"), port);
        let verdict = policy.decide_connect(0, to, || Transport::Stream, HostName::none);
        (verdict.outcome == Outcome::Deny).then_some(verdict.rule)
    };
    for (address, port, refused) in [
        ("64:ff9b::25.0.0.1", 4444, None),
        ("2002:1900:0001:7::9", 4444, None),
        ("::25.0.0.1", 4444, None),
        // Its own entry, and not that of the v4 address in it.
        ("2002:1900:0003::1", 4444, None),
        ("64:ff9b::25.0.0.3", 4444, Some(Rule::EgressPort)),
        ("64:ff9b::25.0.0.2", 443, Some(Rule::EgressPort)),
        ("2002:1900:0002::1", 443, Some(Rule::EgressPort)),
        ("64:ff9b::169.254.169.254", 80, Some(Rule::Metadata)),
        ("2002:a9fe:a9fe::", 80, Some(Rule::Metadata)),
        ("::169.254.169.254", 80, Some(Rule::Metadata)),
        // Not local: it leaves the host, and no such address is to be in it.
        ("64:ff9b::10.0.0.1", 4444, Some(Rule::EgressPort)),
        ("64:ff9b::127.0.0.1", 4444, Some(Rule::EgressPort)),
        ("2002:7f00:0001::1", 4444, Some(Rule::EgressPort)),
        ("2002:c0a8:0001::1", 4444, Some(Rule::EgressPort)),
        ("::1", 4444, None),
        // Another prefix.
        ("64:ff9b:0:0:0:1:1900:1", 4444, Some(Rule::EgressPort)),
    ] {
        assert_eq!(rule(address, port), refused, "{address}");
    }
}

#[test]
fn a_log_that_can_be_emptied_is_warned_of() {
    let warned = |sinks: &str| {
        let loaded = parse_text(Path::new("/test.toml"), &format!("[log]\nsink = [{sinks}]\n"));
        assert!(loaded.usable());
        loaded.diagnostics.iter().map(|one| one.render(false)).collect::<Vec<_>>()
    };
    for sinks in ["\"journald\"", "\"file\", \"journald\"", "\"syslog\", \"file\"", "\"file\", \"stderr\""] {
        assert!(warned(sinks).is_empty(), "{sinks}");
    }
    let [text] = warned("\"file\"").try_into().expect("one warning");
    assert!(text.contains("/test.toml:2:8") && text.contains("can empty it"), "{text}");
}

#[test]
fn a_program_without_a_folder_is_warned_of() {
    let loaded = parse_text(Path::new("/test.toml"), "[exec]\nallow = [\"default\", \"uname -r\", \"/nowhere/a\"]\n");
    assert!(loaded.usable());
    let [warning] = loaded.diagnostics.as_slice() else { panic!("{:?}", loaded.diagnostics) };
    assert_eq!(warning.severity, portcullis_config::Severity::Warning);
    let text = warning.render(false);
    assert!(text.contains("/test.toml:2:21") && text.contains("^^^^^^^^^^"), "{text}");
    assert!(text.contains("`uname` is named without its folder"), "{text}");
}

#[test]
fn an_off_rule_is_silent() {
    for text in ["mode = \"off\"", "[egress]\nmode = \"off\"", "[rules.egress-port]\nmode = \"off\""] {
        let loaded = parse_text(Path::new("/test.toml"), text);
        assert_eq!(loaded.config.global.modes.rules[0].or(loaded.config.global.modes.all), Some(Mode::Off), "{text}");
        let bytes = compile(&loaded.config);
        let policy = Policy::new(&bytes).expect("a policy");
        let verdict = policy.decide_connect(0, to([25, 0, 0, 1].into(), 4444), || Transport::Stream, HostName::none);
        assert_eq!(verdict.outcome, Outcome::Allow, "{text}");
    }
}
