//! Virtual hosts: which one holds, held against a slow, obvious model; and what each says.
#![allow(clippy::disallowed_methods)]

use portcullis_config::{Severity, compile, parse_text};
use portcullis_policy::egress::{Connection, Transport};
use portcullis_policy::exec::ExecutedProgram;
use portcullis_policy::name::HostName;
use portcullis_policy::vhost::VhostQuery;
use portcullis_policy::{Outcome, Policy, Rule, STRICTEST_SCOPE};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Write;
use std::path::Path;

const MODULE: u8 = 1;
const NGINX: u8 = 2;
const APACHE: u8 = 3;

fn compiled(text: &str) -> Vec<u8> {
    let loaded = parse_text(Path::new("/test.toml"), text);
    let errors: Vec<_> =
        loaded.diagnostics.iter().filter(|one| one.severity == Severity::Error).map(|one| one.render(false)).collect();
    assert!(errors.is_empty(), "{text}\n{errors:#?}");
    compile(&loaded.config)
}

fn connect(policy: &Policy<'_>, scope: u32, address: &str, port: u16) -> Outcome {
    policy
        .decide_connect(
            scope,
            Connection { address: address.parse().expect("an address"), port, sends: false },
            || Transport::Stream,
            HostName::none,
        )
        .outcome
}

fn shell(policy: &Policy<'_>, scope: u32, command: &str) -> Outcome {
    policy
        .decide_exec(
            scope,
            &ExecutedProgram { names: &[b"sh"], command: Some(command.as_bytes()), ..ExecutedProgram::default() },
        )
        .outcome
}

/// The scope of the one virtual host that is asked for by its pool.
fn of_pool(policy: &Policy<'_>, pool: &str) -> u32 {
    let asked = VhostQuery { pool: pool.as_bytes(), ..VhostQuery::default() };
    policy.vhost(&asked).map_or(0, |vhost| policy.vhost_scope(vhost).0)
}

#[derive(Clone, Debug)]
struct Host {
    server_name: Vec<String>,
    document_root: Vec<String>,
    script: Vec<String>,
    pool: Vec<String>,
    profile: Vec<String>,
}

