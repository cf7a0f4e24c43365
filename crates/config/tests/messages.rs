//! What an error says, where its caret is, and what its help tells to write.
#![allow(clippy::disallowed_methods)]

use portcullis_config::{Severity, parse_text};
use std::path::Path;

/// The diagnostics of a text as they are shown, one behind the other.
fn shown(text: &str, severity: Severity) -> String {
    let loaded = parse_text(Path::new("/test.toml"), text);
    let of_it = loaded.diagnostics.iter().filter(|one| one.severity == severity);
    of_it.map(|one| one.render(false)).collect::<Vec<_>>().join("\n")
}

/// `text` has one error, at `place`, with these words in its message and its help.
fn fails(text: &str, place: &str, message: &str, help: &str) {
    let shown = shown(text, Severity::Error);
    assert_eq!(shown.matches("error: ").count(), 1, "{text}\n{shown}");
    assert!(shown.contains(&format!("/test.toml:{place}\n")), "{place}: {text}\n{shown}");
    let (head, rest) = shown.split_once('\n').expect("several lines");
    assert!(head.contains(message), "{message}: {text}\n{shown}");
    let (_, helped) = rest.split_once("help: ").unwrap_or_else(|| panic!("no help: {text}\n{shown}"));
    assert!(helped.contains(help), "{help}: {text}\n{shown}");
}

#[test]
fn a_name_where_a_path_has_to_be() {
    fails(
        "[rules.namespace]\nallow = [\"bwrap\"]\n",
        "2:10",
        "`bwrap` is not an absolute path",
        "for example `/usr/bin/bwrap`",
    );
    fails(
        "[rules.exec-unguarded]\nallow = [\"default\", \"../fping\"]\n",
        "2:21",
        "`../fping` is not an absolute path",
        "for example `/usr/bin/fping`",
    );
    fails("[rules.namespace]\nallow = [\"/opt/x/\"]\n", "2:10", "`/opt/x/` names a folder", "`/opt/x/*`");
    fails("[rules.exec-place]\nplaces = [\"tmp\"]\n", "2:11", "`tmp` is no place", "memfd, writable, hidden");
    fails("[rules.exec-place]\nplaces = [\"/srv/\"]\n", "2:11", "`/srv/` is no place", "write `/srv`");
    fails("[rules.exec-tool]\ntools = [\"/usr/bin/curl\"]\n", "2:10", "`/usr/bin/curl` is not a name", "write `curl`");
    fails("[exec]\nshells = [\"/bin/sh\"]\n", "2:11", "`/bin/sh` is not a name", "write `sh`");
    fails("[rules.php-ini]\nallow = [\"\"]\n", "2:10", "empty", "remove it");
}

#[test]
fn a_word_that_stands_for_nothing() {
    for (table, key) in [
        ("egress", "allow"),
        ("egress", "deny"),
        ("rules.namespace", "allow"),
        ("rules.loader-env", "allow"),
        ("rules.listen-port", "allow"),
        ("rules.php-ini", "allow"),
    ] {
        let text = format!("[{table}]\n{key} = [\"default\"]\n");
        let place = format!("2:{}", key.len() + 5);
        fails(&text, &place, &format!("`{key}` has no built-in list"), "remove `\"default\"`");
    }
    for (table, key) in [
        ("egress", "allow"),
        ("egress", "common_ports"),
        ("egress", "local_ranges"),
        ("exec", "allow"),
        ("exec", "shells"),
        ("rules.exec-place", "places"),
        ("rules.exec-tool", "tools"),
        ("rules.loader-env", "allow"),
        ("rules.listen-port", "allow"),
        ("rules.dns-direct", "resolvers"),
        ("rules.metadata", "addresses"),
        ("rules.php-ini", "allow"),
        ("rules.exec-unguarded", "allow"),
        ("rules.namespace", "allow"),
    ] {
        let text = format!("[{table}]\n{key} = [\"global\"]\n");
        let place = format!("2:{}", key.len() + 5);
        fails(&text, &place, "this is the global list", "remove `\"global\"`");
        let text =
            format!("[[vhost]]\nname = \"a\"\nmatch = {{ pool = \"a\" }}\n[vhost.{table}]\n{key} = [\"global\"]\n");
        assert_eq!(shown(&text, Severity::Error), "", "{text}");
    }
    let vhost = "[[vhost]]\nname = \"a\"\nmatch = { pool = \"a\" }\n[vhost.egress]\ndeny = [\"global\"]\n";
    fails(vhost, "5:9", "`deny` of a virtual host adds to the global list", "remove `\"global\"`");
}

