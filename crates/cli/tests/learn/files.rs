//! What is written, what is counted, and what a terminal is asked.

use crate::{Place, connection, example};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

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
    let blocked = |day| {
        let mut event = connection("shop", day, &format!("203.0.113.{day}"), "mail.example");
        event["event"]["outcome"] = "failure".into();
        event
    };
    let place = Place::new(&[], &(1..4).map(blocked).collect::<Vec<_>>());
    let (_, said) = place.run(&["learn"]);
    assert!(said.contains("No entries to propose.") && !said.contains(all), "{said}");
    assert!(said.contains("Read: 3 events; 3 blocked (--blocked learns from them)"), "{said}");
    let (_, said) = place.run(&["learn", "--write", "portcullis.toml"]);
    assert!(said.contains("3 blocked") && place.text("portcullis.toml") == "# mine\n", "{said}");
    assert!(place.run(&["learn", "--blocked"]).1.contains("\"mail.example:4444\""));
    std::fs::write(place.0.path().join("portcullis.toml"), "[egress]\nallow = [\"mail.example:4444\"]\n")
        .expect("a file");
    let (_, said) = place.run(&["learn", "--blocked"]);
    assert!(said.contains(all) && said.contains("Read: 3 events; 3 allowed by the policy as it is"), "{said}");
    // Seen too little is nothing to propose, either.
    let place = Place::new(&[], &[connection("shop", 1, "203.0.113.1", "mail.example")]);
    let (_, said) = place.run(&["learn"]);
    assert!(said.contains("SEEN TOO LITTLE: mail.example:4444") && said.contains("No entries to propose.\n"), "{said}");
    assert!(place.run(&["learn", "--include", "mail.example:4444"]).1.contains("\"mail.example:4444\""));
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

/// `--write FILE` writes the file that its caller sees, or that of the configuration; never one of two in silence.
#[test]
fn a_file_to_write_is_the_one_that_is_meant() {
    let events: Vec<Value> =
        (1..4).map(|day| connection("shop", day, &format!("203.0.113.{day}"), "shop.example")).collect();
    let place = Place::new(&["shop"], &events);
    let write = |folder: &Path, file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command
            .arg("learn")
            .arg("--config")
            .arg(place.0.path().join("portcullis.toml"))
            .args(["--yes", "--write", file]);
        let done = command.arg(place.log()).current_dir(folder).output().expect("learn");
        let written = place.text("vhosts.d/shop.toml").contains("shop.example:4444");
        std::fs::write(place.vhost("shop"), "name = \"shop\"\nmatch = { pool = \"shop\" }\n").expect("a file");
        (done.status.code(), written, String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let elsewhere = tempfile::tempdir().expect("a folder");
    let vhosts = place.0.path().join("vhosts.d");
    for (folder, file) in [
        (elsewhere.path(), "vhosts.d/shop.toml"),
        (vhosts.as_path(), "shop.toml"),
        (vhosts.as_path(), "./shop.toml"),
        (place.0.path(), "vhosts.d/shop.toml"),
    ] {
        let (code, written, said) = write(folder, file);
        assert!(code == Some(0) && written, "{} {file}: {said}", folder.display());
    }
    // Two files of one name; and one that is no file of the configuration.
    std::fs::create_dir(elsewhere.path().join("vhosts.d")).expect("a folder");
    std::fs::write(elsewhere.path().join("vhosts.d/shop.toml"), "").expect("a file");
    let (code, written, said) = write(elsewhere.path(), "vhosts.d/shop.toml");
    assert!(code == Some(1) && !written && said.contains("write the whole path"), "{said}");
    let (code, written, said) = write(elsewhere.path(), "./vhosts.d/shop.toml");
    assert!(code == Some(1) && !written, "{said}");
}
