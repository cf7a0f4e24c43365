//! `portcullis learn` on events for which an entry would be wrong, or which have another key than it would seem.
#![allow(clippy::disallowed_methods)]

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

fn example(rule: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/events/{rule}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("an example")).expect("JSON")
}

/// What is proposed, and what is not with the reason, for some events.
fn learn(events: &[Value], more: &[&str]) -> (Vec<[String; 2]>, Vec<[String; 2]>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, log) = (folder.path().join("portcullis.toml"), folder.path().join("events.jsonl"));
    std::fs::write(&config, "rules.exec-unguarded.reasons = [\"setuid\", \"static\"]\n").expect("a file");
    std::fs::write(&log, events.iter().map(|event| format!("{event}\n")).collect::<String>()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    // A few events are too little for anything else.
    let rare = ["learn", "--json", "--include-rare", "--config"];
    let done = command.args(rare).arg(config).arg(log).args(more).output().expect("learn");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let pairs = |list: &str, keys: [&str; 2]| {
        let parts = said.as_array().expect("a list").iter().flat_map(|part| part[list].as_array().expect("a list"));
        parts.map(|part| keys.map(|key| part[key].as_str().unwrap_or_default().to_owned())).collect()
    };
    (pairs("proposed", ["list", "entry"]), pairs("refused", ["what", "why"]))
}

/// The start of a program in which the library is not active.
fn unguarded(path: &str, reason: &str) -> Value {
    let mut event = example("exec-unguarded");
    event["portcullis"]["unguarded"] = reason.into();
    let name = path.rsplit('/').next().unwrap_or(path);
    event["process"] =
        json!({ "name": name, "executable": path, "args": [name, "x"], "args_count": 2, "command_line": name });
    event
}

#[test]
fn what_runs_any_command_is_left_to_a_person() {
    for path in [
        "/usr/bin/su",
        "/usr/bin/ssh-agent",
        "/usr/bin/newgrp",
        "/usr/bin/sudo",
        "/usr/bin/sg",
        "/usr/bin/pkexec",
        "/usr/sbin/exim4",
    ] {
        let (proposed, refused) = learn(&[unguarded(path, "setuid")], &[]);
        assert_eq!(proposed, <[[String; 2]; 0]>::default(), "{path}");
        assert!(refused[0][0] == path && refused[0][1].contains("runs a command that its caller names"), "{refused:?}");
        // A person can.
        let (proposed, _) = learn(&[unguarded(path, "setuid")], &["--include", path]);
        assert_eq!(proposed, [["rules.exec-unguarded.allow", path]]);
    }
    let (proposed, refused) = learn(&[unguarded("/usr/local/bin/own", "setuid")], &[]);
    assert!(proposed.is_empty() && refused[0][1].contains("does not know whether"), "{proposed:?} {refused:?}");
    for (path, reason) in [("/usr/bin/fping", "setuid"), ("/srv/bin/imgproxy", "static")] {
        assert_eq!(learn(&[unguarded(path, reason)], &[]).0, [["rules.exec-unguarded.allow", path]]);
    }
    // A path that is not known is none that the list takes.
    let (proposed, refused) = learn(&[unguarded("fping", "setuid")], &[]);
    assert!(proposed.is_empty() && refused[0][1].contains("absolute paths"), "{proposed:?} {refused:?}");
}

#[test]
fn a_command_without_a_path_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("events.jsonl");
    let mut event = example("shell-spawn");
    event["process"]["args"] = json!(["sh", "-c", "convert a b"]);
    std::fs::write(&log, format!("{event}\n")).expect("a file");
    let config = folder.path().join("portcullis.toml");
    std::fs::write(&config, "").expect("a file");
    let said = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let done = command.args(["learn", "--config"]).arg(&config).arg(&log).args(more).output().expect("learn");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    // PATH says which program that is: nobody is to allow it unread.
    let text = said(&["--include-rare"]);
    assert!(text.contains("NOT proposed: convert a b") && !text.contains("allow = ["), "{text}");
    let text = said(&["--include", "convert a b"]);
    assert!(
        text.contains("\"convert a b\"") && text.contains("`convert` without its path, and the event has none"),
        "{text}"
    );
}