#[test]
fn shell_syntax_in_a_command() {
    for (command, what) in [
        ("/bin/a; id", "`;`"),
        ("/bin/a && id", "`&`"),
        ("/bin/a | /bin/b", "`|`"),
        ("/bin/a > /tmp/x", "`>`"),
        ("/bin/a 'x;y' <b", "`<`"),
        ("/bin/a $(id)", "`$`"),
        ("/bin/a `id`", "`` ` ``"),
        ("/bin/a \\\"$X\\\"", "`$`"),
        ("/bin/a 'b", "a quote `'` that is not closed"),
        ("A=1 /bin/a", "`=` in the program's name"),
        ("if /bin/a", "`if`"),
        ("exec if /bin/a", "`exec`"),
        ("/bin/a ~/x", "`~`"),
        ("/bin/a {b,c}", "`{`"),
        ("/bin/a [ab]", "`[`"),
        ("/bin/a * > x*", "`>`"),
    ] {
        let text = format!("[exec]\nallow = [\"{command}\"]\n");
        fails(&text, "2:10", "is not a simple command", "the path of a script");
        fails(&text, "2:10", &format!("it has {what}"), "one command per entry");
    }
    fails("[exec]\nallow = [\"\"]\n", "2:10", "the command is empty", "remove it");
}

#[test]
fn a_table_that_there_is_not() {
    fails(
        "[rules.exec]\nmode = \"enforce\"\n",
        "1:8",
        "there is no rule `exec`",
        "`exec-place`, `exec-tool` or `exec-unguarded`",
    );
    fails("[rules.exec]\nmode = \"enforce\"\n", "1:8", "", "`[exec]`");
    fails(
        "[rules.egress]\nmode = \"enforce\"\n",
        "1:8",
        "there is no rule `egress`",
        "table of `egress-port` is `[egress]`",
    );
    fails("[rules.process]\nmode = \"audit\"\n", "1:8", "there is no rule `process`", "did you mean `process-memory`?");
    fails("[rules.exec-tol]\nmode = \"audit\"\n", "1:8", "there is no rule `exec-tol`", "did you mean `exec-tool`?");
    fails(
        "[rules]\nmode = \"enforce\"\n",
        "2:1",
        "there is no rule `mode`",
        "`[rules.NAME]` with `mode = \"enforce\"`",
    );
    fails("[rules.xyzzy]\nmode = \"audit\"\n", "1:8", "there is no rule `xyzzy`", "the rules are: egress-port,");
    fails("[exec-unguarded]\nmode = \"audit\"\n", "1:2", "unknown key `exec-unguarded`", "`[rules.exec-unguarded]`");
    fails(
        "[[vhost]]\nname = \"a\"\nmatch = { pool = \"a\" }\n[vhost.namespace]\nmode = \"audit\"\n",
        "4:8",
        "unknown key `namespace`",
        "`[vhost.rules.namespace]`",
    );
}

#[test]
fn a_key_that_is_another_tables() {
    for (table, key, other) in [
        ("rules.shell-spawn", "allow", "[exec] allow"),
        ("rules.shell-spawn", "shells", "[exec] shells"),
        ("rules.shell-spawn", "errno", "[exec] errno"),
        ("rules.egress-port", "allow", "[egress] allow"),
        ("rules.egress-port", "common_ports", "[egress] common_ports"),
        ("rules.exec-tool", "allow", "[exec] allow"),
        ("rules.exec-place", "allow", "[exec] allow"),
        ("rules.fpm-socket", "allow", "mode, why"),
    ] {
        fails(&format!("[{table}]\n{key} = []\n"), "2:1", &format!("unknown key `{key}`"), other);
    }
    let vhost = "[[vhost]]\nname = \"a\"\nmatch = { pool = \"a\" }\n[vhost.rules.shell-spawn]\nallow = []\n";
    fails(vhost, "5:1", "unknown key `allow`", "`[vhost.exec] allow`");
}

#[test]
fn a_value_where_a_table_has_to_be() {
    let help = "`[rules.exec-unguarded]` with `mode = \"enforce\"`";
    fails("[rules]\nexec-unguarded = \"enforce\"\n", "2:18", "this is a string, not a table", help);
    fails("egress = \"enforce\"\n", "1:10", "this is a string, not a table", "`[egress]` with `mode = \"enforce\"`");
    fails("log = \"file\"\n", "1:7", "this is a string, not a table", "`[log]` with `sink = \"file\"`");
    fails("backstop = \"log\"\n", "1:12", "this is a string, not a table", "`[backstop]` with `seccomp = \"log\"`");
    fails("rules = \"enforce\"\n", "1:9", "this is a string, not a table", "`[rules.NAME]` with `mode = \"enforce\"`");
    let vhost = "[[vhost]]\nname = \"a\"\nmatch = { pool = \"a\" }\nexec = \"off\"\n";
    fails(vhost, "4:8", "this is a string, not a table", "`[vhost.exec]` with `mode = \"off\"`");
    let vhost = "[[vhost]]\nname = \"a\"\nmatch = { pool = \"a\" }\n[vhost.rules]\nnamespace = \"off\"\n";
    fails(vhost, "5:13", "this is a string, not a table", "`[vhost.rules.namespace]` with `mode = \"off\"`");
}

