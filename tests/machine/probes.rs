//! `portcullis doctor` of every guarded unit, and what it leaves: nothing in the figures, and no place for an intruder to hide in.

use crate::distro::named;
use crate::machine::{Machine, wait_until};
use serde_json::Value;

/// A page for every URI, that does what the header `X-Do` says, with the token of the URI.
const PAGE: &str = r#"<?php
preg_match('/portcullis-doctor-[0-9a-f]+/', $_SERVER['REQUEST_URI'], $found);
switch ($_SERVER['HTTP_X_DO']) {
    case 'shell': shell_exec(": $found[0]"); break;
    case 'more': shell_exec(": $found[0]; id"); break;
    case 'program': proc_close(proc_open(['/var/tmp/sh', '-c', ": $found[0]"], [], $pipes)); break;
    case 'connect': @fsockopen('192.88.1.10', 4444, $number, $message, 2); break;
}
echo 'done';
"#;
const SITE: &str = "server { listen 8000; location / { include fastcgi_params; \
                    fastcgi_param SCRIPT_FILENAME /srv/page.php; fastcgi_pass unix:/run/php/phpX.Y-fpm.sock; } }\n";
const LIST: &str = "/var/lib/portcullis/probes";

fn guarded() -> Machine {
    let machine = Machine::boot();
    machine.run("dpkg -i /packages/portcullis_*.deb");
    machine
}

/// Has a worker of PHP-FPM act for a URI, and waits until so many more events are shown.
fn act(machine: &Machine, token: &str, deed: &str, more: usize) {
    let before = machine.events().len();
    let answer = machine.run(&format!("curl -sS -H 'X-Do: {deed}' 'http://127.0.0.1:8000/{token}?shell'"));
    assert_eq!(answer, "done", "{deed}");
    // The last event of all is in the journal before they are counted.
    machine.run(&format!("curl -sS -H 'X-Do: connect' 'http://127.0.0.1:8000/after-{deed}'"));
    wait_until("the last event", || {
        machine.events().last().is_some_and(|event| event["url"]["original"] == format!("/after-{deed}"))
    });
    assert_eq!(machine.events().len(), before + more + 1, "{deed} with {token}");
}

/// The events of all units' probes are marked and counted nowhere.
#[test]
fn doctor_leaves_no_trace() {
    let machine = guarded();
    let listed = machine.run("portcullis install");
    for unit in ["apache2", "nginx", "phpX.Y-fpm"] {
        assert!(listed.contains(&format!("not guarded  next: portcullis install {unit} --now")), "{listed}");
    }
    let none = machine.try_run("portcullis doctor");
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no unit is guarded"));
    machine.run("portcullis install apache2 nginx phpX.Y-fpm --now && portcullis status");
    let listed = machine.run("portcullis install");
    assert_eq!(listed.matches("next: portcullis doctor ").count(), 3, "{listed}");

    let said = machine.run("portcullis doctor");
    let summary: Vec<&str> = said.lines().rev().take(3).collect();
    let wanted = ["fine     phpX.Y-fpm.service", "fine     nginx.service", "fine     apache2.service"];
    assert_eq!(summary, wanted, "{said}");
    assert_eq!(machine.run(&format!("stat -c '%a %u' {LIST}")), "600 0\n");
    let json = machine.json("portcullis doctor --json");
    assert_eq!(json["units"].as_array().map(Vec::len), Some(3), "{json:#}");

    // Apache's PHP and each unit's process, twice; PHP-FPM's worker.
    let all = machine.run("portcullis events --json --probes");
    let all: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(all.len(), 2 * (3 + 3 + 3 * 2), "{all:#?}");
    assert!(all.iter().all(|event| event["portcullis"]["probe"] == true), "{all:#?}");
    assert_eq!(machine.run("portcullis events --incidents; portcullis events; portcullis events --json"), "");
    let proposed = machine.run("portcullis learn --include-rare");
    assert!(proposed.contains("No entries") && !proposed.contains("0.0.0.1"), "{proposed}");
    let page = machine.run("portcullis report");
    assert!(!page.contains("portcullis-doctor-") && !page.contains("0.0.0.1"), "{page}");
    let metrics = machine.run("portcullis status --prometheus -");
    assert!(!metrics.contains("\nportcullis_calls_total{"), "{metrics}");
    let metrics = machine.run("portcullis status --prometheus - --probes");
    assert!(metrics.contains("\nportcullis_calls_total{"), "{metrics}");
    machine.run("portcullis events --verify >/dev/null");

    // Whoever may not read root's list sees all, and is told.
    machine.run("portcullis events --json --probes > /var/tmp/log.jsonl && chmod 644 /var/tmp/log.jsonl");
    let done =
        machine.try_run("setpriv --reuid 33 --regid 33 --clear-groups portcullis events --json /var/tmp/log.jsonl");
    assert_eq!(String::from_utf8_lossy(&done.stdout).lines().count(), all.len());
    let note = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(note.lines().count() == 1 && note.contains("the list of probes cannot be read"), "{note}");

    // The worst decides.
    machine.run("systemctl stop nginx");
    let done = machine.try_run("portcullis doctor");
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("\nwrong    nginx.service: ") && said.contains("\nfine     apache2.service\n"), "{said}");
}

