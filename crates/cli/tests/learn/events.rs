//! Events for which an entry would be wrong, or which have another key than it would seem.

use crate::{example, learn, misused};
use portcullis_policy::Rule;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

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
    for rule in Rule::ALL.into_iter().filter(|rule| rule.is_plain()).map(Rule::word) {
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

/// What an application runs with such a variable is learnt once that is named: Passenger gives GEM_HOME to all that Redmine runs.
#[test]
fn a_command_with_a_named_variable_is_judged_by_itself() {
    let mut event = started("shell-spawn", "/usr/bin/dash", &["sh", "-c", "/usr/bin/convert -version"]);
    event["portcullis"]["also"] = json!(["loader-env"]);
    event["portcullis"]["detail"] = "GEM_HOME=/opt/gems".into();
    let (proposed, refused) = learn(std::slice::from_ref(&event), &[]);
    assert!(proposed.is_empty() && refused[0][1].contains("loader-env"), "{refused:?}");
    let named = ["--include", "/opt/gems"];
    let (proposed, _) = learn(std::slice::from_ref(&event), &named);
    assert_eq!(proposed, [["exec.allow", "/usr/bin/convert -version"], ["rules.loader-env.allow", "/opt/gems"]]);
    let said = misused(std::slice::from_ref(&event), &["--include", "/opt/other"]);
    assert!(said.contains("--include /opt/other is no entry that these events need"), "{said}");
    // Its other grave rules count.
    event["portcullis"]["also"] = json!(["loader-env", "stdio-socket"]);
    assert_eq!(learn(&[event], &named).0, [["rules.loader-env.allow", "/opt/gems"]]);
}

/// Each of the variables that an application has set before it starts a program is learnt: the entry for one alone is of no use.
#[test]
fn every_variable_of_a_program_is_learnt() {
    let mut event = started("shell-spawn", "/usr/bin/dash", &["sh", "-c", "/usr/bin/git --version"]);
    event["portcullis"]["also"] = json!(["loader-env"]);
    event["portcullis"]["detail"] = "GEM_HOME=/opt/gems; BUNDLE_GEMFILE=/opt/Gemfile; RUBYOPT=-W; -r/opt/a".into();
    let named = ["--include", "/opt/gems", "--include", "/opt/Gemfile", "--include=-W; -r/opt/a"];
    let (proposed, _) = learn(std::slice::from_ref(&event), &named);
    let all = ["-W; -r/opt/a", "/opt/Gemfile", "/opt/gems"].map(|value| ["rules.loader-env.allow", value]);
    assert_eq!(proposed, [&[["exec.allow", "/usr/bin/git --version"]], &all[..]].concat());
    // Without one of them, the command would be refused all the same.
    let said = misused(std::slice::from_ref(&event), &named[..4]);
    assert!(said.contains("/opt/gems is of no use alone") && said.contains("add --include='-W; -r/opt/a'"), "{said}");
    // Nor where the event does not show one whole.
    for detail in
        ["GEM_HOME=/opt/gems; RUBYOPT=\u{2026}".to_owned(), format!("GEM_HOME=/opt/gems; RUBYLIB=/{}", "x".repeat(230))]
    {
        event["portcullis"]["detail"] = detail.into();
        let said = misused(std::slice::from_ref(&event), &named[..2]);
        assert!(said.contains("/opt/gems cannot be proposed: the event shows a part of its variables only"), "{said}");
    }
    // By itself, the rule has an entry for each that is shown.
    event["rule"]["id"] = "loader-env".into();
    event["portcullis"]["detail"] = "GEM_HOME=/opt/gems; RUBYLIB=/opt/lib; NODE_PATH=\u{2026}".into();
    let (proposed, withheld) = learn(&[event], &["--include", "/opt/gems"]);
    assert_eq!(proposed, [["rules.loader-env.allow", "/opt/gems"]]);
    assert!(withheld.iter().any(|[what, _]| what == "/opt/lib"), "{withheld:?}");
}

/// What keeps an entry from holding is learnt once it is named: a variable that loads code by its value, another one with its name.
#[test]
fn variables_that_steer_are_learnt_by_name() {
    let mut event = started("shell-spawn", "/usr/bin/dash", &["sh", "-c", "/usr/bin/git --version"]);
    event["portcullis"]["role"] = "descendant".into();
    event["portcullis"]["clause"] = "allow does not hold: PYTHON* is not known to be the server's own".into();
    event["portcullis"]["detail"] = "PYTHONUNBUFFERED=1; NODE_PATH=/opt/node; NODE_ENV=production".into();
    let (proposed, withheld) = learn(std::slice::from_ref(&event), &[]);
    let all = ["/opt/node", "NODE_ENV=production", "PYTHONUNBUFFERED=1"];
    assert!(proposed.is_empty() && all.iter().all(|one| withheld.iter().any(|[what, _]| what == one)), "{withheld:?}");
    let named = ["--include", all[0], "--include", all[1], "--include", all[2]];
    assert_eq!(learn(std::slice::from_ref(&event), &named).0, all.map(|one| ["rules.loader-env.allow", one]));
    // A value alone says nothing of a variable that loads none.
    let said = misused(&[event], &["--include", "production"]);
    assert!(said.contains("production is no entry that these events need; known: "), "{said}");
}

/// A port that the kernel chose is another one the next time.
#[test]
fn a_port_of_the_kernel_is_not_learnt() {
    let mut event = example("listen-port");
    for (port, is_proposed) in
        [(8080, true), (32767, true), (32768, false), (46681, false), (60999, false), (61000, true)]
    {
        event["server"]["port"] = port.into();
        assert_eq!(learn(std::slice::from_ref(&event), &[]).0.is_empty(), !is_proposed, "{port}");
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

/// Calls that were merged into a command may have been other commands of that program: `learn` says how many there were.
#[test]
fn merged_calls_may_have_other_arguments() {
    let mut event = example("shell-spawn");
    event["process"]["args"] = json!(["sh", "-c", "/usr/bin/convert -version"]);
    event["event"]["id"] = "8c1f0e52a7d94b36-7".into();
    event["portcullis"]["vhost"] = Value::Null;
    let merged = json!({
        "@timestamp": "2026-11-26T03:12:45Z", "event": { "action": "merged", "outcome": "success" },
        "rule": { "id": "shell-spawn" }, "host": event["host"], "portcullis": { "repeated": 18, "like": "8c1f0e52a7d94b36-7", "mode": "audit" },
    });
    let folder = tempfile::tempdir().expect("a folder");
    let (log, config) = (folder.path().join("events.jsonl"), folder.path().join("portcullis.toml"));
    let said = |events: &[&Value], more: &[&str]| {
        let lines: Vec<String> = events.iter().map(|event| event.to_string()).collect();
        std::fs::write(&log, lines.join("\n")).expect("a file");
        std::fs::write(&config, "").expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let done = command.args(["learn", "--config"]).arg(&config).arg(&log).args(more).output().expect("learn");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    for more in [&["--include-rare"][..], &["--include-rare", "--yes", "--write", "portcullis.toml"]] {
        let unknown = "18 calls were merged into events of the same program: no event has their arguments";
        let both = said(&[&event, &merged], more);
        assert!(both.contains(unknown) && both.contains("/usr/bin/convert -version"), "{both}");
        let alone = said(&[&event], more);
        assert!(!alone.contains("merged"), "{alone}");
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

/// A command that ordinary pages run stays proposed where a program that is not proposed, such as Cacti's poller, runs it as well.
#[test]
fn a_command_stands_for_itself_beside_a_tool_that_runs_it() {
    let of = |mut event: Value, request: &str, chain: &str| {
        event["http"]["request"]["id"] = request.into();
        event["portcullis"]["request"]["script"] = format!("/srv/www/{request}.php").into();
        event["portcullis"]["chain"] = chain.into();
        event
    };
    let draw = |request: &str, chain: &str| {
        of(started("shell-spawn", "/usr/bin/dash", &["sh", "-c", "/usr/bin/convert -version"]), request, chain)
    };
    let tool = of(started("exec-tool", "/usr/bin/php", &["php", "poll.php"]), "poll", "php-fpm > sh > php");
    let below = draw("poll", "php-fpm > sh > php > sh");
    let tools = [tool, below];
    let (proposed, refused) = learn(&tools, &[]);
    let why: Vec<&str> =
        refused.iter().filter(|[what, _]| what.contains("convert")).map(|[_, why]| why.as_str()).collect();
    assert!(proposed.is_empty() && why == ["php did it, which is not proposed itself"], "{proposed:?} {refused:?}");
    let (proposed, refused) = learn(&[&[draw("page", "php-fpm > sh")], &tools[..]].concat(), &[]);
    assert_eq!(proposed, [["exec.allow", "/usr/bin/convert -version"]]);
    assert!(refused.iter().all(|[what, _]| !what.contains("convert")), "{refused:?}");
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
