//! `portcullis explain --event`: the example event of every rule, and what the policy says of it now.
#![allow(clippy::disallowed_methods)]

use portcullis_policy::{Mode, Rule};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// What is said of an event under a configuration; of an error, its message.
    fn explain(&self, config: &str, event: &Value) -> Result<Value, String> {
        let (config, event) = (self.write("portcullis.toml", config), self.write("event.jsonl", &event.to_string()));
        explain_file(&config, &event)
    }
}

fn explain_file(config: &Path, event: &Path) -> Result<Value, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let done = command.args(["explain", "--json", "--config"]).arg(config).arg("--event").arg(event);
    let done = done.output().expect("portcullis explain");
    match done.status.code() {
        Some(0) => Ok(serde_json::from_slice(&done.stdout).expect("JSON")),
        _ => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}

fn example(rule: &str) -> (PathBuf, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/events/{rule}.json"));
    let event = serde_json::from_str(&std::fs::read_to_string(&path).expect("an example")).expect("JSON");
    (path, event)
}

/// The configuration with the entries that an answer names.
fn with_entries(answer: &Value) -> Option<String> {
    let mut text = String::new();
    for way in answer["allow_by"].as_array().expect("a list") {
        text += &format!("{} = {}\n", way["key"].as_str()?, way["entries"]);
    }
    Some(text)
}

/// The question of a rule about its example, and the answer, a part of each.
fn in_words(rule: &str) -> (&'static str, &'static str) {
    match rule {
        "egress-port" => (
            "may it connect to 192.88.1.10:4444?",
            "port 4444 is not a common web port, and 192.88.1.10 is neither in a local range nor in `[egress] allow`",
        ),
        "shell-spawn" => (
            "may it start a shell with the command `id`?",
            "`sh` is a shell (`[exec] shells`), and `[exec] allow` does not have `id`",
        ),
        "exec-place" => ("may it start /srv/www/shop/uploads/x?", "the process that starts it can write to it"),
        "exec-tool" => ("may it start /usr/bin/whoami?", "`whoami` is a tool"),
        "stdio-socket" => ("a network connection as standard input or output?", "remote shell"),
        "loader-env" => ("may it start /usr/bin/true?", "a variable that loads code into /usr/bin/true"),
        "listen-port" => ("may it listen on port 4470", "the server did not open this port before it served"),
        "dns-direct" => ("to 192.88.1.10:53", "neither in /etc/resolv.conf nor in"),
        "metadata" => ("to 169.254.169.254:80", "169.254.169.254 is a cloud metadata service"),
        "php-ini" => ("set PHP's `precision`?", "`[rules.php-ini] allow` does not have `precision`"),
        "exec-unguarded" => ("may it start /usr/bin/chage?", "would not be active in /usr/bin/chage (setuid)"),
        "namespace" => ("may /usr/bin/unshare enter", "does not have /usr/bin/unshare"),
        other => {
            let rule = Rule::ALL.into_iter().find(|rule| rule.word() == other).expect(other);
            (rule.text().asked, rule.text().because)
        }
    }
}

/// An `override` is named as what gives the rule its mode.
#[test]
fn an_override_is_named() {
    let place = Place::new();
    let of = |name: &str, text: &str| {
        let config = place.write(name, text);
        let explain = |more: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
            let done = command.args(["explain", "--exec", "id", "--config"]).arg(&config).args(more).output();
            String::from_utf8(done.expect("explain").stdout).expect("UTF-8")
        };
        let answer: Value = serde_json::from_str(&explain(&["--json"])).expect("JSON");
        (answer["override"].clone(), answer["mode"].clone(), explain(&[]).contains("mode audit, by `override`"))
    };
    let (forced, own) = (of("a", "mode = \"enforce\"\noverride = \"audit\"\n"), of("b", "mode = \"audit\"\n"));
    assert_eq!(forced, (json!(true), json!("audit"), true));
    assert_eq!(own, (json!(false), json!("audit"), false));
}