fn name() -> impl Strategy<Value = String> {
    vec(prop::sample::select(vec!["a", "b"]), 1..4).prop_map(|labels| labels.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![name(), name().prop_map(|name| format!("*.{name}")), name().prop_map(|name| format!("{name}*"))]
}

fn path() -> impl Strategy<Value = String> {
    vec(prop::sample::select(vec!["x", "y"]), 0..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn few<S: Strategy<Value = String> + 'static>(one: S) -> impl Strategy<Value = Vec<String>> {
    let one = one.boxed();
    prop_oneof![2 => Just(Vec::new()), 1 => vec(one, 1..3)]
}

fn host() -> impl Strategy<Value = Host> {
    let word = || prop::sample::select(vec!["p".to_owned(), "q".to_owned()]);
    (few(pattern()), few(path()), few(path()), few(word()), few(word()))
        .prop_map(|(server_name, document_root, script, pool, profile)| Host {
            server_name,
            document_root,
            script,
            pool,
            profile,
        })
        .prop_filter("a key", |host| {
            [&host.server_name, &host.document_root, &host.script, &host.pool, &host.profile]
                .iter()
                .any(|key| !key.is_empty())
        })
}

fn list(name: &str, values: &[String]) -> Option<String> {
    let items: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    (!values.is_empty()).then(|| format!("{name} = [{}]", items.join(", ")))
}

fn toml(hosts: &[Host]) -> String {
    let mut text = String::new();
    for (index, host) in hosts.iter().enumerate() {
        let keys = [
            list("server_name", &host.server_name),
            list("document_root", &host.document_root),
            list("script", &host.script),
            list("pool", &host.pool),
            list("profile", &host.profile),
        ];
        let keys: Vec<String> = keys.into_iter().flatten().collect();
        let _ = writeln!(text, "[[vhost]]\nname = \"{index}\"\nmatch = {{ {} }}", keys.join(", "));
    }
    text
}

/// How specific a match is, by the rule that docs/configuration.md has.
fn rank(host: &Host, asked: &VhostQuery<'_>) -> Option<[usize; 5]> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let inside = |prefixes: &[String], path: &str| {
        if prefixes.is_empty() {
            return Some(0);
        }
        let fits = |prefix: &&String| {
            !path.is_empty()
                && (path == prefix.as_str() || path.starts_with(&format!("{}/", prefix.trim_end_matches('/'))))
        };
        prefixes.iter().filter(fits).map(String::len).max()
    };
    let equal = |values: &[String], value: &str| match values {
        [] => Some(0),
        values => values.iter().any(|own| own == value).then_some(1),
    };
    let wild = |pattern: &str, name: &str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (_, Some(start)) => name.starts_with(start),
        _ => false,
    };
    let server = text(asked.server_name);
    let name = if host.server_name.is_empty() {
        0
    } else if asked.source == MODULE || asked.source == NGINX {
        let ranks = host.server_name.iter().filter_map(|pattern| match () {
            () if *pattern == server => Some(usize::MAX),
            () if wild(pattern, &server) => Some(pattern.len()),
            () => None,
        });
        ranks.max()?
    } else {
        return None;
    };
    Some([
        equal(&host.profile, &text(asked.profile))?,
        inside(&host.script, &text(asked.script))?,
        inside(&host.document_root, &text(asked.document_root))?,
        name,
        equal(&host.pool, &text(asked.pool))?,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn the_most_specific_match_wins_as_in_the_model(
        hosts in vec(host(), 0..8),
        server_name in name(),
        document_root in path(),
        script in path(),
        pool in prop::sample::select(vec!["", "p", "q"]),
        profile in prop::sample::select(vec!["", "p", "q"]),
        source in 0_u8..4,
    ) {
        let bytes = compiled(&toml(&hosts));
        let policy = Policy::new(&bytes).expect("a policy");
        let asked = VhostQuery {
            server_name: server_name.as_bytes(),
            source,
            document_root: document_root.as_bytes(),
            script: script.as_bytes(),
            pool: pool.as_bytes(),
            profile: profile.as_bytes(),
        };
        let mut best: Option<([usize; 5], usize)> = None;
        for (index, host) in hosts.iter().enumerate() {
            if let Some(rank) = rank(host, &asked)
                && best.is_none_or(|(other, _)| rank > other)
            {
                best = Some((rank, index));
            }
        }
        let found = policy.vhost(&asked).map(|index| index as usize);
        prop_assert_eq!(found, best.map(|best| best.1), "{}", toml(&hosts));
    }
}

#[test]
fn a_name_is_believed_from_whom_the_match_says() {
    for (from, believed) in [
        ("", &[MODULE, NGINX][..]),
        (", server_name_from = \"module\"", &[MODULE]),
        (", server_name_from = [\"apache\", \"nginx\"]", &[NGINX, APACHE]),
        (", server_name_from = \"any\"", &[0, MODULE, NGINX, APACHE]),
    ] {
        let text = format!("[[vhost]]\nname = \"a\"\nmatch = {{ server_name = \"a.example\"{from} }}\n");
        let bytes = compiled(&text);
        let policy = Policy::new(&bytes).expect("a policy");
        for source in 0..4 {
            let asked = VhostQuery { server_name: b"a.example", source, ..VhostQuery::default() };
            assert_eq!(policy.vhost(&asked).is_some(), believed.contains(&source), "{text} {source}");
        }
    }
}

const SEVERAL: &str = r#"
mode = "audit"
[egress]
deny = ["169.254.169.254:*"]
allow = ["25.0.0.1:25"]
why = "mail only"
[exec]
allow = ["default", "/usr/bin/a"]
[[vhost]]
name = "plain"
match = { pool = "plain" }
[[vhost]]
name = "strict"
why = "shop"
match = { pool = "strict" }
mode = "enforce"
[vhost.egress]
common_ports = [443]
local_ranges = []
allow = ["25.0.0.2:25"]
deny = ["25.0.0.9:*"]
[vhost.exec]
mode = "off"
[[vhost]]
name = "adds"
match = { pool = "adds" }
[vhost.egress]
mode = "enforce"
why = "two mail servers"
allow = ["global", "25.0.0.2:25"]
common_ports = ["global", 9999]
[vhost.exec]
allow = ["global", "/usr/bin/b"]
shells = ["bash"]
"#;

#[test]
fn any_key_of_the_global_policy_may_be_overridden() {
    let bytes = compiled(SEVERAL);
    let policy = Policy::new(&bytes).expect("a policy");
    let plain = of_pool(&policy, "plain");
    let strict = of_pool(&policy, "strict");
    let adds = of_pool(&policy, "adds");
    assert_eq!(of_pool(&policy, "other"), 0);
    for scope in [0, plain] {
        assert_eq!(connect(&policy, scope, "25.0.0.1", 25), Outcome::Allow);
        assert_eq!(connect(&policy, scope, "25.0.0.2", 25), Outcome::Audit);
        assert_eq!(connect(&policy, scope, "10.0.0.1", 25), Outcome::Allow);
        assert_eq!(shell(&policy, scope, "/usr/bin/a"), Outcome::Allow);
        assert_eq!(shell(&policy, scope, "id"), Outcome::Audit);
        assert_eq!(policy.why(scope, Rule::EgressPort), b"mail only");
        assert_eq!(policy.why(scope, Rule::ShellSpawn), b"");
    }
    // Its lists replace the global ones; what is denied globally stays denied.
    assert_eq!(connect(&policy, strict, "25.0.0.1", 25), Outcome::Deny);
    assert_eq!(connect(&policy, strict, "25.0.0.2", 25), Outcome::Allow);
    assert_eq!(connect(&policy, strict, "25.0.0.2", 80), Outcome::Deny);
    assert_eq!(connect(&policy, strict, "10.0.0.1", 25), Outcome::Deny);
    assert_eq!(connect(&policy, strict, "169.254.169.254", 443), Outcome::Deny);
    assert_eq!(connect(&policy, strict, "25.0.0.9", 443), Outcome::Deny);
    assert_eq!(shell(&policy, strict, "id"), Outcome::Allow, "its rule wins over its mode");
    assert_eq!(policy.why(strict, Rule::EgressPort), b"shop");
    // "global" stands for the global list.
    assert_eq!(connect(&policy, adds, "25.0.0.1", 25), Outcome::Allow);
    assert_eq!(connect(&policy, adds, "25.0.0.2", 25), Outcome::Allow);
    assert_eq!(connect(&policy, adds, "25.0.0.3", 9999), Outcome::Allow);
    assert_eq!(connect(&policy, adds, "25.0.0.3", 4444), Outcome::Deny);
    assert_eq!(policy.why(adds, Rule::EgressPort), b"two mail servers");
    assert_eq!(shell(&policy, adds, "id"), Outcome::Allow, "sh is no shell there");
    // A denial of one virtual host is no other's.
    for scope in [0, plain, adds] {
        assert_ne!(connect(&policy, scope, "25.0.0.9", 443), Outcome::Deny);
    }
}

#[test]
fn the_strictest_is_never_weaker_than_any() {
    let bytes = compiled(SEVERAL);
    let policy = Policy::new(&bytes).expect("a policy");
    let scopes: Vec<u32> = ["other", "plain", "strict", "adds"].map(|pool| of_pool(&policy, pool)).to_vec();
    let rank = |outcome| match outcome {
        Outcome::Allow => 0,
        Outcome::Audit => 1,
        Outcome::Deny => 2,
    };
    for address in
        ["25.0.0.1", "25.0.0.2", "25.0.0.3", "25.0.0.9", "10.0.0.1", "127.0.0.1", "169.254.169.254", "2600::1"]
    {
        for port in [25, 53, 80, 443, 4444, 9999] {
            let strictest = rank(connect(&policy, STRICTEST_SCOPE, address, port));
            for scope in &scopes {
                assert!(strictest >= rank(connect(&policy, *scope, address, port)), "{address}:{port} {scope}");
            }
        }
    }
    for command in ["id", "/usr/bin/a", "/usr/bin/b", "/usr/sbin/sendmail -t -i"] {
        for scope in &scopes {
            let strictest = rank(shell(&policy, STRICTEST_SCOPE, command));
            assert!(strictest >= rank(shell(&policy, *scope, command)), "{command} {scope}");
        }
    }
}

#[test]
fn ten_thousand_are_found_one_by_one() {
    let mut text = String::new();
    for number in 0..10_000 {
        let _ = writeln!(
            text,
            "[[vhost]]\nname = \"h{number}\"\nmatch = {{ document_root = \"/srv/h{number}\" }}\n[vhost.egress]\nallow = [\"25.0.0.1:{}\"]",
            10_000 + number
        );
    }
    let bytes = compiled(&text);
    let policy = Policy::new(&bytes).expect("a policy");
    for number in (0..10_000_u16).step_by(97) {
        let root = format!("/srv/h{number}");
        let asked = VhostQuery { document_root: root.as_bytes(), ..VhostQuery::default() };
        let vhost = policy.vhost(&asked).expect("a virtual host");
        assert_eq!(policy.vhost_name(vhost), format!("h{number}").as_bytes());
        let scope = policy.vhost_scope(vhost).0;
        assert_eq!(connect(&policy, scope, "25.0.0.1", 10_000 + number), Outcome::Allow);
        assert_eq!(connect(&policy, scope, "25.0.0.1", 10_001 + number), Outcome::Audit);
    }
}

#[test]
fn what_is_wrong_with_a_virtual_host() {
    for (text, message) in [
        ("[[vhost]]\nname = \"a\"\n", "without a `match`"),
        ("[[vhost]]\nname = \"a\"\nmatch = {}\n", "without a `match`"),
        ("[[vhost]]\nname = \"a\"\nmatch = { pool = [] }\n", "`pool` names nothing"),
        ("[[vhost]]\nname = \"a\"\nmatch = { document_root = \"srv\" }\n", "absolute paths"),
        ("[[vhost]]\nname = \"a\"\nmatch = { server_name = \"a b\" }\n", "is not a host name"),
        (
            "[[vhost]]\nname = \"a\"\nmatch = { server_name_from = \"ngin\" }\n",
            "is not one of: module, nginx, apache, any",
        ),
        (
            "[[vhost]]\nname = \"a\"\nmatch = { pool = \"a\" }\n[[vhost]]\nname = \"a\"\nmatch = { pool = \"b\" }\n",
            "another virtual host named `a`",
        ),
        ("[egress]\nallow = [\"global\"]\n", "this is the global list"),
        ("[[vhost]]\nname = \"a\"\n", "would never apply"),
    ] {
        let loaded = parse_text(Path::new("/test.toml"), text);
        assert!(!loaded.usable(), "{text}");
        assert!(loaded.diagnostics.iter().any(|one| one.message.contains(message)), "{text}: {:?}", loaded.diagnostics);
    }
}