#[test]
fn a_type_has_its_article() {
    for (value, name) in [
        ("\"x\"", "a string"),
        ("1", "an integer"),
        ("1.5", "a float"),
        ("true", "a boolean"),
        ("1979-05-27", "a date or time"),
        ("[]", "a list"),
    ] {
        let shown = shown(&format!("[rules]\nnamespace = {value}\n"), Severity::Error);
        assert!(shown.contains(&format!("this is {name}, not a table")), "{shown}");
    }
    let shown = shown("mode = { }\n", Severity::Error);
    assert!(shown.contains("this is a table, not a string"), "{shown}");
}

/// Whatever is wrong, there is a help.
#[test]
fn every_error_has_a_help() {
    let vhost = |keys: &str| format!("[[vhost]]\nname = \"a\"\nmatch = {{ pool = \"a\" }}\n{keys}");
    for (text, help) in [
        ("mode = \"on\"\n".to_owned(), "write one of: off, audit, enforce"),
        ("mode = 1\n".into(), "write it in quotes"),
        ("[egress]\nallow = [\"192.88.1.1\"]\n".into(), "`192.88.1.1:443`, or `192.88.1.1:*` for every port"),
        ("[egress]\nallow = [\"[2001:db8::1]\"]\n".into(), "`[2001:db8::1]:443`"),
        ("[egress]\nallow = [\"[2001:db8::1:443\"]\n".into(), "`[ADDRESS]:PORT`"),
        ("[egress]\nallow = [\"2001:db8::1:443\"]\n".into(), "`[ADDRESS]:PORT`"),
        ("[egress]\nallow = [\"h:70000\"]\n".into(), "a port, a range"),
        ("[egress]\nallow = [\"h:9-8\"]\n".into(), "write `8-9`"),
        ("[egress]\nallow = [\"https://api.example.com/v1\"]\n".into(), "`api.example.com:443`"),
        ("[egress]\nallow = [\"http://api.example.com:8081/v1\"]\n".into(), "`api.example.com:8081`"),
        ("[egress]\nallow = [\"a b:1\"]\n".into(), "`192.88.1.0/24:443`"),
        ("[egress]\nallow = [\"10.1.2.3/8:1\"]\n".into(), "write `10.0.0.0/8`"),
        ("[egress]\nlocal_ranges = [\"10.0.0.0/33\"]\n".into(), "an IPv4 prefix is 0 to 32"),
        ("[egress]\nlocal_ranges = [\"2001:db8::/129\"]\n".into(), "an IPv6 prefix is 0 to 128"),
        ("[egress]\nlocal_ranges = [\"intranet\"]\n".into(), "`10.0.0.0/8`"),
        ("[egress]\ncommon_ports = [70000]\n".into(), "a port, a range"),
        ("[egress]\ncommon_ports = [true]\n".into(), "a port, a range"),
        ("[egress]\nerrno = \"EIO\"\n".into(), "write one of: EACCES,"),
        (format!("[egress]\nwhy = \"{}\"\n", "x".repeat(241)), "240 bytes"),
        ("[log]\nfile = \"events\"\n".into(), "/var/log/portcullis/events.jsonl"),
        ("[log]\nseal = 1\n".into(), "write true or false, without quotes"),
        ("[log]\nmerge = \"yes\"\n".into(), "write true or false, without quotes"),
        ("[backstop]\nno_new_privs = 1\n".into(), "write true or false, without quotes"),
        ("[rules.dns-direct]\nresolvers = [\"ns1\"]\n".into(), "`10.0.0.2`"),
        ("vhost = 1\n".into(), "write [[vhost]]"),
        ("vhost = [1]\n".into(), "write [[vhost]]"),
        (vhost("[[vhost]]\nname = \"a\"\nmatch = { pool = \"b\" }\n"), "another name"),
        ("[[vhost]]\nmatch = { pool = \"b\" }\n".into(), "add name"),
        ("[[vhost]]\nname = \"a\"\nmatch = { pool = \"\" }\n".into(), "name one pool"),
        ("[[vhost]]\nname = \"a\"\nmatch = { profile = [] }\n".into(), "name one profile"),
        ("[[vhost]]\nname = \"a\"\nmatch = { script = \"x.php\" }\n".into(), "write an absolute path"),
        ("[[vhost]]\nname = \"a\"\nmatch = { document_root = [] }\n".into(), "remove the key"),
    ] {
        let loaded = parse_text(Path::new("/test.toml"), &text);
        let errors = loaded.diagnostics.iter().filter(|one| one.severity == Severity::Error);
        let helps: Vec<&str> = errors.map(|one| one.help.as_deref().unwrap_or_default()).collect();
        assert!(!helps.is_empty() && helps.iter().all(|help| !help.is_empty()), "{text}\n{helps:?}");
        assert!(helps.iter().any(|one| one.contains(help)), "{help}: {text}\n{helps:?}");
    }
}