/// Which virtual host, and by which of its keys; and what else matches.
#[test]
fn the_chosen_virtual_host_has_a_reason() {
    let place = Place::new();
    let config = place.write(
        "portcullis.toml",
        "[[vhost]]\nname = \"shop\"\nmatch = { document_root = \"/srv/shop\", server_name = [\"a.test\", \"*.shop.test\"] }\n\
         [[vhost]]\nname = \"all\"\nmatch = { document_root = \"/srv\" }\n\
         [[vhost]]\nname = \"strict\"\nmatch = { server_name = \"strict.test\", server_name_from = \"module\" }\n",
    );
    let chosen = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["explain", "--json", "--exec", "id", "--config"]).arg(&config).args(arguments);
        let answer: Value = serde_json::from_slice(&command.output().expect("explain").stdout).expect("JSON");
        (answer["vhost"].as_str().map(str::to_owned), answer["chosen"].as_str().expect("a reason").to_owned())
    };
    let (vhost, why) = chosen(&["--document-root", "/srv/shop/public", "--server-name", "www.shop.test"]);
    assert_eq!(vhost.as_deref(), Some("shop"));
    let keys =
        "document_root `/srv/shop/public` matches `/srv/shop` and server_name `www.shop.test` matches `*.shop.test`";
    assert!(why.starts_with(keys) && why.contains("; `all` matches too"), "{why}");
    let (vhost, why) = chosen(&["--document-root", "/srv/blog"]);
    assert_eq!((vhost.as_deref(), why.as_str()), (Some("all"), "document_root `/srv/blog` matches `/srv`"));
    let (vhost, why) = chosen(&["--server-name", "strict.test"]);
    assert!(vhost.is_none() && why.contains("`strict` has this server_name and does not trust its source"), "{why}");
    let (vhost, why) = chosen(&["--pool", "www"]);
    assert_eq!((vhost, why.as_str()), (None, "no virtual host matches pool `www`"));
    assert!(chosen(&[]).1.starts_with("no request is given"));
    assert_eq!(chosen(&["--vhost", "all"]).1, "--vhost names it");
}

#[test]
fn every_rules_event_is_explained() {
    let place = Place::new();
    let mut without_a_key = Vec::new();
    for rule in Rule::ALL.map(Rule::word) {
        let (path, event) = example(rule);
        let config = place.write("portcullis.toml", "mode = \"audit\"\n");
        let answer = explain_file(&config, &path).unwrap_or_else(|message| panic!("{rule}: {message}"));
        assert_eq!(
            (&answer["rule"], &answer["verdict"]),
            (&json!(rule), &json!("allowed, with an event")),
            "{answer:#}"
        );
        assert_eq!(answer["clauses"][0]["clause"], event["portcullis"]["clause"], "{answer:#}");
        let (asked, because) = in_words(rule);
        assert!(answer["asked"].as_str().is_some_and(|text| text.contains(asked)), "{rule}: {answer:#}");
        assert!(answer["because"].as_str().is_some_and(|text| text.contains(because)), "{rule}: {answer:#}");
        // What the policy says now, and not what it said.
        for (mode, verdict) in [(Mode::Enforce, "blocked, with an event"), (Mode::Off, "allowed")] {
            let also = event["portcullis"]["also"].as_array().cloned().unwrap_or_default();
            let fired = also.iter().filter_map(Value::as_str).chain([rule]);
            let config: String = fired.map(|rule| format!("rules.{rule}.mode = \"{}\"\n", mode.word())).collect();
            let answer = place.explain(&config, &event).expect(rule);
            assert_eq!(answer["verdict"], verdict, "{rule} {}: {answer:#}", mode.word());
        }
        // The named entry allows it, or none does.
        match with_entries(&answer) {
            Some(config) => {
                let answer =
                    place.explain(&config, &event).unwrap_or_else(|message| panic!("{rule}: {config}{message}"));
                assert_eq!(answer["verdict"], "allowed", "{rule}: {config}{answer:#}");
                assert!(
                    answer["clauses"][0]["source"].as_str().is_some_and(|place| place.contains("portcullis.toml:"))
                );
                assert_eq!(answer["allow_by"], json!([]), "{rule}");
            }
            None => {
                assert!(answer["allow_by"][0]["note"].as_str().is_some_and(|note| note.contains("mode")), "{answer:#}");
                without_a_key.push(rule);
            }
        }
    }
    let plain: Vec<&str> = Rule::ALL.into_iter().filter(|rule| rule.is_plain()).map(Rule::word).collect();
    assert_eq!(without_a_key, plain);
}