#[test]
fn the_keys_of_rules_that_look_for_programs_are_named() {
    for (rule, key) in [("exec-tool", "tools"), ("exec-place", "places")] {
        let event = example(rule);
        let program = event["process"]["executable"].as_str().expect("a path").to_owned();
        let (proposed, refused) = learn(std::slice::from_ref(&event), &[]);
        assert!(proposed.is_empty(), "{proposed:?}");
        let [what, why] = &refused[0];
        assert!(*what == program && !why.contains("no list"), "{refused:?}");
        assert!(why.contains(&format!("`[rules.{rule}] {key}`")) && why.contains("`[exec] allow`"), "{why}");
        let (proposed, _) = learn(&[event], &["--include", &program]);
        assert_eq!(proposed, [["exec.allow", &program]]);
    }
    let (_, refused) = learn(&[example("loader-env")], &["--include", "/srv/www/shop/uploads/x.so"]);
    assert!(refused.is_empty(), "loader-env has a list: {refused:?}");
    for rule in ["stdio-socket", "fpm-socket", "process-memory"] {
        let (_, refused) = learn(&[example(rule)], &[]);
        assert!(refused[0][1].contains(&format!("`[rules.{rule}] mode`")), "{refused:?}");
    }
}

#[test]
fn what_could_not_be_judged_is_no_proposal() {
    for (rule, word) in [
        ("shell-spawn", "environment"),
        ("egress-port", "socket"),
        ("exec-place", "program"),
        ("exec-unguarded", "path"),
        ("namespace", "namespace"),
        ("php-ini", "request"),
        ("listen-port", "address"),
    ] {
        let mut event = example(rule);
        let what = portcullis_policy::Unknown::ALL.into_iter().find(|what| what.word() == word).expect(word);
        event["portcullis"]["clause"] = what.clause().into();
        event["portcullis"]["unknown"] = word.into();
        let (proposed, refused) = learn(&[event], &[]);
        assert!(proposed.is_empty(), "{rule}: {proposed:?}");
        let [described, why] = &refused[0];
        assert!(why.contains(what.clause()) && why.contains("docs/triage.md, section 6"), "{rule}: {why}");
        assert!(!described.is_empty(), "{rule}");
    }
    // Nor is what was judged by the strictest policy.
    let mut event = example("egress-port");
    event["portcullis"]["request"]["state"] = "unknown".into();
    let (proposed, refused) = learn(&[event], &[]);
    assert!(proposed.is_empty() && refused[0][1].contains("its request could not be read"), "{refused:?}");
    // An entry that does not hold is there already.
    let mut event = example("shell-spawn");
    event["portcullis"]["clause"] = "allow does not hold: BASH_ENV is not known to be the server's own".into();
    event["portcullis"]["detail"] = "BASH_ENV=/tmp/x".into();
    let (proposed, refused) = learn(&[event], &[]);
    assert!(proposed.is_empty() && refused[0][1].contains("unset it") && refused[0][1].contains("BASH_ENV=/tmp/x"));
}

/// The start of a program, by a rule on programs.
fn started(rule: &str, path: &str, args: &[&str]) -> Value {
    let mut event = example(rule);
    let name = args[0].rsplit('/').next();
    event["process"] = json!({ "name": name, "executable": path, "args": args, "args_count": args.len(), "command_line": args.join(" ") });
    event
}

#[test]
fn a_program_has_its_real_path() {
    // By its name or by its path: the event does not say which.
    let event = started("exec-tool", "/usr/bin/whoami", &["whoami"]);
    let (_, refused) = learn(std::slice::from_ref(&event), &[]);
    let what: Vec<&str> = refused.iter().map(|[what, _]| what.as_str()).collect();
    assert_eq!(what, ["/usr/bin/whoami", "whoami"]);
    assert_eq!(learn(&[event], &["--include", "/usr/bin/whoami"]).0, [["exec.allow", "/usr/bin/whoami"]]);
    // Elsewhere than in the system's folders, a name is no entry.
    let (_, refused) = learn(&[started("exec-place", "/srv/www/x", &["x", "-a"])], &[]);
    assert_eq!(refused[0][0], "/srv/www/x -a");
    assert_eq!(refused.len(), 1);
}

