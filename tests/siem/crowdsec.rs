//! examples/siem/crowdsec/: parser and scenarios by `cscli hubtest`, on an event of each rule and on an attacker's text in them.

use crate::lines::{CLIENT, VICTIM, harmless, hostile, of_rules};
use crate::shipping::host::{Host, wait_long};
use portcullis_event::RULES;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's package, unpacked by scripts/tools.
fn package() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/crowdsec");
    assert!(path.join("made").exists(), "make the tools first: scripts/tools");
    path
}

const HUB: &str = "/var/lib/crowdsec/hub";
const PARSED: &str = "results[\"s01-parse\"][\"portcullis/portcullis-logs\"]";

/// What hubtest makes a CrowdSec of its own from; upstream has it in its repository of the hub, the package has not.
const CONFIG: &str = "\
common: { daemonize: false, log_media: stdout, log_level: info, working_dir: . }
config_paths:
  { config_dir: ./runtime/, data_dir: ./runtime/data/, simulation_path: ./runtime/simulation.yaml, hub_dir: ./runtime/hub/, index_path: ./runtime/hub/.index.json }
crowdsec_service: { parser_routines: 1 }
cscli: { output: human }
db_config: { type: sqlite, db_path: ./runtime/data/crowdsec.db }
api:
  client: { credentials_path: ./runtime/local_api_credentials.yaml }
  server: { listen_uri: \"127.0.0.1:8181\", profiles_path: ./runtime/profiles.yaml }
prometheus: { enabled: false }
";
const TEST: &str = "\
parsers: [crowdsecurity/syslog-logs, crowdsecurity/dateparse-enrich, ./parsers/s01-parse/portcullis/portcullis-logs.yaml]
scenarios: [./scenarios/portcullis/blocked-call.yaml, ./scenarios/portcullis/severe-call.yaml]
log_file: test.log
ignore_parsers: false
";

/// A test of the hub.
struct Case<'c> {
    name: &'static str,
    /// How the lines are read: `portcullis` for those of the file, `syslog` for those of the journal.
    kind: &'static str,
    lines: &'c [String],
    parser: String,
    scenario: String,
}

fn prepared(host: &Host) {
    let package = package();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/siem/crowdsec");
    host.run(move || {
        let hub = Path::new(HUB);
        for (from, to) in [
            (package.join("etc/crowdsec"), PathBuf::from("/etc/crowdsec")),
            (package.join("usr/share/crowdsec/hub"), hub.to_owned()),
            (examples.join("parsers"), hub.join("parsers")),
            (examples.join("scenarios"), hub.join("scenarios")),
        ] {
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("folders");
            let done = Command::new("cp").arg("-rT").args([&from, &to]).status().expect("cp");
            assert!(done.success(), "{}", from.display());
        }
        let tests = hub.join(".tests");
        std::fs::create_dir_all(&tests).expect("a folder");
        std::fs::write(tests.join("template_config.yaml"), CONFIG).expect("a file");
        std::fs::write(tests.join("template_simulation.yaml"), "simulation: false\n").expect("a file");
        std::fs::copy("/etc/crowdsec/profiles.yaml", tests.join("template_profiles.yaml")).expect("a copy");
        for name in ["local_api_credentials.yaml", "online_api_credentials.yaml"] {
            std::fs::write(Path::new("/etc/crowdsec").join(name), "").expect("a file");
        }
        std::fs::create_dir_all("/var/lib/crowdsec/data").expect("a folder");
    });
}

/// Whether every assertion of the case holds, and what hubtest said.
fn holds(host: &Host, case: &Case) -> (bool, String) {
    let folder = Path::new(HUB).join(".tests").join(case.name);
    let files = [
        ("config.yaml", format!("{TEST}log_type: {}\n", case.kind)),
        ("test.log", case.lines.iter().map(|line| format!("{line}\n")).collect()),
        ("parser.assert", case.parser.clone()),
        ("scenario.assert", case.scenario.clone()),
    ];
    let (name, bin) = (case.name, package().join("usr/bin"));
    host.run(move || {
        std::fs::create_dir_all(&folder).expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.join(name), text).expect("a file");
        }
        let done = Command::new(bin.join("cscli"))
            .args(["hubtest", "run", name, "--clean", "--hub", HUB, "--cscli"])
            .arg(bin.join("cscli"))
            .arg("--crowdsec")
            .arg(bin.join("crowdsec"))
            .output()
            .expect("cscli");
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        (done.status.success(), said)
    })
}

/// That each line is parsed, with the client, and with the rule that it is about.
fn parser(count: usize, client: &str) -> String {
    let mut out = format!("len({PARSED}) == {count}\n");
    for number in 0..count {
        let meta = |name: &str, value: &str| format!("{PARSED}[{number}].Evt.Meta[\"{name}\"] == \"{value}\"\n");
        let _ = writeln!(out, "{PARSED}[{number}].Success == true");
        out += &(meta("source_ip", client)
            + &meta("rule", RULES[number % RULES.len()].id)
            + &meta("log_type", "portcullis"));
    }
    out
}

/// That a scenario is met, once for a client within a minute, by the client and by nobody else.
fn scenario(name: &str) -> String {
    format!(
        "len(results) == 1\n\
         results[0].Overflow.Alert.GetScenario() == \"{name}\"\n\
         results[0].Overflow.Alert.Remediation == true\n\
         len(results[0].Overflow.GetSources()) == 1\n\
         \"{CLIENT}\" in results[0].Overflow.GetSources()\n"
    )
}