#[test]
fn a_program_is_no_shell_because_it_was_started() {
    let place = Place::new();
    let explain = |config: &str, change: &dyn Fn(&mut Value)| {
        let (_, mut event) = example("exec-tool");
        change(&mut event);
        place.explain(config, &event).expect("an answer")
    };
    let answer = explain("[exec]\nallow = [\"/usr/bin/whoami\"]\n", &|_| {});
    assert_eq!((&answer["verdict"], &answer["clauses"][0]["step"]), (&json!("allowed"), &json!("allow")));
    let answer = explain("rules.exec-tool.tools = [\"nc\"]\n", &|_| {});
    assert_eq!(answer["clauses"][0]["step"], "no rule is about it", "{answer:#}");
    // Of two names, it is open by which it was called.
    let answer = explain("", &|event| event["process"]["args"] = json!(["whoami"]));
    assert_eq!(answer["allow_by"][0]["entries"], json!(["/usr/bin/whoami", "whoami"]), "{answer:#}");
    assert!(answer["allow_by"][0]["note"].as_str().is_some_and(|note| note.contains("by its path or by its name")));
    let answer = explain("[exec]\nallow = [\"whoami\"]\n", &|event| event["process"]["args"] = json!(["whoami"]));
    assert!(answer["verdict"] == "allowed" && answer["note"] != "", "{answer:#}");
    // Of a command that the event has only a part of, no entry can be made.
    let answer = explain("", &|event| event["process"]["args_count"] = 17.into());
    assert!(answer["allow_by"][0]["key"].is_null(), "{answer:#}");
    // A set-user-ID program that runs any command is for no list of paths.
    let answer = explain("rules.exec-tool.tools = [\"nc\"]\n", &|event| {
        event["rule"]["id"] = "exec-unguarded".into();
        event["portcullis"]["unguarded"] = "setuid".into();
        event["process"] =
            json!({ "name": "su", "executable": "/usr/bin/su", "args": ["su", "-c", "id"], "args_count": 3 });
    });
    assert_eq!(answer["rule"], "exec-unguarded", "{answer:#}");
    assert!(answer["allow_by"].to_string().contains("runs a command that its caller names"), "{answer:#}");
}

#[test]
fn what_could_not_be_judged_is_on_no_list() {
    let place = Place::new();
    for (rule, change) in [
        ("egress-port", json!({ "clause": "cannot judge: the address could not be read", "unknown": "address" })),
        ("exec-tool", json!({ "clause": "cannot judge: the program's file could not be read", "unknown": "program" })),
        ("namespace", json!({ "clause": "cannot judge: the namespace is not known", "unknown": "namespace" })),
    ] {
        let (_, mut event) = example(rule);
        for (key, value) in change.as_object().expect("an object") {
            event["portcullis"][key] = value.clone();
        }
        let answer = place.explain("", &event).expect(rule);
        assert_eq!(answer["clauses"][0]["clause"], change["clause"], "{answer:#}");
        assert_eq!((&answer["unknown"], &answer["allow_by"][0]["key"]), (&change["unknown"], &Value::Null));
        assert!(answer["allow_by"].to_string().contains("docs/triage.md, section 6"), "{answer:#}");
    }
    // Whose request is not known, the strictest policy judges.
    let (_, mut event) = example("egress-port");
    event["portcullis"]["request"]["state"] = "unknown".into();
    let answer = place.explain("[egress]\nallow = [\"192.88.1.10:4444\"]\n", &event).expect("an answer");
    assert_eq!((&answer["policy"], &answer["verdict"]), (&json!("strictest"), &json!("allowed, with an event")));
}