#[test]
fn a_shell_by_another_name_is_not_proposed() {
    for (path, args, why) in [
        ("/usr/bin/bash", &["bash", "-i"][..], "no single command"),
        ("/usr/local/bin/backup", &["/usr/local/bin/backup", "-i"], "read the file first"),
        ("/srv/app/cron.sh", &["/srv/app/cron.sh"], "read the file first"),
        ("/srv/www/renamed", &["/srv/www/renamed", "-c", "id"], "the system's directories"),
    ] {
        let (proposed, refused) = learn(&[started("shell-spawn", path, args)], &[]);
        assert!(proposed.is_empty() && refused[0][1].contains(why), "{path}: {proposed:?} {refused:?}");
    }
    let script = started("shell-spawn", "/srv/app/cron.sh", &["/srv/app/cron.sh"]);
    assert_eq!(learn(&[script], &["--include", "/srv/app/cron.sh"]).0, [["exec.allow", "/srv/app/cron.sh"]]);
}

/// The value of any variable that loads code can be named, as the policy takes it.
#[test]
fn a_variable_that_loads_code_is_learnt_by_value() {
    for detail in ["LD_PRELOAD=/opt/x.so", "PYTHONPATH=/opt/x.so", "NODE_OPTIONS=/opt/x.so"] {
        let mut event = example("loader-env");
        event["portcullis"]["detail"] = detail.into();
        let (_, refused) = learn(&[event.clone()], &[]);
        assert!(refused[0][0] == "/opt/x.so" && refused[0][1].contains("load code"), "{refused:?}");
        let (proposed, _) = learn(&[event], &["--include", "/opt/x.so"]);
        assert_eq!(proposed, [["rules.loader-env.allow", "/opt/x.so"]]);
    }
}

/// Calls that were merged into no event which is read are a number of their own, and no command's.
#[test]
fn merged_calls_of_unknown_commands_are_said() {
    let event = started("exec-tool", "/usr/bin/whoami", &["whoami"]);
    for like in [Value::Null, "8c1f0e52a7d94b36-77".into(), "".into()] {
        let mut merged = json!({
            "@timestamp": "2026-11-26T03:12:45Z", "event": { "action": "merged", "outcome": "success" },
            "rule": { "id": "exec-tool" }, "portcullis": { "repeated": 18, "mode": "audit" },
        });
        if !like.is_null() {
            merged["portcullis"]["like"] = like;
        }
        let (proposed, refused) = learn(&[event.clone(), merged], &[]);
        assert!(proposed.is_empty(), "{proposed:?}");
        let all: Vec<&str> = refused.iter().map(|[what, _]| what.as_str()).collect();
        assert!(all.contains(&"calls that were merged (exec-tool)"), "{refused:?}");
    }
}

/// Each entry is listed once, whatever the events of it looked like.
#[test]
fn an_entry_is_listed_once() {
    let event = |script: &str, chain: &str| {
        let mut event = example("shell-spawn");
        event["process"]["args"] = json!(["sh", "-c", "/usr/bin/convert -version"]);
        event["process"]["args_count"] = 3.into();
        event["portcullis"]["request"]["script"] = script.into();
        event["portcullis"]["chain"] = chain.into();
        event
    };
    let fine = event("/srv/www/shop/index.php", "php-fpm > sh");
    let (proposed, refused) = learn(std::slice::from_ref(&fine), &[]);
    assert_eq!(proposed, [["exec.allow", "/usr/bin/convert -version"]], "{refused:?}");
    let upload = event("/srv/www/shop/uploads/x.php", "php-fpm > sh");
    let deep = event("/srv/www/shop/index.php", "php-fpm > nc > sh");
    let (proposed, refused) = learn(&[fine, upload.clone(), deep], &[]);
    assert_eq!((proposed.len(), refused.len()), (0, 1), "{proposed:?} {refused:?}");
    assert!(refused[0][0] == "/usr/bin/convert -version" && refused[0][1].contains("; and: "), "{refused:?}");
    let (proposed, _) = learn(&[upload], &["--include", "/usr/bin/convert -version"]);
    assert_eq!(proposed, [["exec.allow", "/usr/bin/convert -version"]]);
}