#[test]
fn parser_and_scenarios_hold_in_hubtest() {
    let host = Host::new("crowd");
    prepared(&host);
    let (blocked, logged, hostile) = (of_rules(true, "x"), of_rules(false, "x"), hostile());
    let journal: Vec<String> =
        blocked.iter().map(|line| format!("Nov 30 08:00:00 web1 portcullis[4021]: {line}")).collect();
    let harmless: Vec<String> = harmless().into_iter().map(|(_, line)| line).collect();
    let (by_blocked, by_severe) = (scenario("portcullis/blocked-call"), scenario("portcullis/severe-call"));
    let parsed = parser(RULES.len(), CLIENT);
    let cases = [
        Case {
            name: "blocked",
            kind: "portcullis",
            lines: &blocked,
            parser: parsed.clone(),
            scenario: by_blocked.clone(),
        },
        Case { name: "logged", kind: "portcullis", lines: &logged, parser: parsed.clone(), scenario: by_severe },
        Case { name: "journal", kind: "syslog", lines: &journal, parser: parsed.clone(), scenario: by_blocked.clone() },
        Case {
            name: "hostile",
            kind: "portcullis",
            lines: &hostile,
            parser: parser(hostile.len(), CLIENT),
            scenario: by_blocked.clone(),
        },
        Case {
            name: "harmless",
            kind: "portcullis",
            lines: &harmless,
            parser: format!("len({PARSED}) == {}\n", harmless.len()),
            scenario: "len(results) == 0\n".to_owned(),
        },
    ];
    for case in &cases {
        let (holds, said) = holds(&host, case);
        assert!(holds, "{}: {said}", case.name);
    }
    // A mistake is one.
    for (parser, scenario) in [(parser(RULES.len(), VICTIM), by_blocked), (parsed, "len(results) == 0\n".to_owned())] {
        let case = Case { name: "mistaken", kind: "portcullis", lines: &blocked, parser, scenario };
        let (holds, said) = holds(&host, &case);
        assert!(!holds, "{said}");
    }
}

/// The client of the last line: once it is banned, all lines before were read.
const LAST: &str = "192.0.2.8";

/// The agent and its local API, as they are installed, without the central API.
#[test]
fn a_real_agent_bans_the_attacker_only() {
    let host = Host::new("agent");
    prepared(&host);
    let blocked = of_rules(true, "x");
    let last = blocked[0].replace(CLIENT, LAST);
    let lines = hostile().into_iter().chain(harmless().into_iter().map(|(_, line)| line)).chain([last]);
    let text: String = lines.map(|line| line + "\n").collect();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/siem/crowdsec");
    host.run(move || {
        let folder = Path::new("/etc/crowdsec");
        for (name, of) in [("parsers/s01-parse", "parsers/s01-parse"), ("scenarios", "scenarios")] {
            std::fs::create_dir_all(folder.join(name)).expect("a folder");
            for file in std::fs::read_dir(examples.join(of).join("portcullis")).expect("examples") {
                let file = file.expect("a file");
                std::fs::copy(file.path(), folder.join(name).join(file.file_name())).expect("a copy");
            }
        }
        // What the package installs of the hub.
        for (stage, parser) in [("s00-raw", "syslog-logs"), ("s02-enrich", "dateparse-enrich")] {
            let stage = Path::new("parsers").join(stage);
            std::fs::create_dir_all(folder.join(&stage)).expect("a folder");
            let file = format!("{parser}.yaml");
            let from = Path::new(HUB).join(&stage).join("crowdsecurity").join(&file);
            std::fs::copy(from, folder.join(&stage).join(&file)).expect("a copy");
        }
        let config = std::fs::read_to_string(folder.join("config.yaml")).expect("the configuration");
        let (before, behind) = config.split_once("    online_client:").expect("the central API");
        let behind = behind.lines().skip(2).collect::<Vec<_>>().join("\n");
        std::fs::write(folder.join("config.yaml"), format!("{before}{behind}\n")).expect("a file");
        std::fs::write("/var/log/portcullis.jsonl", text).expect("a log");
    });
    let bin = package().join("usr/bin");
    let cscli = bin.join("cscli").display().to_string();
    host.command(&format!("{cscli} machines add --auto --file /etc/crowdsec/local_api_credentials.yaml"));
    let agent = bin.join("crowdsec").display().to_string();
    let log = "file:///var/log/portcullis.jsonl";
    let _agent = host.start(&[&agent, "-c", "/etc/crowdsec/config.yaml", "-dsn", log, "-type", "portcullis"]);
    let banned = || {
        let cscli = cscli.clone();
        let listed =
            host.run(move || Command::new(cscli).args(["decisions", "list", "-o", "json"]).output().expect("cscli"));
        let alerts: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        let decisions = alerts.as_array().into_iter().flatten().filter_map(|alert| alert["decisions"].as_array());
        let texts = decisions
            .flatten()
            .map(|one| format!("{} {} {}", one["type"], one["value"], one["scenario"]).replace('"', ""));
        texts.collect::<BTreeSet<String>>()
    };
    let ban = |client: &str| format!("ban {client} portcullis/blocked-call");
    wait_long("the last ban", || banned().contains(&ban(LAST)));
    assert_eq!(banned(), BTreeSet::from([ban(CLIENT), ban(LAST)]));
}