#[test]
fn what_no_policy_decides_is_said() {
    let place = Place::new();
    let (_, event) = example("guard-policy");
    let message = place.explain("", &event).expect_err("no policy decides on it");
    assert!(message.contains("about Portcullis itself"), "{message}");
    let (_, mut event) = example("shell-spawn");
    event["event"]["action"] = "merged".into();
    event["portcullis"]["like"] = "8c1f0e52a7d94b36-1".into();
    let message = place.explain("", &event).expect_err("it is a count");
    assert!(message.contains("event 8c1f0e52a7d94b36-1"), "{message}");
}

/// An entry does not hold while a variable steers the command, and `explain` says so.
#[test]
fn a_variable_that_steers_is_named() {
    let place = Place::new();
    let (_, mut event) = example("shell-spawn");
    for clause in [
        "allow does not hold: BASH_ENV is not known to be the server's own",
        // As earlier versions wrote it.
        "allow does not hold: BASH_ENV is not as at the server's start",
    ] {
        event["portcullis"]["clause"] = clause.into();
        let answer = place.explain("[exec]\nallow = [\"id\"]\n", &event).expect("an answer");
        assert!(answer["clauses"][0]["clause"].as_str().is_some_and(|text| text.contains("BASH_ENV")), "{answer:#}");
        for (role, advice) in [("serving", "so the application sets it"), ("descendant", "`env[]` of a PHP-FPM pool")] {
            event["portcullis"]["role"] = role.into();
            let answer = place.explain("[exec]\nallow = [\"id\"]\n", &event).expect("an answer");
            let note = answer["allow_by"][0]["note"].as_str().expect("a note");
            assert!(note.contains(advice) && note.contains("unset it"), "{role}: {note}");
        }
    }
}

/// Where the event shows every variable that steers, their entries make that of the command hold.
#[test]
fn variables_that_steer_have_entries() {
    let place = Place::new();
    let (_, mut event) = example("shell-spawn");
    event["portcullis"]["clause"] = "allow does not hold: NODE_* is not known to be the server's own".into();
    event["portcullis"]["detail"] = "NODE_ENV=production; GEM_HOME=/opt/gems".into();
    let config = |allow: &str| format!("exec.allow = [\"id\"]\nrules.loader-env.allow = [{allow}]\n");
    let answer = place.explain(&config(""), &event).expect("an answer");
    let way = &answer["allow_by"][0];
    let entries = ["/opt/gems", "NODE_ENV=production"];
    assert_eq!((&way["key"], &way["entries"]), (&json!("rules.loader-env.allow"), &json!(entries)), "{answer:#}");
    for (allow, verdict) in [
        ("\"/opt/gems\", \"NODE_ENV=production\"", "allowed"),
        ("\"GEM_HOME=/opt/gems\", \"NODE_ENV=production\"", "allowed"),
        ("\"/opt/gems\", \"production\"", "allowed, with an event"),
        ("\"NODE_ENV=production\"", "allowed, with an event"),
    ] {
        let answer = place.explain(&config(allow), &event).expect("an answer");
        assert_eq!(answer["verdict"], verdict, "{allow}: {answer:#}");
    }
}