/// Where a variable may be the server's own, the advice is not to look for it in the application alone.
#[test]
fn a_variable_of_the_pool_is_not_looked_for_in_the_application() {
    for (role, advice) in [("serving", "so the application sets it"), ("descendant", "`env[]` of a PHP-FPM pool")] {
        let mut event = example("shell-spawn");
        event["portcullis"]["role"] = role.into();
        event["portcullis"]["clause"] = "allow does not hold: NODE_* is not known to be the server's own".into();
        event["portcullis"]["detail"] = "NODE_ENV=production".into();
        let (proposed, refused) = learn(&[event], &[]);
        assert!(proposed.is_empty() && refused[0][1].contains(advice), "{role}: {refused:?}");
        assert!(refused[0][1].contains("NODE_ENV=production"), "{role}: {refused:?}");
    }
}

/// Each event, once for each of its texts, with a line in that which would be a table of TOML.
fn with_lines_in_them() -> Vec<Value> {
    fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| texts(value, &format!("{at}/{key}"), found)),
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(n, value)| texts(value, &format!("{at}/{n}"), found))
            }
            Value::String(_) => found.push(at.to_owned()),
            _ => {}
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events");
    let files = std::fs::read_dir(folder).expect("examples").map(|file| file.expect("a file").path());
    let mut events = Vec::new();
    for file in files.filter(|file| file.extension().is_some_and(|end| end == "json")) {
        let event: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("a file")).expect("JSON");
        let mut paths = Vec::new();
        texts(&event, "", &mut paths);
        // These are in few events.
        for more in ["unknown", "clause", "detail", "unguarded", "vhost"] {
            let mut event = event.clone();
            event["portcullis"][more] = "x\n[INJECTED]\n\u{1b}[31m".into();
            events.push(event);
        }
        for path in paths {
            let mut event = event.clone();
            let text = event.pointer_mut(&path).expect("a text");
            *text = format!("{}\r\n[INJECTED]\n\u{2028}#\u{1b}[31m", text.as_str().unwrap_or_default()).into();
            events.push(event);
        }
    }
    assert!(events.len() > 300, "{}", events.len());
    events
}

/// What an event says is one line in what is printed, so that `learn > FILE` has no entry that `learn` does not propose.
#[test]
fn no_text_of_an_event_becomes_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, log) = (folder.path().join("portcullis.toml"), folder.path().join("events.jsonl"));
    std::fs::write(&config, "").expect("a file");
    let said = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let done = command.args(arguments).arg("--config").arg(&config).output().expect("portcullis");
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let is_injected = |line: &str| line.trim_start().starts_with("[INJECTED]");
        assert!(!said.lines().any(is_injected) && !said.contains('\r'), "{arguments:?}: {said}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let events = with_lines_in_them();
    let log = log.to_str().expect("a path");
    std::fs::write(log, events.iter().map(|event| format!("{event}\n")).collect::<String>()).expect("a file");
    for more in [&["learn", log][..], &["learn", "--refused", "--widen", log], &["learn", "--refused", "--check", log]]
    {
        let text = said(more);
        let of_learn = text.split("under the new policy").next().unwrap_or_default();
        assert!(
            of_learn.lines().all(|line| line.is_empty() || line.starts_with(['#', ' ', '[', ']', 'a', 'r'])),
            "{of_learn}"
        );
    }
    for event in events {
        std::fs::write(log, event.to_string()).expect("a file");
        said(&["explain", "--event", log]);
    }
}

