//! Ways in PHP, Perl, Python and Node, beyond those of tests/servers/matrix.rs; held against the table of docs/coverage.md.
//! Each runs bare, in audit and in enforce, without and with the backstop's supervisor.

use crate::build::{built, compile, enter, source};
use crate::distro::named;
use portcullis_policy::Rule;
use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All beside the first two and exec-unguarded, which is about the static program itself.
fn rules() -> impl Iterator<Item = &'static str> {
    Rule::ALL.into_iter().filter(|rule| !rule.is_at_top() && *rule != Rule::ExecUnguarded).map(Rule::word)
}

/// A language: its name, the program, options before the script, the script.
struct Language {
    name: &'static str,
    program: &'static str,
    options: &'static [&'static str],
    script: &'static str,
}

const LANGUAGES: [Language; 4] = [
    Language {
        name: "PHP",
        program: "phpX.Y",
        options: &["-n", "-d", "ffi.enable=1", "-d", "extension=ffi.so", "-d", "extension=sockets.so"],
        script: "ways.php",
    },
    Language { name: "Perl", program: "perl", options: &[], script: "ways.pl" },
    Language { name: "Python", program: "/usr/bin/python3", options: &["-B"], script: "ways.py" },
    Language { name: "Node", program: "node", options: &[], script: "ways.js" },
];

struct Place {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Place {
    fn script(&self, language: &Language) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/languages").join(language.script)
    }

    /// What the script prints, and the rules and layers of the events.
    fn run(&self, language: &Language, way: &str, guard: Option<(&str, &str)>) -> (String, Vec<(String, String)>) {
        let events = self.folder.path().join("events.jsonl");
        let _ = std::fs::remove_file(&events);
        let script = self.script(language);
        let mut command = match guard {
            None => Command::new(named(language.program)),
            Some((mode, layer)) => {
                let mut text = format!(
                    "mode = \"{mode}\"\n[log]\nsink = [\"file\"]\nfile = \"{}\"\n[backstop]\nseccomp = \"{layer}\"\n",
                    events.display()
                );
                for rule in rules() {
                    // The programs that the ways start are tools, and lie in a folder of the test.
                    let mode = if rule == "exec-tool" { "off" } else { mode };
                    let _ = writeln!(text, "[rules.{rule}]\nmode = \"{mode}\"");
                }
                text += "[rules.exec-unguarded]\nmode = \"off\"\n";
                let config = self.folder.path().join("config.toml");
                std::fs::write(&config, text).expect("a file");
                let mut command = Command::new(built().join("portcullis"));
                command
                    .args(["run", "--role", "serving", "--config"])
                    .arg(config)
                    .arg("--")
                    .arg(named(language.program));
                command
            }
        };
        let done =
            command.args(language.options).arg(script).arg(way).arg(&self.program).output().expect(language.program);
        let output = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(!output.is_empty(), "{} {way}: {}", language.name, String::from_utf8_lossy(&done.stderr));
        let text = std::fs::read_to_string(&events).unwrap_or_default();
        let events = text.lines().map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let word = |path: &str| event.pointer(path).and_then(|word| word.as_str()).unwrap_or_default().to_owned();
            (word("/rule/id"), word("/portcullis/layer"))
        });
        (output, events.collect())
    }

    fn cell(&self, language: &Language, way: &str, layer: &str) -> String {
        let bare = self.run(language, way, None);
        let audit = self.run(language, way, Some(("audit", layer)));
        let enforce = self.run(language, way, Some(("enforce", layer)));
        let context = format!("{} {way}, {layer}", language.name);
        assert_eq!(bare.0, audit.0, "{context}: audit changed the answer");
        match audit.1.first() {
            None => {
                assert_eq!((&bare.0, enforce.1.len()), (&enforce.0, 0), "{context}: changed, and not seen");
                "not seen".to_owned()
            }
            Some((rule, by)) => {
                assert_ne!(bare.0, enforce.0, "{context}: seen, and not refused");
                assert_eq!(Some(&audit.1[0]), enforce.1.first(), "{context}");
                let others: Vec<_> = audit.1.iter().filter(|event| event.0 != *rule).collect();
                assert!(others.is_empty(), "{context}: {others:?}");
                if by == "backstop" { format!("{rule} (backstop)") } else { rule.clone() }
            }
        }
    }
}

/// The ways of a script: the names of its table.
fn ways(script: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(script).expect("a script");
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        let quote = line.chars().next().filter(|quote| *quote == '\'' || *quote == '"');
        let Some(quote) = quote else { continue };
        let Some((name, rest)) =
            line[1..].replace("\\'", "\u{1}").split_once(quote).map(|(a, b)| (a.to_owned(), b.to_owned()))
        else {
            continue;
        };
        if ["=>", ": ", " =>"].iter().any(|mark| rest.starts_with(mark))
            && (rest.contains("lambda") || rest.contains("=>") || rest.ends_with(','))
        {
            found.push(name.replace('\u{1}', "'"));
        }
    }
    assert!(found.len() > 5, "{found:?}");
    found
}

#[test]
fn each_is_seen_and_refused() {
    enter();
    let _listeners = [8080, 4449].map(|port| TcpListener::bind(("192.88.1.10", port)).expect("a listener"));
    // Not in /tmp, which is no place for programs.
    let folder = crate::build::folder();
    let program = compile(&source("ways.c"), folder.path(), "ways-static", &["-static"]);
    let place = Place { folder, program };
    let mut found = String::from("| language | way | libc hooks | with the supervisor |\n| --- | --- | --- | --- |\n");
    for language in &LANGUAGES {
        for way in ways(&place.script(language)) {
            let cells = ["off", "supervise"].map(|layer| place.cell(language, &way, layer));
            let _ = writeln!(found, "| {} | {way} | {} |", language.name, cells.join(" | "));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/coverage.md");
    let text = std::fs::read_to_string(path).expect("docs/coverage.md");
    assert!(text.contains(&found), "docs/coverage.md needs this table:\n{found}");
}