/// Whichever variable it is: an entry with its value allows it, and the answer is about the event's own rule.
#[test]
fn every_variable_that_loads_code_has_an_entry() {
    let place = Place::new();
    let explain = |config: &str, detail: &str, also: Value| {
        let (_, mut event) = example("loader-env");
        event["portcullis"]["detail"] = detail.into();
        event["portcullis"]["also"] = also;
        place.explain(config, &event).expect("an answer")
    };
    for row in portcullis_policy::startup::ROWS.iter().filter(|row| row.loads) {
        let detail = format!("{}=/opt/a; /opt/b", row.name.trim_end_matches('*'));
        let answer = explain("", &detail, json!([]));
        let way = &answer["allow_by"][0];
        assert_eq!((&way["key"], &way["entries"]), (&json!("rules.loader-env.allow"), &json!(["/opt/a; /opt/b"])));
        assert!(way["note"].as_str().is_some_and(|note| note.contains(row.effect)), "{way:#}");
        let answer = explain(&with_entries(&answer).expect("an entry"), &detail, json!([]));
        assert_eq!((&answer["verdict"], &answer["rule"]), (&json!("allowed"), &json!("loader-env")), "{answer:#}");
    }
    // Several, by name or by value.
    let several = "RUBYLIB=/opt/a; /opt/b; NODE_OPTIONS=-r /opt/c";
    let answer = explain("rules.loader-env.allow = [\"NODE_OPTIONS=-r /opt/c\"]\n", several, json!([]));
    assert_eq!(answer["allow_by"][0]["entries"], json!(["/opt/a; /opt/b"]), "{answer:#}");
    let answer = explain("", several, json!([]));
    assert_eq!(answer["allow_by"][0]["entries"], json!(["-r /opt/c", "/opt/a; /opt/b"]), "{answer:#}");
    let answer = explain(&with_entries(&answer).expect("entries"), several, json!([]));
    assert_eq!(answer["verdict"], "allowed", "{answer:#}");
    // Behind what another rule says.
    let answer = explain("", "standard input is tcp 10.0.0.1:5; PYTHONPATH=/q", json!(["stdio-socket"]));
    assert_eq!(answer["allow_by"][1]["entries"], json!(["/q"]), "{answer:#}");
    // Of a value that the event has only a part of, or of none, no entry can be made.
    for detail in ["PYTHONPATH=/q\u{2026}", "the loader's own arguments", "PYTHONPATH=/q\u{fffd}"] {
        let answer = explain("", detail, json!([]));
        assert!(answer["allow_by"][0]["key"].is_null(), "{detail}: {answer:#}");
    }
    // Off, it is that rule that is off.
    let answer = explain("rules.loader-env.mode = \"off\"\n", "PYTHONPATH=/q", json!([]));
    assert_eq!((&answer["rule"], &answer["mode"]), (&json!("loader-env"), &json!("off")), "{answer:#}");
}

/// An entry that allows a namespace to whatever a program starts says so.
#[test]
fn a_namespace_of_a_launcher_has_a_caveat() {
    let place = Place::new();
    for (program, has) in [
        ("/usr/bin/unshare", true),
        ("/usr/bin/bwrap", true),
        ("/usr/bin/python3.11", true),
        ("/usr/lib/chromium/chromium", false),
    ] {
        let (_, mut event) = example("namespace");
        event["process"]["executable"] = program.into();
        let answer = place.explain("", &event).expect("an answer");
        let way = &answer["allow_by"][0];
        assert_eq!(way["entries"], json!([program]), "{answer:#}");
        let caveat = way["note"].as_str().is_some_and(|note| note.contains("allows a namespace to all of them"));
        assert_eq!(caveat, has, "{way:#}");
    }
}

/// Each metadata service of a cloud that is known, on any port.
#[test]
fn every_metadata_service_is_one() {
    let place = Place::new();
    for address in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
    ] {
        for port in [80, 8080] {
            let (_, mut event) = example("metadata");
            event["destination"] = json!({ "ip": address, "port": port });
            let answer = place.explain("mode = \"enforce\"\n", &event).expect("an answer");
            assert_eq!(answer["rule"], "metadata", "{answer:#}");
            assert_eq!(answer["verdict"], "blocked, with an event", "{answer:#}");
        }
    }
}