/// An ordinary connection of some day, by some client.
fn connection(vhost: &str, day: u32, client: &str, to: &str) -> Value {
    let mut event = example("egress-port");
    event["@timestamp"] = format!("2026-11-{day:02}T03:12:44.000000000Z").into();
    event["client"] = json!({ "address": client });
    event["destination"] = json!({ "ip": "192.88.1.10", "port": 4444, "domain": to });
    event["http"]["request"]["id"] = format!("{day:08x}{:08x}", to.len() * 100 + client.len() * 7 + vhost.len()).into();
    event["portcullis"]["vhost"] = vhost.into();
    event["portcullis"]["request"]["script"] = format!("/srv/www/{vhost}/index.php").into();
    event
}

/// A configuration with virtual hosts, and a log.
struct Place(tempfile::TempDir);

impl Place {
    fn new(vhosts: &[&str], events: &[Value]) -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(place.0.path().join("vhosts.d")).expect("a folder");
        std::fs::write(place.0.path().join("portcullis.toml"), "# mine\n").expect("a file");
        for vhost in vhosts {
            let text = format!("# of {vhost}\nname = \"{vhost}\"\nmatch = {{ pool = \"{vhost}\" }}\n");
            std::fs::write(place.vhost(vhost), text).expect("a file");
        }
        std::fs::write(place.log(), events.iter().map(|event| format!("{event}\n")).collect::<String>())
            .expect("a file");
        place
    }

    fn vhost(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(format!("vhosts.d/{name}.toml"))
    }

    fn log(&self) -> std::path::PathBuf {
        self.0.path().join("events.jsonl")
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.path().join(path)).unwrap_or_default()
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let (verb, more) = arguments.split_first().expect("a verb");
        command.arg(verb).arg("--config").arg(self.0.path().join("portcullis.toml")).args(more);
        if *verb == "learn" {
            command.arg(self.log());
        }
        let done = command.output().expect("portcullis");
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.code(), said)
    }
}

/// Each file keeps its former text beside it, and its permissions; what is written is what `check` takes.
#[test]
fn every_file_is_written_in_one_run_with_a_backup() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    let mut events: Vec<Value> = ["shop", "blog"]
        .iter()
        .flat_map(|vhost| {
            (1..4).map(move |day| connection(vhost, day, &format!("203.0.113.{day}"), &format!("{vhost}.example")))
        })
        .collect();
    for day in 1..4 {
        let mut event = connection("shop", day, &format!("203.0.113.{day}"), "");
        let command = "/usr/bin/convert a.png -resize '200x200>' \"it's.png\"";
        let of_shell = example("shell-spawn");
        for key in ["event", "rule", "process", "message"] {
            event[key] = of_shell[key].clone();
        }
        event.as_object_mut().expect("an object").remove("destination");
        event["event"]["id"] = format!("of-shell-{day}").into();
        event["process"]["args"] = json!(["sh", "-c", command]);
        event["process"]["command_line"] = format!("sh -c {command}").into();
        events.push(event);
    }
    let place = Place::new(&["shop", "blog", "other"], &events);
    std::fs::set_permissions(place.vhost("shop"), std::fs::Permissions::from_mode(0o640)).expect("permissions");
    let before = place.text("vhosts.d/shop.toml");
    let (code, said) = place.run(&["learn", "--write-all", "--yes", "--check"]);
    // The request of these events is of no virtual host's pool, so that they fire as they did.
    assert!(code == Some(1) && said.contains("+     \"shop.example:4444\","), "{said}");
    let written = place.text("vhosts.d/shop.toml");
    assert!(written.starts_with("# of shop\n") && written.contains("shop.example:4444"), "{written}");
    assert!(written.contains("-resize '200x200>' \"it's.png\""), "{written}");
    assert!(!written.contains("blog.example") && place.text("vhosts.d/blog.toml").contains("blog.example:4444"));
    assert_eq!(place.text("vhosts.d/shop.toml~"), before);
    assert_eq!((mode(&place.vhost("shop")), mode(&place.0.path().join("vhosts.d/shop.toml~"))), (0o640, 0o640));
    assert_eq!(place.text("vhosts.d/other.toml~"), "", "nothing was to be written there");
    let (code, said) = place.run(&["check"]);
    assert!(code == Some(0) && said.contains("0 errors"), "{said}");
    // Once is enough.
    let again = place.text("vhosts.d/shop.toml");
    place.run(&["learn", "--write-all"]);
    assert_eq!(place.text("vhosts.d/shop.toml"), again);
}

