//! What the built-in lists and single entries decide.

use crate::to;
use portcullis_config::{compile, parse_text};
use portcullis_policy::egress::Transport;
use portcullis_policy::exec::ExecutedProgram;
use portcullis_policy::name::HostName;
use portcullis_policy::startup::{Steering, variable};
use portcullis_policy::{Mode, Outcome, Policy, Rule, Unknown};
use std::fmt::Write;
use std::path::Path;

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