/// What the library says of itself in a probe, of which there is more where no policy can be used, is the probe's.
#[test]
fn a_policy_that_is_not_there_leaves_no_trace_either() {
    let machine = guarded();
    machine.run("portcullis install apache2 phpX.Y-fpm --now");
    machine.run("echo 'nonsense =' >> /etc/portcullis/portcullis.toml && rm /run/portcullis/policy");
    let before = machine.events().len();
    assert_eq!(machine.try_run("portcullis doctor").status.code(), Some(1));
    let all = machine.run("portcullis events --json --probes --rule guard-policy");
    let probes = || all.lines().filter(|line| line.contains("\"probe\":true"));
    // Apache's, and each unit's process.
    assert_eq!(probes().count(), 3, "{all}");
    assert_eq!(machine.events().len(), before);
    let note = String::from_utf8_lossy(&machine.try_run("portcullis events").stderr).into_owned();
    assert!(note.contains("left out") && !note.contains("not of its probes"), "{note}");
}

/// What a worker does with a token that it knows is shown, but for what the probe itself would do.
#[test]
fn a_token_is_no_place_to_hide_in() {
    let machine = guarded();
    std::fs::write(machine.file("srv/page.php"), PAGE).expect("a page");
    std::fs::write(machine.file("etc/nginx/conf.d/page.conf"), named(SITE)).expect("a site");
    machine
        .run("cp /bin/dash /var/tmp/sh && portcullis install nginx phpX.Y-fpm --now && portcullis doctor phpX.Y-fpm");
    let list = machine.run(&format!("cat {LIST}"));
    let begun = list.lines().find(|line| line.contains("?shell")).expect("the probe of a worker");
    let mut probe: Value = serde_json::from_str(begun).expect("JSON");
    let token = probe["token"].as_str().expect("a token").to_owned();

    act(&machine, "portcullis-doctor-0123456789abcdef0123456789abcdef", "shell", 1);
    // The probe is over.
    act(&machine, &token, "shell", 1);

    // As if `doctor` had been killed a moment ago, so that the end of its probe is not in the list.
    let time = |when: &str| machine.run(&format!("date -u -d '{when}' +%FT%T.%NZ")).trim().to_owned();
    (probe["from"], probe["until"]) = (time("now").into(), time("100 seconds").into());
    machine.run(&format!("echo '{probe}' > {LIST}"));
    act(&machine, &token, "more", 1);
    act(&machine, &token, "program", 1);
    act(&machine, &token, "connect", 1);
    // The probe's own event, once.
    act(&machine, &token, "shell", 0);
    act(&machine, &token, "shell", 1);
    let note = String::from_utf8_lossy(&machine.try_run("portcullis events").stderr).into_owned();
    assert!(note.contains("more with its mark, but not of its probes: shown"), "{note}");
    let proposed = machine.run("portcullis learn --include-rare");
    assert!(!proposed.lines().any(|line| !line.starts_with('#') && line.contains("portcullis-doctor-")), "{proposed}");
}