#[test]
fn what_ten_virtual_hosts_share_is_global() {
    let names: Vec<String> = (0..10).map(|number| format!("host{number}")).collect();
    let events: Vec<Value> = names
        .iter()
        .flat_map(|vhost| (1..4).map(|day| connection(vhost, day, &format!("203.0.113.{day}"), "mail.example")))
        .collect();
    let place = Place::new(&names.iter().map(String::as_str).collect::<Vec<_>>(), &events);
    let (_, said) = place.run(&["learn", "--write-all"]);
    let global = place.text("portcullis.toml");
    assert!(global.contains("\"mail.example:4444\"") && global.contains("10 virtual hosts share it"), "{said}{global}");
    assert!(!place.text("vhosts.d/host3.toml").contains("mail.example"));
}

/// What was left out is counted, and nothing to propose is only said to be allowed where it is.
#[test]
fn nothing_to_propose_says_why() {
    let all = "the policy already allows every recorded event";
    let refused = |day| {
        let mut event = connection("shop", day, &format!("203.0.113.{day}"), "mail.example");
        event["event"]["outcome"] = "failure".into();
        event
    };
    let place = Place::new(&[], &(1..4).map(refused).collect::<Vec<_>>());
    let (_, said) = place.run(&["learn"]);
    assert!(said.contains("No entries to propose.") && !said.contains(all), "{said}");
    assert!(said.contains("Read: 3 events; 3 refused (--refused learns from them)"), "{said}");
    let (_, said) = place.run(&["learn", "--write", "portcullis.toml"]);
    assert!(said.contains("3 refused") && place.text("portcullis.toml") == "# mine\n", "{said}");
    assert!(place.run(&["learn", "--refused"]).1.contains("\"mail.example:4444\""));
    std::fs::write(place.0.path().join("portcullis.toml"), "[egress]\nallow = [\"mail.example:4444\"]\n")
        .expect("a file");
    let (_, said) = place.run(&["learn", "--refused"]);
    assert!(said.contains(all) && said.contains("Read: 3 events; 3 allowed by the policy as it is"), "{said}");
    // Seen too little is nothing to propose, either.
    let place = Place::new(&[], &[connection("shop", 1, "203.0.113.1", "mail.example")]);
    let (_, said) = place.run(&["learn"]);
    assert!(said.contains("SEEN TOO LITTLE: mail.example:4444") && said.contains("No entries to propose.\n"), "{said}");
    assert!(place.run(&["learn", "--include", "mail.example:4444"]).1.contains("\"mail.example:4444\""));
}

/// A script that was written right before its first event is an upload; one that is known for longer was updated.
#[test]
fn a_script_that_was_just_written_is_no_evidence() {
    // No folder of files that anybody may write, as /tmp is.
    let target = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().expect("a folder");
    let folder = tempfile::tempdir_in(target).expect("a folder");
    let script = folder.path().join("page.php");
    std::fs::write(&script, "").expect("a file");
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).expect("a time");
        i64::try_from(since.as_secs()).expect("a number")
    };
    let at = |seconds: i64, client: u32| {
        let mut event = connection("blog", 1, &format!("203.0.113.{client}"), "late.example");
        event["@timestamp"] = jiff::Timestamp::from_second(seconds).expect("a time").to_string().into();
        event["portcullis"]["request"]["script"] = script.to_str().expect("a path").into();
        event["http"]["request"]["id"] = format!("{client:016x}").into();
        event
    };
    let begun = now();
    let events = [at(begun + 60, 1), at(begun + 7200, 2), at(begun + 9000, 3)];
    let (proposed, refused) = learn(&events, &[]);
    assert!(proposed.is_empty() && refused[0][1].contains("the script was written at"), "{proposed:?} {refused:?}");
    let known = [&events[..], &[at(begun - 86_400, 4)]].concat();
    assert_eq!(learn(&known, &[]).0, [["egress.allow", "late.example:4444"]]);
    let later = [at(begun + 7200, 2), at(begun + 9000, 3)];
    assert_eq!(learn(&later, &[]).0, [["egress.allow", "late.example:4444"]]);
}