/// What is said of a UDP socket that was only connected is what happens: the connect passes, and what is sent is judged.
#[test]
fn a_udp_connect_is_explained_by_what_is_sent() {
    let place = Place::new();
    let mut event = example("egress-port").1;
    event["network"]["transport"] = "udp".into();
    let answer = |mode: &str, event: &Value| place.explain(&format!("mode = \"{mode}\"\n"), event).expect("an answer");
    let verdict = |answer: &Value| answer["verdict"].as_str().unwrap_or_default().to_owned();
    // Without the detail, the connect itself was judged.
    assert_eq!(verdict(&answer("enforce", &event)), "blocked, with an event");
    event["portcullis"]["detail"] = "nothing sent yet".into();
    let enforced = answer("enforce", &event);
    assert_eq!(verdict(&enforced), "allowed, without an event; what is sent is blocked, with an event");
    assert!(enforced["note"].as_str().is_some_and(|note| note.contains("nothing sent yet")), "{enforced}");
    assert!(enforced["asked"].as_str().is_some_and(|asked| asked.contains("connect a UDP socket, and send")));
    assert_eq!(enforced["allow_by"][0]["entries"], json!(["192.88.1.10:4444"]));
    assert_eq!(verdict(&answer("audit", &event)), "allowed, with an event; what is sent has an event of its own");
    let allowed = place.explain("egress.allow = [\"192.88.1.10:4444\"]\n", &event).expect("an answer");
    assert_eq!(verdict(&allowed), "allowed");
}

/// A destination is taken as events show it.
#[test]
fn a_destination_may_have_its_transport() {
    let place = Place::new();
    let config = place.write("portcullis.toml", "");
    let asked = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let done =
            command.args(["explain", "--json", "--config"]).arg(&config).args(arguments).output().expect("explain");
        match serde_json::from_slice::<Value>(&done.stdout) {
            Ok(answer) => answer["asked"].as_str().unwrap_or_default().to_owned(),
            Err(_) => String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    };
    let datagram = "may it send a datagram to 192.88.1.10:4444?";
    assert_eq!(asked(&["--connect", "192.88.1.10:4444/udp"]), datagram);
    assert_eq!(asked(&["--connect", "192.88.1.10:4444/udp", "--udp"]), datagram);
    assert_eq!(asked(&["--connect", "192.88.1.10:4444", "--udp"]), datagram);
    assert_eq!(asked(&["--connect", "192.88.1.10:4444/tcp"]), "may it connect to 192.88.1.10:4444?");
    assert_eq!(asked(&["--connect", "[2001:db8::1]:4444/udp"]), "may it send a datagram to [2001:db8::1]:4444?");
    assert!(asked(&["--connect", "192.88.1.10:4444/tcp", "--udp"]).contains("is not UDP"));
    assert!(asked(&["--connect", "192.88.1.10:4444/sctp"]).contains("--udp"));
}

/// Who is told that a command is not simple is told by which character.
#[test]
fn what_is_not_simple_is_named() {
    let place = Place::new();
    let mut event = example("shell-spawn").1;
    let mut said = |command: &str| {
        event["process"]["args"] = json!(["sh", "-c", command]);
        event["process"]["args_count"] = 3.into();
        place.explain("", &event).expect("an answer")["allow_by"].to_string()
    };
    for one in ["|", "&", ";", "<", ">", "(", ")", "$", "`", "*", "?", "[", "{", "}", "!", "^", "%", "#", "~"] {
        let text = said(&format!("/usr/bin/stat -c {one}s '/srv/shop'"));
        assert!(text.contains(&format!("it has `{one}`")), "{one}: {text}");
    }
    for (command, what) in [
        ("/usr/bin/date +%s", "it has `%`"),
        ("/bin/echo \"a $b\"", "it has `$`"),
        ("A=1 /bin/date", "it has `=`"),
        ("/bin/date > /srv/x", "it has `>`"),
        ("/bin/date\n/bin/id", "it has `\\\\n`"),
        ("/bin/echo 'a%", "a quote is not closed"),
        ("if /bin/true", "`if` is a word"),
        ("exec -a x /bin/id", "`exec` is a word"),
    ] {
        let text = said(command);
        assert!(text.contains(what), "{command}: {text}");
    }
}