/// Whoever writes events cannot make ordinary ones look like an intrusion, and a person's word counts for all that belongs to it.
#[test]
fn what_makes_an_intrusion_can_be_named_and_not_be_made_up() {
    let mut metadata = connection("blog", 1, "203.0.113.1", "");
    for key in ["rule", "event", "destination"] {
        metadata[key] = example("metadata")[key].clone();
    }
    let ordinary = [2, 3].map(|day| connection("blog", day, "203.0.113.7", "mail.example"));
    let all = [&[metadata.clone()], &ordinary[..]].concat();
    assert!(learn(&all, &[]).0.is_empty(), "the script is that of the intrusion");
    let to = "169.254.169.254:80";
    let named: Vec<String> = learn(&all, &["--include", to]).0.into_iter().map(|[_, entry]| entry).collect();
    assert_eq!(named, [to, "mail.example:4444"]);
    metadata["portcullis"]["contradicted"] = json!({ "user.id": "1000" });
    let proposed = learn(&[&[metadata], &ordinary[..]].concat(), &[]).0;
    assert_eq!(proposed, [["egress.allow", "mail.example:4444"]]);
}

/// A proxy's address is that of every visitor.
#[test]
fn a_proxy_is_no_client() {
    let grave = |client: &str| {
        let mut event = connection("blog", 1, client, "");
        for key in ["rule", "event", "destination"] {
            event[key] = example("metadata")[key].clone();
        }
        event
    };
    let proposed = |client: &str, more: &[&str]| {
        let ordinary = [2, 3].map(|day| connection("shop", day, client, "mail.example"));
        learn(&[&[grave(client)], &ordinary[..]].concat(), more).0.len()
    };
    assert_eq!(proposed("10.0.0.5", &[]), 0);
    assert_eq!(proposed("10.0.0.5", &["--proxy", "10.0.0.5"]), 1);
    assert_eq!((proposed("127.0.0.1", &[]), proposed("::1", &[])), (1, 1));
}

/// On a terminal each entry is asked for, the change is shown, and nothing is written before it is confirmed.
#[test]
fn a_terminal_is_asked() {
    use std::io::Write;
    let events: Vec<Value> = ["a.example", "mail.example"]
        .iter()
        .flat_map(|to| (1..4).map(move |day| connection("shop", day, &format!("203.0.113.{day}"), to)))
        .collect();
    let asked = |more: &str, answers: &str| {
        let place = Place::new(&["shop"], &events);
        let mut command = Command::new("script");
        let line = format!(
            "{} learn --write vhosts.d/shop.toml --config {}/portcullis.toml {more} {}",
            env!("CARGO_BIN_EXE_portcullis"),
            place.0.path().display(),
            place.log().display()
        );
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let pipe = std::process::Stdio::piped;
        let mut child = command.stdin(pipe()).stdout(pipe()).spawn().expect("script, of bsdutils");
        child.stdin.take().expect("a pipe").write_all(answers.as_bytes()).expect("answers");
        let done = child.wait_with_output().expect("learn");
        (String::from_utf8_lossy(&done.stdout).into_owned(), place.text("vhosts.d/shop.toml"))
    };
    let (said, written) = asked("", "e\ns\na\ny\n");
    assert!(said.contains("show the (e)vents") && said.contains("192.88.1.10:4444/tcp (a.example)"), "{said}");
    assert!(said.contains("+     \"mail.example:4444\",") && said.contains("Write these changes?"), "{said}");
    assert!(written.contains("mail.example"), "{written}");
    assert!(!written.contains("\"a.example:4444\""), "{written}");
    for answers in ["a\na\nn\n", "a\nq\n"] {
        let (said, written) = asked("", answers);
        assert!(!written.contains("example:4444"), "{said}");
    }
    let (said, written) = asked("--yes", "");
    assert!(written.contains("a.example:4444") && !said.contains("(a)ccept"), "{said}");
}
